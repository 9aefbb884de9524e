#include "controller/core/decide.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "controller/core/cost.h"
#include "controller/core/fork_answers.h"
#include "controller/core/tail_given_up.h"
#include "policies/evaluate.h"
#include "policies/model/reason_codes.h"

namespace walstitch::core {
namespace {

// What stands in the way of a partial sync. Where all are of kind kLimit, the policy's onLimit says what
// follows; any kFull makes a partial sync impossible whatever it says.
enum class Kind { kFull, kLimit };

struct Objection {
  Kind kind = Kind::kFull;
  Reason reason;
};

class Case {
 public:
  Case(const Evidence& evidence, const TolerancePolicy& policy)
      : evidence_(evidence),
        policy_(policy),
        rejoiner_(evidence.rejoiner.node.empty() ? "the rejoiner" : evidence.rejoiner.node),
        survivor_(evidence.survivor.node.empty() ? "the survivor" : evidence.survivor.node),
        policy_name_(policy.name.empty() ? "the policy" : "policy " + policy.name) {}

  VerdictDecision Decide() {
    if (evidence_.rejoiner.cluster_enabled != evidence_.survivor.cluster_enabled) {
      const bool rejoiner = evidence_.rejoiner.cluster_enabled;
      return Hold(reason::kIncompatible,
                  (rejoiner ? rejoiner_ : survivor_) + " runs in cluster mode and " +
                      (rejoiner ? survivor_ : rejoiner_) +
                      " does not: their keys are encoded differently; give both the same cluster-enabled");
    }
    if (evidence_.expected_to_come && (!evidence_.missing.empty() || Incomplete())) {
      return Hold(reason::kEvidenceMissing, "waiting for evidence that is expected to come: " + Missing());
    }
    if (!evidence_.survivor.last) {
      return Hold(reason::kEvidenceMissing, "it is not known where " + survivor_ +
                                                " stands, so nothing can be synced from it: " + Missing());
    }
    // 1. The master restarts on an empty or an older disk. 2. Its replicas are ahead of it. 3. Each would be
    // made a copy of the poorer history, one after the other, until the last good one is gone.
    if (evidence_.same_stream && evidence_.rejoiner.last &&
        (Ahead() || (evidence_.fork && *evidence_.fork < *evidence_.rejoiner.last))) {
      return Hold(reason::kMasterLostRecords,
                  rejoiner_ + " followed " + survivor_ + " and was never promoted, yet holds records up to " +
                      evidence_.rejoiner.last->ToString() + " that " + survivor_ + " does not: either " +
                      survivor_ + " lost data (then stop it and fail over to " + rejoiner_ +
                      "), or somebody wrote to " + rejoiner_ +
                      " (then empty its data directory and start it again)");
    }
    full_possible_ = true;

    if (Ahead()) {
      ObjectAhead();
      ObjectToFork();
      ObjectToKeyspaces();
    } else {
      ObjectToFork();
      if (objections_.empty()) ObjectToRanges();
      // Also where there is an objection already: people want to know which keyspaces are concerned.
      ObjectToKeyspaces();
      ObjectToLimits();
    }
    prefix_ = objections_.empty() && *evidence_.rejoiner.last == *evidence_.fork &&
              *evidence_.target == *evidence_.fork + 1;
    return Choose();
  }

 private:
  [[nodiscard]] bool Incomplete() const {
    return !evidence_.rejoiner.last || !evidence_.survivor.last || !evidence_.fork ||
           evidence_.proof == ForkProof::kUnknown || (!Ahead() && !evidence_.target) || !TailComplete() ||
           (!Ahead() && !MissedComplete());
  }

  [[nodiscard]] bool Ahead() const {
    return evidence_.rejoiner.last && evidence_.survivor.last &&
           *evidence_.rejoiner.last > *evidence_.survivor.last;
  }

  // Each record of the range was looked at. A sequence without a record (a file that was ingested) is
  // data that nobody listed.
  static bool Covers(const std::optional<Touched>& touched, SequenceRange range) {
    if (range.Empty()) return true;
    return touched && touched->range == range && touched->records >= range.Size();
  }

