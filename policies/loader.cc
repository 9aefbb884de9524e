#include "policies/loader.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <map>
#include <optional>
#include <set>
#include <system_error>

#include "policies/model/bytes.h"
#include "policies/model/names.h"
#include "policies/model/types.h"
#include "policies/quantity.h"
#include "policies/yaml_tree.h"

namespace walstitch {
namespace {

constexpr std::size_t kMaxFiles = 100;
constexpr std::size_t kMaxKeyspaces = 1000;
constexpr std::size_t kMaxListLength = 1000;
constexpr std::size_t kMaxPatternBytes = 512;
constexpr std::size_t kMaxNameBytes = 63;

std::string Quoted(std::string_view text) {
  constexpr std::size_t kShown = 64;
  std::string shown = ToPrintable(text.substr(0, kShown));
  return "\"" + shown + (text.size() > kShown ? "...\"" : "\"");
}

std::string_view KindName(YamlNode::Kind kind) {
  switch (kind) {
    case YamlNode::Kind::kNull:
      return "nothing";
    case YamlNode::Kind::kScalar:
      return "a single value";
    case YamlNode::Kind::kSequence:
      return "a list";
    case YamlNode::Kind::kMapping:
      return "a mapping";
  }
  return "something else";
}

using Names = std::initializer_list<std::string_view>;

std::string Join(const Names& names) {
  std::string text;
  for (std::string_view name : names) {
    if (!text.empty()) text += ", ";
    text += name;
  }
  return text;
}

// `[` without its `]`: Redis takes the rest of the pattern for the class, which nobody means.
bool HasOpenClass(std::string_view pattern) {
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i] == '\\') {
      ++i;
    } else if (pattern[i] == '[') {
      ++i;
      while (i < pattern.size() && pattern[i] != ']') i += pattern[i] == '\\' ? 2 : 1;
      if (i >= pattern.size()) return true;
    }
  }
  return false;
}

// Reads the files one after the other into one policy; stops at the first error.
class Merger {
 public:
  Result<TolerancePolicy> Merge(const std::vector<PolicyFile>& files) {
    std::string all;
    for (const PolicyFile& file : files) {
      path_ = file.path;
      auto root = ParseYaml(file.path, file.content);
      if (!root) return Fail(root.error());
      ReadFile(*root);
      if (error_) return Fail(*error_);
      all += file.content;
    }
    policy_.content_hash = Sha256Hex(all);
    return std::move(policy_);
  }

 private:
  // A setting that was given already: where, and what it said.
  struct Given {
    std::string place;
    std::string value;
  };

  [[nodiscard]] std::string Place(const YamlNode& node) const {
    return path_ + ":" + std::to_string(node.mark.line) + ":" + std::to_string(node.mark.column);
  }

  void Refuse(const YamlNode& node, const std::string& what) {
    if (!error_) error_ = YamlError(path_, node.mark, what);
  }

  bool IsKind(const YamlNode& node, YamlNode::Kind kind, std::string_view name) {
    if (node.kind == kind) return true;
    Refuse(node, std::string(name) + " is " + std::string(KindName(node.kind)) + "; expected " +
                     std::string(KindName(kind)));
    return false;
  }

  // A mapping with these keys and no others.
  bool IsMapping(const YamlNode& node, std::string_view name, const Names& allowed, const Names& required) {
    if (!IsKind(node, YamlNode::Kind::kMapping, name)) return false;
    for (const auto& [key, value] : node.entries) {
      if (std::find(allowed.begin(), allowed.end(), key.scalar) == allowed.end()) {
        Refuse(key, Quoted(key.scalar) + " is not known in " + std::string(name) + "; expected one of " +
                        Join(allowed));
        return false;
      }
    }
    for (std::string_view key : required) {
      if (Find(node, key) == nullptr) {
        Refuse(node, std::string(name) + " has no " + Quoted(key) + "; expected " + Join(required));
        return false;
      }
    }
    return true;
  }

  static const YamlNode* Find(const YamlNode& mapping, std::string_view key) {
    for (const auto& [name, value] : mapping.entries) {
      if (name.scalar == key) return &value;
    }
    return nullptr;
  }

  // True if the setting is to be taken over: a second file may only say the same again.
  bool Settle(const YamlNode& node, const std::string& name, const std::string& value) {
    if (error_) return false;
    auto [it, added] = given_.try_emplace(name, Given{Place(node), value});
    if (added || it->second.value == value) return true;
    Refuse(node, name + " is " + value + " here, but " + it->second.value + " at " + it->second.place +
                     "; expected the same in all files of one policy");
    return false;
  }

