#include "controller/shell/local_store.h"

#include <gtest/gtest.h>

#include "tests/support/environment.h"

namespace walstitch::shell {
namespace {

Decision Rejoin(const std::string& id, const std::string& node) {
  Decision decision;
  decision.id = id;
  decision.group = "shop";
  decision.node = node;
  return decision;
}

class LocalStoreTest : public testing::Test {
 protected:
  void Open() {
    auto opened = LocalStore::Open(directory_.path() + "/store");
    ASSERT_TRUE(opened) << opened.error().Message();
    store_ = std::move(*opened);
  }
  void SetUp() override { Open(); }

  test::TempDirectory directory_;
  std::unique_ptr<LocalStore> store_;
};

TEST_F(LocalStoreTest, AGroupThatWasNeverSeenIsNew) {
  auto state = store_->LoadGroup("shop");
  ASSERT_TRUE(state);
  EXPECT_EQ(state->management, core::Management::kNew);
  EXPECT_EQ(state->epoch, 0U);
}

TEST_F(LocalStoreTest, ADecisionIsOpenUntilItsOutcome) {
  ASSERT_TRUE(store_->AppendDecision(Rejoin("AAAA1", "n1"), nullptr));
  EXPECT_EQ(store_->OpenRecords("shop").size(), 1U);
  EXPECT_EQ(store_->OpenRecords("bank").size(), 0U);
  ASSERT_TRUE(store_->AppendOutcome("AAAA1", OutcomeRecord{}, nullptr));
  EXPECT_EQ(store_->OpenRecords("shop").size(), 0U);
}

TEST_F(LocalStoreTest, LogAndStateSurviveTheProcess) {
  core::GroupState state;
  state.group = "shop";
  state.epoch = 5;
  state.management = core::Management::kManaged;
  ASSERT_TRUE(store_->AppendDecision(Rejoin("AAAA1", "n1"), &state));
  const core::LogHead head = store_->Head();
  store_.reset();
  Open();
  EXPECT_EQ(store_->Head(), head);
  EXPECT_EQ(*store_->LoadGroup("shop"), state);
  EXPECT_EQ(store_->OpenRecords("shop").size(), 1U);
  ASSERT_TRUE(store_->AppendOutcome("AAAA1", OutcomeRecord{}, nullptr));
  auto lines = store_->ReadLog(1, 100);
  ASSERT_TRUE(lines);
  core::ChainVerifier verifier;
  for (const auto& line : *lines) ASSERT_TRUE(verifier.Add(line));
  EXPECT_TRUE(verifier.Finish(store_->Head()));
}

TEST_F(LocalStoreTest, OneControllerAtATime) {
  auto second = LocalStore::Open(directory_.path() + "/store");
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().Message().find("cannot open"), std::string::npos);
}

TEST_F(LocalStoreTest, RecordsComeNewestFirstAndFiltered) {
  for (const std::string id : {"AAAA1", "AAAA2", "BBBB3"}) {
    ASSERT_TRUE(store_->AppendDecision(Rejoin(id, id == "AAAA2" ? "n2" : "n1"), nullptr));
  }
  auto all = store_->ReadRecords("shop", "", 2);
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), 2U);
  EXPECT_EQ((*all)[0].decision.id, "BBBB3");
  EXPECT_EQ(store_->ReadRecords("shop", "n2", 10)->size(), 1U);
  EXPECT_EQ(store_->ReadRecords("bank", "", 10)->size(), 0U);
}

TEST_F(LocalStoreTest, ARecordIsFoundByAnUnambiguousPartOfItsId) {
  ASSERT_TRUE(store_->AppendDecision(Rejoin("AAAA1", "n1"), nullptr));
  ASSERT_TRUE(store_->AppendDecision(Rejoin("AAAA2", "n2"), nullptr));
  EXPECT_EQ(store_->ReadRecord("AAA2")->decision.node, "n2");
  EXPECT_EQ(store_->ReadRecord("AAAA").error().Code(), ErrorCode::kInvalid);
  EXPECT_EQ(store_->ReadRecord("ZZZZ").error().Code(), ErrorCode::kNotFound);
  EXPECT_EQ(store_->ReadRecord("A").error().Code(), ErrorCode::kNotFound);
}

}  // namespace
}  // namespace walstitch::shell
