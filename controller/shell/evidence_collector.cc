#include "controller/shell/evidence_collector.h"

#include <boost/json.hpp>

namespace walstitch::shell {
namespace {

// A window of the fork search never asks for more batches than this; the search copes with shorter lists.
constexpr std::size_t kMaxBatches = 100000;  // what an agent gives at most
constexpr std::size_t kMaxKeys = 200000;
// A search that reads more windows than this is given up: the fork stays unknown.
constexpr int kMaxWindows = 100000;

SideEvidence SideOf(const Report& report, const WalExtent& extent) {
  SideEvidence side;
  side.node = report.node;
  side.last = report.last;
  side.oldest = extent.oldest;
  side.wal_source = extent.source;
  side.version = report.version;
  side.replication_id_psync = report.replication_id_psync;
  side.cluster_enabled = report.cluster_enabled;
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

// What the window holds on one side. Sequences that the side does not have are no error here: the list
// is then shorter, or empty.
boost::asio::awaitable<Result<std::vector<BatchInfo>>> ReadWindow(AgentClient client, WalExtent extent,
                                                                  SequenceRange window) {
  if (!extent.oldest || !extent.last) co_return std::vector<BatchInfo>{};
  window.from = std::max(window.from, *extent.oldest);
  window.to = std::min(window.to, *extent.last + 1);
  if (window.Empty()) co_return std::vector<BatchInfo>{};
  auto batches = co_await client.Batches(window, kMaxBatches);
  if (!batches && batches.error().Code() == ErrorCode::kNotFound) co_return std::vector<BatchInfo>{};
  co_return batches;
}

}  // namespace

boost::asio::awaitable<Evidence> CollectEvidence(EvidenceRequest request) {
  Evidence evidence;
  evidence.rejoiner = SideOf(request.rejoiner_report, {});
  evidence.survivor = SideOf(request.survivor_report, {});

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
  for (int windows = 0; auto window = search.Next(); ++windows) {
    if (windows == kMaxWindows) {
      evidence.missing.push_back("the fork: the search was given up after " + std::to_string(windows) +
                                 " windows");
      co_return evidence;
    }
    auto rejoiner = co_await ReadWindow(request.rejoiner, rejoiner_wal, window->range);
    if (!rejoiner) {
      NoteMissing(evidence, rejoiner.error(), "the fork");
      co_return evidence;
    }
    auto survivor = co_await ReadWindow(request.survivor, survivor_wal, window->range);
    if (!survivor) {
      NoteMissing(evidence, survivor.error(), "the fork");
      co_return evidence;
    }
    search.Feed(*rejoiner, *survivor);
  }
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
  if (!evidence.fork) co_return evidence;

  const SequenceRange tail{*evidence.fork + 1, next};
  if (tail.Empty()) {
    evidence.tail = Touched{};
    evidence.tail->range = tail;
  } else if (tail.Size() > request.limits.tail) {
    evidence.missing.push_back("the tail's keys: " + std::to_string(tail.Size()) +
                               " records are more than the limit");
  } else if (auto touched = co_await request.rejoiner.ListTouched(tail, kMaxKeys)) {
    evidence.tail = std::move(*touched);
  } else {
    NoteMissing(evidence, touched.error(), "the tail of " + evidence.rejoiner.node);
  }
  if (evidence.target) {
    const SequenceRange missed{*evidence.fork + 1, *evidence.target};
    // A prefix skips nothing: everything from its next on is replayed.
    if (missed.Empty() || (tail.Empty() && *evidence.target == next)) {
      evidence.missed = Touched{};
      evidence.missed->range = missed;
    } else if (missed.Size() > request.limits.missed) {
      evidence.missing.push_back("the missed keys: " + std::to_string(missed.Size()) +
                                 " records are more than the limit");
    } else if (auto touched = co_await request.survivor.ListTouched(missed, kMaxKeys)) {
      evidence.missed = std::move(*touched);
    } else {
      NoteMissing(evidence, touched.error(),
                  "what " + evidence.rejoiner.node + " missed of " + evidence.survivor.node);
    }
    if (evidence.survivor.replication_id_psync && *evidence.target > Sequence(1)) {
      // Without it the pad carries none, and Kvrocks skips the comparison at that sequence.
      if (auto id = co_await request.survivor.ReplicationId(*evidence.target - 1))
        evidence.replication_id = *id;
    }
  }
  co_return evidence;
}

}  // namespace walstitch::shell
