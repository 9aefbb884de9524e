#include "controller/sentinel/listener.h"

#include <netinet/tcp.h>

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <deque>
#include <exception>
#include <unordered_set>
#include <utility>

#include "agents/http/audit.h"
#include "agents/http/keep_alive.h"
#include "controller/sentinel/answers.h"
#include "controller/sentinel/reading.h"
#include "controller/sentinel/seats.h"
#include "controller/sentinel/session.h"
#include "controller/sentinel/share.h"

namespace walstitch::sentinel {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using std::chrono::microseconds;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds kSweep{250};
constexpr milliseconds kAcceptPause{100};
constexpr std::int64_t kGoodbyeMs = 1000;  // what a client still sends is read for so long
// As the API would answer.
constexpr int kStatusDone = 200;
constexpr int kStatusForbidden = 403;
constexpr int kStatusRefused = 409;
constexpr std::size_t kReadAtOnce = 8 * 1024;
constexpr std::size_t kWriteAtOnce = 64 * 1024;
constexpr std::size_t kRepliesAhead = 256 * 1024;  // then the next request waits until these were taken
constexpr std::size_t kMaxClientList = 64 * 1024;

std::int64_t NowUs() {
  return std::chrono::duration_cast<microseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::int64_t NowMs() { return NowUs() / 1000; }

std::string TextOf(const tcp::endpoint& endpoint) {
  const std::string host = endpoint.address().to_string();
  return (endpoint.address().is_v6() ? "[" + host + "]" : host) + ":" + std::to_string(endpoint.port());
}

// A machine that is gone says nothing: without this its subscription would stay for ever.
constexpr http::KeepAlive kClients{60, 20, 3};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, std::string host, SessionOptions session, RequestLimits limits,
             ListenerCounts& counts, std::size_t& waiting)
      : socket_(std::move(socket)),
        host_(std::move(host)),
        drained_(socket_.get_executor(), asio::steady_timer::time_point::max()),
        turn_(socket_.get_executor(), asio::steady_timer::time_point::max()),
        session_(std::move(session), NowMs()),
        reader_(limits),
        began_ms_(NowMs()),
        counts_(counts),
        waiting_(waiting) {
    NoteWhoItIs();
  }

  tcp::socket& Socket() { return socket_; }
  Session& TheSession() { return session_; }
  [[nodiscard]] const Session& TheSession() const { return session_; }
  RequestReader& Reader() { return reader_; }
  [[nodiscard]] bool Open() const { return open_; }
  [[nodiscard]] std::size_t Queued() const { return queued_; }

  void Close() {
    if (!open_) return;
    open_ = false;
    queue_.clear();
    waiting_ -= queued_;
    queued_ = 0;
    error_code ignored;
    socket_.close(ignored);
    drained_.cancel();
    turn_.cancel();
  }

  // Small replies share a chunk: each in one of its own would take many times its size.
  void Send(const std::string& bytes) {
    if (!open_ || bytes.empty()) return;
    std::string_view left(bytes);
    while (!left.empty()) {
      const bool has_room = queue_.size() > (writing_ ? 1U : 0U) && queue_.back()->size() < kWriteAtOnce;
      if (!has_room) queue_.push_back(std::make_shared<std::string>());
      std::string& chunk = *queue_.back();
      const std::size_t size = std::min(left.size(), kWriteAtOnce - chunk.size());
      chunk.append(left.substr(0, size));
      left.remove_prefix(size);
    }
    queued_ += bytes.size();
    waiting_ += bytes.size();
    reading_.Waits(NowMs());
    if (!writing_) Write();
  }

