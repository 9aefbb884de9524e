#include "agents/http/http_server.h"

#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/websocket/error.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <deque>
#include <exception>
#include <map>
#include <unordered_set>
#include <utility>

#include "agents/http/audit.h"
#include "agents/http/http_text.h"
#include "agents/http/tokens.h"
#include "agents/http/wire.h"

namespace walstitch::http {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using asio::ip::tcp;
using boost::system::error_code;
using std::chrono::steady_clock;

namespace {

constexpr std::uint32_t kMaxHeaderBytes = 16 * 1024;
constexpr std::size_t kMaxBufferBytes = 128 * 1024;
constexpr std::size_t kFirstBytes = 2048;  // of a connection that should begin with TLS
constexpr std::size_t kMinConnections = 16;
constexpr std::size_t kMaxStreamMessages = 1024;          // queued for one slow reader
constexpr std::size_t kMaxStreamBytes = 8 * 1024 * 1024;  // of them, together
constexpr std::size_t kMaxIncomingMessage = 64 * 1024;    // of a stream's client
constexpr std::size_t kMaxDrainBytes = 4 * 1024 * 1024;   // read and dropped behind a refused request
constexpr std::chrono::seconds kDrainTime{2};
constexpr std::chrono::milliseconds kTick{1000};
constexpr int kTicksBetweenSums = 10;
constexpr char kTlsRecord = 0x16;  // with what a client's side of TLS begins

using RequestParser = beast::http::request_parser<beast::http::string_body>;
using BeastResponse = beast::http::response<beast::http::string_body>;

// What to tell a client whose bytes are no request.
Response Refusal(error_code refused) {
  using beast::http::error;
  if (refused == error::header_limit) {
    return JsonError(431,
                     "the request's header is larger than " + std::to_string(kMaxHeaderBytes) + " bytes");
  }
  if (refused == error::body_limit)
    return JsonError(413, "the request's body is larger than this server takes");
  if (refused == error::bad_version) return JsonError(505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
  return JsonError(400, "this is not a valid HTTP request: " + refused.message());
}

bool IsParseError(error_code error) {
  return error.category() == beast::http::make_error_code(beast::http::error::bad_method).category() &&
         error != beast::http::error::end_of_stream && error != beast::http::error::partial_message;
}

bool IsTooLarge(error_code error) {
  return error == beast::http::error::header_limit || error == beast::http::error::body_limit;
}

std::string TextOf(const tcp::endpoint& endpoint) {
  const std::string address = endpoint.address().to_string();
  return (endpoint.address().is_v6() ? "[" + address + "]" : address) + ":" + std::to_string(endpoint.port());
}

std::string_view ViewOf(beast::string_view text) { return {text.data(), text.size()}; }

using FromAddress = std::map<asio::ip::address, std::size_t>;  // how many connections are open

// One accepted connection. The WebSocket's stream owns the wire from the beginning; plain HTTP uses the layer
// beneath it.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, const tcp::endpoint& peer, FromAddress::iterator from)
      : peer_(TextOf(peer)), from_(from), websocket_(std::move(socket)) {}

  Wire& Line() { return websocket_.next_layer(); }
  beast::tcp_stream& Tcp() { return Line().Tcp(); }
  websocket::stream<Wire, false>& WebSocket() { return websocket_; }

  void Close() {
    open_ = false;
    queue_.clear();
    queued_bytes_ = 0;
    receive_ = nullptr;  // it may hold what holds us
    Line().Close();
  }

  // Who is at the other end.
  [[nodiscard]] const std::string& Peer() const { return peer_; }
  [[nodiscard]] FromAddress::iterator From() const { return from_; }
  std::string subject;                      // of its certificate
  std::string token;                        // of a stream: with which it was admitted
  AccessRole needs = AccessRole::kOperate;  // of a stream: what it takes
  bool proved = false;                      // a request of it was admitted

  // While it waits for what the other side says, it may be closed for the sake of another.
  void SetWaiting(bool waiting) {
    waiting_ = waiting;
    since_ = steady_clock::now();
  }
  [[nodiscard]] bool Waiting() const { return waiting_ && !evicted_; }
  void Evict() {
    evicted_ = true;
    Close();
  }
  [[nodiscard]] bool Evicted() const { return evicted_; }
  // Whether it should rather go than the other.
  [[nodiscard]] bool GoesBefore(const Connection& other) const {
    if (proved != other.proved) return !proved;
    if (from_->second != other.from_->second) return from_->second > other.from_->second;
    return since_ < other.since_;
  }

  // As a stream: messages go out one after the other, the queue is bounded.
  void Send(std::string message) {
    if (!open_) return;
    queued_bytes_ += message.size();
    queue_.push_back(std::make_shared<std::string>(std::move(message)));
    if (queue_.size() > kMaxStreamMessages || queued_bytes_ > kMaxStreamBytes) {
      Close();
      return;
    }
    if (!writing_) Write();
  }
  [[nodiscard]] bool Open() const { return open_; }
  void MarkOpen() { open_ = true; }

  void OnMessage(std::function<void(std::string)> receive) {
    if (open_) receive_ = std::move(receive);
  }
  void Receive(std::string message) {
    const auto receive = receive_;  // it may close us, or put another in its place
    if (receive) receive(std::move(message));
  }

 private:
  void Write() {
    writing_ = true;
    auto message = queue_.front();
    websocket_.text(true);
    websocket_.async_write(asio::buffer(*message),
                           [self = shared_from_this(), message](error_code error, std::size_t) {
                             self->writing_ = false;
                             if (error || !self->open_) {
                               self->Close();
                               return;
                             }
                             self->queued_bytes_ -= message->size();
                             self->queue_.pop_front();
                             if (!self->queue_.empty()) self->Write();
                           });
  }

  std::string peer_;
  FromAddress::iterator from_;
  bool waiting_ = true;
  bool evicted_ = false;
  steady_clock::time_point since_ = steady_clock::now();
  websocket::stream<Wire, false> websocket_;
  std::deque<std::shared_ptr<std::string>> queue_;
  std::size_t queued_bytes_ = 0;
  std::function<void(std::string)> receive_;
  bool writing_ = false;
  bool open_ = false;
};

using ConnectionPtr = std::shared_ptr<Connection>;

// What the stream handler holds. Letting go of the last reference ends the connection.
class StreamEnd : public Stream {
 public:
  explicit StreamEnd(ConnectionPtr connection) : connection_(std::move(connection)) {}
  ~StreamEnd() override { connection_->Close(); }
  StreamEnd(const StreamEnd&) = delete;
  StreamEnd& operator=(const StreamEnd&) = delete;

