#include "agents/relay/node_session.h"

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <charconv>
#include <utility>

#include "agents/relay/frame_reader.h"
#include "agents/relay/sequencer.h"
#include "policies/model/bytes.h"

namespace walstitch::relay {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::milliseconds kReplyTimeout{10000};
// Making a checkpoint, or a master that limits its rate, takes a while; nothing takes this long.
constexpr std::chrono::milliseconds kFetchSilence{300000};
constexpr std::chrono::milliseconds kNameTimeout{10000};
constexpr std::chrono::milliseconds kNamePoll{5};
constexpr std::chrono::milliseconds kSecondPoll{10};
constexpr char kTlsRecord = 0x16;  // how a ClientHello begins
constexpr std::size_t kReadBytes = 4096;
constexpr std::size_t kSpliceBytes = 65536;

std::string Lower(std::string text) {
  for (char& letter : text) {
    if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
  }
  return text;
}

std::optional<Sequence> ParseSequence(std::string_view text) {
  std::uint64_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || stop != text.data() + text.size()) return std::nullopt;
  return Sequence(value);
}

// Takes as long whatever they say.
bool SameSecret(std::string_view left, std::string_view right) {
  const auto a = Sha256(left);
  const auto b = Sha256(right);
  unsigned differ = 0;
  for (std::size_t i = 0; i < a.size(); ++i) differ |= static_cast<unsigned>(a[i] ^ b[i]);
  return differ == 0;
}

HeartbeatRule::Time Now() { return std::chrono::steady_clock::now().time_since_epoch(); }

}  // namespace

NodeSession::NodeSession(asio::ip::tcp::socket socket, std::chrono::milliseconds heartbeat_interval,
                         SessionLimits limits, bool opened_during_fetch)
    : connection_(std::make_shared<Connection>(std::move(socket))),
      heartbeat_interval_(heartbeat_interval),
      limits_(limits),
      opened_during_fetch_(opened_during_fetch),
      wake_(connection_->Executor()),
      free_(connection_->Executor()) {}

asio::awaitable<void> NodeSession::Run(std::shared_ptr<NodeSession> self,
                                       std::shared_ptr<NodeSessionOwner> owner) {
  co_await self->Serve(owner);
  self->Close();
  owner->OnSessionEnd(*self);
}

void NodeSession::Close() {
  connection_->Close();
  if (upstream_) upstream_->Close();
  wake_.Notify();
  free_.Notify();
}

SteadyTime NodeSession::Deadline() const {
  if (opened_during_fetch_) return heard_ + limits_.silence_during_fetch;
  return opened_ + (spoke_ ? limits_.role : limits_.first_command);
}

asio::awaitable<void> NodeSession::SendAway(std::shared_ptr<NodeSessionOwner> owner, Refused why,
                                            std::string error) {
  owner->OnRefused(why);
  if (!error.empty()) co_await Reply("-ERR " + error + "\r\n");
}

asio::awaitable<void> NodeSession::Serve(std::shared_ptr<NodeSessionOwner> owner) {
  std::array<char, kReadBytes> bytes;
  while (true) {
    auto timeout = kNoDeadline;
    if (!feeding_) {
      const auto left = Deadline() - std::chrono::steady_clock::now();
      timeout = std::max(std::chrono::ceil<std::chrono::milliseconds>(left), std::chrono::milliseconds(0));
    }
    const Result<std::size_t> size = co_await connection_->Read(asio::buffer(bytes), timeout);
    if (!size) {
      if (connection_->TimedOut()) owner->OnRefused(Refused::kSlow);
      co_return;
    }
    if (!spoke_ && !tls_ && reader_.Pending() == 0 && bytes[0] == kTlsRecord) {
      std::shared_ptr<asio::ssl::context> context = owner->NodeTls() ? owner->NodeTls()() : nullptr;
      if (!context) co_return co_await SendAway(owner, Refused::kTls, "");
      tls_ = true;
      std::string read(bytes.data(), *size);
      const Result<void> begun = co_await connection_->AcceptTls(
          std::move(context), Connection::Demand::kNothing, std::move(read), timeout);
      if (begun) continue;
      owner->OnRefused(connection_->TimedOut() ? Refused::kSlow : Refused::kTls);
      co_return;
    }
    reader_.Append(std::string_view(bytes.data(), *size));
    while (true) {
      Result<std::optional<RespCommand>> command = reader_.Next();
      if (!command) {
        // In the stream an answer would be taken for a frame.
        if (feeding_) co_return;
        co_return co_await SendAway(owner, Refused::kGarbage, "Protocol error: " + command.error().Message());
      }
      if (!*command) break;
      spoke_ = true;
      heard_ = std::chrono::steady_clock::now();
      if (feeding_) {
        // `replconf ack <last>`, from 2.14 on; whatever else a later version says is no concern of ours.
        const RespCommand& said = **command;
        if (said.size() == 3 && Lower(said[0]) == "replconf" && Lower(said[1]) == "ack") {
          const std::optional<Sequence> last = ParseSequence(said[2]);
          if (last) owner->OnNodeAck(*this, *last);
        }
        continue;
      }
      const bool goes_on = co_await Answer(owner, std::move(**command));
      if (!goes_on) co_return;
      // 1. Somebody has an answer to each of many commands, and reads none. 2. Or they come without an end.
      // Either way there is a time by which it has to be the node.
      if (!feeding_ && std::chrono::steady_clock::now() >= Deadline())
        co_return co_await SendAway(owner, Refused::kSlow, "");
    }
    if (!feeding_ && !long_ && reader_.Pending() > limits_.bytes) {
      long_ = owner->OnLongCommand(*this);
      if (!long_)
        co_return co_await SendAway(owner, Refused::kTooLarge, "Protocol error: too long a command");
    }
  }
}

