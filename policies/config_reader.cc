#include "policies/config_reader.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>

#include "policies/quantity.h"

namespace walstitch {

ConfigReader::ConfigReader(std::string path, const YamlNode& node) : path_(std::move(path)), node_(node) {
  if (node.kind != YamlNode::Kind::kMapping) Note(node.mark, "expected a mapping (key: value)");
}

void ConfigReader::Note(YamlMark mark, std::string_view what) {
  if (!error_) error_ = YamlError(path_, mark, what);
}

const YamlNode* ConfigReader::Node(std::string_view key) {
  known_.emplace_back(key);
  for (const auto& [name, value] : node_.entries) {
    if (name.scalar == key) return value.kind == YamlNode::Kind::kNull ? nullptr : &value;
  }
  return nullptr;
}

void ConfigReader::Refuse(std::string_view key, std::string_view what) {
  for (const auto& [name, value] : node_.entries) {
    if (name.scalar == key) return Note(value.mark, what);
  }
  Note(node_.mark, what);
}

void ConfigReader::Adopt(const Result<void>& result) {
  if (!result && !error_) error_ = result.error();
}

void ConfigReader::Text(std::string_view key, std::string& field) {
  const YamlNode* value = Node(key);
  if (value == nullptr) return;
  if (value->kind != YamlNode::Kind::kScalar)
    return Note(value->mark, std::string(key) + ": expected a text");
  field = value->scalar;
}

void ConfigReader::RequiredText(std::string_view key, std::string& field) {
  Text(key, field);
  if (field.empty()) Refuse(key, std::string(key) + " is missing; expected a text that is not empty");
}

void ConfigReader::Texts(std::string_view key, std::vector<std::string>& field) {
  const YamlNode* value = Node(key);
  if (value == nullptr) return;
  if (value->kind == YamlNode::Kind::kScalar) {
    field = {value->scalar};
    return;
  }
  if (value->kind != YamlNode::Kind::kSequence) {
    return Note(value->mark, std::string(key) + ": expected a text or a list of texts");
  }
  std::vector<std::string> texts;
  for (const auto& element : value->elements) {
    if (element.kind != YamlNode::Kind::kScalar)
      return Note(element.mark, std::string(key) + ": expected a text");
    texts.push_back(element.scalar);
  }
  field = std::move(texts);
}

void ConfigReader::Number(std::string_view key, std::int64_t low, std::int64_t high, std::int64_t& field) {
  const YamlNode* value = Node(key);
  if (value == nullptr) return;
  std::int64_t number = 0;
  const std::string& text = value->scalar;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = value->kind == YamlNode::Kind::kScalar && problem == std::errc() &&
                     end == text.data() + text.size() && !text.empty();
  if (!whole || number < low || number > high) {
    return Note(value->mark, std::string(key) + ": expected a whole number from " + std::to_string(low) +
                                 " to " + std::to_string(high));
  }
  field = number;
}

void ConfigReader::Port(std::string_view key, std::uint16_t& field) {
  std::int64_t number = field;
  Number(key, 1, 65535, number);
  field = static_cast<std::uint16_t>(number);
}

void ConfigReader::Flag(std::string_view key, bool& field) {
  const YamlNode* value = Node(key);
  if (value == nullptr) return;
  if (value->kind == YamlNode::Kind::kScalar && value->scalar == "true") {
    field = true;
  } else if (value->kind == YamlNode::Kind::kScalar && value->scalar == "false") {
    field = false;
  } else {
    Note(value->mark, std::string(key) + ": expected true or false");
  }
}

void ConfigReader::Duration(std::string_view key, std::int64_t low_ms, std::int64_t high_ms,
                            std::int64_t& field_ms) {
  const YamlNode* value = Node(key);
  if (value == nullptr) return;
  const auto ms = MillisecondsFromText(value->scalar);
  if (value->kind != YamlNode::Kind::kScalar || !ms || *ms < low_ms || *ms > high_ms) {
    return Note(value->mark, std::string(key) + ": expected a time from " + DurationText(low_ms) + " to " +
                                 DurationText(high_ms) + ", with its unit: ms, s, m or h");
  }
  field_ms = *ms;
}

void ConfigReader::Percent(std::string_view key, std::int64_t& field_permille) {
  const YamlNode* value = Node(key);
  if (value == nullptr) return;
  const auto permille = PermilleFromText(value->scalar);
  if (value->kind != YamlNode::Kind::kScalar || !permille) {
    return Note(value->mark, std::string(key) + ": expected a percentage such as 1% or 0.5%");
  }
  field_permille = *permille;
}

void ConfigReader::Bytes(std::string_view key, std::uint64_t& field) {
  const YamlNode* value = Node(key);
  if (value == nullptr) return;
  const auto bytes = ByteCountFromText(value->scalar);
  if (value->kind != YamlNode::Kind::kScalar || !bytes) {
    return Note(value->mark, std::string(key) +
                                 ": expected a number of bytes such as 1000000, 64Mi or 4Gi (units k, M, G, "
                                 "T, Ki, Mi, Gi, Ti)");
  }
  field = *bytes;
}

bool ConfigReader::Has(std::string_view key) const {
  return std::any_of(node_.entries.begin(), node_.entries.end(),
                     [key](const YamlEntry& entry) { return entry.key.scalar == key; });
}

Result<void> ConfigReader::Finish() {
  if (error_) return Fail(*error_);
  for (const auto& [name, value] : node_.entries) {
    if (std::find(known_.begin(), known_.end(), name.scalar) != known_.end()) continue;
    std::string expected;
    for (const auto& key : known_) expected += (expected.empty() ? "" : ", ") + key;
    return Fail(
        YamlError(path_, name.mark, "unknown key '" + name.scalar + "'; expected one of: " + expected));
  }
  return {};
}

Result<std::string> ReadConfigFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return Fail(ErrorCode::kNotFound, path + ": cannot be opened");
  std::string content;
  content.resize(kMaxYamlBytes + 1);
  file.read(content.data(), static_cast<std::streamsize>(content.size()));
  if (file.bad()) return Fail(ErrorCode::kIo, path + ": cannot be read");
  content.resize(static_cast<std::size_t>(file.gcount()));
  if (content.size() > kMaxYamlBytes) return Fail(ErrorCode::kInvalid, path + ": larger than 1 MiB");
  return content;
}

Result<std::string> ReadSecretFile(const std::string& path) {
  auto content = ReadConfigFile(path);
  if (!content) return content;
  while (!content->empty() && (content->back() == '\n' || content->back() == '\r')) content->pop_back();
  if (content->empty()) return Fail(ErrorCode::kInvalid, path + ": the secret is empty");
  return content;
}

}  // namespace walstitch
