// What tests of partitions stand on: a cut link is silent, and no more.
#include "tests/support/link_proxy.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <optional>
#include <string>

#include "tests/support/environment.h"
#include "tests/support/node_server.h"
#include "tests/support/replication_peer.h"
#include "tests/support/socket_owner.h"

namespace walstitch::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kSilence{150};

class LinkProxyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto error = node_.Start();
    ASSERT_FALSE(error) << *error;
  }

  static std::optional<std::string> Ping(RawConnection& connection, milliseconds timeout = seconds(10)) {
    if (!connection.SendCommand({"PING"})) return std::nullopt;
    return connection.ReadLine(timeout);
  }

  NodeServer node_;
};

TEST_F(LinkProxyTest, PassesEverythingOn) {
  LinkProxy link(node_.port());
  RedisClient client(link.port());
  const std::string big(3 << 20, 'b');
  EXPECT_TRUE(client("SET", "big", big).IsOk());
  EXPECT_EQ(big, client("GET", "big").text);
}

TEST_F(LinkProxyTest, CutConnectionIsSilentAndGoesOnWhenItIsHealed) {
  LinkProxy link(node_.port());
  RawConnection connection(link.port());
  ASSERT_EQ("+PONG", Ping(connection));
  link.Cut();
  EXPECT_FALSE(Ping(connection, kSilence)) << "something passed";
  EXPECT_FALSE(connection.WaitClosed(kSilence)) << "somebody was told";
  link.Heal();
  EXPECT_EQ("+PONG", connection.ReadLine());
}

TEST_F(LinkProxyTest, EndOfTheOtherSideDoesNotPassACut) {
  LinkProxy link(node_.port());
  RawConnection connection(link.port());
  ASSERT_EQ("+PONG", Ping(connection));
  link.Cut();
  node_.Kill();
  EXPECT_FALSE(connection.WaitClosed(kSilence));
  link.Heal();
  EXPECT_TRUE(connection.WaitClosed(seconds(10)));
}

TEST_F(LinkProxyTest, ConnectionThatCameDuringACutIsPassedOnIfItIsStillWanted) {
  LinkProxy link(node_.port());
  link.Cut();
  RawConnection patient(link.port());
  ASSERT_TRUE(patient.IsOpen());
  EXPECT_FALSE(Ping(patient, kSilence));
  {
    RawConnection impatient(link.port());
    ASSERT_TRUE(impatient.SendCommand({"SET", "too", "late"}));
    ASSERT_TRUE(Eventually(seconds(10), [&] { return link.connections() == 2; }));
  }
  link.Heal();
  EXPECT_EQ("+PONG", patient.ReadLine());
  EXPECT_TRUE(node_.Client()("GET", "too").IsNil())
      << "who gave up while the link was cut was heard all the same";
}

TEST_F(LinkProxyTest, DelayIsAddedToEachWay) {
  LinkProxy link(node_.port());
  RawConnection connection(link.port());
  ASSERT_EQ("+PONG", Ping(connection));
  link.Delay(milliseconds(60));
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ("+PONG", Ping(connection));
  EXPECT_GE(std::chrono::steady_clock::now() - start, milliseconds(120));
}

TEST_F(LinkProxyTest, LinkIsCutForOneCallerOnly) {
  std::atomic<const char*> caller = "a";
  LinkProxy link(node_.port(), [&](uint16_t, uint16_t) { return std::string(caller); });
  RawConnection a(link.port());
  ASSERT_EQ("+PONG", Ping(a));
  caller = "b";
  RawConnection b(link.port());
  ASSERT_EQ("+PONG", Ping(b));
  link.Cut("a");
  EXPECT_FALSE(Ping(a, kSilence));
  EXPECT_EQ("+PONG", Ping(b));
  link.Cut("b");
  link.Restore();
  EXPECT_EQ("+PONG", a.ReadLine());
  EXPECT_EQ("+PONG", Ping(b));
}

TEST_F(LinkProxyTest, LinkToAMachineOnWhichNobodyListensIsRefused) {
  LinkProxy link(node_.port());
  RawConnection connection(link.port());
  ASSERT_EQ("+PONG", Ping(connection));
  link.SetListening(false);
  EXPECT_FALSE(RawConnection(link.port()).IsOpen());
  EXPECT_EQ("+PONG", Ping(connection));
  node_.Kill();
  link.SetListening(true);
  EXPECT_FALSE(Eventually(kSilence, [&] { return link.IsListening(); })) << "nobody listens behind it";
  ASSERT_FALSE(node_.Start());
  ASSERT_TRUE(Eventually(seconds(10), [&] { return link.IsListening(); }));
  RawConnection another(link.port());
  EXPECT_EQ("+PONG", Ping(another));
}

TEST_F(LinkProxyTest, CallerIsKnownByItsProcess) {
  // A replica connects to its master through the link; so does this process.
  SocketOwners owners;
  LinkProxy link(node_.port(), [&](uint16_t from, uint16_t to) { return owners.NameOf(from, to); });
  ASSERT_TRUE(node_.Client()("SET", "key", "value").IsOk());
  NodeServer replica;
  replica.SetUpstream(link.port());
  const auto error = replica.Start();
  ASSERT_FALSE(error) << *error;
  owners.Set("replica", replica.process().pid());
  ASSERT_TRUE(replica.WaitInSync(node_));
  RawConnection own(link.port());
  ASSERT_EQ("+PONG", Ping(own));

  link.Cut("test");
  EXPECT_FALSE(Ping(own, kSilence));
  ASSERT_TRUE(node_.Client()("SET", "key", "another").IsOk());
  EXPECT_TRUE(replica.WaitInSync(node_));
  link.Cut("replica");
  ASSERT_TRUE(node_.Client()("SET", "key", "third").IsOk());
  EXPECT_FALSE(replica.WaitInSync(node_, kSilence));
  link.Heal("replica");
  EXPECT_TRUE(replica.WaitInSync(node_));
}

}  // namespace
}  // namespace walstitch::test
