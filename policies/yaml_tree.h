// YAML as a plain tree in which every node knows where it stands, for files that people edit.
//
// The part of YAML that such a file needs, and no more: one document, no anchors or aliases (they can
// blow a small file up), no tags, bounded size and depth, no key twice in a mapping. Everything else
// is refused with its position.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "policies/model/result.h"

namespace walstitch {

inline constexpr std::size_t kMaxYamlBytes = 1 << 20;
inline constexpr std::size_t kMaxYamlDepth = 16;

// Counted from 1, in bytes.
struct YamlMark {
  std::size_t line = 1;
  std::size_t column = 1;
};

struct YamlEntry;

struct YamlNode {
  enum class Kind { kNull, kScalar, kSequence, kMapping };

  // Defined where YamlEntry is complete.
  YamlNode();
  ~YamlNode();
  YamlNode(const YamlNode&);
  YamlNode(YamlNode&&) noexcept;
  YamlNode& operator=(const YamlNode&);
  YamlNode& operator=(YamlNode&&) noexcept;

  Kind kind = Kind::kNull;
  YamlMark mark;
  std::string scalar;
  std::vector<YamlNode> elements;  // of a sequence
  std::vector<YamlEntry> entries;  // of a mapping, in the order of the file; keys are scalars
};

struct YamlEntry {
  YamlNode key;
  YamlNode value;
};

// "shop.yaml:7:20: what is wrong; expected what"
Error YamlError(std::string_view path, YamlMark mark, std::string_view what);

Result<YamlNode> ParseYaml(std::string_view path, std::string_view content);

}  // namespace walstitch
