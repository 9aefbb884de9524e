// The relay between its node and an upstream: forwarding, guarding, changing upstream.
#include <gtest/gtest.h>

#include <random>

#include "agents/wal/batch_digest.h"
#include "tests/unit/relay/peers.h"

namespace walstitch::relay {
namespace {

using FollowingRelay = RelayTest;

TEST_F(FollowingRelay, SpeaksTheReplicasSideInItsOrder) {
  options_.upstream_password = "secret";
  options_.announce_host = "10.1.2.3";
  StartRelay();
  Peer node = AttachNode(42);
  Listener upstream;
  std::future<Result<void>> followed = BeginFollow(upstream);
  Peer link = upstream.Accept();
  using Command = std::vector<std::string>;
  EXPECT_EQ(link.ReadCommand(), (Command{"AUTH", "secret"}));
  link.Send("+OK\r\n");
  EXPECT_EQ(link.ReadCommand(), (Command{"_db_name"}));
  link.Send("change.me.db\r\n");
  EXPECT_EQ(link.ReadCommand(), (Command{"replconf", "listening-port", "6666", "ip-address", "10.1.2.3"}));
  link.Send("-ERR unknown option\r\n");
  EXPECT_EQ(link.ReadCommand(), (Command{"replconf", "listening-port", "6666"}));
  link.Send("-ERR whatever\r\n");
  EXPECT_EQ(link.ReadCommand(), (Command{"PSYNC", "42"}));
  EXPECT_EQ(Report().state, RelayState::kParked);
  link.Send("+OK\r\n");
  EXPECT_TRUE(Await(std::move(followed)).has_value());
  const RelayReport report = Report();
  EXPECT_EQ(report.state, RelayState::kFollowing);
  EXPECT_EQ(report.upstream, upstream.At());
  EXPECT_TRUE(report.upstream_connected);
}

TEST_F(FollowingRelay, ForwardsFramesByteForByteAndHeartbeatsOfItsOwn) {
  StartRelay();
  Peer node = AttachNode(10);
  Listener upstream;
  Peer link = Follow(upstream, 10);
  const std::vector<std::string> frames = {
      Framed(Batch(10, 3, "\x01\r\n\0records")), Framed(Batch(13, 0, "log")),
      Framed(Batch(13, 1, std::string(70000, 'x'))), Framed(Batch(14, 2))};
  // Cut anywhere, with heartbeats in between.
  std::string stream;
  for (const std::string& frame : frames) stream += "$4\r\nping\r\n" + frame;
  for (std::size_t at = 0; at < stream.size(); at += 9973) link.Send(stream.substr(at, 9973));
  for (const std::string& frame : frames) EXPECT_EQ(node.ReadBatchFrame(), frame);
  EXPECT_TRUE(node.SilentFor(30ms));
  const RelayReport report = Report();
  EXPECT_EQ(report.node_next, Sequence(16));
  EXPECT_EQ(report.frames_forwarded, 4u);
}

TEST_F(FollowingRelay, HeartbeatsBreakTheSilenceOfAnUpstream) {
  StartRelay();
  EXPECT_FALSE(Report().upstream_silent_ms);
  Peer node = AttachNode(10);
  Listener upstream;
  Peer link = Follow(upstream, 10);
  EXPECT_TRUE(Eventually([](const RelayReport& report) { return report.upstream_silent_ms > 60; }));
  link.Send("$4\r\nping\r\n");
  EXPECT_TRUE(Eventually([](const RelayReport& report) { return report.upstream_silent_ms < 60; }));
  Do([this] { relay_->Park(); });
  EXPECT_FALSE(Report().upstream_silent_ms);
}

TEST_F(FollowingRelay, StreamThatArrivesWithTheOkIsNotLost) {
  StartRelay();
  Peer node = AttachNode(10);
  Listener upstream;
  std::future<Result<void>> followed = BeginFollow(upstream);
  Peer link = upstream.Accept();
  AnswerUntilPsync(link);
  link.Send("+OK\r\n" + Framed(Batch(10, 1, "a")) + Framed(Batch(11, 1, "b")));
  EXPECT_EQ(node.ReadBatchFrame(), Framed(Batch(10, 1, "a")));
  EXPECT_EQ(node.ReadBatchFrame(), Framed(Batch(11, 1, "b")));
  EXPECT_TRUE(Await(std::move(followed)).has_value());
}

TEST_F(FollowingRelay, RandomStreamsCutAtRandomArriveWhole) {
  StartRelay();
  std::mt19937 random(3);
  Peer node = AttachNode(1);
  Listener upstream;
  Peer link = Follow(upstream, 1);
  std::uint64_t next = 1;
  for (int round = 0; round < 20; ++round) {
    std::string stream;
    std::string expected;
    for (int i = 0; i < 50; ++i) {
      const std::uint32_t count = random() % 4;
      const std::string frame =
          Framed(Batch(next, count, std::string(random() % 3000, static_cast<char>(random()))));
      next += count;
      stream += frame;
      expected += frame;
      if (random() % 8 == 0) stream += "$4\r\nping\r\n";
    }
    for (std::size_t at = 0; at < stream.size();) {
      const std::size_t size = 1 + random() % 20000;
      link.Send(stream.substr(at, size));
      at += size;
    }
    std::string seen;
    while (seen.size() < expected.size()) seen += node.ReadBatchFrame();
    ASSERT_EQ(seen, expected);
  }
  EXPECT_EQ(Report().node_next, Sequence(next));
}

TEST_F(FollowingRelay, AFrameOutOfSequenceIsRefusedAndWhatCameBeforeIsKept) {
  for (const std::uint64_t wrong : {10u, 12u, 9u}) {
    StartRelay();
    Peer node = AttachNode(10);
    Listener upstream;
    Peer link = Follow(upstream, 10);
    link.Send(Framed(Batch(10, 1, "good")) + Framed(Batch(wrong, 1, "evil")));
    EXPECT_EQ(node.ReadBatchFrame(), Framed(Batch(10, 1, "good")));
    EXPECT_TRUE(Eventually([](const RelayReport& report) { return report.state == RelayState::kParked; }));
    EXPECT_TRUE(node.SilentFor(30ms)) << "the node never hears of it";
    EXPECT_TRUE(link.ClosedWithin(kPatience));
    const RelayReport report = Report();
    EXPECT_NE(report.error.find("out of sequence"), std::string::npos) << report.error;
    EXPECT_NE(report.error.find(upstream.At().ToString()), std::string::npos) << report.error;
    EXPECT_EQ(report.node_next, Sequence(11));
    EXPECT_TRUE(report.node_attached);
    Do([this] { relay_->Stop(); });
  }
}

TEST_F(FollowingRelay, MalformedFramesAreRefused) {
  for (const std::string& noise :
       {std::string("-ERR oops\r\n"), std::string("$0\r\n\r\n"), std::string("$4\r\npong\r\n"),
        std::string("$99999999999\r\n"), "$12\r\n" + Batch(10, 1) + "xx"}) {
    StartRelay();
    Peer node = AttachNode(10);
    Listener upstream;
    Peer link = Follow(upstream, 10);
    link.Send(noise);
    EXPECT_TRUE(Eventually([](const RelayReport& report) { return report.state == RelayState::kParked; }))
        << noise;
    EXPECT_TRUE(node.SilentFor(20ms)) << noise;
    EXPECT_NE(Report().error.find("malformed frame"), std::string::npos) << Report().error;
    Do([this] { relay_->Stop(); });
  }
}

TEST_F(FollowingRelay, ARefusalNeverReachesTheNode) {
  StartRelay();
  Peer node = AttachNode(10);
  Listener upstream;
  std::future<Result<void>> followed = BeginFollow(upstream);
  Peer link = upstream.Accept();
  AnswerUntilPsync(link);
  link.Send("-ERR sequence out of range, please use fullsync\r\n");
  const Result<void> result = Await(std::move(followed));
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().Message(),
            "upstream " + upstream.At().ToString() +
                " refused PSYNC at 10: ERR sequence out of range, please use fullsync");
  EXPECT_EQ(Report().state, RelayState::kParked);
  EXPECT_EQ(Report().error, result.error().Message());
  EXPECT_TRUE(node.SilentFor(50ms));
}

TEST_F(FollowingRelay, AnotherDatabaseNameIsAnErrorThatNamesBoth) {
  StartRelay();
  Peer node = AttachNode(10);
  Listener upstream;
  std::future<Result<void>> followed = BeginFollow(upstream);
  Peer link = upstream.Accept();
  link.ReadCommand();
  link.Send("other.db\r\n");
  const Result<void> result = Await(std::move(followed));
  ASSERT_FALSE(result.has_value());
  EXPECT_NE(result.error().Message().find("other.db"), std::string::npos);
  EXPECT_NE(result.error().Message().find(kDatabase), std::string::npos);
}

TEST_F(FollowingRelay, AWrongPasswordIsAnErrorAtOnce) {
  options_.upstream_password = "wrong";
  StartRelay();
  Peer node = AttachNode(10);
  Listener upstream;
  std::future<Result<void>> followed = BeginFollow(upstream);
  Peer link = upstream.Accept();
  link.ReadCommand();
  link.Send("-ERR invalid password\r\n");
  const Result<void> result = Await(std::move(followed));
  ASSERT_FALSE(result.has_value());
  EXPECT_NE(result.error().Message().find("AUTH was refused"), std::string::npos) << result.error().Message();
}

TEST_F(FollowingRelay, AnUpstreamThatRestoresItsDataIsAskedAgain) {
  StartRelay();
  Peer node = AttachNode(10);
  Listener upstream;
  std::future<Result<void>> followed = BeginFollow(upstream);
  Peer link = upstream.Accept();
  AnswerUntilPsync(link);
  link.Send("-LOADING kvrocks is restoring the db from backup\r\n");
  link = upstream.Accept();
  EXPECT_EQ(AnswerUntilPsync(link), "10");
  link.Send("+OK\r\n");
  EXPECT_TRUE(Await(std::move(followed)).has_value());
}

TEST_F(FollowingRelay, AnUpstreamThatCannotBeReachedFailsTheCommandAndParks) {
  StartRelay();
  Peer node = AttachNode(10);
  Endpoint gone;
  {
    const Listener listener;
    gone = listener.At();
  }
  const Result<void> followed = Await(Begin(relay_->Follow(FollowAction{gone, {}}, 100ms)));
  ASSERT_FALSE(followed.has_value());
  EXPECT_EQ(followed.error().Code(), ErrorCode::kUnavailable);
  EXPECT_NE(followed.error().Message().find(gone.ToString()), std::string::npos);
  EXPECT_EQ(Report().state, RelayState::kParked);
  EXPECT_FALSE(Report().upstream.has_value());
  EXPECT_TRUE(node.SilentFor(20ms));
}

TEST_F(FollowingRelay, FollowWaitsForTheNode) {
  StartRelay();
  Listener upstream;
  std::future<Result<void>> followed = BeginFollow(upstream);
  EXPECT_TRUE(upstream.NobodyFor(50ms));
  Peer node = AttachNode(10);
  Peer link = upstream.Accept();
  EXPECT_EQ(AnswerUntilPsync(link), "10");
  link.Send("+OK\r\n");
  EXPECT_TRUE(Await(std::move(followed)).has_value());
}

TEST_F(FollowingRelay, FollowIsRefusedIfTheNodeIsNotWhereItWasThoughtToBe) {
  StartRelay();
  Peer node = AttachNode(10);
  Listener upstream;
  const Result<void> followed = Await(BeginFollow(upstream, Sequence(11)));
  ASSERT_FALSE(followed.has_value());
  EXPECT_EQ(followed.error().Code(), ErrorCode::kConflict);
  EXPECT_TRUE(upstream.NobodyFor(20ms));
  EXPECT_EQ(Report().state, RelayState::kParked);
}

TEST_F(FollowingRelay, ChangeOfUpstreamKeepsTheNodesConnectionAndLosesNothing) {
  StartRelay();
  Peer node = AttachNode(10);
  Listener first;
  Peer old_link = Follow(first, 10);
  old_link.Send(Framed(Batch(10, 5, "old")));
  EXPECT_EQ(node.ReadBatchFrame(), Framed(Batch(10, 5, "old")));
  // Half a frame of the old upstream must never reach the node.
  const std::string cut = Framed(Batch(15, 1, std::string(1000, 'c')));
  old_link.Send(cut.substr(0, 500));
  EXPECT_TRUE(node.SilentFor(20ms));

  Listener second;
  Peer new_link = Follow(second, 15);
  EXPECT_TRUE(old_link.ClosedWithin(kPatience));
  new_link.Send(Framed(Batch(15, 2, "new")));
  EXPECT_EQ(node.ReadBatchFrame(), Framed(Batch(15, 2, "new")));
  EXPECT_EQ(Report().upstream, second.At());
  EXPECT_EQ(Report().node_next, Sequence(17));
}

TEST_F(FollowingRelay, AnUpstreamThatDiesIsReconnectedWhileTheNodeGetsHeartbeats) {
  options_.heartbeat_interval = 30ms;
  StartRelay();
  Peer node = AttachNode(10);
  {
    Listener upstream;
    Peer link = Follow(upstream, 10);
    link.Send(Framed(Batch(10, 2, "a")) + Framed(Batch(12, 1, "cut off")).substr(0, 20));
    EXPECT_EQ(node.ReadBatchFrame(), Framed(Batch(10, 2, "a")));
    link.Close();
    EXPECT_EQ(node.ReadFrame(), "$4\r\nping\r\n");
    link = upstream.Accept();
    EXPECT_EQ(AnswerUntilPsync(link), "10") << "the last batch once more, to be compared";
    link.Send("+OK\r\n" + Framed(Batch(10, 2, "a")) + Framed(Batch(12, 1, "b")));
    EXPECT_EQ(node.ReadBatchFrame(), Framed(Batch(12, 1, "b")));
  }
  EXPECT_TRUE(Eventually(
      [](const RelayReport& report) { return !report.upstream_connected && !report.error.empty(); }));
  EXPECT_EQ(Report().state, RelayState::kFollowing);
  EXPECT_EQ(node.ReadFrame(), "$4\r\nping\r\n");
  EXPECT_EQ(node.ReadFrame(), "$4\r\nping\r\n");
}

TEST_F(FollowingRelay, AnUpstreamThatRefusesAfterABrokenLinkParksTheNode) {
  StartRelay();
  Peer node = AttachNode(10);
  Listener upstream;
  Peer link = Follow(upstream, 10);
  link.Send(Framed(Batch(10, 1, "a")));
  node.ReadBatchFrame();
  link.Close();
  link = upstream.Accept();
  AnswerUntilPsync(link);
  link.Send("-ERR sequence out of range, please use fullsync\r\n");
  EXPECT_TRUE(Eventually([](const RelayReport& report) { return report.state == RelayState::kParked; }));
  EXPECT_NE(Report().error.find("refused PSYNC at 10"), std::string::npos);
  EXPECT_TRUE(node.SilentFor(30ms));
}

TEST_F(FollowingRelay, AnUpstreamThatCameBackWithAnotherHistoryIsNotGoneOnWith) {
  StartRelay();
  Peer node = AttachNode(10);
  Listener upstream;
  Peer link = Follow(upstream, 10);
  link.Send(Framed(Batch(10, 1, "a")));
  node.ReadBatchFrame();
  link.Close();
  link = upstream.Accept();
  EXPECT_EQ(AnswerUntilPsync(link), "10");
  link.Send("+OK\r\n" + Framed(Batch(10, 1, "z")) + Framed(Batch(11, 1, "b")));
  EXPECT_TRUE(Eventually([](const RelayReport& report) { return report.state == RelayState::kParked; }));
  EXPECT_NE(Report().error.find("its history is another"), std::string::npos);
  EXPECT_TRUE(node.SilentFor(30ms));
}

BatchInfo InfoOf(std::uint64_t first, std::uint32_t count, const std::string& batch) {
  BatchInfo info;
  info.first = Sequence(first);
  info.count = count;
  info.bytes = batch.size();
  info.digest = wal::DigestOf(batch);
  return info;
}

TEST_F(FollowingRelay, TheFirstLinkIsComparedByTheBatchThatWasDecidedOn) {
  StartRelay();
  Peer node = AttachNode(10);
  Listener upstream;
  const std::string before = Batch(7, 3, "before");
  std::future<Result<void>> followed =
      Begin(relay_->Follow(FollowAction{upstream.At(), Sequence(10), InfoOf(7, 3, before)}, kPatience));
  Peer link = upstream.Accept();
  EXPECT_EQ(AnswerUntilPsync(link), "7");
  link.Send("+OK\r\n$4\r\nping\r\n");
  EXPECT_FALSE(Report().upstream_connected) << "nothing was compared yet";
  link.Send(Framed(before) + Framed(Batch(10, 1, "a")));
  EXPECT_TRUE(Await(std::move(followed)).has_value());
  EXPECT_EQ(node.ReadBatchFrame(), Framed(Batch(10, 1, "a")));
}

TEST_F(FollowingRelay, AnUpstreamWhoseHistoryIsAnotherThanWasDecidedOnIsNotFollowed) {
  StartRelay();
  Peer node = AttachNode(10);
  Listener upstream;
  std::future<Result<void>> followed = Begin(relay_->Follow(
      FollowAction{upstream.At(), Sequence(10), InfoOf(7, 3, Batch(7, 3, "before"))}, kPatience));
  Peer link = upstream.Accept();
  EXPECT_EQ(AnswerUntilPsync(link), "7");
  link.Send("+OK\r\n" + Framed(Batch(7, 3, "BEFORE")) + Framed(Batch(10, 1, "a")));
  const Result<void> result = Await(std::move(followed));
  ASSERT_FALSE(result.has_value());
  EXPECT_NE(result.error().Message().find("its history is another"), std::string::npos)
      << result.error().Message();
  EXPECT_EQ(Report().state, RelayState::kParked);
  EXPECT_TRUE(node.SilentFor(30ms));
}

TEST_F(FollowingRelay, ALinkThatBreaksBeforeAnythingCameIsComparedByWhatWasDecidedOn) {
  StartRelay();
  Peer node = AttachNode(10);
  Listener upstream;
  const std::string before = Batch(7, 3, "before");
  std::future<Result<void>> followed =
      Begin(relay_->Follow(FollowAction{upstream.At(), Sequence(10), InfoOf(7, 3, before)}, kPatience));
  for (int i = 0; i < 2; ++i) {
    Peer link = upstream.Accept();
    EXPECT_EQ(AnswerUntilPsync(link), "7");
    link.Send("+OK\r\n" + Framed(before));
    EXPECT_TRUE(Eventually([](const RelayReport& report) { return report.upstream_connected; }));
    link.Close();
  }
  EXPECT_TRUE(Await(std::move(followed)).has_value());
}

TEST_F(FollowingRelay, ALinkIsComparedByABatchThatIsGreaterThanTheBuffer) {
  StartRelay();
  Peer node = AttachNode(10);
  Listener upstream;
  Peer link = Follow(upstream, 10);
  const std::string great = Framed(Batch(10, 7, std::string(3 << 20, 'r')));
  const auto send = [&link](const std::string& bytes) {
    return std::thread([&link, bytes] { link.Send(bytes); });
  };
  std::thread sender = send(great);
  EXPECT_TRUE(node.ReadBatchFrame() == great);
  sender.join();
  link.Close();
  link = upstream.Accept();
  EXPECT_EQ(AnswerUntilPsync(link), "10");
  sender = send("+OK\r\n" + great + Framed(Batch(17, 1, "a")));
  EXPECT_EQ(node.ReadBatchFrame(), Framed(Batch(17, 1, "a")));
  sender.join();
  EXPECT_EQ(Report().state, RelayState::kFollowing);
}

TEST_F(FollowingRelay, AGreatBatchThatDiffersInOneByteIsAnotherHistory) {
  StartRelay();
  Peer node = AttachNode(10);
  Listener upstream;
  const std::string great = Batch(7, 3, std::string(3 << 20, 'r'));
  std::string other = great;
  other[other.size() / 2] = 'x';
  std::future<Result<void>> followed =
      Begin(relay_->Follow(FollowAction{upstream.At(), Sequence(10), InfoOf(7, 3, great)}, kPatience));
  Peer link = upstream.Accept();
  EXPECT_EQ(AnswerUntilPsync(link), "7");
  std::thread sender([&] { link.Send("+OK\r\n" + Framed(other)); });
  const Result<void> result = Await(std::move(followed));
  sender.join();
  ASSERT_FALSE(result.has_value());
  EXPECT_NE(result.error().Message().find("its history is another"), std::string::npos);
}

TEST_F(FollowingRelay, ALinkThatBreaksBeforeAnythingCameIsNotMadeAgain) {
  StartRelay();
  Peer node = AttachNode(10);
  Listener upstream;
  Peer link = Follow(upstream, 10);
  link.Close();
  EXPECT_TRUE(Eventually([](const RelayReport& report) { return report.state == RelayState::kParked; }));
  EXPECT_NE(Report().error.find("could be compared by"), std::string::npos);
}

TEST_F(FollowingRelay, ANodeThatComesBackWithAllThatItWasGivenGoesOn) {
  StartRelay();
  Peer node = AttachNode(10);
  Listener upstream;
  Peer link = Follow(upstream, 10);
  link.Send(Framed(Batch(10, 1, "a")) + Framed(Batch(11, 1, "b")));
  node.ReadBatchFrame();
  node.ReadBatchFrame();
  node.Close();
  EXPECT_TRUE(link.ClosedWithin(kPatience));
  node = AttachNode(12);
  link = upstream.Accept();
  EXPECT_EQ(AnswerUntilPsync(link), "11");
  link.Send("+OK\r\n" + Framed(Batch(11, 0, "")) + Framed(Batch(11, 1, "b")) + Framed(Batch(12, 1, "c")));
  EXPECT_EQ(node.ReadBatchFrame(), Framed(Batch(12, 1, "c")));
  EXPECT_EQ(Report().state, RelayState::kFollowing);
}

TEST_F(FollowingRelay, ANodeThatComesBackWithLessIsParked) {
  StartRelay();
  Peer node = AttachNode(10);
  Listener upstream;
  Peer link = Follow(upstream, 10);
  link.Send(Framed(Batch(10, 1, "a")) + Framed(Batch(11, 1, "b")));
  node.ReadBatchFrame();
  node.ReadBatchFrame();
  node.Close();
  EXPECT_TRUE(link.ClosedWithin(kPatience));
  node = AttachNode(11);
  EXPECT_TRUE(Eventually([](const RelayReport& report) { return report.state == RelayState::kParked; }));
}

TEST_F(FollowingRelay, ANodeThatSomebodyElseWroteToIsParked) {
  StartRelay();
  Peer node = AttachNode(10);
  Listener upstream;
  Peer link = Follow(upstream, 10);
  node.Close();
  EXPECT_TRUE(link.ClosedWithin(kPatience));
  node = AttachNode(12);
  EXPECT_TRUE(Eventually([](const RelayReport& report) { return report.state == RelayState::kParked; }));
  EXPECT_NE(Report().error.find("something else wrote to it"), std::string::npos) << Report().error;
  EXPECT_TRUE(upstream.NobodyFor(50ms));
  EXPECT_TRUE(node.SilentFor(10ms));
}

TEST_F(FollowingRelay, ANodeThatLostEarlierHistoryIsParked) {
  StartRelay();
  Peer node = AttachNode(10);
  Listener upstream;
  Peer link = Follow(upstream, 10);
  node.Close();
  EXPECT_TRUE(link.ClosedWithin(kPatience));
  node = AttachNode(8);
  EXPECT_EQ(Report().state, RelayState::kParked);
  EXPECT_NE(Report().error.find("earlier history"), std::string::npos) << Report().error;
}

TEST_F(FollowingRelay, AFrameGreaterThanTheBufferIsStreamed) {
  StartRelay();
  Peer node = AttachNode(10);
  Listener upstream;
  Peer link = Follow(upstream, 10);
  std::string records(std::size_t{8} << 20, 'r');
  std::mt19937 random(5);
  for (char& byte : records) byte = static_cast<char>(random());
  const std::string frame = Framed(Batch(10, 7, records));
  std::thread sender([&] { link.Send(Framed(Batch(10, 0)) + frame + Framed(Batch(17, 1, "after"))); });
  EXPECT_EQ(node.ReadBatchFrame(), Framed(Batch(10, 0)));
  EXPECT_TRUE(node.ReadBatchFrame() == frame);
  EXPECT_EQ(node.ReadBatchFrame(), Framed(Batch(17, 1, "after")));
  sender.join();
  EXPECT_EQ(Report().node_next, Sequence(18));
  EXPECT_EQ(Report().frames_forwarded, 3u);
}

TEST_F(FollowingRelay, FramesAroundTheSizeOfTheBufferArriveWhole) {
  StartRelay();
  Peer node = AttachNode(1);
  Listener upstream;
  Peer link = Follow(upstream, 1);
  std::uint64_t next = 1;
  for (int extra = -40; extra <= 90; extra += 5) {
    const std::string frame =
        Framed(Batch(next++, 1, std::string(static_cast<std::size_t>((1 << 20) + extra), 'z')));
    std::thread sender([&] { link.Send(frame); });
    EXPECT_TRUE(node.ReadBatchFrame() == frame) << extra;
    sender.join();
  }
}

TEST_F(FollowingRelay, AnUpstreamThatDiesWithinAGreatFrameCostsTheNodesConnection) {
  StartRelay();
  Peer node = AttachNode(10);
  Listener upstream;
  Peer link = Follow(upstream, 10);
  link.Send(Framed(Batch(10, 7, std::string(3 << 20, 'r'))).substr(0, 2 << 20));
  node.Read(1 << 20);
  link.Close();
  EXPECT_TRUE(node.ClosedWithin(kPatience));
  node = AttachNode(10);
  // Nothing whole was given to it that a new link could be compared by.
  EXPECT_TRUE(Eventually([](const RelayReport& report) { return report.state == RelayState::kParked; }));
}

TEST_F(FollowingRelay, ParkWithinAGreatFrameCostsTheNodesConnection) {
  StartRelay();
  Peer node = AttachNode(10);
  Listener upstream;
  Peer link = Follow(upstream, 10);
  link.Send(Framed(Batch(10, 7, std::string(3 << 20, 'r'))).substr(0, 2 << 20));
  node.Read(1 << 20);
  Do([this] { relay_->Park(); });
  EXPECT_TRUE(node.ClosedWithin(kPatience));
  EXPECT_TRUE(link.ClosedWithin(kPatience));
}

TEST_F(FollowingRelay, ASlowNodeSlowsTheUpstream) {
  StartRelay();
  Peer node = AttachNode(1, 4096);
  Listener upstream;
  Peer link = Follow(upstream, 1);
  const std::string frame = Framed(Batch(1, 0, std::string(60000, 's')));
  std::string stream;
  while (stream.size() < (std::size_t{64} << 20)) stream += frame;
  const std::size_t taken = link.SendSome(stream, 300ms);
  EXPECT_LT(taken, std::size_t{32} << 20) << "the relay takes more than its buffers and the sockets' hold";
  // And nothing is lost when it reads again.
  std::thread sender([&] { link.Send(stream.substr(taken)); });
  std::size_t seen = 0;
  while (seen < stream.size()) {
    const std::string got = node.ReadBatchFrame();
    if (got != frame) {
      ADD_FAILURE() << "a frame was damaged after " << seen << " bytes";
      break;
    }
    seen += got.size();
  }
  sender.join();
}

TEST_F(FollowingRelay, AStuckNodeDoesNotHoldUpPark) {
  StartRelay();
  Peer node = AttachNode(1, 4096);
  Listener upstream;
  Peer link = Follow(upstream, 1);
  const std::string frame = Framed(Batch(1, 0, std::string(60000, 's')));
  std::string stream;
  while (stream.size() < (std::size_t{64} << 20)) stream += frame;
  link.SendSome(stream, 200ms);
  Do([this] { relay_->Park(); });
  EXPECT_EQ(Report().state, RelayState::kParked);
  EXPECT_FALSE(Report().upstream.has_value());
  EXPECT_TRUE(Report().node_attached);
  // What it was given is whole; heartbeats follow.
  while (true) {
    const std::string got = node.ReadFrame();
    if (got == "$4\r\nping\r\n") break;
    ASSERT_TRUE(got == frame);
  }
}

TEST_F(FollowingRelay, ParkBetweenFramesKeepsTheNode) {
  options_.heartbeat_interval = 30ms;
  StartRelay();
  Peer node = AttachNode(10);
  Listener upstream;
  Peer link = Follow(upstream, 10);
  Do([this] { relay_->Park(); });
  EXPECT_TRUE(link.ClosedWithin(kPatience));
  EXPECT_EQ(node.ReadFrame(), "$4\r\nping\r\n");
  EXPECT_EQ(Report().state, RelayState::kParked);
  EXPECT_TRUE(upstream.NobodyFor(60ms));
}

TEST_F(FollowingRelay, ParkWhileConnectingFailsTheCommand) {
  StartRelay();
  Peer node = AttachNode(10);
  Listener upstream;
  std::future<Result<void>> followed = BeginFollow(upstream);
  Peer link = upstream.Accept();
  link.ReadCommand();
  Do([this] { relay_->Park(); });
  const Result<void> result = Await(std::move(followed));
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().Code(), ErrorCode::kConflict);
  EXPECT_TRUE(link.ClosedWithin(kPatience));
  EXPECT_EQ(Report().error, "");
}

