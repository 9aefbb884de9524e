// Undo against a small model of Kvrocks: two nodes share a history, the one gets a tail and the other goes
// on, compaction drops what it may; then the tail is undone, the other's records are replayed, and every key
// that the plan claims must be on both what it is on the other.
//
// The model writes what Kvrocks writes, record by record, for strings, hashes, sets, sorted sets, lists and
// streams, with versions, expiries, DEL, RENAME and FLUSHDB; a key that has expired, or has no element, is
// not there for a command. Records are applied as RocksDB's WriteBatch reads them.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agents/wal/batch_decoder.h"
#include "agents/wal/kvrocks_keys.h"
#include "agents/wal/marker.h"
#include "agents/wal/undo.h"
#include "tests/unit/wal/property.h"
#include "tests/unit/wal/test_database.h"
#include "tests/unit/wal/wal_text.h"

namespace walstitch::wal {
namespace {

constexpr int kStringType = 1;
constexpr int kHashType = 2;
constexpr int kListType = 3;
constexpr int kSetType = 4;
constexpr int kZsetType = 5;
constexpr int kStreamType = 8;
constexpr std::uint64_t kFiveMinutes = 300000;

using State = std::map<RawKey, std::string>;

std::string BigEndian(std::uint64_t value) {
  std::string bytes = Fixed(value, 8);
  std::reverse(bytes.begin(), bytes.end());
  return bytes;
}
std::uint64_t ReadBigEndian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (int i = 0; i < 8; ++i)
    value = value << 8 | static_cast<std::uint8_t>(bytes[static_cast<std::size_t>(i)]);
  return value;
}

// flags u8 | expire u64 | version u64 | size u64 | own; a string has its value behind expire.
struct Meta {
  int type = 0;
  std::uint64_t expire = 0;
  std::uint64_t version = 0;
  std::uint64_t size = 0;
  std::string own;

  static Meta Read(const std::string& value) {
    Meta meta;
    meta.type = value[0] & 0x0f;
    meta.expire = ReadBigEndian(std::string_view(value).substr(1));
    if (meta.type == kStringType) {
      meta.own = value.substr(9);
      return meta;
    }
    meta.version = ReadBigEndian(std::string_view(value).substr(9));
    meta.size = ReadBigEndian(std::string_view(value).substr(17));
    meta.own = value.substr(25);
    return meta;
  }
  [[nodiscard]] std::string Bytes() const {
    const std::string head = std::string(1, static_cast<char>(0x80 | type)) + BigEndian(expire);
    if (type == kStringType) return head + own;
    return head + BigEndian(version) + BigEndian(size) + own;
  }
  [[nodiscard]] bool Expired(std::uint64_t at) const {
    const bool emptyable = type == kStringType || type == kStreamType;
    if (!emptyable && size == 0) return true;
    return expire != 0 && expire < at;
  }
};

std::string Name(std::string_view key) { return MetadataKey("n", key); }

// What a client can see of a user key.
struct Visible {
  std::string metadata;
  State subkeys;
  bool operator==(const Visible&) const = default;
};
std::optional<Visible> See(const State& state, const std::string& key, std::uint64_t now) {
  const auto found = state.find({1, Name(key)});
  if (found == state.end()) return std::nullopt;
  const Meta meta = Meta::Read(found->second);
  if (meta.Expired(now)) return std::nullopt;
  Visible visible;
  visible.metadata = found->second;
  if (meta.type == kStringType) return visible;
  const std::string prefix = SubkeyKey("n", key, meta.version, "");
  for (const std::uint32_t family : {0U, 2U, 5U}) {
    for (auto at = state.lower_bound({family, prefix});
         at != state.end() && at->first.column_family == family && at->first.key.starts_with(prefix); ++at) {
      visible.subkeys.insert(*at);
    }
  }
  return visible;
}

void Apply(State* state, const std::string& batch) {
  for (DatabaseRecord& record : TestDatabase::RecordsOf(batch)) {
    if (record.operation == "Put") {
      (*state)[{record.column_family, record.key}] = record.value;
    } else if (record.operation == "Delete") {
      state->erase({record.column_family, record.key});
    } else if (record.operation == "DeleteRange") {
      state->erase(state->lower_bound({record.column_family, record.key}),
                   state->lower_bound({record.column_family, record.value}));
    }
  }
}

// Drops of what compaction may drop each with one chance in two.
void Compact(State* state, std::uint64_t now, Random* random) {
  std::erase_if(*state, [&](const auto& entry) {
    return entry.first.column_family == 1 && Meta::Read(entry.second).Expired(now) && random->OneIn(2);
  });
  std::erase_if(*state, [&](const auto& entry) {
    const std::uint32_t family = entry.first.column_family;
    if (family != 0 && family != 2 && family != 5) return false;
    const auto subkey = ParseSubkey(entry.first.key, false);
    const auto found = state->find({1, Name(subkey->user_key.key)});
    bool drop = found == state->end();
    if (!drop) {
      const Meta meta = Meta::Read(found->second);
      drop = meta.type == kStringType || meta.version != subkey->version ||
             meta.Expired(now > kFiveMinutes ? now - kFiveMinutes : 0);
    }
    return drop && random->OneIn(2);
  });
}

// Versions and names that nobody else makes.
struct World {
  std::uint64_t now = 1'000'000'000;
  std::uint64_t made = 0;
};

class Node {
 public:
  Node(World* world, Random* random) : world_(world), random_(random) {}

