// Random histories on both sides of a failover, and then: are the nodes equal, key by key over the whole
// keyspace, on everything that the policy did not let differ? One group, whose roles go round: it is stitched
// again and again. On real processes.
//
// A run is its seed: run i draws everything from WALSTITCH_PROPERTY_SEED + i, so that a failure is had again
// by its seed and WALSTITCH_PROPERTY_RUNS=1 (as far as the timing of processes has no part in it). More runs:
// WALSTITCH_PROPERTY_RUNS; longer ones: WALSTITCH_PROPERTY_ROUNDS. A failure tells the commands of its round;
// WALSTITCH_PROPERTY_LOG names a file for those of all rounds.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/integration/cluster_fixture.h"
#include "tests/support/keyspace.h"
#include "tests/support/random_history.h"
#include "tests/unit/wal/property.h"

namespace walstitch::test {
namespace {

using std::chrono::seconds;
using wal::PropertyRuns;
using wal::PropertySeed;
using wal::Random;

constexpr char kPassword[] = "secret";
constexpr char kDefaultNamespace[] = "__namespace";
constexpr char kScripts[] = "internal/propagate:";

std::vector<NamespaceToken> Namespaces() {
  return {{kDefaultNamespace, kPassword}, {"shop", "token-of-shop"}, {"blog", "token-of-blog"}};
}

std::uint64_t PropertyRounds(std::uint64_t without_word) {
  const char* word = std::getenv("WALSTITCH_PROPERTY_ROUNDS");
  return word == nullptr || *word == '\0' ? without_word : std::strtoull(word, nullptr, 10);
}

// A policy, and what it says of a key. What it says is worked out here once more, so that the test does not
// take the product's word for it.
struct Policy {
  struct Rule {
    std::string prefix;                // of user keys
    std::set<std::string> namespaces;  // empty: all
    Tolerance tolerance = Tolerance::kFullSync;
  };
  std::string name;
  std::vector<Rule> rules;
  Tolerance otherwise = Tolerance::kFullSync;
  Tolerance scripts = Tolerance::kFullSync;
  std::string prefer;
  std::string undo_scan;

  // Of a key as DumpKeyspace names it.
  [[nodiscard]] Tolerance Of(const std::string& key) const {
    const std::size_t colon = key.find(':');
    const std::string name_space = key.substr(0, colon);
    const std::string user_key = key.substr(colon + 1);
    for (const Rule& rule : rules) {
      if (user_key.starts_with(rule.prefix) &&
          (rule.namespaces.empty() || rule.namespaces.contains(name_space)))
        return rule.tolerance;
    }
    return otherwise;
  }

