#include "tests/support/node_server.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace walstitch::test {
namespace {

namespace fs = std::filesystem;

constexpr auto kStartTimeout = std::chrono::seconds(30);

std::string Tail(const std::string& path) {
  std::ifstream file(path);
  std::stringstream all;
  all << file.rdbuf();
  const std::string text = all.str();
  return text.size() > 2000 ? text.substr(text.size() - 2000) : text;
}

}  // namespace

NodeServer::NodeServer(NodeConfig config)
    : directory_(std::make_unique<TempDirectory>()), port_(PickFreePort()), config_(std::move(config)) {
  const auto by_default = [&](const char* key, const char* value) { config_.emplace(key, value); };
  by_default("bind", "127.0.0.1");
  by_default("db-name", "walstitch.test");
  by_default("workers", "4");
  by_default("daemonize", "no");
  by_default("rocksdb.write_buffer_size", "4");
  by_default("rocksdb.block_cache_size", "16");
  by_default("rocksdb.max_background_jobs", "2");
  if (const auto it = config_.find("slaveof"); it != config_.end()) {
    upstream_ = it->second;
    config_.erase(it);
  }
}

bool NodeServer::IsRealKvrocks() {
  const char* path = std::getenv("KVROCKS_BIN");
  return path != nullptr && *path != '\0';
}

std::optional<std::string> NodeServer::WriteConfigFile() const {
  std::error_code error;
  fs::create_directories(directory(), error);
  std::ofstream file(directory_->path() + "/node.conf");
  file << "port " << port_ << "\ndir " << directory() << "\nlog-dir " << directory() << "\n";
  for (const auto& [key, value] : config_) file << key << " " << value << "\n";
  file.close();
  if (!file) return "can't write " + directory_->path() + "/node.conf";
  return std::nullopt;
}

std::vector<std::string> NodeServer::Arguments() const {
  const std::string binary = IsRealKvrocks() ? std::getenv("KVROCKS_BIN") : BinaryPath("refnode");
  std::vector<std::string> arguments = {binary, "-c", directory_->path() + "/node.conf"};
  if (!upstream_.empty()) {
    arguments.emplace_back("--slaveof");
    arguments.push_back(upstream_);
  }
  return arguments;
}

std::string NodeServer::CommandLine() const {
  std::string line;
  for (const std::string& argument : Arguments()) {
    const bool quoted = argument.find(' ') != std::string::npos;
    line += (line.empty() ? "" : " ") + (quoted ? "\"" + argument + "\"" : argument);
  }
  return line;
}

std::optional<std::string> NodeServer::Start() {
  // A later start keeps the file: the server itself may have rewritten it.
  if (!fs::exists(directory_->path() + "/node.conf")) {
    if (auto error = WriteConfigFile()) return error;
  }
  const std::vector<std::string> arguments = Arguments();
  const std::string& binary = arguments.front();
  if (auto error = process_.Start(arguments, output_file())) return error;
  const bool answers = Eventually(kStartTimeout, [&] {
    if (!process_.IsRunning()) return true;
    RedisClient client(port_, "127.0.0.1", std::chrono::seconds(2));
    return client.IsConnected() && !client("PING").IsBroken();
  });
  if (!process_.IsRunning()) {
    return binary + " ended with " + std::to_string(process_.ExitStatus().value_or(0)) + ": " +
           Tail(output_file());
  }
  if (!answers) return binary + " does not answer: " + Tail(output_file());
  return std::nullopt;
}

std::optional<std::string> NodeServer::Restart() {
  Stop();
  return Start();
}

void NodeServer::Pause() { process_.Signal(SIGSTOP); }
void NodeServer::Resume() { process_.Signal(SIGCONT); }

void NodeServer::SetConfig(const std::string& key, const std::string& value) {
  if (value.empty()) {
    config_.erase(key);
  } else {
    config_[key] = value;
  }
  std::error_code ignored;
  fs::remove(directory_->path() + "/node.conf", ignored);
}

void NodeServer::SetUpstream(uint16_t port) {
  upstream_ = port == 0 ? "" : "127.0.0.1 " + std::to_string(port);
}

RedisClient NodeServer::Client() const {
  RedisClient client(port_);
  if (const auto it = config_.find("requirepass"); it != config_.end()) client("AUTH", it->second);
  return client;
}

std::string NodeServer::Info(const std::string& section, const std::string& field) const {
  RedisClient client = Client();
  return InfoField(client, section, field);
}

uint64_t NodeServer::InfoNumber(const std::string& section, const std::string& field) const {
  return std::strtoull(Info(section, field).c_str(), nullptr, 10);
}

uint64_t NodeServer::LastSequence() const { return InfoNumber("keyspace", "sequence"); }

bool NodeServer::WaitInSync(const NodeServer& leader, std::chrono::milliseconds timeout) const {
  return Eventually(timeout, [&] { return IsFollowing() && LastSequence() == leader.LastSequence(); });
}

// Kvrocks compacts in the background, one column family after the other, and no command tells when it is
// done. RocksDB's own log does.
std::optional<std::string> NodeServer::Compact(const std::vector<std::string>& families) {
  const std::string path = db_directory() + "/LOG";
  std::error_code error;
  const auto before = fs::file_size(path, error);
  if (error) return path + ": " + error.message();
  RedisClient client = Client();
  if (const Reply reply = client("COMPACT"); !reply.IsOk()) return "COMPACT: " + ToString(reply);
  // "[default] [JOB 4] Compacted 1@0 files to L1 => ..."; a job has other lines, too.
  const auto is_compacted = [](const std::string& log, const std::string& family) {
    const std::string job = "[" + family + "] [JOB ";
    for (size_t at = log.find(job); at != std::string::npos; at = log.find(job, at + 1)) {
      const std::string line = log.substr(at, log.find('\n', at) - at);
      if (line.find("] Compacted ") != std::string::npos) return true;
    }
    return false;
  };
  const bool is_done = Eventually(std::chrono::seconds(20), [&] {
    std::ifstream file(path);
    file.seekg(static_cast<std::streamoff>(before));
    std::stringstream since;
    since << file.rdbuf();
    const std::string log = since.str();
    return std::all_of(families.begin(), families.end(),
                       [&](const std::string& family) { return is_compacted(log, family); });
  });
  if (!is_done) return path + " does not tell of the compaction";
  return std::nullopt;
}

std::optional<std::string> NodeServer::PurgeWal() {
  RedisClient client = Client();
  const uint64_t last = LastSequence();
  // Compaction flushes, and what is flushed is archived; Kvrocks does it in the
  // background, and a flush of an empty family archives nothing, so repeat.
  const auto is_purged = [&] {
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(db_directory() + "/archive", error)) {
      std::error_code ignored;
      fs::remove(entry.path(), ignored);
    }
    const Reply reply = client("POLLUPDATES", "0", "MAX", "1");
    if (reply.IsError()) return true;
    const auto& updates = reply.Field("updates").items;
    return reply.kind == Reply::Kind::kArray && updates.empty();
  };
  if (last == 0) return std::nullopt;
  client("COMPACT");
  if (!Eventually(std::chrono::seconds(20), is_purged)) return "the WAL still holds old records";
  return std::nullopt;
}

std::string InfoField(RedisClient& client, const std::string& section, const std::string& field) {
  const Reply reply = client("INFO", section);
  const std::string text = "\n" + reply.text;
  const size_t begin = text.find("\n" + field + ":");
  if (begin == std::string::npos) return "";
  const size_t value = begin + field.size() + 2;
  return text.substr(value, text.find_first_of("\r\n", value) - value);
}

}  // namespace walstitch::test
