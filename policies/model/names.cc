#include "policies/model/names.h"

#include <array>

#include "policies/model/command.h"

namespace walstitch {
namespace {

// An enum value that is none of the declared ones can only come from a broken cast of our own.
[[noreturn]] void NoSuchValue() {
  WALSTITCH_CHECK(false);
  std::abort();
}

}  // namespace

std::string_view ToString(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalid:
      return "invalid";
    case ErrorCode::kNotFound:
      return "not_found";
    case ErrorCode::kStale:
      return "stale";
    case ErrorCode::kConflict:
      return "conflict";
    case ErrorCode::kUnavailable:
      return "unavailable";
    case ErrorCode::kTimeout:
      return "timeout";
    case ErrorCode::kDamaged:
      return "damaged";
    case ErrorCode::kIo:
      return "io";
  }
  NoSuchValue();
}

std::string_view ToString(Tolerance tolerance) {
  switch (tolerance) {
    case Tolerance::kIgnore:
      return "ignore";
    case Tolerance::kEvict:
      return "evict";
    case Tolerance::kRepair:
      return "repair";
    case Tolerance::kFullSync:
      return "fullsync";
  }
  NoSuchValue();
}

std::string_view ToString(Verdict verdict) {
  switch (verdict) {
    case Verdict::kAligned:
      return "aligned";
    case Verdict::kSpliced:
      return "spliced";
    case Verdict::kPadded:
      return "padded";
    case Verdict::kFull:
      return "full";
    case Verdict::kHold:
      return "hold";
  }
  NoSuchValue();
}

std::string_view ToString(Padding padding) {
  switch (padding) {
    case Padding::kRelay:
      return "relay";
    case Padding::kNative:
      return "native";
  }
  return "";
}

std::string_view ToString(SalvageRule rule) {
  switch (rule) {
    case SalvageRule::kRequired:
      return "required";
    case SalvageRule::kTry:
      return "try";
  }
  return "";
}

std::string_view ToString(OnLimit on_limit) {
  switch (on_limit) {
    case OnLimit::kFullSync:
      return "fullsync";
    case OnLimit::kHold:
      return "hold";
  }
  NoSuchValue();
}

std::string_view ToString(OnEndangered on_endangered) {
  switch (on_endangered) {
    case OnEndangered::kTell:
      return "tell";
    case OnEndangered::kFullSync:
      return "fullsync";
  }
  NoSuchValue();
}

std::string_view ToString(ProcessState state) {
  switch (state) {
    case ProcessState::kUnknown:
      return "unknown";
    case ProcessState::kUp:
      return "up";
    case ProcessState::kHung:
      return "hung";
    case ProcessState::kDown:
      return "down";
  }
  NoSuchValue();
}

std::string_view ToString(Role role) {
  switch (role) {
    case Role::kUnknown:
      return "unknown";
    case Role::kMaster:
      return "master";
    case Role::kReplica:
      return "replica";
  }
  NoSuchValue();
}

std::string_view ToString(FullSyncState state) {
  switch (state) {
    case FullSyncState::kUnknown:
      return "unknown";
    case FullSyncState::kNone:
      return "none";
    case FullSyncState::kFetching:
      return "fetching";
    case FullSyncState::kRestoring:
      return "restoring";
  }
  NoSuchValue();
}

std::string_view ToString(RelayState state) {
  switch (state) {
    case RelayState::kIdle:
      return "idle";
    case RelayState::kParked:
      return "parked";
    case RelayState::kPadding:
      return "padding";
    case RelayState::kSplicing:
      return "splicing";
    case RelayState::kFollowing:
      return "following";
    case RelayState::kRescuing:
      return "rescuing";
    case RelayState::kFullSync:
      return "fullsync";
  }
  NoSuchValue();
}

std::string_view ToString(Outcome outcome) {
  switch (outcome) {
    case Outcome::kDone:
      return "done";
    case Outcome::kFailed:
      return "failed";
    case Outcome::kUnknown:
      return "unknown";
  }
  NoSuchValue();
}

