// A node and an upstream for the relay's tests: blocking sockets on loopback, every wait with a deadline.
// Written on its own, from the protocol, so that it checks the relay's parsing instead of sharing it.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "agents/relay/relay.h"

namespace walstitch::relay {

using namespace std::chrono_literals;
inline constexpr std::chrono::milliseconds kPatience = 10s;

inline std::string Batch(std::uint64_t first, std::uint32_t count, const std::string& records = "") {
  std::string batch;
  for (int i = 0; i < 8; ++i) batch.push_back(static_cast<char>(first >> (8 * i)));
  for (int i = 0; i < 4; ++i) batch.push_back(static_cast<char>(count >> (8 * i)));
  return batch + records;
}
inline std::string Framed(const std::string& body) {
  return "$" + std::to_string(body.size()) + "\r\n" + body + "\r\n";
}
inline std::string Words(const std::vector<std::string>& words) {
  std::string bytes = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string& word : words) bytes += Framed(word);
  return bytes;
}

// One end of a connection. A read that is not served in time throws, which fails the test.
class Peer {
 public:
  Peer() = default;
  explicit Peer(int descriptor) : descriptor_(descriptor) {}
  Peer(Peer&& other) noexcept { *this = std::move(other); }
  Peer& operator=(Peer&& other) noexcept {
    Close();
    descriptor_ = std::exchange(other.descriptor_, -1);
    read_ = std::move(other.read_);
    return *this;
  }
  ~Peer() { Close(); }

  static Peer Connect(std::uint16_t port, int receive_buffer = 0) {
    Peer peer(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (receive_buffer > 0) {
      ::setsockopt(peer.descriptor_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof(receive_buffer));
    }
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(peer.descriptor_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
      throw std::runtime_error("connect");
    }
    return peer;
  }

  void Close() {
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = -1;
  }

  void Send(const std::string& bytes) {
    const std::size_t sent = SendSome(bytes, kPatience);
    if (sent != bytes.size()) throw std::runtime_error("send: not taken in time");
  }
  // How many bytes were taken before nothing moved for `patience`.
  std::size_t SendSome(const std::string& bytes, std::chrono::milliseconds patience) {
    std::size_t sent = 0;
    while (sent < bytes.size()) {
      pollfd wait{descriptor_, POLLOUT, 0};
      if (::poll(&wait, 1, static_cast<int>(patience.count())) <= 0) break;
      const ssize_t size =
          ::send(descriptor_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
      if (size < 0 && errno == EAGAIN) continue;
      if (size <= 0) break;
      sent += static_cast<std::size_t>(size);
    }
    return sent;
  }

  std::string Read(std::size_t size) {
    while (read_.size() < size) {
      if (!More(kPatience)) throw std::runtime_error("read: closed, or nothing came, after " + read_);
    }
    std::string bytes = read_.substr(0, size);
    read_.erase(0, size);
    return bytes;
  }
  std::string ReadLine() {
    std::size_t end = 0;
    while ((end = read_.find("\r\n")) == std::string::npos) {
      if (!More(kPatience)) throw std::runtime_error("read line: closed, or nothing came, after " + read_);
    }
    std::string line = read_.substr(0, end);
    read_.erase(0, end + 2);
    return line;
  }
  // A frame as it stands on the wire.
  std::string ReadFrame() {
    const std::string line = ReadLine();
    if (line.empty() || line[0] != '$') throw std::runtime_error("no frame: " + line);
    return line + "\r\n" + Read(std::stoul(line.substr(1)) + 2);
  }
  std::string ReadBatchFrame() {
    while (true) {
      std::string frame = ReadFrame();
      if (frame != "$4\r\nping\r\n") return frame;
    }
  }
  std::vector<std::string> ReadCommand() {
    std::vector<std::string> words(std::stoul(ReadLine().substr(1)));
    for (std::string& word : words) {
      word = Read(std::stoul(ReadLine().substr(1)));
      Read(2);
    }
    return words;
  }
  // True: the other side has closed; what came before is left unread.
  bool ClosedWithin(std::chrono::milliseconds patience) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (std::chrono::steady_clock::now() < deadline) {
      if (!More(10ms) && closed_) return true;
    }
    return false;
  }
  // Nothing but heartbeats comes for so long.
  bool SilentFor(std::chrono::milliseconds time) {
    const auto end = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < end) More(10ms);
    std::string rest = read_;
    while (rest.rfind("$4\r\nping\r\n", 0) == 0) rest.erase(0, 10);
    return rest.empty() && !closed_;
  }

 private:
  bool More(std::chrono::milliseconds patience) {
    pollfd wait{descriptor_, POLLIN, 0};
    if (::poll(&wait, 1, static_cast<int>(patience.count())) <= 0) return false;
    std::vector<char> bytes(262144);
    const ssize_t size = ::recv(descriptor_, bytes.data(), bytes.size(), 0);
    if (size <= 0) {
      closed_ = true;
      return false;
    }
    read_.append(bytes.data(), static_cast<std::size_t>(size));
    return true;
  }

  int descriptor_ = -1;
  std::string read_;
  bool closed_ = false;
};

