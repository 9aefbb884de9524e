// The relay that splices: the replay, the place where the numbers meet, and everything that may break it.
#include <gtest/gtest.h>

#include "agents/wal/batch_digest.h"
#include "agents/wal/marker.h"
#include "tests/unit/relay/peers.h"

namespace walstitch::relay {
namespace {

// The upstream forked off at 9; the node has 5 records more, and stands at 15.
class SplicingRelay : public RelayTest {
 protected:
  static std::string Put(std::uint64_t first, const std::string& key) {
    return Batch(first, 1, std::string("\x05\x01") + static_cast<char>(key.size()) + key + "\x01v");
  }
  static std::string Filler(std::uint64_t first, std::uint64_t count) {
    return wal::MakePadBatches(Sequence(first), Sequence(first + count), wal::FillerMarker("D"), "").front();
  }
  static BatchInfo InfoOf(std::uint64_t first, std::uint32_t count, const std::string& batch) {
    BatchInfo info;
    info.first = Sequence(first);
    info.count = count;
    info.bytes = batch.size();
    info.digest = wal::DigestOf(batch);
    return info;
  }
  std::future<Result<Sequence>> BeginSplice(const Listener& upstream,
                                            std::optional<BatchInfo> last_common = std::nullopt,
                                            std::chrono::milliseconds timeout = kPatience) {
    SpliceAction action;
    action.upstream = upstream.At();
    action.fork = Sequence(9);
    action.expected_next = Sequence(15);
    action.shift = 5;
    action.decision = "D";
    action.last_common = last_common;
    return Begin(relay_->Splice(action, timeout));
  }
  Result<void> FollowOn(std::uint64_t met) {
    return Call<Result<void>>([this, met] { return relay_->FollowOn(Sequence(met)); });
  }
  Peer AcceptAt(Listener& upstream, std::uint64_t sequence) {
    Peer link = upstream.Accept();
    EXPECT_EQ(AnswerUntilPsync(link), std::to_string(sequence));
    link.Send("+OK\r\n");
    return link;
  }
  // Parked, with a reason, and the node's connection left alone.
  void ExpectParked(std::future<Result<Sequence>> spliced, const std::string& why) {
    const Result<Sequence> result = Await(std::move(spliced));
    ASSERT_FALSE(result);
    EXPECT_NE(result.error().Message().find(why), std::string::npos) << result.error().Message();
    const RelayReport report = Report();
    EXPECT_EQ(report.state, RelayState::kParked);
    EXPECT_NE(report.error.find(why), std::string::npos) << report.error;
    EXPECT_FALSE(report.upstream);
  }
};

TEST_F(SplicingRelay, ReplaysFromTheForkOnAndFollowsOnTheSameConnections) {
  StartRelay();
  Peer node = AttachNode(15);
  Listener upstream;
  std::future<Result<Sequence>> spliced = BeginSplice(upstream);
  Peer link = AcceptAt(upstream, 10);
  link.Send(Framed(Put(10, "a")) + "$4\r\nping\r\n" + Framed(Filler(11, 2)) + Framed(Put(13, "b")));
  EXPECT_EQ(node.ReadBatchFrame(), Framed(Put(15, "a")));
  EXPECT_EQ(node.ReadBatchFrame(), Framed(Put(16, "b")));
  EXPECT_EQ(Report().state, RelayState::kSplicing);
  EXPECT_EQ(Report().node_next, Sequence(17));
  // What comes behind the place where the numbers meet waits there.
  link.Send(Framed(Filler(14, 3)) + Framed(Put(17, "c")));
  EXPECT_EQ(Await(std::move(spliced)), Sequence(17));
  EXPECT_TRUE(node.SilentFor(30ms));
  EXPECT_EQ(Report().state, RelayState::kSplicing);
  EXPECT_FALSE(FollowOn(18)) << "another place";
  ASSERT_TRUE(FollowOn(17));
  EXPECT_EQ(Report().state, RelayState::kFollowing);
  EXPECT_EQ(node.ReadBatchFrame(), Framed(Put(17, "c")));
  link.Send(Framed(Put(18, "d")));
  EXPECT_EQ(node.ReadBatchFrame(), Framed(Put(18, "d")));
  EXPECT_TRUE(upstream.NobodyFor(20ms)) << "the same link";
}

TEST_F(SplicingRelay, ALaterLinkIsComparedByTheUpstreamsOwnBatch) {
  StartRelay();
  Peer node = AttachNode(15);
  Listener upstream;
  std::future<Result<Sequence>> spliced = BeginSplice(upstream);
  Peer link = AcceptAt(upstream, 10);
  const std::string merged = Batch(
      10, 6, Filler(1, 5).substr(12) + Put(1, "a").substr(12));  // the last piece, and a writer behind it
  link.Send(Framed(merged));
  EXPECT_EQ(node.ReadBatchFrame(), Framed(Put(15, "a")));
  ASSERT_EQ(Await(std::move(spliced)), Sequence(16));
  ASSERT_TRUE(FollowOn(16));
  link.Close();
  Peer again = AcceptAt(upstream, 10);
  again.Send(Framed(merged) + Framed(Put(16, "b")));
  EXPECT_EQ(node.ReadBatchFrame(), Framed(Put(16, "b")));
  again.Close();
  Peer third = AcceptAt(upstream, 16);
  third.Send(Framed(Put(16, "x")));
  EXPECT_TRUE(Eventually([](const RelayReport& report) { return report.state == RelayState::kParked; }));
}

TEST_F(SplicingRelay, TheBatchAtTheForkIsComparedFirst) {
  const std::string common = Put(9, "common");
  StartRelay();
  Peer node = AttachNode(15);
  Listener upstream;
  std::future<Result<Sequence>> spliced = BeginSplice(upstream, InfoOf(9, 1, common));
  Peer link = AcceptAt(upstream, 9);
  link.Send(Framed(common) + Framed(Filler(10, 5)));
  EXPECT_EQ(Await(std::move(spliced)), Sequence(15));
  Do([this] { relay_->Park(); });

  spliced = BeginSplice(upstream, InfoOf(9, 1, common));
  Peer other = AcceptAt(upstream, 9);
  other.Send(Framed(Put(9, "another")) + Framed(Filler(10, 5)));
  ExpectParked(std::move(spliced), "its history is another");
  EXPECT_TRUE(node.SilentFor(20ms));
}

TEST_F(SplicingRelay, WhatIsNotAsComputedParksTheNode) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {Framed(Put(11, "gap")), "out of sequence"},
      {Framed(Filler(10, 6)), "of the filler"},
      {Framed(Batch(10, 9, Filler(10, 2).substr(12))), "its count says 9"},
      {"$5\r\nnoise\r\n", "malformed frame"}};
  for (const auto& [stream, why] : cases) {
    StartRelay();
    Peer node = AttachNode(15);
    Listener upstream;
    std::future<Result<Sequence>> spliced = BeginSplice(upstream);
    Peer link = AcceptAt(upstream, 10);
    link.Send(stream);
    ExpectParked(std::move(spliced), why);
    EXPECT_TRUE(upstream.NobodyFor(50ms)) << "nothing is tried twice";
  }
}

