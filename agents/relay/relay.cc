#include "agents/relay/relay.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <map>
#include <string_view>
#include <utility>
#include <vector>

#include "agents/relay/connection.h"
#include "agents/relay/frame_reader.h"
#include "agents/relay/full_sync.h"
#include "agents/relay/node_session.h"
#include "agents/relay/pacer.h"
#include "agents/relay/sequencer.h"
#include "agents/relay/upstream_session.h"
#include "agents/wal/batch_decoder.h"
#include "agents/wal/marker.h"

namespace walstitch::relay {

namespace asio = boost::asio;
using asio::ip::tcp;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

// A node fetches over four connections at most.
constexpr std::ptrdiff_t kMaxLongCommands = 8;
// A node that has made its full sync opens a new connection and then closes the old one, within
// microseconds; both can be noticed in the wrong order. A process that died is not back as fast.
constexpr milliseconds kSameMoment{50};
// Batches that MakePadBatches makes at a time: memory stays fixed whatever the pad.
constexpr std::uint64_t kPadSlice = std::uint64_t{wal::kMaxPadBatch} * 16;

constexpr std::size_t kMaxDecisionBytes = 128;

constexpr std::string_view kStopped = "the relay is stopped";
constexpr std::string_view kSuperseded = "another command came in between";

bool IsReplicationId(std::string_view id) {
  return id.size() == 16 && std::all_of(id.begin(), id.end(), [](char letter) {
           return (letter >= '0' && letter <= '9') || (letter >= 'A' && letter <= 'Z');
         });
}

// The count in a batch's header.
std::uint32_t BatchCount(std::string_view batch) {
  WALSTITCH_CHECK(batch.size() >= kBatchHeaderBytes);
  std::uint32_t count = 0;
  for (std::size_t i = kBatchHeaderBytes; i > 8; --i) {
    count = count << 8 | static_cast<unsigned char>(batch[i - 1]);
  }
  return count;
}

std::string Milliseconds(milliseconds time) { return std::to_string(time.count()) + " ms"; }

}  // namespace

