#include "policies/config_reader.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>

#include "policies/quantity.h"

namespace walstitch {

namespace {

const YamlNode& EmptyMapping() {
  static const YamlNode mapping = [] {
    YamlNode node;
    node.kind = YamlNode::Kind::kMapping;
    return node;
  }();
  return mapping;
}

// "a, b or c"
std::string OneOfText(std::initializer_list<std::string_view> choices) {
  std::string text;
  std::size_t left = choices.size();
  for (std::string_view choice : choices) {
    text += choice;
    --left;
    text += left == 0 ? "" : left == 1 ? " or " : ", ";
  }
  return text;
}

}  // namespace

ConfigReader::ConfigReader(std::string path, const YamlNode& node) : path_(std::move(path)), node_(node) {
  if (node.kind != YamlNode::Kind::kMapping) Note(node.mark, "expected a mapping (key: value)");
}

ConfigReader::ConfigReader(ConfigReference& reference) : node_(EmptyMapping()), reference_(&reference) {}

ConfigReader::ConfigReader(const ConfigReader& outer, std::string_view key, const YamlNode& node)
    : ConfigReader(outer.path_, node) {
  reference_ = outer.reference_;
  prefix_ = outer.prefix_ + std::string(key) + ".";
}

void ConfigReader::Note(YamlMark mark, std::string_view what) {
  if (!error_ && reference_ == nullptr) error_ = YamlError(path_, mark, what);
}

const YamlNode* ConfigReader::Find(std::string_view key) const {
  const YamlNode* node = &node_;
  while (node != nullptr) {
    const auto dot = key.find('.');
    const std::string_view name = key.substr(0, dot);
    const auto entry = std::find_if(node->entries.begin(), node->entries.end(),
                                    [name](const YamlEntry& each) { return each.key.scalar == name; });
    node = entry == node->entries.end() ? nullptr : &entry->value;
    if (dot == std::string_view::npos) break;
    key.remove_prefix(dot + 1);
  }
  return node;
}

const YamlNode* ConfigReader::Value(std::string_view key, const KeyWords& words, std::string type,
                                    std::string absent, bool required) {
  known_.emplace_back(key);
  if (reference_ != nullptr) {
    reference_->push_back({prefix_ + std::string(key), std::move(type), std::move(absent),
                           std::string(words.words), required, words.rare});
    return nullptr;
  }
  const YamlNode* value = Find(key);
  return value == nullptr || value->kind == YamlNode::Kind::kNull ? nullptr : value;
}

void ConfigReader::Refuse(std::string_view key, std::string_view what) {
  const YamlNode* value = Find(key);
  Note(value == nullptr ? node_.mark : value->mark, what);
}

void ConfigReader::Adopt(const Result<void>& result) {
  if (!result && !error_) error_ = result.error();
}

void ConfigReader::Text(std::string_view key, std::string& field, const KeyWords& words) {
  const YamlNode* value = Value(key, words, "text", field);
  if (value == nullptr) return;
  if (value->kind != YamlNode::Kind::kScalar)
    return Note(value->mark, std::string(key) + ": expected a text");
  field = value->scalar;
}

void ConfigReader::RequiredText(std::string_view key, std::string& field, const KeyWords& words) {
  const YamlNode* value = Value(key, words, "text", "", true);
  if (value != nullptr && value->kind != YamlNode::Kind::kScalar)
    return Note(value->mark, std::string(key) + ": expected a text");
  if (value != nullptr) field = value->scalar;
  if (field.empty()) Refuse(key, std::string(key) + " is missing; expected a text that is not empty");
}

void ConfigReader::Texts(std::string_view key, std::vector<std::string>& field, const KeyWords& words) {
  const YamlNode* value = Value(key, words, "text, or a list of texts", "");
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

void ConfigReader::Choice(std::string_view key, std::initializer_list<std::string_view> choices,
                          std::string& field, const KeyWords& words) {
  const YamlNode* value = Value(key, words, OneOfText(choices), field);
  if (value == nullptr) return;
  if (value->kind != YamlNode::Kind::kScalar ||
      std::find(choices.begin(), choices.end(), value->scalar) == choices.end()) {
    return Note(value->mark, std::string(key) + ": expected " + OneOfText(choices));
  }
  field = value->scalar;
}

void ConfigReader::LogLevel(std::string& field) {
  const YamlNode* value = Find("logLevel");
  if (value != nullptr && value->kind == YamlNode::Kind::kScalar && value->scalar == "warning") {
    known_.emplace_back("logLevel");
    field = "warn";
    return;
  }
  Choice("logLevel", {"trace", "debug", "info", "warn", "error"}, field,
         "The least level that is logged, to standard error.");
}

void ConfigReader::Number(std::string_view key, std::int64_t low, std::int64_t high, std::int64_t& field,
                          const KeyWords& words) {
  const std::string range = std::to_string(low) + " to " + std::to_string(high);
  const YamlNode* value = Value(key, words, "whole number, " + range, std::to_string(field));
  if (value == nullptr) return;
  std::int64_t number = 0;
  const std::string& text = value->scalar;
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool whole = value->kind == YamlNode::Kind::kScalar && problem == std::errc() &&
                     end == text.data() + text.size() && !text.empty();
  if (!whole || number < low || number > high) {
    return Note(value->mark, std::string(key) + ": expected a whole number from " + range);
  }
  field = number;
}

void ConfigReader::Port(std::string_view key, std::uint16_t& field, const KeyWords& words) {
  std::int64_t number = field;
  Number(key, 1, 65535, number, words);
  field = static_cast<std::uint16_t>(number);
}

void ConfigReader::OptionalPort(std::string_view key, std::uint16_t& field, const KeyWords& words) {
  const YamlNode* value = Value(key, words, "whole number, 1 to 65535", "");
  if (value == nullptr) return;
  std::int64_t number = 0;
  const auto [end, problem] =
      std::from_chars(value->scalar.data(), value->scalar.data() + value->scalar.size(), number);
  const bool whole = value->kind == YamlNode::Kind::kScalar && problem == std::errc() &&
                     end == value->scalar.data() + value->scalar.size();
  if (!whole || number < 1 || number > 65535)
    return Note(value->mark, std::string(key) + ": expected a whole number from 1 to 65535");
  field = static_cast<std::uint16_t>(number);
}

void ConfigReader::Flag(std::string_view key, bool& field, const KeyWords& words) {
  const YamlNode* value = Value(key, words, "true or false", field ? "true" : "false");
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
                            std::int64_t& field_ms, const KeyWords& words) {
  const std::string range = DurationText(low_ms) + " to " + DurationText(high_ms);
  const YamlNode* value = Value(key, words, "time, " + range, DurationText(field_ms));
  if (value == nullptr) return;
  const auto ms = MillisecondsFromText(value->scalar);
  if (value->kind != YamlNode::Kind::kScalar || !ms || *ms < low_ms || *ms > high_ms) {
    return Note(value->mark,
                std::string(key) + ": expected a time from " + range + ", with its unit: ms, s, m or h");
  }
  field_ms = *ms;
}

void ConfigReader::Percent(std::string_view key, std::int64_t& field_permille, const KeyWords& words) {
  const YamlNode* value =
      Value(key, words, "percentage, with at most one decimal", PercentText(field_permille));
  if (value == nullptr) return;
  const auto permille = PermilleFromText(value->scalar);
  if (value->kind != YamlNode::Kind::kScalar || !permille) {
    return Note(value->mark, std::string(key) + ": expected a percentage such as 1% or 0.5%");
  }
  field_permille = *permille;
}

void ConfigReader::Bytes(std::string_view key, std::uint64_t& field, const KeyWords& words) {
  const YamlNode* value = Value(key, words, "bytes, such as 64Mi", ByteCountText(field));
  if (value == nullptr) return;
  const auto bytes = ByteCountFromText(value->scalar);
  if (value->kind != YamlNode::Kind::kScalar || !bytes) {
    return Note(value->mark, std::string(key) +
                                 ": expected a number of bytes such as 1000000, 64Mi or 4Gi (units k, M, G, "
                                 "T, Ki, Mi, Gi, Ti)");
  }
  field = *bytes;
}

void ConfigReader::SecretFile(std::string_view file_key, std::string_view in_clear, std::string& field,
                              const KeyWords& words) {
  RefuseInClear(in_clear, file_key);
  std::string file;
  Text(file_key, file, words);
  if (!file.empty()) Content(file_key, file, field);
}

void ConfigReader::Content(std::string_view file_key, const std::string& file, std::string& field) {
  auto content = ReadSecretFile(file);
  if (!content) return Refuse(file_key, content.error().Message());
  field = *content;
}

void ConfigReader::RefuseInClear(std::string_view in_clear, std::string_view file_key) {
  if (!Has(in_clear)) return;
  Refuse(in_clear,
         std::string(in_clear) +
             ": a secret is not written here: put it into a file that nobody else can read, and name "
             "that in " +
             std::string(file_key));
}

void ConfigReader::TextOrFile(std::string_view key, std::string_view file_key, std::string& field,
                              const KeyWords& words) {
  std::string file;
  // One of the two stands in an example: the file.
  KeyWords in_clear = words;
  in_clear.rare = true;
  Text(key, field, in_clear);
  const std::string in_file = "The file that holds `" + std::string(key) + "`, instead of it.";
  KeyWords file_words(in_file.c_str());
  file_words.rare = words.rare;
  Text(file_key, file, file_words);
  if (file.empty()) return;
  if (!field.empty()) {
    return Refuse(file_key, "give " + std::string(key) + " or " + std::string(file_key) + ", not both");
  }
  Content(file_key, file, field);
}

bool ConfigReader::Section(std::string_view key, const KeyWords& words, const Part& read) {
  const YamlNode* value = Value(key, words, "", "");
  if (value == nullptr && reference_ == nullptr) return false;
  ConfigReader part(*this, key, value == nullptr ? EmptyMapping() : *value);
  read(part);
  Adopt(part.Finish());
  return true;
}

bool ConfigReader::Each(std::string_view key, const KeyWords& words, const Part& read) {
  const std::string element_key = std::string(key) + "[]";
  if (reference_ != nullptr) {
    Section(element_key, words, read);
    return true;
  }
  const YamlNode* value = Value(key, words, "", "");
  if (value == nullptr) return false;
  if (value->kind != YamlNode::Kind::kSequence) {
    Note(value->mark, std::string(key) + ": expected a list of mappings");
    return true;
  }
  for (const YamlNode& element : value->elements) {
    ConfigReader part(*this, element_key, element);
    read(part);
    Adopt(part.Finish());
  }
  return true;
}

Result<void> ConfigReader::Finish() {
  if (error_) return Fail(*error_);
  if (reference_ != nullptr) return {};
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
