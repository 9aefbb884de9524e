// A replication group as it is run: a node and an agent beside it for each name, and one controller, all
// real processes on loopback.
//
//   Cluster cluster({.nodes = {"n1", "n2"}, .policy = kIgnoreAll});
//   if (auto error = cluster.Start()) ...              // n1 or n2 is the master now, the other follows
//   cluster.Client("n1")("SET", "key", "value");
//
// Start() returns when the group is in service. Nodes are started with `--slaveof` their agent's relay, so
// each of them boots parked; with `direct` they are what Walstitch finds when it comes to a running group.
//
// With `proxied`, whatever goes from one machine to another passes a LinkProxy: from the controller and from
// the other agents to an agent, and from a relay to another node's server. What a node and its own agent say
// to each other does not. Links are cut between two of the nodes, or a node and "controller":
//
//   cluster.Cut("n1", "controller");
//   cluster.Isolate("n1");
//   cluster.Heal();
//
// Methods that return std::optional<std::string> return the text of the error, if any. A node, an agent or
// the controller that was killed is gone until it is restarted. Not thread-safe; see Process for which
// thread should start it. Everything is killed, by process id, when the Cluster goes.
#pragma once

#include <boost/json/value.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "policies/model/decision.h"
#include "policies/model/report.h"
#include "tests/support/environment.h"
#include "tests/support/http_call.h"
#include "tests/support/link_proxy.h"
#include "tests/support/node_server.h"
#include "tests/support/process.h"
#include "tests/support/redis_client.h"
#include "tests/support/socket_owner.h"

namespace walstitch::test {

// Every keyspace may diverge, and nothing is taken back.
extern const char kIgnoreAll[];
// Every keyspace may, and nothing is spliced.
extern const char kPadAll[];
// None may, and nothing is taken back.
extern const char kFullSyncAll[];
// Nothing may differ: a tail is taken back in full, or the node is copied afresh.
extern const char kNothingMayDiffer[];

struct ClusterOptions {
  std::string group = "shop";
  std::vector<std::string> nodes = {"n1", "n2"};  // in order of priority
  std::string policy = kIgnoreAll;                // the content of the policy file; empty: no file at all
  bool direct = false;                            // the first node is a master, the others replicate from it
  std::string password;                           // requirepass and masterauth of every node
  std::string token;                              // of every HTTP API, from a file
  NodeConfig node_config;                         // more lines of kvrocks.conf
  std::function<NodeConfig(size_t node)> node_config_of;  // the same, for each its own
  int max_concurrent_full_syncs = 1;
  bool proxied = false;                                     // links between machines can be cut
  std::string agent_config;                                 // more lines of every agent's YAML
  std::function<std::string(size_t node)> agent_config_of;  // the same, for each its own
  std::string relay_config;  // more of every relay's settings, each behind a comma
  std::string agent_binary = "walstitch-agent";
  // More lines of the controller's YAML. A test says itself when somebody is to be promoted, unless that is
  // what it is about.
  std::string controller_config = "failover: {automatic: false}\n";
  // More lines of the YAML under `api:`, each of them two spaces in.
  std::string agent_api;
  std::string controller_api;
  // Where the APIs are more than HTTP with the token: how agents and the controller are named, how they are
  // asked, and what the command line finds in its environment.
  std::string scheme = "http";
  std::function<HttpAnswer(uint16_t port, const std::string& method, const std::string& target,
                           const std::string& body)>
      call{};
  std::map<std::string, std::string> cli_environment{};
};

// What an order was answered.
struct Answer {
  int status = 0;
  std::string error;                     // one sentence, unless the status is 200
  std::optional<DecisionRecord> record;  // as far as it came

  bool IsDone() const {
    return status == 200 && record && record->outcome && record->outcome->outcome == Outcome::kDone;
  }
};

struct CommandOutput {
  int exit_code = -1;
  std::string out;
  std::string error;
};

class Cluster {
 public:
  explicit Cluster(ClusterOptions options = {});
  ~Cluster();
  Cluster(const Cluster&) = delete;
  Cluster& operator=(const Cluster&) = delete;

  // Everything, until the group is in service; with `direct`, until the nodes replicate and the controller
  // has heard of all of them.
  std::optional<std::string> Start();

  // Nodes.
  NodeServer& Node(const std::string& node) { return *Find(node).server; }
  RedisClient Client(const std::string& node) { return Node(node).Client(); }
  const std::vector<std::string>& Nodes() const { return options_.nodes; }
  void KillNode(const std::string& node);
  void StopNode(const std::string& node);
  std::optional<std::string> RestartNode(const std::string& node);
  std::map<std::string, std::string> Keyspace(const std::string& node);
  // Full syncs that the nodes have served, over all nodes, since each was started.
  uint64_t FullSyncsServed();

  // Agents.
  std::optional<std::string> StartAgent(const std::string& node);
  void KillAgent(const std::string& node);
  std::optional<std::string> RestartAgent(const std::string& node);
  void PauseAgent(const std::string& node);
  void ResumeAgent(const std::string& node);
  uint16_t AgentPort(const std::string& node) { return Find(node).api_port; }
  uint16_t RelayPort(const std::string& node) { return Find(node).relay_port; }
  Process& AgentProcess(const std::string& node) { return Find(node).agent; }
  std::string AgentLog(const std::string& node) const;
  HttpAnswer CallAgent(const std::string& node, const std::string& method, const std::string& target,
                       const std::string& body = "");

