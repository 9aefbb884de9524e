// Records as a controller would give them, for the golden texts and the commands.
#pragma once

#include <string>

#include "policies/model/decision.h"

namespace walstitch::cli {

inline TouchedKey SampleKey(std::string key, std::uint64_t records, std::uint64_t bytes) {
  TouchedKey touched;
  touched.name_space = "__namespace";
  touched.key = std::move(key);
  touched.types = {"hash"};
  touched.records = records;
  touched.bytes = bytes;
  return touched;
}

inline DecisionRecord SampleRejoin() {
  DecisionRecord record;
  Decision& decision = record.decision;
  decision.id = "01JD3ZAAAAAAAAAAAAAAAAAAAA";
  decision.time_ms = 1763780645678;
  decision.group = "shop";
  decision.epoch = 7;
  decision.kind = DecisionKind::kRejoin;
  decision.node = "n1";
  decision.survivor = "n2";
  decision.finding = "n1 came back parked at 1002 and is to follow n2";
  decision.policy_name = "shop";
  decision.policy_hash = "0123456789abcdef";

  Evidence evidence;
  evidence.rejoiner = {"n1", Sequence(1002), Sequence(12), "files", "2.11.0", false, false};
  evidence.survivor = {"n2", Sequence(1050), Sequence(1), "pollupdates", "2.11.0", false, false};
  evidence.fork = Sequence(1000);
  evidence.proof = ForkProof::kEqualBatches;
  evidence.fork_note = "both WALs hold the same batch ending at 1000";
  evidence.target = Sequence(1005);
  const std::string key(
      "sess:\0"
      "1",
      7);
  Touched tail;
  tail.range = {Sequence(1001), Sequence(1003)};
  tail.records = 2;
  tail.bytes = 80;
  tail.keys = {SampleKey(key, 1, 50)};
  TouchedKey pubsub;
  pubsub.internal = "pubsub";
  pubsub.records = 1;
  pubsub.bytes = 30;
  tail.keys.push_back(pubsub);
  evidence.tail = tail;
  Touched missed;
  missed.range = {Sequence(1001), Sequence(1005)};
  missed.records = 4;
  missed.bytes = 2048;
  missed.keys = {SampleKey(key, 4, 2048)};
  evidence.missed = missed;
  decision.evidence = evidence;

  VerdictDecision verdict;
  verdict.verdict = Verdict::kPadded;
  verdict.reasons = {{"policy_allows", "every keyspace touched may differ within its limits"}};
  verdict.keyspaces = {{"sessions", "shop.yaml:9:7", Tolerance::kRepair, 1, 4, 1, 2048, {}},
                       {"internal/pubsub", "default", Tolerance::kIgnore, 1, 0, 0, 30, {}}};
  verdict.alternatives = {{Verdict::kSpliced, false, "the survivor's WAL does not reach back to the fork"},
                          {Verdict::kFull, true, "64 MiB to copy"}};
  decision.verdict = verdict;
  PadAction pad;
  pad.expected_next = Sequence(1003);
  pad.target = Sequence(1005);
  pad.decision = decision.id;
  decision.plan = {{"n1", pad, "its next becomes a boundary of n2"},
                   {"n1", FollowAction{{"10.0.0.2", 6666}, Sequence(1005)}, "follow the master"}};
  record.steps = {{"n1", "pad", "c1", 1763780645680, 1763780645689, Outcome::kDone, ""},
                  {"n1", "follow", "c2", 1763780645690, 1763780645780, Outcome::kDone, ""}};
  OutcomeRecord outcome;
  outcome.outcome = Outcome::kDone;
  outcome.sentence = "n1 follows n2 from 1005";
  outcome.time_ms = 1763780645790;
  outcome.survivor_before = SyncCounters{1, 3, 0};
  outcome.survivor_after = SyncCounters{1, 4, 0};
  outcome.bytes_to_node = 4096;
  outcome.took_ms = 112;
  record.outcome = outcome;
  return record;
}

inline DecisionRecord SampleFailover() {
  DecisionRecord record;
  Decision& decision = record.decision;
  decision.id = "01JD40BBBBBBBBBBBBBBBBBBBB";
  decision.time_ms = 1763780645678;
  decision.group = "shop";
  decision.epoch = 8;
  decision.kind = DecisionKind::kFailover;
  decision.node = "n2";
  decision.survivor = "n1";
  decision.finding = "n1's process is down";
  decision.reasons = {{"most_advanced", "n2 is the most advanced eligible replica"}};
  decision.plan = {{"n2", PromoteAction{Sequence(1050)}, "it holds all that n1 had"}};
  record.steps = {{"n2", "promote", "c3", 1763780645683, 1763780645767, Outcome::kDone, ""}};
  OutcomeRecord outcome;
  outcome.outcome = Outcome::kDone;
  outcome.sentence = "n2 is master";
  outcome.took_ms = 340;
  outcome.without_master_ms = 1234;
  record.outcome = outcome;
  return record;
}

inline constexpr const char* kSampleStatus = R"({
  "group": "shop", "managed": "managed", "epoch": 7, "master": "n2",
  "policy": {"name": "shop", "hash": "0123456789abcdef", "error": "shop.yaml:3:5: expected a map"},
  "findings": [{"code": "NodeToRejoin", "node": "n1", "sentence": "n1 came back"},
               {"code": "NodesMissing", "node": "", "sentence": "n4 has never reported"}],
  "nodes": [
    {"node": "n1", "agent": "http://10.0.0.1:7701", "connected": true, "priority": 100, "condition": "parked",
     "sentence": "parked since it came back",
     "report": {"last": 1052, "version": "2.11.0", "relay": {"state": "parked"}}},
    {"node": "n2", "agent": "http://10.0.0.2:7701", "connected": true, "priority": 100, "condition": "master",
     "sentence": "master of epoch 7", "report": {"last": 1050, "version": "2.11.0", "relay": {"state": "idle"}}},
    {"node": "n3", "agent": "http://10.0.0.3:7701", "connected": true, "priority": 50, "condition": "following",
     "sentence": "", "report": {"last": 1048, "version": "2.11.0", "relay": {"state": "following"}}},
    {"node": "n4", "agent": "http://10.0.0.4:7701", "connected": false, "priority": 0, "condition": "unreachable",
     "sentence": "its agent has never answered"}],
  "open_decisions": ["01JD3ZAAAAAAAAAAAAAAAAAAAA"], "busy": "gathering evidence of n1"})";

}  // namespace walstitch::cli
