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
}

TEST_F(WatchTest, NobodyWhoReadsEndsIt) {
  answers_ = {Good(), Good(), Good()};
  out_.setstate(std::ios::badbit);
  EXPECT_EQ(Run({"--watch"}), 1);
  EXPECT_EQ(waited_.size(), 0U);
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

TEST(FitToScreenTest, CutsWhatIsTooMuch) {
  EXPECT_EQ(FitToScreen("a\nb\nc\n", {3, 10}), "a\nb\n");
  EXPECT_EQ(FitToScreen("abcdef\n\nx\n", {10, 3}), "abc\n\nx\n");
  EXPECT_EQ(FitToScreen("äöü\n", {10, 2}), "äö\n");
  EXPECT_EQ(FitToScreen("", {10, 2}), "");
}

TEST(FitToScreenTest, ColoursTakeNoRoomAndEndWhereTheLineDoes) {
  EXPECT_EQ(FitToScreen("\x1b[31mabc\x1b[0mdef\n", {10, 4}), "\x1b[31mabc\x1b[0md\n");
  EXPECT_EQ(FitToScreen("\x1b[31mabcdef\x1b[0m\n", {10, 3}), "\x1b[31mabc\x1b[0m\n");
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
