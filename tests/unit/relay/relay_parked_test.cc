// The relay and its node: handshake, heartbeats, padding, feeding.
#include <gtest/gtest.h>

#include "tests/unit/relay/peers.h"

namespace walstitch::relay {
namespace {

using ParkedRelay = RelayTest;

constexpr const char* kHeartbeat = "$4\r\nping\r\n";

std::uint64_t Number(const std::string& bytes, std::size_t at, std::size_t size) {
  std::uint64_t value = 0;
  for (std::size_t i = size; i > 0; --i) value = value << 8 | static_cast<unsigned char>(bytes[at + i - 1]);
  return value;
}

TEST_F(ParkedRelay, BootsParkedWithNobodyAttached) {
  StartRelay();
  const RelayReport report = Report();
  EXPECT_EQ(report.state, RelayState::kParked);
  EXPECT_FALSE(report.node_attached);
  EXPECT_FALSE(report.node_next.has_value());
  EXPECT_FALSE(report.upstream.has_value());
}

TEST_F(ParkedRelay, APortThatIsTakenIsAnErrorThatNamesIt) {
  const Listener taken;
  options_.listen_port = taken.At().port;
  relay_ = std::make_unique<Relay>(context_.get_executor(), options_, nullptr);
  const Result<void> started = Call<Result<void>>([this] { return relay_->Start(); });
  ASSERT_FALSE(started.has_value());
  EXPECT_NE(started.error().Message().find(std::to_string(taken.At().port)), std::string::npos);
}

TEST_F(ParkedRelay, AnswersEveryAuthOfANodeThatConnectedOften) {
  StartRelay();
  Peer node = Peer::Connect(port_);
  std::string auths;
  for (int i = 0; i < 5; ++i) auths += Words({"AUTH", "secret"});
  node.Send(auths);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(node.ReadLine(), "+OK");
  node.Send(Words({"PING"}) + Words({"_DB_NAME"}));
  EXPECT_EQ(node.ReadLine(), "+PONG");
  EXPECT_EQ(node.ReadLine(), kDatabase);
  node.Send(Words({"replconf", "listening-port", "1", "ip-address", "10.0.0.1"}));
  EXPECT_EQ(node.ReadLine(), "+OK");
}

TEST_F(ParkedRelay, AcceptsBothFormsOfPsync) {
  StartRelay();
  for (const std::vector<std::string>& psync :
       {std::vector<std::string>{"PSYNC", "77"}, {"psync", "ABCDEFGHIJKLMNOP", "77"}}) {
    Peer node = Peer::Connect(port_);
    node.Send(Words(psync));
    EXPECT_EQ(node.ReadLine(), "+OK");
    EXPECT_TRUE(Eventually([](const RelayReport& report) { return report.node_next == Sequence(77); }));
  }
}

TEST_F(ParkedRelay, AMalformedPsyncIsNeverAnsweredWithAnErrorBecauseThatWouldStartAFullSync) {
  StartRelay();
  for (const std::vector<std::string>& psync : {std::vector<std::string>{"PSYNC"},
                                                {"PSYNC", "x"},
                                                {"PSYNC", "-1"},
                                                {"PSYNC", "99999999999999999999"},
                                                {"PSYNC", "1", "2", "3"}}) {
    Peer node = Peer::Connect(port_);
    node.Send(Words(psync));
    EXPECT_TRUE(node.ClosedWithin(kPatience));
    EXPECT_THROW(node.Read(1), std::runtime_error);
  }
}

TEST_F(ParkedRelay, WhatIsNotReplicationGetsAnErrorAndIsClosed) {
  StartRelay();
  for (const std::string& bytes :
       {Words({"FLUSHALL"}), std::string("GET / HTTP/1.1\r\n\r\n"), std::string("*0\r\n")}) {
    Peer stranger = Peer::Connect(port_);
    stranger.Send(bytes);
    EXPECT_EQ(stranger.ReadLine().substr(0, 4), "-ERR");
    EXPECT_TRUE(stranger.ClosedWithin(kPatience));
  }
}

TEST_F(ParkedRelay, SendsHeartbeatsToAnIdleNode) {
  options_.heartbeat_interval = 30ms;
  StartRelay();
  Peer node = AttachNode(5);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(node.ReadFrame(), kHeartbeat);
}

TEST_F(ParkedRelay, IdleAlsoFeedsHeartbeatsToANodeThatConnectsNevertheless) {
  options_.heartbeat_interval = 30ms;
  StartRelay();
  Do([this] { relay_->Idle(); });
  Peer node = AttachNode(5);
  EXPECT_EQ(node.ReadFrame(), kHeartbeat);
  EXPECT_EQ(Report().state, RelayState::kIdle);
}

TEST_F(ParkedRelay, AcksOfALaterNodeAreDrainedAndNeverAnswered) {
  StartRelay();
  Peer node = AttachNode(5);
  for (int i = 0; i < 100; ++i) node.Send(Words({"replconf", "ack", "4"}));
  EXPECT_TRUE(node.SilentFor(50ms));
  EXPECT_TRUE(Report().node_attached);
}

TEST_F(ParkedRelay, ANodeThatGoesIsReported) {
  StartRelay();
  AttachNode(5).Close();
  EXPECT_TRUE(
      Eventually([](const RelayReport& report) { return !report.node_attached && !report.node_next; }));
}

TEST_F(ParkedRelay, WaitAttachedWaitsAndGivesTheNextSequence) {
  StartRelay();
  std::future<Result<Sequence>> attached = Begin(relay_->WaitAttached(kPatience));
  Peer node = AttachNode(31);
  const Result<Sequence> next = Await(std::move(attached));
  ASSERT_TRUE(next.has_value()) << next.error().Message();
  EXPECT_EQ(*next, Sequence(31));
}

TEST_F(ParkedRelay, WaitAttachedGivesUpInTime) {
  StartRelay();
  const Result<Sequence> attached = Await(Begin(relay_->WaitAttached(20ms)));
  ASSERT_FALSE(attached.has_value());
  EXPECT_EQ(attached.error().Code(), ErrorCode::kUnavailable);
}

TEST_F(ParkedRelay, TellsOfEveryChange) {
  StartRelay();
  Peer node = AttachNode(5);
  const int before = Call<int>([this] { return changes_; });
  EXPECT_GT(before, 0);
  node.Close();
  EXPECT_TRUE(
      Eventually([&](const RelayReport&) { return Call<int>([this] { return changes_; }) > before; }));
}

class Padding : public RelayTest, public testing::WithParamInterface<std::uint64_t> {};

TEST_P(Padding, SendsExactlyThePadAsNoOpRecords) {
  const std::uint64_t pad = GetParam();
  StartRelay();
  Peer node = AttachNode(1000);
  std::future<Result<void>> padded = Begin(relay_->Pad(
      PadAction{Sequence(1000), Sequence(1000 + pad), "DECISION1", "0123456789ABCDEF"}, kPatience));
  std::uint64_t next = 1000;
  std::string last;
  std::uint64_t bytes = 0;
  while (next < 1000 + pad) {
    last = node.ReadBatchFrame();
    bytes += last.size();
    const std::size_t body = last.find("\r\n") + 2;
    EXPECT_EQ(Number(last, body, 8), next);
    const std::uint64_t count = Number(last, body + 8, 4);
    EXPECT_LE(count, 4096u);
    EXPECT_NE(last.find("DECISION1"), std::string::npos);
    std::uint64_t records = 0;
    for (std::size_t at = last.find("\x04\x03"); at != std::string::npos;
         at = last.find("\x04\x03", at + 2)) {
      ++records;
    }
    EXPECT_EQ(records, count);
    next += count;
  }
  EXPECT_EQ(next, 1000 + pad);
  const Result<void> result = Await(std::move(padded));
  ASSERT_TRUE(result.has_value()) << result.error().Message();
  EXPECT_EQ(last.find("r 0123456789ABCDEF") != std::string::npos, pad > 0);
  EXPECT_TRUE(node.SilentFor(20ms));
  const RelayReport report = Report();
  EXPECT_EQ(report.state, RelayState::kParked);
  EXPECT_EQ(report.node_next, Sequence(1000 + pad));
  EXPECT_EQ(report.bytes_forwarded, bytes);
  EXPECT_EQ(report.error, "");
}

INSTANTIATE_TEST_SUITE_P(Pads, Padding, testing::Values(0, 1, 4095, 4096, 4097, 10000, 70000),
                         testing::PrintToStringParamName());

TEST_F(ParkedRelay, APadThatDoesNotFitIsRefusedAndNothingIsSent) {
  StartRelay();
  const auto pad = [this](std::uint64_t from, std::uint64_t to, std::string decision = "D1",
                          std::string id = "") {
    const Result<void> padded = Await(Begin(
        relay_->Pad(PadAction{Sequence(from), Sequence(to), std::move(decision), std::move(id)}, kPatience)));
    return padded ? std::optional<ErrorCode>() : padded.error().Code();
  };
  EXPECT_EQ(pad(5, 9), ErrorCode::kConflict) << "not attached";
  Peer node = AttachNode(5);
  EXPECT_EQ(pad(4, 9), ErrorCode::kConflict) << "not where it was thought to be";
  EXPECT_EQ(pad(5, 4), ErrorCode::kInvalid) << "backwards";
  EXPECT_EQ(pad(5, ~std::uint64_t{0}), ErrorCode::kInvalid) << "past the greatest sequence";
  EXPECT_EQ(pad(5, 9, "D1", "short"), ErrorCode::kInvalid);
  EXPECT_EQ(pad(5, 9, ""), ErrorCode::kInvalid);
  EXPECT_EQ(pad(5, 9, std::string(2000000, 'd')), ErrorCode::kInvalid);
  Do([this] { relay_->Idle(); });
  EXPECT_EQ(pad(5, 9), ErrorCode::kConflict) << "not parked";
  EXPECT_TRUE(node.SilentFor(30ms));
  EXPECT_EQ(Report().node_next, Sequence(5));
}

TEST_F(ParkedRelay, AFrameBehindAHeartbeatIsFollowedByAnotherHeartbeatSoon) {
  options_.heartbeat_interval = 500ms;
  StartRelay();
  Peer node = AttachNode(5);
  // On a busy machine the pad may come too late to be behind the heartbeat: then once more.
  bool soon = false;
  for (std::uint64_t next = 5; next < 25 && !soon; ++next) {
    while (node.ReadFrame() != kHeartbeat) {
    }
    std::future<Result<void>> padded =
        Begin(relay_->Pad(PadAction{Sequence(next), Sequence(next + 1), "D1", ""}, kPatience));
    EXPECT_NE(node.ReadBatchFrame(), kHeartbeat);
    const auto begin = std::chrono::steady_clock::now();
    EXPECT_EQ(node.ReadFrame(), kHeartbeat);
    soon = std::chrono::steady_clock::now() - begin < 250ms;
    EXPECT_TRUE(Await(std::move(padded)).has_value());
  }
  EXPECT_TRUE(soon);
}

TEST_F(ParkedRelay, APadThatTheNodeDoesNotTakeInTimeIsUnknown) {
  StartRelay();
  Peer node = AttachNode(1, 4096);
  // Far more than the sockets' buffers hold, and nobody reads.
  const Result<void> padded =
      Await(Begin(relay_->Pad(PadAction{Sequence(1), Sequence(3000000), "D1", ""}, 300ms)));
  ASSERT_FALSE(padded.has_value());
  EXPECT_EQ(padded.error().Code(), ErrorCode::kTimeout) << padded.error().Message();
  EXPECT_EQ(Report().state, RelayState::kParked);
}

TEST_F(ParkedRelay, ParkEndsAPadOfAStuckNodeAtOnce) {
  StartRelay();
  Peer node = AttachNode(1, 4096);
  std::future<Result<void>> padded =
      Begin(relay_->Pad(PadAction{Sequence(1), Sequence(3000000), "D1", ""}, 60s));
  EXPECT_TRUE(Eventually([](const RelayReport& report) { return report.state == RelayState::kPadding; }));
  Do([this] { relay_->Park(); });
  const Result<void> result = Await(std::move(padded));
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().Code(), ErrorCode::kTimeout);
  EXPECT_EQ(Report().state, RelayState::kParked);
}

TEST_F(ParkedRelay, APadWhoseNodeGoesAwayIsUnknown) {
  StartRelay();
  Peer node = AttachNode(1, 4096);
  std::future<Result<void>> padded =
      Begin(relay_->Pad(PadAction{Sequence(1), Sequence(3000000), "D1", ""}, 60s));
  EXPECT_TRUE(Eventually([](const RelayReport& report) { return report.frames_forwarded > 2; }));
  node.Close();
  const Result<void> result = Await(std::move(padded));
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().Code(), ErrorCode::kTimeout);
}

