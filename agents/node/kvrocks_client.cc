#include "agents/node/kvrocks_client.h"

#include <hiredis/hiredis.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <initializer_list>
#include <utility>

#include "agents/node/info.h"
#include "agents/node/tls_wire.h"
#include "policies/model/bytes.h"

namespace walstitch::node {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::milliseconds kStopSlice{50};  // how late a stop may be noticed

struct ContextFree {
  void operator()(redisContext* context) const { redisFree(context); }
};
struct ReplyFree {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using Reply = std::unique_ptr<redisReply, ReplyFree>;

std::string_view Text(const redisReply& reply) { return {reply.str, static_cast<std::size_t>(reply.len)}; }

bool IsText(const redisReply& reply) {
  return reply.type == REDIS_REPLY_STRING || reply.type == REDIS_REPLY_STATUS;
}

}  // namespace

class KvrocksClient::Impl {
 public:
  explicit Impl(ClientOptions options) : options_(std::move(options)) {}

  [[nodiscard]] std::chrono::milliseconds Timeout() const { return options_.timeout; }
  [[nodiscard]] int Descriptor() const { return context_ ? context_->fd : -1; }

  // One command and its answer; an error reply is an Error (kConflict). Connects first where needed.
  Result<Reply> Call(std::initializer_list<std::string_view> arguments, std::chrono::milliseconds timeout) {
    const std::string name(*arguments.begin());
    const auto deadline = Clock::now() + timeout;
    DropIfStale();
    if (!context_) {
      auto connected = Connect(deadline, timeout);
      if (!connected) return Fail(connected.error(), Where() + ": " + name);
    }
    auto reply = Exchange(arguments, deadline, timeout);
    if (!reply) return Fail(reply.error(), Where() + ": " + name);
    if ((*reply)->type == REDIS_REPLY_ERROR) {
      return Fail(ErrorCode::kConflict,
                  Where() + ": " + name + ": the node answered: " + ToPrintable(Text(**reply)));
    }
    return reply;
  }

  // One command on a new connection, written together with AUTH.
  Result<Reply> CallAtOnce(std::initializer_list<std::string_view> arguments,
                           std::chrono::milliseconds timeout) {
    const std::string where = Where() + ": " + std::string(*arguments.begin());
    const auto deadline = Clock::now() + timeout;
    context_.reset();
    // Connecting does not look at `stop`.
    const std::chrono::milliseconds connect_timeout = std::min(timeout, options_.timeout);
    auto connected = ConnectSocket(Clock::now() + connect_timeout, connect_timeout);
    if (!connected) return Fail(connected.error(), where);
    if (!options_.password.empty()) Append({"AUTH", options_.password});
    Append(arguments);
    if (auto written = Flush(deadline, timeout); !written) return Fail(written.error(), where);
    if (!options_.password.empty()) {
      auto let_in = ReadReply(deadline, timeout);
      if (!let_in) return Fail(let_in.error(), where);
      if (auto refused = CheckAuth(**let_in); !refused) return Fail(refused.error(), where);
    }
    auto reply = ReadReply(deadline, timeout);
    if (!reply) return Fail(reply.error(), where);
    if ((*reply)->type == REDIS_REPLY_ERROR) {
      return Fail(ErrorCode::kConflict, where + ": the node answered: " + ToPrintable(Text(**reply)));
    }
    return reply;
  }

  Result<std::vector<NodeReply>> Send(const std::vector<NodeCommand>& commands,
                                      const KvrocksClient::SendOptions& options) {
    std::vector<NodeReply> replies;
    if (commands.empty()) return replies;
    const std::string where = Where() + ": " + commands.front().front();
    const auto deadline = Clock::now() + options.timeout;
    if (options.connection && Connection() != *options.connection) {
      return Fail(ErrorCode::kIo, where + ": the connection was lost in between");
    }
    DropIfStale();
    if (!context_) {
      if (auto connected = Connect(deadline, options.timeout); !connected)
        return Fail(connected.error(), where);
    }
    for (const NodeCommand& command : commands)
      Append(std::vector<std::string_view>(command.begin(), command.end()));
    if (auto written = Flush(deadline, options.timeout); !written) return Fail(written.error(), where);
    for (std::size_t i = 0; i < commands.size(); ++i) {
      auto reply = ReadReplyOf(options.max_reply_bytes, deadline, options.timeout);
      if (!reply) return Fail(reply.error(), where);
      if (!*reply) {
        replies.emplace_back().kind = NodeReply::Kind::kTooLarge;
        break;
      }
      replies.push_back(Convert(**reply));
    }
    return replies;
  }

