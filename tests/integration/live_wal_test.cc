// The WAL of a server under load, read from its files while it writes, against what the server itself says of
// it (POLLUPDATES): batch by batch, byte by byte. On refnode, and on the real Kvrocks of $KVROCKS_BIN.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "agents/node/kvrocks_client.h"
#include "agents/wal/pollupdates_source.h"
#include "agents/wal/wal_directory.h"
#include "agents/wal/wal_follower.h"
#include "tests/support/environment.h"
#include "tests/support/node_server.h"

namespace walstitch::test {
namespace {

using std::chrono::seconds;

// Writes of many kinds and sizes, from several connections, until it ends or enough was written.
class Writers {
 public:
  Writers(const NodeServer& node, int connections, std::uint64_t commands) {
    for (int i = 0; i < connections; ++i) {
      threads_.emplace_back([this, &node, i, commands] { Write(node, i, commands); });
    }
  }
  ~Writers() { Join(); }
  Writers(const Writers&) = delete;
  Writers& operator=(const Writers&) = delete;

  void Join() {
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }
  [[nodiscard]] bool Done() const { return done_ == threads_.size(); }
  [[nodiscard]] std::uint64_t Refused() const { return refused_; }

 private:
  void Write(const NodeServer& node, int seed, std::uint64_t commands) {
    RedisClient client = node.Client();
    std::mt19937 random(static_cast<std::mt19937::result_type>(seed));
    for (std::uint64_t i = 0; i < commands; ++i) {
      const std::string key = std::to_string(random() % 500);
      const std::string value(random() % 50 == 0 ? random() % 100000 : random() % 300, 'v');
      Reply reply;
      switch (random() % 6) {
        case 0:
          reply = client("HSET", "hash:" + key, "a", value, "b", "2");
          break;
        case 1:
          reply = client("ZADD", "zset:" + key, "1.5", "member" + value.substr(0, 100));
          break;
        case 2:
          reply = client("DEL", "string:" + key, "hash:" + key);
          break;
        case 3:
          reply = client("LPUSH", "list:" + key, value, "other");
          break;
        default:
          reply = client("SET", "string:" + key, value);
      }
      if (reply.IsError() || reply.IsBroken()) ++refused_;
    }
    ++done_;
  }

  std::atomic<std::uint64_t> refused_{0};
  std::atomic<std::size_t> done_{0};
  std::vector<std::thread> threads_;
};

class LiveWalTest : public ::testing::Test {
 protected:
  void SetUp() override {
    // Small memtables: the WAL is rotated and archived often.
    node_.SetConfig("rocksdb.write_buffer_size", "1");
    const auto error = node_.Start();
    ASSERT_FALSE(error) << *error;
    node::ClientOptions options;
    options.host = "127.0.0.1";
    options.port = node_.port();
    client_ = std::make_unique<node::KvrocksClient>(options);
    server_ = std::make_unique<wal::PollUpdatesSource>(
        [this](Sequence after, std::uint32_t max_batches) -> Result<wal::PolledUpdates> {
          auto updates = client_->PollUpdates(after, max_batches);
          if (!updates) return Fail(updates.error());
          return wal::PolledUpdates{updates->latest, std::move(updates->batches), updates->next};
        });
  }

  static Result<std::vector<std::string>> All(wal::WalSource& source, SequenceRange range) {
    std::vector<std::string> batches;
    Result<void> read = source.ForEachBatch(range, [&](const wal::BatchView& batch) {
      if (batch.count > 0) batches.emplace_back(batch.bytes);
      return true;
    });
    if (!read) return Fail(read.error());
    return batches;
  }

  NodeServer node_;
  std::unique_ptr<node::KvrocksClient> client_;
  std::unique_ptr<wal::PollUpdatesSource> server_;
};

TEST_F(LiveWalTest, TheFilesAgreeWithPollupdatesBatchByBatchWhileTheServerWrites) {
  wal::WalDirectory files(node_.directory());
  Writers writers(node_, 3, 4000);
  std::mt19937_64 random(1);
  std::uint64_t compared = 0;
  do {
    // The files are ahead of what the server has published, never behind.
    auto published = server_->Extent();
    ASSERT_TRUE(published) << published.error().Message();
    auto written = files.Extent();
    ASSERT_TRUE(written) << written.error().Message();
    ASSERT_GE(written->last, published->last);
    if (!published->last) continue;  // nothing yet
    ASSERT_EQ(written->oldest, published->oldest);
    const std::uint64_t last = published->last->Value();
    for (int i = 0; i < 20; ++i) {
      const Sequence from(1 + random() % last);
      auto theirs = server_->BatchHolding(from);
      auto ours = files.BatchHolding(from);
      ASSERT_TRUE(theirs && ours) << from.ToString();
      ASSERT_TRUE(*theirs && *ours && **theirs == **ours) << from.ToString();
      auto place = files.Locate(from);
      ASSERT_TRUE(place && *place && (*place)->header.first == (*theirs)->first) << from.ToString();
      EXPECT_EQ(files.Cost().fallback, "");
      ASSERT_EQ(files.BoundaryAtOrAfter(from).value(), server_->BoundaryAtOrAfter(from).value());
      ++compared;
    }
    const SequenceRange range{Sequence(1 + random() % last), Sequence(last + 1)};
    const SequenceRange part{range.from, std::min(range.to, range.from + 500)};
    auto theirs = All(*server_, part);
    auto ours = All(files, part);
    ASSERT_TRUE(theirs && ours);
    ASSERT_TRUE(*theirs == *ours) << part.ToString();
  } while (!writers.Done());
  writers.Join();
  EXPECT_EQ(writers.Refused(), 0U);
  EXPECT_GT(compared, 0U);

  const SequenceRange everything{Sequence(1), *server_->Extent()->last + 1};
  auto theirs = All(*server_, everything);
  auto ours = All(files, everything);
  ASSERT_TRUE(theirs) << theirs.error().Message();
  ASSERT_TRUE(ours) << ours.error().Message();
  EXPECT_TRUE(*theirs == *ours);
  EXPECT_GT(files.Logs()->size(), 1U) << "the WAL was never rotated";
}

TEST_F(LiveWalTest, AFollowerSeesEveryBatchOnceWhileTheServerWrites) {
  Writers writers(node_, 3, 4000);
  wal::WalFollower follower(node_.directory(), Sequence(1));
  std::vector<std::string> followed;
  bool was_done = false;
  for (;;) {
    auto next = follower.Poll([&](const wal::BatchView& batch) {
      followed.emplace_back(batch.bytes);
      return true;
    });
    ASSERT_TRUE(next) << next.error().Message();
    if (was_done) break;  // read once more after the last write
    was_done = writers.Done();
    if (!was_done) follower.Wait(std::chrono::milliseconds(200));
  }
  EXPECT_EQ(follower.NotWatching(), "");
  auto theirs = All(*server_, {Sequence(1), *server_->Extent()->last + 1});
  ASSERT_TRUE(theirs) << theirs.error().Message();
  EXPECT_TRUE(*theirs == followed);
}

}  // namespace
}  // namespace walstitch::test