class Feeding : public RelayTest {
 protected:
  std::future<Result<void>> BeginFeed(std::uint64_t from, std::vector<std::string> batches,
                                      std::chrono::milliseconds timeout = kPatience) {
    return Begin(relay_->Feed(Sequence(from), std::move(batches), timeout));
  }
  // Refused, with this code, and nothing was sent to the node nor counted.
  void ExpectRefused(Peer& node, std::uint64_t from, std::vector<std::string> batches, ErrorCode code) {
    const RelayReport before = Report();
    const Result<void> fed = Await(BeginFeed(from, std::move(batches)));
    ASSERT_FALSE(fed.has_value());
    EXPECT_EQ(fed.error().Code(), code) << fed.error().Message();
    EXPECT_TRUE(node.SilentFor(20ms));
    const RelayReport after = Report();
    EXPECT_EQ(after.state, before.state);
    EXPECT_EQ(after.node_next, before.node_next);
    EXPECT_EQ(after.frames_forwarded, before.frames_forwarded);
  }
  // Far more than the sockets' buffers hold: a node that does not read is stuck in the middle of it.
  static std::string Great(std::uint64_t first, std::uint32_t count = 1) {
    return Batch(first, count, std::string(std::size_t{64} << 20, 'x'));
  }
};

TEST_F(Feeding, SendsExactlyTheBatchesInOrderAndParksAgain) {
  StartRelay();
  Peer node = AttachNode(1000);
  const std::vector<std::string> batches{Batch(1000, 3, "abc"), Batch(1003, 1), Batch(1004, 70000, "\r\n$")};
  const Result<void> fed = Await(BeginFeed(1000, batches));
  ASSERT_TRUE(fed.has_value()) << fed.error().Message();
  std::uint64_t bytes = 0;
  for (const std::string& batch : batches) {
    EXPECT_EQ(node.ReadBatchFrame(), Framed(batch));
    bytes += Framed(batch).size();
  }
  EXPECT_TRUE(node.SilentFor(20ms));
  const RelayReport report = Report();
  EXPECT_EQ(report.state, RelayState::kParked);
  EXPECT_EQ(report.node_next, Sequence(71004));
  EXPECT_EQ(report.frames_forwarded, 3u);
  EXPECT_EQ(report.bytes_forwarded, bytes);
  EXPECT_EQ(report.error, "");
}

