#include "tests/support/ack_check.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <set>
#include <tuple>

#include "policies/model/reason_codes.h"

namespace walstitch::test {
namespace {

using Keyspace = std::map<std::string, std::string>;

constexpr char kNamespace[] = "__namespace:";
constexpr char kBatchPrefix[] = "batch:";

// What rejoins have named as divergent, and failovers as left behind, over all of them.
struct Named {
  std::map<std::string, uint64_t> tail;    // key as DumpKeyspace names it -> records
  std::map<std::string, uint64_t> missed;  // the same
  bool truncated = false;

  bool Has(const std::string& key) const {
    return truncated || tail.count(key) != 0 || missed.count(key) != 0;
  }
  uint64_t Records(const std::string& key) const {
    const auto in = [&](const std::map<std::string, uint64_t>& side) {
      const auto found = side.find(key);
      return found == side.end() ? 0 : found->second;
    };
    return in(tail) + in(missed);
  }
};

Named NamedIn(const std::vector<DecisionRecord>& decisions) {
  Named named;
  const auto add = [&](const std::optional<Touched>& touched, std::map<std::string, uint64_t>* side) {
    if (!touched) return;
    named.truncated = named.truncated || touched->truncated;
    for (const TouchedKey& key : touched->keys) {
      if (key.internal.empty()) (*side)[key.name_space + ":" + key.key] += key.records;
    }
  };
  for (const DecisionRecord& record : decisions) {
    const Decision& decision = record.decision;
    add(decision.left_behind, &named.tail);
    // A node that is held is not resumed: nothing is given up yet.
    if (!decision.evidence || !decision.verdict || decision.verdict->verdict == Verdict::kHold) continue;
    add(decision.evidence->tail, &named.tail);
    // A splice misses nothing.
    if (decision.verdict->verdict != Verdict::kSpliced) add(decision.evidence->missed, &named.missed);
  }
  return named;
}

std::string KeyOf(const std::string& register_name) {
  return kNamespace + register_name.substr(0, register_name.find(kFieldMark));
}

// What a register holds, out of a dump's `string "value"` or `hash "field"=>"value",...`; nothing if it is
// absent. Writers use no characters that a dump would escape.
std::optional<std::string> ValueOf(const Keyspace& keyspace, const std::string& register_name) {
  const auto found = keyspace.find(KeyOf(register_name));
  if (found == keyspace.end()) return std::nullopt;
  const size_t mark = register_name.find(kFieldMark);
  const std::string before =
      mark == std::string::npos ? "string \"" : "\"" + register_name.substr(mark + 1) + "\"=>\"";
  const size_t at = found->second.find(before);
  if (at == std::string::npos) return std::nullopt;
  const size_t begin = at + before.size();
  return found->second.substr(begin, found->second.find('"', begin) - begin);
}

// May this be what is left, after these writes? Why not, else.
std::optional<std::string> Contradiction(const std::vector<Write>& writes,
                                         const std::optional<std::string>& value) {
  const auto latest_acknowledged = [&]() -> const Write* {
    const Write* latest = nullptr;
    for (const Write& write : writes) {
      if (write.state == WriteState::kAcknowledged && (latest == nullptr || write.sent_us > latest->sent_us))
        latest = &write;
    }
    return latest;
  }();
  if (!value) {
    if (latest_acknowledged == nullptr) return std::nullopt;
    return "is absent, and " + latest_acknowledged->node + " acknowledged '" + latest_acknowledged->value +
           "'";
  }
  for (const Write& write : writes) {
    if (write.value != *value) continue;
    // One that nobody answered may have happened at any time.
    if (write.state == WriteState::kUnknown || latest_acknowledged == nullptr ||
        latest_acknowledged->sent_us <= write.done_us) {
      return std::nullopt;
    }
    break;
  }
  return "holds '" + *value + "', which was overwritten or never accepted" +
         (latest_acknowledged == nullptr
              ? std::string()
              : "; " + latest_acknowledged->node + " acknowledged '" + latest_acknowledged->value + "'");
}

void CheckRegisters(const AckLog& log, const Keyspace& keyspace, const Named& named, AckFindings* findings) {
  std::map<std::string, std::set<std::string>> batches;
  for (const auto& [name, writes] : log.registers()) {
    const std::optional<std::string> value = ValueOf(keyspace, name);
    const std::string key = KeyOf(name);
    if (name.rfind(kBatchPrefix, 0) == 0 && !named.Has(key)) {
      batches[name.substr(0, name.rfind(':'))].insert(value.value_or(""));
    }
    const std::optional<std::string> why = Contradiction(writes, value);
    if (!why) continue;
    if (named.Has(key)) {
      ++findings->given_up;
    } else {
      findings->lost.push_back(name + " " + *why);
    }
  }
  for (const auto& [batch, values] : batches) {
    if (values.size() > 1) findings->lost.push_back("half of a batch is there: " + batch);
  }
}

void CheckCounters(const AckLog& log, const Keyspace& keyspace, const Named& named, AckFindings* findings) {
  for (const auto& [name, counter] : log.counters()) {
    const uint64_t value = std::strtoull(ValueOf(keyspace, name).value_or("0").c_str(), nullptr, 10);
    const uint64_t most = counter.acknowledged + counter.unknown;
    const std::string sentence = name + " is " + std::to_string(value) + " after " +
                                 std::to_string(counter.acknowledged) + " acknowledged increments and " +
                                 std::to_string(counter.unknown) + " that nobody answered";
    if (value > most) findings->other.push_back(sentence);
    if (value >= counter.acknowledged) continue;
    if (named.truncated || counter.acknowledged - value <= named.Records(KeyOf(name))) {
      ++findings->given_up;
    } else {
      findings->lost.push_back(sentence);
    }
  }
}

void CheckEquality(const Observed& observed, const std::string& master, const Named& named,
                   AckFindings* findings) {
  const Keyspace& reference = observed.keyspaces.at(master);
  for (const auto& [node, keyspace] : observed.keyspaces) {
    if (node == master) continue;
    std::set<std::string> keys;
    for (const auto& [key, value] : reference) {
      const auto found = keyspace.find(key);
      if (found == keyspace.end() || found->second != value) keys.insert(key);
    }
    for (const auto& [key, value] : keyspace) {
      if (reference.count(key) == 0) keys.insert(key);
    }
    for (const std::string& key : keys) {
      if (named.Has(key)) continue;
      findings->different.push_back(key + " is not the same on " + master + " and " + node);
    }
  }
}

// A node whose full sync breaks off begins it again by itself; the record counts that.
uint64_t AttemptsOf(const DecisionRecord& record) {
  if (!record.outcome || !record.outcome->survivor_before || !record.outcome->survivor_after) return 1;
  const uint64_t before = record.outcome->survivor_before->sync_full;
  const uint64_t after = record.outcome->survivor_after->sync_full;
  return after > before ? after - before : 1;
}

void CheckDecisions(const Observed& observed, AckFindings* findings) {
  uint64_t decided = 0;
  for (const DecisionRecord& record : observed.decisions) {
    const Decision& decision = record.decision;
    if (decision.verdict && decision.verdict->verdict == Verdict::kFull) decided += AttemptsOf(record);
    if (!record.outcome) {
      findings->open.push_back("decision " + decision.id + " (" + std::string(ToString(decision.kind)) + " " +
                               decision.node + ") has no outcome");
    }
  }
  if (observed.full_syncs > decided) {
    findings->full_syncs.push_back(std::to_string(observed.full_syncs) + " full syncs were served, and " +
                                   std::to_string(decided) + " decided");
  }
}

bool SaysWhyNotSalvaged(const VerdictDecision& verdict) {
  return std::any_of(verdict.reasons.begin(), verdict.reasons.end(), [](const Reason& reason) {
    return reason.code == reason::kTailNotSalvaged || reason.code == reason::kTailSalvagedInPart;
  });
}

// By its step where the outcome does not tell: a controller that ended meanwhile.
bool WasSalvaged(const DecisionRecord& record, const Touched& tail) {
  if (record.outcome && record.outcome->salvage) {
    const SalvageRef& salvage = *record.outcome->salvage;
    return salvage.range == tail.range && salvage.records == tail.records && salvage.lacks.empty();
  }
  return std::any_of(record.steps.begin(), record.steps.end(), [](const StepRecord& step) {
    return step.action == ActionName(SalvageAction{}) && step.outcome == Outcome::kDone;
  });
}

void CheckSalvages(const Observed& observed, AckFindings* findings) {
  for (const DecisionRecord& record : observed.decisions) {
    const Decision& decision = record.decision;
    if (decision.kind != DecisionKind::kRejoin || !decision.verdict || !decision.evidence) continue;
    const Verdict verdict = decision.verdict->verdict;
    if (verdict != Verdict::kSpliced && verdict != Verdict::kPadded && verdict != Verdict::kFull) continue;
    if (!record.outcome || record.outcome->outcome != Outcome::kDone) continue;  // it was not given up
    const std::optional<Touched>& tail = decision.evidence->tail;
    if (!tail || tail->records == 0 || SaysWhyNotSalvaged(*decision.verdict)) continue;
    if (WasSalvaged(record, *tail)) continue;
    findings->not_salvaged.push_back("decision " + decision.id + " gave up " + std::to_string(tail->records) +
                                     " records of " + decision.node + " that no salvage holds");
  }
}

// Acknowledged writes of one node, none of another in between.
struct Run {
  std::string node;
  int64_t first_done_us = 0;
  int64_t last_sent_us = 0;
  uint64_t count = 0;
};

// The nodes that were to be promoted, by epoch.
std::vector<std::string> Reigns(const std::vector<DecisionRecord>& decisions) {
  std::vector<std::tuple<uint64_t, std::string, std::string>> promotions;
  for (const DecisionRecord& record : decisions) {
    const Decision& decision = record.decision;
    switch (decision.kind) {
      case DecisionKind::kFailover:
      case DecisionKind::kSwitchover:
      case DecisionKind::kBootstrap:
      case DecisionKind::kAdopt:
        promotions.emplace_back(decision.epoch, decision.id, decision.node);
        break;
      case DecisionKind::kRejoin:
      case DecisionKind::kRelease:
      case DecisionKind::kPause:
      case DecisionKind::kResume:
      case DecisionKind::kMaintenance:
      case DecisionKind::kUnblock:
      case DecisionKind::kReplay:
      case DecisionKind::kRefusal:
        break;
    }
  }
  std::sort(promotions.begin(), promotions.end());
  std::vector<std::string> nodes;
  for (auto& [epoch, id, node] : promotions) nodes.push_back(std::move(node));
  return nodes;
}

std::vector<Run> RunsOf(const std::vector<std::pair<std::string, Ack>>& acks) {
  std::vector<Run> runs;
  for (const auto& [node, ack] : acks) {
    // A write that was under way when the next node acknowledged its first may have happened before that.
    size_t at = runs.size();
    while (at > 0 && runs[at - 1].node != node && runs[at - 1].first_done_us >= ack.sent_us) --at;
    if (at == 0 || runs[at - 1].node != node) {
      runs.push_back({node, ack.done_us, ack.sent_us, 1});
      continue;
    }
    Run& run = runs[at - 1];
    run.last_sent_us = std::max(run.last_sent_us, ack.sent_us);
    ++run.count;
  }
  return runs;
}

}  // namespace

std::vector<std::string> AckFindings::Sentences() const {
  std::vector<std::string> all;
  for (const auto* list : {&lost, &different, &overlapping, &full_syncs, &open, &not_salvaged, &other}) {
    all.insert(all.end(), list->begin(), list->end());
  }
  return all;
}

std::vector<std::string> FindOverlaps(const AckLog& log, const std::vector<DecisionRecord>& decisions,
                                      const std::vector<Excuse>& excuses, AckFindings* findings) {
  std::vector<std::pair<std::string, Ack>> acks;
  for (const auto& [node, list] : log.acks()) {
    for (const Ack& ack : list) {
      const auto excuse = std::find_if(excuses.begin(), excuses.end(), [&, &name = node](const Excuse& one) {
        // 1. It is answered. 2. The server is parked, and seen to be. 3. Only now the writer gets a processor
        // and reads the answer: so it counts when it was sent.
        return one.node == name && ack.done_us >= one.from_us && ack.sent_us <= one.until_us;
      });
      if (excuse == excuses.end()) {
        acks.emplace_back(node, ack);
      } else if (findings != nullptr) {
        ++findings->excused;
        findings->longest_excused_us = std::max(findings->longest_excused_us, ack.done_us - excuse->from_us);
      }
    }
  }
  std::sort(acks.begin(), acks.end(),
            [](const auto& left, const auto& right) { return left.second.done_us < right.second.done_us; });
  const std::vector<Run> runs = RunsOf(acks);
  const std::vector<std::string> reigns = Reigns(decisions);
  std::vector<std::string> sentences;
  size_t reign = 0;
  for (size_t i = 0; i < runs.size(); ++i) {
    const auto next =
        std::find(reigns.begin() + static_cast<std::ptrdiff_t>(reign), reigns.end(), runs[i].node);
    if (next != reigns.end()) {
      reign = static_cast<size_t>(next - reigns.begin());
      continue;
    }
    const std::string many = std::to_string(runs[i].count);
    if (i == 0) {
      sentences.push_back(runs[i].node + " acknowledged " + many + " writes, and was never promoted");
      continue;
    }
    sentences.push_back(runs[i].node + " acknowledged " + many + " writes, the last of them sent " +
                        std::to_string((runs[i].last_sent_us - runs[i - 1].first_done_us) / 1000) +
                        " ms after " + runs[i - 1].node +
                        " had acknowledged one, and was not promoted in between");
  }
  return sentences;
}

AckFindings Check(const AckLog& log, const Observed& observed, const std::vector<Excuse>& excuses) {
  AckFindings findings;
  findings.overlapping = FindOverlaps(log, observed.decisions, excuses, &findings);
  CheckDecisions(observed, &findings);
  CheckSalvages(observed, &findings);
  if (observed.masters.size() != 1) {
    findings.other.push_back(std::to_string(observed.masters.size()) + " nodes say that they are the master");
  }
  const Named named = NamedIn(observed.decisions);
  if (named.truncated) findings.other.push_back("a record names too many keys to tell what may differ");
  if (observed.masters.empty() || observed.keyspaces.count(observed.masters.front()) == 0) return findings;
  const std::string& master = observed.masters.front();
  CheckRegisters(log, observed.keyspaces.at(master), named, &findings);
  CheckCounters(log, observed.keyspaces.at(master), named, &findings);
  CheckEquality(observed, master, named, &findings);
  return findings;
}

}  // namespace walstitch::test
