// What Walstitch is measured against: two nodes that replicate directly, and Redis Sentinel beside them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/environment.h"
#include "tests/support/node_server.h"
#include "tests/support/redis_sentinel.h"

namespace walstitch::bench {

// Not thread-safe; see Process for which thread should use it. The methods return the text of the error, if
// any.
class SentinelGroup {
 public:
  SentinelGroup();
  ~SentinelGroup();
  SentinelGroup(const SentinelGroup&) = delete;
  SentinelGroup& operator=(const SentinelGroup&) = delete;

  // Empty if there is none.
  static std::string Binary();
  // "7.0.15"
  std::string Version();

  std::optional<std::string> Start();
  test::NodeServer& Node(std::size_t i) { return *nodes_[i]; }
  // Sentinel knows the master, and a replica of it that it would promote; it has just said so itself.
  std::optional<std::string> WaitReady(std::size_t master);
  // Sentinel takes this one for the master, and is done with the failover.
  std::optional<std::string> WaitSwitched(std::size_t master);
  // The node that was killed comes back as what Sentinel would make of it after some 10 s: a replica of the
  // other.
  std::optional<std::string> StartAsReplica(std::size_t node);
  uint16_t SentinelPort() const { return sentinel_.Port(); }
  std::string Log() const;

 private:
  test::RedisClient Ask() const;

  std::vector<std::unique_ptr<test::NodeServer>> nodes_;
  test::RedisSentinel sentinel_;
};

}  // namespace walstitch::bench
