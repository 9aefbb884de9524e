#include "server.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <ctime>
#include <sstream>

#include "commands.h"

namespace walstitch::refnode {
namespace {

constexpr size_t kCursorSlots = 65536;

}  // namespace

CommandLock::CommandLock() {
  pthread_rwlockattr_t attributes;
  pthread_rwlockattr_init(&attributes);
  pthread_rwlockattr_setkind_np(&attributes, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
  pthread_rwlock_init(&lock_, &attributes);
  pthread_rwlockattr_destroy(&attributes);
}

Server::Server(Config& config)
    : config_(config),
      storage_(config, faults_),
      started_s_(std::time(nullptr)),
      stop_event_(::eventfd(0, EFD_CLOEXEC)),
      cursors_(kCursorSlots) {}

Server::~Server() {
  if (stop_event_ >= 0) ::close(stop_event_);
}

void Server::Log(const std::string& text) {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&now, &local);
  char stamp[32];
  std::strftime(stamp, sizeof stamp, "%H:%M:%S", &local);
  std::lock_guard lock(log_mutex_);
  log_ << stamp << " " << text << "\n" << std::flush;
}

std::optional<std::string> Server::Start() {
  const rocksdb::Status opened = storage_.Open();
  if (!opened.ok()) return "Failed to open: " + opened.ToString();
  const std::string log_directory =
      config_.Get("log-dir").empty() ? config_.Directory() : config_.Get("log-dir");
  log_.open(log_directory == "stdout" ? "/dev/stdout" : log_directory + "/refnode.log", std::ios::app);

  if (auto error = LoadNamespaces()) return error;

  const std::string bind = config_.Get("bind").empty() ? "127.0.0.1" : config_.Get("bind");
  std::istringstream addresses(bind);
  for (std::string address; addresses >> address;) {
    std::string error;
    Socket listener = ListenTcp(address, config_.Port(), &error);
    if (!listener.IsOpen()) return "Could not listen: " + error;
    listeners_.push_back(std::move(listener));
  }

  // A node that is told its upstream boots read-only; only one that is nobody's
  // replica begins a new replication history.
  if (const auto upstream = config_.Upstream()) {
    if (auto error = Follow(upstream->first, upstream->second, false)) return error;
  } else if (const rocksdb::Status shifted = storage_.ShiftReplicationId(); !shifted.ok()) {
    return "failed to shift replication id: " + shifted.ToString();
  }
  cron_ = std::thread([this] { Cron(); });
  return std::nullopt;
}

void Server::RequestStop() {
  // Nothing but a write: this runs in signal handlers.
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(stop_event_, &one, sizeof one);
}

void Server::Run() {
  std::vector<pollfd> entries;
  entries.push_back({stop_event_, POLLIN, 0});
  for (const Socket& listener : listeners_) entries.push_back({listener.fd(), POLLIN, 0});
  while (true) {
    if (::poll(entries.data(), entries.size(), 1000) < 0 && errno != EINTR) break;
    if (entries[0].revents != 0) break;
    for (size_t i = 1; i < entries.size(); ++i) {
      if (entries[i].revents == 0) continue;
      const int fd = ::accept4(entries[i].fd, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd >= 0) Accept(Socket(fd));
    }
    Reap(false);
  }

  stopping_ = true;
  listeners_.clear();
  {
    std::lock_guard lock(link_mutex_);
    if (link_) link_->Stop();
  }
  DropConnections(nullptr, {true, true, true, false});
  Reap(true);
  cron_.join();
  storage_.Close();
}

void Server::Accept(Socket socket) {
  if (faults_.refuse) return;
  stats_.connections++;
  auto connection = std::make_unique<Connection>(std::move(socket));
  connection->id = next_connection_id_++;
  Connection& reference = *connection;
  std::lock_guard lock(connections_mutex_);
  Served& served = connections_.emplace_back();
  served.connection = std::move(connection);
  served.thread = std::thread([this, &reference] {
    Serve(reference);
    Unwatch(reference);
    reference.socket.ShutDown();
    reference.finished = true;
  });
}

void Server::Reap(bool all) {
  std::list<Served> finished;
  {
    std::lock_guard lock(connections_mutex_);
    for (auto it = connections_.begin(); it != connections_.end();) {
      const auto next = std::next(it);
      if (all || it->connection->finished) finished.splice(finished.end(), connections_, it);
      it = next;
    }
  }
  for (Served& served : finished) served.thread.join();
}

void Server::Serve(Connection& connection) {
  RequestParser parser(static_cast<size_t>(config_.GetInt("proto-max-bulk-len")));
  std::string buffer(16 * 1024, '\0');
  while (!stopping_ && !connection.close_after_reply) {
    while (faults_.stop_reading && !connection.is_control && !stopping_) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    const ssize_t received = connection.socket.Receive(buffer.data(), buffer.size());
    if (received <= 0) return;
    // Whoever was waiting for bytes when the fault was set does not read them.
    while (faults_.stop_reading && !connection.is_control && !stopping_) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    const auto error = parser.Feed(std::string_view(buffer.data(), static_cast<size_t>(received)));
    std::string replies;
    while (const auto request = parser.Next()) {
      if (const int delay_ms = faults_.delay_ms; delay_ms > 0 && !connection.is_control) {
        std::this_thread::sleep_for(std::chrono::milliseconds(delay_ms));
      }
      replies += RunRequest(*this, connection, *request);
      if (connection.takeover || connection.close_after_reply) break;
    }
    if (error && !connection.takeover) {
      replies += resp::Error("ERR " + *error);
      connection.close_after_reply = true;
    }
    if (!replies.empty() && !connection.socket.SendAll(replies)) return;
    if (connection.takeover) {
      connection.takeover();
      return;
    }
  }
}

void Server::DropConnections(const Connection* except, Whose whose) {
  {
    std::lock_guard lock(connections_mutex_);
    for (const Served& served : connections_) {
      if (served.connection.get() == except) continue;
      const Connection& each = *served.connection;
      const bool meant = each.is_replica      ? whose.replicas
                         : each.is_subscriber ? whose.subscribers
                                              : whose.clients;
      if (meant) served.connection->socket.ShutDown();
    }
  }
  if (whose.upstream) {
    std::lock_guard lock(link_mutex_);
    if (link_) link_->Drop();
  }
}

void Server::Cron() {
  for (uint64_t tick = 1; !stopping_; ++tick) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    if (tick % 100 == 0) storage_.DropIdleCheckpoint(running_fetches_ > 0);
  }
}

