#include "agents/http/rest_client.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "agents/http/http_client.h"
#include "tests/support/environment.h"
#include "tests/support/kubernetes/certificates.h"
#include "tests/support/kubernetes/fake_apiserver.h"

namespace walstitch::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using std::chrono::milliseconds;
using std::chrono::seconds;

using ResponseResult = Result<RestResponse>;

// A server that plays one script for each connection, in order, in a thread of its own.
class ScriptedServer {
 public:
  using Script = std::function<void(tcp::socket&)>;

  explicit ScriptedServer(std::vector<Script> scripts)
      : acceptor_(io_, {asio::ip::make_address("127.0.0.1"), 0}), scripts_(std::move(scripts)) {
    thread_ = std::thread([this] {
      for (const Script& script : scripts_) {
        boost::system::error_code error;
        tcp::socket socket(io_);
        acceptor_.accept(socket, error);
        if (error) return;
        try {
          script(socket);
        } catch (const boost::system::system_error&) {
        }
      }
    });
  }
  ~ScriptedServer() {
    ::shutdown(acceptor_.native_handle(), SHUT_RDWR);
    thread_.join();
  }
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  [[nodiscard]] Origin At() const {
    return {false, "127.0.0.1", std::to_string(acceptor_.local_endpoint().port())};
  }

  static void TakeRequest(tcp::socket& socket) {
    std::string bytes;
    asio::read_until(socket, asio::dynamic_buffer(bytes), "\r\n\r\n");
  }
  static void Say(tcp::socket& socket, const std::string& bytes) { asio::write(socket, asio::buffer(bytes)); }
  static void AnswerOk(tcp::socket& socket) {
    TakeRequest(socket);
    Say(socket, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  }
  // Until the other side closes.
  static void Stay(tcp::socket& socket) {
    char byte = 0;
    boost::system::error_code error;
    while (!error) socket.read_some(asio::buffer(&byte, 1), error);
  }

 private:
  asio::io_context io_;
  tcp::acceptor acceptor_;
  std::vector<Script> scripts_;
  std::thread thread_;
};

class RestClientTest : public ::testing::Test {
 protected:
  ResponseResult Run(asio::awaitable<ResponseResult> call) {
    std::optional<ResponseResult> result;
    asio::co_spawn(context_, std::move(call), [&](std::exception_ptr exception, ResponseResult response) {
      if (exception) std::rethrow_exception(exception);
      result = std::move(response);
    });
    context_.restart();
    const auto deadline = std::chrono::steady_clock::now() + seconds(30);
    while (!result && std::chrono::steady_clock::now() < deadline) context_.run_one_for(milliseconds(100));
    if (!result) throw std::runtime_error("the call did not end");
    return std::move(*result);
  }

  static RestRequest To(const std::string& method, const std::string& target = "/x") {
    RestRequest request;
    request.method = method;
    request.target = target;
    request.timeout = seconds(5);
    return request;
  }

  // Lines of a plain server's body, which comes in these pieces.
  std::vector<std::string> Lines(const std::vector<std::string>& pieces, ResponseResult* ended,
                                 StreamLimits limits = {}) {
    ScriptedServer server({[&](tcp::socket& socket) {
      ScriptedServer::TakeRequest(socket);
      ScriptedServer::Say(socket, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      for (const auto& piece : pieces) ScriptedServer::Say(socket, piece);
      if (!pieces.empty() && pieces.back() == "0\r\n\r\n") ScriptedServer::Stay(socket);
    }});
    std::vector<std::string> lines;
    RestClient client(context_.get_executor(), server.At());
    *ended = Run(client.StreamLines(
        To("GET"), limits, nullptr,
        [&](std::string_view line) {
          lines.emplace_back(line);
          return true;
        },
        Interrupt()));
    return lines;
  }

  asio::io_context context_{1};
};

TEST_F(RestClientTest, LinesComeWholeHoweverTheyAreCut) {
  ResponseResult ended;
  EXPECT_EQ(Lines({"4\r\none\n\r\n", "8\r\ntwo\nthre\r\n", "2\r\ne\n\r\n", "0\r\n\r\n"}, &ended),
            (std::vector<std::string>{"one", "two", "three"}));
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->status, 200);
  EXPECT_EQ(Lines({"4\r\n", "o", "n", "e\n", "\r\n5", "\r\n\ntw", "o\n\r\n", "0\r\n\r\n"}, &ended),
            (std::vector<std::string>{"one", "", "two"}));
}

TEST_F(RestClientTest, AStreamThatBreaksInTheMiddleIsNoEnd) {
  ResponseResult ended;
  EXPECT_EQ(Lines({"8\r\none\ntwo\r\n"}, &ended), (std::vector<std::string>{"one"}));
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().Code(), ErrorCode::kTimeout);
  Lines({"zz\r\nnonsense"}, &ended);
  EXPECT_FALSE(ended);
}