TEST_F(Feeding, GoesOnWhereTheLastFeedEnded) {
  StartRelay();
  Peer node = AttachNode(5);
  EXPECT_TRUE(Await(BeginFeed(5, {Batch(5, 2)})).has_value());
  EXPECT_TRUE(Await(BeginFeed(7, {Batch(7, 2)})).has_value());
  EXPECT_EQ(node.ReadBatchFrame(), Framed(Batch(5, 2)));
  EXPECT_EQ(node.ReadBatchFrame(), Framed(Batch(7, 2)));
}

TEST_F(Feeding, NoBatchesAreFedAtOnce) {
  StartRelay();
  Peer node = AttachNode(5);
  EXPECT_TRUE(Await(BeginFeed(5, {})).has_value());
  EXPECT_TRUE(node.SilentFor(20ms));
  EXPECT_EQ(Report().state, RelayState::kParked);
}

TEST_F(Feeding, ABatchOfAnySizeAroundTheBuffersIsOneFrame) {
  StartRelay();
  Peer node = AttachNode(1);
  // Head and line end take 12 bytes: the frame fits the buffer, is cut before, in or after its line end.
  const std::size_t fits = (std::size_t{1} << 20) + 64 - 12;
  std::uint64_t next = 1;
  for (const std::size_t size : {fits - 1, fits, fits + 1, fits + 2, fits + 3, 3 * fits}) {
    std::string batch = Batch(next, 1);
    batch.append(size - batch.size(), 'x');
    std::future<Result<void>> fed = BeginFeed(next, {batch});
    EXPECT_TRUE(node.ReadBatchFrame() == Framed(batch)) << size;
    EXPECT_TRUE(Await(std::move(fed)).has_value()) << size;
    ++next;
  }
  EXPECT_EQ(Report().frames_forwarded, 6u);
}

