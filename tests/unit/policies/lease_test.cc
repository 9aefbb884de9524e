#include "policies/model/lease.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <boost/json.hpp>

#include "policies/model/json.h"

namespace walstitch {
namespace {

TEST(LeaseTest, TheHolderParksBeforeTheGrantorPromotes) {
  const LeaseTerms terms;
  EXPECT_EQ(HolderDeadline(1000, terms), 1000 + 2970 - 300);
  EXPECT_EQ(GrantorDeadline(1000, terms), 1000 + 3030);
}

// True time in microseconds; each clock runs at its own rate within the bound.
RC_GTEST_PROP(LeaseTest, NoMessageDelayAndNoDriftWithinTheBoundLetsTheTwoOverlap, ()) {
  LeaseTerms terms;
  terms.duration_ms = *rc::gen::inRange(500, 60000);
  terms.drift_permille = *rc::gen::inRange(0, 101);
  terms.park_ms = *rc::gen::inRange<std::int64_t>(0, terms.duration_ms / 4);
  RC_PRE(CheckTerms(terms).has_value());
  const auto holder_rate = 1000 + *rc::gen::inRange(-terms.drift_permille, terms.drift_permille + 1);
  const auto grantor_rate = 1000 + *rc::gen::inRange(-terms.drift_permille, terms.drift_permille + 1);
  const std::int64_t delay_ms = *rc::gen::inRange(0, 100000);  // between the report and the grant

  const auto true_time = [](std::int64_t local_ms, std::int64_t rate) { return local_ms * 1000000 / rate; };
  const std::int64_t parks = true_time(HolderDeadline(0, terms), holder_rate);
  const std::int64_t parked_at_last = true_time(HolderDeadline(0, terms) + terms.park_ms, holder_rate);
  const std::int64_t promotes = delay_ms * 1000 + true_time(GrantorDeadline(0, terms), grantor_rate);
  RC_ASSERT(parks <= promotes);
  RC_ASSERT(parked_at_last <= promotes + 1000);  // rounding of a millisecond
}

TEST(LeaseTest, SeveralRenewalsMayBeLost) {
  const LeaseTerms terms;
  EXPECT_LE(4 * RenewInterval(terms), HolderDeadline(0, terms));
}

TEST(LeaseTest, UnsafeTermsAreRefused) {
  EXPECT_TRUE(CheckTerms({}));
  EXPECT_FALSE(CheckTerms({.duration_ms = 499}));
  EXPECT_FALSE(CheckTerms({.duration_ms = 601000}));
  EXPECT_FALSE(CheckTerms({.drift_permille = 101}));
  EXPECT_FALSE(CheckTerms({.drift_permille = -1}));
  EXPECT_FALSE(CheckTerms({.duration_ms = 1000, .park_ms = 600}));
  EXPECT_FALSE(CheckTerms({.park_ms = -1}));
}

TEST(LeaseTest, ALeaseAndAPromiseSurviveTheirJson) {
  LeaseGrant grant{"shop", "n1", 7, "b00", 123456, {}, {{"n2", "http://10.0.0.2:7667"}}};
  EXPECT_EQ(*LeaseGrantFromJson(ToJson(grant)), grant);
  PromiseRequest request{"shop", "n1", "n2", 7, {}};
  EXPECT_EQ(*PromiseRequestFromJson(ToJson(request)), request);
  PromiseAnswer answer{false, 8, "n2 has seen epoch 8"};
  EXPECT_EQ(*PromiseAnswerFromJson(ToJson(answer)), answer);
}

}  // namespace
}  // namespace walstitch