  std::uint64_t Connection() {
    DropIfStale();
    return context_ ? connections_ : 0;
  }

  void Disconnect() { context_.reset(); }

 private:
  static NodeReply Convert(const redisReply& reply) {
    NodeReply out;
    switch (reply.type) {
      case REDIS_REPLY_STRING:
      case REDIS_REPLY_STATUS:
        out.kind = NodeReply::Kind::kText;
        out.text = Text(reply);
        break;
      case REDIS_REPLY_ERROR:
        out.kind = NodeReply::Kind::kError;
        out.text = Text(reply);
        break;
      case REDIS_REPLY_INTEGER:
        out.kind = NodeReply::Kind::kNumber;
        out.number = reply.integer;
        break;
      case REDIS_REPLY_ARRAY:
        out.kind = NodeReply::Kind::kList;
        out.list.reserve(reply.elements);
        for (std::size_t i = 0; i < reply.elements; ++i) out.list.push_back(Convert(*reply.element[i]));
        break;
      default:
        break;
    }
    return out;
  }

  // An empty pointer: it is larger than that. What was read before with an earlier reply counts, too.
  Result<Reply> ReadReplyOf(std::uint64_t max_bytes, Clock::time_point deadline,
                            std::chrono::milliseconds timeout) {
    constexpr std::uint64_t kBuffer = 16384;  // of hiredis, at a time
    std::uint64_t reads = 0;
    while (true) {
      void* reply = nullptr;
      if (redisGetReplyFromReader(context_.get(), &reply) != REDIS_OK) return Fail(Broken());
      if (reply != nullptr) return Reply(static_cast<redisReply*>(reply));
      if (reads * kBuffer > max_bytes) {
        context_.reset();
        return Reply();
      }
      if (tls_) {
        auto read =
            tls_->Read(context_->reader, [&](short events) { return Wait(events, deadline, timeout); });
        if (!read) return Fail(LostTls(read.error()));
      } else {
        if (auto ready = Wait(POLLIN, deadline, timeout); !ready) return Fail(ready.error());
        if (redisBufferRead(context_.get()) != REDIS_OK) return Fail(Broken());
      }
      ++reads;
    }
  }

  [[nodiscard]] std::string Where() const {
    return "kvrocks " + options_.host + ":" + std::to_string(options_.port);
  }

  // 1. The server restarts while we are idle. 2. The next command is written into the dead connection.
  // 3. The answer is an error, and nobody knows whether the command was run. So look before writing: an
  // idle connection has nothing to read.
  void DropIfStale() {
    if (!context_) return;
    char byte = 0;
    ssize_t got = recv(context_->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR)) context_.reset();
  }

