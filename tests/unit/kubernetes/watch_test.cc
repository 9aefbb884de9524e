#include "controller/kubernetes/watch.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "tests/support/kubernetes/api_fixture.h"

namespace walstitch::kubernetes {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Action = test::ApiFault::Action;

class WatchTest : public ApiTest {
 protected:
  void Follow() {
    WatchOptions options;
    options.type = Pods();
    options.label_selector = "walstitch.io/group";
    options.stream_time = stream_time_;
    options.grace = grace_;
    watch_ = std::make_unique<Watch>(
        context_.get_executor(), client_, options, [this] { ++lists_; },
        [this](const Change& change) { changes_.emplace_back(change.kind, change.name); });
    ASSERT_TRUE(Sees([this] { return watch_->Synced() && server_.OpenWatches() > 0; }));
  }

  bool Sees(const std::function<bool()>& condition, milliseconds patience = seconds(20)) {
    return RunUntil(context_, condition, patience);
  }
  // By somebody else: the watch goes on meanwhile.
  void CreatePod(const std::string& name) {
    const auto created = Wait(client_.Create(Pods(), PodNamed(name)));
    ASSERT_TRUE(created) << created.error().message;
  }
  bool Knows(const std::string& name) { return watch_->Objects().count(name) > 0; }

  ApiClient client_ = Admin();
  seconds stream_time_{60};
  milliseconds grace_{5000};
  int lists_ = 0;
  std::vector<std::pair<ChangeKind, std::string>> changes_;
  std::unique_ptr<Watch> watch_;
};

TEST_F(WatchTest, ListsWhatIsThereAndTellsEachChange) {
  CreatePod("shop-0");
  Follow();
  EXPECT_EQ(lists_, 1);
  EXPECT_TRUE(Knows("shop-0"));
  EXPECT_TRUE(changes_.empty());

  CreatePod("shop-1");
  ASSERT_TRUE(Sees([this] { return Knows("shop-1"); }));
  ASSERT_TRUE(Wait(client_.Patch(Pods(), "shop-0",
                                 FromText(R"({"metadata":{"labels":{"walstitch.io/role":"master"}}})"),
                                 PatchKind::kMerge, "")));
  ASSERT_TRUE(Wait(client_.Delete(Pods(), "shop-1")));
  ASSERT_TRUE(Sees([this] { return !Knows("shop-1"); }));
  const std::vector<std::pair<ChangeKind, std::string>> expected = {
      {ChangeKind::kAdded, "shop-1"}, {ChangeKind::kModified, "shop-0"}, {ChangeKind::kDeleted, "shop-1"}};
  EXPECT_EQ(changes_, expected);
  EXPECT_EQ(LabelsOf(watch_->Objects().at("shop-0")).at("walstitch.io/role"), "master");
  EXPECT_EQ(lists_, 1);
}

TEST_F(WatchTest, APodThatLosesTheLabelIsGone) {
  CreatePod("shop-0");
  Follow();
  ASSERT_TRUE(
      Wait(client_.Patch(Pods(), "shop-0", FromText(R"({"metadata":{"labels":{"walstitch.io/group":null}}})"),
                         PatchKind::kMerge, "")));
  EXPECT_TRUE(Sees([this] { return !Knows("shop-0"); }));
}

TEST_F(WatchTest, AStreamThatTheServerClosesIsTakenUpWhereItEnded) {
  Follow();
  for (int round = 0; round < 3; ++round) {
    server_.CloseWatches();
    const std::string name = "shop-" + std::to_string(round);
    CreatePod(name);
    ASSERT_TRUE(Sees([&] { return Knows(name); })) << watch_->Problem();
  }
  EXPECT_EQ(lists_, 1) << "nothing was lost, so there was nothing to list again";
  EXPECT_EQ(changes_.size(), 3U) << "each change is told once";
}

TEST_F(WatchTest, AHistoryThatExpiredIsListedAgain) {
  Follow();
  server_.ExpireHistory();
  ASSERT_TRUE(Sees([this] { return lists_ == 2; }));
  CreatePod("shop-0");
  EXPECT_TRUE(Sees([this] { return Knows("shop-0"); }));
}

TEST_F(WatchTest, ExpiredAsAStatusOfHttpIsListedAgain) {
  Follow();
  test::ApiFault fault;
  fault.verb = "watch";
  fault.status = 410;
  fault.reason = "Expired";
  server_.AddFault(fault);
  server_.CloseWatches();
  ASSERT_TRUE(Sees([this] { return lists_ == 2; }));
}

TEST_F(WatchTest, WhatWasDeletedWhileNobodyWatchedIsGoneAfterTheNextList) {
  CreatePod("shop-0");
  CreatePod("shop-1");
  Follow();
  server_.SilenceWatches(true);
  ASSERT_TRUE(Wait(client_.Delete(Pods(), "shop-0")));
  server_.ExpireHistory();
  server_.SilenceWatches(false);
  ASSERT_TRUE(Sees([this] { return lists_ == 2; }));
  EXPECT_FALSE(Knows("shop-0"));
  EXPECT_TRUE(Knows("shop-1"));
}

TEST_F(WatchTest, EveryErrorOfAWatchPasses) {
  Follow();
  for (const int status : {429, 500, 503, 403, 401}) {
    test::ApiFault fault;
    fault.verb = "watch";
    fault.status = status;
    fault.retry_after_seconds = status == 429 ? 1 : 0;
    server_.AddFault(fault);
    fault.in_stream = true;
    server_.AddFault(fault);
    server_.CloseWatches();
    const std::string name = "shop-" + std::to_string(status);
    CreatePod(name);
    ASSERT_TRUE(Sees([&] { return Knows(name); })) << status << " " << watch_->Problem();
  }
}

TEST_F(WatchTest, GarbageInTheStreamPasses) {
  Follow();
  int round = 0;
  for (const std::string body :
       {"<html>", "{", "{}", "[]", R"({"type":"ADDED"})", R"({"type":"ADDED","object":{"metadata":{}}})",
        R"({"type":"BROKEN","object":{"metadata":{"name":"x","resourceVersion":"9"}}})",
        R"({"type":"ERROR","object":{}})", "\xff\xfe", ""}) {
    test::ApiFault fault;
    fault.action = Action::kBody;
    fault.verb = "watch";
    fault.status = 200;
    fault.body = body;
    server_.AddFault(fault);
    server_.CloseWatches();
    const std::string name = "shop-" + std::to_string(++round);
    CreatePod(name);
    ASSERT_TRUE(Sees([&] { return Knows(name); })) << body << ": " << watch_->Problem();
  }
}

TEST_F(WatchTest, AServerThatIsAwayIsFoundAgainOnItsPort) {
  Follow();
  server_.Stop();
  ASSERT_TRUE(Sees([this] { return !watch_->Problem().empty(); }));
  const auto before = watch_->LastContact();
  EXPECT_TRUE(watch_->Synced()) << "what is known stays known";
  server_.Start();
  CreatePod("shop-0");
  ASSERT_TRUE(Sees([this] { return Knows("shop-0"); }));
  EXPECT_GT(watch_->LastContact(), before);
  EXPECT_TRUE(watch_->Problem().empty()) << watch_->Problem();
}

TEST_F(WatchTest, AStreamThatIsSilentBeyondItsTimeIsLeft) {
  stream_time_ = seconds(1);
  grace_ = milliseconds(500);
  Follow();
  server_.SilenceWatches(true);
  CreatePod("shop-0");
  const std::size_t before = Count("watch", "pods");
  ASSERT_TRUE(Sees([&] { return Count("watch", "pods") > before; }, seconds(10)));
  server_.SilenceWatches(false);
  EXPECT_TRUE(Sees([this] { return Knows("shop-0"); }));
}

TEST_F(WatchTest, AServerThatHangsIsTriedAgain) {
  Follow();
  server_.Accept(false);
  server_.CloseConnections();
  ASSERT_TRUE(Sees([this] { return watch_->Problem().find("in time") != std::string::npos; }))
      << watch_->Problem();
  server_.Accept(true);
  CreatePod("shop-0");
  EXPECT_TRUE(Sees([this] { return Knows("shop-0"); }));
}

TEST_F(WatchTest, BookmarksMoveOnSoThatAQuietWatchDoesNotExpire) {
  Follow();
  // Much goes on elsewhere.
  for (int i = 0; i < 5; ++i)
    ASSERT_TRUE(Wait(client_.Create(Leases(), LeaseNamed("lease-" + std::to_string(i), "a"))));
  const auto newest = Wait(client_.Get(Leases(), "lease-4"));
  ASSERT_TRUE(newest);
  ASSERT_TRUE(Sees([&] {
    server_.CloseWatches();
    const auto requests = server_.Requests();
    for (const auto& request : requests) {
      if (request.verb == "watch" &&
          request.query.find("resourceVersion=" + ResourceVersionOf(*newest)) != std::string::npos)
        return true;
    }
    // A bookmark needs a moment in the stream.
    (void)RunUntil(
        context_, [] { return false; }, milliseconds(300));
    return false;
  }));
  EXPECT_EQ(lists_, 1);
}

TEST_F(WatchTest, NoCallbackComesAfterItsEndAlsoWhenACallbackEndsIt) {
  WatchOptions options;
  options.type = Pods();
  int calls = 0;
  watch_ = std::make_unique<Watch>(context_.get_executor(), client_, options, nullptr, [&](const Change&) {
    ++calls;
    watch_.reset();
  });
  ASSERT_TRUE(Sees([this] { return server_.OpenWatches() > 0; }));
  CreatePod("shop-0");
  CreatePod("shop-1");
  ASSERT_TRUE(Sees([&] { return calls > 0 && server_.OpenWatches() == 0; }));
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace walstitch::kubernetes
