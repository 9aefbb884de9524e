// A running group is adopted, switched over, and released: under load, and without a write lost or a full
// sync.
#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

#include "tests/integration/cluster_fixture.h"

namespace walstitch::test {
namespace {

using std::chrono::seconds;

class AdoptionTest : public ClusterTest {
 protected:
  void StartDirect() {
    ClusterOptions options;
    options.nodes = {"n1", "n2", "n3"};
    options.direct = true;
    ASSERT_NO_FATAL_FAILURE(StartCluster(options));
  }
};

TEST_F(AdoptionTest, LookingTouchesNothing) {
  ASSERT_NO_FATAL_FAILURE(StartDirect());
  const std::string master_port = std::to_string(cluster().Node("n1").port());

  const Answer answer = cluster().Adopt({{"dry_run", true}});

  EXPECT_EQ(200, answer.status) << answer.error;
  EXPECT_EQ(0u, cluster().Epoch());
  EXPECT_TRUE(cluster().Decisions().empty());
  for (const std::string node : {"n2", "n3"}) {
    EXPECT_EQ("direct", cluster().Condition(node));
    EXPECT_EQ(master_port, cluster().Node(node).Info("replication", "master_port"));
  }
}

TEST_F(AdoptionTest, AdoptSwitchOverAndReleaseUnderLoad) {
  ASSERT_NO_FATAL_FAILURE(StartDirect());
  std::atomic<bool> stop{false};
  std::atomic<int> acknowledged{0};
  std::atomic<uint16_t> master_port{cluster().Node("n1").port()};
  // Goes to the next node when one does not take writes. Paced, since every key is compared in the end.
  constexpr auto kPace = std::chrono::milliseconds(1);
  std::thread writer([&] {
    while (!stop) {
      RedisClient client(master_port);
      while (!stop && client("SET", "load-" + std::to_string(acknowledged), "value").IsOk()) {
        ++acknowledged;
        std::this_thread::sleep_for(kPace);
      }
      std::this_thread::sleep_for(kPace);
    }
  });
  const auto written_more = [&] {
    const int so_far = acknowledged;
    return Eventually(seconds(10), [&] { return acknowledged > so_far + 20; });
  };

  EXPECT_TRUE(written_more());
  const Answer adopted = cluster().Adopt();
  EXPECT_TRUE(adopted.IsDone()) << adopted.error
                                << (adopted.record && adopted.record->outcome
                                        ? adopted.record->outcome->sentence
                                        : "");
  EXPECT_TRUE(written_more());
  EXPECT_TRUE(cluster().WaitCondition("n2", "following"));
  EXPECT_TRUE(cluster().WaitCondition("n3", "following"));

  const Answer switched = cluster().Switchover("n3");
  EXPECT_TRUE(switched.IsDone()) << switched.error
                                 << (switched.record && switched.record->outcome
                                         ? switched.record->outcome->sentence
                                         : "");
  master_port = cluster().Node("n3").port();
  EXPECT_TRUE(written_more());
  EXPECT_TRUE(cluster().WaitCondition("n1", "following"));
  EXPECT_TRUE(cluster().WaitCondition("n2", "following"));

  const Answer released = cluster().Release();
  EXPECT_TRUE(released.IsDone()) << released.error
                                 << (released.record && released.record->outcome
                                         ? released.record->outcome->sentence
                                         : "");
  // Nothing of ours is needed any more.
  cluster().KillController();
  for (const std::string& node : cluster().Nodes()) cluster().KillAgent(node);
  EXPECT_TRUE(written_more());
  stop = true;
  writer.join();

  for (const std::string node : {"n1", "n2"}) {
    EXPECT_TRUE(cluster().Node(node).WaitInSync(cluster().Node("n3"))) << node;
    EXPECT_EQ("", DiffKeyspaces(cluster().Keyspace("n3"), cluster().Keyspace(node)));
  }
  const auto keys = cluster().Keyspace("n3");
  for (int i = 0; i < acknowledged; ++i) {
    ASSERT_EQ(1u, keys.count("__namespace:load-" + std::to_string(i))) << "write " << i << " was lost";
  }
  EXPECT_EQ(0u, cluster().FullSyncsServed());
}

TEST_F(AdoptionTest, ReleasedGroupCanBeAdoptedAgain) {
  ASSERT_NO_FATAL_FAILURE(StartDirect());
  ASSERT_TRUE(cluster().Adopt().IsDone());
  ASSERT_TRUE(cluster().WaitSettled());
  ASSERT_TRUE(cluster().Release().IsDone());
  ASSERT_TRUE(cluster().WaitUntil([&] { return cluster().HasFinding("GroupReleased"); }));

  const Answer again = cluster().Adopt();

  EXPECT_TRUE(again.IsDone()) << again.error;
  EXPECT_TRUE(cluster().WaitSettled());
  EXPECT_EQ(2u, cluster().Epoch());
  EXPECT_EQ(0u, cluster().FullSyncsServed());
}

TEST_F(AdoptionTest, RefusesWhatItCannotAdopt) {
  ASSERT_NO_FATAL_FAILURE(StartDirect());
  auto client = cluster().Client("n3");
  ASSERT_TRUE(client("SLAVEOF", "NO", "ONE").IsOk());  // two masters
  ASSERT_TRUE(cluster().WaitUntil([&] {
    const auto report = cluster().ReportOf("n3");
    return report && report->role == Role::kMaster;
  }));

  const Answer answer = cluster().Adopt();

  EXPECT_EQ(409, answer.status);
  EXPECT_NE("", answer.error);
  EXPECT_EQ(0u, cluster().Epoch());
  EXPECT_EQ("master", cluster().Node("n3").Info("replication", "role"));
}

}  // namespace
}  // namespace walstitch::test
