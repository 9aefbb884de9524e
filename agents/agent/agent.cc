#include "agents/agent/agent.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/json/value.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "agents/agent/api.h"
#include "agents/agent/boot_clock.h"
#include "agents/agent/command_runner.h"
#include "agents/agent/command_service.h"
#include "agents/agent/disk.h"
#include "agents/agent/key_service.h"
#include "agents/agent/lease_keeper.h"
#include "agents/agent/lease_service.h"
#include "agents/agent/leave.h"
#include "agents/agent/metrics.h"
#include "agents/agent/node_monitor.h"
#include "agents/agent/offload.h"
#include "agents/agent/peer_wal.h"
#include "agents/agent/report_builder.h"
#include "agents/agent/salvage_api.h"
#include "agents/agent/salvage_service.h"
#include "agents/agent/state_file.h"
#include "agents/agent/undo_service.h"
#include "agents/agent/wal_service.h"
#include "agents/agent/wall_clock.h"
#include "agents/http/audit_log.h"
#include "agents/http/http_server.h"
#include "agents/metrics/http_numbers.h"
#include "agents/node/ask_role.h"
#include "agents/relay/gate.h"
#include "agents/relay/relay.h"
#include "agents/wal/log_file.h"
#include "policies/model/json.h"

namespace walstitch::agent {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

namespace {

constexpr milliseconds kHealthTimeout{1000};
constexpr milliseconds kWalTimeout{5000};
constexpr milliseconds kFreshTimeout{2500};  // two INFO that time out, and a little
constexpr milliseconds kUpstreamTimeout{1000};
constexpr milliseconds kTick{100};
constexpr milliseconds kStreamInterval{400};  // with the tick, a report at least twice a second
constexpr milliseconds kReadableInterval{2000};
constexpr milliseconds kDiskInterval{2000};
constexpr milliseconds kStrangersInterval{10000};

node::ClientOptions ClientTo(const AgentConfig& config, milliseconds timeout) {
  node::ClientOptions options;
  options.host = config.kvrocks.host;
  options.port = config.kvrocks.port;
  options.password = config.password;
  options.timeout = timeout;
  return options;
}

// The node's server, called on the command thread.
class ThreadedNode : public NodeControl {
 public:
  ThreadedNode(node::ClientOptions options, asio::thread_pool& pool)
      : client_(std::move(options)), pool_(pool) {}

  asio::awaitable<Result<node::NodeFacts>> Info(milliseconds timeout) override {
    auto work = [this, timeout]() -> Result<node::NodeFacts> {
      auto info = client_.Info(timeout);
      if (!info) return Fail(info.error());
      return node::ReadFacts(*info);
    };
    co_return co_await RunOn(pool_, std::move(work));
  }
  asio::awaitable<Result<void>> SlaveOf(Endpoint master, milliseconds timeout) override {
    auto work = [this, master, timeout] { return client_.SlaveOf(master, timeout); };
    co_return co_await RunOn(pool_, std::move(work));
  }
  asio::awaitable<Result<void>> SlaveOfNoOne(milliseconds timeout) override {
    auto work = [this, timeout] { return client_.SlaveOfNoOne(timeout); };
    co_return co_await RunOn(pool_, std::move(work));
  }
  asio::awaitable<Result<void>> DropClients(milliseconds timeout) override {
    auto work = [this, timeout] { return client_.DropClients(timeout); };
    co_return co_await RunOn(pool_, std::move(work));
  }
  asio::awaitable<Result<void>> Configure(std::string name, std::string value,
                                          milliseconds timeout) override {
    auto work = [this, name = std::move(name), value = std::move(value), timeout] {
      return client_.ConfigSet(name, value, timeout);
    };
    co_return co_await RunOn(pool_, std::move(work));
  }
  asio::awaitable<Result<void>> ApplyBatch(std::string batch, milliseconds timeout) override {
    auto work = [this, bytes = std::move(batch), timeout] { return client_.ApplyBatch(bytes, timeout); };
    co_return co_await RunOn(pool_, std::move(work));
  }

