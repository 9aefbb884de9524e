#include "controller/sentinel/answers.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <optional>
#include <utility>

#include "policies/loader.h"
#include "policies/model/reason_codes.h"

namespace walstitch::sentinel {

namespace {

constexpr const char* kNoSuchMaster = "ERR No such master with that name";
constexpr std::size_t kMaxReason = 512;

// The subcommands, with the arguments that Redis allows each behind its name.
struct Subcommand {
  std::string_view name;
  std::size_t least = 0;
  std::size_t most = 0;
  // Why it is refused; empty: it is answered.
  std::string_view refusal{};
};

constexpr std::size_t kAny = 64;
constexpr std::string_view kConfigured =
    "groups and their settings come from the controller's configuration, or from the labels of pods; see "
    "walstitch-controller --help";

constexpr std::array<Subcommand, 21> kSubcommands = {{
    {"ckquorum", 1, 1},
    {"config", 2, kAny},
    {"debug", 0, kAny, "times are set in the controller's configuration; see walstitch-controller --help"},
    {"failover", 1, 1},
    {"flushconfig", 0, 0, "the configuration is never written, so there is nothing to flush"},
    {"get-master-addr-by-name", 1, 1},
    {"help", 0, 0},
    {"info-cache", 1, kAny, "what servers say with INFO is not kept; see walstitch status --output json"},
    {"is-master-down-by-addr", 4, 4},
    {"master", 1, 1},
    {"masters", 0, 0},
    {"monitor", 4, 4, kConfigured},
    {"myid", 0, 0},
    {"pending-scripts", 0, 0},
    {"remove", 1, 1, kConfigured},
    {"replicas", 1, 1},
    {"reset", 1, 1,
     "what is known of a group is made anew with every report, and its epochs must not be forgotten"},
    {"sentinels", 1, 1},
    {"set", 3, kAny, kConfigured},
    {"simulate-failure", 0, kAny, "failures are simulated by ./x sim and ./x chaos, not in production"},
    {"slaves", 1, 1},
}};

const char* const kHelp[] = {
    "SENTINEL <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CKQUORUM <master-name>",
    "    Whether the group can be failed over, and how many controllers answer.",
    "CONFIG GET <param>",
    "    Get global parameters. They are set in the controller's configuration.",
    "GET-MASTER-ADDR-BY-NAME <master-name>",
    "    Return the ip and port number of the master of that group; nil while none takes writes.",
    "FAILOVER <master-name>",
    "    Another node becomes the master: a switchover if there is a master, or else a failover.",
    "    Returns when it is done. Needs a token that may operate.",
    "IS-MASTER-DOWN-BY-ADDR <ip> <port> <current-epoch> <runid>",
    "    Check if the master specified by ip:port is down. No votes are given.",
    "MASTER <master-name>",
    "    Show the state and info of the master of that group.",
    "MASTERS",
    "    Show a list of the groups' masters and their state.",
    "MYID",
    "    Return the ID of this controller.",
    "PENDING-SCRIPTS",
    "    Get pending scripts information. There are none.",
    "REPLICAS <master-name>",
    "    Show a list of replicas for this master and their state.",
    "SENTINELS <master-name>",
    "    Show a list of the other controllers.",
    "HELP",
    "    Prints this help.",
    "MONITOR, REMOVE, RESET, SET, CONFIG SET, DEBUG, FLUSHCONFIG, INFO-CACHE and SIMULATE-FAILURE",
    "    are refused, each with the reason. See also: walstitch --help",
};

// Fields as Sentinel writes them: every value is a text.
class FieldList {
 public:
  void Add(const char* name, std::string value) {
    items_.push_back(Reply::Bulk(name));
    items_.push_back(Reply::Bulk(std::move(value)));
  }
  void Add(const char* name, std::int64_t value) { Add(name, std::to_string(value)); }
  Reply Take() { return Reply::Map(std::move(items_)); }

