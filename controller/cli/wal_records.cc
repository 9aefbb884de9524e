// `walstitch wal records`: what was written, record by record.
#include <boost/json.hpp>

#include "agents/wal/records.h"
#include "controller/cli/table.h"
#include "controller/cli/text.h"
#include "controller/cli/wal_shared.h"
#include "policies/evaluate.h"
#include "policies/loader.h"
#include "policies/model/bytes.h"
#include "policies/model/types.h"

namespace walstitch::cli {
namespace {

using Matches = std::function<bool(const wal::KvrocksRecord&)>;

// What a policy calls a record that is of no user key.
std::string InternalKeyspace(std::string_view internal) { return "internal/" + std::string(internal); }

Result<void> CheckKeyspace(const std::string& name, const TolerancePolicy& policy) {
  if (name == "default" || name.starts_with("internal/")) return {};
  std::vector<std::string> names;
  for (const KeyspaceRule& rule : policy.keyspaces) {
    if (rule.name == name) return {};
    names.push_back(rule.name);
  }
  names.emplace_back("default");
  return Fail(ErrorCode::kInvalid, "--keyspace '" + ToPrintable(name) +
                                       "' is not in the policy; there are: " + Join(names) +
                                       ", and internal/pubsub and the like");
}

// The record alone decides: one that does not tell its type may be of any, as in a decision.
bool InKeyspace(const TolerancePolicy& policy, const std::string& keyspace,
                const wal::KvrocksRecord& record) {
  if (!record.user_key) return InternalKeyspace(record.internal) == keyspace;
  TouchedKey key;
  key.name_space = record.user_key->name_space;
  key.key = record.user_key->key;
  if (record.type) key.types.emplace_back(*record.type);
  return DecideKey(policy, key).keyspace == keyspace;
}

Result<Matches> MakeFilter(const WalRecordFilter& filter) {
  if (!filter.Any()) return Matches();
  if (filter.keyspace.empty() != filter.policy_paths.empty()) {
    return Fail(ErrorCode::kInvalid, filter.keyspace.empty() ? "--policy needs a --keyspace to look for"
                                                             : "--keyspace needs the --policy that names it");
  }
  KeyspaceMatch match;
  if (!filter.name_space.empty()) match.namespaces = {filter.name_space};
  if (!filter.key.empty()) match.keys = {filter.key};
  if (!filter.type.empty()) {
    if (!CanonicalTypeName(filter.type)) {
      std::vector<std::string> names(KvrocksTypeNames().begin(), KvrocksTypeNames().end());
      return Fail(ErrorCode::kInvalid,
                  "--type '" + ToPrintable(filter.type) + "' is no type; there are: " + Join(names));
    }
    match.types = {filter.type};
  }
  std::optional<TolerancePolicy> policy;
  if (!filter.keyspace.empty()) {
    auto loaded = LoadPolicyPaths(filter.policy_paths);
    if (!loaded) return Fail(loaded.error());
    if (auto known = CheckKeyspace(filter.keyspace, *loaded); !known) return Fail(known.error());
    policy = std::move(*loaded);
  }
  const bool of_user_key = !(filter.name_space.empty() && filter.key.empty() && filter.type.empty());
  return Matches([match = std::move(match), policy = std::move(policy), keyspace = filter.keyspace,
                  of_user_key](const wal::KvrocksRecord& record) {
    if (of_user_key) {
      if (!record.user_key) return false;
      if (!NamespaceMatches(match, record.user_key->name_space)) return false;
      if (!KeyMatches(match, record.user_key->key)) return false;
      if (!match.types.empty() && !(record.type && TypeMatches(match, *record.type))) return false;
    }
    return !policy || InKeyspace(*policy, keyspace, record);
  });
}

boost::json::object RecordJson(const wal::RecordInfo& record) {
  boost::json::object json;
  json["sequence"] = record.sequence.Value();
  json["column_family"] = record.column_family;
  json["column_family_name"] = record.column_family_name;
  json["operation"] = record.operation;
  if (record.has_user_key) {
    json["namespace"] = ToPrintable(record.name_space);
    json["user_key"] = ToPrintable(record.user_key);
  } else {
    json["internal"] = record.internal;
  }
  if (!record.type.empty()) json["type"] = record.type;
  json["key"] = ToPrintable(record.key);
  json["value_bytes"] = record.value_bytes;
  return json;
}

}  // namespace

ExitCode WalRecordsCommand(const Console& console, NamedSource& wal, const WalRange& range,
                           const WalRecordFilter& filter) {
  auto matches = MakeFilter(filter);
  if (!matches) return console.Complain(matches.error());
  const auto lock = LockOf(wal);
  auto asked = AskRange(console, wal, range);
  if (!asked) return asked.error();
  Progress progress(console.progress, asked->extent.bytes);
  wal::RecordOptions options{.max_records = range.limit, .slot_encoded = range.cluster};
  // Without a filter the limit is reached at once.
  if (*matches) {
    options.matches = [&](const wal::KvrocksRecord& record) {
      progress.Show(BytesUpTo(*asked, record.raw.sequence));
      return (*matches)(record);
    };
  }
  auto list = wal::ListRecords(*wal.source, asked->range, options);
  progress.Clear();
  if (!list) {
    Error error = list.error();
    if (error.Code() == ErrorCode::kDamaged || error.Code() == ErrorCode::kNotFound) {
      const auto behind = NextLogBehind(wal, asked->range.from);
      if (behind)
        error = Error(error.Code(),
                      error.Message() + " (the next log begins with --from " + behind->ToString() + ")");
    }
    return ComplainOf(console, wal, error);
  }
  if (console.json) {
    boost::json::array records;
    for (const auto& record : list->records) records.push_back(RecordJson(record));
    boost::json::object json = SourceJson(wal, lock);
    json["records"] = std::move(records);
    if (list->next) json["next"] = list->next->Value();
    console.PrintJson(json);
    return ExitCode::kDone;
  }
  Table table({{"SEQUENCE", Align::kRight},
               {"FAMILY"},
               {"OPERATION"},
               {"NAMESPACE"},
               {"KEY"},
               {"TYPE"},
               {"VALUE BYTES", Align::kRight}});
  for (const auto& record : list->records) {
    // A record of no user key is shown by its raw key.
    table.AddRow({record.sequence.ToString(),
                  record.column_family_name == "unknown" ? std::to_string(record.column_family)
                                                         : record.column_family_name,
                  record.operation, record.has_user_key ? ShowNamespace(record.name_space) : "-",
                  ToPrintable(record.has_user_key ? record.user_key : record.key),
                  record.has_user_key ? record.type : "(" + record.internal + ")",
                  std::to_string(record.value_bytes)});
  }
  std::string out =
      table.Empty() ? "no records" + std::string(filter.Any() ? " that fit\n" : "\n") : table.Render();
  if (list->next) {
    out += "cut off after " + Count(list->records.size(), "record") + " (--limit); goes on with --from " +
           list->next->ToString() + "\n";
  }
  if (lock) out += DescribeSource(wal, lock);
  console.Print(out);
  return ExitCode::kDone;
}

}  // namespace walstitch::cli
