// Leases and promises on the whole agent: its clock, its files, its server and its peers.
#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/json.hpp>
#include <condition_variable>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "agents/agent/boot_clock.h"
#include "policies/model/json.h"
#include "tests/unit/agent/agent_fixture.h"

namespace walstitch::agent {
namespace {

const LeaseTerms kShort{600, 10, 50};
const LeaseTerms kLong{20000, 10, 50};

// What a controller does on the stream of reports: answers each with a grant, as long as it is told to.
class Controller {
 public:
  Controller(std::uint16_t port, std::vector<GroupMember> others, LeaseTerms terms)
      : others_(std::move(others)), terms_(terms) {
    subscription_ = std::make_unique<http::Subscription>(
        context_.get_executor(), http::Url{"127.0.0.1", std::to_string(port)}, "/v1/stream", "",
        milliseconds(20), seconds(5), [this](const std::string& text) { Heard(text); }, [](bool) {});
    thread_ = std::thread([this] { context_.run(); });
  }
  ~Controller() {
    asio::post(context_, [this] {
      subscription_.reset();
      context_.stop();
    });
    thread_.join();
  }
  Controller(const Controller&) = delete;
  Controller& operator=(const Controller&) = delete;

  void Grant(int how_often) { grants_left_ = how_often; }
  void Say(const std::string& text) {
    asio::post(context_, [this, text] { subscription_->Send(text); });
  }

  // Waits until a report is as wanted.
  bool Reports(const std::function<bool(const Report&)>& wanted) {
    std::unique_lock lock(mutex_);
    std::size_t seen = 0;
    return changed_.wait_for(lock, seconds(20), [&] {
      for (; seen < reports_.size(); ++seen) {
        if (wanted(reports_[seen])) return true;
      }
      return false;
    });
  }
  std::vector<Report> All() {
    std::lock_guard lock(mutex_);
    return reports_;
  }
  // The anchor of the last grant.
  [[nodiscard]] std::int64_t Anchor() const { return anchor_; }

 private:
  void Heard(const std::string& text) {
    auto report = ReportFromJson(*ParseJson(text));
    ASSERT_TRUE(report) << report.error().Message();
    if (grants_left_ != 0 && report->role == Role::kMaster) {
      --grants_left_;
      LeaseGrant grant{"shop", "n1", report->epoch, report->boot_id, report->boot_ms, terms_, others_};
      anchor_ = report->boot_ms;
      boost::json::object message;
      message["news"] = "of a newer version";
      message["lease"] = ToJson(grant);
      subscription_->Send(Dump(message));
    }
    std::lock_guard lock(mutex_);
    reports_.push_back(std::move(*report));
    changed_.notify_all();
  }

