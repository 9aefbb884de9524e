#include "agents/relay/gate.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <map>
#include <utility>
#include <vector>

namespace walstitch::relay {

namespace asio = boost::asio;
using asio::ip::tcp;
using std::chrono::milliseconds;

namespace {

constexpr std::size_t kPassBytes = 65536;
// For the rest of what was passed on to be read, when the server has closed.
constexpr milliseconds kLastRead{10000};

}  // namespace

class Gate::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::any_io_executor executor, GateOptions options)
      : executor_(executor), options_(std::move(options)), acceptor_(executor), stopping_(executor) {}

  Result<void> Start() {
    boost::system::error_code error;
    const asio::ip::address address = asio::ip::make_address(options_.listen_host, error);
    if (error) {
      return Fail(ErrorCode::kInvalid,
                  "the address to listen on must be an IP address, not '" + options_.listen_host + "'");
    }
    const tcp::endpoint endpoint(address, options_.listen_port);
    acceptor_.open(endpoint.protocol(), error);
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) {
      boost::system::error_code ignored;
      acceptor_.close(ignored);
      return Fail(ErrorCode::kIo, options_.listen_host + ":" + std::to_string(options_.listen_port) +
                                      ": cannot listen: " + error.message());
    }
    port_ = acceptor_.local_endpoint(error).port();
    asio::co_spawn(executor_, Accept(shared_from_this()), TaskEnd());
    return {};
  }

  void Stop() {
    if (std::exchange(stopped_, true)) return;
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    for (const auto& [number, passage] : passages_) {
      passage.outside->Close();
      passage.server->Close();
    }
    stopping_.Notify();
  }

  [[nodiscard]] std::uint16_t Port() const { return port_; }
  [[nodiscard]] ListenerCounts Counts() const {
    ListenerCounts counts = counts_;
    counts.open = passages_.size();
    return counts;
  }

 private:
  struct Passage {
    std::shared_ptr<Connection> outside;
    std::shared_ptr<Connection> server;
    bool admitted = false;
  };

  void Refuse(Refused why) { ++counts_.refused[static_cast<std::size_t>(why)]; }

  // Of one that has not shown a certificate yet, the oldest.
  bool MakeRoom() {
    for (auto entry = passages_.begin(); entry != passages_.end(); ++entry) {
      if (entry->second.admitted) continue;
      Refuse(Refused::kEvicted);
      entry->second.outside->Close();
      passages_.erase(entry);
      return true;
    }
    return false;
  }

  static asio::awaitable<void> Accept(std::shared_ptr<Impl> self) {
    while (!self->stopped_) {
      auto [error, socket] = co_await self->acceptor_.async_accept(asio::as_tuple(asio::use_awaitable));
      if (self->stopped_) break;
      if (error) {
        // Out of descriptors, most likely: not to spin.
        co_await self->stopping_.Wait(std::chrono::steady_clock::now() + milliseconds(100));
        continue;
      }
      const std::uint64_t number = ++self->counts_.accepted;
      if (self->passages_.size() >= self->options_.max_connections && !self->MakeRoom()) {
        self->Refuse(Refused::kFull);
        continue;
      }
      Passage passage;
      passage.outside = std::make_shared<Connection>(std::move(socket));
      passage.server = std::make_shared<Connection>(self->executor_);
      self->passages_.emplace(number, passage);
      asio::co_spawn(self->executor_, Serve(self, number, std::move(passage)), TaskEnd());
    }
  }

  static asio::awaitable<void> Serve(std::shared_ptr<Impl> self, std::uint64_t number, Passage passage) {
    co_await Pass(self, number, passage);
    passage.outside->Close();
    passage.server->Close();
    self->passages_.erase(number);
  }

  static asio::awaitable<void> Pass(std::shared_ptr<Impl> self, std::uint64_t number, Passage passage) {
    std::shared_ptr<asio::ssl::context> context = self->options_.tls();
    const Result<void> greeted =
        co_await passage.outside->AcceptTls(std::move(context), Connection::Demand::kCertificate, "",
                                            self->options_.handshake_timeout, self->options_.client_name);
    if (!greeted) {
      // One that was evicted is counted already.
      if (!self->stopped_ && self->passages_.contains(number))
        self->Refuse(passage.outside->TimedOut() ? Refused::kSlow : Refused::kTls);
      co_return;
    }
    const auto entry = self->passages_.find(number);
    if (entry == self->passages_.end()) co_return;
    entry->second.admitted = true;
    const Result<void> connected =
        co_await passage.server->Connect(self->options_.server, self->options_.connect_timeout);
    if (!connected) co_return;
    asio::co_spawn(self->executor_, PassRequests(passage), TaskEnd());
    std::vector<char> bytes(kPassBytes);
    while (true) {
      const Result<std::size_t> size = co_await passage.server->Read(asio::buffer(bytes), kNoDeadline);
      if (!size) break;
      const auto piece = asio::buffer(bytes.data(), *size);
      const Result<void> written = co_await passage.outside->Write(piece, kNoDeadline);
      if (!written) co_return;
    }
    // 1. The server answers, and closes. 2. What the other side has sent meanwhile is not read any more, and
    // closing resets the connection. 3. The end of the answer is lost. So it is let go by the other side.
    passage.outside->EndWriting();
    const auto deadline = std::chrono::steady_clock::now() + kLastRead;
    while (!passage.outside->Closed() && std::chrono::steady_clock::now() < deadline)
      co_await self->stopping_.Wait(std::min(deadline, std::chrono::steady_clock::now() + milliseconds(50)));
  }

  static asio::awaitable<void> PassRequests(Passage passage) {
    std::vector<char> bytes(kPassBytes);
    while (true) {
      const Result<std::size_t> size = co_await passage.outside->Read(asio::buffer(bytes), kNoDeadline);
      if (!size) break;
      if (passage.server->Closed()) continue;
      const auto piece = asio::buffer(bytes.data(), *size);
      (void)co_await passage.server->Write(piece, kNoDeadline);
    }
    passage.outside->Close();
    passage.server->Close();
  }

  asio::any_io_executor executor_;
  GateOptions options_;
  tcp::acceptor acceptor_;
  std::uint16_t port_ = 0;
  bool stopped_ = false;
  Event stopping_;
  std::map<std::uint64_t, Passage> passages_;  // by their order
  ListenerCounts counts_;                      // `open` is kept by passages_
};

Gate::Gate(asio::any_io_executor executor, GateOptions options)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(options))) {}
Gate::~Gate() { Stop(); }
Result<void> Gate::Start() { return impl_->Start(); }
void Gate::Stop() { impl_->Stop(); }
std::uint16_t Gate::Port() const { return impl_->Port(); }
ListenerCounts Gate::Counts() const { return impl_->Counts(); }

}  // namespace walstitch::relay
