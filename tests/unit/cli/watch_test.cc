#include "controller/cli/watch.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <sstream>

#include "controller/cli/app.h"

namespace walstitch::cli {
namespace {

constexpr const char* kStatus =
    R"({"groups":[{"group":"shop","managed":"managed","epoch":3,"master":"n1","findings":[],"nodes":[
        {"node":"n1","agent":"http://a:1","connected":true,"priority":1,"condition":"master","sentence":""}],
        "open_decisions":[],"busy":"","waits":""}],"notes":[]})";
constexpr const char* kText =
    "group shop: master n1, epoch 3\n"
    "  NODE  CONDITION  PRIORITY  AGENT\n"
    "  n1    master            1  http://a:1\n";

class WatchTest : public testing::Test {
 protected:
  WatchTest() {
    unsetenv("WALSTITCH_CONTROLLER");
    unsetenv("NO_COLOR");
    setenv("TERM", "xterm", 1);
    terminal_.unix_ms = [this] { return 1700000000000 + 2000 * static_cast<std::int64_t>(waited_.size()); };
    terminal_.size = [this] { return size_; };
    terminal_.wait = [this](std::chrono::milliseconds time) {
      waited_.push_back(time.count());
      return waited_.size() < answers_.size();
    };
    terminal_.until_ended = [this] { ++prepared_; };
  }

  int Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "status");
    auto fetch = [this](const http::Url&, const std::string&, const std::string&, const std::string&,
                        const http::Credentials&, std::chrono::milliseconds) -> Result<http::ClientResponse> {
      return answers_.at(waited_.size());
    };
    return static_cast<int>(RunCommandLine(arguments, out_, error_, fetch, terminal_));
  }

  static Result<http::ClientResponse> Good() { return http::ClientResponse{200, kStatus}; }
  static Result<http::ClientResponse> Away() { return Fail(ErrorCode::kUnavailable, "connection refused"); }

  std::vector<Result<http::ClientResponse>> answers_;  // one for each look
  std::vector<std::int64_t> waited_;
  int prepared_ = 0;
  ScreenSize size_{24, 80};
  Terminal terminal_;
  std::ostringstream out_;
  std::ostringstream error_;
};

TEST_F(WatchTest, OffATerminalEachLookIsWrittenBehindTheOneBefore) {
  answers_ = {Good(), Good()};
  EXPECT_EQ(Run({"--watch", "--interval", "500ms"}), 0);
  EXPECT_EQ(out_.str(),
            "2023-11-14 22:13:20.000 UTC\n" + std::string(kText) + "\n2023-11-14 22:13:22.000 UTC\n" + kText);
  EXPECT_EQ(waited_, (std::vector<std::int64_t>{500, 500}));
  EXPECT_EQ(prepared_, 1);
}

TEST_F(WatchTest, OffATerminalAControllerThatIsAwayIsToldOnceAndLookedForAgain) {
  answers_ = {Good(), Away(), Away(), Good()};
  EXPECT_EQ(Run({"--watch"}), 0);
  EXPECT_EQ(error_.str(),
            "walstitch: the controller at http://127.0.0.1:7700 did not answer: connection refused\n");
  EXPECT_EQ(out_.str(),
            "2023-11-14 22:13:20.000 UTC\n" + std::string(kText) + "\n2023-11-14 22:13:26.000 UTC\n" + kText);
}

TEST_F(WatchTest, AsJsonEachLookIsOneLine) {
  terminal_.out = true;
  answers_ = {Good(), Good()};
  EXPECT_EQ(Run({"--watch", "-o", "json"}), 0);
  std::istringstream lines(out_.str());
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    EXPECT_EQ(boost::json::parse(line), boost::json::parse(kStatus));
  }
  EXPECT_EQ(count, 2);
}

TEST_F(WatchTest, OnATerminalEachLookTakesThePlaceOfTheOneBefore) {
  terminal_.out = true;
  answers_ = {Good(), Good()};
  EXPECT_EQ(Run({"--watch", "--color", "never"}), 0);
  const std::string frame =
      "\x1b[H2023-11-14 22:13:20 UTC, every 2.0 s; Ctrl-C ends it\x1b[K\n\x1b[K\n"
      "group shop: master n1, epoch 3\x1b[K\n"
      "  NODE  CONDITION  PRIORITY  AGENT\x1b[K\n"
      "  n1    master            1  http://a:1\x1b[K\n\x1b[J";
  std::string second = frame;
  second.replace(second.find(":20 UTC"), 3, ":22");
  EXPECT_EQ(out_.str(), "\x1b[2J" + frame + second);
}

