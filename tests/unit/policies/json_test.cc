#include "policies/model/json.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <boost/json.hpp>

#include "policies/model/names.h"

namespace walstitch {
namespace {

// --- any value of every word -------------------------------------------------------------------------

std::string AnyText() { return *rc::gen::arbitrary<std::string>(); }
std::uint64_t AnyNumber() { return *rc::gen::arbitrary<std::uint64_t>(); }
std::int64_t AnySigned() { return *rc::gen::arbitrary<std::int64_t>(); }
bool AnyBool() { return *rc::gen::arbitrary<bool>(); }
Sequence AnySequence() { return Sequence(AnyNumber()); }

template <typename Enum>
Enum AnyOf() {
  auto values = AllValues<Enum>();
  return values[*rc::gen::inRange<std::size_t>(0, values.size())];
}

template <typename Make>
auto Maybe(Make make) -> std::optional<decltype(make())> {
  if (!AnyBool()) return std::nullopt;
  return make();
}

template <typename Make>
auto Several(Make make) -> std::vector<decltype(make())> {
  std::vector<decltype(make())> all;
  for (int i = *rc::gen::inRange(0, 4); i > 0; --i) all.push_back(make());
  return all;
}

Endpoint AnyEndpoint() { return {AnyText(), *rc::gen::arbitrary<std::uint16_t>()}; }
SyncCounters AnyCounters() { return {AnyNumber(), AnyNumber(), AnyNumber()}; }

RelayReport AnyRelay() {
  return {AnyOf<RelayState>(), AnyBool(),        Maybe(AnySequence), Maybe(AnyEndpoint),
          AnyBool(),           Maybe(AnySigned), AnyNumber(),        AnyNumber(),
          AnyNumber(),         AnyNumber(),      AnyText()};
}

DiskReport AnyDisk() { return {AnyNumber(), AnyNumber(), AnyBool()}; }

GroupMember AnyMember() { return {AnyText(), AnyText()}; }

LeaseGrant AnyLease() {
  return {AnyText(),         AnyText(),   AnyNumber(),
          AnyText(),         AnySigned(), {AnySigned(), AnySigned(), AnySigned()},
          Several(AnyMember)};
}

Report AnyReport() {
  Report report;
  report.node = AnyText();
  report.group = AnyText();
  report.time_ms = AnySigned();
  report.number = AnyNumber();
  report.epoch = AnyNumber();
  report.endpoint = AnyEndpoint();
  report.process = AnyOf<ProcessState>();
  report.role = AnyOf<Role>();
  report.master = Maybe(AnyEndpoint);
  report.upstream_is_relay = AnyBool();
  report.link_up = AnyBool();
  report.connected_replicas = AnyNumber();
  report.last = Maybe(AnySequence);
  report.loading = AnyBool();
  report.full_sync = AnyOf<FullSyncState>();
  report.relay = AnyRelay();
  report.counters = Maybe(AnyCounters);
  report.version = AnyText();
  report.replication_id_psync = AnyBool();
  report.cluster_enabled = AnyBool();
  report.wal_readable = AnyBool();
  report.boot_id = AnyText();
  report.boot_ms = AnySigned();
  report.relay_endpoint = AnyEndpoint();
  report.lease_left_ms = Maybe(AnySigned);
  report.promised_left_ms = Maybe(AnySigned);
  report.leased = AnyBool();
  report.disk = Maybe(AnyDisk);
  report.data_bytes = Maybe(AnyNumber);
  report.empties_before_full_sync = Maybe(AnyBool);
  report.writes_refused = AnyText();
  report.error = AnyText();
  return report;
}

BatchInfo AnyBatch() {
  BatchInfo batch{AnySequence(), *rc::gen::arbitrary<std::uint32_t>(), AnyNumber(), {}, AnyText()};
  for (auto& byte : batch.digest.bytes) byte = *rc::gen::arbitrary<std::uint8_t>();
  return batch;
}

UserKeyName AnyName() { return {AnyText(), AnyText()}; }

Action AnyAction() {
  switch (*rc::gen::inRange(0, 14)) {
    case 0:
      return ParkAction{};
    case 1:
      return PromoteAction{Maybe(AnySequence), Maybe(AnyLease), AnyBool(), AnyText()};
    case 2:
      return PadAction{AnySequence(), AnySequence(), AnyText(), AnyText()};
    case 3:
      return FollowAction{AnyEndpoint(), Maybe(AnySequence), Maybe(AnyBatch)};
    case 4:
      return FullSyncAction{AnyEndpoint(), AnyNumber()};
    case 5:
      return SalvageAction{{AnySequence(), AnySequence()}, AnySequence(), AnyText(), AnyText(), AnyBool()};
    case 6:
      return AdoptMasterAction{Maybe(AnyLease)};
    case 7:
      return AdvanceAction{AnySequence(), AnyNumber(), AnyText()};
    case 8:
      return SpliceAction{AnyEndpoint(), AnySequence(),   AnySequence(), AnyNumber(),
                          AnyText(),     Maybe(AnyBatch), AnyText(),     AnyNumber()};
    case 9:
      return RescueAction{AnyText(), AnyText(), AnySequence(), AnyNumber(), AnyBool(), Maybe(AnyBatch)};
    case 10:
      return RepairAction{AnyText(), AnyText(), Several(AnyName), Several(AnyName), AnyNumber()};
    case 11:
      return CompareAction{AnyText(), AnyText(), Several(AnyName), AnyBool(), AnyBool()};
    case 12:
      return OfferPaddingAction{AnyBool()};
    default:
      return ReleaseAction{Maybe(AnyEndpoint)};
  }
}

Command AnyCommand() { return {AnyText(), AnyNumber(), AnyText(), AnyText(), AnyAction(), AnySigned()}; }

SalvageRef AnySalvage() {
  return {AnyText(),   AnyText(),   AnyText(),   {AnySequence(), AnySequence()},
          AnyNumber(), AnyNumber(), AnyNumber(), AnyText()};
}

KeyProblem AnyProblem() { return {AnyName(), AnyText()}; }
std::vector<KeyProblem> AnyProblems() { return Several(AnyProblem); }
Comparison AnyComparison() {
  return {AnyNumber(),         AnyNumber(), Several(AnyName), AnyNumber(),
          Several(AnyProblem), AnyNumber(), Several(AnyName)};
}
RepairReport AnyRepair() { return {AnyNumber(), AnyNumber(), AnyNumber(), Several(AnyProblem)}; }

CommandResult AnyResult() {
  return {AnyText(),   AnyOf<Outcome>(),  AnyText(),        Maybe(AnySequence),  Maybe(AnySequence),
          AnySigned(), Maybe(AnySalvage), Maybe(AnyRepair), Maybe(AnyComparison)};
}

PartDigest AnyPart() {
  PartDigest part{AnyNumber(), AnySequence(), AnySequence(), {}};
  for (auto& byte : part.digest) byte = *rc::gen::arbitrary<std::uint8_t>();
  return part;
}
RangeDigests AnyDigests() { return {Several(AnyPart)}; }
MarkedBatches AnyMarked() { return {Several(AnyBatch), AnySequence()}; }
RangeBytes AnyBytes() { return {AnyText()}; }

WalExtent AnyExtent() {
  return {Maybe(AnySequence), Maybe(AnySequence), AnyNumber(), AnyNumber(), AnyText()};
}

TouchedKey AnyKey() { return {AnyText(), AnyText(), AnyText(), Several(AnyText), AnyNumber(), AnyNumber()}; }

Touched AnyTouched() {
  return {{AnySequence(), AnySequence()}, AnyNumber(), AnyNumber(), AnyNumber(), AnyBool(), Several(AnyKey)};
}

SideEvidence AnySide() {
  return {AnyText(), Maybe(AnySequence), Maybe(AnySequence), AnyText(),
          AnyText(), AnyBool(),          AnyBool(),          AnyBool()};
}

BorrowEvidence AnyBorrow() {
  return {AnyText(), AnyText(), {AnySequence(), AnySequence()}, AnyNumber(), AnyBatch()};
}

EndangeredEvidence AnyEndangered() { return {AnySigned(), AnyBool()}; }

UndoEvidence AnyUndo() {
  return {AnyText(), AnyNumber(), AnyNumber(), AnyTouched(), AnyText(), Several(AnyName)};
}

Evidence AnyEvidence() {
  return {AnySide(),       AnySide(),          Maybe(AnySequence),  AnyOf<ForkProof>(), AnyBool(),
          AnyText(),       Maybe(AnySequence), Maybe(AnyBatch),     Maybe(AnyTouched),  Maybe(AnyTouched),
          AnyText(),       Several(AnyText),   AnyBool(),           Maybe(AnySequence), Maybe(AnySequence),
          Maybe(AnyBatch), Maybe(AnySequence), Maybe(AnyTouched),   Maybe(AnyUndo),     AnyText(),
          AnyNumber(),     AnyText(),          Maybe(AnyProblems),  AnyText(),          Maybe(AnyBorrow),
          AnyText(),       AnyBool(),          Maybe(AnyEndangered)};
}

Reason AnyReason() { return {AnyText(), AnyText()}; }

KeyspaceFinding AnyFinding() {
  return {AnyText(),   AnyText(),   AnyOf<Tolerance>(), AnyNumber(),
          AnyNumber(), AnyNumber(), AnyNumber(),        Several(AnyText)};
}

Alternative AnyAlternative() { return {AnyOf<Verdict>(), AnyBool(), AnyText()}; }

VerdictDecision AnyVerdict() {
  return {AnyOf<Verdict>(), Several(AnyReason), Several(AnyFinding), Several(AnyAlternative)};
}

PlanStep AnyPlanStep() { return {AnyText(), AnyAction(), AnyText()}; }

Decision AnyDecision() {
  Decision decision;
  decision.id = AnyText();
  decision.time_ms = AnySigned();
  decision.group = AnyText();
  decision.epoch = AnyNumber();
  decision.kind = AnyOf<DecisionKind>();
  decision.node = AnyText();
  decision.survivor = AnyText();
  decision.finding = AnyText();
  decision.evidence = Maybe(AnyEvidence);
  decision.policy_name = AnyText();
  decision.policy_hash = AnyText();
  decision.verdict = Maybe(AnyVerdict);
  decision.reasons = Several(AnyReason);
  decision.plan = Several(AnyPlanStep);
  return decision;
}

StepRecord AnyStep() {
  return {AnyText(), AnyText(), AnyText(), AnySigned(), AnySigned(), AnyOf<Outcome>(), AnyText()};
}

OutcomeRecord AnyOutcome() {
  return {AnyOf<Outcome>(), AnyText(),   AnySigned(),      Maybe(AnyCounters), Maybe(AnyCounters),
          AnyNumber(),      AnySigned(), Maybe(AnySigned), Maybe(AnySalvage)};
}

DecisionRecord AnyRecord() { return {AnyDecision(), Several(AnyStep), Maybe(AnyOutcome)}; }

SalvageManifest AnyManifest() {
  SalvageManifest manifest;
  manifest.id = AnyText();
  manifest.group = AnyText();
  manifest.node = AnyText();
  manifest.survivor = AnyText();
  manifest.range = {AnySequence(), AnySequence()};
  manifest.fork = AnySequence();
  manifest.time_ms = AnySigned();
  manifest.records = AnyNumber();
  manifest.keys = AnyNumber();
  manifest.lacks = AnyText();
  manifest.files = Several(+[] { return SalvageFile{AnyText(), AnyNumber(), AnyText()}; });
  return manifest;
}

SalvagedKey AnySalvagedKey() {
  return {AnyText(), AnyText(),        AnyText(),   AnyOf<KeptAs>(),
          AnyText(), Maybe(AnySigned), AnyNumber(), AnyNumber()};
}
SalvagedKeys AnySalvagedKeys() { return {Several(AnySalvagedKey), Maybe(AnyNumber)}; }

ReplayRequest AnyReplay() {
  return {AnyNumber(), AnyText(),          AnyText(), AnyText(), AnyText(),
          AnyText(),   Several(AnyNumber), AnyBool(), AnyBool(), AnyBool()};
}
ReplayedKey AnyReplayedKey() { return {AnyText(), AnyText(), AnyText(), AnyOf<ReplayResult>(), AnyText()}; }
ReplayAnswer AnyReplayAnswer() { return {Several(AnyReplayedKey)}; }

// Through text, as it goes over the wire, and back; and the same again from pretty text.
template <typename T>
void ComesBack(const T& value, Result<T> (*from_json)(const boost::json::value&)) {
  const std::string text = Dump(ToJson(value));
  RC_ASSERT(text.find('\n') == std::string::npos);
  for (const std::string& form : {text, DumpPretty(ToJson(value))}) {
    auto parsed = ParseJson(form);
    RC_ASSERT(parsed.has_value());
    auto back = from_json(*parsed);
    if (!back) RC_FAIL(back.error().Message());
    RC_ASSERT(Dump(ToJson(*back)) == text);
  }
}

RC_GTEST_PROP(JsonRoundTrip, Endpoint, ()) { ComesBack(AnyEndpoint(), EndpointFromJson); }
RC_GTEST_PROP(JsonRoundTrip, Report, ()) { ComesBack(AnyReport(), ReportFromJson); }
RC_GTEST_PROP(JsonRoundTrip, Action, ()) { ComesBack(AnyAction(), ActionFromJson); }
RC_GTEST_PROP(JsonRoundTrip, Command, ()) { ComesBack(AnyCommand(), CommandFromJson); }
RC_GTEST_PROP(JsonRoundTrip, Result, ()) { ComesBack(AnyResult(), CommandResultFromJson); }
RC_GTEST_PROP(JsonRoundTrip, Batch, ()) { ComesBack(AnyBatch(), BatchInfoFromJson); }
RC_GTEST_PROP(JsonRoundTrip, Extent, ()) { ComesBack(AnyExtent(), WalExtentFromJson); }
RC_GTEST_PROP(JsonRoundTrip, Touched, ()) { ComesBack(AnyTouched(), TouchedFromJson); }
RC_GTEST_PROP(JsonRoundTrip, Digests, ()) { ComesBack(AnyDigests(), RangeDigestsFromJson); }
RC_GTEST_PROP(JsonRoundTrip, Marked, ()) { ComesBack(AnyMarked(), MarkedBatchesFromJson); }
RC_GTEST_PROP(JsonRoundTrip, RangeBytes, ()) { ComesBack(AnyBytes(), RangeBytesFromJson); }
RC_GTEST_PROP(JsonRoundTrip, Manifest, ()) { ComesBack(AnyManifest(), SalvageManifestFromJson); }
RC_GTEST_PROP(JsonRoundTrip, SalvagedKeys, ()) { ComesBack(AnySalvagedKeys(), SalvagedKeysFromJson); }
RC_GTEST_PROP(JsonRoundTrip, Replay, ()) { ComesBack(AnyReplay(), ReplayRequestFromJson); }
RC_GTEST_PROP(JsonRoundTrip, ReplayAnswer, ()) { ComesBack(AnyReplayAnswer(), ReplayAnswerFromJson); }
RC_GTEST_PROP(JsonRoundTrip, Evidence, ()) { ComesBack(AnyEvidence(), EvidenceFromJson); }
RC_GTEST_PROP(JsonRoundTrip, Verdict, ()) { ComesBack(AnyVerdict(), VerdictDecisionFromJson); }
RC_GTEST_PROP(JsonRoundTrip, Decision, ()) { ComesBack(AnyDecision(), DecisionFromJson); }
RC_GTEST_PROP(JsonRoundTrip, Step, ()) { ComesBack(AnyStep(), StepRecordFromJson); }
RC_GTEST_PROP(JsonRoundTrip, Outcome, ()) { ComesBack(AnyOutcome(), OutcomeRecordFromJson); }
RC_GTEST_PROP(JsonRoundTrip, Record, ()) { ComesBack(AnyRecord(), DecisionRecordFromJson); }

RC_GTEST_PROP(JsonRoundTrip, BatchesAndKeysComeBackByteForByte, ()) {
  BatchInfo batch = AnyBatch();
  batch.marker = "01J";
  RC_ASSERT(*BatchInfoFromJson(ToJson(batch)) == batch);
  const RangeDigests digests = AnyDigests();
  RC_ASSERT(*RangeDigestsFromJson(ToJson(digests)) == digests);
  const RangeBytes bytes = AnyBytes();
  RC_ASSERT(*RangeBytesFromJson(ToJson(bytes)) == bytes);
  Touched touched = AnyTouched();
  for (auto& key : touched.keys) {
    key.internal.clear();
    key.types = {"hash"};
  }
  RC_ASSERT(TouchedFromJson(ToJson(touched))->keys == touched.keys);
}

// --- reading what others wrote -----------------------------------------------------------------------

constexpr std::string_view kCommand =
    R"({"id":"c1","epoch":3,"group":"shop","node":"n1","action":{"action":"pad","expected_next":5,"target":9)"
    R"(,"decision":"d1"}})";

std::string CommandError(const std::string& text) {
  auto json = ParseJson(text);
  if (!json) return json.error().Message();
  auto command = CommandFromJson(*json);
  return command ? "accepted" : command.error().Message();
}

std::string Replaced(std::string_view text, std::string_view from, std::string_view to) {
  std::string out(text);
  return out.replace(out.find(from), from.size(), to);
}

TEST(JsonReading, ACommandIsRead) {
  auto command = CommandFromJson(*ParseJson(kCommand));
  ASSERT_TRUE(command) << command.error().Message();
  EXPECT_EQ(command->epoch, 3U);
  EXPECT_EQ(command->deadline_ms, 10000);
  const auto& pad = std::get<PadAction>(command->action);
  EXPECT_EQ(pad.expected_next, Sequence(5));
  EXPECT_EQ(pad.target, Sequence(9));
}

TEST(JsonReading, ErrorsNameTheField) {
  EXPECT_EQ(CommandError(Replaced(kCommand, "\"epoch\":3,", "")), "command.epoch: missing");
  EXPECT_EQ(CommandError(Replaced(kCommand, "\"epoch\":3", "\"epoch\":\"3\"")),
            "command.epoch: expected a whole number from 0 to 18446744073709551615, got a string");
  EXPECT_EQ(CommandError(Replaced(kCommand, "\"epoch\":3", "\"epoch\":-3")),
            "command.epoch: out of range; expected a whole number from 0 to 18446744073709551615");
  EXPECT_EQ(CommandError(Replaced(kCommand, "\"epoch\":3", "\"epoch\":3.5")),
            "command.epoch: expected a whole number from 0 to 18446744073709551615, got a fractional number");
  EXPECT_EQ(CommandError(Replaced(kCommand, "\"epoch\":3", "\"epoch\":null")),
            "command.epoch: expected a whole number from 0 to 18446744073709551615, got null");
  EXPECT_EQ(CommandError(Replaced(kCommand, "\"pad\"", "\"paddle\"")),
            "command.action.action: \"paddle\" is not known; expected one of park, promote, pad, follow, "
            "rescue, salvage, full_sync, "
            "adopt_master, release, advance, splice, repair, compare, offer_padding");
  EXPECT_EQ(CommandError(Replaced(kCommand, "\"target\":9", "\"target\":{}")),
            "command.action.target: expected a whole number from 0 to 18446744073709551615, got an object");
  EXPECT_EQ(CommandError("[]"), "command: expected an object, got an array");
}

TEST(JsonReading, ErrorsNameTheElement) {
  boost::json::value json = ToJson(VerdictDecision{Verdict::kFull, {{"a", "b"}, {"c", "d"}}, {}, {}});
  json.at("reasons").at(1).as_object()["code"] = 7;
  EXPECT_EQ(VerdictDecisionFromJson(json).error().Message(),
            "verdict.reasons[1].code: expected a string, got a number");
  json.at("verdict") = "fulll";
  EXPECT_EQ(VerdictDecisionFromJson(json).error().Message(),
            "verdict.verdict: \"fulll\" is not known; expected one of aligned, spliced, padded, full, hold");
}

TEST(JsonReading, PortsAndDigestsAreChecked) {
  EXPECT_EQ(EndpointFromJson(*ParseJson(R"({"host":"a","port":65536})")).error().Message(),
            "endpoint.port: out of range; expected a whole number from 0 to 65535");
  EXPECT_EQ(
      BatchInfoFromJson(*ParseJson(R"({"first":1,"count":1,"bytes":1,"digest":"00"})")).error().Message(),
      "batch.digest: expected 32 hexadecimal digits");
  EXPECT_EQ(
      TouchedFromJson(*ParseJson(R"({"range":{"from":1,"to":2},"records":1,"bytes":1,"range_deletes":0,)"
                                 R"("truncated":false,"keys":[{"name_space":"","key":"\\q","types":[],)"
                                 R"("records":1,"bytes":1}]})"))
          .error()
          .Message(),
      "touched.keys[0].key: printable text, character 1: a backslash that begins neither \\\\ nor \\xHH");
}

TEST(JsonReading, AnswersToAComparisonAreChecked) {
  EXPECT_EQ(RangeDigestsFromJson(*ParseJson("{}")).error().Message(), "digests.parts: missing");
  EXPECT_EQ(RangeDigestsFromJson(
                *ParseJson(R"({"parts":[{"batches":1,"first":1,"end":2,"digest":"0123456789abcdef"}]})"))
                .error()
                .Message(),
            "digests.parts[0].digest: expected 32 hexadecimal digits");
  EXPECT_EQ(RangeDigestsFromJson(*ParseJson(R"({"parts":[{"batches":-1}]})")).error().Message(),
            "digests.parts[0].batches: out of range; expected a whole number from 0 to 18446744073709551615");
  EXPECT_EQ(MarkedBatchesFromJson(*ParseJson(R"({"batches":[]})")).error().Message(),
            "marked.looked_to: missing");
  EXPECT_EQ(RangeBytesFromJson(*ParseJson(R"({"bytes":"Zm9"})")).error().Message(),
            "bytes.bytes: base64: 3 characters; expected a multiple of four");
  EXPECT_EQ(RangeBytesFromJson(*ParseJson(R"({"bytes":[1]})")).error().Message(),
            "bytes.bytes: expected a string, got an array");
}

TEST(JsonReading, WhatANewerPeerAddsIsIgnored) {
  EXPECT_EQ(CommandError(Replaced(kCommand, "\"epoch\":3", "\"epoch\":3,\"colour\":{\"deep\":[1]}")),
            "accepted");
}

TEST(JsonReading, AbsentIsAbsentAndNullIsToo) {
  EXPECT_EQ(Dump(ToJson(WalExtent{{}, Sequence(7), 0, 0, "files"})),
            R"({"last":7,"files":0,"bytes":0,"source":"files"})");
  auto extent = WalExtentFromJson(*ParseJson(R"({"oldest":null,"files":1,"bytes":2,"source":"files"})"));
  ASSERT_TRUE(extent);
  EXPECT_FALSE(extent->oldest);
  EXPECT_FALSE(extent->last);
}

TEST(JsonReading, TheGreatestSequenceIsANumber) {
  WalExtent extent{Sequence(UINT64_MAX), {}, 0, 0, ""};
  EXPECT_EQ(Dump(ToJson(extent)).substr(0, 31), R"({"oldest":18446744073709551615,)");
  EXPECT_EQ(WalExtentFromJson(ToJson(extent))->oldest, Sequence(UINT64_MAX));
}

TEST(JsonText, ErrorsHaveLineAndColumn) {
  EXPECT_EQ(ParseJson("{\"a\": 1,\n  b}").error().Message(), "JSON, line 2, column 3: syntax error");
  EXPECT_EQ(ParseJson("{\"a\": 1").error().Message(), "JSON, line 1, column 8: the text ends too early");
  EXPECT_EQ(ParseJson("").error().Message(), "JSON, line 1, column 1: the text ends too early");
  EXPECT_FALSE(ParseJson("{} {}"));
  EXPECT_FALSE(ParseJson("\"\xff\""));
  EXPECT_TRUE(ParseJson(" {} \n"));
}

TEST(JsonText, DepthIsBounded) {
  EXPECT_TRUE(ParseJson(std::string(32, '[') + std::string(32, ']')));
  auto deep = ParseJson(std::string(1000000, '['));
  ASSERT_FALSE(deep);
  EXPECT_NE(deep.error().Message().find("nested deeper than 32 levels"), std::string::npos)
      << deep.error().Message();
}

TEST(JsonText, PrettyIsForPeople) {
  auto json = ParseJson(R"({"a":[1,{"b":"c"}],"empty":{},"none":[]})");
  ASSERT_TRUE(json);
  EXPECT_EQ(
      DumpPretty(*json),
      "{\n  \"a\": [\n    1,\n    {\n      \"b\": \"c\"\n    }\n  ],\n  \"empty\": {},\n  \"none\": []\n}");
}

TEST(JsonText, BytesThatAreNoUtf8AreShownNotSent) {
  EXPECT_EQ(Dump(ToJson(Endpoint{"caf\xc3\xa9 \xff\xed\xa0\x80", 1})),
            "{\"host\":\"caf\xc3\xa9 \\\\xff\\\\xed\\\\xa0\\\\x80\",\"port\":1}");
}

RC_GTEST_PROP(JsonText, AnyBytesEndInAValueOrAnError, (const std::string& text)) { ParseJson(text); }

RC_GTEST_PROP(JsonText, OneChangedByteOfACommandNeverCrashesTheReader, (char byte)) {
  std::string text(kCommand);
  text[*rc::gen::inRange<std::size_t>(0, text.size())] = byte;
  auto json = ParseJson(text);
  if (json) CommandFromJson(*json);
}

}  // namespace
}  // namespace walstitch
