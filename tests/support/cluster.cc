#include "tests/support/cluster.h"

#include <algorithm>
#include <boost/json.hpp>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "policies/model/json.h"
#include "tests/support/keyspace.h"

namespace walstitch::test {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr auto kStartTimeout = std::chrono::seconds(20);

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  std::stringstream all;
  all << file.rdbuf();
  return all.str();
}

std::string Tail(const std::string& path, size_t bytes) {
  const std::string text = ReadFile(path);
  return text.size() > bytes ? text.substr(text.size() - bytes) : text;
}

std::string Text(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

json::object ObjectOf(const HttpAnswer& answer) {
  auto parsed = ParseJson(answer.body);
  return parsed && parsed->is_object() ? parsed->get_object() : json::object();
}

}  // namespace

const char kIgnoreAll[] = R"(apiVersion: walstitch/v1
kind: TolerancePolicy
metadata: {name: ignore-all}
spec:
  keyspaces:
    - name: everything
      match: {keys: ["*"]}
      onDivergence: ignore
  limits: {undoScan: 0}
)";

const char kPadAll[] = R"(apiVersion: walstitch/v1
kind: TolerancePolicy
metadata: {name: pad-all}
spec:
  keyspaces:
    - name: everything
      match: {keys: ["*"]}
      onDivergence: ignore
  prefer: [aligned, padded, full]
)";

const char kFullSyncAll[] = R"(apiVersion: walstitch/v1
kind: TolerancePolicy
metadata: {name: fullsync-all}
spec:
  default: fullsync
  limits: {undoScan: 0}
)";

const char kNothingMayDiffer[] = R"(apiVersion: walstitch/v1
kind: TolerancePolicy
metadata: {name: nothing-may-differ}
spec:
  default: fullsync
)";

Cluster::Cluster(ClusterOptions options) : options_(std::move(options)), controller_port_(PickFreePort()) {
  NodeConfig config = options_.node_config;
  if (!options_.password.empty()) {
    config["requirepass"] = options_.password;
    config["masterauth"] = options_.password;
  }
  for (const std::string& name : options_.nodes) {
    auto member = std::make_unique<Member>();
    member->name = name;
    NodeConfig own = config;
    if (options_.node_config_of) own.merge(options_.node_config_of(members_.size()));
    member->server = std::make_unique<NodeServer>(own);
    member->api_port = PickFreePort();
    member->relay_port = PickFreePort();
    if (options_.proxied) {
      const auto caller_of = [this](uint16_t from, uint16_t to) { return owners_.NameOf(from, to); };
      member->agent_link = std::make_unique<LinkProxy>(member->api_port, caller_of);
      member->server_link = std::make_unique<LinkProxy>(member->server->port(), caller_of);
    }
    members_.push_back(std::move(member));
  }
  for (const auto& member : members_) {
    if (!options_.direct) {
      member->server->SetUpstream(member->relay_port);
    } else if (member != members_.front()) {
      member->server->SetUpstream(members_.front()->server->port());
    }
  }
  fs::create_directories(directory_.path() + "/policies");
  if (!options_.policy.empty()) WritePolicy(options_.policy);
  if (!options_.token.empty()) WriteFile(TokenFile(), options_.token + "\n");
  if (!options_.password.empty()) WriteFile(PasswordFile(), options_.password + "\n");
  for (const auto& member : members_) WriteAgentConfig(*member);
  WriteControllerConfig();
}

// Controller first: what it would do about the ends of the others is of no interest any more.
Cluster::~Cluster() {
  controller_.Kill();
  for (const auto& member : members_) {
    member->agent.Kill();
    member->server->Kill();
  }
}

void Cluster::WriteFile(const std::string& path, const std::string& content) const {
  // Moved into place, as any careful operator would: nobody reads half a file.
  std::ofstream file(path + ".new");
  file << content;
  file.close();
  fs::rename(path + ".new", path);
}

void Cluster::WritePolicy(const std::string& content) { WriteFile(PolicyFile(), content); }

