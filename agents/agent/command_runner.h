// Carries out one command: the sequence of steps on node and relay, each with what is left of the
// command's deadline. It asks for nothing that the command does not say, never for CONFIG REWRITE, and
// tells failed (had no effect, or an effect that the error names) from unknown (may have had it).
//
// Runs on one executor; one command at a time. Node, relay, WAL, peer and leases are interfaces, owned by the
// caller.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "agents/node/info.h"
#include "policies/model/batch.h"
#include "policies/model/command.h"
#include "policies/model/report.h"
#include "policies/model/result.h"
#include "policies/model/values.h"

namespace walstitch::agent {

// The node's server. Errors as KvrocksClient's.
class NodeControl {
 public:
  virtual ~NodeControl() = default;
  virtual boost::asio::awaitable<Result<node::NodeFacts>> Info(std::chrono::milliseconds timeout) = 0;
  virtual boost::asio::awaitable<Result<void>> SlaveOf(Endpoint master,
                                                       std::chrono::milliseconds timeout) = 0;
  virtual boost::asio::awaitable<Result<void>> SlaveOfNoOne(std::chrono::milliseconds timeout) = 0;
  // Closes the connections of all clients.
  virtual boost::asio::awaitable<Result<void>> DropClients(std::chrono::milliseconds timeout) = 0;
  // CONFIG SET.
  virtual boost::asio::awaitable<Result<void>> Configure(std::string name, std::string value,
                                                         std::chrono::milliseconds timeout) = 0;
  // Of a master: the batch's records, in one write of their own or of several writers'.
  virtual boost::asio::awaitable<Result<void>> ApplyBatch(std::string batch,
                                                          std::chrono::milliseconds timeout) = 0;
};

// relay::Relay, as far as commands need it.
class RelayControl {
 public:
  virtual ~RelayControl() = default;
  [[nodiscard]] virtual RelayReport Report() const = 0;
  virtual void Park() = 0;
  virtual void Idle() = 0;
  virtual boost::asio::awaitable<Result<Sequence>> WaitAttached(std::chrono::milliseconds timeout) = 0;
  virtual boost::asio::awaitable<Result<void>> Pad(PadAction action, std::chrono::milliseconds timeout) = 0;
  virtual boost::asio::awaitable<Result<void>> Feed(Sequence expected_next, std::vector<std::string> batches,
                                                    std::chrono::milliseconds timeout) = 0;
  virtual boost::asio::awaitable<Result<void>> Follow(FollowAction action,
                                                      std::chrono::milliseconds timeout) = 0;
  virtual boost::asio::awaitable<Result<Sequence>> Splice(SpliceAction action,
                                                          std::chrono::milliseconds timeout) = 0;
  virtual Result<void> FollowOn(Sequence met) = 0;
  virtual boost::asio::awaitable<Result<void>> FullSync(FullSyncAction action,
                                                        std::chrono::milliseconds timeout) = 0;
};

// What commands ask of the node's WAL.
class WalControl {
 public:
  virtual ~WalControl() = default;
  // The marker of the batch that holds the sequence; empty if it has none.
  virtual boost::asio::awaitable<Result<std::string>> MarkerAt(Sequence sequence) = 0;
  // How many records of the decision's filler (agents/wal/filler.h) the WAL holds in the range. kNotFound if
  // it does not reach back so far; kTimeout if there was too much to read.
  virtual boost::asio::awaitable<Result<std::uint64_t>> FillerIn(SequenceRange range, std::string decision,
                                                                 std::chrono::milliseconds timeout) = 0;
};

// Plans that take a tail back (undo_service.h).
class UndoControl {
 public:
  virtual ~UndoControl() = default;
  // The batches of the plan with that digest, numbered from `first`, marked for the decision; the plan is
  // given away by that. kConflict: it is not known.
  virtual Result<std::vector<std::string>> TakeUndoBatches(const std::string& digest, Sequence first,
                                                           const std::string& decision) = 0;
};

// What became of one key on the master.
struct MendedKey {
  std::uint64_t bytes = 0;         // of the value that was rewritten
  std::string why_not{};           // not empty: it could not be, and why
  bool changed_each_time = false;  // by others, whenever it was tried
};

// Single keys (key_service.h).
class KeyControl {
 public:
  using Deadline = std::chrono::steady_clock::time_point;
  virtual ~KeyControl() = default;
  // The node follows. An Error: it could not be found out.
  virtual boost::asio::awaitable<Result<Comparison>> Compare(CompareAction action, Deadline deadline) = 0;
  // The node is the master. An Error: its server does not answer; the key may have been written. `since`: a
  // sequence that it had when the command began.
  virtual boost::asio::awaitable<Result<MendedKey>> Repair(UserKeyName name, std::uint64_t max_bytes,
                                                           Sequence since) = 0;
  virtual boost::asio::awaitable<Result<MendedKey>> Evict(UserKeyName name) = 0;
  // A command that changes what the node is waits for the one under way.
  [[nodiscard]] virtual bool RoleChangeWaits() const = 0;
};

// The WAL of another node, by its name, served by its agent, "http://host:port".
class PeerWal {
 public:
  virtual ~PeerWal() = default;
  // Whole batches from exactly `from` on; at least one, if there is any, however large it is. Of a server
  // that is dead; and of one that is alive.
  virtual boost::asio::awaitable<Result<TailBatches>> Tail(std::string node, std::string url, Sequence from,
                                                           std::uint64_t max_bytes,
                                                           std::chrono::milliseconds timeout) = 0;
  virtual boost::asio::awaitable<Result<TailBatches>> Lent(std::string node, std::string url, Sequence from,
                                                           std::uint64_t max_bytes,
                                                           std::chrono::milliseconds timeout) = 0;
};

// The agent's leases and promises, as far as commands need them (lease_keeper.h).
class LeaseControl {
 public:
  virtual ~LeaseControl() = default;
  // kConflict unless the node may be promoted now. From then on until the command has ended, the agent
  // promises nothing to another master.
  virtual Result<void> MayPromote(const PromoteAction& action) = 0;
  // The same again, and then the command's lease is noted, durably: the caller promotes.
  virtual boost::asio::awaitable<Result<void>> TakeLease(PromoteAction action) = 0;
  virtual boost::asio::awaitable<Result<void>> TakeLease(AdoptMasterAction action) = 0;
  // kConflict if the node, a master, was given a lease and it is over.
  [[nodiscard]] virtual Result<void> MayWrite() const = 0;
  // The node is no master any more, or has not become one.
  virtual void EndLease() = 0;
  // The group is released: the node is left alone for good.
  virtual boost::asio::awaitable<Result<void>> ForgetLease() = 0;
};

// The agent's salvages, as far as commands need them (salvage_service.h).
class SalvageControl {
 public:
  virtual ~SalvageControl() = default;
  // Done means durable. An Error: nothing was kept, and it may be asked again.
  virtual boost::asio::awaitable<Result<SalvageRef>> Keep(SalvageAction action,
                                                          std::chrono::steady_clock::time_point deadline) = 0;
};

struct RunnerOptions {
  Endpoint relay;         // what the node is told to be the slave of
  bool tls_only = false;  // other nodes' servers are reached by TLS, and the node itself replicates in plain
  std::chrono::milliseconds poll_interval{10};      // between two INFO of one command, at most
  std::chrono::milliseconds settle_time{500};       // see CommandRunner::Settle
  std::chrono::milliseconds call_timeout{2000};     // one INFO
  std::chrono::milliseconds attach_patience{3000};  // then the node's replication thread is ended, see Attach
  std::chrono::milliseconds refused_interval{100};  // before a SLAVEOF that may soon be taken is sent again
  std::chrono::milliseconds peer_timeout{10000};    // one answer of another node's agent
};

class CommandRunner {
 public:
  CommandRunner(NodeControl& node, RelayControl& relay, WalControl& wal, PeerWal& peer, LeaseControl& leases,
                SalvageControl& salvages, UndoControl& undo, KeyControl& keys, RunnerOptions options)
      : node_(node),
        relay_(relay),
        wal_(wal),
        peer_(peer),
        leases_(leases),
        salvages_(salvages),
        undo_(undo),
        keys_(keys),
        options_(options) {}

