// What the client of Kubernetes' API and the stand-in for its server both take for granted of the server: the
// same tests on the stand-in and, where KUBE_APISERVER_BIN and ETCD_BIN name one, on a real one.
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "controller/kubernetes/watch.h"
#include "tests/support/kubernetes/api_fixture.h"
#include "tests/support/kubernetes/certificates.h"
#include "tests/support/kubernetes/fake_schema.h"
#include "tests/support/kubernetes/https_call.h"
#include "tests/support/kubernetes/real_apiserver.h"

namespace walstitch::kubernetes {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

enum class Which { kFake, kReal };

constexpr const char* kCrd = R"(
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: decisions.walstitch.io}
spec:
  group: walstitch.io
  scope: Namespaced
  names: {kind: Decision, listKind: DecisionList, plural: decisions, singular: decision, shortNames: [wsd]}
  versions:
    - name: v1alpha1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              required: [group]
              properties:
                group: {type: string}
                epoch: {type: integer, format: int64}
                time: {type: string, format: date-time}
                log: {type: array, items: {type: string}}
            status:
              type: object
              x-kubernetes-preserve-unknown-fields: true
)";

// Both servers live as long as the program: a real one takes seconds to start.
struct Servers {
  std::unique_ptr<test::FakeApiServer> fake;
  std::unique_ptr<test::RealApiServer> real;
};
Servers& Shared() {
  static Servers servers;
  return servers;
}

class KubernetesContractTest : public ::testing::TestWithParam<Which> {
 protected:
  static void TearDownTestSuite() {
    Shared().fake.reset();
    Shared().real.reset();
  }

  void SetUp() override {
    std::string url;
    std::string ca;
    if (GetParam() == Which::kFake) {
      auto& fake = Shared().fake;
      if (!fake) {
        test::FakeApiOptions options;
        options.bookmarks = milliseconds(200);
        fake = std::make_unique<test::FakeApiServer>(options);
        fake->Start();
        fake->AddToken(kToken, kUser);
        fake->Allow(kUser, test::RulesFromYaml(kRole));
      }
      port_ = fake->Port();
      url = fake->Url();
      ca_ = fake->CaPem();
    } else {
      if (const std::string why = test::RealApiServer::WhyNot(); !why.empty()) GTEST_SKIP() << why;
      auto& real = Shared().real;
      if (!real) {
        real = std::make_unique<test::RealApiServer>(std::map<std::string, std::string>{{kToken, kUser}});
        port_ = real->Port();
        ca_ = real->CaPem();
        Grant();
      }
      port_ = real->Port();
      url = real->Url();
      ca_ = real->CaPem();
    }
    for (const auto& [directory, token] : {std::pair<std::string, std::string>{admin_.path(), "admin-token"},
                                           std::pair<std::string, std::string>{limited_.path(), kToken}}) {
      test::WritePrivateFile(directory + "/token", token);
      test::WritePrivateFile(directory + "/ca.crt", ca_);
      test::WritePrivateFile(directory + "/namespace", "default");
    }
    ApiClientOptions options;
    options.server = *http::ParseOrigin(url);
    options.namespace_name = "default";
    options.strict_fields = true;
    options.account = ServiceAccount(admin_.path());
    client_.emplace(context_.get_executor(), options);
    options.account = ServiceAccount(limited_.path());
    limited_client_.emplace(context_.get_executor(), options);
    Clean();
  }

