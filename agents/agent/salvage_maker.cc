#include "agents/agent/salvage_maker.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "agents/wal/records.h"
#include "policies/model/bytes.h"

namespace walstitch::agent {

namespace {

// The keys that are held in memory at a time. If the tail touches more, its batches are read several times.
constexpr std::size_t kKeysPerPass = 50000;
constexpr std::size_t kKeyBytesPerPass = std::size_t{32} << 20;
// Of one round of questions to the server.
constexpr std::size_t kKeysPerQuestion = 64;

bool GoneForGood(const Error& error) {
  return error.Code() == ErrorCode::kNotFound || error.Code() == ErrorCode::kDamaged;
}

// What cannot be read, and may be later: waited for only where a salvage is required.
bool CannotBeRead(const Error& error) { return error.Code() == ErrorCode::kIo; }

using BatchTaker = std::function<Result<void>(const wal::BatchView&)>;

// Every batch of the range that can be read. What cannot, and why, is added to `lacks`.
Result<void> ReadTail(wal::WalSource& source, SequenceRange range, bool required, const BatchTaker& take,
                      std::string* lacks) {
  Sequence expected = range.from;
  Sequence from = range.from;
  std::uint64_t step = 1;
  std::optional<Error> gap;  // why nothing comes from `expected` on
  const auto note = [&](Sequence to, const std::string& why) {
    *lacks += (lacks->empty() ? "" : "; ") + SequenceRange{expected, to}.ToString() + ": " + why;
  };
  while (expected < range.to) {
    Result<void> taken;
    bool any = false;
    const Result<void> read = source.ForEachBatch({from, range.to}, [&](const wal::BatchView& batch) {
      if (batch.count > 0 && batch.End() <= expected) return true;
      if (gap && batch.count > 0) {
        if (batch.first > expected) note(batch.first, gap->Message());
        gap.reset();
      }
      if (gap) return true;  // one of count 0 tells nothing of where it stands
      taken = take(batch);
      if (!taken) return false;
      if (batch.count > 0) {
        any = true;
        expected = batch.End();
      }
      return true;
    });
    if (!taken) return taken;
    if (!read && !GoneForGood(read.error()) && (required || !CannotBeRead(read.error())))
      return Fail(read.error());
    if (expected >= range.to) break;
    if (any) step = 1;
    if (read) {
      note(range.to, gap ? gap->Message() : "the WAL ends before");
      return {};
    }
    if (!gap || any) gap = read.error();
    // The oldest records are gone, or something in the middle is damaged. What stands behind it is found by
    // looking further and further on.
    const auto extent = source.Extent();
    from = expected + step;
    if (extent && extent->oldest && *extent->oldest > from) from = *extent->oldest;
    step *= 2;
    if (from >= range.to) {
      note(range.to, gap->Message());
      return {};
    }
  }
  return {};
}

// The smallest user keys behind `after` that the batches touch, as many as fit.
class SmallestKeys {
 public:
  explicit SmallestKeys(std::optional<UserKeyName> after) : after_(std::move(after)) {}

  void Add(const wal::UserKey& user_key) {
    UserKeyName name{std::string(user_key.name_space), std::string(user_key.key)};
    if (after_ && name <= *after_) return;
    if (full_ && *keys_.rbegin() < name) return;
    const std::size_t size = name.name_space.size() + name.key.size();
    if (!keys_.insert(std::move(name)).second) return;
    bytes_ += size;
    while (keys_.size() > kKeysPerPass || (bytes_ > kKeyBytesPerPass && keys_.size() > 1)) {
      full_ = true;
      const auto last = std::prev(keys_.end());
      bytes_ -= last->name_space.size() + last->key.size();
      keys_.erase(last);
    }
  }

  [[nodiscard]] std::vector<UserKeyName> Take() const { return {keys_.begin(), keys_.end()}; }
  [[nodiscard]] bool More() const { return full_; }