std::string_view ToString(ForkProof proof) {
  switch (proof) {
    case ForkProof::kUnknown:
      return "unknown";
    case ForkProof::kRecordedPromotion:
      return "recorded promotion";
    case ForkProof::kSameStream:
      return "same stream";
    case ForkProof::kEqualBatches:
      return "equal batches";
  }
  NoSuchValue();
}

std::string_view ToString(KeptAs kept) {
  switch (kept) {
    case KeptAs::kValue:
      return "value";
    case KeptAs::kAbsent:
      return "absent";
    case KeptAs::kNotKept:
      return "not-kept";
  }
  return "?";
}

std::string_view ToString(ReplayResult result) {
  switch (result) {
    case ReplayResult::kWritten:
      return "written";
    case ReplayResult::kDeleted:
      return "deleted";
    case ReplayResult::kEqual:
      return "equal";
    case ReplayResult::kChanged:
      return "changed";
    case ReplayResult::kExpired:
      return "expired";
    case ReplayResult::kAbsent:
      return "absent";
    case ReplayResult::kNotReplayable:
      return "not-replayable";
    case ReplayResult::kFailed:
      return "failed";
    case ReplayResult::kUnknown:
      return "unknown";
  }
  return "?";
}

std::string_view ToString(DecisionKind kind) {
  switch (kind) {
    case DecisionKind::kRejoin:
      return "rejoin";
    case DecisionKind::kFailover:
      return "failover";
    case DecisionKind::kSwitchover:
      return "switchover";
    case DecisionKind::kBootstrap:
      return "bootstrap";
    case DecisionKind::kAdopt:
      return "adopt";
    case DecisionKind::kRelease:
      return "release";
    case DecisionKind::kPause:
      return "pause";
    case DecisionKind::kResume:
      return "resume";
    case DecisionKind::kMaintenance:
      return "maintenance";
    case DecisionKind::kUnblock:
      return "unblock";
    case DecisionKind::kReplay:
      return "replay";
    case DecisionKind::kRefusal:
      return "refusal";
  }
  NoSuchValue();
}

std::string_view ActionName(const Action& action) {
  struct Name {
    std::string_view operator()(const ParkAction&) const { return "park"; }
    std::string_view operator()(const PromoteAction&) const { return "promote"; }
    std::string_view operator()(const PadAction&) const { return "pad"; }
    std::string_view operator()(const FollowAction&) const { return "follow"; }
    std::string_view operator()(const RescueAction&) const { return "rescue"; }
    std::string_view operator()(const SalvageAction&) const { return "salvage"; }
    std::string_view operator()(const FullSyncAction&) const { return "full_sync"; }
    std::string_view operator()(const AdoptMasterAction&) const { return "adopt_master"; }
    std::string_view operator()(const ReleaseAction&) const { return "release"; }
    std::string_view operator()(const AdvanceAction&) const { return "advance"; }
    std::string_view operator()(const SpliceAction&) const { return "splice"; }
    std::string_view operator()(const RepairAction&) const { return "repair"; }
    std::string_view operator()(const CompareAction&) const { return "compare"; }
    std::string_view operator()(const OfferPaddingAction&) const { return "offer_padding"; }
  };
  return std::visit(Name{}, action);
}

template <>
std::span<const ErrorCode> AllValues<ErrorCode>() {
  static constexpr std::array kValues = {ErrorCode::kInvalid,  ErrorCode::kNotFound,    ErrorCode::kStale,
                                         ErrorCode::kConflict, ErrorCode::kUnavailable, ErrorCode::kTimeout,
                                         ErrorCode::kDamaged,  ErrorCode::kIo};
  return kValues;
}

template <>
std::span<const Tolerance> AllValues<Tolerance>() {
  static constexpr std::array kValues = {Tolerance::kIgnore, Tolerance::kEvict, Tolerance::kRepair,
                                         Tolerance::kFullSync};
  return kValues;
}