  // The Role for the user, and the binding.
  void Grant() {
    const std::string base = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/";
    const std::string role = R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"Role",
      "metadata":{"name":"walstitch"},"rules":[
      {"apiGroups":[""],"resources":["pods"],"verbs":["get","list","watch","patch"]},
      {"apiGroups":[""],"resources":["pods/status"],"verbs":["patch"]},
      {"apiGroups":["apps"],"resources":["statefulsets"],"verbs":["get","list","watch"]},
      {"apiGroups":[""],"resources":["events"],"verbs":["create","patch"]},
      {"apiGroups":["coordination.k8s.io"],"resources":["leases"],"verbs":["create"]},
      {"apiGroups":["coordination.k8s.io"],"resources":["leases"],"resourceNames":["walstitch"],
       "verbs":["get","update"]}]})";
    const std::string binding =
        std::string(R"({"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding",
      "metadata":{"name":"walstitch"},"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"Role",
      "name":"walstitch"},"subjects":[{"kind":"User","apiGroup":"rbac.authorization.k8s.io","name":")") +
        kUser + "\"}]}";
    ASSERT_EQ(test::HttpsCall(port_, ca_, "POST", base + "roles", "admin-token", role).status, 201);
    ASSERT_EQ(test::HttpsCall(port_, ca_, "POST", base + "rolebindings", "admin-token", binding).status, 201);
  }

  void Clean() {
    for (const auto& type : {Pods(), Leases(), Events(), StatefulSets()}) {
      const auto list = Wait(client_->List(type));
      ASSERT_TRUE(list) << list.error().message;
      for (const auto& item : list->items) (void)Wait(client_->Delete(type, NameOf(item)));
    }
  }

  template <typename T>
  T Wait(boost::asio::awaitable<T> coroutine) {
    return Await(context_, std::move(coroutine));
  }
  bool Sees(const std::function<bool()>& condition, milliseconds patience = seconds(30)) {
    return RunUntil(context_, condition, patience);
  }

  ApiError Refused(boost::asio::awaitable<ApiResult<Object>> call) {
    auto result = Wait(std::move(call));
    if (!result) return result.error();
    ADD_FAILURE() << "it was not refused: " << boost::json::serialize(*result);
    return {};
  }

  boost::asio::io_context context_{1};
  test::TempDirectory admin_;
  test::TempDirectory limited_;
  std::uint16_t port_ = 0;
  std::string ca_;
  std::optional<ApiClient> client_;
  std::optional<ApiClient> limited_client_;
};

INSTANTIATE_TEST_SUITE_P(OnBoth, KubernetesContractTest, ::testing::Values(Which::kFake, Which::kReal),
                         [](const auto& each) { return each.param == Which::kFake ? "StandIn" : "Real"; });

TEST_P(KubernetesContractTest, ALeaseIsTakenByCompareAndSwap) {
  ASSERT_TRUE(Wait(limited_client_->Create(Leases(), LeaseNamed("walstitch", "a"))));
  const auto again = Refused(limited_client_->Create(Leases(), LeaseNamed("walstitch", "b")));
  EXPECT_EQ(again.kind, ApiErrorKind::kAlreadyExists) << again.message;
  auto lease = Wait(limited_client_->Get(Leases(), "walstitch"));
  ASSERT_TRUE(lease) << lease.error().message;
  Object stale = *lease;
  (*lease)["spec"].as_object()["renewTime"] = "2030-01-01T00:00:01.000000Z";
  const auto renewed = Wait(limited_client_->Replace(Leases(), "walstitch", *lease));
  ASSERT_TRUE(renewed) << renewed.error().message;
  EXPECT_NE(ResourceVersionOf(*renewed), ResourceVersionOf(stale));
  stale["spec"].as_object()["holderIdentity"] = "b";
  const auto late = Refused(limited_client_->Replace(Leases(), "walstitch", stale));
  EXPECT_EQ(late.kind, ApiErrorKind::kConflict) << late.message;
  EXPECT_EQ(late.http_status, 409);
}

TEST_P(KubernetesContractTest, AReplaceWithoutTheVersionOfALeaseIsRefused) {
  ASSERT_TRUE(Wait(client_->Create(Leases(), LeaseNamed("walstitch", "a"))));
  const auto blind = Refused(client_->Replace(Leases(), "walstitch", LeaseNamed("walstitch", "b")));
  EXPECT_EQ(blind.http_status, 422) << blind.message;
}

