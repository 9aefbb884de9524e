#include "controller/kubernetes/watch_cursor.h"

#include <gtest/gtest.h>

#include <vector>

namespace walstitch::kubernetes {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Next = WatchCursor::Next;
using Time = WatchCursor::Time;

Object Named(const std::string& name, const std::string& version) {
  Object object;
  object["metadata"] = Object{{"name", name}, {"resourceVersion", version}};
  return object;
}

std::string Line(const std::string& type, const std::string& name, const std::string& version) {
  return R"({"type":")" + type + R"(","object":{"metadata":{"name":")" + name + R"(","resourceVersion":")" +
         version + "\"}}}";
}

class WatchCursorTest : public ::testing::Test {
 protected:
  void List(const std::string& version, const std::vector<std::string>& names = {}) {
    ObjectList list;
    list.resource_version = version;
    for (const auto& name : names) list.items.push_back(Named(name, version));
    cursor_.Listed(std::move(list), now_);
  }
  bool Take(const std::string& line) {
    return cursor_
        .TakeLine(line, now_, [this](const Change& change) { told_.emplace_back(change.kind, change.name); })
        .stream_goes_on;
  }
  static ApiError Of(ApiErrorKind kind) {
    ApiError error;
    error.kind = kind;
    error.message = "something";
    return error;
  }

  WatchCursor cursor_;
  Time now_{seconds(1000)};
  std::vector<std::pair<ChangeKind, std::string>> told_;
};

TEST_F(WatchCursorTest, BeginsWithAListAtOnce) {
  const auto step = cursor_.NextStep(0.5);
  EXPECT_EQ(step.next, Next::kList);
  EXPECT_EQ(step.wait, milliseconds(0));
  EXPECT_FALSE(cursor_.Synced());
  EXPECT_FALSE(cursor_.LastContact());
}

TEST_F(WatchCursorTest, WatchesFromTheListsVersionAndThenFromTheLastEvents) {
  List("10", {"a"});
  EXPECT_TRUE(cursor_.Synced());
  EXPECT_EQ(cursor_.NextStep(0).resource_version, "10");
  cursor_.StreamOpened(now_);
  EXPECT_TRUE(Take(Line("ADDED", "b", "12")));
  EXPECT_TRUE(Take(Line("MODIFIED", "a", "13")));
  EXPECT_TRUE(Take(Line("DELETED", "b", "15")));
  EXPECT_TRUE(Take(R"({"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"20"}}})"));
  now_ += seconds(60);
  cursor_.StreamEnded(now_);
  const auto step = cursor_.NextStep(0.5);
  EXPECT_EQ(step.next, Next::kWatch);
  EXPECT_EQ(step.resource_version, "20");
  EXPECT_EQ(step.wait, milliseconds(0));
  const std::vector<std::pair<ChangeKind, std::string>> expected = {
      {ChangeKind::kAdded, "b"}, {ChangeKind::kModified, "a"}, {ChangeKind::kDeleted, "b"}};
  EXPECT_EQ(told_, expected);
  EXPECT_EQ(cursor_.Objects().size(), 1U);
  EXPECT_EQ(cursor_.LastContact(), now_);
}

TEST_F(WatchCursorTest, ExpiredInTheStreamListsAgainAtOnceIfTheStreamWasUseful) {
  List("10");
  cursor_.StreamOpened(now_);
  Take(Line("ADDED", "a", "11"));
  EXPECT_FALSE(
      Take(R"({"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"old"}})"));
  const auto step = cursor_.NextStep(1.0);
  EXPECT_EQ(step.next, Next::kList);
  EXPECT_EQ(step.wait, milliseconds(0));
  EXPECT_EQ(cursor_.Objects().size(), 1U) << "what is known stays known until the list has come";
}

TEST_F(WatchCursorTest, ExpiredAgainAndAgainIsNotAskedForWithoutAWait) {
  for (int round = 0; round < 3; ++round) {
    List("10");
    cursor_.StreamOpened(now_);
    EXPECT_FALSE(Take(R"({"type":"ERROR","object":{"kind":"Status","code":410,"message":"old"}})"));
    EXPECT_EQ(cursor_.NextStep(1.0).next, Next::kList);
    EXPECT_GE(cursor_.NextStep(1.0).wait, milliseconds(200));
  }
}

