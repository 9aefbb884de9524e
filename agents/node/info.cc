#include "agents/node/info.h"

#include <algorithm>
#include <charconv>
#include <system_error>

namespace walstitch::node {

namespace {

constexpr std::size_t kMaxFields = 10000;  // a real INFO has some hundreds

std::string_view Find(const InfoFields& fields, std::string_view name) {
  auto found = fields.find(name);
  return found == fields.end() ? std::string_view() : std::string_view(found->second);
}

std::optional<std::uint64_t> Number(const InfoFields& fields, std::string_view name) {
  return ParseNumber(Find(fields, name));
}

std::optional<bool> Flag(const InfoFields& fields, std::string_view name) {
  std::string_view value = Find(fields, name);
  if (value == "1" || value == "yes") return true;
  if (value == "0" || value == "no") return false;
  return std::nullopt;
}

// Kvrocks refuses writes ("write command not allowed when reached max-db-size") once its database is as large
// as max-db-size: Storage::CheckDBSizeLimit (src/storage/storage.cc) compares the two numbers that
// Server::GetInfo (src/server/server.cc) tells as used_db_size and max_db_size, after each flush and
// compaction. max_db_size is 0 without a limit.
//
// Of a database that RocksDB holds read-only after an error INFO tells nothing: num_background_errors counts
// errors of flushes and compactions for as long as the server runs, also those that it has recovered from.
std::string WritesRefused(const InfoFields& fields) {
  const auto used = Number(fields, "used_db_size");
  const auto most = Number(fields, "max_db_size");
  if (!used || !most || *most == 0 || *used < *most) return {};
  return "its database has " + std::to_string(*used) + " bytes, and max-db-size allows " +
         std::to_string(*most);
}

}  // namespace

std::optional<std::uint64_t> ParseNumber(std::string_view text) {
  std::uint64_t value = 0;
  if (text.empty()) return std::nullopt;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

InfoFields ParseInfo(std::string_view text) {
  InfoFields fields;
  while (!text.empty() && fields.size() < kMaxFields) {
    std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    std::size_t colon = line.find(':');
    if (line.empty() || line.front() == '#' || colon == std::string_view::npos || colon == 0) continue;
    fields.emplace(line.substr(0, colon), line.substr(colon + 1));
  }
  return fields;
}

NodeFacts ReadFacts(const InfoFields& fields) {
  NodeFacts facts;
  std::string_view role = Find(fields, "role");
  if (role == "master") facts.role = Role::kMaster;
  if (role == "slave" || role == "replica") facts.role = Role::kReplica;

  if (facts.role == Role::kReplica) {
    auto port = Number(fields, "master_port");
    std::string_view host = Find(fields, "master_host");
    if (!host.empty() && port && *port > 0 && *port <= 65535) {
      facts.master = Endpoint{std::string(host), static_cast<std::uint16_t>(*port)};
    }
    std::string_view link = Find(fields, "master_link_status");
    if (!link.empty()) facts.link_up = link == "up";
    facts.sync_in_progress = Flag(fields, "master_sync_in_progress");
  }
  facts.loading = Flag(fields, "loading");
  facts.connected_replicas = Number(fields, "connected_slaves");

  // 1. The replication section is made. 2. A batch is applied. 3. The keyspace section is made. All of
  // these are the same counter, read at different moments: the greatest is the latest.
  for (std::string_view name : {"slave_repl_offset", "master_repl_offset", "sequence"}) {
    auto value = Number(fields, name);
    if (value) facts.last = std::max(facts.last.value_or(Sequence(0)), Sequence(*value));
  }

  auto full = Number(fields, "sync_full");
  auto partial_ok = Number(fields, "sync_partial_ok");
  auto partial_err = Number(fields, "sync_partial_err");
  if (full && partial_ok && partial_err) {
    facts.counters = SyncCounters{*full, *partial_ok, *partial_err, Number(fields, "sync_partial_padding")};
  }

  facts.version = Find(fields, "kvrocks_version");
  if (facts.version.empty()) facts.version = Find(fields, "version");
  facts.cluster_enabled = Flag(fields, "cluster_enabled");
  if (!facts.cluster_enabled) {
    std::string_view mode = Find(fields, "kvrocks_mode");
    if (!mode.empty()) facts.cluster_enabled = mode == "cluster";
  }
  facts.process_id = Number(fields, "process_id");
  facts.uptime_s = Number(fields, "uptime_in_seconds");
  facts.data_bytes = Number(fields, "used_db_size");
  facts.writes_refused = WritesRefused(fields);
  return facts;
}

}  // namespace walstitch::node