// A server creates a Lease by a replace, whatever resourceVersion is in it: only the uid tells that another
// one is meant.
TEST_P(KubernetesContractTest, AReplaceOfALeaseThatIsGoneIsRefusedOnlyForItsUid) {
  auto lease = Wait(client_->Create(Leases(), LeaseNamed("walstitch", "a")));
  ASSERT_TRUE(lease);
  ASSERT_TRUE(Wait(client_->Delete(Leases(), "walstitch")));
  const auto gone = Refused(client_->Replace(Leases(), "walstitch", *lease));
  EXPECT_EQ(gone.kind, ApiErrorKind::kConflict) << gone.message;
  EXPECT_FALSE(Wait(client_->Get(Leases(), "walstitch")));
  (*lease)["metadata"].as_object().erase("uid");
  const auto created = Wait(client_->Replace(Leases(), "walstitch", *lease));
  EXPECT_TRUE(created) << created.error().message;
}

TEST_P(KubernetesContractTest, AReplaceThatChangesNothingKeepsTheVersion) {
  const auto lease = Wait(client_->Create(Leases(), LeaseNamed("walstitch", "a")));
  ASSERT_TRUE(lease);
  const auto same = Wait(client_->Replace(Leases(), "walstitch", *lease));
  ASSERT_TRUE(same) << same.error().message;
  EXPECT_EQ(ResourceVersionOf(*same), ResourceVersionOf(*lease));
}

TEST_P(KubernetesContractTest, BadLeasesAreRefusedWithTheStatusThatFits) {
  struct Case {
    const char* spec;
    int status;
  };
  for (const Case& each :
       {Case{R"({"holder":"a"})", 400}, Case{R"({"leaseDurationSeconds":"15"})", 400},
        Case{R"({"leaseDurationSeconds":0})", 422}, Case{R"({"leaseTransitions":-1})", 422},
        Case{R"({"renewTime":"2030-01-01 00:00:00"})", 400},
        Case{R"({"renewTime":"2030-01-01T00:00:00.000Z"})", 400},
        Case{R"({"renewTime":"2030-01-01T00:00:00Z"})", 400}, Case{R"({"holderIdentity":1})", 400}}) {
    Object lease = LeaseNamed("walstitch", "a");
    lease["spec"] = FromText(each.spec);
    auto result = Wait(client_->Create(Leases(), lease));
    EXPECT_FALSE(result) << each.spec;
    if (!result) {
      EXPECT_EQ(result.error().http_status, each.status) << each.spec << ": " << result.error().message;
    }
    (void)Wait(client_->Delete(Leases(), "walstitch"));
  }
}

TEST_P(KubernetesContractTest, AnEmptyHolderGivesALeaseBack) {
  auto lease = Wait(client_->Create(Leases(), LeaseNamed("walstitch", "a")));
  ASSERT_TRUE(lease);
  (*lease)["spec"].as_object()["holderIdentity"] = "";
  const auto released = Wait(client_->Replace(Leases(), "walstitch", *lease));
  ASSERT_TRUE(released) << released.error().message;
}

TEST_P(KubernetesContractTest, NamesLabelsAndMetadataAreChecked) {
  EXPECT_EQ(Refused(client_->Create(Leases(), LeaseNamed("Not_A_Name", "a"))).http_status, 422);
  EXPECT_EQ(Refused(client_->Create(Leases(), LeaseNamed("", "a"))).http_status, 422);
  Object pod = PodNamed("shop-0", "no label: spaces");
  EXPECT_EQ(Refused(client_->Create(Pods(), pod)).http_status, 422);
  pod = PodNamed("shop-0");
  pod["metadata"].as_object()["labels"] = Object{{"walstitch.io/priority", 100}};
  EXPECT_EQ(Refused(client_->Create(Pods(), pod)).http_status, 400);
  pod = PodNamed("shop-0");
  pod["metadata"].as_object()["label"] = Object{{"a", "b"}};
  EXPECT_EQ(Refused(client_->Create(Pods(), pod)).http_status, 400);
  pod = PodNamed("shop-0");
  pod["metadata"].as_object()["namespace"] = "another";
  EXPECT_EQ(Refused(client_->Create(Pods(), pod)).http_status, 400);
  pod = PodNamed("shop-0");
  pod["kind"] = "Lease";
  EXPECT_EQ(Refused(client_->Create(Pods(), pod)).http_status, 400);
  pod = PodNamed("shop-0");
  pod["apiVersion"] = "v2";
  EXPECT_EQ(Refused(client_->Create(Pods(), pod)).http_status, 400);
  auto lease = Wait(client_->Create(Leases(), LeaseNamed("walstitch", "a")));
  ASSERT_TRUE(lease);
  EXPECT_EQ(Refused(client_->Replace(Leases(), "other", *lease)).http_status, 400);
}