 private:
  std::optional<UserKeyName> after_;
  std::set<UserKeyName> keys_;
  std::size_t bytes_ = 0;
  bool full_ = false;  // keys were left out
};

Result<void> WriteValues(SalvageWriter& writer, const SalvageOrder& order, const ReadValues& read,
                         const GoOn& go_on, const std::function<bool()>& time_is_left,
                         SalvageManifest* manifest) {
  std::optional<UserKeyName> after;
  bool more = true;
  while (more) {
    SmallestKeys smallest(after);
    Result<void> going;
    auto visited = writer.ForEachBatch([&](std::string_view batch) {
      going = go_on();
      // What does not decode is among the records as it is.
      (void)wal::ForEachRecord(batch, order.slot_encoded, [&](const wal::KvrocksRecord& record) {
        const bool inside =
            record.raw.sequence >= order.action.range.from && record.raw.sequence < order.action.range.to;
        if (inside && record.user_key) smallest.Add(*record.user_key);
        return true;
      });
      return going.has_value();
    });
    if (!visited) return visited;
    if (!going) return going;
    const std::vector<UserKeyName> keys = smallest.Take();
    for (std::size_t i = 0; i < keys.size(); i += kKeysPerQuestion) {
      if (going = go_on(); !going) return going;
      if (!time_is_left()) {
        manifest->lacks += std::string(manifest->lacks.empty() ? "" : "; ") +
                           "there was no time to read the values of all keys: of those behind " +
                           ToPrintable(keys[i].key) + " there are the records";
        return {};
      }
      const auto from = keys.begin() + static_cast<std::ptrdiff_t>(i);
      auto values =
          read({from, from + static_cast<std::ptrdiff_t>(std::min(kKeysPerQuestion, keys.size() - i))});
      if (!values) return Fail(values.error(), "the values of its keys");
      for (const SalvagedValue& value : *values) {
        ++manifest->keys;
        ++(value.key.kept == KeptAs::kValue    ? manifest->values
           : value.key.kept == KeptAs::kAbsent ? manifest->absent
                                               : manifest->not_kept);
        if (auto written = writer.AppendValue(ValueLine(value)); !written) return written;
      }
    }
    more = smallest.More();
    if (more) after = keys.back();
  }
  return {};
}

// The SHA-256 of what batches.raw would be, and what it would lack.
struct BatchesSum {
  std::string sha256;
  std::string lacks;
};
Result<BatchesSum> SumOfBatches(wal::WalSource& source, const SalvageAction& action, const GoOn& go_on) {
  Sha256Stream sum;
  BatchesSum of_batches;
  auto read = ReadTail(
      source, action.range, action.required,
      [&](const wal::BatchView& batch) {
        sum.Add(FrameHeader(batch.bytes.size()));
        sum.Add(batch.bytes);
        return go_on();
      },
      &of_batches.lacks);
  if (!read) return Fail(read.error());
  of_batches.sha256 = sum.FinishHex();
  return of_batches;
}

std::optional<SalvageManifest> FindSame(wal::WalSource& source, SalvageStore& store,
                                        const SalvageOrder& order, const GoOn& go_on) {
  std::optional<BatchesSum> sum;
  for (const SalvageManifest& other : store.List().salvages) {
    if (other.range != order.action.range || other.fork != order.action.fork || other.node != order.node ||
        other.group != order.group) {
      continue;
    }
    if (!sum) {
      auto read = SumOfBatches(source, order.action, go_on);
      if (!read) return std::nullopt;
      sum = *read;
    }
    // Behind what the batches lack it may lack values.
    if (other.lacks != sum->lacks && !sum->lacks.empty() && !other.lacks.starts_with(sum->lacks + "; "))
      continue;
    const bool same = std::any_of(other.files.begin(), other.files.end(), [&](const SalvageFile& file) {
      return file.name == kBatchesFile && file.sha256 == sum->sha256;
    });
    if (!same) continue;
    if (auto checked = store.ReadChecked(other.id)) return *checked;
  }
  return std::nullopt;
}

}  // namespace

Result<SalvageManifest> MakeSalvage(wal::WalSource& source, SalvageStore& store, const SalvageOrder& order,
                                    const ReadValues& read, const GoOn& go_on,
                                    const std::function<bool()>& time_is_left) {
  const SalvageAction& action = order.action;
  if (auto own = store.ReadChecked(action.decision)) {
    if (own->range == action.range && own->node == order.node && own->group == order.group) return own;
  }
  if (auto same = FindSame(source, store, order, go_on)) return *same;

  auto writer = store.Begin(action.decision);
  if (!writer) return Fail(writer.error());
  SalvageManifest manifest;
  manifest.format = kSalvageFormat;
  manifest.id = action.decision;
  manifest.group = order.group;
  manifest.node = order.node;
  manifest.survivor = action.survivor;
  manifest.range = action.range;
  manifest.fork = action.fork;
  manifest.time_ms = order.now_ms;
  RecordCounts counts;
  std::string lines;
  auto taken = ReadTail(
      source, action.range, action.required,
      [&](const wal::BatchView& batch) -> Result<void> {
        if (auto going = go_on(); !going) return going;
        ++manifest.batches;
        lines.clear();
        AppendRecordLines(batch, action.range, order.slot_encoded, writer->BatchesBytes(), &lines, &counts);
        if (auto written = writer->AppendBatch(batch.bytes); !written) return written;
        return writer->AppendRecords(lines);
      },
      &manifest.lacks);
  if (!taken) return Fail(taken.error());
  manifest.records = counts.records;
  manifest.range_deletes = counts.range_deletes;
  if (auto values = WriteValues(*writer, order, read, go_on, time_is_left, &manifest); !values)
    return Fail(values.error());
  if (auto committed = writer->Commit(&manifest); !committed) return Fail(committed.error());
  return manifest;
}

}  // namespace walstitch::agent
