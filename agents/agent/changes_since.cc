#include "agents/agent/changes_since.h"

#include <utility>

#include "agents/wal/kvrocks_keys.h"
#include "agents/wal/log_format.h"
#include "agents/wal/records.h"

namespace walstitch::agent {

ChangesSince::ChangesSince(wal::WalSource& source, Sequence fork, bool slot_encoded,
                           std::set<UserKeyName> keys)
    : source_(source), next_(fork + 1), slot_encoded_(slot_encoded), keys_(std::move(keys)) {}

void ChangesSince::All(std::string why) {
  if (all_) return;
  all_ = true;
  why_all_ = std::move(why);
}

Result<void> ChangesSince::ReadOn() {
  if (all_) return {};
  constexpr Sequence kEnd{wal::kMaxSequence};
  Result<void> decoded;
  const Sequence from = next_;
  auto read = source_.ForEachBatch({from, kEnd}, [&](const wal::BatchView& batch) {
    decoded = wal::ForEachRecord(batch.bytes, slot_encoded_, [&](const wal::KvrocksRecord& record) {
      if (record.raw.sequence < from) return true;
      if (record.internal == "flush") {
        All("a flush at " + record.raw.sequence.ToString() + " touched every key");
      } else if (record.user_key) {
        UserKeyName name{std::string(record.user_key->name_space), std::string(record.user_key->key)};
        if (!keys_.contains(name)) return true;
        if (wal::RenewsKey(record.raw)) {
          renewed_.insert(name);
        } else if (record.raw.column_family == wal::kMetadataFamily) {
          renewed_.erase(name);  // RENAME and COPY bring a version that may be an old one
        }
        changed_.insert(std::move(name));
      }
      return true;
    });
    if (!decoded) return false;
    if (batch.count > 0) next_ = batch.End();
    return true;
  });
  if (read && decoded) return {};
  const Error error = read ? decoded.error() : read.error();
  if (error.Code() != ErrorCode::kNotFound && error.Code() != ErrorCode::kDamaged) return Fail(error);
  readable_ = false;
  // Purged, damaged, or a history that is shorter than the fork: nobody can say what changed.
  All("what changed since " + from.ToString() + " is not known: " + error.Message());
  return {};
}

}  // namespace walstitch::agent