asio::awaitable<bool> NodeSession::Answer(std::shared_ptr<NodeSessionOwner> owner, RespCommand command) {
  const std::string name = Lower(command[0]);
  const std::string& password = owner->NodePassword();
  if (name == "auth") {
    // The k-th connection of a node with a masterauth sends k AUTHs. Without a password of our own, whatever
    // the node's is, it is our node.
    admitted_ = password.empty() || (command.size() == 2 && SameSecret(command[1], password));
    if (admitted_) co_return co_await Reply("+OK\r\n");
  }
  if (!password.empty() && !admitted_) {
    co_await SendAway(owner, Refused::kPassword, "");
    co_return false;
  }
  if (name == "replconf") co_return co_await Reply("+OK\r\n");
  if (name == "ping") co_return co_await Reply("+PONG\r\n");
  if (name == "_db_name") {
    // 1. A node boots, and connects before its agent has learned its db-name. 2. It is answered with another
    // one. 3. Its replication thread sleeps for ten seconds. So the answer waits; the node has no deadline.
    const auto give_up = std::chrono::steady_clock::now() + kNameTimeout;
    while (owner->DatabaseName().empty() && !Closed()) {
      if (std::chrono::steady_clock::now() >= give_up) co_return false;
      asio::steady_timer timer(connection_->Executor(), kNamePoll);
      co_await timer.async_wait(asio::use_awaitable);
    }
    co_return co_await Reply(owner->DatabaseName() + "\r\n");
  }
  if (name == "psync") co_return co_await Sync(owner, std::move(command));
  const bool meta = name == "_fetch_meta";
  if (meta || name == "_fetch_file") {
    const std::optional<Endpoint> upstream = owner->OnFetch(*this, meta);
    if (upstream) co_await Splice(owner, *upstream, std::move(command), meta);
    co_return false;
  }
  co_await SendAway(owner, Refused::kForeign, "unknown command: this port serves replication only");
  co_return false;
}

asio::awaitable<bool> NodeSession::Sync(std::shared_ptr<NodeSessionOwner> owner, RespCommand command) {
  // `PSYNC <next>` or `PSYNC <replication id> <next>`. Whether the histories are one was judged by other
  // evidence than an id. To a malformed one no error is answered: any but `+OK` starts a full sync.
  const std::optional<Sequence> next =
      command.size() == 2 || command.size() == 3 ? ParseSequence(command.back()) : std::nullopt;
  if (!next || *next > kMaxSequence) {
    co_await SendAway(owner, Refused::kGarbage, "");
    co_return false;
  }
  const auto give_up = std::chrono::steady_clock::now() + limits_.second_node;
  auto answer = owner->OnPsync(shared_from_this(), *next);
  while (answer == NodeSessionOwner::PsyncAnswer::kTaken) {
    if (Closed()) co_return false;
    if (std::chrono::steady_clock::now() >= give_up) {
      co_await SendAway(owner, Refused::kSecond, "");
      co_return false;
    }
    asio::steady_timer timer(connection_->Executor(), kSecondPoll);
    co_await timer.async_wait(asio::use_awaitable);
    if (Closed()) co_return false;
    answer = owner->OnPsync(shared_from_this(), *next);
  }
  if (answer == NodeSessionOwner::PsyncAnswer::kRefuse) {
    co_return co_await Reply("-ERR sequence out of range, please use fullsync\r\n");
  }
  out_.resize(kFrameBufferBytes);
  feeding_ = true;
  Put("+OK\r\n", true);
  asio::co_spawn(connection_->Executor(), Feed(shared_from_this()), TaskEnd());
  co_return true;
}

