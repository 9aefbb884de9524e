#include "tests/support/replication_peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <stdexcept>

#include "tests/support/environment.h"

namespace walstitch::test {
namespace {

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

bool SendAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

void AppendLittleEndian(std::string* out, uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out->push_back(static_cast<char>(value >> (8 * i)));
}

void AppendVarint(std::string* out, uint32_t value) {
  for (; value >= 0x80; value >>= 7) out->push_back(static_cast<char>(value | 0x80));
  out->push_back(static_cast<char>(value));
}

void AppendString(std::string* out, std::string_view text) {
  AppendVarint(out, static_cast<uint32_t>(text.size()));
  out->append(text);
}

}  // namespace

RawConnection::RawConnection(const std::string& address, uint16_t port)
    : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in there = Loopback(port);
  ::inet_pton(AF_INET, address.c_str(), &there.sin_addr);
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(&there), sizeof there) != 0) {
    ::close(fd_);
    fd_ = -1;
  }
}

RawConnection::~RawConnection() {
  if (fd_ >= 0) ::close(fd_);
}

RawConnection::RawConnection(RawConnection&& other) noexcept
    : fd_(other.fd_), is_closed_(other.is_closed_), buffer_(std::move(other.buffer_)) {
  other.fd_ = -1;
}

bool RawConnection::Send(std::string_view bytes) { return SendAll(fd_, bytes); }

bool RawConnection::SendCommand(const std::vector<std::string>& arguments) {
  std::string request = "*" + std::to_string(arguments.size()) + "\r\n";
  for (const std::string& argument : arguments) request += Frame(argument);
  return Send(request);
}

bool RawConnection::More(std::chrono::steady_clock::time_point deadline) {
  const auto left =
      std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
  if (left.count() <= 0 || is_closed_) return false;
  pollfd entry{fd_, POLLIN, 0};
  if (::poll(&entry, 1, static_cast<int>(left.count())) <= 0) return false;
  char chunk[64 * 1024];
  const ssize_t got = ::recv(fd_, chunk, sizeof chunk, 0);
  if (got <= 0) {
    is_closed_ = true;
    return false;
  }
  buffer_.append(chunk, static_cast<size_t>(got));
  return true;
}

std::optional<std::string> RawConnection::ReadLine(std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  size_t end = 0;
  while ((end = buffer_.find("\r\n")) == std::string::npos) {
    if (!More(deadline)) return std::nullopt;
  }
  std::string line = buffer_.substr(0, end);
  buffer_.erase(0, end + 2);
  return line;
}

std::optional<std::string> RawConnection::ReadBytes(size_t count, std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (buffer_.size() < count) {
    if (!More(deadline)) return std::nullopt;
  }
  std::string bytes = buffer_.substr(0, count);
  buffer_.erase(0, count);
  return bytes;
}

std::optional<std::string> RawConnection::ReadFrame(std::chrono::milliseconds timeout) {
  const auto line = ReadLine(timeout);
  if (!line || line->empty() || line->front() != '$') return std::nullopt;
  const size_t length = std::strtoull(line->c_str() + 1, nullptr, 10);
  auto bytes = ReadBytes(length + 2, timeout);
  if (bytes) bytes->resize(length);
  return bytes;
}

std::optional<std::vector<std::string>> RawConnection::ReadRequest(std::chrono::milliseconds timeout) {
  const auto line = ReadLine(timeout);
  if (!line || line->empty() || line->front() != '*') return std::nullopt;
  std::vector<std::string> arguments;
  for (size_t left = std::strtoull(line->c_str() + 1, nullptr, 10); left > 0; --left) {
    auto argument = ReadFrame(timeout);
    if (!argument) return std::nullopt;
    arguments.push_back(std::move(*argument));
  }
  return arguments;
}

bool RawConnection::WaitClosed(std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  while (More(deadline)) buffer_.clear();
  return is_closed_;
}

std::string Frame(std::string_view bytes) {
  std::string frame = "$" + std::to_string(bytes.size()) + "\r\n";
  frame.append(bytes).append("\r\n");
  return frame;
}

std::string Heartbeat() { return Frame("ping"); }

RawBatch& RawBatch::Put(uint32_t family, std::string_view key, std::string_view value) {
  records_.push_back(family == 0 ? 0x01 : 0x05);
  if (family != 0) AppendVarint(&records_, family);
  AppendString(&records_, key);
  AppendString(&records_, value);
  ++count_;
  return *this;
}

RawBatch& RawBatch::Delete(uint32_t family, std::string_view key) {
  records_.push_back(family == 0 ? 0x00 : 0x04);
  if (family != 0) AppendVarint(&records_, family);
  AppendString(&records_, key);
  ++count_;
  return *this;
}