  boost::asio::awaitable<CommandResult> Run(Command command, std::chrono::steady_clock::time_point deadline);

 private:
  using Deadline = std::chrono::steady_clock::time_point;
  using Step = boost::asio::awaitable<CommandResult>;

  Step Do(ParkAction action, Deadline deadline);
  Step Do(PromoteAction action, Deadline deadline);
  Step Do(PadAction action, Deadline deadline);
  Step Do(FollowAction action, Deadline deadline);
  Step Do(RescueAction action, Deadline deadline);
  Step Do(SalvageAction action, Deadline deadline);
  Step Do(FullSyncAction action, Deadline deadline);
  Step Do(AdoptMasterAction action, Deadline deadline);
  Step Do(ReleaseAction action, Deadline deadline);
  Step Do(AdvanceAction action, Deadline deadline);
  Step Do(SpliceAction action, Deadline deadline);
  Step Do(RepairAction action, Deadline deadline);
  Step Do(CompareAction action, Deadline deadline);
  Step Do(OfferPaddingAction action, Deadline deadline);
  // Takes the tail back as the action says. Why not; nullopt: it is done, and the action goes on behind it.
  boost::asio::awaitable<std::optional<std::string>> Undo(SpliceAction* action, Sequence* last,
                                                          Deadline deadline);

