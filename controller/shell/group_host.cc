#include "controller/shell/group_host.h"

#include <spdlog/spdlog.h>

#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json.hpp>
#include <chrono>
#include <random>
#include <utility>

#include "agents/node/ask_role.h"
#include "agents/node/info.h"
#include "agents/node/kvrocks_client.h"
#include "controller/core/ulid.h"
#include "controller/shell/evidence_collector.h"
#include "controller/shell/fault_point.h"
#include "controller/shell/salvage_replay.h"
#include "policies/model/bytes.h"
#include "policies/model/json.h"

namespace walstitch::shell {

namespace asio = boost::asio;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds kResubscribe{250};
// Agents report twice a second at least. A machine that was restarted leaves a stream half open, on which
// nothing comes: the sooner it is made anew, the sooner its agent is heard again.
constexpr milliseconds kSilence{1500};
// Of one agent, when all of them are asked for their salvages.
constexpr milliseconds kSalvageListTimeout{5000};
constexpr milliseconds kServerTimeout{500};
constexpr milliseconds kPolicyInterval{200};

// Runs the operation and gives its value to `done`. An operation does not throw but for a broken assumption.
template <typename T>
void Spawn(const asio::any_io_executor& executor, asio::awaitable<T> operation, std::function<void(T)> done) {
  asio::co_spawn(executor, std::move(operation),
                 [done = std::move(done)](std::exception_ptr problem, T value) {
                   if (problem) std::rethrow_exception(problem);
                   done(std::move(value));
                 });
}

core::GroupSettings SettingsOf(const GroupConfig& config, const core::FailoverSettings& failover) {
  core::GroupSettings settings;
  settings.name = config.name;
  settings.failover = failover;
  for (const auto& node : config.nodes) {
    settings.nodes.push_back(node);
  }
  return settings;
}

node::ClientOptions ClientTo(const Endpoint& server, const HostContext& context) {
  node::ClientOptions options;
  options.host = server.host;
  options.port = server.port;
  options.password = context.kvrocks_password;
  if (const auto& tls = context.kvrocks_tls) {
    options.tls = [tls] { return tls->Context(); };
    options.tls_name = tls->Files().server_name;
    if (context.kvrocks_port != 0) options.port = context.kvrocks_port;
  }
  options.timeout = kServerTimeout;
  return options;
}

// 1. A master's agent dies, and its gate with it: the server goes on taking writes, and nobody gets through
// to it. 2. Taken for lost, it would be replaced, and there would be two. So where the way is a gate, and it
// is shut, it is looked whether a server lives at the address that clients go to.
Result<Role> RoleOf(const node::ClientOptions& options, const Endpoint& server) {
  auto role = node::AskRole(options);
  if (role || options.port == server.port) return role;
  const ErrorCode code = role.error().Code();
  if (code == ErrorCode::kConflict || code == ErrorCode::kInvalid)
    return role;  // it is the server who says so
  node::ClientOptions plain;
  plain.host = server.host;
  plain.port = server.port;
  plain.timeout = options.timeout;
  if (node::Lives(plain)) return Role::kUnknown;
  return role;
}

Result<void> MakeSlave(const node::ClientOptions& options, const Endpoint& relay) {
  node::KvrocksClient client(options);
  auto set = client.SlaveOf(relay, kServerTimeout);
  if (!set) return set;
  auto info = client.Info();
  if (!info) return Fail(info.error());
  const node::NodeFacts facts = node::ReadFacts(*info);
  if (facts.role != Role::kReplica || facts.master != relay) {
    return Fail(ErrorCode::kConflict, "it did not become a replica of " + relay.ToString());
  }
  return {};
}

}  // namespace

GroupHost::GroupHost(HostContext context, GroupConfig config, core::FailoverSettings failover)
    : context_(std::move(context)),
      config_(std::move(config)),
      runner_(*this, SettingsOf(config_, failover), context_.fleet) {
  for (auto& node : config_.nodes) Enter(node);
}

void GroupHost::Enter(NodeConfig node) {
  const std::string name = node.name;
  AgentClient client(config_.name, name, node.agent_url, context_.agents);
  nodes_.emplace(name, Node{std::move(node), std::move(client), nullptr});
}

GroupHost::~GroupHost() = default;

Result<void> GroupHost::Start() {
  if (auto started = runner_.Start(); !started) return started;
  started_ = true;
  for (auto& [name, node] : nodes_) Subscribe(name);
  return {};
}

