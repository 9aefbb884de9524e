#include "controller/sentinel/commands.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "controller/sentinel/answers.h"

namespace walstitch::sentinel {

namespace {

const std::vector<CommandInfo>& Commands() {
  using Words = std::vector<std::string_view>;
  static const Words plain = {"loading", "stale", "noscript"};
  static const Words quick = {"loading", "stale", "noscript", "fast"};
  static const Words open = {"loading", "stale", "noscript", "fast", "no_auth"};
  static const Words pubsub = {"pubsub", "loading", "stale", "noscript"};
  static const std::vector<CommandInfo> commands = {
      {"acl",
       -2,
       plain,
       "slow",
       "server",
       "6.0.0",
       "A container for Access List Control commands",
       {"whoami"}},
      {"auth", -2, open, "connection", "connection", "1.0.0", "Authenticate to the server", {}},
      {"client",
       -2,
       plain,
       "connection",
       "connection",
       "2.4.0",
       "A container for client connection commands",
       {"getname", "id", "info", "list", "no-evict", "no-touch", "setinfo", "setname"}},
      {"command",
       -1,
       plain,
       "connection",
       "server",
       "2.8.13",
       "Get array of command details",
       {"count", "docs", "info", "list"}},
      {"hello", -1, open, "connection", "connection", "6.0.0", "Handshake with Redis", {}},
      {"info",
       -1,
       plain,
       "dangerous",
       "server",
       "1.0.0",
       "Get information and statistics about the server",
       {}},
      {"ping", -1, quick, "connection", "connection", "1.0.0", "Ping the server", {}},
      {"psubscribe",
       -2,
       pubsub,
       "pubsub",
       "pubsub",
       "2.0.0",
       "Listen for messages published to channels matching the given patterns",
       {}},
      {"publish", 3, pubsub, "pubsub", "pubsub", "2.0.0", "Post a message to a channel; refused", {}},
      {"punsubscribe",
       -1,
       pubsub,
       "pubsub",
       "pubsub",
       "2.0.0",
       "Stop listening for messages posted to channels matching the given patterns",
       {}},
      {"quit", -1, open, "connection", "connection", "1.0.0", "Close the connection", {}},
      {"reset", 1, open, "connection", "connection", "6.2.0", "Reset the connection", {}},
      {"role", 1, quick, "dangerous", "server", "2.8.12", "Return the role of the instance", {}},
      {"sentinel",
       -2,
       plain,
       "dangerous",
       "sentinel",
       "2.8.4",
       "A container for Sentinel commands",
       {"ckquorum",
        "config",
        "debug",
        "failover",
        "flushconfig",
        "get-master-addr-by-name",
        "help",
        "info-cache",
        "is-master-down-by-addr",
        "master",
        "masters",
        "monitor",
        "myid",
        "pending-scripts",
        "remove",
        "replicas",
        "reset",
        "sentinels",
        "set",
        "simulate-failure",
        "slaves"}},
      {"shutdown", -1, plain, "dangerous", "server", "1.0.0", "Shut down the server; refused", {}},
      {"subscribe",
       -2,
       pubsub,
       "pubsub",
       "pubsub",
       "2.0.0",
       "Listen for messages published to the given channels",
       {}},
      {"unsubscribe",
       -1,
       pubsub,
       "pubsub",
       "pubsub",
       "2.0.0",
       "Stop listening for messages posted to the given channels",
       {}},
  };
  return commands;
}

Reply InfoOf(const CommandInfo& command) {
  std::vector<Reply> flags;
  for (const auto flag : command.flags) flags.push_back(Reply::Simple(std::string(flag)));
  std::vector<Reply> categories = {Reply::Simple("@" + std::string(command.category))};
  std::vector<Reply> subcommands;
  for (const auto each : command.subcommands) {
    subcommands.push_back(InfoOf({std::string(command.name) + "|" + std::string(each),
                                  -2,
                                  command.flags,
                                  command.category,
                                  command.group,
                                  command.since,
                                  command.summary,
                                  {}}));
  }
  return Reply::Array({Reply::Bulk(std::string(command.name)), Reply::Number(command.arity),
                       Reply::Set(std::move(flags)), Reply::Number(0), Reply::Number(0), Reply::Number(0),
                       Reply::Set(std::move(categories)), Reply::Set(), Reply::Set(),
                       subcommands.empty() ? Reply::Set() : Reply::Array(std::move(subcommands))});
}

void AddDocs(const CommandInfo& command, std::vector<Reply>& items) {
  const auto text = [](std::string_view word) { return Reply::Bulk(std::string(word)); };
  items.push_back(text(command.name));
  items.push_back(Reply::Map({text("summary"), text(command.summary), text("since"), text(command.since),
                              text("group"), text(command.group), text("complexity"), text("O(1)")}));
}

}  // namespace

const CommandInfo* FindCommand(std::string_view name) {
  const auto& commands = Commands();
  const auto found = std::find_if(commands.begin(), commands.end(),
                                  [name](const CommandInfo& each) { return each.name == name; });
  return found == commands.end() ? nullptr : &*found;
}

std::string EncodedCommand(const Request& request, Protocol protocol) {
  const std::string word = request.size() < 2 ? "info" : Lower(request[1]);
  const bool always_the_same = request.size() <= 2 && (word == "info" || word == "docs" || word == "list");
  if (!always_the_same) return Encode(AnswerCommand(request), protocol);
  // Of hundreds of replies each: they are put together once.
  static std::map<std::pair<std::string, Protocol>, std::string> made;
  std::string& bytes = made[{word, protocol}];
  if (bytes.empty()) bytes = Encode(AnswerCommand(request), protocol);
  return bytes;
}

Reply AnswerCommand(const Request& request) {
  const std::string word = request.size() < 2 ? "info" : Lower(request[1]);
  std::vector<Reply> items;
  const bool all = request.size() <= 2;
  if (word == "count" && all) return Reply::Number(static_cast<std::int64_t>(Commands().size()));
  if (word == "list" && all) {
    for (const CommandInfo& command : Commands()) {
      items.push_back(Reply::Bulk(std::string(command.name)));
      for (const auto each : command.subcommands)
        items.push_back(Reply::Bulk(std::string(command.name) + "|" + std::string(each)));
    }
    return Reply::Array(std::move(items));
  }
  if (word == "info" || word == "docs") {
    const auto add = [&](const CommandInfo& command) {
      if (word == "docs") return AddDocs(command, items);
      items.push_back(InfoOf(command));
    };
    if (all) std::for_each(Commands().begin(), Commands().end(), add);
    for (std::size_t i = 2; i < request.size(); ++i) {
      if (const CommandInfo* command = FindCommand(Lower(request[i]))) {
        add(*command);
      } else if (word == "info") {
        items.push_back(Reply::NullArray());
      }
    }
    return word == "docs" ? Reply::Map(std::move(items)) : Reply::Array(std::move(items));
  }
  return Reply::Fault("ERR unknown subcommand " + Quoted(request[1]) +
                      ". Known are COUNT, DOCS, INFO and LIST.");
}

}  // namespace walstitch::sentinel