void Cluster::WriteAgentConfig(const Member& member) const {
  std::ostringstream yaml;
  yaml << "node: " << member.name << "\ngroup: " << options_.group
       << "\nkvrocks:\n  port: " << member.server->port() << "\n  dir: " << member.server->directory()
       << "\n";
  if (!options_.password.empty()) yaml << "  passwordFile: " << PasswordFile() << "\n";
  if (member.server_link) yaml << "announce: {port: " << member.server_link->port() << "}\n";
  yaml << "relay: {port: " << member.relay_port << options_.relay_config
       << "}\napi:\n  port: " << member.api_port << "\n";
  if (!options_.token.empty()) yaml << "  tokenFile: " << TokenFile() << "\n";
  yaml << options_.agent_api;
  if (!options_.password.empty()) yaml << "upstreamPasswordFile: " << PasswordFile() << "\n";
  yaml << "stateDir: " << directory_.path() << "/agent-" << member.name << "\nlogLevel: debug\n"
       << options_.agent_config;
  if (options_.agent_config_of) {
    const auto at = std::find(options_.nodes.begin(), options_.nodes.end(), member.name);
    yaml << options_.agent_config_of(static_cast<size_t>(at - options_.nodes.begin()));
  }
  WriteFile(directory_.path() + "/agent-" + member.name + ".yaml", yaml.str());
}

void Cluster::WriteControllerConfig() const {
  std::ostringstream yaml;
  yaml << "api:\n  port: " << controller_port_ << "\n";
  if (!options_.token.empty()) yaml << "  tokenFile: " << TokenFile() << "\n";
  yaml << options_.controller_api;
  if (!options_.token.empty()) yaml << "agentTokenFile: " << TokenFile() << "\n";
  yaml << "stateDir: " << directory_.path() << "/controller\n";
  if (!options_.policy.empty()) yaml << "policies: [" << directory_.path() << "/policies]\n";
  yaml << "maxConcurrentFullSyncs: " << options_.max_concurrent_full_syncs << "\nlogLevel: debug\n"
       << options_.controller_config << "groups:\n  - name: " << options_.group << "\n    nodes:\n";
  size_t priority = members_.size();
  for (const auto& member : members_) {
    const uint16_t port = member->agent_link ? member->agent_link->port() : member->api_port;
    yaml << "      - {name: " << member->name << ", agent: \"" << options_.scheme << "://127.0.0.1:" << port
         << "\", priority: " << priority-- << "}\n";
  }
  WriteFile(directory_.path() + "/controller.yaml", yaml.str());
}

std::optional<std::string> Cluster::Start() {
  for (const auto& member : members_) {
    if (auto error = StartAgent(member->name)) return error;
  }
  for (const auto& member : members_) {
    if (auto error = member->server->Start()) return error;
  }
  if (options_.direct) {
    for (size_t i = 1; i < members_.size(); ++i) {
      if (!members_[i]->server->WaitInSync(*members_[0]->server))
        return members_[i]->name + " does not replicate";
    }
  }
  if (auto error = StartController()) return error;
  if (options_.direct) {
    if (!WaitUntil([this] { return HasFinding("AdoptableGroup"); }))
      return "the group is not seen\n" + Logs();
  } else if (!WaitSettled()) {
    return "the group does not settle: " + json::serialize(Status()) + "\n" + Logs();
  }
  return std::nullopt;
}

Cluster::Member& Cluster::Find(const std::string& node) {
  for (const auto& member : members_) {
    if (member->name == node) return *member;
  }
  throw std::invalid_argument("no node " + node);
}

std::map<std::string, std::string> Cluster::Keyspace(const std::string& node) {
  RedisClient client = Client(node);
  return DumpKeyspace(client);
}

uint64_t Cluster::FullSyncsServed() {
  uint64_t count = 0;
  for (const auto& member : members_) count += member->server->InfoNumber("stats", "sync_full");
  return count;
}

std::optional<std::string> Cluster::WaitServing(Process& process, uint16_t port, const std::string& output) {
  const bool serves = Eventually(
      kStartTimeout, [&] { return !process.IsRunning() || Call(port, "GET", "/healthz").status == 200; });
  if (serves && process.IsRunning()) return std::nullopt;
  return output + (process.IsRunning() ? ": does not answer: " : ": ended: ") + Tail(output, 2000);
}

// A machine refuses connections to a process that it does not run, and whoever is refused may rely on it: the
// link refuses after the process's end, until that listens again.
void Cluster::KillNode(const std::string& node) {
  Node(node).Kill();
  if (Find(node).server_link) Find(node).server_link->SetListening(false);
}

void Cluster::StopNode(const std::string& node) {
  Node(node).Stop();
  if (Find(node).server_link) Find(node).server_link->SetListening(false);
}

std::optional<std::string> Cluster::RestartNode(const std::string& node) {
  if (Find(node).server_link) Find(node).server_link->SetListening(true);
  return Node(node).Restart();
}

void Cluster::KillAgent(const std::string& node) {
  Find(node).agent.Kill();
  if (Find(node).agent_link) Find(node).agent_link->SetListening(false);
}

