#include "agents/http/tls.h"

#include <gtest/gtest.h>

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <filesystem>
#include <fstream>

#include "tests/support/kubernetes/certificates.h"
#include "tests/unit/http/server_fixture.h"

namespace walstitch::http {
namespace {

// A server that asks for certificates of `authority_`, and clients of all kinds.
class TlsServerTest : public ServerTest {
 protected:
  std::string Write(const std::string& name, const std::string& content) {
    test::WritePrivateFile(directory_.path() + "/" + name, content);
    return directory_.path() + "/" + name;
  }

  TlsFiles Files(const std::string& name, const test::Certificate& certificate) {
    return {Write(name + ".crt", certificate.certificate_pem), Write(name + ".key", certificate.key_pem),
            Write("ca.crt", authority_.Pem()), ""};
  }

  static Need OpenHealth(std::string_view method, const std::vector<std::string>& segments) {
    if (segments == std::vector<std::string>{"echo"} && method == "GET") return {std::nullopt, false};
    return NeedOfAnything(method, segments);
  }

  void StartTls(bool asks_for_certificates = true) {
    TlsFiles files = Files("server", authority_.Issue("server", test::LoopbackNames()));
    if (!asks_for_certificates) files.authority.clear();
    auto identity = TlsIdentity::Load(TlsEnd::kServer, files);
    ASSERT_TRUE(identity) << identity.error().Message();
    ServerOptions options;
    options.tls = *identity;
    options.need = OpenHealth;
    options.audit = [this](const std::string& line) {
      const std::lock_guard lock(mutex_);
      audit_.push_back(line);
    };
    Start(options);
    url_.tls = true;
  }

  // What a client with that identity is answered; an Error's sentence if nothing.
  std::string Ask(const TlsFiles& files, const std::string& method = "POST") {
    auto identity = TlsIdentity::Load(TlsEnd::kClient, files);
    if (!identity) return identity.error().Message();
    auto response = FetchBlocking(url_, method, "/echo", "", Credentials("", *identity), seconds(5));
    return response ? std::to_string(response->status) + " " + response->body : response.error().Message();
  }

  std::string Audit() {
    const std::lock_guard lock(mutex_);
    std::string all;
    for (const std::string& line : audit_) all += line + "\n";
    return all;
  }

