// What only this node can do: misbehave on request.
#include <unistd.h>

#include "commands.h"

namespace walstitch::refnode {
namespace {

constexpr const char* kUsage =
    "ERR REFNODE.FAULT stop-reading|refuse|delay MS|drop-connections [clients|replicas|upstream|all]|"
    "stop-feeding|stop-applying|fail-checkpoint|slow-writes MS|crash|clear";

std::string Fault(CommandContext& context, const Args& args) {
  Faults& faults = context.server.faults();
  const std::string name = ToLower(args[1]);
  context.connection.is_control = true;
  if (name == "stop-reading") {
    faults.stop_reading = true;
  } else if (name == "refuse") {
    faults.refuse = true;
  } else if ((name == "delay" || name == "slow-writes") && args.size() == 3) {
    int64_t delay_ms = 0;
    if (!ParseInteger(args[2], &delay_ms) || delay_ms < 0 || delay_ms > 600000) return resp::Error(kUsage);
    (name == "delay" ? faults.delay_ms : faults.slow_writes_ms) = static_cast<int>(delay_ms);
  } else if (name == "drop-connections") {
    const std::string whose = args.size() > 2 ? ToLower(args[2]) : "all";
    const bool all = whose == "all";
    const bool clients = all || whose == "clients";
    context.server.DropConnections(
        &context.connection, {clients, clients, all || whose == "replicas", all || whose == "upstream"});
  } else if (name == "stop-feeding") {
    faults.stop_feeding = true;
  } else if (name == "stop-applying") {
    faults.stop_applying = true;
  } else if (name == "fail-checkpoint") {
    faults.fail_checkpoint = true;
  } else if (name == "crash") {
    // No destructors, no flush: what the log has is what is left.
    ::_exit(1);
  } else if (name == "clear") {
    faults.Clear();
  } else {
    return resp::Error(kUsage);
  }
  return resp::Ok();
}

std::string Flush(CommandContext& context, const Args&) {
  const rocksdb::Status status = context.storage.FlushAll();
  return status.ok() ? resp::Ok() : StatusError(status);
}

std::string PurgeWal(CommandContext& context, const Args&) {
  const rocksdb::Status status = context.storage.PurgeLogs();
  return status.ok() ? resp::Ok() : StatusError(status);
}

}  // namespace

const std::vector<Command>& FaultCommands() {
  static const std::vector<Command> commands = {
      {"refnode.fault", -2, kOkLoading, Fault},
      {"refnode.flush", 1, kReadOnly, Flush},
      {"refnode.purgewal", 1, kReadOnly, PurgeWal},
  };
  return commands;
}

}  // namespace walstitch::refnode
