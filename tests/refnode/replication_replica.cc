#include "replication_replica.h"

#include <rocksdb/write_batch.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <future>

#include "resp.h"
#include "server.h"

namespace walstitch::refnode {
namespace {

namespace fs = std::filesystem;

constexpr auto kTimer = std::chrono::milliseconds(100);
constexpr int kConnectTimeoutMs = 3100;
constexpr size_t kFilesPerOneConnection = 20;
constexpr std::string_view kRestoring = "-LOADING kvrocks is restoring the db from backup";
constexpr std::string_view kOldPsyncOnly = "-ERR wrong number of arguments";
constexpr std::string_view kUnknownOption = "-ERR unknown option";

// Looks at a batch the way Kvrocks does after it has applied it: unknown
// records are an error, and the last Put decides what happens besides.
class AppliedBatch : public rocksdb::WriteBatch::Handler {
 public:
  rocksdb::Status PutCF(uint32_t family, const rocksdb::Slice& key, const rocksdb::Slice&) override {
    changes_namespaces_ =
        family == static_cast<uint32_t>(ColumnFamily::kPropagate) && key.ToStringView() == kNamespacesKey;
    return rocksdb::Status::OK();
  }
  rocksdb::Status DeleteCF(uint32_t, const rocksdb::Slice&) override { return rocksdb::Status::OK(); }
  rocksdb::Status DeleteRangeCF(uint32_t, const rocksdb::Slice&, const rocksdb::Slice&) override {
    return rocksdb::Status::OK();
  }
  void LogData(const rocksdb::Slice&) override {}
  bool changes_namespaces() const { return changes_namespaces_; }

 private:
  bool changes_namespaces_ = false;
};

// A connection to fetch files over: blocking, looks every 100 ms whether to stop.
class Fetcher {
 public:
  Fetcher(const std::atomic<bool>& stop, Socket socket) : stop_(stop), socket_(std::move(socket)) {}

  bool Send(const std::vector<std::string>& command) { return socket_.SendAll(resp::BulkArray(command)); }

  bool ReadLine(std::string* line) {
    size_t end = 0;
    while ((end = buffer_.find("\r\n")) == std::string::npos) {
      if (!More()) return false;
    }
    *line = buffer_.substr(0, end);
    buffer_.erase(0, end + 2);
    return true;
  }

  bool ReadFile(uint64_t size, std::ofstream& file) {
    while (size > 0) {
      if (buffer_.empty() && !More()) return false;
      const size_t take = static_cast<size_t>(std::min<uint64_t>(size, buffer_.size()));
      file.write(buffer_.data(), static_cast<std::streamsize>(take));
      buffer_.erase(0, take);
      size -= take;
    }
    return file.good();
  }

 private:
  bool More() {
    while (socket_.WaitReadable(100) == 0) {
      if (stop_) return false;
    }
    char chunk[64 * 1024];
    const ssize_t got = socket_.Receive(chunk, sizeof chunk);
    if (got <= 0) return false;
    buffer_.append(chunk, static_cast<size_t>(got));
    return true;
  }