TEST_F(RestClientTest, ALineWithoutAnEndIsBounded) {
  ResponseResult ended;
  StreamLimits limits;
  limits.max_line_bytes = 1000;
  Lines({"1388\r\n" + std::string(5000, 'a') + "\r\n"}, &ended, limits);
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().Code(), ErrorCode::kInvalid);
}

TEST_F(RestClientTest, SilenceEndsAStream) {
  ScriptedServer server({[](tcp::socket& socket) {
    ScriptedServer::TakeRequest(socket);
    ScriptedServer::Say(socket, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n");
    ScriptedServer::Stay(socket);
  }});
  RestClient client(context_.get_executor(), server.At());
  StreamLimits limits;
  limits.idle = milliseconds(200);
  bool opened = false;
  const auto ended = Run(client.StreamLines(
      To("GET"), limits, [&] { opened = true; }, [](std::string_view) { return true; }, Interrupt()));
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().Code(), ErrorCode::kTimeout);
  EXPECT_TRUE(opened);
}

TEST_F(RestClientTest, AnInterruptEndsAStreamAndNoLineComesAfterIt) {
  ScriptedServer server({[](tcp::socket& socket) {
    ScriptedServer::TakeRequest(socket);
    ScriptedServer::Say(socket, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\none\ntwo\n\r\n");
    ScriptedServer::Stay(socket);
  }});
  RestClient client(context_.get_executor(), server.At());
  Interrupt interrupt;
  int lines = 0;
  const auto ended = Run(client.StreamLines(
      To("GET"), StreamLimits(), nullptr,
      [&](std::string_view) {
        ++lines;
        interrupt.Set();
        return true;
      },
      interrupt));
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().Code(), ErrorCode::kUnavailable);
  EXPECT_EQ(lines, 1);
}

TEST_F(RestClientTest, AStreamThatIsRefusedComesWithItsBody) {
  ScriptedServer server({[](tcp::socket& socket) {
    ScriptedServer::TakeRequest(socket);
    ScriptedServer::Say(socket, "HTTP/1.1 410 Gone\r\nContent-Length: 8\r\nRetry-After: 3\r\n\r\ntoo\nold\n");
    ScriptedServer::Stay(socket);
  }});
  RestClient client(context_.get_executor(), server.At());
  const auto ended = Run(client.StreamLines(
      To("GET"), StreamLimits(), nullptr, [](std::string_view) { return true; }, Interrupt()));
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->status, 410);
  EXPECT_EQ(ended->body, "too\nold\n");
  EXPECT_EQ(ended->retry_after, "3");
}

// The first connection is kept, and dies when the next request has come on it.
ScriptedServer::Script AnswersOnceAndDies() {
  return [](tcp::socket& socket) {
    ScriptedServer::AnswerOk(socket);
    ScriptedServer::TakeRequest(socket);
  };
}

TEST_F(RestClientTest, AGetOnAKeptConnectionThatIsDeadIsSentAgain) {
  ScriptedServer server({AnswersOnceAndDies(), ScriptedServer::AnswerOk});
  RestClient client(context_.get_executor(), server.At());
  EXPECT_TRUE(Run(client.Send(To("GET"))));
  const auto again = Run(client.Send(To("GET")));
  EXPECT_TRUE(again) << again.error().Message();
}

