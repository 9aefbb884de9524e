// PlanUndo goes in three steps: the tail forwards (ReadTail), the WAL before the fork backwards, window by
// window (Scan), and then one verdict for each user key (Finish).
//
// A window is read forwards, since a WAL can be read in no other way; what matters of it is copied, and then
// gone through backwards, so that the first record of a raw key that is met is its last before the fork, and
// nothing needs to be looked at twice. That also bounds the work: a DeleteRange visits only raw keys that are
// open, and closes them.
#include "agents/wal/undo.h"

#include <algorithm>
#include <iterator>
#include <limits>
#include <map>
#include <tuple>
#include <unordered_map>
#include <utility>

#include "agents/wal/batch_decoder.h"
#include "agents/wal/batch_digest.h"
#include "agents/wal/kvrocks_keys.h"
#include "agents/wal/kvrocks_values.h"
#include "agents/wal/marker.h"
#include "agents/wal/records.h"

namespace walstitch::wal {
namespace {

constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();

// A window: what is aimed at, at most, in bytes of batches; and what may be kept of one, in bytes of memory.
constexpr std::uint64_t kMaxWindowBytes = std::uint64_t{32} << 20;
constexpr std::size_t kMaxKeptBytes = std::size_t{32} << 20;

constexpr std::uint8_t kString = 1;
constexpr std::uint8_t kList = 3;
constexpr std::uint8_t kLastOfElements = 7;  // a key of a type up to here is not there without an element
constexpr std::uint8_t kStream = 8;
constexpr std::uint8_t kJson = 10;

bool IsSingleRecord(std::uint8_t type) { return type == kString || type == kJson; }

// Kvrocks takes it for expired: it has no element, and is of a type that is not there without one.
bool IsEmptied(const MetadataFields& fields) {
  return !IsSingleRecord(fields.type) && fields.type <= kLastOfElements && fields.size == 0U;
}

bool IsDelete(Operation operation) {
  return operation == Operation::kDelete || operation == Operation::kSingleDelete;
}

void AppendBigEndian(std::string* out, std::uint64_t value, int bytes) {
  for (int i = bytes - 1; i >= 0; --i) out->push_back(static_cast<char>((value >> (8 * i)) & 0xffU));
}

// The raw key of the metadata that a record of this user key hangs on.
void SetMetadataKey(const BatchRecord& raw, const UserKey& user, bool slot_encoded, std::string* out) {
  if (raw.column_family == kMetadataFamily) {
    *out = raw.key;
    return;
  }
  const std::size_t prefix = 1 + user.name_space.size() + (slot_encoded ? 2 : 0);
  out->assign(raw.key.substr(0, prefix));
  out->append(user.key);
}

struct RawKeyView {
  std::uint32_t column_family = 0;
  std::string_view key;
  bool operator==(const RawKeyView&) const = default;
};
struct HashRawKey {
  std::size_t operator()(const RawKeyView& key) const {
    return std::hash<std::string_view>{}(key.key) + key.column_family * 0x9e3779b97f4a7c15U;
  }
};

// A row of things that are closed one by one, and which of them is the next that is open (a union-find).
class OpenRow {
 public:
  explicit OpenRow(std::size_t size = 0) : next_(size + 1) {
    for (std::size_t i = 0; i <= size; ++i) next_[i] = i;
  }
  // The first open one at or after i; size if there is none.
  std::size_t From(std::size_t i) {
    std::size_t end = i;
    while (next_[end] != end) end = next_[end];
    while (next_[i] != end) i = std::exchange(next_[i], end);
    return end;
  }
  void Close(std::size_t i) { next_[i] = i + 1; }

 private:
  std::vector<std::size_t> next_;
};

// The metadata's records in the tail, in short.
struct TailMetadata {
  bool deleted = false;
  bool opaque = false;  // not a Put, or a value that does not parse
  bool mixed = false;   // of several types or versions
  bool expires = false;
  bool emptied = false;
  bool put = false;  // then the first Put's:
  std::uint8_t type = 0;
  std::optional<std::uint64_t> version;
};

// A record of a user key's metadata, as the scan meets it.
struct MetadataEvent {
  enum class Kind { kNothing, kGone, kPut, kOpaque };
  Kind kind = Kind::kNothing;
  std::optional<std::uint64_t> version;  // kPut, of a type with subkeys
  std::uint64_t batch = 0;
  bool fresh = false;  // its batch writes a subkey of the version before it, and after the record before it
};

enum class RawState { kOpen, kPut, kDelete, kUnknown };

struct Raw {
  RawKey key;
  std::size_t user = kNone;
  RawState state = RawState::kOpen;
  UndoDoubt doubt = UndoDoubt::kNotFound;
  std::string value;           // kPut
  std::uint64_t version = 0;   // of a subkey
  std::size_t rest = 0;        // where the key's rest begins, of a subkey
  std::size_t scores = kNone;  // a sorted set's member: the first of its score records in the tail
  std::size_t next_score = kNone;
};

struct User {
  UserKeyName name;
  std::string metadata_key;
  std::set<std::string_view> types;
  std::uint64_t records = 0;
  TailMetadata tail;
  std::size_t open = 0;            // raw keys
  std::vector<std::size_t> raws;   // in order
  MetadataEvent later;             // the last one that the scan met
  std::optional<UndoDoubt> guard;  // left, whatever is found
  // The last subkey that the window's reading met, so that a command with many is kept once.
  std::uint64_t seen_batch = 0;
  std::uint64_t seen_version = 0;
};

// One record of a window that matters.
struct Kept {
  enum class Kind : std::uint8_t { kPut, kDelete, kOpaque, kRange, kSeen };
  Kind kind = Kind::kPut;
  bool parses = false;                   // metadata: the value does
  bool too_large = false;                // kPut: the value is not kept
  std::uint32_t column_family = 0;       // kRange, and metadata
  std::size_t user = kNone;              // not kRange
  std::size_t raw = kNone;               // of a raw key of the tail
  std::optional<std::uint64_t> version;  // metadata, kSeen, subkeys
  std::uint64_t batch = 0;
  std::size_t at = 0;  // in the arena: the value; kRange: begin, then end
  std::size_t length = 0;
  std::size_t end_length = 0;
};

class Planner {
 public:
  Planner(const UndoOptions& options, bool guard) : options_(options), guard_(guard) {}