 private:
  std::vector<Reply> items_;
};

std::string RoleWord(Role role, const char* otherwise) {
  switch (role) {
    case Role::kMaster:
      return "master";
    case Role::kReplica:
      return "slave";
    case Role::kUnknown:
      break;
  }
  return otherwise;
}

std::int64_t Since(const Knowledge& knowledge, std::int64_t ms) {
  return std::max<std::int64_t>(0, knowledge.now_ms - ms);
}

// How long its agent has been silent: the view has it for its own moment.
std::int64_t SilentMs(const Knowledge& knowledge, const NodeSeen& node) {
  return node.silent_ms + Since(knowledge, knowledge.view->at_ms);
}

std::string PortText(const Endpoint& endpoint) { return std::to_string(endpoint.port); }

// What master and replica have alike, up to the time of their role.
void AddInstance(FieldList& fields, const Knowledge& knowledge, const NodeSeen& node, bool is_master,
                 bool changing, const std::string& flags, const std::string& name) {
  const std::int64_t silent = SilentMs(knowledge, node);
  const std::int64_t down = Since(knowledge, node.usable_since);
  fields.Add("name", name);
  fields.Add("ip", node.endpoint.host);
  fields.Add("port", PortText(node.endpoint));
  fields.Add("runid", "");  // Kvrocks has none
  fields.Add("flags", flags);
  fields.Add("link-pending-commands", 0);
  fields.Add("link-refcount", 1);
  if (changing) fields.Add("failover-state", "wait_promotion");
  fields.Add("last-ping-sent", node.heard ? 0 : silent);
  fields.Add("last-ok-ping-reply", silent);
  fields.Add("last-ping-reply", silent);
  if (!node.usable) fields.Add("s-down-time", down);
  if (!node.usable && is_master) fields.Add("o-down-time", down);
  fields.Add("down-after-milliseconds", knowledge.settings.down_after_ms);
  fields.Add("info-refresh", silent);
  fields.Add("role-reported", RoleWord(node.role, is_master ? "master" : "slave"));
  fields.Add("role-reported-time", Since(knowledge, node.role_since));
}

Reply MasterFields(const Knowledge& knowledge, const GroupSeen& group) {
  const NodeSeen* found = group.Master();
  const NodeSeen nobody;  // a new group: it never had one
  const NodeSeen& master = found == nullptr ? nobody : *found;
  const bool usable = group.UsableMaster() != nullptr;
  const bool changing = group.changing && !usable;
  std::string flags = usable ? "master" : "s_down,o_down,master";
  if (!usable && !master.heard) flags += ",disconnected";
  if (changing) flags += ",failover_in_progress";
  FieldList fields;
  AddInstance(fields, knowledge, master, true, changing, flags, group.name);
  fields.Add("config-epoch", std::to_string(group.epoch));
  fields.Add("num-slaves", static_cast<std::int64_t>(group.ReplicaCount()));
  fields.Add("num-other-sentinels", static_cast<std::int64_t>(knowledge.others.size()));
  fields.Add("quorum", 1);
  fields.Add("failover-timeout", knowledge.settings.failover_timeout_ms);
  fields.Add("parallel-syncs", knowledge.settings.parallel_syncs);
  return fields.Take();
}

Reply ReplicaFields(const Knowledge& knowledge, const GroupSeen& group, const NodeSeen& node) {
  FieldList fields;
  AddInstance(fields, knowledge, node, false, false, node.usable ? "slave" : "s_down,slave,disconnected",
              node.endpoint.ToString());
  fields.Add("master-link-down-time", node.usable ? 0 : Since(knowledge, node.usable_since));
  fields.Add("master-link-status", node.usable ? "ok" : "err");
  // Its server names its agent's relay; whom that follows is what is asked for.
  const NodeSeen* master = node.usable ? group.Master() : nullptr;
  fields.Add("master-host", master == nullptr ? "?" : master->endpoint.host);
  fields.Add("master-port", master == nullptr ? "0" : PortText(master->endpoint));
  fields.Add("slave-priority", node.candidate ? 100 : 0);
  fields.Add("slave-repl-offset", std::to_string(node.last));
  fields.Add("replica-announced", 1);
  return fields.Take();
}

Reply SentinelFields(const Knowledge& knowledge, const Other& other) {
  const std::int64_t silent = Since(knowledge, other.heard_ms);
  FieldList fields;
  fields.Add("name", other.id);
  fields.Add("ip", other.endpoint.host);
  fields.Add("port", PortText(other.endpoint));
  fields.Add("runid", other.id);
  fields.Add("flags", other.heard ? "sentinel" : "s_down,sentinel,disconnected");
  fields.Add("link-pending-commands", 0);
  fields.Add("link-refcount", 1);
  fields.Add("last-ping-sent", other.heard ? 0 : silent);
  fields.Add("last-ok-ping-reply", silent);
  fields.Add("last-ping-reply", silent);
  if (!other.heard) fields.Add("s-down-time", Since(knowledge, other.changed_ms));
  fields.Add("down-after-milliseconds", knowledge.settings.down_after_ms);
  fields.Add("last-hello-message", silent);
  fields.Add("voted-leader", "?");
  fields.Add("voted-leader-epoch", 0);
  return fields.Take();
}

Reply IsMasterDown(const Request& request, const Knowledge& knowledge) {
  const auto is_number = [](const std::string& text) {
    std::int64_t number = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
    return problem == std::errc() && end == text.data() + text.size();
  };
  if (!is_number(request[3]) || !is_number(request[4]))
    return Reply::Fault("ERR value is not an integer or out of range");
  const bool down =
      std::any_of(knowledge.view->groups.begin(), knowledge.view->groups.end(), [&](const auto& item) {
        const NodeSeen* master = item.second.Master();
        return master != nullptr && master->endpoint.host == request[2] &&
               PortText(master->endpoint) == request[3] && item.second.UsableMaster() == nullptr;
      });
  // No vote is given: who replaces a master is not voted on here.
  return Reply::Array({Reply::Number(down ? 1 : 0), Reply::Bulk("*"), Reply::Number(0)});
}

// Who answers has no say in it: the quorum is there if the controller that leads would replace the master.
Reply CkQuorum(const Knowledge& knowledge, const GroupSeen& group) {
  const auto heard = std::count_if(knowledge.others.begin(), knowledge.others.end(),
                                   [](const Other& other) { return other.heard; });
  if (!group.no_failover_code.empty()) {
    return Reply::Fault("NOQUORUM " + std::to_string(1 + heard) +
                        " usable Sentinels. Not enough available Sentinels to reach the majority and "
                        "authorize a failover: " +
                        group.no_failover.substr(0, kMaxReason));
  }
  return Reply::Simple("OK " + std::to_string(1 + heard) +
                       " usable Sentinels. Quorum and failover authorization can be reached");
}

Reply Config(const Request& request, const Knowledge& knowledge) {
  const std::string word = Lower(request[2]);
  if (word != "get" || request.size() != 4) {
    if (word == "set") return Reply::Fault("ERR refused: " + std::string(kConfigured));
    return Reply::Fault("ERR Only SENTINEL CONFIG GET <param> is answered here");
  }
  const std::pair<const char*, std::string> parameters[] = {
      {"resolve-hostnames", "no"},
      {"announce-hostnames", "no"},
      {"announce-ip", knowledge.announced.host},
      {"announce-port", PortText(knowledge.announced)},
      {"sentinel-user", ""},
      {"sentinel-pass", ""},
  };
  FieldList fields;
  const std::string pattern = Lower(request[3]);
  for (const auto& [name, value] : parameters) {
    if (GlobMatches(pattern, name)) fields.Add(name, value);
  }
  return fields.Take();
}

std::string NotKnown(const Knowledge& knowledge) { return "LOADING " + knowledge.why; }

std::string NotHeard(const std::string& group) {
  return "LOADING nothing is known of the master of " + Quoted(group) +
         " yet: the controller that leads has begun to watch it just now";
}

// Of a group that is not in the view: there is none, or nothing is known of it yet.
std::string WhyNoGroup(const std::string& name, const View& view) {
  return view.unknown.contains(name) ? NotHeard(name) : std::string(kNoSuchMaster);
}

using Fields = std::vector<std::pair<const char*, std::string>>;

std::string Seconds(double seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6f", seconds);
  return text;
}

// Every field that Redis 7 has: what reads them may rely on it. What means nothing here is 0.
Fields ServerFields(const Knowledge& knowledge) {
  const std::int64_t uptime = knowledge.uptime_ms / 1000;
  return {{"redis_version", "7.0.15"},
          {"redis_git_sha1", "00000000"},
          {"redis_git_dirty", "0"},
          {"redis_build_id", "walstitch-" + knowledge.version},
          {"redis_mode", "sentinel"},
          {"os", knowledge.os},
          {"arch_bits", "64"},
          {"monotonic_clock", "POSIX clock_gettime"},
          {"multiplexing_api", "epoll"},
          {"atomicvar_api", "c11-builtin"},
          {"gcc_version", "0.0.0"},
          {"process_id", std::to_string(knowledge.process_id)},
          {"process_supervised", "no"},
          {"run_id", knowledge.id},
          {"tcp_port", PortText(knowledge.announced)},
          {"server_time_usec", std::to_string(knowledge.unix_us)},
          {"uptime_in_seconds", std::to_string(uptime)},
          {"uptime_in_days", std::to_string(uptime / (24 * 60 * 60))},
          {"hz", "10"},
          {"configured_hz", "10"},
          {"lru_clock", std::to_string(knowledge.unix_us / 1000000 % (1 << 24))},
          {"executable", "walstitch-controller"},
          {"config_file", ""},
          {"io_threads_active", "0"}};
}

Fields ClientsFields(const Knowledge& knowledge) {
  return {{"connected_clients", std::to_string(knowledge.counts.open)},
          {"cluster_connections", "0"},
          {"maxclients", std::to_string(knowledge.max_clients)},
          {"client_recent_max_input_buffer", "0"},
          {"client_recent_max_output_buffer", "0"},
          {"blocked_clients", "0"},
          {"tracking_clients", "0"},
          {"clients_in_timeout_table", "0"}};
}

Fields StatsFields(const Knowledge& knowledge) {
  const ListenerCounts& counts = knowledge.counts;
  return {{"total_connections_received", std::to_string(counts.accepted)},
          {"total_commands_processed", std::to_string(counts.requests)},
          {"instantaneous_ops_per_sec", "0"},
          {"total_net_input_bytes", std::to_string(counts.bytes_in)},
          {"total_net_output_bytes", std::to_string(counts.bytes_out)},
          {"total_net_repl_input_bytes", "0"},
          {"total_net_repl_output_bytes", "0"},
          {"instantaneous_input_kbps", "0.00"},
          {"instantaneous_output_kbps", "0.00"},
          {"instantaneous_input_repl_kbps", "0.00"},
          {"instantaneous_output_repl_kbps", "0.00"},
          {"rejected_connections", std::to_string(counts.refused_full)},
          {"sync_full", "0"},
          {"sync_partial_ok", "0"},
          {"sync_partial_err", "0"},
          {"expired_keys", "0"},
          {"expired_stale_perc", "0.00"},
          {"expired_time_cap_reached_count", "0"},
          {"expire_cycle_cpu_milliseconds", "0"},
          {"evicted_keys", "0"},
          {"evicted_clients", std::to_string(counts.refused_slow)},
          {"total_eviction_exceeded_time", "0"},
          {"current_eviction_exceeded_time", "0"},
          {"keyspace_hits", "0"},
          {"keyspace_misses", "0"},
          {"pubsub_channels", "0"},
          {"pubsub_patterns", "0"},
          {"pubsubshard_channels", "0"},
          {"latest_fork_usec", "0"},
          {"total_forks", "0"},
          {"migrate_cached_sockets", "0"},
          {"slave_expires_tracked_keys", "0"},
          {"active_defrag_hits", "0"},
          {"active_defrag_misses", "0"},
          {"active_defrag_key_hits", "0"},
          {"active_defrag_key_misses", "0"},
          {"total_active_defrag_time", "0"},
          {"current_active_defrag_time", "0"},
          {"tracking_total_keys", "0"},
          {"tracking_total_items", "0"},
          {"tracking_total_prefixes", "0"},
          {"unexpected_error_replies", "0"},
          {"total_error_replies", std::to_string(counts.errors)},
          {"dump_payload_sanitizations", "0"},
          {"total_reads_processed", "0"},
          {"total_writes_processed", "0"},
          {"io_threaded_reads_processed", "0"},
          {"io_threaded_writes_processed", "0"},
          {"reply_buffer_shrinks", "0"},
          {"reply_buffer_expands", "0"}};
}

Fields CpuFields(const Knowledge& knowledge) {
  return {{"used_cpu_sys", Seconds(knowledge.cpu_system_seconds)},
          {"used_cpu_user", Seconds(knowledge.cpu_user_seconds)},
          {"used_cpu_sys_children", "0.000000"},
          {"used_cpu_user_children", "0.000000"},
          {"used_cpu_sys_main_thread", Seconds(knowledge.cpu_system_seconds)},
          {"used_cpu_user_main_thread", Seconds(knowledge.cpu_user_seconds)}};
}

std::string SentinelSection(const Knowledge& knowledge) {
  const std::size_t groups = knowledge.view == nullptr ? 0 : knowledge.view->groups.size();
  std::string text = "sentinel_masters:" + std::to_string(groups) +
                     "\r\nsentinel_tilt:0\r\nsentinel_tilt_since_seconds:-1\r\nsentinel_running_scripts:0"
                     "\r\nsentinel_scripts_queue_length:0\r\nsentinel_simulate_failure_flags:0\r\n";
  if (knowledge.view == nullptr) return text;
  std::size_t number = 0;
  for (const auto& [name, group] : knowledge.view->groups) {
    const NodeSeen* master = group.Master();
    text += "master" + std::to_string(number++) + ":name=" + name +
            ",status=" + (group.UsableMaster() != nullptr ? "ok" : "odown") +
            ",address=" + (master == nullptr ? Endpoint() : master->endpoint).ToString() +
            ",slaves=" + std::to_string(group.ReplicaCount()) +
            ",sentinels=" + std::to_string(knowledge.others.size() + 1) + "\r\n";
  }
  return text;
}

std::string Lines(const Fields& fields) {
  std::string text;
  for (const auto& [name, value] : fields) text += std::string(name) + ":" + value + "\r\n";
  return text;
}

}  // namespace

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

std::string Quoted(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text.substr(0, 128)) quoted += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
  return quoted + "'";
}

