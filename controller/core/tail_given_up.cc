#include "controller/core/tail_given_up.h"

#include <string>
#include <string_view>
#include <utility>

#include "controller/core/fork_answers.h"
#include "policies/model/reason_codes.h"

namespace walstitch::core {

namespace {

TailGivenUp NotSalvaged(std::string why) {
  TailGivenUp tail;
  tail.remark = Reason{std::string(reason::kTailNotSalvaged), "nothing is salvaged: " + std::move(why)};
  return tail;
}

// Where the tail begins: known, or only recorded.
struct Parting {
  Sequence at;
  bool recorded = false;
};

std::optional<Parting> PartingOf(const Evidence& evidence, Sequence last) {
  if (evidence.fork && evidence.proof != ForkProof::kUnknown && *evidence.fork <= last) {
    return Parting{*evidence.fork, false};
  }
  if (evidence.promoted_at) return Parting{*evidence.promoted_at, true};
  return std::nullopt;
}

}  // namespace

TailGivenUp FindTailGivenUp(Verdict verdict, const Evidence& evidence) {
  if (verdict != Verdict::kPadded && verdict != Verdict::kFull && verdict != Verdict::kSpliced) return {};
  const std::string node = evidence.rejoiner.node.empty() ? "the rejoiner" : evidence.rejoiner.node;
  if (!evidence.rejoiner.last || evidence.rejoiner.last->Value() > kMaxSequence) {
    return NotSalvaged("it is not known where " + node + " ends");
  }
  const Sequence last = *evidence.rejoiner.last;
  if (last == Sequence(0)) return {};  // a new server holds nothing
  const std::optional<Parting> parting = PartingOf(evidence, last);
  if (!parting) {
    return NotSalvaged("neither the fork is known nor a promotion on record, so nothing of what " + node +
                       " holds can be called its tail");
  }
  if (parting->recorded && parting->at >= last) {
    return NotSalvaged("the fork is not known, and " + node + " ends at " + last.ToString() +
                       ", not after the promotion on record at " + parting->at.ToString() +
                       ": nothing that it holds can be called its tail");
  }
  TailGivenUp tail;
  tail.fork = parting->at;
  const SequenceRange whole{tail.fork + 1, last + 1};
  if (whole.Empty()) return tail;
  if (!evidence.rejoiner.oldest && !evidence.rejoiner.wal_source.empty()) {
    return NotSalvaged("the WAL of " + node + " is empty, so the records of its tail " + whole.ToString() +
                       " are there no more");
  }
  SequenceRange range = whole;
  std::string lacks;
  if (evidence.rejoiner.oldest && *evidence.rejoiner.oldest > whole.from) {
    const std::string begins =
        "the WAL of " + node + " begins at " + evidence.rejoiner.oldest->ToString() + " only";
    if (*evidence.rejoiner.oldest > last) {
      return NotSalvaged(begins + ", so the records of its tail " + whole.ToString() + " are there no more");
    }
    range.from = *evidence.rejoiner.oldest;
    lacks = begins + ", so " + SequenceRange{whole.from, range.from}.ToString() + " cannot be kept";
  }
  if (parting->recorded) {
    lacks += std::string(lacks.empty() ? "" : "; ") +
             "the fork is not known, so it is counted from the promotion on record at " +
             parting->at.ToString();
  }
  tail.range = range;
  if (!lacks.empty()) {
    tail.remark = Reason{std::string(reason::kTailSalvagedInPart),
                         "of the tail of " + node + ", " + range.ToString() + " is salvaged: " + lacks};
  }
  return tail;
}

}  // namespace walstitch::core