  std::optional<std::string> Text(const YamlNode& node, std::string_view name) {
    if (!IsKind(node, YamlNode::Kind::kScalar, name)) return std::nullopt;
    if (node.scalar.empty()) {
      Refuse(node, std::string(name) + " is empty; expected some text");
      return std::nullopt;
    }
    return node.scalar;
  }

  std::optional<std::string> Name(const YamlNode& node, std::string_view name) {
    auto text = Text(node, name);
    if (!text) return std::nullopt;
    bool fits = text->size() <= kMaxNameBytes && std::all_of(text->begin(), text->end(), [](char c) {
                  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                         c == '.' || c == '_' || c == '-';
                });
    if (!fits) {
      Refuse(node, std::string(name) + " is " + Quoted(*text) + "; expected at most " +
                       std::to_string(kMaxNameBytes) + " of the characters a-z A-Z 0-9 . _ -");
      return std::nullopt;
    }
    return text;
  }

  // A whole number, with a unit if `units`: 64Mi, 1G.
  std::optional<std::uint64_t> Number(const YamlNode& node, std::string_view name, bool units) {
    if (!IsKind(node, YamlNode::Kind::kScalar, name)) return std::nullopt;
    const std::string& text = node.scalar;
    std::string expected = units
                               ? "expected a number of bytes such as 1000000, 64Mi or 4Gi (units k, M, G, T, "
                                 "Ki, Mi, Gi, Ti)"
                               : "expected a whole number such as 10000";
    auto refuse = [&](const std::string& what) {
      Refuse(node, std::string(name) + " is " + Quoted(text) + what + "; " + expected);
      return std::nullopt;
    };

    const auto value = units ? ByteCountFromText(text) : WholeFromText(text);
    if (value) return *value;
    return refuse(value.error() == QuantityProblem::kTooLarge ? ", which is too large" : "");
  }

  // Of a rescue: it holds a group without a master for at most so long.
  std::optional<std::int64_t> Duration(const YamlNode& node, std::string_view name) {
    if (!IsKind(node, YamlNode::Kind::kScalar, name)) return std::nullopt;
    constexpr std::int64_t kLongestMs = 3'600'000;
    const auto ms = MillisecondsFromText(node.scalar);
    if (ms && *ms > 0 && *ms <= kLongestMs) return *ms;
    Refuse(node, std::string(name) + " is " + Quoted(node.scalar) +
                     "; expected a time such as 30s (units ms, s, m, h), more than 0 and at most " +
                     DurationText(kLongestMs));
    return std::nullopt;
  }

  template <typename Enum>
  std::optional<Enum> OneOf(const YamlNode& node, std::string_view name,
                            std::initializer_list<Enum> allowed) {
    if (!IsKind(node, YamlNode::Kind::kScalar, name)) return std::nullopt;
    auto value = FromString<Enum>(node.scalar);
    if (value && std::find(allowed.begin(), allowed.end(), *value) != allowed.end()) return value;
    std::string names;
    for (Enum one : allowed) names += (names.empty() ? "" : ", ") + std::string(ToString(one));
    Refuse(node, std::string(name) + " is " + Quoted(node.scalar) + "; expected one of " + names);
    return std::nullopt;
  }

  std::optional<Tolerance> ReadTolerance(const YamlNode& node, std::string_view name) {
    return OneOf(node, name,
                 {Tolerance::kIgnore, Tolerance::kEvict, Tolerance::kRepair, Tolerance::kFullSync});
  }

  // Of what is of no key: it can be neither rewritten nor deleted by itself.
  std::optional<Tolerance> ReadInternalTolerance(const YamlNode& node, std::string_view name) {
    return OneOf(node, name, {Tolerance::kIgnore, Tolerance::kFullSync});
  }

