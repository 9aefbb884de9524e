#include "controller/shell/decision_event.h"

#include <algorithm>

namespace walstitch::shell {
namespace {

// Kubernetes takes no longer ones.
constexpr std::size_t kMaxMessage = 1024;

std::string RejoinReason(const Decision& decision) {
  if (!decision.verdict) return "Rejoin";
  switch (decision.verdict->verdict) {
    case Verdict::kAligned:
      return "RejoinedAligned";
    case Verdict::kSpliced:
      return "RejoinedSpliced";
    case Verdict::kPadded:
      return "RejoinedPadded";
    case Verdict::kFull:
      return "FullSync";
    case Verdict::kHold:
      return decision.plan.empty() ? "Held" : "Parked";
  }
  return "Rejoin";
}

std::string ReasonOf(const Decision& decision, bool done) {
  switch (decision.kind) {
    case DecisionKind::kRejoin:
      return done ? RejoinReason(decision) : "RejoinFailed";
    case DecisionKind::kFailover:
      return done ? "Promoted" : "FailoverFailed";
    case DecisionKind::kSwitchover:
      return done ? "Promoted" : "SwitchoverFailed";
    case DecisionKind::kBootstrap:
      return done ? "Promoted" : "BootstrapFailed";
    case DecisionKind::kAdopt:
      return done ? "Adopted" : "AdoptFailed";
    case DecisionKind::kRelease:
      return done ? "Released" : "ReleaseFailed";
    case DecisionKind::kMaintenance:
      return "Maintenance";
    case DecisionKind::kReplay:
      return done ? "Replayed" : "ReplayFailed";
    case DecisionKind::kRefusal:
      return "Refused";
    case DecisionKind::kPause:
    case DecisionKind::kResume:
    case DecisionKind::kUnblock:
      return "";  // of a group, and of no pod
  }
  return "";
}

// Without cutting a character of UTF-8 in two.
std::string Cut(std::string text, std::size_t most) {
  if (text.size() <= most) return text;
  std::size_t end = most;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  text.resize(end);
  return text;
}

}  // namespace

std::optional<DecisionEvent> EventOf(const DecisionRecord& closed) {
  const Decision& decision = closed.decision;
  if (!closed.outcome) return std::nullopt;
  const bool done = closed.outcome->outcome == Outcome::kDone;
  DecisionEvent event;
  event.reason = ReasonOf(decision, done);
  event.pod = decision.node.empty() ? decision.survivor : decision.node;
  if (event.reason.empty() || event.pod.empty()) return std::nullopt;
  const bool hold = decision.verdict && decision.verdict->verdict == Verdict::kHold && decision.plan.empty();
  event.warning = !done || hold || decision.kind == DecisionKind::kRefusal;
  std::string sentence = closed.outcome->sentence;
  // What was refused, and why, the decision itself says.
  if (decision.kind == DecisionKind::kRefusal && !decision.reasons.empty())
    sentence = decision.reasons.front().sentence;
  const std::string tail = " (walstitch decisions show " + decision.id + ")";
  event.message = Cut(std::move(sentence), kMaxMessage - std::min(kMaxMessage, tail.size())) + tail;
  return event;
}

}  // namespace walstitch::shell
