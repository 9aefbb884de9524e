#include "controller/core/decide.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "controller/core/cost.h"
#include "controller/core/repair.h"
#include "policies/evaluate.h"
#include "policies/model/reason_codes.h"

namespace walstitch::core {
namespace {

TouchedKey Key(const std::string& name, std::uint64_t records = 1) {
  TouchedKey key;
  key.name_space = "__namespace";
  key.key = name;
  key.types = {"string"};
  key.records = records;
  key.bytes = 20 * records;
  return key;
}

TouchedKey Internal(const std::string& internal, std::uint64_t records = 1) {
  TouchedKey key;
  key.internal = internal;
  key.records = records;
  return key;
}

Touched Records(std::uint64_t from, std::uint64_t to, std::vector<TouchedKey> keys) {
  Touched touched;
  touched.range = {Sequence(from), Sequence(to)};
  touched.records = touched.range.Size();
  touched.keys = std::move(keys);
  return touched;
}

KeyspaceRule Rule(const std::string& name, const std::string& glob, Tolerance tolerance) {
  KeyspaceRule rule;
  rule.name = name;
  rule.match.keys = {glob};
  rule.on_divergence = tolerance;
  rule.source = "shop.yaml:7:5";
  return rule;
}

// page:* may differ, order:* may not, carts want a repair; anything else is a full sync by default.
TolerancePolicy Shop() {
  TolerancePolicy policy;
  policy.name = "shop";
  policy.keyspaces = {
      Rule("page-cache", "page:*", Tolerance::kIgnore), Rule("orders", "order:*", Tolerance::kFullSync),
      Rule("carts", "cart:*", Tolerance::kRepair), Rule("sessions", "sess:*", Tolerance::kEvict)};
  return policy;
}

// n1 comes back to n2: fork 100, a tail of 3 records, a survivor's boundary at 106, so 5 missed, pad 2.
Evidence Diverged(std::vector<TouchedKey> tail = {Key("page:1", 3)},
                  std::vector<TouchedKey> missed = {Key("page:2", 5)}) {
  Evidence evidence;
  evidence.rejoiner = {"n1", Sequence(103), Sequence(1), "files", "2.12.0", false, false};
  evidence.survivor = {"n2", Sequence(200), Sequence(1), "files", "2.12.0", false, false};
  evidence.fork = Sequence(100);
  evidence.proof = ForkProof::kEqualBatches;
  evidence.fork_note = "compared";
  evidence.target = Sequence(106);
  evidence.tail = Records(101, 104, std::move(tail));
  evidence.missed = Records(101, 106, std::move(missed));
  return evidence;
}

// The same, and n2's WAL reaches back to the fork.
Evidence Spliceable(std::vector<TouchedKey> tail = {Key("page:1", 3)},
                    std::vector<TouchedKey> missed = {Key("page:2", 5)}) {
  Evidence evidence = Diverged(std::move(tail), std::move(missed));
  evidence.replay_from = Sequence(101);
  return evidence;
}

// n1 has a tail of 3, and n2 has written one record since.
Evidence SpliceableAhead() {
  Evidence evidence = Spliceable();
  evidence.survivor.last = Sequence(101);
  evidence.target.reset();
  evidence.missed = Records(101, 102, {Key("page:2", 1)});
  return evidence;
}

// n1 holds a prefix of n2's history.
Evidence Prefix() {
  Evidence evidence = Diverged();
  evidence.rejoiner.last = Sequence(100);
  evidence.target = Sequence(101);
  evidence.tail = Records(101, 101, {});
  evidence.missed = Records(101, 101, {});
  return evidence;
}

bool Has(const VerdictDecision& decision, std::string_view code) {
  return std::any_of(decision.reasons.begin(), decision.reasons.end(),
                     [&](const Reason& reason) { return reason.code == code; });
}

std::string Codes(const VerdictDecision& decision) {
  std::string text(ToString(decision.verdict));
  for (const auto& reason : decision.reasons) text += "\n  " + reason.code + ": " + reason.sentence;
  return text;
}

const Alternative* Other(const VerdictDecision& decision, Verdict verdict) {
  for (const auto& alternative : decision.alternatives) {
    if (alternative.verdict == verdict) return &alternative;
  }
  return nullptr;
}

// What holds for every verdict.
void ExpectComplete(const VerdictDecision& decision) {
  EXPECT_FALSE(decision.reasons.empty());
  for (const auto& reason : decision.reasons) {
    EXPECT_FALSE(reason.sentence.empty()) << reason.code;
    EXPECT_NE(std::find(std::begin(reason::kAll), std::end(reason::kAll), reason.code),
              std::end(reason::kAll))
        << reason.code;
  }
  EXPECT_EQ(decision.alternatives.size(), 4U);
  EXPECT_EQ(Other(decision, decision.verdict), nullptr);
  for (const auto& alternative : decision.alternatives) EXPECT_FALSE(alternative.cost.empty());
}

void ExpectVerdict(const Evidence& evidence, const TolerancePolicy& policy, Verdict verdict,
                   std::string_view code) {
  const VerdictDecision decision = Decide(evidence, policy);
  ExpectComplete(decision);
  EXPECT_EQ(decision.verdict, verdict) << Codes(decision);
  EXPECT_TRUE(Has(decision, code)) << "no " << code << " in " << Codes(decision);
}

TEST(DecideTest, APrefixIsAligned) {
  ExpectVerdict(Prefix(), Shop(), Verdict::kAligned, reason::kPrefixOfSurvivor);
}

// n1 ends at 100, n2's WAL begins at 151, and n3 lends what is between.
Evidence Borrowing() {
  Evidence evidence = Prefix();
  evidence.survivor.oldest = Sequence(151);
  evidence.target.reset();
  evidence.missed.reset();
  evidence.missing = {"a boundary of n2 at or after 101: it is purged"};
  evidence.borrow =
      BorrowEvidence{"n3", "http://n3", {Sequence(101), Sequence(176)}, 2048, {Sequence(175), 1, 40, {}, ""}};
  return evidence;
}

TEST(DecideTest, WhatTheSurvivorsWalNoLongerHoldsIsBorrowed) {
  const VerdictDecision decision = Decide(Borrowing(), Shop());
  ExpectComplete(decision);
  EXPECT_EQ(decision.verdict, Verdict::kAligned) << Codes(decision);
  ASSERT_EQ(decision.reasons.size(), 1U) << Codes(decision);
  EXPECT_EQ(decision.reasons[0].code, reason::kBorrowed);
  EXPECT_EQ(decision.reasons[0].sentence,
            "n1 holds nothing that n2 does not hold (fork 100, known by equal batches), and needs 101 next, "
            "but the WAL of n2 begins at 151: n3 lends [101, 176) from its own WAL, about 2 KiB, and n1 "
            "follows n2 from there on");
  EXPECT_FALSE(Other(decision, Verdict::kPadded)->possible);
  EXPECT_TRUE(Other(decision, Verdict::kFull)->possible);
}

TEST(DecideTest, MoreThanMayBeBorrowedIsALimit) {
  TolerancePolicy policy = Shop();
  policy.limits.borrow_bytes = 2047;
  ExpectVerdict(Borrowing(), policy, Verdict::kFull, reason::kBorrowLimit);
  policy.on_limit = OnLimit::kHold;
  ExpectVerdict(Borrowing(), policy, Verdict::kHold, reason::kBorrowLimit);
}

TEST(DecideTest, NothingIsBorrowedWhereThePolicyLetsNothingBe) {
  TolerancePolicy policy = Shop();
  policy.limits.borrow_bytes = 0;
  ExpectVerdict(Borrowing(), policy, Verdict::kFull, reason::kWalPurged);
}

TEST(DecideTest, APolicyThatLeavesAlignedOutBorrowsNothing) {
  TolerancePolicy policy = Shop();
  policy.prefer = {Verdict::kPadded, Verdict::kFull};
  ExpectVerdict(Borrowing(), policy, Verdict::kFull, reason::kNotPreferred);
}

TEST(DecideTest, WhyNobodyLendsIsSaid) {
  Evidence evidence = Borrowing();
  evidence.borrow.reset();
  evidence.borrow_note = "n3: its WAL begins at 140";
  const VerdictDecision decision = Decide(evidence, Shop());
  EXPECT_EQ(decision.verdict, Verdict::kFull);
  EXPECT_EQ(decision.reasons[0].code, reason::kWalPurged);
  EXPECT_NE(decision.reasons[0].sentence.find("n3: its WAL begins at 140"), std::string::npos)
      << Codes(decision);
}

TEST(DecideTest, ALoanThatDoesNotBeginWhereTheRejoinerStandsIsNone) {
  Evidence evidence = Borrowing();
  evidence.borrow->range.from = Sequence(102);
  ExpectVerdict(evidence, Shop(), Verdict::kFull, reason::kWalPurged);
}

TEST(DecideTest, APrefixNeedsNoListsOfWhatIsEmpty) {
  Evidence evidence = Prefix();
  evidence.tail.reset();
  evidence.missed.reset();
  ExpectVerdict(evidence, Shop(), Verdict::kAligned, reason::kPrefixOfSurvivor);
}

TEST(DecideTest, AnEmptyRejoinerIsAlignedFromTheBeginning) {
  Evidence evidence = Prefix();
  evidence.rejoiner.last = Sequence(0);
  evidence.rejoiner.oldest.reset();
  evidence.fork = Sequence(0);
  evidence.target = Sequence(1);
  evidence.tail.reset();
  evidence.missed.reset();
  ExpectVerdict(evidence, Shop(), Verdict::kAligned, reason::kPrefixOfSurvivor);
}

TEST(DecideTest, SameStreamSatisfiesTheProof) {
  Evidence evidence = Prefix();
  evidence.proof = ForkProof::kSameStream;
  ExpectVerdict(evidence, Shop(), Verdict::kAligned, reason::kPrefixOfSurvivor);
}

TEST(DecideTest, DivergenceThatThePolicyAllowsIsPadded) {
  const VerdictDecision decision = Decide(Diverged(), Shop());
  ExpectComplete(decision);
  EXPECT_EQ(decision.verdict, Verdict::kPadded) << Codes(decision);
  ASSERT_EQ(decision.reasons.size(), 2U);
  EXPECT_EQ(decision.reasons[1].code, reason::kWalPurged) << "why it is not spliced";
  const std::string& sentence = decision.reasons[0].sentence;
  EXPECT_EQ(sentence,
            "n1 and n2 part at 100 (known by equal batches): a tail of 3 records and 5 missed records touch "
            "2 keys of page-cache, and policy shop lets that differ; n1 is padded by 2 to 106");
  ASSERT_EQ(decision.keyspaces.size(), 1U);
  EXPECT_EQ(decision.keyspaces[0].tail_records, 3U);
  EXPECT_EQ(decision.keyspaces[0].missed_records, 5U);
  EXPECT_EQ(Other(decision, Verdict::kAligned)->cost, "n1 has a tail of 3 records");
  EXPECT_TRUE(Other(decision, Verdict::kFull)->possible);
  EXPECT_EQ(Other(decision, Verdict::kFull)->cost,
            "a copy of the whole data set of n2; the tail of 3 records is given up");
}

TEST(DecideTest, ANumberThatFitsOverADivergenceDoesNotPassUnseen) {
  Evidence evidence = Diverged();
  evidence.target = Sequence(104);
  evidence.missed = Records(101, 104, {Key("page:2", 3)});
  ExpectVerdict(evidence, Shop(), Verdict::kPadded, reason::kNumberFitsHistoriesDiffer);
  ExpectVerdict(evidence, Shop(), Verdict::kPadded, reason::kWithinPolicy);
  evidence.tail = Records(101, 104, {Key("order:2", 3)});
  ExpectVerdict(evidence, Shop(), Verdict::kFull, reason::kNumberFitsHistoriesDiffer);
}

TEST(DecideTest, NoTailAndNoBoundaryAtNextIsWeighedLikeDivergence) {
  Evidence evidence = Prefix();
  evidence.target = Sequence(104);
  evidence.missed = Records(101, 104, {Key("page:2", 3)});
  ExpectVerdict(evidence, Shop(), Verdict::kPadded, reason::kWithinPolicy);
  evidence.missed = Records(101, 104, {Key("order:2", 3)});
  ExpectVerdict(evidence, Shop(), Verdict::kFull, reason::kKeyspaceFullSync);
}

TEST(DecideTest, ATailOfOwnNoOpRecordsDivergesNothing) {
  const VerdictDecision decision = Decide(Diverged({}, {Internal("pubsub", 5)}), Shop());
  ExpectComplete(decision);
  EXPECT_EQ(decision.verdict, Verdict::kPadded) << Codes(decision);
  EXPECT_EQ(DivergenceOf(Diverged({}, {Internal("pubsub", 5)})).keys, 0U);
}

TEST(DecideTest, AKeyspaceThatSaysFullSyncIsAFullSync) {
  ExpectVerdict(Diverged({Key("order:1")}), Shop(), Verdict::kFull, reason::kKeyspaceFullSync);
  ExpectVerdict(Diverged({Key("page:1")}, {Key("order:1")}), Shop(), Verdict::kFull,
                reason::kKeyspaceFullSync);
  // By the policy's default.
  ExpectVerdict(Diverged({Key("other")}), Shop(), Verdict::kFull, reason::kKeyspaceFullSync);
  ExpectVerdict(Diverged({Internal("propagate")}), Shop(), Verdict::kFull, reason::kKeyspaceFullSync);
}

TEST(DecideTest, KeysThatAreRepairedOrEvictedAfterwardsArePadded) {
  const VerdictDecision decision = Decide(Diverged({Key("cart:1"), Key("sess:1")}), Shop());
  ExpectComplete(decision);
  EXPECT_EQ(decision.verdict, Verdict::kPadded) << Codes(decision);
  EXPECT_TRUE(Has(decision, reason::kRepairedAfterwards));
  EXPECT_TRUE(Has(decision, reason::kEvictedAfterwards));
  const auto repaired =
      std::find_if(decision.reasons.begin(), decision.reasons.end(),
                   [](const Reason& reason) { return reason.code == reason::kRepairedAfterwards; });
  EXPECT_EQ(
      repaired->sentence,
      "1 key of keyspace carts is rewritten, with the values that n2 has, on n2 afterwards, and n1 is out "
      "of service until they were seen to be equal");
}

TEST(DecideTest, KeyThatTheSurvivorCannotRewriteIsAFullSync) {
  Evidence evidence = Diverged({Key("cart:1"), Key("sess:1")});
  evidence.unrepairable.emplace();
  evidence.unrepairable->push_back({{"__namespace", "cart:1"}, "it is too large"});
  ExpectVerdict(evidence, Shop(), Verdict::kFull, reason::kNotRepairable);
  // One that is deleted may be as large as it likes.
  evidence.unrepairable->front().name.key = "sess:1";
  EXPECT_EQ(Decide(evidence, Shop()).verdict, Verdict::kPadded);
}

TEST(DecideTest, KeysThatWereNotMadeEqualAreAFullSyncTheNextTime) {
  Evidence evidence = Diverged({Key("cart:1")});
  evidence.repair_failure = "1 key differs: cart:1";
  ExpectVerdict(evidence, Shop(), Verdict::kFull, reason::kRepairFailed);
  // Where nothing has to be equal there is nothing to fail.
  evidence = Diverged();
  evidence.repair_failure = "1 key differs: cart:1";
  EXPECT_EQ(Decide(evidence, Shop()).verdict, Verdict::kPadded);
  evidence = Spliceable();
  evidence.repair_failure = "1 key differs: page:1";
  evidence.undo.emplace();
  evidence.undo->keys = 1;
  EXPECT_EQ(Decide(evidence, Shop()).verdict, Verdict::kPadded) << "what is taken back is trusted no more";
}

TEST(DecideTest, WhatIsOfNoKeyIsNotRepaired) {
  TolerancePolicy policy = Shop();
  policy.internal.propagate = Tolerance::kRepair;
  ExpectVerdict(Diverged({Internal("propagate")}), policy, Verdict::kFull, reason::kKeyspaceFullSync);
}

TEST(DecideTest, ATruncatedListOrAFlushIsAFullSyncHere) {
  Evidence evidence = Diverged();
  evidence.tail->truncated = true;
  ExpectVerdict(evidence, Shop(), Verdict::kFull, reason::kKeyspaceFullSync);
  evidence = Diverged();
  evidence.missed->range_deletes = 1;
  ExpectVerdict(evidence, Shop(), Verdict::kFull, reason::kKeyspaceFullSync);
}

TEST(DecideTest, LimitsFollowOnLimit) {
  struct {
    std::string_view code;
    void (*tighten)(TolerancePolicy&);
  } const cases[] = {
      {reason::kPadLimit, [](TolerancePolicy& policy) { policy.limits.pad = 1; }},
      {reason::kTailLimit, [](TolerancePolicy& policy) { policy.limits.tail = 2; }},
      {reason::kMissedLimit, [](TolerancePolicy& policy) { policy.limits.missed = 4; }},
      {reason::kKeyspaceLimit, [](TolerancePolicy& policy) { policy.keyspaces[0].limits.records = 7; }},
  };
  for (const auto& each : cases) {
    SCOPED_TRACE(each.code);
    TolerancePolicy policy = Shop();
    each.tighten(policy);
    ExpectVerdict(Diverged(), policy, Verdict::kFull, each.code);
    policy.on_limit = OnLimit::kHold;
    ExpectVerdict(Diverged(), policy, Verdict::kHold, each.code);
    // A keyspace that demands a full sync outweighs the wish to be asked about a limit.
    ExpectVerdict(
        Diverged({Key("order:1"), Key("page:1", 2)}, {Key("page:2", 5)}),
        [&] {
          TolerancePolicy stricter = policy;
          stricter.keyspaces[0].limits.records = 1;
          return stricter;
        }(),
        Verdict::kFull, reason::kKeyspaceFullSync);
  }
}

TEST(DecideTest, LimitsThatAreReachedButNotPassedAllow) {
  TolerancePolicy policy = Shop();
  policy.limits.pad = 2;
  policy.limits.tail = 3;
  policy.limits.missed = 5;
  policy.keyspaces[0].limits.records = 8;
  policy.keyspaces[0].limits.keys = 2;
  ExpectVerdict(Diverged(), policy, Verdict::kPadded, reason::kWithinPolicy);
}

TEST(DecideTest, ARecordedPromotionIsNoProofWhereProofIsDemanded) {
  for (Evidence evidence : {Diverged(), Prefix()}) {
    evidence.proof = ForkProof::kRecordedPromotion;
    ExpectVerdict(evidence, Shop(), Verdict::kFull, reason::kForkUnproven);
    TolerancePolicy policy = Shop();
    policy.require_fork_proof = false;
    const VerdictDecision decision = Decide(evidence, policy);
    EXPECT_NE(decision.verdict, Verdict::kFull) << Codes(decision);
  }
}

TEST(DecideTest, AnUnknownForkIsAFullSyncWhateverThePolicy) {
  TolerancePolicy policy = Shop();
  for (const bool require : {true, false}) {
    policy.require_fork_proof = require;
    Evidence evidence = Diverged();
    evidence.fork.reset();
    evidence.proof = ForkProof::kUnknown;
    evidence.tail.reset();
    evidence.missed.reset();
    ExpectVerdict(evidence, policy, Verdict::kFull, reason::kForkUnknown);
    evidence = Diverged();
    evidence.proof = ForkProof::kUnknown;
    ExpectVerdict(evidence, policy, Verdict::kFull, reason::kForkUnknown);
  }
}

TEST(DecideTest, AForkBeyondEitherEndIsNotBelieved) {
  Evidence evidence = Diverged();
  evidence.fork = Sequence(104);
  ExpectVerdict(evidence, Shop(), Verdict::kFull, reason::kForkUnknown);
}

TEST(DecideTest, APurgedWalIsAFullSync) {
  Evidence evidence = Diverged();
  evidence.target.reset();
  evidence.missed.reset();
  evidence.survivor.oldest = Sequence(150);
  ExpectVerdict(evidence, Shop(), Verdict::kFull, reason::kWalPurged);

  evidence.survivor.oldest.reset();  // nothing is left at all
  evidence.survivor.wal_source = "files";
  ExpectVerdict(evidence, Shop(), Verdict::kFull, reason::kWalPurged);

  evidence = Diverged();
  evidence.missed.reset();
  evidence.survivor.oldest = Sequence(102);
  ExpectVerdict(evidence, Shop(), Verdict::kFull, reason::kWalPurged);

  evidence = Diverged();
  evidence.tail.reset();
  evidence.rejoiner.oldest = Sequence(102);
  ExpectVerdict(evidence, Shop(), Verdict::kFull, reason::kWalPurged);
}

TEST(DecideTest, MissingEvidenceNeverTurnsIntoAZero) {
  Evidence evidence = Diverged();
  evidence.tail.reset();
  evidence.missing = {"the tail of n1: the agent of n1 did not answer"};
  ExpectVerdict(evidence, Shop(), Verdict::kFull, reason::kEvidenceMissing);
  evidence = Diverged();
  evidence.missed.reset();
  ExpectVerdict(evidence, Shop(), Verdict::kFull, reason::kEvidenceMissing);
  evidence = Diverged();
  evidence.target.reset();
  ExpectVerdict(evidence, Shop(), Verdict::kFull, reason::kEvidenceMissing);
  evidence = Diverged();
  evidence.rejoiner.last.reset();
  ExpectVerdict(evidence, Shop(), Verdict::kFull, reason::kEvidenceMissing);
}

TEST(DecideTest, AListOfAnotherRangeIsNoEvidence) {
  Evidence evidence = Diverged();
  evidence.tail->range.from = Sequence(102);
  ExpectVerdict(evidence, Shop(), Verdict::kFull, reason::kEvidenceMissing);
  evidence = Diverged();
  evidence.missed->range.to = Sequence(105);
  ExpectVerdict(evidence, Shop(), Verdict::kFull, reason::kEvidenceMissing);
}

TEST(DecideTest, SequencesWithoutARecordAreDataThatNobodyListed) {
  Evidence evidence = Diverged();
  evidence.missed->records = 4;
  ExpectVerdict(evidence, Shop(), Verdict::kFull, reason::kEvidenceMissing);
}

TEST(DecideTest, EvidenceThatIsExpectedToComeIsWaitedFor) {
  Evidence evidence = Diverged();
  evidence.missed.reset();
  evidence.expected_to_come = true;
  ExpectVerdict(evidence, Shop(), Verdict::kHold, reason::kEvidenceMissing);
  evidence.missing = {"n2 is loading"};
  const VerdictDecision decision = Decide(evidence, Shop());
  EXPECT_NE(decision.reasons[0].sentence.find("n2 is loading"), std::string::npos);
  // Nothing is missing: nothing is waited for.
  evidence = Diverged();
  evidence.expected_to_come = true;
  ExpectVerdict(evidence, Shop(), Verdict::kPadded, reason::kWithinPolicy);
}

TEST(DecideTest, NothingIsSyncedFromASurvivorThatNobodySees) {
  Evidence evidence = Diverged();
  evidence.survivor.last.reset();
  ExpectVerdict(evidence, Shop(), Verdict::kHold, reason::kEvidenceMissing);
}

Evidence AheadOfSurvivor() {
  Evidence evidence = Diverged();
  evidence.survivor.last = Sequence(101);
  evidence.target.reset();
  evidence.missed.reset();
  return evidence;
}

TEST(DecideTest, ARejoinerAheadFollowsOnLimit) {
  TolerancePolicy policy = Shop();
  policy.limits.advance_master = 0;
  ExpectVerdict(AheadOfSurvivor(), policy, Verdict::kFull, reason::kRejoinerAhead);
  policy.on_limit = OnLimit::kHold;
  ExpectVerdict(AheadOfSurvivor(), policy, Verdict::kHold, reason::kRejoinerAhead);
  Evidence evidence = AheadOfSurvivor();
  evidence.fork.reset();
  evidence.proof = ForkProof::kUnknown;
  ExpectVerdict(evidence, policy, Verdict::kHold, reason::kRejoinerAhead);
}

TEST(DecideTest, AReplicaThatHoldsMoreThanItsOwnMasterIsNotCopiedOver) {
  Evidence ahead = AheadOfSurvivor();
  ahead.same_stream = true;
  ExpectVerdict(ahead, Shop(), Verdict::kHold, reason::kMasterLostRecords);
  Evidence diverged = Diverged();
  diverged.same_stream = true;
  ExpectVerdict(diverged, Shop(), Verdict::kHold, reason::kMasterLostRecords);
  Evidence prefix = Prefix();
  prefix.same_stream = true;
  ExpectVerdict(prefix, Shop(), Verdict::kAligned, reason::kPrefixOfSurvivor);
}

TEST(DecideTest, ARangeBeyondItsLimitNeedsNoListing) {
  TolerancePolicy policy = Shop();
  policy.limits.tail = 1;
  Evidence evidence = Diverged();
  evidence.tail.reset();
  ExpectVerdict(evidence, policy, Verdict::kFull, reason::kTailLimit);
  policy.on_limit = OnLimit::kHold;
  ExpectVerdict(evidence, policy, Verdict::kHold, reason::kTailLimit);
}

TEST(DecideTest, ClusterModeMustAgree) {
  Evidence evidence = Prefix();
  evidence.survivor.cluster_enabled = true;
  ExpectVerdict(evidence, Shop(), Verdict::kHold, reason::kIncompatible);
}

TEST(DecideTest, ThePreferenceChoosesAmongWhatIsPossible) {
  TolerancePolicy policy = Shop();
  policy.prefer = {Verdict::kAligned, Verdict::kFull};
  ExpectVerdict(Diverged(), policy, Verdict::kFull, reason::kNotPreferred);
  ExpectVerdict(Prefix(), policy, Verdict::kAligned, reason::kPrefixOfSurvivor);

  policy.prefer = {Verdict::kAligned};
  ExpectVerdict(Diverged(), policy, Verdict::kHold, reason::kNotPreferred);

  policy.prefer = {Verdict::kSpliced, Verdict::kPadded};
  ExpectVerdict(Diverged(), policy, Verdict::kPadded, reason::kWithinPolicy);
  ExpectVerdict(Prefix(), policy, Verdict::kPadded, reason::kNotPreferred);
  ExpectVerdict(Diverged({Key("order:1")}), policy, Verdict::kHold, reason::kNotPreferred);

  policy.prefer = {Verdict::kFull, Verdict::kAligned};
  ExpectVerdict(Prefix(), policy, Verdict::kFull, reason::kNotPreferred);

  policy.prefer = {};
  ExpectVerdict(Prefix(), policy, Verdict::kHold, reason::kNotPreferred);
}

TEST(DecideTest, ATailIsSplicedWhereTheSurvivorsWalReachesBackToTheFork) {
  ExpectVerdict(Spliceable(), Shop(), Verdict::kSpliced, reason::kNothingMissed);
  ExpectVerdict(SpliceableAhead(), Shop(), Verdict::kSpliced, reason::kNothingMissed);
  Evidence recorded = Spliceable();
  recorded.proof = ForkProof::kRecordedPromotion;
  ExpectVerdict(recorded, Shop(), Verdict::kFull, reason::kForkUnproven);
  TolerancePolicy trusting = Shop();
  trusting.require_fork_proof = false;
  ExpectVerdict(recorded, trusting, Verdict::kSpliced, reason::kNothingMissed);
}

TEST(DecideTest, WhatTheSurvivorWroteMayBeAnythingInASplice) {
  const Evidence evidence = Spliceable({Key("page:1", 3)}, {Key("order:1", 5)});
  ExpectVerdict(evidence, Shop(), Verdict::kSpliced, reason::kNothingMissed);
  const VerdictDecision decision = Decide(evidence, Shop());
  ASSERT_EQ(decision.keyspaces.size(), 1U);
  EXPECT_EQ(decision.keyspaces[0].keyspace, "page-cache");
  EXPECT_FALSE(Other(decision, Verdict::kPadded)->possible);
  EXPECT_FALSE(Has(decision, reason::kKeyspaceFullSync)) << Codes(decision);
}

TEST(DecideTest, ASpliceIsNotMadeOverATailThatMustNotDiffer) {
  ExpectVerdict(Spliceable({Key("order:1", 3)}), Shop(), Verdict::kFull, reason::kKeyspaceFullSync);
  Evidence flushed = Spliceable();
  flushed.tail->range_deletes = 1;
  ExpectVerdict(flushed, Shop(), Verdict::kFull, reason::kKeyspaceFullSync);
}

TEST(DecideTest, ASpliceNeedsTheSurvivorsWalFromTheForkOn) {
  Evidence purged = Spliceable();
  purged.replay_from.reset();
  purged.survivor.oldest = Sequence(103);
  EXPECT_EQ(Decide(purged, Shop()).verdict, Verdict::kPadded);
  EXPECT_EQ(Other(Decide(purged, Shop()), Verdict::kSpliced)->cost,
            "what n2 wrote since the fork at 100 cannot be replayed: its WAL begins at 103");
  Evidence inside = Spliceable();
  inside.replay_from = Sequence(103);
  EXPECT_EQ(Decide(inside, Shop()).verdict, Verdict::kPadded);
}

TEST(DecideTest, TheMasterIsNotAdvancedBeyondItsLimit) {
  TolerancePolicy policy = Shop();
  policy.limits.advance_master = 2;
  EXPECT_EQ(Decide(Spliceable(), policy).verdict, Verdict::kPadded);
  policy.limits.advance_master = 1;  // nor may it be advanced past it, to pad it
  ExpectVerdict(SpliceableAhead(), policy, Verdict::kFull, reason::kAdvanceLimit);
  policy.on_limit = OnLimit::kHold;
  ExpectVerdict(SpliceableAhead(), policy, Verdict::kHold, reason::kAdvanceLimit);
  // Nothing but the limit keeps it from being spliced.
  ExpectVerdict(Spliceable({Key("page:1", 3)}, {Key("order:1", 5)}), policy, Verdict::kHold,
                reason::kAdvanceLimit);
  policy.limits.advance_master = 3;
  ExpectVerdict(SpliceableAhead(), policy, Verdict::kSpliced, reason::kNothingMissed);
}

TEST(DecideTest, ASpliceThatFailsAgainAndAgainIsNotTheWay) {
  Evidence evidence = Spliceable();
  evidence.splices_failed = kMostSplices - 1;
  evidence.splice_failure = "the node's connection broke";
  ExpectVerdict(evidence, Shop(), Verdict::kSpliced, reason::kNothingMissed);
  evidence.splices_failed = kMostSplices;
  ExpectVerdict(evidence, Shop(), Verdict::kPadded, reason::kWithinPolicy);
  Evidence ahead = SpliceableAhead();
  ahead.splices_failed = kMostSplices;
  ExpectVerdict(ahead, Shop(), Verdict::kFull, reason::kSpliceFailed);
}

TEST(DecideTest, ASpliceIsLeftOutWhereThePolicyDoesNotPreferIt) {
  TolerancePolicy policy = Shop();
  policy.prefer = {Verdict::kAligned, Verdict::kPadded, Verdict::kFull};
  ExpectVerdict(Spliceable(), policy, Verdict::kPadded, reason::kNotPreferred);
  policy.prefer = {Verdict::kPadded, Verdict::kSpliced};
  ExpectVerdict(Spliceable(), policy, Verdict::kPadded, reason::kNotPreferred);
  ExpectVerdict(SpliceableAhead(), policy, Verdict::kHold, reason::kAdvancedFirst);
}

TEST(DecideTest, WhereANodeThatIsAheadIsToBePaddedTheSurvivorIsAdvancedFirst) {
  TolerancePolicy policy = Shop();
  policy.prefer = {Verdict::kAligned, Verdict::kPadded, Verdict::kFull};
  ExpectVerdict(SpliceableAhead(), policy, Verdict::kHold, reason::kAdvancedFirst);
  EXPECT_FALSE(Has(Decide(SpliceableAhead(), policy), reason::kRejoinerAhead));
  // The survivor's WAL need not reach back so far.
  Evidence purged = SpliceableAhead();
  purged.replay_from.reset();
  ExpectVerdict(purged, Shop(), Verdict::kHold, reason::kAdvancedFirst);
  // It lacks 2 records.
  policy.limits.advance_master = 2;
  ExpectVerdict(SpliceableAhead(), policy, Verdict::kHold, reason::kAdvancedFirst);
  policy.limits.advance_master = 1;
  ExpectVerdict(SpliceableAhead(), policy, Verdict::kFull, reason::kRejoinerAhead);
  policy.on_limit = OnLimit::kHold;
  ExpectVerdict(SpliceableAhead(), policy, Verdict::kHold, reason::kRejoinerAhead);

  Evidence orders = SpliceableAhead();
  orders.tail->keys = {Key("order:1", 3)};
  ExpectVerdict(orders, Shop(), Verdict::kFull, reason::kKeyspaceFullSync);
  Evidence again = SpliceableAhead();
  again.splices_failed = kMostSplices;
  ExpectVerdict(again, Shop(), Verdict::kFull, reason::kRejoinerAhead);
}

TEST(DecideTest, ASurvivorIsNotAdvancedWhereWhatItWroteMustNotBeMissed) {
  TolerancePolicy policy = Shop();
  policy.prefer = {Verdict::kAligned, Verdict::kPadded, Verdict::kFull};
  policy.on_limit = OnLimit::kHold;
  Evidence orders = SpliceableAhead();
  orders.missed->keys = {Key("order:1", 1)};
  ExpectVerdict(orders, policy, Verdict::kHold, reason::kRejoinerAhead);
  Evidence unknown = SpliceableAhead();
  unknown.missed.reset();
  ExpectVerdict(unknown, policy, Verdict::kHold, reason::kRejoinerAhead);
  policy.limits.missed = 2;
  ExpectVerdict(SpliceableAhead(), policy, Verdict::kHold, reason::kRejoinerAhead);
  policy.limits.missed = 3;
  ExpectVerdict(SpliceableAhead(), policy, Verdict::kHold, reason::kAdvancedFirst);
}

TEST(DecideTest, AfterSplicesThatFailedThePolicyIsAskedWhereItWantsTo) {
  TolerancePolicy policy = Shop();
  policy.on_limit = OnLimit::kHold;
  // Advanced by an earlier attempt's filler, the survivor is ahead.
  Evidence evidence = Spliceable({Key("page:1", 3)}, {Key("order:1", 5)});
  evidence.splices_failed = kMostSplices;
  ExpectVerdict(evidence, policy, Verdict::kHold, reason::kSpliceFailed);
}

TEST(DecideTest, WhatABrokenSpliceLeftIsNotJudgedBySplicingAgain) {
  // Of the tail of 3, one record was there before.
  Evidence evidence = Spliceable({Key("page:1", 1), Key("order:1", 2)}, {Key("order:1", 5)});
  ExpectVerdict(evidence, Shop(), Verdict::kFull, reason::kKeyspaceFullSync);
  evidence.own_last = Sequence(101);
  evidence.own_tail = Records(101, 102, {Key("page:1", 1)});
  ExpectVerdict(evidence, Shop(), Verdict::kSpliced, reason::kNothingMissed);
  TolerancePolicy policy = Shop();
  policy.limits.tail = 1;
  ExpectVerdict(evidence, policy, Verdict::kSpliced, reason::kNothingMissed);
  evidence.own_tail = Records(101, 102, {Key("order:2", 1)});
  ExpectVerdict(evidence, Shop(), Verdict::kFull, reason::kKeyspaceFullSync);
  evidence.own_tail.reset();
  ExpectVerdict(evidence, Shop(), Verdict::kFull, reason::kEvidenceMissing);
}

// Of the tail, `left` cannot be taken back.
UndoEvidence Undoing(std::uint64_t records, std::vector<TouchedKey> left) {
  UndoEvidence undo;
  undo.digest = "d1";
  undo.records = records;
  undo.keys = 1;
  undo.note = "the WAL was read";
  undo.left = Records(101, 104, std::move(left));
  return undo;
}

TEST(DecideTest, ATailThatIsTakenBackIsJudgedByNoPolicy) {
  Evidence evidence = Spliceable({Key("order:1", 3)}, {Key("order:2", 5)});
  ExpectVerdict(evidence, Shop(), Verdict::kFull, reason::kKeyspaceFullSync);
  evidence.undo = Undoing(2, {});
  ExpectVerdict(evidence, Shop(), Verdict::kSpliced, reason::kTailUndone);
  const VerdictDecision decision = Decide(evidence, Shop());
  EXPECT_NE(decision.reasons.front().sentence.find("nothing is left to differ; n2 is advanced by 5 no-op"),
            std::string::npos)
      << Codes(decision);
  ExpectVerdict(evidence, TolerancePolicy(), Verdict::kSpliced, reason::kNothingMissed);
}

TEST(DecideTest, WhatOfATailIsNotTakenBackIsJudged) {
  Evidence evidence = Spliceable({Key("order:1", 2), Key("page:1", 1)});
  evidence.undo = Undoing(2, {Key("page:1", 1)});
  ExpectVerdict(evidence, Shop(), Verdict::kSpliced, reason::kTailUndone);
  evidence.undo = Undoing(1, {Key("order:1", 2)});
  ExpectVerdict(evidence, Shop(), Verdict::kFull, reason::kKeyspaceFullSync);
}

TEST(DecideTest, TheRecordsThatTakeATailBackCountForHowFarTheMasterIsAdvanced) {
  Evidence evidence = Spliceable({Key("order:1", 3)});
  evidence.undo = Undoing(2, {});
  TolerancePolicy policy = Shop();
  policy.limits.advance_master = 4;
  ExpectVerdict(evidence, policy, Verdict::kFull, reason::kAdvanceLimit);
  policy.limits.advance_master = 5;
  ExpectVerdict(evidence, policy, Verdict::kSpliced, reason::kTailUndone);
}

TEST(DecideTest, WhatABrokenSpliceLeftNeedNotBeTakenBack) {
  Evidence evidence = Spliceable({Key("page:1", 1), Key("order:1", 2)});
  evidence.own_last = Sequence(101);
  evidence.own_tail = Records(101, 102, {Key("page:1", 1)});
  evidence.undo = Undoing(1, {Key("order:1", 2)});
  ExpectVerdict(evidence, Shop(), Verdict::kSpliced, reason::kNothingMissed);
  evidence.own_tail = Records(101, 102, {Key("order:1", 1)});
  ExpectVerdict(evidence, Shop(), Verdict::kFull, reason::kKeyspaceFullSync);
  evidence.own_tail->truncated = true;
  evidence.own_tail->keys.clear();
  ExpectVerdict(evidence, Shop(), Verdict::kFull, reason::kKeyspaceFullSync);
}

TEST(DecideTest, APadTellsWhyItIsNoSplice) {
  Evidence purged = Spliceable();
  purged.replay_from.reset();
  ExpectVerdict(purged, Shop(), Verdict::kPadded, reason::kWalPurged);
  EXPECT_EQ(Decide(purged, Shop()).reasons.front().code, reason::kWithinPolicy);
}

TEST(DecideTest, ANodeOfTheMastersOwnStreamIsNotSpliced) {
  Evidence evidence = Spliceable();
  evidence.same_stream = true;
  ExpectVerdict(evidence, Shop(), Verdict::kHold, reason::kMasterLostRecords);
}

TEST(DecideTest, ImpossibleSequencesAreNotBelieved) {
  Evidence evidence = Prefix();
  evidence.rejoiner.last = Sequence(~0ULL);
  evidence.survivor.last = Sequence(~0ULL);
  evidence.target = Sequence(0);
  ExpectVerdict(evidence, Shop(), Verdict::kFull, reason::kEvidenceMissing);
}

TEST(CostTest, ADivergenceIsToldInNumbers) {
  EXPECT_EQ(Describe(DivergenceOf(Diverged({Key("a", 3)}, {Key("a", 4), Key("b")}))), "8 records on 2 keys");
  EXPECT_EQ(Describe({1, 0, 0, 0, false}), "1 record on no key");
  EXPECT_EQ(Describe({1, 1, 1, 1, false}), "2 records on 1 key and on all that 1 range delete covers");
  EXPECT_EQ(Describe({1, 1, 10, 2, true}),
            "2 records on at least 10 keys and on all that 2 range deletes cover");
}

// Properties, over evidence and policies of every kind.

// Evenly, whatever the size that the check has grown to.
std::uint64_t Number(std::uint64_t from, std::uint64_t to) {
  return *rc::gen::resize(rc::kNominalSize, rc::gen::inRange(from, to));
}

TolerancePolicy RandomPolicy() {
  const auto tolerance = [] {
    return *rc::gen::weightedElement<Tolerance>({{9, Tolerance::kIgnore},
                                                 {1, Tolerance::kEvict},
                                                 {1, Tolerance::kRepair},
                                                 {1, Tolerance::kFullSync}});
  };
  TolerancePolicy policy;
  policy.name = "random";
  for (const char* const glob : {"a*", "b*"}) {
    if (*rc::gen::arbitrary<bool>()) policy.keyspaces.push_back(Rule(glob, glob, tolerance()));
  }
  if (!policy.keyspaces.empty() && Number(0, 6) == 0) policy.keyspaces[0].limits.records = 5;
  policy.default_tolerance = tolerance();
  policy.internal.propagate = tolerance();
  policy.limits.pad = *rc::gen::element<std::uint64_t>(0, 5, 100000);
  policy.limits.tail = *rc::gen::element<std::uint64_t>(5, 100000);
  policy.limits.missed = *rc::gen::element<std::uint64_t>(5, 100000);
  policy.limits.advance_master = *rc::gen::element<std::uint64_t>(5, 100000);
  policy.require_fork_proof = *rc::gen::arbitrary<bool>();
  policy.on_limit = *rc::gen::element(OnLimit::kFullSync, OnLimit::kHold);
  if (Number(0, 6) == 0) {
    policy.prefer = *rc::gen::container<std::vector<Verdict>>(rc::gen::element(
        Verdict::kAligned, Verdict::kSpliced, Verdict::kPadded, Verdict::kFull, Verdict::kHold));
  }
  return policy;
}

Evidence RandomEvidence() {
  const auto rarely = [] { return Number(0, 60) == 0; };
  const auto keys = [&](std::uint64_t records) {
    std::vector<TouchedKey> touched;
    std::set<std::string> names;
    for (std::uint64_t i = 0; i < std::min<std::uint64_t>(records, 3); ++i) {
      names.insert(*rc::gen::element<std::string>("a1", "a2", "b1", "c1", "!propagate", "!pubsub"));
    }
    for (const auto& name : names) {
      touched.push_back(name[0] == '!' ? Internal(name.substr(1)) : Key(name));
      if (rarely()) touched.back().types.clear();
    }
    return touched;
  };
  Evidence evidence;
  const std::uint64_t fork = Number(0, 50);
  const std::uint64_t last = fork + Number(0, 12);
  const std::uint64_t target = last + 1 + *rc::gen::element<std::uint64_t>(0, 0, 1, 8);
  evidence.rejoiner.node = "n1";
  evidence.survivor.node = "n2";
  evidence.rejoiner.last = Sequence(last);
  evidence.survivor.last = Sequence(rarely() ? fork : target - 1 + Number(0, 10));
  evidence.rejoiner.oldest = Sequence(Number(1, 30));
  evidence.survivor.oldest = Sequence(Number(1, 30));
  evidence.fork = Sequence(fork);
  evidence.proof = *rc::gen::weightedElement<ForkProof>({{6, ForkProof::kEqualBatches},
                                                         {2, ForkProof::kSameStream},
                                                         {1, ForkProof::kRecordedPromotion},
                                                         {1, ForkProof::kUnknown}});
  evidence.target = Sequence(target);
  evidence.tail = Records(fork + 1, last + 1, keys(last - fork));
  evidence.missed = Records(fork + 1, target, keys(target - fork - 1));
  if (*rc::gen::arbitrary<bool>()) evidence.replay_from = Sequence(fork + 1 + (rarely() ? 1 : 0));
  if (rarely()) evidence.splices_failed = kMostSplices;
  if (Number(0, 5) == 0) {
    const std::uint64_t own = fork + Number(0, last - fork + 1);
    evidence.own_last = Sequence(own);
    evidence.own_tail = Records(fork + 1, own + 1, keys(own - fork));
  }
  if (last > fork && Number(0, 3) == 0) {
    evidence.undo = Undoing(Number(0, 5), keys(Number(0, 3)));
    evidence.undo->left.range = evidence.tail->range;
  }
  if (Number(0, 10) == 0) {
    evidence.unrepairable.emplace();
    evidence.unrepairable->push_back({{"__namespace", "a1"}, "it is too large"});
  }
  if (rarely()) evidence.tail->truncated = true;
  if (rarely()) evidence.missed->range_deletes = 1;
  if (rarely()) evidence.tail->records = Number(0, 20);
  if (rarely()) evidence.rejoiner.cluster_enabled = true;
  if (rarely()) evidence.expected_to_come = true;
  if (rarely()) evidence.missing = {"something"};
  if (rarely()) evidence.fork.reset();
  if (rarely()) evidence.target.reset();
  if (rarely()) evidence.target = Sequence(Number(0, 100));
  if (rarely()) evidence.tail.reset();
  if (rarely()) evidence.missed.reset();
  if (rarely()) evidence.rejoiner.last.reset();
  if (rarely()) evidence.survivor.last.reset();
  return evidence;
}

// It may differ, or is made equal afterwards.
bool MayPass(const TolerancePolicy& policy, const Evidence& evidence, Verdict verdict,
             const TouchedKey& key) {
  const Tolerance tolerance = DecideKey(policy, key).tolerance;
  if (tolerance == Tolerance::kIgnore) return true;
  if (tolerance == Tolerance::kFullSync || !key.internal.empty()) return false;
  const UserKeyName name{key.name_space, key.key};
  for (const RepairKeys& each : FindRepairs(verdict, evidence, policy)) {
    if (std::find(each.keys.begin(), each.keys.end(), name) == each.keys.end()) continue;
    if (each.how == Tolerance::kEvict || !evidence.unrepairable) return true;
    return std::none_of(evidence.unrepairable->begin(), evidence.unrepairable->end(),
                        [&](const KeyProblem& problem) { return problem.name == name; });
  }
  return false;
}

TEST(DecideProperty, NoPartialSyncOverAKeyspaceThatForbidsIt) {
  EXPECT_TRUE(rc::check([] {
    const Evidence evidence = RandomEvidence();
    const TolerancePolicy policy = RandomPolicy();
    const VerdictDecision decision = Decide(evidence, policy);
    RC_TAG(std::string(ToString(decision.verdict)));
    if (decision.verdict != Verdict::kAligned && decision.verdict != Verdict::kPadded) return;
    // Key by key, not by the sums that Decide itself goes by.
    for (const auto* touched : {&evidence.tail, &evidence.missed}) {
      if (!*touched) continue;
      RC_ASSERT(!(*touched)->truncated);
      for (const auto& key : (*touched)->keys) {
        RC_ASSERT(MayPass(policy, evidence, decision.verdict, key));
      }
      if ((*touched)->range_deletes > 0) {
        RC_ASSERT(policy.default_tolerance == Tolerance::kIgnore);
        for (const auto& rule : policy.keyspaces) RC_ASSERT(rule.on_divergence == Tolerance::kIgnore);
      }
    }
    // And never on evidence with a hole in it.
    const std::uint64_t fork = evidence.fork.value().Value();
    const std::uint64_t last = evidence.rejoiner.last.value().Value();
    const std::uint64_t target = evidence.target.value().Value();
    RC_ASSERT(evidence.proof != ForkProof::kUnknown);
    RC_ASSERT(evidence.proof != ForkProof::kRecordedPromotion || !policy.require_fork_proof);
    RC_ASSERT(target > last);
    if (last > fork) RC_ASSERT(evidence.tail.value().records >= last - fork);
    if (target > fork + 1) RC_ASSERT(evidence.missed.value().records >= target - fork - 1);
    RC_ASSERT(target - last - 1 <= policy.limits.pad);
    RC_ASSERT(last - fork <= policy.limits.tail);
    RC_ASSERT(target - fork - 1 <= policy.limits.missed);
  }));
}

TEST(DecideProperty, ASpliceLetsOnlyTheTailsKeysDiffer) {
  EXPECT_TRUE(rc::check([] {
    const Evidence evidence = RandomEvidence();
    const TolerancePolicy policy = RandomPolicy();
    const VerdictDecision decision = Decide(evidence, policy);
    RC_TAG(std::string(ToString(decision.verdict)));
    if (decision.verdict != Verdict::kSpliced) return;
    const std::uint64_t fork = evidence.fork.value().Value();
    const std::uint64_t last = evidence.rejoiner.last.value().Value();
    RC_ASSERT(last > fork);
    RC_ASSERT(evidence.survivor.last.value().Value() >= fork);
    const std::uint64_t own = evidence.own_last ? std::min(last, evidence.own_last->Value()) : last;
    const auto& tail = evidence.own_last ? evidence.own_tail : evidence.tail;
    if (evidence.undo) {
      for (const auto& key : evidence.undo->left.keys) {
        const auto same = [&](const TouchedKey& one) {
          return one.key == key.key && one.internal == key.internal;
        };
        const bool own_key = !evidence.own_last || std::any_of(tail->keys.begin(), tail->keys.end(), same);
        RC_ASSERT(!own_key || MayPass(policy, evidence, Verdict::kSpliced, key));
      }
      RC_ASSERT(last - fork + evidence.undo->records <= policy.limits.advance_master);
    } else if (own > fork) {
      RC_ASSERT(tail && !tail->truncated);
      RC_ASSERT(tail->records >= own - fork);
      for (const auto& key : tail->keys) {
        RC_ASSERT(MayPass(policy, evidence, Verdict::kSpliced, key));
      }
      RC_ASSERT(own - fork <= policy.limits.tail);
    }
    RC_ASSERT(evidence.replay_from == Sequence(fork + 1));
    RC_ASSERT(last - fork <= policy.limits.advance_master);
    RC_ASSERT(evidence.proof != ForkProof::kUnknown);
    RC_ASSERT(evidence.proof != ForkProof::kRecordedPromotion || !policy.require_fork_proof);
    RC_ASSERT(evidence.splices_failed < kMostSplices);
    RC_ASSERT(!evidence.same_stream);
  }));
}

TEST(DecideProperty, AlignedMeansNoTailAndNothingMissed) {
  EXPECT_TRUE(rc::check([] {
    const Evidence evidence = RandomEvidence();
    const VerdictDecision decision = Decide(evidence, RandomPolicy());
    if (decision.verdict != Verdict::kAligned) return;
    RC_ASSERT(evidence.fork == evidence.rejoiner.last);
    RC_ASSERT(*evidence.target == *evidence.fork + 1);
  }));
}

TEST(DecideProperty, TheSameEvidenceAndPolicyGiveTheSameVerdict) {
  EXPECT_TRUE(rc::check([] {
    const Evidence evidence = RandomEvidence();
    const TolerancePolicy policy = RandomPolicy();
    const Evidence copy = evidence;
    const VerdictDecision first = Decide(evidence, policy);
    const VerdictDecision second = Decide(copy, policy);
    RC_ASSERT(first.verdict == second.verdict);
    RC_ASSERT(first.reasons == second.reasons);
    for (std::size_t i = 0; i < first.alternatives.size(); ++i) {
      RC_ASSERT(first.alternatives[i].verdict == second.alternatives[i].verdict);
      RC_ASSERT(first.alternatives[i].possible == second.alternatives[i].possible);
      RC_ASSERT(first.alternatives[i].cost == second.alternatives[i].cost);
    }
  }));
}

TEST(DecideProperty, EveryVerdictSaysWhyAndWhatElseThereWas) {
  EXPECT_TRUE(rc::check([] {
    const VerdictDecision decision = Decide(RandomEvidence(), RandomPolicy());
    RC_ASSERT(!decision.reasons.empty());
    for (const auto& reason : decision.reasons) {
      RC_ASSERT(std::count(std::begin(reason::kAll), std::end(reason::kAll), reason.code) == 1);
      RC_ASSERT(!reason.sentence.empty());
    }
    RC_ASSERT(decision.alternatives.size() == 4U);
    for (const auto& alternative : decision.alternatives) {
      RC_ASSERT(alternative.verdict != decision.verdict);
      RC_ASSERT(!alternative.cost.empty());
    }
  }));
}

// What a stricter policy forbids does not become possible by it.
TEST(DecideProperty, AStricterPolicyNeverTurnsAFullSyncIntoAPartialOne) {
  EXPECT_TRUE(rc::check([] {
    const Evidence evidence = RandomEvidence();
    TolerancePolicy policy = RandomPolicy();
    const Verdict before = Decide(evidence, policy).verdict;
    policy.default_tolerance = Tolerance::kFullSync;
    for (auto& rule : policy.keyspaces) rule.on_divergence = Tolerance::kFullSync;
    policy.require_fork_proof = true;
    policy.limits.pad = 0;
    const Verdict after = Decide(evidence, policy).verdict;
    const auto partial = [](Verdict verdict) {
      return verdict == Verdict::kAligned || verdict == Verdict::kSpliced || verdict == Verdict::kPadded;
    };
    RC_ASSERT(partial(before) || !partial(after));
  }));
}

}  // namespace
}  // namespace walstitch::core
