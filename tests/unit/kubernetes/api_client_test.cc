#include "controller/kubernetes/api_client.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/kubernetes/api_fixture.h"

namespace walstitch::kubernetes {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Action = test::ApiFault::Action;

test::ApiFault Fault(Action action, const std::string& verb) {
  test::ApiFault fault;
  fault.action = action;
  fault.verb = verb;
  return fault;
}

test::ApiFault StatusFault(int status, const std::string& verb, const std::string& reason = "") {
  test::ApiFault fault = Fault(Action::kStatus, verb);
  fault.status = status;
  fault.reason = reason;
  return fault;
}

class ApiClientTest : public ApiTest {
 protected:
  ApiClient client_ = Admin();
};

TEST_F(ApiClientTest, WhatIsCreatedCanBeReadListedChangedAndDeleted) {
  const auto created = Wait(client_.Create(Leases(), LeaseNamed("walstitch", "a")));
  ASSERT_TRUE(created) << created.error().message;
  EXPECT_FALSE(UidOf(*created).empty());

  auto lease = Wait(client_.Get(Leases(), "walstitch"));
  ASSERT_TRUE(lease);
  (*lease)["spec"].as_object()["holderIdentity"] = "b";
  const auto replaced = Wait(client_.Replace(Leases(), "walstitch", *lease));
  ASSERT_TRUE(replaced) << replaced.error().message;
  EXPECT_NE(ResourceVersionOf(*replaced), ResourceVersionOf(*created));
  EXPECT_EQ(UidOf(*replaced), UidOf(*created));

  const auto listed = Wait(client_.List(Leases()));
  ASSERT_TRUE(listed);
  ASSERT_EQ(listed->items.size(), 1U);
  EXPECT_EQ(TextAt(*ObjectAt(listed->items[0], "spec"), "holderIdentity"), "b");

  ASSERT_TRUE(Wait(client_.Delete(Leases(), "walstitch")));
  const auto gone = Wait(client_.Get(Leases(), "walstitch"));
  ASSERT_FALSE(gone);
  EXPECT_EQ(gone.error().kind, ApiErrorKind::kNotFound);
}

TEST_F(ApiClientTest, AnObjectThatIsThereAndOneThatHasChangedAreToldApart) {
  const auto first = Wait(client_.Create(Leases(), LeaseNamed("walstitch", "a")));
  ASSERT_TRUE(first);
  const auto again = Wait(client_.Create(Leases(), LeaseNamed("walstitch", "b")));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().kind, ApiErrorKind::kAlreadyExists);

  ASSERT_TRUE(Wait(client_.Replace(Leases(), "walstitch", *first)));
  Object stale = *first;
  stale["spec"].as_object()["holderIdentity"] = "c";
  ASSERT_TRUE(Wait(client_.Patch(Leases(), "walstitch", FromText(R"({"spec":{"holderIdentity":"d"}})"),
                                 PatchKind::kMerge, "")));
  const auto late = Wait(client_.Replace(Leases(), "walstitch", stale));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().kind, ApiErrorKind::kConflict);
  EXPECT_FALSE(late.error().effect_unknown);
}

TEST_F(ApiClientTest, AListOfManyPagesIsOneList) {
  for (int i = 0; i < 25; ++i)
    ASSERT_TRUE(Wait(client_.Create(Pods(), PodNamed("shop-" + std::to_string(i)))));
  ASSERT_TRUE(Wait(client_.Create(Pods(), PodNamed("other", "cart"))));
  ListOptions options;
  options.label_selector = "walstitch.io/group=shop";
  options.page = 10;
  const auto list = Wait(client_.List(Pods(), options));
  ASSERT_TRUE(list) << list.error().message;
  EXPECT_EQ(list->items.size(), 25U);
  EXPECT_EQ(Count("list", "pods"), 3U);
}