TEST_F(Feeding, ABatchOf64MebibytesIsOneFrameWithNoHeartbeatInIt) {
  options_.heartbeat_interval = 5ms;
  StartRelay();
  Peer node = AttachNode(1);
  std::future<Result<void>> fed = BeginFeed(1, {Great(1)});
  EXPECT_TRUE(node.ReadBatchFrame() == Framed(Great(1)));
  EXPECT_TRUE(Await(std::move(fed)).has_value());
  EXPECT_EQ(Report().node_next, Sequence(2));
}

TEST_F(Feeding, WithoutANodeIsRefused) {
  StartRelay();
  const Result<void> fed = Await(BeginFeed(5, {Batch(5, 1)}));
  ASSERT_FALSE(fed.has_value());
  EXPECT_EQ(fed.error().Code(), ErrorCode::kConflict);
}

TEST_F(Feeding, FromAnotherSequenceThanTheNodesIsRefused) {
  StartRelay();
  Peer node = AttachNode(5);
  ExpectRefused(node, 4, {Batch(4, 1)}, ErrorCode::kConflict);
}

TEST_F(Feeding, BatchesThatBeginElsewhereAreRefused) {
  StartRelay();
  Peer node = AttachNode(5);
  ExpectRefused(node, 5, {Batch(6, 1)}, ErrorCode::kDamaged);
}

