// What the product relies on in a Kvrocks node. Runs against refnode, and against
// a real Kvrocks when $KVROCKS_BIN names one: the same assertions for both.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/environment.h"
#include "tests/support/keyspace.h"
#include "tests/support/node_server.h"
#include "tests/support/redis_client.h"
#include "tests/support/replication_peer.h"

namespace walstitch::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// A reply's one-line form, for short assertions.
std::string Say(RedisClient& client, const std::vector<std::string>& command) {
  return ToString(client.Command(command));
}

void StartOrFail(NodeServer& node) {
  const auto error = node.Start();
  ASSERT_FALSE(error) << *error;
}

struct LoggedBatch {
  uint64_t sequence = 0;
  uint32_t count = 0;
  std::string bytes;
};

// Every batch after `sequence`, by POLLUPDATES.
std::vector<LoggedBatch> BatchesAfter(RedisClient& client, uint64_t sequence) {
  std::vector<LoggedBatch> batches;
  while (true) {
    const Reply reply = client("POLLUPDATES", std::to_string(sequence), "MAX", "1000", "FORMAT", "RAW");
    if (reply.kind != Reply::Kind::kArray) {
      ADD_FAILURE() << "POLLUPDATES " << sequence << ": " << reply;
      return batches;
    }
    const auto& updates = reply.Field("updates").items;
    if (updates.empty()) return batches;
    for (const Reply& update : updates) {
      LoggedBatch batch;
      batch.bytes = FromHex(update.text);
      const BatchHeader header = ReadBatchHeader(batch.bytes);
      batch.sequence = header.sequence;
      batch.count = header.count;
      batches.push_back(std::move(batch));
    }
    sequence = static_cast<uint64_t>(reply.Field("next_sequence").integer);
  }
}

bool Contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// The LogData record of this text, as it lies in a batch.
std::string LogDataRecord(const std::string& text) {
  return std::string(1, '\x03') + static_cast<char>(text.size()) + text;
}

class Node : public ::testing::Test {
 protected:
  void SetUp() override {
    StartOrFail(master_);
    client_ = master_.Client();
    ASSERT_TRUE(client_.IsConnected());
  }

  uint64_t Last() const { return master_.LastSequence(); }

  // Runs a command and says by how much the sequence grew.
  uint64_t GrowthOf(const std::vector<std::string>& command) {
    const uint64_t before = Last();
    const Reply reply = client_.Command(command);
    EXPECT_FALSE(reply.IsError() || reply.IsBroken()) << command[0] << ": " << reply;
    return Last() - before;
  }

  // The one batch that a command wrote.
  LoggedBatch BatchOf(const std::vector<std::string>& command) {
    const uint64_t before = Last();
    const Reply reply = client_.Command(command);
    EXPECT_FALSE(reply.IsError() || reply.IsBroken()) << command[0] << ": " << reply;
    const auto batches = BatchesAfter(client_, before);
    EXPECT_EQ(batches.size(), 1U) << command[0];
    return batches.empty() ? LoggedBatch() : batches[0];
  }

  NodeServer master_;
  RedisClient client_{master_.port()};  // connects in SetUp()
};

// Replies.

TEST_F(Node, AnswersStringsAsKvrocksDoes) {
  EXPECT_EQ(Say(client_, {"SET", "k", "v"}), "OK");
  EXPECT_EQ(Say(client_, {"GET", "k"}), "\"v\"");
  EXPECT_EQ(Say(client_, {"GET", "absent"}), "(nil)");
  EXPECT_EQ(Say(client_, {"SET", "k", "w", "NX"}), "(nil)");
  EXPECT_EQ(Say(client_, {"SET", "absent", "w", "XX"}), "(nil)");
  EXPECT_EQ(Say(client_, {"SET", "k", "w", "GET"}), "\"v\"");
  EXPECT_EQ(Say(client_, {"MSET", "a", "1", "b", "2"}), "OK");
  EXPECT_EQ(Say(client_, {"MSET", "a", "1", "b"}), "(error) ERR wrong number of arguments");
  EXPECT_EQ(Say(client_, {"INCR", "a"}), "2");
  EXPECT_EQ(Say(client_, {"INCR", "k"}),
            "(error) ERR Invalid argument: value is not an integer or out of range");
  EXPECT_EQ(Say(client_, {"DEL", "a", "b", "absent"}), "2");
  EXPECT_EQ(Say(client_, {"EXISTS", "k", "a"}), "1");
  EXPECT_EQ(Say(client_, {"TYPE", "k"}), "string");
  EXPECT_EQ(Say(client_, {"TYPE", "absent"}), "none");
}

TEST_F(Node, AnswersCollectionsAsKvrocksDoes) {
  EXPECT_EQ(Say(client_, {"HSET", "h", "b", "2", "a", "1"}), "2");
  EXPECT_EQ(Say(client_, {"HSET", "h", "a", "1", "c", "3"}), "1");
  EXPECT_EQ(Say(client_, {"HGETALL", "h"}), R"(["a", "1", "b", "2", "c", "3"])");
  EXPECT_EQ(Say(client_, {"HLEN", "h"}), "3");
  EXPECT_EQ(Say(client_, {"HDEL", "h", "a", "absent"}), "1");
  EXPECT_EQ(Say(client_, {"SADD", "s", "x", "y", "x"}), "2");
  EXPECT_EQ(Say(client_, {"SMEMBERS", "s"}), R"(["x", "y"])");
  EXPECT_EQ(Say(client_, {"SREM", "s", "x", "y"}), "2");
  EXPECT_EQ(Say(client_, {"EXISTS", "s"}), "0");
  EXPECT_EQ(Say(client_, {"LPUSH", "l", "1", "2"}), "2");
  EXPECT_EQ(Say(client_, {"RPUSH", "l", "3"}), "3");
  EXPECT_EQ(Say(client_, {"LRANGE", "l", "0", "-1"}), R"(["2", "1", "3"])");
  EXPECT_EQ(Say(client_, {"LRANGE", "l", "-2", "-1"}), R"(["1", "3"])");
  EXPECT_EQ(Say(client_, {"ZADD", "z", "2", "two", "1", "one", "-1.5", "minus"}), "3");
  EXPECT_EQ(Say(client_, {"ZRANGE", "z", "0", "-1", "WITHSCORES"}),
            R"(["minus", "-1.5", "one", "1", "two", "2"])");
  EXPECT_EQ(Say(client_, {"ZADD", "z", "5", "two"}), "0");
  EXPECT_EQ(Say(client_, {"ZRANGE", "z", "2", "2", "WITHSCORES"}), R"(["two", "5"])");
  EXPECT_EQ(
      Say(client_, {"GET", "h"}),
      "(error) ERR Invalid argument: WRONGTYPE Operation against a key holding the wrong kind of value");
}

TEST_F(Node, AnswersKeyspaceQuestions) {
  for (int i = 0; i < 45; ++i) client_("SET", "key" + std::to_string(i), "v");
  client_("SET", "other", "v");
  std::set<std::string> seen;
  std::string cursor = "0";
  do {
    const Reply page = client_("SCAN", cursor, "MATCH", "key*", "COUNT", "10");
    ASSERT_EQ(page.items.size(), 2U) << page;
    cursor = page.items[0].text;
    for (const std::string& key : page.items[1].Texts()) EXPECT_TRUE(seen.insert(key).second) << key;
  } while (cursor != "0");
  EXPECT_EQ(seen.size(), 45U);
  EXPECT_EQ(client_("KEYS", "*").items.size(), 46U);
  EXPECT_EQ(Say(client_, {"KEYS", "oth*"}), R"(["other"])");
  EXPECT_EQ(Say(client_, {"KEYS", "o*r"}), "(error) ERR only keys prefix match was supported");
  EXPECT_EQ(Say(client_, {"FLUSHDB"}), "OK");
  EXPECT_EQ(client_("KEYS", "*").items.size(), 0U);
}