 private:
  node::KvrocksClient client_;  // the pool's
  asio::thread_pool& pool_;
};

class RelayAdapter : public RelayControl {
 public:
  // `others_wait`: commands wait behind the one that calls.
  RelayAdapter(relay::Relay& relay, std::function<bool()> others_wait)
      : relay_(relay), others_wait_(std::move(others_wait)) {}
  [[nodiscard]] RelayReport Report() const override { return relay_.Report(); }
  void Park() override { relay_.Park(); }
  void Idle() override { relay_.Idle(); }
  asio::awaitable<Result<Sequence>> WaitAttached(milliseconds timeout) override {
    return relay_.WaitAttached(timeout);
  }
  asio::awaitable<Result<void>> Pad(PadAction action, milliseconds timeout) override {
    return relay_.Pad(std::move(action), timeout);
  }
  asio::awaitable<Result<void>> Feed(Sequence expected_next, std::vector<std::string> batches,
                                     milliseconds timeout) override {
    return relay_.Feed(expected_next, std::move(batches), timeout);
  }
  asio::awaitable<Result<void>> Follow(FollowAction action, milliseconds timeout) override {
    return relay_.Follow(std::move(action), timeout);
  }
  asio::awaitable<Result<Sequence>> Splice(SpliceAction action, milliseconds timeout) override {
    if (others_wait_()) co_return Fail(ErrorCode::kConflict, "another command waits; nothing was replayed");
    co_return co_await relay_.Splice(std::move(action), timeout);
  }
  Result<void> FollowOn(Sequence met) override { return relay_.FollowOn(met); }
  asio::awaitable<Result<void>> FullSync(FullSyncAction action, milliseconds timeout) override {
    return relay_.FullSync(std::move(action), timeout);
  }

 private:
  relay::Relay& relay_;
  std::function<bool()> others_wait_;
};

}  // namespace

class Agent::Impl : public ApiBackend, public LeaseServiceOwner {
 public:
  Impl(asio::any_io_executor executor, AgentConfig config, wal::UndoPlanner undo_planner)
      : executor_(std::move(executor)),
        config_(std::move(config)),
        undo_planner_(undo_planner),
        looked_(executor_),
        leave_(config_.leave_directory) {}
  ~Impl() override { Stop(); }

  Result<void> Start();
  void Stop();

  Report CurrentReport() override;
  asio::awaitable<Report> FreshReport() override;
  asio::awaitable<Result<CommandResult>> Submit(Command command) override;
  asio::awaitable<Result<std::string>> AskWal(WalService::Question question) override;
  asio::awaitable<Result<std::string>> AskDeadWal(WalService::Question question) override;
  asio::awaitable<Result<wal::Stay>> AskStay(Sequence sequence) override;
  asio::awaitable<Result<UpstreamRole>> AskUpstreamRole() override;
  asio::awaitable<PromiseAnswer> Promise(PromiseRequest request) override;
  asio::awaitable<http::Response> HandleSalvage(http::Request request) override;
  asio::awaitable<Result<UndoEvidence>> PlanUndo(UndoQuestion question) override {
    co_return co_await undo_->Plan(std::move(question));
  }
  asio::awaitable<Result<WrittenAnswer>> Written(WrittenQuestion question) override {
    co_return co_await undo_->Written(std::move(question));
  }
  asio::awaitable<Result<ValuesAnswer>> Values(KeysQuestion question) override {
    co_return co_await keys_->Values(std::move(question));
  }
  asio::awaitable<Result<RepairableAnswer>> Repairable(KeysQuestion question) override {
    co_return co_await keys_->Repairable(std::move(question));
  }
  [[nodiscard]] std::string Identity() const override { return config_.group + "/" + config_.node; }
  asio::awaitable<std::string> Metrics() override;
  [[nodiscard]] bool SlotEncoded() const override;

  // LeaseServiceOwner
  [[nodiscard]] std::uint64_t HighestEpoch() const override { return commands_->Epoch(); }
  std::uint64_t LookNow() override;
  void ParkRelay() override { relay_->Park(); }
  void LeaseChanged() override;

 private:
  Result<CommandLedger> RestoreLedger();
  Result<void> StartLeases();
  void ShowLeases();
  void TellOfStrangers();
  void Seen(Observation seen);
  void LogChanges(const Observation& before, const Observation& after) const;
  void AlignRelay();
  void LookWhetherItLeaves();
  void RelayChanged();
  void CommandsChanged();
  void Publish(bool always);
  void Subscribe(const http::Request& request, std::shared_ptr<http::Stream> stream);
  asio::awaitable<void> Tick();
  asio::awaitable<void> ReadWal();
  asio::awaitable<void> LookAtDisk();
  asio::awaitable<void> LearnDatabaseName(std::string name);

  asio::any_io_executor executor_;
  AgentConfig config_;
  wal::UndoPlanner undo_planner_;
  std::atomic<bool> stop_{false};

  std::optional<http::Credentials> peers_;  // shown to other agents
  std::optional<StateFile> state_file_;
  std::optional<asio::thread_pool> command_pool_;
  relay::TlsContexts upstream_tls_;  // empty: in plain
  // For what is told of their certificates; null: in plain.
  std::shared_ptr<http::TlsIdentity> relay_tls_identity_;
  std::shared_ptr<http::TlsIdentity> upstream_tls_identity_;
  std::shared_ptr<http::TlsIdentity> gate_tls_identity_;
  std::optional<relay::Relay> relay_;
  std::optional<relay::Gate> gate_;
  std::array<std::uint64_t, relay::kRefusedCount> strangers_{};  // that were told of
  Clock::time_point next_strangers_;
  std::optional<RelayAdapter> relay_control_;
  std::optional<ThreadedNode> node_control_;
  std::optional<WalService> wal_;
  std::optional<HttpPeerWal> peer_wal_;
  std::optional<LeaseService> leases_;
  std::optional<SalvageService> salvages_;
  std::optional<UndoService> undo_;
  std::optional<KeyService> keys_;
  std::optional<CommandRunner> runner_;
  std::optional<CommandService> commands_;
  std::optional<NodeMonitor> monitor_;
  std::optional<http::Server> server_;

