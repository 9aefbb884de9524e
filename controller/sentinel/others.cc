#include "controller/sentinel/others.h"

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <map>
#include <optional>
#include <utility>

#include "agents/http/http_client.h"

namespace walstitch::sentinel {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds kInterval{1000};
constexpr milliseconds kTimeout{1000};
constexpr std::size_t kMaxOthers = 16;
constexpr std::size_t kMaxAnswer = 1024;
constexpr std::size_t kIdLength = 40;

std::int64_t NowMs() {
  return std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::string Bulk(const std::string& text) {
  return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
}

// The id in the last reply; nullopt: it has not come yet.
std::optional<std::string> IdIn(const std::string& answer) {
  const std::size_t at = answer.find("$40\r\n");
  if (at == std::string::npos || answer.size() < at + 5 + kIdLength + 2) return std::nullopt;
  std::string id = answer.substr(at + 5, kIdLength);
  const bool hex = std::all_of(id.begin(), id.end(),
                               [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
  return hex ? std::optional(std::move(id)) : std::nullopt;
}

}  // namespace

class Others::Impl : public std::enable_shared_from_this<Others::Impl> {
 public:
  Impl(asio::any_io_executor executor, OthersOptions options)
      : executor_(std::move(executor)), options_(std::move(options)), timer_(executor_) {}

  void Start() {
    if (options_.addresses.empty()) return;
    asio::co_spawn(executor_, Run(shared_from_this()), asio::detached);
  }
  void Stop() {
    stopped_ = true;
    timer_.cancel();
  }
  [[nodiscard]] const std::vector<Other>& List() const { return list_; }

 private:
  using Address = std::pair<std::string, std::uint16_t>;

  static asio::awaitable<void> Run(std::shared_ptr<Impl> self) {
    while (!self->stopped_) {
      const std::vector<Address> addresses = co_await Resolve(self);
      for (const Address& address : addresses)
        asio::co_spawn(self->executor_, Look(self, address), asio::detached);
      error_code ignored;
      self->timer_.expires_after(kInterval);
      co_await self->timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
      if (self->stopped_) co_return;
      self->Gather(addresses);
    }
  }

  static asio::awaitable<std::vector<Address>> Resolve(std::shared_ptr<Impl> self) {
    std::vector<Address> addresses;
    tcp::resolver resolver(self->executor_);
    for (const std::string& text : self->options_.addresses) {
      const auto parsed = http::ParseUrl("http://" + text);
      if (!parsed) continue;  // the configuration was checked
      error_code error;
      const auto found = co_await resolver.async_resolve(parsed->host, parsed->port,
                                                         asio::redirect_error(asio::use_awaitable, error));
      if (error) continue;
      for (const auto& entry : found) {
        const Address address(entry.endpoint().address().to_string(), entry.endpoint().port());
        if (std::find(addresses.begin(), addresses.end(), address) == addresses.end())
          addresses.push_back(address);
      }
    }
    if (addresses.size() > kMaxOthers) addresses.resize(kMaxOthers);
    co_return addresses;
  }

  static asio::awaitable<void> Look(std::shared_ptr<Impl> self, Address address) {
    const std::optional<std::string> id = co_await AskId(self, address);
    if (self->stopped_) co_return;
    const std::int64_t now = NowMs();
    auto found = self->seen_.find(address);
    if (!id) {
      if (found != self->seen_.end() && found->second.heard) {
        found->second.heard = false;
        found->second.changed_ms = now;
      }
      co_return;
    }
    if (found == self->seen_.end()) found = self->seen_.emplace(address, Other()).first;
    Other& other = found->second;
    if (!other.heard) other.changed_ms = now;
    other.heard = true;
    other.heard_ms = now;
    other.id = *id;
    other.endpoint = {address.first, address.second};
  }

  static asio::awaitable<std::optional<std::string>> AskId(std::shared_ptr<Impl> self, Address address) {
    auto socket = std::make_shared<tcp::socket>(self->executor_);
    asio::steady_timer deadline(self->executor_, kTimeout);
    deadline.async_wait([socket](error_code error) {
      error_code ignored;
      if (!error) socket->close(ignored);
    });
    error_code error;
    const tcp::endpoint endpoint(asio::ip::make_address(address.first, error), address.second);
    if (!error) co_await socket->async_connect(endpoint, asio::redirect_error(asio::use_awaitable, error));
    // Whoever has taken the address would have a token for the asking, and everybody on the way: ids are told
    // without.
    const std::string question = "*2\r\n" + Bulk("SENTINEL") + Bulk("MYID");
    if (!error) {
      co_await asio::async_write(*socket, asio::buffer(question),
                                 asio::redirect_error(asio::use_awaitable, error));
    }
    std::string answer;
    std::optional<std::string> id;
    std::array<char, 256> buffer;
    while (!error && !id && answer.size() < kMaxAnswer) {
      const std::size_t size = co_await socket->async_read_some(
          asio::buffer(buffer), asio::redirect_error(asio::use_awaitable, error));
      answer.append(buffer.data(), size);
      id = IdIn(answer);
    }
    deadline.cancel();
    co_return id;
  }

  // What the list says until the next look. Who does not stand behind a name any more is forgotten.
  void Gather(const std::vector<Address>& addresses) {
    std::erase_if(seen_, [&addresses](const auto& item) {
      return std::find(addresses.begin(), addresses.end(), item.first) == addresses.end();
    });
    list_.clear();
    for (const auto& item : seen_) {
      const Other& other = item.second;
      const bool twice = std::any_of(list_.begin(), list_.end(),
                                     [&other](const Other& each) { return each.id == other.id; });
      if (other.id != options_.id && !twice) list_.push_back(other);
    }
  }

  asio::any_io_executor executor_;
  OthersOptions options_;
  asio::steady_timer timer_;
  std::map<Address, Other> seen_;
  std::vector<Other> list_;
  bool stopped_ = false;
};

Others::Others(asio::any_io_executor executor, OthersOptions options)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(options))) {}
Others::~Others() { Stop(); }
void Others::Start() { impl_->Start(); }
void Others::Stop() { impl_->Stop(); }
const std::vector<Other>& Others::List() const { return impl_->List(); }

}  // namespace walstitch::sentinel
