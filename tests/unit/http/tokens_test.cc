#include "agents/http/tokens.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "agents/http/credentials.h"
#include "agents/http/file_stamp.h"
#include "tests/support/environment.h"

namespace walstitch::http {
namespace {

using std::chrono::seconds;

class TokensTest : public ::testing::Test {
 protected:
  std::string Write(const std::string& name, const std::string& content) {
    const std::string path = directory_.path() + "/" + name;
    std::ofstream(path + ".new") << content;
    std::filesystem::rename(path + ".new", path);
    return path;
  }

  test::TempDirectory directory_;
};

TEST_F(TokensTest, OneALineAndBlankLinesCountForNothing) {
  EXPECT_EQ(*ParseTokens("one"), std::vector<std::string>{"one"});
  EXPECT_EQ(*ParseTokens("one\r\n\n  \ntwo \n"), (std::vector<std::string>{"one", "two"}));
}

TEST_F(TokensTest, WhatCannotBeSentIsNoToken) {
  for (const char* bad : {"", "\n\n", "two words", " leading", "tab\tinside", "umlaut\xc3\xa4", "del\x7f"}) {
    const auto tokens = ParseTokens(bad);
    ASSERT_FALSE(tokens) << bad;
    EXPECT_EQ(tokens.error().Code(), ErrorCode::kInvalid);
  }
  EXPECT_FALSE(ParseTokens(std::string("nul\0byte", 8)));
  EXPECT_FALSE(ParseTokens(std::string(9000, 'x')));
}

TEST_F(TokensTest, NoErrorRepeatsAToken) {
  const auto tokens = ParseTokens("hunter2\nhunter3 with a space\n");
  ASSERT_FALSE(tokens);
  EXPECT_EQ(tokens.error().Message().find("hunter"), std::string::npos) << tokens.error().Message();
  EXPECT_NE(tokens.error().Message().find("line 2"), std::string::npos) << tokens.error().Message();
}

TEST_F(TokensTest, EveryLineOfAFileIsValidAndEachTokenHasItsRole) {
  TokenSource view{"grafana", AccessRole::kView, "", Write("view", "v1\nv2\n")};
  TokenSource operate{"ops", AccessRole::kOperate, "", Write("ops", "o1\n")};
  const auto admission = MakeAdmission({view, operate});
  ASSERT_TRUE(admission) << admission.error().Message();
  for (const char* token : {"v1", "v2"}) {
    const auto caller = (*admission)(token);
    ASSERT_TRUE(caller) << token;
    EXPECT_EQ(caller->name, "grafana");
    EXPECT_EQ(caller->role, AccessRole::kView);
  }
  EXPECT_EQ((*admission)("o1")->role, AccessRole::kOperate);
  for (const char* wrong : {"", "v", "v11", "o1 ", "O1"}) EXPECT_FALSE((*admission)(wrong)) << wrong;
}

TEST_F(TokensTest, AFileIsReadAgainWhenItHasChanged) {
  TokenSource source{"ops", AccessRole::kOperate, "", Write("ops", "old\n")};
  const auto admission = MakeAdmission({source});
  ASSERT_TRUE(admission);
  Write("ops", "new\nold\n");
  EXPECT_TRUE(test::Eventually(seconds(10), [&] { return (*admission)("new").has_value(); }));
  EXPECT_TRUE((*admission)("old"));
  Write("ops", "new\n");
  EXPECT_TRUE(test::Eventually(seconds(10), [&] { return !(*admission)("old"); }));
  EXPECT_TRUE((*admission)("new"));
}

TEST_F(TokensTest, AFileThatIsGoneOrBrokenLeavesWhatItHeldInForce) {
  auto file = TokenFile::Open(Write("ops", "old\n"));
  ASSERT_TRUE(file);
  std::filesystem::remove(directory_.path() + "/ops");
  EXPECT_EQ((*file)->Tokens(true), std::vector<std::string>{"old"});
  Write("ops", "two words\n");
  EXPECT_EQ((*file)->Tokens(true), std::vector<std::string>{"old"});
  Write("ops", "new\n");
  EXPECT_EQ((*file)->Tokens(true), std::vector<std::string>{"new"});
}

TEST_F(TokensTest, AFileThatCouldNotBeTakenIsLookedAtAgainWithoutAChange) {
  FileWatch watch({Write("file", "token\n")});
  EXPECT_FALSE(watch.Changed(true));
  watch.TryAgain();
  EXPECT_TRUE(watch.Changed(true));
  EXPECT_FALSE(watch.Changed(true));
}

TEST_F(TokensTest, AFileThatIsNotThereIsNamed) {
  const auto file = TokenFile::Open(directory_.path() + "/none");
  ASSERT_FALSE(file);
  EXPECT_NE(file.error().Message().find(directory_.path() + "/none"), std::string::npos);
}

TEST_F(TokensTest, AClientShowsTheFirstAndHasTheOthersInReserve) {
  auto shown =
      Credentials::Load({"token", AccessRole::kOperate, "", Write("ops", "new\nold\n")}, std::nullopt);
  ASSERT_TRUE(shown);
  EXPECT_EQ(shown->Token(), "new");
  EXPECT_EQ(shown->Instead("new"), std::vector<std::string>{"old"});
  EXPECT_EQ(Credentials("alone").Instead("alone"), std::vector<std::string>());
}

}  // namespace
}  // namespace walstitch::http