class Relay::Impl : public NodeSessionOwner,
                    public UpstreamSessionOwner,
                    public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::any_io_executor executor, RelayOptions options, std::function<void()> changed)
      : executor_(executor),
        options_(std::move(options)),
        notify_(std::move(changed)),
        acceptor_(executor),
        changed_(executor) {}

  Result<void> Start();
  void Stop();
  void Park(RelayState state);
  void SetDatabaseName(std::string name) { options_.database_name = std::move(name); }
  [[nodiscard]] std::uint16_t Port() const { return port_; }
  [[nodiscard]] RelayReport Report() const;
  [[nodiscard]] RelayCounts Counts() const { return counts_; }
  [[nodiscard]] ListenerCounts Listened() const;

  static asio::awaitable<Result<Sequence>> WaitAttached(std::shared_ptr<Impl> self, milliseconds timeout);
  static asio::awaitable<Result<void>> Pad(std::shared_ptr<Impl> self, PadAction action,
                                           milliseconds timeout);
  static asio::awaitable<Result<void>> Feed(std::shared_ptr<Impl> self, Sequence expected_next,
                                            std::vector<std::string> batches, milliseconds timeout);
  static asio::awaitable<Result<void>> Follow(std::shared_ptr<Impl> self, FollowAction action,
                                              milliseconds timeout);
  static asio::awaitable<Result<Sequence>> Splice(std::shared_ptr<Impl> self, SpliceAction action,
                                                  milliseconds timeout);
  Result<void> FollowOn(Sequence met);
  static asio::awaitable<Result<void>> FullSync(std::shared_ptr<Impl> self, FullSyncAction action,
                                                milliseconds timeout);

  // NodeSessionOwner
  [[nodiscard]] std::string DatabaseName() const override { return options_.database_name; }
  [[nodiscard]] const TlsContexts& NodeTls() const override { return options_.node_tls; }
  [[nodiscard]] const std::string& NodePassword() const override { return options_.node_password; }
  void OnRefused(Refused why) override { ++listened_.refused[static_cast<std::size_t>(why)]; }
  bool OnLongCommand(NodeSession& session) override;
  PsyncAnswer OnPsync(const std::shared_ptr<NodeSession>& session, Sequence next) override;
  std::optional<Endpoint> OnFetch(NodeSession& session, bool meta) override;
  SteadyTime OnFetched(std::uint64_t bytes) override {
    full_sync_bytes_ += bytes;
    return full_sync_pacer_.Passed(bytes, steady_clock::now());
  }
  void OnNodeAck(NodeSession& session, Sequence last) override;
  void OnSessionEnd(NodeSession& session) override;
  asio::awaitable<Result<void>> Dial(std::shared_ptr<Connection> connection, Endpoint upstream) override;

  // UpstreamSessionOwner
  [[nodiscard]] std::shared_ptr<NodeSession> Node() const override { return node_; }
  [[nodiscard]] Sequence NodeNext() const override { return node_next_; }
  Event& Changed() override { return changed_; }
  void OnForwarded(Sequence next, std::uint64_t frames, std::uint64_t bytes) override;
  void OnAccepted(UpstreamSession& session) override;
  void OnMet(UpstreamSession& session) override;
  void OnLost(UpstreamSession& session, Error error) override;
  void OnFailed(UpstreamSession& session, Error error, bool refused) override;
  [[nodiscard]] Sequence AckedLast() const override { return node_acked_.value_or(node_next_ - 1); }

 private:
  static asio::awaitable<void> Accept(std::shared_ptr<Impl> self);
  // Closes the connection that is missed the least; false: all of them are served.
  bool MakeRoom();
  void ParkWith(std::string error);
  // What is known of why the node is not there: the end of a sentence, or empty.
  [[nodiscard]] std::string WhyNoNode() const;
  // Every command begins here: whatever went on is over, and whoever waits for it is told so.
  void BeginCommand();
  void DropUpstream();
  void DetachNode();
  [[nodiscard]] UpstreamOptions DialOptions() const;
  std::shared_ptr<UpstreamSession> StartFollowing(FollowAction action,
                                                  std::optional<SpliceOptions> splice = std::nullopt);
  void SetChanged();
  [[nodiscard]] bool Interrupted(std::uint64_t command) const { return stopped_ || command_ != command; }
  [[nodiscard]] tl::unexpected<Error> WhyInterrupted(std::string_view doing) const;

  // What pads and feeds have in common: a command that gives a parked node frames of its own.
  struct Giving {
    std::string doing;
    milliseconds timeout;
    steady_clock::time_point deadline;
    std::uint64_t command = 0;
    std::shared_ptr<NodeSession> node;
    bool sent = false;
    std::optional<Error> failure;
  };
  // An Error unless the node is ours to give frames to, and at expected_next.
  [[nodiscard]] Result<void> CheckGive(Sequence expected_next) const;
  Giving BeginGiving(RelayState state, std::string doing, milliseconds timeout);
  [[nodiscard]] bool GoesOn(Giving& giving) const;
  // Waits until all that was put is written, or there is a failure. `giving` outlives the wait.
  static asio::awaitable<void> AwaitWritten(std::shared_ptr<Impl> self, Giving* giving);
  // The batch as one frame, in pieces that fit the node's buffer; the node's next is `next` behind it.
  static asio::awaitable<void> GiveBatch(std::shared_ptr<Impl> self, Giving* giving, std::string_view batch,
                                         Sequence next);
  Result<void> EndGiving(Giving& giving);

  asio::any_io_executor executor_;
  RelayOptions options_;
  std::function<void()> notify_;
  bool notifying_ = false;
  tcp::acceptor acceptor_;
  std::uint16_t port_ = 0;
  bool stopped_ = false;
  Event changed_;
  std::map<std::uint64_t, std::shared_ptr<NodeSession>> sessions_;  // by their order
  ListenerCounts listened_;                                         // `open` is kept by sessions_

  RelayState state_ = RelayState::kParked;
  std::string error_;
  std::uint64_t command_ = 0;  // counts commands, so that one that waits notices the next

  std::shared_ptr<NodeSession> node_;   // its replication connection
  Sequence node_next_;                  // meaningful while node_ is there, and for CheckResume after
  std::optional<Sequence> node_acked_;  // on this connection

  std::shared_ptr<UpstreamSession> upstream_;

  std::optional<FullSyncDialogue> full_sync_;
  std::optional<Endpoint> full_sync_from_;
  Pacer full_sync_pacer_;
  NodeSession* fetching_meta_ = nullptr;  // only compared
  steady_clock::time_point meta_closed_ = steady_clock::time_point::min();

  std::uint64_t frames_forwarded_ = 0;
  std::uint64_t bytes_forwarded_ = 0;
  std::uint64_t full_sync_bytes_ = 0;
  std::uint64_t full_syncs_refused_ = 0;
  RelayCounts counts_;
};