  // Until no more than so much waits, or the connection is closed.
  asio::awaitable<void> Drained(std::size_t bytes) {
    while (open_ && queued_ > bytes) {
      error_code ignored;
      co_await drained_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
  }

  void LoseTurn() { has_turn_ = false; }
  // Until GiveTurn(), or the connection is closed.
  asio::awaitable<void> Turn() {
    while (open_ && !has_turn_) {
      error_code ignored;
      co_await turn_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
  }
  void GiveTurn() {
    has_turn_ = true;
    turn_.cancel();
  }

  // The token is looked up once in a while, and not for each that is compared with others.
  void NoteWhoItIs() { may_view_ = session_.MayView(); }
  [[nodiscard]] bool MayView() const { return may_view_; }
  // Of a stranger, neither that it asked nor when counts for anything.
  [[nodiscard]] Seat TheSeat() const {
    Seat seat;
    seat.host = host_;
    seat.may_view = may_view_;
    seat.has_asked = may_view_ && session_.HasAsked();
    seat.subscribed = session_.IsSubscribed();
    seat.ordering = ordering;
    seat.asked_ms = may_view_ ? session_.AskedMs() : began_ms_;
    return seat;
  }

  void NoteRequestBegun(bool begun) {
    if (!begun) {
      request_begun_ms_ = -1;
    } else if (request_begun_ms_ < 0) {
      request_begun_ms_ = NowMs();
    }
  }
  void NoteRequestEnded() { request_begun_ms_ = -1; }
  void CloseAt(std::int64_t ms) { close_at_ms_ = ms; }

  [[nodiscard]] std::int64_t RequestBegunMs() const { return request_begun_ms_; }
  [[nodiscard]] bool ReadsTooSlowly(std::int64_t now_ms, milliseconds timeout) {
    return reading_.IsSlow(now_ms, timeout.count());
  }
  [[nodiscard]] std::int64_t CloseAtMs() const { return close_at_ms_; }
  [[nodiscard]] std::int64_t BeganMs() const { return began_ms_; }
  bool ordering = false;  // an order is under way, and its answer is waited for

 private:
  void Write() {
    writing_ = true;
    auto bytes = queue_.front();
    asio::async_write(socket_, asio::buffer(*bytes),
                      [self = shared_from_this(), bytes](error_code error, std::size_t) {
                        self->writing_ = false;
                        if (error || !self->open_) return self->Close();
                        self->counts_.bytes_out += bytes->size();
                        self->queued_ -= bytes->size();
                        self->waiting_ -= bytes->size();
                        self->reading_.Took(bytes->size(), self->queued_);
                        self->queue_.pop_front();
                        self->drained_.cancel();
                        if (!self->queue_.empty()) self->Write();
                      });
  }

  tcp::socket socket_;
  std::string host_;
  asio::steady_timer drained_;
  asio::steady_timer turn_;
  Session session_;
  RequestReader reader_;
  std::deque<std::shared_ptr<std::string>> queue_;
  std::size_t queued_ = 0;
  Reading reading_;
  bool writing_ = false;
  bool open_ = true;
  bool has_turn_ = false;
  bool may_view_ = false;
  std::int64_t request_begun_ms_ = -1;
  std::int64_t close_at_ms_ = -1;
  std::int64_t began_ms_;
  // Of the listener, which outlives it: each handler holds the two.
  ListenerCounts& counts_;
  std::size_t& waiting_;
};

}  // namespace

class Listener::Impl : public std::enable_shared_from_this<Listener::Impl> {
 public:
  Impl(asio::any_io_executor executor, ListenerOptions options, Ask ask, Order order)
      : executor_(std::move(executor)),
        options_(std::move(options)),
        ask_(std::move(ask)),
        order_(std::move(order)),
        acceptor_(executor_),
        sweep_(executor_),
        slice_(executor_) {}

  Result<void> Start() {
    const std::string where =
        "cannot listen for Sentinel's protocol on " + options_.host + ":" + std::to_string(options_.port);
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
    if (!error) local_ = acceptor_.local_endpoint(error);
    if (error) {
      error_code ignored;
      acceptor_.close(ignored);
      return Fail(ErrorCode::kIo, where + ": " + error.message());
    }
    asio::co_spawn(executor_, Accept(shared_from_this()), asio::detached);
    asio::co_spawn(executor_, Sweep(shared_from_this()), asio::detached);
    return {};
  }

  void Stop() {
    stopped_ = true;
    error_code ignored;
    acceptor_.close(ignored);
    sweep_.cancel();
    slice_.cancel();
    auto connections = connections_;  // closing may take some out of the set
    for (const auto& connection : connections) connection->Close();
  }

  [[nodiscard]] std::uint16_t Port() const { return local_.port(); }