void GroupHost::Subscribe(const std::string& name) {
  Node& node = nodes_.at(name);
  node.subscription.reset();
  if (node.config.agent_url.host.empty()) return;
  node.subscription = std::make_unique<http::Subscription>(
      context_.executor, node.config.agent_url, "/v1/stream", context_.agents, kResubscribe, kSilence,
      [this, name](const std::string& message) { OnMessage(name, message); },
      [this, name](bool connected) {
        nodes_.at(name).connected = connected;
        runner_.OnConnection(name, connected);
      });
}

void GroupHost::PutNode(NodeConfig node) {
  const std::string name = node.name;
  const auto found = nodes_.find(name);
  const bool known = found != nodes_.end();
  const bool moved = !known || found->second.config.agent != node.agent;
  runner_.PutNode(node);
  if (!known) {
    Enter(std::move(node));
  } else {
    if (moved) found->second.client = AgentClient(config_.name, name, node.agent_url, context_.agents);
    found->second.config = std::move(node);
  }
  if (!moved || !started_) return;
  // What the old connection said was said by whoever is at the old address.
  Node& entry = nodes_.at(name);
  if (entry.connected) runner_.OnConnection(name, false);
  entry.connected = entry.foreign = false;
  Subscribe(name);
}

std::vector<NodeConfig> GroupHost::Nodes() const {
  std::vector<NodeConfig> nodes;
  for (const auto& [name, node] : nodes_) nodes.push_back(node.config);
  return nodes;
}

void GroupHost::OnMessage(const std::string& name, const std::string& message) {
  auto json = ParseJson(message);
  auto report = json ? ReportFromJson(*json) : Result<Report>(Fail(json.error()));
  if (!report) {
    spdlog::warn("group {}: a report of {} was not understood: {}", config_.name, name,
                 report.error().Message());
    return;
  }
  Node& node = nodes_.at(name);
  const bool foreign = report->node != name || report->group != config_.name;
  if (foreign && !node.foreign) {
    spdlog::error("group {}: the agent at {} says it is {} of group {}, not {}: check the configuration",
                  config_.name, node.config.agent, report->node, report->group, name);
    runner_.OnConnection(name, false);
  }
  node.foreign = foreign;
  if (!foreign) runner_.OnReport(std::move(*report));
}

namespace {

// What the runner answers by a callback. As a pointer, for a Result has no default value that Asio could
// make.
template <typename T>
asio::awaitable<T> AnswerOf(std::function<void(std::function<void(T)>)> start) {
  using Shared = std::shared_ptr<T>;
  auto initiate = [start = std::move(start)](auto handler) {
    auto shared = std::make_shared<decltype(handler)>(std::move(handler));
    start([shared](T answer) { std::move (*shared)(std::make_shared<T>(std::move(answer))); });
  };
  const Shared answer = co_await asio::async_initiate<const asio::use_awaitable_t<>, void(Shared)>(
      initiate, asio::use_awaitable);
  co_return std::move(*answer);
}

}  // namespace

asio::awaitable<boost::json::value> GroupHost::Plan() {
  std::function<void(std::function<void(boost::json::value)>)> start = [this](auto done) {
    runner_.Plan(std::move(done));
  };
  co_return co_await AnswerOf<boost::json::value>(std::move(start));
}

asio::awaitable<core::OperatorAnswer> GroupHost::Give(Order order, core::OperatorRequest request) {
  std::function<void(std::function<void(core::OperatorAnswer)>)> start =
      [this, order, request = std::move(request)](auto done) { (runner_.*order)(request, std::move(done)); };
  co_return co_await AnswerOf<core::OperatorAnswer>(std::move(start));
}

asio::awaitable<Result<core::ReplayReport>> GroupHost::Replay(core::ReplayOrder order) {
  std::function<void(std::function<void(Result<core::ReplayReport>)>)> start =
      [this, order = std::move(order)](auto done) { runner_.Replay(order, std::move(done)); };
  co_return co_await AnswerOf<Result<core::ReplayReport>>(std::move(start));
}

asio::awaitable<boost::json::object> GroupHost::Salvages() {
  boost::json::array salvages;
  boost::json::array damaged;
  boost::json::array unheard;
  for (auto& [name, node] : nodes_) {
    Result<boost::json::value> json = Fail(ErrorCode::kUnavailable, "its agent is not connected");
    if (node.connected) json = co_await node.client.Ask("/v1/salvage", kSalvageListTimeout);
    auto list = json ? SalvageListFromJson(*json) : Result<SalvageList>(Fail(json.error()));
    if (!list) {
      unheard.push_back({{"group", config_.name}, {"node", name}, {"error", list.error().Message()}});
      continue;
    }
    for (const SalvageManifest& manifest : list->salvages) salvages.push_back(ToJson(manifest));
    for (const DamagedSalvage& each : list->damaged) {
      damaged.push_back(
          {{"group", config_.name}, {"node", name}, {"id", each.id}, {"problem", each.problem}});
    }
  }
  boost::json::object all;
  all["salvages"] = std::move(salvages);
  all["damaged"] = std::move(damaged);
  all["unheard"] = std::move(unheard);
  co_return all;
}

