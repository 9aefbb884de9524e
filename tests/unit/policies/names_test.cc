#include "policies/model/names.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>

#include "policies/model/command.h"
#include "policies/model/reason_codes.h"
#include "policies/model/types.h"

namespace walstitch {
namespace {

template <typename Enum>
class Names : public testing::Test {};

using Enums = testing::Types<ErrorCode, Tolerance, Verdict, OnLimit, OnEndangered, SalvageRule, ProcessState,
                             Role, FullSyncState, RelayState, Outcome, ForkProof, DecisionKind>;
TYPED_TEST_SUITE(Names, Enums);

TYPED_TEST(Names, EveryValueHasAStringOfItsOwnAndIsReadBackFromIt) {
  std::set<std::string_view> seen;
  for (TypeParam value : AllValues<TypeParam>()) {
    EXPECT_TRUE(seen.insert(ToString(value)).second) << ToString(value);
    EXPECT_EQ(FromString<TypeParam>(ToString(value)), value);
  }
}

TYPED_TEST(Names, AnyOtherTextIsNoValue) {
  EXPECT_EQ(FromString<TypeParam>(""), std::nullopt);
  EXPECT_EQ(FromString<TypeParam>("Unknown "), std::nullopt);
}

TEST(NameStrings, AreThoseOfTheDesign) {
  EXPECT_EQ(NameList<Tolerance>(), "ignore, evict, repair, fullsync");
  EXPECT_EQ(NameList<Verdict>(), "aligned, spliced, padded, full, hold");
  EXPECT_EQ(NameList<Outcome>(), "done, failed, unknown");
  EXPECT_EQ(NameList<ForkProof>(), "unknown, recorded promotion, same stream, equal batches");
  EXPECT_EQ(NameList<RelayState>(), "idle, parked, padding, splicing, following, rescuing, fullsync");
}

TEST(NameStrings, EveryActionHasAName) {
  EXPECT_EQ(ActionName(ParkAction{}), "park");
  EXPECT_EQ(ActionName(PromoteAction{}), "promote");
  EXPECT_EQ(ActionName(PadAction{}), "pad");
  EXPECT_EQ(ActionName(FollowAction{}), "follow");
  EXPECT_EQ(ActionName(FullSyncAction{}), "full_sync");
  EXPECT_EQ(ActionName(AdoptMasterAction{}), "adopt_master");
  EXPECT_EQ(ActionName(ReleaseAction{}), "release");
  EXPECT_EQ(ActionName(AdvanceAction{}), "advance");
  EXPECT_EQ(ActionName(SpliceAction{}), "splice");
}

TEST(TypeNames, TheOddOnesHaveEverydayNamesToo) {
  EXPECT_EQ(CanonicalTypeName("hash"), "hash");
  EXPECT_EQ(CanonicalTypeName("bloom"), "MBbloom--");
  EXPECT_EQ(CanonicalTypeName("json"), "ReJSON-RL");
  EXPECT_EQ(CanonicalTypeName("Hash"), std::nullopt);
}

TEST(ReasonCodes, TheTableOfTheReadmeListsEachOnce) {
  std::ifstream in(WALSTITCH_POLICIES_DIR "/README.md");
  ASSERT_TRUE(in);
  std::multiset<std::string> rows;
  std::string line;
  bool in_section = false;
  while (std::getline(in, line)) {
    if (line.starts_with("## ")) in_section = line == "## Reason codes";
    if (in_section && line.starts_with("| `")) rows.insert(line.substr(3, line.find('`', 3) - 3));
  }
  std::multiset<std::string> codes;
  for (std::string_view code : reason::kAll) codes.emplace(code);
  EXPECT_EQ(rows, codes);
}

}  // namespace
}  // namespace walstitch
