// Whose a connection on loopback is. Everybody has the address 127.0.0.1 there, and a port that says nothing;
// the kernel knows which process holds the socket.
//
// Thread-safe.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <string>

namespace walstitch::test {

class SocketOwners {
 public:
  // The process of that name is this one now.
  void Set(const std::string& name, pid_t pid);

  // The name of the process whose socket is connected from that port to that one; "test" for this very
  // process. Empty: that connection is gone, or it is nobody's that has a name. A process that was started
  // just now may connect before Set() knows of it: it is waited for, a second at most.
  std::string NameOf(uint16_t from_port, uint16_t to_port) const;

 private:
  mutable std::mutex mutex_;
  std::map<std::string, pid_t> processes_;
};

}  // namespace walstitch::test
