// Following one upstream: the replica's side of Kvrocks' replication protocol, from the node's next
// sequence on, and again after every broken link, until it is cancelled or the upstream refuses.
//
// A run of whole frames goes from the reading buffer to the node's outgoing buffer, both of a fixed size,
// and no more is read while the node's is not free: a slow node slows the upstream, and memory stays as
// it is. A frame that fits the buffer (a mebibyte) is read whole before the node sees any of it, so an
// upstream that dies in the middle of it leaves nothing behind. A greater one is passed on in pieces; if
// its upstream dies, or the relay is told to do something else, before all of it is there, the only way
// out is to close the node's connection: it throws the piece away and is back after a second.
//
// The upstream is always asked in the old form, `PSYNC <next>`: whether the histories are one was judged
// before, by the batches themselves, and a replication id would only add a reason to refuse.
//
// One executor, no locks.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agents/relay/connection.h"
#include "agents/relay/frame_reader.h"
#include "agents/relay/node_session.h"
#include "agents/relay/splicer.h"
#include "policies/model/batch.h"
#include "policies/model/report.h"
#include "policies/model/sequence.h"

namespace walstitch::relay {

class UpstreamSession;

// What a session asks of the relay. Never called once the session is cancelled.
class UpstreamSessionOwner {
 public:
  virtual ~UpstreamSessionOwner() = default;
  // The node's replication connection, or null; what it expects next; and the event of a change in that.
  [[nodiscard]] virtual std::shared_ptr<NodeSession> Node() const = 0;
  [[nodiscard]] virtual Sequence NodeNext() const = 0;
  virtual Event& Changed() = 0;
  // So much was put into the node's outgoing buffer. `frames` may be 0, for a piece of a frame.
  virtual void OnForwarded(Sequence next, std::uint64_t frames, std::uint64_t bytes) = 0;
  virtual void OnAccepted(UpstreamSession& session) = 0;
  // Of a splice: the numbers have met, and all that comes before was written to the node. See FollowOn.
  virtual void OnMet(UpstreamSession& session) = 0;
  // The link broke, or did not come about; the session tries again.
  virtual void OnLost(UpstreamSession& session, Error error) = 0;
  // The session is over. `refused`: the upstream refused the node's PSYNC.
  virtual void OnFailed(UpstreamSession& session, Error error, bool refused) = 0;
  // What to answer when the upstream asks how far the node is.
  [[nodiscard]] virtual Sequence AckedLast() const = 0;
};

// Begin with a splice (splicer.h) at the fork.
struct SpliceOptions {
  Sequence fork;
  std::uint64_t shift = 0;
  std::string marker;
};

struct UpstreamOptions {
  Endpoint endpoint;
  std::string database_name;
  std::string password;
  std::uint16_t port = 0;  // of the endpoint's host, that is dialled; 0: the endpoint's own
  TlsContexts tls;         // empty: in plain
  std::string tls_name;    // that its certificate must be for; empty: the endpoint's host
  std::uint16_t announce_port = 0;
  std::string announce_host;
  std::optional<Sequence> expected_next;
  std::optional<BatchInfo> last_batch;  // that the upstream must send first, see below
  std::optional<SpliceOptions> splice;
  std::chrono::milliseconds connect_timeout{3000};
  std::chrono::milliseconds handshake_timeout{3000};
  std::chrono::milliseconds reconnect_interval{200};
  std::chrono::milliseconds silence_timeout{10000};  // a link on which not even a heartbeat comes is broken
};

// Connects, with TLS if there is any, and passes AUTH if there is a password. kInvalid: the password was
// refused. Of the options: port, tls, tls_name, password, and the two timeouts.
boost::asio::awaitable<Result<void>> DialUpstream(std::shared_ptr<Connection> connection, Endpoint upstream,
                                                  const UpstreamOptions& options);

// A link begins with a comparison, the first by what was decided on, and one that is made again because it
// broke by what the upstream sent before:
//
// 1. The node follows n1 and stands at 15. 2. n1's machine loses power, and the end of its WAL; n1 comes back
// at 3, is promoted again, and writes up to 20. 3. The relay connects again and asks for 16, which is a
// boundary by chance: n1 would go on there, over two different histories, without a word.
//
// So it asks for the batch before the node's next. If the very same one comes, it is left out and what
// follows goes on; else, and where a link that broke has no such batch, the session is over: what is to be
// done is decided with both WALs in sight.
//
// A session that begins with a splice replays the upstream's batches from the fork on, renumbered, until the
// numbers have met; there it waits for FollowOn, and follows on the same link. Until then nothing is tried
// twice: a link that breaks, whichever, and anything that is not as computed, ends the session. The batch
// that a later link is compared by is always the upstream's own, never what was made of it for the node.
class UpstreamSession : public std::enable_shared_from_this<UpstreamSession> {
 public:
  UpstreamSession(boost::asio::any_io_executor executor, UpstreamOptions options);

  static boost::asio::awaitable<void> Run(std::shared_ptr<UpstreamSession> self,
                                          std::shared_ptr<UpstreamSessionOwner> owner);

  // Ends it at once: nothing is forwarded and nobody is told anything from here on.
  void Cancel();

