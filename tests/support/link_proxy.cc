#include "tests/support/link_proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <stdexcept>

#include "tests/support/environment.h"

namespace walstitch::test {
namespace {

// Of each direction; then the sender feels it, as it would of a full window.
constexpr size_t kMaxQueued = 256 << 10;
// How often a target that does not listen yet is looked at.
constexpr std::chrono::milliseconds kLook{2};

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int NewSocket() { return ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0); }

void SetOption(int fd, int level, int name, int value) {
  ::setsockopt(fd, level, name, &value, sizeof value);
}

bool WouldBlock() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR || errno == ENOTCONN; }

// The other side has closed, or will send nothing more.
bool IsGivenUp(int fd) {
  pollfd entry{fd, POLLRDHUP, 0};
  return ::poll(&entry, 1, 0) > 0;
}

}  // namespace

LinkProxy::LinkProxy(uint16_t target, CallerOf caller_of)
    : target_(target),
      caller_of_(std::move(caller_of)),
      port_(PickFreePort()),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  Listen();
  thread_ = std::thread([this] { Run(); });
}

LinkProxy::~LinkProxy() {
  stop_ = true;
  Wake();
  thread_.join();
  for (Connection& connection : connections_) Close(connection, true);
  if (listener_ >= 0) ::close(listener_);
  ::close(wake_);
}

void LinkProxy::Wake() const {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wake_, &one, sizeof one);
}

void LinkProxy::Cut(const std::string& caller) {
  std::lock_guard lock(mutex_);
  rules_[caller].is_cut = true;
  Wake();
}

void LinkProxy::Heal(const std::string& caller) {
  std::lock_guard lock(mutex_);
  rules_[caller].is_cut = false;
  Wake();
}

void LinkProxy::Delay(std::chrono::milliseconds each_way, const std::string& caller) {
  std::lock_guard lock(mutex_);
  rules_[caller].delay = each_way;
  Wake();
}

void LinkProxy::Restore() {
  std::lock_guard lock(mutex_);
  rules_.clear();
  Wake();
}

void LinkProxy::SetListening(bool listening) {
  std::lock_guard lock(mutex_);
  shall_listen_ = listening;
  if (!listening && listener_ >= 0) {
    // Closed alone, it would listen for as long as the proxy's thread waits for it.
    ::shutdown(listener_, SHUT_RDWR);
    ::close(listener_);
    listener_ = -1;
  }
  Wake();
}

bool LinkProxy::IsListening() const {
  std::lock_guard lock(mutex_);
  return listener_ >= 0;
}

size_t LinkProxy::connections() const {
  std::lock_guard lock(mutex_);
  return connections_.size();
}

LinkProxy::Rule LinkProxy::RuleOf(const std::string& caller) const {
  Rule rule;
  for (const std::string& name : {std::string(), caller}) {
    const auto found = rules_.find(name);
    if (found == rules_.end()) continue;
    rule.is_cut = rule.is_cut || found->second.is_cut;
    rule.delay = std::max(rule.delay, found->second.delay);
  }
  return rule;
}

void LinkProxy::Listen() {
  listener_ = NewSocket();
  SetOption(listener_, SOL_SOCKET, SO_REUSEADDR, 1);
  const sockaddr_in address = Loopback(port_);
  if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener_, 128) != 0) {
    throw std::runtime_error("can't listen on port " + std::to_string(port_) + ": " + std::strerror(errno));
  }
}

bool LinkProxy::TargetListens() const {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval most{0, 100000};
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof most);
  const sockaddr_in address = Loopback(target_);
  const bool listens = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  ::close(fd);
  return listens;
}

void LinkProxy::Run() {
  std::vector<pollfd> entries;
  while (!stop_) {
    std::optional<Clock::time_point> until;
    const bool wants_to_listen = [this] {
      std::lock_guard lock(mutex_);
      return shall_listen_ && listener_ < 0;
    }();
    const bool may_listen = wants_to_listen && TargetListens();
    {
      std::lock_guard lock(mutex_);
      if (may_listen && shall_listen_ && listener_ < 0) Listen();
      Clock::time_point earliest = Clock::time_point::max();
      entries.clear();
      Prepare(&entries, &earliest);
      if (shall_listen_ && listener_ < 0) earliest = std::min(earliest, Clock::now() + kLook);
      if (earliest != Clock::time_point::max()) until = earliest;
    }
    int timeout_ms = -1;
    if (until) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(*until - Clock::now());
      timeout_ms = static_cast<int>(std::max<int64_t>(0, left.count()));
    }
    ::poll(entries.data(), entries.size(), timeout_ms);
    uint64_t woken = 0;
    [[maybe_unused]] const ssize_t got = ::read(wake_, &woken, sizeof woken);
    Accept();
    std::lock_guard lock(mutex_);
    Move(Clock::now());
  }
}

