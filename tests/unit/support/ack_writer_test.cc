// The writer, on a node of its own: what it remembers is what the node holds.
#include "tests/support/ack_writer.h"

#include <gtest/gtest.h>

#include <chrono>

#include "tests/support/ack_check.h"
#include "tests/support/environment.h"
#include "tests/support/keyspace.h"
#include "tests/support/node_server.h"

namespace walstitch::test {
namespace {

using std::chrono::seconds;

DecisionRecord PromotionOf(const std::string& node) {
  DecisionRecord record;
  record.decision.kind = DecisionKind::kBootstrap;
  record.decision.node = node;
  record.outcome.emplace().outcome = Outcome::kDone;
  return record;
}

TEST(AckWriterTest, RemembersWhatTheNodeHoldsAcrossACrashAndAStop) {
  NodeServer node;
  const auto error = node.Start();
  ASSERT_FALSE(error) << *error;
  AckLog log;
  AckWriter writer(log, "n1", node.port());
  const auto more = [&] {
    const uint64_t so_far = log.acknowledged();
    return Eventually(seconds(10), [&] { return log.acknowledged() > so_far + 100; });
  };
  ASSERT_TRUE(more());
  node.Kill();
  ASSERT_FALSE(node.Restart());
  ASSERT_TRUE(more());
  const uint64_t unknown = log.unknown();
  node.Pause();
  EXPECT_TRUE(Eventually(seconds(10), [&] { return log.unknown() > unknown; })) << "nobody answered";
  node.Resume();
  ASSERT_TRUE(more());
  writer.Stop();

  Observed observed;
  observed.masters = {"n1"};
  observed.decisions = {PromotionOf("n1")};
  auto client = node.Client();
  observed.keyspaces["n1"] = DumpKeyspace(client);
  EXPECT_EQ(std::vector<std::string>(), Check(log, observed).Sentences());
  ASSERT_EQ(1, client("DEL", "counter:1").integer);
  observed.keyspaces["n1"] = DumpKeyspace(client);
  EXPECT_EQ(1U, Check(log, observed).lost.size());
}

TEST(AckWriterTest, RefusedWritesAreNoAcknowledgements) {
  NodeServer node;
  node.SetUpstream(PickFreePort());  // nobody is there: read-only all the same
  const auto error = node.Start();
  ASSERT_FALSE(error) << *error;
  AckLog log;
  AckWriter writer(log, "n1", node.port());
  EXPECT_TRUE(Eventually(seconds(10), [&] { return log.refused() > 20; }));
  writer.Stop();
  EXPECT_EQ(0U, log.acknowledged());
  EXPECT_EQ(0U, log.unknown());
}

}  // namespace
}  // namespace walstitch::test
