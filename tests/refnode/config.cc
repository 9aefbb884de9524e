#include "config.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <iostream>

namespace walstitch::refnode {
namespace {

struct FieldSpec {
  const char* name;
  const char* initial;
  bool read_only;
  char kind;  // s text, i integer, b yes/no
};

constexpr FieldSpec kFields[] = {
    {"daemonize", "no", true, 'b'},
    {"bind", "", true, 's'},
    {"port", "6666", true, 'i'},
    {"workers", "8", false, 'i'},
    {"timeout", "0", false, 'i'},
    {"tcp-backlog", "511", true, 'i'},
    {"maxclients", "10240", false, 'i'},
    {"requirepass", "", false, 's'},
    {"masterauth", "", false, 's'},
    {"slaveof", "", true, 's'},
    {"replica-announce-ip", "", false, 's'},
    {"replica-announce-port", "0", false, 'i'},
    {"db-name", "change.me.db", true, 's'},
    {"dir", "/tmp/kvrocks", true, 's'},
    {"backup-dir", "", false, 's'},
    {"log-dir", "", true, 's'},
    {"log-level", "info", false, 's'},
    {"pidfile", "", true, 's'},
    {"max-db-size", "0", false, 'i'},
    {"max-replication-mb", "0", false, 'i'},
    {"max-io-mb", "0", false, 'i'},
    {"slave-serve-stale-data", "yes", false, 'b'},
    {"slave-empty-db-before-fullsync", "no", false, 'b'},
    {"slave-priority", "100", false, 'i'},
    {"slave-read-only", "yes", false, 'b'},
    {"use-rsid-psync", "no", true, 'b'},
    {"cluster-enabled", "no", true, 'b'},
    {"repl-namespace-enabled", "no", false, 'b'},
    {"redis-cursor-compatible", "yes", false, 'b'},
    {"resp3-enabled", "no", false, 'b'},
    {"proto-max-bulk-len", "536870912", false, 'i'},
    {"fullsync-recv-file-delay", "0", false, 'i'},
    {"rocksdb.write_buffer_size", "64", false, 'i'},
    {"rocksdb.max_write_buffer_number", "4", false, 'i'},
    {"rocksdb.max_total_wal_size", "512", false, 'i'},
    {"rocksdb.wal_ttl_seconds", "10800", true, 'i'},
    {"rocksdb.wal_size_limit_mb", "16384", true, 'i'},
    {"rocksdb.wal_compression", "no", true, 's'},
    {"rocksdb.block_cache_size", "0", true, 'i'},
    {"rocksdb.subkey_block_cache_size", "2048", true, 'i'},
    {"rocksdb.metadata_block_cache_size", "2048", true, 'i'},
    {"rocksdb.write_options.sync", "no", true, 'b'},
    {"rocksdb.write_options.disable_wal", "no", true, 'b'},
    // How long the replication thread sleeps before it reconnects: after a
    // closed connection, and after an error that it takes for final.
    {"refnode.reconnect-sleep-ms", "1000", false, 'i'},
    {"refnode.restart-sleep-ms", "10000", false, 'i'},
    // Offers what the proposed patch of Kvrocks would (apache/kvrocks#3340): a replica that asks for a
    // sequence within a batch is given no-op records up to the next.
    {"refnode.offers-padding", "no", true, 'b'},
    {"replication-enable-sequence-padding", "no", false, 'b'},
};

std::string Trim(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())) != 0) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) text.remove_suffix(1);
  return std::string(text);
}

std::string ConfigLine(const std::string& key, const std::string& value) {
  const bool plain = value.find_first_of("#\"'\\\r\n\t") == std::string::npos && value == Trim(value);
  if (plain) return key + " " + value;
  std::string quoted = key + " \"";
  for (const char c : value) {
    if (c == '"' || c == '\\') quoted.push_back('\\');
    quoted.push_back(c);
  }
  return quoted + "\"";
}

}  // namespace

std::string ToLower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

