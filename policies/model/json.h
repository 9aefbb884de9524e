// The shared words as JSON, for the API, the decision log and `--output json`. Field names are the
// struct's, sequences are numbers, raw bytes are printable text (bytes.h; many of them base64), enums are
// their stable strings, absent optionals are left out. Reading refuses unknown enum strings, missing required
// fields and wrong types, naming the field; unknown fields are ignored (a newer peer may send them).
#pragma once

#include <boost/json/fwd.hpp>
#include <string>
#include <string_view>

#include "policies/model/decision.h"
#include "policies/model/report.h"
#include "policies/model/result.h"
#include "policies/model/salvage.h"

namespace walstitch {

boost::json::value ToJson(const Endpoint& value);
boost::json::value ToJson(const Report& value);
boost::json::value ToJson(const Command& value);
boost::json::value ToJson(const Action& value);  // {"action": "pad", ...fields}
boost::json::value ToJson(const CommandResult& value);
boost::json::value ToJson(const BatchInfo& value);  // digest as hex
boost::json::value ToJson(const WalExtent& value);
boost::json::value ToJson(const Touched& value);
boost::json::value ToJson(const RangeDigests& value);  // digests as hex
boost::json::value ToJson(const MarkedBatches& value);
boost::json::value ToJson(const RangeBytes& value);  // as base64
boost::json::value ToJson(const TailBatches& value);
boost::json::value ToJson(const LeaseTerms& value);
boost::json::value ToJson(const LeaseGrant& value);
boost::json::value ToJson(const PromiseRequest& value);
boost::json::value ToJson(const PromiseAnswer& value);
boost::json::value ToJson(const UndoEvidence& value);
boost::json::value ToJson(const UndoQuestion& value);
boost::json::value ToJson(const WrittenQuestion& value);
boost::json::value ToJson(const WrittenAnswer& value);
boost::json::value ToJson(const KeysQuestion& value);
boost::json::value ToJson(const ValuesAnswer& value);
boost::json::value ToJson(const RepairableAnswer& value);
boost::json::value ToJson(const Evidence& value);
boost::json::value ToJson(const VerdictDecision& value);
boost::json::value ToJson(const Decision& value);
boost::json::value ToJson(const StepRecord& value);
boost::json::value ToJson(const OutcomeRecord& value);
boost::json::value ToJson(const DecisionRecord& value);
boost::json::value ToJson(const SalvageManifest& value);
boost::json::value ToJson(const SalvageList& value);
boost::json::value ToJson(const SalvagedKeys& value);
boost::json::value ToJson(const ReplayRequest& value);
boost::json::value ToJson(const ReplayedKey& value);
boost::json::value ToJson(const ReplayAnswer& value);

Result<Endpoint> EndpointFromJson(const boost::json::value& json);
Result<Action> ActionFromJson(const boost::json::value& json);
Result<Report> ReportFromJson(const boost::json::value& json);
Result<Command> CommandFromJson(const boost::json::value& json);
Result<CommandResult> CommandResultFromJson(const boost::json::value& json);
Result<BatchInfo> BatchInfoFromJson(const boost::json::value& json);
Result<WalExtent> WalExtentFromJson(const boost::json::value& json);
Result<Touched> TouchedFromJson(const boost::json::value& json);
Result<RangeDigests> RangeDigestsFromJson(const boost::json::value& json);
Result<MarkedBatches> MarkedBatchesFromJson(const boost::json::value& json);
Result<RangeBytes> RangeBytesFromJson(const boost::json::value& json);
Result<TailBatches> TailBatchesFromJson(const boost::json::value& json);
Result<LeaseTerms> LeaseTermsFromJson(const boost::json::value& json);
Result<LeaseGrant> LeaseGrantFromJson(const boost::json::value& json);
Result<PromiseRequest> PromiseRequestFromJson(const boost::json::value& json);
Result<PromiseAnswer> PromiseAnswerFromJson(const boost::json::value& json);
Result<UndoEvidence> UndoEvidenceFromJson(const boost::json::value& json);
Result<UndoQuestion> UndoQuestionFromJson(const boost::json::value& json);
Result<WrittenQuestion> WrittenQuestionFromJson(const boost::json::value& json);
Result<WrittenAnswer> WrittenAnswerFromJson(const boost::json::value& json);
Result<KeysQuestion> KeysQuestionFromJson(const boost::json::value& json);
Result<ValuesAnswer> ValuesAnswerFromJson(const boost::json::value& json);
Result<RepairableAnswer> RepairableAnswerFromJson(const boost::json::value& json);
Result<Evidence> EvidenceFromJson(const boost::json::value& json);
Result<VerdictDecision> VerdictDecisionFromJson(const boost::json::value& json);
Result<Decision> DecisionFromJson(const boost::json::value& json);
Result<StepRecord> StepRecordFromJson(const boost::json::value& json);
Result<OutcomeRecord> OutcomeRecordFromJson(const boost::json::value& json);
Result<DecisionRecord> DecisionRecordFromJson(const boost::json::value& json);
Result<SalvageManifest> SalvageManifestFromJson(const boost::json::value& json);
Result<SalvageList> SalvageListFromJson(const boost::json::value& json);
Result<SalvagedKeys> SalvagedKeysFromJson(const boost::json::value& json);
Result<ReplayRequest> ReplayRequestFromJson(const boost::json::value& json);
Result<ReplayedKey> ReplayedKeyFromJson(const boost::json::value& json);
Result<ReplayAnswer> ReplayAnswerFromJson(const boost::json::value& json);

// Parses bounded text (nesting at most 32 deep): one sentence with line and column on bad input.
Result<boost::json::value> ParseJson(std::string_view text);
// Valid UTF-8 without control characters but tab and line ends: bytes that JSON and people take as text.
bool IsText(std::string_view bytes);

std::string Dump(const boost::json::value& json);        // compact, one line
std::string DumpPretty(const boost::json::value& json);  // two-space indent, for people

}  // namespace walstitch
