// A tiny Redis-protocol server for tests of the agent: each command goes to a function that gives the
// raw answer. One thread, several connections, loopback, a free port.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace walstitch::tests {

class FakeKvrocks {
 public:
  using Words = std::vector<std::string>;
  // nullopt: no answer, and the connection stays. An empty string: the connection is closed.
  using Answer = std::function<std::optional<std::string>(const Words&)>;

  // Port 0: a free one.
  explicit FakeKvrocks(Answer answer, std::uint16_t port = 0);
  ~FakeKvrocks();
  FakeKvrocks(const FakeKvrocks&) = delete;
  FakeKvrocks& operator=(const FakeKvrocks&) = delete;

  [[nodiscard]] std::uint16_t Port() const { return port_; }
  [[nodiscard]] std::vector<Words> Commands() const;

  static std::string Bulk(const std::string& text);

 private:
  void Run();

  Answer answer_;
  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::atomic<bool> stop_{false};
  mutable std::mutex mutex_;
  std::vector<Words> commands_;
  std::thread thread_;
};

}  // namespace walstitch::tests