  Result<UndoPlan> Plan(WalSource& wal, Sequence fork, Sequence last) {
    plan_.tail = {fork + 1, last + 1};
    plan_.scan.from = fork + 1;
    if (Result<void> read = ReadTail(wal); !read) return Fail(read.error(), "the tail");
    if (plan_.refusal == UndoRefusal::kNone) {
      Arrange();
      if (Result<void> scanned = Scan(wal); !scanned) {
        return Fail(scanned.error(), "the WAL before the fork");
      }
      Finish();
    }
    for (auto& [name, left] : internal_) plan_.left.push_back(std::move(left));
    std::sort(plan_.left.begin(), plan_.left.end(), [](const UndoLeft& a, const UndoLeft& b) {
      return std::tie(a.internal, a.name) < std::tie(b.internal, b.name);
    });
    return std::move(plan_);
  }

 private:
  Result<void> ReadTail(WalSource& wal);
  void AddTailRecord(const KvrocksRecord& record);
  void AddToUser(const KvrocksRecord& record);
  static void AddMetadata(const BatchRecord& raw, TailMetadata* tail);
  void Refuse(UndoRefusal why) {
    if (plan_.refusal == UndoRefusal::kNone) plan_.refusal = why;
  }

  void Arrange();
  void LinkScores();
  Result<void> Scan(WalSource& wal);
  Result<bool> ReadWindow(WalSource& wal, SequenceRange range, Sequence* begin);
  bool Keep(const KvrocksRecord& record);
  bool KeepRange(const BatchRecord& raw);
  void GoThroughBackwards();
  [[nodiscard]] std::size_t PlaceOf(std::uint32_t family, std::string_view key) const;
  void Cover(const Kept& range);
  void MeetMetadata(std::size_t user_index, const MetadataEvent& event);
  void CloseMade(const User& user, std::uint64_t version);
  [[nodiscard]] std::string_view Text(std::size_t at, std::size_t length) const {
    return std::string_view(arena_).substr(at, length);
  }

  void Close(std::size_t raw_index, RawState state, std::string_view value = {});
  void CloseUnknown(std::size_t raw_index, UndoDoubt doubt);
  void CloseScores(const Raw& member);
  void Shut(std::size_t raw_index);
  void LearnMetadata(const Raw& metadata);
  void CloseOutOfSight(User* user, const MetadataFields& fields);
  static std::optional<UndoDoubt> Guard(const TailMetadata& tail, const MetadataFields& fields);
  void Leave(User* user, UndoDoubt why);
  void Finish();
  void FinishUser(User* user);

  const UndoOptions options_;
  const bool guard_;
  UndoPlan plan_;
  std::map<std::string, UndoLeft> internal_;

  std::map<std::string, std::size_t, std::less<>> users_by_name_;  // by metadata key, while the tail is read
  std::map<RawKey, Raw> tail_raws_;                                // the same
  std::string name_buffer_;
  std::uint64_t held_bytes_ = 0;

  std::vector<User> users_;
  std::vector<Raw> raws_;  // in order
  std::unordered_map<std::string_view, std::size_t> users_by_metadata_;
  std::unordered_map<RawKeyView, std::size_t, HashRawKey> raws_by_key_;
  OpenRow open_row_;
  std::size_t open_ = 0;
  std::map<std::string_view, std::size_t> puts_met_;  // users whose `later` is a Put, by metadata key

