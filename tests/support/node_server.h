// A node under test: refnode, or the real Kvrocks that $KVROCKS_BIN names.
//
// Each has a directory and a port of its own, kept over restarts. Nothing here
// depends on which of the two it is, except where a comment says so. Not
// thread-safe; see Process for which thread should start it.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/environment.h"
#include "tests/support/process.h"
#include "tests/support/redis_client.h"

namespace walstitch::test {

// Keys and values as in kvrocks.conf.
using NodeConfig = std::map<std::string, std::string>;

class NodeServer {
 public:
  // `slaveof` is passed on the command line, as the product does.
  explicit NodeServer(NodeConfig config = {});
  ~NodeServer() = default;
  NodeServer(NodeServer&&) noexcept = default;
  NodeServer& operator=(NodeServer&&) noexcept = default;

  // True if tests run against a real Kvrocks; it has no fault switches.
  static bool IsRealKvrocks();

  // Starts and waits until it answers. The text of the error, if any, with the
  // end of what it printed.
  std::optional<std::string> Start();
  // SIGTERM, and waits.
  void Stop() { process_.Terminate(); }
  // kill -9, and waits: what the WAL has is what is left.
  void Kill() { process_.Kill(); }
  std::optional<std::string> Restart();
  // SIGSTOP and SIGCONT.
  void Pause();
  void Resume();

  // For the next Start(); an empty value takes the key out.
  void SetConfig(const std::string& key, const std::string& value);
  // `--slaveof "127.0.0.1 PORT"` for the next Start(); 0 for none.
  void SetUpstream(uint16_t port);

  // Connected and, with requirepass, authenticated as administrator.
  RedisClient Client() const;

  uint16_t port() const { return port_; }
  std::string directory() const { return directory_->path() + "/data"; }
  std::string db_directory() const { return directory() + "/db"; }
  std::string output_file() const { return directory_->path() + "/output"; }
  // What Start() runs, for a shell.
  std::string CommandLine() const;
  Process& process() { return process_; }
  const NodeConfig& config() const { return config_; }

  // The last sequence, from INFO; 0 if it does not answer.
  uint64_t LastSequence() const;
  // A field of an INFO section; empty if absent.
  std::string Info(const std::string& section, const std::string& field) const;
  uint64_t InfoNumber(const std::string& section, const std::string& field) const;
  bool IsFollowing() const { return Info("replication", "master_link_status") == "up"; }
  // Waits until this node follows and has `leader`'s last sequence.
  bool WaitInSync(const NodeServer& leader,
                  std::chrono::milliseconds timeout = std::chrono::seconds(20)) const;

  // COMPACT, and waits until these column families have been compacted, which must not be empty. The text of
  // the error, if any.
  std::optional<std::string> Compact(const std::vector<std::string>& families = {"default", "metadata"});

  // Flushes and removes every WAL file but the live, empty one, so that nothing
  // before now can be resumed. The text of the error, if any.
  std::optional<std::string> PurgeWal();

 private:
  std::optional<std::string> WriteConfigFile() const;
  std::vector<std::string> Arguments() const;

  std::unique_ptr<TempDirectory> directory_;
  uint16_t port_;
  NodeConfig config_;
  std::string upstream_;
  Process process_;
};

// A field of an INFO section; empty if absent.
std::string InfoField(RedisClient& client, const std::string& section, const std::string& field);

}  // namespace walstitch::test
