// The schema of a shared word as its codec writes and reads it (policies/model/json_fields.h), without any
// description: what a schema that is written by hand is compared with.
#pragma once

#include <boost/json.hpp>
#include <string>
#include <string_view>
#include <type_traits>

#include "policies/model/json_codec.h"
#include "policies/model/json_fields.h"
#include "policies/model/names.h"

// Every word that has a schema of its own. One that is missing here does not compile where it is needed.
// clang-format off
#define WALSTITCH_WORDS(X) \
  X(Endpoint) X(SequenceRange) X(BatchInfo) X(PartDigest) X(RangeDigests) X(MarkedBatches) \
  X(RangeBytes) X(TailBatches) X(WalExtent) X(TouchedKey) X(Touched) X(RelayReport) X(SyncCounters) \
  X(DiskReport) X(Report) X(LeaseTerms) X(GroupMember) X(LeaseGrant) X(PromiseRequest) \
  X(PromiseAnswer) X(ParkAction) X(PromoteAction) X(PadAction) X(FollowAction) X(RescueAction) \
  X(SalvageAction) X(SalvageRef) X(FullSyncAction) X(AdoptMasterAction) X(ReleaseAction) \
  X(AdvanceAction) X(SpliceAction) X(UserKeyName) X(KeyProblem) X(KeysQuestion) X(ValueState) \
  X(ValuesAnswer) X(UnrepairableKey) X(RepairableAnswer) X(Comparison) X(RepairReport) X(RepairAction) \
  X(OfferPaddingAction) X(CompareAction) X(Command) X(CommandResult) X(UndoEvidence) X(UndoQuestion) \
  X(RawKey) X(WrittenQuestion) X(WrittenAnswer) X(SideEvidence) X(BorrowEvidence) \
  X(EndangeredEvidence) X(Evidence) X(Reason) X(KeyspaceFinding) X(Alternative) X(VerdictDecision) \
  X(PlanStep) X(Decision) X(StepRecord) X(KeysMended) X(OutcomeRecord) X(DecisionRecord) \
  X(SalvageFile) X(SalvageManifest) X(DamagedSalvage) X(SalvageList) X(SalvagedKey) X(SalvagedKeys) \
  X(ReplayRequest) X(ReplayedKey) X(ReplayAnswer)
// clang-format on

namespace walstitch::docs {

template <typename T>
struct WordName;
#define WALSTITCH_WORD_NAME(word)                    \
  template <>                                        \
  struct WordName<word> {                            \
    static constexpr std::string_view kName = #word; \
  };
WALSTITCH_WORDS(WALSTITCH_WORD_NAME)
#undef WALSTITCH_WORD_NAME

inline boost::json::value Reference(std::string_view name) {
  return {{"$ref", "#/components/schemas/" + std::string(name)}};
}

// How a field of this type is written.
template <typename T>
boost::json::value FieldShape() {
  if constexpr (codec::kIsOptional<T>) {
    return FieldShape<typename T::value_type>();
  } else if constexpr (std::is_same_v<T, bool>) {
    return {{"type", "boolean"}};
  } else if constexpr (std::is_enum_v<T>) {
    boost::json::array names;
    for (const T value : AllValues<T>()) names.push_back(boost::json::value(ToString(value)));
    return {{"type", "string"}, {"enum", std::move(names)}};
  } else if constexpr (std::unsigned_integral<T> || std::is_same_v<T, Sequence>) {
    return {{"type", "integer"}, {"minimum", 0}};
  } else if constexpr (std::signed_integral<T>) {
    return {{"type", "integer"}};
  } else if constexpr (std::is_same_v<T, std::string>) {
    return {{"type", "string"}};
  } else if constexpr (std::is_same_v<T, BatchDigest> || std::is_same_v<T, codec::DigestBytes>) {
    return {{"type", "string"}, {"pattern", "^[0-9a-f]{32}$"}};
  } else if constexpr (std::is_same_v<T, Action>) {
    return Reference("Action");
  } else if constexpr (codec::kIsVector<T>) {
    return {{"type", "array"}, {"items", FieldShape<typename T::value_type>()}};
  } else {
    return Reference(WordName<T>::kName);
  }
}

// Takes the place of a writer in a list of fields.
struct Describer {
  boost::json::object properties;
  boost::json::array required;

  template <typename T>
  void operator()(std::string_view name, T&) {
    properties[name] = FieldShape<std::remove_const_t<T>>();
    if (!codec::kIsOptional<std::remove_const_t<T>>) required.push_back(boost::json::value(name));
  }
  template <typename T>
  void Defaulted(std::string_view name, T&) {
    properties[name] = FieldShape<std::remove_const_t<T>>();
  }
  void Raw(std::string_view name, std::string& bytes) { (*this)(name, bytes); }
  void Base64(std::string_view name, std::string& bytes) { (*this)(name, bytes); }
};

template <typename T>
boost::json::value WordShape() {
  Describer describer;
  if constexpr (std::is_constructible_v<Action, T>) {
    describer.properties["action"] = {{"const", ActionName(Action(T{}))}};
    describer.required.push_back("action");
  }
  T word{};
  Fields(describer, word);
  boost::json::object shape{{"type", "object"}};
  if (!describer.required.empty()) shape["required"] = std::move(describer.required);
  shape["properties"] = std::move(describer.properties);
  return shape;
}

}  // namespace walstitch::docs
