// PUBLISH and SUBSCRIBE, as far as Redis Sentinel needs them: a connection that subscribes does nothing else
// any more, but for PING.
#include <memory>

#include "commands.h"

namespace walstitch::refnode {
namespace {

constexpr int kStepMs = 20;

std::string Publish(CommandContext& context, const Args& args) {
  if (!context.server.IsReplica()) {
    const rocksdb::Status status =
        Batch(context.storage).Put(ColumnFamily::kPubSub, args[1], args[2]).Commit();
    if (!status.ok()) return StatusError(status);
  }
  return resp::Integer(
      context.server.pubsub().Publish(args[1], resp::BulkArray({"message", args[1], args[2]})));
}

void Listen(Server& server, Connection& connection, Subscriber& subscriber) {
  RequestParser parser(1 << 20);
  while (!server.IsStopping()) {
    std::string out = subscriber.Take();
    const int ready = connection.socket.WaitReadable(out.empty() ? kStepMs : 0);
    if (ready < 0) return;
    if (ready > 0) {
      char buffer[4096];
      const ssize_t received = connection.socket.Receive(buffer, sizeof buffer);
      if (received <= 0 || parser.Feed(std::string_view(buffer, static_cast<size_t>(received)))) return;
      while (const auto request = parser.Next()) {
        const bool is_ping = EqualsIgnoreCase((*request)[0], "ping");
        // Kvrocks answers it as ever, where Redis would with an array.
        out += !is_ping              ? resp::Error("ERR only PING is allowed in this context")
               : request->size() > 1 ? resp::Bulk((*request)[1])
                                     : resp::Simple("PONG");
      }
    }
    if (!out.empty() && !connection.socket.SendAll(out)) return;
  }
}

std::string Subscribe(CommandContext& context, const Args& args) {
  Server& server = context.server;
  Connection& connection = context.connection;
  const auto subscriber = std::make_shared<Subscriber>(std::set<std::string>(args.begin() + 1, args.end()));
  server.pubsub().Add(subscriber.get());
  connection.is_subscriber = true;
  connection.takeover = [&server, &connection, subscriber] {
    Listen(server, connection, *subscriber);
    server.pubsub().Remove(subscriber.get());
  };
  std::string reply;
  for (size_t i = 1; i < args.size(); ++i) {
    reply += resp::ArrayHeader(3) + resp::Bulk("subscribe") + resp::Bulk(args[i]) +
             resp::Integer(static_cast<int64_t>(i));
  }
  return reply;
}

}  // namespace

const std::vector<Command>& PubSubCommands() {
  static const std::vector<Command> commands = {
      {"publish", 3, kReadOnly, Publish},
      {"subscribe", -2, kNoMulti, Subscribe},
  };
  return commands;
}

}  // namespace walstitch::refnode