// Replication.

std::optional<std::string> Server::Follow(const std::string& host, uint16_t port, bool even_if_same) {
  std::unique_lock lock(link_mutex_);
  if (!even_if_same && link_ && upstream_host_ == host && upstream_port_ == port) return std::nullopt;
  std::unique_ptr<ReplicaLink> old = std::move(link_);
  lock.unlock();
  // Joins the old thread, which may be asleep for up to ten seconds.
  old.reset();
  lock.lock();
  upstream_host_ = host;
  upstream_port_ = port;
  config_.Override("slaveof", host + " " + std::to_string(port));
  is_replica_ = true;
  link_ = std::make_unique<ReplicaLink>(*this, host, port);
  link_->Start();
  return std::nullopt;
}

rocksdb::Status Server::Promote() {
  std::unique_lock lock(link_mutex_);
  if (!is_replica_) return rocksdb::Status::OK();
  std::unique_ptr<ReplicaLink> old = std::move(link_);
  upstream_host_.clear();
  upstream_port_ = 0;
  is_replica_ = false;
  config_.Override("slaveof", "no one");
  lock.unlock();
  old.reset();
  return storage_.ShiftReplicationId();
}

LinkState Server::ReplicationState() {
  std::lock_guard lock(link_mutex_);
  return link_ ? link_->State() : LinkState::kConnecting;
}