  [[nodiscard]] SequenceRange TailRange() const {
    return {*evidence_.fork + 1, *evidence_.rejoiner.last + 1};
  }
  [[nodiscard]] SequenceRange MissedRange() const { return {*evidence_.fork + 1, *evidence_.target}; }
  [[nodiscard]] bool TailComplete() const {
    return evidence_.fork && evidence_.rejoiner.last && Covers(evidence_.tail, TailRange());
  }
  [[nodiscard]] bool MissedComplete() const {
    return evidence_.fork && evidence_.target && Covers(evidence_.missed, MissedRange());
  }

  [[nodiscard]] std::string Missing() const {
    std::string text;
    for (const auto& sentence : evidence_.missing) text += (text.empty() ? "" : "; ") + sentence;
    if (!text.empty()) return text;
    if (!evidence_.rejoiner.last) return "the last sequence of " + rejoiner_;
    if (!evidence_.survivor.last) return "the last sequence of " + survivor_;
    if (!evidence_.fork || evidence_.proof == ForkProof::kUnknown) return "the fork";
    if (!evidence_.target && !Ahead()) return "the target";
    if (!TailComplete()) return "all records of the tail " + TailRange().ToString();
    return evidence_.target ? "all records of what is missed " + MissedRange().ToString()
                            : "it is not said what";
  }
  // "; the last sequence of n1" and the like, only where somebody said so.
  [[nodiscard]] std::string Known() const { return evidence_.missing.empty() ? "" : ": " + Missing(); }

  void Object(Kind kind, std::string_view code, std::string sentence) {
    objections_.push_back({kind, {std::string(code), std::move(sentence)}});
  }

  void ObjectAhead() {
    const Sequence last = *evidence_.rejoiner.last;
    const Sequence survivor_last = *evidence_.survivor.last;
    ahead_ = true;
    Object(Kind::kLimit, reason::kRejoinerAhead,
           rejoiner_ + " is ahead: it ends at " + last.ToString() + ", " +
               Count(last - survivor_last, "record") + " after " + survivor_ + ", which ends at " +
               survivor_last.ToString() + "; there is nothing yet to pad it to");
  }

  void ObjectToFork() {
    if (!evidence_.rejoiner.last) {
      return Object(Kind::kFull, reason::kEvidenceMissing,
                    "it is not known where " + rejoiner_ + " stands: " + Missing());
    }
    if (!evidence_.fork || evidence_.proof == ForkProof::kUnknown) {
      const std::string note = !evidence_.fork_note.empty() ? ": " + evidence_.fork_note : Known();
      return Object(Kind::kFull, reason::kForkUnknown,
                    "it is not known where " + rejoiner_ + " and " + survivor_ +
                        " part, so the keys that may differ cannot be named" + note);
    }
    if (evidence_.rejoiner.last->Value() > kMaxSequence) {
      return Object(
          Kind::kFull, reason::kEvidenceMissing,
          rejoiner_ + " is said to end at " + evidence_.rejoiner.last->ToString() + ", which is no sequence");
    }
    const Sequence fork = *evidence_.fork;
    if (fork > *evidence_.rejoiner.last || fork > *evidence_.survivor.last) {
      return Object(Kind::kFull, reason::kForkUnknown,
                    "the fork is said to be " + fork.ToString() + ", but " + rejoiner_ + " ends at " +
                        evidence_.rejoiner.last->ToString() + " and " + survivor_ + " at " +
                        evidence_.survivor.last->ToString());
    }
    if (evidence_.proof == ForkProof::kRecordedPromotion && policy_.require_fork_proof) {
      const std::string note = evidence_.fork_note.empty() ? "" : ": " + evidence_.fork_note;
      Object(Kind::kFull, reason::kForkUnproven,
             "that " + rejoiner_ + " and " + survivor_ + " part at " + fork.ToString() +
                 " is known from the record of a promotion only, and " + policy_name_ +
                 " demands equal batches (requireForkProof)" + note);
    }
  }

