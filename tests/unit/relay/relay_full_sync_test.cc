// A full sync that was decided: refused once, passed through, followed.
#include <gtest/gtest.h>

#include "tests/unit/relay/peers.h"

namespace walstitch::relay {
namespace {

class FullSyncRelay : public RelayTest {
 protected:
  std::future<Result<void>> BeginFullSync(const Listener& upstream,
                                          std::chrono::milliseconds timeout = kPatience) {
    return Begin(relay_->FullSync({upstream.At()}, timeout));
  }
  Peer RefusedNode(const std::string& next) {
    Peer node = Peer::Connect(port_);
    node.Send(Words({"PSYNC", next}));
    EXPECT_EQ(node.ReadLine(), "-ERR sequence out of range, please use fullsync");
    return node;
  }
  bool InFullSync() {
    return Eventually([](const RelayReport& report) { return report.state == RelayState::kFullSync; });
  }
  // `_fetch_meta` through to the upstream; gives the node's side.
  Peer FetchMeta(Listener& upstream) {
    Peer meta = Peer::Connect(port_);
    meta.Send(Words({"_fetch_meta"}));
    Peer served = upstream.Accept();
    EXPECT_EQ(served.ReadCommand(), (std::vector<std::string>{"_fetch_meta"}));
    served.Send("CURRENT,000007.sst\r\n");
    EXPECT_EQ(meta.ReadLine(), "CURRENT,000007.sst");
    return meta;
  }
};

TEST_F(FullSyncRelay, TheDialoguePassesThroughAndThenTheNodeFollows) {
  options_.upstream_password = "secret";
  StartRelay();
  Peer node = AttachNode(10);
  Listener upstream;
  std::future<Result<void>> begun = BeginFullSync(upstream);
  EXPECT_TRUE(node.ClosedWithin(kPatience));
  Peer refused = RefusedNode("10");

  Peer meta = Peer::Connect(port_);
  meta.Send(Words({"AUTH", "own"}) + Words({"AUTH", "own"}) + Words({"_fetch_meta"}));
  EXPECT_EQ(meta.ReadLine(), "+OK");
  EXPECT_EQ(meta.ReadLine(), "+OK");
  Peer served = upstream.Accept();
  EXPECT_EQ(served.ReadCommand(), (std::vector<std::string>{"AUTH", "secret"}));
  served.Send("+OK\r\n");
  EXPECT_EQ(served.ReadCommand(), (std::vector<std::string>{"_fetch_meta"}));
  served.Send("CURRENT,000007.sst\r\n");
  served.Close();
  EXPECT_EQ(meta.ReadLine(), "CURRENT,000007.sst");
  const Result<void> result = Await(std::move(begun));
  EXPECT_TRUE(result.has_value()) << result.error().Message();
  EXPECT_EQ(Report().state, RelayState::kFullSync);
  EXPECT_EQ(Report().upstream, upstream.At());

  const std::string content(3000000, 'f');
  const std::string answer = "16\r\nMANIFEST-000001\n" + std::to_string(content.size()) + "\r\n" + content;
  Peer files = Peer::Connect(port_);
  files.Send(Words({"_fetch_file", "CURRENT,000007.sst"}));
  Peer file_server = upstream.Accept();
  file_server.ReadCommand();
  file_server.Send("+OK\r\n");
  EXPECT_EQ(file_server.ReadCommand(), (std::vector<std::string>{"_fetch_file", "CURRENT,000007.sst"}));
  std::thread sender([&] {
    file_server.Send(answer);
    file_server.Close();
  });
  EXPECT_TRUE(files.Read(answer.size()) == answer);
  sender.join();
  EXPECT_TRUE(files.ClosedWithin(kPatience));
  files.Close();
  EXPECT_EQ(Report().full_sync_bytes, answer.size() + 20);

  node = Peer::Connect(port_);
  node.Send(Words({"PSYNC", "500"}));
  EXPECT_EQ(node.ReadLine(), "+OK");
  meta.Close();
  Peer link = upstream.Accept();
  EXPECT_EQ(AnswerUntilPsync(link), "500");
  EXPECT_EQ(Report().state, RelayState::kFullSync);
  link.Send("+OK\r\n" + Framed(Batch(500, 1, "new")));
  EXPECT_EQ(node.ReadBatchFrame(), Framed(Batch(500, 1, "new")));
  EXPECT_EQ(Report().state, RelayState::kFollowing);
  EXPECT_EQ(Report().full_syncs_refused, 0u);
}

TEST_F(FullSyncRelay, ANodeThatDiedInTheMiddleIsNotResumedWhereItWas) {
  StartRelay();
  Listener upstream;
  std::future<Result<void>> begun = BeginFullSync(upstream);
  EXPECT_TRUE(InFullSync());
  RefusedNode("10").Close();
  FetchMeta(upstream).Close();
  EXPECT_TRUE(Await(std::move(begun)).has_value());
  // Longer than what counts as the same moment.
  EXPECT_TRUE(upstream.NobodyFor(100ms));
  RefusedNode("10");
  EXPECT_TRUE(upstream.NobodyFor(30ms));
}

TEST_F(FullSyncRelay, TheSameSequenceIsNoObstacleForANodeThatLived) {
  StartRelay();
  Listener upstream;
  std::future<Result<void>> begun = BeginFullSync(upstream);
  EXPECT_TRUE(InFullSync());
  RefusedNode("10").Close();
  Peer meta = FetchMeta(upstream);
  EXPECT_TRUE(Await(std::move(begun)).has_value());
  Peer node = Peer::Connect(port_);
  node.Send(Words({"_db_name"}));
  EXPECT_EQ(node.ReadLine(), kDatabase);
  meta.Close();
  node.Send(Words({"PSYNC", "10"}));
  EXPECT_EQ(node.ReadLine(), "+OK");
  Peer link = upstream.Accept();
  EXPECT_EQ(AnswerUntilPsync(link), "10");
}

TEST_F(FullSyncRelay, AnUpstreamThatRefusesTheNodeAfterwardsGetsAnotherFullSyncAndInTheEndNone) {
  StartRelay();
  Listener upstream;
  std::future<Result<void>> begun = BeginFullSync(upstream);
  EXPECT_TRUE(InFullSync());
  RefusedNode("10").Close();
  for (int round = 0; round < 4; ++round) {
    Peer meta = FetchMeta(upstream);
    Peer node = Peer::Connect(port_);
    node.Send(Words({"PSYNC", std::to_string(100 + round)}));
    EXPECT_EQ(node.ReadLine(), "+OK");
    Peer link = upstream.Accept();
    AnswerUntilPsync(link);
    link.Send("-ERR sequence out of range, please use fullsync\r\n");
    EXPECT_TRUE(node.ClosedWithin(kPatience));
    if (round < 3) RefusedNode(std::to_string(100 + round)).Close();
  }
  EXPECT_TRUE(Await(std::move(begun)).has_value());
  Peer node = AttachNode(103);
  EXPECT_EQ(Report().state, RelayState::kParked);
  EXPECT_NE(Report().error.find("too often"), std::string::npos) << Report().error;
}

TEST_F(FullSyncRelay, AnUpstreamThatDiesBeforeItAnswersIsSeenByTheNode) {
  StartRelay();
  Listener upstream;
  std::future<Result<void>> begun = BeginFullSync(upstream);
  EXPECT_TRUE(InFullSync());
  Peer meta = Peer::Connect(port_);
  meta.Send(Words({"_fetch_meta"}));
  Peer served = upstream.Accept();
  served.ReadCommand();
  served.Send("CURRENT,0000");
  served.Close();
  EXPECT_TRUE(meta.ClosedWithin(kPatience));
  EXPECT_TRUE(Await(std::move(begun)).has_value());
}

TEST_F(FullSyncRelay, ANodeThatDoesNotBeginIsReportedAndTheRelayParks) {
  StartRelay();
  Listener upstream;
  const Result<void> begun = Await(BeginFullSync(upstream, 50ms));
  ASSERT_FALSE(begun.has_value());
  EXPECT_EQ(Report().state, RelayState::kParked);
  Peer node = AttachNode(10);
  EXPECT_TRUE(node.SilentFor(10ms));
}

TEST_F(FullSyncRelay, ParkEndsTheDialogue) {
  StartRelay();
  Listener upstream;
  std::future<Result<void>> begun = BeginFullSync(upstream);
  EXPECT_TRUE(InFullSync());
  Peer refused = RefusedNode("10");
  Peer meta = FetchMeta(upstream);
  EXPECT_TRUE(Await(std::move(begun)).has_value());
  Peer files = Peer::Connect(port_);
  files.Send(Words({"_fetch_file", "CURRENT"}));
  Peer file_server = upstream.Accept();
  file_server.ReadCommand();
  Do([this] { relay_->Park(); });
  EXPECT_TRUE(files.ClosedWithin(kPatience));
  EXPECT_TRUE(file_server.ClosedWithin(kPatience));
  EXPECT_TRUE(meta.ClosedWithin(kPatience));
  Peer again = Peer::Connect(port_);
  again.Send(Words({"_fetch_meta"}));
  EXPECT_TRUE(again.ClosedWithin(kPatience));
  EXPECT_EQ(Report().full_syncs_refused, 1u);
  Peer node = AttachNode(10);
  EXPECT_EQ(Report().state, RelayState::kParked);
}

TEST_F(FullSyncRelay, StopInTheMiddleEndsEverything) {
  StartRelay();
  Listener upstream;
  std::future<Result<void>> begun = BeginFullSync(upstream);
  EXPECT_TRUE(InFullSync());
  Peer meta = FetchMeta(upstream);
  Peer files = Peer::Connect(port_);
  files.Send(Words({"_fetch_file", "CURRENT"}));
  Peer file_server = upstream.Accept();
  EXPECT_TRUE(Await(std::move(begun)).has_value());
  Do([this] { relay_->Stop(); });
  EXPECT_TRUE(files.ClosedWithin(kPatience));
  EXPECT_TRUE(file_server.ClosedWithin(kPatience));
}

}  // namespace
}  // namespace walstitch::relay
