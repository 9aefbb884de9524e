#include "tests/support/kubernetes/fake_apiserver.h"

#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/json.hpp>
#include <condition_variable>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <stdexcept>
#include <thread>

#include "tests/support/kubernetes/certificates.h"
#include "tests/support/kubernetes/fake_failure.h"
#include "tests/support/kubernetes/fake_store.h"

namespace walstitch::test {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace json = boost::json;
using asio::ip::tcp;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

using Stream = asio::ssl::stream<tcp::socket>;
using HttpRequest = beast::http::request<beast::http::string_body>;

constexpr milliseconds kTick{100};

std::string Text(beast::string_view text) { return {text.data(), text.size()}; }

std::string Decoded(const std::string& text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      decoded.push_back(static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16)));
      i += 2;
    } else {
      decoded.push_back(text[i] == '+' ? ' ' : text[i]);
    }
  }
  return decoded;
}

struct Asked {
  std::string user;
  std::string verb;
  const FakeResource* resource = nullptr;
  std::string subresource;
  std::string namespace_name;
  std::string name;
  std::map<std::string, std::string> query;
  std::string raw_query;

  [[nodiscard]] std::string Resource() const {
    return resource->plural + (subresource.empty() ? "" : "/" + subresource);
  }
  [[nodiscard]] FakeStore::Place Place() const { return {resource->group, resource->plural, namespace_name}; }
  [[nodiscard]] std::string Query(const std::string& field) const {
    const auto found = query.find(field);
    return found == query.end() ? std::string() : found->second;
  }
};

struct Answer {
  int status = 200;
  std::string body;
  std::string content_type = "application/json";
  int retry_after = 0;
};

Answer JsonAnswer(int status, const json::object& object) { return {status, json::serialize(object)}; }

// Thrown to close the connection without an answer.
struct CloseConnection {};

FakeFailure PlainNotFound() { return {404, "", "404 page not found"}; }

}  // namespace

class FakeApiServer::Impl {
 public:
  explicit Impl(FakeApiOptions options)
      : options_(std::move(options)),
        store_(options_.history),
        authority_("walstitch-test-ca"),
        tls_(asio::ssl::context::tls_server),
        port_(options_.port) {
    const auto names = options_.certificate_names.empty() ? LoopbackNames() : options_.certificate_names;
    const Certificate own = authority_.Issue("kube-apiserver", names, options_.certificate_days);
    tls_.use_certificate_chain(asio::buffer(own.certificate_pem));
    tls_.use_private_key(asio::buffer(own.key_pem), asio::ssl::context::pem);
    resources_ = {{"", "v1", "pods", "Pod", true, true, false, false},
                  {"", "v1", "events", "Event", false, false, false, true},
                  {"", "v1", "configmaps", "ConfigMap", false, false, false, false},
                  {"apps", "v1", "statefulsets", "StatefulSet", true, true, false, false},
                  {"coordination.k8s.io", "v1", "leases", "Lease", false, false, true, true}};
    tokens_[kAdminToken] = "admin";
    rules_["admin"] = {{{"*"}, {"*"}, {"*"}, {}}};
  }

  ~Impl() { Stop(); }

  void Start() {
    std::lock_guard lock(mutex_);
    if (running_) return;
    acceptor_.emplace(io_);
    const tcp::endpoint endpoint(asio::ip::make_address("127.0.0.1"), port_);
    acceptor_->open(endpoint.protocol());
    acceptor_->set_option(asio::socket_base::reuse_address(true));
    acceptor_->bind(endpoint);
    acceptor_->listen();
    port_ = acceptor_->local_endpoint().port();
    running_ = true;
    accept_thread_ = std::thread([this] { AcceptAll(); });
  }

