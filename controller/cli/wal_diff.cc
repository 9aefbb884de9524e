// `walstitch wal diff`: two histories, side by side.
#include <boost/json.hpp>
#include <map>
#include <optional>
#include <set>

#include "controller/cli/find_fork.h"
#include "controller/cli/render_decision.h"
#include "controller/cli/table.h"
#include "controller/cli/text.h"
#include "controller/cli/wal_shared.h"
#include "policies/evaluate.h"
#include "policies/loader.h"
#include "policies/model/bytes.h"
#include "policies/model/json.h"

namespace walstitch::cli {
namespace {

struct Side {
  NamedSource& wal;
  std::optional<wal::DatabaseLock> lock;
  WalExtent extent;
  std::optional<Touched> after;  // the fork
};

ExitCode Complain(const Console& console, const Error& error) {
  // A range that was there a moment ago and is purged now: nothing is known of the fork.
  if (error.Code() == ErrorCode::kNotFound) return console.Complain(ExitCode::kUnknown, error.Message());
  return console.Complain(error);
}

// What the two can differ in after a partial sync, one row for each keyspace or namespace.
struct DivergenceRow {
  std::string name;
  std::string tolerance;  // by the policy
  std::string rule;       // where it stands
  std::uint64_t tail_records = 0;
  std::uint64_t missed_records = 0;
  std::uint64_t keys = 0;
  std::uint64_t bytes = 0;
};
struct Divergence {
  bool by_keyspace = false;
  bool truncated = false;
  std::vector<DivergenceRow> rows;
};

ExitCode Complain(const Console& console, const NamedSource& wal, const Error& error) {
  const bool named = error.Message().starts_with(wal.name);
  return Complain(console, named ? error : error.Within(wal.name));
}

Result<Touched> TouchedIn(const NamedSource& wal, SequenceRange range, bool cluster) {
  if (range.Empty()) {
    Touched nothing;
    nothing.range = {range.from, range.from};
    return nothing;
  }
  wal::TouchOptions touch;
  touch.slot_encoded = cluster;
  return wal::ListTouched(*wal.source, range, touch);
}

Divergence ByKeyspace(const TolerancePolicy& policy, const Touched& tail, const Touched& missed) {
  Divergence divergence;
  divergence.by_keyspace = true;
  for (const KeyspaceFinding& finding : EvaluateTouched(policy, tail, missed).keyspaces) {
    divergence.rows.push_back({finding.keyspace, std::string(ToString(finding.tolerance)), finding.rule,
                               finding.tail_records, finding.missed_records, finding.keys, finding.bytes});
  }
  return divergence;
}

Divergence ByNamespace(const Touched& tail, const Touched& missed) {
  struct Entry {
    DivergenceRow row;
    std::set<std::string_view> keys;
  };
  std::map<std::string, Entry> entries;
  const auto add = [&entries](const Touched& touched, std::uint64_t DivergenceRow::*records) {
    for (const TouchedKey& key : touched.keys) {
      const bool internal = !key.internal.empty();
      Entry& entry = entries[internal ? "internal/" + key.internal : ShowNamespace(key.name_space)];
      entry.row.*records += key.records;
      entry.row.bytes += key.bytes;
      if (!internal) entry.keys.insert(key.key);
    }
    if (touched.range_deletes > 0) entries["internal/flush"].row.*records += touched.range_deletes;
  };
  add(tail, &DivergenceRow::tail_records);
  add(missed, &DivergenceRow::missed_records);
  Divergence divergence;
  for (auto& [name, entry] : entries) {
    entry.row.name = name;
    entry.row.keys = entry.keys.size();
    divergence.rows.push_back(std::move(entry.row));
  }
  return divergence;
}

std::string RenderDivergence(const Divergence& divergence) {
  if (divergence.rows.empty()) return "\nno divergent keys\n";
  Table table({{divergence.by_keyspace ? "KEYSPACE" : "NAMESPACE"},
               {"ON DIVERGENCE"},
               {"TAIL RECORDS", Align::kRight},
               {"MISSED RECORDS", Align::kRight},
               {"KEYS", Align::kRight},
               {"BYTES", Align::kRight},
               {"RULE"}});
  for (const DivergenceRow& row : divergence.rows) {
    table.AddRow({row.name, row.tolerance, std::to_string(row.tail_records),
                  std::to_string(row.missed_records), std::to_string(row.keys), HumanBytes(row.bytes),
                  row.rule});
  }
  std::string out = "\ndivergent keys, should A follow B from there\n" + table.Render(2);
  if (divergence.truncated) out += "  more keys than are listed: the counts of keys are too low\n";
  return out;
}

boost::json::object DivergenceJson(const Divergence& divergence) {
  boost::json::array rows;
  for (const DivergenceRow& row : divergence.rows) {
    boost::json::object json;
    json[divergence.by_keyspace ? "keyspace" : "namespace"] = row.name;
    if (!row.tolerance.empty()) json["on_divergence"] = row.tolerance;
    if (!row.rule.empty()) json["rule"] = Clean(row.rule);
    json["tail_records"] = row.tail_records;
    json["missed_records"] = row.missed_records;
    json["keys"] = row.keys;
    json["bytes"] = row.bytes;
    rows.push_back(std::move(json));
  }
  return {{"by", divergence.by_keyspace ? "keyspace" : "namespace"},
          {"truncated", divergence.truncated},
          {"rows", std::move(rows)}};
}

std::string RenderAfter(std::string_view letter, const Side& side, std::uint64_t max_keys) {
  std::string out = "\nafter the fork, " + std::string(letter) + ": ";
  if (!side.after) return out + "unknown\n";
  const Touched& after = *side.after;
  if (after.records == 0) return out + "nothing\n";
  out += DescribeTouched(after) + "\n";
  Table table({{"NAMESPACE"}, {"KEY"}, {"TYPE"}, {"RECORDS", Align::kRight}, {"BYTES", Align::kRight}});
  for (std::size_t i = 0; i < after.keys.size() && i < max_keys; ++i) {
    const TouchedKey& key = after.keys[i];
    table.AddRow({key.internal.empty() ? ShowNamespace(key.name_space) : "internal/" + key.internal,
                  ToPrintable(key.key), Join(key.types, ","), std::to_string(key.records),
                  HumanBytes(key.bytes)});
  }
  out += table.Render(2);
  if (after.keys.size() > max_keys) {
    out +=
        "  and " + std::to_string(after.keys.size() - max_keys) + " more (--max-keys N, or --output json)\n";
  }
  return out;
}

boost::json::value SideJson(const Side& side) {
  boost::json::object json = SourceJson(side.wal, side.lock);
  json["extent"] = ToJson(side.extent);
  if (side.after) json["after_fork"] = ToJson(*side.after);
  return json;
}

}  // namespace

ExitCode WalDiffCommand(const Console& console, NamedSource& a, NamedSource& b,
                        const WalDiffOptions& options) {
  std::optional<TolerancePolicy> policy;
  if (!options.policy_paths.empty()) {
    auto loaded = LoadPolicyPaths(options.policy_paths);
    if (!loaded) return console.Complain(loaded.error());
    policy = std::move(*loaded);
  }
  Side sides[] = {{a, LockOf(a), {}, {}}, {b, LockOf(b), {}, {}}};
  for (auto& side : sides) {
    auto extent = side.wal.source->Extent();
    if (!extent) return Complain(console, side.wal, extent.error());
    side.extent = std::move(*extent);
  }
  core::KnownHistory known;
  if (options.from) known.shared_from = Sequence(*options.from);
  auto found = FindFork({a.name, *a.source, sides[0].extent}, {b.name, *b.source, sides[1].extent}, known);
  if (!found) return Complain(console, found.error());
  const core::ForkSearch::Answer& answer = found->answer;

  std::optional<Sequence> boundary;
  std::optional<Divergence> divergence;
  bool both_went_on = answer.fork.has_value();
  if (answer.fork) {
    const Sequence after_fork = *answer.fork + 1;
    for (auto& side : sides) {
      const SequenceRange range{after_fork, side.extent.last.value_or(Sequence(0)) + 1};
      if (range.Empty()) both_went_on = false;
      auto after = TouchedIn(side.wal, range, options.cluster);
      if (!after) return Complain(console, side.wal, after.error());
      side.after = std::move(*after);
    }
    if (sides[0].extent.last) {
      // Beyond b's end there is no boundary; that is no error here.
      auto at_or_after = b.source->BoundaryAtOrAfter(*sides[0].extent.last + 1);
      if (at_or_after) boundary = *at_or_after;
    }
    if (both_went_on) {
      // What is written behind the boundary, a partial sync brings.
      const SequenceRange missed_range{after_fork, boundary.value_or(sides[1].after->range.to)};
      auto missed = TouchedIn(b, missed_range, options.cluster);
      if (!missed) return Complain(console, b, missed.error());
      const Touched& tail = *sides[0].after;
      divergence = policy ? ByKeyspace(*policy, tail, *missed) : ByNamespace(tail, *missed);
      divergence->truncated = tail.truncated || missed->truncated;
    }
  }
  const ExitCode code = !answer.fork ? ExitCode::kUnknown : both_went_on ? ExitCode::kNo : ExitCode::kDone;

  if (console.json) {
    boost::json::object json;
    if (answer.fork) json["fork"] = answer.fork->Value();
    json["proof"] = ToString(answer.proof);
    json["note"] = Clean(answer.note);
    json["differ"] = both_went_on;
    if (boundary) json["boundary_of_b_for_a"] = boundary->Value();
    if (divergence) json["divergent"] = DivergenceJson(*divergence);
    json["a"] = SideJson(sides[0]);
    json["b"] = SideJson(sides[1]);
    console.PrintJson(json);
    return code;
  }
  Table table({{"SIDE"}, {"OLDEST", Align::kRight}, {"LAST", Align::kRight}, {"WAL"}, {"STATE"}});
  const char* words[] = {"A, as rejoiner", "B, as survivor"};
  for (std::size_t i = 0; i < 2; ++i) {
    const Side& side = sides[i];
    table.AddRow({words[i], ShowSequence(side.extent.oldest), ShowSequence(side.extent.last), side.wal.name,
                  side.lock ? Describe(*side.lock) : ""});
  }
  std::string out = table.Render();
  out += "\nfork: " + (answer.fork ? answer.fork->ToString() : std::string("unknown")) + " (" + answer.note +
         ")\n";
  if (answer.fork) {
    const bool a_has = sides[0].after->records > 0;
    const bool b_has = sides[1].after->records > 0;
    if (both_went_on) {
      out += "the histories differ: both went on by themselves after " + answer.fork->ToString() + "\n";
    } else if (!a_has && !b_has) {
      out += "the histories are the same\n";
    } else {
      out += std::string("the histories agree: ") + (a_has ? "B is behind A" : "A is behind B") + "\n";
    }
    out += RenderAfter("A", sides[0], options.max_keys) + RenderAfter("B", sides[1], options.max_keys);
    if (both_went_on && boundary) {
      const Sequence next = *sides[0].extent.last + 1;
      out += "\nA's next is " + next.ToString() + ", B's first boundary at or after it is " +
             boundary->ToString() + ": a pad of " + std::to_string(*boundary - next) + "\n";
      if (*boundary == next)
        out += "the number fits: Kvrocks would resume here, and not notice that they differ\n";
    }
    if (divergence) out += RenderDivergence(*divergence);
  }
  console.Print(out);
  return code;
}

}  // namespace walstitch::cli
