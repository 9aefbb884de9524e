// The agent's client to its own Kvrocks, over hiredis. Blocking, with a deadline on every call: run it
// on a worker thread, never on the executor of the relay. Not thread-safe; one per thread. Reconnects
// by itself at the next call after an error.
//
// Errors: kUnavailable, the connection was refused; kTimeout, no connection or no answer in time;
// kIo, the connection was lost or cannot be had (after kTimeout and kIo nobody knows whether the command
// was run); kConflict, the node answered with an error, which stands in the message; kInvalid, it
// refused the password; kDamaged, its answer cannot be right.
//
// hiredis writes without MSG_NOSIGNAL: the program that uses it ignores SIGPIPE.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policies/model/report.h"
#include "policies/model/result.h"
#include "policies/model/sequence.h"

namespace walstitch::node {

struct ClientOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 6666;
  std::string password;  // requirepass of the node; empty: no AUTH
  std::chrono::milliseconds timeout{1000};
  const std::atomic<bool>* stop = nullptr;  // not owned; once true, a call that waits gives up soon
};

// INFO, as parsed (info.h): section-less map of field to value.
using InfoFields = std::map<std::string, std::string, std::less<>>;

class KvrocksClient {
 public:
  explicit KvrocksClient(ClientOptions options);
  ~KvrocksClient();
  KvrocksClient(KvrocksClient&&) noexcept;
  KvrocksClient& operator=(KvrocksClient&&) noexcept;

  Result<InfoFields> Info();  // within the options' timeout
  Result<InfoFields> Info(std::chrono::milliseconds timeout);
  Result<std::optional<std::string>> ConfigGet(std::string_view name);
  Result<void> SlaveOf(const Endpoint& master, std::chrono::milliseconds timeout);
  // The same on a connection that is made for it, with the password and SLAVEOF written in one go: a server
  // that hangs finds both in its socket when it goes on.
  Result<void> SlaveOfAtOnce(const Endpoint& master, std::chrono::milliseconds timeout);
  Result<void> SlaveOfNoOne(std::chrono::milliseconds timeout);

  // POLLUPDATES: batches that follow `after` (their sequences > after), raw bytes.
  struct Updates {
    Sequence latest;
    std::vector<std::string> batches;
    Sequence next;  // feed back as `after`
  };
  Result<Updates> PollUpdates(Sequence after, std::uint32_t max_batches);

  // The socket, to be watched for its end between calls; -1 if there is none. Never read from it.
  [[nodiscard]] int Descriptor() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace walstitch::node
