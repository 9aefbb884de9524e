#include "tests/support/kubernetes/fake_control.h"

#include <sys/socket.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/json.hpp>
#include <stdexcept>
#include <thread>

#include "tests/support/kubernetes/fake_failure.h"
#include "tests/support/kubernetes/fake_schema.h"

namespace walstitch::test {

namespace asio = boost::asio;
namespace http = boost::beast::http;
namespace json = boost::json;
using asio::ip::tcp;

namespace {

std::string TextAt(const json::object& object, const char* field) {
  const auto* value = object.if_contains(field);
  return value == nullptr ? std::string() : std::string(value->as_string());
}

int NumberAt(const json::object& object, const char* field, int otherwise) {
  const auto* value = object.if_contains(field);
  return value == nullptr ? otherwise : static_cast<int>(value->as_int64());
}

bool FlagAt(const json::object& object, const char* field) {
  const auto* value = object.if_contains(field);
  return value != nullptr && value->as_bool();
}

ApiFault FaultFrom(const json::object& object) {
  using Action = ApiFault::Action;
  static const std::vector<std::pair<std::string, Action>> kActions = {{"delay-before", Action::kDelayBefore},
                                                                       {"delay-after", Action::kDelayAfter},
                                                                       {"close-before", Action::kCloseBefore},
                                                                       {"close-after", Action::kCloseAfter},
                                                                       {"status", Action::kStatus},
                                                                       {"body", Action::kBody},
                                                                       {"hang", Action::kHang}};
  ApiFault fault;
  bool known = false;
  for (const auto& [name, action] : kActions) {
    if (name == TextAt(object, "action")) {
      fault.action = action;
      known = true;
    }
  }
  if (!known) throw std::runtime_error("unknown action '" + TextAt(object, "action") + "'");
  fault.verb = TextAt(object, "verb");
  fault.resource = TextAt(object, "resource");
  fault.name = TextAt(object, "name");
  fault.user = TextAt(object, "user");
  fault.times = NumberAt(object, "times", 1);
  fault.delay = std::chrono::milliseconds(NumberAt(object, "delay_ms", 0));
  fault.status = NumberAt(object, "status", 500);
  fault.reason = TextAt(object, "reason");
  fault.retry_after_seconds = NumberAt(object, "retry_after_seconds", 0);
  fault.in_stream = FlagAt(object, "in_stream");
  fault.body = TextAt(object, "body");
  if (object.contains("content_type")) fault.content_type = TextAt(object, "content_type");
  return fault;
}

}  // namespace

class FakeControl::Impl {
 public:
  Impl(FakeApiServer& server, std::uint16_t port)
      : server_(server), acceptor_(io_, {asio::ip::make_address("127.0.0.1"), port}) {
    thread_ = std::thread([this] { Run(); });
  }

  ~Impl() {
    stopped_ = true;
    ::shutdown(acceptor_.native_handle(), SHUT_RDWR);
    thread_.join();
  }

  [[nodiscard]] std::uint16_t Port() const { return acceptor_.local_endpoint().port(); }

 private:
  // One request after the other: tests ask in turn.
  void Run() {
    while (!stopped_) {
      boost::system::error_code error;
      tcp::socket socket(io_);
      acceptor_.accept(socket, error);
      if (stopped_) return;
      if (error) continue;
      const timeval patience{2, 0};
      ::setsockopt(socket.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
      boost::beast::flat_buffer buffer;
      http::request<http::string_body> request;
      http::read(socket, buffer, request, error);
      if (error) continue;
      http::response<http::string_body> response;
      response.set(http::field::content_type, "application/json");
      response.keep_alive(false);
      try {
        response.body() = json::serialize(Answer(request));
      } catch (const std::exception& exception) {
        response.result(http::status::bad_request);
        response.body() = json::serialize(json::object{{"error", exception.what()}});
      }
      response.prepare_payload();
      http::write(socket, response, error);
      socket.shutdown(tcp::socket::shutdown_both, error);
    }
  }

  json::object Answer(const http::request<http::string_body>& request) {
    const std::string target(request.target().data(), request.target().size());
    const std::string path = target.substr(0, target.find('?'));
    if (path == "/control/requests") return Requests(target);
    if (request.method() == http::verb::delete_ && path == "/control/fault") {
      server_.ClearFaults();
      return {};
    }
    const json::object body = json::parse(request.body()).as_object();
    if (path == "/control/fault") {
      server_.AddFault(FaultFrom(body));
    } else if (path == "/control/watches") {
      if (FlagAt(body, "close")) server_.CloseWatches();
      if (body.contains("silent")) server_.SilenceWatches(FlagAt(body, "silent"));
    } else if (path == "/control/connections") {
      if (body.contains("accept")) server_.Accept(FlagAt(body, "accept"));
      if (FlagAt(body, "close")) server_.CloseConnections();
    } else if (path == "/control/listening") {
      if (FlagAt(body, "on")) {
        server_.Start();
      } else {
        server_.Stop();
      }
    } else if (path == "/control/history") {
      if (FlagAt(body, "expire")) server_.ExpireHistory();
    } else if (path == "/control/token") {
      if (FlagAt(body, "remove")) {
        server_.RemoveToken(TextAt(body, "token"));
      } else {
        server_.AddToken(TextAt(body, "token"), TextAt(body, "user"));
      }
    } else if (path == "/control/rules") {
      server_.Allow(TextAt(body, "user"), RulesFromYaml(TextAt(body, "yaml")));
    } else if (path == "/control/crd") {
      for (const auto& document : JsonOfYaml(TextAt(body, "yaml"))) {
        if (document.is_object() && TextAt(document.get_object(), "kind") == "CustomResourceDefinition")
          server_.AddCrd(document.get_object());
      }
    } else {
      throw std::runtime_error("no such path: " + path);
    }
    return {};
  }

  json::object Requests(const std::string& target) {
    const std::size_t equal = target.find("from=");
    const std::size_t from = equal == std::string::npos ? 0 : std::stoul(target.substr(equal + 5));
    const auto all = server_.Requests();
    json::array list;
    for (std::size_t i = from; i < all.size(); ++i) {
      const ApiRequest& one = all[i];
      list.push_back(json::object{{"user", one.user},
                                  {"verb", one.verb},
                                  {"resource", one.resource},
                                  {"name", one.name},
                                  {"query", one.query},
                                  {"content_type", one.content_type},
                                  {"body", one.body},
                                  {"status", one.status}});
    }
    return {{"requests", std::move(list)}, {"next", all.size()}};
  }

  FakeApiServer& server_;
  asio::io_context io_;
  tcp::acceptor acceptor_;
  std::atomic<bool> stopped_{false};
  std::thread thread_;
};

FakeControl::FakeControl(FakeApiServer& server, std::uint16_t port)
    : impl_(std::make_unique<Impl>(server, port)) {}
FakeControl::~FakeControl() = default;
std::uint16_t FakeControl::Port() const { return impl_->Port(); }

}  // namespace walstitch::test