  std::vector<Kept> kept_;  // of the window
  std::string arena_;
  std::uint64_t batch_ = 0;  // counts every batch that was read
};

// --- the tail ---

Result<void> Planner::ReadTail(WalSource& wal) {
  if (plan_.tail.Empty()) return {};
  Sequence expected = plan_.tail.from;
  Result<void> decoded;
  Result<void> read = wal.ForEachBatch(plan_.tail, [&](const BatchView& batch) {
    if (batch.count == 0) return true;
    if (batch.first > expected) return false;
    decoded = ForEachRecord(batch.bytes, options_.slot_encoded, [&](const KvrocksRecord& record) {
      const Sequence sequence = record.raw.sequence;
      if (sequence >= plan_.tail.from && sequence < plan_.tail.to) AddTailRecord(record);
      return true;
    });
    expected = std::max(expected, batch.End());
    return decoded.has_value();
  });
  if (!read) return Fail(read.error());
  if (!decoded) return Fail(decoded.error());
  if (expected < plan_.tail.to) {
    return Fail(ErrorCode::kNotFound,
                "sequence " + expected.ToString() + " of " + plan_.tail.ToString() + " is not in the WAL");
  }
  return {};
}

void Planner::AddTailRecord(const KvrocksRecord& record) {
  const BatchRecord& raw = record.raw;
  ++plan_.tail_records;
  plan_.tail_bytes += raw.key.size() + raw.value.size();
  const std::string_view keyspace = InternalKeyspace(raw.column_family);
  const bool range_delete = raw.operation == Operation::kDeleteRange;
  if (keyspace.empty() && range_delete) {
    ++plan_.range_deletes;
    Refuse(UndoRefusal::kRangeDelete);
    return;
  }
  if (keyspace.empty() && record.user_key) {
    AddToUser(record);
    return;
  }
  if (raw.column_family == kPubsubFamily ||
      (raw.column_family == kPropagateFamily && !range_delete && raw.key == kReplicationIdKey)) {
    ++plan_.needless;
    return;
  }
  const std::string name(keyspace.empty() ? "unknown" : keyspace);
  UndoLeft& left = internal_[name];
  left.internal = name;
  left.doubt = UndoDoubt::kNoUserKey;
  ++left.records;
}

void Planner::AddToUser(const KvrocksRecord& record) {
  // Once there is no plan there is no need to remember anything; only to count.
  if (plan_.refusal != UndoRefusal::kNone) return;
  const BatchRecord& raw = record.raw;
  SetMetadataKey(raw, *record.user_key, options_.slot_encoded, &name_buffer_);
  auto user = users_by_name_.find(name_buffer_);
  if (user == users_by_name_.end()) {
    user = users_by_name_.emplace(name_buffer_, users_.size()).first;
    User& added = users_.emplace_back();
    added.name = {std::string(record.user_key->name_space), std::string(record.user_key->key)};
    added.metadata_key = name_buffer_;
    held_bytes_ += name_buffer_.size();
  }
  User& of = users_[user->second];
  ++of.records;
  if (record.type) of.types.insert(*record.type);
  if (raw.column_family == kMetadataFamily) AddMetadata(raw, &of.tail);
  const auto [entry, is_new] = tail_raws_.try_emplace(RawKey{raw.column_family, std::string(raw.key)});
  if (!is_new) return;
  entry->second.user = user->second;
  if (raw.column_family != kMetadataFamily) {
    if (const auto subkey = ParseSubkey(raw.key, options_.slot_encoded)) {
      entry->second.version = subkey->version;
      entry->second.rest = raw.key.size() - subkey->rest.size();
    }
  }
  held_bytes_ += raw.key.size();
  if (tail_raws_.size() > options_.max_keys) Refuse(UndoRefusal::kTooManyKeys);
  if (held_bytes_ > options_.max_held_bytes) Refuse(UndoRefusal::kTooManyBytes);
}

void Planner::AddMetadata(const BatchRecord& raw, TailMetadata* tail) {
  if (IsDelete(raw.operation)) {
    tail->deleted = true;
    return;
  }
  const auto fields = raw.operation == Operation::kPut ? ParseMetadata(raw.value) : std::nullopt;
  if (!fields) {
    tail->opaque = true;
    return;
  }
  tail->expires = tail->expires || fields->expire_ms != 0;
  tail->emptied = tail->emptied || IsEmptied(*fields);
  if (!tail->put) {
    tail->put = true;
    tail->type = fields->type;
    tail->version = fields->version;
  } else if (tail->type != fields->type || tail->version != fields->version) {
    tail->mixed = true;
  }
}

// --- before the fork ---

void Planner::Arrange() {
  raws_.reserve(tail_raws_.size());
  while (!tail_raws_.empty()) {
    auto node = tail_raws_.extract(tail_raws_.begin());
    Raw& raw = node.mapped();
    raw.key = std::move(node.key());
    users_[raw.user].raws.push_back(raws_.size());
    raws_.push_back(std::move(raw));
  }
  users_by_name_.clear();
  // From here on neither vector moves: the maps hold views into them.
  for (std::size_t i = 0; i < raws_.size(); ++i) {
    raws_by_key_.emplace(RawKeyView{raws_[i].key.column_family, raws_[i].key.key}, i);
  }
  for (std::size_t i = 0; i < users_.size(); ++i) {
    users_by_metadata_.emplace(users_[i].metadata_key, i);
    users_[i].open = users_[i].raws.size();
  }
  open_row_ = OpenRow(raws_.size());
  open_ = raws_.size();
  LinkScores();
}

// score record (CF 2): ... version | score u64 | member; its member's (CF 0): ... version | member -> score.
void Planner::LinkScores() {
  std::string key;
  for (std::size_t i = 0; i < raws_.size(); ++i) {
    Raw& score = raws_[i];
    if (score.key.column_family != kZsetScoreFamily || score.key.key.size() - score.rest < 8) continue;
    key.assign(score.key.key, 0, score.rest);
    key.append(score.key.key, score.rest + 8);
    const auto found = raws_by_key_.find(RawKeyView{kDefaultFamily, key});
    if (found == raws_by_key_.end()) continue;
    score.next_score = raws_[found->second].scores;
    raws_[found->second].scores = i;
  }
}

Result<void> Planner::Scan(WalSource& wal) {
  UndoScan& scan = plan_.scan;
  if (open_ == 0) return {};
  Result<WalExtent> extent = wal.Extent();
  if (!extent) return Fail(extent.error());
  const Sequence oldest = std::max(extent->oldest.value_or(scan.from), Sequence(1));
  const std::uint64_t tail_average = plan_.tail_bytes / plan_.tail.Size() + 1;
  std::uint64_t target = std::min(options_.first_window_bytes, options_.max_scan_bytes);
  std::uint64_t span = std::max<std::uint64_t>(target / tail_average, 1);
  bool failed = false;  // a window did: the next ones feel their way
  scan.end = UndoScanEnd::kSettled;
  while (open_ > 0) {
    if (scan.from <= oldest) {
      scan.end = scan.from <= Sequence(1) ? UndoScanEnd::kComplete : UndoScanEnd::kPurged;
      break;
    }
    const SequenceRange window{scan.from - oldest <= span ? oldest : scan.from - span, scan.from};
    const std::uint64_t bytes_before = scan.bytes;
    Sequence begin;
    Result<bool> fits = ReadWindow(wal, window, &begin);
    if (fits && *fits) {
      GoThroughBackwards();
      const std::uint64_t average = (scan.bytes - bytes_before) / (scan.from - begin) + 1;
      scan.from = begin;
      target = std::min(target * 2, kMaxWindowBytes);
      // What is read of a window that does not fit into the limit is read for nothing.
      const std::uint64_t left = options_.max_scan_bytes - scan.bytes;
      const std::uint64_t next = std::max<std::uint64_t>(std::min(target, left) / average, 1);
      span = failed ? std::min(next, span * 2) : next;
      continue;
    }
    if (!fits && fits.error().Code() != ErrorCode::kNotFound && fits.error().Code() != ErrorCode::kDamaged) {
      return Fail(fits.error());
    }
    if (scan.bytes >= options_.max_scan_bytes) {
      scan.end = UndoScanEnd::kLimit;
      break;
    }
    // Nearer to the fork there may be something yet that can be read.
    if (window.Size() == 1) {
      scan.end = UndoScanEnd::kUnreadable;
      scan.note =
          fits ? "too much of the batch at sequence " + window.from.ToString() + " would have to be held"
               : fits.error().Message();
      break;
    }
    failed = true;
    span = window.Size() / 2;
  }
  if (scan.end == UndoScanEnd::kComplete) {
    // Metadata first: it says what is out of sight.
    for (const User& user : users_) {
      const auto found = raws_by_key_.find(RawKeyView{kMetadataFamily, user.metadata_key});
      if (found != raws_by_key_.end() && raws_[found->second].state == RawState::kOpen) {
        Close(found->second, RawState::kDelete);
      }
    }
    for (std::size_t i = open_row_.From(0); i < raws_.size(); i = open_row_.From(i)) {
      Close(i, RawState::kDelete);
    }
  }
  return {};
}

// Reads the window into kept_. False: it is too much, for memory or for the limit. `begin`: where its first
// batch begins, which may be before the window.
Result<bool> Planner::ReadWindow(WalSource& wal, SequenceRange window, Sequence* begin) {
  kept_.clear();
  arena_.clear();
  std::optional<Sequence> expected;
  bool fits = true;
  Result<void> decoded;
  Result<void> read = wal.ForEachBatch(window, [&](const BatchView& batch) {
    if (batch.count == 0) return true;
    if (!expected) *begin = batch.first;
    if (expected ? batch.first != *expected : batch.first > window.from) {
      decoded = Fail(ErrorCode::kNotFound, "before sequence " + batch.first.ToString() + " some are missing");
      return false;
    }
    expected = batch.End();
    plan_.scan.bytes += batch.bytes.size();
    fits = plan_.scan.bytes <= options_.max_scan_bytes;
    if (!fits) return false;
    ++batch_;
    decoded = ForEachRecord(batch.bytes, options_.slot_encoded, [&](const KvrocksRecord& record) {
      fits = record.raw.sequence >= window.to || Keep(record);
      return fits;
    });
    return fits && decoded.has_value();
  });
  if (!read) return Fail(read.error());
  if (!decoded) return Fail(decoded.error());
  if (fits && (!expected || *expected < window.to)) {
    return Fail(ErrorCode::kNotFound, "the WAL ends before sequence " + window.to.ToString());
  }
  return fits;
}

// False: too much to hold.
bool Planner::Keep(const KvrocksRecord& record) {
  const BatchRecord& raw = record.raw;
  if (!InternalKeyspace(raw.column_family).empty()) return true;
  if (raw.operation == Operation::kDeleteRange) return KeepRange(raw);
  if (!record.user_key) return true;
  SetMetadataKey(raw, *record.user_key, options_.slot_encoded, &name_buffer_);
  const auto user_found = users_by_metadata_.find(name_buffer_);
  if (user_found == users_by_metadata_.end()) return true;
  User& user = users_[user_found->second];
  if (user.open == 0) return true;

  Kept kept;
  kept.user = user_found->second;
  kept.column_family = raw.column_family;
  kept.batch = batch_;
  kept.kind = raw.operation == Operation::kPut ? Kept::Kind::kPut
              : IsDelete(raw.operation)        ? Kept::Kind::kDelete
                                               : Kept::Kind::kOpaque;
  const auto raw_found = raws_by_key_.find(RawKeyView{raw.column_family, raw.key});
  if (raw_found != raws_by_key_.end() && raws_[raw_found->second].state == RawState::kOpen) {
    kept.raw = raw_found->second;
  }
  if (raw.column_family == kMetadataFamily) {
    if (kept.kind == Kept::Kind::kPut) {
      if (const auto fields = ParseMetadata(raw.value)) {
        kept.parses = true;
        kept.version = fields->version;
      }
    }
    user.seen_batch = 0;
  } else {
    const auto subkey = ParseSubkey(raw.key, options_.slot_encoded);
    kept.version = subkey->version;  // it parsed once already
    if (kept.raw == kNone) {
      if (user.seen_batch == batch_ && user.seen_version == subkey->version) return true;
      kept.kind = Kept::Kind::kSeen;
    }
    user.seen_batch = batch_;
    user.seen_version = subkey->version;
  }
  kept.too_large = raw.value.size() > kMaxUndoValueBytes;
  if (kept.kind == Kept::Kind::kPut && kept.raw != kNone && !kept.too_large) {
    kept.at = arena_.size();
    kept.length = raw.value.size();
    arena_ += raw.value;
  }
  kept_.push_back(kept);
  return kept_.size() * sizeof(Kept) + arena_.size() <= kMaxKeptBytes;
}

bool Planner::KeepRange(const BatchRecord& raw) {
  Kept kept;
  kept.kind = Kept::Kind::kRange;
  kept.column_family = raw.column_family;
  kept.at = arena_.size();
  kept.length = raw.key.size();
  kept.end_length = raw.value.size();
  arena_ += raw.key;
  arena_ += raw.value;
  kept_.push_back(kept);
  return kept_.size() * sizeof(Kept) + arena_.size() <= kMaxKeptBytes;
}

void Planner::GoThroughBackwards() {
  for (auto kept = kept_.rbegin(); kept != kept_.rend() && open_ > 0; ++kept) {
    if (kept->kind == Kept::Kind::kRange) {
      Cover(*kept);
      continue;
    }
    const bool metadata = kept->column_family == kMetadataFamily;
    if (!metadata) {
      MetadataEvent& later = users_[kept->user].later;
      if (later.batch == kept->batch && later.version == kept->version) later.fresh = true;
    }
    if (kept->raw != kNone && raws_[kept->raw].state == RawState::kOpen) {
      switch (kept->kind) {
        case Kept::Kind::kPut:
          if (kept->too_large) {
            CloseUnknown(kept->raw, UndoDoubt::kTooLarge);
          } else {
            Close(kept->raw, RawState::kPut, Text(kept->at, kept->length));
          }
          break;
        case Kept::Kind::kDelete:
          Close(kept->raw, RawState::kDelete);
          break;
        case Kept::Kind::kOpaque:
          CloseUnknown(kept->raw, UndoDoubt::kNotInvertible);
          break;
        case Kept::Kind::kRange:
        case Kept::Kind::kSeen:
          break;
      }
    }
    if (!metadata) continue;
    MetadataEvent event;
    event.batch = kept->batch;
    event.version = kept->version;
    event.kind = kept->kind == Kept::Kind::kDelete                ? MetadataEvent::Kind::kGone
                 : kept->kind == Kept::Kind::kPut && kept->parses ? MetadataEvent::Kind::kPut
                                                                  : MetadataEvent::Kind::kOpaque;
    MeetMetadata(kept->user, event);
  }
}

// Of the first raw key that is not before this one.
std::size_t Planner::PlaceOf(std::uint32_t family, std::string_view key) const {
  const auto found = std::lower_bound(
      raws_.begin(), raws_.end(), std::tuple(family, key), [](const Raw& raw, const auto& wanted) {
        return std::tuple(raw.key.column_family, std::string_view(raw.key.key)) < wanted;
      });
  return static_cast<std::size_t>(found - raws_.begin());
}

void Planner::Cover(const Kept& range) {
  const std::string_view begin = Text(range.at, range.length);
  const std::string_view end = Text(range.at + range.length, range.end_length);
  for (std::size_t i = open_row_.From(PlaceOf(range.column_family, begin)); i < raws_.size();
       i = open_row_.From(i)) {
    if (raws_[i].key.column_family != range.column_family || raws_[i].key.key >= end) break;
    Close(i, RawState::kDelete);
  }
  if (range.column_family != kMetadataFamily) return;
  MetadataEvent gone;
  gone.kind = MetadataEvent::Kind::kGone;
  for (auto user = puts_met_.lower_bound(begin); user != puts_met_.end() && user->first < end;) {
    const std::size_t index = user->second;
    ++user;  // what follows takes this one out
    MeetMetadata(index, gone);
  }
}

// Goes on from the metadata record that was met before, which is later in the WAL, to this one.
void Planner::MeetMetadata(std::size_t user_index, const MetadataEvent& event) {
  User& user = users_[user_index];
  const MetadataEvent later = std::exchange(user.later, event);
  if (event.kind == MetadataEvent::Kind::kPut) {
    puts_met_.emplace(user.metadata_key, user_index);
  } else {
    puts_met_.erase(user.metadata_key);
  }
  const bool made = later.kind == MetadataEvent::Kind::kPut && later.version && later.fresh &&
                    (event.kind == MetadataEvent::Kind::kGone ||
                     (event.kind == MetadataEvent::Kind::kPut && event.version != later.version));
  if (!made) return;
  CloseMade(user, *later.version);
}

// The version was made in the part of the WAL that was read: what is open of it yet was not there before.
void Planner::CloseMade(const User& user, std::uint64_t version) {
  std::string prefix = user.metadata_key.substr(0, user.metadata_key.size() - user.name.key.size());
  AppendBigEndian(&prefix, user.name.key.size(), 4);
  prefix += user.name.key;
  AppendBigEndian(&prefix, version, 8);
  for (const std::uint32_t family : {kDefaultFamily, kZsetScoreFamily, kStreamFamily}) {
    for (std::size_t i = open_row_.From(PlaceOf(family, prefix)); i < raws_.size(); i = open_row_.From(i)) {
      if (raws_[i].key.column_family != family || !raws_[i].key.key.starts_with(prefix)) break;
      Close(i, RawState::kDelete);
    }
  }
}

// --- what is known ---

void Planner::Shut(std::size_t raw_index) {
  open_row_.Close(raw_index);
  --open_;
  --users_[raws_[raw_index].user].open;
}

void Planner::Close(std::size_t raw_index, RawState state, std::string_view value) {
  Raw& raw = raws_[raw_index];
  raw.state = state;
  if (state == RawState::kPut) {
    if (held_bytes_ + value.size() > options_.max_held_bytes) {
      raw.state = RawState::kUnknown;
      raw.doubt = UndoDoubt::kTooLarge;
    } else {
      held_bytes_ += value.size();
      raw.value = value;
    }
  }
  Shut(raw_index);
  if (raw.state == RawState::kUnknown) return;
  if (raw.scores != kNone) CloseScores(raw);
  if (raw.key.column_family == kMetadataFamily) LearnMetadata(raw);
}

void Planner::CloseUnknown(std::size_t raw_index, UndoDoubt doubt) {
  raws_[raw_index].state = RawState::kUnknown;
  raws_[raw_index].doubt = doubt;
  Shut(raw_index);
}

void Planner::CloseScores(const Raw& member) {
  if (member.state == RawState::kPut && member.value.size() != 8) return;
  for (std::size_t i = member.scores; i != kNone; i = raws_[i].next_score) {
    Raw& score = raws_[i];
    if (score.state != RawState::kOpen) continue;
    const bool there = member.state == RawState::kPut &&
                       std::string_view(score.key.key).substr(score.rest, 8) == member.value;
    Close(i, there ? RawState::kPut : RawState::kDelete);
  }
}

// The metadata at the fork is known: what it says of the user key's other records.
void Planner::LearnMetadata(const Raw& metadata) {
  User& user = users_[metadata.user];
  const auto fields = metadata.state == RawState::kPut ? ParseMetadata(metadata.value) : std::nullopt;
  const bool there = metadata.state == RawState::kPut;
  if (there && !fields) {
    Leave(&user, UndoDoubt::kUnknownType);
    return;
  }
  if (!there || IsSingleRecord(fields->type) || IsEmptied(*fields)) {
    CloseOutOfSight(&user, {});
    return;
  }
  if (const auto why = Guard(user.tail, *fields); why && guard_) {
    Leave(&user, *why);
    return;
  }
  CloseOutOfSight(&user, *fields);
}

std::optional<UndoDoubt> Planner::Guard(const TailMetadata& tail, const MetadataFields& fields) {
  if (tail.deleted) return UndoDoubt::kDeleted;
  if (tail.opaque) return UndoDoubt::kUnknownType;
  if (tail.mixed || tail.type != fields.type || tail.version != fields.version) return UndoDoubt::kNewVersion;
  if (tail.expires || fields.expire_ms != 0) return UndoDoubt::kExpiry;
  if (tail.emptied) return UndoDoubt::kEmptied;
  return std::nullopt;
}

// list := ... | head u64 | tail u64: its elements' indexes are [head, tail).
// stream := ... | last id, ms u64, number u64 | ...: no entry is beyond it. Other records of a stream are
// longer or shorter than an entry's 16 bytes, or have no time (all ones) for ms.
bool IsOutOfSight(const MetadataFields& fields, std::string_view rest) {
  std::string_view own = fields.rest;
  if (fields.type == kList) {
    const auto head = TakeIndex(&own);
    const auto tail = TakeIndex(&own);
    const auto index = rest.size() == 8 ? TakeIndex(&rest) : std::nullopt;
    return head && tail && index && *head <= *tail && (*index < *head || *index >= *tail);
  }
  if (fields.type == kStream && rest.size() == 16) {
    const auto last_ms = TakeIndex(&own);
    const auto last_number = TakeIndex(&own);
    const auto ms = TakeIndex(&rest);
    const auto number = TakeIndex(&rest);
    return last_ms && last_number && ms != ~std::uint64_t{0} &&
           std::tie(*ms, *number) > std::tie(*last_ms, *last_number);
  }
  return false;
}

// `fields`: no version if no subkey is in sight.
void Planner::CloseOutOfSight(User* user, const MetadataFields& fields) {
  for (const std::size_t index : user->raws) {
    Raw& raw = raws_[index];
    if (raw.key.column_family == kMetadataFamily) continue;
    const std::string_view rest = std::string_view(raw.key.key).substr(raw.rest);
    if (fields.version == raw.version && !IsOutOfSight(fields, rest)) continue;
    if (raw.state == RawState::kOpen) Close(index, RawState::kDelete);
    if (raw.state == RawState::kUnknown) raw.state = RawState::kDelete;
  }
}

void Planner::Leave(User* user, UndoDoubt why) {
  user->guard = why;
  for (const std::size_t index : user->raws) {
    Raw& raw = raws_[index];
    held_bytes_ -= raw.value.size();
    raw.value = {};
    if (raw.state == RawState::kOpen) CloseUnknown(index, why);
  }
}

// --- the verdict ---

void SortRecords(std::vector<UndoRecord>* records) {
  std::sort(records->begin(), records->end(), [](const UndoRecord& a, const UndoRecord& b) {
    const auto place = [](const UndoRecord& record) {
      return std::tuple<bool, const RawKey&>(record.key.column_family != kMetadataFamily, record.key);
    };
    return place(a) < place(b);
  });
}

void Planner::Finish() {
  for (User& user : users_) FinishUser(&user);
  SortRecords(&plan_.records);
  std::sort(plan_.undone.begin(), plan_.undone.end());
}

void Planner::FinishUser(User* user) {
  const auto take = [this](std::size_t index) {
    Raw& raw = raws_[index];
    UndoRecord record{std::move(raw.key), std::nullopt};
    if (raw.state == RawState::kPut) record.value = std::move(raw.value);
    return record;
  };
  const bool known = std::none_of(user->raws.begin(), user->raws.end(), [this](std::size_t index) {
    return raws_[index].state == RawState::kOpen || raws_[index].state == RawState::kUnknown;
  });
  if (known && !user->guard) {
    for (const std::size_t index : user->raws) plan_.records.push_back(take(index));
    plan_.undone.push_back(std::move(user->name));
    return;
  }
  UndoLeft left;
  left.name = std::move(user->name);
  left.types.assign(user->types.begin(), user->types.end());
  left.records = user->records;
  left.metadata = {kMetadataFamily, std::move(user->metadata_key)};
  for (const std::size_t index : user->raws) {
    const Raw& raw = raws_[index];
    left.written.push_back(raw.key);
    if (user->guard) continue;
    if (raw.state == RawState::kOpen || raw.state == RawState::kUnknown) {
      left.unknown.push_back({raw.key, raw.doubt, raw.key.column_family != kMetadataFamily});
    } else {
      left.withheld.push_back(take(index));
    }
  }
  left.doubt = user->guard ? *user->guard : left.unknown.front().doubt;
  plan_.left.push_back(std::move(left));
}

// --- the survivor ---

class WriteFinder {
 public:
  explicit WriteFinder(std::vector<RawKey> asked) : asked_(std::move(asked)) {
    std::sort(asked_.begin(), asked_.end());
    asked_.erase(std::unique(asked_.begin(), asked_.end()), asked_.end());
    for (std::size_t i = 0; i < asked_.size(); ++i) {
      by_key_.emplace(RawKeyView{asked_[i].column_family, asked_[i].key}, i);
    }
    not_wrote_ = OpenRow(asked_.size());
    not_renewed_ = OpenRow(asked_.size());
  }

