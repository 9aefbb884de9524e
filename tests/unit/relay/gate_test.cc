// The gate, and a relay that follows through one.
#include "agents/relay/gate.h"

#include <gtest/gtest.h>

#include <boost/asio/detached.hpp>
#include <boost/asio/ssl/context.hpp>

#include "agents/http/tls.h"
#include "tests/support/environment.h"
#include "tests/support/kubernetes/certificates.h"
#include "tests/unit/relay/peers.h"

namespace walstitch::relay {
namespace {

class GateTest : public RelayTest {
 protected:
  void SetUp() override {
    test::WritePrivateFile(Path("ca.pem"), nodes_.Pem());
    WriteCertificate("server", nodes_.Issue("n1", test::LoopbackNames()));
    WriteCertificate("client", nodes_.Issue("n2", test::LoopbackNames()));
    WriteCertificate("foreign", others_.Issue("n2", test::LoopbackNames()));
  }
  ~GateTest() override {
    if (gate_) Do([this] { gate_.reset(); });
  }

  std::string Path(const std::string& name) const { return directory_.path() + "/" + name; }
  void WriteCertificate(const std::string& name, const test::Certificate& certificate) const {
    test::WritePrivateFile(Path(name + ".pem"), certificate.certificate_pem);
    test::WritePrivateFile(Path(name + ".key"), certificate.key_pem);
  }

  TlsContexts Contexts(http::TlsEnd end, const std::string& name) const {
    http::TlsFiles files;
    if (!name.empty()) {
      files.certificate = Path(name + ".pem");
      files.key = Path(name + ".key");
    }
    files.authority = Path("ca.pem");
    auto identity = http::TlsIdentity::Load(end, files);
    EXPECT_TRUE(identity) << identity.error().Message();
    return [shown = *identity] { return shown->Context(); };
  }

  void OpenGate() {
    GateOptions options;
    options.server = server_.At();
    options.tls = Contexts(http::TlsEnd::kServer, "server");
    options.handshake_timeout = handshake_timeout_;
    options.client_name = client_name_;
    Do([&] {
      gate_ = std::make_unique<Gate>(context_.get_executor(), options);
      EXPECT_TRUE(gate_->Start());
    });
  }
  std::uint16_t GatePort() {
    return Call<std::uint16_t>([this] { return gate_->Port(); });
  }
  ListenerCounts Counts() {
    return Call<ListenerCounts>([this] { return gate_->Counts(); });
  }
  bool Counted(Refused why) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (Counts().Of(why) != 1) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::sleep_for(2ms);
    }
    return true;
  }

  // Follows through the gate, showing that certificate; gives the server's end.
  Result<void> FollowThrough(const std::string& certificate, Peer* link) {
    options_.upstream_tls = Contexts(http::TlsEnd::kClient, certificate);
    options_.upstream_port = GatePort();
    options_.reconnect_interval = 50ms;
    StartRelay();
    node_ = AttachNode(5);
    const auto patience = link != nullptr ? kPatience : 500ms;
    std::future<Result<void>> followed =
        Begin(relay_->Follow(FollowAction{{"127.0.0.1", 1}, std::nullopt}, patience));
    if (link != nullptr) {
      *link = server_.Accept();
      EXPECT_EQ(AnswerUntilPsync(*link), "5");
      link->Send("+OK\r\n");
    }
    return Await(std::move(followed));
  }

  test::TempDirectory directory_;
  const test::CertificateAuthority nodes_{"nodes"};
  const test::CertificateAuthority others_{"others"};
  Listener server_;
  std::chrono::milliseconds handshake_timeout_ = kPatience;
  std::string client_name_;
  std::unique_ptr<Gate> gate_;
  Peer node_;
};

TEST_F(GateTest, ARelayFollowsThroughIt) {
  OpenGate();
  Peer link;
  const Result<void> followed = FollowThrough("client", &link);
  ASSERT_TRUE(followed) << followed.error().Message();
  std::string stream;
  for (std::uint64_t at = 5; at < 205; ++at) stream += Framed(Batch(at, 1, std::string(20000, 'x')));
  link.Send(stream);
  std::string read;
  while (read.size() < stream.size()) read += node_.ReadBatchFrame();
  EXPECT_TRUE(read == stream);
}

TEST_F(GateTest, AForeignCertificateReachesNoServer) {
  OpenGate();
  const Result<void> followed = FollowThrough("foreign", nullptr);
  EXPECT_FALSE(followed);
  EXPECT_TRUE(server_.NobodyFor(50ms));
  EXPECT_GE(Counts().Of(Refused::kTls), 1U);
}