  // Some commands, as batches; several commands may share one.
  void Run(std::uint64_t commands, std::uint64_t one_flush_in) {
    while (commands > 0) {
      BatchText batch(next_);
      const std::uint64_t before = next_;
      batch_ = &batch;
      for (std::uint64_t together = random_->OneIn(4) ? random_->Between(2, 4) : 1;
           together > 0 && commands > 0; --together, --commands) {
        Command(one_flush_in);
      }
      if (random_->OneIn(10)) batch.Log("r 0123456789ABCDEF");
      if (next_ > before || random_->OneIn(3)) batches.push_back(batch.Bytes());
      world_->now += random_->OneIn(20) ? random_->Skewed(2 * kFiveMinutes) : random_->Below(50);
    }
  }

  State state;
  std::vector<std::string> batches;
  [[nodiscard]] std::uint64_t Next() const { return next_; }

 private:
  void Put(std::uint32_t family, const std::string& key, const std::string& value) {
    batch_->Put(family, key, value);
    state[{family, key}] = value;
    ++next_;
  }
  void Delete(std::uint32_t family, const std::string& key) {
    batch_->Delete(family, key);
    state.erase({family, key});
    ++next_;
  }
  void PutMeta(const std::string& key, const Meta& meta) { Put(1, Name(key), meta.Bytes()); }

  std::optional<Meta> Find(const std::string& key) {
    const auto found = state.find({1, Name(key)});
    if (found == state.end()) return std::nullopt;
    Meta meta = Meta::Read(found->second);
    if (meta.Expired(world_->now)) return std::nullopt;
    return meta;
  }
  // As a command of this type finds it, or makes it; nullopt: WRONGTYPE.
  std::optional<Meta> FindOrMake(const std::string& key, int type) {
    std::optional<Meta> meta = Find(key);
    if (meta && meta->type != type) return std::nullopt;
    if (meta) return meta;
    Meta made;
    made.type = type;
    made.version = ++world_->made;
    if (type == kListType) made.own = BigEndian(1000) + BigEndian(1000);
    if (type == kStreamType) made.own = std::string(96, '\0');
    return made;
  }
  std::string Field() { return std::string(1, static_cast<char>('a' + random_->Below(4))); }
  std::string Value() { return std::to_string(random_->Below(1000)); }
  static std::string Sub(const std::string& key, const Meta& meta, const std::string& rest) {
    return SubkeyKey("n", key, meta.version, rest);
  }