std::optional<std::string> Server::RefuseUpstream(const std::string& host, uint16_t port) {
  const std::string ip = host == "localhost" ? "127.0.0.1" : host;
  if (port == config_.Port() && (ip == "127.0.0.1" || config_.Get("bind").find(ip) != std::string::npos)) {
    return "can't replicate itself";
  }
  std::lock_guard lock(feeders_mutex_);
  for (const Feeder* feeder : feeders_) {
    if (!feeder->IsStopped() && feeder->connection().AnnouncedIp() == ip &&
        feeder->connection().listening_port == port) {
      return "can't replicate your own replicas";
    }
  }
  return std::nullopt;
}

void Server::Feed(Connection& connection, uint64_t next, uint64_t pad_from) {
  Feeder feeder(*this, connection, next, pad_from);
  connection.is_replica = true;
  {
    std::lock_guard lock(feeders_mutex_);
    feeders_.push_back(&feeder);
  }
  // Between the PSYNC and here a restore may have begun to close the database;
  // it stops the feeders that it sees only after it has set this flag.
  if (!loading_) feeder.Run();
  std::lock_guard lock(feeders_mutex_);
  feeders_.remove(&feeder);
}

void Server::DisconnectReplicas() {
  while (true) {
    {
      std::lock_guard lock(feeders_mutex_);
      if (feeders_.empty()) return;
      for (Feeder* feeder : feeders_) feeder->Stop();
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

bool Server::PrepareRestore(const ReplicaLink& link) {
  DisconnectReplicas();
  loading_ = true;
  // From here on no new command touches the database; wait for those that do.
  // SLAVEOF may hold the lock and wait for this thread, hence no plain lock().
  while (!command_lock_.try_lock()) {
    if (link.IsStopping() || stopping_) {
      loading_ = false;
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  command_lock_.unlock();
  // A replica that was accepted just before would still hold an iterator.
  DisconnectReplicas();
  storage_.Close();
  return true;
}

// Namespaces.

std::map<std::string, std::string> Server::Tokens() {
  std::lock_guard lock(tokens_mutex_);
  return tokens_;
}

std::optional<std::string> Server::NamespaceOfToken(const std::string& token) {
  std::lock_guard lock(tokens_mutex_);
  const auto it = tokens_.find(token);
  if (it == tokens_.end()) return std::nullopt;
  return it->second;
}

namespace {

// The one JSON document that Kvrocks stores: a flat object of strings.
std::string EncodeTokens(const std::map<std::string, std::string>& tokens) {
  const auto quote = [](const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
      if (c == '"' || c == '\\') out.push_back('\\');
      out.push_back(c);
    }
    return out + "\"";
  };
  std::string json = "{";
  for (const auto& [token, ns] : tokens)
    json += (json.size() > 1 ? "," : "") + quote(token) + ":" + quote(ns);
  return json + "}";
}

std::map<std::string, std::string> DecodeTokens(const std::string& json) {
  std::vector<std::string> strings;
  for (size_t i = 0; i < json.size(); ++i) {
    if (json[i] != '"') continue;
    std::string text;
    for (++i; i < json.size() && json[i] != '"'; ++i) {
      if (json[i] == '\\' && i + 1 < json.size()) ++i;
      text.push_back(json[i]);
    }
    strings.push_back(std::move(text));
  }
  std::map<std::string, std::string> tokens;
  for (size_t i = 0; i + 1 < strings.size(); i += 2) tokens[strings[i]] = strings[i + 1];
  return tokens;
}

}  // namespace

std::optional<std::string> Server::LoadNamespaces() {
  std::string json;
  const rocksdb::Status status = storage_.Get(ColumnFamily::kPropagate, std::string(kNamespacesKey), &json);
  if (!status.ok() && !status.IsNotFound()) return status.ToString();
  const std::map<std::string, std::string> stored = DecodeTokens(json);
  if (!stored.empty() && !config_.GetBool("repl-namespace-enabled")) {
    return "cannot switch off repl_namespace_enabled when namespaces exist in db";
  }
  std::lock_guard lock(tokens_mutex_);
  tokens_ = config_.file_tokens();
  tokens_.insert(stored.begin(), stored.end());
  return std::nullopt;
}

// Needs tokens_mutex_.
std::optional<std::string> Server::StoreNamespaces() {
  if (config_.HasFile()) {
    if (auto error = config_.Rewrite(tokens_)) return error;
  }
  // On a replica a write would consume a sequence; it gets them by replication.
  if (is_replica_ || !config_.GetBool("repl-namespace-enabled")) return std::nullopt;
  const rocksdb::Status status =
      Batch(storage_).Put(ColumnFamily::kPropagate, kNamespacesKey, EncodeTokens(tokens_)).Commit();
  if (!status.ok()) return status.ToString();
  return std::nullopt;
}

std::optional<std::string> Server::SetNamespace(const std::string& ns, const std::string& token) {
  if (ns.size() > 255) return "size exceed limit 255";
  if (config_.Get("requirepass").empty()) return "forbidden to add namespace when requirepass was empty";
  if (!config_.HasFile() && !config_.GetBool("repl-namespace-enabled")) {
    return "modify namespace requires the server is running with a configuration file or enabled namespace "
           "replication";
  }
  if (ns == kDefaultNamespace) return "forbidden to add the default namespace";
  if (token == config_.Get("requirepass") || token == config_.Get("masterauth")) {
    return "the token is duplicated with requirepass or masterauth";
  }
  std::lock_guard lock(tokens_mutex_);
  const auto before = tokens_;
  for (auto it = tokens_.begin(); it != tokens_.end();) {
    it = it->second == ns ? tokens_.erase(it) : std::next(it);
  }
  tokens_[token] = ns;
  auto error = StoreNamespaces();
  if (error) tokens_ = before;
  return error;
}

std::optional<std::string> Server::AddNamespace(const std::string& ns, const std::string& token) {
  for (const auto& [existing_token, existing_ns] : Tokens()) {
    if (existing_ns == ns) {
      if (existing_token == token) return std::nullopt;
      return "the namespace already exists";
    }
  }
  if (NamespaceOfToken(token)) return "the token already exists";
  return SetNamespace(ns, token);
}

std::optional<std::string> Server::DeleteNamespace(const std::string& ns) {
  if (ns == kDefaultNamespace) return "forbidden to delete the default namespace";
  std::lock_guard lock(tokens_mutex_);
  for (const auto& [token, existing] : tokens_) {
    if (existing != ns) continue;
    const auto before = tokens_;
    tokens_.erase(std::string(token));
    auto error = StoreNamespaces();
    if (error) tokens_ = before;
    return error;
  }
  return "the namespace was not found";
}

// WATCH.

void Server::Watch(Connection& connection, const std::vector<std::string>& keys) {
  if (connection.watched_changed) return;
  std::lock_guard lock(watch_mutex_);
  for (const std::string& key : keys) {
    watchers_[key].insert(&connection);
    connection.watched.insert(key);
  }
}

void Server::Unwatch(Connection& connection) {
  std::lock_guard lock(watch_mutex_);
  for (const std::string& key : connection.watched) {
    const auto it = watchers_.find(key);
    if (it == watchers_.end()) continue;
    it->second.erase(&connection);
    if (it->second.empty()) watchers_.erase(it);
  }
  connection.watched.clear();
  connection.watched_changed = false;
}

void Server::MarkChanged(const std::vector<std::string>& keys) {
  std::lock_guard lock(watch_mutex_);
  for (const std::string& key : keys) {
    const auto it = watchers_.find(key);
    if (it == watchers_.end()) continue;
    for (Connection* connection : it->second) connection->watched_changed = true;
  }
}

void Server::MarkAllChanged() {
  std::lock_guard lock(watch_mutex_);
  for (auto& [key, connections] : watchers_) {
    for (Connection* connection : connections) connection->watched_changed = true;
  }
}

std::string Server::MakeCursor(const std::string& key) {
  std::lock_guard lock(cursors_mutex_);
  const uint64_t cursor = ++next_cursor_;
  cursors_[cursor % kCursorSlots] = {cursor, key};
  return std::to_string(cursor);
}

std::string Server::KeyOfCursor(const std::string& cursor) {
  uint64_t number = 0;
  if (!ParseUnsigned(cursor, &number)) return "";
  std::lock_guard lock(cursors_mutex_);
  const auto& [stored, key] = cursors_[number % kCursorSlots];
  return stored == number ? key : "";
}

void Server::SetKeyCount(const std::string& ns, uint64_t keys) {
  std::lock_guard lock(counts_mutex_);
  key_counts_[ns] = keys;
}

uint64_t Server::KeyCount(const std::string& ns) {
  std::lock_guard lock(counts_mutex_);
  return key_counts_[ns];
}

// INFO and its relatives.

std::string Server::ReplicationInfo() {
  std::ostringstream out;
  out << "# Replication\r\n";
  out << "role:" << (is_replica_ ? "slave" : "master") << "\r\n";
  {
    std::lock_guard lock(link_mutex_);
    if (link_) {
      const LinkState state = link_->State();
      const bool syncing = state == LinkState::kFetchingMeta || state == LinkState::kFetchingFiles;
      out << "master_host:" << upstream_host_ << "\r\n";
      out << "master_port:" << upstream_port_ << "\r\n";
      out << "master_link_status:" << (state == LinkState::kConnected ? "up" : "down") << "\r\n";
      out << "master_sync_unrecoverable_error:" << (state == LinkState::kError ? "yes" : "no") << "\r\n";
      out << "master_sync_in_progress:" << (syncing ? 1 : 0) << "\r\n";
      out << "master_last_io_seconds_ago:" << std::time(nullptr) - link_->LastIoSeconds() << "\r\n";
      out << "slave_repl_offset:" << storage_.LatestSequence() << "\r\n";
      out << "slave_priority:" << config_.Get("slave-priority") << "\r\n";
    }
  }
  const uint64_t latest = storage_.LatestSequence();
  std::lock_guard lock(feeders_mutex_);
  out << "connected_slaves:" << feeders_.size() << "\r\n";
  int index = 0;
  for (const Feeder* feeder : feeders_) {
    if (feeder->IsStopped()) continue;
    const Connection& connection = feeder->connection();
    const uint64_t sent = feeder->SentSequence();
    out << "slave" << index++ << ":ip=" << connection.AnnouncedIp()
        << ",port=" << (connection.listening_port != 0 ? connection.listening_port : connection.peer_port)
        << ",offset=" << sent << ",lag=" << latest - sent << "\r\n";
  }
  out << "master_repl_offset:" << latest << "\r\n";
  return out.str();
}

std::string Server::Info(const std::string& section, const std::string& ns) {
  const bool all = section == "all";
  std::vector<std::string> parts;
  const auto add = [&](const char* name, auto make) {
    if (all || section == name) parts.push_back(make());
  };
  const int64_t now_s = std::time(nullptr);
  add("server", [&] {
    std::ostringstream out;
    out << "# Server\r\nversion:unstable\r\nkvrocks_version:unstable\r\nredis_version:4.0.0\r\n"
        << "git_sha1:refnode\r\nkvrocks_git_sha1:refnode\r\nredis_mode:standalone\r\nkvrocks_mode:"
           "standalone\r\n"
        << "os:Linux\r\narch_bits:64\r\nprocess_id:" << ::getpid() << "\r\ntcp_port:" << config_.Port()
        << "\r\nuptime_in_seconds:" << now_s - started_s_
        << "\r\nuptime_in_days:" << (now_s - started_s_) / 86400 << "\r\n";
    return out.str();
  });
  add("clients", [&] {
    std::lock_guard lock(connections_mutex_);
    return "# Clients\r\nmaxclients:" + config_.Get("maxclients") +
           "\r\nconnected_clients:" + std::to_string(connections_.size()) +
           "\r\nmonitor_clients:0\r\nblocked_clients:0\r\n";
  });
  add("memory", [&] { return std::string("# Memory\r\nused_memory_rss:0\r\n"); });
  add("persistence", [&] {
    return "# Persistence\r\nloading:" + std::string(loading_ ? "1" : "0") +
           "\r\nbgsave_in_progress:0\r\nlast_bgsave_time:" + std::to_string(started_s_) +
           "\r\nlast_bgsave_status:ok\r\nlast_bgsave_time_sec:-1\r\n";
  });
  add("stats", [&] {
    std::ostringstream out;
    out << "# Stats\r\ntotal_connections_received:" << stats_.connections
        << "\r\ntotal_commands_processed:" << stats_.commands << "\r\ninstantaneous_ops_per_sec:0"
        << "\r\nsync_full:" << stats_.sync_full << "\r\nsync_partial_ok:" << stats_.sync_partial_ok
        << "\r\nsync_partial_err:" << stats_.sync_partial_err << "\r\n";
    if (config_.GetBool("refnode.offers-padding")) {
      out << "sync_partial_padding:" << stats_.sync_partial_padding << "\r\n";
    }
    return out.str();
  });
  // While a full sync is restored there is no database to ask.
  if (!loading_) add("replication", [&] { return ReplicationInfo(); });
  add("cluster", [&] { return std::string("# Cluster\r\ncluster_enabled:0\r\n"); });
  if (!loading_) {
    add("keyspace", [&] {
      return "# Keyspace\r\ndb0:keys=" + std::to_string(KeyCount(ns)) +
             ",expires=0,avg_ttl=0,expired=0\r\nsequence:" + std::to_string(storage_.LatestSequence()) +
             "\r\nused_db_size:" + std::to_string(storage_.TotalSstBytes()) +
             "\r\nmax_db_size:0\r\nused_percent: 0%\r\n";
    });
    add("rocksdb", [&] { return std::string("# RocksDB\r\nnum_background_errors:0\r\n"); });
  }
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : "\r\n") + part;
  return text;
}

std::string Server::Role() {
  const std::string sequence = std::to_string(loading_ ? 0 : storage_.LatestSequence());
  {
    std::lock_guard lock(link_mutex_);
    if (link_) {
      std::string state = "connecting";
      if (link_->State() == LinkState::kConnected) state = "connected";
      if (link_->State() == LinkState::kFetchingMeta || link_->State() == LinkState::kFetchingFiles)
        state = "sync";
      return resp::BulkArray({"slave", upstream_host_, std::to_string(upstream_port_), state, sequence});
    }
  }
  std::vector<std::string> replicas;
  std::lock_guard lock(feeders_mutex_);
  for (const Feeder* feeder : feeders_) {
    if (feeder->IsStopped()) continue;
    const Connection& connection = feeder->connection();
    replicas.push_back(resp::BulkArray({connection.AnnouncedIp(), std::to_string(connection.listening_port),
                                        std::to_string(feeder->SentSequence())}));
  }
  std::string reply =
      resp::ArrayHeader(replicas.empty() ? 2 : 3) + resp::Bulk("master") + resp::Bulk(sequence);
  if (!replicas.empty()) {
    reply += resp::ArrayHeader(replicas.size());
    for (const std::string& replica : replicas) reply += replica;
  }
  return reply;
}

std::string Server::ClientList() {
  std::string text;
  std::lock_guard lock(connections_mutex_);
  for (const Served& served : connections_) {
    const Connection& connection = *served.connection;
    text += "id=" + std::to_string(connection.id) + " addr=" + connection.peer_ip + ":" +
            std::to_string(connection.peer_port) + " flags=" + (connection.is_replica ? "S" : "N") + "\n";
  }
  return text;
}

}  // namespace walstitch::refnode