  void ObjectToRanges() {
    const Sequence next = *evidence_.rejoiner.last + 1;
    const Sequence fork = *evidence_.fork;
    const auto& rejoiner_oldest = evidence_.rejoiner.oldest;
    const auto& survivor_oldest = evidence_.survivor.oldest;
    if (!evidence_.target) {
      if (survivor_oldest && *survivor_oldest > next) {
        Object(Kind::kFull, reason::kWalPurged,
               rejoiner_ + " needs " + next.ToString() + " next, and the WAL of " + survivor_ +
                   " begins at " + survivor_oldest->ToString());
      } else if (!survivor_oldest && !evidence_.survivor.wal_source.empty()) {
        Object(Kind::kFull, reason::kWalPurged,
               rejoiner_ + " needs " + next.ToString() + " next, and the WAL of " + survivor_ + " is empty");
      } else {
        Object(Kind::kFull, reason::kEvidenceMissing,
               "it is not known where " + rejoiner_ + ", which needs " + next.ToString() +
                   " next, could enter the WAL of " + survivor_ + Known());
      }
      return;
    }
    if (*evidence_.target < next) {
      return Object(Kind::kFull, reason::kEvidenceMissing,
                    "the evidence contradicts itself: " + rejoiner_ + " needs " + next.ToString() +
                        " next, and the target is said to be " + evidence_.target->ToString());
    }
    // Beyond its limit a range is not listed at all: the limit decides, see ObjectToLimits.
    if (!TailComplete() && TailRange().Size() <= policy_.limits.tail) {
      if (rejoiner_oldest && *rejoiner_oldest > fork + 1) {
        Object(Kind::kFull, reason::kWalPurged,
               "the tail " + TailRange().ToString() + " of " + rejoiner_ +
                   " cannot be listed: its WAL begins at " + rejoiner_oldest->ToString());
      } else {
        Object(Kind::kFull, reason::kEvidenceMissing,
               "the tail " + TailRange().ToString() + " of " + rejoiner_ + " could not be listed in full" +
                   Known());
      }
    }
    if (!MissedComplete() && MissedRange().Size() <= policy_.limits.missed) {
      if (survivor_oldest && *survivor_oldest > fork + 1) {
        Object(Kind::kFull, reason::kWalPurged,
               "what " + rejoiner_ + " would miss, " + MissedRange().ToString() +
                   ", cannot be listed: the WAL of " + survivor_ + " begins at " +
                   survivor_oldest->ToString());
      } else {
        Object(Kind::kFull, reason::kEvidenceMissing,
               "what " + rejoiner_ + " would miss, " + MissedRange().ToString() + " of " + survivor_ +
                   ", could not be listed in full" + Known());
      }
    }
  }

  void ObjectToKeyspaces() {
    PolicyFindings findings =
        EvaluateTouched(policy_, evidence_.tail.value_or(Touched{}), evidence_.missed.value_or(Touched{}));
    keyspaces_ = std::move(findings.keyspaces);
    bool said = false;
    for (const auto& keyspace : keyspaces_) {
      if (keyspace.tolerance == Tolerance::kIgnore) continue;
      said = true;
      std::string sentence = "keyspace " + keyspace.keyspace + " is touched (" +
                             Count(keyspace.tail_records, "record") + " of the tail, " +
                             Count(keyspace.missed_records, "record") + " missed, " +
                             Count(keyspace.keys, "key") + ") and " + policy_name_ + " says " +
                             std::string(ToString(keyspace.tolerance)) + " for it (" + keyspace.rule + ")";
      if (keyspace.tolerance != Tolerance::kFullSync) sentence += ", which this version cannot do yet";
      Object(Kind::kFull, reason::kKeyspaceFullSync, std::move(sentence));
    }
    if (!said && findings.strictest != Tolerance::kIgnore) {
      Object(Kind::kFull, reason::kKeyspaceFullSync,
             policy_name_ + " says " + std::string(ToString(findings.strictest)) +
                 " for something that is touched");
    }
    said = false;
    for (const auto& keyspace : keyspaces_) {
      for (const auto& limit : keyspace.limits_passed) {
        said = true;
        Object(Kind::kLimit, reason::kKeyspaceLimit, limit);
      }
    }
    if (!said && findings.limit_passed) {
      Object(Kind::kLimit, reason::kKeyspaceLimit, "a limit of a keyspace in " + policy_name_ + " is passed");
    }
  }

  void ObjectToLimits() {
    const auto check = [&](std::optional<std::uint64_t> value, std::uint64_t limit, std::string_view code,
                           const std::string& what) {
      if (value && *value > limit) {
        Object(Kind::kLimit, code,
               what + ", and " + policy_name_ + " allows " + std::to_string(limit) + " at most");
      }
    };
    const auto pad = evidence_.Pad();
    check(pad, policy_.limits.pad, reason::kPadLimit,
          rejoiner_ + " would have to be padded by " + Count(pad.value_or(0), "sequence"));
    if (!evidence_.fork || !evidence_.rejoiner.last) return;
    // By the sequences, which cannot be too low, rather than by what somebody counted.
    const std::uint64_t tail = TailRange().Size();
    check(tail, policy_.limits.tail, reason::kTailLimit,
          "the tail of " + rejoiner_ + " has " + Count(tail, "record"));
    if (!evidence_.target) return;
    const std::uint64_t missed = MissedRange().Size();
    check(missed, policy_.limits.missed, reason::kMissedLimit,
          rejoiner_ + " would miss " + Count(missed, "record") + " of " + survivor_);
  }