  [[nodiscard]] std::string Yaml() const {
    std::string yaml =
        "apiVersion: walstitch/v1\nkind: TolerancePolicy\nmetadata: {name: " + name + "}\nspec:\n";
    if (!rules.empty()) yaml += "  keyspaces:\n";
    for (std::size_t i = 0; i < rules.size(); ++i) {
      yaml +=
          "    - name: rule-" + std::to_string(i) + "\n      match: {keys: [\"" + rules[i].prefix + "*\"]";
      std::string namespaces;
      for (const std::string& name_space : rules[i].namespaces) {
        namespaces += (namespaces.empty() ? "" : ", ") +
                      std::string(name_space == kDefaultNamespace ? "default" : name_space);
      }
      if (!namespaces.empty()) yaml += ", namespaces: [" + namespaces + "]";
      yaml += "}\n      onDivergence: " + std::string(ToString(rules[i].tolerance)) + "\n";
    }
    return yaml + "  default: " + std::string(ToString(otherwise)) +
           "\n  internal: {propagate: " + std::string(ToString(scripts)) +
           ", search: " + std::string(ToString(scripts)) + "}\n  prefer: [" + prefer +
           "]\n  limits: {undoScan: " + undo_scan + "}\n";
  }
};

Policy DrawPolicy(const std::string& name, Random* random) {
  static constexpr Tolerance kMild[] = {Tolerance::kIgnore, Tolerance::kEvict, Tolerance::kRepair};
  const auto mild = [&] { return kMild[random->Below(std::size(kMild))]; };
  Policy policy;
  policy.name = name;
  policy.scripts = Tolerance::kIgnore;
  // Nothing may differ, or one thing is done about everything, or it depends.
  if (const auto mood = random->Below(6); mood == 0) {
    policy.otherwise = policy.scripts = Tolerance::kFullSync;
  } else if (mood <= 3) {
    policy.otherwise = mild();
  } else {
    for (const std::string& prefix : RandomHistory::Prefixes()) {
      Policy::Rule rule{prefix, {}, random->OneIn(8) ? Tolerance::kFullSync : mild()};
      if (random->OneIn(4)) rule.namespaces = {"shop", kDefaultNamespace};
      if (!random->OneIn(5)) policy.rules.push_back(rule);
    }
    policy.otherwise = random->OneIn(4) ? Tolerance::kFullSync : mild();
    if (random->OneIn(2)) policy.scripts = Tolerance::kFullSync;
  }
  static const char* const prefers[] = {"aligned, spliced, full", "aligned, padded, full",
                                        "aligned, padded, spliced, full", "aligned, full"};
  policy.prefer =
      random->OneIn(2) ? "aligned, spliced, padded, full" : prefers[random->Below(std::size(prefers))];
  policy.undo_scan = random->OneIn(4) ? "0" : "1Gi";
  return policy;
}

// What an undo knows how to take back, as long as no key is emptied by it.
constexpr HistoryMix kCanBeUndone = {.other_types = false,
                                     .expiries = false,
                                     .deletes = false,
                                     .renames = false,
                                     .flushes = false,
                                     .scripts = false};

// How rejoins that had a tail ended.
struct Tally {
  std::uint64_t rejoins = 0;  // all, with and without a tail
  std::uint64_t undone = 0;   // equal by splice and undo alone
  std::uint64_t repaired = 0;
  std::uint64_t evicted = 0;
  std::uint64_t full = 0;
  std::uint64_t spliced = 0;  // with keys left that may differ
  std::uint64_t padded = 0;   // with keys that may differ

  void Print() const {
    const std::uint64_t with_tail = undone + repaired + evicted + full + spliced + padded;
    std::cout << "Of " << rejoins << " rejoins, " << with_tail << " with a tail:";
    const auto print = [&](const char* what, std::uint64_t count) {
      std::cout << "\n  " << (with_tail == 0 ? 0 : 100 * count / with_tail) << " % (" << count << ") "
                << what;
    };
    print("equal by splice and undo alone", undone);
    print("equal by repair", repaired);
    print("equal by evict", evicted);
    print("equal by a full sync", full);
    print("spliced, with keys that the policy lets differ", spliced);
    print("padded, with keys that the policy lets differ", padded);
    std::cout << "\n";
  }
};

// What a record of a rejoin names as what may differ.
struct Named {
  std::set<std::string> keys;  // as DumpKeyspace names them
  bool everything = false;     // a range was deleted: the record does not tell of which keys
  bool scripts = false;
};

Named NamesOf(const DecisionRecord& record) {
  Named named;
  const auto add = [&](const Touched& touched) {
    EXPECT_FALSE(touched.truncated);
    if (touched.range_deletes > 0) named.everything = true;
    for (const TouchedKey& key : touched.keys) {
      if (key.internal.empty()) named.keys.insert(key.name_space + ":" + key.key);
      if (key.internal == "propagate") named.scripts = true;
    }
  };
  const auto& evidence = record.decision.evidence;
  if (!evidence) return named;
  const Verdict verdict = record.decision.verdict->verdict;
  if (verdict == Verdict::kSpliced) {
    if (evidence->undo) {
      add(evidence->undo->left);
    } else if (evidence->OwnTail()) {
      add(*evidence->OwnTail());
    }
  } else if (verdict == Verdict::kPadded) {
    if (evidence->tail) add(*evidence->tail);
    if (evidence->missed) add(*evidence->missed);
  }
  return named;
}

class KeyspacePropertyTest : public ClusterTest {
 protected:
  // Use with ASSERT_NO_FATAL_FAILURE.
  void Start(std::uint64_t seed) {
    ClusterOptions options;
    options.password = kPassword;
    for (const NamespaceToken& name_space : Namespaces()) {
      if (name_space.name != kDefaultNamespace)
        options.node_config["namespace." + name_space.name] = name_space.token;
    }
    options.policy = kNothingMayDiffer;
    // No lease ends because a process has to wait for a processor: nobody would be promoted in its place.
    options.controller_config =
        "failover: {automatic: false, unreachableAfter: 4s, hungAfter: 4s, stuckFeedAfter: 8s}\nlease: "
        "{duration: 16s}\n";
    ASSERT_NO_FATAL_FAILURE(StartCluster(options));
    RedisClient client = cluster().Client(cluster().Master());
    history_ = std::make_unique<RandomHistory>(seed, Namespaces(), client);
    // What others write while the node rejoins.
    busy_history_ = std::make_unique<RandomHistory>(~seed, Namespaces(), client);
    may_differ_.clear();
    scripts_may_differ_ = false;
    round_ = 0;
    last_decision_.clear();
  }