  // What the last look saw, and what is known from before.
  Observation seen_;
  std::optional<node::NodeFacts> known_;
  std::optional<Role> role_;  // the last one told of this run of the process
  bool replication_id_psync_ = false;
  std::optional<bool> empties_before_full_sync_;
  Signal looked_;
  std::uint64_t trusted_from_ = 0;  // looks that began earlier may tell of the time before a command

  int waiting_commands_ = 0;  // that are no salvages

  bool wal_readable_ = false;
  std::optional<Sequence> wal_last_;  // of a process that is down
  bool reading_wal_ = false;
  Clock::time_point next_wal_read_;
  std::string wal_error_;
  std::optional<WalExtent> wal_extent_;  // when the files were last looked at
  std::uint64_t found_parked_ = 0;       // times that the node became its relay's replica by itself

  std::string boot_id_;
  std::optional<asio::thread_pool> disk_pool_;
  std::optional<asio::thread_pool> upstream_pool_;  // asks other nodes' servers, which may be out of reach
  bool asking_upstream_ = false;
  std::optional<DiskReport> disk_;
  std::optional<DiskReport> state_disk_;  // what holds the state directory, and the salvages
  bool looking_at_disk_ = false;
  Clock::time_point next_disk_look_;

  LeaveFiles leave_;
  bool leaving_ = false;
  std::string leave_problem_;  // said already