  boost::asio::awaitable<Result<node::NodeFacts>> Info(Deadline deadline);
  [[nodiscard]] bool BelongsToRelay(const node::NodeFacts& facts) const;
  // The result to answer with where the node is not held parked by its relay; nullopt: it is.
  [[nodiscard]] std::optional<CommandResult> NotParked(const node::NodeFacts& facts) const;

  // What SLAVEOF came to: nullopt, the node has that master; else the result to answer with.
  boost::asio::awaitable<std::optional<CommandResult>> SetMaster(Endpoint master, Deadline deadline);

  // 1. A client has a connection to a master. 2. That becomes a replica, and another the master. 3. Most
  // clients go on writing to whom they are connected to, and are refused for ever. So they lose their
  // connections when their master is none any more, and find the new one; and once more when the new one is
  // there, for some have come back in between. An older server that knows no such command loses nothing by
  // it.
  boost::asio::awaitable<void> DropClients();
  boost::asio::awaitable<void> DropClientsOfAMaster();

  // Makes the node the relay's replica, if it is not, and waits until it is attached.
  boost::asio::awaitable<std::optional<CommandResult>> Attach(node::NodeFacts facts, Deadline deadline);

  // Waits until the node, parked, has applied what it was fed: its next is `end`. Sets `last` to what it held
  // at the last look. nullopt: it is there; else why not. `state`: gives up once the relay is in another one.
  boost::asio::awaitable<std::optional<std::string>> AwaitApplied(
      Sequence end, Sequence* last, Deadline deadline, std::optional<RelayState> state = std::nullopt);

  // Waits until the node, parked, has applied all that it was sent, and gives its last.
  boost::asio::awaitable<Result<Sequence>> Settle(Deadline deadline);

  NodeControl& node_;
  RelayControl& relay_;
  WalControl& wal_;
  PeerWal& peer_;
  LeaseControl& leases_;
  SalvageControl& salvages_;
  UndoControl& undo_;
  KeyControl& keys_;
  RunnerOptions options_;
  bool was_master_ = false;  // since it followed anybody last
};

}  // namespace walstitch::agent
