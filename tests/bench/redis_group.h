// What discovery is measured against: Redis itself, a master and a replica, and Redis Sentinel beside them.
// All three are one program of Debian's redis-tools, called by different names.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "tests/support/environment.h"
#include "tests/support/process.h"
#include "tests/support/redis_client.h"
#include "tests/support/redis_sentinel.h"

namespace walstitch::bench {

// Not thread-safe; see Process for which thread should use it. The methods return the text of the error, if
// any.
class RedisGroup {
 public:
  static constexpr const char* kName = "bench";

  RedisGroup();
  ~RedisGroup();
  RedisGroup(const RedisGroup&) = delete;
  RedisGroup& operator=(const RedisGroup&) = delete;

  std::string Version();
  std::optional<std::string> Start();
  uint16_t Port(std::size_t node) const { return ports_[node]; }
  uint16_t SentinelPort() const { return sentinel_.Port(); }
  test::RedisClient Client(std::size_t node) const { return test::RedisClient(ports_[node]); }
  test::RedisClient Sentinel() const;
  void Kill(std::size_t node) { servers_[node].Kill(); }
  // As what Sentinel would make of it after some 10 s: a replica of the other.
  std::optional<std::string> StartAsReplica(std::size_t node);
  // Sentinel knows this master, and a replica of it that it would promote.
  std::optional<std::string> WaitReady(std::size_t master);
  // Sentinel takes this one for the master.
  std::optional<std::string> WaitSwitched(std::size_t master);
  std::string Log() const { return sentinel_.Log(); }

 private:
  std::optional<std::string> StartServer(std::size_t node, bool replica);

  test::TempDirectory directory_;
  uint16_t ports_[2];
  test::Process servers_[2];
  test::RedisSentinel sentinel_;
};

}  // namespace walstitch::bench
