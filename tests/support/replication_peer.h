// Stand-ins for one side of Kvrocks' replication, for tests.
//
// RawConnection speaks bytes to a node. StandInMaster is an upstream that a node
// may follow: it answers the handshake, accepts PSYNC (or not), and sends only
// what the test tells it to. RawBatch builds batches as RocksDB lays them out,
// without RocksDB.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace walstitch::test {

// Not thread-safe.
class RawConnection {
 public:
  explicit RawConnection(uint16_t port) : RawConnection("127.0.0.1", port) {}
  RawConnection(const std::string& address, uint16_t port);
  explicit RawConnection(int fd) : fd_(fd) {}
  ~RawConnection();
  RawConnection(RawConnection&& other) noexcept;
  RawConnection(const RawConnection&) = delete;
  RawConnection& operator=(const RawConnection&) = delete;

  bool IsOpen() const { return fd_ >= 0; }
  bool Send(std::string_view bytes);
  // As a RESP array.
  bool SendCommand(const std::vector<std::string>& arguments);
  // A line without its CRLF; nothing on timeout or at the end.
  std::optional<std::string> ReadLine(std::chrono::milliseconds timeout = std::chrono::seconds(10));
  // The content of the next `$len` frame.
  std::optional<std::string> ReadFrame(std::chrono::milliseconds timeout = std::chrono::seconds(10));
  std::optional<std::string> ReadBytes(size_t count,
                                       std::chrono::milliseconds timeout = std::chrono::seconds(10));
  // One request as an array of bulks.
  std::optional<std::vector<std::string>> ReadRequest(
      std::chrono::milliseconds timeout = std::chrono::seconds(10));
  // True if the other side closes within `timeout`; bytes before that are lost.
  bool WaitClosed(std::chrono::milliseconds timeout);

 private:
  // False on timeout or at the end of the stream.
  bool More(std::chrono::steady_clock::time_point deadline);

  int fd_ = -1;
  bool is_closed_ = false;
  std::string buffer_;
};

// Frames as a master sends them.
std::string Frame(std::string_view bytes);
std::string Heartbeat();

class RawBatch {
 public:
  RawBatch& Put(uint32_t family, std::string_view key, std::string_view value);
  RawBatch& Delete(uint32_t family, std::string_view key);
  RawBatch& LogData(std::string_view text);
  // With a header; the sequence in it is ignored by whoever applies it.
  std::string Bytes(uint64_t sequence = 0) const;

 private:
  std::string records_;
  uint32_t count_ = 0;
};

// `count` no-op records and a marker: how a node's sequence is advanced.
std::string PaddingBatch(uint32_t count, std::string_view marker);

struct BatchHeader {
  uint64_t sequence = 0;
  uint32_t count = 0;
};
BatchHeader ReadBatchHeader(std::string_view bytes);
std::string FromHex(std::string_view hex);

// An upstream. Its thread serves one connection after the other; the methods may
// be called from the test's thread.
class StandInMaster {
 public:
  struct Options {
    std::string db_name = "walstitch.test";
    std::string password;              // expected from the node, if not empty
    std::string psync_answer = "+OK";  // anything else makes a Kvrocks full-sync
    bool heartbeats = true;
  };

  explicit StandInMaster(Options options);
  StandInMaster() : StandInMaster(Options()) {}
  ~StandInMaster();
  StandInMaster(const StandInMaster&) = delete;
  StandInMaster& operator=(const StandInMaster&) = delete;

  uint16_t port() const { return port_; }
  // Connections whose PSYNC was answered, so far.
  int accepted() const { return accepted_; }
  bool WaitAccepted(int count, std::chrono::milliseconds timeout = std::chrono::seconds(20)) const;
  // Sends to the node that is connected; false if none is.
  bool Send(const std::string& bytes);
  // Closes the node's connection.
  void Drop();
  // Every request of every connection so far, in order.
  std::vector<std::vector<std::string>> Requests() const;
  // AUTH requests of the latest connection that reached PSYNC.
  int AuthsOfLastConnection() const { return auths_; }

 private:
  void Serve();
  void ServeConnection(int fd);

  const Options options_;
  uint16_t port_;
  int listener_ = -1;
  std::atomic<bool> stop_{false};
  std::atomic<int> accepted_{0};
  std::atomic<int> auths_{0};
  mutable std::mutex mutex_;
  int node_fd_ = -1;
  std::vector<std::vector<std::string>> requests_;
  std::thread thread_;
};

}  // namespace walstitch::test
