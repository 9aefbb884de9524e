// The simulator on itself: a short run of it must find nothing, and each deliberate fault of the core must be
// found, by the checker of the rule that it breaks.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/simulation/exhaustive.h"
#include "tests/simulation/mutations.h"
#include "tests/simulation/report.h"
#include "tests/simulation/schedule.h"

namespace walstitch::simulation {
namespace {

RunResult RunSeed(std::uint64_t seed, bool tracing = false) {
  return Run(DrawSetup(seed, {}), seed, tracing);
}

TEST(SimulationTest, RandomSchedulesBreakNothing) {
  std::uint64_t promotions = 0;
  std::uint64_t pads = 0;
  std::uint64_t splices = 0;
  std::uint64_t broken_splices = 0;
  std::uint64_t rescues = 0;
  std::uint64_t borrows = 0;
  std::uint64_t full_syncs = 0;
  for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
    const RunResult result = RunSeed(seed);
    promotions += result.promotions;
    pads += result.pads;
    splices += result.splices;
    broken_splices += result.broken_splices;
    rescues += result.rescues;
    borrows += result.borrows;
    full_syncs += result.full_syncs;
    if (result.violation) FAIL() << DescribeFailure(seed, RunSeed(seed, true), 60);
  }
  // They would find nothing either if nothing happened in them.
  EXPECT_GT(promotions, 700U);
  EXPECT_GT(pads, 0U);
  EXPECT_GT(splices, 20U);
  EXPECT_GT(broken_splices, 2U);
  EXPECT_GT(rescues, 20U);
  EXPECT_GT(borrows, 5U);
  EXPECT_GT(full_syncs, 5U);
}

TEST(SimulationTest, ASeedGivesTheSameRunAgain) {
  for (std::uint64_t seed : {3ULL, 17ULL, 4242ULL}) {
    const RunResult first = RunSeed(seed, true);
    const RunResult again = RunSeed(seed, true);
    EXPECT_EQ(DescribeTrace(first, 0), DescribeTrace(again, 0));
    const RunResult silent = RunSeed(seed);
    EXPECT_EQ(silent.events, first.events) << "tracing changes what happens";
  }
}

TEST(SimulationTest, AFaultAtEachPlaceOfASmallRunBreaksNothing) {
  for (const Scene& scene : SmallScenes()) {
    const ExhaustiveResult result = Enumerate(scene, 7);
    EXPECT_GT(result.runs, 100U) << scene.name;
    EXPECT_EQ(result.failures, 0U) << result.first_failure;
  }
}

TEST(SimulationTest, AMasterThatHasParkedItselfIsReplacedThoughAReplicaHearsItsServer) {
  const std::vector<Scene> scenes = SmallScenes();
  const auto found = std::find_if(scenes.begin(), scenes.end(), [](const Scene& scene) {
    return scene.name == "the master is cut off from the controller and a replica";
  });
  ASSERT_NE(found, scenes.end());
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    const RunResult result = simulation::Run(found->setup, seed, true);
    ASSERT_FALSE(result.violation) << DescribeFailure(seed, result, 60);
    const bool replaced =
        std::any_of(result.trace.begin(), result.trace.end(), [&](const World::TraceLine& line) {
          return line.us > found->from_us && line.us < found->to_us &&
                 line.text.find("server becomes a master") != std::string::npos;
        });
    ASSERT_TRUE(replaced) << "only after all was healed\n" << DescribeTrace(result, 60);
  }
}

class MutationTest : public testing::TestWithParam<NamedMutation> {
 protected:
  ~MutationTest() override { core::active_mutation = core::Mutation::kNone; }
};

TEST_P(MutationTest, IsFoundByTheCheckerOfItsInvariant) {
  core::active_mutation = GetParam().mutation;
  DrawOptions options;
  options.only = GetParam().invariant;  // what it breaks besides is no matter here
  for (std::uint64_t seed = 1; seed <= 3000; ++seed) {
    if (simulation::Run(DrawSetup(seed, options), seed, false).violation) return;
  }
  FAIL() << GetParam().name << " was not found in 3000 schedules";
}

INSTANTIATE_TEST_SUITE_P(All, MutationTest, testing::ValuesIn(AllMutations()),
                         [](const testing::TestParamInfo<NamedMutation>& tested) {
                           std::string name(tested.param.name);
                           for (char& letter : name) {
                             if (letter == '-') letter = '_';
                           }
                           return name;
                         });

}  // namespace
}  // namespace walstitch::simulation