Reply WrongArguments(std::string_view command) {
  return Reply::Fault("ERR wrong number of arguments for '" + std::string(command) + "' command");
}

Reply AnswerSentinel(const Request& request, const Knowledge& knowledge) {
  if (request.size() < 2) return WrongArguments("sentinel");
  const std::string word = Lower(request[1]);
  const auto found = std::find_if(kSubcommands.begin(), kSubcommands.end(),
                                  [&word](const Subcommand& each) { return each.name == word; });
  if (found == kSubcommands.end())
    return Reply::Fault("ERR unknown subcommand " + Quoted(request[1]) + ". Try SENTINEL HELP.");
  const std::size_t arguments = request.size() - 2;
  if (arguments < found->least || arguments > found->most) return WrongArguments("sentinel|" + word);
  if (!found->refusal.empty()) return Reply::Fault("ERR refused: " + std::string(found->refusal));

  if (word == "myid") return Reply::Bulk(knowledge.id);
  if (word == "pending-scripts") return Reply::Array();
  if (word == "config") return Config(request, knowledge);
  if (word == "help") {
    std::vector<Reply> lines;
    for (const char* line : kHelp) lines.push_back(Reply::Simple(line));
    return Reply::Array(std::move(lines));
  }
  if (knowledge.view == nullptr) return Reply::Fault(NotKnown(knowledge));
  const View& view = *knowledge.view;
  if (word == "masters") {
    // A list without them would say that they are not there.
    if (!view.unknown.empty()) return Reply::Fault(NotHeard(view.unknown.begin()->first));
    std::vector<Reply> masters;
    for (const auto& [name, group] : view.groups) masters.push_back(MasterFields(knowledge, group));
    return Reply::Array(std::move(masters));
  }
  if (word == "is-master-down-by-addr") return IsMasterDown(request, knowledge);

  const auto group = view.groups.find(request[2]);
  if (word == "get-master-addr-by-name") {
    if (view.unknown.contains(request[2])) return Reply::Fault(NotHeard(request[2]));
    const NodeSeen* master = group == view.groups.end() ? nullptr : group->second.UsableMaster();
    if (master == nullptr) return Reply::NullArray();
    return Reply::Array({Reply::Bulk(master->endpoint.host), Reply::Bulk(PortText(master->endpoint))});
  }
  if (group == view.groups.end()) return Reply::Fault(WhyNoGroup(request[2], view));
  if (word == "master") return MasterFields(knowledge, group->second);
  if (word == "ckquorum") return CkQuorum(knowledge, group->second);
  std::vector<Reply> items;
  if (word == "sentinels") {
    for (const Other& other : knowledge.others) items.push_back(SentinelFields(knowledge, other));
    return Reply::Array(std::move(items));
  }
  // replicas, slaves
  for (const auto& [name, node] : group->second.nodes) {
    if (name == group->second.master || node.endpoint.port == 0) continue;
    items.push_back(ReplicaFields(knowledge, group->second, node));
  }
  return Reply::Array(std::move(items));
}

