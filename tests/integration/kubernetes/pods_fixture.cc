#include "tests/integration/kubernetes/pods_fixture.h"

#include <algorithm>
#include <boost/json.hpp>
#include <iostream>
#include <utility>

#include "agents/http/http_client.h"
#include "policies/model/json.h"
#include "tests/support/keyspace.h"

namespace walstitch::test {

using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr const char* kNamespace = "walstitch";
constexpr const char* kControllerUser = "system:serviceaccount:walstitch:walstitch";
constexpr const char* kControllerApiToken = "controllers-api-token";
// Of tests/helm/values.
constexpr const char* kPassword = "open-sesame";
constexpr const char* kOperatorToken = "operators-only";
constexpr std::uint16_t kServerPort = 6666;
constexpr const char* kControllerPort = "7700";

}  // namespace

void PodsTest::Install(const std::string& golden) {
  const RenderedChart chart =
      RenderedChart::Read(std::string(WALSTITCH_SOURCE_DIR) + "/tests/helm/golden/" + golden + ".yaml");
  if (IsRealApiServer()) {
    real_ = std::make_unique<RealApiServer>(
        std::map<std::string, std::string>{{kControllerApiToken, kControllerUser}});
    ApiAdmin cluster(real_->Url(), real_->CaPem(), RealApiServer::kAdminToken, "");
    cluster.Create("core", "namespaces",
                   {{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", {{"name", kNamespace}}}});
    admin_ = std::make_unique<ApiAdmin>(real_->Url(), real_->CaPem(), RealApiServer::kAdminToken, kNamespace);
    for (const YAML::Node& crd : chart.All("CustomResourceDefinition"))
      cluster.CreateClusterWide("apiextensions.k8s.io/v1", "customresourcedefinitions",
                                ToJson(crd).as_object());
    for (const YAML::Node& role : chart.All("Role"))
      admin_->Create("rbac.authorization.k8s.io/v1", "roles", ToJson(role).as_object());
    for (const YAML::Node& binding : chart.All("RoleBinding"))
      admin_->Create("rbac.authorization.k8s.io/v1", "rolebindings", ToJson(binding).as_object());
    // Pods want theirs, and nobody is here to make it.
    admin_->Create("core", "serviceaccounts",
                   {{"apiVersion", "v1"}, {"kind", "ServiceAccount"}, {"metadata", {{"name", "default"}}}});
  } else {
    FakeApiOptions options;
    options.namespace_name = kNamespace;
    fake_ = std::make_unique<FakeApiServer>(options);
    fake_->Start();
    fake_->AddToken(kControllerApiToken, kControllerUser);
    fake_->Allow(kControllerUser, RulesFromYaml(chart.Text()));
    for (const YAML::Node& crd : chart.All("CustomResourceDefinition"))
      fake_->AddCrd(ToJson(crd).as_object());
    admin_ = std::make_unique<ApiAdmin>(fake_->Url(), fake_->CaPem(), FakeApiServer::kAdminToken, kNamespace);
  }
  PodPlayerOptions options{
      chart, admin_.get(), [](const std::string&) { return kControllerApiToken; }, {}, {}};
  for (const YAML::Node& set : chart.All("StatefulSet"))
    options.sets.push_back(set["metadata"]["name"].Scalar());
  for (const YAML::Node& each : chart.All("Deployment"))
    options.deployments.push_back(each["metadata"]["name"].Scalar());
  player_ = std::make_unique<PodPlayer>(std::move(options));
  player_->Start();
  ASSERT_TRUE(WaitAllReady());
  AckWriterOptions writer;
  writer.password = kPassword;
  writer.resolve = [this]() -> std::optional<AckTarget> {
    const auto targets = player_->Endpoints("shop-master");
    if (targets.empty()) return std::nullopt;
    return AckTarget{targets.front().pod, targets.front().ip, kServerPort};
  };
  writer_ = std::make_unique<AckWriter>(log_, "client", 0, std::move(writer));
  ASSERT_TRUE(WaitWritten());
}

void PodsTest::TearDown() {
  if (HasFailure() && player_)
    std::cerr << player_->Logs() << "\n" << boost::json::serialize(Ask("/v1/status")) << "\n";
  writer_.reset();
  player_.reset();
}

void PodsTest::StopApiServer() {
  if (fake_) {
    fake_->Stop();
  } else {
    real_->StopApiServer();
  }
}

void PodsTest::StartApiServer() {
  if (fake_) {
    fake_->Start();
  } else {
    real_->StartApiServer();
  }
}

std::string PodsTest::Master() const {
  const auto targets = player_->Endpoints("shop-master");
  return targets.size() == 1 ? targets.front().pod : std::string();
}

std::vector<std::string> PodsTest::Replicas() const {
  std::vector<std::string> pods;
  for (const auto& target : player_->Endpoints("shop-replicas")) pods.push_back(target.pod);
  return pods;
}

bool PodsTest::WaitAllReady(milliseconds patience) {
  return WaitUntil(
      [&] {
        const auto pods = player_->Pods("shop");
        return pods.size() == 3 &&
               std::all_of(pods.begin(), pods.end(),
                           [&](const auto& pod) { return player_->IsReady(pod); }) &&
               !Master().empty() && Replicas().size() == 2;
      },
      patience);
}

bool PodsTest::WaitWritten(std::uint64_t writes, milliseconds patience) {
  const std::uint64_t before = log_.acknowledged();
  return WaitUntil([&] { return log_.acknowledged() >= before + writes; }, patience);
}

bool PodsTest::WaitNewMaster(const std::string& old, milliseconds patience) {
  const bool changed = WaitUntil([&] { return !Master().empty() && Master() != old; }, patience);
  return changed && WaitWritten(50, patience);
}

std::uint64_t PodsTest::Epoch() const {
  const auto group = Ask("/v1/groups/shop");
  return group.is_object() ? group.at("epoch").to_number<std::uint64_t>() : 0;
}

bool PodsTest::WaitFailedOver(std::uint64_t epoch, milliseconds patience) {
  return WaitUntil([&] { return Epoch() > epoch && !Master().empty(); }, patience) &&
         WaitWritten(50, patience);
}

RedisClient PodsTest::ClientOf(const std::string& pod) const {
  RedisClient client(kServerPort, player_->IpOf(pod));
  client("AUTH", kPassword);
  return client;
}

namespace {

std::optional<http::ClientResponse> Call(const std::string& ip, const std::string& port,
                                         const std::string& target) {
  auto answer =
      http::FetchBlocking(http::Url{ip, port}, "GET", target, "", kOperatorToken, milliseconds(3000));
  return answer ? std::optional(std::move(*answer)) : std::nullopt;
}

}  // namespace

std::string PodsTest::ControllerPod() const {
  for (const std::string& pod : player_->Pods("walstitch")) {
    const auto answer = Call(player_->IpOf(pod), kControllerPort, "/v1/status");
    if (answer && answer->status == 200) return pod;
  }
  return "";
}

boost::json::value PodsTest::Ask(const std::string& target) const {
  for (const std::string& pod : player_->Pods("walstitch")) {
    const auto answer = Call(player_->IpOf(pod), kControllerPort, target);
    if (answer && answer->status == 200) return boost::json::parse(answer->body);
  }
  return nullptr;
}

int PodsTest::StatusOf(const std::string& pod, int port, const std::string& path) const {
  auto answer = http::FetchBlocking(http::Url{player_->IpOf(pod), std::to_string(port)}, "GET", path, "", "",
                                    milliseconds(3000));
  return answer ? answer->status : 0;
}

std::string PodsTest::Metrics() const { return MetricsOf(ControllerPod()); }

std::string PodsTest::MetricsOf(const std::string& controller) const {
  const auto answer = Call(player_->IpOf(controller), kControllerPort, "/metrics");
  return answer ? answer->body : std::string();
}

std::vector<DecisionRecord> PodsTest::Decisions() const {
  std::vector<DecisionRecord> records;
  const auto answer = Ask("/v1/decisions?max=1000");
  if (!answer.is_object()) return records;
  for (const auto& item : answer.at("decisions").as_array()) {
    if (auto record = DecisionRecordFromJson(item)) records.push_back(std::move(*record));
  }
  return records;
}

bool PodsTest::Settled() const {
  const auto status = Ask("/v1/groups/shop");
  if (!status.is_object() || !status.at("open_decisions").as_array().empty()) return false;
  std::optional<std::int64_t> last;
  for (const auto& node : status.at("nodes").as_array()) {
    const auto& condition = node.at("condition").as_string();
    if (condition != "master" && condition != "following") return false;
    const std::int64_t its_last = node.at("report").at("last").to_number<std::int64_t>();
    if (last && *last != its_last) return false;
    last = its_last;
  }
  return true;
}

std::vector<std::string> PodsTest::EventReasons() const {
  std::vector<std::string> reasons;
  for (const auto& event : admin_->List("core", "events"))
    reasons.emplace_back(event.at("reason").as_string());
  return reasons;
}

void PodsTest::ExpectNothingLost(bool machine_lost) {
  writer_->Stop();
  ASSERT_TRUE(WaitUntil([&] { return Settled(); }, seconds(60)));
  Observed observed;
  observed.decisions = Decisions();
  for (const std::string& pod : player_->Pods("shop")) {
    RedisClient client = ClientOf(pod);
    observed.keyspaces[pod] = DumpKeyspace(client);
    if (InfoField(client, "replication", "role") == "master") observed.masters.push_back(pod);
    observed.full_syncs += std::strtoull(InfoField(client, "stats", "sync_full").c_str(), nullptr, 10);
  }
  const AckFindings findings = Check(log_, observed);
  EXPECT_EQ(findings.Sentences(), std::vector<std::string>{});
  if (machine_lost) return;
  EXPECT_EQ(findings.given_up, 0U);
  EXPECT_EQ(observed.full_syncs, 0U);
  for (const DecisionRecord& record : observed.decisions) {
    if (!record.decision.verdict) continue;
    EXPECT_NE(record.decision.verdict->verdict, Verdict::kFull) << record.decision.id;
  }
}

}  // namespace walstitch::test
