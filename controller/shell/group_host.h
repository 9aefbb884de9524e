// The world of one group, for core::GroupRunner: its agents over HTTP and WebSocket, the store, the clock,
// and the controller's own connections to servers. It decides nothing.
//
// Everything runs on the controller's executor but what blocks: that has the pool.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/json/value.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "controller/core/group_runner.h"
#include "controller/shell/agent_client.h"
#include "controller/shell/config.h"
#include "controller/shell/policy_store.h"
#include "controller/shell/store.h"

namespace walstitch::shell {

// What the hosts of all groups share.
struct HostContext {
  boost::asio::any_io_executor executor;
  boost::asio::thread_pool& pool;
  http::Credentials agents;
  std::string kvrocks_password;                    // requirepass of the servers; empty: none
  std::shared_ptr<http::TlsIdentity> kvrocks_tls;  // towards the servers; null: in plain
  std::uint16_t kvrocks_port;                      // of their hosts; 0: what is announced
  Store& store;
  PolicyStore& policies;
  core::Fleet& fleet;
  // Whether this controller leads at this very moment; empty: it is the only one. Asked before leases and
  // commands are given, and servers are fenced: a process may be paused for long, and wakes in the middle of
  // what it did.
  std::function<bool()> leads;
  // Who does not lead is over: what it has begun gets no answer any more, as in a crash, so that nothing of
  // it is closed as undone. False: it may lead again.
  bool over_without = false;
};

class GroupHost : public core::Environment {
 public:
  GroupHost(HostContext context, GroupConfig config, core::FailoverSettings failover);
  ~GroupHost() override;
  GroupHost(const GroupHost&) = delete;
  GroupHost& operator=(const GroupHost&) = delete;

  Result<void> Start();

  // A node that is new, or of which something is set otherwise now: where its agent is, say.
  void PutNode(NodeConfig node);

  [[nodiscard]] const std::string& Name() const { return config_.name; }
  [[nodiscard]] std::vector<NodeConfig> Nodes() const;
  [[nodiscard]] const core::GroupRunner& Runner() const { return runner_; }
  boost::json::value Status() { return runner_.Status(); }
  boost::asio::awaitable<boost::json::value> Plan();

  using Order = void (core::GroupRunner::*)(core::OperatorRequest, core::GroupRunner::AnswerCallback);
  // GroupRunner::Failover and so on.
  boost::asio::awaitable<core::OperatorAnswer> Give(Order order, core::OperatorRequest request);

  // Keys of a salvage back to the master.
  boost::asio::awaitable<Result<core::ReplayReport>> Replay(core::ReplayOrder order);
  // What the agents have: {"salvages": [...], "damaged": [...], "unheard": [{"node", "error"}]}, each of a
  // node.
  boost::asio::awaitable<boost::json::object> Salvages();
  // A question about a salvage, passed on to the node's agent. kNotFound: there is no such node.
  boost::asio::awaitable<Result<boost::json::value>> AskAboutSalvage(std::string node, std::string target);
  // The same, of its keys: those that the choice is about.
  boost::asio::awaitable<Result<SalvagedKeys>> SalvageKeys(std::string node, std::string id,
                                                           core::ReplayChoice choice, std::uint64_t after,
                                                           std::size_t max);

  // core::Environment
  [[nodiscard]] std::int64_t NowMs() const override;
  [[nodiscard]] std::int64_t UnixMs() const override;
  void After(std::int64_t ms, std::function<void()> call) override;
  std::string NewId() override;
  core::DecisionStore& Store() override { return context_.store; }
  void Settle(Done<Result<void>> done) override;
  const TolerancePolicy& Policy() override;
  const std::string& PolicyProblem() override { return context_.policies.Problem(); }
  void FreshReport(const std::string& node, Done<Result<Report>> done) override;
  void Run(Command command, std::int64_t patience_ms, Done<Result<CommandResult>> done) override;
  bool Grant(const LeaseGrant& grant) override;
  void CollectEvidence(core::EvidenceQuestion question, Done<Evidence> done) override;
  void Batches(const std::string& node, SequenceRange range, std::size_t max,
               Done<Result<std::vector<BatchInfo>>> done) override;
  void ListTouched(const std::string& node, SequenceRange range, std::size_t max_keys,
                   Done<Result<Touched>> done) override;
  void StaysFor(const std::string& node, Sequence sequence,
                Done<Result<std::optional<std::int64_t>>> done) override;
  void FindUnrepairable(const std::string& node, std::vector<UserKeyName> keys,
                        Done<Result<RepairableAnswer>> done) override;
  void CarryOutReplay(core::ReplayOrder order, Done<Result<core::ReplaySummary>> done) override;
  void Probe(const Endpoint& server, Done<Result<Role>> done) override;
  void ProbeThrough(const std::string& node, const Endpoint& server, Done<Result<Role>> done) override;
  void Fence(const Endpoint& server, const Endpoint& relay, Done<Result<void>> done) override;
  void Log(core::LogLevel level, const std::string& text) override;
  void FaultPoint(std::string_view name) override;

 private:
  struct Node {
    NodeConfig config;
    AgentClient client;
    std::unique_ptr<http::Subscription> subscription;
    bool connected = false;  // the subscription
    bool foreign = false;    // the agent at this address says that it is another one; it was logged
  };

  void Enter(NodeConfig node);
  void Subscribe(const std::string& node);
  template <typename T>
  void Refuse(Done<Result<T>> done);
  [[nodiscard]] bool Leads() const { return !context_.leads || context_.leads(); }
  void OnMessage(const std::string& node, const std::string& message);

  HostContext context_;
  GroupConfig config_;
  std::map<std::string, Node> nodes_;
  bool started_ = false;
  std::int64_t policies_read_ms_ = 0;
  core::GroupRunner runner_;  // last: its tasks use all of the above
};

}  // namespace walstitch::shell