  void Add(const BatchRecord& record) {
    if (!record.ConsumesSequence()) return;
    if (record.operation == Operation::kDeleteRange) {
      Cover(record, &not_wrote_, &found_.wrote);
      if (record.column_family == kMetadataFamily) Cover(record, &not_renewed_, &found_.renewed);
      return;
    }
    const auto found = by_key_.find(RawKeyView{record.column_family, record.key});
    if (found == by_key_.end()) return;
    Mark(found->second, &not_wrote_, &found_.wrote);
    if (RenewsKey(record)) Mark(found->second, &not_renewed_, &found_.renewed);
  }

  SurvivorWrites Take() && { return std::move(found_); }

 private:
  void Mark(std::size_t index, OpenRow* row, std::set<RawKey>* marked) {
    if (row->From(index) != index) return;
    row->Close(index);
    marked->insert(asked_[index]);
  }

  void Cover(const BatchRecord& range, OpenRow* row, std::set<RawKey>* marked) {
    const auto first =
        std::lower_bound(asked_.begin(), asked_.end(), range, [](const RawKey& key, const BatchRecord& from) {
          return std::tuple(key.column_family, std::string_view(key.key)) <
                 std::tuple(from.column_family, from.key);
        });
    for (std::size_t i = row->From(static_cast<std::size_t>(first - asked_.begin())); i < asked_.size();
         i = row->From(i)) {
      if (asked_[i].column_family != range.column_family || asked_[i].key >= range.value) return;
      Mark(i, row, marked);
    }
  }