TEST_F(SplicingRelay, ALinkThatBreaksParksTheNode) {
  StartRelay();
  Peer node = AttachNode(15);
  Listener upstream;
  std::future<Result<Sequence>> spliced = BeginSplice(upstream);
  Peer link = AcceptAt(upstream, 10);
  link.Send(Framed(Put(10, "a")));
  EXPECT_EQ(node.ReadBatchFrame(), Framed(Put(15, "a")));
  link.Close();
  ExpectParked(std::move(spliced), "splicing");
  EXPECT_EQ(Report().node_next, Sequence(16));
  EXPECT_TRUE(upstream.NobodyFor(50ms)) << "nothing is tried twice";

  // So does one that breaks while all wait at the place where the numbers met.
  SpliceAction action{upstream.At(), Sequence(10), Sequence(16), 5, "D", std::nullopt};
  spliced = Begin(relay_->Splice(action, kPatience));
  link = AcceptAt(upstream, 11);
  link.Send(Framed(Filler(11, 5)));
  ASSERT_EQ(Await(std::move(spliced)), Sequence(16));
  Do([this] { relay_->Park(); });
  EXPECT_FALSE(FollowOn(16));
}

TEST_F(SplicingRelay, ANodeThatReconnectsIsParked) {
  StartRelay();
  Peer node = AttachNode(15);
  Listener upstream;
  std::future<Result<Sequence>> spliced = BeginSplice(upstream);
  Peer link = AcceptAt(upstream, 10);
  link.Send(Framed(Put(10, "a")));
  EXPECT_EQ(node.ReadBatchFrame(), Framed(Put(15, "a")));
  Peer back = Peer::Connect(port_);
  back.Send(Words({"PSYNC", "16"}));
  node.Close();
  ExpectParked(std::move(spliced), "splicing");
  EXPECT_EQ(back.ReadLine(), "+OK") << "it is the node, and hears nothing of the replay";
  EXPECT_TRUE(link.ClosedWithin(kPatience));
}