  std::vector<GroupMember> others_;
  LeaseTerms terms_;
  std::atomic<int> grants_left_{0};
  std::atomic<std::int64_t> anchor_{0};
  asio::io_context context_{1};
  std::unique_ptr<http::Subscription> subscription_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Report> reports_;
  std::thread thread_;
};

// Takes connections, and says nothing.
class SilentAgent {
 public:
  SilentAgent() : acceptor_(context_, {asio::ip::make_address("127.0.0.1"), 0}) {}
  [[nodiscard]] std::vector<GroupMember> Members() {
    return {{"n2", "http://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port())}};
  }

 private:
  asio::io_context context_;
  tcp::acceptor acceptor_;
};

class AgentLeaseTest : public AgentTest {
 protected:
  // When the server was told to be the slave of the relay; nullopt: it was not.
  std::optional<std::int64_t> ParkedAt() {
    std::lock_guard lock(mutex_);
    return parked_at_;
  }
  bool IsParkedSoon() {
    for (int i = 0; i < 2000 && !ParkedAt(); ++i) std::this_thread::sleep_for(milliseconds(5));
    return ParkedAt().has_value();
  }
  void StartWatchedNode() {
    node_ = std::make_unique<FakeKvrocks>(
        [this](const FakeKvrocks::Words& words) {
          if (words[0] == "SLAVEOF" && words[2] == std::to_string(config_.relay.port)) {
            std::lock_guard lock(mutex_);
            if (!parked_at_) parked_at_ = BootMs();
          }
          return Answer(words);
        },
        config_.kvrocks.port);
  }
  void WaitUntil(std::int64_t boot_ms) {
    while (BootMs() < boot_ms) std::this_thread::sleep_for(milliseconds(boot_ms - BootMs() + 1));
  }
  void MakeReplicaOfTheRelay() {
    std::lock_guard lock(mutex_);
    replication_ = ReplicaOf("127.0.0.1", std::to_string(config_.relay.port));
  }
  bool NodeIsLookedAt(Role role) {
    return Reports([role](const Report& report) { return report.role == role; });
  }
  CommandResult Send(const std::string& id, std::uint64_t epoch, Action action) {
    auto response = Fetch("POST", "/v1/command", CommandBody(id, epoch, std::move(action)));
    EXPECT_TRUE(response) << response.error().Message();
    auto result = CommandResultFromJson(*ParseJson(response->body));
    EXPECT_TRUE(result) << response->body;
    return result ? *result : CommandResult{};
  }
  PromiseAnswer AskForPromise(std::uint64_t epoch, const LeaseTerms& terms) {
    PromiseRequest request{"shop", "n9", "n1", epoch, terms};
    auto response = Fetch("POST", "/v1/promise", Dump(ToJson(request)));
    EXPECT_TRUE(response) << response.error().Message();
    auto answer = PromiseAnswerFromJson(*ParseJson(response->body));
    EXPECT_TRUE(answer) << response->body;
    return answer ? *answer : PromiseAnswer{};
  }
  LeaseGrant GrantFrom(const Report& report, std::uint64_t epoch, const LeaseTerms& terms) {
    return {"shop", "n1", epoch, report.boot_id, report.boot_ms, terms, {}};
  }

  std::optional<std::int64_t> parked_at_;
  SilentAgent silent_;
};

TEST_F(AgentLeaseTest, ReportTellsWhatLeasesAreCountedBy) {
  StartWatchedNode();
  StartAgent();
  const std::int64_t before = BootMs();
  Report report = FreshReport();
  EXPECT_EQ(report.boot_id, *ReadBootId());
  EXPECT_GE(report.boot_ms, before);
  EXPECT_LE(report.boot_ms, BootMs());
  EXPECT_EQ(report.relay_endpoint, config_.relay);
  EXPECT_FALSE(report.leased);
  EXPECT_FALSE(report.lease_left_ms);
  EXPECT_FALSE(report.promised_left_ms);
}

TEST_F(AgentLeaseTest, GrantsOverTheStreamKeepAMaster) {
  StartWatchedNode();
  StartAgent();
  Controller controller(config_.api.port, silent_.Members(), kLong);
  controller.Say("no JSON at all");
  controller.Say("{\"lease\": 5}");
  controller.Grant(-1);
  ASSERT_TRUE(controller.Reports([](const Report& report) { return report.lease_left_ms.has_value(); }));
  const std::int64_t first = controller.All().back().boot_ms;
  ASSERT_TRUE(controller.Reports([first](const Report& report) { return report.boot_ms > first + 1000; }));
  EXPECT_GT(*controller.All().back().lease_left_ms, HolderDeadline(0, kLong) - 2 * RenewInterval(kLong));
  EXPECT_FALSE(ParkedAt());
}

TEST_F(AgentLeaseTest, ReportsComeAsOftenAsTheLeaseIsToBeRenewed) {
  StartWatchedNode();
  StartAgent();
  Controller controller(config_.api.port, {}, kShort);  // alone in its group: it is never parked
  controller.Grant(-1);
  ASSERT_TRUE(controller.Reports([](const Report& report) { return report.lease_left_ms.has_value(); }));
  const std::size_t before = controller.All().size();
  const std::int64_t from = controller.All().back().boot_ms;
  ASSERT_TRUE(controller.Reports([from](const Report& report) { return report.boot_ms > from + 2000; }));
  // Half of them may be lost to a busy machine.
  EXPECT_GE(controller.All().size() - before, static_cast<std::size_t>(2000 / RenewInterval(kShort) / 2));
}

TEST_F(AgentLeaseTest, MasterWithoutGrantsIsParkedAtItsDeadline) {
  StartWatchedNode();
  StartAgent();
  Controller controller(config_.api.port, silent_.Members(), kShort);
  controller.Grant(1);
  ASSERT_TRUE(controller.Reports([](const Report& report) {
    return report.relay.state == RelayState::kParked && report.role == Role::kReplica;
  }));
  ASSERT_TRUE(ParkedAt());
  EXPECT_GE(*ParkedAt(), HolderDeadline(controller.Anchor(), kShort));
  const Report report = controller.All().back();
  EXPECT_TRUE(report.leased);
  EXPECT_FALSE(report.lease_left_ms);
  EXPECT_NE(report.error.find("the lease ran out"), std::string::npos) << report.error;
}

TEST_F(AgentLeaseTest, ServerThatHangsFindsSlaveofInItsSocket) {
  StartWatchedNode();
  StartAgent();
  Controller controller(config_.api.port, silent_.Members(), kShort);
  controller.Grant(1);
  ASSERT_TRUE(controller.Reports([](const Report& report) { return report.leased; }));
  {
    std::lock_guard lock(mutex_);
    hangs_ = true;
  }
  EXPECT_TRUE(IsParkedSoon());
  EXPECT_TRUE(
      controller.Reports([](const Report& report) { return report.relay.state == RelayState::kParked; }));
}

TEST_F(AgentLeaseTest, PromisesOfTheOthersKeepAMasterWhenTheControllerIsSilent) {
  // n2 stands beside n1, in its own process so to speak: its own context and thread.
  AgentConfig other = config_;
  other.node = "n2";
  other.state_directory += "-n2";
  other.relay.port = FreePort();
  other.api.port = FreePort();
  other.kvrocks.port = FreePort();
  const std::string replica = ReplicaOf("127.0.0.1", std::to_string(other.relay.port));
  FakeKvrocks other_node(
      [&replica, this](const FakeKvrocks::Words& words) -> std::optional<std::string> {
        if (words[0] == "INFO") return FakeKvrocks::Bulk("process_id:1\r\nloading:0\r\n" + replica);
        return Answer(words);
      },
      other.kvrocks.port);
  asio::io_context context(1);
  Agent second(context.get_executor(), other);
  ASSERT_TRUE(second.Start());
  std::thread thread([&context] { context.run(); });

  StartWatchedNode();
  StartAgent();
  {
    Controller controller(config_.api.port, {{"n2", "http://127.0.0.1:" + std::to_string(other.api.port)}},
                          kShort);
    controller.Grant(1);
    ASSERT_TRUE(controller.Reports([&controller](const Report& report) {
      return report.lease_left_ms && report.boot_ms > controller.Anchor() + 3 * kShort.duration_ms &&
             controller.Anchor() > 0;
    }));
    EXPECT_FALSE(ParkedAt());

    // An agent that does not run refuses connections, and promotes nobody.
    asio::post(context, [&] {
      second.Stop();
      context.stop();
    });
    thread.join();
    const std::int64_t from = BootMs();
    ASSERT_TRUE(controller.Reports([from](const Report& report) {
      return report.lease_left_ms && report.boot_ms > from + 3 * kShort.duration_ms;
    }));
    EXPECT_FALSE(ParkedAt());
  }
}

TEST_F(AgentLeaseTest, AgentThatIsBackWithinTheLeaseDoesNotParkItsMaster) {
  StartWatchedNode();
  StartAgent();
  {
    Controller controller(config_.api.port, silent_.Members(), kLong);
    controller.Grant(1);
    ASSERT_TRUE(controller.Reports([](const Report& report) { return report.leased; }));
    // The deadline is written behind.
    ASSERT_TRUE(Reports([this](const Report&) {
      std::ifstream file(config_.state_directory + "/lease.json");
      return file.good();
    }));
  }
  StopAgent();
  StartAgent();
  ASSERT_TRUE(NodeIsLookedAt(Role::kMaster));
  Report report = FreshReport();
  EXPECT_TRUE(report.leased);
  ASSERT_TRUE(report.lease_left_ms);
  EXPECT_EQ(report.relay.state, RelayState::kIdle);
  EXPECT_FALSE(ParkedAt());
}

TEST_F(AgentLeaseTest, AgentThatIsBackTooLateParksItsMaster) {
  StartWatchedNode();
  StartAgent();
  std::int64_t anchor = 0;
  {
    Controller controller(config_.api.port, silent_.Members(), kShort);
    controller.Grant(1);
    ASSERT_TRUE(controller.Reports([](const Report& report) { return report.leased; }));
    anchor = controller.Anchor();
  }
  StopAgent();
  const bool parked_before = ParkedAt().has_value();  // a machine that was very busy
  WaitUntil(HolderDeadline(anchor, kShort));
  StartAgent();
  if (!parked_before) {
    EXPECT_TRUE(IsParkedSoon());
  }
  EXPECT_TRUE(NodeIsLookedAt(Role::kReplica));
}

TEST_F(AgentLeaseTest, ServerThatBootsAsAMasterHasNoLease) {
  StartWatchedNode();
  StartAgent();
  Controller controller(config_.api.port, silent_.Members(), kLong);
  controller.Grant(1);
  ASSERT_TRUE(controller.Reports([](const Report& report) { return report.leased; }));
  node_.reset();
  ASSERT_TRUE(controller.Reports([](const Report& report) { return report.process == ProcessState::kDown; }));
  EXPECT_FALSE(ParkedAt());
  StartWatchedNode();
  EXPECT_TRUE(IsParkedSoon());
}

TEST_F(AgentLeaseTest, PromiseIsDurableAndRefusesAPromotion) {
  MakeReplicaOfTheRelay();
  StartWatchedNode();
  StartAgent();
  ASSERT_TRUE(NodeIsLookedAt(Role::kReplica));
  EXPECT_TRUE(AskForPromise(3, kLong).promised);
  EXPECT_TRUE(FreshReport().promised_left_ms);
  StopAgent();
  StartAgent();
  ASSERT_TRUE(NodeIsLookedAt(Role::kReplica));
  CommandResult result = Send("c1", 4, PromoteAction{});
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_NE(result.error.find("has promised master n9"), std::string::npos) << result.error;
  EXPECT_EQ(AskForPromise(3, kLong).epoch, 4U);  // refused: a higher epoch came
  PromoteAction fenced;
  fenced.holder_fenced = true;
  result = Send("c2", 4, fenced);
  EXPECT_EQ(result.outcome, Outcome::kDone) << result.error;
  EXPECT_FALSE(AskForPromise(9, kLong).promised);
}

TEST_F(AgentLeaseTest, PromotionThatWasTooLongUnderWayIsRefused) {
  MakeReplicaOfTheRelay();
  StartWatchedNode();
  StartAgent();
  ASSERT_TRUE(NodeIsLookedAt(Role::kReplica));
  PromoteAction promote;
  promote.holder_fenced = true;
  promote.lease = GrantFrom(FreshReport(), 4, kLong);
  promote.lease->anchor_ms -= kLong.duration_ms;
  CommandResult result = Send("c1", 4, promote);
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_NE(result.error.find("under way for too long"), std::string::npos) << result.error;
  promote.lease = GrantFrom(FreshReport(), 4, kLong);
  result = Send("c2", 4, promote);
  EXPECT_EQ(result.outcome, Outcome::kDone) << result.error;
  EXPECT_TRUE(FreshReport().lease_left_ms);
}

TEST_F(AgentLeaseTest, ReleasedMasterIsNotParked) {
  StartWatchedNode();
  StartAgent();
  AdoptMasterAction adopt;
  adopt.lease = GrantFrom(FreshReport(), 4, kShort);
  adopt.lease->others = silent_.Members();
  ASSERT_EQ(Send("c1", 4, adopt).outcome, Outcome::kDone);
  ASSERT_EQ(Send("c2", 4, ReleaseAction{}).outcome, Outcome::kDone);
  WaitUntil(GrantorDeadline(BootMs(), kShort));
  EXPECT_FALSE(FreshReport().leased);
  EXPECT_FALSE(ParkedAt());
}

}  // namespace
}  // namespace walstitch::agent
