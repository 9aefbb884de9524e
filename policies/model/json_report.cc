// What agent and controller say to each other: reports, commands, results, WAL contents.
#include "policies/model/json.h"
#include "policies/model/json_codec.h"
#include "policies/model/json_fields.h"

namespace walstitch {
namespace codec {

boost::json::value WriteAction(const Action& action) {
  Writer writer;
  writer.out["action"] = ActionName(action);
  std::visit([&writer](const auto& one) { Fields(writer, one); }, action);
  return std::move(writer.out);
}

namespace {

// Tries the alternatives one by one; an action's name is stated once, in ActionName.
template <std::size_t I = 0>
bool MakeAction(std::string_view name, Action& out) {
  if constexpr (I < std::variant_size_v<Action>) {
    out.emplace<I>();
    return ActionName(out) == name || MakeAction<I + 1>(name, out);
  } else {
    return false;
  }
}

template <std::size_t I = 0>
std::string ActionNames() {
  if constexpr (I < std::variant_size_v<Action>) {
    std::string rest = ActionNames<I + 1>();
    std::string name(ActionName(Action(std::in_place_index<I>)));
    return rest.empty() ? name : name + ", " + rest;
  } else {
    return {};
  }
}

}  // namespace

void ReadAction(const boost::json::value& json, const Path& path, Action& out, Failure& failure) {
  if (!json.is_object()) return failure.Expected(path, "an object", json);
  Reader reader{json.get_object(), path, failure};
  std::string name;
  reader("action", name);
  if (failure.error) return;
  if (!MakeAction(name, out)) {
    return failure.At(Path{&path, "action", {}}, "\"" + ToPrintable(std::string_view(name).substr(0, 64)) +
                                                     "\" is not known; expected one of " + ActionNames());
  }
  std::visit([&reader](auto& one) { Fields(reader, one); }, out);
}

void ReadDigest(const boost::json::value& json, const Path& path, DigestBytes& out, Failure& failure) {
  std::string text;
  Read(json, path, text, failure);
  if (failure.error) return;
  auto bytes = FromHex(text);
  if (!bytes || bytes->size() != out.size()) {
    return failure.At(path, "expected " + std::to_string(out.size() * 2) + " hexadecimal digits");
  }
  std::copy(bytes->begin(), bytes->end(), out.begin());
}

}  // namespace codec

boost::json::value ToJson(const Endpoint& value) { return codec::Write(value); }
boost::json::value ToJson(const Report& value) { return codec::Write(value); }
boost::json::value ToJson(const Command& value) { return codec::Write(value); }
boost::json::value ToJson(const Action& value) { return codec::Write(value); }
boost::json::value ToJson(const CommandResult& value) { return codec::Write(value); }
boost::json::value ToJson(const BatchInfo& value) { return codec::Write(value); }
boost::json::value ToJson(const WalExtent& value) { return codec::Write(value); }
boost::json::value ToJson(const Touched& value) { return codec::Write(value); }
boost::json::value ToJson(const RangeDigests& value) { return codec::Write(value); }
boost::json::value ToJson(const MarkedBatches& value) { return codec::Write(value); }
boost::json::value ToJson(const RangeBytes& value) { return codec::Write(value); }
boost::json::value ToJson(const TailBatches& value) { return codec::Write(value); }
boost::json::value ToJson(const LeaseTerms& value) { return codec::Write(value); }
boost::json::value ToJson(const LeaseGrant& value) { return codec::Write(value); }
boost::json::value ToJson(const PromiseRequest& value) { return codec::Write(value); }
boost::json::value ToJson(const PromiseAnswer& value) { return codec::Write(value); }
boost::json::value ToJson(const UndoEvidence& value) { return codec::Write(value); }
boost::json::value ToJson(const UndoQuestion& value) { return codec::Write(value); }
boost::json::value ToJson(const WrittenQuestion& value) { return codec::Write(value); }
boost::json::value ToJson(const WrittenAnswer& value) { return codec::Write(value); }
boost::json::value ToJson(const KeysQuestion& value) { return codec::Write(value); }
boost::json::value ToJson(const ValuesAnswer& value) { return codec::Write(value); }
boost::json::value ToJson(const RepairableAnswer& value) { return codec::Write(value); }

Result<Endpoint> EndpointFromJson(const boost::json::value& json) {
  return codec::ReadRoot<Endpoint>(json, "endpoint");
}
Result<Action> ActionFromJson(const boost::json::value& json) {
  return codec::ReadRoot<Action>(json, "action");
}
Result<Report> ReportFromJson(const boost::json::value& json) {
  return codec::ReadRoot<Report>(json, "report");
}
Result<Command> CommandFromJson(const boost::json::value& json) {
  return codec::ReadRoot<Command>(json, "command");
}
Result<CommandResult> CommandResultFromJson(const boost::json::value& json) {
  return codec::ReadRoot<CommandResult>(json, "result");
}
Result<BatchInfo> BatchInfoFromJson(const boost::json::value& json) {
  return codec::ReadRoot<BatchInfo>(json, "batch");
}
Result<WalExtent> WalExtentFromJson(const boost::json::value& json) {
  return codec::ReadRoot<WalExtent>(json, "extent");
}
Result<Touched> TouchedFromJson(const boost::json::value& json) {
  return codec::ReadRoot<Touched>(json, "touched");
}
Result<RangeDigests> RangeDigestsFromJson(const boost::json::value& json) {
  return codec::ReadRoot<RangeDigests>(json, "digests");
}
Result<MarkedBatches> MarkedBatchesFromJson(const boost::json::value& json) {
  return codec::ReadRoot<MarkedBatches>(json, "marked");
}
Result<TailBatches> TailBatchesFromJson(const boost::json::value& json) {
  return codec::ReadRoot<TailBatches>(json, "batches");
}
Result<RangeBytes> RangeBytesFromJson(const boost::json::value& json) {
  return codec::ReadRoot<RangeBytes>(json, "bytes");
}

Result<UndoEvidence> UndoEvidenceFromJson(const boost::json::value& json) {
  return codec::ReadRoot<UndoEvidence>(json, "undo");
}
Result<UndoQuestion> UndoQuestionFromJson(const boost::json::value& json) {
  return codec::ReadRoot<UndoQuestion>(json, "question");
}
Result<WrittenQuestion> WrittenQuestionFromJson(const boost::json::value& json) {
  return codec::ReadRoot<WrittenQuestion>(json, "question");
}
Result<WrittenAnswer> WrittenAnswerFromJson(const boost::json::value& json) {
  return codec::ReadRoot<WrittenAnswer>(json, "written");
}

Result<LeaseTerms> LeaseTermsFromJson(const boost::json::value& json) {
  return codec::ReadRoot<LeaseTerms>(json, "terms");
}
Result<LeaseGrant> LeaseGrantFromJson(const boost::json::value& json) {
  return codec::ReadRoot<LeaseGrant>(json, "lease");
}
Result<PromiseRequest> PromiseRequestFromJson(const boost::json::value& json) {
  return codec::ReadRoot<PromiseRequest>(json, "promise");
}
Result<PromiseAnswer> PromiseAnswerFromJson(const boost::json::value& json) {
  return codec::ReadRoot<PromiseAnswer>(json, "answer");
}

Result<KeysQuestion> KeysQuestionFromJson(const boost::json::value& json) {
  return codec::ReadRoot<KeysQuestion>(json, "question");
}
Result<ValuesAnswer> ValuesAnswerFromJson(const boost::json::value& json) {
  return codec::ReadRoot<ValuesAnswer>(json, "answer");
}
Result<RepairableAnswer> RepairableAnswerFromJson(const boost::json::value& json) {
  return codec::ReadRoot<RepairableAnswer>(json, "answer");
}

}  // namespace walstitch
