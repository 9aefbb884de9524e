// One connection that the node made to the relay: its replication connection, or one of those that a
// full sync is fetched over. Answers the replica's handshake, then either feeds the node whole frames and
// heartbeats, or splices the connection to the upstream.
//
// Whoever connects is a stranger until it has a role: the node's replication connection, or one that a full
// sync is fetched over. A stranger has limits of time and size (SessionLimits), and its place is given to
// another when all are taken; who has a role has none of these.
//
// Feeding: the session has one outgoing buffer of fixed size and one task that writes it. Whoever has
// something for the node waits until the buffer is free, and puts it in. What is in is written to its
// end whatever happens to the one who put it there, so that a heartbeat, or another upstream's frame,
// never lands in the middle of a frame; and nobody but the session ever waits for a node that is stuck.
//
// One executor, no locks. Kept alive by its own tasks; ends by Close() or by the node.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agents/relay/connection.h"
#include "agents/relay/heartbeat_rule.h"
#include "agents/relay/listener.h"
#include "agents/relay/resp_reader.h"
#include "policies/model/report.h"
#include "policies/model/sequence.h"

namespace walstitch::relay {

// Frames of up to this many bytes are held whole before the node sees any of it; see upstream_session.h.
inline constexpr std::size_t kFrameBufferBytes = (std::size_t{1} << 20) + 64;

class NodeSession;

// What a session asks of the relay.
class NodeSessionOwner {
 public:
  enum class PsyncAnswer {
    kAccept,
    kRefuse,
    kTaken,  // another connection is the node's, and stands
  };

  virtual ~NodeSessionOwner() = default;
  [[nodiscard]] virtual std::string DatabaseName() const = 0;
  // For a node that speaks TLS; empty: it must not.
  [[nodiscard]] virtual const TlsContexts& NodeTls() const = 0;
  // What a node's AUTH has to say; empty: anything.
  [[nodiscard]] virtual const std::string& NodePassword() const = 0;
  // It is sent away.
  virtual void OnRefused(Refused why) = 0;
  // Whether the session may say a command as long as `_fetch_file` can be.
  virtual bool OnLongCommand(NodeSession& session) = 0;
  // kAccept: the session is the node's replication connection from now on.
  virtual PsyncAnswer OnPsync(const std::shared_ptr<NodeSession>& session, Sequence next) = 0;
  // Where to fetch from, or nullopt: no full sync is decided.
  virtual std::optional<Endpoint> OnFetch(NodeSession& session, bool meta) = 0;
  // So much of a full sync passed; no more before the time that it gives.
  virtual SteadyTime OnFetched(std::uint64_t bytes) = 0;
  // The node says that it has applied everything up to and including `last` (2.14 on).
  virtual void OnNodeAck(NodeSession& session, Sequence last) = 0;
  virtual void OnSessionEnd(NodeSession& session) = 0;
  // Connects to an endpoint and passes AUTH, if there is a password.
  virtual boost::asio::awaitable<Result<void>> Dial(std::shared_ptr<Connection> connection,
                                                    Endpoint upstream) = 0;
};

class NodeSession : public std::enable_shared_from_this<NodeSession> {
 public:
  NodeSession(boost::asio::ip::tcp::socket socket, std::chrono::milliseconds heartbeat_interval,
              SessionLimits limits, bool opened_during_fetch);

  // Serves the connection until it ends.
  static boost::asio::awaitable<void> Run(std::shared_ptr<NodeSession> self,
                                          std::shared_ptr<NodeSessionOwner> owner);

  void Close();
  [[nodiscard]] bool Closed() const { return connection_->Closed(); }

  // It has a role, or had one.
  [[nodiscard]] bool HasRole() const { return feeding_ || upstream_ != nullptr; }
  // It has said a whole command.
  [[nodiscard]] bool Spoke() const { return spoke_; }
  [[nodiscard]] bool OnLoopback() const { return connection_->OnLoopback(); }
  // It was granted a long command.
  [[nodiscard]] bool Long() const { return long_; }

  // A full sync is fetched over this connection.
  [[nodiscard]] bool Fetching() const { return upstream_ != nullptr; }
  // The node opened this connection while its `_fetch_meta` connection stood (full_sync.h).
  [[nodiscard]] bool OpenedDuringFetch() const { return opened_during_fetch_; }

  // Feeding. True: the buffer is free. False: closed, the deadline passed, or Wake() was called.
  boost::asio::awaitable<bool> WaitFree(SteadyTime deadline);
  [[nodiscard]] bool Free() const { return !Closed() && out_size_ == 0; }
  // Precondition: Free(), at most kFrameBufferBytes. `ends_frame` false: more of this frame follows, and
  // nothing else may be sent before it.
  void Put(std::string_view bytes, bool ends_frame);
  // Part of a frame is with the node, and the rest is not put yet.
  [[nodiscard]] bool MidFrame() const { return mid_frame_; }
  // Whoever waits in WaitFree looks again.
  void Wake() { free_.Notify(); }

 private:
  static boost::asio::awaitable<void> Feed(std::shared_ptr<NodeSession> self);
  boost::asio::awaitable<void> Serve(std::shared_ptr<NodeSessionOwner> owner);
  // When it is sent away unless it has said more.
  [[nodiscard]] SteadyTime Deadline() const;
  boost::asio::awaitable<void> SendAway(std::shared_ptr<NodeSessionOwner> owner, Refused why,
                                        std::string error);
  boost::asio::awaitable<bool> Sync(std::shared_ptr<NodeSessionOwner> owner, RespCommand command);
  // False: the conversation is over.
  boost::asio::awaitable<bool> Answer(std::shared_ptr<NodeSessionOwner> owner, RespCommand command);
  boost::asio::awaitable<bool> Reply(std::string text);
  boost::asio::awaitable<void> Splice(std::shared_ptr<NodeSessionOwner> owner, Endpoint upstream,
                                      RespCommand command, bool meta);
  static boost::asio::awaitable<void> SpliceRequests(std::shared_ptr<NodeSession> self,
                                                     std::shared_ptr<Connection> upstream);

  std::shared_ptr<Connection> connection_;
  std::shared_ptr<Connection> upstream_;  // while spliced
  const std::chrono::milliseconds heartbeat_interval_;
  const SessionLimits limits_;
  const bool opened_during_fetch_;
  const SteadyTime opened_ = std::chrono::steady_clock::now();
  SteadyTime heard_ = opened_;
  bool spoke_ = false;
  bool long_ = false;
  bool tls_ = false;
  bool admitted_ = false;  // it has said the password
  RespReader reader_;

  bool feeding_ = false;
  std::vector<char> out_;  // allocated when feeding begins
  std::size_t out_size_ = 0;
  bool mid_frame_ = false;
  Event wake_;  // the feeding task: something to write
  Event free_;  // those who wait for the buffer
};

}  // namespace walstitch::relay
