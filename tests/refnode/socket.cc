#include "socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace walstitch::refnode {

Socket& Socket::operator=(Socket&& other) noexcept {
  if (this != &other) {
    Close();
    fd_ = other.fd_.exchange(-1);
  }
  return *this;
}

bool Socket::SendAll(std::string_view bytes) const {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

ssize_t Socket::Receive(char* buffer, size_t size) const {
  while (true) {
    const ssize_t got = ::recv(fd(), buffer, size, 0);
    if (got < 0 && errno == EINTR) continue;
    return got;
  }
}

int Socket::WaitReadable(int timeout_ms) const {
  pollfd entry{fd(), POLLIN, 0};
  const int ready = ::poll(&entry, 1, timeout_ms);
  if (ready < 0) return errno == EINTR ? 0 : -1;
  return ready;
}

void Socket::ShutDown() const {
  if (IsOpen()) ::shutdown(fd(), SHUT_RDWR);
}

void Socket::Close() {
  const int fd = fd_.exchange(-1);
  if (fd >= 0) ::close(fd);
}

std::string Socket::PeerAddress(uint16_t* port) const {
  sockaddr_in address{};
  socklen_t length = sizeof address;
  if (::getpeername(fd(), reinterpret_cast<sockaddr*>(&address), &length) != 0) return "";
  char text[INET_ADDRSTRLEN] = {};
  ::inet_ntop(AF_INET, &address.sin_addr, text, sizeof text);
  *port = ntohs(address.sin_port);
  return text;
}

Socket ConnectTcp(const std::string& host, uint16_t port, int timeout_ms, std::string* error) {
  addrinfo hints{};
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0 || found == nullptr) {
    *error = "can't resolve " + host;
    return Socket();
  }
  Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  int rc = ::connect(socket.fd(), found->ai_addr, found->ai_addrlen);
  ::freeaddrinfo(found);
  if (rc != 0 && errno == EINPROGRESS) {
    pollfd entry{socket.fd(), POLLOUT, 0};
    if (::poll(&entry, 1, timeout_ms) <= 0) {
      *error = "connection timed out";
      return Socket();
    }
    int status = 0;
    socklen_t length = sizeof status;
    ::getsockopt(socket.fd(), SOL_SOCKET, SO_ERROR, &status, &length);
    rc = status == 0 ? 0 : -1;
    errno = status;
  }
  if (rc != 0) {
    *error = std::strerror(errno);
    return Socket();
  }
  ::fcntl(socket.fd(), F_SETFL, ::fcntl(socket.fd(), F_GETFL) & ~O_NONBLOCK);
  const int on = 1;
  ::setsockopt(socket.fd(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return socket;
}

Socket ListenTcp(const std::string& address, uint16_t port, std::string* error) {
  Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(socket.fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in bound{};
  bound.sin_family = AF_INET;
  bound.sin_port = htons(port);
  if (::inet_pton(AF_INET, address.c_str(), &bound.sin_addr) != 1) {
    *error = "not an IPv4 address: " + address;
    return Socket();
  }
  if (::bind(socket.fd(), reinterpret_cast<sockaddr*>(&bound), sizeof bound) != 0 ||
      ::listen(socket.fd(), 511) != 0) {
    *error = address + ":" + std::to_string(port) + ": " + std::strerror(errno);
    return Socket();
  }
  return socket;
}

}  // namespace walstitch::refnode
