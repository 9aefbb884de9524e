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
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policies/model/report.h"
#include "policies/model/result.h"
#include "policies/model/sequence.h"

namespace boost::asio::ssl {
class context;
}

namespace walstitch::node {

struct ClientOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 6666;
  std::string password;  // requirepass of the node; empty: no AUTH
  std::chrono::milliseconds timeout{1000};
  // What one new connection shall use for TLS; empty: none. Its certificate must be for `tls_name`, or for
  // the host if that is empty.
  std::function<std::shared_ptr<boost::asio::ssl::context>()> tls;
  std::string tls_name;
  const std::atomic<bool>* stop = nullptr;  // not owned; once true, a call that waits gives up soon
};

// INFO, as parsed (info.h): section-less map of field to value.
using InfoFields = std::map<std::string, std::string, std::less<>>;

// One answer of the server, as it came.
struct NodeReply {
  enum class Kind {
    kNil,
    kText,
    kNumber,
    kList,
    kError,     // the server's own word: text
    kTooLarge,  // it was not read to its end, and the connection was given up
  };
  Kind kind = Kind::kNil;
  std::string text;
  std::int64_t number = 0;
  std::vector<NodeReply> list;
};

using NodeCommand = std::vector<std::string>;

class KvrocksClient {
 public:
  explicit KvrocksClient(ClientOptions options);
  ~KvrocksClient();
  KvrocksClient(KvrocksClient&&) noexcept;
  KvrocksClient& operator=(KvrocksClient&&) noexcept;

  Result<InfoFields> Info();  // within the options' timeout
  Result<InfoFields> Info(std::chrono::milliseconds timeout);
  Result<std::optional<std::string>> ConfigGet(std::string_view name);
  Result<void> ConfigSet(const std::string& name, const std::string& value,
                         std::chrono::milliseconds timeout);
  Result<void> SlaveOf(const Endpoint& master, std::chrono::milliseconds timeout);
  // The same on a connection that is made for it, with the password and SLAVEOF written in one go: a server
  // that hangs finds both in its socket when it goes on.
  Result<void> SlaveOfAtOnce(const Endpoint& master, std::chrono::milliseconds timeout);
  Result<void> SlaveOfNoOne(std::chrono::milliseconds timeout);
  // CLIENT KILL: closes the connections of all clients but this one; replicas and masters are none.
  Result<void> DropClients(std::chrono::milliseconds timeout);

  // APPLYBATCH: the batch's records, under the node's own numbers, in one write. kConflict: it does not take
  // it, and says why.
  Result<void> ApplyBatch(std::string_view batch, std::chrono::milliseconds timeout);

  // POLLUPDATES: batches that follow `after` (their sequences > after), raw bytes.
  struct Updates {
    Sequence latest;
    std::vector<std::string> batches;
    Sequence next;  // feed back as `after`
  };
  Result<Updates> PollUpdates(Sequence after, std::uint32_t max_batches);

  struct SendOptions {
    std::chrono::milliseconds timeout{1000};  // of all together
    std::uint64_t max_reply_bytes = std::uint64_t{1} << 30;
    // Only on this connection (see Connection()): kIo, and nothing is sent, if it is there no more. What
    // WATCH guards on one connection is not guarded on the next.
    std::optional<std::uint64_t> connection{};
  };
  // Any commands, sent in one go; the answers in their order. An error that the server answers is a reply.
  // There are fewer replies than commands only if the last one is kTooLarge: then nothing is known of the
  // later ones.
  Result<std::vector<NodeReply>> Send(const std::vector<NodeCommand>& commands, const SendOptions& options);

  // Drops the connection: an answer came that was not asked for. The next call makes another.
  void Disconnect();

  // A number for the connection that the next call would use; 0: there is none, it would make one.
  [[nodiscard]] std::uint64_t Connection();

  // The socket, to be watched for its end between calls; -1 if there is none. Never read from it.
  [[nodiscard]] int Descriptor() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace walstitch::node