asio::awaitable<Result<boost::json::value>> GroupHost::AskAboutSalvage(std::string node, std::string target) {
  const auto found = nodes_.find(node);
  if (found == nodes_.end()) {
    co_return Fail(ErrorCode::kNotFound, "no node '" + ToPrintable(node) + "' in group " + config_.name);
  }
  AgentClient client = found->second.client;
  co_return co_await client.Ask(std::move(target));
}

asio::awaitable<Result<SalvagedKeys>> GroupHost::SalvageKeys(std::string node, std::string id,
                                                             core::ReplayChoice choice, std::uint64_t after,
                                                             std::size_t max) {
  const auto found = nodes_.find(node);
  if (found == nodes_.end()) {
    co_return Fail(ErrorCode::kNotFound, "no node '" + ToPrintable(node) + "' in group " + config_.name);
  }
  const TolerancePolicy policy = Policy();
  if (auto known = core::CheckChoice(choice, policy); !known) co_return Fail(known.error());
  AgentClient client = found->second.client;
  auto keys = co_await client.SalvageKeys(std::move(id), after, max);
  if (!keys) co_return Fail(keys.error());
  std::erase_if(keys->keys, [&](const SalvagedKey& key) { return !core::IsChosen(choice, policy, key); });
  co_return std::move(*keys);
}