  std::vector<RawKey> asked_;
  std::unordered_map<RawKeyView, std::size_t, HashRawKey> by_key_;
  OpenRow not_wrote_;
  OpenRow not_renewed_;
  SurvivorWrites found_;
};

// --- what a plan looks like from outside ---

// Every field with its length, so that no two plans have the same text.
class PlanDigester {
 public:
  void Add(std::uint64_t number) {
    std::string text;
    PutFixed(&text, number, 8);
    digester_.Add(text);
  }
  void Add(std::string_view bytes) {
    Add(std::uint64_t{bytes.size()});
    digester_.Add(bytes);
  }
  void Add(const RawKey& key) {
    Add(std::uint64_t{key.column_family});
    Add(key.key);
  }
  void Add(const UserKeyName& name) {
    Add(name.name_space);
    Add(name.key);
  }
  void Add(const UndoRecord& record) {
    Add(record.key);
    Add(std::uint64_t{record.value ? 1U : 0U});
    if (record.value) Add(*record.value);
  }
  void Add(const UndoUnknown& unknown) {
    Add(unknown.key);
    Add(ToString(unknown.doubt));
  }
  void Add(const UndoLeft& left) {
    Add(left.internal);
    Add(left.name);
    Add(ToString(left.doubt));
    Add(left.records);
    AddAll(left.types);
    AddAll(left.written);
    AddAll(left.unknown);
    AddAll(left.withheld);
  }
  template <typename T>
  void AddAll(const std::vector<T>& all) {
    Add(std::uint64_t{all.size()});
    for (const T& one : all) Add(one);
  }
  BatchDigest Finish() { return digester_.Finish(); }