TEST_F(WatchCursorTest, OtherErrorsOfTheServerResumeWhereItWas) {
  List("10");
  cursor_.StreamOpened(now_);
  EXPECT_FALSE(Take(R"({"type":"ERROR","object":{"kind":"Status","code":500,"message":"etcd"}})"));
  auto step = cursor_.NextStep(1.0);
  EXPECT_EQ(step.next, Next::kWatch);
  EXPECT_EQ(step.resource_version, "10");
  EXPECT_GE(step.wait, milliseconds(200));
  EXPECT_EQ(cursor_.Problem(), "watch: etcd");
  ApiError busy = Of(ApiErrorKind::kTooManyRequests);
  busy.retry_after = seconds(7);
  cursor_.StreamFailed(busy, now_);
  EXPECT_EQ(cursor_.NextStep(0.0).wait, seconds(7));
  busy.retry_after = seconds(3000);
  cursor_.StreamFailed(busy, now_);
  EXPECT_LE(cursor_.NextStep(0.0).wait, seconds(30)) << "bounded, whatever the server says";
}

TEST_F(WatchCursorTest, WaitsGrowWhileItFailsAndEndWithTheFirstSuccess) {
  List("10");
  milliseconds last{0};
  for (int i = 0; i < 4; ++i) {
    cursor_.StreamFailed(Of(ApiErrorKind::kUnreachable), now_);
    EXPECT_GT(cursor_.NextStep(1.0).wait, last);
    last = cursor_.NextStep(1.0).wait;
  }
  cursor_.StreamOpened(now_);
  Take(Line("ADDED", "a", "11"));
  EXPECT_EQ(cursor_.NextStep(1.0).wait, milliseconds(0));
  EXPECT_EQ(cursor_.Problem(), "");
}

TEST_F(WatchCursorTest, ARowOfUselessStreamsEndsInAList) {
  List("10");
  for (int i = 0; i < 4; ++i) cursor_.StreamFailed(Of(ApiErrorKind::kUnreachable), now_);
  EXPECT_EQ(cursor_.NextStep(0).next, Next::kWatch);
  cursor_.StreamFailed(Of(ApiErrorKind::kUnreachable), now_);
  EXPECT_EQ(cursor_.NextStep(0).next, Next::kList);
  cursor_.ListFailed(Of(ApiErrorKind::kUnreachable));
  EXPECT_EQ(cursor_.NextStep(0).next, Next::kList);
}

TEST_F(WatchCursorTest, StreamsThatEndAtOnceAreNotTakenUpAsFastAsPossible) {
  List("10");
  cursor_.StreamOpened(now_);
  cursor_.StreamEnded(now_ + milliseconds(10));
  EXPECT_GT(cursor_.NextStep(1.0).wait, milliseconds(0));
  cursor_.StreamOpened(now_);
  cursor_.StreamEnded(now_ + seconds(60));
  EXPECT_EQ(cursor_.NextStep(1.0).wait, milliseconds(0));
}

TEST_F(WatchCursorTest, AnEventThatIsNotKnownIsListed) {
  List("10");
  cursor_.StreamOpened(now_);
  EXPECT_FALSE(Take(Line("RENAMED", "a", "11")));
  EXPECT_EQ(cursor_.NextStep(0).next, Next::kList);
}

TEST_F(WatchCursorTest, NoBytesOfTheServerAreTrusted) {
  for (const std::string line :
       {"", "x", "{", "{}", "[]", "null", R"({"type":1,"object":{}})", R"({"type":"ADDED","object":[]})",
        R"({"type":"ADDED","object":{}})", R"({"type":"ADDED","object":{"metadata":{"name":"a"}}})",
        R"({"type":"ADDED","object":{"metadata":{"resourceVersion":"1"}}})",
        R"({"type":"BOOKMARK","object":{"metadata":{}}})", R"({"type":"ERROR","object":{"code":"410"}})",
        R"({"type":"ERROR","object":{"code":-410,"details":{"retryAfterSeconds":-5}}})"}) {
    List("10", {"a"});
    cursor_.StreamOpened(now_);
    EXPECT_FALSE(Take(line)) << line;
    EXPECT_FALSE(cursor_.Problem().empty());
    EXPECT_EQ(cursor_.Objects().size(), 1U);
  }
  EXPECT_TRUE(told_.empty());
}

}  // namespace
}  // namespace walstitch::kubernetes
