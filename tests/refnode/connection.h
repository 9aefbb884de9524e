// One client: its socket and what the protocol remembers about it.
//
// A connection's thread owns everything here except what is atomic or const
// after construction; other threads may only shut its socket down.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "resp.h"
#include "socket.h"

namespace walstitch::refnode {

struct Connection {
  explicit Connection(Socket connected) : socket(std::move(connected)) {
    peer_ip = socket.PeerAddress(&peer_port);
  }

  std::string AnnouncedIp() const { return announced_ip.empty() ? peer_ip : announced_ip; }

  Socket socket;
  uint64_t id = 0;
  std::string peer_ip;
  uint16_t peer_port = 0;
  std::string name;

  std::string ns;  // empty until authenticated
  bool is_admin = false;

  bool in_multi = false;
  bool in_exec = false;
  bool multi_failed = false;
  std::vector<Args> queued;

  std::set<std::string> watched;
  std::atomic<bool> watched_changed{false};

  uint16_t listening_port = 0;  // as `replconf` announced it
  std::string announced_ip;

  bool close_after_reply = false;
  // The connection that controls faults is not subject to them.
  std::atomic<bool> is_control{false};
  // Set by PSYNC and the fetch commands: what the connection's thread does from
  // then on instead of reading commands. The connection closes when it returns.
  std::function<void()> takeover;
  std::atomic<bool> is_replica{false};
  std::atomic<bool> is_subscriber{false};
  std::atomic<bool> finished{false};
};

}  // namespace walstitch::refnode