TEST_F(ApiClientTest, AListThatExpiresBetweenItsPagesBeginsAnew) {
  for (int i = 0; i < 5; ++i)
    ASSERT_TRUE(Wait(client_.Create(Pods(), PodNamed("shop-" + std::to_string(i)))));
  test::ApiFault fault = StatusFault(410, "list", "Expired");
  fault.times = 1;
  ListOptions options;
  options.page = 2;
  // Expired on the first page of all is no matter of pages: it is told.
  server_.AddFault(fault);
  const auto refused = Wait(client_.List(Pods(), options));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ApiErrorKind::kExpired);

  // The history ends under a list that is slow: its second page is held back until then.
  test::ApiFault slow = Fault(Action::kDelayBefore, "list");
  slow.delay = milliseconds(300);
  slow.times = 2;
  server_.AddFault(slow);
  std::thread expiry([this] {
    const std::size_t before = 1;
    ASSERT_TRUE(test::Eventually(seconds(10), [&] { return Count("list", "pods") >= before + 2; }));
    server_.ExpireHistory();
  });
  const auto list = Wait(client_.List(Pods(), options));
  expiry.join();
  ASSERT_TRUE(list) << list.error().message;
  EXPECT_EQ(list->items.size(), 5U);
}

TEST_F(ApiClientTest, WhatTheRoleDoesNotAllowIsForbiddenWithItsName) {
  ApiClient limited = Limited();
  ASSERT_TRUE(Wait(limited.List(Pods())));
  const auto removed = Wait(limited.Delete(Pods(), "shop-0"));
  ASSERT_FALSE(removed);
  EXPECT_EQ(removed.error().kind, ApiErrorKind::kForbidden);
  EXPECT_NE(removed.error().message.find("cannot delete resource \"pods\""), std::string::npos)
      << removed.error().message;
  ASSERT_TRUE(Wait(limited.Create(Leases(), LeaseNamed("walstitch", "a"))));
  EXPECT_TRUE(Wait(limited.Get(Leases(), "walstitch")));
  const auto other = Wait(limited.Get(Leases(), "other"));
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().kind, ApiErrorKind::kForbidden);
}

TEST_F(ApiClientTest, ATokenThatTheKubeletReplacedIsTakenAtOnce) {
  ASSERT_TRUE(Wait(client_.List(Pods())));
  server_.AddToken("fresh", "admin");
  server_.RemoveToken(test::FakeApiServer::kAdminToken);
  const auto old = Wait(client_.List(Pods()));
  ASSERT_FALSE(old);
  EXPECT_EQ(old.error().kind, ApiErrorKind::kUnauthorized);
  server_.WriteServiceAccount(directory_.path(), "fresh");
  EXPECT_TRUE(Wait(client_.List(Pods())));
}

TEST_F(ApiClientTest, AMissingTokenIsOneSentenceThatNamesTheFile) {
  ApiClient lost(context_.get_executor(), ClientOptions("/nowhere"));
  const auto list = Wait(lost.List(Pods()));
  ASSERT_FALSE(list);
  EXPECT_EQ(list.error().kind, ApiErrorKind::kUnreachable);
  EXPECT_NE(list.error().message.find("/nowhere/token"), std::string::npos) << list.error().message;
}

TEST_F(ApiClientTest, AServerOfAnotherAuthorityIsRefused) {
  test::WritePrivateFile(directory_.path() + "/ca.crt", test::CertificateAuthority("another").Pem());
  CallOptions once;
  once.timeout = milliseconds(1000);
  const auto list = Wait(client_.Create(Pods(), PodNamed("shop-0"), once));
  ASSERT_FALSE(list);
  EXPECT_EQ(list.error().kind, ApiErrorKind::kUnreachable);
  EXPECT_FALSE(list.error().effect_unknown);
  EXPECT_NE(list.error().message.find("certificate is refused"), std::string::npos) << list.error().message;
}

TEST_F(ApiClientTest, AReadIsRepeatedWhileTheServerHasTrouble) {
  for (const int status : {500, 503, 429}) {
    server_.AddFault(StatusFault(status, "list"));
    EXPECT_TRUE(Wait(client_.List(Pods()))) << status;
  }
  server_.AddFault(Fault(Action::kCloseBefore, "list"));
  EXPECT_TRUE(Wait(client_.List(Pods())));
  test::ApiFault page = Fault(Action::kBody, "list");
  page.status = 502;
  page.body = "<html><h1>Bad Gateway</h1></html>";
  server_.AddFault(page);
  EXPECT_TRUE(Wait(client_.List(Pods())));
}

