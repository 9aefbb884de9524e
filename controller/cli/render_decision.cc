#include "controller/cli/render_decision.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "controller/cli/table.h"
#include "controller/cli/text.h"
#include "policies/model/bytes.h"
#include "policies/model/names.h"

namespace walstitch::cli {
namespace {

std::string Show(const std::optional<Sequence>& sequence) {
  return sequence ? sequence->ToString() : "unknown";
}

// "rejoin of n1 to n2", "failover from n1 to n2", ...
std::string What(const Decision& decision) {
  const std::string node = Clean(decision.node);
  const std::string survivor = Clean(decision.survivor);
  std::string kind(ToString(decision.kind));
  switch (decision.kind) {
    case DecisionKind::kRejoin:
      return kind + (node.empty() ? "" : " of " + node) + (survivor.empty() ? "" : " to " + survivor);
    case DecisionKind::kFailover:
    case DecisionKind::kSwitchover:
      return kind + (survivor.empty() ? "" : " from " + survivor) + (node.empty() ? "" : " to " + node);
    case DecisionKind::kBootstrap:
      return kind + (node.empty() ? "" : " to " + node);
    case DecisionKind::kAdopt:
    case DecisionKind::kRelease:
    case DecisionKind::kPause:
    case DecisionKind::kResume:
    case DecisionKind::kMaintenance:
    case DecisionKind::kUnblock:
    case DecisionKind::kReplay:
    case DecisionKind::kRefusal:
      return kind + (node.empty() ? "" : ", " + node);
  }
  return kind;
}

// Of an outcome; nullopt: it is still open.
Tone ToneOf(const std::optional<OutcomeRecord>& outcome) {
  if (!outcome) return Tone::kWarn;
  return outcome->outcome == Outcome::kDone ? Tone::kGood : Tone::kBad;
}

std::string Title(const DecisionRecord& record, bool planned) {
  const Decision& decision = record.decision;
  std::string out = planned ? "would be decided: " : "";
  out += What(decision) + ", group " + Clean(decision.group);
  if (decision.verdict) out += ": " + std::string(ToString(decision.verdict->verdict));
  if (planned) return out + "\n";
  if (decision.kind == DecisionKind::kRefusal) {
    out += ": nothing was done";
  } else if (record.outcome) {
    out += (decision.verdict ? ", " : ": ") + std::string(ToString(record.outcome->outcome));
    if (record.outcome->took_ms > 0) out += " in " + FormatDuration(record.outcome->took_ms);
  } else {
    out += (decision.verdict ? ", " : ": ") + std::string("still open");
  }
  out += "\n" + std::string("decision ") + Clean(decision.id) + ", epoch " + std::to_string(decision.epoch) +
         ", " + FormatTime(decision.time_ms) + "\n";
  return out;
}

// Only a verdict is reached by the policy, whatever policy was in force.
std::string PolicyOf(const Decision& decision) {
  if (decision.policy_name.empty() && decision.policy_hash.empty()) return {};
  return ", by " + NamePolicy(decision.policy_name, decision.policy_hash);
}

std::string RenderRange(std::string_view what, const std::string& node,
                        const std::optional<Touched>& touched) {
  std::string out = "  " + std::string(what) + ": ";
  if (!touched) return out + "unknown\n";
  if (touched->records == 0 && touched->range.Empty()) return out + "none\n";
  out += DescribeTouched(*touched);
  if (!node.empty()) out += ", on " + Clean(node);
  return out + "\n";
}

std::string RenderEvidence(const Evidence& evidence, bool spliced) {
  std::string out = "\nEvidence\n";
  Table sides({{"NODE"},
               {"SIDE"},
               {"LAST", Align::kRight},
               {"OLDEST", Align::kRight},
               {"WAL"},
               {"VERSION"},
               {"OPTIONS"}});
  auto add = [&](const SideEvidence& side, std::string_view word) {
    std::vector<std::string> flags;
    if (side.replication_id_psync) flags.emplace_back("use-rsid-psync");
    if (side.cluster_enabled) flags.emplace_back("cluster-enabled");
    // A WAL that was read and begins nowhere is empty.
    const std::string oldest = !side.oldest && !side.wal_source.empty() ? "none" : Show(side.oldest);
    sides.AddRow({side.node, std::string(word), Show(side.last), oldest,
                  side.wal_source.empty() ? "unknown" : side.wal_source, side.version, Join(flags)});
  };
  add(evidence.rejoiner, "rejoiner");
  add(evidence.survivor, "survivor");
  out += sides.Render(2);
  out += "  fork: " + Show(evidence.fork);
  if (evidence.fork || evidence.proof != ForkProof::kUnknown) {
    out += ", known by " + std::string(ToString(evidence.proof));
  }
  if (!evidence.fork_note.empty()) out += " (" + Clean(evidence.fork_note) + ")";
  out += "\n";
  out += RenderRange("tail, to be given up", evidence.rejoiner.node, evidence.tail);
  if (spliced) {
    if (evidence.undo) {
      out += "  of it taken back: " + std::to_string(evidence.undo->keys) + " keys, by " +
             std::to_string(evidence.undo->records) + " records (" + Clean(evidence.undo->note) + ")\n";
      out += RenderRange("of it left to differ", evidence.rejoiner.node, evidence.undo->left);
    }
    if (!evidence.undo_note.empty()) out += "  nothing of it taken back: " + Clean(evidence.undo_note) + "\n";
    // Nothing is skipped, and no target is gone to.
    out += "  to be replayed: all that " + Clean(evidence.survivor.node) + " wrote from " +
           Show(evidence.replay_from) + " on\n";
  } else {
    if (!evidence.borrow)
      out += RenderRange("missed, to be skipped", evidence.survivor.node, evidence.missed);
    out += "  target: " + (evidence.borrow ? std::string("none, see below") : Show(evidence.target));
    if (const auto pad = evidence.Pad()) {
      out += ", pad " + std::to_string(*pad);
      const bool divergence =
          (evidence.tail && evidence.tail->records > 0) || (evidence.missed && evidence.missed->records > 0);
      if (*pad == 0 && divergence)
        out += " (Kvrocks would resume here by itself and not notice a divergence)";
    }
    out += "\n";
  }
  if (evidence.borrow) {
    const BorrowEvidence& borrow = *evidence.borrow;
    out += "  borrowed from " + Clean(borrow.lender) + ": " + borrow.range.ToString() + ", " +
           Count(borrow.range.Size(), "record") +
           (borrow.bytes > 0 ? ", about " + HumanBytes(borrow.bytes) : std::string()) + "\n";
  }
  if (!evidence.borrow_note.empty()) out += "  nothing borrowed: " + Clean(evidence.borrow_note) + "\n";
  for (const auto& sentence : evidence.missing) out += "  missing: " + Clean(sentence) + "\n";
  return out;
}

std::string RenderKeyspaces(const std::vector<KeyspaceFinding>& keyspaces) {
  if (keyspaces.empty()) return {};
  std::string limits;
  for (const auto& keyspace : keyspaces) {
    for (const auto& sentence : keyspace.limits_passed) {
      limits += "  limit passed: " + Clean(keyspace.keyspace) + ": " + Clean(sentence) + "\n";
    }
  }
  return "\nKeyspaces touched\n" + RenderKeyspaceTable(keyspaces) + limits;
}

std::string RenderDivergentKeys(const Evidence& evidence, bool spliced, std::size_t max_keys) {
  struct Divergent {
    std::set<std::string> types;
    std::uint64_t tail = 0;
    std::uint64_t missed = 0;
    std::uint64_t bytes = 0;
  };
  std::map<std::pair<std::string, std::string>, Divergent> keys;
  auto add = [&](const std::optional<Touched>& touched, std::uint64_t Divergent::*records) {
    if (!touched) return;
    for (const auto& key : touched->keys) {
      if (!key.internal.empty()) continue;
      auto& divergent = keys[{key.name_space, key.key}];
      divergent.types.insert(key.types.begin(), key.types.end());
      divergent.*records += key.records;
      divergent.bytes += key.bytes;
    }
  };
  add(evidence.tail, &Divergent::tail);
  if (!spliced) add(evidence.missed, &Divergent::missed);
  if (keys.empty()) return {};
  const bool truncated =
      (evidence.tail && evidence.tail->truncated) || (evidence.missed && evidence.missed->truncated);
  std::string out =
      "\nDivergent keys: " + std::string(truncated ? "more than " : "") + std::to_string(keys.size());
  if (keys.size() > max_keys) out += ", the first " + std::to_string(max_keys);
  out += "\n";
  Table table({{"NAMESPACE"},
               {"KEY"},
               {"TYPE"},
               {"TAIL", Align::kRight},
               {"MISSED", Align::kRight},
               {"BYTES", Align::kRight}});
  std::size_t listed = 0;
  for (const auto& [name, divergent] : keys) {
    if (listed++ == max_keys) break;
    const auto& [name_space, key] = name;
    const std::vector<std::string> types(divergent.types.begin(), divergent.types.end());
    table.AddRow({ShowNamespace(name_space), ToPrintable(key), Join(types, ","),
                  std::to_string(divergent.tail), std::to_string(divergent.missed),
                  HumanBytes(divergent.bytes)});
  }
  out += table.Render(2);
  if (keys.size() > max_keys) {
    out += "  and " + std::to_string(keys.size() - max_keys) + " more (--output json lists them all)\n";
  }
  return out;
}

std::string RenderAlternatives(const std::vector<Alternative>& alternatives) {
  if (alternatives.empty()) return {};
  Table table({{"VERDICT"}, {"POSSIBLE"}, {"COST, OR WHY NOT"}});
  for (const auto& alternative : alternatives) {
    table.AddRow(
        {std::string(ToString(alternative.verdict)), alternative.possible ? "yes" : "no", alternative.cost});
  }
  return "\nAlternatives\n" + table.Render(2);
}

// Steps that are in the record, then the ones of the plan that were not come to.
std::string RenderSteps(const DecisionRecord& record, bool planned) {
  const auto& plan = record.decision.plan;
  if (plan.empty() && record.steps.empty()) return {};
  if (planned || record.steps.empty()) {
    Table table({{"", Align::kRight}, {"NODE"}, {"ACTION"}, {"WHY"}});
    for (std::size_t i = 0; i < plan.size(); ++i) {
      table.AddRow({std::to_string(i + 1), plan[i].node, DescribeAction(plan[i].action), plan[i].why});
    }
    return (planned ? "\nPlan\n" : "\nPlan, no step on record\n") + table.Render(2);
  }
  Table table(
      {{"AFTER", Align::kRight}, {"TOOK", Align::kRight}, {"NODE"}, {"ACTION"}, {"RESULT"}, {"DETAIL"}});
  // Plan steps and recorded steps are matched in order: a step may be recorded that was not planned
  // (an undoing), and a planned one may never have been begun.
  std::size_t next = 0;
  std::string out = "\nSteps\n";
  for (const auto& step : record.steps) {
    std::string action = step.action;
    for (std::size_t i = next; i < plan.size(); ++i) {
      if (plan[i].node == step.node && ActionName(plan[i].action) == step.action) {
        action = DescribeAction(plan[i].action);
        next = i + 1;
        break;
      }
    }
    const std::int64_t after = step.start_ms - record.decision.time_ms;
    table.AddRow({after < 0 ? "" : "+" + FormatDuration(after),
                  step.end_ms < step.start_ms ? "" : FormatDuration(step.end_ms - step.start_ms), step.node,
                  action, std::string(ToString(step.outcome)), step.detail});
  }
  out += table.Render(2);
  for (std::size_t i = next; i < plan.size(); ++i) {
    out += "  not begun: " + Clean(plan[i].node) + ": " + Clean(DescribeAction(plan[i].action)) + "\n";
  }
  return out;
}

std::string RenderCounters(const Decision& decision, const OutcomeRecord& outcome) {
  if (!outcome.survivor_before && !outcome.survivor_after) return {};
  Table table({{"COUNTER"}, {"BEFORE", Align::kRight}, {"AFTER", Align::kRight}, {"CHANGE", Align::kRight}});
  auto add = [&](std::string_view name, std::uint64_t SyncCounters::*counter) {
    const auto& before = outcome.survivor_before;
    const auto& after = outcome.survivor_after;
    std::string change;
    if (before && after) {
      const std::uint64_t was = (*before).*counter;
      const std::uint64_t is = (*after).*counter;
      change = is < was ? "the server was restarted" : is == was ? "0" : "+" + std::to_string(is - was);
    }
    table.AddRow({std::string(name), before ? std::to_string((*before).*counter) : "unknown",
                  after ? std::to_string((*after).*counter) : "unknown", change});
  };
  add("sync_full", &SyncCounters::sync_full);
  add("sync_partial_ok", &SyncCounters::sync_partial_ok);
  add("sync_partial_err", &SyncCounters::sync_partial_err);
  const auto padding = [](const std::optional<SyncCounters>& counters) {
    return counters && counters->sync_partial_padding ? std::to_string(*counters->sync_partial_padding) : "";
  };
  const std::string padded = padding(outcome.survivor_after);
  if (!padded.empty()) table.AddRow({"sync_partial_padding", padding(outcome.survivor_before), padded, ""});
  const std::string whose = decision.kind == DecisionKind::kRejoin ? decision.survivor : "";
  return "  the server's own counters" + (whose.empty() ? "" : " (" + Clean(whose) + ")") + "\n" +
         table.Render(4);
}

std::string RenderOutcome(const DecisionRecord& record) {
  if (!record.outcome) {
    return "\nOutcome\n  none yet: it is under way, or the controller that decided it is gone\n";
  }
  const OutcomeRecord& outcome = *record.outcome;
  std::string out = "\nOutcome: " + std::string(ToString(outcome.outcome)) + "\n";
  if (!outcome.sentence.empty()) out += "  " + Clean(outcome.sentence) + "\n";
  if (outcome.time_ms > 0) out += "  at " + FormatTime(outcome.time_ms) + "\n";
  if (outcome.took_ms > 0) out += "  took " + FormatDuration(outcome.took_ms) + "\n";
  if (outcome.without_master_ms) {
    out += "  without a writable master for " + FormatDuration(*outcome.without_master_ms) + "\n";
  }
  if (outcome.salvage) {
    const SalvageRef& salvage = *outcome.salvage;
    out += "  salvage " + Clean(salvage.id) + ": " + Count(salvage.records, "record") + " on " +
           Count(salvage.keys, "key") + " of the tail are kept on " + Clean(salvage.node) + ", " +
           HumanBytes(salvage.bytes) + " in " + Clean(salvage.path) + "\n";
    if (!salvage.lacks.empty()) out += "    it lacks: " + Clean(salvage.lacks) + "\n";
  }
  if (outcome.bytes_to_node > 0) out += "  sent to the node: " + HumanBytes(outcome.bytes_to_node) + "\n";
  return out + RenderCounters(record.decision, outcome);
}

}  // namespace

std::string NamePolicy(const std::string& name, const std::string& hash) {
  return "policy " + Clean(name.empty() ? "(no name)" : name) +
         (hash.empty() ? std::string() : " (" + Clean(hash.substr(0, 12)) + ")");
}

std::string RenderReasons(const std::vector<Reason>& reasons) {
  std::string out;
  for (const auto& reason : reasons) {
    out += "  - " + Clean(reason.sentence) + " [" + Clean(reason.code) + "]\n";
  }
  return out;
}

std::string RenderKeyspaceTable(const std::vector<KeyspaceFinding>& keyspaces) {
  Table table({{"KEYSPACE"},
               {"POLICY SAYS"},
               {"TAIL", Align::kRight},
               {"MISSED", Align::kRight},
               {"KEYS", Align::kRight},
               {"BYTES", Align::kRight},
               {"RULE"}});
  for (const auto& keyspace : keyspaces) {
    table.AddRow({keyspace.keyspace, std::string(ToString(keyspace.tolerance)),
                  std::to_string(keyspace.tail_records), std::to_string(keyspace.missed_records),
                  std::to_string(keyspace.keys), HumanBytes(keyspace.bytes), keyspace.rule});
  }
  return table.Render(2);
}

std::string DescribeAction(const Action& action) {
  struct Describe {
    std::string operator()(const ParkAction&) const { return "park"; }
    std::string operator()(const PromoteAction& promote) const {
      return promote.require_last ? "promote, if it holds " + promote.require_last->ToString() : "promote";
    }
    std::string operator()(const PadAction& pad) const {
      if (pad.target <= pad.expected_next) return "pad 0 at " + pad.expected_next.ToString();
      return "pad " + SequenceRange{pad.expected_next, pad.target}.ToString() + ", " +
             Count(pad.target - pad.expected_next, "no-op record");
    }
    std::string operator()(const FollowAction& follow) const {
      return "follow " + follow.upstream.ToString() +
             (follow.expected_next ? " from " + follow.expected_next->ToString() : "");
    }
    std::string operator()(const RescueAction& rescue) const {
      return "take what " + rescue.source + (rescue.alive ? " lends" : " has on its disk") + ", up to " +
             (rescue.target - 1).ToString();
    }
    std::string operator()(const SalvageAction& salvage) const {
      return "salvage " + salvage.range.ToString();
    }
    std::string operator()(const FullSyncAction& full) const {
      return "full sync from " + full.upstream.ToString();
    }
    std::string operator()(const AdoptMasterAction&) const { return "adopt as master"; }
    std::string operator()(const ReleaseAction& release) const {
      return release.upstream ? "release to " + release.upstream->ToString() : "release";
    }
    std::string operator()(const AdvanceAction& advance) const {
      return "advance by a filler of " + Count(advance.count, "no-op record");
    }
    std::string operator()(const SpliceAction& splice) const {
      return "splice after " + splice.fork.ToString() + " of " + splice.upstream.ToString() + ", shift " +
             std::to_string(splice.shift);
    }
    std::string operator()(const RepairAction& repair) const {
      return repair.evict.empty()
                 ? "repair " + Count(repair.repair.size(), "key") + " of keyspace " + repair.keyspace
                 : "evict " + Count(repair.evict.size(), "key") + " of keyspace " + repair.keyspace;
    }
    std::string operator()(const OfferPaddingAction& offer) const {
      return offer.on ? "let the server pad replicas" : "let it pad no replicas any more";
    }
    std::string operator()(const CompareAction& compare) const {
      return "compare " + Count(compare.keys.size(), "key") + " with " + compare.survivor;
    }
  };
  return std::visit(Describe{}, action);
}

std::string DescribeTouched(const Touched& touched) {
  const auto keys = std::count_if(touched.keys.begin(), touched.keys.end(),
                                  [](const TouchedKey& key) { return key.internal.empty(); });
  std::string out = touched.range.ToString() + ", " + Count(touched.records, "record") + " on " +
                    (touched.truncated ? "more than " : "") + Count(static_cast<std::uint64_t>(keys), "key") +
                    ", " + HumanBytes(touched.bytes);
  if (touched.range_deletes > 0) {
    out += ", " + Count(touched.range_deletes, "range delete") + " (a flush: what it covers is not listed)";
  }
  return out;
}

std::string RenderDecision(const DecisionRecord& record, const RenderDecisionOptions& options) {
  const Decision& decision = record.decision;
  std::string out = Title(record, options.planned);
  if (!decision.finding.empty()) out += "\nFound\n  " + Clean(decision.finding) + "\n";
  if (decision.verdict) {
    out += "\nVerdict: " + std::string(ToString(decision.verdict->verdict)) + PolicyOf(decision) + "\n";
    out += RenderReasons(decision.verdict->reasons);
  }
  if (!decision.reasons.empty()) out += "\nWhy\n" + RenderReasons(decision.reasons);
  const bool spliced = decision.verdict && decision.verdict->verdict == Verdict::kSpliced;
  if (decision.evidence) out += RenderEvidence(*decision.evidence, spliced);
  if (decision.verdict) out += RenderKeyspaces(decision.verdict->keyspaces);
  if (decision.evidence) out += RenderDivergentKeys(*decision.evidence, spliced, options.max_keys);
  if (decision.verdict) out += RenderAlternatives(decision.verdict->alternatives);
  out += RenderSteps(record, options.planned);
  if (!options.planned && decision.kind != DecisionKind::kRefusal) out += RenderOutcome(record);
  return out;
}

std::string RenderDecisionList(const std::vector<DecisionRecord>& records, const Palette& palette) {
  if (records.empty()) return "no decisions\n";
  Table table({{"ID"},
               {"TIME"},
               {"GROUP"},
               {"EPOCH", Align::kRight},
               {"WHAT"},
               {"VERDICT"},
               {"OUTCOME"},
               {"TOOK", Align::kRight}});
  for (const auto& record : records) {
    const Decision& decision = record.decision;
    const bool done = record.outcome.has_value();
    const bool refused = decision.kind == DecisionKind::kRefusal;
    table.AddRow(
        {decision.id, FormatTime(decision.time_ms), decision.group, std::to_string(decision.epoch),
         What(decision), decision.verdict ? std::string(ToString(decision.verdict->verdict)) : "",
         refused ? "refused"
         : done  ? std::string(ToString(record.outcome->outcome))
                 : "open",
         done && !refused && record.outcome->took_ms > 0 ? FormatDuration(record.outcome->took_ms) : ""},
        {Tone::kPlain, Tone::kPlain, Tone::kPlain, Tone::kPlain, Tone::kPlain, Tone::kPlain,
         refused ? Tone::kWarn : ToneOf(record.outcome)});
  }
  return table.Render(0, palette);
}

std::string RenderPlan(const GroupPlan& plan) {
  std::string out =
      "group " + Clean(plan.group) + (plan.sentence.empty() ? "" : ": " + Clean(plan.sentence)) + "\n";
  Table table({{"NODE"}, {"WHAT WOULD BE DONE"}});
  for (const auto& item : plan.items) table.AddRow({item.node, item.sentence});
  out += table.Render(2);
  for (const auto& item : plan.items) {
    if (!item.decision) continue;
    out += "\n" + RenderDecision({*item.decision, {}, std::nullopt}, {.max_keys = 20, .planned = true});
  }
  return out + "\nnothing was changed\n";
}

}  // namespace walstitch::cli
