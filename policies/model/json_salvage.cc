// Salvages, and what is asked of them.
#include <array>

#include "policies/model/json.h"
#include "policies/model/json_codec.h"
#include "policies/model/json_fields.h"
#include "policies/model/salvage.h"

namespace walstitch {

template <typename V, Like<SalvageFile> S>
void Fields(V& visit, S& s) {
  visit("name", s.name);
  visit("bytes", s.bytes);
  visit("sha256", s.sha256);
}

template <typename V, Like<SalvageManifest> S>
void Fields(V& visit, S& s) {
  visit("format", s.format);
  visit("id", s.id);
  visit("group", s.group);
  visit("node", s.node);
  visit("survivor", s.survivor);
  visit("range", s.range);
  visit("fork", s.fork);
  visit("time_ms", s.time_ms);
  visit("batches", s.batches);
  visit("records", s.records);
  visit("range_deletes", s.range_deletes);
  visit("keys", s.keys);
  visit("values", s.values);
  visit("absent", s.absent);
  visit("not_kept", s.not_kept);
  visit.Defaulted("lacks", s.lacks);
  visit("files", s.files);
}

template <typename V, Like<DamagedSalvage> S>
void Fields(V& visit, S& s) {
  visit("id", s.id);
  visit("problem", s.problem);
}

template <typename V, Like<SalvageList> S>
void Fields(V& visit, S& s) {
  visit("salvages", s.salvages);
  visit("damaged", s.damaged);
}

template <typename V, Like<SalvagedKey> S>
void Fields(V& visit, S& s) {
  visit.Raw("namespace", s.name_space);
  visit.Raw("key", s.key);
  visit("type", s.type);
  visit("kept", s.kept);
  visit.Defaulted("why", s.why);
  visit("expire_ms", s.expire_ms);
  visit("at", s.at);
  visit("bytes", s.bytes);
}

template <typename V, Like<SalvagedKeys> S>
void Fields(V& visit, S& s) {
  visit("keys", s.keys);
  visit("next", s.next);
}

template <typename V, Like<ReplayRequest> S>
void Fields(V& visit, S& s) {
  visit("epoch", s.epoch);
  visit("group", s.group);
  visit("node", s.node);
  visit("source", s.source);
  visit("source_url", s.source_url);
  visit("salvage", s.salvage);
  visit("at", s.at);
  visit("dry_run", s.dry_run);
  visit("overwrite", s.overwrite);
  visit("deletions", s.deletions);
}

template <typename V, Like<ReplayedKey> S>
void Fields(V& visit, S& s) {
  visit.Raw("namespace", s.name_space);
  visit.Raw("key", s.key);
  visit("type", s.type);
  visit("result", s.result);
  visit.Defaulted("why", s.why);
}

template <typename V, Like<ReplayAnswer> S>
void Fields(V& visit, S& s) {
  visit("keys", s.keys);
}

boost::json::value ToJson(const SalvageManifest& value) { return codec::Write(value); }
boost::json::value ToJson(const SalvageList& value) { return codec::Write(value); }
boost::json::value ToJson(const SalvagedKeys& value) { return codec::Write(value); }
boost::json::value ToJson(const ReplayRequest& value) { return codec::Write(value); }
boost::json::value ToJson(const ReplayedKey& value) { return codec::Write(value); }
boost::json::value ToJson(const ReplayAnswer& value) { return codec::Write(value); }

Result<SalvageManifest> SalvageManifestFromJson(const boost::json::value& json) {
  return codec::ReadRoot<SalvageManifest>(json, "manifest");
}
Result<SalvageList> SalvageListFromJson(const boost::json::value& json) {
  return codec::ReadRoot<SalvageList>(json, "salvages");
}
Result<SalvagedKeys> SalvagedKeysFromJson(const boost::json::value& json) {
  return codec::ReadRoot<SalvagedKeys>(json, "keys");
}
Result<ReplayRequest> ReplayRequestFromJson(const boost::json::value& json) {
  return codec::ReadRoot<ReplayRequest>(json, "replay");
}
Result<ReplayedKey> ReplayedKeyFromJson(const boost::json::value& json) {
  return codec::ReadRoot<ReplayedKey>(json, "key");
}
Result<ReplayAnswer> ReplayAnswerFromJson(const boost::json::value& json) {
  return codec::ReadRoot<ReplayAnswer>(json, "answer");
}

}  // namespace walstitch
