// MULTI and EXEC: everything between them becomes one batch.
#include "commands.h"

namespace walstitch::refnode {
namespace {

void LeaveMulti(Connection& connection) {
  connection.in_multi = false;
  connection.in_exec = false;
  connection.multi_failed = false;
  connection.queued.clear();
}

std::string Multi(CommandContext& context, const Args&) {
  if (context.connection.in_multi) return resp::Error("ERR MULTI calls can not be nested");
  LeaveMulti(context.connection);
  context.connection.in_multi = true;
  return resp::Ok();
}

std::string Discard(CommandContext& context, const Args&) {
  if (!context.connection.in_multi) return resp::Error("ERR DISCARD without MULTI");
  LeaveMulti(context.connection);
  context.server.Unwatch(context.connection);
  return resp::Ok();
}

std::string Exec(CommandContext& context, const Args&) {
  Connection& connection = context.connection;
  if (!connection.in_multi) return resp::Error("ERR EXEC without MULTI");
  const bool failed = connection.multi_failed;
  const bool changed = connection.watched_changed;
  context.server.Unwatch(connection);
  if (failed || changed) {
    LeaveMulti(connection);
    return failed ? resp::Error("EXECABORT Transaction discarded") : resp::Nil();
  }
  std::string reply = resp::ArrayHeader(connection.queued.size());
  connection.in_exec = true;
  context.storage.BeginTransaction();
  const std::vector<Args> queued = std::move(connection.queued);
  for (const Args& args : queued) reply += RunRequest(context.server, connection, args);
  const rocksdb::Status status = context.storage.CommitTransaction();
  LeaveMulti(connection);
  if (!status.ok()) reply += StatusError(status);
  return reply;
}

std::string Watch(CommandContext& context, const Args& args) {
  if (context.connection.in_multi) return resp::Error("ERR WATCH inside MULTI is not allowed");
  context.server.Watch(context.connection, Args(args.begin() + 1, args.end()));
  return resp::Ok();
}

std::string Unwatch(CommandContext& context, const Args&) {
  context.server.Unwatch(context.connection);
  return resp::Ok();
}

std::string Reset(CommandContext& context, const Args&) {
  LeaveMulti(context.connection);
  context.server.Unwatch(context.connection);
  // Kvrocks of this age makes whoever resets an administrator; see its #3191.
  context.connection.ns = kDefaultNamespace;
  context.connection.is_admin = true;
  return resp::Simple("RESET");
}

}  // namespace

const std::vector<Command>& TransactionCommands() {
  static const std::vector<Command> commands = {
      {"multi", 1, kControlsMulti, Multi},
      {"discard", 1, kControlsMulti, Discard},
      {"exec", 1, kExclusive | kControlsMulti, Exec},
      {"watch", -2, kControlsMulti, Watch},
      {"unwatch", 1, kControlsMulti, Unwatch},
      {"reset", 1, kOkLoading | kControlsMulti, Reset},
  };
  return commands;
}

}  // namespace walstitch::refnode
