#include "controller/shell/local_store.h"

#include <rocksdb/db.h>
#include <rocksdb/options.h>
#include <rocksdb/write_batch.h>

#include <boost/json.hpp>
#include <cstdio>

#include "controller/core/log_memory.h"
#include "policies/model/json.h"

namespace walstitch::shell {
namespace {

// Keys: "group/<name>" -> state; "log/<20 digits>" -> one entry's line; "head" -> {"index","hash"};
// "record/<decision id>" -> the indexes of its entries, as a JSON array; "open/<decision id>" -> "".
constexpr std::string_view kHead = "head";
constexpr std::string_view kLog = "log/";
constexpr std::string_view kRecord = "record/";
constexpr std::string_view kOpen = "open/";

std::string LogKey(std::uint64_t index) {
  char text[32];
  std::snprintf(text, sizeof text, "%020llu", static_cast<unsigned long long>(index));
  return std::string(kLog) + text;
}

std::string Key(std::string_view prefix, std::string_view name) {
  return std::string(prefix) + std::string(name);
}

Error FromStatus(const rocksdb::Status& status, std::string_view what) {
  return {status.IsNotFound() ? ErrorCode::kNotFound : ErrorCode::kIo,
          "controller's store: " + std::string(what) + ": " + status.ToString()};
}

}  // namespace

class LocalStore::Impl {
 public:
  std::unique_ptr<rocksdb::DB> db;
  core::LogHead head;

  Result<std::string> Get(const std::string& key, std::string_view what) const {
    std::string value;
    const auto status = db->Get({}, key, &value);
    if (!status.ok()) return Fail(FromStatus(status, what));
    return value;
  }

  Result<std::vector<std::uint64_t>> Indexes(const std::string& decision) const {
    std::string text;
    const auto status = db->Get({}, Key(kRecord, decision), &text);
    if (status.IsNotFound()) return std::vector<std::uint64_t>{};
    if (!status.ok()) return Fail(FromStatus(status, "decision " + decision));
    auto json = ParseJson(text);
    if (!json || !json->is_array())
      return Fail(ErrorCode::kDamaged, "controller's store: decision " + decision);
    std::vector<std::uint64_t> indexes;
    for (const auto& item : json->get_array()) {
      boost::system::error_code bad;
      indexes.push_back(item.to_number<std::uint64_t>(bad));
      if (bad) return Fail(ErrorCode::kDamaged, "controller's store: decision " + decision);
    }
    return indexes;
  }

  Result<void> Append(core::EntryKind kind, const std::string& decision, std::int64_t time_ms,
                      const boost::json::value& body, const core::GroupState* state) {
    auto indexes = Indexes(decision);
    if (!indexes) return Fail(indexes.error());
    const core::SealedEntry sealed = core::Seal(head, kind, decision, time_ms, body);
    indexes->push_back(sealed.head.index);
    boost::json::array list(indexes->begin(), indexes->end());
    rocksdb::WriteBatch batch;
    batch.Put(LogKey(sealed.head.index), sealed.line);
    batch.Put(Key(kRecord, decision), Dump(list));
    batch.Put(std::string(kHead), Dump({{"index", sealed.head.index}, {"hash", sealed.head.hash}}));
    if (kind == core::EntryKind::kDecision) batch.Put(Key(kOpen, decision), "");
    if (kind == core::EntryKind::kOutcome) batch.Delete(Key(kOpen, decision));
    if (state != nullptr) batch.Put("group/" + state->group, Dump(core::ToJson(*state)));
    rocksdb::WriteOptions options;
    options.sync = true;
    const auto status = db->Write(options, &batch);
    if (!status.ok()) return Fail(FromStatus(status, "the decision log cannot be written"));
    head = sealed.head;
    return {};
  }

  Result<DecisionRecord> Record(const std::string& decision) const {
    auto indexes = Indexes(decision);
    if (!indexes) return Fail(indexes.error());
    if (indexes->empty()) return Fail(ErrorCode::kNotFound, "no decision " + decision);
    core::RecordFolder folder;
    for (const std::uint64_t index : *indexes) {
      auto line = Get(LogKey(index), "log entry " + std::to_string(index));
      if (!line) return Fail(line.error());
      if (auto added = folder.Add(*line); !added) return Fail(added.error());
    }
    return folder.Records().front();
  }

