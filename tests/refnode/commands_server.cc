// What is about the node and the connection, not about keys.
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <thread>

#include "commands.h"

namespace walstitch::refnode {
namespace {

std::string AdminError() { return resp::Error(std::string("ERR ") + kAdminRequired); }

// The text of the error, or empty and the connection is authenticated.
std::string Authenticate(CommandContext& context, const std::string& password) {
  const std::string required = context.server.config().Get("requirepass");
  if (required.empty()) return "Client sent AUTH, but no password is set";
  if (const auto ns = context.server.NamespaceOfToken(password)) {
    context.connection.ns = *ns;
    context.connection.is_admin = false;
    return "";
  }
  if (password != required) return "Invalid password";
  context.connection.ns = kDefaultNamespace;
  context.connection.is_admin = true;
  return "";
}

std::string Auth(CommandContext& context, const Args& args) {
  const std::string error = Authenticate(context, args[1]);
  return error.empty() ? resp::Ok() : resp::Error("ERR " + error);
}

std::string Hello(CommandContext& context, const Args& args) {
  size_t i = 1;
  if (args.size() >= 2) {
    int64_t version = 0;
    if (!ParseInteger(args[i++], &version)) {
      return resp::Error("ERR Protocol version is not an integer or out of range");
    }
    if (version < 2 || version > 3) return resp::Error("NOPROTO unsupported protocol version");
  }
  for (; i < args.size(); ++i) {
    if (EqualsIgnoreCase(args[i], "auth") && i + 1 < args.size()) {
      if (i + 2 < args.size() && args[i + 1] == "default") ++i;
      if (const std::string error = Authenticate(context, args[++i]); !error.empty()) {
        return resp::Error("ERR " + error);
      }
    } else if (EqualsIgnoreCase(args[i], "setname") && i + 1 < args.size()) {
      context.connection.name = args[++i];
    } else {
      return resp::Error("ERR Syntax error in HELLO option " + args[i]);
    }
  }
  return resp::ArrayHeader(12) + resp::Bulk("server") + resp::Bulk("redis") + resp::Bulk("version") +
         resp::Bulk("4.0.0") + resp::Bulk("proto") + resp::Integer(2) + resp::Bulk("mode") +
         resp::Bulk("standalone") + resp::Bulk("role") +
         resp::Bulk(context.server.IsReplica() ? "slave" : "master") + resp::Bulk("modules") + "*-1\r\n";
}

std::string Ping(CommandContext&, const Args& args) {
  if (args.size() == 1) return resp::Simple("PONG");
  if (args.size() == 2) return resp::Bulk(args[1]);
  return resp::Error(std::string("ERR ") + kWrongArgumentCount);
}

std::string Echo(CommandContext&, const Args& args) { return resp::Bulk(args[1]); }
std::string Select(CommandContext&, const Args&) { return resp::Ok(); }

std::string Quit(CommandContext& context, const Args&) {
  context.connection.close_after_reply = true;
  return resp::Ok();
}

std::string Time(CommandContext&, const Args&) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(now).count();
  return resp::BulkArray({std::to_string(micros / 1000000), std::to_string(micros % 1000000)});
}

std::string Info(CommandContext& context, const Args& args) {
  if (args.size() > 2) return resp::Error(std::string("ERR ") + kSyntaxError);
  return resp::Bulk(context.server.Info(args.size() == 2 ? ToLower(args[1]) : "all", context.connection.ns));
}

std::string Role(CommandContext& context, const Args&) { return context.server.Role(); }

std::string ConfigCommand(CommandContext& context, const Args& args) {
  if (!context.connection.is_admin) return AdminError();
  const std::string word = ToLower(args[1]);
  Config& config = context.server.config();
  if ((word == "rewrite" && args.size() != 2) || (word == "get" && args.size() != 3) ||
      (word == "set" && args.size() != 4)) {
    return resp::Error(std::string("ERR ") + kWrongArgumentCount);
  }
  if (word == "rewrite") {
    const auto error = config.Rewrite(context.server.Tokens());
    return error ? resp::Error("ERR " + *error) : resp::Ok();
  }
  if (word == "get") return resp::BulkArray(config.Match(args[2]));
  if (word == "set") {
    const auto error = config.Set(args[2], args[3]);
    return error ? resp::Error("ERR CONFIG SET '" + args[2] + "' error: " + *error) : resp::Ok();
  }
  return resp::Error("ERR CONFIG subcommand must be one of GET, SET, REWRITE");
}

std::string Namespace(CommandContext& context, const Args& args) {
  if (!context.connection.is_admin) return AdminError();
  Server& server = context.server;
  const std::string word = ToLower(args[1]);
  if (server.config().GetBool("repl-namespace-enabled") && server.IsReplica() && word != "get") {
    return resp::Error("ERR namespace is read-only for slave");
  }
  std::optional<std::string> error;
  if (word == "get" && args.size() == 3) {
    if (args[2] != "*") {
      for (const auto& [token, ns] : server.Tokens()) {
        if (ns == args[2]) return resp::Bulk(token);
      }
      return resp::Nil();
    }
    std::vector<std::string> flat;
    for (const auto& [token, ns] : server.Tokens()) {
      flat.push_back(ns);
      flat.push_back(token);
    }
    flat.emplace_back(kDefaultNamespace);
    flat.push_back(server.config().Get("requirepass"));
    return resp::BulkArray(flat);
  }
  if (word == "set" && args.size() == 4) {
    error = server.SetNamespace(args[2], args[3]);
  } else if (word == "add" && args.size() == 4) {
    error = server.AddNamespace(args[2], args[3]);
  } else if (word == "del" && args.size() == 3) {
    error = server.DeleteNamespace(args[2]);
  } else {
    return resp::Error("ERR NAMESPACE subcommand must be one of GET, SET, DEL, ADD");
  }
  return error ? resp::Error("ERR " + *error) : resp::Ok();
}

std::string Client(CommandContext& context, const Args& args) {
  const std::string word = ToLower(args[1]);
  Connection& connection = context.connection;
  if (word == "id") return resp::Integer(static_cast<int64_t>(connection.id));
  if (word == "list") return resp::Bulk(context.server.ClientList());
  if (word == "getname") return connection.name.empty() ? resp::Nil() : resp::Bulk(connection.name);
  if (word == "setname" && args.size() == 3) {
    connection.name = args[2];
    return resp::Ok();
  }
  if (word == "kill" && (args.size() == 4 || args.size() == 6) && EqualsIgnoreCase(args[2], "type")) {
    const std::string type = ToLower(args[3]);
    const bool skips_me =
        args.size() == 6 && EqualsIgnoreCase(args[4], "skipme") && EqualsIgnoreCase(args[5], "yes");
    context.server.DropConnections(&connection, {type == "normal", type == "pubsub",
                                                 type == "slave" || type == "replica", type == "master"});
    if (type == "normal" && !skips_me) connection.close_after_reply = true;
    return resp::Integer(1);
  }
  return resp::Error("ERR Syntax error, try CLIENT LIST|INFO|KILL ip:port|GETNAME|SETNAME");
}

std::string CommandInfo(CommandContext&, const Args& args) {
  if (args.size() == 2 && EqualsIgnoreCase(args[1], "count")) {
    return resp::Integer(static_cast<int64_t>(CommandCount()));
  }
  if (args.size() >= 3 && EqualsIgnoreCase(args[1], "info")) {
    std::string reply = resp::ArrayHeader(args.size() - 2);
    for (size_t i = 2; i < args.size(); ++i) {
      const Command* command = FindCommand(args[i]);
      if (command == nullptr) {
        reply += resp::Nil();
        continue;
      }
      reply += resp::ArrayHeader(6) + resp::Bulk(command->name) + resp::Integer(command->arity) +
               resp::BulkArray({(command->flags & kWrite) != 0 ? "write" : "readonly"}) +
               resp::Integer(command->first_key) + resp::Integer(command->last_key) +
               resp::Integer(command->key_step);
    }
    return reply;
  }
  return resp::ArrayHeader(0);
}

std::string Debug(CommandContext&, const Args& args) {
  double seconds = 0;
  if (args.size() == 3 && EqualsIgnoreCase(args[1], "sleep")) {
    if (!ParseDouble(args[2], &seconds) || !std::isfinite(seconds) || seconds < 0) {
      return resp::Error("ERR invalid debug sleep time");
    }
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
    return resp::Ok();
  }
  return resp::Error("ERR Syntax error, DEBUG SLEEP <seconds>|PROTOCOL <type>|DBSIZE-LIMIT <0|1>");
}

std::string Shutdown(CommandContext& context, const Args&) {
  if (!context.connection.is_admin) return AdminError();
  context.server.RequestStop();
  context.connection.close_after_reply = true;
  return "";
}

// Kvrocks compacts in the background and answers at once; so must nobody rely
// on it being done.
std::string Compact(CommandContext& context, const Args&) {
  const rocksdb::Status status = context.storage.CompactAll();
  return status.ok() ? resp::Ok() : StatusError(status);
}

}  // namespace

const std::vector<Command>& ServerCommands() {
  static const std::vector<Command> commands = {
      {"auth", 2, kOkLoading, Auth},           {"hello", -1, kOkLoading, Hello},
      {"ping", -1, kReadOnly, Ping},           {"echo", 2, kReadOnly, Echo},
      {"select", 2, kReadOnly, Select},        {"quit", 1, kReadOnly, Quit},
      {"time", 1, kOkLoading, Time},           {"info", -1, kOkLoading, Info},
      {"role", 1, kOkLoading, Role},           {"config", -2, kReadOnly, ConfigCommand},
      {"namespace", -3, kReadOnly, Namespace}, {"client", -2, kReadOnly, Client},
      {"command", -1, kReadOnly, CommandInfo}, {"debug", -2, kExclusive, Debug},
      {"shutdown", 1, kNoMulti, Shutdown},     {"compact", 1, kReadOnly, Compact},
  };
  return commands;
}

}  // namespace walstitch::refnode
