// Golden text: what a person reads. When a change here is wanted, read the new text aloud first.
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "controller/cli/render_decision.h"
#include "controller/cli/render_status.h"
#include "policies/model/json.h"
#include "tests/unit/cli/sample.h"

namespace walstitch::cli {
namespace {

TEST(RenderDecision, ARejoinReadsFromFindingToOutcome) {
  EXPECT_EQ(RenderDecision(SampleRejoin()),
            R"(rejoin of n1 to n2, group shop: padded, done in 112 ms
decision 01JD3ZAAAAAAAAAAAAAAAAAAAA, epoch 7, 2025-11-22 03:04:05.678 UTC

Found
  n1 came back parked at 1002 and is to follow n2

Verdict: padded, by policy shop (0123456789ab)
  - every keyspace touched may differ within its limits [policy_allows]

Evidence
  NODE  SIDE      LAST  OLDEST  WAL          VERSION
  n1    rejoiner  1002      12  files        2.11.0
  n2    survivor  1050       1  pollupdates  2.11.0
  fork: 1000, known by equal batches (both WALs hold the same batch ending at 1000)
  tail, to be given up: [1001, 1003), 2 records on 1 key, 80 B, on n1
  missed, to be skipped: [1001, 1005), 4 records on 1 key, 2 KiB, on n2
  target: 1005, pad 2

Keyspaces touched
  KEYSPACE         POLICY SAYS  TAIL  MISSED  KEYS  BYTES  RULE
  sessions         repair          1       4     1  2 KiB  shop.yaml:9:7
  internal/pubsub  ignore          1       0     0   30 B  default

Divergent keys: 1
  NAMESPACE  KEY         TYPE  TAIL  MISSED  BYTES
  default    sess:\x001  hash     1       4  2 KiB

Alternatives
  VERDICT  POSSIBLE  COST, OR WHY NOT
  spliced  no        the survivor's WAL does not reach back to the fork
  full     yes       64 MiB to copy

Steps
   AFTER   TOOK  NODE  ACTION                             RESULT
   +2 ms   9 ms  n1    pad [1003, 1005), 2 no-op records  done
  +12 ms  90 ms  n1    follow 10.0.0.2:6666 from 1005     done

Outcome: done
  n1 follows n2 from 1005
  at 2025-11-22 03:04:05.790 UTC
  took 112 ms
  sent to the node: 4 KiB
  the server's own counters (n2)
    COUNTER           BEFORE  AFTER  CHANGE
    sync_full              1      1       0
    sync_partial_ok        3      4      +1
    sync_partial_err       0      0       0
)");
}

TEST(RenderDecision, WhoLendsWhatIsSaid) {
  auto record = SampleRejoin();
  Evidence& evidence = *record.decision.evidence;
  evidence.target.reset();
  evidence.borrow = BorrowEvidence{"n3", "http://n3", {Sequence(1003), Sequence(1040)}, 4096, {}};
  record.decision.plan = {{"n1", RescueAction{"n3", "http://n3", Sequence(1040), 0, true}, ""}};
  record.steps.clear();
  std::string text = RenderDecision(record);
  EXPECT_NE(text.find("  borrowed from n3: [1003, 1040), 37 records, about 4 KiB\n"), std::string::npos)
      << text;
  EXPECT_NE(text.find("take what n3 lends, up to 1039"), std::string::npos) << text;
  EXPECT_EQ(text.find("missed, to be skipped"), std::string::npos) << text;
  evidence.borrow.reset();
  evidence.borrow_note = "n3: its WAL begins at 1020";
  text = RenderDecision(record);
  EXPECT_NE(text.find("  nothing borrowed: n3: its WAL begins at 1020\n"), std::string::npos) << text;
}

TEST(RenderDecision, WhatWasNotBegunIsSaid) {
  auto record = SampleRejoin();
  record.steps.pop_back();
  record.steps[0].outcome = Outcome::kFailed;
  record.steps[0].detail = "n1 stands at 1003, not at 1004";
  record.outcome = OutcomeRecord{};
  record.outcome->outcome = Outcome::kFailed;
  record.outcome->sentence = "n1 stays parked";
  const std::string text = RenderDecision(record);
  EXPECT_NE(text.find("  not begun: n1: follow 10.0.0.2:6666 from 1005\n"), std::string::npos) << text;
  EXPECT_NE(text.find("\nOutcome: failed\n  n1 stays parked\n"), std::string::npos) << text;
}

TEST(RenderDecision, AnOpenDecisionSaysSo) {
  auto record = SampleRejoin();
  record.steps.clear();
  record.outcome.reset();
  const std::string text = RenderDecision(record);
  EXPECT_NE(text.find("rejoin of n1 to n2, group shop: padded, still open\n"), std::string::npos) << text;
  EXPECT_NE(text.find("\nPlan, no step on record\n"), std::string::npos) << text;
  EXPECT_NE(text.find("\nOutcome\n  none yet"), std::string::npos) << text;
}

TEST(RenderDecision, DivergentKeysAreListedUpToTheCapAndCounted) {
  auto record = SampleRejoin();
  auto& keys = record.decision.evidence->tail->keys;
  for (int i = 10; i < 40; ++i) {
    TouchedKey key;
    key.name_space = "__namespace";
    key.key = "k" + std::to_string(i);
    key.records = 1;
    keys.push_back(key);
  }
  const std::string text = RenderDecision(record, {.max_keys = 5, .planned = false});
  EXPECT_NE(text.find("Divergent keys: 31, the first 5\n"), std::string::npos) << text;
  EXPECT_NE(text.find("  and 26 more (--output json lists them all)\n"), std::string::npos) << text;
  EXPECT_EQ(text.find("k15"), std::string::npos) << text;
}

TEST(RenderDecision, WhatIsNotKnownIsNeverShownAsZero) {
  auto record = SampleRejoin();
  record.decision.evidence->fork.reset();
  record.decision.evidence->proof = ForkProof::kUnknown;
  record.decision.evidence->fork_note.clear();
  record.decision.evidence->tail.reset();
  record.decision.evidence->missed.reset();
  record.decision.evidence->target.reset();
  record.decision.evidence->rejoiner.last.reset();
  record.decision.evidence->missing = {"n1's WAL cannot be read"};
  record.outcome->survivor_before.reset();
  const std::string text = RenderDecision(record);
  for (const char* part :
       {"  fork: unknown\n", "  tail, to be given up: unknown\n", "  missed, to be skipped: unknown\n",
        "  target: unknown\n", "  missing: n1's WAL cannot be read\n", "  n1    rejoiner  unknown ",
        "sync_full         unknown      1\n"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  }
}

TEST(RenderDecision, AFailoverNamesBothNodesAndTheTimeWithoutAMaster) {
  EXPECT_EQ(RenderDecision(SampleFailover()),
            R"(failover from n1 to n2, group shop: done in 340 ms
decision 01JD40BBBBBBBBBBBBBBBBBBBB, epoch 8, 2025-11-22 03:04:05.678 UTC

Found
  n1's process is down

Why
  - n2 is the most advanced eligible replica [most_advanced]

Steps
  AFTER   TOOK  NODE  ACTION                     RESULT
  +5 ms  84 ms  n2    promote, if it holds 1050  done

Outcome: done
  n2 is master
  took 340 ms
  without a writable master for 1.2 s
)");
}

TEST(RenderDecision, ARefusalIsItsReason) {
  DecisionRecord record = SampleFailover();
  record.decision.kind = DecisionKind::kRefusal;
  record.decision.node.clear();
  record.decision.survivor.clear();
  record.decision.finding.clear();
  record.decision.plan.clear();
  record.steps.clear();
  record.decision.reasons = {{"refused", "n1 is alive and the master: use switchover"}};
  EXPECT_EQ(RenderDecision(record), R"(refusal, group shop: nothing was done
decision 01JD40BBBBBBBBBBBBBBBBBBBB, epoch 8, 2025-11-22 03:04:05.678 UTC

Why
  - n1 is alive and the master: use switchover [refused]
)");
}

TEST(RenderDecision, APadOfNothingOverADivergenceIsPointedOut) {
  auto record = SampleRejoin();
  record.decision.evidence->target = Sequence(1003);
  const std::string warning =
      "target: 1003, pad 0 (Kvrocks would resume here by itself and not notice a divergence)";
  EXPECT_NE(RenderDecision(record).find(warning), std::string::npos);
  record.decision.evidence->tail = Touched{};
  record.decision.evidence->missed = Touched{};
  EXPECT_NE(RenderDecision(record).find("target: 1003, pad 0\n"), std::string::npos);
}

TEST(RenderDecisionList, IsOneLineEach) {
  auto open = SampleFailover();
  open.outcome.reset();
  EXPECT_EQ(RenderDecisionList({open, SampleRejoin()}),
            "ID                          TIME                         GROUP  EPOCH  WHAT                    "
            "VERDICT  "
            "OUTCOME    TOOK\n"
            "01JD40BBBBBBBBBBBBBBBBBBBB  2025-11-22 03:04:05.678 UTC  shop       8  failover from n1 to n2   "
            "        "
            "open\n"
            "01JD3ZAAAAAAAAAAAAAAAAAAAA  2025-11-22 03:04:05.678 UTC  shop       7  rejoin of n1 to n2      "
            "padded   "
            "done     112 ms\n");
  EXPECT_EQ(RenderDecisionList({}), "no decisions\n");
}

TEST(RenderPlan, SaysWhatWouldBeAndThatNothingWas) {
  GroupPlan plan{"shop",
                 "n1 would rejoin n2",
                 {{"n1", "padded", SampleFailover().decision}, {"n3", "nothing to do", {}}}};
  EXPECT_EQ(RenderPlan(plan),
            R"(group shop: n1 would rejoin n2
  NODE  WHAT WOULD BE DONE
  n1    padded
  n3    nothing to do

would be decided: failover from n1 to n2, group shop

Found
  n1's process is down

Why
  - n2 is the most advanced eligible replica [most_advanced]

Plan
     NODE  ACTION                     WHY
  1  n2    promote, if it holds 1050  it holds all that n1 had

nothing was changed
)");
}

TEST(RenderStatus, ShowsAllThatIsTheMatter) {
  auto json = ParseJson(kSampleStatus);
  ASSERT_TRUE(json) << json.error().Message();
  auto status = GroupStatusFromJson(*json);
  ASSERT_TRUE(status) << status.error().Message();
  EXPECT_FALSE(status->Fine());
  EXPECT_EQ(RenderStatus({*status}),
            R"(group shop: master n2, epoch 7, policy shop (0123456789ab)
  NODE  CONDITION    LAST   BEHIND  RELAY      PRIORITY  VERSION  AGENT
  n1    parked       1052  2 ahead  parked          100  2.11.0   http://10.0.0.1:7701
  n2    master       1050           idle            100  2.11.0   http://10.0.0.2:7701
  n3    following    1048        2  following        50  2.11.0   http://10.0.0.3:7701
  n4    unreachable                                   0           http://10.0.0.4:7701 (not connected)
  n1: parked since it came back
  n4: its agent has never answered
  findings
    NodeToRejoin (n1): n1 came back
    NodesMissing: n4 has never reported
  the policy on disk is refused, the one before stays in force: shop.yaml:3:5: expected a map
  open decision: 01JD3ZAAAAAAAAAAAAAAAAAAAA
  now: gathering evidence of n1
)");
}

// Two groups of one operator: one that is left alone on purpose, and one that just failed over.
TEST(RenderStatus, SaysWhatKeepsAGroupFromActingByItself) {
  auto json = ParseJson(R"({
    "group": "shop", "managed": "managed", "epoch": 9, "master": "n2", "blocked_left_ms": 42345,
    "paused": {"since_ms": 1763780645678, "reason": "new switches tonight"},
    "waits": "the lease of n1 ends in 1.2 s at the latest",
    "findings": [{"code": "MasterUnreachable", "node": "n2", "sentence": "n2's agent is silent for 1.4 s",
                  "rests_on": ["peers", "probe"]},
                 {"code": "NodeDown", "node": "n3", "sentence": "n3 is down", "rests_on": []}],
    "nodes": [
      {"node": "n1", "agent": "http://10.0.0.1:7701", "connected": true, "priority": 100, "zone": "eu-1",
       "condition": "following", "sentence": "",
       "report": {"last": 1050, "relay": {"state": "following"}, "leased": true, "promised_left_ms": 2100}},
      {"node": "n2", "agent": "http://10.0.0.2:7701", "connected": true, "priority": 100, "zone": "eu-2",
       "condition": "master", "sentence": "",
       "report": {"last": 1050, "relay": {"state": "idle"}, "leased": true, "lease_left_ms": 2670}},
      {"node": "n3", "agent": "http://10.0.0.3:7701", "connected": false, "priority": 0, "zone": "eu-2",
       "condition": "unreachable", "sentence": "its agent is silent", "maintenance": "a new disk",
       "resume_left_ms": 90000,
       "report": {"last": 900, "lease_left_ms": 1000, "promised_left_ms": 900}}]})");
  ASSERT_TRUE(json) << json.error().Message();
  auto status = GroupStatusFromJson(*json);
  ASSERT_TRUE(status) << status.error().Message();
  EXPECT_EQ(RenderStatus({*status}),
            R"(group shop: master n2, epoch 9
  paused since 2025-11-22 03:04:05.678 UTC: new switches tonight
  blocked: not failed over again for 42.3 s
  waits: the lease of n1 ends in 1.2 s at the latest
  NODE  CONDITION       LAST  BEHIND  RELAY      LEASE  PRIORITY  ZONE  AGENT
  n1    following       1050       0  following              100  eu-1  http://10.0.0.1:7701
  n2    master          1050          idle       2.6 s       100  eu-2  http://10.0.0.2:7701
  n3    unreachable  was 900                                   0  eu-2  http://10.0.0.3:7701 (not connected)
  n1: has promised the master to refuse promotions, for 2.1 s yet
  n3: its agent is silent
  n3: the WAL of n2 holds what it needs next for 1 min 30 s yet
  n3: under maintenance: a new disk
  findings
    MasterUnreachable (n2): n2's agent is silent for 1.4 s [peers, probe]
    NodeDown (n3): n3 is down
)");
}

TEST(RenderStatus, AReasonMayBeLeftOutAndALeaseMayBeOver) {
  GroupStatus group;
  group.group = "g";
  group.master = "n1";
  group.paused = PauseStatus{};
  group.blocked_left_ms = 0;
  NodeStatus node;
  node.node = "n1";
  node.connected = true;
  node.condition = "master";
  node.maintenance = "";
  node.lease_left_ms = 0;
  group.nodes = {node};
  EXPECT_EQ(RenderStatus({group}), R"(group g: master n1, epoch 0
  paused
  NODE  CONDITION  LEASE  PRIORITY
  n1    master      over         0
  n1: under maintenance
)");
  group.nodes[0].lease_left_ms.reset();
  group.nodes[0].leased = true;  // it was given one once: it parks
  EXPECT_NE(RenderStatus({group}).find("  n1    master      none         0\n"), std::string::npos);
}

TEST(GroupStatusFromJson, FieldsOfAWrongTypeAreAsGoodAsAbsent) {
  auto status = GroupStatusFromJson(
      ParseJson(
          R"({"group":"g","paused":true,"blocked_left_ms":"long","waits":7,"findings":[{"rests_on":"me"}],
    "nodes":[{"node":"n1","priority":1.5,"zone":3,"maintenance":null,
              "report":{"lease_left_ms":"x","promised_left_ms":1e99,"leased":1}}]})")
          .value());
  ASSERT_TRUE(status);
  EXPECT_FALSE(status->paused);
  EXPECT_FALSE(status->blocked_left_ms);
  EXPECT_EQ(status->waits, "");
  EXPECT_TRUE(status->findings[0].rests_on.empty());
  const NodeStatus& node = status->nodes[0];
  EXPECT_EQ(node.priority, 0);
  EXPECT_EQ(node.zone, "");
  EXPECT_FALSE(node.maintenance);
  EXPECT_FALSE(node.lease_left_ms);
  EXPECT_FALSE(node.promised_left_ms);
  EXPECT_FALSE(node.leased);
}

TEST(RenderStatus, AStatusFromANewerControllerIsStillShown) {
  auto json =
      ParseJson(R"({"group":"g","managed":"paused","nodes":[{"node":"n1","condition":"hibernating","report":
    {"relay":{"state":"rescuing"}},"new":1}],"findings":null,"master":"","surprise":{}})");
  ASSERT_TRUE(json);
  auto status = GroupStatusFromJson(*json);
  ASSERT_TRUE(status);
  EXPECT_EQ(RenderStatus({*status}), R"(group g: no master, epoch 0, paused
  NODE  CONDITION    RELAY     PRIORITY  AGENT
  n1    hibernating  rescuing         0  (not connected)
)");
}

TEST(RenderStatus, AGroupInWhichNothingIsTheMatterIsFine) {
  GroupStatus status;
  status.group = "g";
  EXPECT_FALSE(status.Fine());
  status.master = "n1";
  EXPECT_TRUE(status.Fine());
  status.findings.push_back({"NodeDown", "n2", "n2 is down", {}});
  EXPECT_FALSE(status.Fine());
}

TEST(GroupStatusFromJson, RefusesWhatIsNoStatus) {
  for (const char* text : {"[]", "1", "{}", R"({"group":7})"}) {
    EXPECT_FALSE(GroupStatusFromJson(ParseJson(text).value())) << text;
  }
}

}  // namespace
}  // namespace walstitch::cli
