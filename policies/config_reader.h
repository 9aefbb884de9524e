// Reads the mappings of a configuration file: every key at most once, unknown keys refused, every error
// with file, line and column. Fill the fields, then ask Finish(): it gives the first error, if any.
// Absent keys leave their field as it is. Pure. The tree must outlive the reader.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policies/model/result.h"
#include "policies/yaml_tree.h"

namespace walstitch {

class ConfigReader {
 public:
  // `node` should be a mapping; anything else is the first error.
  ConfigReader(std::string path, const YamlNode& node);

  void Text(std::string_view key, std::string& field);
  void RequiredText(std::string_view key, std::string& field);  // present and not empty
  void Texts(std::string_view key, std::vector<std::string>& field);
  void Number(std::string_view key, std::int64_t low, std::int64_t high, std::int64_t& field);
  void Port(std::string_view key, std::uint16_t& field);  // 1..65535
  void Flag(std::string_view key, bool& field);
  // With a unit (policies/quantity.h). Bounds are given as a person would write them.
  void Duration(std::string_view key, std::int64_t low_ms, std::int64_t high_ms, std::int64_t& field_ms);
  void Percent(std::string_view key, std::int64_t& field_permille);  // 0% to 100%, in tenths
  void Bytes(std::string_view key, std::uint64_t& field);
  // A sub-mapping or list to read on; nullptr if absent.
  const YamlNode* Node(std::string_view key);

  [[nodiscard]] bool Has(std::string_view key) const;

  // Notes an error at the mapping, or at the key's value if it is there.
  void Refuse(std::string_view key, std::string_view what);
  // Takes over a sub-reader's error.
  void Adopt(const Result<void>& result);

  // The first error noted, else the first unknown key, else success.
  Result<void> Finish();

 private:
  void Note(YamlMark mark, std::string_view what);

  std::string path_;
  const YamlNode& node_;
  std::vector<std::string> known_;
  std::optional<Error> error_;
};

// A file's content, its last line break removed: for secrets. An Error names the file.
Result<std::string> ReadSecretFile(const std::string& path);
// A whole file of at most kMaxYamlBytes.
Result<std::string> ReadConfigFile(const std::string& path);

}  // namespace walstitch