  void Send(std::string message) override { connection_->Send(std::move(message)); }
  [[nodiscard]] bool Open() const override { return connection_->Open(); }
  void OnMessage(std::function<void(std::string)> receive) override {
    connection_->OnMessage(std::move(receive));
  }

 private:
  ConnectionPtr connection_;
};

}  // namespace

Response JsonError(int status, std::string_view sentence) {
  boost::json::object object;
  object["error"] = boost::json::string_view(sentence.data(), sentence.size());
  return {status, boost::json::serialize(object), "application/json"};
}

Response JsonError(const Error& error) {
  int status = 500;
  switch (error.Code()) {
    case ErrorCode::kInvalid:
      status = 400;
      break;
    case ErrorCode::kNotFound:
      status = 404;
      break;
    case ErrorCode::kStale:
    case ErrorCode::kConflict:
      status = 409;
      break;
    case ErrorCode::kUnavailable:
      status = 503;
      break;
    case ErrorCode::kTimeout:
      status = 504;
      break;
    case ErrorCode::kDamaged:
    case ErrorCode::kIo:
      status = 500;
      break;
  }
  boost::json::object object;
  object["error"] = error.Message();
  object["code"] = ToString(error.Code());
  return {status, boost::json::serialize(object), "application/json"};
}

std::string_view ToString(Refused refused) {
  switch (refused) {
    case Refused::kToken:
      return "token";
    case Refused::kRole:
      return "role";
    case Refused::kCertificate:
      return "certificate";
    case Refused::kHandshake:
      return "handshake";
    case Refused::kPlainHttp:
      return "plain_http";
    case Refused::kTooLarge:
      return "too_large";
    case Refused::kSlow:
      return "slow";
    case Refused::kGarbage:
      return "garbage";
    case Refused::kFull:
      return "full";
    case Refused::kEvicted:
      return "evicted";
  }
  return "";
}

Need NeedOfAnything(std::string_view method, const std::vector<std::string>&) {
  return {AccessRole::kOperate, method != "GET" && method != "HEAD"};
}

Admission AdmitOnly(std::string token, Caller caller) {
  TokenSource source;
  source.name = std::move(caller.name);
  source.role = caller.role;
  source.text = std::move(token);
  return *MakeAdmission({source});  // no file that could not be read
}

void RaiseFileLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  constexpr rlim_t kEnough = 65536;
  limit.rlim_cur = std::max(limit.rlim_cur, std::min(limit.rlim_max, kEnough));
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

class Server::Impl : public std::enable_shared_from_this<Server::Impl> {
 public:
  Impl(asio::any_io_executor executor, ServerOptions options, Handler handler, StreamHandler streams)
      : executor_(std::move(executor)),
        options_(std::move(options)),
        handler_(std::move(handler)),
        streams_(std::move(streams)),
        acceptor_(executor_),
        tick_(executor_) {
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur != RLIM_INFINITY) {
      const std::size_t share = std::max<std::size_t>(kMinConnections, files.rlim_cur / 4);
      options_.max_connections = std::min(options_.max_connections, share);
    }
  }