TEST_P(KubernetesContractTest, AnObjectOfAnotherLifeIsAConflict) {
  auto first = Wait(client_->Create(Leases(), LeaseNamed("walstitch", "a")));
  ASSERT_TRUE(first);
  ASSERT_TRUE(Wait(client_->Delete(Leases(), "walstitch")));
  auto second = Wait(client_->Create(Leases(), LeaseNamed("walstitch", "b")));
  ASSERT_TRUE(second);
  EXPECT_NE(UidOf(*first), UidOf(*second));
  Object mixed = *second;
  mixed["metadata"].as_object()["uid"] = UidOf(*first);
  EXPECT_EQ(Refused(client_->Replace(Leases(), "walstitch", mixed)).kind, ApiErrorKind::kConflict);
  DeleteConditions conditions;
  conditions.uid = UidOf(*first);
  const auto removed = Wait(client_->Delete(Leases(), "walstitch", conditions));
  ASSERT_FALSE(removed);
  EXPECT_EQ(removed.error().kind, ApiErrorKind::kConflict) << removed.error().message;
}

TEST_P(KubernetesContractTest, APodsStatusIsChangedByItsSubresourceOnly) {
  ASSERT_TRUE(Wait(client_->Create(Pods(), PodNamed("shop-0"))));
  const auto labelled = Wait(limited_client_->Patch(
      Pods(), "shop-0",
      FromText(R"({"metadata":{"labels":{"walstitch.io/role":"master"}},"status":{"podIP":"10.0.0.1"}})"),
      PatchKind::kMerge, ""));
  ASSERT_TRUE(labelled) << labelled.error().message;
  EXPECT_EQ(LabelsOf(*labelled).at("walstitch.io/role"), "master");
  EXPECT_EQ(TextAt(*ObjectAt(*labelled, "status"), "podIP"), "");

  const auto placed = Wait(limited_client_->Patch(
      Pods(), "shop-0", FromText(R"({"status":{"podIP":"10.0.0.1","podIPs":[{"ip":"10.0.0.1"}]}})"),
      PatchKind::kStrategicMerge, "status"));
  ASSERT_TRUE(placed) << placed.error().message;
  EXPECT_EQ(TextAt(*ObjectAt(*placed, "status"), "podIP"), "10.0.0.1");
  EXPECT_EQ(LabelsOf(*placed).at("walstitch.io/role"), "master");
}

TEST_P(KubernetesContractTest, ConditionsAreMergedByTypeOrReplacedAsTheKindOfPatchSays) {
  ASSERT_TRUE(Wait(client_->Create(Pods(), PodNamed("shop-0"))));
  const auto condition = [](const std::string& type) {
    return FromText(R"({"status":{"conditions":[{"type":")" + type + R"(","status":"True"}]}})");
  };
  ASSERT_TRUE(
      Wait(client_->Patch(Pods(), "shop-0", condition("Ready"), PatchKind::kStrategicMerge, "status")));
  const auto both = Wait(client_->Patch(Pods(), "shop-0", condition("walstitch.io/in-service"),
                                        PatchKind::kStrategicMerge, "status"));
  ASSERT_TRUE(both) << both.error().message;
  EXPECT_EQ(ObjectAt(*both, "status")->at("conditions").as_array().size(), 2U);
  const auto one = Wait(
      client_->Patch(Pods(), "shop-0", condition("walstitch.io/in-service"), PatchKind::kMerge, "status"));
  ASSERT_TRUE(one);
  EXPECT_EQ(ObjectAt(*one, "status")->at("conditions").as_array().size(), 1U);
}

TEST_P(KubernetesContractTest, APodsSpecStaysAsItIs) {
  ASSERT_TRUE(Wait(client_->Create(Pods(), PodNamed("shop-0"))));
  const auto refused = Refused(client_->Patch(
      Pods(), "shop-0", FromText(R"({"spec":{"restartPolicy":"Never"}})"), PatchKind::kMerge, ""));
  EXPECT_EQ(refused.http_status, 422) << refused.message;
}