  // Links, with `proxied`.
  void Cut(const std::string& left, const std::string& right);
  void Heal(const std::string& left, const std::string& right);
  void Isolate(const std::string& node);  // from the controller and every other node
  void Heal();                            // all of them
  void Delay(std::chrono::milliseconds each_way);

  // The controller. `environment` may name a crash point: {{"WALSTITCH_CRASH_AT", "after-decision"}}.
  std::optional<std::string> StartController(const std::map<std::string, std::string>& environment = {});
  void KillController() { controller_.Kill(); }
  std::optional<std::string> RestartController(const std::map<std::string, std::string>& environment = {});
  Process& ControllerProcess() { return controller_; }
  uint16_t ControllerPort() const { return controller_port_; }
  HttpAnswer CallController(const std::string& method, const std::string& target,
                            const std::string& body = "");
  // Sees every answer that this Cluster gets of an API of `program`, "controller" or "agent", its own
  // questions' among them.
  using Witness = std::function<void(const std::string& program, const std::string& method,
                                     const std::string& target, const HttpAnswer& answer)>;
  void SetWitness(Witness witness) { witness_ = std::move(witness); }
  // Replaces the policy file; the controller reads it again by itself.
  void WritePolicy(const std::string& content);
  std::string PolicyFile() const { return directory_.path() + "/policies/policy.yaml"; }
  // What the program of that name has written: "controller", "agent-n1".
  std::string LogOf(const std::string& program) const;

  // What the controller says. Empty or absent if it does not answer.
  boost::json::value Status();
  std::string Master();  // of the present epoch; empty: none
  uint64_t Epoch();
  std::string Condition(const std::string& node);
  std::optional<Report> ReportOf(const std::string& node);
  bool HasFinding(const std::string& code);
  std::vector<DecisionRecord> Decisions();  // newest first
  std::optional<DecisionRecord> LastDecision(const std::string& node);
  // The newest closed rejoin of the node that was more than being held.
  std::optional<DecisionRecord> LastRejoin(const std::string& node);

  // Orders. `body` is more of the request, such as {"force": true}.
  Answer Failover(const std::string& to = "", boost::json::object body = {});
  Answer Switchover(const std::string& to = "", boost::json::object body = {});
  Answer Adopt(boost::json::object body = {});
  Answer Release(boost::json::object body = {});
  // The command line, pointed at this controller.
  CommandOutput Cli(const std::vector<std::string>& arguments);

  // Waiting. False when the time was over.
  bool WaitUntil(const std::function<bool()>& condition,
                 std::chrono::milliseconds timeout = std::chrono::seconds(20));
  bool WaitCondition(const std::string& node, const std::string& condition,
                     std::chrono::milliseconds timeout = std::chrono::seconds(20));
  // The node follows the present master, and has all that it has.
  bool WaitInService(const std::string& node, std::chrono::milliseconds timeout = std::chrono::seconds(20));
  // There is a master, all others follow it and have all that it has, and no decision is open.
  bool WaitSettled(std::chrono::milliseconds timeout = std::chrono::seconds(20));

  // The master dies with a tail: `tail` is written to it and reaches nobody else. The
  // others are parked, and nobody is promoted. Waits before anything for a settled group.
  using Writer = std::function<void(RedisClient&)>;
  std::optional<std::string> DieWithTail(const Writer& tail);

  // Makes two histories: `tail` is written to the master and to nobody else, then the master dies and
  // `heir` is promoted, and `missed` is written there. The old master stays down; restart it to see it
  // rejoined. Waits before anything for a settled group.
  std::optional<std::string> Diverge(const std::string& heir, const Writer& tail, const Writer& missed);

  // The last lines of every process's output, for a test that failed.
  std::string Logs(size_t bytes_of_each = 4000) const;
  const std::string& directory() const { return directory_.path(); }

 private:
  struct Member {
    std::string name;
    std::unique_ptr<NodeServer> server;
    Process agent;
    uint16_t api_port = 0;
    uint16_t relay_port = 0;
    std::unique_ptr<LinkProxy> agent_link;   // with `proxied`: what others take for the agent's address
    std::unique_ptr<LinkProxy> server_link;  // ... and for the server's
  };

  Member& Find(const std::string& node);
  // Calls it with both links of each of the two that is a node, and the name of the other.
  using LinkChange = std::function<void(LinkProxy&, const std::string& caller)>;
  void ChangeLinks(const std::string& left, const std::string& right, const LinkChange& change);
  HttpAnswer Call(uint16_t port, const std::string& method, const std::string& target,
                  const std::string& body = "");
  std::string TokenFile() const { return directory_.path() + "/token"; }
  std::string PasswordFile() const { return directory_.path() + "/password"; }
  void WriteFile(const std::string& path, const std::string& content) const;
  void WriteAgentConfig(const Member& member) const;
  void WriteControllerConfig() const;
  std::optional<std::string> WaitServing(Process& process, uint16_t port, const std::string& output);
  const boost::json::object* FindNode(const boost::json::value& status, const std::string& node) const;
  Answer Order(const std::string& what, boost::json::object body);

  ClusterOptions options_;
  TempDirectory directory_;
  SocketOwners owners_;  // the links ask it
  std::vector<std::unique_ptr<Member>> members_;
  Process controller_;
  uint16_t controller_port_;
  int cli_calls_ = 0;
  Witness witness_;
};

}  // namespace walstitch::test
