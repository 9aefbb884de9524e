// The relay: the only upstream that a node ever has. It listens on loopback, speaks the master's side
// of Kvrocks' replication protocol to its node, and the replica's side to the node's real upstream.
//
// It is aware of frames: it always knows the node's next sequence, changes upstream between two frames
// while the node's connection stays open, and forwards no batch that does not start at the sequence it
// expects. It starts in `parked` and falls back to it by itself; every other state is commanded.
//
// Runs on one executor (an io_context that one thread runs): call every method from there. Buffers are
// of fixed size; a slow node slows the reading, never grows memory.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agents/relay/connection.h"
#include "agents/relay/listener.h"
#include "policies/model/command.h"
#include "policies/model/report.h"
#include "policies/model/result.h"

namespace walstitch::relay {

struct RelayOptions {
  std::string listen_host = "127.0.0.1";
  std::uint16_t listen_port = 0;      // 0: a free port, see Port()
  std::string node_password;          // what the node's masterauth must be; empty: anything
  std::size_t max_connections = 256;  // to the listener
  SessionLimits limits;               // of those who have not said yet what they want
  // What `_db_name` answers: must equal the node's db-name. Empty: not known yet, the answer waits for it.
  std::string database_name = "change.me.db";
  TlsContexts node_tls;             // for a node that speaks TLS to its relay; empty: it must not
  std::uint16_t upstream_port = 0;  // of the upstreams' hosts, that is dialled; 0: as commanded
  TlsContexts upstream_tls;         // towards the upstreams' servers; empty: in plain
  std::string upstream_tls_name;    // what their certificates must be for; empty: the host that is dialled
  std::string upstream_password;    // AUTH towards the upstream's server; empty: none
  std::uint16_t announce_port = 0;  // replconf listening-port towards the upstream: the node's own
  std::string announce_host;        // replconf ip-address; empty: not sent
  std::chrono::milliseconds connect_timeout{3000};
  std::chrono::milliseconds handshake_timeout{3000};
  std::chrono::milliseconds heartbeat_interval{2000};
  std::chrono::milliseconds reconnect_interval{200};  // towards an upstream that went away
};

// Since the relay started; what RelayReport counts is not here again.
struct RelayCounts {
  std::uint64_t reconnects = 0;       // to an upstream that was followed, and went away
  std::uint64_t batches_refused = 0;  // that were damaged, out of sequence, or of another history
  std::uint64_t parked_itself = 0;    // because it could not go on, and not by a command
};

class Relay {
 public:
  // `changed` is called (on the executor) after every change of state, for reports.
  Relay(boost::asio::any_io_executor executor, RelayOptions options, std::function<void()> changed);
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  // Binds and accepts. An Error if the port cannot be had.
  Result<void> Start();
  // Closes everything; idempotent. The destructor calls it.
  void Stop();

  [[nodiscard]] std::uint16_t Port() const;
  [[nodiscard]] RelayReport Report() const;
  [[nodiscard]] RelayCounts Counts() const;
  // Of those who connect to it: the node, and strangers.
  [[nodiscard]] ListenerCounts Listened() const;

  void SetDatabaseName(std::string name);

  // Drop the upstream, keep the node on heartbeats. Immediate.
  void Park();

  // Like Park, but the node is not ours to feed (master or released): state idle. A node that connects
  // nevertheless gets heartbeats, as when parked.
  void Idle();

  // Waits until the node's replication connection stands, and gives its next sequence.
  boost::asio::awaitable<Result<Sequence>> WaitAttached(std::chrono::milliseconds timeout);

  // Parked -> padding -> parked: sends exactly [expected_next, target) as no-op records. Fails, having
  // sent nothing, unless parked, attached, and at expected_next. When it returns, all was written to
  // the node's socket; the caller reads the node's sequence back.
  boost::asio::awaitable<Result<void>> Pad(PadAction action, std::chrono::milliseconds timeout);

  // Parked -> rescuing -> parked: sends exactly these batches, in order. Fails, having sent nothing, unless
  // parked, attached, at expected_next, and the batches (count > 0) follow each other from there without a
  // gap. When it returns, all was written to the node's socket; the caller reads the node's sequence back.
  boost::asio::awaitable<Result<void>> Feed(Sequence expected_next, std::vector<std::string> batches,
                                            std::chrono::milliseconds timeout);

  // Connect to the upstream, PSYNC at the node's next (waits for the node to attach), and forward. Ok
  // once the upstream said +OK; afterwards the relay reconnects by itself when the link breaks, and
  // parks with Report().error set if the upstream refuses. On failure: parked, the node never hears.
  boost::asio::awaitable<Result<void>> Follow(FollowAction action, std::chrono::milliseconds timeout);

  // Parked -> splicing: connect to the upstream, and replay what it wrote after the fork (splicer.h). Fails,
  // having sent nothing, unless parked, attached, and at expected_next. Gives the sequence at which the
  // numbers have met, once all before it was written to the node's socket; there everything waits for
  // FollowOn: the caller reads the node's sequence back. On failure: parked, and the node may hold a part of
  // the replay.
  boost::asio::awaitable<Result<Sequence>> Splice(SpliceAction action, std::chrono::milliseconds timeout);
  // Splicing, the numbers having met at that sequence -> following. Fails if that is so no more.
  Result<void> FollowOn(Sequence met);

  // Refuse the node's PSYNC once and pass its full-sync dialogue through to the upstream, then follow
  // it. Ok once the dialogue has begun (the node asked for _fetch_meta).
  boost::asio::awaitable<Result<void>> FullSync(FullSyncAction action, std::chrono::milliseconds timeout);

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace walstitch::relay
