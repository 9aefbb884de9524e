#include "agents/relay/upstream_session.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <cstring>
#include <utility>

#include "agents/relay/frame_reader.h"
#include "agents/relay/resp_reader.h"
#include "agents/relay/sequencer.h"
#include "agents/wal/batch_decoder.h"
#include "agents/wal/batch_digest.h"

namespace walstitch::relay {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kMaxReplyLine = 4096;

bool StartsWith(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

// Errors that pass by themselves: the server restores its data, is a replica without a master, is full.
bool WillPass(std::string_view line) {
  return StartsWith(line, "-LOADING") || StartsWith(line, "-MASTERDOWN") ||
         line.find("max number of clients") != std::string_view::npos;
}

// What a server said, made fit for a sentence: no control characters, not endless.
std::string Quoted(std::string_view line) {
  std::string text(line.substr(0, 200));
  for (char& letter : text) {
    if (static_cast<unsigned char>(letter) < 0x20 || letter == 0x7f) letter = '?';
  }
  return text;
}

constexpr std::size_t kFrameEndBytes = 2;  // \r\n

// Of a frame that ReadFrame knows: its first line, with the line's end.
std::size_t HeadBytes(std::string_view frame) {
  const std::size_t end = frame.find('\n');
  WALSTITCH_CHECK(end != std::string_view::npos);
  return end + 1;
}

// What a whole frame holds.
std::string_view BatchOf(std::string_view frame) {
  const std::size_t head = HeadBytes(frame);
  return frame.substr(head, frame.size() - head - kFrameEndBytes);
}

// Its digest is still to be taken.
BatchInfo BehindOf(const Frame& frame) {
  BatchInfo info;
  info.first = frame.first;
  info.count = frame.count;
  return info;
}

asio::awaitable<Result<void>> Send(std::shared_ptr<Connection> link, RespCommand command,
                                   std::chrono::milliseconds timeout) {
  const std::string bytes = EncodeResp(command);
  co_return co_await link->Write(asio::buffer(bytes), timeout);
}

}  // namespace

asio::awaitable<Result<void>> DialUpstream(std::shared_ptr<Connection> connection, Endpoint upstream,
                                           const UpstreamOptions& options) {
  const auto handshake_timeout = options.handshake_timeout;
  std::string password = options.password;
  const TlsContexts tls = options.tls;
  std::string name = options.tls_name.empty() ? upstream.host : options.tls_name;
  if (options.port != 0) upstream.port = options.port;
  Result<void> connected = co_await connection->Connect(upstream, options.connect_timeout);
  if (connected && tls) {
    std::shared_ptr<asio::ssl::context> context = tls();
    connected = co_await connection->StartTls(std::move(context), std::move(name), handshake_timeout);
  }
  if (!connected || password.empty()) co_return connected;
  RespCommand auth{"AUTH", std::move(password)};
  const Result<void> sent = co_await Send(connection, std::move(auth), handshake_timeout);
  if (!sent) co_return Fail(sent.error(), "AUTH");
  // Byte by byte, so that nothing of what follows the line is taken.
  std::string line;
  while (line.size() < 2 || line.compare(line.size() - 2, 2, "\r\n") != 0) {
    char byte = 0;
    const Result<std::size_t> size = co_await connection->Read(asio::buffer(&byte, 1), handshake_timeout);
    if (!size) co_return Fail(size.error(), "AUTH");
    line.push_back(byte);
    if (line.size() > kMaxReplyLine) {
      co_return Fail(ErrorCode::kUnavailable, "AUTH: an answer that does not end");
    }
  }
  line.resize(line.size() - 2);
  if (line == "+OK") co_return Result<void>();
  const ErrorCode code = WillPass(line) ? ErrorCode::kUnavailable : ErrorCode::kInvalid;
  co_return Fail(code, "AUTH was refused: " + Quoted(line));
}

UpstreamSession::UpstreamSession(asio::any_io_executor executor, UpstreamOptions options)
    : options_(std::move(options)),
      behind_(options_.last_batch),
      buffer_(kFrameBufferBytes),
      pause_(std::move(executor)) {
  if (const auto& splice = options_.splice) splicer_.emplace(splice->fork, splice->shift, splice->marker);
}

void UpstreamSession::Cancel() {
  cancelled_ = true;
  connected_ = false;
  if (link_) link_->Close();
  pause_.Notify();
}

void UpstreamSession::FollowOn() {
  WALSTITCH_CHECK(met_at_.has_value());
  from_ = met_at_;
  splicer_.reset();
  ever_accepted_ = true;
  pause_.Notify();
}

void UpstreamSession::NodeChanged() {
  if (link_) link_->Close();
  pause_.Notify();
}

std::optional<std::chrono::milliseconds> UpstreamSession::Silence(SteadyTime now) const {
  if (!heard_ || waits_for_node_) return std::nullopt;
  return std::chrono::duration_cast<std::chrono::milliseconds>(
      std::max(now - *heard_, SteadyTime::duration(0)));
}

void UpstreamSession::Acknowledge(Sequence last) {
  // 1. A node is spliced, or was. 2. It says how far it is, by a number from before the place where the
  // numbers met. 3. The upstream would take it for its own number, and believe that the node has records that
  // it has not. So nothing from before the beginning is told.
  if (!connected_ || splicer_ || !from_ || last + 1 < *from_) return;
  ack_ = last;
  if (sending_acks_) return;
  sending_acks_ = true;
  asio::co_spawn(link_->Executor(), SendAcks(shared_from_this(), link_), TaskEnd());
}

asio::awaitable<void> UpstreamSession::SendAcks(std::shared_ptr<UpstreamSession> self,
                                                std::shared_ptr<Connection> link) {
  // Masters before 2.14 read nothing from their replicas. So only the latest is kept, and one that is not
  // taken off our hands just stays: it holds up nothing.
  while (self->ack_ && !link->Closed()) {
    RespCommand ack{"replconf", "ack", self->ack_->ToString()};
    self->ack_.reset();
    const Result<void> sent = co_await Send(link, std::move(ack), kNoDeadline);
    if (!sent) break;
  }
  self->sending_acks_ = false;
}

asio::awaitable<void> UpstreamSession::Run(std::shared_ptr<UpstreamSession> self,
                                           std::shared_ptr<UpstreamSessionOwner> owner) {
  while (!self->cancelled_) {
    const std::shared_ptr<NodeSession> node = owner->Node();
    if (!node) {
      co_await owner->Changed().Wait(SteadyTime::max());
      continue;
    }
    const LinkEnd end = co_await self->FollowOnce(owner, node);
    self->connected_ = false;
    if (self->link_) self->link_->Close();
    // Half a frame is with the node, and its other half will not come.
    if (node->MidFrame()) node->Close();
    if (self->cancelled_) break;
    if (end.what != LinkEnd::What::kLost || self->splicer_) {
      self->cancelled_ = true;
      self->refused_batch_ = end.what == LinkEnd::What::kBadBatch;
      owner->OnFailed(*self, end.error, end.what == LinkEnd::What::kRefused);
      break;
    }
    if (owner->Node() != node) continue;
    owner->OnLost(*self, end.error);
    co_await self->pause_.Wait(std::chrono::steady_clock::now() + self->options_.reconnect_interval);
  }
}

asio::awaitable<UpstreamSession::LinkEnd> UpstreamSession::FollowOnce(
    std::shared_ptr<UpstreamSessionOwner> owner, std::shared_ptr<NodeSession> node) {
  using What = LinkEnd::What;
  const Sequence next = owner->NodeNext();
  const std::string name = "upstream " + options_.endpoint.ToString();
  if (!from_ && options_.expected_next && *options_.expected_next != next) {
    co_return LinkEnd{What::kFailed, Error(ErrorCode::kConflict,
                                           "the node's next sequence is " + next.ToString() + ", not " +
                                               options_.expected_next->ToString() + " as commanded")};
  }
  if (!from_ && !splicer_) from_ = next;
  const Sequence resume = splicer_ ? splicer_->UpstreamNext() : next;
  if (splicer_ && splicer_->NodeNext() != next) {
    const Error why(ErrorCode::kConflict, "the node's next sequence is " + next.ToString() + ", not " +
                                              splicer_->NodeNext().ToString() + ": the shift is another");
    co_return LinkEnd{What::kFailed, why};
  }
  std::optional<BatchInfo> behind = Behind();
  if (behind && behind->End() != resume) behind.reset();
  if (!behind && (ever_accepted_ || options_.last_batch)) {
    co_return LinkEnd{
        What::kFailed,
        Error(ErrorCode::kConflict, name + (ever_accepted_ ? ": the link broke, and" : ":") +
                                        " the node's next sequence " + resume.ToString() +
                                        " is not the end of a batch that a new link could be compared by")};
  }
  const Sequence ask = behind ? behind->first : resume;
  begin_ = end_ = 0;
  link_ = std::make_shared<Connection>(pause_.Executor());
  const std::shared_ptr<Connection> link = link_;
  const Result<void> dialled = co_await DialUpstream(link, options_.endpoint, options_);
  if (!dialled) {
    const What what = dialled.error().Code() == ErrorCode::kInvalid ? What::kFailed : What::kLost;
    co_return LinkEnd{what, dialled.error().Within(name)};
  }
  std::optional<LinkEnd> refused = co_await Handshake(link, ask);
  if (refused) {
    refused->error = refused->what == What::kRefused ? refused->error : refused->error.Within(name);
    co_return *refused;
  }
  if (cancelled_ || link->Closed())
    co_return LinkEnd{What::kLost, Error(ErrorCode::kUnavailable, name + ": closed")};
  if (behind) {
    std::optional<LinkEnd> differs = co_await Compare(link, *behind);
    if (differs) {
      differs->error = differs->error.Within(name);
      co_return *differs;
    }
    if (cancelled_ || link->Closed())
      co_return LinkEnd{What::kLost, Error(ErrorCode::kUnavailable, name + ": closed")};
  }
  connected_ = true;
  if (splicer_) {
    std::optional<LinkEnd> failed = co_await Splice(owner, node, link);
    if (failed) {
      failed->error = failed->error.Within(name + ": splicing");
      co_return *failed;
    }
  }
  ever_accepted_ = true;
  ++links_;
  owner->OnAccepted(*this);
  LinkEnd end = co_await Stream(owner, node, link, owner->NodeNext());
  end.error = end.error.Within(name);
  co_return end;
}

// nullopt: the upstream said +OK, and what follows is its stream.
asio::awaitable<std::optional<UpstreamSession::LinkEnd>> UpstreamSession::Handshake(
    std::shared_ptr<Connection> link, Sequence next) {
  using What = LinkEnd::What;
  const auto timeout = options_.handshake_timeout;
  auto lost = [](std::string text) {
    return LinkEnd{What::kLost, Error(ErrorCode::kUnavailable, std::move(text))};
  };

  RespCommand database_name{"_db_name"};
  Result<void> sent = co_await Send(link, std::move(database_name), timeout);
  if (!sent) co_return lost("_db_name: " + sent.error().Message());
  Result<std::string> line = co_await ReadLine(link);
  if (!line) co_return lost("_db_name: " + line.error().Message());
  if (StartsWith(*line, "-")) co_return lost("_db_name: it answers " + Quoted(*line));
  if (*line != options_.database_name) {
    co_return LinkEnd{What::kFailed, Error(ErrorCode::kInvalid,
                                           "its db-name is " + Quoted(*line) + ", the node's is " +
                                               options_.database_name + ": they must be equal to replicate")};
  }

  bool with_host = !options_.announce_host.empty();
  while (options_.announce_port != 0) {
    RespCommand announce{"replconf", "listening-port", std::to_string(options_.announce_port)};
    if (with_host) {
      announce.emplace_back("ip-address");
      announce.push_back(options_.announce_host);
    }
    sent = co_await Send(link, std::move(announce), timeout);
    if (!sent) co_return lost("replconf: " + sent.error().Message());
    line = co_await ReadLine(link);
    if (!line) co_return lost("replconf: " + line.error().Message());
    if (WillPass(*line)) co_return lost("replconf: it answers " + Quoted(*line));
    // Servers that do not know `ip-address` are told the port alone; other errors matter to nobody.
    if (!with_host || line->find("unknown option") == std::string::npos) break;
    with_host = false;
  }

  RespCommand psync{"PSYNC", next.ToString()};
  sent = co_await Send(link, std::move(psync), timeout);
  if (!sent) co_return lost("PSYNC: " + sent.error().Message());
  line = co_await ReadLine(link);
  if (!line) co_return lost("PSYNC: " + line.error().Message());
  if (*line == "+OK") co_return std::nullopt;
  if (WillPass(*line)) co_return lost("PSYNC: it answers " + Quoted(*line));
  const std::string_view text =
      StartsWith(*line, "-") ? std::string_view(*line).substr(1) : std::string_view(*line);
  co_return LinkEnd{What::kRefused, Error(ErrorCode::kConflict, "upstream " + options_.endpoint.ToString() +
                                                                    " refused PSYNC at " + next.ToString() +
                                                                    ": " + Quoted(text))};
}

const std::optional<BatchInfo>& UpstreamSession::Behind() {
  if (!behind_frame_.empty()) {
    behind_->digest = wal::DigestOf(BatchOf(behind_frame_));
    behind_frame_.clear();
  }
  return behind_;
}

asio::awaitable<std::optional<UpstreamSession::LinkEnd>> UpstreamSession::Compare(
    std::shared_ptr<Connection> link, BatchInfo expected) {
  using What = LinkEnd::What;
  const LinkEnd another{What::kBadBatch,
                        Error(ErrorCode::kConflict, "its batch at " + expected.first.ToString() +
                                                        " is not the one that was there before: its history "
                                                        "is another")};
  while (true) {
    const Result<std::optional<Frame>> frame = ReadFrame(Unread());
    if (!frame) co_return LinkEnd{What::kBadBatch, frame.error()};
    if (!*frame) {
      const Result<void> filled = co_await Fill(link, options_.silence_timeout);
      if (!filled) co_return LinkEnd{What::kLost, filled.error()};
      continue;
    }
    // A batch without records may stand before it, and was given to the node already.
    const bool counts = (*frame)->kind == FrameKind::kBatch && (*frame)->count > 0;
    if (counts && ((*frame)->first != expected.first || (*frame)->count != expected.count)) co_return another;
    std::uint64_t left = (*frame)->bytes;
    if (!counts) {
      // It is there as a whole, or comes with the next bytes.
      while (left > 0) {
        const std::size_t piece = static_cast<std::size_t>(std::min<std::uint64_t>(left, Unread().size()));
        begin_ += piece;
        left -= piece;
        if (left == 0) break;
        const Result<void> filled = co_await Fill(link, options_.silence_timeout);
        if (!filled) co_return LinkEnd{What::kLost, filled.error()};
      }
      continue;
    }
    wal::BatchDigester digester;
    const std::size_t head = HeadBytes(Unread());
    begin_ += head;
    left -= head + kFrameEndBytes;
    while (left > 0) {
      const std::size_t piece = static_cast<std::size_t>(std::min<std::uint64_t>(left, Unread().size()));
      digester.Add(Unread().substr(0, piece));
      begin_ += piece;
      left -= piece;
      if (left == 0) break;
      const Result<void> filled = co_await Fill(link, options_.silence_timeout);
      if (!filled) co_return LinkEnd{What::kLost, filled.error()};
    }
    while (Unread().size() < kFrameEndBytes) {
      const Result<void> filled = co_await Fill(link, options_.silence_timeout);
      if (!filled) co_return LinkEnd{What::kLost, filled.error()};
    }
    if (!StartsWith(Unread(), "\r\n")) {
      co_return LinkEnd{What::kBadBatch,
                        Error(ErrorCode::kDamaged, "malformed frame: no line end after its bytes")};
    }
    begin_ += kFrameEndBytes;
    if (digester.Finish() != expected.digest) co_return another;
    co_return std::nullopt;
  }
}

asio::awaitable<UpstreamSession::LinkEnd> UpstreamSession::Stream(std::shared_ptr<UpstreamSessionOwner> owner,
                                                                  std::shared_ptr<NodeSession> node,
                                                                  std::shared_ptr<Connection> link,
                                                                  Sequence next) {
  using What = LinkEnd::What;
  const LinkEnd over{What::kLost, Error(ErrorCode::kUnavailable, "the link was dropped")};
  Sequencer sequencer(next);
  while (true) {
    // A run of whole batches goes to the node in one piece; what is no batch ends a run.
    std::size_t run = 0;
    std::uint64_t frames = 0;
    std::optional<Frame> frame;
    std::optional<Error> damage;
    std::optional<Frame> last_frame;  // the run's last batch with records
    std::size_t last_begin = 0;
    while (true) {
      const Result<std::optional<Frame>> seen = ReadFrame(Unread().substr(run));
      if (!seen) {
        damage = seen.error();
        break;
      }
      frame = *seen;
      if (!frame || frame->kind != FrameKind::kBatch || frame->bytes > Unread().size() - run) break;
      const Result<void> fits = sequencer.Accept(frame->first, frame->count);
      if (!fits) {
        damage = fits.error();
        break;
      }
      if (frame->count > 0) {
        last_begin = run;
        last_frame = *frame;
      }
      run += frame->bytes;
      ++frames;
      frame.reset();
    }
    // What came before the damage is sound, and is sent.
    if (run > 0) {
      const bool ready = co_await WaitForNode(node, link);
      if (!ready) co_return over;
      node->Put(Unread().substr(0, run), true);
      if (last_frame) {
        behind_ = BehindOf(*last_frame);
        behind_frame_.assign(Unread().substr(last_begin, last_frame->bytes));
      }
      begin_ += run;
      owner->OnForwarded(sequencer.Next(), frames, run);
    }
    if (damage) co_return LinkEnd{What::kBadBatch, *damage};

    if (frame && frame->kind != FrameKind::kBatch) {
      if (frame->kind == FrameKind::kGetAck) Acknowledge(owner->AckedLast());
      begin_ += frame->bytes;
      continue;
    }
    if (frame && frame->bytes > buffer_.size()) {
      const Result<void> fits = sequencer.Accept(frame->first, frame->count);
      if (!fits) co_return LinkEnd{What::kBadBatch, fits.error()};
      BatchDigest digest;
      std::optional<LinkEnd> ended = co_await PassGreat(owner, node, link, *frame, sequencer.Next(), &digest);
      if (ended) co_return *ended;
      if (frame->count > 0) {
        behind_ = BehindOf(*frame);
        behind_->digest = digest;
        behind_frame_.clear();
      }
      continue;
    }
    const Result<void> filled = co_await Fill(link, options_.silence_timeout);
    if (!filled) co_return LinkEnd{What::kLost, filled.error()};
  }
}

asio::awaitable<std::optional<UpstreamSession::LinkEnd>> UpstreamSession::PassGreat(
    std::shared_ptr<UpstreamSessionOwner> owner, std::shared_ptr<NodeSession> node,
    std::shared_ptr<Connection> link, Frame frame, Sequence next, BatchDigest* digest) {
  using What = LinkEnd::What;
  std::uint64_t left = frame.bytes;
  std::size_t head = HeadBytes(Unread());
  wal::BatchDigester digester;
  while (left > 0) {
    // The last two bytes come together, so that a wrong end is seen before it is passed on.
    std::size_t piece = static_cast<std::size_t>(std::min<std::uint64_t>(left, Unread().size()));
    const bool last = piece == left;
    if (!last && left - piece < 2) piece = static_cast<std::size_t>(left - 2);
    if (piece == 0) {
      const Result<void> filled = co_await Fill(link, options_.silence_timeout);
      if (!filled) co_return LinkEnd{What::kLost, filled.error()};
      continue;
    }
    if (last && Unread().substr(piece - 2, 2) != "\r\n") {
      co_return LinkEnd{What::kBadBatch,
                        Error(ErrorCode::kDamaged, "malformed frame: no line end after its bytes")};
    }
    const bool ready = co_await WaitForNode(node, link);
    if (!ready) co_return LinkEnd{What::kLost, Error(ErrorCode::kUnavailable, "the link was dropped")};
    node->Put(Unread().substr(0, piece), last);
    digester.Add(Unread().substr(head, piece - head - (last ? kFrameEndBytes : 0)));
    head = 0;
    begin_ += piece;
    left -= piece;
    owner->OnForwarded(last ? next : owner->NodeNext(), last ? 1 : 0, piece);
  }
  *digest = digester.Finish();
  co_return std::nullopt;
}

Result<std::optional<Frame>> UpstreamSession::TakeSpliced(std::string* out, std::uint64_t* frames) {
  // Of the length's line and the line end.
  constexpr std::size_t kAround = kMaxFrameHeadBytes + kFrameEndBytes;
  while (!splicer_->Met()) {
    Result<std::optional<Frame>> frame = ReadFrame(Unread());
    if (!frame) return Fail(frame.error());
    const bool whole = *frame && (*frame)->kind == FrameKind::kBatch && (*frame)->bytes <= Unread().size();
    if (!whole) return frame;
    const std::string_view bytes = Unread().substr(0, static_cast<std::size_t>((*frame)->bytes));
    if (!out->empty() && out->size() + bytes.size() + kAround > kFrameBufferBytes) return std::nullopt;
    const Result<std::optional<std::string>> taken = splicer_->Take(BatchOf(bytes));
    if (!taken) return Fail(taken.error());
    if (*taken) {
      *out += "$" + std::to_string((*taken)->size()) + "\r\n" + **taken + "\r\n";
      ++*frames;
    }
    if (splicer_->Met()) {
      behind_ = BehindOf(**frame);
      behind_frame_ = bytes;
    }
    begin_ += bytes.size();
  }
  return std::nullopt;
}

asio::awaitable<std::optional<UpstreamSession::LinkEnd>> UpstreamSession::Splice(
    std::shared_ptr<UpstreamSessionOwner> owner, std::shared_ptr<NodeSession> node,
    std::shared_ptr<Connection> link) {
  using What = LinkEnd::What;
  const LinkEnd over{What::kLost, Error(ErrorCode::kUnavailable, "the link was dropped")};
  while (!splicer_->Met()) {
    std::string out;
    std::uint64_t frames = 0;
    const Result<std::optional<Frame>> rest = TakeSpliced(&out, &frames);
    // What came before the damage is sound, but a replay that will not end is not gone on with.
    if (!rest) co_return LinkEnd{What::kBadBatch, rest.error()};
    if (!out.empty()) {
      const bool ready = co_await WaitForNode(node, link);
      if (!ready) co_return over;
      node->Put(out, true);
      owner->OnForwarded(splicer_->NodeNext(), frames, out.size());
    }
    if (splicer_->Met()) break;
    const std::optional<Frame>& frame = *rest;
    if (!out.empty() && !frame) continue;
    if (frame && frame->kind != FrameKind::kBatch) {
      begin_ += frame->bytes;
      continue;
    }
    if (frame && frame->bytes > buffer_.size()) {
      const Result<Sequence> first = splicer_->TakeGreat(frame->first, frame->count);
      if (!first) co_return LinkEnd{What::kBadBatch, first.error()};
      wal::SetBatchFirst(buffer_.data() + begin_ + HeadBytes(Unread()), *first);
      BatchDigest digest;
      std::optional<LinkEnd> ended =
          co_await PassGreat(owner, node, link, *frame, splicer_->NodeNext(), &digest);
      if (ended) co_return ended;
      continue;
    }
    const Result<void> filled = co_await Fill(link, options_.silence_timeout);
    if (!filled) co_return LinkEnd{What::kLost, filled.error()};
  }
  const bool written = co_await WaitForNode(node, link);
  if (!written) co_return over;
  // Whatever of the filler was left out, the node's number is now the upstream's.
  WALSTITCH_CHECK(splicer_->UpstreamNext() == owner->NodeNext());
  met_at_ = splicer_->UpstreamNext();
  owner->OnMet(*this);
  while (splicer_ && !cancelled_ && !link->Closed() && !node->Closed()) {
    co_await pause_.Wait(SteadyTime::max());
  }
  if (cancelled_ || link->Closed() || node->Closed()) co_return over;
  co_return std::nullopt;
}

asio::awaitable<bool> UpstreamSession::WaitForNode(std::shared_ptr<NodeSession> node,
                                                   std::shared_ptr<Connection> link) {
  while (!cancelled_ && !link->Closed() && !node->Closed()) {
    if (node->Free()) co_return true;
    waits_for_node_ = true;
    co_await node->WaitFree(SteadyTime::max());
    waits_for_node_ = false;
  }
  co_return false;
}

asio::awaitable<Result<void>> UpstreamSession::Fill(std::shared_ptr<Connection> link,
                                                    std::chrono::milliseconds timeout) {
  if (begin_ == end_) begin_ = end_ = 0;
  // Moved only when there is no room left for a good piece behind it.
  if (begin_ > 0 && buffer_.size() - end_ < buffer_.size() / 2) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  WALSTITCH_CHECK(end_ < buffer_.size());
  const Result<std::size_t> size =
      co_await link->Read(asio::buffer(buffer_.data() + end_, buffer_.size() - end_), timeout);
  if (!size) co_return Fail(size.error());
  heard_ = std::chrono::steady_clock::now();
  end_ += *size;
  co_return Result<void>();
}

asio::awaitable<Result<std::string>> UpstreamSession::ReadLine(std::shared_ptr<Connection> link) {
  while (true) {
    const std::size_t end = Unread().substr(0, kMaxReplyLine).find("\r\n");
    if (end != std::string_view::npos) {
      std::string line(Unread().substr(0, end));
      begin_ += end + 2;
      co_return line;
    }
    if (Unread().size() >= kMaxReplyLine) {
      co_return Fail(ErrorCode::kUnavailable, "an answer that does not end");
    }
    const Result<void> filled = co_await Fill(link, options_.handshake_timeout);
    if (!filled) co_return Fail(filled.error());
  }
}

}  // namespace walstitch::relay
