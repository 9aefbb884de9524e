// What a configuration file may say, as a list of its keys: made by the very calls that read the file
// (config_reader.h), so that it cannot fall behind them. Plain data. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace walstitch {

struct ConfigKey {
  std::string path;    // "lease.duration", "groups[].nodes[].name": [] is each element of a list
  std::string type;    // what it takes, with its range: "time, 0s to 1h"; empty: a section of keys
  std::string absent;  // what holds without it: its default, as one would write it; empty: nothing
  std::string words;   // what it is
  bool required = false;
  bool rare = false;  // need not stand in an example

  [[nodiscard]] bool IsSection() const { return type.empty(); }
};

using ConfigReference = std::vector<ConfigKey>;

// Tables in Markdown, one for each section, in the order in which the keys are read.
std::string ReferenceMarkdown(const ConfigReference& reference);

}  // namespace walstitch