Result<void> Relay::Impl::Start() {
  const std::string where = "relay: " + options_.listen_host + ":" + std::to_string(options_.listen_port);
  boost::system::error_code error;
  const asio::ip::address address = asio::ip::make_address(options_.listen_host, error);
  if (error) {
    return Fail(ErrorCode::kInvalid,
                "relay: the address to listen on must be an IP address, not '" + options_.listen_host + "'");
  }
  const tcp::endpoint endpoint(address, options_.listen_port);
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (error) {
    boost::system::error_code ignored;
    acceptor_.close(ignored);
    return Fail(ErrorCode::kIo, where + ": cannot listen: " + error.message());
  }
  port_ = acceptor_.local_endpoint(error).port();
  asio::co_spawn(executor_, Accept(shared_from_this()), TaskEnd());
  return {};
}

void Relay::Impl::Stop() {
  if (stopped_) return;
  stopped_ = true;
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  DropUpstream();
  for (const auto& [number, session] : sessions_) session->Close();
  node_.reset();
  notify_ = nullptr;
  changed_.Notify();
}

asio::awaitable<void> Relay::Impl::Accept(std::shared_ptr<Impl> self) {
  while (!self->stopped_) {
    auto [error, socket] = co_await self->acceptor_.async_accept(asio::as_tuple(asio::use_awaitable));
    if (self->stopped_) break;
    if (error) {
      // Out of descriptors, most likely: not to spin.
      co_await self->changed_.Wait(steady_clock::now() + milliseconds(100));
      continue;
    }
    ++self->listened_.accepted;
    if (self->sessions_.size() >= self->options_.max_connections && !self->MakeRoom()) {
      self->OnRefused(Refused::kFull);
      continue;
    }
    const bool during_fetch =
        self->fetching_meta_ != nullptr || self->meta_closed_ + kSameMoment > steady_clock::now();
    auto session = std::make_shared<NodeSession>(std::move(socket), self->options_.heartbeat_interval,
                                                 self->options_.limits, during_fetch);
    self->sessions_.emplace(self->listened_.accepted, session);
    asio::co_spawn(self->executor_, NodeSession::Run(session, self), TaskEnd());
  }
}

// 1. Strangers take every place and say nothing. 2. The node's connection breaks, and it comes back. So
// whoever comes gets a place: of one that has said nothing, else of one without a role, the oldest first. A
// node says what it wants at once.
bool Relay::Impl::MakeRoom() {
  auto found = sessions_.end();
  for (auto entry = sessions_.begin(); entry != sessions_.end(); ++entry) {
    const NodeSession& session = *entry->second;
    if (session.HasRole()) continue;
    if (found == sessions_.end()) found = entry;
    if (session.Spoke()) continue;
    found = entry;
    break;
  }
  if (found == sessions_.end()) return false;
  OnRefused(Refused::kEvicted);
  found->second->Close();
  sessions_.erase(found);
  return true;
}

bool Relay::Impl::OnLongCommand(NodeSession& session) {
  if (!full_sync_ || !session.OpenedDuringFetch()) return false;
  return std::count_if(sessions_.begin(), sessions_.end(),
                       [](const auto& entry) { return entry.second->Long(); }) < kMaxLongCommands;
}

ListenerCounts Relay::Impl::Listened() const {
  ListenerCounts counts = listened_;
  counts.open = sessions_.size();
  return counts;
}

RelayReport Relay::Impl::Report() const {
  RelayReport report;
  report.state = state_;
  report.node_attached = node_ != nullptr;
  if (node_) report.node_next = node_next_;
  if (upstream_) {
    report.upstream = upstream_->Upstream();
    report.upstream_connected = upstream_->Connected();
    if (const auto silence = upstream_->Silence(steady_clock::now()))
      report.upstream_silent_ms = silence->count();
  } else if (full_sync_) {
    report.upstream = full_sync_from_;
  }
  report.frames_forwarded = frames_forwarded_;
  report.bytes_forwarded = bytes_forwarded_;
  report.full_sync_bytes = full_sync_bytes_;
  report.full_syncs_refused = full_syncs_refused_;
  report.error = error_;
  return report;
}

std::string Relay::Impl::WhyNoNode() const {
  if (listened_.Of(Refused::kTls) > 0)
    return "; somebody speaks TLS to it, and it has no certificate that fits: set Kvrocks' tls-replication "
           "to "
           "no, or give relay.tls";
  if (listened_.Of(Refused::kPassword) > 0)
    return "; somebody did not say its password: Kvrocks' masterauth must be what relay.passwordFile "
           "holds";
  return "";
}

void Relay::Impl::SetChanged() {
  changed_.Notify();
  if (notifying_ || stopped_ || !notify_) return;
  notifying_ = true;
  // Posted: the owner may call us again from there.
  asio::post(executor_, [self = shared_from_this()] {
    self->notifying_ = false;
    const std::function<void()> notify = self->notify_;  // it may stop us
    if (notify) notify();
  });
}

