#include "tests/unit/node/fake_kvrocks.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <utility>

namespace walstitch::tests {

namespace {

// Takes one whole command off the front, if there is one.
std::optional<FakeKvrocks::Words> TakeCommand(std::string* buffer) {
  FakeKvrocks::Words words;
  std::size_t at = buffer->find("\r\n");
  if (at == std::string::npos || buffer->front() != '*') return std::nullopt;
  int count = std::atoi(buffer->c_str() + 1);
  at += 2;
  for (int i = 0; i < count; ++i) {
    std::size_t end = buffer->find("\r\n", at);
    if (end == std::string::npos) return std::nullopt;
    auto size = static_cast<std::size_t>(std::atoi(buffer->c_str() + at + 1));
    if (buffer->size() < end + 2 + size + 2) return std::nullopt;
    words.push_back(buffer->substr(end + 2, size));
    at = end + 2 + size + 2;
  }
  buffer->erase(0, at);
  return words;
}

}  // namespace

FakeKvrocks::FakeKvrocks(Answer answer, std::uint16_t port) : answer_(std::move(answer)) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int on = 1;
  setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(listener_, generic, size) != 0 || listen(listener_, 16) != 0 ||
      getsockname(listener_, generic, &size) != 0) {
    std::perror("fake kvrocks");
    std::abort();
  }
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { Run(); });
}

FakeKvrocks::~FakeKvrocks() {
  stop_ = true;
  thread_.join();
}

std::vector<FakeKvrocks::Words> FakeKvrocks::Commands() const {
  std::lock_guard lock(mutex_);
  return commands_;
}

std::string FakeKvrocks::Bulk(const std::string& text) {
  return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
}

void FakeKvrocks::Run() {
  std::map<int, std::string> connections;
  while (!stop_) {
    std::vector<pollfd> descriptors{{listener_, POLLIN, 0}};
    for (const auto& [descriptor, buffer] : connections) descriptors.push_back({descriptor, POLLIN, 0});
    if (poll(descriptors.data(), descriptors.size(), 5) <= 0) continue;
    if (descriptors[0].revents != 0) {
      int accepted = accept(listener_, nullptr, nullptr);
      if (accepted >= 0) connections[accepted];
    }
    for (std::size_t i = 1; i < descriptors.size(); ++i) {
      if (descriptors[i].revents == 0) continue;
      int descriptor = descriptors[i].fd;
      char bytes[4096];
      ssize_t got = recv(descriptor, bytes, sizeof bytes, 0);
      bool open = got > 0;
      std::string& buffer = connections[descriptor];
      if (open) buffer.append(bytes, static_cast<std::size_t>(got));
      while (open) {
        auto words = TakeCommand(&buffer);
        if (!words) break;
        {
          std::lock_guard lock(mutex_);
          commands_.push_back(*words);
        }
        auto answer = answer_(*words);
        if (answer && !answer->empty()) {
          open = send(descriptor, answer->data(), answer->size(), MSG_NOSIGNAL) >= 0;
        } else if (answer) {
          open = false;
        }
      }
      if (!open) {
        close(descriptor);
        connections.erase(descriptor);
      }
    }
  }
  for (const auto& [descriptor, buffer] : connections) close(descriptor);
  close(listener_);
}

}  // namespace walstitch::tests
