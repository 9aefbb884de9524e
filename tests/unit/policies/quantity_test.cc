#include "policies/quantity.h"

#include <gtest/gtest.h>

#include <string>

namespace walstitch {
namespace {

template <typename T>
std::string Shown(const Quantity<T>& quantity) {
  if (quantity) return std::to_string(*quantity);
  return quantity.error() == QuantityProblem::kTooLarge ? "too large" : "malformed";
}

TEST(Quantity, AWholeNumberIsDigitsAndNothingElse) {
  EXPECT_EQ(Shown(WholeFromText("0")), "0");
  EXPECT_EQ(Shown(WholeFromText("18446744073709551615")), "18446744073709551615");
  EXPECT_EQ(Shown(WholeFromText("18446744073709551616")), "too large");
  for (const char* text : {"", "-1", "+1", " 1", "1 ", "1.0", "010", "0x1", "1k", "one"}) {
    EXPECT_EQ(Shown(WholeFromText(text)), "malformed") << text;
  }
}

TEST(Quantity, BytesMayHaveAUnit) {
  EXPECT_EQ(Shown(ByteCountFromText("7")), "7");
  EXPECT_EQ(Shown(ByteCountFromText("2k")), "2000");
  EXPECT_EQ(Shown(ByteCountFromText("64Mi")), std::to_string(64 << 20));
  EXPECT_EQ(Shown(ByteCountFromText("16777215Ti")), std::to_string(16777215ULL << 40));
  EXPECT_EQ(Shown(ByteCountFromText("16777216Ti")), "too large");
  for (const char* text : {"", "Mi", "64mi", "64 Mi", "64MiB", "1.5Gi", "64K"}) {
    EXPECT_EQ(Shown(ByteCountFromText(text)), "malformed") << text;
  }
}

TEST(Quantity, ATimeNeedsItsUnit) {
  EXPECT_EQ(Shown(MillisecondsFromText("0s")), "0");
  EXPECT_EQ(Shown(MillisecondsFromText("1500ms")), "1500");
  EXPECT_EQ(Shown(MillisecondsFromText("3s")), "3000");
  EXPECT_EQ(Shown(MillisecondsFromText("10m")), "600000");
  EXPECT_EQ(Shown(MillisecondsFromText("1h")), "3600000");
  EXPECT_EQ(Shown(MillisecondsFromText("9223372036854775807ms")), "9223372036854775807");
  EXPECT_EQ(Shown(MillisecondsFromText("9223372036854775808ms")), "too large");
  EXPECT_EQ(Shown(MillisecondsFromText("9223372036854775807s")), "too large");
  for (const char* text : {"", "3", "s", "3 s", "1.5s", "3S", "1d", "3sec", "1h30m"}) {
    EXPECT_EQ(Shown(MillisecondsFromText(text)), "malformed") << text;
  }
}

TEST(Quantity, ATimeIsWrittenInTheLargestUnitThatSaysItExactly) {
  EXPECT_EQ(DurationText(0), "0s");
  EXPECT_EQ(DurationText(1500), "1500ms");
  EXPECT_EQ(DurationText(90000), "90s");
  EXPECT_EQ(DurationText(600000), "10m");
  EXPECT_EQ(DurationText(7200000), "2h");
  for (std::int64_t ms : {1, 999, 1000, 60000, 61000, 3600000, 86400000}) {
    EXPECT_EQ(MillisecondsFromText(DurationText(ms)), ms);
  }
}

TEST(Quantity, APercentageHasAtMostOneDecimal) {
  EXPECT_EQ(Shown(PermilleFromText("0%")), "0");
  EXPECT_EQ(Shown(PermilleFromText("1%")), "10");
  EXPECT_EQ(Shown(PermilleFromText("0.5%")), "5");
  EXPECT_EQ(Shown(PermilleFromText("2.5%")), "25");
  EXPECT_EQ(Shown(PermilleFromText("100.0%")), "1000");
  EXPECT_EQ(Shown(PermilleFromText("100.1%")), "too large");
  EXPECT_EQ(Shown(PermilleFromText("101%")), "too large");
  for (const char* text : {"", "%", "1", "1 %", "0.25%", "1.%", ".5%", "-1%", "01%", "1,5%"}) {
    EXPECT_EQ(Shown(PermilleFromText(text)), "malformed") << text;
  }
}

}  // namespace
}  // namespace walstitch