void Relay::Impl::DropUpstream() {
  if (upstream_) {
    upstream_->Cancel();
    upstream_.reset();
  }
  if (node_) {
    // Part of a great frame is with the node, and nothing else can be sent before its rest: see
    // upstream_session.h.
    if (node_->MidFrame()) {
      DetachNode();
    } else {
      node_->Wake();  // the cancelled session may wait there
    }
  }
  // A full sync that goes on over other connections ends with its decision.
  if (full_sync_) {
    full_sync_.reset();
    full_sync_from_.reset();
    for (const auto& [number, session] : sessions_) {
      if (session->Fetching()) session->Close();
    }
  }
}

void Relay::Impl::DetachNode() {
  if (!node_) return;
  const std::shared_ptr<NodeSession> node = std::move(node_);
  node_ = nullptr;
  node->Close();
  if (upstream_) upstream_->NodeChanged();
  SetChanged();
}

void Relay::Impl::BeginCommand() {
  ++command_;
  DropUpstream();
  state_ = RelayState::kParked;
  error_.clear();
  SetChanged();
}

void Relay::Impl::Park(RelayState state) {
  if (stopped_) return;
  BeginCommand();
  state_ = state;
}

void Relay::Impl::ParkWith(std::string error) {
  DropUpstream();
  ++counts_.parked_itself;
  state_ = RelayState::kParked;
  error_ = std::move(error);
  SetChanged();
}

tl::unexpected<Error> Relay::Impl::WhyInterrupted(std::string_view doing) const {
  return stopped_ ? Fail(ErrorCode::kUnavailable, std::string(doing) + ": " + std::string(kStopped))
                  : Fail(ErrorCode::kConflict, std::string(doing) + ": " + std::string(kSuperseded));
}

// ---- the node's connections

NodeSessionOwner::PsyncAnswer Relay::Impl::OnPsync(const std::shared_ptr<NodeSession>& session,
                                                   Sequence next) {
  // 1. The node follows. 2. A stranger on this machine says PSYNC. 3. The node's connection is given up for
  // it, and what the stranger asks for parks the relay. On loopback the end of a node's process, or of its
  // connection, is always seen: whoever stands is the node. Elsewhere it may not be, and the latest is.
  if (node_ && !node_->Closed() && node_->OnLoopback() && session->OnLoopback()) return PsyncAnswer::kTaken;
  if (full_sync_) {
    switch (full_sync_->OnPsync(next, session->OpenedDuringFetch())) {
      case FullSyncDialogue::Answer::kRefuse:
        DetachNode();
        if (upstream_) {
          upstream_->Cancel();
          upstream_.reset();
        }
        SetChanged();
        return PsyncAnswer::kRefuse;
      case FullSyncDialogue::Answer::kFollow:
        if (!upstream_) StartFollowing({*full_sync_from_, std::nullopt});
        break;
      case FullSyncDialogue::Answer::kGiveUp:
        ParkWith("full sync from " + full_sync_from_->ToString() +
                 ": the node came back without it too often; parked");
        break;
    }
  } else if (upstream_ && upstream_->Splicing()) {
    ParkWith("upstream " + upstream_->Upstream().ToString() +
             ": splicing: the node's connection broke, and it asks for " + next.ToString());
  } else if (upstream_ && upstream_->From()) {
    const Result<void> goes_on = CheckResume(*upstream_->From(), node_next_, next);
    if (!goes_on) {
      ParkWith("upstream " + upstream_->Upstream().ToString() + ": " + goes_on.error().Message());
    }
  }
  DetachNode();  // an older connection is one that the node has given up
  node_ = session;
  node_next_ = next;
  node_acked_.reset();
  SetChanged();
  return PsyncAnswer::kAccept;
}

std::optional<Endpoint> Relay::Impl::OnFetch(NodeSession& session, bool meta) {
  if (!full_sync_) {
    ++full_syncs_refused_;
    SetChanged();
    return std::nullopt;
  }
  if (meta) {
    full_sync_->OnFetchMeta();
    fetching_meta_ = &session;
    SetChanged();
  }
  return full_sync_from_;
}

void Relay::Impl::OnNodeAck(NodeSession& session, Sequence last) {
  if (node_.get() != &session) return;
  node_acked_ = last;
  if (upstream_) upstream_->Acknowledge(last);
}

void Relay::Impl::OnSessionEnd(NodeSession& session) {
  if (fetching_meta_ == &session) {
    fetching_meta_ = nullptr;
    meta_closed_ = steady_clock::now();
  }
  if (node_.get() == &session) DetachNode();
  std::erase_if(sessions_, [&](const auto& entry) { return entry.second.get() == &session; });
}