  void Command(std::uint64_t one_flush_in);
  void Elements(const std::string& key, int type);
  void Remove(const std::string& key, int type);
  void Push(const std::string& key);
  void Pop(const std::string& key);
  void Entry(const std::string& key);
  void Rename(const std::string& key);

  World* world_;
  Random* random_;
  std::uint64_t next_ = 1;
  BatchText* batch_ = nullptr;
};

void Node::Elements(const std::string& key, int type) {
  std::optional<Meta> meta = FindOrMake(key, type);
  if (!meta) return;
  batch_->Log(std::to_string(type));
  std::uint64_t added = 0;
  std::set<std::string> fields;
  for (std::uint64_t i = random_->Between(1, 3); i > 0; --i) fields.insert(Field());
  for (const std::string& field : fields) {
    const std::string sub = Sub(key, *meta, field);
    const auto found = state.find({0, sub});
    const std::string value = type == kSetType    ? ""
                              : type == kZsetType ? BigEndian(random_->Below(5))
                                                  : Value();
    if (found != state.end() && found->second == value) continue;
    if (found != state.end() && type == kZsetType) Delete(2, Sub(key, *meta, found->second + field));
    if (found == state.end()) ++added;
    Put(0, sub, value);
    if (type == kZsetType) Put(2, Sub(key, *meta, value + field), "");
  }
  meta->size += added;
  if (added > 0) PutMeta(key, *meta);
}

void Node::Remove(const std::string& key, int type) {
  std::optional<Meta> meta = Find(key);
  if (!meta || meta->type != type) return;
  batch_->Log(std::to_string(type));
  const std::string field = Field();
  const std::string sub = Sub(key, *meta, field);
  const auto found = state.find({0, sub});
  if (found == state.end()) return;
  const std::string value = found->second;
  Delete(0, sub);
  if (type == kZsetType) Delete(2, Sub(key, *meta, value + field));
  --meta->size;
  PutMeta(key, *meta);
}

void Node::Push(const std::string& key) {
  std::optional<Meta> meta = FindOrMake(key, kListType);
  if (!meta) return;
  batch_->Log("3 6");
  std::uint64_t head = ReadBigEndian(meta->own);
  std::uint64_t tail = ReadBigEndian(meta->own.substr(8));
  const bool left = random_->OneIn(2);
  for (std::uint64_t i = random_->Between(1, 3); i > 0; --i) {
    Put(0, Sub(key, *meta, BigEndian(left ? --head : tail++)), Value());
    ++meta->size;
  }
  meta->own = BigEndian(head) + BigEndian(tail);
  PutMeta(key, *meta);
}

void Node::Pop(const std::string& key) {
  std::optional<Meta> meta = Find(key);
  if (!meta || meta->type != kListType) return;
  batch_->Log("3 7");
  std::uint64_t head = ReadBigEndian(meta->own);
  std::uint64_t tail = ReadBigEndian(meta->own.substr(8));
  Delete(0, Sub(key, *meta, BigEndian(random_->OneIn(2) ? head++ : --tail)));
  --meta->size;
  meta->own = BigEndian(head) + BigEndian(tail);
  if (meta->size == 0) {
    Delete(1, Name(key));
  } else {
    PutMeta(key, *meta);
  }
}

void Node::Entry(const std::string& key) {
  std::optional<Meta> meta = FindOrMake(key, kStreamType);
  if (!meta) return;
  batch_->Log("8");
  const std::uint64_t last = ReadBigEndian(meta->own) + 1;
  Put(5, Sub(key, *meta, BigEndian(last) + BigEndian(0)), Value());
  meta->own = BigEndian(last) + BigEndian(0) + std::string(80, '\0');
  ++meta->size;
  if (random_->OneIn(3)) {  // MAXLEN
    const std::string prefix = Sub(key, *meta, "");
    const std::string first = state.lower_bound({5, prefix})->first.key;
    Delete(5, first);
    --meta->size;
  }
  PutMeta(key, *meta);
}

// To a name that was never used, so that no version comes back to where it was: which of its subkeys are in
// sight then, Kvrocks' compaction decides on each node for itself.
void Node::Rename(const std::string& key) {
  const std::optional<Meta> meta = Find(key);
  if (!meta) return;
  batch_->Log(std::to_string(meta->type));
  const std::string to = "renamed" + std::to_string(++world_->made);
  const std::optional<Visible> old = See(state, key, world_->now);
  Delete(1, Name(key));
  Put(1, Name(to), old->metadata);
  for (const auto& [raw, value] : old->subkeys) {
    Put(raw.column_family, Sub(to, *meta, raw.key.substr(Sub(key, *meta, "").size())), value);
  }
}

void Node::Command(std::uint64_t one_flush_in) {
  const std::string key(1, static_cast<char>('A' + random_->Below(12)));
  // Most keys keep their type; the others change it.
  const int own = (key[0] - 'A') % 6;
  const auto kind = random_->OneIn(6) ? random_->Below(6) : static_cast<std::uint64_t>(own);
  if (one_flush_in > 0 && random_->OneIn(one_flush_in)) {
    batch_->DeleteRange(1, Name(""), Name("\xff"));
    state.erase(state.lower_bound({1, Name("")}), state.lower_bound({1, Name("\xff")}));
    ++next_;
    return;
  }
  switch (random_->Below(16)) {
    case 0: {
      const bool there = Find(key).has_value();
      batch_->Log("0");
      if (there) Delete(1, Name(key));
      return;
    }
    case 1: {
      std::optional<Meta> meta = Find(key);
      if (!meta || random_->OneIn(2)) return;
      batch_->Log("0 8");
      meta->expire = random_->OneIn(4) ? 0 : world_->now + random_->Skewed(kFiveMinutes);
      PutMeta(key, *meta);
      return;
    }
    case 2:
      if (random_->OneIn(4)) Rename(key);
      return;
    case 3:
      if (random_->OneIn(4)) Put(3, "channel", "message");
      return;
    case 4:
      if (random_->OneIn(12)) Put(4, random_->OneIn(2) ? "lua_f_1" : "replication_id_", "x");
      return;
    default:
      break;
  }
  const bool remove = random_->OneIn(3);
  switch (kind) {
    case 0: {
      batch_->Log("1");
      Meta meta;
      meta.type = kStringType;
      meta.own = Value();
      if (random_->OneIn(5)) meta.expire = world_->now + random_->Skewed(kFiveMinutes);
      PutMeta(key, meta);
      return;
    }
    case 1:
      return remove ? Remove(key, kHashType) : Elements(key, kHashType);
    case 2:
      return remove ? Remove(key, kSetType) : Elements(key, kSetType);
    case 3:
      return remove ? Remove(key, kZsetType) : Elements(key, kZsetType);
    case 4:
      return remove ? Pop(key) : Push(key);
    default:
      return Entry(key);
  }
}

std::set<std::string> KeysOf(const State& state) {
  std::set<std::string> keys;
  for (const auto& [raw, value] : state) {
    if (raw.column_family == 1) keys.emplace(ParseMetadataKey(raw.key, false)->key);
  }
  return keys;
}

std::string Printable(const std::string& key) { return "key " + key; }

// How much of what was tried came to something: a test that never undoes anything proves nothing.
struct Tally {
  std::uint64_t undone = 0;
  std::uint64_t settled = 0;
  std::uint64_t guarded = 0;
  std::uint64_t unknown = 0;
  std::uint64_t whole = 0;
  std::uint64_t refused = 0;
};

class Trial {
 public:
  explicit Trial(std::uint64_t seed) : random_(seed), survivor_(&world_, &random_) {}

