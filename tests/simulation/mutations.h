// The core's deliberate faults by their names on the command line.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/core/mutation.h"

namespace walstitch::simulation {

struct NamedMutation {
  core::Mutation mutation = core::Mutation::kNone;
  std::string_view name;
  int invariant = 0;  // whose checker must find it
};

const std::vector<NamedMutation>& AllMutations();
std::optional<core::Mutation> FindMutation(std::string_view name);
std::string MutationNames();

}  // namespace walstitch::simulation