TEST_F(Feeding, AGapIsSeenBeforeAnythingIsSent) {
  StartRelay();
  Peer node = AttachNode(5);
  ExpectRefused(node, 5, {Batch(5, 1), Batch(7, 1)}, ErrorCode::kDamaged);
}

TEST_F(Feeding, ABatchThatComesTwiceIsSeenBeforeAnythingIsSent) {
  StartRelay();
  Peer node = AttachNode(5);
  ExpectRefused(node, 5, {Batch(5, 1), Batch(5, 1)}, ErrorCode::kDamaged);
}

TEST_F(Feeding, ABatchOfNoRecordsIsRefused) {
  StartRelay();
  Peer node = AttachNode(5);
  ExpectRefused(node, 5, {Batch(5, 1), Batch(6, 0)}, ErrorCode::kDamaged);
}

TEST_F(Feeding, ABatchThatIsShorterThanItsHeaderIsRefused) {
  StartRelay();
  Peer node = AttachNode(5);
  ExpectRefused(node, 5, {Batch(5, 1).substr(0, 11)}, ErrorCode::kDamaged);
}

TEST_F(Feeding, ABatchPastTheGreatestSequenceIsRefused) {
  StartRelay();
  const std::uint64_t near_end = (std::uint64_t{1} << 56) - 2;
  Peer node = AttachNode(near_end);
  ExpectRefused(node, near_end, {Batch(near_end, 5)}, ErrorCode::kDamaged);
}

TEST_F(Feeding, ARelayThatIsNotParkedRefuses) {
  StartRelay();
  Peer node = AttachNode(5);
  Do([this] { relay_->Idle(); });
  ExpectRefused(node, 5, {Batch(5, 1)}, ErrorCode::kConflict);
}

