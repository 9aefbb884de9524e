#include "controller/cli/salvage_commands.h"

#include <algorithm>
#include <boost/json.hpp>
#include <optional>
#include <utility>

#include "controller/cli/table.h"
#include "controller/cli/text.h"
#include "policies/evaluate.h"
#include "policies/model/bytes.h"
#include "policies/model/json.h"

namespace walstitch::cli {
namespace {

constexpr std::chrono::milliseconds kReplayTimeout{600000};
// Its files, which may be large, are read from end to end first.
constexpr std::chrono::milliseconds kCheckTimeout{120000};
constexpr std::uint64_t kPage = 1000;
constexpr std::size_t kShownValue = 60;

const boost::json::array* ListIn(const boost::json::object& answer, boost::json::string_view name) {
  const auto* list = answer.if_contains(name);
  return list == nullptr ? nullptr : list->if_array();
}

std::string TextIn(const boost::json::value& value, boost::json::string_view name) {
  const auto* object = value.if_object();
  const auto* text = object == nullptr ? nullptr : object->if_contains(name);
  return text == nullptr || !text->is_string() ? std::string() : std::string(text->get_string());
}

Answer<std::vector<SalvageManifest>> ManifestsOf(const boost::json::object& answer) {
  const auto* list = ListIn(answer, "salvages");
  Result<SalvageManifest> manifest = Fail(ErrorCode::kInvalid, "no list of salvages");
  std::vector<SalvageManifest> manifests;
  bool good = list != nullptr;
  for (std::size_t i = 0; good && i < list->size(); ++i) {
    manifest = SalvageManifestFromJson((*list)[i]);
    good = manifest.has_value();
    if (good) manifests.push_back(std::move(*manifest));
  }
  if (!good) {
    return tl::unexpected(NotUnderstood(manifest.error().Message()));
  }
  std::stable_sort(manifests.begin(), manifests.end(),
                   [](const SalvageManifest& a, const SalvageManifest& b) { return a.time_ms > b.time_ms; });
  return manifests;
}

// What is wrong with the agents or their salvages, on stderr.
ExitCode ComplainOfOthers(const Console& console, const boost::json::object& answer) {
  ExitCode code = ExitCode::kDone;
  if (const auto* list = ListIn(answer, "unheard")) {
    for (const auto& item : *list) {
      code = console.Complain(ExitCode::kUnreachable,
                              "node " + TextIn(item, "node") + " was not heard: " + TextIn(item, "error"));
    }
  }
  if (const auto* list = ListIn(answer, "damaged")) {
    for (const auto& item : *list) {
      code = console.Complain(ExitCode::kNo, "salvage " + TextIn(item, "id") + " of node " +
                                                 TextIn(item, "node") +
                                                 " is damaged: " + TextIn(item, "problem"));
    }
  }
  return code;
}

// The latest one is no good name for what is written to a master, unless it is sure which one that is.
std::optional<std::string> WhyNotLatest(const std::vector<SalvageManifest>& manifests,
                                        const std::string& unheard) {
  if (!unheard.empty()) {
    return "which salvage is the latest is not known, for these nodes were not heard: " + unheard +
           "; give its id (walstitch salvage list)";
  }
  const bool one_group = std::all_of(manifests.begin(), manifests.end(), [&](const SalvageManifest& each) {
    return each.group == manifests.front().group;
  });
  if (one_group) return std::nullopt;
  return "there are salvages of several groups: give the id of the one that is meant (walstitch salvage "
         "list)";
}

// The one that is meant by an id, a part of one, or "latest".
Answer<SalvageManifest> Find(const ControllerClient& controller, const std::string& id, bool to_write) {
  auto answer = controller.Get("/v1/salvage");
  if (!answer) return tl::unexpected(answer.error());
  auto manifests = ManifestsOf(*answer);
  if (!manifests) return tl::unexpected(manifests.error());
  const auto refuse = [](ExitCode code, std::string sentence) {
    return tl::unexpected(Refusal{code, std::move(sentence), std::nullopt});
  };
  std::string unheard;
  if (const auto* list = ListIn(*answer, "unheard")) {
    for (const auto& item : *list) unheard += (unheard.empty() ? "" : ", ") + TextIn(item, "node");
  }
  if (id == "latest" && !manifests->empty()) {
    if (auto why_not = to_write ? WhyNotLatest(*manifests, unheard) : std::nullopt)
      return refuse(ExitCode::kUsage, *why_not);
    return manifests->front();
  }
  std::vector<SalvageManifest> found;
  for (auto& manifest : *manifests) {
    if (manifest.id == id) return std::move(manifest);
    if (!id.empty() && (manifest.id.starts_with(id) || manifest.id.ends_with(id))) {
      found.push_back(std::move(manifest));
    }
  }
  if (found.size() == 1) return std::move(found.front());
  if (found.size() > 1) {
    return refuse(ExitCode::kUsage,
                  "'" + id + "' fits " + std::to_string(found.size()) + " salvages; give more of the id");
  }
  if (!unheard.empty()) {
    return refuse(ExitCode::kUnreachable,
                  "no salvage '" + id + "' on the nodes that answer; not heard: " + unheard);
  }
  return refuse(ExitCode::kUsage, id == "latest"
                                      ? "there is no salvage yet"
                                      : "no salvage '" + id + "'; walstitch salvage list has them");
}

std::string TargetOf(const SalvageManifest& manifest) {
  return "/v1/groups/" + http::PercentEncode(manifest.group) + "/salvage/" +
         http::PercentEncode(manifest.node) + "/" + http::PercentEncode(manifest.id);
}

std::string RenderManifest(const SalvageManifest& manifest) {
  std::string out = "salvage " + Clean(manifest.id) + ", group " + Clean(manifest.group) + ", " +
                    FormatTime(manifest.time_ms) + "\n";
  out += "  the tail of " + Clean(manifest.node) + ", given up for " + Clean(manifest.survivor) + "\n";
  out += "  " + manifest.range.ToString() + " behind the fork " + manifest.fork.ToString() + ": " +
         Count(manifest.records, "record") + " in " + Count(manifest.batches, "batch", "batches") + "\n";
  out += "  " + Count(manifest.keys, "key") + ": " + std::to_string(manifest.values) + " with their value, " +
         std::to_string(manifest.absent) + " deleted or expired, " + std::to_string(manifest.not_kept) +
         " without a value\n";
  if (manifest.range_deletes > 0) {
    out +=
        "  " + Count(manifest.range_deletes, "range delete") + " (a flush: what it deleted is not listed)\n";
  }
  if (!manifest.lacks.empty()) out += "  it lacks: " + Clean(manifest.lacks) + "\n";
  for (const SalvageFile& file : manifest.files) {
    out += "  " + Clean(file.name) + ", " + HumanBytes(file.bytes) + ", sha256 " + Clean(file.sha256) + "\n";
  }
  return out;
}

std::string WhatIsKept(const SalvagedKey& key) {
  if (key.kept == KeptAs::kNotKept) return "no value: " + key.why;
  return key.kept == KeptAs::kAbsent ? "absent" : "value";
}

// Bytes as a record's line has them, for people.
std::string Shown(const boost::json::value* value) {
  if (value == nullptr) return {};
  std::string text;
  if (value->is_string()) {
    text = ToPrintable(std::string_view(value->get_string()));
  } else if (const auto* object = value->if_object(); object != nullptr && object->contains("base64")) {
    auto bytes = FromBase64(TextIn(*value, "base64"));
    text = bytes ? ToPrintable(*bytes) : "?";
  } else {
    text = Dump(*value);
  }
  if (text.size() > kShownValue) text = text.substr(0, kShownValue) + "...";
  return text;
}

std::optional<std::string> BytesIn(const boost::json::object& line, boost::json::string_view name) {
  const auto* value = line.if_contains(name);
  if (value == nullptr) return std::nullopt;
  if (value->is_string()) return std::string(value->get_string());
  auto bytes = FromBase64(TextIn(*value, "base64"));
  if (!bytes) return std::nullopt;
  return *bytes;
}

// A record's line is of what was asked for.
bool Fits(const SalvageShowOptions& options, const boost::json::object& line) {
  if (options.key.empty() && options.name_space.empty()) return true;
  KeyspaceMatch match;
  if (!options.key.empty()) match.keys = {options.key};
  if (!options.name_space.empty()) match.namespaces = {options.name_space};
  const auto name_space = BytesIn(line, "namespace");
  const auto key = BytesIn(line, "key");
  return name_space && key && NamespaceMatches(match, *name_space) && KeyMatches(match, *key);
}

std::string WhatOf(const boost::json::object& line) {
  std::string what;
  for (const char* name : {"internal", "field", "member", "index", "entry", "subkey", "score", "size",
                           "expire_ms", "raw_key", "to", "value_bytes", "error"}) {
    if (!line.contains(name)) continue;
    what += (what.empty() ? "" : ", ") + std::string(name) + " " + Shown(line.if_contains(name));
  }
  return what;
}

ExitCode ShowRecords(const Console& console, const ControllerClient& controller,
                     const SalvageManifest& manifest, const SalvageShowOptions& options) {
  boost::json::array shown;
  std::optional<std::uint64_t> after = 0;
  bool more = false;
  while (after && !more) {
    auto page = controller.Get(
        TargetOf(manifest) + "/records?after=" + std::to_string(*after) + "&max=" + std::to_string(kPage),
        kCheckTimeout);
    if (!page) return Complain(console, page.error());
    const auto* records = ListIn(*page, "records");
    if (records == nullptr) return Complain(console, NotUnderstood("no records"));
    for (const auto& record : *records) {
      if (!record.is_object() || !Fits(options, record.get_object())) continue;
      more = shown.size() == options.max;
      if (more) break;
      shown.push_back(record);
    }
    after.reset();
    boost::system::error_code bad;
    if (const auto* next = page->if_contains("next")) after = next->to_number<std::uint64_t>(bad);
    if (bad) return Complain(console, NotUnderstood("next is no number"));
  }
  if (console.json) {
    console.PrintJson({{"manifest", ToJson(manifest)}, {"records", std::move(shown)}, {"more", more}});
    return ExitCode::kDone;
  }
  Table table({{"SEQUENCE", Align::kRight},
               {"BATCH", Align::kRight},
               {"OPERATION"},
               {"FAMILY"},
               {"NAMESPACE"},
               {"KEY"},
               {"TYPE"},
               {"WHAT"},
               {"VALUE"}});
  for (const auto& record : shown) {
    const auto& line = record.get_object();
    table.AddRow({Shown(line.if_contains("sequence")), Shown(line.if_contains("batch")),
                  TextIn(record, "operation"), TextIn(record, "family"),
                  line.contains("namespace") ? ShowNamespace(BytesIn(line, "namespace").value_or("?")) : "",
                  Shown(line.if_contains("key")), TextIn(record, "type"), WhatOf(line),
                  Shown(line.if_contains("value"))});
  }
  console.Print(RenderManifest(manifest) + "\n" + table.Render() +
                (more ? "and more (--max shows more of them)\n" : ""));
  return ExitCode::kDone;
}

}  // namespace

ExitCode ListSalvagesCommand(const Console& console, const ControllerClient& controller,
                             const std::string& group) {
  auto answer =
      controller.Get(group.empty() ? "/v1/salvage" : "/v1/groups/" + http::PercentEncode(group) + "/salvage");
  if (!answer) return Complain(console, answer.error());
  auto manifests = ManifestsOf(*answer);
  if (!manifests) return Complain(console, manifests.error());
  if (console.json) {
    console.PrintJson(*answer);
  } else if (manifests->empty()) {
    console.Print("no salvages\n");
  } else {
    Table table({{"ID"},
                 {"TIME"},
                 {"GROUP"},
                 {"NODE"},
                 {"RECORDS", Align::kRight},
                 {"KEYS", Align::kRight},
                 {"BYTES", Align::kRight},
                 {"LACKS"}});
    for (const SalvageManifest& manifest : *manifests) {
      table.AddRow({manifest.id, FormatTime(manifest.time_ms), manifest.group, manifest.node,
                    std::to_string(manifest.records), std::to_string(manifest.keys),
                    HumanBytes(manifest.Bytes()), manifest.lacks});
    }
    console.Print(table.Render());
  }
  return ComplainOfOthers(console, *answer);
}

ExitCode ShowSalvageCommand(const Console& console, const ControllerClient& controller,
                            const SalvageShowOptions& options) {
  auto found = Find(controller, options.id, false);
  if (!found) return Complain(console, found.error());
  // With its files checked.
  auto checked = controller.Get(TargetOf(*found), kCheckTimeout);
  if (!checked) return Complain(console, checked.error());
  auto manifest = SalvageManifestFromJson(*checked);
  if (!manifest) return Complain(console, NotUnderstood(manifest.error().Message()));
  if (options.records) {
    if (!options.keyspace.empty()) {
      return console.Complain(ExitCode::kUsage, "--keyspace is about keys, not about --records");
    }
    return ShowRecords(console, controller, *manifest, options);
  }
  std::string filter;
  for (const auto& [name, value] :
       {std::pair("key", &options.key), std::pair("namespace", &options.name_space),
        std::pair("keyspace", &options.keyspace)}) {
    if (!value->empty()) filter += std::string("&") + name + "=" + http::PercentEncode(*value);
  }
  std::vector<SalvagedKey> keys;
  boost::json::array json;
  std::optional<std::uint64_t> after = 0;
  bool more = false;
  while (after && !more) {
    auto page = controller.Get(TargetOf(*manifest) + "/keys?after=" + std::to_string(*after) +
                                   "&max=" + std::to_string(kPage) + filter,
                               kCheckTimeout);
    if (!page) return Complain(console, page.error());
    auto read = SalvagedKeysFromJson(*page);
    if (!read) return Complain(console, NotUnderstood(read.error().Message()));
    for (std::size_t i = 0; i < read->keys.size(); ++i) {
      more = keys.size() == options.max;
      if (more) break;
      json.push_back(page->at("keys").as_array()[i]);
      keys.push_back(std::move(read->keys[i]));
    }
    after = read->next;
  }
  if (console.json) {
    console.PrintJson({{"manifest", ToJson(*manifest)}, {"keys", std::move(json)}, {"more", more}});
    return ExitCode::kDone;
  }
  Table table({{"NAMESPACE"}, {"KEY"}, {"TYPE"}, {"KEPT"}, {"EXPIRES"}, {"BYTES", Align::kRight}});
  for (const SalvagedKey& key : keys) {
    table.AddRow({ShowNamespace(key.name_space), ToPrintable(key.key), key.type, WhatIsKept(key),
                  key.expire_ms ? FormatTime(*key.expire_ms) : "", HumanBytes(key.bytes)});
  }
  console.Print(RenderManifest(*manifest) + (table.Empty() ? "" : "\n") + table.Render() +
                (more ? "and more (--max shows more of them)\n" : ""));
  return ExitCode::kDone;
}

ExitCode ReplaySalvageCommand(const Console& console, const ControllerClient& controller,
                              const SalvageReplayOptions& options) {
  const bool chosen = !options.keys.empty() || !options.namespaces.empty() || !options.keyspaces.empty();
  if (chosen == options.all) {
    return console.Complain(ExitCode::kUsage,
                            options.all ? "--all is every key: give it alone"
                                        : "which keys? Give --key, --namespace or --keyspace, or --all");
  }
  auto found = Find(controller, options.id, true);
  if (!found) return Complain(console, found.error());
  const auto texts = [](const std::vector<std::string>& list) {
    boost::json::array array;
    for (const std::string& text : list) array.push_back(boost::json::string(text));
    return array;
  };
  boost::json::object body;
  body["node"] = found->node;
  body["salvage"] = found->id;
  body["keys"] = texts(options.keys);
  body["namespaces"] = texts(options.namespaces);
  body["keyspaces"] = texts(options.keyspaces);
  body["dry_run"] = options.dry_run;
  body["overwrite"] = options.overwrite;
  body["deletions"] = options.deletions;
  auto answer = controller.Post("/v1/groups/" + http::PercentEncode(found->group) + "/replay", body,
                                kReplayTimeout, !options.dry_run);
  if (!answer) {
    if (answer.error().body && console.json) console.PrintJson(*answer.error().body);
    return Complain(console, answer.error());
  }
  const auto* keys = ListIn(*answer, "keys");
  const auto* counts = answer->if_contains("counts");
  if (keys == nullptr || counts == nullptr || !counts->is_object()) {
    return Complain(console, NotUnderstood("no keys, or no counts", !options.dry_run));
  }
  if (console.json) {
    console.PrintJson(*answer);
  } else {
    Table table({{"NAMESPACE"}, {"KEY"}, {"TYPE"}, {options.dry_run ? "WOULD BE" : "RESULT"}, {"WHY"}});
    for (const auto& value : *keys) {
      auto key = ReplayedKeyFromJson(value);
      if (!key) return Complain(console, NotUnderstood(key.error().Message(), !options.dry_run));
      table.AddRow({ShowNamespace(key->name_space), ToPrintable(key->key), key->type,
                    std::string(ToString(key->result)), key->why});
    }
    std::string decision;
    if (const auto* record = answer->if_contains("record")) {
      if (const auto* object = record->if_object(); object != nullptr && object->contains("decision")) {
        decision = "; decision " + TextIn(object->at("decision"), "id");
      }
    }
    console.Print("salvage " + Clean(found->id) + " of " + Clean(found->node) + ", group " +
                  Clean(found->group) + ", " + FormatTime(found->time_ms) + "\n" + table.Render() +
                  TextIn(*answer, "sentence") + decision + "\n" +
                  (options.dry_run ? "nothing was changed\n" : ""));
  }
  if (answer->contains("ended_early") || counts->get_object().contains("unknown")) return ExitCode::kUnknown;
  return counts->get_object().contains("failed") ? ExitCode::kNo : ExitCode::kDone;
}

}  // namespace walstitch::cli