asio::awaitable<Result<void>> Relay::Impl::Dial(std::shared_ptr<Connection> connection, Endpoint upstream) {
  const UpstreamOptions options = DialOptions();
  co_return co_await DialUpstream(std::move(connection), std::move(upstream), options);
}

// ---- the upstream

UpstreamOptions Relay::Impl::DialOptions() const {
  UpstreamOptions options;
  options.password = options_.upstream_password;
  options.port = options_.upstream_port;
  options.tls = options_.upstream_tls;
  options.tls_name = options_.upstream_tls_name;
  options.connect_timeout = options_.connect_timeout;
  options.handshake_timeout = options_.handshake_timeout;
  return options;
}

std::shared_ptr<UpstreamSession> Relay::Impl::StartFollowing(FollowAction action,
                                                             std::optional<SpliceOptions> splice) {
  UpstreamOptions options = DialOptions();
  options.splice = std::move(splice);
  options.endpoint = std::move(action.upstream);
  options.expected_next = action.expected_next;
  options.last_batch = std::move(action.last_batch);
  options.database_name = options_.database_name;
  options.announce_port = options_.announce_port;
  options.announce_host = options_.announce_host;
  options.reconnect_interval = options_.reconnect_interval;
  options.silence_timeout = std::max<milliseconds>(milliseconds(10000), 5 * options_.heartbeat_interval);
  auto session = std::make_shared<UpstreamSession>(executor_, std::move(options));
  upstream_ = session;
  asio::co_spawn(executor_, UpstreamSession::Run(session, shared_from_this()), TaskEnd());
  return session;
}

void Relay::Impl::OnForwarded(Sequence next, std::uint64_t frames, std::uint64_t bytes) {
  node_next_ = next;
  frames_forwarded_ += frames;
  bytes_forwarded_ += bytes;
}

void Relay::Impl::OnAccepted(UpstreamSession& session) {
  if (upstream_.get() != &session) return;
  if (session.Links() > 1) ++counts_.reconnects;
  state_ = RelayState::kFollowing;
  error_.clear();
  full_sync_.reset();
  full_sync_from_.reset();
  SetChanged();
}

void Relay::Impl::OnMet(UpstreamSession& session) {
  if (upstream_.get() == &session) SetChanged();
}

void Relay::Impl::OnLost(UpstreamSession& session, Error error) {
  if (upstream_.get() != &session) return;
  error_ = error.Message();
  SetChanged();
}

void Relay::Impl::OnFailed(UpstreamSession& session, Error error, bool refused) {
  if (upstream_.get() != &session) return;
  if (session.RefusedBatch()) ++counts_.batches_refused;
  if (refused && full_sync_) {
    // Still the decided full sync, which did not bring the node to where the upstream takes it.
    full_sync_->OnUpstreamRefused();
    upstream_.reset();
    error_ = error.Message();
    DetachNode();
    SetChanged();
    return;
  }
  ParkWith(error.Message());
}

// ---- commands

asio::awaitable<Result<Sequence>> Relay::Impl::WaitAttached(std::shared_ptr<Impl> self,
                                                            milliseconds timeout) {
  const auto deadline = steady_clock::now() + timeout;
  while (!self->node_) {
    if (self->stopped_) co_return Fail(ErrorCode::kUnavailable, std::string(kStopped));
    if (steady_clock::now() >= deadline) {
      co_return Fail(ErrorCode::kUnavailable, "the node did not connect to its relay within " +
                                                  Milliseconds(timeout) + self->WhyNoNode());
    }
    co_await self->changed_.Wait(deadline);
  }
  co_return self->node_next_;
}

Result<void> Relay::Impl::CheckGive(Sequence expected_next) const {
  if (state_ != RelayState::kParked || upstream_) {
    return Fail(ErrorCode::kConflict, "the relay is not parked");
  }
  if (!node_) return Fail(ErrorCode::kConflict, "the node is not attached to its relay");
  if (node_next_ != expected_next) {
    return Fail(ErrorCode::kConflict, "the node's next sequence is " + node_next_.ToString());
  }
  return {};
}

Relay::Impl::Giving Relay::Impl::BeginGiving(RelayState state, std::string doing, milliseconds timeout) {
  Giving giving;
  giving.doing = std::move(doing);
  giving.timeout = timeout;
  giving.deadline = steady_clock::now() + timeout;
  giving.command = command_;
  giving.node = node_;
  state_ = state;
  SetChanged();
  return giving;
}

