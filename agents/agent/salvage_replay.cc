#include "agents/agent/salvage_replay.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "agents/agent/wall_clock.h"
#include "agents/node/info.h"
#include "agents/wal/log_format.h"
#include "agents/wal/records.h"
#include "policies/model/bytes.h"

namespace walstitch::agent {

namespace {

using node::NodeReply;
using Kind = node::NodeReply::Kind;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kTimeout{5000};
// Where a value of several commands is put together, before it takes its key's place. If the agent ends just
// then, the next replay of that salvage removes it.
constexpr std::string_view kTemporary = "__walstitch_replay:";
// With `overwrite`, a key that changes in that very moment is tried again.
constexpr int kAttempts = 3;

class Replay {
 public:
  Replay(ValueClient& server, ChangesSince& changes, const ReplayRequest& request)
      : server_(server), changes_(changes), request_(request) {}

  // What became of one key. An Error: the server does not answer, and nothing was done to the key.
  Result<ReplayedKey> One(const SalvagedValue& value) {
    ReplayedKey done;
    done.name_space = value.key.name_space;
    done.key = value.key.key;
    done.type = value.key.type;
    if (value.key.kept == KeptAs::kNotKept) return With(done, ReplayResult::kNotReplayable, value.key.why);
    const bool deletes = value.key.kept == KeptAs::kAbsent;
    if (deletes && !request_.deletions) return With(done, ReplayResult::kAbsent, "");
    if (value.key.expire_ms && *value.key.expire_ms <= UnixMs())
      return With(done, ReplayResult::kExpired, "");
    auto client = server_.Enter(value.key.name_space);
    if (!client && client.error().Code() == ErrorCode::kNotFound) {
      return With(done, ReplayResult::kFailed, client.error().Message());
    }
    if (!client) return Fail(client.error());
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      auto tried = Try(**client, value, done);
      if (!tried) return Fail(tried.error());
      if (*tried) return std::move(**tried);
      if (!request_.overwrite) break;
    }
    return With(done, ReplayResult::kChanged, "it changes right now");
  }

 private:
  static ReplayedKey With(ReplayedKey done, ReplayResult result, std::string why) {
    done.result = result;
    done.why = std::move(why);
    return done;
  }

  // nullopt: it changed while it was looked at.
  Result<std::optional<ReplayedKey>> Try(node::KvrocksClient& client, const SalvagedValue& value,
                                         const ReplayedKey& done) {
    const KeyName name{value.key.name_space, value.key.key};
    const bool deletes = value.key.kept == KeptAs::kAbsent;
    auto watched = client.Send({{"UNWATCH"}, {"WATCH", name.key}}, {.timeout = kTimeout});
    if (!watched) return Fail(watched.error());
    if (watched->back().kind == Kind::kError) {
      return With(done, ReplayResult::kFailed, "WATCH: " + ToPrintable(watched->back().text));
    }
    const std::uint64_t connection = client.Connection();
    if (auto waited = server_.AwaitCommands(); !waited) return Fail(waited.error());
    if (auto read = changes_.ReadOn(); !read) return Fail(read.error());
    auto present = server_.Read({name});
    if (!present) return Fail(present.error());
    const SalvagedValue& there = present->front();
    if (SameValue(value, there)) return With(done, ReplayResult::kEqual, "");
    if (!request_.overwrite && changes_.Changed(name)) {
      return With(done, ReplayResult::kChanged, changes_.WhyAll());
    }
    if (client.Connection() != connection) {  // a value that is too large to be read ends it
      const std::string why = there.key.kept == KeptAs::kNotKept ? there.key.why : "the connection was lost";
      return With(done, ReplayResult::kFailed, "nothing was changed: the master's own value: " + why);
    }
    const ReplayResult result = deletes ? ReplayResult::kDeleted : ReplayResult::kWritten;
    if (request_.dry_run) return With(done, result, "");
    std::vector<node::NodeCommand> commands = CommandsToWrite(value, name.key);
    const bool alone =
        commands.size() == 1 && (deletes || value.key.type == "string" || there.key.kept == KeptAs::kAbsent);
    if (alone) return Execute(client, connection, std::move(commands.front()), result, done);
    // What is there is replaced in one step, or not at all.
    const std::string temporary = std::string(kTemporary) + request_.salvage;
    std::vector<node::NodeCommand> making = {{"DEL", temporary}};
    for (auto& command : CommandsToWrite(value, temporary)) making.push_back(std::move(command));
    auto made = client.Send(making, {.timeout = kTimeout, .connection = connection});
    if (!made) return With(done, ReplayResult::kFailed, "nothing was changed: " + made.error().Message());
    Result<std::optional<ReplayedKey>> executed = std::optional<ReplayedKey>();
    const auto refused = std::find_if(made->begin(), made->end(),
                                      [](const NodeReply& reply) { return reply.kind == Kind::kError; });
    if (refused != made->end()) {
      executed = With(done, ReplayResult::kFailed, "nothing was changed: " + ToPrintable(refused->text));
    } else {
      executed = Execute(client, connection, {"RENAME", temporary, name.key}, result, done);
      if (executed && *executed && (*executed)->result == result) return executed;
    }
    (void)client.Send({{"DEL", temporary}}, {.timeout = kTimeout});
    return executed;
  }

