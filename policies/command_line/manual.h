// A program's manual page, as man(1) reads it (troff with the man macros). Pure.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "policies/command_line/words.h"

namespace walstitch {

struct ManualWords {
  int section = 1;      // 1: commands, 8: what runs as a service
  std::string version;  // "walstitch 0.1.0"
  std::string summary;  // behind the name, one line without a full stop
  // More sections, in order, behind the options and commands: "FILES" and its text, where an empty line
  // begins a paragraph.
  std::vector<std::pair<std::string, std::string>> sections;
  std::vector<std::string> see_also;  // "walstitch-agent(8)"
};

std::string ManualPage(const CommandWords& program, const ManualWords& words);

}  // namespace walstitch