  Result<void> ConnectSocket(Clock::time_point deadline, std::chrono::milliseconds timeout) {
    auto left = std::max(std::chrono::duration_cast<std::chrono::microseconds>(deadline - Clock::now()),
                         std::chrono::microseconds(1000));
    timeval time{};
    time.tv_sec = static_cast<decltype(time.tv_sec)>(left.count() / 1000000);
    time.tv_usec = static_cast<decltype(time.tv_usec)>(left.count() % 1000000);
    errno = 0;
    tls_.reset();
    context_.reset(redisConnectWithTimeout(options_.host.c_str(), options_.port, time));
    if (!context_) return Fail(ErrorCode::kIo, "cannot connect: out of memory");
    ++connections_;
    if (context_->err != 0) {
      int number = context_->err == REDIS_ERR_IO ? errno : 0;
      std::string why = context_->errstr;
      context_.reset();
      if (number == ECONNREFUSED || why.find("refused") != std::string::npos) {
        return Fail(ErrorCode::kUnavailable, "connection refused: no server listens there");
      }
      if (number == ETIMEDOUT || number == EAGAIN || number == EINPROGRESS || Clock::now() >= deadline) {
        return Fail(ErrorCode::kTimeout, "no connection after " + std::to_string(timeout.count()) + " ms");
      }
      return Fail(ErrorCode::kIo, "cannot connect: " + why);
    }
    if (!options_.tls) return {};
    tls_ = std::make_unique<TlsWire>(options_.tls(), context_->fd);
    auto greeted = tls_->Greet(options_.tls_name.empty() ? options_.host : options_.tls_name,
                               [&](short events) { return Wait(events, deadline, timeout); });
    if (!greeted) {
      context_.reset();
      return Fail(greeted.error().Code(), "TLS: " + greeted.error().Message());
    }
    return {};
  }

  Error LostTls(const Error& error) {
    context_.reset();
    return error;
  }

  Result<void> Connect(Clock::time_point deadline, std::chrono::milliseconds timeout) {
    auto connected = ConnectSocket(deadline, timeout);
    if (!connected || options_.password.empty()) return connected;
    auto reply = Exchange({"AUTH", options_.password}, deadline, timeout);
    if (!reply) return Fail(reply.error(), "AUTH");
    return CheckAuth(**reply);
  }

  Result<void> CheckAuth(const redisReply& reply) {
    if (reply.type != REDIS_REPLY_ERROR) return {};
    std::string why = ToPrintable(Text(reply));
    context_.reset();
    return Fail(ErrorCode::kInvalid, "AUTH: the node answered: " + why + " (check kvrocks.password)");
  }

  // Writes and reads with a deadline over the whole, not over each read as hiredis' own timeout has it.
  Result<Reply> Exchange(std::initializer_list<std::string_view> arguments, Clock::time_point deadline,
                         std::chrono::milliseconds timeout) {
    Append(arguments);
    if (auto written = Flush(deadline, timeout); !written) return Fail(written.error());
    return ReadReply(deadline, timeout);
  }

  void Append(std::initializer_list<std::string_view> arguments) {
    Append(std::vector<std::string_view>(arguments));
  }

  void Append(const std::vector<std::string_view>& arguments) {
    std::vector<const char*> pointers;
    std::vector<std::size_t> sizes;
    for (std::string_view argument : arguments) {
      pointers.push_back(argument.data());
      sizes.push_back(argument.size());
    }
    if (!tls_) {
      redisAppendCommandArgv(context_.get(), static_cast<int>(pointers.size()), pointers.data(),
                             sizes.data());
      return;
    }
    char* command = nullptr;
    const long long length =
        redisFormatCommandArgv(&command, static_cast<int>(pointers.size()), pointers.data(), sizes.data());
    WALSTITCH_CHECK(length > 0);
    tls_->Append(std::string_view(command, static_cast<std::size_t>(length)));
    redisFreeCommand(command);
  }

  Result<void> Flush(Clock::time_point deadline, std::chrono::milliseconds timeout) {
    if (tls_) {
      auto flushed = tls_->Flush([&](short events) { return Wait(events, deadline, timeout); });
      return flushed ? Result<void>() : Fail(LostTls(flushed.error()));
    }
    int written = 0;
    while (written == 0) {
      if (auto ready = Wait(POLLOUT, deadline, timeout); !ready) return ready;
      if (redisBufferWrite(context_.get(), &written) != REDIS_OK) return Fail(Broken());
    }
    return {};
  }

  // Of any size.
  Result<Reply> ReadReply(Clock::time_point deadline, std::chrono::milliseconds timeout) {
    return ReadReplyOf(UINT64_MAX, deadline, timeout);
  }