TEST_F(Feeding, IsReportedAndRefusesASecondFeedMeanwhile) {
  StartRelay();
  Peer node = AttachNode(1, 4096);
  std::future<Result<void>> fed = BeginFeed(1, {Great(1)});
  EXPECT_TRUE(Eventually([](const RelayReport& report) { return report.state == RelayState::kRescuing; }));
  EXPECT_FALSE(Await(BeginFeed(1, {Batch(1, 1)})).has_value());
  EXPECT_EQ(Report().state, RelayState::kRescuing);
  node.Close();
  EXPECT_FALSE(Await(std::move(fed)).has_value());
}

TEST_F(Feeding, ANodeThatGoesAwayMidwayIsAClearError) {
  StartRelay();
  Peer node = AttachNode(1, 4096);
  std::future<Result<void>> fed = BeginFeed(1, {Batch(1, 1), Great(2)});
  EXPECT_TRUE(Eventually([](const RelayReport& report) { return report.frames_forwarded == 1; }));
  node.Close();
  const Result<void> result = Await(std::move(fed));
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().Code(), ErrorCode::kTimeout);
  EXPECT_NE(result.error().Message().find("the node's connection broke"), std::string::npos)
      << result.error().Message();
  EXPECT_EQ(Report().state, RelayState::kParked);
}

TEST_F(Feeding, ParkEndsItAtOnceAndANodeInTheMiddleOfAFrameIsLetGo) {
  StartRelay();
  Peer node = AttachNode(1, 4096);
  std::future<Result<void>> fed = BeginFeed(1, {Great(1)}, 60s);
  EXPECT_TRUE(Eventually([](const RelayReport& report) { return report.bytes_forwarded > 0; }));
  Do([this] { relay_->Park(); });
  const Result<void> result = Await(std::move(fed));
  ASSERT_FALSE(result.has_value());
  EXPECT_NE(result.error().Message().find("another command came in between"), std::string::npos)
      << result.error().Message();
  EXPECT_EQ(Report().state, RelayState::kParked);
  EXPECT_TRUE(node.ClosedWithin(kPatience));
}

TEST_F(Feeding, ANodeThatDoesNotTakeItInTimeEndsIt) {
  StartRelay();
  Peer node = AttachNode(1, 4096);
  const Result<void> fed = Await(BeginFeed(1, {Great(1)}, 100ms));
  ASSERT_FALSE(fed.has_value());
  EXPECT_EQ(fed.error().Code(), ErrorCode::kTimeout);
  EXPECT_NE(fed.error().Message().find("did not take it within"), std::string::npos);
  EXPECT_EQ(Report().state, RelayState::kParked);
  EXPECT_TRUE(node.ClosedWithin(kPatience));
}

TEST_F(ParkedRelay, AFullSyncThatNobodyDecidedIsRefusedAndCounted) {
  StartRelay();
  for (const std::vector<std::string>& fetch :
       {std::vector<std::string>{"_fetch_meta"}, {"_fetch_file", "CURRENT"}}) {
    Peer node = Peer::Connect(port_);
    node.Send(Words(fetch));
    EXPECT_TRUE(node.ClosedWithin(kPatience));
    EXPECT_THROW(node.Read(1), std::runtime_error);
  }
  EXPECT_EQ(Report().full_syncs_refused, 2u);
}

TEST_F(ParkedRelay, StopEndsWhoeverWaits) {
  StartRelay();
  Peer half = Peer::Connect(port_);
  half.Send("*2\r\n$5\r\nPSY");
  std::future<Result<Sequence>> attached = Begin(relay_->WaitAttached(60s));
  Do([this] { relay_->Stop(); });
  EXPECT_FALSE(Await(std::move(attached)).has_value());
  EXPECT_TRUE(half.ClosedWithin(kPatience));
  EXPECT_FALSE(Await(Begin(relay_->Follow(FollowAction{Endpoint{"127.0.0.1", 1}, {}}, 1s))).has_value());
}

}  // namespace
}  // namespace walstitch::relay
