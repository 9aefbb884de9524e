// A program that writes through its client library's Sentinel support, unchanged: redis-py or ioredis, in a
// process of its own (tests/clients), and what it says of its writes.
//
// Not thread-safe; see Process for which thread should start it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/environment.h"
#include "tests/support/process.h"

namespace walstitch::test {

enum class ClientLibrary { kRedisPy, kIoredis };
const char* ToString(ClientLibrary library);
// "redis-py 4.3.4"; empty: it is not installed here.
std::string VersionOf(ClientLibrary library);

struct WriterTarget {
  std::string group = "shop";
  std::vector<uint16_t> sentinels;  // ports on loopback
  std::string prefix;               // of the keys
  std::string token;                // of the Sentinels
  std::string password;             // of the servers
};

class SentinelWriter {
 public:
  // Times are microseconds of the monotonic clock, as NowUs().
  struct Ack {
    std::int64_t begin_us = 0;
    std::int64_t end_us = 0;
    uint16_t port = 0;  // of the server
    std::uint64_t number = 0;
  };

  explicit SentinelWriter(ClientLibrary library) : library_(library) {}

  static std::int64_t NowUs();

  std::optional<std::string> Start(const WriterTarget& target);
  void Stop() { process_.Kill(); }

  // What was said until now, in order.
  const std::vector<Ack>& Acks();
  std::uint64_t Errors();
  const std::string& LastError() const { return last_error_; }
  std::optional<Ack> FirstAckOn(uint16_t port, std::int64_t since_us);
  std::optional<Ack> LastAckOn(uint16_t port);
  // A key that it wrote.
  std::string Key(std::uint64_t number) const { return prefix_ + std::to_string(number); }
  ClientLibrary Library() const { return library_; }
  std::string Output() const { return directory_.path() + "/output"; }

 private:
  void Read();

  ClientLibrary library_;
  std::string prefix_;
  TempDirectory directory_;
  Process process_;
  std::string rest_;  // of a line that has not ended
  std::size_t read_ = 0;
  std::vector<Ack> acks_;
  std::uint64_t errors_ = 0;
  std::string last_error_;
};

}  // namespace walstitch::test