  Result<void> Wait(short events, Clock::time_point deadline, std::chrono::milliseconds timeout) {
    while (true) {
      if (options_.stop != nullptr && options_.stop->load()) {
        context_.reset();
        return Fail(ErrorCode::kTimeout, "given up: the agent stops");
      }
      auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
      if (left.count() <= 0) {
        context_.reset();  // a late answer must not be taken for that of the next command
        return Fail(ErrorCode::kTimeout, "no answer after " + std::to_string(timeout.count()) + " ms");
      }
      pollfd descriptor{context_->fd, events, 0};
      int ready = poll(&descriptor, 1, static_cast<int>(std::min(left, kStopSlice).count()));
      if (ready > 0) return {};
      if (ready < 0 && errno != EINTR) {
        int number = errno;
        context_.reset();
        return Fail(ErrorCode::kIo, std::string("poll: ") + std::strerror(number));
      }
    }
  }

  Error Broken() {
    bool protocol = context_->err == REDIS_ERR_PROTOCOL;
    std::string why = context_->errstr;
    context_.reset();
    if (protocol) return {ErrorCode::kDamaged, "the answer is not Redis protocol: " + ToPrintable(why)};
    return {ErrorCode::kIo, "the connection was lost: " + why};
  }

  ClientOptions options_;
  std::unique_ptr<redisContext, ContextFree> context_;
  std::unique_ptr<TlsWire> tls_;   // of context_, with TLS
  std::uint64_t connections_ = 0;  // that were made
};