template <>
std::span<const Verdict> AllValues<Verdict>() {
  static constexpr std::array kValues = {Verdict::kAligned, Verdict::kSpliced, Verdict::kPadded,
                                         Verdict::kFull, Verdict::kHold};
  return kValues;
}

template <>
std::span<const Padding> AllValues<Padding>() {
  static constexpr std::array kValues = {Padding::kRelay, Padding::kNative};
  return kValues;
}

template <>
std::span<const SalvageRule> AllValues<SalvageRule>() {
  static constexpr std::array kValues = {SalvageRule::kRequired, SalvageRule::kTry};
  return kValues;
}
template <>
std::span<const OnLimit> AllValues<OnLimit>() {
  static constexpr std::array kValues = {OnLimit::kFullSync, OnLimit::kHold};
  return kValues;
}
template <>
std::span<const OnEndangered> AllValues<OnEndangered>() {
  static constexpr std::array kValues = {OnEndangered::kTell, OnEndangered::kFullSync};
  return kValues;
}

template <>
std::span<const ProcessState> AllValues<ProcessState>() {
  static constexpr std::array kValues = {ProcessState::kUnknown, ProcessState::kUp, ProcessState::kHung,
                                         ProcessState::kDown};
  return kValues;
}

template <>
std::span<const Role> AllValues<Role>() {
  static constexpr std::array kValues = {Role::kUnknown, Role::kMaster, Role::kReplica};
  return kValues;
}

template <>
std::span<const FullSyncState> AllValues<FullSyncState>() {
  static constexpr std::array kValues = {FullSyncState::kUnknown, FullSyncState::kNone,
                                         FullSyncState::kFetching, FullSyncState::kRestoring};
  return kValues;
}

template <>
std::span<const RelayState> AllValues<RelayState>() {
  static constexpr std::array kValues = {RelayState::kIdle,     RelayState::kParked,    RelayState::kPadding,
                                         RelayState::kSplicing, RelayState::kFollowing, RelayState::kRescuing,
                                         RelayState::kFullSync};
  return kValues;
}

template <>
std::span<const Outcome> AllValues<Outcome>() {
  static constexpr std::array kValues = {Outcome::kDone, Outcome::kFailed, Outcome::kUnknown};
  return kValues;
}

template <>
std::span<const ForkProof> AllValues<ForkProof>() {
  static constexpr std::array kValues = {ForkProof::kUnknown, ForkProof::kRecordedPromotion,
                                         ForkProof::kSameStream, ForkProof::kEqualBatches};
  return kValues;
}

template <>
std::span<const DecisionKind> AllValues<DecisionKind>() {
  static constexpr std::array kValues = {
      DecisionKind::kRejoin,    DecisionKind::kFailover, DecisionKind::kSwitchover,
      DecisionKind::kBootstrap, DecisionKind::kAdopt,    DecisionKind::kRelease,
      DecisionKind::kPause,     DecisionKind::kResume,   DecisionKind::kMaintenance,
      DecisionKind::kUnblock,   DecisionKind::kReplay,   DecisionKind::kRefusal};
  return kValues;
}

template <>
std::span<const KeptAs> AllValues<KeptAs>() {
  static constexpr std::array kValues = {KeptAs::kValue, KeptAs::kAbsent, KeptAs::kNotKept};
  return kValues;
}

template <>
std::span<const ReplayResult> AllValues<ReplayResult>() {
  static constexpr std::array kValues = {
      ReplayResult::kWritten,       ReplayResult::kDeleted, ReplayResult::kEqual,
      ReplayResult::kChanged,       ReplayResult::kExpired, ReplayResult::kAbsent,
      ReplayResult::kNotReplayable, ReplayResult::kFailed,  ReplayResult::kUnknown};
  return kValues;
}

}  // namespace walstitch
