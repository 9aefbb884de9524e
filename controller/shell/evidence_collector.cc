#include "controller/shell/evidence_collector.h"

#include <openssl/rand.h>
#include <spdlog/spdlog.h>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <utility>

namespace walstitch::shell {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kMaxKeys = 200000;

SideEvidence SideOf(const Report& report, const WalExtent& extent) {
  SideEvidence side;
  side.node = report.node;
  side.last = report.last;
  side.oldest = extent.oldest;
  side.wal_source = extent.source;
  side.version = report.version;
  side.replication_id_psync = report.replication_id_psync;
  side.cluster_enabled = report.cluster_enabled;
  side.offers_padding = report.counters && report.counters->sync_partial_padding;
  return side;
}

// Only what the WALs themselves say (it is not there any more, it is damaged) is evidence of its absence. An
// agent that starts, a connection that breaks, a question that is not understood or a disk that does not
// answer says nothing about the data: the node waits, rather than be copied afresh for it.
bool MayCome(const Error& error) {
  return error.Code() != ErrorCode::kNotFound && error.Code() != ErrorCode::kDamaged;
}

void NoteMissing(Evidence& evidence, const Error& error, std::string_view what) {
  evidence.missing.push_back(std::string(what) + ": " + error.Message());
  evidence.expected_to_come = evidence.expected_to_come || MayCome(error);
}

template <typename T>
using Both = std::pair<T, T>;  // the rejoiner's, the survivor's

// Both sides' answers; they work at the same time. Sequences that a side does not hold any more are no error
// here: its answer is then empty, and the search makes of it what it can.
template <typename T>
asio::awaitable<Result<Both<T>>> AwaitBoth(asio::awaitable<Result<T>> rejoiner,
                                           asio::awaitable<Result<T>> survivor) {
  using asio::experimental::awaitable_operators::operator&&;
  auto both = std::move(rejoiner) && std::move(survivor);
  auto [a, b] = co_await std::move(both);
  for (auto* answer : {&a, &b}) {
    if (!*answer && answer->error().Code() == ErrorCode::kNotFound) *answer = T{};
    if (!*answer) co_return Fail(answer->error());
  }
  co_return Both<T>(std::move(*a), std::move(*b));
}

DigestKey DrawKey() {
  DigestKey key;
  // Without randomness nobody could be trusted to be equal.
  WALSTITCH_CHECK(RAND_bytes(key.bytes.data(), static_cast<int>(key.bytes.size())) == 1);
  return key;
}

asio::awaitable<Result<void>> AskBoth(AgentClient rejoiner, AgentClient survivor,
                                      core::ForkSearch::Question question, core::ForkSearch* search) {
  using core::ForkSearch;
  const SequenceRange range = question.range;
  switch (question.ask) {
    case ForkSearch::Ask::kBatches: {
      auto both = co_await AwaitBoth(rejoiner.Batches(range, ForkSearch::kMaxBatches),
                                     survivor.Batches(range, ForkSearch::kMaxBatches));
      if (!both) co_return Fail(both.error());
      search->FeedBatches(both->first, both->second);
      break;
    }
    case ForkSearch::Ask::kDigests: {
      const DigestKey key = DrawKey();
      auto both = co_await AwaitBoth(rejoiner.Digests(range, question.parts, key),
                                     survivor.Digests(range, question.parts, key));
      if (!both) co_return Fail(both.error());
      search->FeedDigests(both->first, both->second);
      break;
    }
    case ForkSearch::Ask::kMarked: {
      auto both = co_await AwaitBoth(rejoiner.Marked(range, ForkSearch::kMaxMarked),
                                     survivor.Marked(range, ForkSearch::kMaxMarked));
      if (!both) co_return Fail(both.error());
      search->FeedMarked(both->first, both->second);
      break;
    }
    case ForkSearch::Ask::kBytes: {
      auto both = co_await AwaitBoth(rejoiner.Bytes(range, ForkSearch::kMaxBytes),
                                     survivor.Bytes(range, ForkSearch::kMaxBytes));
      if (!both) co_return Fail(both.error());
      search->FeedBytes(both->first.bytes, both->second.bytes);
      break;
    }
  }
  co_return Result<void>();
}

// The one batch that ends at `end`, if the WAL holds it.
asio::awaitable<std::optional<BatchInfo>> BatchEndingAt(AgentClient node, Sequence end) {
  if (end <= Sequence(1)) co_return std::nullopt;
  const SequenceRange last{end - 1, end};
  auto batches = co_await node.Batches(last, 1);
  if (!batches || batches->size() != 1 || batches->front().End() != end) co_return std::nullopt;
  co_return batches->front();
}

// See Evidence::before_target. A batch of ours is not in the survivor's history.
asio::awaitable<std::optional<BatchInfo>> BatchBefore(AgentClient rejoiner, AgentClient survivor,
                                                      Sequence target, bool equal) {
  std::optional<BatchInfo> theirs = co_await BatchEndingAt(survivor, target);
  if (!theirs || !equal) co_return theirs;
  std::optional<BatchInfo> own = co_await BatchEndingAt(rejoiner, target);
  if (own && own->marker.empty()) co_return own;
  co_return theirs;
}

// The one batch that holds the sequence.
asio::awaitable<std::optional<BatchInfo>> BatchHolding(AgentClient node, Sequence sequence) {
  const SequenceRange only{sequence, sequence + 1};
  auto batches = co_await node.Batches(only, 1);
  if (!batches || batches->size() != 1) co_return std::nullopt;
  co_return batches->front();
}

// Whether the node can lend; an Error is one of its agent. Nothing of the evidence is changed unless it does.
asio::awaitable<Result<void>> AskLender(EvidenceRequest request, LenderRequest lender, WalExtent rejoiner_wal,
                                        Evidence* evidence) {
  auto wal = co_await lender.client.Extent();
  if (!wal) co_return Fail(wal.error());
  core::LenderCheck check(*evidence, lender.offer, *wal);
  if (check.WhyNot().empty()) {
    core::ForkSearch search(rejoiner_wal, *wal, lender.offer.with_rejoiner);
    while (auto question = search.Next()) {
      auto answered = co_await AskBoth(request.rejoiner, lender.client, *question, &search);
      if (!answered) co_return Fail(answered.error());
    }
    check.TakeFork(search.Result());
  }
  if (check.WhyNot().empty()) {
    auto own = co_await BatchEndingAt(request.rejoiner, check.Next());
    auto theirs = co_await BatchEndingAt(lender.client, check.Next());
    check.TakeLast(own, theirs);
  }
  if (check.WhyNot().empty()) {
    auto theirs = co_await BatchHolding(lender.client, check.JointAt());
    auto survivors = co_await BatchHolding(request.survivor, check.JointAt());
    check.TakeJoint(theirs, survivors);
  }
  while (auto range = check.LookThrough()) {
    auto marked = co_await lender.client.Marked(*range, core::ForkSearch::kMaxMarked);
    if (!marked) co_return Fail(marked.error());
    check.TakeMarked(*marked);
  }
  if (check.WhyNot().empty()) {
    check.Accept(evidence);
  } else {
    evidence->borrow_note += (evidence->borrow_note.empty() ? "" : "; ") + check.WhyNot();
  }
  co_return Result<void>();
}

// Who lends what the survivor's WAL no longer holds, if anybody does: the first that can.
asio::awaitable<void> CollectLender(EvidenceRequest request, WalExtent rejoiner_wal, Evidence* evidence) {
  evidence->borrow_note = request.no_lenders;
  for (const LenderRequest& lender : request.lenders) {
    auto asked = co_await AskLender(request, lender, rejoiner_wal, evidence);
    if (evidence->borrow) {
      evidence->borrow_note.clear();
      evidence->lender_unheard = false;
      co_return;
    }
    if (asked) continue;
    evidence->borrow_note += (evidence->borrow_note.empty() ? "" : "; ") + asked.error().Message();
    evidence->lender_unheard = evidence->lender_unheard || MayCome(asked.error());
  }
}

// The keys that a range touches; `keys` and `what` are its names, where it is too long and where it cannot be
// listed.
asio::awaitable<std::optional<Touched>> ListKeys(AgentClient node, SequenceRange range, std::uint64_t limit,
                                                 std::string keys, std::string what, Evidence* evidence) {
  if (range.Empty()) {
    Touched nothing;
    nothing.range = range;
    co_return nothing;
  }
  if (range.Size() > limit) {
    evidence->missing.push_back(keys + ": " + std::to_string(range.Size()) +
                                " records are more than the limit");
    co_return std::nullopt;
  }
  auto touched = co_await node.ListTouched(range, kMaxKeys);
  if (touched) co_return std::move(*touched);
  NoteMissing(*evidence, touched.error(), what);
  co_return std::nullopt;
}

// What of the tail can be taken back. Whatever keeps it from being known, the rest of the evidence stands.
asio::awaitable<void> CollectUndo(EvidenceRequest request, Evidence* evidence) {
  const Sequence fork = *evidence->fork;
  const Sequence last = *evidence->rejoiner.last;
  if (evidence->replay_from != fork + 1 || last - fork > request.limits.tail) co_return;
  if (request.limits.undo_scan_bytes == 0) {
    evidence->undo_note = "the policy allows no WAL to be read for it (limits.undoScan)";
    co_return;
  }
  UndoQuestion question;
  question.fork = fork;
  question.last = last;
  question.survivor = request.survivor.Url();
  question.survivor_node = request.survivor.Node();
  question.scan_bytes = request.limits.undo_scan_bytes;
  auto plan = co_await request.rejoiner.PlanUndo(std::move(question));
  if (!plan) {
    evidence->undo_note = plan.error().Message();
    co_return;
  }
  if (plan->undone.size() != plan->keys) {
    evidence->undo_note = "the agent, of another version, does not name the keys that it would take back";
    co_return;
  }
  const std::uint64_t shift = last - fork + plan->records;
  if (shift > request.limits.advance_master) {
    evidence->undo_note = std::to_string(plan->records) + " records would take back " +
                          std::to_string(plan->keys) +
                          " keys, and with the tail they are more than the survivor may be advanced by "
                          "(limits.advanceMaster)";
    co_return;
  }
  evidence->undo = std::move(*plan);
}

}  // namespace