TEST_F(FollowingRelay, AnUpstreamThatIsSilentInTheHandshakeIsGivenUp) {
  options_.handshake_timeout = 50ms;
  StartRelay();
  Peer node = AttachNode(10);
  Listener upstream;
  std::future<Result<void>> followed = BeginFollow(upstream);
  Peer mute = upstream.Accept();
  Peer link = upstream.Accept();
  EXPECT_TRUE(mute.ClosedWithin(kPatience));
  AnswerUntilPsync(link);
  link.Send("+OK\r\n");
  EXPECT_TRUE(Await(std::move(followed)).has_value());
}

TEST_F(FollowingRelay, GetAckIsAnsweredAndNeverForwarded) {
  StartRelay();
  Peer node = AttachNode(10);
  Listener upstream;
  Peer link = Follow(upstream, 10);
  link.Send(Framed(Batch(10, 3, "a")) + "$7\r\n_getack\r\n" + Framed(Batch(13, 1, "b")));
  EXPECT_EQ(node.ReadBatchFrame(), Framed(Batch(10, 3, "a")));
  EXPECT_EQ(node.ReadBatchFrame(), Framed(Batch(13, 1, "b")));
  EXPECT_EQ(link.ReadCommand(), (std::vector<std::string>{"replconf", "ack", "12"}));
}

