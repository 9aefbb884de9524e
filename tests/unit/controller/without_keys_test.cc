#include "controller/api/without_keys.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace walstitch::api {
namespace {

std::string Shown(const char* json) {
  boost::json::value value = boost::json::parse(json);
  TakeOutKeys(&value);
  return boost::json::serialize(value);
}

TEST(WithoutKeys, ListsOfKeysAreEmptyAndSaySo) {
  EXPECT_EQ(
      Shown(R"({"tail":{"records":3,"truncated":false,"keys":[{"name_space":"n","key":"k","types":[]}]}})"),
      R"({"tail":{"records":3,"truncated":true,"keys":[]}})");
}

TEST(WithoutKeys, KeysWithAReasonGoToo) {
  EXPECT_EQ(Shown(R"({"failures":[{"name":{"namespace":"n","key":"k"},"why":"k is too large"}]})"),
            R"({"failures":[]})");
}

TEST(WithoutKeys, WhatNamesNoKeyStays) {
  for (const char* json :
       {R"({"tail":{"truncated":false,"keys":[]},"keys":3,"keyspaces":[{"keyspace":"cache","keys":7}]})",
        R"([{"node":"n1","name":"n1"},["key"],"key",null,1])",
        R"({"truncated":false,"reasons":[{"code":"key"}]})"}) {
    EXPECT_EQ(Shown(json), boost::json::serialize(boost::json::parse(json)));
  }
}

TEST(WithoutKeys, AreFoundHoweverDeepTheyLie) {
  EXPECT_EQ(Shown(R"([{"decision":{"plan":[{"action":{"keys":[{"key":"a"},{"key":"b"}]}}]}}])"),
            R"([{"decision":{"plan":[{"action":{"keys":[]}}]}}])");
}

TEST(WithoutKeys, SentenceThatNamesOneSaysWhoSeesIt) {
  EXPECT_EQ(Shown(R"({"keys":[{"key":"sess:7"}],"sentence":"it failed: sess:7: too large","code":"x"})"),
            R"~({"keys":[],"sentence":"(this names a key: a token that may operate sees it)","code":"x"})~");
}

TEST(WithoutKeys, NameOfANodeStaysThoughAKeyIsCalledThat) {
  EXPECT_EQ(Shown(R"({"keys":[{"key":"n1"}],"node":"n1"})"), R"({"keys":[],"node":"n1"})");
}

TEST(WithoutKeys, SentenceWithOneInsideAnotherWordStays) {
  EXPECT_EQ(Shown(R"({"keys":[{"key":"a"},{"key":""}],"sentence":"what was decided"})"),
            R"({"keys":[],"sentence":"what was decided"})");
}

}  // namespace
}  // namespace walstitch::api
