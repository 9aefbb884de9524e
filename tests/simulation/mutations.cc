#include "tests/simulation/mutations.h"

namespace walstitch::simulation {

const std::vector<NamedMutation>& AllMutations() {
  using core::Mutation;
  static const std::vector<NamedMutation> all = {
      {Mutation::kPromoteWithinLease, "promote-within-lease", 1},
      {Mutation::kIgnorePolicy, "ignore-policy", 2},
      {Mutation::kForgetOutcome, "forget-outcome", 3},
      {Mutation::kUndecidedFullSync, "undecided-full-sync", 4},
      {Mutation::kTrustTheNumber, "trust-the-number", 5},
      {Mutation::kSkipRescue, "skip-rescue", 6},
      {Mutation::kWorstCandidate, "worst-candidate", 7},
      {Mutation::kWaitForEver, "wait-for-ever", 8},
  };
  return all;
}

std::optional<core::Mutation> FindMutation(std::string_view name) {
  for (const auto& one : AllMutations()) {
    if (one.name == name) return one.mutation;
  }
  return std::nullopt;
}

std::string MutationNames() {
  std::string names;
  for (const auto& one : AllMutations()) names += (names.empty() ? "" : ", ") + std::string(one.name);
  return names;
}

}  // namespace walstitch::simulation