TEST_F(RestClientTest, AWriteOnAKeptConnectionThatIsDeadIsNotSentAgain) {
  for (const std::string method : {"POST", "PUT", "PATCH", "DELETE"}) {
    ScriptedServer server({AnswersOnceAndDies(), ScriptedServer::AnswerOk});
    RestClient client(context_.get_executor(), server.At());
    EXPECT_TRUE(Run(client.Send(To("GET"))));
    const auto again = Run(client.Send(To(method)));
    ASSERT_FALSE(again) << method;
    EXPECT_EQ(again.error().Code(), ErrorCode::kTimeout) << "it may have been received";
  }
}

TEST_F(RestClientTest, AGetThatBrokeInItsAnswerIsNotSentAgain) {
  ScriptedServer server({[](tcp::socket& socket) {
                           ScriptedServer::AnswerOk(socket);
                           ScriptedServer::TakeRequest(socket);
                           ScriptedServer::Say(socket, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nha");
                         },
                         ScriptedServer::AnswerOk});
  RestClient client(context_.get_executor(), server.At());
  EXPECT_TRUE(Run(client.Send(To("GET"))));
  EXPECT_FALSE(Run(client.Send(To("GET"))));
}

TEST_F(RestClientTest, AConnectionThatTheServerClosedMeanwhileIsNotUsed) {
  ScriptedServer server({ScriptedServer::AnswerOk, ScriptedServer::AnswerOk});
  RestClient client(context_.get_executor(), server.At());
  EXPECT_TRUE(Run(client.Send(To("GET"))));
  // Its end arrives without anybody waiting for it.
  EXPECT_TRUE(test::Eventually(seconds(5), [&] { return Run(client.Send(To("POST"))).has_value(); }));
}

TEST_F(RestClientTest, AnAnswerThatIsTooLargeIsAnError) {
  ScriptedServer server({[](tcp::socket& socket) {
    ScriptedServer::TakeRequest(socket);
    ScriptedServer::Say(socket, "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + std::string(5000, 'a'));
  }});
  RestOptions options;
  options.max_response_bytes = 1000;
  RestClient client(context_.get_executor(), server.At(), options);
  const auto response = Run(client.Send(To("GET")));
  ASSERT_FALSE(response);
  EXPECT_NE(response.error().Message().find("larger"), std::string::npos);
}

TEST_F(RestClientTest, NobodyThereIsUnavailableAndSilenceIsATimeout) {
  RestClient nobody(context_.get_executor(), {false, "127.0.0.1", std::to_string(test::PickFreePort())});
  const auto refused = Run(nobody.Send(To("POST")));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().Code(), ErrorCode::kUnavailable);
  ScriptedServer silent({ScriptedServer::Stay});
  RestClient client(context_.get_executor(), silent.At());
  RestRequest request = To("POST");
  request.timeout = milliseconds(200);
  const auto late = Run(client.Send(request));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().Code(), ErrorCode::kTimeout);
}

TEST_F(RestClientTest, AServerThatSpeaksNoTlsIsUnavailable) {
  ScriptedServer server({[](tcp::socket& socket) {
    ScriptedServer::Say(socket, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    ScriptedServer::Stay(socket);
  }});
  Origin origin = server.At();
  origin.tls = true;
  RestClient client(context_.get_executor(), origin);
  const auto response = Run(client.Send(To("POST")));
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().Code(), ErrorCode::kUnavailable);
}

class TlsTest : public RestClientTest {
 protected:
  ResponseResult Ask(const test::FakeApiServer& server, const std::string& host, const std::string& ca_pem) {
    RestClient client(context_.get_executor(), {true, host, std::to_string(server.Port())});
    if (!ca_pem.empty()) {
      EXPECT_TRUE(client.Trust(ca_pem));
    }
    return Run(client.Send(To("GET", "/healthz")));
  }
  static std::unique_ptr<test::FakeApiServer> Serve(const std::vector<std::string>& names, int days = 1) {
    test::FakeApiOptions options;
    options.certificate_names = names;
    options.certificate_days = days;
    auto server = std::make_unique<test::FakeApiServer>(options);
    server->Start();
    return server;
  }
  static void ExpectRefused(const ResponseResult& response, const std::string& why) {
    ASSERT_FALSE(response);
    EXPECT_EQ(response.error().Code(), ErrorCode::kUnavailable);
    EXPECT_NE(response.error().Message().find(why), std::string::npos) << response.error().Message();
  }
};

