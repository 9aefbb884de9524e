#include "agents/agent/key_writer.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <utility>
#include <vector>

#include "agents/agent/wall_clock.h"
#include "policies/model/bytes.h"

namespace walstitch::agent {

namespace {

using node::NodeReply;
using Kind = node::NodeReply::Kind;

constexpr std::chrono::milliseconds kTimeout{5000};

std::string NextName() {
  static const std::int64_t run = UnixMs();
  static std::atomic<std::uint64_t> made{0};
  return ":" + std::to_string(run) + "-" + std::to_string(++made);
}

KeyWriter::Written Failed(const std::string& why) {
  return {KeyWriter::End::kFailed, "nothing was changed: " + why};
}

}  // namespace

Result<KeyWriter::Watched> KeyWriter::Watch(const UserKeyName& name) {
  auto client = server_.Enter(name.name_space);
  if (!client) return Fail(client.error());
  auto watched = (*client)->Send({{"UNWATCH"}, {"WATCH", name.key}}, {.timeout = kTimeout});
  if (!watched) return Fail(watched.error());
  if (watched->back().kind == Kind::kError) {
    return Fail(ErrorCode::kConflict, "WATCH: " + ToPrintable(watched->back().text));
  }
  Watched key{name.key, *client, (*client)->Connection()};
  if (auto waited = server_.AwaitCommands(); !waited) return Fail(waited.error());
  return key;
}

KeyWriter::Written KeyWriter::Write(const Watched& watched, const SalvagedValue& value, bool there) {
  const bool deletes = value.key.kept == KeptAs::kAbsent;
  std::vector<node::NodeCommand> commands = CommandsToWrite(value, watched.key);
  const bool alone = commands.size() == 1 && (deletes || value.key.type == "string" || !there);
  if (alone) return Execute(watched, std::move(commands));
  // What is there is replaced in one step, or not at all.
  const std::string temporary = temporary_ + NextName();
  std::vector<node::NodeCommand> making = CommandsToWrite(value, temporary);
  auto made = watched.client->Send(making, {.timeout = kTimeout, .connection = watched.connection});
  if (!made) {
    // It may still be made, by and by.
    (void)watched.client->Send({{"DEL", temporary}}, {.timeout = kTimeout});
    return {End::kUnknown, "nothing was changed: " + made.error().Message()};
  }
  Written written;
  const auto refused = std::find_if(made->begin(), made->end(),
                                    [](const NodeReply& reply) { return reply.kind == Kind::kError; });
  if (refused != made->end()) {
    written = Failed(ToPrintable(refused->text));
  } else {
    std::vector<node::NodeCommand> rename = {{"RENAME", temporary, watched.key}};
    written = Execute(watched, std::move(rename));
    if (written.end == End::kDone) return written;
  }
  (void)watched.client->Send({{"DEL", temporary}}, {.timeout = kTimeout});
  return written;
}

KeyWriter::Written KeyWriter::MakeAndDelete(const Watched& watched) {
  std::vector<node::NodeCommand> commands = {{"SET", watched.key, ""}, {"DEL", watched.key}};
  return Execute(watched, std::move(commands));
}

// Under the WATCH. Kvrocks answers EXEC before it commits, and says behind that if it cannot: only the answer
// to a command behind EXEC tells that it is over.
KeyWriter::Written KeyWriter::Execute(const Watched& watched, std::vector<node::NodeCommand> commands) {
  const std::size_t count = commands.size();
  std::vector<node::NodeCommand> all = {{"MULTI"}};
  for (auto& command : commands) all.push_back(std::move(command));
  all.push_back({"EXEC"});
  all.push_back({"PING"});
  auto replies = watched.client->Send(all, {.timeout = kTimeout, .connection = watched.connection});
  if (!replies) return {End::kUnknown, replies.error().Message()};
  const NodeReply& exec = (*replies)[count + 1];
  const NodeReply& behind = replies->back();
  if (behind.kind != Kind::kText || behind.text != "PONG") {
    watched.client->Disconnect();
    return {End::kUnknown, "the server could not commit it: " + ToPrintable(behind.text)};
  }
  if (exec.kind == Kind::kNil) return {End::kChanged, "it changes right now"};
  for (const NodeReply& reply : *replies) {
    if (reply.kind == Kind::kError) return {End::kFailed, ToPrintable(reply.text)};
  }
  if (exec.kind != Kind::kList || exec.list.size() != count) {
    return {End::kUnknown, "the server's answer makes no sense"};
  }
  for (const NodeReply& reply : exec.list) {
    if (reply.kind == Kind::kError) return {End::kFailed, ToPrintable(reply.text)};
  }
  return {End::kDone, ""};
}

}  // namespace walstitch::agent
