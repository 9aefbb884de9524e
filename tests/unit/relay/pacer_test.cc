#include "agents/relay/pacer.h"

#include <gtest/gtest.h>

namespace walstitch::relay {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(Pacer, LetsEverythingPassWithoutALimit) {
  Pacer pacer;
  const Pacer::Time now(seconds(100));
  EXPECT_EQ(pacer.Passed(1U << 30, now), now);
}

TEST(Pacer, HoldsWhatPassesToItsRate) {
  Pacer pacer(1000);
  const Pacer::Time now(seconds(100));
  EXPECT_EQ(pacer.Passed(500, now), now + milliseconds(500));
  EXPECT_EQ(pacer.Passed(500, now), now + milliseconds(1000)) << "another connection of the same full sync";
}

TEST(Pacer, DoesNotCatchUpOnAPause) {
  Pacer pacer(1000);
  const Pacer::Time now(seconds(100));
  pacer.Passed(500, now);
  EXPECT_EQ(pacer.Passed(500, now + seconds(10)), now + seconds(10) + milliseconds(500));
}

}  // namespace
}  // namespace walstitch::relay
