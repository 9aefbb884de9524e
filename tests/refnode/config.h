// The node's configuration: Kvrocks' file syntax, command line and CONFIG replies.
//
// Values are kept as text by name, with Kvrocks' defaults; what the node itself
// needs has a typed accessor. Keys that start with `refnode.` belong to this
// node alone; like Kvrocks, an unknown key is warned about and ignored.
//
// Thread-safe: CONFIG SET may run beside readers.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace walstitch::refnode {

class Config {
 public:
  Config();

  // Reads `-c FILE` and `--key value` arguments; the text of the error, if any.
  // An empty command line is valid.
  std::optional<std::string> Load(int argc, char** argv);

  std::string Get(const std::string& key) const;
  int64_t GetInt(const std::string& key) const;
  bool GetBool(const std::string& key) const { return Get(key) == "yes"; }

  // Name and value, flat, of every key that the glob matches.
  std::vector<std::string> Match(std::string_view glob) const;
  // What CONFIG SET does; the text of the error, if any.
  std::optional<std::string> Set(std::string key, const std::string& value);
  // For the node itself: also changes keys that CONFIG SET refuses.
  void Override(const std::string& key, const std::string& value);

  // Writes the file anew, with every changed value and, unless namespaces are
  // replicated, with `tokens` (token -> namespace).
  std::optional<std::string> Rewrite(const std::map<std::string, std::string>& tokens) const;

  bool HasFile() const { return !path_.empty(); }
  // Tokens named in the file: token -> namespace.
  const std::map<std::string, std::string>& file_tokens() const { return file_tokens_; }

  std::string Directory() const { return Get("dir"); }
  std::string DbDirectory() const { return Directory() + "/db"; }
  std::string CheckpointDirectory() const { return Directory() + "/checkpoint"; }
  std::string SyncCheckpointDirectory() const { return Directory() + "/sync_checkpoint"; }
  uint16_t Port() const { return static_cast<uint16_t>(GetInt("port")); }
  // The upstream that the configuration names, if it does.
  std::optional<std::pair<std::string, uint16_t>> Upstream() const;

 private:
  struct Field {
    std::string value;
    std::string initial;
    bool read_only = false;
    bool is_integer = false;
    bool is_yes_no = false;
  };

  std::optional<std::string> Apply(const std::string& key, const std::string& value);
  static std::optional<std::string> Check(const Field& field, const std::string& value);

  mutable std::mutex mutex_;
  std::map<std::string, Field> fields_;
  std::map<std::string, std::string> file_tokens_;
  std::string path_;
};

// Splits a line into key and value; both empty for a comment or an empty line.
std::pair<std::string, std::string> ParseConfigLine(std::string_view line);

// `*` and `?`; anything else is itself.
bool GlobMatch(std::string_view glob, std::string_view text);

std::string ToLower(std::string_view text);

}  // namespace walstitch::refnode
