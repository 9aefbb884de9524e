// What all scenes play on: three nodes, their agents, a controller, and what scenes do with them.
//
// Everything that is told of a rejoin is looked up twice, in the decision record and at the nodes
// themselves: their keyspaces, key by key, and their own counters. Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "policies/model/decision.h"
#include "tests/demo/checker.h"
#include "tests/demo/narrator.h"
#include "tests/support/cluster.h"

namespace walstitch::demo {

// The demo cannot go on: something did not start, or never came. One sentence.
class Trouble : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Throws Trouble with what a harness call answered, if it answered an error.
void Must(const std::optional<std::string>& error);

// Every key of a node, as DumpKeyspace gives it: by `namespace:key`.
using Keyspace = std::map<std::string, std::string>;
using Keys = std::set<std::string>;

// What a scene says that its rejoin will come to.
struct Expected {
  Verdict verdict = Verdict::kAligned;
  std::vector<std::string_view> reasons;  // codes, each of which the record must name
  std::uint64_t pad = 0;
  std::uint64_t full_syncs = 0;  // that the survivor's counter grows by
};

// What a rejoin came to.
struct Rejoined {
  std::string scene;
  DecisionRecord record;
  std::size_t differing_keys = 0;  // afterwards
  SyncCounters before;             // the survivor's own, read from the server
  SyncCounters after;
};

class Stage {
 public:
  Stage(Narrator& narrator, Checker& checker);

  // Starts everything, with some data.
  void Open();

  Narrator& narrator() { return narrator_; }
  Checker& checker() { return checker_; }
  test::Cluster& cluster() { return cluster_; }

  // The master dies in a quiet moment; `heir` is promoted. Nothing is lost.
  void FailOver(const std::string& heir);

  // The master is cut off from its replicas, writes `tail`, and dies; `heir` is promoted, and writes
  // `missed`. The keyspace of the old master as it died is kept.
  using Writer = std::function<void(test::RedisClient&)>;
  void Split(const std::string& heir, const Writer& tail, const Writer& missed);
  [[nodiscard]] const Keyspace& AsItDied() const { return as_it_died_; }

  // Starts the old master again, waits until it is back in service, tells and checks what came of it.
  Rejoined Rejoin(const std::string& node, const Expected& expected);

  // The keys on which two keyspaces differ, told as a table of their values.
  Keys TellDifference(const std::string& left_name, const Keyspace& left, const std::string& right_name,
                      const Keyspace& right);
  // The keys that the record says may differ.
  static Keys KeysOf(const DecisionRecord& record);
  // Checks that they are the same keys, and says so.
  void CompareKeys(const Keys& differing, const DecisionRecord& record);
  // Checks that no node differs from another in anything.
  void ExpectEqualNodes();

  // One command that must succeed.
  static void Run(test::RedisClient& client, const std::vector<std::string>& command);
  static SyncCounters CountersOf(const test::NodeServer& server);
  // Calls it with short patience until it is true or 20 s are over; Ctrl-C is noticed in between.
  static bool Await(const std::function<bool(std::chrono::milliseconds)>& wait);
  bool WaitSettled();
  // A table of two counters before and after.
  void TellCounters(const std::string& whose, const SyncCounters& before, const SyncCounters& after);

  static constexpr const char* kGroup = "shop";
  // A few megabytes, so that a copy costs something.
  static constexpr std::size_t kDataKeys = 256;
  static constexpr std::size_t kDataValueBytes = 64 << 10;
  static constexpr const char* kPolicy = R"(apiVersion: walstitch/v1
kind: TolerancePolicy
metadata: {name: demo}
spec:
  keyspaces:
    - name: page-cache
      match: {keys: ["page:*"]}
      onDivergence: ignore
    - name: orders
      match: {keys: ["order:*"]}
      onDivergence: fullsync
  default: fullsync
  prefer: [aligned, padded, full]
)";

 private:
  bool WaitCondition(const std::string& node, const std::string& condition);
  bool WaitInService(const std::string& node);
  std::string Promote(const std::string& old_master, const std::string& heir);
  void TellVerdict(const DecisionRecord& record);
  void Check(const Rejoined& rejoined, const Expected& expected);

  Narrator& narrator_;
  Checker& checker_;
  test::Cluster cluster_;
  Keyspace as_it_died_;
};

}  // namespace walstitch::demo
