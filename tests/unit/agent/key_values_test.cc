#include "agents/agent/key_values.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "agents/agent/salvage_replay.h"
#include "tests/unit/node/fake_kvrocks.h"
#include "tests/unit/wal/wal_text.h"

namespace walstitch::agent {
namespace {

using tests::FakeKvrocks;
using Words = FakeKvrocks::Words;
using wal::BatchText;
using wal::MetadataKey;
using wal::MetadataValue;

// A master that holds strings, and gives one answer for every other type.
class Master {
 public:
  Master() : server_([this](const Words& words) { return Answer(words); }) { signal(SIGPIPE, SIG_IGN); }

  [[nodiscard]] node::ClientOptions Options() const {
    node::ClientOptions options;
    options.port = server_.Port();
    options.timeout = std::chrono::milliseconds(5000);
    return options;
  }

  std::map<std::string, std::string> strings;
  std::map<std::string, std::string> types;    // of keys that are no strings
  std::map<std::string, std::string> answers;  // to a command, by its name
  bool refuses_exec = false;                   // a watched key changed
  bool full = false;                           // refuses what makes it larger, within EXEC, too
  std::string behind_exec;                     // an answer that nobody asked for
  std::string role = "master";
  std::vector<std::string> executed;  // words of what was executed

 private:
  std::optional<std::string> Answer(const Words& words) {
    const std::lock_guard lock(mutex_);
    if (const auto fixed = answers.find(words[0]); fixed != answers.end()) return fixed->second;
    if (words[0] == "INFO") return FakeKvrocks::Bulk("role:" + role + "\r\n");
    if (words[0] == "MULTI") {
      queued_.clear();
      multi_ = true;
      return "+OK\r\n";
    }
    if (words[0] == "EXEC") {
      multi_ = false;
      if (queued_.empty()) return "*0\r\n";
      if (refuses_exec) return "*-1\r\n";
      std::string replies = "*" + std::to_string(queued_.size()) + "\r\n";
      for (const Words& each : queued_) replies += Execute(each);
      return replies + behind_exec;
    }
    if (multi_) {
      queued_.push_back(words);
      return "+QUEUED\r\n";
    }
    if (words[0] == "WATCH" || words[0] == "UNWATCH") return "+OK\r\n";
    if (words[0] == "TYPE") {
      if (const auto type = types.find(words[1]); type != types.end()) return "+" + type->second + "\r\n";
      return strings.contains(words[1]) ? "+string\r\n" : "+none\r\n";
    }
    if (words[0] == "PEXPIRETIME") return "-ERR unknown command `pexpiretime`\r\n";
    if (words[0] == "PTTL")
      return strings.contains(words[1]) || types.contains(words[1]) ? ":-1\r\n" : ":-2\r\n";
    if (words[0] == "GET") return FakeKvrocks::Bulk(strings[words[1]]);
    if (words[0] == "PING") return "+PONG\r\n";
    return Execute(words);
  }

  std::string Execute(const Words& words) {
    if (full && words[0] != "DEL") return "-ERR reach space limit\r\n";
    executed.push_back(words[0] + " " + words[1] + (words[0] == "RENAME" ? " " + words[2] : ""));
    if (words[0] == "DEL") {
      strings.erase(words[1]);
      types.erase(words[1]);
    } else if (words[0] == "SET") {
      strings[words[1]] = words[2];
    } else if (words[0] == "RENAME") {
      strings.erase(words[2]);
      types[words[2]] = types[words[1]];
      types.erase(words[1]);
    } else if (words[0] == "HSET") {
      types[words[1]] = "hash";
    } else if (words[0] != "PEXPIREAT") {
      return "-ERR not known here\r\n";
    }
    return ":1\r\n";
  }

