#include "tests/demo/summary.h"

#include <algorithm>
#include <cstdio>

#include "controller/cli/table.h"
#include "controller/cli/text.h"
#include "policies/model/bytes.h"

namespace walstitch::demo {
namespace {

// "1/13", or "0.7" where it is not much less.
std::string Fraction(double part, double whole) {
  if (whole <= 0) return "";
  if (part <= 0) return "0";
  char text[32];
  if (part * 2 <= whole) {
    std::snprintf(text, sizeof text, "1/%.0f", whole / part);
  } else {
    std::snprintf(text, sizeof text, "%.1f", part / whole);
  }
  return text;
}

}  // namespace

std::string Summarize(const std::vector<Rejoined>& scenes) {
  const auto full = std::find_if(scenes.begin(), scenes.end(), [](const Rejoined& rejoined) {
    return rejoined.record.decision.verdict->verdict == Verdict::kFull;
  });
  cli::Table table({{"", cli::Align::kRight},
                    {"VERDICT"},
                    {"REASON"},
                    {"PAD", cli::Align::kRight},
                    {"KEYS", cli::Align::kRight},
                    {"TOOK", cli::Align::kRight},
                    {"SENT", cli::Align::kRight},
                    {"OF FULL TIME", cli::Align::kRight},
                    {"OF FULL BYTES", cli::Align::kRight}});
  int number = 0;
  for (const Rejoined& rejoined : scenes) {
    const DecisionRecord& record = rejoined.record;
    const VerdictDecision& verdict = *record.decision.verdict;
    const OutcomeRecord& outcome = *record.outcome;
    std::vector<std::string> against(2);
    if (full != scenes.end()) {
      const OutcomeRecord& copy = *full->record.outcome;
      against = {
          Fraction(static_cast<double>(outcome.took_ms), static_cast<double>(copy.took_ms)),
          Fraction(static_cast<double>(outcome.bytes_to_node), static_cast<double>(copy.bytes_to_node))};
    }
    const bool padded = verdict.verdict == Verdict::kPadded;
    const auto pad = padded && record.decision.evidence ? record.decision.evidence->Pad() : std::nullopt;
    // The chance hit is the point of its scene, and stands behind what allows it.
    const Reason& reason = pad == 0u ? verdict.reasons.back() : verdict.reasons.front();
    table.AddRow({std::to_string(++number), std::string(ToString(verdict.verdict)), reason.code,
                  pad ? std::to_string(*pad) : "", std::to_string(rejoined.differing_keys),
                  cli::FormatDuration(outcome.took_ms), HumanBytes(outcome.bytes_to_node), against[0],
                  against[1]});
  }
  return table.Render(0);
}

}  // namespace walstitch::demo