TEST_F(Node, ExpiresKeysWithoutWriting) {
  EXPECT_EQ(Say(client_, {"EXPIRE", "absent", "10"}), "0");
  client_("SET", "k", "v");
  EXPECT_EQ(Say(client_, {"TTL", "k"}), "-1");
  EXPECT_EQ(Say(client_, {"EXPIRE", "k", "100"}), "1");
  const int64_t ttl = client_("TTL", "k").integer;
  EXPECT_TRUE(ttl >= 98 && ttl <= 100) << ttl;
  EXPECT_EQ(Say(client_, {"TTL", "absent"}), "-2");
  EXPECT_EQ(Say(client_, {"PEXPIREAT", "k", "4102444800001"}), "1");
  EXPECT_EQ(Say(client_, {"PEXPIRETIME", "k"}), "4102444800001");
  EXPECT_EQ(Say(client_, {"PERSIST", "k"}), "1");
  EXPECT_EQ(Say(client_, {"PEXPIRETIME", "k"}), "-1");
  EXPECT_EQ(Say(client_, {"PEXPIRETIME", "absent"}), "-2");
  EXPECT_EQ(Say(client_, {"PEXPIRE", "k", "1"}), "1");
  const uint64_t before = Last();
  EXPECT_TRUE(Eventually(seconds(5), [&] { return client_("GET", "k").IsNil(); }));
  EXPECT_EQ(Say(client_, {"EXISTS", "k"}), "0");
  EXPECT_EQ(Last(), before);
}

TEST_F(Node, RefusesWhatItDoesNotKnow) {
  EXPECT_EQ(Say(client_, {"NOSUCH", "a", "b"}),
            "(error) ERR unknown command `NOSUCH`, with args beginning with: `a`, `b`");
  EXPECT_EQ(Say(client_, {"GET"}), "(error) ERR wrong number of arguments");
  EXPECT_EQ(client_("HELLO", "2").Field("role").text, "master");
  EXPECT_EQ(Say(client_, {"AUTH", "x"}), "(error) ERR Client sent AUTH, but no password is set");
  EXPECT_EQ(Say(client_, {"CONFIG", "SET", "db-name", "x"}),
            "(error) ERR CONFIG SET 'db-name' error: Unsupported CONFIG parameter: db-name");
  EXPECT_EQ(Say(client_, {"CONFIG", "SET", "use-rsid-psync", "yes"}),
            "(error) ERR CONFIG SET 'use-rsid-psync' error: Unsupported CONFIG parameter: use-rsid-psync");
}

TEST_F(Node, AnswersConfigWithGlobs) {
  EXPECT_EQ(Say(client_, {"CONFIG", "GET", "db-name"}), R"(["db-name", "walstitch.test"])");
  EXPECT_EQ(Say(client_, {"CONFIG", "GET", "use-rsid-psync"}), R"(["use-rsid-psync", "no"])");
  EXPECT_EQ(Say(client_, {"CONFIG", "GET", "port"}),
            "[\"port\", \"" + std::to_string(master_.port()) + "\"]");
  EXPECT_EQ(Say(client_, {"CONFIG", "GET", "dir"}), "[\"dir\", \"" + master_.directory() + "\"]");
  EXPECT_EQ(client_("CONFIG", "GET", "rocksdb.wal_*").Field("rocksdb.wal_ttl_seconds").text, "10800");
  EXPECT_EQ(client_("CONFIG", "GET", "rocksdb.wal_*").Field("rocksdb.wal_size_limit_mb").text, "16384");
  EXPECT_EQ(Say(client_, {"CONFIG", "SET", "masterauth", "secret"}), "OK");
  EXPECT_EQ(client_("CONFIG", "GET", "master*").Field("masterauth").text, "secret");
  EXPECT_EQ(Say(client_, {"CONFIG", "GET", "nosuchkey"}), "[]");
}

TEST_F(Node, ClosesOnMalformedRequests) {
  const std::vector<std::string> requests = {"*1\r\nPING\r\n", "*x\r\n", "*1\r\n$-5\r\n", "*2000000\r\n"};
  for (const std::string& request : requests) {
    RawConnection raw(master_.port());
    raw.Send(request);
    const auto line = raw.ReadLine();
    ASSERT_TRUE(line) << request;
    EXPECT_EQ(line->rfind("-ERR Protocol error: ", 0), 0U) << *line;
    EXPECT_TRUE(raw.WaitClosed(seconds(5))) << request;
  }
  EXPECT_EQ(Say(client_, {"PING"}), "PONG");
}

