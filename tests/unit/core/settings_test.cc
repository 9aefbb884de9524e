#include "controller/core/settings.h"

#include <gtest/gtest.h>

namespace walstitch::core {
namespace {

std::string ProblemOf(const FailoverSettings& settings) {
  auto problem = CheckSettings(settings);
  if (!problem) return "none";
  return std::string(problem->settings.front()) + ": " + problem->sentence;
}

TEST(Settings, TheDefaultsFitTogether) { EXPECT_EQ(ProblemOf({}), "none"); }

TEST(Settings, ALeaseThatCannotBeKeptIsRefusedAtTheSettingThatIsWrong) {
  FailoverSettings settings;
  settings.lease = {499, 10, 300};
  EXPECT_EQ(ProblemOf(settings),
            "lease.duration: lease.duration: a lease lasts from 500 ms to 10 minutes, not 499 ms");
  settings.lease = {3000, 101, 300};
  EXPECT_EQ(
      ProblemOf(settings),
      "lease.drift: lease.drift: the clocks' drift is bounded by 0 to 100 thousandths, not 101 (1% is 10 "
      "thousandths)");
  settings.lease = {3000, 10, 1500};
  EXPECT_EQ(ProblemOf(settings),
            "lease.park: lease: of a lease of 3000 ms, a park time of 1500 ms and the drift leave the master "
            "less than half; expected a longer lease.duration or a shorter lease.park");
}

TEST(Settings, ALeaseWithoutAllowanceIsRefused) {
  FailoverSettings settings;
  settings.lease = {3000, 0, 300};
  EXPECT_EQ(ProblemOf(settings),
            "lease.drift: lease.drift is 0%, but no two clocks agree: time servers alone make them differ by "
            "up to 0.1%; expected 0.1% to 10%");
  settings.lease.drift_permille = 1;
  EXPECT_EQ(ProblemOf(settings), "none");
  settings.lease.park_ms = 49;
  EXPECT_EQ(ProblemOf(settings),
            "lease.park: lease.park is 49ms, in which a busy server may not be parked: it would take writes "
            "after its lease; expected at least 50ms");
  settings.lease.park_ms = 50;
  EXPECT_EQ(ProblemOf(settings), "none");
}

// A lease of 3 s with 1% and 300 ms is renewed every 667 ms, and is over for sure after 3030 ms.
TEST(Settings, WhatIsShorterThanTheLeaseAllowsIsRefusedWithTheLeastThatFits) {
  struct Case {
    std::int64_t FailoverSettings::*field;
    std::int64_t least;
    const char* problem;
  };
  const Case cases[] = {
      {&FailoverSettings::unreachable_ms, 667,
       "failover.unreachableAfter: failover.unreachableAfter is 666ms, but under a lease of 3s an agent may "
       "be "
       "silent for 667ms between two renewals; expected at least 667ms, or a shorter lease.duration"},
      {&FailoverSettings::hung_ms, 667,
       "failover.hungAfter: failover.hungAfter is 666ms, but under a lease of 3s what is known of a server "
       "may "
       "be 667ms old, and one late answer is no hung server; expected at least 667ms, or a shorter "
       "lease.duration"},
      {&FailoverSettings::stuck_feed_ms, 1334,
       "failover.stuckFeedAfter: failover.stuckFeedAfter is 1333ms, but under a lease of 3s a master's "
       "report "
       "and its replica's may be made 1334ms apart; expected at least 1334ms, or a shorter lease.duration"},
      {&FailoverSettings::block_ms, 3030,
       "failover.blockAfter: failover.blockAfter is 3029ms, but under a lease of 3s nobody can be promoted "
       "for "
       "3030ms after a failover anyway: it would block nothing; expected at least 3030ms, or a shorter "
       "lease.duration"},
  };
  for (const Case& one : cases) {
    FailoverSettings settings;
    settings.*one.field = one.least;
    EXPECT_EQ(ProblemOf(settings), "none");
    settings.*one.field = one.least - 1;
    EXPECT_EQ(ProblemOf(settings), one.problem);
  }
}

TEST(Settings, EveryProblemOfALongerLeaseNamesTheLeaseToo) {
  FailoverSettings settings;
  settings.lease.duration_ms = 10000;
  auto problem = CheckSettings(settings);
  ASSERT_TRUE(problem);
  EXPECT_EQ(problem->settings,
            (std::vector<std::string_view>{"failover.unreachableAfter", "lease.duration"}));
}

}  // namespace
}  // namespace walstitch::core