  struct Sizes {  // of histories, in commands
    std::uint64_t common = 0;
    std::uint64_t tail = 0;
    std::uint64_t missed = 0;
    std::uint64_t meanwhile = 0;  // while the node rejoins
  };
  struct Mixes {
    HistoryMix common, tail, missed;
  };

  // A failover and a rejoin; everything is checked. Use with ASSERT_NO_FATAL_FAILURE.
  void Round(const Policy& policy, const Sizes& sizes, const Mixes& mixes, bool compact, Tally* tally) {
    const std::string where = "round " + std::to_string(++round_) + ": ";
    ASSERT_NO_FATAL_FAILURE(PutInForce(policy));
    history_->PickHotKeys();
    const std::string master = cluster().Master();
    const std::string heir = master == "n1" ? "n2" : "n1";
    text_ = where + "master " + master + "\n" + policy.Yaml();
    ASSERT_NO_FATAL_FAILURE(Write("common", master, sizes.common, mixes.common));
    ASSERT_TRUE(cluster().WaitSettled()) << where << "replication does not catch up";
    const auto error = cluster().Diverge(
        heir, [&](RedisClient&) { Write("tail", master, sizes.tail, mixes.tail); },
        [&](RedisClient&) { Write("missed", heir, sizes.missed, mixes.missed); });
    ASSERT_FALSE(error) << where << *error << "\n" << text_;
    ASSERT_NO_FATAL_FAILURE(Rejoin(master, heir, sizes.meanwhile, mixes.missed, compact));
    ASSERT_NO_FATAL_FAILURE(Check(policy, master, tally));
    LogRound();
  }

  void TearDown() override {
    if (HasFailure()) LogRound();
    ClusterTest::TearDown();
  }

 private:
  void PutInForce(const Policy& policy) {
    cluster().WritePolicy(policy.Yaml());
    const auto is_in_force = [&] {
      const auto status = cluster().Status();
      return status.is_object() && status.at("policy").at("name").as_string() == policy.name;
    };
    ASSERT_TRUE(cluster().WaitUntil(is_in_force)) << policy.Yaml();
  }

  void Write(const std::string& what, const std::string& node, std::uint64_t commands,
             const HistoryMix& mix) {
    const bool went_well = history_->Write(cluster().Node(node).port(), commands, mix);
    text_ += what + " on " + node + ":\n" + history_->TakeText();
    ASSERT_TRUE(went_well) << node << " went away\n" << text_;
  }