Result<std::string> GroupToFailOver(const Request& request, const Knowledge& knowledge) {
  if (request.size() != 3)
    return Fail(ErrorCode::kInvalid, "ERR wrong number of arguments for 'sentinel|failover' command");
  if (knowledge.view == nullptr) return Fail(ErrorCode::kUnavailable, NotKnown(knowledge));
  const auto group = knowledge.view->groups.find(request[2]);
  if (group == knowledge.view->groups.end())
    return Fail(ErrorCode::kNotFound, WhyNoGroup(request[2], *knowledge.view));
  if (group->second.changing) return Fail(ErrorCode::kConflict, std::string(kInProgress));
  return request[2];
}

Reply AnswerRefusal(const Error& error, const GroupSeen* group) {
  const bool nobody = group != nullptr && group->no_failover_code == reason::kNotEligible;
  if (nobody && error.Code() == ErrorCode::kConflict)
    return Reply::Fault("NOGOODSLAVE No suitable replica to promote: " + error.Message());
  return Reply::Fault("ERR " + error.Message());
}

Reply AnswerRole(const Knowledge& knowledge) {
  if (knowledge.view == nullptr) return Reply::Fault(NotKnown(knowledge));
  std::vector<Reply> names;
  for (const auto& [name, group] : knowledge.view->groups) names.push_back(Reply::Bulk(name));
  for (const auto& [name, unknown] : knowledge.view->unknown) names.push_back(Reply::Bulk(name));
  return Reply::Array({Reply::Bulk("sentinel"), Reply::Array(std::move(names))});
}

