// `walstitch wal diff`: two histories, side by side.
#include <boost/json.hpp>
#include <optional>

#include "controller/cli/find_fork.h"
#include "controller/cli/render_decision.h"
#include "controller/cli/table.h"
#include "controller/cli/text.h"
#include "controller/cli/wal_commands.h"
#include "policies/model/bytes.h"
#include "policies/model/json.h"

namespace walstitch::cli {
namespace {

struct Side {
  NamedSource& wal;
  WalExtent extent;
  std::optional<Touched> after;  // the fork
};

ExitCode Complain(const Console& console, const Error& error) {
  // A range that was there a moment ago and is purged now: nothing is known of the fork.
  if (error.Code() == ErrorCode::kNotFound) return console.Complain(ExitCode::kUnknown, error.Message());
  return console.Complain(error);
}
ExitCode Complain(const Console& console, const NamedSource& wal, const Error& error) {
  const bool named = error.Message().starts_with(wal.name);
  return Complain(console, named ? error : error.Within(wal.name));
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
  boost::json::object json;
  json["wal"] = Clean(side.wal.name);
  json["extent"] = ToJson(side.extent);
  if (side.after) json["after_fork"] = ToJson(*side.after);
  return json;
}

}  // namespace

ExitCode WalDiffCommand(const Console& console, NamedSource& a, NamedSource& b,
                        const WalDiffOptions& options) {
  Side sides[] = {{a, {}, {}}, {b, {}, {}}};
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
  bool both_went_on = answer.fork.has_value();
  if (answer.fork) {
    for (auto& side : sides) {
      const Sequence last = side.extent.last.value_or(Sequence(0));
      const SequenceRange range{*answer.fork + 1, last + 1};
      if (range.Empty()) {
        both_went_on = false;
        side.after = Touched{};
        side.after->range = {range.from, range.from};
        continue;
      }
      wal::TouchOptions touch;
      touch.slot_encoded = options.cluster;
      auto after = wal::ListTouched(*side.wal.source, range, touch);
      if (!after) return Complain(console, side.wal, after.error());
      side.after = std::move(*after);
    }
    if (sides[0].extent.last) {
      // Beyond b's end there is no boundary; that is no error here.
      auto at_or_after = b.source->BoundaryAtOrAfter(*sides[0].extent.last + 1);
      if (at_or_after) boundary = *at_or_after;
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
    json["a"] = SideJson(sides[0]);
    json["b"] = SideJson(sides[1]);
    console.PrintJson(json);
    return code;
  }
  Table table({{"SIDE"}, {"OLDEST", Align::kRight}, {"LAST", Align::kRight}, {"WAL"}});
  const char* words[] = {"A, as rejoiner", "B, as survivor"};
  for (std::size_t i = 0; i < 2; ++i) {
    const WalExtent& extent = sides[i].extent;
    table.AddRow({words[i], extent.oldest ? extent.oldest->ToString() : "none",
                  extent.last ? extent.last->ToString() : "none", sides[i].wal.name});
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
    }
  }
  console.Print(out);
  return code;
}

}  // namespace walstitch::cli
