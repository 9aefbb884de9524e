// A modelled Kvrocks: a process on a machine, a WAL of batches, and Kvrocks' rules of replication as far as
// they matter here (PSYNC at batch boundaries only, and silently where the number fits; a node boots as the
// replica of its relay; kill -9 keeps all that was written, a machine's crash does not).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "policies/model/report.h"
#include "tests/simulation/history.h"

namespace walstitch::simulation {

class World;

class ServerModel {
 public:
  ServerModel(World& world, std::size_t index) : world_(world), index_(index) {}

  // ---- the process
  void Start();
  void Kill(bool machine_too);  // the machine's crash loses an end of what was not synced
  void Pause();                 // SIGSTOP
  void Continue();

  // Does the call now, or when the process goes on; `alive` is false if the process ends before.
  void Call(std::function<void(bool alive)> call);

  // ---- what a connection may ask of it; from within Call
  void SlaveOfRelay();
  void SlaveOfElsewhere();  // a place where nobody listens
  void SlaveOfNoOne();
  // A client's write. False: refused.
  bool Write(const Batch& batch);

  // ---- as a replica of its relay
  void ApplyFrame(std::uint64_t connection, const Batch& batch);
  void RelayClosed(std::uint64_t connection);
  void AgentGone() { RelayClosed(connection_); }

  // ---- as an upstream of relays
  enum class PsyncAnswer { kAccepted, kRefused, kLoading };
  PsyncAnswer OnPsync(std::size_t agent, std::uint64_t run, std::uint64_t link, std::uint64_t next);
  void DropFeed(std::size_t agent, std::uint64_t link);
  // A copy of its data, for a full sync.
  [[nodiscard]] std::shared_ptr<const History> Checkpoint();

  void Purge();  // all of the WAL but its last batches

  [[nodiscard]] bool Up() const { return up_; }
  [[nodiscard]] bool Paused() const { return paused_; }
  [[nodiscard]] bool Loading() const { return loading_; }
  [[nodiscard]] bool Syncing() const { return syncing_; }
  [[nodiscard]] bool Attached() const { return connection_ != 0; }
  [[nodiscard]] bool OfRelay() const { return role_ == Role::kReplica && !elsewhere_; }
  [[nodiscard]] Role ItsRole() const { return role_; }
  // Clients' writes are taken at this instant.
  [[nodiscard]] bool TakesWrites() const {
    return up_ && !paused_ && !loading_ && role_ == Role::kMaster && !refuses_writes;
  }
  [[nodiscard]] const History& Log() const { return log_; }
  [[nodiscard]] const Data& Keys() const { return data_; }
  [[nodiscard]] std::size_t WalBegin() const { return wal_begin_; }
  [[nodiscard]] std::uint64_t Next() const { return log_.Next(); }
  [[nodiscard]] SyncCounters Counters() const { return counters_; }
  [[nodiscard]] std::int64_t UpSinceUs() const { return up_since_us_; }

  // What the checkers want to know.
  std::int64_t died_us = -1;    // when the process died last
  bool died_as_master = false;  // and was a master then
  bool died_with_machine = false;
  std::size_t reign_start = 0;  // the log's size when it became a master last
  std::int64_t paused_us = -1;  // when it hung last
  bool refuses_writes = false;  // its disk is full, say

 private:
  struct Feed {
    std::size_t agent = 0;
    std::uint64_t run = 0;
    std::uint64_t link = 0;
    std::size_t index = 0;        // of the next batch
    std::int64_t arrives_us = 0;  // of the last frame
    std::int64_t sent_us = 0;
    bool waits = false;  // the network is cut
  };

  void Later(std::int64_t us, std::function<void()> call);  // of this process
  void Append(Batch batch);
  void Pump(Feed& feed);
  void PumpAll();
  void Ping(std::uint64_t link);
  Feed* FindFeed(std::size_t agent, std::uint64_t link);
  void LeaveRelay();
  void Attach();
  void AttachIn(std::int64_t us);
  void Fetch();
  void Restore(std::shared_ptr<const History> copy);

  World& world_;
  std::size_t index_;
  bool up_ = false;
  bool paused_ = false;
  bool loading_ = false;
  std::uint64_t process_ = 0;
  std::int64_t up_since_us_ = 0;
  Role role_ = Role::kReplica;
  bool elsewhere_ = false;
  std::uint64_t slaving_ =
      0;  // counts changes of its master: what an earlier replication thread does is void
  std::uint64_t connection_ = 0;  // to its relay; 0: none
  std::uint64_t connections_ = 0;
  bool syncing_ = false;
  bool copied_ = false;  // since it was last attached

  History log_;
  std::vector<std::int64_t> applied_us_;  // of each batch
  std::size_t wal_begin_ = 0;
  Data data_;
  SyncCounters counters_;

  std::vector<std::function<void(bool)>> waiting_;               // calls of a paused process
  std::vector<std::pair<std::uint64_t, Batch>> waiting_frames_;  // and frames of its relay
  std::vector<Feed> feeds_;
};

}  // namespace walstitch::simulation