  test::TempDirectory directory_;
  test::CertificateAuthority authority_{"test authority"};
  test::CertificateAuthority foreign_{"another authority"};
  std::vector<std::string> audit_;
};

TEST_F(TlsServerTest, ACertificateOfTheAuthorityIsAdmittedAndNamed) {
  StartTls();
  EXPECT_EQ(Ask(Files("client", authority_.Issue("controller", {}))), "200 POST||CN=controller");
  EXPECT_NE(Audit().find("audit: certificate CN=controller, from 127.0.0.1:"), std::string::npos) << Audit();
}

TEST_F(TlsServerTest, AForeignCertificateIsRefusedAndCounted) {
  StartTls();
  const std::string answer = Ask(Files("client", foreign_.Issue("stranger", {})));
  EXPECT_NE(answer.find("refuses the TLS connection"), std::string::npos) << answer;
  EXPECT_TRUE(Counted([](const ServerCounts& counts) { return counts.Of(Refused::kCertificate) == 1; }));
}

TEST_F(TlsServerTest, AnExpiredCertificateIsRefusedAndTheAuditSaysWhy) {
  StartTls();
  const std::string answer = Ask(Files("client", authority_.Issue("late", {}, -1)));
  EXPECT_NE(answer.find("refuses the TLS connection"), std::string::npos) << answer;
  EXPECT_TRUE(Counted([](const ServerCounts& counts) { return counts.Of(Refused::kCertificate) == 1; }));
  EXPECT_NE(Audit().find("certificate has expired"), std::string::npos) << Audit();
}

TEST_F(TlsServerTest, WithoutACertificateOnlyTheOpenPathsAreServed) {
  StartTls();
  TlsFiles files = Files("client", authority_.Issue("client", {}));
  files.certificate.clear();
  files.key.clear();
  EXPECT_EQ(Ask(files, "GET"), "200 GET||");
  EXPECT_NE(Ask(files).find("403 "), std::string::npos);
  EXPECT_EQ(Counts().Of(Refused::kCertificate), 1U);
}

TEST_F(TlsServerTest, PlainHttpIsToldAndGarbageIsClosed) {
  StartTls();
  const std::string answer = Raw("GET /echo HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(answer.rfind("HTTP/1.1 400 ", 0), 0U) << answer;
  EXPECT_NE(answer.find("use https://"), std::string::npos) << answer;
  EXPECT_EQ(Raw(std::string("\x00\x01\x02\x03garbage", 11)), "");
  EXPECT_EQ(Raw("\x16\x03\x01 nor is this a handshake at all").find("HTTP"), std::string::npos);
  EXPECT_TRUE(Counted([](const ServerCounts& counts) {
    return counts.Of(Refused::kPlainHttp) == 1 && counts.Of(Refused::kGarbage) == 1 &&
           counts.Of(Refused::kHandshake) == 1 && counts.open == 0;
  }));
}

TEST_F(TlsServerTest, AHandshakeThatDripsIsCutOff) {
  TlsFiles files = Files("server", authority_.Issue("server", test::LoopbackNames()));
  auto identity = TlsIdentity::Load(TlsEnd::kServer, files);
  ASSERT_TRUE(identity);
  ServerOptions options;
  options.tls = *identity;
  options.handshake_timeout = milliseconds(200);
  Start(options);
  EXPECT_EQ(Raw("", false), "");
  EXPECT_EQ(Raw("\x16\x03", false), "");
  EXPECT_TRUE(Counted([](const ServerCounts& counts) { return counts.Of(Refused::kSlow) == 2; }));
}

TEST_F(TlsServerTest, AServerOfAnotherAuthorityOrNameIsRefusedByTheClient) {
  StartTls(false);
  TlsFiles files = Files("client", authority_.Issue("client", {}));
  EXPECT_EQ(Ask(files), "200 POST||");
  files.server_name = "another.name";
  EXPECT_NE(Ask(files).find("its TLS certificate is refused"), std::string::npos) << Ask(files);
  files.server_name = "localhost";
  EXPECT_EQ(Ask(files), "200 POST||");
  files.server_name.clear();
  files.authority = Write("foreign.crt", foreign_.Pem());
  EXPECT_NE(Ask(files).find("its TLS certificate is refused"), std::string::npos) << Ask(files);
}

TEST_F(TlsServerTest, NothingOlderThanTls12IsSpoken) {
  StartTls(false);
  const auto connects = [&](int newest) {
    asio::io_context context;
    asio::ssl::context tls(asio::ssl::context::tls_client);
    SSL_CTX_set_min_proto_version(tls.native_handle(), TLS1_VERSION);
    SSL_CTX_set_max_proto_version(tls.native_handle(), newest);
    SSL_CTX_set_security_level(tls.native_handle(), 0);
    asio::ssl::stream<tcp::socket> stream(context, tls);
    stream.next_layer().connect({asio::ip::make_address("127.0.0.1"), server_->Port()});
    boost::system::error_code error;
    stream.handshake(asio::ssl::stream_base::client, error);
    return !error;
  };
  EXPECT_FALSE(connects(TLS1_1_VERSION));
  EXPECT_TRUE(connects(TLS1_2_VERSION));
  EXPECT_TRUE(connects(TLS1_3_VERSION));
}

TEST_F(TlsServerTest, NewFilesCountForNewConnectionsAndBrokenOnesChangeNothing) {
  StartTls(false);
  const TlsFiles client = Files("client", authority_.Issue("client", {}));
  ASSERT_EQ(Ask(client), "200 POST||");
  const auto subject = [&] {
    asio::io_context context;
    asio::ssl::context tls(asio::ssl::context::tls_client);
    asio::ssl::stream<tcp::socket> stream(context, tls);
    stream.next_layer().connect({asio::ip::make_address("127.0.0.1"), server_->Port()});
    stream.handshake(asio::ssl::stream_base::client);
    X509* shown = SSL_get1_peer_certificate(stream.native_handle());
    char text[64] = "";
    X509_NAME_get_text_by_NID(X509_get_subject_name(shown), NID_commonName, text, sizeof(text));
    X509_free(shown);
    return std::string(text);
  };
  EXPECT_EQ(subject(), "server");
  const auto second = authority_.Issue("second", test::LoopbackNames());
  Write("server.key", second.key_pem);              // half of it: the pair does not match
  std::this_thread::sleep_for(milliseconds(1200));  // a time in which the files are looked at
  EXPECT_EQ(subject(), "server");
  Write("server.crt", second.certificate_pem);
  EXPECT_TRUE(test::Eventually(seconds(10), [&] { return subject() == "second"; }));
  Write("server.crt", second.certificate_pem.substr(0, second.certificate_pem.size() / 2));
  std::this_thread::sleep_for(milliseconds(1200));
  EXPECT_EQ(subject(), "second");
  EXPECT_EQ(Ask(client), "200 POST||");
}

TEST(TlsIdentityTest, ABrokenPairIsSaidUntilItIsWhole) {
  test::TempDirectory directory;
  test::CertificateAuthority authority("test authority");
  const auto first = authority.Issue("first", {});
  const auto second = authority.Issue("second", {});
  const TlsFiles files{directory.path() + "/crt", directory.path() + "/key", "", ""};
  test::WritePrivateFile(files.certificate, first.certificate_pem);
  test::WritePrivateFile(files.key, first.key_pem);
  auto identity = TlsIdentity::Load(TlsEnd::kServer, files);
  ASSERT_TRUE(identity);
  EXPECT_EQ((*identity)->Problem(), "");
  EXPECT_GT(*(*identity)->SecondsLeft(), 3600);
  const auto before = (*identity)->Context();
  test::WritePrivateFile(files.key, second.key_pem);
  const auto problem = [&] {
    (*identity)->Look();
    return (*identity)->Problem();
  };
  EXPECT_TRUE(test::Eventually(seconds(10), [&] { return !problem().empty(); }));
  EXPECT_EQ(problem(), files.key + ": the key does not belong to the certificate in " + files.certificate);
  EXPECT_EQ((*identity)->Context(), before);
  test::WritePrivateFile(files.certificate, second.certificate_pem);
  EXPECT_TRUE(test::Eventually(seconds(10), [&] { return problem().empty(); }));
  EXPECT_NE((*identity)->Context(), before);
}

TEST(TlsIdentityTest, AnExpiredCertificateDoesNotReplaceAGoodOne) {
  test::TempDirectory directory;
  test::CertificateAuthority authority("test authority");
  const auto good = authority.Issue("good", {});
  const auto late = authority.Issue("late", {}, -1);
  const TlsFiles files{directory.path() + "/crt", directory.path() + "/key", "", ""};
  test::WritePrivateFile(files.certificate, good.certificate_pem);
  test::WritePrivateFile(files.key, good.key_pem);
  auto identity = TlsIdentity::Load(TlsEnd::kServer, files);
  ASSERT_TRUE(identity);
  test::WritePrivateFile(files.certificate, late.certificate_pem);
  test::WritePrivateFile(files.key, late.key_pem);
  EXPECT_TRUE(test::Eventually(seconds(10), [&] {
    (*identity)->Look();
    return (*identity)->Problem().find("has expired") != std::string::npos;
  }));
  EXPECT_GT(*(*identity)->SecondsLeft(), 0);
}

TEST(TlsIdentityTest, ACertificateIsTakenWhenItsTimeHasComeAndNotBefore) {
  test::TempDirectory directory;
  test::CertificateAuthority authority("test authority");
  const auto good = authority.Issue("good", {});
  const auto early = authority.Issue("early", {}, 1, 4);
  const TlsFiles files{directory.path() + "/crt", directory.path() + "/key", "", ""};
  test::WritePrivateFile(files.certificate, good.certificate_pem);
  test::WritePrivateFile(files.key, good.key_pem);
  auto identity = TlsIdentity::Load(TlsEnd::kServer, files);
  ASSERT_TRUE(identity);
  const auto before = (*identity)->Context();
  test::WritePrivateFile(files.key, early.key_pem);
  test::WritePrivateFile(files.certificate, early.certificate_pem);
  const auto problem = [&] {
    (*identity)->Look();
    return (*identity)->Problem();
  };
  EXPECT_TRUE(
      test::Eventually(seconds(10), [&] { return problem().find("not valid yet") != std::string::npos; }));
  EXPECT_EQ((*identity)->Context(), before);
  EXPECT_TRUE(test::Eventually(seconds(20), [&] { return problem().empty(); }));
  EXPECT_NE((*identity)->Context(), before);
}

TEST(TlsIdentityTest, FilesThatAreNotThereAreNamed) {
  auto identity = TlsIdentity::Load(TlsEnd::kServer, {"/no/such/crt", "/no/such/key", "", ""});
  ASSERT_FALSE(identity);
  EXPECT_NE(identity.error().Message().find("/no/such/crt"), std::string::npos);
}

}  // namespace
}  // namespace walstitch::http
