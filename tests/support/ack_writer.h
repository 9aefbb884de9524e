// A client that never stops trying, and remembers what it was told: one for each node, each of them writes to
// its node all the time, whether that is the master or not.
//
//   AckLog log;
//   AckWriter writer(log, "n1", port);
//   ...
//   writer.Stop();
//
// It writes keys of its own, one by one and in batches of five, and keys that all writers share: single keys,
// the fields of one hash, and counters. A key of its own is written again after kOwnKeys others, no sooner.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "tests/support/ack_log.h"
#include "tests/support/redis_client.h"

namespace walstitch::test {

// Whom to connect to.
struct AckTarget {
  std::string node;
  std::string host = "127.0.0.1";
  uint16_t port = 0;
};

struct AckWriterOptions {
  std::string password;
  std::string prefix;                        // of every key
  std::chrono::milliseconds timeout{500};    // of connecting, and of each answer
  std::chrono::microseconds pause{1000};     // after a write that was acknowledged
  std::chrono::microseconds patience{2000};  // after one that was refused, or got no connection
  // Whom to connect to, asked for each connection, as a client asks a Service; nullopt: nobody now. A write
  // that is refused ends the connection then. Empty: always the node it is for.
  std::function<std::optional<AckTarget>()> resolve{};
};

class AckWriter {
 public:
  static constexpr uint64_t kOwnKeys = 1 << 12;
  static constexpr int kBatch = 5;

  AckWriter(AckLog& log, std::string node, uint16_t port, AckWriterOptions options = {});
  ~AckWriter() { Stop(); }
  AckWriter(const AckWriter&) = delete;
  AckWriter& operator=(const AckWriter&) = delete;

  // All of these wait for the write that is under way.
  void Pause();
  void Resume();
  void Stop();  // for good

 private:
  void Run();
  WriteState WriteOnce(std::optional<RedisClient>* client, uint64_t n);

  AckLog& log_;
  AckTarget target_;
  const std::string node_;
  const AckWriterOptions options_;
  std::atomic<bool> stop_{false};
  std::mutex turn_;  // held for each write, and while it pauses
  std::unique_lock<std::mutex> pause_;
  std::thread thread_;
};

}  // namespace walstitch::test
