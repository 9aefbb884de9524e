// Reads the mappings of a configuration file: every key at most once, unknown keys refused, every error
// with file, line and column. Fill the fields, then ask Finish(): it gives the first error, if any.
// Absent keys leave their field as it is. Pure. The tree must outlive the reader.
//
// The same calls describe the file: a reader made of a ConfigReference reads nothing, notes each key with
// what it takes, the value that its field has (its default) and the words given with it, and finds no errors.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policies/config_reference.h"
#include "policies/model/result.h"
#include "policies/yaml_tree.h"

namespace walstitch {

// What is said of a key: one or two short sentences, for whoever writes the file.
struct KeyWords {
  KeyWords(const char* text) : words(text) {}  // NOLINT(google-explicit-constructor): reads as a text
  std::string_view words;
  bool rare = false;
};

// Of a key that few need: it does not have to stand in an example.
inline KeyWords Rare(const char* words) {
  KeyWords rare(words);
  rare.rare = true;
  return rare;
}

class ConfigReader {
 public:
  using Part = std::function<void(ConfigReader&)>;

  // `node` should be a mapping; anything else is the first error.
  ConfigReader(std::string path, const YamlNode& node);
  // Describes. `reference` must outlive the reader.
  explicit ConfigReader(ConfigReference& reference);

  void Text(std::string_view key, std::string& field, const KeyWords& words);
  // Present and not empty.
  void RequiredText(std::string_view key, std::string& field, const KeyWords& words);
  void Texts(std::string_view key, std::vector<std::string>& field, const KeyWords& words);
  void Choice(std::string_view key, std::initializer_list<std::string_view> choices, std::string& field,
              const KeyWords& words);
  // `logLevel`, by spdlog's names. "warning" is as good as "warn".
  void LogLevel(std::string& field);
  void Number(std::string_view key, std::int64_t low, std::int64_t high, std::int64_t& field,
              const KeyWords& words);
  void Port(std::string_view key, std::uint16_t& field, const KeyWords& words);  // 1..65535
  // 0 where it is left out.
  void OptionalPort(std::string_view key, std::uint16_t& field, const KeyWords& words);
  void Flag(std::string_view key, bool& field, const KeyWords& words);
  // With a unit (policies/quantity.h). Bounds are given as a person would write them.
  void Duration(std::string_view key, std::int64_t low_ms, std::int64_t high_ms, std::int64_t& field_ms,
                const KeyWords& words);
  void Percent(std::string_view key, std::int64_t& field_permille, const KeyWords& words);  // 0% to 100%
  void Bytes(std::string_view key, std::uint64_t& field, const KeyWords& words);
  // A secret: the content of the file that `file_key` names. Written out in `in_clear` it is refused.
  void SecretFile(std::string_view file_key, std::string_view in_clear, std::string& field,
                  const KeyWords& words);
  void RefuseInClear(std::string_view in_clear, std::string_view file_key);
  // A text in `key`, or the content of the file that `file_key` names.
  void TextOrFile(std::string_view key, std::string_view file_key, std::string& field, const KeyWords& words);
  // A mapping: `read` is called with a reader of it if it is there, and its errors are this reader's. False:
  // it is not there. Describing calls `read`, too.
  bool Section(std::string_view key, const KeyWords& words, const Part& read);
  // A list of mappings: `read` is called for each.
  bool Each(std::string_view key, const KeyWords& words, const Part& read);

  // `key` may name a key of a section: "lease.duration".
  [[nodiscard]] bool Has(std::string_view key) const { return Find(key) != nullptr; }

  // Notes an error at the mapping, or at the key's value if it is there. `key` as with Has.
  void Refuse(std::string_view key, std::string_view what);
  // Notes an error at the mapping.
  void RefuseWhole(std::string_view what) { Note(node_.mark, what); }

  // The first error noted, else the first unknown key, else success.
  Result<void> Finish();

 private:
  ConfigReader(const ConfigReader& outer, std::string_view key, const YamlNode& node);
  void Note(YamlMark mark, std::string_view what);
  // What stands in the file that `file_key` names.
  void Content(std::string_view file_key, const std::string& file, std::string& field);
  void Adopt(const Result<void>& result);
  [[nodiscard]] const YamlNode* Find(std::string_view key) const;
  // The key's value to be read, nullptr if there is none, as while describing.
  const YamlNode* Value(std::string_view key, const KeyWords& words, std::string type, std::string absent,
                        bool required = false);

  std::string path_;
  const YamlNode& node_;
  ConfigReference* reference_ = nullptr;  // set: this reader describes
  std::string prefix_;                    // of the keys in the reference
  std::vector<std::string> known_;
  std::optional<Error> error_;
};

// A file's content, its last line break removed: for secrets. An Error names the file.
Result<std::string> ReadSecretFile(const std::string& path);
// A whole file of at most kMaxYamlBytes.
Result<std::string> ReadConfigFile(const std::string& path);

}  // namespace walstitch