  void Publish(const std::vector<Event>& events) {
    const std::int64_t began_us = NowUs();
    auto connections = connections_;
    for (const auto& connection : connections) {
      if (!connection->Open() || !connection->TheSession().IsSubscribed()) continue;
      std::string bytes;
      for (const Event& event : events) {
        const Session::Told told = connection->TheSession().Tell(event);
        bytes += told.bytes;
        counts_.events += static_cast<std::uint64_t>(told.count);
      }
      if (bytes.empty()) continue;
      if (connection->Queued() + bytes.size() > options_.max_output) {
        ++counts_.refused_slow;
        connection->Close();
        continue;
      }
      Send(*connection, bytes);
    }
    // Nobody waits for an event; so clients that ask wait for those that are told.
    share_.Spent(NowUs(), NowUs() - began_us);
  }

  [[nodiscard]] ListenerCounts Counts() const {
    ListenerCounts counts = counts_;
    counts.open = connections_.size();
    counts.subscribers = static_cast<std::uint64_t>(
        std::count_if(connections_.begin(), connections_.end(),
                      [](const auto& each) { return each->TheSession().IsSubscribed(); }));
    return counts;
  }

 private:
  static asio::awaitable<void> Accept(std::shared_ptr<Impl> self) {
    while (!self->stopped_) {
      error_code error;
      tcp::socket socket =
          co_await self->acceptor_.async_accept(asio::redirect_error(asio::use_awaitable, error));
      if (self->stopped_) co_return;
      if (error) {
        // Out of file descriptors, most likely: waiting is all that helps.
        asio::steady_timer timer(self->executor_, kAcceptPause);
        co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, error));
        continue;
      }
      self->Take(std::move(socket));
    }
  }

  void Take(tcp::socket socket) {
    error_code error;
    ++counts_.accepted;
    if (connections_.size() >= options_.max_connections && !MakeRoom()) {
      ++counts_.refused_full;
      // As much as the kernel takes at once: nobody is waited for.
      socket.non_blocking(true, error);
      socket.write_some(asio::buffer(std::string_view("-ERR max number of clients reached\r\n")), error);
      return;
    }
    SessionOptions session;
    session.id = ++last_id_;
    const tcp::endpoint remote = socket.remote_endpoint(error);
    if (error) return;  // gone already
    session.address = TextOf(remote);
    session.local_address = TextOf(local_);
    if (options_.admission) session.admission = &options_.admission;
    session.anonymous = options_.anonymous;
    socket.set_option(tcp::no_delay(true), error);
    http::NoticeDeadPeer(socket.native_handle(), kClients);
    auto connection = std::make_shared<Connection>(std::move(socket), remote.address().to_string(),
                                                   std::move(session), options_.limits, counts_, waiting_);
    connections_.insert(connection);
    asio::co_spawn(executor_, Serve(shared_from_this(), connection),
                   [self = shared_from_this(), connection](std::exception_ptr) {
                     connection->Close();
                     self->connections_.erase(connection);
                   });
  }

  bool MakeRoom() {
    std::vector<std::shared_ptr<Connection>> open;
    std::vector<Seat> seats;
    for (const auto& each : connections_) {
      if (!each->Open()) continue;
      open.push_back(each);
      seats.push_back(each->TheSeat());
    }
    const auto which = WhoGivesItsPlace(seats, NowMs());
    if (!which) return false;
    ++counts_.evicted;
    open[*which]->Close();
    connections_.erase(open[*which]);
    return true;
  }

  // 1. Each of many clients has less waiting for it than it may. 2. Together it is more memory than there is.
  // So whoever has most gives up its connection.
  void Send(Connection& connection, const std::string& bytes) {
    connection.Send(bytes);
    while (waiting_ > options_.max_waiting) {
      const auto most = std::max_element(
          connections_.begin(), connections_.end(),
          [](const auto& left, const auto& right) { return left->Queued() < right->Queued(); });
      if (most == connections_.end() || (*most)->Queued() == 0) return;
      ++counts_.refused_slow;
      (*most)->Close();
    }
  }

  Knowledge Know(const Request& request) {
    Knowledge knowledge = ask_();
    // They are counted over all clients.
    if (Lower(request.front()) == "info") knowledge.counts = Counts();
    knowledge.max_clients = static_cast<std::int64_t>(options_.max_connections);
    return knowledge;
  }

  std::string ClientList() {
    std::string lines;
    const std::int64_t now = NowMs();
    for (const auto& each : connections_) {
      if (lines.size() >= kMaxClientList) break;
      if (each->Open()) lines += each->TheSession().Describe(now);
    }
    return lines;
  }

  static asio::awaitable<void> Serve(std::shared_ptr<Impl> self, std::shared_ptr<Connection> connection) {
    std::array<char, kReadAtOnce> buffer;
    while (connection->Open() && !self->stopped_) {
      error_code error;
      const std::size_t size = co_await connection->Socket().async_read_some(
          asio::buffer(buffer), asio::redirect_error(asio::use_awaitable, error));
      if (error || !connection->Open() || self->stopped_) co_return;
      self->counts_.bytes_in += size;
      connection->Reader().Append(std::string_view(buffer.data(), size));
      const bool go_on = co_await HandleAll(self, connection);
      if (!go_on) {
        co_await SayGoodbye(connection);
        co_return;
      }
      connection->NoteRequestBegun(connection->Reader().HasBegun());
    }
  }

  // Whoever asks while others wait is behind them, and each has one request a turn: one that sends its
  // requests all at once keeps nobody waiting for longer than any other.
  static asio::awaitable<void> AwaitTurn(std::shared_ptr<Impl> self, std::shared_ptr<Connection> connection) {
    if (self->turns_.empty() && self->share_.MayHandle(NowUs())) co_return;
    connection->LoseTurn();
    self->turns_.push_back(connection);
    if (!self->giving_turns_) {
      self->giving_turns_ = true;
      asio::co_spawn(self->executor_, GiveTurns(self), asio::detached);
    }
    co_await connection->Turn();
  }

  static asio::awaitable<void> GiveTurns(std::shared_ptr<Impl> self) {
    while (!self->stopped_ && !self->turns_.empty()) {
      const std::int64_t now = NowUs();
      if (!self->share_.MayHandle(now)) {
        error_code ignored;
        self->slice_.expires_after(microseconds(Share::LeftUs(now)));
        co_await self->slice_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
        continue;
      }
      const auto next = self->turns_.front();
      self->turns_.pop_front();
      if (!next->Open()) continue;
      next->GiveTurn();
      // It goes on, and counts what it takes, before this does.
      co_await asio::post(self->executor_, asio::use_awaitable);
    }
    self->giving_turns_ = false;
  }

  // False: the connection is to be closed, after what was sent.
  static asio::awaitable<bool> HandleAll(std::shared_ptr<Impl> self, std::shared_ptr<Connection> connection) {
    while (connection->Open() && !self->stopped_) {
      auto next = connection->Reader().Next();
      if (!next) {
        const std::string& what = next.error().Message();
        const bool large = what.find("too") != std::string::npos || what.find("length") != std::string::npos;
        ++(large ? self->counts_.refused_too_large : self->counts_.refused_garbage);
        ++self->counts_.errors;
        self->Send(*connection, connection->TheSession().Answer(Reply::Fault("ERR " + what)));
        co_return false;
      }
      if (!*next) co_return true;
      connection->NoteRequestEnded();
      co_await AwaitTurn(self, connection);
      if (!connection->Open() || self->stopped_) co_return false;
      ++self->counts_.requests;
      const std::int64_t began_us = NowUs();
      auto outcome =
          connection->TheSession().Handle(**next, self->Know(**next), [self] { return self->ClientList(); });
      connection->NoteWhoItIs();
      self->share_.Handled(NowUs(), NowUs() - began_us);
      if (outcome.failover) {
        connection->ordering = true;
        const std::string name = connection->TheSession().CallerName();
        const std::int64_t began_ms = NowMs();
        Reply reply = co_await self->order_(*outcome.failover, name);
        connection->ordering = false;
        self->Tell(*connection, name, "failover " + *outcome.failover,
                   reply.kind == Reply::Kind::kError ? kStatusRefused : kStatusDone, NowMs() - began_ms);
        if (!connection->Open()) co_return false;
        outcome.error = reply.kind == Reply::Kind::kError;
        outcome.bytes = connection->TheSession().Answer(reply);
      }
      self->counts_.errors += outcome.error ? 1 : 0;
      self->counts_.refused_token += outcome.wrong_token ? 1 : 0;
      self->counts_.refused_role += outcome.not_allowed ? 1 : 0;
      if (outcome.not_allowed && self->refusals_.Take(NowMs())) {
        const std::string name = connection->TheSession().CallerName();
        self->Tell(*connection, name, "failover", kStatusForbidden, 0);
      }
      self->counts_.refused_too_large += outcome.too_large ? 1 : 0;
      self->Send(*connection, outcome.bytes);
      if (outcome.close) co_return false;
      co_await connection->Drained(kRepliesAhead);
    }
    co_return false;
  }

  // In the words of the API's audit.
  void Tell(const Connection& connection, const std::string& name, const std::string& what, int status,
            std::int64_t took_ms) const {
    if (!options_.audit) return;
    http::AuditEntry entry;
    entry.token = name;
    entry.from = connection.TheSession().Address();
    entry.method = "SENTINEL";
    entry.path = what;
    entry.status = status;
    entry.took = milliseconds(took_ms);
    options_.audit(http::AuditLine(entry));
  }

  // 1. A client sends more than we read. 2. We answer why, and close. 3. The kernel answers the rest with a
  // reset, which may overtake our answer. So read on for a moment.
  static asio::awaitable<void> SayGoodbye(std::shared_ptr<Connection> connection) {
    connection->CloseAt(NowMs() + kGoodbyeMs);
    co_await connection->Drained(0);
    if (!connection->Open()) co_return;
    error_code error;
    connection->Socket().shutdown(tcp::socket::shutdown_send, error);
    std::array<char, kReadAtOnce> buffer;
    while (!error && connection->Open()) {
      co_await connection->Socket().async_read_some(asio::buffer(buffer),
                                                    asio::redirect_error(asio::use_awaitable, error));
    }
  }

  static asio::awaitable<void> Sweep(std::shared_ptr<Impl> self) {
    while (!self->stopped_) {
      error_code ignored;
      self->sweep_.expires_after(kSweep);
      co_await self->sweep_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
      if (self->stopped_) co_return;
      auto connections = self->connections_;
      for (const auto& connection : connections) self->Look(*connection, NowMs());
    }
  }

  void Look(Connection& connection, std::int64_t now) {
    if (!connection.Open()) return;
    const Session& session = connection.TheSession();
    connection.NoteWhoItIs();
    const auto over = [now](std::int64_t since, milliseconds time) {
      return since >= 0 && now - since > time.count();
    };
    std::uint64_t* reason = nullptr;
    if (connection.CloseAtMs() >= 0) {
      if (now >= connection.CloseAtMs()) connection.Close();
      return;
    }
    if (over(connection.RequestBegunMs(), options_.request_timeout) ||
        connection.ReadsTooSlowly(now, options_.request_timeout)) {
      reason = &counts_.refused_slow;
    } else if (!connection.MayView() &&
               (session.IsSubscribed() || over(connection.BeganMs(), options_.request_timeout))) {
      reason = &counts_.refused_token;  // it never gave one, or what it gave is none any more
    } else if (!session.IsSubscribed() && !connection.ordering &&
               over(session.AskedMs(), options_.idle_timeout)) {
      reason = &counts_.closed_idle;
    }
    if (reason == nullptr) return;
    ++*reason;
    connection.Close();
  }

  asio::any_io_executor executor_;
  ListenerOptions options_;
  Ask ask_;
  Order order_;
  tcp::acceptor acceptor_;
  tcp::endpoint local_;
  asio::steady_timer sweep_;
  ListenerCounts counts_;
  http::RefusalLimit refusals_;
  std::unordered_set<std::shared_ptr<Connection>> connections_;
  std::uint64_t last_id_ = 0;
  std::size_t waiting_ = 0;  // bytes, for all clients together
  Share share_;
  asio::steady_timer slice_;
  std::deque<std::shared_ptr<Connection>> turns_;  // who waits for one
  bool giving_turns_ = false;
  bool stopped_ = false;
};

Listener::Listener(asio::any_io_executor executor, ListenerOptions options, Ask ask, Order order)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(options), std::move(ask),
                                   std::move(order))) {}
Listener::~Listener() { Stop(); }
Result<void> Listener::Start() { return impl_->Start(); }
void Listener::Stop() { impl_->Stop(); }
std::uint16_t Listener::Port() const { return impl_->Port(); }
void Listener::Publish(const std::vector<Event>& events) { impl_->Publish(events); }
ListenerCounts Listener::Counts() const { return impl_->Counts(); }

}  // namespace walstitch::sentinel