TEST_F(GateTest, ACertificateOfTheAuthorityForAnotherNameReachesNoServer) {
  WriteCertificate("client", nodes_.Issue("prometheus", {"DNS:prometheus.example.org"}));
  client_name_ = "localhost";
  OpenGate();
  EXPECT_FALSE(FollowThrough("client", nullptr));
  EXPECT_GE(Counts().Of(Refused::kTls), 1U);
}

TEST_F(GateTest, ACertificateForTheNameThatIsAskedForIsServed) {
  client_name_ = "localhost";
  OpenGate();
  Peer link;
  const Result<void> followed = FollowThrough("client", &link);
  EXPECT_TRUE(followed) << followed.error().Message();
}

TEST_F(GateTest, WithoutACertificateNoServerIsReached) {
  OpenGate();
  EXPECT_FALSE(FollowThrough("", nullptr));
  EXPECT_TRUE(server_.NobodyFor(50ms));
}

TEST_F(GateTest, AGateWithAForeignCertificateIsNotFollowed) {
  WriteCertificate("server", others_.Issue("n1", test::LoopbackNames()));
  OpenGate();
  const Result<void> followed = FollowThrough("client", nullptr);
  ASSERT_FALSE(followed);
  EXPECT_NE(followed.error().Message().find("certificate is refused"), std::string::npos)
      << followed.error().Message();
  EXPECT_TRUE(server_.NobodyFor(50ms));
}

TEST_F(GateTest, AGateOfAnotherNameIsNotFollowed) {
  WriteCertificate("server", nodes_.Issue("n1", {"DNS:elsewhere.example.org", "IP:10.0.0.1"}));
  OpenGate();
  const Result<void> followed = FollowThrough("client", nullptr);
  ASSERT_FALSE(followed);
  EXPECT_NE(followed.error().Message().find("mismatch"), std::string::npos) << followed.error().Message();
}

TEST_F(GateTest, PlainTextIsSentAway) {
  OpenGate();
  Peer stranger = Peer::Connect(GatePort());
  stranger.Send(Words({"PING"}));
  EXPECT_TRUE(stranger.ClosedWithin(kPatience));
  EXPECT_TRUE(Counted(Refused::kTls));
  EXPECT_TRUE(server_.NobodyFor(50ms));
}

TEST_F(GateTest, WhoSaysNothingIsSentAwayInTime) {
  handshake_timeout_ = 100ms;
  OpenGate();
  Peer stranger = Peer::Connect(GatePort());
  EXPECT_TRUE(stranger.ClosedWithin(kPatience));
  EXPECT_TRUE(Counted(Refused::kSlow));
}

TEST_F(GateTest, NodeThatSpeaksTlsToItsRelayIsServed) {
  http::TlsFiles files;
  files.certificate = Path("server.pem");
  files.key = Path("server.key");
  auto identity = http::TlsIdentity::Load(http::TlsEnd::kServer, files);
  ASSERT_TRUE(identity) << identity.error().Message();
  options_.node_tls = [shown = *identity] { return shown->Context(); };
  StartRelay();
  // A connection of the relay's own kind is the node's end.
  const auto node = std::make_shared<Connection>(context_.get_executor());
  const TlsContexts contexts = Contexts(http::TlsEnd::kClient, "client");
  const auto talk = [](std::shared_ptr<Connection> connection, TlsContexts tls,
                       std::uint16_t port) -> boost::asio::awaitable<std::string> {
    Endpoint relay{"127.0.0.1", port};
    const Result<void> connected = co_await connection->Connect(relay, kPatience);
    if (!connected) co_return connected.error().Message();
    auto context = tls();
    const Result<void> secured = co_await connection->StartTls(context, "127.0.0.1", kPatience);
    if (!secured) co_return secured.error().Message();
    const std::string psync = Words({"PSYNC", "7"});
    const Result<void> written = co_await connection->Write(boost::asio::buffer(psync), kPatience);
    if (!written) co_return written.error().Message();
    std::string answer(5, ' ');
    const Result<std::size_t> read = co_await connection->Read(boost::asio::buffer(answer), kPatience);
    co_return read ? answer : read.error().Message();
  };
  EXPECT_EQ(Await(Begin(talk(node, contexts, port_))), "+OK\r\n");
  EXPECT_EQ(Report().node_next, Sequence(7));
  Do([&] { node->Close(); });
}

}  // namespace
}  // namespace walstitch::relay
