// The stable strings of the enums, read back: one string for each value, the same in log, API, files
// and tests. ToString stands beside each enum; here is the way back, and the list to name in an error.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "policies/model/decision.h"
#include "policies/model/report.h"
#include "policies/model/result.h"
#include "policies/model/salvage.h"

namespace walstitch {

// Every value of the enum, in the order of its declaration.
template <typename Enum>
std::span<const Enum> AllValues();

template <>
std::span<const ErrorCode> AllValues<ErrorCode>();
template <>
std::span<const Tolerance> AllValues<Tolerance>();
template <>
std::span<const Verdict> AllValues<Verdict>();
template <>
std::span<const OnLimit> AllValues<OnLimit>();
template <>
std::span<const OnEndangered> AllValues<OnEndangered>();
template <>
std::span<const ProcessState> AllValues<ProcessState>();
template <>
std::span<const Role> AllValues<Role>();
template <>
std::span<const FullSyncState> AllValues<FullSyncState>();
template <>
std::span<const RelayState> AllValues<RelayState>();
template <>
std::span<const Outcome> AllValues<Outcome>();
template <>
std::span<const ForkProof> AllValues<ForkProof>();
template <>
std::span<const DecisionKind> AllValues<DecisionKind>();
template <>
std::span<const KeptAs> AllValues<KeptAs>();
template <>
std::span<const ReplayResult> AllValues<ReplayResult>();

// FromString<Verdict>("full"); nullopt for any other text.
template <typename Enum>
std::optional<Enum> FromString(std::string_view text) {
  for (Enum value : AllValues<Enum>()) {
    if (ToString(value) == text) return value;
  }
  return std::nullopt;
}

// "ignore, evict, repair, fullsync", for errors.
template <typename Enum>
std::string NameList() {
  std::string list;
  for (Enum value : AllValues<Enum>()) {
    if (!list.empty()) list += ", ";
    list += ToString(value);
  }
  return list;
}

}  // namespace walstitch