  void Rejoin(const std::string& node, const std::string& survivor, std::uint64_t meanwhile,
              const HistoryMix& mix, bool compact) {
    bool went_well = true;
    const std::uint16_t port = cluster().Node(survivor).port();
    std::thread others([&] {
      for (std::uint64_t i = 0; i < meanwhile && went_well; ++i) {
        went_well = busy_history_->Write(port, 1, mix);
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
    });
    const auto error = cluster().RestartNode(node);
    if (compact) cluster().Client(node)("COMPACT");
    others.join();
    text_ += "meanwhile on " + survivor + ":\n" + busy_history_->TakeText();
    ASSERT_FALSE(error) << *error;
    ASSERT_TRUE(went_well) << survivor << " went away\n" << text_;
    ASSERT_TRUE(cluster().WaitSettled(seconds(60)))
        << node << " is not back: " << cluster().Condition(node) << "\n"
        << text_ << Decided(node);
  }

  std::string Decided(const std::string& node) {
    const auto record = cluster().LastDecision(node);
    return record ? Dump(ToJson(*record)) + "\n" : "nothing was decided\n";
  }

  void LogRound() const {
    const char* path = std::getenv("WALSTITCH_PROPERTY_LOG");
    if (path != nullptr && *path != '\0') std::ofstream(path, std::ios::app) << text_;
  }

  // Keys that expire soon have expired: then nothing changes any more.
  void WaitForExpiries() {
    const auto last = std::max(history_->last_expiry_ms(), busy_history_->last_expiry_ms());
    const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(
        std::chrono::system_clock::now().time_since_epoch());
    if (last >= now.count()) std::this_thread::sleep_for(std::chrono::milliseconds(last - now.count() + 2));
  }

  // Everything, with the scripts.
  Keyspace Everything(const std::string& node) {
    Keyspace keyspace = cluster().Keyspace(node);
    std::set<std::string> scripts = history_->scripts();
    scripts.insert(busy_history_->scripts().begin(), busy_history_->scripts().end());
    RedisClient client = cluster().Client(node);
    for (const std::string& script : scripts) {
      keyspace[kScripts + script] = ToString(client("SCRIPT", "EXISTS", script));
    }
    return keyspace;
  }

  void Check(const Policy& policy, const std::string& rejoiner, Tally* tally) {
    const auto record = cluster().LastRejoin(rejoiner);
    ASSERT_TRUE(record && record->decision.id != last_decision_) << "nothing was decided\n" << text_;
    last_decision_ = record->decision.id;
    text_ += Decided(rejoiner);
    ASSERT_EQ(policy.name, record->decision.policy_name) << text_;
    ASSERT_EQ(Outcome::kDone, record->outcome->outcome) << text_;
    WaitForExpiries();
    const Keyspace left = Everything("n1");
    const Keyspace right = Everything("n2");
    const std::set<std::string> differing = KeysThatDiffer(left, right);

    const Verdict verdict = VerdictOf(*record);
    if (verdict == Verdict::kFull) {
      may_differ_.clear();
      scripts_may_differ_ = false;
    }
    const Named named = NamesOf(*record);
    if (named.everything) {
      for (const Keyspace* keyspace : {&left, &right}) {
        for (const auto& [key, value] : *keyspace) LetDiffer(policy, key);
      }
      for (const RandomHistory* history : {history_.get(), busy_history_.get()}) {
        for (const std::string& key : history->versions_kept()) LetDiffer(policy, key);
      }
    }
    for (const std::string& key : named.keys) LetDiffer(policy, key);
    if ((named.scripts || named.everything) && policy.scripts == Tolerance::kIgnore)
      scripts_may_differ_ = true;

    std::string wrong;
    for (const std::string& key : differing) {
      const bool allowed = key.starts_with(kScripts) ? scripts_may_differ_ : may_differ_.contains(key);
      if (!allowed) wrong += DiffKeyspaces(Only(left, key), Only(right, key));
    }
    ASSERT_EQ("", wrong) << "differ after a rejoin that ended " << ToString(verdict)
                         << ", and neither the record nor the policy lets them\n"
                         << text_;
    Forget(left, differing);
    Count(*record, named, tally);
  }

  static Keyspace Only(const Keyspace& keyspace, const std::string& key) {
    const auto found = keyspace.find(key);
    return found == keyspace.end() ? Keyspace() : Keyspace{*found};
  }

  void LetDiffer(const Policy& policy, const std::string& key) {
    if (!key.starts_with(kScripts) && policy.Of(key) == Tolerance::kIgnore) may_differ_.insert(key);
  }

  // What is no more to be let differ: what is the same on both, and what lies hidden below it, too. A key
  // with elements may look the same and be of another version, or have its elements under other numbers; then
  // the next record about it does not do the same on both. One that is absent on both is made anew, unless a
  // RENAME brings back a version.
  void Forget(const Keyspace& keyspace, const std::set<std::string>& differing) {
    std::erase_if(may_differ_, [&](const std::string& key) {
      if (differing.contains(key)) return false;
      const auto found = keyspace.find(key);
      if (found != keyspace.end())
        return found->second.starts_with("string") || found->second.starts_with("ReJSON-RL");
      return !history_->versions_kept().contains(key) && !busy_history_->versions_kept().contains(key);
    });
  }

  static void Count(const DecisionRecord& record, const Named& named, Tally* tally) {
    ++tally->rejoins;
    const auto& evidence = record.decision.evidence;
    const Verdict verdict = VerdictOf(record);
    if (!evidence || !evidence->tail || evidence->tail->records == 0) return;
    Tolerance strictest = Tolerance::kIgnore;
    for (const KeyspaceFinding& finding : record.decision.verdict->keyspaces) {
      strictest = std::max(strictest, finding.tolerance);
    }
    if (verdict == Verdict::kFull) {
      ++tally->full;
    } else if (verdict == Verdict::kSpliced && named.keys.empty() && !named.everything && !named.scripts) {
      ++tally->undone;
    } else if (strictest == Tolerance::kRepair) {
      ++tally->repaired;
    } else if (strictest == Tolerance::kEvict) {
      ++tally->evicted;
    } else {
      ++(verdict == Verdict::kSpliced ? tally->spliced : tally->padded);
    }
  }

 protected:
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::unique_ptr<RandomHistory> history_;
  std::unique_ptr<RandomHistory> busy_history_;
  std::set<std::string> may_differ_;
  bool scripts_may_differ_ = false;
  std::uint64_t round_ = 0;
  std::string last_decision_;
  std::string text_;  // of the round, for people
};

// What all of this stands on: whatever is changed, the dump is another.
TEST(KeyspaceDump, TellsEveryDifference) {
  NodeServer node({{"requirepass", kPassword}, {"namespace.shop", "token-of-shop"}});
  const auto error = node.Start();
  ASSERT_FALSE(error) << *error;
  RedisClient client = node.Client();
  RedisClient shop(node.port());
  ASSERT_TRUE(shop("AUTH", "token-of-shop").IsOk());
  const std::vector<std::vector<std::string>> changes = {
      {"SET", "string", "7"},
      {"SET", "string", "07"},
      {"SET", "string", std::string("07\0", 3)},
      {"PEXPIREAT", "string", "4102444800000"},
      {"PEXPIREAT", "string", "4102444800001"},
      {"PERSIST", "string"},
      {"HSET", "hash", "a", "1", "b", ""},
      {"HSET", "hash", "a", "01"},
      {"HDEL", "hash", "b"},
      {"RPUSH", "list", "a", "b"},
      {"LPUSH", "list", "b"},
      {"SADD", "set", "a", "b"},
      {"SREM", "set", "a"},
      {"ZADD", "zset", "1", "a", "2", "b"},
      {"ZADD", "zset", "1.5", "a"},
      {"SETBIT", "bitmap", "7", "1"},
      {"SETBIT", "bitmap", "30000", "0"},
      {"SETBIT", "bitmap", "29999", "1"},
      {"SIADD", "sortedint", "1", "5"},
      {"SIREM", "sortedint", "5"},
      {"XADD", "stream", "1-1", "a", "1"},
      {"XADD", "stream", "1-2", "a", "1"},
      {"XDEL", "stream", "1-2"},
      {"XGROUP", "CREATE", "stream", "group", "0"},
      {"XREADGROUP", "GROUP", "group", "reader", "STREAMS", "stream", ">"},
      {"XACK", "stream", "group", "1-1"},
      {"JSON.SET", "json", "$", R"({"a":1})"},
      {"JSON.SET", "json", "$.a", "2"},
      {"BF.ADD", "bloom", Probe(0)},
      {"BF.ADD", "bloom", Probe(1)},
      {"PFADD", "hyperloglog", "a"},
      {"PFADD", "hyperloglog", "b"},
      {"DEL", "set"}};
  Keyspace before = DumpKeyspace(client);
  for (RedisClient* there : {&client, &shop}) {
    for (const std::vector<std::string>& change : changes) {
      const Reply known = client("COMMAND", "INFO", change[0]);
      if (known.items.size() != 1 || known.items[0].items.empty()) continue;
      const Reply reply = there->Command(change);
      ASSERT_FALSE(reply.IsError() || reply.IsBroken()) << change[0] << " " << change[1] << ": " << reply;
      Keyspace after = DumpKeyspace(client);
      const std::set<std::string> differing = KeysThatDiffer(before, after);
      EXPECT_EQ(1U, differing.size()) << change[0] << " " << change[1];
      for (const std::string& key : differing) {
        EXPECT_TRUE(key.starts_with(there == &shop ? "shop:" : "__namespace:")) << key;
      }
      before = std::move(after);
    }
  }
}

TEST_F(KeyspacePropertyTest, NodesAreEqualWhereNoPolicyLetsThemDiffer) {
  const std::uint64_t runs = PropertyRuns(2);
  const std::uint64_t rounds = PropertyRounds(6);
  Tally tally;
  for (std::uint64_t i = 0; i < runs; ++i) {
    const std::uint64_t seed = PropertySeed() + i;
    const ::testing::ScopedTrace trace(__FILE__, __LINE__, wal::Again(seed));
    ASSERT_NO_FATAL_FAILURE(Start(seed));
    Random random(seed);
    for (std::uint64_t round = 0; round < rounds; ++round) {
      const Policy policy = DrawPolicy("round-" + std::to_string(round), &random);
      Sizes sizes;
      sizes.common = random.Skewed(80);
      sizes.tail = random.OneIn(8) ? 0 : random.Skewed(40);
      sizes.missed = random.OneIn(8) ? 0 : random.Skewed(40);
      sizes.meanwhile = random.OneIn(3) ? random.Between(1, 40) : 0;
      Mixes mixes;
      if (random.OneIn(2)) mixes.tail = kCanBeUndone;
      ASSERT_NO_FATAL_FAILURE(Round(policy, sizes, mixes, random.OneIn(3), &tally));
    }
  }
  tally.Print();
}

// Where nothing may differ, and every key is younger than the WAL.
TEST_F(KeyspacePropertyTest, TailOfAdditionsIsTakenBackInFull) {
  const std::uint64_t runs = PropertyRuns(1);
  const std::uint64_t rounds = PropertyRounds(6);
  Tally tally;
  for (std::uint64_t i = 0; i < runs; ++i) {
    const std::uint64_t seed = PropertySeed() + i;
    const ::testing::ScopedTrace trace(__FILE__, __LINE__, wal::Again(seed));
    ASSERT_NO_FATAL_FAILURE(Start(seed));
    Random random(seed);
    Policy policy;
    policy.prefer = "aligned, spliced, padded, full";
    policy.undo_scan = "1Gi";
    // A hash with an expiry is left, and one that is replaced by a string.
    Mixes mixes;
    mixes.common.expiries = mixes.common.other_types = false;
    mixes.common.renames = false;
    mixes.missed = mixes.common;  // the next round's common history
    mixes.tail.only_additions = true;
    for (std::uint64_t round = 0; round < rounds; ++round) {
      policy.name = "round-" + std::to_string(round);
      Sizes sizes;
      sizes.common = random.Between(1, 80);
      sizes.tail = random.Between(1, 40);
      sizes.missed = random.Skewed(40);
      sizes.meanwhile = random.OneIn(3) ? random.Between(1, 40) : 0;
      ASSERT_NO_FATAL_FAILURE(Round(policy, sizes, mixes, random.OneIn(3), &tally));
      ASSERT_EQ(tally.rejoins, tally.undone) << text();
    }
    EXPECT_EQ(0U, cluster().FullSyncsServed());
  }
  tally.Print();
}

}  // namespace
}  // namespace walstitch::test