  // A list of at least one text, none of them twice.
  std::vector<const YamlNode*> List(const YamlNode& node, std::string_view name) {
    std::vector<const YamlNode*> list;
    if (!IsKind(node, YamlNode::Kind::kSequence, name)) return {};
    if (node.elements.empty()) {
      Refuse(node, std::string(name) + " is an empty list; expected at least one element, or leave " +
                       std::string(name) + " out");
    }
    if (node.elements.size() > kMaxListLength) {
      Refuse(node, std::string(name) + " has " + std::to_string(node.elements.size()) +
                       " elements; expected at most " + std::to_string(kMaxListLength));
    }
    std::set<std::string_view> seen;
    for (const YamlNode& element : node.elements) {
      if (!Text(element, "an element of " + std::string(name))) return {};
      if (!seen.insert(element.scalar).second) {
        Refuse(element, Quoted(element.scalar) + " is in " + std::string(name) + " twice; expected it once");
      }
      list.push_back(&element);
    }
    if (error_) return {};
    return list;
  }

  // \xHH becomes the byte itself, or, where the byte means something in a glob, the byte behind a
  // backslash. Every other backslash is the glob's own.
  std::optional<std::string> Pattern(const YamlNode& node, std::string_view name) {
    const std::string& text = node.scalar;
    auto refuse = [&](const std::string& what) {
      Refuse(node, "the pattern " + Quoted(text) + " of " + std::string(name) + " " + what);
      return std::nullopt;
    };
    if (text.size() > kMaxPatternBytes) {
      return refuse("has " + std::to_string(text.size()) + " bytes; expected at most " +
                    std::to_string(kMaxPatternBytes));
    }
    std::string pattern;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '\\') {
        pattern += text[i];
      } else if (i + 1 == text.size()) {
        return refuse("ends with a backslash; expected a character behind it");
      } else if (text[i + 1] != 'x') {
        pattern += text.substr(i, 2);
        i += 1;
      } else {
        auto byte = FromHex(std::string_view(text).substr(i + 2, 2));
        if (!byte || byte->size() != 1)
          return refuse("has a \\x without two hexadecimal digits; expected \\xHH");
        if (std::string_view("*?[]^-\\").find((*byte)[0]) != std::string_view::npos) pattern += '\\';
        pattern += *byte;
        i += 3;
      }
    }
    if (HasOpenClass(pattern)) return refuse("has a [ without its ]; expected both, or \\[");
    return pattern;
  }

  std::vector<std::string> Patterns(const YamlNode& node, std::string_view name) {
    std::vector<std::string> patterns;
    for (const YamlNode* element : List(node, name)) {
      if (auto pattern = Pattern(*element, name)) patterns.push_back(std::move(*pattern));
    }
    return patterns;
  }

  void ReadFile(const YamlNode& root) {
    const Names kKeys = {"apiVersion", "kind", "metadata", "spec"};
    if (!IsMapping(root, "the file", kKeys, kKeys)) return;
    Exactly(*Find(root, "apiVersion"), "apiVersion", "walstitch/v1");
    Exactly(*Find(root, "kind"), "kind", "TolerancePolicy");

    const YamlNode& metadata = *Find(root, "metadata");
    if (error_ || !IsMapping(metadata, "metadata", {"name"}, {"name"})) return;
    const YamlNode& name_node = *Find(metadata, "name");
    // Files that are merged keep their names: "base+shop".
    if (auto name = Name(name_node, "metadata.name"); name && policy_.name != *name) {
      policy_.name += (policy_.name.empty() ? "" : "+") + *name;
    }
    if (!error_) ReadSpec(*Find(root, "spec"));
  }

  void Exactly(const YamlNode& node, std::string_view name, std::string_view value) {
    if (!IsKind(node, YamlNode::Kind::kScalar, name) || node.scalar == value) return;
    Refuse(node, std::string(name) + " is " + Quoted(node.scalar) + "; expected " + std::string(value));
  }

  void ReadSpec(const YamlNode& spec) {
    if (!IsMapping(spec, "spec",
                   {"groups", "keyspaces", "default", "internal", "prefer", "limits", "failover",
                    "requireForkProof", "onLimit", "salvage", "padding", "onResumePointEndangered"},
                   {})) {
      return;
    }
    // In the order of the file, so that the first error is the first that a reader meets.
    for (const auto& [key, value] : spec.entries) {
      if (error_) return;
      if (key.scalar == "groups") {
        ReadGroups(value);
      } else if (key.scalar == "keyspaces") {
        ReadKeyspaces(value);
      } else if (key.scalar == "default") {
        SetTolerance(value, "spec.default", ReadTolerance(value, "spec.default"), &policy_.default_tolerance);
      } else if (key.scalar == "internal") {
        ReadInternal(value);
      } else if (key.scalar == "prefer") {
        ReadPrefer(value);
      } else if (key.scalar == "limits") {
        ReadLimits(value);
      } else if (key.scalar == "failover") {
        ReadFailover(value);
      } else if (key.scalar == "requireForkProof") {
        ReadRequireForkProof(value);
      } else if (key.scalar == "onLimit") {
        auto on_limit = OneOf(value, "spec.onLimit", {OnLimit::kFullSync, OnLimit::kHold});
        if (on_limit && Settle(value, "spec.onLimit", value.scalar)) policy_.on_limit = *on_limit;
      } else if (key.scalar == "padding") {
        auto padding = OneOf(value, "spec.padding", {Padding::kRelay, Padding::kNative});
        if (padding && Settle(value, "spec.padding", value.scalar)) policy_.padding = *padding;
      } else if (key.scalar == "salvage") {
        auto rule = OneOf(value, "spec.salvage", {SalvageRule::kRequired, SalvageRule::kTry});
        if (rule && Settle(value, "spec.salvage", value.scalar)) policy_.salvage = *rule;
      } else if (key.scalar == "onResumePointEndangered") {
        const std::string name = "spec.onResumePointEndangered";
        auto on_endangered = OneOf(value, name, {OnEndangered::kTell, OnEndangered::kFullSync});
        if (on_endangered && Settle(value, name, value.scalar)) policy_.on_endangered = *on_endangered;
      }
    }
  }

  void SetTolerance(const YamlNode& node, const std::string& name, std::optional<Tolerance> tolerance,
                    Tolerance* out) {
    if (tolerance && Settle(node, name, node.scalar)) *out = *tolerance;
  }

  // A list as one text, to compare what two files say.
  static std::string ListText(const YamlNode& node) {
    std::string text = "[";
    for (const YamlNode& element : node.elements) {
      if (text.size() > 1) text += ", ";
      text += ToPrintable(element.scalar);
    }
    return text + "]";
  }

  void ReadGroups(const YamlNode& node) {
    // Which files are for a group is the caller's to find out, file by file; of merged ones, all are named.
    for (auto& pattern : Patterns(node, "spec.groups")) {
      if (std::find(policy_.groups.begin(), policy_.groups.end(), pattern) == policy_.groups.end()) {
        policy_.groups.push_back(std::move(pattern));
      }
    }
  }

  void ReadPrefer(const YamlNode& node) {
    std::vector<Verdict> prefer;
    for (const YamlNode* element : List(node, "spec.prefer")) {
      auto verdict = OneOf(*element, "an element of spec.prefer",
                           {Verdict::kAligned, Verdict::kSpliced, Verdict::kPadded, Verdict::kFull});
      if (verdict) prefer.push_back(*verdict);
    }
    if (!error_ && Settle(node, "spec.prefer", ListText(node))) policy_.prefer = std::move(prefer);
  }

  void ReadRequireForkProof(const YamlNode& node) {
    if (!IsKind(node, YamlNode::Kind::kScalar, "spec.requireForkProof")) return;
    if (node.scalar != "true" && node.scalar != "false") {
      return Refuse(node, "spec.requireForkProof is " + Quoted(node.scalar) + "; expected true or false");
    }
    if (Settle(node, "spec.requireForkProof", node.scalar))
      policy_.require_fork_proof = node.scalar == "true";
  }

  void ReadInternal(const YamlNode& node) {
    if (!IsMapping(node, "spec.internal", {"pubsub", "propagate", "search"}, {})) return;
    for (const auto& [key, value] : node.entries) {
      if (error_) return;
      InternalRules& rules = policy_.internal;
      const std::string name = "spec.internal." + key.scalar;
      SetTolerance(value, name, ReadInternalTolerance(value, name),
                   key.scalar == "pubsub"      ? &rules.pubsub
                   : key.scalar == "propagate" ? &rules.propagate
                                               : &rules.search);
    }
  }

  void ReadLimits(const YamlNode& node) {
    if (!IsMapping(node, "spec.limits", {"pad", "tail", "missed", "advanceMaster", "undoScan", "borrow"}, {}))
      return;
    for (const auto& [key, value] : node.entries) {
      if (error_) return;
      PolicyLimits& limits = policy_.limits;
      bool bytes = key.scalar == "undoScan" || key.scalar == "borrow";
      std::string name = "spec.limits." + key.scalar;
      auto number = Number(value, name, bytes);
      if (!number || !Settle(value, name, std::to_string(*number))) return;
      (key.scalar == "pad"             ? limits.pad
       : key.scalar == "tail"          ? limits.tail
       : key.scalar == "missed"        ? limits.missed
       : key.scalar == "advanceMaster" ? limits.advance_master
       : key.scalar == "undoScan"      ? limits.undo_scan_bytes
                                       : limits.borrow_bytes) = *number;
    }
  }

  void ReadFailover(const YamlNode& node) {
    if (!IsMapping(node, "spec.failover", {"maxLag", "rescue"}, {})) return;
    for (const auto& [key, value] : node.entries) {
      if (error_) return;
      if (key.scalar == "rescue") {
        ReadRescue(value);
        continue;
      }
      const std::string name = "spec.failover.maxLag";
      auto number = Number(value, name, false);
      if (number && Settle(value, name, std::to_string(*number))) policy_.failover.max_lag = *number;
    }
  }

  void ReadRescue(const YamlNode& node) {
    if (!IsMapping(node, "spec.failover.rescue", {"timeout", "bytes"}, {})) return;
    for (const auto& [key, value] : node.entries) {
      if (error_) return;
      const std::string name = "spec.failover.rescue." + key.scalar;
      if (key.scalar == "timeout") {
        auto ms = Duration(value, name);
        if (ms && Settle(value, name, DurationText(*ms))) policy_.failover.rescue_timeout_ms = *ms;
      } else {
        auto bytes = Number(value, name, true);
        if (bytes && Settle(value, name, std::to_string(*bytes))) policy_.failover.rescue_bytes = *bytes;
      }
    }
  }

  void ReadKeyspaces(const YamlNode& node) {
    if (!IsKind(node, YamlNode::Kind::kSequence, "spec.keyspaces")) return;
    for (const YamlNode& element : node.elements) {
      if (error_) return;
      if (policy_.keyspaces.size() >= kMaxKeyspaces) {
        return Refuse(element, "more than " + std::to_string(kMaxKeyspaces) + " keyspaces; expected fewer");
      }
      ReadKeyspace(element);
    }
  }

  void ReadKeyspace(const YamlNode& node) {
    if (!IsMapping(node, "a keyspace", {"name", "match", "onDivergence", "limits"},
                   {"name", "match", "onDivergence"})) {
      return;
    }
    KeyspaceRule rule;
    rule.source = Place(node);
    for (const auto& [key, value] : node.entries) {
      if (error_) return;
      if (key.scalar == "name") {
        ReadKeyspaceName(value, &rule);
      } else if (key.scalar == "match") {
        ReadMatch(value, &rule.match);
      } else if (key.scalar == "onDivergence") {
        if (auto tolerance = ReadTolerance(value, "onDivergence")) rule.on_divergence = *tolerance;
      } else if (key.scalar == "limits") {
        ReadKeyspaceLimits(value, &rule.limits);
      }
    }
    if (!error_) policy_.keyspaces.push_back(std::move(rule));
  }

  void ReadKeyspaceName(const YamlNode& node, KeyspaceRule* rule) {
    auto name = Name(node, "name");
    if (!name) return;
    // What the keys that no rule matches are counted under.
    if (*name == "default") {
      return Refuse(node,
                    "a keyspace is named \"default\", which stands for spec.default; expected another name");
    }
    auto [it, added] = keyspace_places_.try_emplace(*name, Place(node));
    if (!added) {
      return Refuse(node, "the keyspace " + Quoted(*name) + " stands at " + it->second +
                              " already; expected a name of its own");
    }
    rule->name = std::move(*name);
  }

  void ReadMatch(const YamlNode& node, KeyspaceMatch* match) {
    if (!IsMapping(node, "match", {"namespaces", "keys", "types"}, {})) return;
    // An empty match would take every key, and the rules behind it none: most likely a slip.
    if (node.entries.empty()) {
      return Refuse(node,
                    "match is empty; expected namespaces, keys or types (for all other keys there is "
                    "spec.default)");
    }
    for (const auto& [key, value] : node.entries) {
      if (error_) return;
      if (key.scalar == "namespaces") match->namespaces = Patterns(value, "namespaces");
      if (key.scalar == "keys") match->keys = Patterns(value, "keys");
      if (key.scalar == "types") match->types = Types(value);
    }
  }

  std::vector<std::string> Types(const YamlNode& node) {
    std::vector<std::string> types;
    for (const YamlNode* element : List(node, "types")) {
      auto type = CanonicalTypeName(element->scalar);
      if (!type) {
        std::string names;
        for (std::string_view known : KvrocksTypeNames())
          names += (names.empty() ? "" : ", ") + std::string(known);
        Refuse(*element, Quoted(element->scalar) + " is no Kvrocks type; expected one of " + names);
        return {};
      }
      types.emplace_back(*type);
    }
    return types;
  }

  void ReadKeyspaceLimits(const YamlNode& node, KeyspaceLimits* limits) {
    if (!IsMapping(node, "limits", {"records", "keys", "bytes"}, {})) return;
    for (const auto& [key, value] : node.entries) {
      if (error_) return;
      auto number = Number(value, "limits." + key.scalar, key.scalar == "bytes");
      if (!number) return;
      (key.scalar == "records" ? limits->records
       : key.scalar == "keys"  ? limits->keys
                               : limits->bytes) = *number;
    }
  }

  std::string path_;
  std::optional<Error> error_;
  TolerancePolicy policy_;
  std::map<std::string, Given> given_;
  std::map<std::string, std::string> keyspace_places_;
};