  std::mutex mutex_;
  std::vector<Words> queued_;
  bool multi_ = false;
  FakeKvrocks server_;
};

UserKeyName Default(const std::string& key) { return {"__namespace", key}; }

TEST(ValueClientTest, ValuesAreReadExactly) {
  Master master;
  master.strings["number"] = "007";
  master.types["hash"] = "hash";
  master.answers["HLEN"] = ":2\r\n";
  master.answers["HGETALL"] = "*4\r\n$1\r\nf\r\n$3\r\n007\r\n$1\r\ng\r\n$0\r\n\r\n";
  ValueClient client(master.Options());
  const auto values = client.Read({Default("number"), Default("hash"), Default("gone")});
  ASSERT_TRUE(values) << values.error().Message();
  EXPECT_EQ((*values)[0].key.kept, KeptAs::kValue);
  EXPECT_EQ((*values)[0].elements, std::vector<std::string>{"007"});
  EXPECT_EQ((*values)[1].elements, (std::vector<std::string>{"f", "007", "g", ""}));
  EXPECT_EQ((*values)[2].key.kept, KeptAs::kAbsent);
}

TEST(ValueClientTest, WhatCannotBeWrittenBackIsNamed) {
  Master master;
  master.types = {{"stream", "stream"}, {"large", "set"}, {"bad", "list"}};
  master.answers["SCARD"] = ":" + std::to_string(kMaxValueElements + 1) + "\r\n";
  master.answers["LLEN"] = ":1\r\n";
  master.answers["LRANGE"] = "-ERR broken\r\n";
  ValueClient client(master.Options());
  const auto values = client.Read({Default("stream"), Default("large"), Default("bad"), {"tenant", "k"}});
  ASSERT_TRUE(values) << values.error().Message();
  for (const SalvagedValue& value : *values) EXPECT_EQ(value.key.kept, KeptAs::kNotKept) << value.key.key;
  EXPECT_NE((*values)[0].key.why.find("type stream"), std::string::npos);
  EXPECT_NE((*values)[1].key.why.find("too large"), std::string::npos);
  EXPECT_NE((*values)[2].key.why.find("broken"), std::string::npos);
  EXPECT_NE((*values)[3].key.why.find("no namespace tenant"), std::string::npos);
}

TEST(ValueClientTest, AServerThatIsGoneIsAnError) {
  node::ClientOptions nowhere;
  {
    const Master master;
    nowhere = master.Options();
  }
  ValueClient client(nowhere);
  EXPECT_FALSE(client.Read({Default("k")}));
}

SalvagedValue StringOf(const std::string& key, const std::string& value) {
  SalvagedValue salvaged;
  salvaged.key.name_space = "__namespace";
  salvaged.key.key = key;
  salvaged.key.type = "string";
  salvaged.key.kept = KeptAs::kValue;
  salvaged.elements = {value};
  return salvaged;
}

TEST(ValueClientTest, HashesAndSetsAreEqualInAnyOrder) {
  SalvagedValue a = StringOf("k", "");
  SalvagedValue b = a;
  a.key.type = b.key.type = "hash";
  a.elements = {"f", "1", "g", "2"};
  b.elements = {"g", "2", "f", "1"};
  EXPECT_TRUE(SameValue(a, b));
  b.elements = {"1", "f", "2", "g"};
  EXPECT_FALSE(SameValue(a, b));
  a.key.type = b.key.type = "list";
  a.elements = {"x", "y"};
  b.elements = {"y", "x"};
  EXPECT_FALSE(SameValue(a, b));
  a.key.type = b.key.type = "set";
  EXPECT_TRUE(SameValue(a, b));
  a.key.expire_ms = 1000000;
  EXPECT_FALSE(SameValue(a, b));
  b.key.expire_ms = 1000500;
  EXPECT_TRUE(SameValue(a, b));
}

TEST(ValueClientTest, AZsetIsWrittenScoreFirst) {
  SalvagedValue value = StringOf("z", "");
  value.key.type = "zset";
  value.elements = {"m", "1.5"};
  value.key.expire_ms = 77;
  EXPECT_EQ(CommandsToWrite(value, "z"),
            (std::vector<node::NodeCommand>{{"ZADD", "z", "1.5", "m"}, {"PEXPIREAT", "z", "77"}}));
}

TEST(ValueClientTest, AStringIsWrittenWithItsExpiryInOneCommand) {
  SalvagedValue value = StringOf("s", "v");
  EXPECT_EQ(CommandsToWrite(value, "s"), (std::vector<node::NodeCommand>{{"SET", "s", "v"}}));
  value.key.expire_ms = 77;
  EXPECT_EQ(CommandsToWrite(value, "s"), (std::vector<node::NodeCommand>{{"SET", "s", "v", "PXAT", "77"}}));
}

TEST(ValueClientTest, AnAnswerThatMayPassIsNoVerdictOnAKey) {
  for (const char* passing :
       {"-LOADING kvrocks is restoring the db from backup\r\n", "-MASTERDOWN Link with MASTER is down\r\n"}) {
    Master master;
    master.answers["TYPE"] = passing;
    ValueClient client(master.Options());
    const auto values = client.Read({Default("key")});
    ASSERT_FALSE(values) << passing;
    EXPECT_EQ(values.error().Code(), ErrorCode::kUnavailable);
  }
}

// ---- replay

class ReplayValuesTest : public ::testing::Test {
 protected:
  ReplayResult Replay(const SalvagedValue& value, std::string* why = nullptr) {
    wal::ListSource source(batches_);
    auto answer = ReplayValues(source, master_.Options(), false, request_, Sequence(100), {value}, 1000);
    EXPECT_TRUE(answer) << answer.error().Message();
    if (!answer || answer->keys.size() != 1) return ReplayResult::kFailed;
    if (why != nullptr) *why = answer->keys.front().why;
    return answer->keys.front().result;
  }
  static std::string Set(std::uint64_t sequence, const std::string& key) {
    return BatchText(sequence).Put(1, MetadataKey("__namespace", key), MetadataValue(1, "v")).Bytes();
  }

