#include "controller/shell/shared_store.h"

#include <gtest/gtest.h>

#include "controller/core/log_chain.h"
#include "controller/shell/stored_line.h"
#include "tests/support/kubernetes/api_fixture.h"

namespace walstitch::shell {
namespace {

using kubernetes::Await;
using kubernetes::Object;
using kubernetes::RunUntil;
using test::ApiFault;

// ---- what is written, pure

TEST(ObjectNameTest, IdsAreTheirOwnNamesInLowerCase) {
  EXPECT_EQ(ObjectNameOf("01M8CBGP5VK597NMH1WZHPY122"), "01m8cbgp5vk597nmh1wzhpy122");
  EXPECT_EQ(ObjectNameOf("shop-eu"), "shop-eu");
}

TEST(ObjectNameTest, NamesThatKubernetesDoesNotTakeAreMadeSuchAndStayDifferent) {
  EXPECT_NE(ObjectNameOf("Shop"), ObjectNameOf("shop"));
  EXPECT_NE(ObjectNameOf("a.b"), ObjectNameOf("a_b"));
  for (const std::string name : {"Shop", "a.b", "-", "", std::string(64, 'x').c_str()}) {
    const std::string object = ObjectNameOf(name);
    EXPECT_LE(object.size(), 63U);
    EXPECT_EQ(object.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-"), std::string::npos) << object;
    EXPECT_NE(object.front(), '-');
  }
}

TEST(StoredLineTest, LongLinesAreCompressedAndComeBack) {
  const std::string line = "{" + std::string(200000, 'k') + "}";
  const std::string packed = PackLine(line);
  EXPECT_LT(packed.size(), 2000U);
  EXPECT_EQ(*UnpackLine(packed), line);
  EXPECT_EQ(PackLine("{}"), "{}");
}

TEST(StoredLineTest, WhatWasNotPackedByUsIsDamage) {
  for (const char* text : {"zstd:", "zstd:!!", "zstd:AAAA", "zstd:KLUv/WAAAA=="}) {
    const auto line = UnpackLine(text);
    if (line) continue;  // it may be an empty frame
    EXPECT_EQ(line.error().Code(), ErrorCode::kDamaged) << text;
  }
  EXPECT_FALSE(UnpackLine("zstd:AAAA"));
}

Decision Rejoin(const std::string& id, const std::string& group = "shop") {
  Decision decision;
  decision.id = id;
  decision.group = group;
  decision.node = "shop-1";
  decision.time_ms = 1'760'000'000'000;
  return decision;
}

Touched Keys(std::size_t count) {
  Touched touched;
  for (std::size_t i = 0; i < count; ++i)
    touched.keys.push_back({"", "__namespace", "key:" + std::to_string(i), {}, 1, 10});
  return touched;
}

TEST(ShortenedTest, ListsOfKeysAreCutAndSaySo) {
  Decision decision = Rejoin("AAAA");
  decision.evidence.emplace();
  decision.evidence->tail = Keys(100);
  decision.evidence->missed = Keys(5);
  const auto shorter = Shortened(decision, 10);
  ASSERT_TRUE(shorter);
  EXPECT_EQ(shorter->evidence->tail->keys.size(), 10U);
  EXPECT_TRUE(shorter->evidence->tail->truncated);
  EXPECT_FALSE(shorter->evidence->missed->truncated);
}

TEST(ShortenedTest, APlanThatNamesItsKeysIsNeverCut) {
  Decision decision = Rejoin("AAAA");
  decision.plan = {{"shop-1", CompareAction{}, ""}};
  EXPECT_FALSE(Shortened(decision, 10));
}

TEST(DecisionObjectTest, ColumnsAreFilledAndLinesComeBack) {
  DecisionRecord record{Rejoin("01AAAA"), {}, std::nullopt};
  record.decision.verdict.emplace();
  record.decision.verdict->verdict = Verdict::kPadded;
  Object object = DecisionObject(record, {"{1}", "{2}"});
  EXPECT_EQ(kubernetes::NameOf(object), "01aaaa");
  const Object& spec = object["spec"].as_object();
  EXPECT_EQ(kubernetes::TextAt(spec, "verdict"), "padded");
  EXPECT_EQ(kubernetes::TextAt(spec, "time"), "2025-10-09T08:53:20Z");
  EXPECT_EQ(kubernetes::TextAt(object["status"].as_object(), "outcome"), "open");
  EXPECT_EQ(*LinesOfObject(object), (std::vector<std::string>{"{1}", "{2}"}));
  record.outcome.emplace();
  record.outcome->outcome = Outcome::kDone;
  object = DecisionObject(record, {});
  EXPECT_EQ(kubernetes::TextAt(object["status"].as_object(), "outcome"), "done");
}

// ---- the store on an API server

class SharedStoreTest : public kubernetes::ApiTest {
 protected:
  void SetUp() override {
    ApiTest::SetUp();
    server_.AddWalstitchResources();
    Open("a/1");
  }
  void TearDown() override { store_.reset(); }

  std::unique_ptr<SharedStore> Take(const std::string& holder, std::string* fenced, std::size_t keep = 1000) {
    const SharedStoreOptions options{client_, "walstitch", holder, keep,
                                     [fenced](std::string why) { *fenced = std::move(why); }};
    // What a predecessor had under way may still come in between: then it is tried again, as a program does.
    constexpr int kTries = 5;
    for (int i = 1;; ++i) {
      auto taken = Await(context_, SharedStore::TakeOver(context_.get_executor(), options));
      if (taken) return std::move(*taken);
      if (i < kTries && taken.error().Code() == ErrorCode::kConflict) continue;
      ADD_FAILURE() << taken.error().Message();
      return nullptr;
    }
  }
  void Open(const std::string& holder, std::size_t keep = 1000) {
    fenced_.clear();
    store_ = Take(holder, &fenced_, keep);
    ASSERT_NE(store_, nullptr);
  }
  Result<void> Settle(SharedStore& store) {
    std::optional<Result<void>> settled;
    store.Settle([&](Result<void> result) { settled = std::move(result); });
    EXPECT_TRUE(RunUntil(context_, [&] { return settled.has_value(); }));
    return settled.value_or(Fail(ErrorCode::kTimeout, "no answer"));
  }
  core::GroupState State(std::uint64_t epoch) {
    core::GroupState state;
    state.group = "shop";
    state.epoch = epoch;
    return state;
  }
  std::size_t Objects(kubernetes::ResourceType type) {
    auto list = Await(context_, client_.List(std::move(type)));
    return list ? list->items.size() : 0;
  }
  std::string Verify() {
    core::ChainVerifier verifier(store_->Trimmed());
    const auto lines = store_->ReadLog(1, 100000);
    for (const auto& line : *lines) {
      if (auto added = verifier.Add(line); !added) return added.error().Message();
    }
    auto finished = verifier.Finish(store_->Head());
    return finished ? "" : finished.error().Message();
  }
  // Of the log's object, the next so many updates.
  void Fault(ApiFault::Action action, int times, int status = 500, const std::string& reason = "") {
    ApiFault fault;
    fault.action = action;
    fault.verb = "update";
    fault.resource = "decisionlogs";
    fault.times = times;
    fault.status = status;
    fault.reason = reason;
    server_.AddFault(fault);
  }

  kubernetes::ApiClient client_ = Admin();
  std::unique_ptr<SharedStore> store_;
  std::string fenced_;
};

TEST_F(SharedStoreTest, WhatIsWrittenCountsAtOnceAndIsDurableAMomentLater) {
  const core::GroupState state = State(3);
  ASSERT_TRUE(store_->AppendDecision(Rejoin("01AAAA"), &state));
  EXPECT_EQ(store_->LoadGroup("shop")->epoch, 3U);
  EXPECT_EQ(store_->OpenRecords("shop").size(), 1U);
  EXPECT_TRUE(Settle(*store_));
}

TEST_F(SharedStoreTest, SuccessorFindsEverythingThatWasDurable) {
  const core::GroupState state = State(3);
  ASSERT_TRUE(store_->AppendDecision(Rejoin("01AAAA"), &state));
  ASSERT_TRUE(store_->AppendOutcome("01AAAA", OutcomeRecord{}, nullptr));
  ASSERT_TRUE(store_->AppendDecision(Rejoin("01BBBB"), nullptr));
  ASSERT_TRUE(Settle(*store_));
  const core::LogHead head = store_->Head();
  Open("b/1");
  EXPECT_EQ(store_->Head(), head);
  EXPECT_EQ(store_->LoadGroup("shop")->epoch, 3U);
  ASSERT_EQ(store_->OpenRecords("shop").size(), 1U);
  EXPECT_EQ(store_->OpenRecords("shop").front().decision.id, "01BBBB");
  EXPECT_EQ(Verify(), "");
}

TEST_F(SharedStoreTest, WhoWasTakenOverFromWritesNothingMore) {
  std::string fenced;
  auto successor = Take("b/1", &fenced);
  ASSERT_TRUE(store_->AppendDecision(Rejoin("01AAAA"), nullptr));
  const auto settled = Settle(*store_);
  ASSERT_FALSE(settled);
  EXPECT_EQ(settled.error().Code(), ErrorCode::kStale);
  EXPECT_EQ(fenced_, "the decision log was taken over by b/1");
  EXPECT_FALSE(store_->AppendDecision(Rejoin("01BBBB"), nullptr));
  EXPECT_EQ(successor->Head().index, 0U);
  store_ = std::move(successor);
  EXPECT_EQ(Verify(), "");
}

TEST_F(SharedStoreTest, ProcessThatBeganAnewInTheSamePlaceIsAnotherHolder) {
  std::string fenced;
  auto again = Take("a/2", &fenced);
  ASSERT_TRUE(store_->AppendDecision(Rejoin("01AAAA"), nullptr));
  EXPECT_FALSE(Settle(*store_));
}

TEST_F(SharedStoreTest, WriteWhoseAnswerIsLostIsWrittenOnce) {
  Fault(ApiFault::Action::kCloseAfter, 1);
  ASSERT_TRUE(store_->AppendDecision(Rejoin("01AAAA"), nullptr));
  EXPECT_TRUE(Settle(*store_));
  Open("b/1");
  EXPECT_EQ(store_->Head().index, 1U);
  EXPECT_EQ(Verify(), "");
}

TEST_F(SharedStoreTest, WriteThatDidNotArriveIsWrittenAgain) {
  for (const auto action : {ApiFault::Action::kCloseBefore, ApiFault::Action::kStatus}) Fault(action, 2);
  Fault(ApiFault::Action::kStatus, 2, 409, "Conflict");
  Fault(ApiFault::Action::kStatus, 1, 429, "TooManyRequests");
  ASSERT_TRUE(store_->AppendDecision(Rejoin("01AAAA"), nullptr));
  EXPECT_TRUE(Settle(*store_));
  EXPECT_EQ(fenced_, "");
}

TEST_F(SharedStoreTest, DecisionsAndGroupsAreObjectsOfTheirOwn) {
  const core::GroupState state = State(1);
  ASSERT_TRUE(store_->AppendDecision(Rejoin("01AAAA"), &state));
  ASSERT_TRUE(store_->AppendDecision(Rejoin("01BBBB"), nullptr));
  ASSERT_TRUE(store_->AppendOutcome("01AAAA", OutcomeRecord{}, nullptr));
  EXPECT_TRUE(RunUntil(context_, [&] {
    return Objects(kubernetes::Decisions()) == 2 && Objects(kubernetes::ReplicationGroups()) == 1;
  }));
}

// What cannot be spread stays in the log's object, and the next leader reads it there.
TEST_F(SharedStoreTest, SuccessorReadsWhatWasNotSpread) {
  ApiFault fault;
  fault.resource = "decisions";
  fault.verb = "create";
  fault.times = -1;
  server_.AddFault(fault);
  const core::GroupState state = State(7);
  ASSERT_TRUE(store_->AppendDecision(Rejoin("01AAAA"), &state));
  ASSERT_TRUE(Settle(*store_));
  EXPECT_EQ(Objects(kubernetes::Decisions()), 0U);
  Open("b/1");
  EXPECT_EQ(store_->OpenRecords("shop").size(), 1U);
  EXPECT_EQ(store_->LoadGroup("shop")->epoch, 7U);
  server_.ClearFaults();
  EXPECT_TRUE(RunUntil(context_, [&] { return Objects(kubernetes::Decisions()) == 1; }));
}

TEST_F(SharedStoreTest, ObjectThatSomebodyEditedIsWrittenOver) {
  ASSERT_TRUE(store_->AppendDecision(Rejoin("01AAAA"), nullptr));
  ASSERT_TRUE(RunUntil(context_, [&] { return Objects(kubernetes::Decisions()) == 1; }));
  Object patch{{"metadata", Object{{"labels", Object{{"seen", "yes"}}}}}};
  ASSERT_TRUE(Await(
      context_, client_.Patch(kubernetes::Decisions(), "01aaaa", patch, kubernetes::PatchKind::kMerge, "")));
  ASSERT_TRUE(store_->AppendOutcome("01AAAA", OutcomeRecord{}, nullptr));
  EXPECT_TRUE(RunUntil(context_, [&] {
    auto object = Await(context_, client_.Get(kubernetes::Decisions(), "01aaaa"));
    return object && kubernetes::TextAt((*object)["status"].as_object(), "outcome") != "open";
  }));
}

TEST_F(SharedStoreTest, OldDecisionsAreForgottenAndTheRestIsStillAChain) {
  Open("b/1", 10);
  for (int i = 0; i < 30; ++i) {
    const std::string id = "01AAA" + std::to_string(100 + i);
    ASSERT_TRUE(store_->AppendDecision(Rejoin(id), nullptr));
    ASSERT_TRUE(store_->AppendOutcome(id, OutcomeRecord{}, nullptr));
    ASSERT_TRUE(Settle(*store_));
  }
  EXPECT_TRUE(RunUntil(
      context_, [&] { return Objects(kubernetes::Decisions()) <= 11 && store_->Trimmed().index > 0; }));
  EXPECT_EQ(Verify(), "");
  Open("c/1", 10);
  EXPECT_GT(store_->Trimmed().index, 0U);
  EXPECT_EQ(Verify(), "");
  EXPECT_TRUE(store_->ReadRecord("01AAA129"));
  EXPECT_FALSE(store_->ReadRecord("01AAA100"));
}

TEST_F(SharedStoreTest, DecisionThatIsTooLongIsWrittenWithoutAllItsKeys) {
  Decision decision = Rejoin("01AAAA");
  decision.evidence.emplace();
  decision.evidence->tail = Keys(100000);
  // Such that nothing compresses them away.
  std::uint32_t noise = 1;
  for (TouchedKey& key : decision.evidence->tail->keys) {
    for (int i = 0; i < 6; ++i) {
      noise = noise * 1664525U + 1013904223U;
      key.key += std::to_string(noise);
    }
  }
  ASSERT_TRUE(store_->AppendDecision(decision, nullptr));
  ASSERT_TRUE(Settle(*store_));
  const auto record = store_->ReadRecord("01AAAA");
  ASSERT_TRUE(record);
  EXPECT_EQ(record->decision.evidence->tail->keys.size(), 1000U);
  EXPECT_TRUE(record->decision.evidence->tail->truncated);
}

// 1. Somebody deletes the object that says where the log ends. 2. Who leads is told, and begins anew. 3. The
// decisions are there all the same, and so are the groups.
TEST_F(SharedStoreTest, LogWhoseObjectWasDeletedGoesOnBehindTheLastDecisionThatIsKept) {
  const core::GroupState state = State(4);
  ASSERT_TRUE(store_->AppendDecision(Rejoin("01AAAA"), &state));
  ASSERT_TRUE(RunUntil(context_, [&] { return Objects(kubernetes::ReplicationGroups()) == 1; }));
  ASSERT_TRUE(Await(context_, client_.Delete(kubernetes::DecisionLogs(), "walstitch")));
  ASSERT_TRUE(store_->AppendOutcome("01AAAA", OutcomeRecord{}, nullptr));
  EXPECT_FALSE(Settle(*store_));
  EXPECT_EQ(fenced_, "the DecisionLog walstitch was deleted");
  Open("a/2");
  EXPECT_EQ(store_->Head().index, 1U);
  EXPECT_EQ(store_->LoadGroup("shop")->epoch, 4U);
  ASSERT_TRUE(store_->AppendOutcome("01AAAA", OutcomeRecord{}, nullptr));
  EXPECT_TRUE(Settle(*store_));
  EXPECT_EQ(Verify(), "");
}

TEST_F(SharedStoreTest, GroupWhoseStateCannotBeReadIsNotGuessed) {
  Object group = kubernetes::MakeObject(kubernetes::ReplicationGroups(), "shop");
  group["spec"] = Object{{"state", "gone"}};
  ASSERT_TRUE(Await(context_, client_.Create(kubernetes::ReplicationGroups(), group)));
  SharedStoreOptions options{client_, "walstitch", "b/1", 1000, nullptr};
  const auto taken = Await(context_, SharedStore::TakeOver(context_.get_executor(), std::move(options)));
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().Message().substr(0, 24), "replicationgroup shop: g") << taken.error().Message();
}

}  // namespace
}  // namespace walstitch::shell
