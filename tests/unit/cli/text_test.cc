#include "controller/cli/text.h"

#include <gtest/gtest.h>

#include "controller/cli/table.h"

namespace walstitch::cli {
namespace {

TEST(Text, TimesAreInUtcToTheMillisecond) {
  EXPECT_EQ(FormatTime(0), "1970-01-01 00:00:00.000 UTC");
  EXPECT_EQ(FormatTime(1763780645678), "2025-11-22 03:04:05.678 UTC");
}

TEST(Text, ATimeOutOfRangeIsGivenAsItIs) {
  EXPECT_EQ(FormatTime(-1), "-1 ms");
  EXPECT_EQ(FormatTime(9223372036854775807), "9223372036854775807 ms");
}

TEST(Text, DurationsAreCutNotRoundedUp) {
  EXPECT_EQ(FormatDuration(0), "0 ms");
  EXPECT_EQ(FormatDuration(999), "999 ms");
  EXPECT_EQ(FormatDuration(1087), "1.0 s");
  EXPECT_EQ(FormatDuration(59999), "59.9 s");
  EXPECT_EQ(FormatDuration(125000), "2 min 5 s");
  EXPECT_EQ(FormatDuration(12000000), "3 h 20 min");
  EXPECT_EQ(FormatDuration(60000), "1 min");
  EXPECT_EQ(FormatDuration(10800000), "3 h");
  EXPECT_EQ(FormatDuration(30 * 3600000LL), "30 h");
  EXPECT_EQ(FormatDuration(52 * 3600000LL + 1), "2 d 4 h");
}

TEST(Text, DurationsAreReadWithTheirUnit) {
  EXPECT_EQ(ParseDuration("500ms").value().count(), 500);
  EXPECT_EQ(ParseDuration("5s").value().count(), 5000);
  EXPECT_EQ(ParseDuration("2m").value().count(), 120000);
  EXPECT_EQ(ParseDuration("24h").value().count(), 86400000);
}

TEST(Text, DurationsThatCouldBeMeantOtherwiseAreRefused) {
  for (const char* text : {"", "5", "s", "-5s", "5 s", "5x", "0s", "25h", "99999999999999999999s", "5s5s"}) {
    EXPECT_FALSE(ParseDuration(text)) << text;
  }
  EXPECT_EQ(ParseDuration("5").error().Message(), "'5' has no unit; say for example 500ms, 5s or 2m");
}

TEST(Text, CountsAgreeWithTheirNouns) {
  EXPECT_EQ(Count(0, "record"), "0 records");
  EXPECT_EQ(Count(1, "record"), "1 record");
  EXPECT_EQ(Count(2, "batch", "batches"), "2 batches");
}

TEST(Text, ControlCharactersDoNotReachTheTerminal) {
  EXPECT_EQ(Clean("a\x1b[31mred"), "a\\x1b[31mred");
  EXPECT_EQ(Clean("two\nlines\t"), "two\\x0alines\\x09");
  EXPECT_EQ(Clean("two\nlines\t", true), "two\nlines\\x09");
  EXPECT_EQ(Clean("c1 \xc2\x9b!"), "c1 \\xc2\\x9b!");
}

TEST(Text, Utf8StaysAndOtherBytesAreShown) {
  EXPECT_EQ(Clean("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80"),
            "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80");
  EXPECT_EQ(Clean("\xff\xc3("), "\\xff\\xc3(");
  EXPECT_EQ(Clean("\xc0\x80"), "\\xc0\\x80");           // overlong
  EXPECT_EQ(Clean("\xed\xa0\x80"), "\\xed\\xa0\\x80");  // surrogate
  EXPECT_EQ(Clean("cut \xe2\x82"), "cut \\xe2\\x82");
}

TEST(Text, WidthCountsCodePoints) {
  EXPECT_EQ(Width("gr\xc3\xbc\xc3\x9f"), 4u);
  EXPECT_EQ(Width("\xff"), 1u);
}

TEST(Text, KvrocksDefaultNamespaceIsCalledDefault) {
  EXPECT_EQ(ShowNamespace("__namespace"), "default");
  EXPECT_EQ(ShowNamespace("cart\x01"), "cart\\x01");
}

TEST(TableTest, ColumnsAlignAndNoLineEndsInBlanks) {
  Table table({{"NAME"}, {"N", Align::kRight}, {"WHAT"}});
  table.AddRow({"gr\xc3\xbc\xc3\x9f", "1", "a"});
  table.AddRow({"longer", "1234", ""});
  EXPECT_EQ(table.Render(2),
            "  NAME       N  WHAT\n"
            "  gr\xc3\xbc\xc3\x9f       1  a\n"
            "  longer  1234\n");
}

TEST(TableTest, AColumnInWhichNothingStandsIsLeftOut) {
  Table table({{"A"}, {"EMPTY"}, {"B"}});
  table.AddRow({"1", "", "2"});
  EXPECT_EQ(table.Render(), "A  B\n1  2\n");
}

TEST(TableTest, NoRowsAreNoTable) { EXPECT_EQ(Table({{"A"}}).Render(), ""); }

TEST(TableTest, ALineFeedInACellDoesNotMakeARow) {
  Table table({{"A"}});
  table.AddRow({"x\ny"});
  EXPECT_EQ(table.Render(), "A\nx\\x0ay\n");
}

}  // namespace
}  // namespace walstitch::cli