RawBatch& RawBatch::LogData(std::string_view text) {
  records_.push_back(0x03);
  AppendString(&records_, text);
  return *this;
}

std::string RawBatch::Bytes(uint64_t sequence) const {
  std::string bytes;
  AppendLittleEndian(&bytes, sequence, 8);
  AppendLittleEndian(&bytes, count_, 4);
  return bytes + records_;
}

std::string PaddingBatch(uint32_t count, std::string_view marker) {
  RawBatch batch;
  batch.LogData(marker);
  for (uint32_t i = 0; i < count; ++i) batch.Delete(3, std::string_view("\x00\xff\xffwalstitch.pad", 16));
  return batch.Bytes();
}

BatchHeader ReadBatchHeader(std::string_view bytes) {
  BatchHeader header;
  if (bytes.size() < 12) return header;
  for (int i = 7; i >= 0; --i) {
    header.sequence = (header.sequence << 8) | static_cast<unsigned char>(bytes[static_cast<size_t>(i)]);
  }
  for (int i = 11; i >= 8; --i) {
    header.count = (header.count << 8) | static_cast<unsigned char>(bytes[static_cast<size_t>(i)]);
  }
  return header;
}

std::string FromHex(std::string_view hex) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10; };
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes.push_back(static_cast<char>(digit(hex[i]) * 16 + digit(hex[i + 1])));
  }
  return bytes;
}

StandInMaster::StandInMaster(Options options) : options_(std::move(options)), port_(PickFreePort()) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const sockaddr_in address = Loopback(port_);
  if (::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener_, 16) != 0) {
    throw std::runtime_error("can't listen on port " + std::to_string(port_));
  }
  thread_ = std::thread([this] { Serve(); });
}

StandInMaster::~StandInMaster() {
  stop_ = true;
  Drop();
  thread_.join();
  ::close(listener_);
}

void StandInMaster::Serve() {
  while (!stop_) {
    pollfd entry{listener_, POLLIN, 0};
    if (::poll(&entry, 1, 20) <= 0) continue;
    const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) continue;
    {
      std::lock_guard lock(mutex_);
      node_fd_ = fd;
    }
    ServeConnection(fd);
    std::lock_guard lock(mutex_);
    node_fd_ = -1;
  }
}

void StandInMaster::ServeConnection(int fd) {
  RawConnection node(fd);
  int auths = 0;
  bool is_streaming = false;
  auto last_beat = std::chrono::steady_clock::now();
  while (!stop_) {
    if (is_streaming) {
      // A replica sends nothing any more, except newer ones: acknowledgements.
      if (node.WaitClosed(std::chrono::milliseconds(20))) return;
      const auto now = std::chrono::steady_clock::now();
      if (options_.heartbeats && now - last_beat > std::chrono::milliseconds(500)) {
        last_beat = now;
        Send(Heartbeat());
      }
      continue;
    }
    const auto request = node.ReadRequest(std::chrono::seconds(5));
    if (!request || request->empty()) return;
    {
      std::lock_guard lock(mutex_);
      requests_.push_back(*request);
    }
    const std::string& name = request->front();
    if (name == "AUTH") {
      ++auths;
      node.Send(request->size() == 2 && (*request)[1] == options_.password ? "+OK\r\n"
                                                                           : "-ERR Invalid password\r\n");
    } else if (name == "_db_name") {
      node.Send(options_.db_name + "\r\n");
    } else if (name == "PSYNC") {
      auths_ = auths;
      node.Send(options_.psync_answer + "\r\n");
      is_streaming = options_.psync_answer == "+OK";
      ++accepted_;
    } else if (name == "_fetch_meta" || name == "_fetch_file") {
      node.Send("-can't create db checkpoint\r\n");
    } else {
      node.Send("+OK\r\n");
    }
  }
}

bool StandInMaster::WaitAccepted(int count, std::chrono::milliseconds timeout) const {
  return Eventually(timeout, [&] { return accepted_ >= count; });
}

bool StandInMaster::Send(const std::string& bytes) {
  std::lock_guard lock(mutex_);
  return node_fd_ >= 0 && SendAll(node_fd_, bytes);
}

void StandInMaster::Drop() {
  std::lock_guard lock(mutex_);
  if (node_fd_ >= 0) ::shutdown(node_fd_, SHUT_RDWR);
}

std::vector<std::vector<std::string>> StandInMaster::Requests() const {
  std::lock_guard lock(mutex_);
  return requests_;
}

}  // namespace walstitch::test
