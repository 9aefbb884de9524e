// The stable codes of a decision's reasons, one per rule. policies/README.md has the table of what each
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
inline constexpr std::string_view kMasterLostRecords = "master-lost-records";
inline constexpr std::string_view kNothingMissed = "nothing-missed";
inline constexpr std::string_view kTailUndone = "tail-undone";
inline constexpr std::string_view kAdvanceLimit = "advance-limit";
inline constexpr std::string_view kSpliceFailed = "splice-failed";
inline constexpr std::string_view kAdvancedFirst = "advanced-first";
inline constexpr std::string_view kRepairedAfterwards = "repaired-afterwards";
inline constexpr std::string_view kEvictedAfterwards = "evicted-afterwards";
inline constexpr std::string_view kNotRepairable = "not-repairable";
inline constexpr std::string_view kRepairFailed = "repair-failed";
inline constexpr std::string_view kBorrowed = "borrowed";
inline constexpr std::string_view kBorrowLimit = "borrow-limit";
inline constexpr std::string_view kResumePointEndangered = "resume-point-endangered";

// Of a tail that is given up (controller/core/tail_given_up.h).
inline constexpr std::string_view kTailNotSalvaged = "tail-not-salvaged";
inline constexpr std::string_view kTailSalvagedInPart = "tail-salvaged-in-part";

// Of holding a node until its evidence can be gathered, and of role switches.
inline constexpr std::string_view kNotParked = "not-parked";
inline constexpr std::string_view kOperatorAsked = "operator-asked";
inline constexpr std::string_view kForced = "forced";
inline constexpr std::string_view kMasterDown = "master-down";
inline constexpr std::string_view kMasterParked = "master-parked";
inline constexpr std::string_view kMostAdvanced = "most-advanced";
inline constexpr std::string_view kCandidate = "candidate";
inline constexpr std::string_view kNotEligible = "not-eligible";
inline constexpr std::string_view kTailRescued = "tail-rescued";
inline constexpr std::string_view kTailLeftBehind = "tail-left-behind";
inline constexpr std::string_view kPromotionHappened = "promotion-happened";
inline constexpr std::string_view kRefused = "refused";

// Of full syncs that were decided, and do not begin yet (controller/core/full_sync_guard.h).
inline constexpr std::string_view kFullSyncQueued = "full-sync-queued";
inline constexpr std::string_view kFullSyncNoRoom = "full-sync-no-room";
inline constexpr std::string_view kFullSyncLastCopy = "full-sync-last-copy";

// Of failovers that start by themselves, or do not (controller/core/failover_gate.h).
inline constexpr std::string_view kMasterUnreachable = "master-unreachable";
inline constexpr std::string_view kMasterHung = "master-hung";
inline constexpr std::string_view kMasterOutOfSight = "master-out-of-sight";
inline constexpr std::string_view kMasterRefusesWrites = "master-refuses-writes";
inline constexpr std::string_view kMasterLeaving = "master-leaving";
inline constexpr std::string_view kLeaseOver = "lease-over";
inline constexpr std::string_view kFencedDirectly = "fenced-directly";
inline constexpr std::string_view kNotAutomatic = "not-automatic";
inline constexpr std::string_view kPaused = "paused";
inline constexpr std::string_view kInMaintenance = "in-maintenance";
inline constexpr std::string_view kOtherMaster = "other-master";
inline constexpr std::string_view kBlocked = "blocked";
inline constexpr std::string_view kBetterMissing = "better-missing";
inline constexpr std::string_view kReadingTail = "reading-tail";
inline constexpr std::string_view kLeaseRuns = "lease-runs";
inline constexpr std::string_view kTooManyAtOnce = "too-many-at-once";

// All of them, for the test that keeps the table of policies/README.md complete.
inline constexpr std::string_view kAll[] = {kPrefixOfSurvivor,
                                            kWithinPolicy,
                                            kNumberFitsHistoriesDiffer,
                                            kKeyspaceFullSync,
                                            kKeyspaceLimit,
                                            kPadLimit,
                                            kTailLimit,
                                            kMissedLimit,
                                            kForkUnproven,
                                            kForkUnknown,
                                            kWalPurged,
                                            kRejoinerAhead,
                                            kIncompatible,
                                            kEvidenceMissing,
                                            kNotPreferred,
                                            kMasterLostRecords,
                                            kTailNotSalvaged,
                                            kTailSalvagedInPart,
                                            kFullSyncQueued,
                                            kFullSyncNoRoom,
                                            kFullSyncLastCopy,
                                            kTailRescued,
                                            kTailLeftBehind,
                                            kPromotionHappened,
                                            kNotParked,
                                            kOperatorAsked,
                                            kForced,
                                            kMasterDown,
                                            kMasterParked,
                                            kMostAdvanced,
                                            kCandidate,
                                            kNotEligible,
                                            kRefused,
                                            kMasterUnreachable,
                                            kMasterHung,
                                            kMasterOutOfSight,
                                            kMasterRefusesWrites,
                                            kMasterLeaving,
                                            kLeaseOver,
                                            kFencedDirectly,
                                            kNotAutomatic,
                                            kPaused,
                                            kInMaintenance,
                                            kOtherMaster,
                                            kBlocked,
                                            kBetterMissing,
                                            kReadingTail,
                                            kLeaseRuns,
                                            kTooManyAtOnce,
                                            kNothingMissed,
                                            kTailUndone,
                                            kAdvanceLimit,
                                            kSpliceFailed,
                                            kAdvancedFirst,
                                            kBorrowed,
                                            kBorrowLimit,
                                            kResumePointEndangered,
                                            kRepairedAfterwards,
                                            kEvictedAfterwards,
                                            kNotRepairable,
                                            kRepairFailed};

}  // namespace walstitch::reason