 private:
  BatchDigester digester_;
};

void AppendRecord(std::string* out, const UndoRecord& record) {
  if (record.key.column_family == kDefaultFamily) {
    out->push_back(record.value ? 0x01 : 0x00);
  } else {
    out->push_back(record.value ? 0x05 : 0x04);
    PutVarint32(out, record.key.column_family);
  }
  PutLengthPrefixed(out, record.key.key);
  if (record.value) PutLengthPrefixed(out, *record.value);
}

}  // namespace

std::string_view ToString(UndoDoubt doubt) {
  switch (doubt) {
    case UndoDoubt::kNotFound:
      return "not_found";
    case UndoDoubt::kNotInvertible:
      return "not_invertible";
    case UndoDoubt::kTooLarge:
      return "too_large";
    case UndoDoubt::kDeleted:
      return "deleted";
    case UndoDoubt::kNewVersion:
      return "new_version";
    case UndoDoubt::kExpiry:
      return "expiry";
    case UndoDoubt::kEmptied:
      return "emptied";
    case UndoDoubt::kUnknownType:
      return "unknown_type";
    case UndoDoubt::kNoUserKey:
      return "no_user_key";
  }
  return "?";
}

std::string_view Explain(UndoDoubt doubt) {
  switch (doubt) {
    case UndoDoubt::kNotFound:
      return "the WAL that could be read does not tell what it held at the fork";
    case UndoDoubt::kNotInvertible:
      return "its last record before the fork is of a kind that tells no value";
    case UndoDoubt::kTooLarge:
      return "what it held at the fork is too much to keep in memory";
    case UndoDoubt::kDeleted:
      return "the tail deletes it, and compaction may have dropped parts of it for good";
    case UndoDoubt::kNewVersion:
      return "the tail gives it another version or type, and compaction may have dropped parts of it for "
             "good";
    case UndoDoubt::kExpiry:
      return "it has an expiry, and compaction may have dropped parts of it for good";
    case UndoDoubt::kEmptied:
      return "the tail leaves it without an element, and compaction may have dropped parts of it for good";
    case UndoDoubt::kUnknownType:
      return "its type or its metadata is not known, and compaction may have dropped parts of it for good";
    case UndoDoubt::kNoUserKey:
      return "these records are of no user key";
  }
  return "?";
}

std::string_view ToString(UndoRefusal refusal) {
  switch (refusal) {
    case UndoRefusal::kNone:
      return "none";
    case UndoRefusal::kRangeDelete:
      return "range_delete";
    case UndoRefusal::kTooManyKeys:
      return "too_many_keys";
    case UndoRefusal::kTooManyBytes:
      return "too_many_bytes";
  }
  return "?";
}

std::string_view Explain(UndoRefusal refusal) {
  switch (refusal) {
    case UndoRefusal::kNone:
      return "the tail can be looked at key by key";
    case UndoRefusal::kRangeDelete:
      return "the tail deletes a range of keys (FLUSHDB, FLUSHALL), and nobody knows which were in it";
    case UndoRefusal::kTooManyKeys:
      return "the tail wrote more keys than an undo may have";
    case UndoRefusal::kTooManyBytes:
      return "the names of the keys that the tail wrote are longer than an undo may hold";
  }
  return "?";
}

std::string_view ToString(UndoScanEnd end) {
  switch (end) {
    case UndoScanEnd::kSettled:
      return "settled";
    case UndoScanEnd::kComplete:
      return "complete";
    case UndoScanEnd::kPurged:
      return "purged";
    case UndoScanEnd::kLimit:
      return "limit";
    case UndoScanEnd::kUnreadable:
      return "unreadable";
  }
  return "?";
}

namespace {

Result<UndoPlan> MakePlan(WalSource& wal, Sequence fork, Sequence last, const UndoOptions& options,
                          bool guard) {
  if (fork > last) {
    return Fail(ErrorCode::kInvalid,
                "the fork, " + fork.ToString() + ", is after the last sequence, " + last.ToString());
  }
  if (auto possible = CheckPossible(last); !possible) return Fail(possible.error());
  return Planner(options, guard).Plan(wal, fork, last);
}

}  // namespace

Result<UndoPlan> PlanUndo(WalSource& wal, Sequence fork, Sequence last, const UndoOptions& options) {
  return MakePlan(wal, fork, last, options, true);
}

Result<UndoPlan> internal::PlanUndoWithoutGuard(WalSource& wal, Sequence fork, Sequence last,
                                                const UndoOptions& options) {
  return MakePlan(wal, fork, last, options, false);
}

Result<SurvivorWrites> FindWrites(WalSource& survivor, SequenceRange range,
                                  const std::vector<RawKey>& asked) {
  WriteFinder finder(asked);
  Result<void> decoded;
  Result<void> read = survivor.ForEachBatch(range, [&](const BatchView& batch) {
    decoded = DecodeBatch(batch.bytes, [&](const BatchRecord& record) {
      if (record.sequence >= range.from && record.sequence < range.to) finder.Add(record);
      return true;
    });
    return decoded.has_value();
  });
  if (!read) return Fail(read.error());
  if (!decoded) return Fail(decoded.error());
  return std::move(finder).Take();
}

std::vector<RawKey> KeysToAsk(const UndoPlan& plan) {
  std::set<RawKey> keys;
  for (const UndoLeft& left : plan.left) {
    if (!left.internal.empty()) continue;
    keys.insert(left.metadata);
    for (const UndoUnknown& unknown : left.unknown) {
      if (unknown.settled_by_write) keys.insert(unknown.key);
    }
  }
  return {keys.begin(), keys.end()};
}

UndoPlan Settle(UndoPlan plan, const SurvivorAnswer& answer) {
  std::vector<UndoLeft> still_left;
  for (UndoLeft& left : plan.left) {
    if (left.internal.empty() &&
        (answer.lacks.contains(left.name) || answer.writes.renewed.contains(left.metadata))) {
      for (RawKey& key : left.written) plan.records.push_back({std::move(key), std::nullopt});
      plan.undone.push_back(std::move(left.name));
      continue;
    }
    const bool was_unknown = !left.unknown.empty();
    std::erase_if(left.unknown, [&answer](const UndoUnknown& unknown) {
      return unknown.settled_by_write && answer.writes.wrote.contains(unknown.key);
    });
    if (was_unknown && left.unknown.empty()) {
      std::move(left.withheld.begin(), left.withheld.end(), std::back_inserter(plan.records));
      plan.undone.push_back(std::move(left.name));
      continue;
    }
    if (was_unknown) left.doubt = left.unknown.front().doubt;
    still_left.push_back(std::move(left));
  }
  plan.left = std::move(still_left);
  SortRecords(&plan.records);
  std::sort(plan.undone.begin(), plan.undone.end());
  return plan;
}

BatchDigest DigestOf(const UndoPlan& plan) {
  PlanDigester digester;
  digester.Add(plan.tail.from.Value());
  digester.Add(plan.tail.to.Value());
  digester.Add(ToString(plan.refusal));
  digester.AddAll(plan.records);
  digester.AddAll(plan.undone);
  digester.AddAll(plan.left);
  return digester.Finish();
}

std::vector<std::string> MakeUndoBatches(const std::vector<UndoRecord>& records, Sequence first,
                                         std::string_view decision, std::size_t max_records,
                                         std::size_t max_bytes) {
  WALSTITCH_CHECK(max_records > 0 && max_bytes > 0);
  std::vector<std::string> batches;
  std::string batch;
  std::string record;
  std::uint32_t count = 0;
  const auto begin = [&] {
    batch.clear();
    PutFixed(&batch, first.Value(), 8);
    PutFixed(&batch, 0, 4);
    batch.push_back(0x03);  // LogData
    PutLengthPrefixed(&batch, MarkerLogData(decision));
    count = 0;
  };
  const auto close = [&] {
    SetBatchCount(batch.data(), count);
    batches.push_back(std::move(batch));
    first = first + count;
  };
  for (const UndoRecord& undo : records) {
    record.clear();
    AppendRecord(&record, undo);
    if (count > 0 && (count >= max_records || batch.size() + record.size() > max_bytes)) {
      close();
      count = 0;
    }
    if (count == 0) begin();
    batch += record;
    ++count;
  }
  if (count > 0) close();
  return batches;
}

}  // namespace walstitch::wal
