#include "controller/core/deliveries.h"

#include <gtest/gtest.h>

namespace walstitch::core {
namespace {

Notice Of(const std::string& group, const std::string& id, std::size_t bytes = 2) {
  Notice notice;
  notice.group = group;
  notice.id = id;
  notice.body = std::string(bytes, 'x');
  return notice;
}

std::string NextId(Deliveries& deliveries, std::int64_t now_ms) {
  const auto attempt = deliveries.Next(now_ms);
  return attempt ? attempt->id : "";
}

TEST(DeliveriesTest, NoticesOfAGroupGoOneAfterTheOther) {
  Deliveries deliveries;
  deliveries.Put(Of("shop", "a"), 0);
  deliveries.Put(Of("shop", "b"), 0);
  EXPECT_EQ(NextId(deliveries, 0), "a");
  EXPECT_EQ(NextId(deliveries, 0), "");
  deliveries.Ended("a", Taking::kTaken, "", std::nullopt, 10, 0);
  EXPECT_EQ(NextId(deliveries, 10), "b");
}

TEST(DeliveriesTest, NextIsNotTriedBeforeTheOneBeforeItWasTaken) {
  Deliveries deliveries;
  deliveries.Put(Of("shop", "a"), 0);
  deliveries.Put(Of("shop", "b"), 0);
  EXPECT_EQ(NextId(deliveries, 0), "a");
  deliveries.Ended("a", Taking::kAgain, "refused", std::nullopt, 0, 1);
  EXPECT_EQ(NextId(deliveries, 999), "");
  EXPECT_EQ(deliveries.NextMs(), 1000);
  const auto again = deliveries.Next(1000);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->id, "a");
  EXPECT_EQ(again->number, 2U);
}

TEST(DeliveriesTest, GroupsDoNotWaitForEachOther) {
  Deliveries deliveries;
  deliveries.Put(Of("shop", "a"), 0);
  deliveries.Put(Of("bank", "b"), 0);
  EXPECT_EQ(NextId(deliveries, 0), "a");
  EXPECT_EQ(NextId(deliveries, 0), "b");
}

TEST(DeliveriesTest, NoMoreAreSentAtOnceThanMayBe) {
  DeliveryTerms terms;
  terms.max_at_once = 2;
  Deliveries deliveries(terms);
  for (const std::string group : {"a", "b", "c"}) deliveries.Put(Of(group, group), 0);
  EXPECT_EQ(NextId(deliveries, 0), "a");
  EXPECT_EQ(NextId(deliveries, 0), "b");
  EXPECT_EQ(NextId(deliveries, 0), "");
  EXPECT_FALSE(deliveries.NextMs());
  deliveries.Ended("b", Taking::kTaken, "", std::nullopt, 0, 0);
  EXPECT_EQ(NextId(deliveries, 0), "c");
}

TEST(DeliveriesTest, TimeBetweenAttemptsDoublesUpToItsBoundAndIsShortenedByChance) {
  Deliveries deliveries;
  deliveries.Put(Of("shop", "a"), 0);
  std::int64_t now = 0;
  std::vector<std::int64_t> waits;
  for (int i = 0; i < 8; ++i) {
    ASSERT_EQ(NextId(deliveries, now), "a");
    deliveries.Ended("a", Taking::kAgain, "no", std::nullopt, now, i == 7 ? 0 : 1);
    waits.push_back(*deliveries.NextMs() - now);
    now = *deliveries.NextMs();
  }
  EXPECT_EQ(waits, (std::vector<std::int64_t>{1000, 2000, 4000, 8000, 16000, 32000, 60000, 30000}));
}

TEST(DeliveriesTest, ReceiverMayAskForMoreTime) {
  Deliveries deliveries;
  deliveries.Put(Of("shop", "a"), 0);
  (void)deliveries.Next(0);
  deliveries.Ended("a", Taking::kAgain, "busy", 20000, 0, 1);
  EXPECT_EQ(deliveries.NextMs(), 20000);
  (void)deliveries.Next(20000);
  deliveries.Ended("a", Taking::kAgain, "busy", 86400000, 20000, 1);
  EXPECT_EQ(deliveries.NextMs(), 320000);
}

TEST(DeliveriesTest, OneThatIsTooOldIsGivenUpWhenItIsNotTaken) {
  Deliveries deliveries;
  deliveries.Put(Of("shop", "a"), 0);
  deliveries.Put(Of("shop", "b"), 0);
  (void)deliveries.Next(0);
  deliveries.Ended("a", Taking::kAgain, "no", std::nullopt, 3600000, 1);
  EXPECT_EQ(NextId(deliveries, 3600000), "b");
  EXPECT_EQ(deliveries.Counts().dropped, 1U);
}

TEST(DeliveriesTest, OneThatWillNeverBeTakenDoesNotHoldTheNextBack) {
  Deliveries deliveries;
  deliveries.Put(Of("shop", "a"), 0);
  deliveries.Put(Of("shop", "b"), 0);
  (void)deliveries.Next(0);
  deliveries.Ended("a", Taking::kRefused, "400", std::nullopt, 0, 1);
  EXPECT_EQ(NextId(deliveries, 0), "b");
}

TEST(DeliveriesTest, FullQueueDropsTheOldestThatIsNotBeingSent) {
  DeliveryTerms terms;
  terms.max_waiting = 2;
  Deliveries deliveries(terms);
  deliveries.Put(Of("shop", "a"), 0);
  (void)deliveries.Next(0);
  deliveries.Put(Of("shop", "b"), 0);
  deliveries.Put(Of("bank", "c"), 0);
  EXPECT_EQ(deliveries.Counts().dropped, 1U);
  EXPECT_EQ(deliveries.Counts().waiting, 2U);
  deliveries.Ended("a", Taking::kTaken, "", std::nullopt, 0, 0);
  EXPECT_EQ(NextId(deliveries, 0), "c");
  EXPECT_EQ(NextId(deliveries, 0), "");
}

TEST(DeliveriesTest, MemoryOfTheWaitingIsBounded) {
  DeliveryTerms terms;
  terms.max_bytes = 1000;
  Deliveries deliveries(terms);
  for (int i = 0; i < 100; ++i) deliveries.Put(Of("shop", std::to_string(i), 300), 0);
  EXPECT_EQ(deliveries.Counts().waiting, 3U);
  EXPECT_EQ(NextId(deliveries, 0), "97");
}

TEST(DeliveriesTest, SameNoticeWaitsOnce) {
  Deliveries deliveries;
  deliveries.Put(Of("shop", "a"), 0);
  deliveries.Put(Of("shop", "a"), 0);
  EXPECT_EQ(deliveries.Counts().waiting, 1U);
}

TEST(DeliveriesTest, CountsTellWhatBecameOfThem) {
  Deliveries deliveries;
  deliveries.Put(Of("shop", "a"), 0);
  (void)deliveries.Next(0);
  deliveries.Ended("a", Taking::kAgain, "refused", std::nullopt, 0, 0);
  EXPECT_EQ(deliveries.Counts().failed, 1U);
  EXPECT_EQ(deliveries.Counts().problem, "refused");
  (void)deliveries.Next(100000);
  deliveries.Ended("a", Taking::kTaken, "", std::nullopt, 100000, 0);
  EXPECT_EQ(deliveries.Counts().sent, 1U);
  EXPECT_EQ(deliveries.Counts().waiting, 0U);
  EXPECT_EQ(deliveries.Counts().problem, "");
  EXPECT_FALSE(deliveries.NextMs());
}

TEST(DeliveriesTest, StatusSaysWhetherToTryAgain) {
  for (const int status : {200, 201, 204, 299}) EXPECT_EQ(JudgeStatus(status), Taking::kTaken) << status;
  for (const int status : {301, 302, 307, 401, 403, 404, 408, 429, 500, 503})
    EXPECT_EQ(JudgeStatus(status), Taking::kAgain) << status;
  for (const int status : {400, 410, 413, 415, 422})
    EXPECT_EQ(JudgeStatus(status), Taking::kRefused) << status;
}

TEST(DeliveriesTest, RetryAfterIsReadInSecondsOnly) {
  EXPECT_EQ(RetryAfterMs("120"), 120000);
  EXPECT_EQ(RetryAfterMs(""), std::nullopt);
  EXPECT_EQ(RetryAfterMs("-1"), std::nullopt);
  EXPECT_EQ(RetryAfterMs("Wed, 21 Oct 2015 07:28:00 GMT"), std::nullopt);
  EXPECT_EQ(RetryAfterMs("99999999999999999999"), std::nullopt);
}

TEST(DeliveriesTest, SignatureHasOneForEachSecret) {
  // printf '1700000000.{}' | openssl dgst -sha256 -hmac first-secret
  EXPECT_EQ(SignatureField({"first-secret"}, 1700000000, "{}"),
            "t=1700000000,v1=ed381a7a78a03493037b7328a4d5e7099223df7cd5e93c0dc82216216490214d");
  EXPECT_EQ(SignatureField({"first-secret", std::string(100, 'k')}, 1700000000, "{}"),
            "t=1700000000,v1=ed381a7a78a03493037b7328a4d5e7099223df7cd5e93c0dc82216216490214d"
            ",v1=246744db1b92fde5a79e3f247a79cda0568f4bf337d5b4c24a5e8cfa1969b8fd");
}

}  // namespace
}  // namespace walstitch::core