TEST_F(WatchTest, OnATerminalWhatWasKnownLastStaysWhileTheControllerIsAway) {
  terminal_.out = true;
  answers_ = {Away(), Good(), Away()};
  EXPECT_EQ(Run({"--watch", "--color", "never"}), 0);
  const std::string last = out_.str().substr(out_.str().rfind("\x1b[H"));
  EXPECT_NE(last.find("did not answer: connection refused\x1b[K\n"
                      "as it was at 2023-11-14 22:13:22 UTC:\x1b[K\n\x1b[K\n"
                      "group shop: master n1, epoch 3"),
            std::string::npos)
      << last;
  EXPECT_EQ(error_.str(), "");
}

TEST_F(WatchTest, OnATerminalATroubledGroupComesFirstAndNothingIsHiddenSilently) {
  terminal_.out = true;
  size_ = {9, 40};
  boost::json::value status = boost::json::parse(kStatus);
  auto& groups = status.at("groups").as_array();
  boost::json::object troubled = groups.front().as_object();
  troubled["group"] = "till";
  troubled["findings"] =
      boost::json::array{{{"code", "NodeDown"},
                          {"node", "n3"},
                          {"sentence", "the server process of n3 is down, its agent says"}}};
  groups.push_back(troubled);
  answers_ = {http::ClientResponse{200, boost::json::serialize(status)}};
  EXPECT_EQ(Run({"--watch", "--color", "never"}), 0);
  EXPECT_EQ(out_.str(),
            "\x1b[2J\x1b[H2023-11-14 22:13:20 UTC, every 2.0 s;\x1b[K\n  Ctrl-C ends it\x1b[K\n\x1b[K\n"
            "group till: master n1, epoch 3\x1b[K\n"
            "  NODE  CONDITION  PRIORITY  AGENT\x1b[K\n"
            "  n1    master            1  http://a:1\x1b[K\n"
            "  findings\x1b[K\n"
            "… 6 more lines: walstitch status GROUP \x1b[K\n\x1b[J");
  size_ = {40, 40};
  waited_.clear();
  out_.str("");
  EXPECT_EQ(Run({"--watch", "--color", "never"}), 0);
  EXPECT_NE(out_.str().find("    NodeDown (n3): the server process\x1b[K\n"
                            "      of n3 is down, its agent says\x1b[K\n"),
            std::string::npos)
      << out_.str();
  EXPECT_LT(out_.str().find("group till"), out_.str().find("group shop"));
}

TEST_F(WatchTest, OnADumbTerminalEachLookIsWrittenBehindTheOneBefore) {
  terminal_.out = true;
  setenv("TERM", "dumb", 1);
  answers_ = {Good(), Good()};
  EXPECT_EQ(Run({"--watch"}), 0);
  EXPECT_EQ(out_.str().find('\x1b'), std::string::npos) << out_.str();
  EXPECT_EQ(out_.str(),
            "2023-11-14 22:13:20.000 UTC\n" + std::string(kText) + "\n2023-11-14 22:13:22.000 UTC\n" + kText);
}

TEST_F(WatchTest, AGroupThatThereIsNotEndsIt) {
  answers_ = {http::ClientResponse{404, R"({"error":"no group 'x'"})"}, Good()};
  EXPECT_EQ(Run({"x", "--watch"}), 2);
  EXPECT_EQ(waited_.size(), 0U);
}

TEST_F(WatchTest, ItIsNoCheckAndAnIntervalNeedsIt) {
  answers_ = {Good()};
  EXPECT_EQ(Run({"--watch", "--check"}), 2);
  EXPECT_EQ(Run({"--interval", "2s"}), 2);
  EXPECT_EQ(Run({"--watch", "--interval", "2"}), 2);
  error_.str("");
  EXPECT_EQ(Run({"--watch", "--interval", "49ms"}), 2);
  EXPECT_EQ(error_.str(), "walstitch: --interval: expected 50ms or more, not 49ms\n");
  EXPECT_EQ(Run({"--watch", "--interval", "50ms"}), 0);
}

TEST_F(WatchTest, NobodyWhoReadsEndsIt) {
  answers_ = {Good(), Good(), Good()};
  out_.setstate(std::ios::badbit);
  EXPECT_EQ(Run({"--watch"}), 1);
  EXPECT_EQ(waited_.size(), 0U);
}

TEST_F(WatchTest, NobodyWhoReadsEndsItAlsoWhileTheControllerIsAway) {
  answers_ = {Away(), Away(), Away()};
  terminal_.wait = [this](std::chrono::milliseconds) {
    out_.setstate(std::ios::badbit);
    return false;
  };
  EXPECT_EQ(Run({"--watch"}), 1);
}