bool Relay::Impl::GoesOn(Giving& giving) const {
  if (Interrupted(giving.command)) {
    giving.failure = WhyInterrupted(giving.doing).value();
  } else if (node_ != giving.node || giving.node->Closed()) {
    // 1. A write to the node fails, and its session closes. 2. Whoever waits for its buffer looks again,
    // before the session has ended and the node is gone. 3. A wait on a closed session ends at once, for
    // ever.
    giving.failure = Error(ErrorCode::kUnavailable, giving.doing + ": the node's connection broke");
  } else if (steady_clock::now() >= giving.deadline) {
    giving.failure = Error(ErrorCode::kUnavailable, giving.doing + ": the node did not take it within " +
                                                        Milliseconds(giving.timeout));
  }
  return !giving.failure;
}

asio::awaitable<void> Relay::Impl::AwaitWritten(std::shared_ptr<Impl> self, Giving* giving) {
  while (!giving->node->Free() && self->GoesOn(*giving)) co_await giving->node->WaitFree(giving->deadline);
}

asio::awaitable<void> Relay::Impl::GiveBatch(std::shared_ptr<Impl> self, Giving* giving,
                                             std::string_view batch, Sequence next) {
  std::string piece = "$" + std::to_string(batch.size()) + "\r\n";
  bool ended = false;
  while (!ended) {
    const std::size_t taken = std::min(kFrameBufferBytes - piece.size(), batch.size());
    piece.append(batch.substr(0, taken));
    batch.remove_prefix(taken);
    ended = batch.empty() && kFrameBufferBytes - piece.size() >= 2;
    if (ended) piece.append("\r\n");
    co_await AwaitWritten(self, giving);
    if (giving->failure || !self->GoesOn(*giving)) co_return;
    giving->node->Put(piece, ended);
    giving->sent = true;
    self->OnForwarded(ended ? next : self->node_next_, ended ? 1 : 0, piece.size());
    piece.clear();
  }
}

Result<void> Relay::Impl::EndGiving(Giving& giving) {
  if (!giving.failure) {
    // All was written; the state is another command's already, if one came in between.
    if (!Interrupted(giving.command)) {
      state_ = RelayState::kParked;
      SetChanged();
    }
    return {};
  }
  // With something sent, the node may have it or not: the effect is unknown until its sequence is read.
  if (giving.sent) {
    giving.failure =
        Error(ErrorCode::kTimeout, giving.failure->Message() + "; part of it may have been applied");
  }
  if (!Interrupted(giving.command)) ParkWith(giving.failure->Message());
  return Fail(*giving.failure);
}

asio::awaitable<Result<void>> Relay::Impl::Pad(std::shared_ptr<Impl> self, PadAction action,
                                               milliseconds timeout) {
  const std::string doing = "pad from " + action.expected_next.ToString() + " to " + action.target.ToString();
  const auto refuse = [&doing](ErrorCode code, std::string why) {
    return Fail(code, doing + ": " + std::move(why));
  };
  if (self->stopped_) co_return self->WhyInterrupted(doing);
  const Result<void> may = self->CheckGive(action.expected_next);
  if (!may) co_return Fail(may.error(), doing);
  if (action.target < action.expected_next || action.target > kMaxSequence) {
    co_return refuse(ErrorCode::kInvalid,
                     "the target lies before the node's next sequence, or past the greatest");
  }
  if (!action.replication_id.empty() && !IsReplicationId(action.replication_id)) {
    co_return refuse(ErrorCode::kInvalid, "a replication id has 16 characters of 0-9 and A-Z");
  }
  if (action.decision.empty() || action.decision.size() > kMaxDecisionBytes) {
    co_return refuse(ErrorCode::kInvalid, "a decision's id has 1 to 128 characters");
  }
  self->BeginCommand();
  if (action.target == action.expected_next) co_return Result<void>();

  Giving giving = self->BeginGiving(RelayState::kPadding, doing, timeout);
  Sequence next = action.expected_next;
  while (next < action.target && !giving.failure) {
    const Sequence slice = action.target - next > kPadSlice ? next + kPadSlice : action.target;
    const std::string_view id =
        slice == action.target ? std::string_view(action.replication_id) : std::string_view();
    const std::vector<std::string> batches = wal::MakePadBatches(next, slice, action.decision, id);
    for (const std::string& batch : batches) {
      const std::uint32_t count = BatchCount(batch);
      WALSTITCH_CHECK(count <= slice - next);
      co_await GiveBatch(self, &giving, batch, next + count);
      if (giving.failure) break;
      next = next + count;
    }
    WALSTITCH_CHECK(giving.failure || next == slice);
  }
  if (!giving.failure) co_await AwaitWritten(self, &giving);
  co_return self->EndGiving(giving);
}