std::optional<std::string> Cluster::StartAgent(const std::string& node) {
  Member& member = Find(node);
  const std::string base = directory_.path() + "/agent-" + node;
  if (member.agent_link) member.agent_link->SetListening(true);
  if (auto error = member.agent.Start({BinaryPath(options_.agent_binary), "--config", base + ".yaml"},
                                      base + ".log")) {
    return error;
  }
  owners_.Set(node, member.agent.pid());
  return WaitServing(member.agent, member.api_port, base + ".log");
}

std::optional<std::string> Cluster::RestartAgent(const std::string& node) {
  Find(node).agent.Terminate();
  if (Find(node).agent_link) Find(node).agent_link->SetListening(false);
  return StartAgent(node);
}

std::string Cluster::AgentLog(const std::string& node) const {
  return ReadFile(directory_.path() + "/agent-" + node + ".log");
}

void Cluster::PauseAgent(const std::string& node) { Find(node).agent.Signal(SIGSTOP); }
void Cluster::ResumeAgent(const std::string& node) { Find(node).agent.Signal(SIGCONT); }

void Cluster::ChangeLinks(const std::string& left, const std::string& right, const LinkChange& change) {
  for (const auto& [node, caller] : {std::pair(left, right), std::pair(right, left)}) {
    if (node == "controller") continue;
    Member& member = Find(node);
    if (!member.agent_link) throw std::logic_error("links can be cut with ClusterOptions::proxied only");
    change(*member.agent_link, caller);
    change(*member.server_link, caller);
  }
}

void Cluster::Cut(const std::string& left, const std::string& right) {
  ChangeLinks(left, right, [](LinkProxy& link, const std::string& caller) { link.Cut(caller); });
}

void Cluster::Heal(const std::string& left, const std::string& right) {
  ChangeLinks(left, right, [](LinkProxy& link, const std::string& caller) { link.Heal(caller); });
}

void Cluster::Isolate(const std::string& node) {
  Cut(node, "controller");
  for (const std::string& other : Nodes()) {
    if (other != node) Cut(node, other);
  }
}

void Cluster::Heal() {
  for (const auto& member : members_) {
    for (LinkProxy* link : {member->agent_link.get(), member->server_link.get()}) {
      if (link != nullptr) link->Restore();
    }
  }
}

void Cluster::Delay(std::chrono::milliseconds each_way) {
  for (const auto& member : members_) {
    for (LinkProxy* link : {member->agent_link.get(), member->server_link.get()}) {
      if (link != nullptr) link->Delay(each_way);
    }
  }
}

std::optional<std::string> Cluster::StartController(const std::map<std::string, std::string>& environment) {
  const std::string base = directory_.path() + "/controller";
  if (auto error = controller_.Start({BinaryPath("walstitch-controller"), "--config", base + ".yaml"},
                                     base + ".log", environment)) {
    return error;
  }
  owners_.Set("controller", controller_.pid());
  // At a crash point it may be gone before it was ever asked.
  if (!environment.empty()) return std::nullopt;
  return WaitServing(controller_, controller_port_, base + ".log");
}

std::optional<std::string> Cluster::RestartController(const std::map<std::string, std::string>& environment) {
  controller_.Terminate();
  return StartController(environment);
}

HttpAnswer Cluster::Call(uint16_t port, const std::string& method, const std::string& target,
                         const std::string& body) {
  if (options_.call) return options_.call(port, method, target, body);
  std::map<std::string, std::string> headers;
  if (!options_.token.empty()) headers["Authorization"] = "Bearer " + options_.token;
  return HttpCall(port, method, target, body, headers);
}

HttpAnswer Cluster::CallAgent(const std::string& node, const std::string& method, const std::string& target,
                              const std::string& body) {
  HttpAnswer answer = Call(AgentPort(node), method, target, body);
  if (witness_) witness_("agent", method, target, answer);
  return answer;
}

HttpAnswer Cluster::CallController(const std::string& method, const std::string& target,
                                   const std::string& body) {
  HttpAnswer answer = Call(controller_port_, method, target, body);
  if (witness_) witness_("controller", method, target, answer);
  return answer;
}

json::value Cluster::Status() {
  const HttpAnswer answer = CallController("GET", "/v1/groups/" + options_.group);
  auto parsed = ParseJson(answer.body);
  return answer.status == 200 && parsed ? std::move(*parsed) : json::value();
}

std::string Cluster::Master() {
  const json::value status = Status();
  return status.is_object() ? Text(status.get_object(), "master") : "";
}

