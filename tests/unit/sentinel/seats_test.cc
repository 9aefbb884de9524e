#include "controller/sentinel/seats.h"

#include <gtest/gtest.h>

namespace walstitch::sentinel {
namespace {

constexpr std::int64_t kNow = 100000;

// One that has asked so long ago.
Seat Asked(const std::string& host, std::int64_t ago_ms) {
  Seat seat;
  seat.host = host;
  seat.may_view = seat.has_asked = true;
  seat.asked_ms = kNow - ago_ms;
  return seat;
}

Seat Subscribed(const std::string& host) {
  Seat seat = Asked(host, 50000);
  seat.subscribed = true;
  return seat;
}

Seat Stranger(const std::string& host, std::int64_t ago_ms) {
  Seat seat;
  seat.host = host;
  seat.asked_ms = kNow - ago_ms;
  return seat;
}

TEST(SeatsTest, WhoHasAskedNothingForLongestGoes) {
  EXPECT_EQ(WhoGivesItsPlace({Asked("a", 2000), Asked("a", 3000), Asked("a", 1500)}, kNow), 1U);
  Seat silent = Asked("a", 200);
  silent.has_asked = false;
  EXPECT_EQ(WhoGivesItsPlace({Asked("a", 2000), Asked("a", 3000), silent}, kNow), 2U);
}

TEST(SeatsTest, SoSoonNobodyGoes) {
  EXPECT_EQ(WhoGivesItsPlace({}, kNow), std::nullopt);
  EXPECT_EQ(WhoGivesItsPlace({Asked("a", 999), Stranger("a", 99)}, kNow), std::nullopt);
}

TEST(SeatsTest, StrangersGoBeforeThoseWhoMayAsk) {
  EXPECT_EQ(WhoGivesItsPlace({Asked("a", 500000), Asked("a", 9000), Stranger("b", 150)}, kNow), 2U);
}

TEST(SeatsTest, TheAddressWithTheMostPlacesGivesOne) {
  EXPECT_EQ(WhoGivesItsPlace({Asked("a", 9000), Asked("b", 2000), Asked("b", 3000)}, kNow), 2U);
  EXPECT_EQ(WhoGivesItsPlace({Asked("a", 9000), Asked("b", 10), Asked("b", 20)}, kNow), 0U)
      << "of b nobody goes so soon";
}

TEST(SeatsTest, SubscribersKeepTheirPlacesButNotMoreThanHalfForOneAddress) {
  EXPECT_EQ(WhoGivesItsPlace({Subscribed("a"), Subscribed("b"), Asked("c", 2000)}, kNow), 2U);
  EXPECT_EQ(WhoGivesItsPlace({Subscribed("a"), Subscribed("b"), Subscribed("c")}, kNow), std::nullopt);
  EXPECT_EQ(WhoGivesItsPlace({Asked("c", 10), Subscribed("a"), Subscribed("a")}, kNow), 1U);
  Seat ordering = Subscribed("a");
  ordering.ordering = true;
  EXPECT_EQ(WhoGivesItsPlace({Asked("c", 10), ordering, Subscribed("a")}, kNow), 2U);
}

}  // namespace
}  // namespace walstitch::sentinel
