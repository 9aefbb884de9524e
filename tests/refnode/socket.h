// Plain blocking sockets, owned by Socket.
//
// Every call may be interrupted from another thread by ShutDown(), which makes
// it fail; only the owner closes the descriptor.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace walstitch::refnode {

class Socket {
 public:
  Socket() = default;
  explicit Socket(int fd) : fd_(fd) {}
  ~Socket() { Close(); }
  Socket(Socket&& other) noexcept : fd_(other.fd_.exchange(-1)) {}
  Socket& operator=(Socket&& other) noexcept;
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  bool IsOpen() const { return fd_.load() >= 0; }
  int fd() const { return fd_.load(); }

  bool SendAll(std::string_view bytes) const;
  // Bytes received, 0 at the end of the stream, -1 on error.
  ssize_t Receive(char* buffer, size_t size) const;
  // Waits until there is something to receive, or the stream ended.
  // 1 yes, 0 timed out, -1 error.
  int WaitReadable(int timeout_ms) const;
  void ShutDown() const;
  void Close();

  std::string PeerAddress(uint16_t* port) const;

 private:
  std::atomic<int> fd_{-1};
};

// An open connection, or the reason why there is none.
Socket ConnectTcp(const std::string& host, uint16_t port, int timeout_ms, std::string* error);
Socket ListenTcp(const std::string& address, uint16_t port, std::string* error);

}  // namespace walstitch::refnode
