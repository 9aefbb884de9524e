#include "tests/support/socket_owner.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <filesystem>
#include <optional>
#include <system_error>

#include "tests/support/environment.h"

namespace walstitch::test {
namespace {

namespace fs = std::filesystem;

// Asked for one socket and not for the table: tests leave thousands of closed connections there.
std::optional<uint32_t> InodeOf(uint16_t from_port, uint16_t to_port) {
  const int fd = ::socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
  if (fd < 0) return std::nullopt;
  struct {
    nlmsghdr header;
    inet_diag_req_v2 body;
  } request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.header.nlmsg_flags = NLM_F_REQUEST;
  request.body.sdiag_family = AF_INET;
  request.body.sdiag_protocol = IPPROTO_TCP;
  request.body.idiag_states = ~0U;
  request.body.id.idiag_sport = htons(from_port);
  request.body.id.idiag_dport = htons(to_port);
  request.body.id.idiag_src[0] = request.body.id.idiag_dst[0] = htonl(INADDR_LOOPBACK);
  request.body.id.idiag_cookie[0] = request.body.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
  struct {
    nlmsghdr header;
    inet_diag_msg body;
    char more[1024];
  } answer{};
  ssize_t got = -1;
  if (::send(fd, &request, sizeof request, 0) == static_cast<ssize_t>(sizeof request)) {
    got = ::recv(fd, &answer, sizeof answer, 0);
  }
  ::close(fd);
  if (got < static_cast<ssize_t>(sizeof answer.header + sizeof answer.body) ||
      answer.header.nlmsg_type != SOCK_DIAG_BY_FAMILY || answer.body.idiag_inode == 0) {
    return std::nullopt;  // no such connection, or it is nobody's any more
  }
  return answer.body.idiag_inode;
}

bool Holds(pid_t pid, uint32_t inode) {
  const std::string wanted = "socket:[" + std::to_string(inode) + "]";
  std::error_code error;
  for (fs::directory_iterator entry("/proc/" + std::to_string(pid) + "/fd", error), end;
       !error && entry != end; entry.increment(error)) {
    std::error_code gone;
    if (fs::read_symlink(entry->path(), gone) == wanted) return true;
  }
  return false;
}

}  // namespace

void SocketOwners::Set(const std::string& name, pid_t pid) {
  std::lock_guard lock(mutex_);
  processes_[name] = pid;
}

std::string SocketOwners::NameOf(uint16_t from_port, uint16_t to_port) const {
  std::string name;
  Eventually(std::chrono::seconds(1), [&] {
    const std::optional<uint32_t> inode = InodeOf(from_port, to_port);
    if (!inode) return true;
    std::map<std::string, pid_t> processes;
    {
      std::lock_guard lock(mutex_);
      processes = processes_;
    }
    processes.emplace("test", ::getpid());
    for (const auto& [candidate, pid] : processes) {
      if (!Holds(pid, *inode)) continue;
      name = candidate;
      return true;
    }
    return false;
  });
  return name;
}

}  // namespace walstitch::test
