#include "replication_master.h"

#include <chrono>
#include <memory>
#include <thread>

#include "server.h"

namespace walstitch::refnode {
namespace {

constexpr auto kIdleStep = std::chrono::milliseconds(2);
constexpr unsigned kIdleStepsPerPing = 1000;

// Several batches go out in one write, unless the replica is nearly in sync.
constexpr size_t kMaxDelayBytes = 16 * 1024;
constexpr uint64_t kMaxDelayUpdates = 16;

}  // namespace

void Feeder::Stop() {
  stopped_ = true;
  connection_.socket.ShutDown();
}

void Feeder::Idle() {
  std::this_thread::sleep_for(kIdleStep);
  if (server_.IsStopping()) stopped_ = true;
  if (++idle_rounds_ % kIdleStepsPerPing != 0) return;
  if (!connection_.socket.SendAll(resp::Bulk("ping"))) stopped_ = true;
}

void Feeder::Run() {
  if (!connection_.socket.SendAll(resp::Ok())) stopped_ = true;
  std::unique_ptr<rocksdb::TransactionLogIterator> iterator;
  std::string pending;
  uint64_t pending_updates = 0;
  bool is_first = true;
  Storage& storage = server_.storage();
  while (!stopped_) {
    const uint64_t next = next_;
    if (!iterator || !iterator->Valid()) {
      iterator.reset();
      if (next > storage.LatestSequence() || server_.faults().stop_feeding ||
          !storage.LogsSince(next, &iterator).ok()) {
        iterator.reset();
        Idle();
        continue;
      }
    }
    const rocksdb::BatchResult batch = iterator->GetBatch();
    if (batch.sequence != next) {
      server_.Log("feeding " + connection_.AnnouncedIp() + ": expected sequence " + std::to_string(next) +
                  ", the log has " + std::to_string(batch.sequence));
      break;
    }
    const auto count = static_cast<uint64_t>(batch.writeBatchPtr->Count());
    pending += resp::Bulk(batch.writeBatchPtr->Data());
    pending_updates += count;
    if (is_first || pending.size() >= kMaxDelayBytes || pending_updates >= kMaxDelayUpdates ||
        storage.LatestSequence() - batch.sequence <= kMaxDelayUpdates) {
      if (!connection_.socket.SendAll(pending)) break;
      is_first = false;
      pending.clear();
      pending_updates = 0;
    }
    next_ = next + count;
    while (!stopped_ && (next_ > storage.LatestSequence() || server_.faults().stop_feeding)) Idle();
    iterator->Next();
  }
  stopped_ = true;
}

bool IsBoundary(Server& server, uint64_t next) {
  Storage& storage = server.storage();
  const uint64_t latest = storage.LatestSequence();
  if (next == latest + 1) return true;
  if (next > latest + 1) return false;
  std::unique_ptr<rocksdb::TransactionLogIterator> iterator;
  if (!storage.LogsSince(next, &iterator).ok()) return false;
  return iterator->GetBatch().sequence == next;
}

}  // namespace walstitch::refnode