KvrocksClient::KvrocksClient(ClientOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
KvrocksClient::~KvrocksClient() = default;
KvrocksClient::KvrocksClient(KvrocksClient&&) noexcept = default;
KvrocksClient& KvrocksClient::operator=(KvrocksClient&&) noexcept = default;

Result<InfoFields> KvrocksClient::Info() { return Info(impl_->Timeout()); }

Result<InfoFields> KvrocksClient::Info(std::chrono::milliseconds timeout) {
  auto reply = impl_->Call({"INFO"}, timeout);
  if (!reply) return Fail(reply.error());
  if (!IsText(**reply)) return Fail(ErrorCode::kDamaged, "INFO: the answer is not text");
  return ParseInfo(Text(**reply));
}

Result<std::optional<std::string>> KvrocksClient::ConfigGet(std::string_view name) {
  auto reply = impl_->Call({"CONFIG", "GET", name}, impl_->Timeout());
  if (!reply) return Fail(reply.error());
  if ((*reply)->type != REDIS_REPLY_ARRAY) {
    return Fail(ErrorCode::kDamaged, "CONFIG GET: the answer is not an array");
  }
  for (std::size_t i = 0; i + 1 < (*reply)->elements; i += 2) {
    const redisReply& key = *(*reply)->element[i];
    const redisReply& value = *(*reply)->element[i + 1];
    if (IsText(key) && IsText(value) && Text(key) == name) return std::optional<std::string>(Text(value));
  }
  return std::optional<std::string>();
}

Result<void> KvrocksClient::ConfigSet(const std::string& name, const std::string& value,
                                      std::chrono::milliseconds timeout) {
  auto replies = Send({{"CONFIG", "SET", name, value}}, {.timeout = timeout});
  if (!replies) return Fail(replies.error());
  if (replies->front().kind == NodeReply::Kind::kError)
    return Fail(ErrorCode::kConflict, replies->front().text);
  return {};
}

Result<void> KvrocksClient::SlaveOf(const Endpoint& master, std::chrono::milliseconds timeout) {
  auto reply = impl_->Call({"SLAVEOF", master.host, std::to_string(master.port)}, timeout);
  if (!reply) return Fail(reply.error());
  return {};
}

Result<void> KvrocksClient::SlaveOfAtOnce(const Endpoint& master, std::chrono::milliseconds timeout) {
  auto reply = impl_->CallAtOnce({"SLAVEOF", master.host, std::to_string(master.port)}, timeout);
  if (!reply) return Fail(reply.error());
  return {};
}

Result<void> KvrocksClient::SlaveOfNoOne(std::chrono::milliseconds timeout) {
  auto reply = impl_->Call({"SLAVEOF", "NO", "ONE"}, timeout);
  if (!reply) return Fail(reply.error());
  return {};
}

Result<void> KvrocksClient::DropClients(std::chrono::milliseconds timeout) {
  // Kvrocks, unlike Redis, kills whoever asks as well, unless told not to, and then the second is not heard.
  auto replies = Send({{"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"},
                       {"CLIENT", "KILL", "TYPE", "pubsub", "SKIPME", "yes"}},
                      {.timeout = timeout});
  if (!replies) return Fail(replies.error());
  for (const NodeReply& reply : *replies) {
    if (reply.kind == NodeReply::Kind::kError) return Fail(ErrorCode::kConflict, reply.text);
  }
  return {};
}

Result<void> KvrocksClient::ApplyBatch(std::string_view batch, std::chrono::milliseconds timeout) {
  auto reply = impl_->Call({"APPLYBATCH", batch}, timeout);
  if (!reply) return Fail(reply.error());
  if ((*reply)->type != REDIS_REPLY_INTEGER || (*reply)->integer != static_cast<long long>(batch.size())) {
    return Fail(ErrorCode::kDamaged, "APPLYBATCH: the answer is not the batch's length");
  }
  return {};
}

Result<KvrocksClient::Updates> KvrocksClient::PollUpdates(Sequence after, std::uint32_t max_batches) {
  max_batches = std::clamp<std::uint32_t>(max_batches, 1, 1000);  // what Kvrocks takes
  auto reply =
      impl_->Call({"POLLUPDATES", after.ToString(), "MAX", std::to_string(max_batches), "FORMAT", "RAW"},
                  impl_->Timeout());
  if (!reply) return Fail(reply.error());
  const redisReply& map = **reply;
  auto damaged = [](const std::string& what) { return Fail(ErrorCode::kDamaged, "POLLUPDATES: " + what); };
  if (map.type != REDIS_REPLY_ARRAY || map.elements % 2 != 0) return damaged("the answer is not a map");
  auto sequence = [](const redisReply& value) -> std::optional<Sequence> {
    if (value.type == REDIS_REPLY_INTEGER && value.integer >= 0) {
      return Sequence(static_cast<std::uint64_t>(value.integer));
    }
    if (!IsText(value)) return std::nullopt;
    auto number = ParseNumber(Text(value));
    return number ? std::optional<Sequence>(Sequence(*number)) : std::nullopt;
  };
  std::optional<Sequence> latest;
  std::optional<Sequence> next;
  Updates updates;
  for (std::size_t i = 0; i < map.elements; i += 2) {
    const redisReply& key = *map.element[i];
    const redisReply& value = *map.element[i + 1];
    if (!IsText(key)) return damaged("a field's name is not text");
    if (Text(key) == "latest_sequence") {
      latest = sequence(value);
    } else if (Text(key) == "next_sequence") {
      next = sequence(value);
    } else if (Text(key) == "updates") {
      if (value.type != REDIS_REPLY_ARRAY) return damaged("updates is not an array");
      for (std::size_t j = 0; j < value.elements; ++j) {
        if (!IsText(*value.element[j])) return damaged("an update is not text");
        auto bytes = FromHex(Text(*value.element[j]));
        if (!bytes) return Fail(ErrorCode::kDamaged, "POLLUPDATES: an update: " + bytes.error().Message());
        updates.batches.push_back(std::move(*bytes));
      }
    }
  }
  if (!latest || !next) return damaged("latest_sequence or next_sequence is missing");
  updates.latest = *latest;
  updates.next = *next;
  return updates;
}

Result<std::vector<NodeReply>> KvrocksClient::Send(const std::vector<NodeCommand>& commands,
                                                   const SendOptions& options) {
  return impl_->Send(commands, options);
}

std::uint64_t KvrocksClient::Connection() { return impl_->Connection(); }

void KvrocksClient::Disconnect() { impl_->Disconnect(); }

int KvrocksClient::Descriptor() const { return impl_->Descriptor(); }

}  // namespace walstitch::node