TEST_P(KubernetesContractTest, APatchWithTheVersionIsACompareAndSwap) {
  const auto pod = Wait(client_->Create(Pods(), PodNamed("shop-0")));
  ASSERT_TRUE(pod);
  Object patch = FromText(R"({"metadata":{"labels":{"walstitch.io/role":"master"}}})");
  patch["metadata"].as_object()["resourceVersion"] = ResourceVersionOf(*pod);
  ASSERT_TRUE(Wait(client_->Patch(Pods(), "shop-0", patch, PatchKind::kMerge, "")));
  patch["metadata"].as_object()["labels"] = Object{{"walstitch.io/role", "replica"}};
  EXPECT_EQ(Refused(client_->Patch(Pods(), "shop-0", patch, PatchKind::kMerge, "")).kind,
            ApiErrorKind::kConflict);
}

TEST_P(KubernetesContractTest, EventsAreTakenAndMustBeAboutTheirNamespace) {
  const std::string text = R"({"apiVersion":"v1","kind":"Event","metadata":{"name":"shop-0.1"},
    "involvedObject":{"kind":"Pod","namespace":"default","name":"shop-0","apiVersion":"v1"},
    "reason":"Padded","message":"node shop-0 was padded by 3","type":"Normal","count":1,
    "firstTimestamp":"2030-01-01T00:00:00Z","lastTimestamp":"2030-01-01T00:00:00Z",
    "source":{"component":"walstitch-controller"},"reportingComponent":"walstitch-controller",
    "reportingInstance":"walstitch-0","eventTime":null})";
  const auto created = Wait(limited_client_->Create(Events(), FromText(text)));
  ASSERT_TRUE(created) << created.error().message;
  const auto counted =
      Wait(limited_client_->Patch(Events(), "shop-0.1", FromText(R"({"count":2})"), PatchKind::kMerge, ""));
  ASSERT_TRUE(counted) << counted.error().message;
  Object astray = FromText(text);
  astray["metadata"] = Object{{"name", "shop-0.2"}};
  astray["involvedObject"].as_object()["namespace"] = "another";
  EXPECT_EQ(Refused(limited_client_->Create(Events(), astray)).http_status, 422);
  Object modern = FromText(text);
  modern["metadata"] = Object{{"name", "shop-0.3"}};
  modern["eventTime"] = "2030-01-01T00:00:00.000000Z";
  const auto no_action = Wait(limited_client_->Create(Events(), modern));
  EXPECT_FALSE(no_action && GetParam() == Which::kFake)
      << "the stand-in is as strict as the newer API of events";
}

TEST_P(KubernetesContractTest, WhatTheRoleDoesNotNameIsForbidden) {
  ASSERT_TRUE(Wait(client_->Create(Pods(), PodNamed("shop-0"))));
  const auto removed = Wait(limited_client_->Delete(Pods(), "shop-0"));
  ASSERT_FALSE(removed);
  EXPECT_EQ(removed.error().kind, ApiErrorKind::kForbidden);
  EXPECT_NE(
      removed.error().message.find(
          "pods \"shop-0\" is forbidden: User \"system:serviceaccount:default:walstitch\" cannot delete "
          "resource \"pods\" in API group \"\" in the namespace \"default\""),
      std::string::npos)
      << removed.error().message;
  EXPECT_EQ(Refused(limited_client_->Get(Leases(), "another")).kind, ApiErrorKind::kForbidden);
  const auto listed = Wait(limited_client_->List(Leases()));
  ASSERT_FALSE(listed);
  EXPECT_EQ(listed.error().kind, ApiErrorKind::kForbidden);
  EXPECT_NE(listed.error().message.find("leases.coordination.k8s.io is forbidden"), std::string::npos)
      << listed.error().message;
}

TEST_P(KubernetesContractTest, ATokenThatIsNotKnownIsUnauthorized) {
  test::WritePrivateFile(limited_.path() + "/token", "nobody");
  const auto refused = Refused(limited_client_->Get(Pods(), "shop-0"));
  EXPECT_EQ(refused.kind, ApiErrorKind::kUnauthorized) << refused.message;
}

