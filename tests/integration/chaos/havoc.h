// Chaos over one group: a writer on each node that never stops trying, and what is done to the group
// meanwhile.
//
//   Havoc havoc(ChaosOptions(std::chrono::seconds(2)));
//   if (auto error = havoc.Start()) ...
//   const int64_t since = AckLog::NowMicros();
//   havoc.KillServer(master);
//   const auto takeover = havoc.WaitTakeover(master, since);
//   havoc.StartServer(master);
//   AckFindings findings = havoc.CheckNow();
//
// What is told of a takeover is what a writer was told, and nobody else: the controller may be gone. Not
// thread-safe; see Process for which thread should use it.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/support/ack_check.h"
#include "tests/support/ack_log.h"
#include "tests/support/ack_writer.h"
#include "tests/support/cluster.h"

namespace walstitch::test {

// Three nodes whose links can be cut, and a controller that waits for a lease, and hardly longer for anything
// else.
ClusterOptions ChaosOptions(std::chrono::milliseconds lease);

struct Takeover {
  std::string node;
  int64_t took_us = 0;  // until a write that was sent after the beginning was acknowledged
};

class Havoc {
 public:
  explicit Havoc(ClusterOptions options);
  ~Havoc();
  Havoc(const Havoc&) = delete;
  Havoc& operator=(const Havoc&) = delete;

  // The group in service, and writes acknowledged.
  std::optional<std::string> Start();

  Cluster& cluster() { return cluster_; }
  AckLog& log() { return log_; }
  // The master that the controller knows, as soon as it knows one.
  std::string Master();

  // What the server counted is noted before it is gone.
  void KillServer(const std::string& node);
  std::optional<std::string> StartServer(const std::string& node);
  // SIGSTOP and SIGCONT of a server, and of its agent with it. What a replaced master acknowledges after
  // SIGCONT and before it is a replica is excused, and measured; false if it does not become one.
  void Stop(const std::string& node, bool with_agent);
  bool Continue(const std::string& node, bool with_agent, bool is_replaced);

  // False when the time is over.
  bool WaitForWrites(const std::string& node, uint64_t count = 20);
  std::optional<Takeover> WaitTakeover(const std::string& from, int64_t since_us,
                                       std::chrono::milliseconds timeout = std::chrono::seconds(30));
  // Time that must pass for something not to happen. False if the node was without an acknowledged write for
  // longer than the writer's patience with one answer, or refused one.
  bool WritesGoOn(const std::string& node, std::chrono::milliseconds time);
  // Everybody is back in service; the writers go on.
  bool WaitSettled(std::chrono::milliseconds timeout = std::chrono::seconds(60));

  // Holds the writers, waits until everything is quiet, and checks all that was ever acknowledged. Whoever
  // calls it has healed, started and continued everything. Writers go on afterwards.
  AckFindings CheckNow();
  // Failovers on record that were carried out.
  uint64_t Failovers();
  const std::vector<Excuse>& excuses() const { return excuses_; }
  // All of them, also when there are more than the controller tells at once; as of the last time it was
  // asked.
  const std::map<std::string, DecisionRecord>& CollectDecisions();

 private:
  void NoteFullSyncs(const std::string& node);

  Cluster cluster_;
  AckLog log_;
  std::map<std::string, std::unique_ptr<AckWriter>> writers_;
  std::vector<Excuse> excuses_;
  std::map<std::string, DecisionRecord> decisions_;
  uint64_t full_syncs_before_ = 0;  // of servers that are gone
};

}  // namespace walstitch::test