TEST_F(ApiClientTest, AReadThatNeverWorksEndsWithTheServersSentence) {
  test::ApiFault fault = StatusFault(500, "list", "InternalError");
  fault.times = -1;
  server_.AddFault(fault);
  const auto list = Wait(client_.List(Pods()));
  ASSERT_FALSE(list);
  EXPECT_EQ(list.error().kind, ApiErrorKind::kServerError);
  EXPECT_EQ(list.error().http_status, 500);
  EXPECT_EQ(list.error().reason, "InternalError");
  EXPECT_FALSE(list.error().effect_unknown);
}

TEST_F(ApiClientTest, AWriteWhoseAnswerIsLostIsUnknownAndNotSentAgain) {
  for (const Action action : {Action::kCloseBefore, Action::kCloseAfter}) {
    const std::size_t before = Count("create", "leases");
    server_.AddFault(Fault(action, "create"));
    const std::string name = action == Action::kCloseAfter ? "after" : "before";
    const auto created = Wait(client_.Create(Leases(), LeaseNamed(name, "a")));
    ASSERT_FALSE(created);
    EXPECT_TRUE(created.error().effect_unknown);
    EXPECT_EQ(created.error().ToError().Code(), ErrorCode::kTimeout);
    EXPECT_EQ(Count("create", "leases"), before + 1);
  }
  EXPECT_FALSE(Wait(client_.Get(Leases(), "before")));
  EXPECT_TRUE(Wait(client_.Get(Leases(), "after")));
}

TEST_F(ApiClientTest, AWriteThatEndsInAServerErrorIsUnknownAndNotSentAgain) {
  server_.AddFault(StatusFault(500, "create"));
  const auto created = Wait(client_.Create(Leases(), LeaseNamed("walstitch", "a")));
  ASSERT_FALSE(created);
  EXPECT_TRUE(created.error().effect_unknown);
  EXPECT_EQ(Count("create", "leases"), 1U);
}

TEST_F(ApiClientTest, AWriteThatTheServerIsTooBusyForIsSentAgainWhenItSaid) {
  test::ApiFault busy = StatusFault(429, "create", "TooManyRequests");
  busy.retry_after_seconds = 1;
  server_.AddFault(busy);
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(Wait(client_.Create(Leases(), LeaseNamed("walstitch", "a"))));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, seconds(1));
  EXPECT_EQ(Count("create", "leases"), 2U);
}

TEST_F(ApiClientTest, ARetryAfterBeyondTheDeadlineIsToldInsteadOfWaitedFor) {
  test::ApiFault busy = StatusFault(429, "list", "TooManyRequests");
  busy.retry_after_seconds = 5;
  server_.AddFault(busy);
  CallOptions call;
  call.timeout = milliseconds(1000);
  const auto list = Wait(client_.List(Pods(), ListOptions(), call));
  ASSERT_FALSE(list);
  EXPECT_EQ(list.error().kind, ApiErrorKind::kTooManyRequests);
  EXPECT_EQ(list.error().retry_after, seconds(5));
}

TEST_F(ApiClientTest, AServerThatHangsEndsTheCallAtItsDeadline) {
  server_.AddFault(Fault(Action::kHang, "get"));
  server_.AddFault(Fault(Action::kHang, "update"));
  CallOptions call;
  call.timeout = milliseconds(300);
  const auto begin = std::chrono::steady_clock::now();
  const auto got = Wait(client_.Get(Leases(), "walstitch", call));
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().kind, ApiErrorKind::kUnreachable);
  EXPECT_FALSE(got.error().effect_unknown);
  const auto put = Wait(client_.Replace(Leases(), "walstitch", LeaseNamed("walstitch", "a"), call));
  ASSERT_FALSE(put);
  EXPECT_TRUE(put.error().effect_unknown);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(5));
  server_.ClearFaults();
}

TEST_F(ApiClientTest, AProxysPageAndGarbageAreOneClearSentence) {
  for (const int status : {200, 404}) {
    for (const std::string body :
         {"<html>Welcome to the captive portal</html>", "", "[1,2]", "{\"a\":", "{}"}) {
      test::ApiFault page = Fault(Action::kBody, "update");
      page.status = status;
      page.body = body;
      server_.AddFault(page);
      const auto put = Wait(client_.Replace(Leases(), "walstitch", LeaseNamed("walstitch", "a")));
      ASSERT_FALSE(put) << body;
      EXPECT_EQ(put.error().kind, status == 200 ? ApiErrorKind::kGarbled : ApiErrorKind::kNotFound);
      EXPECT_EQ(put.error().effect_unknown, status == 200);
      EXPECT_NE(
          put.error().message.find("PUT /apis/coordination.k8s.io/v1/namespaces/default/leases/walstitch"),
          std::string::npos);
      EXPECT_NE(put.error().message.find("proxy"), std::string::npos) << put.error().message;
      EXPECT_EQ(put.error().message.find('\n'), std::string::npos);
    }
  }
}

