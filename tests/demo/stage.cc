#include "tests/demo/stage.h"

#include <algorithm>
#include <thread>

#include "controller/cli/table.h"
#include "controller/cli/text.h"
#include "policies/model/bytes.h"
#include "tests/support/bulk_load.h"

namespace walstitch::demo {
namespace {

using cli::Count;

test::ClusterOptions Options() {
  test::ClusterOptions options;
  options.group = Stage::kGroup;
  options.nodes = {"n1", "n2", "n3"};
  options.policy = Stage::kPolicy;
  return options;
}

// `string "value"` as people want to see it.
std::string ShowValue(const Keyspace& keyspace, const std::string& key) {
  const auto found = keyspace.find(key);
  if (found == keyspace.end()) return "(absent)";
  std::string value = found->second;
  if (value.rfind("string ", 0) == 0) value.erase(0, 7);
  constexpr std::size_t kMost = 30;
  return value.size() > kMost ? value.substr(0, kMost - 3) + "..." : value;
}

// Without its namespace: the demo writes to the default one only.
std::string ShowKey(const std::string& key) {
  constexpr std::string_view kDefaultNamespace = "__namespace:";
  return key.rfind(kDefaultNamespace, 0) == 0 ? key.substr(kDefaultNamespace.size()) : key;
}

std::string List(const Keys& keys) {
  std::vector<std::string> names;
  for (const std::string& key : keys) names.push_back(ShowKey(key));
  return names.empty() ? "none" : cli::Join(names);
}

Keys Differing(const Keyspace& left, const Keyspace& right) {
  Keys keys;
  for (const auto& [key, value] : left) {
    if (const auto found = right.find(key); found == right.end() || found->second != value) keys.insert(key);
  }
  for (const auto& [key, value] : right) {
    if (left.count(key) == 0) keys.insert(key);
  }
  return keys;
}

}  // namespace

void Must(const std::optional<std::string>& error) {
  ThrowIfInterrupted();
  if (error) throw Trouble(*error);
}

Stage::Stage(Narrator& narrator, Checker& checker)
    : narrator_(narrator), checker_(checker), cluster_(Options()) {}

void Stage::Run(test::RedisClient& client, const std::vector<std::string>& command) {
  const test::Reply reply = client.Command(command);
  if (reply.IsError() || reply.IsBroken())
    throw Trouble(command.front() + " was answered " + test::ToString(reply));
}

SyncCounters Stage::CountersOf(const test::NodeServer& server) {
  return {server.InfoNumber("stats", "sync_full"), server.InfoNumber("stats", "sync_partial_ok"),
          server.InfoNumber("stats", "sync_partial_err")};
}

bool Stage::Await(const std::function<bool(std::chrono::milliseconds)>& wait) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!wait(std::chrono::milliseconds(300))) {
    ThrowIfInterrupted();
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

bool Stage::WaitSettled() {
  return Await([&](std::chrono::milliseconds patience) { return cluster_.WaitSettled(patience); });
}

bool Stage::WaitCondition(const std::string& node, const std::string& condition) {
  return Await(
      [&](std::chrono::milliseconds patience) { return cluster_.WaitCondition(node, condition, patience); });
}

bool Stage::WaitInService(const std::string& node) {
  return Await([&](std::chrono::milliseconds patience) { return cluster_.WaitInService(node, patience); });
}

void Stage::Open() {
  Must(cluster_.Start());
  const std::string master = cluster_.Master();
  checker_.Expect(master == "n1",
                  "the new group's master is " + master + ", not n1, which has the highest priority");
  {
    test::RedisClient client = cluster_.Client(master);
    Must(test::Load(client, {"order:archive:", kDataKeys, kDataValueBytes, 1}));
    for (int i = 1; i <= 5; ++i) Run(client, {"SET", "page:" + std::to_string(i), "rendered in the morning"});
  }
  if (!WaitSettled()) throw Trouble("the group does not settle after its data was written");
}

// Returns how long there was no master that accepts writes, for people.
std::string Stage::Promote(const std::string& old_master, const std::string& heir) {
  if (!WaitCondition(old_master, "down")) throw Trouble("nobody sees that " + old_master + " is down");
  // The scenes are about what a failover leaves behind: as if the machine were lost with its disk.
  const test::Answer answer = cluster_.Failover(heir, {{"rescue", false}});
  if (!answer.IsDone()) {
    throw Trouble("the failover to " + heir + " failed: " + answer.error +
                  (answer.record && answer.record->outcome ? answer.record->outcome->sentence : ""));
  }
  for (const std::string& node : cluster_.Nodes()) {
    if (node == old_master || node == heir) continue;
    if (!WaitInService(node)) throw Trouble(node + " does not follow " + heir);
    narrator_.Point("walstitch failover " + std::string(kGroup) + " --to " + heir + " --no-rescue: " + heir +
                    " is the master now, and " + node + " follows it.");
  }
  return cli::FormatDuration(answer.record->outcome->without_master_ms.value_or(0));
}

void Stage::FailOver(const std::string& heir) {
  const std::string old_master = cluster_.Master();
  cluster_.KillNode(old_master);
  narrator_.Point("kill -9 " + old_master +
                  ", the master, in a quiet moment: its replicas have every record.");
  const std::string took = Promote(old_master, heir);
  narrator_.Point(heir + " accepted writes " + took + " after the order.");
}

// The same as a network that breaks: what lies in socket buffers must not reach the replicas later, so their
// agents, through which everything goes, are killed and started anew.
void Stage::Split(const std::string& heir, const Writer& tail, const Writer& missed) {
  const std::string old_master = cluster_.Master();
  std::vector<std::string> replicas;
  for (const std::string& node : cluster_.Nodes()) {
    if (node != old_master) replicas.push_back(node);
  }
  for (const std::string& node : replicas) cluster_.KillAgent(node);
  for (const std::string& node : replicas) {
    if (!WaitCondition(node, "unreachable")) throw Trouble("nobody misses the agent of " + node);
  }
  narrator_.Point("The agents of " + cli::Join(replicas, " and ") + " are killed: " + old_master +
                  ", the master, is cut off from its replicas as by a broken network.");
  {
    test::RedisClient client = cluster_.Client(old_master);
    tail(client);
  }
  as_it_died_ = cluster_.Keyspace(old_master);
  cluster_.KillNode(old_master);
  narrator_.Point("kill -9 " + old_master + ". The agents of the others are started again.");
  for (const std::string& node : replicas) Must(cluster_.StartAgent(node));
  for (const std::string& node : replicas) {
    if (!WaitCondition(node, "parked")) throw Trouble(node + " does not come back parked");
  }
  Promote(old_master, heir);
  {
    test::RedisClient client = cluster_.Client(heir);
    missed(client);
  }
  for (const std::string& node : replicas) {
    if (node != heir && !WaitInService(node)) throw Trouble(node + " does not keep up with " + heir);
  }
}

Rejoined Stage::Rejoin(const std::string& node, const Expected& expected) {
  const std::string survivor = cluster_.Master();
  const auto earlier = cluster_.LastRejoin(node);
  Rejoined rejoined;
  rejoined.before = CountersOf(cluster_.Node(survivor));
  Must(cluster_.RestartNode(node));
  if (!WaitSettled()) {
    throw Trouble(node + " does not come back into service: " + cluster_.Condition(node));
  }
  rejoined.after = CountersOf(cluster_.Node(survivor));
  const auto record = cluster_.LastRejoin(node);
  if (!record || (earlier && earlier->decision.id == record->decision.id)) {
    throw Trouble("no decision about the rejoin of " + node + " is on record");
  }
  rejoined.record = *record;
  rejoined.differing_keys = Differing(cluster_.Keyspace(node), cluster_.Keyspace(survivor)).size();

  narrator_.Say(
      node +
      " is started again. It boots parked, as the replica of its own agent; the controller compares "
      "the two WALs and decides:");
  TellVerdict(*record);
  narrator_.Say(survivor + " itself counted, before and after:");
  TellCounters(survivor, rejoined.before, rejoined.after);
  narrator_.Say("From the decision to its outcome: " + cli::FormatDuration(record->outcome->took_ms) + ", " +
                HumanBytes(record->outcome->bytes_to_node) + " sent to " + node +
                (expected.full_syncs == 0 ? "; from there on it is ordinary replication." : "."));
  Check(rejoined, expected);
  return rejoined;
}

void Stage::TellVerdict(const DecisionRecord& record) {
  const Decision& decision = record.decision;
  std::string verdict = "Verdict: " + std::string(ToString(decision.verdict->verdict));
  const auto pad = decision.evidence ? decision.evidence->Pad() : std::nullopt;
  if (decision.verdict->verdict == Verdict::kPadded && pad) {
    verdict += ", by " + (*pad == 0 ? std::string("0") : Count(*pad, "record") + " without data");
  }
  narrator_.Say(verdict + "   (decision " + decision.id + ")");
  for (const Reason& reason : decision.verdict->reasons) {
    narrator_.Point(reason.sentence + " [" + reason.code + "]");
  }
}

void Stage::TellCounters(const std::string& whose, const SyncCounters& before, const SyncCounters& after) {
  cli::Table table({{"COUNTER OF " + whose}, {"BEFORE", cli::Align::kRight}, {"AFTER", cli::Align::kRight}});
  table.AddRow({"sync_full", std::to_string(before.sync_full), std::to_string(after.sync_full)});
  table.AddRow(
      {"sync_partial_ok", std::to_string(before.sync_partial_ok), std::to_string(after.sync_partial_ok)});
  narrator_.Show(table.Render(2));
}

void Stage::Check(const Rejoined& rejoined, const Expected& expected) {
  const DecisionRecord& record = rejoined.record;
  const VerdictDecision& verdict = *record.decision.verdict;
  checker_.Expect(verdict.verdict == expected.verdict, "the verdict is " +
                                                           std::string(ToString(verdict.verdict)) + ", not " +
                                                           std::string(ToString(expected.verdict)));
  for (const std::string_view code : expected.reasons) {
    checker_.Expect(std::any_of(verdict.reasons.begin(), verdict.reasons.end(),
                                [&](const Reason& reason) { return reason.code == code; }),
                    "the record does not name the reason " + std::string(code));
  }
  checker_.Expect(
      record.outcome->outcome == Outcome::kDone,
      "the outcome is " + std::string(ToString(record.outcome->outcome)) + ": " + record.outcome->sentence);
  if (expected.verdict == Verdict::kPadded) {
    const auto pad = record.decision.evidence ? record.decision.evidence->Pad() : std::nullopt;
    checker_.Expect(pad == expected.pad, "the pad is " + (pad ? std::to_string(*pad) : "unknown") + ", not " +
                                             std::to_string(expected.pad));
  }
  const std::uint64_t full = rejoined.after.sync_full - rejoined.before.sync_full;
  checker_.Expect(full == expected.full_syncs, "the survivor counted " + Count(full, "full sync") + ", not " +
                                                   std::to_string(expected.full_syncs));
  // A node that was copied goes on by a partial sync from the end of its copy.
  const std::uint64_t partial = rejoined.after.sync_partial_ok - rejoined.before.sync_partial_ok;
  checker_.Expect(partial == 1, "the survivor counted " + Count(partial, "partial sync") + ", not 1");
  const auto& recorded = record.outcome->survivor_after;
  checker_.Expect(recorded && recorded->sync_full == rejoined.after.sync_full &&
                      recorded->sync_partial_ok == rejoined.after.sync_partial_ok,
                  "the record's counters are not the server's");
}

Keys Stage::TellDifference(const std::string& left_name, const Keyspace& left, const std::string& right_name,
                           const Keyspace& right) {
  Keys keys = Differing(left, right);
  cli::Table table({{"KEY"}, {"ON " + left_name}, {"ON " + right_name}});
  for (const std::string& key : keys)
    table.AddRow({ShowKey(key), ShowValue(left, key), ShowValue(right, key)});
  narrator_.Show(table.Render(2));
  return keys;
}

Keys Stage::KeysOf(const DecisionRecord& record) {
  Keys keys;
  const auto add = [&](const std::optional<Touched>& touched) {
    if (!touched) return;
    for (const TouchedKey& key : touched->keys) {
      if (key.internal.empty()) keys.insert(key.name_space + ":" + key.key);
    }
  };
  if (record.decision.evidence) {
    add(record.decision.evidence->tail);
    add(record.decision.evidence->missed);
  }
  return keys;
}

void Stage::CompareKeys(const Keys& differing, const DecisionRecord& record) {
  const Keys named = KeysOf(record);
  if (checker_.Expect(differing == named,
                      "the keys that differ are " + List(differing) + "; the record names " + List(named))) {
    narrator_.Say("They are exactly the " + Count(named.size(), "key") + " that the decision record names.");
  } else {
    narrator_.Say("The decision record names others: " + List(named) + ".");
  }
}

void Stage::ExpectEqualNodes() {
  if (!WaitSettled()) throw Trouble("the group does not settle");
  const Keyspace first = cluster_.Keyspace("n1");
  for (const char* node : {"n2", "n3"}) {
    const Keys keys = Differing(first, cluster_.Keyspace(node));
    checker_.Expect(keys.empty(), "n1 and " + std::string(node) + " differ in " + List(keys));
  }
}

}  // namespace walstitch::demo