TEST_P(KubernetesContractTest, AResourceThatIsNotInstalledIsNotFound) {
  const ResourceType unknown{"walstitch.io", "v1alpha1", "nothings", "Nothing"};
  const auto refused = Refused(client_->Get(unknown, "x"));
  EXPECT_EQ(refused.kind, ApiErrorKind::kNotFound) << refused.message;
  const auto named = Refused(client_->Get(Pods(), "nobody"));
  EXPECT_EQ(named.kind, ApiErrorKind::kNotFound);
  EXPECT_EQ(named.reason, "NotFound");
}

TEST_P(KubernetesContractTest, AListInPagesIsWhole) {
  for (int i = 0; i < 7; ++i)
    ASSERT_TRUE(Wait(client_->Create(Pods(), PodNamed("shop-" + std::to_string(i)))));
  ASSERT_TRUE(Wait(client_->Create(Pods(), PodNamed("cart-0", "cart"))));
  ListOptions options;
  options.page = 3;
  options.label_selector = "walstitch.io/group=shop";
  auto list = Wait(client_->List(Pods(), options));
  ASSERT_TRUE(list) << list.error().message;
  EXPECT_EQ(list->items.size(), 7U);
  options.label_selector = "walstitch.io/group";
  list = Wait(client_->List(Pods(), options));
  ASSERT_TRUE(list);
  EXPECT_EQ(list->items.size(), 8U);
}

TEST_P(KubernetesContractTest, AWatchTellsEachChangeOnce) {
  ASSERT_TRUE(Wait(client_->Create(Pods(), PodNamed("shop-0"))));
  WatchOptions options;
  options.type = Pods();
  options.label_selector = "walstitch.io/group";
  options.stream_time = seconds(2);  // so that several streams make the watch
  int lists = 0;
  std::vector<std::pair<ChangeKind, std::string>> changes;
  std::vector<std::pair<ChangeKind, std::string>> expected;
  const Watch watch(
      context_.get_executor(), *limited_client_, options, [&] { ++lists; },
      [&](const Change& change) { changes.emplace_back(change.kind, change.name); });
  ASSERT_TRUE(Sees([&] { return watch.Synced(); })) << watch.Problem();
  for (int round = 0; round < 4; ++round) {
    const std::string name = "shop-" + std::to_string(round + 1);
    ASSERT_TRUE(Wait(client_->Create(Pods(), PodNamed(name))));
    expected.emplace_back(ChangeKind::kAdded, name);
    ASSERT_TRUE(Wait(client_->Patch(Pods(), name,
                                    FromText(R"({"metadata":{"labels":{"walstitch.io/role":"master"}}})"),
                                    PatchKind::kMerge, "")));
    expected.emplace_back(ChangeKind::kModified, name);
    ASSERT_TRUE(
        Wait(client_->Patch(Pods(), name, FromText(R"({"metadata":{"labels":{"walstitch.io/group":null}}})"),
                            PatchKind::kMerge, "")));
    expected.emplace_back(ChangeKind::kDeleted, name);
    ASSERT_TRUE(Sees([&] { return changes.size() >= expected.size(); })) << watch.Problem();
    // Into the next stream.
    (void)RunUntil(
        context_, [] { return false; }, milliseconds(1200));
  }
  EXPECT_EQ(changes, expected);
  EXPECT_EQ(lists, 1);
}

TEST_P(KubernetesContractTest, AVersionThatIsMuchTooOldIsListedAgainByAWatch) {
  WatchRequest request;
  request.resource_version = "1";
  request.server_timeout = seconds(5);
  WatchCursor cursor;
  ObjectList old;
  old.resource_version = "1";
  cursor.Listed(std::move(old), WatchCursor::Time());
  if (GetParam() == Which::kFake) {
    Shared().fake->ExpireHistory();
  } else {
    Shared().real->ExpireHistory();
  }
  bool ended = false;
  const auto stream = Wait(client_->Stream(
      Pods(), request, nullptr,
      [&](std::string_view line) {
        const auto taken = cursor.TakeLine(line, WatchCursor::Time(), nullptr);
        ended = !taken.stream_goes_on;
        return taken.stream_goes_on;
      },
      http::Interrupt()));
  if (!stream) cursor.StreamFailed(stream.error(), WatchCursor::Time());
  EXPECT_TRUE(ended || !stream);
  EXPECT_EQ(cursor.NextStep(0).next, WatchCursor::Next::kList) << cursor.Problem();
}