TEST_F(ApiClientTest, WhatTheServerWillNeverTakeIsInvalidAndNotSentAgain) {
  Object lease = LeaseNamed("walstitch", "a");
  lease["spec"].as_object()["holder"] = "a";
  const auto unknown_field = Wait(client_.Create(Leases(), lease));
  ASSERT_FALSE(unknown_field);
  EXPECT_EQ(unknown_field.error().kind, ApiErrorKind::kInvalid);
  EXPECT_EQ(unknown_field.error().http_status, 400);
  const auto bad_name = Wait(client_.Create(Leases(), LeaseNamed("Not_A_Name", "a")));
  ASSERT_FALSE(bad_name);
  EXPECT_EQ(bad_name.error().http_status, 422);
  EXPECT_EQ(Count("create", "leases"), 2U);
}

TEST_F(ApiClientTest, AConditionIsMergedIntoAPodsStatusByItsType) {
  ASSERT_TRUE(Wait(client_.Create(Pods(), PodNamed("shop-0"))));
  ASSERT_TRUE(Wait(client_.Patch(Pods(), "shop-0", FromText(R"({"status":{"podIP":"10.0.0.1",
                                   "conditions":[{"type":"Ready","status":"False"}]}})"),
                                 PatchKind::kStrategicMerge, "status")));
  const auto pod = Wait(client_.Patch(
      Pods(), "shop-0",
      FromText(R"({"status":{"conditions":[{"type":"walstitch.io/in-service","status":"True"}]}})"),
      PatchKind::kStrategicMerge, "status"));
  ASSERT_TRUE(pod) << pod.error().message;
  EXPECT_EQ(ObjectAt(*pod, "status")->at("conditions").as_array().size(), 2U);
}

TEST_F(ApiClientTest, OneConnectionServesManyCalls) {
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(Wait(client_.List(Pods())));
  EXPECT_EQ(server_.Connections(), 1U);
}

TEST_F(ApiClientTest, AServerThatWasStartedAnewIsFoundAgain) {
  ASSERT_TRUE(Wait(client_.List(Pods())));
  server_.Stop();
  CallOptions call;
  call.timeout = milliseconds(500);
  const auto created = Wait(client_.Create(Leases(), LeaseNamed("walstitch", "a"), call));
  ASSERT_FALSE(created);
  EXPECT_FALSE(created.error().effect_unknown) << "nothing was sent: " << created.error().message;
  server_.Start();
  EXPECT_TRUE(Wait(client_.Create(Leases(), LeaseNamed("walstitch", "a"))));
}

TEST_F(ApiClientTest, StopEndsWhatIsUnderWay) {
  server_.AddFault(Fault(Action::kHang, "list"));
  std::optional<ApiErrorKind> ended;
  boost::asio::co_spawn(context_, client_.List(Pods()),
                        [&](std::exception_ptr, ApiResult<ObjectList> list) { ended = list.error().kind; });
  ASSERT_TRUE(RunUntil(context_, [&] { return Count("list", "pods") == 1; }));
  EXPECT_FALSE(ended);
  client_.Stop();
  EXPECT_TRUE(RunUntil(
      context_, [&] { return ended.has_value(); }, seconds(2)));
  const auto later = Wait(client_.List(Pods()));
  EXPECT_FALSE(later);
  server_.ClearFaults();
}

TEST_F(ApiClientTest, ADeleteWithConditionsLeavesAnotherObjectOfThatNameAlone) {
  const auto created = Wait(client_.Create(Pods(), PodNamed("shop-0")));
  ASSERT_TRUE(created);
  DeleteConditions conditions;
  conditions.uid = "00000000-0000-4000-8000-ffffffffffff";
  const auto refused = Wait(client_.Delete(Pods(), "shop-0", conditions));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ApiErrorKind::kConflict);
  conditions.uid = UidOf(*created);
  EXPECT_TRUE(Wait(client_.Delete(Pods(), "shop-0", conditions)));
}

}  // namespace
}  // namespace walstitch::kubernetes