  // One command under the WATCH. Kvrocks answers EXEC before it commits, and says behind that if it cannot:
  // only the answer to a command behind EXEC tells that it is over.
  static Result<std::optional<ReplayedKey>> Execute(node::KvrocksClient& client, std::uint64_t connection,
                                                    node::NodeCommand command, ReplayResult result,
                                                    const ReplayedKey& done) {
    auto replies = client.Send({{"MULTI"}, std::move(command), {"EXEC"}, {"PING"}},
                               {.timeout = kTimeout, .connection = connection});
    if (!replies) return With(done, ReplayResult::kUnknown, replies.error().Message());
    const NodeReply& exec = (*replies)[2];
    const NodeReply& behind = replies->back();
    if (behind.kind != Kind::kText || behind.text != "PONG") {
      client.Disconnect();
      return With(done, ReplayResult::kUnknown,
                  "the server could not commit it: " + ToPrintable(behind.text));
    }
    if (exec.kind == Kind::kNil) return std::optional<ReplayedKey>();
    for (const NodeReply& reply : *replies) {
      if (reply.kind == Kind::kError) return With(done, ReplayResult::kFailed, ToPrintable(reply.text));
    }
    if (exec.kind != Kind::kList || exec.list.size() != 1) {
      return With(done, ReplayResult::kUnknown, "the server's answer makes no sense");
    }
    if (exec.list.front().kind == Kind::kError) {
      return With(done, ReplayResult::kFailed, ToPrintable(exec.list.front().text));
    }
    return With(done, result, "");
  }

  ValueClient& server_;
  ChangesSince& changes_;
  const ReplayRequest& request_;
};

}  // namespace

ChangesSince::ChangesSince(wal::WalSource& source, Sequence fork, bool slot_encoded, std::set<KeyName> keys)
    : source_(source), next_(fork + 1), slot_encoded_(slot_encoded), keys_(std::move(keys)) {}

void ChangesSince::All(std::string why) {
  if (all_) return;
  all_ = true;
  why_all_ = std::move(why);
}

Result<void> ChangesSince::ReadOn() {
  if (all_) return {};
  constexpr Sequence kEnd{wal::kMaxSequence};
  Result<void> decoded;
  const Sequence from = next_;
  auto read = source_.ForEachBatch({from, kEnd}, [&](const wal::BatchView& batch) {
    decoded = wal::ForEachRecord(batch.bytes, slot_encoded_, [&](const wal::KvrocksRecord& record) {
      if (record.raw.sequence < from) return true;
      if (record.internal == "flush") {
        All("a flush at " + record.raw.sequence.ToString() + " touched every key");
      } else if (record.user_key) {
        KeyName name{std::string(record.user_key->name_space), std::string(record.user_key->key)};
        if (keys_.contains(name)) changed_.insert(std::move(name));
      }
      return true;
    });
    if (!decoded) return false;
    if (batch.count > 0) next_ = batch.End();
    return true;
  });
  if (read && decoded) return {};
  const Error error = read ? decoded.error() : read.error();
  if (error.Code() != ErrorCode::kNotFound && error.Code() != ErrorCode::kDamaged) return Fail(error);
  // Purged, damaged, or a history that is shorter than the fork: nobody can say what changed.
  All("what changed since " + from.ToString() + " is not known: " + error.Message());
  return {};
}

Result<ReplayAnswer> ReplayValues(wal::WalSource& source, node::ClientOptions server, bool slot_encoded,
                                  const ReplayRequest& request, Sequence fork,
                                  const std::vector<SalvagedValue>& values, std::int64_t budget_ms) {
  node::KvrocksClient asking(server);
  auto info = asking.Info();
  if (!info) return Fail(info.error());
  const node::NodeFacts facts = node::ReadFacts(*info);
  if (facts.role != Role::kMaster) {
    return Fail(ErrorCode::kConflict, "the node is not a master: a replay is written to the group's master");
  }
  std::set<KeyName> keys;
  for (const SalvagedValue& value : values) keys.insert({value.key.name_space, value.key.key});
  ChangesSince changes(source, fork, slot_encoded, std::move(keys));
  ValueClient client(std::move(server));
  Replay replay(client, changes, request);
  ReplayAnswer answer;
  std::optional<Clock::time_point> end;  // not of the first one, with which the WAL is read
  for (const SalvagedValue& value : values) {
    if (end && Clock::now() >= *end) break;
    auto done = replay.One(value);
    if (!done) {
      // What was done before is told, whatever became of the server.
      if (answer.keys.empty()) return Fail(done.error());
      break;
    }
    answer.keys.push_back(std::move(*done));
    if (!end) end = Clock::now() + std::chrono::milliseconds(budget_ms);
  }
  return answer;
}

}  // namespace walstitch::agent