  [[nodiscard]] bool AnyFull() const {
    return std::any_of(objections_.begin(), objections_.end(),
                       [](const Objection& objection) { return objection.kind == Kind::kFull; });
  }

  [[nodiscard]] bool Possible(Verdict verdict) const {
    switch (verdict) {
      case Verdict::kAligned:
        return prefix_;
      case Verdict::kSpliced:
        return false;
      case Verdict::kPadded:
        return full_possible_ && objections_.empty();
      case Verdict::kFull:
        return full_possible_;
      case Verdict::kHold:
        return true;
    }
    return false;
  }

  VerdictDecision Choose() {
    // The policy asks to be asked: about limits where nothing graver stands in the way, and about a
    // rejoiner that is ahead in any case, for there the full sync would give up the longer history.
    if (policy_.on_limit == OnLimit::kHold && !objections_.empty() && (ahead_ || !AnyFull())) {
      return Answer(Verdict::kHold, {});
    }
    std::string passed_over;
    for (const Verdict verdict : {Verdict::kAligned, Verdict::kPadded, Verdict::kFull}) {
      const bool preferred =
          std::find(policy_.prefer.begin(), policy_.prefer.end(), verdict) != policy_.prefer.end();
      if (preferred || !Possible(verdict)) continue;
      passed_over += (passed_over.empty() ? "" : " and ") + std::string(ToString(verdict));
    }
    for (const Verdict verdict : policy_.prefer) {
      if (!Possible(verdict)) continue;
      if (verdict == Verdict::kHold) break;
      std::vector<Reason> reasons;
      const Verdict best = prefix_               ? Verdict::kAligned
                           : objections_.empty() ? Verdict::kPadded
                                                 : Verdict::kFull;
      if (verdict != best) {
        reasons.push_back({std::string(reason::kNotPreferred),
                           std::string(ToString(best)) + " is possible, but " + policy_name_ + " prefers " +
                               std::string(ToString(verdict))});
      }
      return Answer(verdict, std::move(reasons));
    }
    return Answer(
        Verdict::kHold,
        {{std::string(reason::kNotPreferred),
          policy_name_ + " prefers nothing that is possible here" +
              (passed_over.empty() ? std::string() : "; possible, but not preferred: " + passed_over)}});
  }

  VerdictDecision Hold(std::string_view code, std::string sentence) {
    return Answer(Verdict::kHold, {{std::string(code), std::move(sentence)}});
  }

  // The reasons: what stood in the way, what lets the verdict pass, then what the preference changed.
  VerdictDecision Answer(Verdict verdict, std::vector<Reason> preference) {
    VerdictDecision decision;
    decision.verdict = verdict;
    for (const auto& objection : objections_) decision.reasons.push_back(objection.reason);
    if (full_possible_ && objections_.empty()) AddFindings(verdict, &decision.reasons);
    if (full_possible_ && evidence_.rejoiner.last) AddNumberFits(&decision.reasons);
    std::move(preference.begin(), preference.end(), std::back_inserter(decision.reasons));
    if (auto tail = FindTailGivenUp(verdict, evidence_); tail.remark) {
      decision.reasons.push_back(std::move(*tail.remark));
    }
    for (const Verdict other :
         {Verdict::kAligned, Verdict::kSpliced, Verdict::kPadded, Verdict::kFull, Verdict::kHold}) {
      if (other != verdict) decision.alternatives.push_back({other, Possible(other), CostOf(other)});
    }
    decision.keyspaces = std::move(keyspaces_);
    return decision;
  }