void LinkProxy::Prepare(std::vector<pollfd>* entries, Clock::time_point* until) {
  entries->push_back({wake_, POLLIN, 0});
  if (listener_ >= 0) entries->push_back({listener_, POLLIN, 0});
  const Clock::time_point now = Clock::now();
  for (const Connection& connection : connections_) {
    // Not even looked at: poll() tells of an end whether it is asked or not.
    if (connection.server < 0 || RuleOf(connection.caller).is_cut) continue;
    for (const Pipe* pipe : {&connection.up, &connection.down}) {
      if (!pipe->ended && pipe->queued < kMaxQueued) entries->push_back({pipe->from, POLLIN, 0});
      if (!pipe->chunks.empty()) {
        if (pipe->chunks.front().due <= now) {
          entries->push_back({pipe->to, POLLOUT, 0});
        } else {
          *until = std::min(*until, pipe->chunks.front().due);
        }
      } else if (pipe->ended && !pipe->told) {
        *until = std::min(*until, pipe->ended_due);
      }
    }
  }
}

void LinkProxy::Accept() {
  while (!stop_) {
    int fd = -1;
    sockaddr_in peer{};
    {
      std::lock_guard lock(mutex_);
      if (listener_ < 0) return;
      socklen_t length = sizeof peer;
      fd = ::accept4(listener_, reinterpret_cast<sockaddr*>(&peer), &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
    }
    if (fd < 0) return;
    SetOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    // Without the lock: it may take a moment.
    std::string caller = caller_of_ ? caller_of_(ntohs(peer.sin_port), port_) : "somebody";
    if (caller.empty()) {
      ::close(fd);
      continue;
    }
    std::lock_guard lock(mutex_);
    Connection& connection = connections_.emplace_back();
    connection.caller = std::move(caller);
    connection.client = fd;
    if (!RuleOf(connection.caller).is_cut) Connect(connection);
  }
}

// The answer is waited for like everything else: until it is there a socket can neither be read nor written,
// and both say so if there is nobody.
void LinkProxy::Connect(Connection& connection) {
  connection.server = NewSocket();
  SetOption(connection.server, IPPROTO_TCP, TCP_NODELAY, 1);
  connection.up.from = connection.down.to = connection.client;
  connection.up.to = connection.down.from = connection.server;
  const sockaddr_in address = Loopback(target_);
  if (::connect(connection.server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
      errno != EINPROGRESS) {
    Close(connection, true);
  }
}

void LinkProxy::Move(Clock::time_point now) {
  for (Connection& connection : connections_) {
    const Rule rule = RuleOf(connection.caller);
    if (connection.is_over || rule.is_cut) continue;
    if (connection.server < 0) {
      if (IsGivenUp(connection.client)) {
        Close(connection, false);
        continue;
      }
      Connect(connection);
    }
    for (Pipe* pipe : {&connection.up, &connection.down}) {
      if (!connection.is_over) Read(connection, *pipe, rule.delay, now);
      if (!connection.is_over) Write(connection, *pipe, now);
    }
    if (!connection.is_over && connection.up.told && connection.down.told) Close(connection, false);
  }
  connections_.remove_if([](const Connection& connection) { return connection.is_over; });
}

void LinkProxy::Read(Connection& connection, Pipe& pipe, std::chrono::milliseconds delay,
                     Clock::time_point now) {
  while (!pipe.ended && pipe.queued < kMaxQueued) {
    char bytes[16 << 10];
    const ssize_t got = ::recv(pipe.from, bytes, sizeof bytes, 0);
    if (got < 0 && WouldBlock()) return;
    if (got < 0) {
      Close(connection, true);
      return;
    }
    if (got == 0) {
      pipe.ended = true;
      pipe.ended_due = now + delay;
      return;
    }
    pipe.chunks.push_back({now + delay, std::string(bytes, static_cast<size_t>(got))});
    pipe.queued += static_cast<size_t>(got);
  }
}

void LinkProxy::Write(Connection& connection, Pipe& pipe, Clock::time_point now) {
  while (!pipe.chunks.empty() && pipe.chunks.front().due <= now) {
    std::string& bytes = pipe.chunks.front().bytes;
    const ssize_t sent = ::send(pipe.to, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && WouldBlock()) return;
    if (sent < 0) {
      Close(connection, true);
      return;
    }
    pipe.queued -= static_cast<size_t>(sent);
    bytes.erase(0, static_cast<size_t>(sent));
    if (bytes.empty()) pipe.chunks.pop_front();
  }
  if (pipe.chunks.empty() && pipe.ended && !pipe.told && pipe.ended_due <= now) {
    ::shutdown(pipe.to, SHUT_WR);
    pipe.told = true;
  }
}

void LinkProxy::Close(Connection& connection, bool reset) {
  for (const int fd : {connection.client, connection.server}) {
    if (fd < 0) continue;
    if (reset) {
      const linger at_once{1, 0};
      ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }
    ::close(fd);
  }
  connection.client = connection.server = -1;
  connection.is_over = true;
}

}  // namespace walstitch::test