  Master master_;
  ReplayRequest request_;
  std::vector<std::string> batches_{Set(100, "before"), Set(101, "changed"), Set(102, "other")};
};

TEST_F(ReplayValuesTest, AKeyThatNobodyChangedIsWritten) {
  EXPECT_EQ(Replay(StringOf("lost", "value")), ReplayResult::kWritten);
  EXPECT_EQ(master_.strings["lost"], "value");
  EXPECT_EQ(Replay(StringOf("before", "value")), ReplayResult::kWritten);
}

SalvagedValue HashOf(const std::string& key) {
  SalvagedValue value = StringOf(key, "");
  value.key.type = "hash";
  value.elements = {"field", "value"};
  return value;
}

TEST_F(ReplayValuesTest, AHashThatIsThereIsReplacedInOneStep) {
  request_.salvage = "S";
  EXPECT_EQ(Replay(HashOf("new")), ReplayResult::kWritten);
  EXPECT_EQ(master_.executed, (std::vector<std::string>{"HSET new"}));
  master_.executed.clear();
  master_.strings["lost"] = "a string by now";
  EXPECT_EQ(Replay(HashOf("lost")), ReplayResult::kWritten);
  ASSERT_EQ(master_.executed.size(), 2U);
  const std::string made = master_.executed[0].substr(5);  // behind "HSET "
  EXPECT_EQ(made.substr(0, 20), "__walstitch_replay:S");
  EXPECT_EQ(master_.executed[1], "RENAME " + made + " lost");
  EXPECT_EQ(master_.types["lost"], "hash");
}

TEST_F(ReplayValuesTest, AServerThatIsFullKeepsWhatItHas) {
  master_.full = true;
  master_.strings["lost"] = "there";
  std::string why;
  EXPECT_EQ(Replay(HashOf("lost"), &why), ReplayResult::kFailed);
  EXPECT_EQ(why, "nothing was changed: ERR reach space limit");
  EXPECT_EQ(Replay(StringOf("lost", "value"), &why), ReplayResult::kFailed);
  EXPECT_EQ(master_.strings["lost"], "there");
}

TEST_F(ReplayValuesTest, ACommitThatFailsIsNotTakenForAWrite) {
  master_.behind_exec = "-ERR disk I/O error\r\n";
  std::string why;
  EXPECT_EQ(Replay(StringOf("lost", "value"), &why), ReplayResult::kUnknown);
  EXPECT_NE(why.find("disk I/O error"), std::string::npos) << why;
  master_.behind_exec.clear();
  EXPECT_EQ(Replay(StringOf("other-key", "value")), ReplayResult::kWritten)
      << "the answers are in step again";
}

TEST_F(ReplayValuesTest, ADryRunChangesNothing) {
  request_.dry_run = true;
  EXPECT_EQ(Replay(StringOf("lost", "value")), ReplayResult::kWritten);
  EXPECT_TRUE(master_.executed.empty());
}

TEST_F(ReplayValuesTest, AKeyThatChangedSinceIsLeftAloneUnlessToldOtherwise) {
  master_.strings["changed"] = "newer";
  EXPECT_EQ(Replay(StringOf("changed", "value")), ReplayResult::kChanged);
  EXPECT_EQ(master_.strings["changed"], "newer");
  request_.overwrite = true;
  EXPECT_EQ(Replay(StringOf("changed", "value")), ReplayResult::kWritten);
  EXPECT_EQ(master_.strings["changed"], "value");
}

TEST_F(ReplayValuesTest, AKeyThatHasTheValueIsEqual) {
  master_.strings["changed"] = "value";
  EXPECT_EQ(Replay(StringOf("changed", "value")), ReplayResult::kEqual);
  EXPECT_TRUE(master_.executed.empty());
}

TEST_F(ReplayValuesTest, AKeyThatChangesInThatMomentIsLeftAlone) {
  master_.refuses_exec = true;
  EXPECT_EQ(Replay(StringOf("lost", "value")), ReplayResult::kChanged);
  EXPECT_FALSE(master_.strings.contains("lost"));
}

TEST_F(ReplayValuesTest, WhereTheWalDoesNotReachBackEveryKeyCountsAsChanged) {
  batches_ = {BatchText(200).Put(1, "broken", "").Raw("\x7f").Bytes()};
  std::string why;
  EXPECT_EQ(Replay(StringOf("lost", "value"), &why), ReplayResult::kChanged);
  EXPECT_NE(why.find("is not known"), std::string::npos) << why;
}

TEST_F(ReplayValuesTest, AFlushTouchesEveryKey) {
  batches_.push_back(BatchText(103).DeleteRange(1, "a", "z").Bytes());
  std::string why;
  EXPECT_EQ(Replay(StringOf("lost", "value"), &why), ReplayResult::kChanged);
  EXPECT_NE(why.find("flush"), std::string::npos) << why;
}

TEST_F(ReplayValuesTest, DeletionsAreForThoseWhoAskForThem) {
  SalvagedValue absent = StringOf("before", "");
  absent.key.kept = KeptAs::kAbsent;
  absent.key.type.clear();
  absent.elements.clear();
  master_.strings["before"] = "still there";
  EXPECT_EQ(Replay(absent), ReplayResult::kAbsent);
  EXPECT_TRUE(master_.strings.contains("before"));
  request_.deletions = true;
  EXPECT_EQ(Replay(absent), ReplayResult::kDeleted);
  EXPECT_FALSE(master_.strings.contains("before"));
}

TEST_F(ReplayValuesTest, WhatHasExpiredOrHasNoValueIsNotWritten) {
  SalvagedValue value = StringOf("lost", "value");
  value.key.expire_ms = 1000;
  EXPECT_EQ(Replay(value), ReplayResult::kExpired);
  value = StringOf("lost", "value");
  value.key.kept = KeptAs::kNotKept;
  value.key.why = "too large";
  EXPECT_EQ(Replay(value), ReplayResult::kNotReplayable);
}

TEST_F(ReplayValuesTest, AReplicaIsNotWrittenTo) {
  master_.role = "slave";
  wal::ListSource source(batches_);
  auto answer =
      ReplayValues(source, master_.Options(), false, request_, Sequence(100), {StringOf("k", "v")}, 1000);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().Code(), ErrorCode::kConflict);
}

}  // namespace
}  // namespace walstitch::agent