  Result<void> Start() {
    const std::string where = "cannot listen on " + options_.host + ":" + std::to_string(options_.port);
    error_code error;
    auto address = asio::ip::make_address(options_.host, error);
    if (error) {
      tcp::resolver resolver(executor_);
      auto found = resolver.resolve(options_.host, std::to_string(options_.port), error);
      if (error || found.empty()) {
        return Fail(ErrorCode::kInvalid,
                    where + ": '" + options_.host + "' is no address of this machine: " + error.message());
      }
      address = found.begin()->endpoint().address();
    }
    tcp::endpoint endpoint(address, options_.port);
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(asio::socket_base::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (!error) port_ = acceptor_.local_endpoint(error).port();
    if (error) {
      error_code ignored;
      acceptor_.close(ignored);
      return Fail(ErrorCode::kIo, where + ": " + error.message());
    }
    asio::co_spawn(executor_, Accept(shared_from_this()), asio::detached);
    asio::co_spawn(executor_, Tick(shared_from_this()), asio::detached);
    return {};
  }

  void Stop() {
    if (stopped_) return;
    stopped_ = true;
    error_code ignored;
    acceptor_.close(ignored);
    tick_.cancel();
    TellRefusals();
    auto connections = connections_;  // closing may take some out of the set
    for (const auto& connection : connections) connection->Close();
  }

  [[nodiscard]] std::uint16_t Port() const { return port_; }

  [[nodiscard]] ServerCounts Counts() const {
    ServerCounts counts = counts_;
    counts.open = connections_.size();
    counts.streams = static_cast<std::uint64_t>(std::count_if(connections_.begin(), connections_.end(),
                                                              [](const auto& each) { return each->Open(); }));
    if (options_.tls) counts.certificate_seconds_left = options_.tls->SecondsLeft();
    return counts;
  }

 private:
  void Count(Refused why) { ++counts_.refused[static_cast<std::size_t>(why)]; }

  void Tell(const AuditEntry& entry, bool refused) {
    if (!options_.audit || (refused && !MayTellRefusal())) return;
    options_.audit(AuditLine(entry));
  }
  bool MayTellRefusal() {
    const auto now = std::chrono::floor<std::chrono::milliseconds>(steady_clock::now().time_since_epoch());
    return refusals_.Take(now.count());
  }

  static asio::awaitable<void> Accept(std::shared_ptr<Impl> self) {
    while (!self->stopped_) {
      error_code error;
      tcp::socket socket =
          co_await self->acceptor_.async_accept(asio::redirect_error(asio::use_awaitable, error));
      if (self->stopped_) co_return;
      if (error) {
        // Out of file descriptors, most likely: room is made, and waited for.
        if (error == asio::error::no_descriptors) (void)self->MakeRoom();
        asio::steady_timer timer(self->executor_, std::chrono::milliseconds(100));
        co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, error));
        continue;
      }
      ++self->counts_.accepted;
      if (self->connections_.size() >= self->options_.max_connections && !self->MakeRoom()) {
        self->Count(Refused::kFull);
        continue;  // closes it
      }
      const tcp::endpoint peer = socket.remote_endpoint(error);
      if (error) continue;  // gone already
      socket.set_option(tcp::no_delay(true), error);
      const auto from = self->from_.try_emplace(peer.address(), 0).first;
      ++from->second;
      auto connection = std::make_shared<Connection>(std::move(socket), peer, from);
      self->connections_.insert(connection);
      asio::co_spawn(self->executor_, Serve(self, connection), [self, connection](std::exception_ptr) {
        connection->Close();
        self->connections_.erase(connection);
        const auto origin = connection->From();
        if (--origin->second == 0) self->from_.erase(origin);
      });
    }
  }

  // False: nobody can be spared.
  bool MakeRoom() {
    Connection* first = nullptr;
    for (const auto& connection : connections_) {
      if (!connection->Waiting()) continue;
      if (first == nullptr || connection->GoesBefore(*first)) first = connection.get();
    }
    if (first == nullptr) return false;
    Count(Refused::kEvicted);
    first->Evict();
    return true;
  }

  static asio::awaitable<void> Tick(std::shared_ptr<Impl> self) {
    while (!self->stopped_) {
      error_code ignored;
      self->tick_.expires_after(kTick);
      co_await self->tick_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
      if (self->stopped_) co_return;
      if (self->options_.tls) self->options_.tls->Look();
      self->EndStreams();
      if (++self->ticks_ % kTicksBetweenSums == 0) self->TellRefusals();
    }
  }

  // Not every refusal is worth a line, but all of them together are.
  void TellRefusals() {
    std::string sum;
    for (std::size_t i = 0; i < kRefusedCount; ++i) {
      const std::uint64_t more = counts_.refused[i] - told_[i];
      if (more == 0) continue;
      sum += (sum.empty() ? "" : ", ") + std::string(ToString(static_cast<Refused>(i))) + " " +
             std::to_string(more);
    }
    told_ = counts_.refused;
    if (!sum.empty() && options_.audit) options_.audit("audit: refused lately, by reason: " + sum);
  }

  // Those whose token is nobody's any more. Whoever has another comes back with it at once.
  void EndStreams() {
    if (!options_.admission) return;
    const auto connections = connections_;
    for (const auto& connection : connections) {
      if (!connection->Open()) continue;
      const auto caller = options_.admission(connection->token);
      if (caller && (caller->role == AccessRole::kOperate || connection->needs == AccessRole::kView))
        continue;
      spdlog::warn("A stream of {} is ended: its token is not valid any more.", connection->Peer());
      connection->Close();
    }
  }

  // TLS, before anything is said. False: the connection is of no more use.
  static asio::awaitable<bool> Secure(std::shared_ptr<Impl> self, ConnectionPtr connection) {
    auto context = self->options_.tls->Context();
    error_code error;
    std::string bytes(kFirstBytes, '\0');
    connection->Tcp().expires_after(self->options_.handshake_timeout);
    const std::size_t got = co_await connection->Tcp().async_read_some(
        asio::buffer(bytes), asio::redirect_error(asio::use_awaitable, error));
    if (error == beast::error::timeout) self->Count(Refused::kSlow);
    if (error) co_return false;
    bytes.resize(got);
    if (bytes.front() != kTlsRecord) {
      const bool http = bytes.front() >= 'A' && bytes.front() <= 'Z';
      self->Count(http ? Refused::kPlainHttp : Refused::kGarbage);
      const Response refusal = JsonError(400, "this port speaks TLS only: use https://");
      bool sent = false;
      if (http) sent = co_await Write(self, connection, refusal, 11, false, false);
      if (sent) co_await Drain(connection);
      co_return false;
    }
    error = co_await connection->Line().Accept(std::move(context), std::move(bytes));
    if (!error) {
      connection->subject = connection->Line().CertificateSubject();
      co_return true;
    }
    if (self->stopped_ || connection->Evicted()) co_return false;
    std::string problem = connection->Line().CertificateProblem();
    if (error == beast::error::timeout) {
      self->Count(Refused::kSlow);
      co_return false;
    }
    const bool certificate = !problem.empty();
    self->Count(certificate ? Refused::kCertificate : Refused::kHandshake);
    if (!certificate && error.category() != asio::error::get_ssl_category()) co_return false;  // it went away
    if (self->options_.audit && self->MayTellRefusal()) {
      self->options_.audit("audit: from " + connection->Peer() + ": TLS connection refused: " +
                           (certificate ? "its certificate: " + problem : error.message()));
    }
    // Otherwise what it sent already is answered with a reset, which may overtake the word why.
    co_await Drain(connection);
    co_return false;
  }

  // What stands in the way of a request; nullopt: nothing, and `request->caller` is who asks.
  std::optional<Response> CheckCaller(const Connection& connection, const Need& need,
                                      const std::string& token, Request* request) {
    request->caller.name = connection.subject;
    if (!need.role) {
      request->caller.role = AccessRole::kView;
      return std::nullopt;
    }
    if (options_.tls && options_.tls->AsksForCertificates() && connection.subject.empty()) {
      Count(Refused::kCertificate);
      return JsonError(403, "a client certificate is needed: one of the authority that this server trusts");
    }
    if (!options_.admission) return std::nullopt;
    auto caller = options_.admission(token);
    if (!caller) {
      Count(Refused::kToken);
      request->caller.name.clear();
      return JsonError(401, token.empty() ? "a token is needed: send the header Authorization: Bearer <token>"
                                          : "the token is not the one that this server expects");
    }
    request->caller = std::move(*caller);
    if (request->caller.role == AccessRole::kView && *need.role == AccessRole::kOperate) {
      Count(Refused::kRole);
      return JsonError(403, "this token may view, and this request needs one that may operate");
    }
    return std::nullopt;
  }

  static asio::awaitable<void> Serve(std::shared_ptr<Impl> self, ConnectionPtr connection) {
    if (self->options_.tls) {
      const bool secure = co_await Secure(self, connection);
      if (!secure) co_return;
    }
    beast::flat_buffer buffer(kMaxBufferBytes);
    while (!self->stopped_) {
      const bool goes_on = co_await ServeOne(self, connection, &buffer);
      if (!goes_on) co_return;
    }
  }

  // Counts why a request did not come whole.
  void CountBroken(const Connection& connection, error_code error) {
    if (stopped_ || connection.Evicted()) return;
    if (IsTooLarge(error)) return Count(Refused::kTooLarge);
    if (IsParseError(error)) return Count(Refused::kGarbage);
    if (error == beast::error::timeout) return Count(Refused::kSlow);
  }

  // One request and its answer. False: the connection is of no more use.
  static asio::awaitable<bool> ServeOne(std::shared_ptr<Impl> self, ConnectionPtr connection,
                                        beast::flat_buffer* buffer) {
    const ServerOptions& options = self->options_;
    Wire& wire = connection->Line();
    beast::tcp_stream& stream = connection->Tcp();
    error_code error;
    connection->SetWaiting(true);
    if (buffer->size() == 0) {
      stream.expires_after(connection->proved ? options.idle_timeout
                                              : std::min(options.header_timeout, options.idle_timeout));
      const auto room = buffer->prepare(kFirstBytes);
      const std::size_t got =
          co_await wire.async_read_some(room, asio::redirect_error(asio::use_awaitable, error));
      if (error && !connection->proved) self->CountBroken(*connection, error);
      if (error) co_return false;
      buffer->commit(got);
    }
    // Deadlines for the whole: a client that drips bytes gets no further than an idle one.
    const auto begun = steady_clock::now();
    RequestParser parser;
    parser.header_limit(kMaxHeaderBytes);
    parser.body_limit(options.max_body_bytes);
    stream.expires_at(begun + options.header_timeout);
    co_await beast::http::async_read_header(wire, *buffer, parser,
                                            asio::redirect_error(asio::use_awaitable, error));
    if (error) {
      self->CountBroken(*connection, error);
      co_await Refuse(self, connection, error);
      co_return false;
    }

    const auto& header = parser.get();
    const unsigned version = header.version();
    const bool head = header.method() == beast::http::verb::head;
    const bool upgrade = websocket::is_upgrade(header);
    bool keep_alive = header.keep_alive();
    Request request;
    request.method = ViewOf(header.method_string());
    auto target = ParseTarget(ViewOf(header.target()));
    Need need;  // of a path that cannot be read: as of one that changes something
    if (target) need = options.need(request.method, target->segments);
    const std::string token = BearerToken(ViewOf(header[beast::http::field::authorization]));
    auto refusal = self->CheckCaller(*connection, need, token, &request);
    // A path that is open to all is open to strangers, who need no body there.
    if (!refusal && !need.role && !parser.is_done()) {
      self->Count(Refused::kTooLarge);
      refusal = JsonError(413, "this path takes no body");
    }
    const bool admitted = !refusal;
    if (admitted && need.role) connection->proved = true;
    if (admitted) ++self->counts_.requests;

    AuditEntry entry;
    entry.token = options.admission ? request.caller.name : std::string();
    entry.subject = connection->subject;
    entry.from = connection->Peer();
    entry.method = request.method;
    if (target) entry.path = target->path;
    const auto tell = [&](int status) {
      if (!need.changes) return;
      entry.status = status;
      entry.took = std::chrono::round<std::chrono::milliseconds>(steady_clock::now() - begun);
      self->Tell(entry, !admitted);
    };

    const bool streamed = upgrade && self->streams_ && need.role;
    if (admitted && target && streamed && buffer->size() == 0) {
      if (self->stopped_ || connection->Evicted()) co_return false;
      tell(101);
      request.path = std::move(target->path);
      request.segments = std::move(target->segments);
      request.query = std::move(target->query);
      connection->token = token;
      connection->needs = need.role.value_or(AccessRole::kView);
      connection->SetWaiting(false);
      auto message = parser.release();
      co_await ServeStream(self, connection, std::move(message), std::move(request));
      co_return false;
    }
    if (admitted && !parser.is_done()) {
      if (beast::iequals(header[beast::http::field::expect], "100-continue")) {
        const std::string_view go_on = "HTTP/1.1 100 Continue\r\n\r\n";
        co_await asio::async_write(wire, asio::buffer(go_on),
                                   asio::redirect_error(asio::use_awaitable, error));
      }
      stream.expires_at(begun + options.request_timeout);
      if (!error) {
        co_await beast::http::async_read(wire, *buffer, parser,
                                         asio::redirect_error(asio::use_awaitable, error));
      }
      if (error) {
        self->CountBroken(*connection, error);
        co_await Refuse(self, connection, error);
        co_return false;
      }
    }
    // Nobody waits any more for an answer that is not begun.
    if (self->stopped_ || connection->Evicted()) co_return false;
    connection->SetWaiting(false);
    const bool read = parser.is_done();
    Response response;
    if (!admitted) {
      response = std::move(*refusal);
      keep_alive = false;
    } else if (!target) {
      response = JsonError(target.error());
    } else if (streamed) {
      self->Count(Refused::kGarbage);
      response = JsonError(400, "nothing may be sent behind the request for a stream before its answer");
      keep_alive = false;
    } else if (upgrade) {
      response = JsonError(400, "there is no WebSocket stream here");
    } else {
      auto message = parser.release();
      request.path = std::move(target->path);
      request.segments = std::move(target->segments);
      request.query = std::move(target->query);
      request.body = std::move(message.body());
      stream.expires_never();  // the handler has deadlines of its own
      response = co_await Call(self, std::move(request));
    }
    if (self->stopped_) keep_alive = false;
    tell(response.status);
    // 1. A stranger sends requests and takes no answer. 2. The answers fill its buffers, and one of them
    // waits. 3. As many of those as may be connected, and nobody else is served. So a stranger can be sent
    // away meanwhile.
    if (!connection->proved) connection->SetWaiting(true);
    const bool sent = co_await Write(self, connection, std::move(response), version, keep_alive, head);
    if (sent && keep_alive) co_return true;
    if (sent && (!read || !admitted)) co_await Drain(connection);
    error_code ignored;
    stream.socket().shutdown(tcp::socket::shutdown_send, ignored);
    co_return false;
  }

  // Says what was wrong with bytes that are no request.
  static asio::awaitable<void> Refuse(std::shared_ptr<Impl> self, ConnectionPtr connection,
                                      error_code error) {
    if (!IsParseError(error)) co_return;
    const bool sent = co_await Write(self, connection, Refusal(error), 11, false, false);
    if (sent) co_await Drain(connection);
  }

  static asio::awaitable<Response> Call(std::shared_ptr<Impl> self, Request request) {
    std::string what;
    try {
      co_return co_await self->handler_(std::move(request));
    } catch (const std::exception& exception) {
      what = exception.what();
    }
    co_return JsonError(500, "internal error: " + what);
  }

  // False if the connection is of no more use.
  static asio::awaitable<bool> Write(std::shared_ptr<Impl> self, ConnectionPtr connection, Response response,
                                     unsigned version, bool keep_alive, bool head) {
    BeastResponse message;
    message.version(version == 10 ? 10 : 11);
    message.result(static_cast<unsigned>(response.status));
    message.set(beast::http::field::server, "walstitch");
    message.set(beast::http::field::content_type, response.content_type);
    message.set(beast::http::field::cache_control, "no-store");
    if (response.status == 401) message.set(beast::http::field::www_authenticate, "Bearer");
    message.keep_alive(keep_alive);
    if (!head) message.body() = std::move(response.body);
    message.prepare_payload();
    error_code error;
    connection->Tcp().expires_after(self->options_.idle_timeout);
    co_await beast::http::async_write(connection->Line(), message,
                                      asio::redirect_error(asio::use_awaitable, error));
    co_return !error;
  }

  // 1. A client sends a body that is too large. 2. We answer 413 and close with its bytes unread. 3. The
  // kernel answers them with a reset, which may overtake our answer. So read on for a moment.
  static asio::awaitable<void> Drain(ConnectionPtr connection) {
    error_code error;
    connection->SetWaiting(true);
    connection->Tcp().socket().shutdown(tcp::socket::shutdown_send, error);
    connection->Tcp().expires_after(kDrainTime);
    std::vector<char> bytes(16 * 1024);
    std::size_t total = 0;
    while (!error && total < kMaxDrainBytes) {
      total += co_await connection->Tcp().async_read_some(asio::buffer(bytes),
                                                          asio::redirect_error(asio::use_awaitable, error));
    }
  }

  static asio::awaitable<void> ServeStream(std::shared_ptr<Impl> self, ConnectionPtr connection,
                                           beast::http::request<beast::http::string_body> message,
                                           Request request) {
    auto& stream = connection->WebSocket();
    connection->Tcp().expires_never();  // the WebSocket has timeouts of its own
    websocket::stream_base::timeout timeout{};
    timeout.handshake_timeout = self->options_.header_timeout;
    timeout.idle_timeout = self->options_.idle_timeout;
    timeout.keep_alive_pings = true;
    stream.set_option(timeout);
    stream.read_message_max(kMaxIncomingMessage);
    error_code error;
    co_await stream.async_accept(message, asio::redirect_error(asio::use_awaitable, error));
    if (error || self->stopped_) co_return;
    connection->MarkOpen();
    self->streams_(request, std::make_shared<StreamEnd>(connection));
    beast::flat_buffer incoming;
    while (connection->Open() && !error) {
      co_await stream.async_read(incoming, asio::redirect_error(asio::use_awaitable, error));
      if (error || !connection->Open()) break;
      std::string text(static_cast<const char*>(incoming.cdata().data()), incoming.size());
      incoming.consume(incoming.size());
      if (stream.got_text()) connection->Receive(std::move(text));
    }
    if (error == websocket::error::message_too_big) self->Count(Refused::kTooLarge);
    if (error == websocket::condition::protocol_violation) self->Count(Refused::kGarbage);
  }

  asio::any_io_executor executor_;
  ServerOptions options_;
  Handler handler_;
  StreamHandler streams_;
  tcp::acceptor acceptor_;
  asio::steady_timer tick_;
  std::unordered_set<ConnectionPtr> connections_;
  FromAddress from_;
  ServerCounts counts_;
  RefusalLimit refusals_;
  std::array<std::uint64_t, kRefusedCount> told_{};  // of the counts
  int ticks_ = 0;
  std::uint16_t port_ = 0;
  bool stopped_ = false;
};

Server::Server(asio::any_io_executor executor, ServerOptions options, Handler handler, StreamHandler streams)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(options), std::move(handler),
                                   std::move(streams))) {}
Server::~Server() { Stop(); }
Result<void> Server::Start() { return impl_->Start(); }
void Server::Stop() { impl_->Stop(); }
std::uint16_t Server::Port() const { return impl_->Port(); }
ServerCounts Server::Counts() const { return impl_->Counts(); }

}  // namespace walstitch::http