  const std::atomic<bool>& stop_;
  Socket socket_;
  std::string buffer_;
};

}  // namespace

ReplicaLink::ReplicaLink(Server& server, std::string host, uint16_t port)
    : server_(server), host_(std::move(host)), port_(port) {}

void ReplicaLink::Start() {
  // A new upstream: what was fetched from the old one is of no use.
  std::error_code ignored;
  fs::remove_all(server_.config().SyncCheckpointDirectory(), ignored);
  fs::remove_all(server_.config().Directory() + "/backup", ignored);
  thread_ = std::thread([this] { Run(); });
}

void ReplicaLink::Stop() {
  stop_ = true;
  if (thread_.joinable()) thread_.join();
}

void ReplicaLink::Drop() { socket_.ShutDown(); }

void ReplicaLink::Run() {
  next_tick_ = std::chrono::steady_clock::now() + kTimer;
  bool in_full_sync = false;
  while (!stop_) {
    const Outcome outcome = in_full_sync ? FullSync() : Psync();
    socket_.Close();
    if (outcome == Outcome::kStop) return;
    if (outcome == Outcome::kFullSync || outcome == Outcome::kDone) {
      state_ = LinkState::kError;
      in_full_sync = outcome == Outcome::kFullSync;
      continue;
    }
    if (SleepAfter(outcome) == Outcome::kStop) return;
  }
}

ReplicaLink::Outcome ReplicaLink::SleepAfter(Outcome outcome) {
  state_ = LinkState::kConnecting;
  const char* key = outcome == Outcome::kClosed ? "refnode.reconnect-sleep-ms" : "refnode.restart-sleep-ms";
  const auto until =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(server_.config().GetInt(key));
  // Whoever stops the link waits for this; only the end of the process does not.
  while (std::chrono::steady_clock::now() < until && !server_.IsStopping()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return stop_ ? Outcome::kStop : Outcome::kContinue;
}

bool ReplicaLink::Connect() {
  auto last_attempt = std::chrono::steady_clock::time_point::min();
  while (!stop_) {
    const auto now = std::chrono::steady_clock::now();
    if (last_attempt != std::chrono::steady_clock::time_point::min() &&
        now - last_attempt < std::chrono::seconds(1)) {
      SleepAfter(Outcome::kClosed);
    }
    last_attempt = std::chrono::steady_clock::now();
    std::string error;
    socket_ = ConnectTcp(host_, port_, kConnectTimeoutMs, &error);
    if (socket_.IsOpen()) {
      input_.clear();
      return true;
    }
    server_.Log("connecting to " + host_ + ":" + std::to_string(port_) + ": " + error);
  }
  return false;
}

bool ReplicaLink::Send(const std::vector<std::string>& command) {
  last_io_s_ = std::time(nullptr);
  return socket_.SendAll(resp::BulkArray(command));
}

ReplicaLink::Outcome ReplicaLink::ReceiveMore() {
  while (true) {
    const auto now = std::chrono::steady_clock::now();
    if (now >= next_tick_) {
      next_tick_ = now + kTimer;
      if (stop_) return Outcome::kStop;
    }
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(next_tick_ - now).count();
    if (server_.faults().stop_applying) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      continue;
    }
    const int ready = socket_.WaitReadable(static_cast<int>(std::max<int64_t>(left, 1)));
    if (ready < 0) return Outcome::kClosed;
    if (ready == 0 || server_.faults().stop_applying) continue;
    char chunk[16 * 1024];
    const ssize_t got = socket_.Receive(chunk, sizeof chunk);
    if (got <= 0) return Outcome::kClosed;
    input_.append(chunk, static_cast<size_t>(got));
    return Outcome::kContinue;
  }
}

ReplicaLink::Outcome ReplicaLink::ReadLine(std::string* line) {
  size_t end = 0;
  while ((end = input_.find("\r\n")) == std::string::npos) {
    if (const Outcome outcome = ReceiveMore(); outcome != Outcome::kContinue) return outcome;
  }
  *line = input_.substr(0, end);
  input_.erase(0, end + 2);
  last_io_s_ = std::time(nullptr);
  return Outcome::kContinue;
}

ReplicaLink::Outcome ReplicaLink::Authenticate(int times) {
  const std::string password = server_.config().Get("masterauth");
  for (int i = 0; i < times; ++i) {
    std::string line;
    if (!Send({"AUTH", password})) return Outcome::kClosed;
    if (const Outcome outcome = ReadLine(&line); outcome != Outcome::kContinue) return outcome;
    if (line != "+OK") {
      server_.Log("auth failed: " + line);
      return Outcome::kRestart;
    }
  }
  return Outcome::kContinue;
}

ReplicaLink::Outcome ReplicaLink::Handshake() {
  std::string line;
  if (!Send({"_db_name"})) return Outcome::kClosed;
  if (const Outcome outcome = ReadLine(&line); outcome != Outcome::kContinue) return outcome;
  if (line != server_.config().Get("db-name")) {
    server_.Log("the upstream's db-name is not ours: " + line);
    return Outcome::kRestart;
  }

  while (true) {
    const std::string announced = server_.config().Get("replica-announce-ip");
    const int64_t announced_port = server_.config().GetInt("replica-announce-port");
    std::vector<std::string> command = {
        "replconf", "listening-port",
        std::to_string(announced_port > 0 ? announced_port : server_.config().GetInt("port"))};
    if (!announced.empty() && !skip_announced_ip_) command.insert(command.end(), {"ip-address", announced});
    if (!Send(command)) return Outcome::kClosed;
    if (const Outcome outcome = ReadLine(&line); outcome != Outcome::kContinue) return outcome;
    if (line == kRestoring) return Outcome::kRestart;
    if (line != kUnknownOption || skip_announced_ip_) break;
    skip_announced_ip_ = true;
  }

  bool old_form = false;
  while (true) {
    Storage& storage = server_.storage();
    const uint64_t latest = storage.LatestSequence();
    std::string id = storage.ReplicationIdAt(latest);
    if (id.empty()) id = storage.ReplicationIdInDb();
    const std::string next = std::to_string(latest + 1);
    const bool with_id =
        server_.config().GetBool("use-rsid-psync") && !old_form && id.size() == kReplicationIdLength;
    if (!Send(with_id ? std::vector<std::string>{"PSYNC", id, next}
                      : std::vector<std::string>{"PSYNC", next})) {
      return Outcome::kClosed;
    }
    if (const Outcome outcome = ReadLine(&line); outcome != Outcome::kContinue) return outcome;
    if (line == kRestoring) return Outcome::kRestart;
    if (line == "+OK") return Outcome::kContinue;
    if (line != kOldPsyncOnly || old_form) break;
    old_form = true;
  }
  server_.Log("no partial sync: " + line);
  return Outcome::kFullSync;
}

ReplicaLink::Outcome ReplicaLink::Psync() {
  // The repeated AUTH: the list of steps gets one pair longer with each start.
  if (!server_.config().Get("masterauth").empty()) ++psync_auths_;
  if (!Connect()) return Outcome::kStop;
  state_ = LinkState::kHandshake;
  if (const Outcome outcome = Authenticate(psync_auths_); outcome != Outcome::kContinue) return outcome;
  if (const Outcome outcome = Handshake(); outcome != Outcome::kContinue) return outcome;
  state_ = LinkState::kConnected;
  return Follow();
}

ReplicaLink::Outcome ReplicaLink::Follow() {
  while (true) {
    // Take whatever is complete; a heartbeat ends the round, so that what lies
    // behind it waits until more is received.
    while (true) {
      const size_t end = input_.find("\r\n");
      if (end == std::string::npos) break;
      const uint64_t length = end > 0 ? std::strtoull(input_.c_str() + 1, nullptr, 10) : 0;
      if (length == 0) {
        server_.Log("a frame without a length");
        return Outcome::kRestart;
      }
      if (input_.size() - (end + 2) < length + 2) break;
      std::string frame = input_.substr(end + 2, length);
      input_.erase(0, end + 2 + length + 2);
      last_io_s_ = std::time(nullptr);
      if (frame == "ping") break;
      if (!ApplyFrame(std::move(frame))) return Outcome::kRestart;
    }
    if (const Outcome outcome = ReceiveMore(); outcome != Outcome::kContinue) return outcome;
  }
}

bool ReplicaLink::ApplyFrame(std::string frame) {
  const rocksdb::Status applied = server_.storage().ApplyRaw(frame);
  if (!applied.ok()) {
    server_.Log("can't apply a batch: " + applied.ToString());
    return false;
  }
  AppliedBatch handler;
  const rocksdb::WriteBatch batch(std::move(frame));
  if (const rocksdb::Status parsed = batch.Iterate(&handler); !parsed.ok()) {
    server_.Log("can't read an applied batch: " + parsed.ToString());
    return false;
  }
  if (handler.changes_namespaces()) {
    if (const auto error = server_.LoadNamespaces()) {
      server_.Log("failed to load namespaces: " + *error);
      return false;
    }
  }
  return true;
}

ReplicaLink::Outcome ReplicaLink::FullSync() {
  if (!server_.config().Get("masterauth").empty()) ++full_sync_auths_;
  if (!Connect()) return Outcome::kStop;
  if (const Outcome outcome = Authenticate(full_sync_auths_); outcome != Outcome::kContinue) return outcome;
  state_ = LinkState::kFetchingMeta;
  std::string line;
  if (!Send({"_fetch_meta"})) return Outcome::kClosed;
  if (const Outcome outcome = ReadLine(&line); outcome != Outcome::kContinue) return outcome;
  if (line.empty() || line[0] == '-') {
    server_.Log("failed to fetch meta info: " + line);
    return Outcome::kRestart;
  }
  std::vector<std::string> files;
  for (size_t begin = 0; begin <= line.size();) {
    const size_t end = std::min(line.find(',', begin), line.size());
    if (end > begin) files.push_back(line.substr(begin, end - begin));
    begin = end + 1;
  }

  // Files of an earlier attempt are kept if the upstream still names them.
  // CURRENT has no number, so an old one cannot be told from the new one.
  const std::string directory = server_.config().SyncCheckpointDirectory();
  std::error_code error;
  fs::create_directories(directory, error);
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    const std::string name = entry.path().filename().string();
    const bool is_named = std::find(files.begin(), files.end(), name) != files.end();
    if (is_named && name != "CURRENT") continue;
    std::error_code ignored;
    fs::remove(entry.path(), ignored);
  }