asio::awaitable<Result<void>> Relay::Impl::Feed(std::shared_ptr<Impl> self, Sequence expected_next,
                                                std::vector<std::string> batches, milliseconds timeout) {
  const std::string doing = "feed from " + expected_next.ToString();
  if (self->stopped_) co_return self->WhyInterrupted(doing);
  const Result<void> may = self->CheckGive(expected_next);
  if (!may) co_return Fail(may.error(), doing);
  // All of them before the first is sent: RocksDB would number whatever does not fit by its own counter.
  Sequencer check(expected_next);
  for (const std::string& batch : batches) {
    const Result<wal::BatchHeader> header = wal::ParseBatchHeader(batch);
    if (!header) co_return Fail(header.error(), doing);
    if (batch.size() > kMaxBatchBytes) {
      co_return Fail(ErrorCode::kDamaged, doing + ": the batch at " + header->first.ToString() + " has " +
                                              std::to_string(batch.size()) + " bytes, more than 1 GiB");
    }
    if (header->count == 0) {
      co_return Fail(ErrorCode::kDamaged,
                     doing + ": the batch at " + header->first.ToString() + " has no records");
    }
    const Result<void> fits = check.Accept(header->first, header->count);
    if (!fits) co_return Fail(fits.error(), doing);
  }
  self->BeginCommand();
  if (batches.empty()) co_return Result<void>();

  Giving giving = self->BeginGiving(RelayState::kRescuing, doing, timeout);
  Sequence next = expected_next;
  for (const std::string& batch : batches) {
    next = next + BatchCount(batch);
    co_await GiveBatch(self, &giving, batch, next);
    if (giving.failure) break;
  }
  if (!giving.failure) co_await AwaitWritten(self, &giving);
  co_return self->EndGiving(giving);
}

asio::awaitable<Result<void>> Relay::Impl::Follow(std::shared_ptr<Impl> self, FollowAction action,
                                                  milliseconds timeout) {
  const std::string doing = "follow " + action.upstream.ToString();
  if (self->stopped_) co_return self->WhyInterrupted(doing);
  self->BeginCommand();
  const std::uint64_t command = self->command_;
  const auto deadline = steady_clock::now() + timeout;
  const std::shared_ptr<UpstreamSession> session = self->StartFollowing(std::move(action));
  while (true) {
    if (self->Interrupted(command)) co_return self->WhyInterrupted(doing);
    if (session->EverAccepted()) co_return Result<void>();
    // The only ways for it to end are those that park with an error.
    if (self->upstream_ != session) co_return Fail(ErrorCode::kConflict, self->error_);
    if (steady_clock::now() >= deadline) {
      const std::string why = !self->node_ ? "the node did not connect to its relay" + self->WhyNoNode()
                              : self->error_.empty() ? "the upstream did not answer"
                                                     : self->error_;
      self->ParkWith(doing + ": not within " + Milliseconds(timeout) + ": " + why);
      co_return Fail(ErrorCode::kUnavailable, self->error_);
    }
    co_await self->changed_.Wait(deadline);
  }
}

asio::awaitable<Result<Sequence>> Relay::Impl::Splice(std::shared_ptr<Impl> self, SpliceAction action,
                                                      milliseconds timeout) {
  const std::string doing = "splice after " + action.fork.ToString() + " of " + action.upstream.ToString();
  if (self->stopped_) co_return self->WhyInterrupted(doing);
  const Result<void> may = self->CheckGive(action.expected_next);
  if (!may) co_return Fail(may.error(), doing);
  const bool adds_up = action.shift > 0 && action.expected_next <= kMaxSequence &&
                       action.fork < action.expected_next &&
                       action.expected_next - action.fork == action.shift + 1;
  if (!adds_up) {
    co_return Fail(ErrorCode::kInvalid, doing + ": a shift of " + std::to_string(action.shift) +
                                            " does not lead from there to the node's next, " +
                                            action.expected_next.ToString());
  }
  if (action.decision.empty() || action.decision.size() > kMaxDecisionBytes) {
    co_return Fail(ErrorCode::kInvalid, doing + ": a decision's id has 1 to 128 characters");
  }
  self->BeginCommand();
  const std::uint64_t command = self->command_;
  const auto deadline = steady_clock::now() + timeout;
  FollowAction follow;
  follow.upstream = action.upstream;
  follow.expected_next = action.expected_next;
  follow.last_batch = action.last_common;
  SpliceOptions splice;
  splice.fork = action.fork;
  splice.shift = action.shift;
  splice.marker = wal::FillerMarker(action.decision);
  const std::shared_ptr<UpstreamSession> session = self->StartFollowing(std::move(follow), std::move(splice));
  self->state_ = RelayState::kSplicing;
  self->SetChanged();
  while (true) {
    if (self->Interrupted(command)) co_return self->WhyInterrupted(doing);
    if (self->upstream_ != session) co_return Fail(ErrorCode::kConflict, doing + ": " + self->error_);
    if (session->MetAt()) co_return *session->MetAt();
    if (steady_clock::now() >= deadline) {
      self->ParkWith(doing + ": the numbers did not meet within " + Milliseconds(timeout));
      co_return Fail(ErrorCode::kTimeout, self->error_);
    }
    co_await self->changed_.Wait(deadline);
  }
}