TEST_F(WatchTest, ColoursAreForTerminalsThatWantThem) {
  const auto painted = [&](const std::vector<std::string>& arguments) {
    out_.str("");
    waited_.clear();
    answers_ = {Good()};
    EXPECT_EQ(Run(arguments), 0);
    return out_.str().find("\x1b[32mmaster\x1b[0m") != std::string::npos;
  };
  EXPECT_FALSE(painted({}));
  EXPECT_TRUE(painted({"--color", "always"}));
  terminal_.out = true;
  EXPECT_TRUE(painted({}));
  EXPECT_FALSE(painted({"--color", "never"}));
  setenv("NO_COLOR", "1", 1);
  EXPECT_FALSE(painted({}));
  EXPECT_TRUE(painted({"--color", "always"}));
  setenv("NO_COLOR", "", 1);
  EXPECT_TRUE(painted({}));
  setenv("TERM", "dumb", 1);
  EXPECT_FALSE(painted({}));
}

std::string Fit(const std::string& text, ScreenSize size) { return FitToScreen(text, size, "look"); }

TEST(FitToScreenTest, WhatFitsIsLeftAlone) {
  EXPECT_EQ(Fit("a\nb\n", {3, 10}), "a\nb\n");
  EXPECT_EQ(Fit("abc\n\nx\n", {10, 3}), "abc\n\nx\n");
  EXPECT_EQ(Fit("äöü\n", {10, 3}), "äöü\n");
  EXPECT_EQ(Fit("", {10, 2}), "");
}

TEST(FitToScreenTest, ALongLineGoesOnFurtherIn) {
  EXPECT_EQ(Fit("  NodeDown: its server ended\n", {10, 17}), "  NodeDown: its\n    server ended\n");
  EXPECT_EQ(Fit("one two\n", {10, 4}), "one\n  tw\n  o\n");
  EXPECT_EQ(Fit("one two\n", {10, 5}), "one\n  two\n");
  EXPECT_EQ(Fit("abcdef\n", {10, 4}), "abcd\n  ef\n");
  EXPECT_EQ(Fit("äöüß\n", {10, 2}), "äö\n ü\n ß\n");
  EXPECT_EQ(Fit("abc\n", {10, 1}), "a\nb\nc\n");
  EXPECT_EQ(Fit("          a\n", {10, 4}), "    \n  a\n");
}

TEST(FitToScreenTest, WhatGoesBeyondTheScreenIsCounted) {
  EXPECT_EQ(Fit("a\nb\nc\n", {3, 40}), "a\n… 2 more lines: look\n");
  EXPECT_EQ(Fit("a\nb\nc d\n", {4, 40}), "a\nb\nc d\n");
  EXPECT_EQ(Fit("a\nb\nc\nd\n", {4, 8}), "a\nb\n… 2 more\n");
  EXPECT_EQ(Fit("a\nb\n", {2, 40}), "… 2 more lines: look\n");
  EXPECT_EQ(Fit("a\nb\n", {1, 40}), "");
  EXPECT_EQ(Fit("one two\nb\n", {3, 20}), "one two\nb\n");
  EXPECT_EQ(Fit("one two\nb\n", {3, 4}), "one\n… 3 \n");
}

TEST(FitToScreenTest, ColoursTakeNoRoomAndGoOnInTheNextRow) {
  EXPECT_EQ(Fit("\x1b[31mabc\x1b[0md\n", {10, 4}), "\x1b[31mabc\x1b[0md\n");
  EXPECT_EQ(Fit("\x1b[31mabcd\x1b[0mef\n", {10, 3}), "\x1b[31mabc\x1b[0m\n \x1b[31md\x1b[0me\n f\n");
}

TEST(PaletteTest, OnlyItsOwnColoursComeThrough) {
  const Palette on(true);
  const Palette off(false);
  EXPECT_EQ(on.CleanPainted(on.Paint(Tone::kBad, "down") + "\n"), "\x1b[31mdown\x1b[0m\n");
  EXPECT_EQ(on.CleanPainted("\x1b[2Jx\x1b]0;title\x07"), "\\x1b[2Jx\\x1b]0;title\\x07");
  EXPECT_EQ(on.CleanPainted("a\x1b"), "a\\x1b");
  EXPECT_EQ(off.Paint(Tone::kBad, "down"), "down");
  EXPECT_EQ(off.CleanPainted("\x1b[31mdown"), "\\x1b[31mdown");
  EXPECT_EQ(on.Paint(Tone::kPlain, "x"), "x");
}

}  // namespace
}  // namespace walstitch::cli