  // The numbers have met, and the node was seen to stand there: it follows from here on.
  void FollowOn();
  // Splicing, and not yet following.
  [[nodiscard]] bool Splicing() const { return splicer_.has_value(); }
  // Where the numbers have met, once OnMet was called.
  [[nodiscard]] std::optional<Sequence> MetAt() const { return met_at_; }

  // The node's connection is another one, or gone: begin again at what it asks for.
  void NodeChanged();

  // The upstream knows: the node itself has said how far it is.
  void Acknowledge(Sequence last);

  [[nodiscard]] const Endpoint& Upstream() const { return options_.endpoint; }
  [[nodiscard]] bool Connected() const { return connected_; }
  [[nodiscard]] bool EverAccepted() const { return ever_accepted_; }
  // How many links got as far as following.
  [[nodiscard]] std::uint64_t Links() const { return links_; }
  // It ended because of a batch that the node must not be given.
  [[nodiscard]] bool RefusedBatch() const { return refused_batch_; }
  // How long ago anything came from the upstream, a heartbeat included; nullopt: nothing came yet, or it is
  // the node that takes nothing, so that nothing is read.
  [[nodiscard]] std::optional<std::chrono::milliseconds> Silence(SteadyTime now) const;
  // Where following began; nullopt before the first PSYNC was sent.
  [[nodiscard]] std::optional<Sequence> From() const { return from_; }

 private:
  // How a link ended, and what is to be done.
  struct LinkEnd {
    enum class What { kLost, kFailed, kBadBatch, kRefused } what = What::kLost;
    Error error;
  };

  boost::asio::awaitable<LinkEnd> FollowOnce(std::shared_ptr<UpstreamSessionOwner> owner,
                                             std::shared_ptr<NodeSession> node);
  boost::asio::awaitable<std::optional<LinkEnd>> Handshake(std::shared_ptr<Connection> link, Sequence next);
  boost::asio::awaitable<LinkEnd> Stream(std::shared_ptr<UpstreamSessionOwner> owner,
                                         std::shared_ptr<NodeSession> node, std::shared_ptr<Connection> link,
                                         Sequence next);
  // Until FollowOn. nullopt: follow.
  boost::asio::awaitable<std::optional<LinkEnd>> Splice(std::shared_ptr<UpstreamSessionOwner> owner,
                                                        std::shared_ptr<NodeSession> node,
                                                        std::shared_ptr<Connection> link);
  // Whole frames that were read, as the node shall get them: as many as fit its buffer, and none behind the
  // place where the numbers meet. Gives what follows them, if it is known.
  Result<std::optional<Frame>> TakeSpliced(std::string* out, std::uint64_t* frames);
  // Passes on a batch that is greater than the buffer, in pieces; the node's next is `next` behind it.
  // nullopt: all of it is with the node, and `digest`, if wanted, is its own.
  boost::asio::awaitable<std::optional<LinkEnd>> PassGreat(std::shared_ptr<UpstreamSessionOwner> owner,
                                                           std::shared_ptr<NodeSession> node,
                                                           std::shared_ptr<Connection> link, Frame frame,
                                                           Sequence next, BatchDigest* digest);
  // Reads the batch that the upstream was asked for. nullopt: it is the one that it has to be.
  boost::asio::awaitable<std::optional<LinkEnd>> Compare(std::shared_ptr<Connection> link,
                                                         BatchInfo expected);
  // The batch that ends at the node's next, if it is known.
  [[nodiscard]] const std::optional<BatchInfo>& Behind();
  boost::asio::awaitable<Result<std::string>> ReadLine(std::shared_ptr<Connection> link);
  boost::asio::awaitable<Result<void>> Fill(std::shared_ptr<Connection> link,
                                            std::chrono::milliseconds timeout);
  // Waits until the node can take something; false: the link is to end.
  boost::asio::awaitable<bool> WaitForNode(std::shared_ptr<NodeSession> node,
                                           std::shared_ptr<Connection> link);
  static boost::asio::awaitable<void> SendAcks(std::shared_ptr<UpstreamSession> self,
                                               std::shared_ptr<Connection> link);
  [[nodiscard]] std::string_view Unread() const { return {buffer_.data() + begin_, end_ - begin_}; }

  const UpstreamOptions options_;
  std::shared_ptr<Connection> link_;
  bool cancelled_ = false;
  bool connected_ = false;
  bool ever_accepted_ = false;
  std::uint64_t links_ = 0;
  bool refused_batch_ = false;
  std::optional<Sequence> from_;
  std::optional<Splicer> splicer_;
  std::optional<Sequence> met_at_;
  // The batch that another link is compared by: at first the one that was commanded, then the last one that
  // was put to the node. Of that one the frame is kept, and its digest taken only when it is needed.
  std::optional<BatchInfo> behind_;
  std::string behind_frame_;
  std::optional<SteadyTime> heard_;  // when something came
  bool waits_for_node_ = false;

  std::vector<char> buffer_;  // [begin_, end_) was read from the upstream and not yet used
  std::size_t begin_ = 0;
  std::size_t end_ = 0;

  std::optional<Sequence> ack_;  // to be sent
  bool sending_acks_ = false;
  Event pause_;
};

}  // namespace walstitch::relay
