#include "agents/wal/kvrocks_keys.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>

namespace walstitch::wal {
namespace {

using namespace std::string_literals;

// Golden bytes, written out by hand from Kvrocks' encoding.
const std::string kMetadata = "\x0b__namespaceuser:1"s;
const std::string kMetadataSlot = "\x0b__namespace\x12\x34user:1"s;
const std::string kHashField =
    "\x0b__namespace\x00\x00\x00\x06user:1\x00\x0b\x16\x21\x2c\x37\x42\x4d"s
    "field"s;
const std::string kHashFieldSlot =
    "\x0b__namespace\x12\x34\x00\x00\x00\x06user:1\x00\x0b\x16\x21\x2c\x37\x42\x4d"s
    "field"s;

TEST(KvrocksKeysTest, MetadataKey) {
  EXPECT_EQ(ParseMetadataKey(kMetadata, false), (UserKey{"__namespace", "user:1"}));
  EXPECT_EQ(ParseMetadataKey(kMetadataSlot, true), (UserKey{"__namespace", "user:1"}));
}

TEST(KvrocksKeysTest, AnEmptyUserKeyIsOne) {
  EXPECT_EQ(ParseMetadataKey("\x02ns"s, false), (UserKey{"ns", ""}));
}

TEST(KvrocksKeysTest, Subkey) {
  for (const bool slot : {false, true}) {
    const auto subkey = ParseSubkey(slot ? kHashFieldSlot : kHashField, slot);
    ASSERT_TRUE(subkey);
    EXPECT_EQ(subkey->user_key, (UserKey{"__namespace", "user:1"}));
    EXPECT_EQ(subkey->version, 0x000b16212c37424dU);
    EXPECT_EQ(subkey->rest, "field");
  }
}

TEST(KvrocksKeysTest, ASubkeyCutOffIsNoUserKey) {
  for (const bool slot : {false, true}) {
    const std::string& whole = slot ? kHashFieldSlot : kHashField;
    for (std::size_t length = 0; length < whole.size() - 5; ++length) {
      EXPECT_FALSE(ParseSubkey(whole.substr(0, length), slot)) << length;
    }
  }
}

TEST(KvrocksKeysTest, AMetadataKeyCutOffIsNoUserKey) {
  for (std::size_t length = 0; length < 12; ++length) {
    EXPECT_FALSE(ParseMetadataKey(kMetadata.substr(0, length), false)) << length;
    EXPECT_FALSE(ParseMetadataKey(kMetadataSlot.substr(0, length + 2), true)) << length;
  }
}

TEST(KvrocksKeysTest, ANamespaceOfLengthZeroIsNoUserKey) {
  EXPECT_FALSE(ParseMetadataKey("\x00\xff\xffwalstitch"s, false));
  EXPECT_FALSE(ParseSubkey("\x00\x00\x00\x00\x01k12345678"s, false));
}

TEST(KvrocksKeysTest, AKeyLengthNearTheLimitDoesNotWrapAround) {
  EXPECT_FALSE(ParseSubkey("\x01n\xff\xff\xff\xffkkkkkkkkkkkkkkkk"s, false));
  EXPECT_FALSE(ParseSubkey("\x01n\xff\xff\xff\xf8kkkkkkkkkkkkkkkk"s, false));
}

TEST(KvrocksKeysTest, MetadataTypes) {
  EXPECT_EQ(MetadataType("\x81"s + std::string(8, '\0') + "value"), "string");
  EXPECT_EQ(MetadataType("\x02"s), "hash");
  EXPECT_EQ(MetadataType("\x83"s), "list");
  EXPECT_EQ(MetadataType("\x84"s), "set");
  EXPECT_EQ(MetadataType("\x85"s), "zset");
  EXPECT_EQ(MetadataType("\x86"s), "bitmap");
  EXPECT_EQ(MetadataType("\x87"s), "sortedint");
  EXPECT_EQ(MetadataType("\x88"s), "stream");
  EXPECT_EQ(MetadataType("\x89"s), "MBbloom--");
  EXPECT_EQ(MetadataType("\x8a"s), "ReJSON-RL");
  EXPECT_EQ(MetadataType("\x8b"s), "hyperloglog");
  EXPECT_EQ(MetadataType("\x8c"s), "TDIS-TYPE");
  EXPECT_FALSE(MetadataType("\x80"s));
  EXPECT_FALSE(MetadataType("\x8f"s));
  EXPECT_FALSE(MetadataType(""));
}

TEST(KvrocksKeysTest, LogDataTypes) {
  EXPECT_EQ(LogDataType("2"), "hash");
  EXPECT_EQ(LogDataType("3 6"), "list");
  EXPECT_EQ(LogDataType("10 x"), "ReJSON-RL");
  EXPECT_FALSE(LogDataType("0 8"));
  EXPECT_FALSE(LogDataType("99"));
  EXPECT_FALSE(LogDataType("258"));
  EXPECT_FALSE(LogDataType(""));
  EXPECT_FALSE(LogDataType(" 2"));
  EXPECT_FALSE(LogDataType("r 0123456789ABCDEF"));
}

TEST(KvrocksKeysTest, ColumnFamilyNames) {
  EXPECT_EQ(ColumnFamilyName(0), "default");
  EXPECT_EQ(ColumnFamilyName(6), "search");
  EXPECT_EQ(ColumnFamilyName(7), "unknown");
}

RC_GTEST_PROP(KvrocksKeysProperty, RandomBytesNeverCrash, (const std::string& bytes, bool slot)) {
  (void)ParseMetadataKey(bytes, slot);
  (void)ParseSubkey(bytes, slot);
  (void)MetadataType(bytes);
  (void)LogDataType(bytes);
}

}  // namespace
}  // namespace walstitch::wal
