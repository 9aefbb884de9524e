#include "policies/model/bytes.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace walstitch {
namespace {

TEST(Bytes, PrintableKeepsAsciiAndEscapesTheRest) {
  EXPECT_EQ(ToPrintable("page:1 ~"), "page:1 ~");
  EXPECT_EQ(ToPrintable("a\\b"), "a\\\\b");
  EXPECT_EQ(ToPrintable(std::string_view("\0\n\x7f\xff", 4)), "\\x00\\x0a\\x7f\\xff");
}

TEST(Bytes, TextThatNoPrintableFormIsIsRefusedWithItsPlace) {
  EXPECT_EQ(FromPrintable("ab\\q").error().Message(),
            "printable text, character 3: a backslash that begins neither \\\\ nor \\xHH");
  EXPECT_FALSE(FromPrintable("\\"));
  EXPECT_FALSE(FromPrintable("\\x1"));
  EXPECT_FALSE(FromPrintable("\\xg0"));
  EXPECT_FALSE(FromPrintable("a\nb"));
  EXPECT_FALSE(FromPrintable("caf\xc3\xa9"));
}

RC_GTEST_PROP(Bytes, PrintableIsReversible, (const std::string& bytes)) {
  auto back = FromPrintable(ToPrintable(bytes));
  RC_ASSERT(back.has_value());
  RC_ASSERT(*back == bytes);
}

RC_GTEST_PROP(Bytes, HexIsReversible, (const std::string& bytes)) {
  auto back = FromHex(ToHex(bytes));
  RC_ASSERT(back.has_value());
  RC_ASSERT(*back == bytes);
}

RC_GTEST_PROP(Bytes, Base64IsReversible, (const std::string& bytes)) {
  auto back = FromBase64(ToBase64(bytes));
  RC_ASSERT(back.has_value());
  RC_ASSERT(*back == bytes);
}

RC_GTEST_PROP(Bytes, OneTextOfBase64StandsForSomeBytes, ()) {
  // Texts of few digits, so that many of them are valid.
  const auto text = *rc::gen::container<std::string>(rc::gen::elementOf(std::string("AQgw/=")));
  auto bytes = FromBase64(text);
  if (bytes) RC_ASSERT(ToBase64(*bytes) == text);
}

TEST(Bytes, Base64IsThatOfTheStandard) {
  EXPECT_EQ(ToBase64(""), "");
  EXPECT_EQ(ToBase64("f"), "Zg==");
  EXPECT_EQ(ToBase64("fo"), "Zm8=");
  EXPECT_EQ(ToBase64("foo"), "Zm9v");
  EXPECT_EQ(ToBase64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(ToBase64("\xfb\xff\xfe"), "+//+");
}

TEST(Bytes, Base64IsReadStrictly) {
  for (const char* text :
       {"Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "Zg==Zg==", "Zm 9", "Zm-_", "Zm9v\n"}) {
    EXPECT_FALSE(FromBase64(text)) << text;
  }
  EXPECT_EQ(FromBase64("Zm9!").error().Message(), "base64: character 4 is not a digit of it");
}

RC_GTEST_PROP(Bytes, AnyTextEndsInBytesOrAnError, (const std::string& text)) {
  auto printable = FromPrintable(text);
  if (printable) RC_ASSERT(printable->size() <= text.size());
  auto base64 = FromBase64(text);
  if (base64) RC_ASSERT(base64->size() <= text.size());
  auto hex = FromHex(text);
  if (hex) RC_ASSERT(hex->size() * 2 == text.size());
}

TEST(Bytes, HexTakesEitherCase) {
  EXPECT_EQ(*FromHex("00fFA0"), std::string("\x00\xff\xa0", 3));
  EXPECT_EQ(FromHex("0").error().Message(), "hex: 1 digits; expected an even number of them");
  EXPECT_EQ(FromHex("0z").error().Message(), "hex: character 2 is not a hexadecimal digit");
}

TEST(Bytes, Sha256IsThatOfTheStandard) {
  EXPECT_EQ(Sha256Hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256Hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Sha256("abc")[0], 0xba);
}

TEST(Bytes, BytesForPeople) {
  EXPECT_EQ(HumanBytes(0), "0 B");
  EXPECT_EQ(HumanBytes(1023), "1023 B");
  EXPECT_EQ(HumanBytes(1024), "1 KiB");
  EXPECT_EQ(HumanBytes(1536), "1.5 KiB");
  EXPECT_EQ(HumanBytes((1 << 20) - 1), "1 MiB");
  EXPECT_EQ(HumanBytes(64 << 20), "64 MiB");
  EXPECT_EQ(HumanBytes(UINT64_MAX), "16 EiB");
}

}  // namespace
}  // namespace walstitch