  // Decision ids that begin with the prefix, oldest first (ULIDs sort by time).
  std::vector<std::string> Ids(std::string_view prefix) const {
    std::vector<std::string> ids;
    std::unique_ptr<rocksdb::Iterator> iterator(db->NewIterator({}));
    for (iterator->Seek(std::string(prefix));
         iterator->Valid() && iterator->key().starts_with(std::string(prefix)); iterator->Next()) {
      ids.push_back(iterator->key().ToString().substr(prefix.size()));
    }
    return ids;
  }
};

LocalStore::LocalStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
LocalStore::~LocalStore() = default;

Result<std::unique_ptr<LocalStore>> LocalStore::Open(const std::string& directory) {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.keep_log_file_num = 2;
  options.max_open_files = 64;
  rocksdb::DB* raw = nullptr;
  const auto status = rocksdb::DB::Open(options, directory, &raw);
  if (!status.ok()) return Fail(FromStatus(status, "cannot open " + directory));
  auto impl = std::make_unique<Impl>();
  impl->db.reset(raw);
  std::string head;
  const auto found = raw->Get({}, std::string(kHead), &head);
  if (found.ok()) {
    auto json = ParseJson(head);
    const auto* object = json ? json->if_object() : nullptr;
    boost::system::error_code bad;
    const auto* index = object == nullptr ? nullptr : object->if_contains("index");
    const auto* hash = object == nullptr ? nullptr : object->if_contains("hash");
    if (index == nullptr || hash == nullptr || !hash->is_string()) {
      return Fail(ErrorCode::kDamaged,
                  "controller's store: the decision log's head in " + directory + " is damaged");
    }
    impl->head = {index->to_number<std::uint64_t>(bad), std::string(hash->get_string())};
    if (bad) return Fail(ErrorCode::kDamaged, "controller's store: the decision log's head is damaged");
  } else if (!found.IsNotFound()) {
    return Fail(FromStatus(found, "the decision log's head"));
  }
  return std::unique_ptr<LocalStore>(new LocalStore(std::move(impl)));
}

Result<core::GroupState> LocalStore::LoadGroup(const std::string& group) const {
  std::string text;
  const auto status = impl_->db->Get({}, "group/" + group, &text);
  if (status.IsNotFound()) {
    core::GroupState fresh;
    fresh.group = group;
    return fresh;
  }
  if (!status.ok()) return Fail(FromStatus(status, "group " + group));
  auto json = ParseJson(text);
  if (!json) return Fail(json.error(), "controller's store: group " + group);
  return core::GroupStateFromJson(*json);
}

Result<void> LocalStore::AppendDecision(const Decision& decision, const core::GroupState* state) {
  auto appended =
      impl_->Append(core::EntryKind::kDecision, decision.id, decision.time_ms, ToJson(decision), state);
  if (appended) Opened(decision);
  return appended;
}

Result<void> LocalStore::AppendStep(const std::string& decision, std::int64_t time_ms,
                                    const StepRecord& step) {
  return impl_->Append(core::EntryKind::kStep, decision, time_ms, ToJson(step), nullptr);
}

Result<void> LocalStore::AppendOutcome(const std::string& decision, const OutcomeRecord& outcome,
                                       const core::GroupState* state) {
  auto appended = impl_->Append(core::EntryKind::kOutcome, decision, outcome.time_ms, ToJson(outcome), state);
  if (appended) Closed(decision);
  return appended;
}

core::LogHead LocalStore::Head() const { return impl_->head; }

Result<std::vector<std::string>> LocalStore::ReadLog(std::uint64_t from, std::size_t max) const {
  std::vector<std::string> lines;
  std::unique_ptr<rocksdb::Iterator> iterator(impl_->db->NewIterator({}));
  for (iterator->Seek(LogKey(from));
       iterator->Valid() && iterator->key().starts_with(std::string(kLog)) && lines.size() < max;
       iterator->Next()) {
    lines.push_back(iterator->value().ToString());
  }
  if (!iterator->status().ok())
    return Fail(FromStatus(iterator->status(), "the decision log cannot be read"));
  return lines;
}

Result<std::vector<DecisionRecord>> LocalStore::ReadRecords(const std::string& group, const std::string& node,
                                                            std::size_t max) const {
  std::vector<DecisionRecord> records;
  auto ids = impl_->Ids(kRecord);
  for (auto id = ids.rbegin(); id != ids.rend() && records.size() < max; ++id) {
    auto record = impl_->Record(*id);
    if (!record) return Fail(record.error());
    if (!group.empty() && record->decision.group != group) continue;
    if (!node.empty() && record->decision.node != node) continue;
    records.push_back(std::move(*record));
  }
  return records;
}

Result<DecisionRecord> LocalStore::ReadRecord(const std::string& id) const {
  auto found = core::ResolveDecision(impl_->Ids(kRecord), id);
  if (!found) return Fail(found.error());
  return impl_->Record(*found);
}

std::vector<DecisionRecord> LocalStore::OpenRecords(const std::string& group) const {
  std::vector<DecisionRecord> records;
  for (const auto& id : impl_->Ids(kOpen)) {
    auto record = impl_->Record(id);
    if (record && record->decision.group == group) records.push_back(std::move(*record));
  }
  return records;
}

}  // namespace walstitch::shell