  // What is wrong, or nothing.
  std::string Run(Tally* tally, bool guard);

 private:
  std::string CheckRecords(const UndoPlan& plan);
  std::string CheckAtTheFork(const UndoPlan& plan, const State& state);
  std::string CheckComplete(const UndoPlan& plan);
  std::vector<std::string> Undo(const UndoPlan& plan, Node* rejoiner);
  std::string CheckUndoneAgain(const UndoPlan& plan, std::vector<std::string> wal, Node undone,
                               const UndoOptions& options);
  SurvivorAnswer Ask(const UndoPlan& plan);

  Random random_;
  World world_;
  Node survivor_;
  State fork_state_;
  std::uint64_t fork_ = 0;
  std::uint64_t compacted_at_ = 0;
  bool whole_history_ = true;
  std::set<std::string> touched_;
};

// Each record is what the raw key held at the fork, or deletes what nobody could see there.
std::string Trial::CheckRecords(const UndoPlan& plan) {
  for (const UndoRecord& record : plan.records) {
    const auto found = fork_state_.find(record.key);
    const std::string name = "raw key of family " + std::to_string(record.key.column_family);
    if (record.value && (found == fork_state_.end() || found->second != *record.value)) {
      return name + " is put to what it was not";
    }
    if (record.value || found == fork_state_.end()) continue;
    if (record.key.column_family == 1) return name + " is deleted, and was there";
    const auto subkey = ParseSubkey(record.key.key, false);
    const auto visible = See(fork_state_, std::string(subkey->user_key.key), 0);
    if (visible && visible->subkeys.contains(record.key)) return name + " is deleted, and was in sight";
  }
  return "";
}

std::string Trial::CheckAtTheFork(const UndoPlan& plan, const State& state) {
  for (const UserKeyName& name : plan.undone) {
    if (See(state, name.key, world_.now) != See(fork_state_, name.key, world_.now)) {
      return Printable(name.key) + " is not as it was at the fork";
    }
  }
  return "";
}

std::string Trial::CheckComplete(const UndoPlan& plan) {
  if (plan.refusal != UndoRefusal::kNone) {
    return plan.records.empty() && plan.undone.empty() ? "" : "a plan that was refused does something";
  }
  std::set<std::string> named;
  for (const UserKeyName& name : plan.undone) named.insert(name.key);
  for (const UndoLeft& left : plan.left) {
    if (left.internal.empty() && !named.insert(left.name.key).second) return "a key is undone and left";
    if (whole_history_ && !left.unknown.empty()) return Printable(left.name.key) + " is unknown";
  }
  return named == touched_ ? "" : "the keys of the plan are not the tail's";
}

std::vector<std::string> Trial::Undo(const UndoPlan& plan, Node* rejoiner) {
  auto batches = MakeUndoBatches(plan.records, Sequence(rejoiner->Next()), "D", random_.Between(1, 20),
                                 random_.Between(1, 1000));
  for (const std::string& batch : batches) {
    Apply(&rejoiner->state, batch);
    if (random_.OneIn(2)) Compact(&rejoiner->state, compacted_at_, &random_);
  }
  return batches;
}

// What was undone once is part of the tail when somebody looks again.
std::string Trial::CheckUndoneAgain(const UndoPlan& plan, std::vector<std::string> wal, Node undone,
                                    const UndoOptions& options) {
  if (plan.refusal != UndoRefusal::kNone) return "";
  const std::vector<std::string> batches = Undo(plan, &undone);
  if (std::string wrong = CheckAtTheFork(plan, undone.state); !wrong.empty()) return wrong;
  wal.insert(wal.end(), batches.begin(), batches.end());
  ListSource source(wal);
  const auto again = PlanUndo(source, Sequence(fork_), plan.tail.to - 1 + plan.records.size(), options);
  if (!again) return again.error().Message();
  if (std::string wrong = CheckRecords(*again); !wrong.empty()) return "again: " + wrong;
  if (whole_history_ && again->undone != plan.undone) return "again: other keys are undone";
  Undo(*again, &undone);
  return CheckAtTheFork(*again, undone.state);
}

SurvivorAnswer Trial::Ask(const UndoPlan& plan) {
  ListSource source(survivor_.batches);
  SurvivorAnswer answer;
  answer.writes =
      FindWrites(source, {Sequence(fork_ + 1), Sequence(survivor_.Next())}, KeysToAsk(plan)).value();
  for (const UndoLeft& left : plan.left) {
    if (left.internal.empty() && !See(survivor_.state, left.name.key, world_.now))
      answer.lacks.insert(left.name);
  }
  return answer;
}

std::string Trial::Run(Tally* tally, bool guard) {
  survivor_.Run(random_.Skewed(300), 60);
  fork_ = survivor_.Next() - 1;
  fork_state_ = survivor_.state;
  Node rejoiner = survivor_;
  const std::size_t shared = rejoiner.batches.size();
  const std::uint64_t at_fork = world_.now;
  rejoiner.Run(random_.Skewed(60), random_.OneIn(20) ? 40 : 0);
  for (std::size_t i = shared; i < rejoiner.batches.size(); ++i) {
    for (const DatabaseRecord& record : TestDatabase::RecordsOf(rejoiner.batches[i])) {
      if (record.operation == "LogData" || record.operation == "DeleteRange") continue;
      if (record.column_family == 1) touched_.emplace(ParseMetadataKey(record.key, false)->key);
      if (const std::uint32_t family = record.column_family; family == 0 || family == 2 || family == 5) {
        touched_.emplace(ParseSubkey(record.key, false)->user_key.key);
      }
    }
  }

  std::vector<std::string> wal = rejoiner.batches;
  if (random_.OneIn(2)) {
    const std::size_t purged = random_.Below(shared + 1);
    wal.erase(wal.begin(), wal.begin() + static_cast<std::ptrdiff_t>(purged));
    whole_history_ = fork_ == 0 || (!wal.empty() && ParseBatchHeader(wal.front())->first == Sequence(1));
  }
  UndoOptions options;
  options.first_window_bytes = 1 + random_.Skewed(2000);
  if (random_.OneIn(8)) {
    options.max_scan_bytes = random_.Skewed(10000);
    whole_history_ = false;
  }
  ListSource source(wal);
  const auto make = [&] {
    const Sequence fork(fork_);
    const Sequence last(rejoiner.Next() - 1);
    return guard ? PlanUndo(source, fork, last, options)
                 : internal::PlanUndoWithoutGuard(source, fork, last, options);
  };
  const Result<UndoPlan> made = make();
  if (!made) return made.error().Message();
  const UndoPlan& plan = *made;
  if (DigestOf(plan) != DigestOf(make().value())) return "the same plan has another digest";
  if (std::string wrong = CheckRecords(plan); !wrong.empty()) return wrong;
  if (std::string wrong = CheckComplete(plan); !wrong.empty()) return wrong;
  tally->undone += plan.undone.size();
  tally->whole += plan.Whole() ? 1 : 0;
  tally->refused += plan.refusal != UndoRefusal::kNone ? 1 : 0;
  for (const UndoLeft& left : plan.left) ++(left.unknown.empty() ? tally->guarded : tally->unknown);

  // Compaction on the rejoiner never finds expired what had not when the survivor goes on. Kvrocks loses data
  // otherwise, on any replica that is late: 1. Compaction drops metadata that expired, and then its subkeys.
  // 2. The survivor had taken the expiry away in time. 3. The replay brings the metadata back.
  const std::uint64_t commands = random_.Skewed(60);
  const bool meanwhile = random_.OneIn(2);
  if (meanwhile) {
    compacted_at_ = world_.now = at_fork;
    survivor_.Run(commands, random_.OneIn(20) ? 40 : 0);
  } else {
    world_.now += random_.OneIn(2) ? random_.Skewed(10 * kFiveMinutes) : 0;
    compacted_at_ = world_.now;
  }
  for (std::uint64_t i = random_.Below(4); i > 0; --i) Compact(&rejoiner.state, compacted_at_, &random_);
  if (!meanwhile) {
    if (std::string wrong = CheckUndoneAgain(plan, wal, rejoiner, options); !wrong.empty()) return wrong;
    survivor_.Run(commands, random_.OneIn(20) ? 40 : 0);
  }

  const UndoPlan settled = random_.OneIn(4) ? plan : Settle(plan, Ask(plan));
  if (std::string wrong = CheckComplete(settled); !wrong.empty()) return "settled: " + wrong;
  tally->settled += settled.undone.size() - plan.undone.size();
  Undo(settled, &rejoiner);
  for (const std::string& batch : survivor_.batches) {
    if (ParseBatchHeader(batch)->first > Sequence(fork_)) Apply(&rejoiner.state, batch);
    if (random_.OneIn(20)) Compact(&rejoiner.state, compacted_at_, &random_);
  }
  std::set<std::string> keys = KeysOf(survivor_.state);
  keys.merge(KeysOf(rejoiner.state));
  for (const UndoLeft& left : settled.left) keys.erase(left.name.key);
  if (settled.refusal != UndoRefusal::kNone) keys.clear();
  for (int i = 0; i < 2; ++i) {
    for (const std::string& key : keys) {
      if (See(rejoiner.state, key, world_.now) != See(survivor_.state, key, world_.now)) {
        return Printable(key) + " differs in the end";
      }
    }
    Compact(&rejoiner.state, world_.now, &random_);
  }
  return "";
}

TEST(UndoPropertyTest, WhatAPlanClaimsIsSo) {
  const std::uint64_t runs = PropertyRuns(2000);
  Tally tally;
  for (std::uint64_t i = 0; i < runs; ++i) {
    const std::uint64_t seed = PropertySeed() + i;
    const std::string wrong = Trial(seed).Run(&tally, true);
    ASSERT_EQ(wrong, "") << "seed " << seed << ": " << Again(seed);
  }
  RecordProperty("tally", "undone " + std::to_string(tally.undone) + ", settled " +
                              std::to_string(tally.settled) + ", guarded " + std::to_string(tally.guarded) +
                              ", unknown " + std::to_string(tally.unknown) + ", whole " +
                              std::to_string(tally.whole) + ", refused " + std::to_string(tally.refused));
  if (runs < 1000) return;
  EXPECT_GT(tally.undone, runs);
  EXPECT_GT(tally.settled, runs / 10);
  EXPECT_GT(tally.guarded, runs / 10);
  EXPECT_GT(tally.unknown, runs / 10);
  EXPECT_GT(tally.whole, runs / 10);
  EXPECT_GT(tally.refused, 0U);
}

TEST(UndoPropertyTest, WithoutTheGuardDataIsLost) {
  Tally tally;
  std::uint64_t lost = 0;
  const std::uint64_t runs = PropertyRuns(1000);
  for (std::uint64_t i = 0; i < runs; ++i) {
    const std::string wrong = Trial(PropertySeed() + i).Run(&tally, false);
    if (wrong.find("in the end") != std::string::npos || wrong.find("at the fork") != std::string::npos)
      ++lost;
  }
  EXPECT_TRUE(runs < 1000 || lost > 0);
}

// Any bytes for a WAL: an Error or a plan, and no plan that does what cannot be done.
TEST(UndoPropertyTest, BadBytesAreAnErrorOrEndTheScan) {
  const std::uint64_t runs = PropertyRuns(1000);
  for (std::uint64_t i = 0; i < runs; ++i) {
    Random random(PropertySeed() + i);
    World world;
    Node node(&world, &random);
    node.Run(random.Between(1, 60), 20);
    if (node.batches.empty()) continue;
    for (std::uint64_t harm = random.Between(1, 3); harm > 0; --harm) {
      std::string& batch = node.batches[random.Below(node.batches.size())];
      if (batch.size() > 12) {
        batch[random.Between(12, batch.size() - 1)] = static_cast<char>(random.Below(256));
      }
    }
    ListSource source(node.batches);
    const Sequence last(node.Next() - 1);
    const auto plan =
        PlanUndo(source, Sequence(random.Below(node.Next())), last, {.first_window_bytes = 100});
    if (!plan) {
      EXPECT_EQ(plan.error().Code(), ErrorCode::kDamaged)
          << plan.error().Message() << Again(PropertySeed() + i);
    }
  }
}

}  // namespace
}  // namespace walstitch::wal