TEST_F(FollowingRelay, TheAcksOfANodeThatGivesThemGoToTheUpstream) {
  StartRelay();
  Peer node = AttachNode(10);
  Listener upstream;
  Peer link = Follow(upstream, 10);
  link.Send(Framed(Batch(10, 3, "a")));
  node.ReadBatchFrame();
  node.Send(Words({"replconf", "ack", "11"}));
  EXPECT_EQ(link.ReadCommand(), (std::vector<std::string>{"replconf", "ack", "11"}));
  link.Send("$7\r\n_getack\r\n");
  EXPECT_EQ(link.ReadCommand(), (std::vector<std::string>{"replconf", "ack", "11"}))
      << "no more than it said";
}

TEST_F(FollowingRelay, StopWhileFollowingEndsEverything) {
  StartRelay();
  Peer node = AttachNode(10);
  Listener upstream;
  Peer link = Follow(upstream, 10);
  Do([this] { relay_->Stop(); });
  EXPECT_TRUE(node.ClosedWithin(kPatience));
  EXPECT_TRUE(link.ClosedWithin(kPatience));
}

TEST_F(FollowingRelay, CommandsInQuickSuccessionLeaveTheLast) {
  StartRelay();
  Peer node = AttachNode(10);
  Listener first;
  Listener second;
  std::future<Result<void>> one = BeginFollow(first);
  std::future<Result<void>> two = BeginFollow(second);
  EXPECT_FALSE(Await(std::move(one)).has_value());
  Peer link = second.Accept();
  AnswerUntilPsync(link);
  link.Send("+OK\r\n");
  EXPECT_TRUE(Await(std::move(two)).has_value());
  EXPECT_EQ(Report().upstream, second.At());
}

}  // namespace
}  // namespace walstitch::relay