class Listener {
 public:
  Listener() : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    if (::bind(descriptor_, reinterpret_cast<sockaddr*>(&address), length) != 0 ||
        ::listen(descriptor_, 16) != 0 ||
        ::getsockname(descriptor_, reinterpret_cast<sockaddr*>(&address), &length) != 0) {
      throw std::runtime_error("listen");
    }
    port_ = ntohs(address.sin_port);
  }
  ~Listener() { ::close(descriptor_); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  [[nodiscard]] Endpoint At() const { return {"127.0.0.1", port_}; }
  Peer Accept(std::chrono::milliseconds patience = kPatience) {
    pollfd wait{descriptor_, POLLIN, 0};
    if (::poll(&wait, 1, static_cast<int>(patience.count())) <= 0)
      throw std::runtime_error("accept: nobody came");
    return Peer(::accept4(descriptor_, nullptr, nullptr, SOCK_CLOEXEC));
  }
  bool NobodyFor(std::chrono::milliseconds time) {
    pollfd wait{descriptor_, POLLIN, 0};
    return ::poll(&wait, 1, static_cast<int>(time.count())) == 0;
  }

 private:
  int descriptor_;
  std::uint16_t port_ = 0;
};

inline constexpr const char* kDatabase = "change.me.db";

// Answers what the relay asks a master up to PSYNC, and gives the sequence that it asks for.
inline std::string AnswerUntilPsync(Peer& peer) {
  while (true) {
    const std::vector<std::string> command = peer.ReadCommand();
    if (command[0] == "PSYNC") return command.at(1);
    peer.Send(command[0] == "_db_name" ? std::string(kDatabase) + "\r\n" : "+OK\r\n");
  }
}

// A relay that runs on its own thread.
class RelayTest : public testing::Test {
 protected:
  RelayTest() : work_(context_.get_executor()), thread_([this] { context_.run(); }) {
    options_.heartbeat_interval = 2s;
    options_.reconnect_interval = 20ms;
    options_.announce_port = 6666;
  }
  ~RelayTest() override {
    if (relay_) Do([this] { relay_->Stop(); });
    // Stopped, nothing may be left that keeps the executor busy.
    work_.reset();
    thread_.join();
  }

  // Once more: the one before is ended first, where it runs.
  void StartRelay() {
    if (relay_) Do([this] { relay_.reset(); });
    relay_ = std::make_unique<Relay>(context_.get_executor(), options_, [this] { ++changes_; });
    const Result<void> started = Call<Result<void>>([this] { return relay_->Start(); });
    ASSERT_TRUE(started.has_value()) << started.error().Message();
    port_ = Call<std::uint16_t>([this] { return relay_->Port(); });
  }

  template <typename T>
  T Call(std::function<T()> what) {
    std::promise<T> promise;
    boost::asio::post(context_, [&] { promise.set_value(what()); });
    return promise.get_future().get();
  }
  void Do(std::function<void()> what) {
    Call<bool>([&] {
      what();
      return true;
    });
  }
  template <typename T>
  std::future<T> Begin(boost::asio::awaitable<T> what) {
    return boost::asio::co_spawn(context_, std::move(what), boost::asio::use_future);
  }
  template <typename T>
  T Await(std::future<T> what) {
    if (what.wait_for(kPatience) != std::future_status::ready) {
      std::fprintf(stderr, "a command of the relay does not end\n");
      std::abort();
    }
    return what.get();
  }

  RelayReport Report() {
    return Call<RelayReport>([this] { return relay_->Report(); });
  }
  bool Eventually(const std::function<bool(const RelayReport&)>& holds) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (std::chrono::steady_clock::now() < deadline) {
      if (holds(Report())) return true;
      std::this_thread::sleep_for(2ms);
    }
    return false;
  }

  // A node's replication connection, attached at `next`.
  Peer AttachNode(std::uint64_t next, int receive_buffer = 0) {
    Peer node = Peer::Connect(port_, receive_buffer);
    node.Send(Words({"_db_name"}));
    EXPECT_EQ(node.ReadLine(), kDatabase);
    node.Send(Words({"replconf", "listening-port", "6666"}));
    EXPECT_EQ(node.ReadLine(), "+OK");
    node.Send(Words({"PSYNC", std::to_string(next)}));
    EXPECT_EQ(node.ReadLine(), "+OK");
    EXPECT_TRUE(Eventually([&](const RelayReport& report) {
      return report.node_attached && report.node_next == Sequence(next);
    }));
    return node;
  }
  std::future<Result<void>> BeginFollow(const Listener& upstream,
                                        std::optional<Sequence> expected_next = std::nullopt) {
    return Begin(relay_->Follow(FollowAction{upstream.At(), expected_next}, kPatience));
  }
  // Follows, and gives the upstream's end of the link.
  Peer Follow(Listener& upstream, std::uint64_t next) {
    std::future<Result<void>> followed = BeginFollow(upstream);
    Peer link = upstream.Accept();
    EXPECT_EQ(AnswerUntilPsync(link), std::to_string(next));
    link.Send("+OK\r\n");
    const Result<void> result = Await(std::move(followed));
    EXPECT_TRUE(result.has_value()) << result.error().Message();
    return link;
  }

  boost::asio::io_context context_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  RelayOptions options_;
  std::unique_ptr<Relay> relay_;
  std::uint16_t port_ = 0;
  int changes_ = 0;  // on the executor
  std::thread thread_;
};

}  // namespace walstitch::relay