std::int64_t GroupHost::NowMs() const {
  return std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::int64_t GroupHost::UnixMs() const {
  return std::chrono::duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

void GroupHost::After(std::int64_t ms, std::function<void()> call) {
  if (ms <= 0) return asio::post(context_.executor, std::move(call));
  auto timer = std::make_shared<asio::steady_timer>(context_.executor, milliseconds(ms));
  timer->async_wait([timer, call = std::move(call)](boost::system::error_code error) {
    if (!error) call();
  });
}

std::string GroupHost::NewId() {
  static std::random_device device;
  std::array<std::uint8_t, 10> random{};
  for (auto& byte : random) byte = static_cast<std::uint8_t>(device());
  return core::MakeUlid(UnixMs(), random);
}

void GroupHost::Settle(Done<Result<void>> done) {
  context_.store.Settle([executor = context_.executor, done = std::move(done)](Result<void> settled) {
    asio::post(executor, [done, settled = std::move(settled)] { done(settled); });
  });
}

const TolerancePolicy& GroupHost::Policy() {
  // Read at most so often: a decision asks several times.
  const std::int64_t now = NowMs();
  if (now - policies_read_ms_ >= kPolicyInterval.count()) {
    policies_read_ms_ = now;
    context_.policies.Refresh();
  }
  return context_.policies.For(config_.name);
}

void GroupHost::FreshReport(const std::string& node, Done<Result<Report>> done) {
  auto work = [](AgentClient client) -> asio::awaitable<Result<Report>> {
    co_return co_await client.FreshReport();
  };
  Spawn<Result<Report>>(context_.executor, work(nodes_.at(node).client), std::move(done));
}

template <typename T>
void GroupHost::Refuse(Done<Result<T>> done) {
  if (context_.over_without) return;
  asio::post(context_.executor, [done = std::move(done)] {
    done(Fail(ErrorCode::kUnavailable, "nothing may be done now: the store in stateDir cannot be written"));
  });
}

void GroupHost::Run(Command command, std::int64_t patience_ms, Done<Result<CommandResult>> done) {
  if (!Leads()) return Refuse(std::move(done));
  auto work = [](AgentClient client, Command what,
                 milliseconds patience) -> asio::awaitable<Result<CommandResult>> {
    co_return co_await client.Run(std::move(what), patience);
  };
  AgentClient client = nodes_.at(command.node).client;
  Spawn<Result<CommandResult>>(context_.executor,
                               work(std::move(client), std::move(command), milliseconds(patience_ms)),
                               std::move(done));
}

bool GroupHost::Grant(const LeaseGrant& grant) {
  if (!Leads()) return false;
  const Node& node = nodes_.at(grant.node);
  return node.subscription && node.subscription->Send(Dump({{"lease", ToJson(grant)}}));
}

void GroupHost::CollectEvidence(core::EvidenceQuestion question, Done<Evidence> done) {
  EvidenceRequest request{nodes_.at(question.rejoiner.node).client,
                          std::move(question.rejoiner),
                          nodes_.at(question.survivor.node).client,
                          std::move(question.survivor),
                          question.known,
                          question.limits,
                          {},
                          std::move(question.no_lenders)};
  for (core::LenderOffer& offer : question.lenders) {
    const std::string node = offer.report.node;
    request.lenders.push_back({nodes_.at(node).client, std::move(offer)});
  }
  Spawn<Evidence>(context_.executor, shell::CollectEvidence(std::move(request)), std::move(done));
}

void GroupHost::Batches(const std::string& node, SequenceRange range, std::size_t max,
                        Done<Result<std::vector<BatchInfo>>> done) {
  auto work = [](AgentClient client, SequenceRange what,
                 std::size_t most) -> asio::awaitable<Result<std::vector<BatchInfo>>> {
    co_return co_await client.Batches(what, most);
  };
  Spawn<Result<std::vector<BatchInfo>>>(context_.executor, work(nodes_.at(node).client, range, max),
                                        std::move(done));
}

void GroupHost::ListTouched(const std::string& node, SequenceRange range, std::size_t max_keys,
                            Done<Result<Touched>> done) {
  auto work = [](AgentClient client, SequenceRange what,
                 std::size_t most) -> asio::awaitable<Result<Touched>> {
    co_return co_await client.ListTouched(what, most);
  };
  Spawn<Result<Touched>>(context_.executor, work(nodes_.at(node).client, range, max_keys), std::move(done));
}

void GroupHost::StaysFor(const std::string& node, Sequence sequence,
                         Done<Result<std::optional<std::int64_t>>> done) {
  auto work = [](AgentClient client, Sequence what) -> asio::awaitable<Result<std::optional<std::int64_t>>> {
    co_return co_await client.StaysFor(what);
  };
  Spawn<Result<std::optional<std::int64_t>>>(context_.executor, work(nodes_.at(node).client, sequence),
                                             std::move(done));
}

void GroupHost::FindUnrepairable(const std::string& node, std::vector<UserKeyName> keys,
                                 Done<Result<RepairableAnswer>> done) {
  auto work = [](AgentClient client,
                 std::vector<UserKeyName> what) -> asio::awaitable<Result<RepairableAnswer>> {
    co_return co_await client.FindUnrepairable(std::move(what));
  };
  Spawn<Result<RepairableAnswer>>(context_.executor, work(nodes_.at(node).client, std::move(keys)),
                                  std::move(done));
}

void GroupHost::CarryOutReplay(core::ReplayOrder order, Done<Result<core::ReplaySummary>> done) {
  if (!Leads()) return Refuse(std::move(done));
  const Node& source = nodes_.at(order.source);
  const AgentClient& master = nodes_.at(order.master).client;
  ReplayTask task{std::move(order), config_.name, source.client, source.config.agent, master, Policy()};
  Spawn<Result<core::ReplaySummary>>(context_.executor, shell::CarryOutReplay(std::move(task)),
                                     std::move(done));
}

void GroupHost::Probe(const Endpoint& server, Done<Result<Role>> done) {
  asio::post(context_.pool, [executor = context_.executor, options = ClientTo(server, context_), server,
                             done = std::move(done)] {
    asio::post(executor, [done, answer = RoleOf(options, server)] { done(answer); });
  });
}

void GroupHost::ProbeThrough(const std::string& node, const Endpoint& server, Done<Result<Role>> done) {
  auto work = [](AgentClient client, Endpoint what) -> asio::awaitable<Result<Role>> {
    co_return co_await client.RoleOfUpstream(std::move(what));
  };
  Spawn<Result<Role>>(context_.executor, work(nodes_.at(node).client, server), std::move(done));
}

void GroupHost::Fence(const Endpoint& server, const Endpoint& relay, Done<Result<void>> done) {
  if (!Leads()) return Refuse(std::move(done));
  asio::post(context_.pool, [executor = context_.executor, options = ClientTo(server, context_), relay,
                             done = std::move(done)] {
    asio::post(executor, [done, answer = MakeSlave(options, relay)] { done(answer); });
  });
}

void GroupHost::Log(core::LogLevel level, const std::string& text) {
  switch (level) {
    case core::LogLevel::kInfo:
      return spdlog::info("{}", text);
    case core::LogLevel::kWarning:
      return spdlog::warn("{}", text);
    case core::LogLevel::kError:
      return spdlog::error("{}", text);
  }
}

void GroupHost::FaultPoint(std::string_view name) { shell::FaultPoint(name); }

}  // namespace walstitch::shell