  state_ = LinkState::kFetchingFiles;
  if (const Outcome outcome = FetchFiles(files); outcome != Outcome::kContinue) return outcome;
  if (!server_.PrepareRestore(*this)) return Outcome::kRestart;
  const rocksdb::Status restored = server_.storage().RestoreFromSyncCheckpoint();
  server_.FinishRestore();
  if (!restored.ok()) {
    server_.Log("failed to restore: " + restored.ToString());
    return Outcome::kRestart;
  }
  if (const auto problem = server_.LoadNamespaces()) server_.Log("failed to load namespaces: " + *problem);
  return Outcome::kDone;
}

ReplicaLink::Outcome ReplicaLink::FetchFiles(const std::vector<std::string>& files) {
  const size_t connections = files.size() > kFilesPerOneConnection ? 4 : 1;
  std::vector<std::future<std::optional<std::string>>> shares;
  for (size_t i = 0; i < connections; ++i) {
    std::vector<std::string> share;
    for (size_t j = i; j < files.size(); j += connections) share.push_back(files[j]);
    shares.push_back(
        std::async(std::launch::async, [this, share = std::move(share)] { return FetchShare(share); }));
  }
  Outcome outcome = Outcome::kContinue;
  for (auto& share : shares) {
    if (const auto error = share.get()) {
      server_.Log("failed to fetch files: " + *error);
      outcome = Outcome::kRestart;
    }
  }
  return stop_ ? Outcome::kStop : outcome;
}