TEST_F(TlsTest, TheAddressAndTheNameAreBothChecked) {
  const auto both = Serve({"IP:127.0.0.1", "DNS:localhost"});
  EXPECT_TRUE(Ask(*both, "127.0.0.1", both->CaPem()));
  EXPECT_TRUE(Ask(*both, "localhost", both->CaPem()));
  const auto name_only = Serve({"DNS:localhost"});
  EXPECT_TRUE(Ask(*name_only, "localhost", name_only->CaPem()));
  ExpectRefused(Ask(*name_only, "127.0.0.1", name_only->CaPem()), "IP address mismatch");
  const auto address_only = Serve({"IP:127.0.0.1"});
  ExpectRefused(Ask(*address_only, "localhost", address_only->CaPem()), "ostname mismatch");
  const auto another = Serve({"IP:127.0.0.2", "DNS:example.org"});
  ExpectRefused(Ask(*another, "127.0.0.1", another->CaPem()), "IP address mismatch");
}

TEST_F(TlsTest, OnlyWhatWasNamedIsTrusted) {
  const auto server = Serve({});
  ExpectRefused(Ask(*server, "127.0.0.1", ""), "certificate is refused");
  const test::CertificateAuthority another("walstitch-test-ca");  // of the same name
  ExpectRefused(Ask(*server, "127.0.0.1", another.Pem()), "certificate is refused");
  EXPECT_TRUE(Ask(*server, "127.0.0.1", another.Pem() + server->CaPem()));
}

TEST_F(TlsTest, ACertificateThatExpiredIsRefused) {
  const auto server = Serve({}, -1);
  ExpectRefused(Ask(*server, "127.0.0.1", server->CaPem()), "expired");
}

TEST_F(TlsTest, TextWithoutACertificateIsNotTaken) {
  RestClient client(context_.get_executor(), {true, "127.0.0.1", "443"});
  for (const char* text : {"", "nothing", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}) {
    const auto taken = client.Trust(text);
    ASSERT_FALSE(taken) << text;
    EXPECT_EQ(taken.error().Code(), ErrorCode::kInvalid);
  }
}

TEST_F(TlsTest, TheConnectionIsKept) {
  const auto server = Serve({});
  RestClient client(context_.get_executor(), {true, "127.0.0.1", std::to_string(server->Port())});
  ASSERT_TRUE(client.Trust(server->CaPem()));
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(Run(client.Send(To("GET", "/healthz"))));
  EXPECT_EQ(server->Connections(), 1U);
}

TEST(OriginTest, SchemesPortsAndIpv6) {
  auto origin = ParseOrigin("https://10.0.0.1");
  ASSERT_TRUE(origin);
  EXPECT_TRUE(origin->tls);
  EXPECT_EQ(origin->port, "443");
  origin = ParseOrigin("https://[fd00::1]:6443/");
  ASSERT_TRUE(origin);
  EXPECT_EQ(origin->host, "fd00::1");
  EXPECT_EQ(ToString(*origin), "https://[fd00::1]:6443");
  origin = ParseOrigin("http://localhost");
  ASSERT_TRUE(origin);
  EXPECT_FALSE(origin->tls);
  EXPECT_EQ(origin->port, "80");
  for (const char* bad : {"", "https://", "ftp://x", "10.0.0.1:443", "https://x:0", "https://x/path",
                          "https://u@x", "https://fd00::1", "https://[fd00::1", "https://x:"})
    EXPECT_FALSE(ParseOrigin(bad)) << bad;
  EXPECT_TRUE(ParseUrl("https://x")->tls);
}

}  // namespace
}  // namespace walstitch::http