  void Stop() {
    {
      std::lock_guard lock(mutex_);
      if (!running_) return;
      running_ = false;
      ::shutdown(acceptor_->native_handle(), SHUT_RDWR);
      for (const int file : open_) ::shutdown(file, SHUT_RDWR);
      changed_.notify_all();
    }
    accept_thread_.join();
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return serving_ == 0; });
    acceptor_.reset();
  }

  void AcceptAll() {
    while (true) {
      boost::system::error_code error;
      auto socket = std::make_shared<tcp::socket>(io_);
      {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return accepting_ || !running_; });
        if (!running_) return;
      }
      acceptor_->accept(*socket, error);
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return accepting_ || !running_; });
      if (!running_) return;
      if (error) continue;
      ++serving_;
      ++connections_;
      open_.insert(socket->native_handle());
      std::thread([this, socket] { ServeAndForget(std::move(*socket)); }).detach();
    }
  }

  void ServeAndForget(tcp::socket socket) {
    const int file = socket.native_handle();
    auto stream = std::make_unique<Stream>(std::move(socket), tls_);
    try {
      stream->next_layer().set_option(tcp::no_delay(true));
      Serve(*stream);
    } catch (const CloseConnection&) {
    } catch (const boost::system::system_error&) {
    }
    std::lock_guard lock(mutex_);
    open_.erase(file);
    stream.reset();
    --serving_;
    changed_.notify_all();
  }

  void Serve(Stream& stream) {
    stream.handshake(asio::ssl::stream_base::server);
    beast::flat_buffer buffer;
    while (true) {
      beast::http::request_parser<beast::http::string_body> parser;
      parser.body_limit(8U << 20);
      beast::http::read(stream, buffer, parser);
      const HttpRequest request = parser.release();
      bool streamed = false;
      const Answer answer = Handle(stream, request, &streamed);
      if (!streamed) Send(stream, answer);
      if (!request.keep_alive()) return;
    }
  }

  static void Send(Stream& stream, const Answer& answer) {
    std::string head = "HTTP/1.1 " + std::to_string(answer.status) + " Some Reason\r\n";
    head += "Content-Type: " + answer.content_type + "\r\n";
    head += "Content-Length: " + std::to_string(answer.body.size()) + "\r\n";
    if (answer.retry_after > 0) head += "Retry-After: " + std::to_string(answer.retry_after) + "\r\n";
    asio::write(stream, asio::buffer(head + "\r\n" + answer.body));
  }

  Answer Handle(Stream& stream, const HttpRequest& request, bool* streamed) {
    ApiRequest log;
    log.content_type = Text(request[beast::http::field::content_type]);
    log.body = request.body();
    std::size_t place = 0;
    {
      std::lock_guard lock(mutex_);
      place = requests_.size();
      requests_.push_back(log);
    }
    Answer answer;
    try {
      answer = Try(stream, request, &log, place, streamed);
    } catch (const FakeFailure& failure) {
      answer = failure.reason.empty() && failure.code == 404
                   ? Answer{404, failure.message + "\n", "text/plain; charset=utf-8"}
                   : JsonAnswer(failure.code, failure.Status());
    }
    std::lock_guard lock(mutex_);
    requests_[place].status = answer.status;
    return answer;
  }

  Answer Try(Stream& stream, const HttpRequest& request, ApiRequest* log, std::size_t place, bool* streamed) {
    const std::string target = Text(request.target());
    const std::string path = target.substr(0, target.find('?'));
    std::unique_lock lock(mutex_);
    if (path == "/healthz" || path == "/readyz" || path == "/livez") return {200, "ok", "text/plain"};
    const std::string token = Text(request[beast::http::field::authorization]);
    const auto user = token.starts_with("Bearer ") ? tokens_.find(token.substr(7)) : tokens_.end();
    if (user == tokens_.end()) throw FakeFailure{401, "Unauthorized", "Unauthorized"};
    const std::string accept = Text(request[beast::http::field::accept]);
    if (!accept.empty() && accept.find("application/json") == std::string::npos && accept != "*/*") {
      throw FakeFailure{406, "NotAcceptable",
                        "only the following media types are accepted: application/json"};
    }
    if (path == "/apis/apiextensions.k8s.io/v1/customresourcedefinitions" && user->second == "admin")
      return CreateCrd(request);

    Asked asked = Resolve(request, path, target);
    asked.user = user->second;
    log->user = asked.user;
    log->verb = asked.verb;
    log->resource = asked.Resource();
    log->name = asked.name;
    log->query = asked.raw_query;
    requests_[place] = *log;

    const std::optional<ApiFault> fault = TakeFault(asked);
    bool close_after = false;
    milliseconds delay_after{0};
    if (fault) {
      switch (fault->action) {
        case ApiFault::Action::kDelayBefore:
          Wait(lock, fault->delay);
          break;
        case ApiFault::Action::kDelayAfter:
          delay_after = fault->delay;
          break;
        case ApiFault::Action::kCloseBefore:
          throw CloseConnection();
        case ApiFault::Action::kCloseAfter:
          close_after = true;
          break;
        case ApiFault::Action::kStatus: {
          FakeFailure failure{fault->status, fault->reason, "this was asked of the server"};
          if (fault->retry_after_seconds > 0)
            failure.details["retryAfterSeconds"] = fault->retry_after_seconds;
          if (fault->in_stream) {
            *streamed = true;
            const json::object event{{"type", "ERROR"}, {"object", failure.Status()}};
            lock.unlock();
            SendStreamHead(stream);
            SendChunk(stream, json::serialize(event) + "\n");
            SendChunk(stream, "");
            return Answer();
          }
          Answer answer = JsonAnswer(failure.code, failure.Status());
          answer.retry_after = fault->retry_after_seconds;
          return answer;
        }
        case ApiFault::Action::kBody:
          if (asked.verb == "watch" && fault->status == 200) {
            *streamed = true;
            lock.unlock();
            SendStreamHead(stream);
            SendChunk(stream, fault->body + "\n");
            SendChunk(stream, "");
            return Answer();
          }
          return {fault->status, fault->body, fault->content_type, fault->retry_after_seconds};
        case ApiFault::Action::kHang: {
          const std::uint64_t era = era_;
          changed_.wait(lock, [&] { return era_ != era || !running_; });
          throw CloseConnection();
        }
      }
    }
    Authorize(asked);
    Answer answer;
    if (asked.verb == "watch") {
      *streamed = true;
      Watch(stream, lock, asked);
      return Answer();
    }
    try {
      answer = Answered(request, asked);
    } catch (const FakeFailure& failure) {
      answer = JsonAnswer(failure.code, failure.Status());
    }
    changed_.notify_all();
    if (delay_after.count() > 0) Wait(lock, delay_after);
    if (close_after) throw CloseConnection();
    return answer;
  }

  // Until then, or until the server ends.
  void Wait(std::unique_lock<std::mutex>& lock, milliseconds time) {
    changed_.wait_for(lock, time, [this] { return !running_; });
    if (!running_) throw CloseConnection();
  }

  Asked Resolve(const HttpRequest& request, const std::string& path, const std::string& target) {
    std::vector<std::string> parts;
    std::size_t begin = 1;
    while (begin <= path.size()) {
      const std::size_t end = std::min(path.find('/', begin), path.size());
      parts.push_back(Decoded(path.substr(begin, end - begin)));
      begin = end + 1;
    }
    Asked asked;
    const std::size_t question = target.find('?');
    if (question != std::string::npos) asked.raw_query = target.substr(question + 1);
    for (std::size_t at = 0; at < asked.raw_query.size();) {
      const std::size_t end = std::min(asked.raw_query.find('&', at), asked.raw_query.size());
      const std::string field = asked.raw_query.substr(at, end - at);
      at = end + 1;
      const std::size_t equal = std::min(field.find('='), field.size());
      const std::string name = Decoded(field.substr(0, equal));
      static const std::set<std::string> kKnown = {"watch",           "allowWatchBookmarks",
                                                   "resourceVersion", "timeoutSeconds",
                                                   "labelSelector",   "fieldSelector",
                                                   "limit",           "continue",
                                                   "fieldValidation", "pretty"};
      if (kKnown.count(name) == 0) throw FakeFailure{400, "BadRequest", "unknown parameter " + name};
      asked.query[name] = Decoded(field.substr(std::min(equal + 1, field.size())));
    }
    std::string group;
    std::string version;
    std::size_t at = 0;
    if (parts.size() > 2 && parts[0] == "api") {
      version = parts[1];
      at = 2;
    } else if (parts.size() > 3 && parts[0] == "apis") {
      group = parts[1];
      version = parts[2];
      at = 3;
    } else {
      throw PlainNotFound();
    }
    if (parts.size() < at + 3 || parts[at] != "namespaces" || parts.size() > at + 5) throw PlainNotFound();
    asked.namespace_name = parts[at + 1];
    const std::string plural = parts[at + 2];
    if (parts.size() > at + 3) asked.name = parts[at + 3];
    if (parts.size() > at + 4) asked.subresource = parts[at + 4];
    for (const auto& resource : resources_) {
      if (resource.group == group && resource.version == version && resource.plural == plural)
        asked.resource = &resource;
    }
    if (asked.resource == nullptr || (parts.size() > at + 3 && asked.name.empty())) throw PlainNotFound();
    if (!asked.subresource.empty() && (asked.subresource != "status" || !asked.resource->has_status)) {
      throw FakeFailure{404, "NotFound", "the server could not find the requested resource"};
    }
    const std::string method = Text(request.method_string());
    const bool watch = asked.Query("watch") == "true" || asked.Query("watch") == "1";
    if (method == "GET") asked.verb = !asked.name.empty() ? "get" : watch ? "watch" : "list";
    if (method == "POST" && asked.name.empty()) asked.verb = "create";
    if (method == "PUT" && !asked.name.empty()) asked.verb = "update";
    if (method == "PATCH" && !asked.name.empty()) asked.verb = "patch";
    if (method == "DELETE") asked.verb = asked.name.empty() ? "deletecollection" : "delete";
    if (asked.verb.empty() || (!asked.subresource.empty() && asked.verb == "delete")) {
      throw FakeFailure{405, "MethodNotAllowed",
                        "the server does not allow this method on the requested resource"};
    }
    return asked;
  }

  void Authorize(const Asked& asked) {
    AccessQuestion question{asked.resource->group, asked.Resource(), asked.verb, asked.name};
    if (question.name.empty() && (asked.verb == "list" || asked.verb == "watch"))
      question.name = Selector(asked.Query("fieldSelector"), true).Name();
    if (Allowed(rules_[asked.user], question) &&
        (asked.user == "admin" || asked.namespace_name == options_.namespace_name))
      return;
    json::object details;
    if (!asked.name.empty()) details["name"] = asked.name;
    if (!asked.resource->group.empty()) details["group"] = asked.resource->group;
    details["kind"] = asked.resource->plural;
    const std::string what =
        asked.resource->Qualified() + (asked.name.empty() ? "" : " \"" + asked.name + "\"");
    throw FakeFailure{403, "Forbidden",
                      what + " is forbidden: User \"" + asked.user + "\" cannot " + asked.verb +
                          " resource \"" + asked.Resource() + "\" in API group \"" + asked.resource->group +
                          "\" in the namespace \"" + asked.namespace_name + "\"",
                      details};
  }

  std::optional<ApiFault> TakeFault(const Asked& asked) {
    for (auto fault = faults_.begin(); fault != faults_.end(); ++fault) {
      auto fits = [](const std::string& wanted, const std::string& is) {
        return wanted.empty() || wanted == is;
      };
      if (!fits(fault->verb, asked.verb) || !fits(fault->resource, asked.Resource()) ||
          !fits(fault->name, asked.name) || !fits(fault->user, asked.user))
        continue;
      const ApiFault taken = *fault;
      if (fault->times > 0 && --fault->times == 0) faults_.erase(fault);
      return taken;
    }
    return std::nullopt;
  }

  static json::object Body(const HttpRequest& request, const std::vector<std::string>& types) {
    std::string type = Text(request[beast::http::field::content_type]);
    type = type.substr(0, type.find(';'));
    if (std::find(types.begin(), types.end(), type) == types.end()) {
      std::string all;
      for (const auto& one : types) all += (all.empty() ? "" : ", ") + one;
      throw FakeFailure{
          415, "UnsupportedMediaType",
          "the body of the request was in an unknown format - accepted media types include: " + all};
    }
    boost::system::error_code error;
    const json::value value = json::parse(request.body(), error);
    if (error || !value.is_object())
      throw FakeFailure{400, "BadRequest", "the object provided is unrecognized: " + error.message()};
    return value.get_object();
  }

  Answer CreateCrd(const HttpRequest& request) {
    json::object crd = Body(request, {"application/json"});
    AddCrdLocked(crd);
    return JsonAnswer(201, crd);
  }

  Answer Answered(const HttpRequest& request, const Asked& asked) {
    const FakeResource& resource = *asked.resource;
    if (asked.verb == "get") return JsonAnswer(200, store_.Get(resource, asked.Place(), asked.name));
    if (asked.verb == "list") return List(asked);
    if (asked.verb == "create") {
      json::object body = Body(request, {"application/json"});
      return JsonAnswer(201, store_.Create(resource, asked.Place(), std::move(body)));
    }
    if (asked.verb == "update") {
      json::object body = Body(request, {"application/json"});
      return JsonAnswer(
          200, store_.Replace(resource, asked.Place(), asked.name, asked.subresource, std::move(body)));
    }
    if (asked.verb == "patch") {
      std::vector<std::string> types = {"application/merge-patch+json"};
      if (!resource.custom) types.emplace_back("application/strategic-merge-patch+json");
      const json::object body = Body(request, types);
      const bool strategic =
          Text(request[beast::http::field::content_type]).find("strategic") != std::string::npos;
      const auto form = strategic ? FakeStore::PatchForm::kStrategicMerge : FakeStore::PatchForm::kMerge;
      return JsonAnswer(200,
                        store_.Patch(resource, asked.Place(), asked.name, asked.subresource, body, form));
    }
    if (asked.verb == "delete") {
      json::object options;
      if (!request.body().empty()) {
        options = Body(request, {"application/json"});
        static const std::set<std::string> kKnown = {"kind", "apiVersion", "preconditions",
                                                     "gracePeriodSeconds", "propagationPolicy"};
        for (const auto& [name, value] : options) {
          if (kKnown.count(Text(name)) == 0)
            throw FakeFailure{400, "BadRequest", "DeleteOptions: unknown field " + Text(name)};
        }
      }
      return JsonAnswer(200, store_.Delete(resource, asked.Place(), asked.name, options));
    }
    throw FakeFailure{405, "MethodNotAllowed",
                      "the server does not allow this method on the requested resource"};
  }

  Answer List(const Asked& asked) {
    const std::string limit = asked.Query("limit");
    auto page = store_.List(*asked.resource, asked.Place(), Selector(asked.Query("labelSelector")),
                            Selector(asked.Query("fieldSelector"), true),
                            limit.empty() ? 0 : std::stoul(limit), asked.Query("continue"));
    json::object metadata;
    metadata["resourceVersion"] = std::to_string(page.version);
    if (!page.next.empty()) {
      metadata["continue"] = page.next;
      metadata["remainingItemCount"] = page.left;
    }
    json::array items;
    for (auto& item : page.items) items.push_back(std::move(item));
    json::object list;
    list["kind"] = asked.resource->kind + "List";
    list["apiVersion"] = asked.resource->ApiVersion();
    list["metadata"] = std::move(metadata);
    list["items"] = std::move(items);
    return JsonAnswer(200, list);
  }

  static void SendStreamHead(Stream& stream) {
    asio::write(stream, asio::buffer(std::string("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                                                 "Transfer-Encoding: chunked\r\n\r\n")));
  }

  static void SendChunk(Stream& stream, const std::string& bytes) {
    char size[24];
    std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
    asio::write(stream, asio::buffer(size + bytes + "\r\n"));
  }

  static std::string EventLine(const char* type, const json::object& object) {
    return json::serialize(json::object{{"type", type}, {"object", object}}) + "\n";
  }

  // What the event is to somebody who sees only what matches; empty: nothing.
  static std::string LineOf(const FakeStore::Event& event, const Selector& labels, const Selector& fields) {
    const bool was = event.before && labels.Matches(*event.before) && fields.Matches(*event.before);
    const bool is = !event.deleted && labels.Matches(event.after) && fields.Matches(event.after);
    if (is) return EventLine(was ? "MODIFIED" : "ADDED", event.after);
    if (!was) return {};
    json::object last = event.deleted ? event.after : *event.before;
    last["metadata"].as_object()["resourceVersion"] = std::to_string(event.version);
    return EventLine("DELETED", last);
  }

  void Watch(Stream& stream, std::unique_lock<std::mutex>& lock, const Asked& asked) {
    const Selector labels(asked.Query("labelSelector"));
    const Selector fields(asked.Query("fieldSelector"), true);
    const std::string from = asked.Query("resourceVersion");
    const bool bookmarks = asked.Query("allowWatchBookmarks") == "true";
    const std::string seconds = asked.Query("timeoutSeconds");
    const auto now = steady_clock::now();
    const auto end =
        now + (seconds.empty() ? std::chrono::seconds(1800) : std::chrono::seconds(std::stol(seconds)));
    auto next_bookmark = now + options_.bookmarks;
    const std::uint64_t closings = closings_;
    ++watches_;
    const std::shared_ptr<void> counted(nullptr, [this, &lock](void*) {
      if (!lock.owns_lock()) lock.lock();
      --watches_;
    });

    std::uint64_t seen = store_.Version();
    std::string lines;
    if (from.empty() || from == "0") {
      for (const auto& object : store_.All(asked.Place())) {
        if (labels.Matches(object) && fields.Matches(object)) lines += EventLine("ADDED", object);
      }
    } else {
      try {
        if (from.find_first_not_of("0123456789") != std::string::npos)
          throw FakeFailure{400, "BadRequest", "Invalid value: \"" + from + "\": unable to parse"};
        seen = store_.CheckHistory(std::stoull(from));
      } catch (const FakeFailure& failure) {
        if (failure.code != 410) throw;
        lock.unlock();
        SendStreamHead(stream);
        SendChunk(stream, EventLine("ERROR", failure.Status()));
        SendChunk(stream, "");
        return;
      }
    }
    lock.unlock();
    SendStreamHead(stream);
    if (!lines.empty()) SendChunk(stream, lines);
    lock.lock();
    while (true) {
      if (!running_) throw CloseConnection();
      if (closings_ != closings) break;
      lines.clear();
      if (!silent_) {
        std::optional<FakeFailure> expired;
        try {
          (void)store_.CheckHistory(seen);
        } catch (const FakeFailure& failure) {
          expired = failure;
        }
        if (expired) {
          lock.unlock();
          SendChunk(stream, EventLine("ERROR", expired->Status()));
          break;
        }
        for (const auto& event : store_.History()) {
          if (event.version <= seen) continue;
          seen = event.version;
          if (event.place == asked.Place()) lines += LineOf(event, labels, fields);
        }
        if (bookmarks && steady_clock::now() >= next_bookmark) {
          json::object bookmark;
          bookmark["kind"] = asked.resource->kind;
          bookmark["apiVersion"] = asked.resource->ApiVersion();
          bookmark["metadata"] =
              json::object{{"resourceVersion", std::to_string(seen)}, {"creationTimestamp", nullptr}};
          lines += EventLine("BOOKMARK", bookmark);
          next_bookmark = steady_clock::now() + options_.bookmarks;
        }
        if (steady_clock::now() >= end) break;
      }
      if (!lines.empty()) {
        lock.unlock();
        SendChunk(stream, lines);
        lock.lock();
        continue;
      }
      changed_.wait_for(lock, kTick);
      char byte = 0;
      const auto got = ::recv(stream.next_layer().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
      if (got == 0) throw CloseConnection();
    }
    if (lock.owns_lock()) lock.unlock();
    SendChunk(stream, "");
  }

  void AddCrdLocked(const json::object& crd) {
    FakeResource resource = ResourceOfCrd(crd);
    // By the address: requests under way point to it.
    for (auto& known : resources_) {
      if (known.Qualified() == resource.Qualified()) {
        known = std::move(resource);
        return;
      }
    }
    resources_.push_back(std::move(resource));
  }

  FakeApiOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::list<FakeResource> resources_;
  FakeStore store_;
  CertificateAuthority authority_;
  asio::io_context io_;
  asio::ssl::context tls_;
  std::uint16_t port_;
  std::optional<tcp::acceptor> acceptor_;
  std::thread accept_thread_;
  std::map<std::string, std::string> tokens_;
  std::map<std::string, std::vector<AccessRule>> rules_;
  std::list<ApiFault> faults_;
  std::vector<ApiRequest> requests_;
  std::set<int> open_;
  std::size_t serving_ = 0;
  std::size_t connections_ = 0;
  std::size_t watches_ = 0;
  std::uint64_t era_ = 0;
  std::uint64_t closings_ = 0;
  bool running_ = false;
  bool accepting_ = true;
  bool silent_ = false;
};

FakeApiServer::FakeApiServer(FakeApiOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
FakeApiServer::~FakeApiServer() = default;
void FakeApiServer::Start() { impl_->Start(); }
void FakeApiServer::Stop() { impl_->Stop(); }
std::uint16_t FakeApiServer::Port() const { return impl_->port_; }
std::string FakeApiServer::Url() const { return "https://127.0.0.1:" + std::to_string(impl_->port_); }
const std::string& FakeApiServer::CaPem() const { return impl_->authority_.Pem(); }

void FakeApiServer::WriteServiceAccount(const std::string& directory, const std::string& token) const {
  WritePrivateFile(directory + "/ca.crt", CaPem());
  WritePrivateFile(directory + "/namespace", impl_->options_.namespace_name);
  WritePrivateFile(directory + "/token", token);
}

void FakeApiServer::AddToken(const std::string& token, const std::string& user) {
  std::lock_guard lock(impl_->mutex_);
  impl_->tokens_[token] = user;
}
void FakeApiServer::RemoveToken(const std::string& token) {
  std::lock_guard lock(impl_->mutex_);
  impl_->tokens_.erase(token);
}
void FakeApiServer::Allow(const std::string& user, std::vector<AccessRule> rules) {
  std::lock_guard lock(impl_->mutex_);
  impl_->rules_[user] = std::move(rules);
}
void FakeApiServer::AddCrd(const json::object& crd) {
  std::lock_guard lock(impl_->mutex_);
  impl_->AddCrdLocked(crd);
}
void FakeApiServer::AddWalstitchResources() {
  std::lock_guard lock(impl_->mutex_);
  for (const auto& [plural, kind] : {std::pair<const char*, const char*>{"decisions", "Decision"},
                                     {"decisionlogs", "DecisionLog"},
                                     {"replicationgroups", "ReplicationGroup"}}) {
    FakeResource resource{"walstitch.io", "v1alpha1", plural, kind, false, true, true, false, true};
    impl_->resources_.push_back(std::move(resource));
  }
}

void FakeApiServer::AddFault(ApiFault fault) {
  std::lock_guard lock(impl_->mutex_);
  impl_->faults_.push_back(std::move(fault));
}
void FakeApiServer::ClearFaults() {
  std::lock_guard lock(impl_->mutex_);
  impl_->faults_.clear();
  ++impl_->era_;
  impl_->changed_.notify_all();
}
void FakeApiServer::SilenceWatches(bool silent) {
  std::lock_guard lock(impl_->mutex_);
  impl_->silent_ = silent;
  impl_->changed_.notify_all();
}
void FakeApiServer::CloseWatches() {
  std::lock_guard lock(impl_->mutex_);
  ++impl_->closings_;
  impl_->changed_.notify_all();
}
void FakeApiServer::CloseConnections() {
  std::lock_guard lock(impl_->mutex_);
  for (const int file : impl_->open_) ::shutdown(file, SHUT_RDWR);
}
void FakeApiServer::Accept(bool accept) {
  std::lock_guard lock(impl_->mutex_);
  impl_->accepting_ = accept;
  impl_->changed_.notify_all();
}
void FakeApiServer::ExpireHistory() {
  std::lock_guard lock(impl_->mutex_);
  impl_->store_.Compact();
  impl_->changed_.notify_all();
}

std::vector<ApiRequest> FakeApiServer::Requests() const {
  std::lock_guard lock(impl_->mutex_);
  return impl_->requests_;
}
std::size_t FakeApiServer::OpenWatches() const {
  std::lock_guard lock(impl_->mutex_);
  return impl_->watches_;
}
std::size_t FakeApiServer::Connections() const {
  std::lock_guard lock(impl_->mutex_);
  return impl_->connections_;
}

}  // namespace walstitch::test