Result<void> Relay::Impl::FollowOn(Sequence met) {
  const bool there = state_ == RelayState::kSplicing && upstream_ && upstream_->MetAt() == met && node_ &&
                     node_next_ == met && upstream_->Connected();
  if (!there) {
    return Fail(ErrorCode::kConflict,
                "the splice is over" + (error_.empty() ? std::string() : ": " + error_));
  }
  upstream_->FollowOn();
  OnAccepted(*upstream_);
  return {};
}

asio::awaitable<Result<void>> Relay::Impl::FullSync(std::shared_ptr<Impl> self, FullSyncAction action,
                                                    milliseconds timeout) {
  const Endpoint upstream = action.upstream;
  const std::string doing = "full sync from " + upstream.ToString();
  if (self->stopped_) co_return self->WhyInterrupted(doing);
  self->BeginCommand();
  const std::uint64_t command = self->command_;
  const auto deadline = steady_clock::now() + timeout;
  self->state_ = RelayState::kFullSync;
  self->full_sync_.emplace();
  self->full_sync_from_ = upstream;
  self->full_sync_pacer_ = Pacer(action.bytes_per_second);
  self->meta_closed_ = steady_clock::time_point::min();
  self->DetachNode();  // it comes back with the PSYNC that is to be refused
  self->SetChanged();
  while (true) {
    if (self->Interrupted(command)) co_return self->WhyInterrupted(doing);
    if (!self->full_sync_) {
      if (self->state_ == RelayState::kFollowing) co_return Result<void>();
      co_return Fail(ErrorCode::kConflict, self->error_);
    }
    if (self->full_sync_->Begun()) co_return Result<void>();
    if (steady_clock::now() >= deadline) {
      self->ParkWith(doing + ": the node did not begin it within " + Milliseconds(timeout));
      co_return Fail(ErrorCode::kTimeout, self->error_);
    }
    co_await self->changed_.Wait(deadline);
  }
}

// ---- Relay

Relay::Relay(asio::any_io_executor executor, RelayOptions options, std::function<void()> changed)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(options), std::move(changed))) {}

Relay::~Relay() { Stop(); }

Result<void> Relay::Start() { return impl_->Start(); }
void Relay::Stop() { impl_->Stop(); }
std::uint16_t Relay::Port() const { return impl_->Port(); }
RelayCounts Relay::Counts() const { return impl_->Counts(); }
RelayReport Relay::Report() const { return impl_->Report(); }
ListenerCounts Relay::Listened() const { return impl_->Listened(); }
void Relay::SetDatabaseName(std::string name) { impl_->SetDatabaseName(std::move(name)); }
void Relay::Park() { impl_->Park(RelayState::kParked); }
void Relay::Idle() { impl_->Park(RelayState::kIdle); }

asio::awaitable<Result<Sequence>> Relay::WaitAttached(milliseconds timeout) {
  return Impl::WaitAttached(impl_, timeout);
}
asio::awaitable<Result<void>> Relay::Pad(PadAction action, milliseconds timeout) {
  return Impl::Pad(impl_, std::move(action), timeout);
}
asio::awaitable<Result<void>> Relay::Feed(Sequence expected_next, std::vector<std::string> batches,
                                          milliseconds timeout) {
  return Impl::Feed(impl_, expected_next, std::move(batches), timeout);
}
asio::awaitable<Result<void>> Relay::Follow(FollowAction action, milliseconds timeout) {
  return Impl::Follow(impl_, std::move(action), timeout);
}
asio::awaitable<Result<Sequence>> Relay::Splice(SpliceAction action, milliseconds timeout) {
  return Impl::Splice(impl_, std::move(action), timeout);
}
Result<void> Relay::FollowOn(Sequence met) { return impl_->FollowOn(met); }
asio::awaitable<Result<void>> Relay::FullSync(FullSyncAction action, milliseconds timeout) {
  return Impl::FullSync(impl_, std::move(action), timeout);
}

}  // namespace walstitch::relay
