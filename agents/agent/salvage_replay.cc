#include "agents/agent/salvage_replay.h"

#include <chrono>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "agents/agent/changes_since.h"
#include "agents/agent/key_writer.h"
#include "agents/agent/wall_clock.h"
#include "agents/node/info.h"
#include "policies/model/bytes.h"
#include "policies/model/types.h"

namespace walstitch::agent {

namespace {

using Clock = std::chrono::steady_clock;

// Where a value of several commands is put together, before it takes its key's place.
const std::string kTemporary = std::string(kReservedKeys) + "replay:";
// With `overwrite`, a key that changes in that very moment is tried again.
constexpr int kAttempts = 3;

class Replay {
 public:
  Replay(ValueClient& server, ChangesSince& changes, const ReplayRequest& request)
      : server_(server),
        writer_(server, kTemporary + request.salvage),
        changes_(changes),
        request_(request) {}

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
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      auto tried = Try(value, done);
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
  Result<std::optional<ReplayedKey>> Try(const SalvagedValue& value, const ReplayedKey& done) {
    const UserKeyName name{value.key.name_space, value.key.key};
    const bool deletes = value.key.kept == KeptAs::kAbsent;
    auto watched = writer_.Watch(name);
    if (!watched && KeyWriter::IsOfTheKey(watched.error())) {
      return With(done, ReplayResult::kFailed, watched.error().Message());
    }
    if (!watched) return Fail(watched.error());
    if (auto read = changes_.ReadOn(); !read) return Fail(read.error());
    auto present = server_.Read({name});
    if (!present) return Fail(present.error());
    const SalvagedValue& there = present->front();
    if (SameValue(value, there)) return With(done, ReplayResult::kEqual, "");
    if (!request_.overwrite && changes_.Changed(name)) {
      return With(done, ReplayResult::kChanged, changes_.WhyAll());
    }
    if (watched->client->Connection() != watched->connection) {  // a value too large to be read ends it
      const std::string why = there.key.kept == KeptAs::kNotKept ? there.key.why : "the connection was lost";
      return With(done, ReplayResult::kFailed, "nothing was changed: the master's own value: " + why);
    }
    const ReplayResult result = deletes ? ReplayResult::kDeleted : ReplayResult::kWritten;
    if (request_.dry_run) return With(done, result, "");
    KeyWriter::Written written = writer_.Write(*watched, value, there.key.kept != KeptAs::kAbsent);
    switch (written.end) {
      case KeyWriter::End::kDone:
        return With(done, result, "");
      case KeyWriter::End::kChanged:
        return std::optional<ReplayedKey>();
      case KeyWriter::End::kFailed:
        return With(done, ReplayResult::kFailed, std::move(written.why));
      case KeyWriter::End::kUnknown:
        return With(done, ReplayResult::kUnknown, std::move(written.why));
    }
    return With(done, ReplayResult::kUnknown, "");
  }

  ValueClient& server_;
  KeyWriter writer_;
  ChangesSince& changes_;
  const ReplayRequest& request_;
};

}  // namespace

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
  std::set<UserKeyName> keys;
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