Reply AnswerInfo(const Request& request, const Knowledge& knowledge) {
  // Made only if it is wanted.
  using Section = std::string (*)(const Knowledge&);
  static constexpr std::pair<const char*, Section> sections[] = {
      {"Server", [](const Knowledge& known) { return Lines(ServerFields(known)); }},
      {"Clients", [](const Knowledge& known) { return Lines(ClientsFields(known)); }},
      {"Stats", [](const Knowledge& known) { return Lines(StatsFields(known)); }},
      {"CPU", [](const Knowledge& known) { return Lines(CpuFields(known)); }},
      {"Sentinel", SentinelSection},
  };
  std::vector<std::string> wanted;
  for (std::size_t i = 1; i < request.size(); ++i) wanted.push_back(Lower(request[i]));
  const auto is_wanted = [&wanted](const std::string& section) {
    if (wanted.empty()) return true;
    return std::any_of(wanted.begin(), wanted.end(), [&section](const std::string& word) {
      return word == section || word == "all" || word == "default" || word == "everything";
    });
  };
  std::string text;
  for (const auto& [name, section] : sections) {
    if (!is_wanted(Lower(name))) continue;
    if (!text.empty()) text += "\r\n";
    text += std::string("# ") + name + "\r\n" + section(knowledge);
  }
  return Reply::Bulk(std::move(text));
}

}  // namespace walstitch::sentinel
