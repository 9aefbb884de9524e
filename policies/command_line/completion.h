// Completions of a program for a shell, as text that the shell reads. Names of groups and nodes come from the
// program itself: `NAME names groups` and `NAME names nodes [GROUP]` print one in each line. Pure.
#pragma once

#include <string>

#include "policies/command_line/words.h"

namespace walstitch {

// To be sourced, or installed as bash-completion/completions/NAME.
std::string BashCompletion(const CommandWords& program);
// To be installed as _NAME in a directory of $fpath.
std::string ZshCompletion(const CommandWords& program);

}  // namespace walstitch