Result<PolicyFile> ReadPolicyFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return Fail(ErrorCode::kIo, path + ": can not be opened for reading");
  PolicyFile file{path, std::string(kMaxYamlBytes + 1, '\0')};
  in.read(file.content.data(), static_cast<std::streamsize>(file.content.size()));
  if (in.bad()) return Fail(ErrorCode::kIo, path + ": can not be read");
  file.content.resize(static_cast<std::size_t>(in.gcount()));  // one byte too many is refused by the parser
  return file;
}

// The files that a path stands for. A directory's hidden entries are left out: in a mounted ConfigMap
// they are Kubernetes' own copies of the same files.
Result<std::vector<std::string>> ListPolicyFiles(const std::string& path) {
  namespace fs = std::filesystem;
  std::error_code error;
  auto status = fs::status(path, error);
  if (status.type() == fs::file_type::not_found) {
    return Fail(ErrorCode::kNotFound, path +
                                          ": no such file or directory; expected a policy file, or a "
                                          "directory of them");
  }
  if (error) return Fail(ErrorCode::kIo, path + ": " + error.message());
  if (fs::is_regular_file(status)) return std::vector<std::string>{path};
  if (!fs::is_directory(status)) {
    return Fail(ErrorCode::kInvalid, path +
                                         ": neither a file nor a directory; expected a policy file, or a "
                                         "directory of them");
  }
  std::vector<std::string> files;
  fs::directory_iterator it(path, error);
  for (; !error && it != fs::directory_iterator(); it.increment(error)) {
    const fs::path& entry = it->path();
    bool yaml = entry.extension() == ".yaml" || entry.extension() == ".yml";
    if (!yaml || entry.filename().string().starts_with(".")) continue;
    std::error_code ignored;
    if (fs::is_regular_file(entry, ignored)) files.push_back(entry.string());
  }
  if (error) return Fail(ErrorCode::kIo, path + ": " + error.message());
  if (files.empty()) {
    return Fail(ErrorCode::kNotFound, path + ": holds no policy; expected files named *.yaml or *.yml in it");
  }
  return files;
}

}  // namespace

Result<TolerancePolicy> ParsePolicy(std::vector<PolicyFile> files) {
  if (files.empty()) return DefaultPolicy();
  std::stable_sort(files.begin(), files.end(),
                   [](const PolicyFile& a, const PolicyFile& b) { return a.path < b.path; });
  return Merger().Merge(files);
}

Result<TolerancePolicy> LoadPolicyPaths(const std::vector<std::string>& paths) {
  std::set<std::string> names;
  for (const std::string& path : paths) {
    auto files = ListPolicyFiles(path);
    if (!files) return Fail(files.error());
    names.insert(files->begin(), files->end());
  }
  if (names.size() > kMaxFiles) {
    return Fail(ErrorCode::kInvalid, std::to_string(names.size()) + " policy files; expected at most " +
                                         std::to_string(kMaxFiles));
  }
  std::vector<PolicyFile> files;
  for (const std::string& name : names) {
    auto file = ReadPolicyFile(name);
    if (!file) return Fail(file.error());
    files.push_back(std::move(*file));
  }
  return ParsePolicy(std::move(files));
}

TolerancePolicy DefaultPolicy() {
  TolerancePolicy policy;
  policy.name = "default";
  policy.content_hash = Sha256Hex("");
  return policy;
}

}  // namespace walstitch