uint64_t Cluster::Epoch() {
  const json::value status = Status();
  const json::value* epoch = status.is_object() ? status.get_object().if_contains("epoch") : nullptr;
  return epoch == nullptr ? 0 : epoch->to_number<uint64_t>();
}

const json::object* Cluster::FindNode(const json::value& status, const std::string& node) const {
  if (!status.is_object()) return nullptr;
  for (const json::value& item : status.at("nodes").as_array()) {
    if (Text(item.as_object(), "node") == node) return &item.as_object();
  }
  return nullptr;
}

std::string Cluster::Condition(const std::string& node) {
  const json::value status = Status();
  const json::object* found = FindNode(status, node);
  return found == nullptr ? "" : Text(*found, "condition");
}

std::optional<Report> Cluster::ReportOf(const std::string& node) {
  const json::value status = Status();
  const json::object* found = FindNode(status, node);
  const json::value* report = found == nullptr ? nullptr : found->if_contains("report");
  if (report == nullptr) return std::nullopt;
  auto parsed = ReportFromJson(*report);
  if (!parsed) return std::nullopt;
  return std::move(*parsed);
}

bool Cluster::HasFinding(const std::string& code) {
  const json::value status = Status();
  if (!status.is_object()) return false;
  const json::array& findings = status.at("findings").as_array();
  return std::any_of(findings.begin(), findings.end(),
                     [&](const json::value& finding) { return Text(finding.as_object(), "code") == code; });
}

std::vector<DecisionRecord> Cluster::Decisions() {
  const json::object answer =
      ObjectOf(CallController("GET", "/v1/decisions?max=1000&group=" + options_.group));
  std::vector<DecisionRecord> records;
  const json::value* list = answer.if_contains("decisions");
  if (list == nullptr) return records;
  for (const json::value& item : list->as_array()) {
    auto record = DecisionRecordFromJson(item);
    if (!record) throw std::runtime_error("a decision record cannot be read: " + record.error().Message());
    records.push_back(std::move(*record));
  }
  return records;
}

std::optional<DecisionRecord> Cluster::LastDecision(const std::string& node) {
  for (DecisionRecord& record : Decisions()) {
    if (record.decision.node == node) return std::move(record);
  }
  return std::nullopt;
}

std::optional<DecisionRecord> Cluster::LastRejoin(const std::string& node) {
  for (DecisionRecord& record : Decisions()) {
    const Decision& decision = record.decision;
    if (decision.node == node && decision.kind == DecisionKind::kRejoin && record.outcome &&
        decision.verdict && decision.verdict->verdict != Verdict::kHold) {
      return std::move(record);
    }
  }
  return std::nullopt;
}

Answer Cluster::Order(const std::string& what, json::object body) {
  const HttpAnswer http =
      CallController("POST", "/v1/groups/" + options_.group + "/" + what, json::serialize(body));
  const json::object object = ObjectOf(http);
  Answer answer;
  answer.status = http.status;
  answer.error = http.status == 0 ? http.body : Text(object, "error");
  if (const json::value* value = object.if_contains("record")) {
    if (auto record = DecisionRecordFromJson(*value)) answer.record = std::move(*record);
  }
  return answer;
}

Answer Cluster::Failover(const std::string& to, json::object body) {
  if (!to.empty()) body["to"] = to;
  return Order("failover", std::move(body));
}

Answer Cluster::Switchover(const std::string& to, json::object body) {
  if (!to.empty()) body["to"] = to;
  return Order("switchover", std::move(body));
}

Answer Cluster::Adopt(json::object body) { return Order("adopt", std::move(body)); }
Answer Cluster::Release(json::object body) { return Order("release", std::move(body)); }

CommandOutput Cluster::Cli(const std::vector<std::string>& arguments) {
  const std::string base = directory_.path() + "/cli-" + std::to_string(++cli_calls_);
  // A shell keeps the two outputs apart; the arguments reach it as its own, so nothing needs quoting.
  std::vector<std::string> command = {"/bin/sh", "-c", "exec \"$@\" >\"$0.out\" 2>\"$0.err\"", base,
                                      BinaryPath("walstitch")};
  command.insert(command.end(), arguments.begin(), arguments.end());
  std::map<std::string, std::string> environment = {
      {"WALSTITCH_CONTROLLER", options_.scheme + "://127.0.0.1:" + std::to_string(controller_port_)}};
  if (!options_.token.empty()) environment["WALSTITCH_TOKEN_FILE"] = TokenFile();
  environment.insert(options_.cli_environment.begin(), options_.cli_environment.end());
  Process process;
  CommandOutput output;
  if (auto error = process.Start(command, base + ".sh", environment)) {
    output.error = *error;
    return output;
  }
  process.Wait(std::chrono::seconds(90));
  output.exit_code = process.ExitStatus().value_or(-1);
  output.out = ReadFile(base + ".out");
  output.error = ReadFile(base + ".err");
  return output;
}