asio::awaitable<Evidence> CollectEvidence(EvidenceRequest request) {
  Evidence evidence;
  evidence.rejoiner = SideOf(request.rejoiner_report, {});
  evidence.survivor = SideOf(request.survivor_report, {});
  evidence.promoted_at = request.known.promoted_at;

  auto rejoiner_extent = co_await request.rejoiner.Extent();
  if (!rejoiner_extent)
    NoteMissing(evidence, rejoiner_extent.error(), "the WAL of " + evidence.rejoiner.node);
  auto survivor_extent = co_await request.survivor.Extent();
  if (!survivor_extent)
    NoteMissing(evidence, survivor_extent.error(), "the WAL of " + evidence.survivor.node);
  if (!evidence.rejoiner.last) {
    evidence.missing.push_back("the last sequence of " + evidence.rejoiner.node + " is not known");
    evidence.expected_to_come = true;
  }
  if (!evidence.survivor.last) {
    evidence.missing.push_back("the last sequence of " + evidence.survivor.node + " is not known");
    evidence.expected_to_come = true;
  }
  if (!evidence.missing.empty()) co_return evidence;
  evidence.rejoiner = SideOf(request.rejoiner_report, *rejoiner_extent);
  evidence.survivor = SideOf(request.survivor_report, *survivor_extent);

  // The server's own counter is the truth about its last sequence; a WAL that was just emptied (a full
  // sync) has no last at all.
  WalExtent rejoiner_wal = *rejoiner_extent;
  if (!rejoiner_wal.last || *rejoiner_wal.last < *evidence.rejoiner.last)
    rejoiner_wal.last = evidence.rejoiner.last;
  WalExtent survivor_wal = *survivor_extent;
  if (!survivor_wal.last || *survivor_wal.last < *evidence.survivor.last)
    survivor_wal.last = evidence.survivor.last;
  if (*survivor_wal.last > *evidence.survivor.last) evidence.survivor.last = survivor_wal.last;

  core::ForkSearch search(rejoiner_wal, survivor_wal, request.known);
  while (auto question = search.Next()) {
    auto answered = co_await AskBoth(request.rejoiner, request.survivor, *question, &search);
    if (!answered) {
      NoteMissing(evidence, answered.error(), "the fork");
      co_return evidence;
    }
  }
  spdlog::debug("Fork of {} and {}: {} after {} rounds.", evidence.rejoiner.node, evidence.survivor.node,
                search.Result().fork ? search.Result().fork->ToString() : "unknown", search.Rounds());
  evidence.fork = search.Result().fork;
  evidence.proof = search.Result().proof;
  evidence.same_stream = request.known.same_stream;
  evidence.fork_note = search.Result().note;

  const Sequence next = *evidence.rejoiner.last + 1;
  if (next <= *evidence.survivor.last + 1) {
    auto target = co_await request.survivor.Boundary(next);
    if (target) {
      evidence.target = *target;
    } else if (next == *evidence.survivor.last + 1 && target.error().Code() == ErrorCode::kNotFound) {
      evidence.target = next;  // an empty WAL has its only boundary at its next
    } else if (target.error().Code() == ErrorCode::kNotFound) {
      evidence.missing.push_back("a boundary of " + evidence.survivor.node + " at or after " +
                                 next.ToString() + ": " + target.error().Message());
    } else {
      NoteMissing(evidence, target.error(), "a boundary of " + evidence.survivor.node);
    }
  }
  if (core::NeedsLender(evidence)) co_await CollectLender(request, rejoiner_wal, &evidence);
  if (!evidence.fork || evidence.borrow) co_return evidence;

  const SequenceRange tail{*evidence.fork + 1, next};
  if (evidence.target) {
    // 1. A node is resumed over a divergence that the policy allows, with a pad of 0. 2. It is parked before
    // it got anything. 3. By the record it is in the survivor's stream, and its own last batch is not. So
    // only where the batches themselves are the proof, its own one speaks for both.
    const bool equal = tail.Empty() && evidence.proof == ForkProof::kEqualBatches;
    evidence.before_target =
        co_await BatchBefore(request.rejoiner, request.survivor, *evidence.target, equal);
  }
  if (!tail.Empty()) {
    // What a splice would replay from; and what it would be compared by, which must be the survivor's own.
    const Sequence after_fork = *evidence.fork + 1;
    auto boundary = co_await request.survivor.Boundary(after_fork);
    if (boundary) {
      evidence.replay_from = *boundary;
    } else if (boundary.error().Code() != ErrorCode::kNotFound) {
      NoteMissing(evidence, boundary.error(), "a boundary of " + evidence.survivor.node);
    } else if (after_fork == *evidence.survivor.last + 1) {
      evidence.replay_from = after_fork;  // an empty WAL has its only boundary at its next
    }
    evidence.last_common = co_await BatchEndingAt(request.survivor, after_fork);
  }
  evidence.tail = co_await ListKeys(request.rejoiner, tail, request.limits.tail, "the tail's keys",
                                    "the tail of " + evidence.rejoiner.node, &evidence);
  if (!tail.Empty()) co_await CollectUndo(request, &evidence);
  if (request.known.own_last && *request.known.own_last < *evidence.rejoiner.last) {
    const SequenceRange own{*evidence.fork + 1, *request.known.own_last + 1};
    evidence.own_last = request.known.own_last;
    evidence.own_tail = co_await ListKeys(request.rejoiner, own, request.limits.tail, "the own tail's keys",
                                          "the own tail of " + evidence.rejoiner.node, &evidence);
  }
  const bool ahead = next > *evidence.survivor.last + 1;
  if (evidence.target || ahead) {
    const SequenceRange missed{*evidence.fork + 1,
                               evidence.target ? *evidence.target : *evidence.survivor.last + 1};
    // A prefix skips nothing: everything from its next on is replayed.
    if (tail.Empty() && evidence.target == next) {
      evidence.missed = Touched{};
      evidence.missed->range = missed;
    } else {
      evidence.missed = co_await ListKeys(
          request.survivor, missed, request.limits.missed, "the missed keys",
          "what " + evidence.rejoiner.node + " missed of " + evidence.survivor.node, &evidence);
    }
    if (evidence.survivor.replication_id_psync && evidence.target && *evidence.target > Sequence(1)) {
      // Without it the pad carries none, and Kvrocks skips the comparison at that sequence.
      if (auto id = co_await request.survivor.ReplicationId(*evidence.target - 1))
        evidence.replication_id = *id;
    }
  }
  co_return evidence;
}

}  // namespace walstitch::shell