  // No objection: fork, target, tail and missed are all known.
  void AddFindings(Verdict verdict, std::vector<Reason>* reasons) const {
    const Sequence fork = *evidence_.fork;
    const Sequence next = *evidence_.rejoiner.last + 1;
    const std::string proof =
        " (fork " + fork.ToString() + ", known by " + std::string(ToString(evidence_.proof)) + ")";
    if (prefix_) {
      reasons->push_back({std::string(reason::kPrefixOfSurvivor),
                          rejoiner_ + " holds nothing that " + survivor_ + " does not hold" + proof +
                              ", and can follow it from " + next.ToString() + " on"});
      return;
    }
    const std::uint64_t pad = *evidence_.Pad();
    const std::string target = evidence_.target->ToString();
    if (verdict == Verdict::kPadded) {
      reasons->push_back({std::string(reason::kWithinPolicy),
                          rejoiner_ + " and " + survivor_ + " part at " + fork.ToString() + " (known by " +
                              std::string(ToString(evidence_.proof)) + "): a tail of " +
                              Count(TailRange().Size(), "record") + " and " +
                              Count(MissedRange().Size(), "missed record") + " touch " + TouchedKeyspaces() +
                              ", and " + policy_name_ + " lets that differ; " + rejoiner_ + " is padded by " +
                              std::to_string(pad) + " to " + target});
    }
  }

  // The case that must not pass unseen, whatever the verdict.
  void AddNumberFits(std::vector<Reason>* reasons) const {
    if (!evidence_.fork || evidence_.proof == ForkProof::kUnknown || !evidence_.target) return;
    const Sequence fork = *evidence_.fork;
    if (*evidence_.rejoiner.last <= fork || *evidence_.target != *evidence_.rejoiner.last + 1) return;
    reasons->push_back(
        {std::string(reason::kNumberFitsHistoriesDiffer),
         "the number fits by chance: " + rejoiner_ + " needs " + evidence_.target->ToString() +
             " next and a batch of " + survivor_ +
             " may begin there, so Kvrocks would resume unnoticed, but the histories differ since " +
             fork.ToString()});
  }

  [[nodiscard]] std::string TouchedKeyspaces() const {
    std::string names;
    for (const auto& keyspace : keyspaces_) {
      if (keyspace.tail_records + keyspace.missed_records + keyspace.keys == 0) continue;
      names += (names.empty() ? "" : ", ") + keyspace.keyspace;
    }
    const std::string keys = std::to_string(DivergenceOf(evidence_).keys);
    if (names.empty()) return "no key";
    return keys + (keys == "1" ? " key" : " keys") + " of " + names;
  }

  [[nodiscard]] std::string CostOf(Verdict verdict) const {
    switch (verdict) {
      case Verdict::kAligned:
        if (prefix_) return "nothing would differ";
        if (!full_possible_ || !evidence_.fork || !evidence_.rejoiner.last)
          return "the common history is not known";
        if (*evidence_.rejoiner.last > *evidence_.fork) {
          return rejoiner_ + " has a tail of " + Count(TailRange().Size(), "record");
        }
        if (!objections_.empty()) return objections_.front().reason.sentence;
        return "no batch of " + survivor_ + " begins at " + (*evidence_.rejoiner.last + 1).ToString();
      case Verdict::kSpliced:
        return "this version cannot splice yet";
      case Verdict::kPadded: {
        if (!full_possible_) return "the evidence does not allow it";
        const Divergence divergence = DivergenceOf(evidence_);
        if (objections_.empty()) return Describe(divergence) + " would differ";
        const bool weighed = evidence_.fork && evidence_.target && TailComplete() && MissedComplete();
        return objections_.front().reason.sentence +
               (weighed ? "; " + Describe(divergence) + " would differ" : std::string());
      }
      case Verdict::kFull: {
        if (!full_possible_) return "there is nothing to copy from yet";
        std::string cost = "a copy of the whole data set of " + survivor_;
        if (evidence_.fork && evidence_.rejoiner.last && *evidence_.rejoiner.last > *evidence_.fork) {
          cost += "; the tail of " + Count(TailRange().Size(), "record") + " is given up";
        }
        return cost;
      }
      case Verdict::kHold:
        return rejoiner_ + " stays parked and out of service";
    }
    return "";
  }

  const Evidence& evidence_;
  const TolerancePolicy& policy_;
  const std::string rejoiner_;
  const std::string survivor_;
  const std::string policy_name_;
  std::vector<Objection> objections_;
  std::vector<KeyspaceFinding> keyspaces_;
  bool full_possible_ = false;  // nothing forbids to act at all
  bool ahead_ = false;
  bool prefix_ = false;
};

}  // namespace

VerdictDecision Decide(const Evidence& evidence, const TolerancePolicy& policy) {
  return Case(evidence, policy).Decide();
}

}  // namespace walstitch::core