bool Cluster::WaitUntil(const std::function<bool()>& condition, std::chrono::milliseconds timeout) {
  return Eventually(timeout, condition);
}

bool Cluster::WaitCondition(const std::string& node, const std::string& condition,
                            std::chrono::milliseconds timeout) {
  return WaitUntil([&] { return Condition(node) == condition; }, timeout);
}

bool Cluster::WaitInService(const std::string& node, std::chrono::milliseconds timeout) {
  return WaitUntil(
      [&] {
        const json::value status = Status();
        const json::object* found = FindNode(status, node);
        if (found == nullptr) return false;
        const std::string master = Text(status.get_object(), "master");
        // "following" alone may still be the stream of another epoch.
        return Text(*found, "sentence") == "follows " + master &&
               Node(node).LastSequence() == Node(master).LastSequence();
      },
      timeout);
}

bool Cluster::WaitSettled(std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  const auto left = [&] {
    return std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  };
  const auto is_quiet = [this] {
    const json::value status = Status();
    if (!status.is_object()) return false;
    const json::object* master = FindNode(status, Text(status.get_object(), "master"));
    return master != nullptr && Text(*master, "condition") == "master" &&
           status.at("open_decisions").as_array().empty() && Text(status.get_object(), "busy").empty();
  };
  while (true) {
    if (!WaitUntil(is_quiet, left())) return false;
    const std::string master = Master();
    for (const std::string& node : Nodes()) {
      if (node != master && !WaitInService(node, left())) return false;
    }
    // Something may have begun meanwhile.
    if (is_quiet() && Master() == master) return true;
  }
}

std::optional<std::string> Cluster::DieWithTail(const Writer& tail) {
  if (!WaitSettled()) return "the group does not settle";
  const std::string old_master = Master();
  // 1. The agents of the replicas die: nothing reaches these any more, whatever lies in socket buffers. 2.
  // The tail is written, and the old master dies. 3. The agents start anew: their relays are parked, and have
  // no upstream.
  std::vector<std::pair<std::string, uint64_t>> replicas;  // and the last sequence of each
  for (const std::string& node : Nodes()) {
    if (node == old_master) continue;
    KillAgent(node);
    if (!WaitCondition(node, "unreachable")) return "the controller does not miss the agent of " + node;
    replicas.emplace_back(node, Node(node).LastSequence());
  }
  {
    RedisClient client = Client(old_master);
    tail(client);
  }
  KillNode(old_master);
  for (const auto& [node, last] : replicas) {
    if (auto error = StartAgent(node)) return error;
  }
  if (!WaitCondition(old_master, "down"))
    return "the controller does not see that " + old_master + " is down";
  for (const auto& [node, last] : replicas) {
    if (!WaitCondition(node, "parked")) return node + " does not come back parked";
    if (Node(node).LastSequence() != last) return "some of the tail reached " + node;
  }
  return std::nullopt;
}

std::optional<std::string> Cluster::Diverge(const std::string& heir, const Writer& tail,
                                            const Writer& missed) {
  if (auto error = DieWithTail(tail)) return error;
  const Answer promoted = Failover(heir, {{"rescue", false}});  // the tail is to be left behind
  if (!promoted.IsDone()) {
    return "failover: " + promoted.error +
           (promoted.record && promoted.record->outcome ? promoted.record->outcome->sentence : "");
  }
  RedisClient client = Client(heir);
  missed(client);
  return std::nullopt;
}

std::string Cluster::LogOf(const std::string& program) const {
  return ReadFile(directory_.path() + "/" + program + ".log");
}

std::string Cluster::Logs(size_t bytes_of_each) const {
  std::string all;
  const auto add = [&](const std::string& name, const std::string& path) {
    all += "---- " + name + "\n" + Tail(path, bytes_of_each) + "\n";
  };
  for (const auto& member : members_) {
    add(member->name, member->server->output_file());
    add("agent of " + member->name, directory_.path() + "/agent-" + member->name + ".log");
  }
  add("controller", directory_.path() + "/controller.log");
  return all;
}

}  // namespace walstitch::test
