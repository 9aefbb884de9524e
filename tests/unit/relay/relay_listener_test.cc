// Strangers at the relay's listener: sent away, counted, and no harm to the node.
#include <gtest/gtest.h>

#include "agents/relay/resp_reader.h"
#include "tests/unit/relay/peers.h"

namespace walstitch::relay {
namespace {

class RelayListener : public RelayTest {
 protected:
  ListenerCounts Counts() {
    return Call<ListenerCounts>([this] { return relay_->Listened(); });
  }
  bool Counted(Refused why, std::uint64_t times) {
    return Eventually([&](const RelayReport&) { return Counts().Of(why) >= times; });
  }
};

TEST_F(RelayListener, GarbageIsSentAwayAndCounted) {
  StartRelay();
  for (const std::string& bytes :
       {std::string("GET / HTTP/1.1\r\n\r\n"), std::string("\0\1\2\3", 4), std::string("*1\r\n$-1\r\n"),
        std::string("PSYNC 5\r\n"), std::string("*0\r\n")}) {
    Peer stranger = Peer::Connect(port_);
    stranger.Send(bytes);
    EXPECT_TRUE(stranger.ClosedWithin(kPatience));
  }
  EXPECT_EQ(Counts().Of(Refused::kGarbage), 5U);
  EXPECT_EQ(Counts().accepted, 5U);
  EXPECT_TRUE(Eventually([&](const RelayReport&) { return Counts().open == 0; }));
}

TEST_F(RelayListener, ACommandThatIsNotOfReplicationIsSentAwayAndCounted) {
  StartRelay();
  Peer stranger = Peer::Connect(port_);
  stranger.Send(Words({"FLUSHALL"}));
  EXPECT_EQ(stranger.ReadLine().substr(0, 4), "-ERR");
  EXPECT_TRUE(stranger.ClosedWithin(kPatience));
  EXPECT_EQ(Counts().Of(Refused::kForeign), 1U);
}

TEST_F(RelayListener, TlsIsSentAwayAndWhoWaitsForTheNodeIsTold) {
  StartRelay();
  Peer stranger = Peer::Connect(port_);
  stranger.Send(std::string("\x16\x03\x01\x02\x00\x01", 6));
  EXPECT_TRUE(stranger.ClosedWithin(kPatience));
  EXPECT_EQ(Counts().Of(Refused::kTls), 1U);
  const Result<Sequence> attached = Await(Begin(relay_->WaitAttached(10ms)));
  ASSERT_FALSE(attached);
  EXPECT_NE(attached.error().Message().find("tls-replication"), std::string::npos)
      << attached.error().Message();
}

TEST_F(RelayListener, ATooLongCommandIsSentAwayBeforeItHasCome) {
  StartRelay();
  Peer stranger = Peer::Connect(port_);
  stranger.Send("*1\r\n$1000000\r\n" + std::string(options_.limits.bytes + 8192, 'x'));
  EXPECT_TRUE(stranger.ClosedWithin(kPatience));
  EXPECT_TRUE(Counted(Refused::kTooLarge, 1));
}

TEST_F(RelayListener, OneByteAtATimeIsSentAwayInTime) {
  options_.limits.first_command = 200ms;
  StartRelay();
  Peer stranger = Peer::Connect(port_);
  const std::string bytes = Words({"_db_name"});
  std::size_t sent = 0;
  while (sent < bytes.size() && !stranger.ClosedWithin(30ms)) {
    if (stranger.SendSome(bytes.substr(sent, 1), 1s) == 0) break;
    ++sent;
  }
  EXPECT_LT(sent, bytes.size());
  EXPECT_TRUE(Counted(Refused::kSlow, 1));
}

TEST_F(RelayListener, WhoSpeaksForEverWithoutBeingTheNodeIsSentAway) {
  options_.limits.role = 300ms;
  StartRelay();
  Peer stranger = Peer::Connect(port_);
  int pings = 0;
  while (pings < 200) {
    if (stranger.SendSome(Words({"PING"}), 1s) == 0 || stranger.ClosedWithin(10ms)) break;
    ++pings;
  }
  EXPECT_LT(pings, 200);
  EXPECT_TRUE(Counted(Refused::kSlow, 1));
}

TEST_F(RelayListener, StrangersThatTakeEveryPlaceDoNotKeepTheNodeOut) {
  options_.max_connections = 16;
  StartRelay();
  std::vector<Peer> idle;
  for (int i = 0; i < 200; ++i) idle.push_back(Peer::Connect(port_));
  ASSERT_TRUE(Counted(Refused::kEvicted, 184));
  Peer node = AttachNode(5);
  for (int i = 0; i < 200; ++i) idle.push_back(Peer::Connect(port_));
  ASSERT_TRUE(Counted(Refused::kEvicted, 385));
  EXPECT_LE(Counts().open, 16U);
  EXPECT_TRUE(Report().node_attached);
  EXPECT_TRUE(node.SilentFor(50ms));
}

TEST_F(RelayListener, WhoHasSaidNothingGoesBeforeWhoHas) {
  options_.max_connections = 2;
  StartRelay();
  Peer speaks = Peer::Connect(port_);
  speaks.Send(Words({"PING"}));
  EXPECT_EQ(speaks.ReadLine(), "+PONG");
  Peer silent = Peer::Connect(port_);
  Peer third = Peer::Connect(port_);
  EXPECT_TRUE(silent.ClosedWithin(kPatience));
  speaks.Send(Words({"PING"}));
  EXPECT_EQ(speaks.ReadLine(), "+PONG");
}

TEST_F(RelayListener, AStrangersPsyncDoesNotDisturbTheNode) {
  options_.limits.second_node = 50ms;
  StartRelay();
  Peer node = AttachNode(5);
  Listener upstream;
  Peer link = Follow(upstream, 5);
  Peer stranger = Peer::Connect(port_);
  stranger.Send(Words({"PSYNC", "1"}));
  EXPECT_TRUE(stranger.ClosedWithin(kPatience));
  EXPECT_EQ(Counts().Of(Refused::kSecond), 1U);
  link.Send(Framed(Batch(5, 1)));
  EXPECT_EQ(node.ReadBatchFrame(), Framed(Batch(5, 1)));
  EXPECT_EQ(Report().state, RelayState::kFollowing);
}

TEST_F(RelayListener, ANodeThatIsBackBeforeItsEndWasSeenIsTheNode) {
  StartRelay();
  Peer older = AttachNode(5);
  Peer newer = Peer::Connect(port_);
  newer.Send(Words({"PSYNC", "9"}));
  EXPECT_TRUE(newer.SilentFor(50ms));
  older.Close();
  EXPECT_EQ(newer.ReadLine(), "+OK");
  EXPECT_TRUE(Eventually([](const RelayReport& report) { return report.node_next == Sequence(9); }));
}

TEST_F(RelayListener, WithAPasswordOnlyWhoSaysItIsTheNode) {
  options_.node_password = "open sesame";
  StartRelay();
  for (const std::string& bytes : {Words({"PSYNC", "5"}), Words({"AUTH", "open sesam"}),
                                   Words({"_fetch_meta"}), Words({"AUTH", "default", "open sesame"})}) {
    Peer stranger = Peer::Connect(port_);
    stranger.Send(bytes);
    EXPECT_TRUE(stranger.ClosedWithin(kPatience));
  }
  EXPECT_EQ(Counts().Of(Refused::kPassword), 4U);
  EXPECT_FALSE(Report().node_attached);
  // As often as a node with a masterauth may say it.
  Peer node = Peer::Connect(port_);
  for (int i = 0; i < 3; ++i) {
    node.Send(Words({"AUTH", "open sesame"}));
    EXPECT_EQ(node.ReadLine(), "+OK");
  }
  node.Send(Words({"PSYNC", "5"}));
  EXPECT_EQ(node.ReadLine(), "+OK");
}

}  // namespace
}  // namespace walstitch::relay
