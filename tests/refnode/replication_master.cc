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

// One batch, as the proposed patch makes it.
void Feeder::Pad() {
  const uint64_t count = next_ - pad_from_;
  rocksdb::WriteBatch batch;
  for (uint64_t i = 0; i < count; ++i) batch.Delete("__kvrocks_internal_padding_seq__");
  std::string bytes = batch.Data();
  for (int i = 0; i < 8; ++i) bytes[static_cast<size_t>(i)] = static_cast<char>(pad_from_ >> (8 * i));
  if (!connection_.socket.SendAll(resp::Bulk(bytes))) stopped_ = true;
}

void Feeder::Run() {
  if (!connection_.socket.SendAll(resp::Ok())) stopped_ = true;
  if (pad_from_ != 0 && !stopped_) Pad();
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

uint64_t BoundaryBehind(Server& server, uint64_t next) {
  Storage& storage = server.storage();
  if (next > storage.LatestSequence()) return next;
  std::unique_ptr<rocksdb::TransactionLogIterator> iterator;
  if (!storage.LogsSince(next, &iterator).ok()) return next;
  const rocksdb::BatchResult batch = iterator->GetBatch();
  if (batch.sequence >= next) return next;
  return batch.sequence + static_cast<uint64_t>(batch.writeBatchPtr->Count());
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