asio::awaitable<bool> NodeSession::Reply(std::string text) {
  const Result<void> written = co_await connection_->Write(asio::buffer(text), kReplyTimeout);
  co_return written.has_value();
}

asio::awaitable<bool> NodeSession::WaitFree(SteadyTime deadline) {
  const std::shared_ptr<NodeSession> self = shared_from_this();
  if (!Free() && !Closed() && std::chrono::steady_clock::now() < deadline) co_await free_.Wait(deadline);
  co_return Free();
}

void NodeSession::Put(std::string_view bytes, bool ends_frame) {
  WALSTITCH_CHECK(out_size_ == 0 && bytes.size() <= out_.size());
  std::copy(bytes.begin(), bytes.end(), out_.begin());
  out_size_ = bytes.size();
  mid_frame_ = !ends_frame;
  wake_.Notify();
}

asio::awaitable<void> NodeSession::Feed(std::shared_ptr<NodeSession> self) {
  HeartbeatRule rule(self->heartbeat_interval_, Now());
  while (!self->Closed()) {
    // No deadline on either write: a node in a write stall reads nothing for a while, and is not helped
    // by being made to reconnect. The wait ends with the session.
    if (self->out_size_ > 0) {
      const auto bytes = asio::buffer(self->out_.data(), self->out_size_);
      const Result<void> written = co_await self->connection_->Write(bytes, kNoDeadline);
      if (!written) break;
      self->out_size_ = 0;
      rule.FrameSent(Now());
      self->free_.Notify();
      continue;
    }
    const auto due = SteadyTime(std::chrono::duration_cast<SteadyTime::duration>(rule.Due()));
    if (self->mid_frame_ || std::chrono::steady_clock::now() < due) {
      co_await self->wake_.Wait(self->mid_frame_ ? SteadyTime::max() : due);
      continue;
    }
    const auto heartbeat = asio::buffer(kHeartbeatFrame.data(), kHeartbeatFrame.size());
    const Result<void> written = co_await self->connection_->Write(heartbeat, kNoDeadline);
    if (!written) break;
    rule.HeartbeatSent(Now());
  }
  self->Close();
}

asio::awaitable<void> NodeSession::Splice(std::shared_ptr<NodeSessionOwner> owner, Endpoint upstream,
                                          RespCommand command, bool meta) {
  upstream_ = std::make_shared<Connection>(connection_->Executor());
  const std::shared_ptr<Connection> from = upstream_;
  const Result<void> dialled = co_await owner->Dial(from, upstream);
  if (!dialled) co_return;
  // The request was read here already; so was, perhaps, what the node sent behind it.
  const std::string request = EncodeResp(command) + reader_.TakeRest();
  const Result<void> asked = co_await from->Write(asio::buffer(request), kReplyTimeout);
  if (!asked) co_return;
  asio::co_spawn(connection_->Executor(), SpliceRequests(shared_from_this(), from), TaskEnd());

  std::vector<char> bytes(kSpliceBytes);
  bool line_ended = false;
  while (true) {
    const Result<std::size_t> size = co_await from->Read(asio::buffer(bytes), kFetchSilence);
    if (!size) break;
    const Result<void> written =
        co_await connection_->Write(asio::buffer(bytes.data(), *size), kFetchSilence);
    if (!written) co_return;
    line_ended = bytes[*size - 1] == '\n';
    const SteadyTime next = owner->OnFetched(*size);
    while (std::chrono::steady_clock::now() < next && !connection_->Closed()) co_await wake_.Wait(next);
  }
  // The master closes as soon as it has answered `_fetch_meta`; the node keeps its side open until the
  // data is restored, and by that we know (full_sync.h). So wait for the node, unless the answer was cut:
  // it waits for the rest for ever, and has to see the end.
  while (meta && line_ended && !connection_->Closed()) co_await wake_.Wait(SteadyTime::max());
}

asio::awaitable<void> NodeSession::SpliceRequests(std::shared_ptr<NodeSession> self,
                                                  std::shared_ptr<Connection> upstream) {
  std::vector<char> bytes(kReadBytes);
  while (true) {
    const Result<std::size_t> size = co_await self->connection_->Read(asio::buffer(bytes), kNoDeadline);
    if (!size) break;
    const Result<void> written = co_await upstream->Write(asio::buffer(bytes.data(), *size), kReplyTimeout);
    if (!written) break;
  }
  self->Close();
}

}  // namespace walstitch::relay
