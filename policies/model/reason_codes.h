// The stable codes of a verdict's reasons, one per rule. policies/README.md has the table of what each
// means; a code, once released, keeps its meaning.
#pragma once

#include <string_view>

namespace walstitch::reason {

inline constexpr std::string_view kPrefixOfSurvivor = "prefix-of-survivor";
inline constexpr std::string_view kWithinPolicy = "within-policy";
inline constexpr std::string_view kNumberFitsHistoriesDiffer = "number-fits-histories-differ";
inline constexpr std::string_view kKeyspaceFullSync = "keyspace-fullsync";
inline constexpr std::string_view kKeyspaceLimit = "keyspace-limit";
inline constexpr std::string_view kPadLimit = "pad-limit";
inline constexpr std::string_view kTailLimit = "tail-limit";
inline constexpr std::string_view kMissedLimit = "missed-limit";
inline constexpr std::string_view kForkUnproven = "fork-unproven";
inline constexpr std::string_view kForkUnknown = "fork-unknown";
inline constexpr std::string_view kWalPurged = "wal-purged";
inline constexpr std::string_view kRejoinerAhead = "rejoiner-ahead";
inline constexpr std::string_view kIncompatible = "incompatible";
inline constexpr std::string_view kEvidenceMissing = "evidence-missing";
inline constexpr std::string_view kNotPreferred = "not-preferred";

// All of them, for the test that keeps the table of policies/README.md complete.
inline constexpr std::string_view kAll[] = {kPrefixOfSurvivor, kWithinPolicy,    kNumberFitsHistoriesDiffer,
                                            kKeyspaceFullSync, kKeyspaceLimit,   kPadLimit,
                                            kTailLimit,        kMissedLimit,     kForkUnproven,
                                            kForkUnknown,      kWalPurged,       kRejoinerAhead,
                                            kIncompatible,     kEvidenceMissing, kNotPreferred};

}  // namespace walstitch::reason
