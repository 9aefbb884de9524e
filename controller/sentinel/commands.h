// The commands that are answered, as COMMAND tells of them. Plain data.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "controller/sentinel/resp.h"

namespace walstitch::sentinel {

struct CommandInfo {
  std::string_view name;
  int arity = 0;  // with the name; negative: at least so many
  std::vector<std::string_view> flags;
  std::string_view category;  // without the @
  std::string_view group;
  std::string_view since;
  std::string_view summary;
  std::vector<std::string_view> subcommands;
};

// nullptr: there is no such command. `name` in lower case.
const CommandInfo* FindCommand(std::string_view name);

// COMMAND …
Reply AnswerCommand(const Request& request);
// The same as bytes. On one thread.
std::string EncodedCommand(const Request& request, Protocol protocol);

}  // namespace walstitch::sentinel