bool GlobMatch(std::string_view glob, std::string_view text) {
  // Iterative, with one level of backtracking: the last star wins.
  size_t g = 0;
  size_t t = 0;
  size_t star = std::string_view::npos;
  size_t resume = 0;
  while (t < text.size()) {
    if (g < glob.size() && (glob[g] == '?' || glob[g] == text[t])) {
      ++g;
      ++t;
    } else if (g < glob.size() && glob[g] == '*') {
      star = g++;
      resume = t;
    } else if (star != std::string_view::npos) {
      g = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (g < glob.size() && glob[g] == '*') ++g;
  return g == glob.size();
}

std::pair<std::string, std::string> ParseConfigLine(std::string_view line) {
  const std::string text = Trim(line);
  if (text.empty() || text[0] == '#') return {};
  size_t split = 0;
  while (split < text.size() && std::isspace(static_cast<unsigned char>(text[split])) == 0) ++split;
  const std::string key = text.substr(0, split);
  std::string value = Trim(std::string_view(text).substr(split));
  if (value.empty()) return {key, ""};
  if (value[0] == '"' || value[0] == '\'') {
    const char quote = value[0];
    std::string out;
    for (size_t i = 1; i < value.size() && value[i] != quote; ++i) {
      if (value[i] == '\\' && i + 1 < value.size()) ++i;
      out.push_back(value[i]);
    }
    return {key, out};
  }
  return {key, Trim(value.substr(0, value.find('#')))};
}

Config::Config() {
  for (const FieldSpec& spec : kFields) {
    Field field;
    field.value = field.initial = spec.initial;
    field.read_only = spec.read_only;
    field.is_integer = spec.kind == 'i';
    field.is_yes_no = spec.kind == 'b';
    fields_.emplace(spec.name, std::move(field));
  }
}

std::optional<std::string> Config::Check(const Field& field, const std::string& value) {
  if (field.is_yes_no && value != "yes" && value != "no") return "argument must be 'yes' or 'no'";
  if (field.is_integer) {
    int64_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error != std::errc() || value.empty()) return "not started as an integer";
    if (end != value.data() + value.size()) return "encounter non-integer characters";
  }
  return std::nullopt;
}

std::optional<std::string> Config::Apply(const std::string& key, const std::string& value) {
  constexpr std::string_view kNamespacePrefix = "namespace.";
  if (key.rfind(kNamespacePrefix, 0) == 0) {
    file_tokens_[value] = key.substr(kNamespacePrefix.size());
    return std::nullopt;
  }
  const std::string name = ToLower(key);
  const auto it = fields_.find(name);
  if (it == fields_.end()) {
    std::cout << "WARNING: '" << name << "' is not a valid configuration key.\n";
    return std::nullopt;
  }
  std::string normal = it->second.is_yes_no ? ToLower(value) : value;
  if (auto error = Check(it->second, normal)) {
    return "failed to set value of field '" + name + "': " + *error;
  }
  it->second.value = std::move(normal);
  return std::nullopt;
}

std::optional<std::string> Config::Load(int argc, char** argv) {
  std::vector<std::pair<std::string, std::string>> options;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if ((argument == "-c" || argument == "--config") && i + 1 < argc) {
      path_ = argv[++i];
    } else if (argument.size() > 2 && argument.rfind("--", 0) == 0 && i + 1 < argc) {
      options.emplace_back(argument.substr(2), argv[++i]);
    } else {
      return "unknown argument: " + argument;
    }
  }
  if (!path_.empty()) {
    std::ifstream file(path_);
    if (!file) return "failed to open file '" + path_ + "'";
    std::string line;
    for (int number = 1; std::getline(file, line); ++number) {
      const auto [key, value] = ParseConfigLine(line);
      if (key.empty() || value.empty()) continue;
      if (auto error = Apply(key, value)) return "at line #L" + std::to_string(number) + ": " + *error;
    }
  }
  for (const auto& [key, value] : options) {
    if (auto error = Apply(key, value)) return "CLI config option error: " + *error;
  }
  if (Get("requirepass").empty() && !file_tokens_.empty()) {
    return "requirepass empty wasn't allowed while the namespace exists";
  }
  return std::nullopt;
}

std::string Config::Get(const std::string& key) const {
  std::lock_guard lock(mutex_);
  const auto it = fields_.find(key);
  return it == fields_.end() ? std::string() : it->second.value;
}

int64_t Config::GetInt(const std::string& key) const {
  const std::string text = Get(key);
  int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

std::vector<std::string> Config::Match(std::string_view glob) const {
  const std::string pattern = ToLower(glob);
  std::lock_guard lock(mutex_);
  std::vector<std::string> out;
  for (const auto& [name, field] : fields_) {
    if (!GlobMatch(pattern, name)) continue;
    out.push_back(name);
    out.push_back(field.value);
  }
  return out;
}

std::optional<std::string> Config::Set(std::string key, const std::string& value) {
  key = ToLower(key);
  std::lock_guard lock(mutex_);
  const auto it = fields_.find(key);
  if (it == fields_.end() || it->second.read_only) return "Unsupported CONFIG parameter: " + key;
  const std::string normal = it->second.is_yes_no ? ToLower(value) : value;
  if (auto error = Check(it->second, normal)) return "failed to set new value: " + *error;
  it->second.value = normal;
  return std::nullopt;
}

void Config::Override(const std::string& key, const std::string& value) {
  std::lock_guard lock(mutex_);
  const auto it = fields_.find(key);
  if (it != fields_.end()) it->second.value = value;
}

std::optional<std::pair<std::string, uint16_t>> Config::Upstream() const {
  const std::string text = Get("slaveof");
  const size_t space = text.find_first_of(" \t");
  if (space == std::string::npos) return std::nullopt;
  const std::string host = text.substr(0, space);
  const std::string port_text = Trim(std::string_view(text).substr(space));
  if (host == "no" || port_text == "one") return std::nullopt;
  uint16_t port = 0;
  std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  if (port == 0) return std::nullopt;
  return std::make_pair(host, port);
}

std::optional<std::string> Config::Rewrite(const std::map<std::string, std::string>& tokens) const {
  if (!HasFile()) return "the server is running without a config file";
  std::map<std::string, std::string> values;
  std::map<std::string, std::string> initial;
  {
    std::lock_guard lock(mutex_);
    for (const auto& [name, field] : fields_) {
      values[name] = field.value;
      initial[name] = field.initial;
    }
  }
  if (values["repl-namespace-enabled"] != "yes") {
    for (const auto& [token, name] : tokens) values["namespace." + name] = token;
  }
  std::string out;
  std::ifstream file(path_);
  std::string line;
  while (std::getline(file, line)) {
    const auto [key, value] = ParseConfigLine(line);
    if (key.rfind("namespace.", 0) == 0) continue;
    const auto it = values.find(ToLower(key));
    if (key.empty() || it == values.end()) {
      out += line + "\n";
      continue;
    }
    if (!it->second.empty()) out += ConfigLine(it->first, it->second) + "\n";
    values.erase(it);
  }
  file.close();
  for (const auto& [key, value] : values) {
    const auto it = initial.find(key);
    if (value.empty() || (it != initial.end() && it->second == value)) continue;
    out += ConfigLine(key, value) + "\n";
  }
  const std::string temporary = path_ + ".tmp";
  std::ofstream(temporary) << out;
  if (std::rename(temporary.c_str(), path_.c_str()) != 0) return "rename file encounter error";
  return std::nullopt;
}

}  // namespace walstitch::refnode