TEST_F(SplicingRelay, ANodeThatGoesAwayIsParked) {
  StartRelay();
  Peer node = AttachNode(15);
  Listener upstream;
  std::future<Result<Sequence>> spliced = BeginSplice(upstream);
  Peer link = AcceptAt(upstream, 10);
  link.Send(Framed(Put(10, "a")));
  EXPECT_EQ(node.ReadBatchFrame(), Framed(Put(15, "a"))) << "the replay has begun";
  node.Close();
  ExpectParked(std::move(spliced), "splicing");
}

TEST_F(SplicingRelay, TheDeadlineParksANodeWhoseNumbersDoNotMeet) {
  StartRelay();
  Peer node = AttachNode(15);
  Listener upstream;
  std::future<Result<Sequence>> spliced = BeginSplice(upstream, std::nullopt, 100ms);
  Peer link = AcceptAt(upstream, 10);
  link.Send(Framed(Filler(10, 4)) + Framed(Put(14, "a")));
  ExpectParked(std::move(spliced), "the numbers did not meet within 100 ms");
}

TEST_F(SplicingRelay, ARefusalOfTheUpstreamIsNeverHeardByTheNode) {
  StartRelay();
  Peer node = AttachNode(15);
  Listener upstream;
  std::future<Result<Sequence>> spliced = BeginSplice(upstream);
  Peer link = upstream.Accept();
  AnswerUntilPsync(link);
  link.Send("-ERR sequence out of range, please use fullsync\r\n");
  ExpectParked(std::move(spliced), "refused PSYNC at 10");
  EXPECT_TRUE(node.SilentFor(20ms));
}

TEST_F(SplicingRelay, AnotherCommandEndsIt) {
  StartRelay();
  Peer node = AttachNode(15);
  Listener upstream;
  std::future<Result<Sequence>> spliced = BeginSplice(upstream);
  Peer link = AcceptAt(upstream, 10);
  Do([this] { relay_->Park(); });
  const Result<Sequence> result = Await(std::move(spliced));
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().Message().find("another command came in between"), std::string::npos);
}

TEST_F(SplicingRelay, NothingIsSentUnlessTheNumbersAddUp) {
  StartRelay();
  Listener upstream;
  Peer node = AttachNode(15);
  for (const std::uint64_t shift : {0U, 4U, 6U}) {
    SpliceAction action{upstream.At(), Sequence(9), Sequence(15), shift, "D", std::nullopt};
    EXPECT_FALSE(Await(Begin(relay_->Splice(action, kPatience))));
  }
  SpliceAction elsewhere{upstream.At(), Sequence(9), Sequence(16), 6, "D", std::nullopt};
  EXPECT_FALSE(Await(Begin(relay_->Splice(elsewhere, kPatience))));
  EXPECT_TRUE(upstream.NobodyFor(20ms));
}

TEST_F(SplicingRelay, AGreatBatchIsRenumberedOnItsWay) {
  StartRelay();
  Peer node = AttachNode(15);
  Listener upstream;
  std::future<Result<Sequence>> spliced = BeginSplice(upstream);
  Peer link = AcceptAt(upstream, 10);
  const std::string records(3 << 20, 'x');
  link.Send(Framed(Batch(10, 7, records)) + Framed(Filler(17, 5)) + Framed(Put(22, "a")));
  EXPECT_EQ(node.ReadBatchFrame(), Framed(Batch(15, 7, records)));
  ASSERT_EQ(Await(std::move(spliced)), Sequence(22));
  ASSERT_TRUE(FollowOn(22));
  EXPECT_EQ(node.ReadBatchFrame(), Framed(Put(22, "a")));
}

TEST_F(SplicingRelay, NoNumberOfTheNodesOwnIsEverToldToTheUpstream) {
  StartRelay();
  Peer node = AttachNode(15);
  Listener upstream;
  std::future<Result<Sequence>> spliced = BeginSplice(upstream);
  Peer link = AcceptAt(upstream, 10);
  link.Send("$7\r\n_getack\r\n" + Framed(Put(10, "a")));
  EXPECT_EQ(node.ReadBatchFrame(), Framed(Put(15, "a")));
  node.Send(Words({"replconf", "ack", "15"}));
  link.Send(Framed(Filler(11, 5)));
  ASSERT_EQ(Await(std::move(spliced)), Sequence(16));
  ASSERT_TRUE(FollowOn(16));
  node.Send(Words({"replconf", "ack", "14"}));
  link.Send(Framed(Put(16, "b")));
  EXPECT_EQ(node.ReadBatchFrame(), Framed(Put(16, "b")));
  node.Send(Words({"replconf", "ack", "16"}));
  EXPECT_EQ(link.ReadCommand(), (std::vector<std::string>{"replconf", "ack", "16"}));
}

}  // namespace
}  // namespace walstitch::relay
