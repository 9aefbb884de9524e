#include "controller/core/decide.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "controller/core/cost.h"
#include "controller/core/endangered.h"
#include "controller/core/fork_answers.h"
#include "controller/core/plan.h"
#include "controller/core/repair.h"
#include "controller/core/tail_given_up.h"
#include "policies/evaluate.h"
#include "policies/model/bytes.h"
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

    ObjectToFork();
    ObjectToSplice();
    if (Ahead()) {
      ObjectAhead();
      if (evidence_.fork) ObjectToMissed();
      keyspaces_ = ObjectToKeyspaces(evidence_.tail, evidence_.missed, &objections_);
      ObjectToRepairs(Verdict::kPadded, &objections_);
    } else {
      if (objections_.empty()) ObjectToRanges();
      // Also where there is an objection already: people want to know which keyspaces are concerned.
      keyspaces_ = ObjectToKeyspaces(evidence_.tail, evidence_.missed, &objections_);
      ObjectToRepairs(Verdict::kPadded, &objections_);
      ObjectToLimits();
    }
    prefix_ = objections_.empty() && *evidence_.rejoiner.last == *evidence_.fork &&
              (Borrows() || *evidence_.target == *evidence_.fork + 1);
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
  // Where the rejoiner is ahead, it would miss all that the survivor wrote.
  [[nodiscard]] SequenceRange MissedRange() const {
    return {*evidence_.fork + 1, evidence_.target ? *evidence_.target : *evidence_.survivor.last + 1};
  }
  // What of the tail a splice does not settle.
  [[nodiscard]] SequenceRange OwnTailRange() const {
    const Sequence last = *evidence_.rejoiner.last;
    return {*evidence_.fork + 1, (evidence_.own_last ? std::min(*evidence_.own_last, last) : last) + 1};
  }
  [[nodiscard]] bool TailComplete() const {
    return evidence_.fork && evidence_.rejoiner.last && Covers(evidence_.tail, TailRange());
  }
  [[nodiscard]] bool MissedComplete() const {
    return evidence_.fork && (evidence_.target || Ahead()) && Covers(evidence_.missed, MissedRange());
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
    Object(kind, code, std::move(sentence), &objections_);
  }
  static void Object(Kind kind, std::string_view code, std::string sentence, std::vector<Objection>* to) {
    to->push_back({kind, {std::string(code), std::move(sentence)}});
  }

  void ObjectAhead() {
    const Sequence last = *evidence_.rejoiner.last;
    const Sequence survivor_last = *evidence_.survivor.last;
    ahead_ = true;
    Objection ahead{Kind::kLimit,
                    {std::string(reason::kRejoinerAhead),
                     rejoiner_ + " is ahead: it ends at " + last.ToString() + ", " +
                         Count(last - survivor_last, "record") + " after " + survivor_ + ", which ends at " +
                         survivor_last.ToString() + "; there is nothing yet to pad it to"}};
    objections_.insert(objections_.begin(), std::move(ahead));
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
    const auto& survivor_oldest = evidence_.survivor.oldest;
    if (Borrows()) return ObjectToBorrow();
    if (!evidence_.target) {
      if (survivor_oldest && *survivor_oldest > next) {
        Object(Kind::kFull, reason::kWalPurged,
               rejoiner_ + " needs " + next.ToString() + " next, and the WAL of " + survivor_ +
                   " begins at " + survivor_oldest->ToString() + WhyNotBorrowed());
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
    ObjectToTail(TailRange(), evidence_.tail, &objections_);
    ObjectToMissed();
  }

  // The rejoiner has no tail, and another node lends what the survivor's WAL no longer holds.
  [[nodiscard]] bool Borrows() const {
    return evidence_.borrow && !evidence_.target && evidence_.fork && evidence_.rejoiner.last &&
           *evidence_.fork == *evidence_.rejoiner.last && policy_.limits.borrow_bytes > 0 &&
           evidence_.borrow->range.from == *evidence_.fork + 1;
  }

  void ObjectToBorrow() {
    const BorrowEvidence& borrow = *evidence_.borrow;
    if (borrow.bytes <= policy_.limits.borrow_bytes) return;
    Object(Kind::kLimit, reason::kBorrowLimit,
           "what " + borrow.lender + " would lend to " + rejoiner_ + ", " + borrow.range.ToString() +
               ", which the WAL of " + survivor_ + " no longer holds, is about " + HumanBytes(borrow.bytes) +
               ", and " + policy_name_ + " allows " + HumanBytes(policy_.limits.borrow_bytes) +
               " at most (limits.borrow)");
  }

  [[nodiscard]] std::string WhyNotBorrowed() const {
    if (policy_.limits.borrow_bytes == 0) return ", and " + policy_name_ + " lets nothing be borrowed";
    return evidence_.borrow_note.empty() ? "" : "; nobody lends what is between: " + evidence_.borrow_note;
  }

  void ObjectToMissed() {
    const Sequence fork = *evidence_.fork;
    const auto& survivor_oldest = evidence_.survivor.oldest;
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

  void ObjectToTail(SequenceRange range, const std::optional<Touched>& tail, std::vector<Objection>* to) {
    // Beyond its limit a range is not listed at all: the limit decides.
    if (Covers(tail, range) || range.Size() > policy_.limits.tail) return;
    const auto& oldest = evidence_.rejoiner.oldest;
    if (oldest && *oldest > *evidence_.fork + 1) {
      return Object(Kind::kFull, reason::kWalPurged,
                    "the tail " + range.ToString() + " of " + rejoiner_ +
                        " cannot be listed: its WAL begins at " + oldest->ToString(),
                    to);
    }
    Object(Kind::kFull, reason::kEvidenceMissing,
           "the tail " + range.ToString() + " of " + rejoiner_ + " could not be listed in full" + Known(),
           to);
  }

  // What stands in the way of a splice, by which nothing is missed: only the tail's keys may differ. The
  // objections to the fork were made before.
  void ObjectToSplice() {
    splice_objections_ = objections_;
    if (!HasTail()) return;
    const Sequence after_fork = *evidence_.fork + 1;
    if (!evidence_.replay_from) {
      Object(Kind::kFull, reason::kWalPurged,
             "what " + survivor_ + " wrote since the fork at " + evidence_.fork->ToString() +
                 " cannot be replayed: its WAL " +
                 (evidence_.survivor.oldest ? "begins at " + evidence_.survivor.oldest->ToString()
                                            : std::string("does not reach back to it")),
             &splice_objections_);
    } else if (*evidence_.replay_from != after_fork) {
      Object(Kind::kFull, reason::kEvidenceMissing,
             "no batch of " + survivor_ + " begins at " + after_fork.ToString() + ", behind the fork",
             &splice_objections_);
    }
    // An undo names what it leaves of the whole tail.
    if (!evidence_.undo || evidence_.own_last)
      ObjectToTail(OwnTailRange(), evidence_.OwnTail(), &splice_objections_);
    splice_left_ = LeftBySplice(evidence_);
    splice_keyspaces_ = ObjectToKeyspaces(splice_left_, std::nullopt, &splice_objections_);
    ObjectToRepairs(Verdict::kSpliced, &splice_objections_);
    const std::uint64_t own = OwnTailRange().Size();
    const std::uint64_t shift = evidence_.Shift();
    ObjectToLimit(own, policy_.limits.tail, reason::kTailLimit,
                  "the tail of " + rejoiner_ + " has " + Count(own, "record"), &splice_objections_);
    ObjectToLimit(shift, policy_.limits.advance_master, reason::kAdvanceLimit,
                  survivor_ + " would have to be advanced by " + Count(shift, "no-op record"),
                  &splice_objections_);
    if (evidence_.splices_failed >= kMostSplices) {
      Object(Kind::kLimit, reason::kSpliceFailed,
             "splicing " + rejoiner_ + " has failed " + std::to_string(evidence_.splices_failed) +
                 " times in a row: " + evidence_.splice_failure,
             &splice_objections_);
    }
  }

  std::vector<KeyspaceFinding> ObjectToKeyspaces(const std::optional<Touched>& tail,
                                                 const std::optional<Touched>& missed,
                                                 std::vector<Objection>* to) {
    const PolicyFindings findings =
        EvaluateTouched(policy_, tail.value_or(Touched{}), missed.value_or(Touched{}));
    bool said = false;
    for (const auto& keyspace : findings.keyspaces) {
      if (keyspace.tolerance == Tolerance::kIgnore) continue;
      said = true;
      const bool internal = keyspace.keyspace.starts_with("internal/");
      if (keyspace.tolerance != Tolerance::kFullSync && !internal) continue;
      std::string sentence = "keyspace " + keyspace.keyspace + " is touched (" +
                             Count(keyspace.tail_records, "record") + " of the tail, " +
                             Count(keyspace.missed_records, "record") + " missed, " +
                             Count(keyspace.keys, "key") + ") and " + policy_name_ + " says " +
                             std::string(ToString(keyspace.tolerance)) + " for it (" + keyspace.rule + ")";
      if (keyspace.tolerance != Tolerance::kFullSync)
        sentence += ", which cannot be done to what is of no key";
      Object(Kind::kFull, reason::kKeyspaceFullSync, std::move(sentence), to);
    }
    if (!said && findings.strictest != Tolerance::kIgnore) {
      Object(Kind::kFull, reason::kKeyspaceFullSync,
             policy_name_ + " says " + std::string(ToString(findings.strictest)) +
                 " for something that is touched",
             to);
    }
    said = false;
    for (const auto& keyspace : findings.keyspaces) {
      for (const auto& limit : keyspace.limits_passed) {
        said = true;
        Object(Kind::kLimit, reason::kKeyspaceLimit, limit, to);
      }
    }
    if (!said && findings.limit_passed) {
      Object(Kind::kLimit, reason::kKeyspaceLimit, "a limit of a keyspace in " + policy_name_ + " is passed",
             to);
    }
    return findings.keyspaces;
  }

  // What keeps the keys that the verdict would let differ from being made equal afterwards.
  void ObjectToRepairs(Verdict verdict, std::vector<Objection>* to) {
    const std::vector<RepairKeys>& repairs = repairs_[verdict] = FindRepairs(verdict, evidence_, policy_);
    const bool undoes = verdict == Verdict::kSpliced && evidence_.undo && evidence_.undo->keys > 0;
    if (!evidence_.repair_failure.empty() && (!repairs.empty() || undoes)) {
      Object(Kind::kFull, reason::kRepairFailed,
             "it was tried before, and " + rejoiner_ +
                 " was not seen to become equal: " + evidence_.repair_failure,
             to);
    }
    if (!evidence_.unrepairable) return;
    std::map<UserKeyName, std::string> cannot;
    for (const KeyProblem& problem : *evidence_.unrepairable) cannot.emplace(problem.name, problem.why);
    for (const RepairKeys& each : repairs) {
      if (each.how != Tolerance::kRepair) continue;
      const auto first = std::find_if(each.keys.begin(), each.keys.end(),
                                      [&](const UserKeyName& name) { return cannot.contains(name); });
      if (first == each.keys.end()) continue;
      const auto count = std::count_if(each.keys.begin(), each.keys.end(),
                                       [&](const UserKeyName& name) { return cannot.contains(name); });
      Object(Kind::kFull, reason::kNotRepairable,
             "of keyspace " + each.keyspace + ", " + Count(static_cast<std::uint64_t>(count), "key") +
                 " cannot be repaired: " + ToPrintable(first->key) + ": " + cannot.at(*first),
             to);
    }
  }

  void ObjectToLimit(std::optional<std::uint64_t> value, std::uint64_t limit, std::string_view code,
                     const std::string& what, std::vector<Objection>* to) {
    if (!value || *value <= limit) return;
    Object(Kind::kLimit, code,
           what + ", and " + policy_name_ + " allows " + std::to_string(limit) + " at most", to);
  }

  void ObjectToLimits() {
    const auto check = [this](std::optional<std::uint64_t> value, std::uint64_t limit, std::string_view code,
                              const std::string& what) {
      ObjectToLimit(value, limit, code, what, &objections_);
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

  static bool OnlyLimits(const std::vector<Objection>& objections) {
    return !objections.empty() &&
           std::all_of(objections.begin(), objections.end(),
                       [](const Objection& objection) { return objection.kind == Kind::kLimit; });
  }

  [[nodiscard]] bool Preferred(Verdict verdict) const {
    return std::find(policy_.prefer.begin(), policy_.prefer.end(), verdict) != policy_.prefer.end();
  }

  // The fork is known, and the rejoiner goes on behind it.
  [[nodiscard]] bool HasTail() const {
    return evidence_.fork && evidence_.proof != ForkProof::kUnknown && evidence_.rejoiner.last &&
           evidence_.rejoiner.last->Value() <= kMaxSequence && *evidence_.fork < *evidence_.rejoiner.last;
  }

  [[nodiscard]] bool Possible(Verdict verdict) const {
    switch (verdict) {
      case Verdict::kAligned:
        return prefix_;
      case Verdict::kSpliced:
        return full_possible_ && HasTail() && splice_objections_.empty();
      case Verdict::kPadded:
        return full_possible_ && !ahead_ && !Borrows() && objections_.empty();
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
    const bool to_ask = !objections_.empty() && (ahead_ || OnlyLimits(objections_) ||
                                                 (SpliceCounts() && OnlyLimits(splice_objections_)));
    const bool spliced = Preferred(Verdict::kSpliced) && Possible(Verdict::kSpliced);
    const bool advanced = Preferred(Verdict::kPadded) && MayAdvanceFirst();
    if (policy_.on_limit == OnLimit::kHold && to_ask && !spliced && !advanced)
      return Answer(Verdict::kHold, {});
    std::string passed_over;
    for (const Verdict verdict : {Verdict::kAligned, Verdict::kSpliced, Verdict::kPadded, Verdict::kFull}) {
      if (Preferred(verdict) || !Possible(verdict)) continue;
      passed_over += (passed_over.empty() ? "" : " and ") + std::string(ToString(verdict));
    }
    for (const Verdict verdict : policy_.prefer) {
      if (verdict == Verdict::kPadded && advanced) return AdvanceFirst();
      if (!Possible(verdict)) continue;
      if (verdict == Verdict::kHold) break;
      std::vector<Reason> reasons;
      const Verdict best = prefix_                       ? Verdict::kAligned
                           : Possible(Verdict::kSpliced) ? Verdict::kSpliced
                           : objections_.empty()         ? Verdict::kPadded
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

  // How far the survivor would have to come so that there is something to pad the rejoiner to.
  [[nodiscard]] std::uint64_t Lead() const { return *evidence_.rejoiner.last - *evidence_.survivor.last; }

  // Nothing but its being ahead keeps the rejoiner from being padded. It would miss all that the survivor
  // wrote, and the records that the survivor is advanced by.
  [[nodiscard]] bool MayAdvanceFirst() const {
    return full_possible_ && ahead_ && objections_.size() == 1 && HasTail() && TailComplete() &&
           TailRange().Size() <= policy_.limits.tail && TailRange().Size() <= policy_.limits.missed &&
           Lead() <= policy_.limits.advance_master && evidence_.splices_failed < kMostSplices;
  }

  VerdictDecision AdvanceFirst() {
    objections_.clear();
    return Hold(reason::kAdvancedFirst, rejoiner_ + " ends at " + evidence_.rejoiner.last->ToString() + ", " +
                                            Count(Lead(), "record") + " after " + survivor_ + ": " +
                                            survivor_ +
                                            " is advanced past it by as many no-op records, and then " +
                                            rejoiner_ + " is decided on anew, to be padded");
  }

  VerdictDecision Hold(std::string_view code, std::string sentence) {
    return Answer(Verdict::kHold, {{std::string(code), std::move(sentence)}});
  }

  // The reasons: what stood in the way, what lets the verdict pass, then what the preference changed.
  VerdictDecision Answer(Verdict verdict, std::vector<Reason> preference) {
    VerdictDecision decision;
    decision.verdict = verdict;
    if (verdict == Verdict::kSpliced) {
      AddNothingMissed(&decision.reasons);
    } else {
      for (const auto& objection : objections_) decision.reasons.push_back(objection.reason);
      if (!objections_.empty() && SpliceCounts()) AddWhyNotSpliced(&decision.reasons);
      if (full_possible_ && objections_.empty() && evidence_.target) AddFindings(verdict, &decision.reasons);
      if (full_possible_ && objections_.empty() && Borrows()) AddBorrowed(&decision.reasons);
    }
    if (full_possible_ && evidence_.rejoiner.last) AddNumberFits(&decision.reasons);
    std::move(preference.begin(), preference.end(), std::back_inserter(decision.reasons));
    // What stands first is why the verdict is this one; where keys are missed for it, people ask why.
    if (verdict != Verdict::kSpliced && objections_.empty() && SpliceCounts())
      AddWhyNotSpliced(&decision.reasons);
    AddRepairs(verdict, &decision.reasons);
    if (auto tail = FindTailGivenUp(verdict, evidence_); tail.remark) {
      decision.reasons.push_back(std::move(*tail.remark));
    }
    for (const Verdict other :
         {Verdict::kAligned, Verdict::kSpliced, Verdict::kPadded, Verdict::kFull, Verdict::kHold}) {
      if (other != verdict) decision.alternatives.push_back({other, Possible(other), CostOf(other)});
    }
    decision.keyspaces = std::move(verdict == Verdict::kSpliced ? splice_keyspaces_ : keyspaces_);
    return decision;
  }

  // The policy would have had it spliced.
  [[nodiscard]] bool SpliceCounts() const { return Preferred(Verdict::kSpliced) && HasTail(); }

  void AddWhyNotSpliced(std::vector<Reason>* reasons) const {
    for (const auto& objection : splice_objections_) {
      const bool of_keyspaces = objection.reason.code == reason::kKeyspaceFullSync ||
                                objection.reason.code == reason::kKeyspaceLimit;
      // What touches the tail alone touches both together, which was said with both numbers.
      if (of_keyspaces && !ahead_) continue;
      if (std::find(reasons->begin(), reasons->end(), objection.reason) == reasons->end()) {
        reasons->push_back(objection.reason);
      }
    }
  }

  void AddNothingMissed(std::vector<Reason>* reasons) const {
    const std::uint64_t own = OwnTailRange().Size();
    const std::uint64_t behind = TailRange().Size() - own;
    const std::string replayed =
        behind == 0 ? std::string()
                    : "; the other " + Count(behind, "record") +
                          " behind it are of an attempt that was not finished, and settled by the replay";
    const bool equal = evidence_.undo && splice_left_ && splice_left_->keys.empty();
    const std::string differ = equal ? "nothing is left to differ"
                                     : TouchedKeyspaces(splice_keyspaces_, TailAlone()) +
                                           " may differ, and " + policy_name_ + " lets that";
    reasons->push_back({std::string(reason::kNothingMissed),
                        rejoiner_ + " and " + survivor_ + " part at " + evidence_.fork->ToString() +
                            " (known by " + std::string(ToString(evidence_.proof)) + "), and the WAL of " +
                            survivor_ + " reaches back to it: all that it wrote since is replayed to " +
                            rejoiner_ + ". Of its tail of " + Count(own, "record") + ", " + differ +
                            replayed + "; " + survivor_ + " is advanced by " +
                            Count(evidence_.Shift(), "no-op record")});
    if (evidence_.undo && evidence_.undo->keys > 0) {
      reasons->push_back({std::string(reason::kTailUndone),
                          "what the tail wrote to " + Count(evidence_.undo->keys, "key") +
                              " is taken back before the replay, by " +
                              Count(evidence_.undo->records, "record") + ": " + evidence_.undo->note});
    }
  }

  // What is made equal afterwards, keyspace by keyspace.
  void AddRepairs(Verdict verdict, std::vector<Reason>* reasons) const {
    const auto repairs = repairs_.find(verdict);
    if (repairs == repairs_.end()) return;
    for (const RepairKeys& each : repairs->second) {
      const bool evict = each.how == Tolerance::kEvict;
      const std::string keys = Count(each.keys.size(), "key") + " of keyspace " + each.keyspace;
      reasons->push_back(
          {std::string(evict ? reason::kEvictedAfterwards : reason::kRepairedAfterwards),
           keys +
               (evict ? (each.keys.size() == 1 ? " is" : " are") + std::string(" deleted")
                      : (each.keys.size() == 1 ? " is" : " are") +
                            std::string(" rewritten, with the values that ") + survivor_ + " has,") +
               " on " + survivor_ + " afterwards, and " + rejoiner_ +
               " is out of service until they were seen to be equal"});
    }
  }

  void AddBorrowed(std::vector<Reason>* reasons) const {
    const BorrowEvidence& borrow = *evidence_.borrow;
    const std::string bytes = borrow.bytes == 0 ? "" : ", about " + HumanBytes(borrow.bytes);
    reasons->push_back({std::string(reason::kBorrowed),
                        rejoiner_ + " holds nothing that " + survivor_ + " does not hold (fork " +
                            evidence_.fork->ToString() + ", known by " +
                            std::string(ToString(evidence_.proof)) + "), and needs " +
                            borrow.range.from.ToString() + " next, but the WAL of " + survivor_ + " begins " +
                            (evidence_.survivor.oldest ? "at " + evidence_.survivor.oldest->ToString()
                                                       : std::string("later")) +
                            ": " + borrow.lender + " lends " + borrow.range.ToString() + " from its own WAL" +
                            bytes + ", and " + rejoiner_ + " follows " + survivor_ + " from there on"});
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
                              Count(MissedRange().Size(), "missed record") + " touch " +
                              TouchedKeyspaces(keyspaces_, DivergenceOf(evidence_)) + ", and " +
                              policy_name_ + " lets that differ; " + rejoiner_ + " is padded by " +
                              std::to_string(pad) + " to " + target + PaddedBy()});
    }
  }

  // By whom, where the policy wants the server to do it.
  [[nodiscard]] std::string PaddedBy() const {
    if (policy_.padding != Padding::kNative) return "";
    if (PadsNatively(evidence_, policy_.padding)) return " by the server of " + survivor_ + " itself";
    return evidence_.survivor.offers_padding
               ? ""
               : " by its relay, for the server of " + survivor_ + " does not pad replicas itself";
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

  [[nodiscard]] Divergence TailAlone() const {
    Evidence tail;
    tail.tail = splice_left_;
    return DivergenceOf(tail);
  }

  static std::string TouchedKeyspaces(const std::vector<KeyspaceFinding>& keyspaces,
                                      const Divergence& divergence) {
    std::string names;
    for (const auto& keyspace : keyspaces) {
      if (keyspace.tail_records + keyspace.missed_records + keyspace.keys == 0) continue;
      names += (names.empty() ? "" : ", ") + keyspace.keyspace;
    }
    const std::string keys = std::to_string(divergence.keys);
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
        if (!full_possible_) return "the evidence does not allow it";
        if (!splice_objections_.empty()) return splice_objections_.front().reason.sentence;
        if (!HasTail()) return rejoiner_ + " has no tail";
        return Describe(TailAlone()) + " would differ; " + Count(evidence_.Shift(), "no-op record") + " on " +
               survivor_;
      case Verdict::kPadded: {
        if (!full_possible_) return "the evidence does not allow it";
        const Divergence divergence = DivergenceOf(evidence_);
        if (ahead_ && objections_.empty())
          return survivor_ + " is to be advanced past " + rejoiner_ + " first";
        if (Borrows() && objections_.empty())
          return "the WAL of " + survivor_ + " holds nothing that " + rejoiner_ + " could be padded to";
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
  std::vector<Objection> splice_objections_;
  std::optional<Touched> splice_left_;
  std::map<Verdict, std::vector<RepairKeys>> repairs_;  // what follows each
  std::vector<KeyspaceFinding> keyspaces_;
  std::vector<KeyspaceFinding> splice_keyspaces_;
  bool full_possible_ = false;  // nothing forbids to act at all
  bool ahead_ = false;
  bool prefix_ = false;
};

}  // namespace

VerdictDecision Decide(const Evidence& evidence, const TolerancePolicy& policy) {
  return CopyIfEndangered(Case(evidence, policy).Decide(), evidence, policy);
}

}  // namespace walstitch::core