std::optional<std::string> ReplicaLink::FetchShare(const std::vector<std::string>& files) {
  std::string error;
  Socket socket = ConnectTcp(host_, port_, kConnectTimeoutMs, &error);
  if (!socket.IsOpen()) return error;
  Fetcher fetcher(stop_, std::move(socket));
  std::string line;
  const std::string password = server_.config().Get("masterauth");
  if (!password.empty() && (!fetcher.Send({"AUTH", password}) || !fetcher.ReadLine(&line) || line != "+OK")) {
    return "auth got invalid response";
  }
  const std::string directory = server_.config().SyncCheckpointDirectory();
  std::string names;
  std::vector<std::string> missing;
  for (const std::string& file : files) {
    // An upstream is not trusted with paths.
    if (file.find('/') != std::string::npos || file == "..") return "bad file name: " + file;
    if (fs::exists(directory + "/" + file)) continue;
    names += (names.empty() ? "" : ",") + file;
    missing.push_back(file);
  }
  if (missing.empty()) return std::nullopt;
  if (!fetcher.Send({"_fetch_file", names})) return "can't send";
  for (const std::string& name : missing) {
    if (!fetcher.ReadLine(&line)) return "read size of " + name;
    if (line.empty() || line[0] == '-') return line;
    const std::string path = directory + "/" + name;
    std::ofstream file(path + ".tmp", std::ios::binary | std::ios::trunc);
    if (!fetcher.ReadFile(std::strtoull(line.c_str(), nullptr, 10), file)) return "read " + name;
    file.close();
    std::error_code failed;
    fs::rename(path + ".tmp", path, failed);
    if (failed) return name + ": " + failed.message();
    if (const int64_t delay_s = server_.config().GetInt("fullsync-recv-file-delay"); delay_s > 0) {
      std::this_thread::sleep_for(std::chrono::seconds(delay_s));
    }
  }
  return std::nullopt;
}

}  // namespace walstitch::refnode