TEST_F(Node, KillsClientsAndWhoeverAsksForItUnlessItIsSkipped) {
  RawConnection idle(master_.port());
  RawConnection subscriber(master_.port());
  subscriber.SendCommand({"SUBSCRIBE", "news"});
  ASSERT_TRUE(subscriber.ReadLine());
  RawConnection asks(master_.port());
  asks.SendCommand({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
  ASSERT_TRUE(asks.ReadLine());
  EXPECT_TRUE(idle.WaitClosed(seconds(5)));
  asks.SendCommand({"CLIENT", "KILL", "TYPE", "pubsub", "SKIPME", "yes"});
  const auto killed = asks.ReadLine();
  ASSERT_TRUE(killed);
  EXPECT_EQ(killed->front(), ':') << *killed;
  EXPECT_TRUE(subscriber.WaitClosed(seconds(5)));
  asks.SendCommand({"PING"});
  EXPECT_EQ(asks.ReadLine(), "+PONG");
  asks.SendCommand({"CLIENT", "KILL", "TYPE", "normal"});
  EXPECT_TRUE(asks.ReadLine());
  EXPECT_TRUE(asks.WaitClosed(seconds(5)));
}

TEST_F(Node, KeepsBinaryKeysAndValues) {
  const std::string key("\x00\xff\r\n\"k", 6);
  const std::string value("\r\n\x00\x01$5\r\n", 8);
  EXPECT_EQ(Say(client_, {"SET", key, value}), "OK");
  EXPECT_EQ(client_("GET", key).text, value);
  EXPECT_EQ(Say(client_, {"HSET", "h", key, value}), "1");
  EXPECT_EQ(client_("HGETALL", "h").Texts(), (std::vector<std::string>{key, value}));
  EXPECT_EQ(client_("KEYS", "*").Texts(), (std::vector<std::string>{key, "h"}));
}

// What each command writes.

TEST_F(Node, WritesTheCountsThatItsCommandsPromise) {
  EXPECT_EQ(GrowthOf({"SET", "k", "v"}), 1U);
  EXPECT_EQ(GrowthOf({"MSET", "a", "1", "b", "2", "c", "3"}), 3U);
  EXPECT_EQ(GrowthOf({"HSET", "h", "f", "1", "g", "2"}), 3U);
  EXPECT_EQ(GrowthOf({"HSET", "h", "f", "9"}), 1U);
  EXPECT_EQ(GrowthOf({"HSET", "h", "f", "9", "i", "3"}), 2U);
  EXPECT_EQ(GrowthOf({"HDEL", "h", "f"}), 2U);
  EXPECT_EQ(GrowthOf({"SADD", "s", "x", "y"}), 3U);
  EXPECT_EQ(GrowthOf({"SREM", "s", "x"}), 2U);
  EXPECT_EQ(GrowthOf({"LPUSH", "l", "1", "2"}), 3U);
  EXPECT_EQ(GrowthOf({"ZADD", "z", "1", "a"}), 3U);
  EXPECT_EQ(GrowthOf({"ZADD", "z", "2", "a"}), 3U);
  EXPECT_EQ(GrowthOf({"ZADD", "z", "1", "b", "1", "c"}), 5U);
  EXPECT_EQ(GrowthOf({"EXPIRE", "k", "100"}), 1U);
  EXPECT_EQ(GrowthOf({"DEL", "k", "a", "absent"}), 2U);
  EXPECT_EQ(GrowthOf({"DEL", "absent"}), 0U);
  EXPECT_EQ(GrowthOf({"PUBLISH", "channel", "message"}), 1U);
  EXPECT_EQ(GrowthOf({"FLUSHDB"}), 1U);
}

TEST_F(Node, NamesTheTypeInLogData) {
  EXPECT_TRUE(Contains(BatchOf({"SET", "k", "v"}).bytes, LogDataRecord("1")));
  EXPECT_TRUE(Contains(BatchOf({"HSET", "h", "f", "v"}).bytes, LogDataRecord("2")));
  EXPECT_TRUE(Contains(BatchOf({"LPUSH", "l", "v"}).bytes, LogDataRecord("3 6")));
  EXPECT_TRUE(Contains(BatchOf({"RPUSH", "l", "v"}).bytes, LogDataRecord("3 7")));
  EXPECT_TRUE(Contains(BatchOf({"SADD", "s", "v"}).bytes, LogDataRecord("4")));
  EXPECT_TRUE(Contains(BatchOf({"ZADD", "z", "1", "v"}).bytes, LogDataRecord("5")));
  EXPECT_TRUE(Contains(BatchOf({"EXPIRE", "k", "100"}).bytes, LogDataRecord("0 8")));
  EXPECT_TRUE(Contains(BatchOf({"DEL", "k"}).bytes, LogDataRecord("0")));
}

TEST_F(Node, LaysRecordsOutAsKvrocksDoes) {
  // 64-bit metadata: flags, eight bytes of expiry, the value.
  const std::string metadata_key = std::string(1, '\x0b') + "__namespace" + "k";
  RawBatch expected;
  expected.LogData("1").Put(1, metadata_key, std::string("\x81", 1) + std::string(8, '\0') + "v");
  const uint64_t before = Last();
  EXPECT_EQ(BatchOf({"SET", "k", "v"}).bytes, expected.Bytes(before + 1));

  // Pub/sub goes to its own family, without LogData.
  RawBatch message;
  message.Put(3, "channel", "hello");
  EXPECT_EQ(BatchOf({"PUBLISH", "channel", "hello"}).bytes, message.Bytes(before + 2));

  // A hash: field in family 0 and the size in family 1; key lengths big-endian.
  const LoggedBatch hash = BatchOf({"HSET", "h", "field", "value"});
  EXPECT_EQ(hash.count, 2U);
  const std::string element_start = std::string(1, '\x0b') + "__namespace" + std::string("\0\0\0\1", 4) + "h";
  EXPECT_TRUE(Contains(hash.bytes, element_start)) << "the field's key";
  EXPECT_TRUE(Contains(hash.bytes, std::string(1, '\x0b') + "__namespaceh")) << "the metadata's key";
}

TEST_F(Node, WritesBatchesWithoutRecords) {
  client_("HSET", "h", "f", "1");
  client_("ZADD", "z", "1", "m");
  const uint64_t before = Last();
  EXPECT_EQ(Say(client_, {"HSET", "h", "f", "1"}), "0");
  EXPECT_EQ(Say(client_, {"ZADD", "z", "1", "m"}), "0");
  EXPECT_EQ(Last(), before);
  EXPECT_EQ(Say(client_, {"SET", "k", "v"}), "OK");
  EXPECT_EQ(Last(), before + 1);

  // A reader that starts before them sees them, with the number of what follows.
  const auto batches = BatchesAfter(client_, before - 3);
  ASSERT_EQ(batches.size(), 4U);
  EXPECT_EQ(batches[1].count, 0U);
  EXPECT_EQ(batches[1].sequence, before + 1);
  EXPECT_EQ(batches[2].count, 0U);
  EXPECT_EQ(batches[3].count, 1U);
  EXPECT_EQ(batches[3].sequence, before + 1);
}

TEST_F(Node, WritesATransactionAsOneBatch) {
  const uint64_t before = Last();
  EXPECT_EQ(Say(client_, {"MULTI"}), "OK");
  EXPECT_EQ(Say(client_, {"SET", "k", "v"}), "QUEUED");
  EXPECT_EQ(Say(client_, {"HSET", "h", "f", "1"}), "QUEUED");
  EXPECT_EQ(Say(client_, {"GET", "k"}), "QUEUED");
  EXPECT_EQ(Say(client_, {"PUBLISH", "c", "m"}), "QUEUED");
  EXPECT_EQ(Say(client_, {"EXEC"}), R"([OK, 1, "v", 0])");
  const auto batches = BatchesAfter(client_, before);
  ASSERT_EQ(batches.size(), 1U);
  EXPECT_EQ(batches[0].count, 4U);
  EXPECT_EQ(Say(client_, {"EXEC"}), "(error) ERR EXEC without MULTI");
  EXPECT_EQ(Say(client_, {"MULTI"}), "OK");
  EXPECT_EQ(Say(client_, {"NOSUCH"}), "(error) ERR unknown command `NOSUCH`, with args beginning with: ");
  EXPECT_EQ(Say(client_, {"EXEC"}), "(error) EXECABORT Transaction discarded");
}

TEST_F(Node, GivesUpATransactionWhoseKeyChanged) {
  RedisClient other = master_.Client();
  client_("SET", "k", "v");
  EXPECT_EQ(Say(client_, {"WATCH", "k"}), "OK");
  other("SET", "k", "w");
  client_("MULTI");
  client_("SET", "k", "mine");
  EXPECT_TRUE(client_("EXEC").IsNil());
  EXPECT_EQ(client_("GET", "k").text, "w");
}

TEST_F(Node, MergesConcurrentWritersIntoOneBatch) {
  const uint64_t before = Last();
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 8; ++writer) {
    writers.emplace_back([this, writer] {
      RedisClient client = master_.Client();
      for (int i = 0; i < 400; ++i) {
        for (int j = 0; j < 4; ++j) client.Send({"SET", "w" + std::to_string(writer), std::to_string(i)});
        for (int j = 0; j < 4; ++j) client.ReadReply();
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(Last(), before + 8 * 400 * 4);
  // Whoever reads a log must expect it: several commands, one record.
  uint64_t next = before + 1;
  bool has_merged = false;
  for (const LoggedBatch& batch : BatchesAfter(client_, before)) {
    EXPECT_EQ(batch.sequence, next);
    next += batch.count;
    has_merged = has_merged || batch.count > 1;
  }
  EXPECT_EQ(next, Last() + 1);
  EXPECT_TRUE(has_merged);
}

// DUMP and RESTORE: how a key is rewritten.

TEST_F(Node, RestoresWhatItDumped) {
  client_("SET", "string", "some text");
  client_("SET", "number", "-70000");
  client_("HSET", "hash", "f", "1", "g", std::string(300, 'x'));
  client_("SADD", "set", "x", "y");
  client_("RPUSH", "list", "1", "a", "1", std::string(20000, 'y'));
  client_("ZADD", "zset", "1", "a", "2.5", "b", "-inf", "c");
  const auto before = DumpKeyspace(client_);
  ASSERT_EQ(before.size(), 6U);
  for (const char* key : {"string", "number", "hash", "set", "list", "zset"}) {
    const std::string payload = client_("DUMP", key).text;
    EXPECT_EQ(Say(client_, {"RESTORE", key, "0", payload}), "(error) ERR target key name already exists.");
    EXPECT_EQ(Say(client_, {"RESTORE", key, "0", payload, "REPLACE"}), "OK");
    EXPECT_EQ(client_("DUMP", key).text, payload) << key;
  }
  EXPECT_EQ(DiffKeyspaces(before, DumpKeyspace(client_)), "");
  EXPECT_EQ(Say(client_, {"RESTORE", "copy", "100000", client_("DUMP", "hash").text}), "OK");
  EXPECT_GT(client_("PTTL", "copy").integer, 50000);
  EXPECT_TRUE(client_("DUMP", "absent").IsNil());
  std::string damaged = client_("DUMP", "set").text;
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  EXPECT_EQ(Say(client_, {"RESTORE", "bad", "0", damaged}), "(error) ERR incorrect checksum");
}

TEST_F(Node, TellsWhenAKeyExpiresToTheMillisecond) {
  client_("SET", "string", "text", "PXAT", "4000000000123");
  client_("HSET", "hash", "f", "1");
  client_("PEXPIREAT", "hash", "4000000000456");
  client_("SET", "for-ever", "12345");
  EXPECT_EQ(client_("PEXPIRETIME", "string").integer, 4000000000123);
  EXPECT_EQ(client_("PEXPIRETIME", "hash").integer, 4000000000456);
  EXPECT_EQ(client_("PEXPIRETIME", "for-ever").integer, -1);
  EXPECT_EQ(client_("PEXPIRETIME", "absent").integer, -2);
  EXPECT_EQ(client_("STRLEN", "for-ever").integer, 5);
  EXPECT_EQ(client_("STRLEN", "absent").integer, 0);
}

// So that a delete of it is written, and replicated.
TEST_F(Node, WritesAKeyThatIsMadeAndDeletedInOneTransaction) {
  const uint64_t before = master_.LastSequence();
  EXPECT_EQ(Say(client_, {"DEL", "absent"}), "0");
  EXPECT_EQ(master_.LastSequence(), before);
  client_("MULTI");
  client_("SET", "absent", "");
  client_("DEL", "absent");
  EXPECT_EQ(Say(client_, {"EXEC"}), "[OK, 1]");
  EXPECT_EQ(master_.LastSequence(), before + 2);
  EXPECT_EQ(client_("EXISTS", "absent").integer, 0);
}

// A value that was put together under another name takes its key's place in one step.
TEST_F(Node, RenamesAKeyOverAnotherInOneBatch) {
  client_("HSET", "new", "field", "1");
  client_("PEXPIRE", "new", "100000");
  client_("HSET", "old", "stale", "2", "field", "3");
  const uint64_t before = master_.LastSequence();
  EXPECT_EQ(Say(client_, {"RENAME", "new", "old"}), "OK");
  EXPECT_EQ(BatchesAfter(client_, before).size(), 1U);
  EXPECT_EQ(master_.LastSequence(), before + 3);  // the old name, the new one, and its field
  EXPECT_EQ(client_("HGETALL", "old").items.size(), 2U);
  EXPECT_GT(client_("PTTL", "old").integer, 0);
  EXPECT_EQ(client_("EXISTS", "new").integer, 0);
  EXPECT_EQ(Say(client_, {"RENAME", "new", "old"}), "(error) ERR no such key");
  client_("ZADD", "scores", "1.5", "m");
  client_("SET", "text", "x");
  EXPECT_EQ(Say(client_, {"RENAME", "scores", "text"}), "OK");
  EXPECT_EQ(client_("ZRANGE", "text", "0", "-1", "WITHSCORES").items.size(), 2U);
}

TEST_F(Node, LosesTheFormOfNumbersWhenItDumps) {
  // A repair that goes through DUMP would change these values.
  for (const auto& [value, after] :
       std::map<std::string, std::string>{{"007", "7"}, {"+5", "5"}, {" 5", "5"}}) {
    client_("SET", "k", value);
    client_("RESTORE", "copy", "0", client_("DUMP", "k").text, "REPLACE");
    EXPECT_EQ(client_("GET", "copy").text, after) << "of \"" << value << "\"";
  }
}

// POLLUPDATES and APPLYBATCH.

TEST_F(Node, PollsUpdates) {
  const uint64_t before = Last();
  client_("SET", "a", "1");
  client_("MSET", "b", "2", "c", "3");
  client_("SET", "d", "4");
  const Reply reply = client_("POLLUPDATES", std::to_string(before), "MAX", "2");
  EXPECT_EQ(reply.Field("latest_sequence").integer, static_cast<int64_t>(before + 4));
  EXPECT_EQ(reply.Field("next_sequence").integer, static_cast<int64_t>(before + 3));
  ASSERT_EQ(reply.Field("updates").items.size(), 2U);
  const std::string& hex = reply.Field("updates").items[0].text;
  EXPECT_EQ(hex.find_first_not_of("0123456789ABCDEF"), std::string::npos) << hex;

  const Reply end = client_("POLLUPDATES", std::to_string(before + 4));
  EXPECT_EQ(end.Field("updates").items.size(), 0U);
  EXPECT_EQ(end.Field("next_sequence").integer, static_cast<int64_t>(before + 4));

  // Inside a batch: the whole batch, unless it must match.
  const Reply inside = client_("POLLUPDATES", std::to_string(before + 2), "MAX", "1");
  ASSERT_EQ(inside.Field("updates").items.size(), 1U);
  EXPECT_EQ(ReadBatchHeader(FromHex(inside.Field("updates").items[0].text)).sequence, before + 2);
  EXPECT_EQ(Say(client_, {"POLLUPDATES", std::to_string(before + 2), "STRICT"}),
            "(error) ERR mismatched sequence number, expected " + std::to_string(before + 3) + " but got " +
                std::to_string(before + 2));
  EXPECT_EQ(Say(client_, {"POLLUPDATES", std::to_string(before + 5)}),
            "(error) ERR next sequence is out of range");
  EXPECT_TRUE(client_("POLLUPDATES", "x").IsError());
  EXPECT_TRUE(client_("POLLUPDATES", "0", "MAX", "1001").IsError());
}

TEST_F(Node, AppliesABatchAsItIs) {
  const uint64_t before = Last();
  RawBatch batch;
  batch.LogData("r walstitch:pad:decision-1").Delete(3, "one").Delete(3, "two").Delete(3, "three");
  const std::string bytes = batch.Bytes(77);
  EXPECT_EQ(Say(client_, {"APPLYBATCH", bytes}), std::to_string(bytes.size()));
  EXPECT_EQ(Last(), before + 3);
  const auto batches = BatchesAfter(client_, before);
  ASSERT_EQ(batches.size(), 1U);
  // The server numbers it, and keeps the rest byte for byte.
  EXPECT_EQ(batches[0].bytes, batch.Bytes(before + 1));
  EXPECT_EQ(Say(client_, {"APPLYBATCH", bytes, "LOWPRI"}), std::to_string(bytes.size()));
  EXPECT_EQ(Say(client_, {"APPLYBATCH", bytes, "NOW"}), "(error) ERR only support LOWPRI option");
  client_("MULTI");
  EXPECT_EQ(Say(client_, {"APPLYBATCH", bytes}), "(error) ERR Can't execute applybatch in MULTI");
}

// The master's side of the dialogue.

// Brings back a hash's metadata as it was, to see what is left of its elements.
class Compaction : public Node {
 protected:
  // The metadata that this HSET of the key "hash" writes.
  std::string MetadataOf(const std::vector<std::string>& hset) {
    constexpr size_t kSize = 25;  // flags, expiry, version, size
    const std::string bytes = BatchOf(hset).bytes;
    return bytes.size() < kSize ? "" : bytes.substr(bytes.size() - kSize);
  }
  void BringBack(const std::string& metadata) {
    RawBatch batch;
    batch.Put(1, "\x0b__namespacehash", metadata);
    const Reply reply = client_("APPLYBATCH", batch.Bytes());
    EXPECT_FALSE(reply.IsError()) << reply;
  }
  void Compact() {
    const auto error = master_.Compact();
    ASSERT_FALSE(error) << *error;
  }
};

TEST_F(Compaction, DropsElementsWithoutMetadata) {
  client_("HSET", "stays", "a", "1");
  const std::string metadata = MetadataOf({"HSET", "hash", "a", "1"});
  client_("DEL", "hash");
  BringBack(metadata);
  ASSERT_EQ(Say(client_, {"HGETALL", "hash"}), "[\"a\", \"1\"]") << "DEL drops none";
  client_("DEL", "hash");
  ASSERT_NO_FATAL_FAILURE(Compact());
  BringBack(metadata);
  EXPECT_EQ(Say(client_, {"HGETALL", "hash"}), "[]");
  EXPECT_EQ(Say(client_, {"HLEN", "hash"}), "1");
  EXPECT_EQ(Say(client_, {"HGETALL", "stays"}), "[\"a\", \"1\"]");
}

TEST_F(Compaction, DropsElementsOfAnotherVersion) {
  const std::string metadata = MetadataOf({"HSET", "hash", "a", "1"});
  client_("DEL", "hash");
  client_("HSET", "hash", "b", "2");
  ASSERT_NO_FATAL_FAILURE(Compact());
  EXPECT_EQ(Say(client_, {"HGETALL", "hash"}), "[\"b\", \"2\"]");
  BringBack(metadata);
  EXPECT_EQ(Say(client_, {"HGETALL", "hash"}), "[]");
}

// Whoever reads it may have begun before.
TEST_F(Compaction, KeepsElementsForAWhileWhenTheirKeyHasExpired) {
  const std::string metadata = MetadataOf({"HSET", "hash", "a", "1"});
  client_("SET", "string", "1");
  client_("PEXPIRE", "hash", "1");
  ASSERT_TRUE(Eventually(seconds(5), [&] { return Say(client_, {"EXISTS", "hash"}) == "0"; }));
  ASSERT_NO_FATAL_FAILURE(Compact());
  BringBack(metadata);
  EXPECT_EQ(Say(client_, {"HGETALL", "hash"}), "[\"a\", \"1\"]");
}

TEST_F(Node, AnswersTheHandshake) {
  RawConnection raw(master_.port());
  raw.SendCommand({"_db_name"});
  EXPECT_EQ(raw.ReadLine(), "walstitch.test");
  raw.SendCommand({"replconf", "listening-port", "12345"});
  EXPECT_EQ(raw.ReadLine(), "+OK");
  raw.SendCommand({"replconf", "listening-port", "12345", "ip-address", "127.0.0.9"});
  EXPECT_EQ(raw.ReadLine(), "+OK");
  raw.SendCommand({"replconf", "nosuch", "1"});
  EXPECT_EQ(raw.ReadLine(), "-ERR unknown option");
  raw.SendCommand({"PSYNC", "x"});
  EXPECT_EQ(raw.ReadLine(), "-ERR value is not an unsigned long long or out of range");
  raw.SendCommand({"PSYNC", std::to_string(Last() + 1)});
  EXPECT_EQ(raw.ReadLine(), "+OK");
  EXPECT_TRUE(Eventually(seconds(5), [&] {
    return Contains(client_("INFO", "replication").text, "slave0:ip=127.0.0.9,port=12345,offset=");
  }));
}

TEST_F(Node, ResumesAtBoundariesOnly) {
  const uint64_t before = Last();
  client_("MSET", "a", "1", "b", "2", "c", "3");
  client_("SET", "d", "4");
  const uint64_t last = before + 4;
  const auto psync = [&](uint64_t next) {
    RawConnection raw(master_.port());
    raw.SendCommand({"PSYNC", std::to_string(next)});
    return raw.ReadLine().value_or("(nothing)");
  };
  const std::string refusal = "-ERR sequence out of range, please use fullsync";
  EXPECT_EQ(psync(before + 1), "+OK") << "the first of a batch";
  EXPECT_EQ(psync(before + 2), refusal) << "inside a batch";
  EXPECT_EQ(psync(before + 3), refusal) << "the last of a batch";
  EXPECT_EQ(psync(before + 4), "+OK") << "the first of the last batch";
  EXPECT_EQ(psync(last + 1), "+OK") << "next";
  EXPECT_EQ(psync(last + 2), refusal) << "beyond next";
  EXPECT_EQ(master_.InfoNumber("stats", "sync_partial_ok"), 3U);
  EXPECT_EQ(master_.InfoNumber("stats", "sync_partial_err"), 3U);
  EXPECT_EQ(master_.InfoNumber("stats", "sync_full"), 0U);
}

TEST_F(Node, StreamsEachBatchAsAFrame) {
  const uint64_t before = Last();
  client_("SET", "a", "1");
  RawConnection raw(master_.port());
  raw.SendCommand({"PSYNC", std::to_string(before + 1)});
  ASSERT_EQ(raw.ReadLine(), "+OK");
  const auto next_batch = [&] {
    auto frame = raw.ReadFrame();
    while (frame && *frame == "ping") frame = raw.ReadFrame();
    return frame.value_or("");
  };
  std::string frame = next_batch();
  EXPECT_EQ(ReadBatchHeader(frame).sequence, before + 1);
  EXPECT_EQ(ReadBatchHeader(frame).count, 1U);
  client_("MSET", "b", "2", "c", "3");
  frame = next_batch();
  EXPECT_EQ(ReadBatchHeader(frame).sequence, before + 2);
  EXPECT_EQ(ReadBatchHeader(frame).count, 2U);
  // The same bytes as in the log.
  EXPECT_EQ(frame, BatchesAfter(client_, before + 1)[0].bytes);
}

TEST_F(Node, SendsHeartbeatsWhenIdle) {
  RawConnection raw(master_.port());
  raw.SendCommand({"PSYNC", std::to_string(Last() + 1)});
  ASSERT_EQ(raw.ReadLine(), "+OK");
  ASSERT_EQ(raw.ReadFrame(seconds(20)), "ping");
  const auto first = std::chrono::steady_clock::now();
  ASSERT_EQ(raw.ReadFrame(seconds(20)), "ping");
  const auto gap = std::chrono::steady_clock::now() - first;
  EXPECT_GE(gap, milliseconds(1500));
}

TEST_F(Node, RefusesWhatWasPurged) {
  for (int i = 0; i < 10; ++i) client_("SET", "k" + std::to_string(i), "v");
  const uint64_t last = Last();
  const auto error = master_.PurgeWal();
  ASSERT_FALSE(error) << *error;
  RawConnection raw(master_.port());
  raw.SendCommand({"PSYNC", std::to_string(last - 3)});
  EXPECT_EQ(raw.ReadLine(), "-ERR sequence out of range, please use fullsync");
  raw.SendCommand({"PSYNC", std::to_string(last + 1)});
  EXPECT_EQ(raw.ReadLine(), "+OK");
}

// The replica's side.

class Pair : public Node {
 protected:
  // Starts a replica of the master and waits for it.
  void StartReplica() {
    replica_.SetUpstream(master_.port());
    StartOrFail(replica_);
    ASSERT_TRUE(replica_.WaitInSync(master_));
  }

  NodeServer replica_;
};

TEST_F(Pair, ReplicatesEveryType) {
  StartReplica();
  client_("SET", "string", "v");
  client_("SET", "volatile", "v", "EX", "1000");
  client_("HSET", "hash", "f", "1", "g", "2");
  client_("SADD", "set", "x", "y");
  client_("RPUSH", "list", "1", "2", "1");
  client_("ZADD", "zset", "1", "a", "2", "b");
  client_("SET", "gone", "v");
  client_("DEL", "gone");
  ASSERT_TRUE(replica_.WaitInSync(master_));
  RedisClient follower = replica_.Client();
  const auto there = DumpKeyspace(follower);
  EXPECT_EQ(there.size(), 6U);
  EXPECT_EQ(DiffKeyspaces(DumpKeyspace(client_), there), "");
  // And the logs are equal, byte for byte.
  const auto mine = BatchesAfter(client_, 0);
  const auto theirs = BatchesAfter(follower, 0);
  ASSERT_EQ(mine.size(), theirs.size());
  for (size_t i = 0; i < mine.size(); ++i) EXPECT_EQ(mine[i].bytes, theirs[i].bytes) << "batch " << i;
}

TEST_F(Pair, IsReadOnlyAsAReplica) {
  client_("SET", "k", "v");
  StartReplica();
  RedisClient follower = replica_.Client();
  const std::string refusal = "(error) READONLY You can't write against a read only slave.";
  EXPECT_EQ(Say(follower, {"SET", "k", "w"}), refusal);
  EXPECT_EQ(Say(follower, {"DEL", "k"}), refusal);
  EXPECT_EQ(Say(follower, {"FLUSHALL"}), refusal);
  EXPECT_EQ(Say(follower, {"APPLYBATCH", RawBatch().Delete(3, "x").Bytes()}), refusal);
  EXPECT_EQ(Say(follower, {"PUBLISH", "c", "m"}), "0");
  EXPECT_EQ(replica_.LastSequence(), master_.LastSequence());
  EXPECT_EQ(Say(follower, {"GET", "k"}), "\"v\"");
  EXPECT_FALSE(follower("POLLUPDATES", "0").IsError());
}

TEST_F(Pair, SaysItsRole) {
  StartReplica();
  RedisClient follower = replica_.Client();
  EXPECT_EQ(InfoField(client_, "replication", "role"), "master");
  EXPECT_EQ(InfoField(follower, "replication", "role"), "slave");
  EXPECT_EQ(InfoField(follower, "replication", "master_host"), "127.0.0.1");
  EXPECT_EQ(InfoField(follower, "replication", "master_port"), std::to_string(master_.port()));
  EXPECT_EQ(InfoField(follower, "replication", "master_link_status"), "up");
  EXPECT_EQ(InfoField(follower, "replication", "master_sync_in_progress"), "0");
  EXPECT_EQ(InfoField(follower, "replication", "slave_priority"), "100");
  EXPECT_EQ(InfoField(follower, "persistence", "loading"), "0");
  EXPECT_EQ(InfoField(client_, "replication", "connected_slaves"), "1");
  const std::string port = std::to_string(replica_.port());
  EXPECT_EQ(InfoField(client_, "replication", "slave0").rfind("ip=127.0.0.1,port=" + port + ",offset=", 0),
            0U);
  const Reply role = follower("ROLE");
  ASSERT_EQ(role.items.size(), 5U);
  EXPECT_EQ(role.items[0].text, "slave");
  EXPECT_EQ(role.items[3].text, "connected");
  const Reply master_role = client_("ROLE");
  ASSERT_EQ(master_role.items.size(), 3U);
  EXPECT_EQ(master_role.items[0].text, "master");
  EXPECT_EQ(master_role.items[2].items[0].items[1].text, port);
}

TEST_F(Pair, RefusesToReplicateItselfOrItsReplica) {
  StartReplica();
  EXPECT_EQ(Say(client_, {"SLAVEOF", "127.0.0.1", std::to_string(master_.port())}),
            "(error) ERR can't replicate itself");
  EXPECT_EQ(Say(client_, {"SLAVEOF", "127.0.0.1", std::to_string(replica_.port())}),
            "(error) ERR can't replicate your own replicas");
  EXPECT_EQ(Say(client_, {"SLAVEOF", "127.0.0.1", "x"}), "(error) ERR port should be number");
}

TEST_F(Pair, ResumesPartiallyAfterARestart) {
  client_("SET", "a", "1");
  StartReplica();
  replica_.Stop();
  client_("SET", "b", "2");
  StartOrFail(replica_);
  EXPECT_TRUE(replica_.WaitInSync(master_));
  EXPECT_EQ(master_.InfoNumber("stats", "sync_full"), 0U);
  EXPECT_EQ(master_.InfoNumber("stats", "sync_partial_ok"), 2U);
}

TEST_F(Pair, ComesBackFromAKillWithEverythingItHad) {
  for (int i = 0; i < 100; ++i) client_("SET", "k" + std::to_string(i), "v");
  const uint64_t last = Last();
  const auto before = DumpKeyspace(client_);
  master_.Kill();
  StartOrFail(master_);
  client_ = master_.Client();
  EXPECT_EQ(Last(), last);
  EXPECT_EQ(DiffKeyspaces(before, DumpKeyspace(client_)), "");
}

TEST_F(Pair, FullSyncsWhenItCannotResume) {
  // The replica has two writes that the master never had, and its next lies
  // inside a batch of the master.
  client_("SET", "shared", "v");
  StartReplica();
  RedisClient follower = replica_.Client();
  ASSERT_EQ(Say(follower, {"SLAVEOF", "NO", "ONE"}), "OK");
  follower("SET", "only-here", "1");
  client_("MSET", "m1", "1", "m2", "2", "m3", "3");
  ASSERT_EQ(Say(follower, {"SLAVEOF", "127.0.0.1", std::to_string(master_.port())}), "OK");
  ASSERT_TRUE(Eventually(seconds(30), [&] { return master_.InfoNumber("stats", "sync_full") == 1; }));
  ASSERT_TRUE(replica_.WaitInSync(master_, seconds(40)));
  EXPECT_EQ(master_.InfoNumber("stats", "sync_partial_err"), 1U);
  RedisClient after = replica_.Client();
  EXPECT_EQ(DiffKeyspaces(DumpKeyspace(client_), DumpKeyspace(after)), "");
  EXPECT_TRUE(after("GET", "only-here").IsNil());
}

TEST_F(Pair, DoesNotNoticeADivergenceAtABoundary) {
  // Why the product exists: the numbers fit, so Kvrocks resumes.
  client_("SET", "shared", "v");
  StartReplica();
  RedisClient follower = replica_.Client();
  ASSERT_EQ(Say(follower, {"SLAVEOF", "NO", "ONE"}), "OK");
  follower("SET", "k", "theirs");
  client_("SET", "k", "ours");
  ASSERT_EQ(Say(follower, {"SLAVEOF", "127.0.0.1", std::to_string(master_.port())}), "OK");
  ASSERT_TRUE(replica_.WaitInSync(master_));
  EXPECT_EQ(master_.InfoNumber("stats", "sync_full"), 0U);
  EXPECT_EQ(follower("GET", "k").text, "theirs");
}

TEST_F(Pair, FeedsItsOwnReplicas) {
  StartReplica();
  NodeServer leaf;
  leaf.SetUpstream(replica_.port());
  StartOrFail(leaf);
  client_("SET", "k", "v");
  EXPECT_TRUE(leaf.WaitInSync(master_));
  RedisClient reader = leaf.Client();
  EXPECT_EQ(reader("GET", "k").text, "v");
}

TEST_F(Pair, ServesFilesForAFullSync) {
  client_("SET", "k", "v");
  RawConnection meta(master_.port());
  meta.SendCommand({"_fetch_meta"});
  const auto line = meta.ReadLine();
  ASSERT_TRUE(line);
  EXPECT_TRUE(Contains("," + *line + ",", ",CURRENT,")) << *line;
  EXPECT_TRUE(meta.WaitClosed(seconds(5)));
  RawConnection files(master_.port());
  files.SendCommand({"_fetch_file", "CURRENT"});
  const auto size = files.ReadLine();
  ASSERT_TRUE(size);
  const auto content = files.ReadBytes(std::stoul(*size));
  ASSERT_TRUE(content);
  EXPECT_EQ(content->rfind("MANIFEST-", 0), 0U) << *content;
  EXPECT_TRUE(files.WaitClosed(seconds(5)));
  EXPECT_EQ(master_.InfoNumber("stats", "sync_full"), 1U);
}

// A stand-in as upstream: what the relay does.

class Parked : public Node {
 protected:
  void Park() {
    ASSERT_EQ(Say(client_, {"SLAVEOF", "127.0.0.1", std::to_string(upstream_.port())}), "OK");
    ASSERT_TRUE(upstream_.WaitAccepted(1));
    ASSERT_TRUE(Eventually(seconds(5), [&] { return master_.IsFollowing(); }));
  }
  // A heartbeat makes sure that frames right behind another are looked at.
  bool WaitSequence(uint64_t sequence) {
    return Eventually(seconds(10), [&] { return Last() >= sequence; }) && Last() == sequence;
  }

  StandInMaster upstream_;
};

TEST_F(Parked, StandsStillAndReadOnly) {
  client_("SET", "k", "v");
  const uint64_t last = Last();
  Park();
  EXPECT_EQ(Last(), last);
  EXPECT_EQ(Say(client_, {"SET", "k", "w"}), "(error) READONLY You can't write against a read only slave.");
  EXPECT_EQ(InfoField(client_, "replication", "role"), "slave");
  // Back again, without a sequence of its own.
  EXPECT_EQ(Say(client_, {"SLAVEOF", "NO", "ONE"}), "OK");
  EXPECT_EQ(Last(), last);
  EXPECT_EQ(Say(client_, {"SET", "k", "w"}), "OK");
}

TEST_F(Parked, AsksInTheOrderOfTheDialogue) {
  client_("SET", "k", "v");
  Park();
  const std::vector<std::vector<std::string>> expected = {
      {"_db_name"},
      {"replconf", "listening-port", std::to_string(master_.port())},
      {"PSYNC", std::to_string(Last() + 1)},
  };
  EXPECT_EQ(upstream_.Requests(), expected);
}

TEST_F(Parked, TakesTheSameUpstreamForNothingNew) {
  Park();
  EXPECT_EQ(Say(client_, {"SLAVEOF", "127.0.0.1", std::to_string(upstream_.port())}), "OK");
  client_("PING");
  EXPECT_EQ(upstream_.accepted(), 1);
  EXPECT_TRUE(master_.IsFollowing());
}

TEST_F(Parked, AdvancesByExactlyTheRecordsOfAFrame) {
  client_("SET", "k", "v");
  const uint64_t last = Last();
  Park();
  const std::string pad = PaddingBatch(7, "r walstitch:pad:1");
  ASSERT_TRUE(upstream_.Send(Frame(pad)));
  EXPECT_TRUE(WaitSequence(last + 7));
  ASSERT_TRUE(upstream_.Send(Frame(PaddingBatch(4096, "r walstitch:pad:2"))));
  EXPECT_TRUE(WaitSequence(last + 7 + 4096));
  // The marker is in the log, byte for byte, and the keys are untouched.
  const auto batches = BatchesAfter(client_, last);
  ASSERT_EQ(batches.size(), 2U);
  EXPECT_EQ(batches[0].bytes.substr(12), pad.substr(12));
  EXPECT_EQ(client_("GET", "k").text, "v");
  EXPECT_EQ(client_("KEYS", "*").items.size(), 1U);
  EXPECT_TRUE(master_.IsFollowing());
}

TEST_F(Parked, NumbersWhatItAppliesItself) {
  const uint64_t last = Last();
  Park();
  RawBatch batch;
  batch.LogData("1").Put(1, std::string(1, '\x0b') + "__namespacek",
                         std::string("\x81", 1) + std::string(8, '\0') + "v");
  ASSERT_TRUE(upstream_.Send(Frame(batch.Bytes(123456))));
  EXPECT_TRUE(WaitSequence(last + 1));
  EXPECT_EQ(client_("GET", "k").text, "v");
  EXPECT_EQ(BatchesAfter(client_, last)[0].sequence, last + 1);
}

TEST_F(Parked, TakesBatchesWithoutRecords) {
  const uint64_t last = Last();
  Park();
  ASSERT_TRUE(upstream_.Send(Frame(RawBatch().LogData("5").Bytes())));
  ASSERT_TRUE(upstream_.Send(Frame(PaddingBatch(1, "r walstitch:pad:1"))));
  EXPECT_TRUE(WaitSequence(last + 1));
  EXPECT_TRUE(master_.IsFollowing());
}

TEST_F(Parked, TakesAFrameBehindAHeartbeatAtTheLatestWithTheNext) {
  const uint64_t last = Last();
  Park();
  ASSERT_TRUE(upstream_.Send(Heartbeat() + Frame(PaddingBatch(3, "r walstitch:pad:1"))));
  ASSERT_TRUE(upstream_.Send(Heartbeat()));
  EXPECT_TRUE(WaitSequence(last + 3));
}

TEST_F(Parked, TakesAFrameThatArrivesInPieces) {
  const uint64_t last = Last();
  Park();
  const std::string frame = Frame(PaddingBatch(3, "r walstitch:pad:1"));
  for (size_t i = 0; i < frame.size(); i += 5) ASSERT_TRUE(upstream_.Send(frame.substr(i, 5)));
  EXPECT_TRUE(WaitSequence(last + 3));
}

TEST_F(Parked, KeepsFeedingItsReplicas) {
  client_("SET", "k", "v");
  NodeServer leaf;
  leaf.SetUpstream(master_.port());
  StartOrFail(leaf);
  ASSERT_TRUE(leaf.WaitInSync(master_));
  Park();
  ASSERT_TRUE(upstream_.Send(Frame(PaddingBatch(5, "r walstitch:pad:1"))));
  EXPECT_TRUE(Eventually(seconds(10), [&] { return leaf.LastSequence() == Last() && Last() >= 6; }));
  EXPECT_TRUE(leaf.IsFollowing());
}

TEST_F(Parked, ReconnectsAfterItsUpstreamClosed) {
  Park();
  upstream_.Drop();
  EXPECT_TRUE(upstream_.WaitAccepted(2));
  EXPECT_TRUE(Eventually(seconds(10), [&] { return master_.IsFollowing(); }));
}

TEST_F(Parked, FullSyncsOnAnyOtherAnswer) {
  StandInMaster::Options options;
  options.psync_answer = "-ERR not today";
  StandInMaster refusing(options);
  client_("SET", "k", "v");
  ASSERT_EQ(Say(client_, {"SLAVEOF", "127.0.0.1", std::to_string(refusing.port())}), "OK");
  EXPECT_TRUE(Eventually(seconds(10), [&] {
    const auto requests = refusing.Requests();
    return std::find(requests.begin(), requests.end(), std::vector<std::string>{"_fetch_meta"}) !=
           requests.end();
  }));
  EXPECT_EQ(client_("GET", "k").text, "v");
}

TEST(Boot, StartsParkedWhenToldItsUpstream) {
  NodeServer node;
  StartOrFail(node);
  RedisClient client = node.Client();
  client("SET", "k", "v");
  const uint64_t last = node.LastSequence();
  node.Stop();
  StandInMaster upstream;
  node.SetUpstream(upstream.port());
  StartOrFail(node);
  client = node.Client();
  EXPECT_EQ(InfoField(client, "replication", "role"), "slave");
  EXPECT_EQ(Say(client, {"SET", "k", "w"}), "(error) READONLY You can't write against a read only slave.");
  EXPECT_TRUE(upstream.WaitAccepted(1));
  // Promoted, it is a master until the next start.
  EXPECT_EQ(Say(client, {"SLAVEOF", "NO", "ONE"}), "OK");
  EXPECT_EQ(Say(client, {"SET", "k", "w"}), "OK");
  EXPECT_EQ(node.LastSequence(), last + 1);
  const auto error = node.Restart();
  ASSERT_FALSE(error) << *error;
  EXPECT_EQ(node.Info("replication", "role"), "slave");
}

// Replication ids.

NodeConfig WithIds() { return {{"use-rsid-psync", "yes"}}; }

// The replication id that a batch carries; empty if none.
std::string IdOf(const std::string& bytes) {
  const size_t at = bytes.rfind("\x03\x12r ");
  return at == std::string::npos ? "" : bytes.substr(at + 4, 16);
}

TEST(ReplicationId, EndsEveryBatchAndCostsASequencePerHistory) {
  NodeServer node(WithIds());
  StartOrFail(node);
  RedisClient client = node.Client();
  EXPECT_EQ(node.LastSequence(), 1U);
  client("SET", "k", "v");
  auto batches = BatchesAfter(client, 0);
  ASSERT_EQ(batches.size(), 2U);
  const std::string id = IdOf(batches[0].bytes);
  EXPECT_EQ(id.size(), 16U);
  EXPECT_EQ(id.find_first_not_of("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"), std::string::npos) << id;
  EXPECT_TRUE(Contains(batches[0].bytes, "replication_id_"));
  EXPECT_EQ(IdOf(batches[1].bytes), id);
  EXPECT_EQ(batches[1].count, 1U);

  const auto error = node.Restart();
  ASSERT_FALSE(error) << *error;
  EXPECT_EQ(node.LastSequence(), 3U);
  client = node.Client();
  batches = BatchesAfter(client, 2);
  ASSERT_EQ(batches.size(), 1U);
  EXPECT_NE(IdOf(batches[0].bytes), id);

  StandInMaster upstream;
  client("SLAVEOF", "127.0.0.1", std::to_string(upstream.port()));
  ASSERT_TRUE(upstream.WaitAccepted(1));
  EXPECT_EQ(upstream.Requests().back(), (std::vector<std::string>{"PSYNC", IdOf(batches[0].bytes), "4"}));
  EXPECT_EQ(node.LastSequence(), 3U);
  client("SLAVEOF", "NO", "ONE");
  EXPECT_EQ(node.LastSequence(), 4U);
}

TEST(ReplicationId, IsComparedWhenTheBatchCarriesOne) {
  NodeServer node(WithIds());
  StartOrFail(node);
  RedisClient client = node.Client();
  client("SET", "k", "v");
  const std::string id = IdOf(BatchesAfter(client, 1)[0].bytes);
  const auto psync = [&](const std::vector<std::string>& arguments) {
    RawConnection raw(node.port());
    raw.SendCommand(arguments);
    return raw.ReadLine().value_or("(nothing)");
  };
  EXPECT_EQ(psync({"PSYNC", id, "3"}), "+OK");
  EXPECT_EQ(psync({"PSYNC", "ABCDEFGHIJKLMNOP", "3"}), "-ERR wrong replication id of the last log");
  EXPECT_EQ(psync({"PSYNC", "short", "3"}), "-ERR Wrong replication id length");
  EXPECT_EQ(psync({"PSYNC", "3"}), "+OK") << "the old form is not compared";
  // APPLYBATCH adds no id, so that whoever holds this record is not compared.
  client("APPLYBATCH", PaddingBatch(2, "r walstitch:pad:1"));
  EXPECT_EQ(psync({"PSYNC", "ABCDEFGHIJKLMNOP", "5"}), "+OK");
}

TEST(ReplicationId, IsTakenFromAPaddingBatch) {
  NodeServer survivor(WithIds());
  StartOrFail(survivor);
  RedisClient client = survivor.Client();
  client("SET", "a", "1");
  NodeServer rejoiner(WithIds());
  rejoiner.SetUpstream(survivor.port());
  StartOrFail(rejoiner);
  ASSERT_TRUE(rejoiner.WaitInSync(survivor));
  // Away, a history of its own, and then padded up to the survivor.
  StandInMaster upstream;
  RedisClient other = rejoiner.Client();
  other("SLAVEOF", "NO", "ONE");
  client("MSET", "b", "2", "c", "3", "d", "4");
  other("SLAVEOF", "127.0.0.1", std::to_string(upstream.port()));
  ASSERT_TRUE(upstream.WaitAccepted(1));
  const auto batches = BatchesAfter(client, 0);
  const std::string id = IdOf(batches.back().bytes);
  RawBatch pad;
  pad.LogData("r walstitch:pad:1").Delete(3, "x").Delete(3, "y").LogData("r " + id);
  ASSERT_TRUE(upstream.Send(Frame(pad.Bytes())));
  ASSERT_TRUE(Eventually(seconds(10), [&] { return rejoiner.LastSequence() == survivor.LastSequence(); }));
  other("SLAVEOF", "127.0.0.1", std::to_string(survivor.port()));
  EXPECT_TRUE(rejoiner.WaitInSync(survivor));
  EXPECT_EQ(survivor.InfoNumber("stats", "sync_full"), 0U);
  EXPECT_EQ(survivor.InfoNumber("stats", "sync_partial_ok"), 2U);
}

// Passwords and namespaces.

TEST(Password, GuardsEverything) {
  NodeServer node(NodeConfig{{"requirepass", "secret"}});
  StartOrFail(node);
  RedisClient client(node.port());
  EXPECT_EQ(Say(client, {"GET", "k"}), "(error) NOAUTH Authentication required.");
  EXPECT_EQ(Say(client, {"AUTH", "wrong"}), "(error) ERR Invalid password");
  EXPECT_EQ(Say(client, {"AUTH", "secret"}), "OK");
  EXPECT_EQ(Say(client, {"GET", "k"}), "(nil)");
  RawConnection raw(node.port());
  raw.SendCommand({"_db_name"});
  EXPECT_EQ(raw.ReadLine(), "-NOAUTH Authentication required.");
  raw.SendCommand({"AUTH", "secret"});
  EXPECT_EQ(raw.ReadLine(), "+OK");
  raw.SendCommand({"_db_name"});
  EXPECT_EQ(raw.ReadLine(), "walstitch.test");
}

TEST(Password, IsSentByReplicasAndOnceMoreWithEachReconnect) {
  StandInMaster::Options options;
  options.password = "secret";
  StandInMaster upstream(options);
  NodeServer node(NodeConfig{{"masterauth", "secret"}});
  node.SetUpstream(upstream.port());
  StartOrFail(node);
  ASSERT_TRUE(upstream.WaitAccepted(1));
  EXPECT_EQ(upstream.AuthsOfLastConnection(), 1);
  upstream.Drop();
  ASSERT_TRUE(upstream.WaitAccepted(2));
  EXPECT_EQ(upstream.AuthsOfLastConnection(), 2);
  upstream.Drop();
  ASSERT_TRUE(upstream.WaitAccepted(3));
  EXPECT_EQ(upstream.AuthsOfLastConnection(), 3);
}

TEST(Password, WorksThroughAFullSync) {
  const NodeConfig options = {{"requirepass", "secret"}, {"masterauth", "secret"}};
  NodeServer leader(options);
  StartOrFail(leader);
  RedisClient client = leader.Client();
  for (int i = 0; i < 50; ++i) client("SET", "k" + std::to_string(i), std::string(1000, 'x'));
  const auto error = leader.PurgeWal();
  ASSERT_FALSE(error) << *error;
  NodeServer follower(options);
  follower.SetUpstream(leader.port());
  StartOrFail(follower);
  ASSERT_TRUE(follower.WaitInSync(leader, seconds(40)));
  EXPECT_EQ(leader.InfoNumber("stats", "sync_full"), 1U);
  RedisClient reader = follower.Client();
  EXPECT_EQ(DiffKeyspaces(DumpKeyspace(client), DumpKeyspace(reader)), "");
}

TEST(Namespace, SeparatesKeysByToken) {
  const NodeConfig options = {
      {"requirepass", "admin"}, {"masterauth", "admin"}, {"repl-namespace-enabled", "yes"}};
  NodeServer node(options);
  StartOrFail(node);
  RedisClient admin = node.Client();
  const uint64_t before = node.LastSequence();
  EXPECT_EQ(Say(admin, {"NAMESPACE", "ADD", "shop", "shop-token"}), "OK");
  EXPECT_EQ(node.LastSequence(), before + 1);
  EXPECT_EQ(Say(admin, {"NAMESPACE", "ADD", "shop", "other"}), "(error) ERR the namespace already exists");
  EXPECT_EQ(Say(admin, {"NAMESPACE", "GET", "shop"}), "\"shop-token\"");
  EXPECT_EQ(Say(admin, {"NAMESPACE", "GET", "*"}), R"(["shop", "shop-token", "__namespace", "admin"])");
  RedisClient user(node.port());
  EXPECT_EQ(Say(user, {"AUTH", "shop-token"}), "OK");
  EXPECT_EQ(Say(user, {"SET", "k", "v"}), "OK");
  EXPECT_EQ(Say(user, {"CONFIG", "GET", "port"}),
            "(error) ERR admin permission required to perform the command");
  EXPECT_EQ(Say(user, {"SLAVEOF", "NO", "ONE"}),
            "(error) ERR admin permission required to perform the command");
  EXPECT_EQ(Say(admin, {"GET", "k"}), "(nil)");
  admin("SET", "k", "w");

  NodeServer follower(options);
  follower.SetUpstream(node.port());
  StartOrFail(follower);
  ASSERT_TRUE(follower.WaitInSync(node));
  RedisClient reader = follower.Client();
  const auto dump = DumpKeyspace(reader);
  EXPECT_EQ(dump.size(), 2U);
  EXPECT_EQ(dump.at("shop:k"), "string \"v\"");
  EXPECT_EQ(DiffKeyspaces(DumpKeyspace(admin), dump), "");
  EXPECT_EQ(Say(reader, {"NAMESPACE", "DEL", "shop"}), "(error) ERR namespace is read-only for slave");
}

TEST_F(Node, SubscriberHearsWhatIsPublishedThereAndMayPing) {
  RedisClient subscriber(master_.port());
  ASSERT_TRUE(subscriber.Send({"SUBSCRIBE", "channel"}));
  EXPECT_EQ(ToString(subscriber.ReadReply()), "[\"subscribe\", \"channel\", 1]");
  EXPECT_EQ(client_("PUBLISH", "channel", "hello").integer, 1);
  EXPECT_EQ(client_("PUBLISH", "another", "hello").integer, 0);
  EXPECT_EQ(ToString(subscriber.ReadReply()), "[\"message\", \"channel\", \"hello\"]");
  ASSERT_TRUE(subscriber.Send({"PING"}));
  EXPECT_EQ(ToString(subscriber.ReadReply()), "PONG");
}

// Fault switches: refnode only.

class Faults : public Pair {
 protected:
  void SetUp() override {
    if (NodeServer::IsRealKvrocks()) GTEST_SKIP() << "a real Kvrocks has no fault switches";
    Pair::SetUp();
  }
};

TEST_F(Faults, StopAndRefuseAndCrash) {
  client_("SET", "k", "v");
  ASSERT_TRUE(client_("REFNODE.FAULT", "stop-reading").IsOk());
  RedisClient deaf(master_.port(), "127.0.0.1", milliseconds(300));
  EXPECT_TRUE(deaf("PING").IsBroken());
  ASSERT_TRUE(client_("REFNODE.FAULT", "clear").IsOk());
  EXPECT_EQ(Say(client_, {"PING"}), "PONG");
  ASSERT_TRUE(client_("REFNODE.FAULT", "refuse").IsOk());
  RedisClient refused(master_.port());
  EXPECT_TRUE(refused("PING").IsBroken());
  ASSERT_TRUE(client_("REFNODE.FAULT", "clear").IsOk());
  const uint64_t last = Last();
  EXPECT_TRUE(client_("REFNODE.FAULT", "crash").IsBroken());
  EXPECT_TRUE(master_.process().Wait(seconds(10)));
  StartOrFail(master_);
  EXPECT_EQ(Last(), last);
}

TEST_F(Faults, HoldsBatchesBackFromReplicas) {
  StartReplica();
  ASSERT_TRUE(client_("REFNODE.FAULT", "stop-feeding").IsOk());
  const uint64_t before = Last();
  client_("SET", "a", "1");
  client_("SET", "b", "2");
  EXPECT_EQ(replica_.LastSequence(), before);
  ASSERT_TRUE(client_("REFNODE.FAULT", "clear").IsOk());
  EXPECT_TRUE(replica_.WaitInSync(master_));
  ASSERT_TRUE(client_("REFNODE.FAULT", "drop-connections", "replicas").IsOk());
  client_("SET", "c", "3");
  EXPECT_TRUE(replica_.WaitInSync(master_));
}

TEST_F(Faults, SlowWritesTakeTheirTimeAndAreWrittenAllTheSame) {
  ASSERT_TRUE(client_("REFNODE.FAULT", "slow-writes", "80").IsOk());
  const auto start = std::chrono::steady_clock::now();
  ASSERT_TRUE(client_("SET", "slow", "1").IsOk());
  EXPECT_GE(std::chrono::steady_clock::now() - start, milliseconds(80));
  EXPECT_EQ(client_("GET", "slow").text, "1");
}

}  // namespace
}  // namespace walstitch::test
