#include "tests/support/redis_sentinel.h"

#include <filesystem>
#include <fstream>
#include <iterator>

namespace walstitch::test {

namespace fs = std::filesystem;

std::string RedisSentinel::Binary() {
  for (const char* path : {"/usr/bin/redis-sentinel", "/usr/bin/redis-check-rdb"}) {
    if (fs::exists(path)) return path;
  }
  return "";
}

std::optional<std::string> RedisSentinel::Start(const std::map<std::string, uint16_t>& masters) {
  const std::string binary = directory_.path() + "/redis-sentinel";
  fs::create_symlink(Binary(), binary);
  std::ofstream config(directory_.path() + "/sentinel.conf");
  config << "port " << port_ << "\nbind 127.0.0.1\ndaemonize no\ndir " << directory_.path() << "\n";
  for (const auto& [name, port] : masters) {
    config << "sentinel monitor " << name << " 127.0.0.1 " << port << " 1\nsentinel down-after-milliseconds "
           << name << " 1000\nsentinel failover-timeout " << name << " 10000\nsentinel parallel-syncs "
           << name << " 1\n";
  }
  config.close();
  return process_.Start({binary, directory_.path() + "/sentinel.conf"}, directory_.path() + "/output");
}

std::string RedisSentinel::Log() const {
  std::ifstream file(directory_.path() + "/output");
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace walstitch::test
