// What the controller decides and writes down.
#include "policies/model/json.h"
#include "policies/model/json_codec.h"
#include "policies/model/json_fields.h"

namespace walstitch {

boost::json::value ToJson(const Evidence& value) { return codec::Write(value); }
boost::json::value ToJson(const VerdictDecision& value) { return codec::Write(value); }
boost::json::value ToJson(const Decision& value) { return codec::Write(value); }
boost::json::value ToJson(const StepRecord& value) { return codec::Write(value); }
boost::json::value ToJson(const OutcomeRecord& value) { return codec::Write(value); }
boost::json::value ToJson(const DecisionRecord& value) { return codec::Write(value); }

Result<Evidence> EvidenceFromJson(const boost::json::value& json) {
  return codec::ReadRoot<Evidence>(json, "evidence");
}
Result<VerdictDecision> VerdictDecisionFromJson(const boost::json::value& json) {
  return codec::ReadRoot<VerdictDecision>(json, "verdict");
}
Result<Decision> DecisionFromJson(const boost::json::value& json) {
  return codec::ReadRoot<Decision>(json, "decision");
}
Result<StepRecord> StepRecordFromJson(const boost::json::value& json) {
  return codec::ReadRoot<StepRecord>(json, "step");
}
Result<OutcomeRecord> OutcomeRecordFromJson(const boost::json::value& json) {
  return codec::ReadRoot<OutcomeRecord>(json, "outcome");
}
Result<DecisionRecord> DecisionRecordFromJson(const boost::json::value& json) {
  return codec::ReadRoot<DecisionRecord>(json, "record");
}

}  // namespace walstitch