TEST_P(KubernetesContractTest, AWatchOutlivesTheServersRestart) {
  WatchOptions options;
  options.type = Pods();
  const Watch watch(context_.get_executor(), *limited_client_, options, nullptr, nullptr);
  ASSERT_TRUE(Sees([&] { return watch.Synced(); })) << watch.Problem();
  if (GetParam() == Which::kFake) {
    Shared().fake->Stop();
  } else {
    Shared().real->StopApiServer();
  }
  ASSERT_TRUE(Sees([&] { return !watch.Problem().empty(); }));
  if (GetParam() == Which::kFake) {
    Shared().fake->Start();
  } else {
    Shared().real->StartApiServer();
  }
  ASSERT_TRUE(Wait(client_->Create(Pods(), PodNamed("shop-0"))));
  EXPECT_TRUE(Sees([&] { return watch.Objects().count("shop-0") == 1; }, seconds(60))) << watch.Problem();
}

TEST_P(KubernetesContractTest, ACustomResourceIsCheckedByItsSchema) {
  const Object crd = test::JsonOfYaml(kCrd)[0].as_object();
  const auto made =
      test::HttpsCall(port_, ca_, "POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
                      "admin-token", boost::json::serialize(crd));
  ASSERT_EQ(made.status, 201) << made.body;
  ASSERT_TRUE(Sees([&] { return Wait(client_->List(Decisions())).has_value(); }));
  Object decision = MakeObject(Decisions(), "d-1");
  decision["spec"] = FromText(R"({"group":"shop","epoch":3,"time":"2030-01-01T00:00:00Z","log":["{}"]})");
  decision["status"] = FromText(R"({"outcome":"done"})");
  auto created = Wait(client_->Create(Decisions(), decision));
  ASSERT_TRUE(created) << created.error().message;
  EXPECT_EQ(created->at("metadata").as_object().at("generation").as_int64(), 1);
  struct Case {
    const char* spec;
    int status;
  };
  for (const Case& each :
       {Case{R"({"group":"shop","epochs":3})", 400}, Case{R"({"group":"shop","epoch":"3"})", 422},
        Case{R"({"epoch":3})", 422}, Case{R"({"group":"shop","log":"one"})", 422},
        Case{R"({"group":"shop","time":"yesterday"})", 422}}) {
    Object bad = MakeObject(Decisions(), "d-2");
    bad["spec"] = FromText(each.spec);
    EXPECT_EQ(Refused(client_->Create(Decisions(), bad)).http_status, each.status) << each.spec;
  }
  (*created)["spec"].as_object()["epoch"] = 4;
  const auto changed = Wait(client_->Replace(Decisions(), "d-1", *created));
  ASSERT_TRUE(changed) << changed.error().message;
  EXPECT_EQ(changed->at("metadata").as_object().at("generation").as_int64(), 2);
  Object blind = decision;
  EXPECT_EQ(Refused(client_->Replace(Decisions(), "d-1", blind)).http_status, 422);
  const auto strategic = Refused(client_->Patch(Decisions(), "d-1", FromText(R"({"spec":{"epoch":5}})"),
                                                PatchKind::kStrategicMerge, ""));
  EXPECT_EQ(strategic.http_status, 415) << strategic.message;
  const auto list = Wait(client_->List(Decisions()));
  ASSERT_TRUE(list);
  EXPECT_EQ(TextAt(list->items.at(0), "kind"), "Decision") << "lists of custom resources keep the kind";
  EXPECT_TRUE(Wait(client_->Delete(Decisions(), "d-1")));
}

}  // namespace
}  // namespace walstitch::kubernetes