  std::vector<std::shared_ptr<http::Stream>> streams_;
  Report published_;
  Clock::time_point published_at_;
  std::uint64_t number_ = 0;
  bool publish_posted_ = false;
  bool was_attached_ = false;
};

Result<CommandLedger> Agent::Impl::RestoreLedger() {
  auto file = StateFile::Open(config_.state_directory, "agent.json");
  if (!file) return Fail(file.error());
  state_file_.emplace(std::move(*file));
  auto text = state_file_->Read();
  if (!text) return Fail(text.error());
  if (!*text) return CommandLedger(config_.node, config_.group);
  auto restored = CommandLedger::Restore(**text, config_.node, config_.group);
  if (restored) return restored;
  // Going on without it would forget the highest epoch, and obey commands that are too old.
  return Fail(restored.error().Code(), state_file_->Path() + ": " + restored.error().Message() +
                                           "; put the right file back, or move it away if this node's "
                                           "controller has no open command");
}

Result<void> Agent::Impl::StartLeases() {
  auto boot_id = ReadBootId();
  if (!boot_id) return Fail(boot_id.error());
  boot_id_ = *boot_id;
  auto file = state_file_->Beside("lease.json");
  if (!file) return Fail(file.error());
  auto text = file->Read();
  if (!text) return Fail(text.error());
  LeaseKeeper keeper(config_.node, config_.group, boot_id_);
  if (*text) {
    auto restored = LeaseKeeper::Restore(**text, config_.node, config_.group, boot_id_);
    if (!restored) {
      // Going on without it would forget a promise, and that a master is to be parked.
      return Fail(restored.error().Code(), file->Path() + ": " + restored.error().Message() +
                                               "; put the right file back, or move it away if no master of "
                                               "its group depends on a promise");
    }
    keeper = std::move(*restored);
  }
  LeaseServiceOptions options;
  options.node = config_.node;
  options.peers = *peers_;
  options.relay = config_.relay;
  options.client = ClientTo(config_, kHealthTimeout);
  leases_.emplace(executor_, *this, std::move(options), std::move(keeper), std::move(*file));
  return {};
}

Result<void> Agent::Impl::Start() {
  auto peers = http::Credentials::Load(config_.access.Own(), config_.peer_tls);
  if (!peers) return Fail(peers.error(), "peers");
  peers_ = std::move(*peers);
  auto ledger = RestoreLedger();
  if (!ledger) return Fail(ledger.error());
  if (auto leases = StartLeases(); !leases) return leases;

  relay::RelayOptions relay_options;
  relay_options.listen_host = config_.relay.host;
  relay_options.listen_port = config_.relay.port;
  relay_options.database_name =
      config_.database_name.empty() ? ledger->DatabaseName() : config_.database_name;
  relay_options.node_password = config_.relay_password;
  if (config_.relay_tls) {
    auto identity = http::TlsIdentity::Load(http::TlsEnd::kServer, *config_.relay_tls);
    if (!identity) return Fail(identity.error(), "relay.tls");
    relay_tls_identity_ = *identity;
    relay_options.node_tls = [shown = *identity] { return shown->Context(); };
  }
  if (config_.upstream_tls) {
    auto identity = http::TlsIdentity::Load(http::TlsEnd::kClient, *config_.upstream_tls);
    if (!identity) return Fail(identity.error(), "upstreamTls");
    upstream_tls_identity_ = *identity;
    upstream_tls_ = [shown = *identity] { return shown->Context(); };
    relay_options.upstream_tls = upstream_tls_;
    relay_options.upstream_port = config_.upstream_port;
    relay_options.upstream_tls_name = config_.upstream_tls->server_name;
  }
  relay_options.upstream_password = config_.upstream_password;
  relay_options.announce_host = config_.announce.host;
  relay_options.announce_port = config_.announce.port;
  relay_.emplace(executor_, relay_options, [this] { RelayChanged(); });
  auto listening = relay_->Start();
  if (!listening) return Fail(listening.error(), "relay");

  if (config_.gate.port != 0) {
    auto identity = http::TlsIdentity::Load(http::TlsEnd::kServer, config_.gate_tls);
    if (!identity) return Fail(identity.error(), "gate");
    gate_tls_identity_ = *identity;
    relay::GateOptions gate_options;
    gate_options.listen_host = config_.gate.host;
    gate_options.listen_port = config_.gate.port;
    gate_options.server = config_.kvrocks;
    gate_options.client_name = config_.gate_client_name;
    gate_options.tls = [shown = *identity] { return shown->Context(); };
    gate_.emplace(executor_, std::move(gate_options));
    if (auto opened = gate_->Start(); !opened) return Fail(opened.error(), "gate");
  }

  command_pool_.emplace(1);
  disk_pool_.emplace(1);
  upstream_pool_.emplace(1);
  relay_control_.emplace(*relay_, [this] { return commands_->OthersWait(); });
  node::ClientOptions command_client = ClientTo(config_, kHealthTimeout);
  command_client.stop = &stop_;
  node_control_.emplace(command_client, *command_pool_);
  wal_.emplace(config_.data_directory, ClientTo(config_, kWalTimeout));
  RunnerOptions runner_options;
  runner_options.relay = config_.relay;
  runner_options.tls_only = config_.upstream_tls && (config_.upstream_port != 0 || !config_.relay_tls);
  peer_wal_.emplace(config_.group, *peers_, *command_pool_);
  SalvageServiceOptions salvage_options;
  salvage_options.executor = executor_;
  salvage_options.node = config_.node;
  salvage_options.group = config_.group;
  salvage_options.state_directory = config_.state_directory;
  salvage_options.data_directory = config_.data_directory;
  salvage_options.client = ClientTo(config_, kWalTimeout);
  salvage_options.peers = *peers_;
  salvage_options.limits = config_.salvage;
  salvage_options.slot_encoded = [this] { return SlotEncoded(); };
  salvages_.emplace(std::move(salvage_options));
  salvages_->Start();
  UndoServiceOptions undo_options;
  undo_options.data_directory = config_.data_directory;
  undo_options.client = ClientTo(config_, kWalTimeout);
  undo_options.group = config_.group;
  undo_options.peers = *peers_;
  undo_options.slot_encoded = [this] { return SlotEncoded(); };
  undo_options.planner = undo_planner_;
  undo_.emplace(std::move(undo_options));
  KeyServiceOptions key_options;
  key_options.data_directory = config_.data_directory;
  key_options.client = ClientTo(config_, kWalTimeout);
  key_options.group = config_.group;
  key_options.peers = *peers_;
  key_options.slot_encoded = [this] { return SlotEncoded(); };
  key_options.role_change_waits = [this] { return commands_->RoleChangeWaits(); };
  keys_.emplace(std::move(key_options));
  runner_.emplace(*node_control_, *relay_control_, *wal_, *peer_wal_, *leases_, *salvages_, *undo_, *keys_,
                  runner_options);
  commands_.emplace(
      executor_, *command_pool_, std::move(*ledger),
      [this](Command command, Clock::time_point deadline) {
        return runner_->Run(std::move(command), deadline);
      },
      [this](const std::string& state) { return state_file_->Write(state); }, [this] { CommandsChanged(); });
  MonitorOptions monitor_options;
  if (!config_.data_directory.empty()) monitor_options.database_directory = config_.data_directory + "/db";
  monitor_.emplace(executor_, ClientTo(config_, kHealthTimeout), monitor_options,
                   [this](Observation seen) { Seen(std::move(seen)); });

  http::ServerOptions server_options;
  server_options.host = config_.api.host;
  server_options.port = config_.api.port;
  server_options.need = NeedOf;
  server_options.audit = http::AuditToLog();
  if (auto guarded = http::Guard(config_.access, &server_options); !guarded)
    return Fail(guarded.error(), "api");
  server_.emplace(
      executor_, server_options,
      [this](http::Request request) { return HandleRequest(this, std::move(request)); },
      [this](const http::Request& request, std::shared_ptr<http::Stream> stream) {
        Subscribe(request, std::move(stream));
      });
  auto serving = server_->Start();
  if (!serving) return Fail(serving.error(), "api");
  leases_->Start();  // from now on connections are not refused any more

  monitor_->Start();
  asio::co_spawn(executor_, Tick(), asio::detached);
  spdlog::info(
      "Agent of node {} of group {} serves its API on {}, and its relay on {}; the highest epoch seen is {}.",
      config_.node, config_.group, config_.api.ToString(), config_.relay.ToString(), commands_->Epoch());
  return {};
}

void Agent::Impl::Stop() {
  if (stop_.exchange(true)) return;
  if (server_) server_->Stop();
  streams_.clear();
  if (monitor_) monitor_->Stop();
  if (leases_) leases_->Stop();
  if (relay_) relay_->Stop();
  if (gate_) gate_->Stop();
  if (wal_) wal_->Stop();
  if (salvages_) salvages_->Stop();
  if (undo_) undo_->Stop();
  if (keys_) keys_->Stop();
  if (command_pool_) {
    // A command under way ends soon, since stop_ ends its calls; whether it had its effect is said to be
    // unknown at the next start.
    command_pool_->stop();
    command_pool_->join();
  }
  if (disk_pool_) {
    disk_pool_->stop();
    disk_pool_->join();
  }
  if (upstream_pool_) {
    upstream_pool_->stop();
    upstream_pool_->join();
  }
  looked_.Notify();
}

Report Agent::Impl::CurrentReport() {
  ReportInput input;
  input.node = config_.node;
  input.group = config_.group;
  input.endpoint = config_.announce;
  input.relay_endpoint = config_.relay;
  input.seen = seen_;
  input.known = known_;
  input.relay = relay_->Report();
  input.wal_last = wal_last_;
  input.wal_readable = wal_readable_;
  input.replication_id_psync = replication_id_psync_;
  input.empties_before_full_sync = empties_before_full_sync_;
  input.epoch = commands_->Epoch();
  input.number = ++number_;
  input.time_ms = UnixMs();
  input.disk = disk_;
  input.fence_note = leases_->FenceNote();
  input.error = wal_error_;
  input.boot_id = boot_id_;
  input.boot_ms = BootMs();
  Report report = BuildReport(input);
  report.leaving = leaving_;
  leases_->Fill(report);
  return report;
}

asio::awaitable<Report> Agent::Impl::FreshReport() {
  const std::uint64_t wanted = monitor_->Request();
  const auto deadline = Clock::now() + kFreshTimeout;
  while (seen_.served < wanted && Clock::now() < deadline && !stop_) co_await looked_.Wait(deadline);
  co_return CurrentReport();
}

asio::awaitable<Result<CommandResult>> Agent::Impl::Submit(Command command) {
  // A salvage may take minutes, and a promotion may not: it is made again.
  const bool salvage = std::holds_alternative<SalvageAction>(command.action);
  if (!salvage) salvages_->SetWaiting(++waiting_commands_);
  // So may a replay: it fails for any other command, and is decided anew.
  std::function<void()> end_splice = [this] {
    if (relay_->Report().state == RelayState::kSplicing) relay_->Park();
  };
  auto result = co_await commands_->Submit(std::move(command), std::move(end_splice));
  if (!salvage) salvages_->SetWaiting(--waiting_commands_);
  co_return result;
}

asio::awaitable<Result<std::string>> Agent::Impl::AskWal(WalService::Question question) {
  co_return co_await wal_->Ask(std::move(question));
}

asio::awaitable<Result<std::string>> Agent::Impl::AskDeadWal(WalService::Question question) {
  co_return co_await wal_->AskDead(std::move(question));
}

asio::awaitable<Result<wal::Stay>> Agent::Impl::AskStay(Sequence sequence) {
  co_return co_await wal_->StayOf(sequence);
}

asio::awaitable<Result<UpstreamRole>> Agent::Impl::AskUpstreamRole() {
  const RelayReport relay = relay_->Report();
  if (!relay.upstream)
    co_return Fail(ErrorCode::kConflict, "the relay of " + config_.node + " follows nobody");
  const Endpoint upstream = *relay.upstream;
  // One at a time: whoever asks waits no longer than the upstream is given.
  if (asking_upstream_) {
    co_return Fail(ErrorCode::kUnavailable,
                   "upstream " + upstream.ToString() + " is being asked already: ask again in a second");
  }
  node::ClientOptions client;
  client.host = upstream.host;
  client.port = upstream.port;
  client.password = config_.upstream_password;
  if (config_.upstream_port != 0) client.port = config_.upstream_port;
  client.tls = upstream_tls_;
  if (config_.upstream_tls) client.tls_name = config_.upstream_tls->server_name;
  client.timeout = kUpstreamTimeout;
  client.stop = &stop_;
  asking_upstream_ = true;
  auto work = [client] { return node::AskRole(client); };
  auto role = co_await RunOn(*upstream_pool_, std::move(work));
  asking_upstream_ = false;
  if (!role && role.error().Code() == ErrorCode::kInvalid) {
    co_return Fail(ErrorCode::kInvalid, "upstream " + upstream.ToString() +
                                            " refuses the agent's password: check upstreamPasswordFile");
  }
  if (!role) co_return Fail(role.error(), "upstream");
  if (*role == Role::kUnknown) {
    co_return Fail(ErrorCode::kConflict, "upstream " + upstream.ToString() + " does not tell its role");
  }
  UpstreamRole answer;
  answer.upstream = upstream;
  answer.role = *role;
  co_return answer;
}

asio::awaitable<http::Response> Agent::Impl::HandleSalvage(http::Request request) {
  co_return co_await HandleSalvageRequest(&*salvages_, commands_->Epoch(), std::move(request));
}

asio::awaitable<std::string> Agent::Impl::Metrics() {
  AgentNumbers numbers;
  auto salvages = co_await salvages_->List();
  numbers.process.program = "walstitch-agent";
  const std::int64_t now = UnixMs() / 1000;
  metrics::AddServer("api", server_->Counts(), now, &numbers.process);
  metrics::AddCertificate("peers", peers_->Tls(), now, &numbers.process);
  metrics::AddCertificate("relay", relay_tls_identity_, now, &numbers.process);
  metrics::AddCertificate("upstream", upstream_tls_identity_, now, &numbers.process);
  metrics::AddCertificate("gate", gate_tls_identity_, now, &numbers.process);
  AddListener("relay", relay_->Listened(), &numbers.process);
  if (gate_) AddListener("gate", gate_->Counts(), &numbers.process);
  numbers.report = CurrentReport();
  numbers.relay = relay_->Counts();
  numbers.leases = leases_->Counts();
  numbers.commands = commands_->Counted();
  numbers.found_parked = found_parked_;
  numbers.wal = wal_extent_;
  numbers.wal_bytes_read = wal::LogBytesRead();
  if (salvages) {
    SalvageNumbers& kept = numbers.salvages.emplace();
    kept.kept = salvages->salvages.size();
    kept.damaged = salvages->damaged.size();
    for (const SalvageManifest& salvage : salvages->salvages) kept.bytes += salvage.Bytes();
  }
  numbers.salvage_limits = config_.salvage;
  numbers.state_disk = state_disk_;
  co_return MetricsText(numbers);
}

asio::awaitable<PromiseAnswer> Agent::Impl::Promise(PromiseRequest request) {
  co_return co_await leases_->Promise(std::move(request));
}

std::uint64_t Agent::Impl::LookNow() {
  trusted_from_ = monitor_->Request();
  return trusted_from_;
}

void Agent::Impl::LeaseChanged() {
  if (!stop_) Publish(true);
}

bool Agent::Impl::SlotEncoded() const { return known_ && known_->cluster_enabled.value_or(false); }

void Agent::Impl::LogChanges(const Observation& before, const Observation& after) const {
  if (before.process != after.process) {
    spdlog::log(after.process == ProcessState::kUp ? spdlog::level::info : spdlog::level::warn,
                "The process of node {} is {}{}.", config_.node, ToString(after.process),
                after.error.empty() ? std::string() : ": " + after.error);
  }
  if (!after.facts) return;
  Role role = known_ ? known_->role : Role::kUnknown;
  if (after.facts->role != role || (known_ && after.facts->master != known_->master)) {
    spdlog::info("Node {} is {}{}.", config_.node, ToString(after.facts->role),
                 after.facts->master ? " of " + after.facts->master->ToString() : std::string());
  }
}

void Agent::Impl::Seen(Observation seen) {
  if (stop_) return;
  LogChanges(seen_, seen);
  const bool was_down = seen_.process == ProcessState::kDown;
  seen_ = std::move(seen);
  if (seen_.facts) known_ = seen_.facts;
  if (seen_.replication_id_psync) replication_id_psync_ = *seen_.replication_id_psync;
  if (seen_.empties_before_full_sync) empties_before_full_sync_ = seen_.empties_before_full_sync;
  if (config_.database_name.empty() && seen_.database_name &&
      *seen_.database_name != commands_->DatabaseName()) {
    relay_->SetDatabaseName(*seen_.database_name);
    asio::co_spawn(executor_, LearnDatabaseName(*seen_.database_name), asio::detached);
  }
  const bool down = seen_.process == ProcessState::kDown;
  if (down != was_down) {
    wal_last_.reset();
    next_wal_read_ = Clock::now();
    if (down && !reading_wal_) asio::co_spawn(executor_, ReadWal(), asio::detached);
  }
  AlignRelay();
  ShowLeases();
  TellOfStrangers();
  looked_.Notify();
  Publish(false);
}

// 1. Somebody floods the relay's listener. 2. A line for each fills the disk that the node writes to.
void Agent::Impl::TellOfStrangers() {
  relay::ListenerCounts counts = relay_->Listened();
  if (gate_) {
    const relay::ListenerCounts gate = gate_->Counts();
    counts.open += gate.open;
    for (std::size_t i = 0; i < relay::kRefusedCount; ++i) counts.refused[i] += gate.refused[i];
  }
  if (counts.refused == strangers_ || Clock::now() < next_strangers_) return;
  std::string which;
  for (std::size_t i = 0; i < relay::kRefusedCount; ++i) {
    if (counts.refused[i] == strangers_[i]) continue;
    which += (which.empty() ? "" : ", ") + std::string(ToString(static_cast<relay::Refused>(i))) + " " +
             std::to_string(counts.refused[i] - strangers_[i]);
  }
  spdlog::warn("The relay{} has sent strangers away: {}; {} connections are open.",
               gate_ ? ", or the gate," : "", which, counts.open);
  strangers_ = counts.refused;
  next_strangers_ = Clock::now() + kStrangersInterval;
}

void Agent::Impl::ShowLeases() {
  LeaseService::NodeLook look;
  look.served = seen_.served;
  look.down = seen_.process == ProcessState::kDown;
  look.known = seen_.facts && seen_.facts->role != Role::kUnknown;
  if (look.known) {
    look.maybe_master = seen_.facts->role == Role::kMaster;
  } else if (!look.down) {
    // It restores a full sync, or it does not answer. A server that hangs, and of which nothing is known, may
    // be a master, and would go on as one.
    look.maybe_master = seen_.process == ProcessState::kHung && (!role_ || *role_ == Role::kMaster);
    if (seen_.process == ProcessState::kUnknown) look.maybe_master = role_ == Role::kMaster;
  }
  if (look.known) role_ = seen_.facts->role;
  if (look.down) role_.reset();
  leases_->Look(look);
}

// The relay's state says whether the node is ours to feed. It is when the node names the relay as its
// master: a master that crashed and boots again comes back parked.
//
// 1. INFO is asked and says `replica of n2`. 2. A follow command adopts the node: the relay follows. 3. The
// answer of 1 arrives late, and the relay is set idle. So nothing is done while a command runs, nor on a
// look that began before the last one ended.
void Agent::Impl::AlignRelay() {
  if (commands_->Busy() || seen_.served < trusted_from_ || leases_->Fencing()) return;
  if (!seen_.facts || seen_.facts->role == Role::kUnknown) return;
  const bool ours = seen_.facts->role == Role::kReplica && seen_.facts->master &&
                    SameEndpoint(*seen_.facts->master, config_.relay);
  const bool idle = relay_->Report().state == RelayState::kIdle;
  if (ours && idle) {
    ++found_parked_;
    relay_->Park();
  }
  if (!ours && !idle) relay_->Idle();
}

void Agent::Impl::RelayChanged() {
  if (stop_ || publish_posted_) return;
  publish_posted_ = true;
  asio::post(executor_, [this] {
    publish_posted_ = false;
    if (stop_) return;
    bool attached = relay_->Report().node_attached;
    if (attached != was_attached_) monitor_->Request();  // a crash shows here first
    was_attached_ = attached;
    Publish(false);
  });
}

void Agent::Impl::CommandsChanged() {
  if (stop_) return;
  trusted_from_ = monitor_->Request();
  if (!commands_->Busy()) leases_->CommandsEnded(trusted_from_);
  Publish(false);
}

void Agent::Impl::Subscribe(const http::Request& request, std::shared_ptr<http::Stream> stream) {
  // By its route, as the role that it needs goes by that. Letting go of it closes it.
  const http::RouteMatch match = http::FindRoute(Routes(), request.method, request.segments);
  if (stop_ || !match.route || Routes()[*match.route].pattern != kStreamPath) return;
  stream->OnMessage([this](const std::string& text) { leases_->HandleMessage(text); });
  stream->Send(Dump(ToJson(CurrentReport())));
  streams_.push_back(std::move(stream));
}

void Agent::Impl::Publish(bool always) {
  std::erase_if(streams_, [](const std::shared_ptr<http::Stream>& stream) { return !stream->Open(); });
  if (streams_.empty()) return;
  Report report = CurrentReport();
  if (!always && SameSubstance(report, published_)) return;
  const std::string text = Dump(ToJson(report));
  for (const auto& stream : streams_) stream->Send(text);
  published_ = std::move(report);
  published_at_ = Clock::now();
}

void Agent::Impl::LookWhetherItLeaves() {
  LeaveFacts facts;
  facts.down = seen_.process == ProcessState::kDown;
  facts.role_known = seen_.facts && seen_.facts->role != Role::kUnknown && !commands_->Busy() &&
                     seen_.served >= trusted_from_;
  facts.master = facts.role_known && seen_.facts->role == Role::kMaster;
  facts.leased = leases_->Leased();
  facts.alone = leases_->Alone();
  const bool leaves = leave_.Look(facts);
  if (leaves != leaving_) {
    spdlog::info("The server of node {} {}.", config_.node,
                 leaves ? "is about to be stopped: another node should take over, if it is the master"
                        : "is not about to be stopped any more");
  }
  if (leave_.Problem() != leave_problem_ && !leave_.Problem().empty()) spdlog::error("{}.", leave_.Problem());
  leave_problem_ = leave_.Problem();
  leaving_ = leaves;
}

asio::awaitable<void> Agent::Impl::Tick() {
  while (!stop_) {
    LookWhetherItLeaves();
    if (Clock::now() >= next_wal_read_ && !reading_wal_) asio::co_spawn(executor_, ReadWal(), asio::detached);
    if (Clock::now() >= next_disk_look_ && !looking_at_disk_) {
      asio::co_spawn(executor_, LookAtDisk(), asio::detached);
    }
    // A lease is renewed by the answers to reports.
    const auto renew = leases_->RenewMs();
    const milliseconds interval = renew ? std::min(milliseconds(*renew), kStreamInterval) : kStreamInterval;
    const auto since = std::chrono::floor<milliseconds>(Clock::now() - published_at_);
    Publish(since >= interval);
    const milliseconds left = interval - std::min(since, interval);
    co_await SleepFor(renew && left > milliseconds(0) ? std::min(left, kTick) : std::min(interval, kTick));
  }
}

asio::awaitable<void> Agent::Impl::LookAtDisk() {
  looking_at_disk_ = true;
  const auto read = [](const std::string& directory) -> std::optional<DiskReport> {
    if (directory.empty()) return std::nullopt;
    auto disk = ReadDisk(directory);
    return disk ? std::optional<DiskReport>(*disk) : std::nullopt;
  };
  auto work = [read, data = config_.data_directory, state = config_.state_directory] {
    return std::pair(read(data), read(state));
  };
  const auto disks = co_await RunOn(*disk_pool_, std::move(work));
  disk_ = disks.first;
  state_disk_ = disks.second;
  next_disk_look_ = Clock::now() + kDiskInterval;
  looking_at_disk_ = false;
}

// Whether the files can be read; and, of a process that is down, where they end.
asio::awaitable<void> Agent::Impl::ReadWal() {
  reading_wal_ = true;
  next_wal_read_ = Clock::now() + kReadableInterval;
  auto readable = co_await wal_->CheckReadable();
  if (wal_readable_ != readable.has_value() && !config_.data_directory.empty()) {
    spdlog::info("The WAL files of {} can{} be read{}.", config_.data_directory, readable ? "" : "not",
                 readable ? std::string() : ": " + readable.error().Message());
  }
  wal_readable_ = readable.has_value();
  wal_error_.clear();
  if (!wal_readable_) wal_extent_.reset();
  if (wal_readable_ && (seen_.process != ProcessState::kDown || !wal_last_)) {
    // Also of a live process: what was read once is not read again when a rejoin waits for the answer.
    auto extent = co_await wal_->DirectoryExtent();
    wal_extent_ = extent ? std::optional<WalExtent>(*extent) : std::nullopt;
    // The process may be up again by now, and writing.
    if (extent && seen_.process == ProcessState::kDown) wal_last_ = extent->last;
    if (!extent && seen_.process == ProcessState::kDown) wal_error_ = extent.error().Message();
  }
  reading_wal_ = false;
  if (!stop_) Publish(false);
}

asio::awaitable<void> Agent::Impl::LearnDatabaseName(std::string name) {
  auto saved = co_await commands_->SaveDatabaseName(std::move(name));
  if (!saved) spdlog::error("The node's db-name is not on disk: {}.", saved.error().Message());
}

Agent::Agent(asio::any_io_executor executor, AgentConfig config, wal::UndoPlanner undo_planner)
    : impl_(std::make_unique<Impl>(std::move(executor), std::move(config), undo_planner)) {}
Agent::~Agent() = default;
Result<void> Agent::Start() { return impl_->Start(); }
void Agent::Stop() { impl_->Stop(); }

}  // namespace walstitch::agent
