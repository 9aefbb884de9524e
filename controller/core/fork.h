// Where two histories part. Pure: batches in, an answer out.
//
// The idea: a replica applies each frame of its master as one record, so as long as two nodes are in one
// stream their WALs hold the same batches, byte for byte. The fork is the end of the last batch of an
// unbroken run of equal ones. The records of promotions say where to look; the bytes have the last word.
// What errs errs downwards: a fork that is too low makes tail and missed longer, never a divergent key
// invisible. One that is too high would hide divergence, so agreement beyond a difference counts for
// nothing (two equal SETs are chance), with one exception, recorded stitches: see fork.cc.
//
// Neither WAL is sent for it. Both sides are asked for keyed digests of the parts of a range; the first part
// that differs is the next range, until what is left is a few batches. Those are listed, and at last the
// bytes around the fork are compared themselves. Two WALs of a GiB take about five questions and a hundred
// KiB.
//
// Not thread-safe; holds no reference to anything passed in. Sequences are those of RocksDB (56 bits);
// answers that cannot be right (gaps, disorder, bytes that belie a digest) end the search with an unknown
// fork and a note.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "controller/core/fork_answers.h"
#include "policies/model/batch.h"
#include "policies/model/evidence.h"
#include "policies/model/sequence.h"

namespace walstitch::core {

// What two nodes are known to share, from the records of promotions and joins.
struct KnownHistory {
  // The latest sequence from which both are known to have been in one stream: nothing before it is
  // compared (a stitched node differs there for ever, and that is no new divergence).
  std::optional<Sequence> shared_from;
  // The survivor's last when it was promoted, if the rejoiner was not its replica since: an upper bound
  // of the fork, and nearly always the fork itself. Where the rejoiner missed several promotions, the
  // lowest of them.
  std::optional<Sequence> promoted_at;
  // The rejoiner joined this very master's stream in this epoch and was never promoted since.
  bool same_stream = false;
  // The rejoiner was never promoted since it joined the stream that the survivor's continues: up to
  // promoted_at it can hold nothing that the survivor does not.
  bool rejoiner_kept_to_stream = false;
  // A splice or pad of the rejoiner to this very master broke off before: what it holds behind this came from
  // that master, or is without data. No part of the search.
  std::optional<Sequence> own_last{};
};

// A search for the fork in rounds: Next() says what to ask both sides, a Feed takes both answers. Every round
// moves forward by at least a batch, or halves what is looked at, or ends the search.
class ForkSearch {
 public:
  enum class Ask {
    kBatches,  // the batches (count > 0) that hold a sequence of the range; at most kMaxBatches
    kDigests,  // the digests of `parts` parts of the range, both sides with the same fresh key
    kMarked,   // the batches of the range that carry a marker; at most kMaxMarked
    kBytes,    // the bytes of the batches that hold a sequence of the range; the first kMaxBytes
  };
  struct Question {
    Ask ask = Ask::kBatches;
    SequenceRange range;
    std::uint32_t parts = 0;  // kDigests only
  };
  struct Answer {
    std::optional<Sequence> fork;
    ForkProof proof = ForkProof::kUnknown;
    std::string note;  // for people: how it was found, or why not
  };
  static constexpr std::size_t kMaxBatches = 1000;
  static constexpr std::size_t kMaxMarked = 100;
  static constexpr std::size_t kMaxBytes = std::size_t{32} << 10;

  // `last` of an extent is the node's last even where its WAL holds nothing (after a full sync, say): an
  // extent without it, or with 0, is taken for a node that has no history at all.
  ForkSearch(WalExtent rejoiner, WalExtent survivor, KnownHistory known);

  // The next question, or nullopt when Result() stands.
  [[nodiscard]] std::optional<Question> Next() const;

  // The answers to it: the Feed of its kind, and no other. After the end they change nothing. A side that
  // holds nothing there any more answers with nothing. Answers may end early (the maxima, or what a side
  // reads for one answer): the search goes on from what both cover.
  void FeedBatches(const std::vector<BatchInfo>& rejoiner, const std::vector<BatchInfo>& survivor);
  void FeedDigests(const RangeDigests& rejoiner, const RangeDigests& survivor);
  void FeedMarked(const MarkedBatches& rejoiner, const MarkedBatches& survivor);
  void FeedBytes(std::string_view rejoiner, std::string_view survivor);

  [[nodiscard]] const Answer& Result() const;
  [[nodiscard]] int Rounds() const { return rounds_; }  // of questions that were answered

 private:
  enum class Phase {
    kAtPromotion,  // the batches around the hint
    kForward,      // narrowing from position_ on
    kMarkers,      // looking for stitches between the difference and the hint
    kLastBatches,  // the batches before position_, which only digests vouch for so far
    kLastBytes,    // the bytes around position_
    kDone,
  };

  void Begin();
  // The question that is fed now; nullopt after the end.
  std::optional<Question> Take(Ask ask);
  void FeedAtPromotion(const Batches& rejoiner, const Batches& survivor);
  void FeedForward(const Batches& rejoiner, const Batches& survivor);
  void GoForward(Sequence from);
  void GoOn();
  void Differ();
  void Remember(const Batches& rejoiner, const Batches& survivor, std::size_t equal);
  [[nodiscard]] Sequence Limit() const;
  [[nodiscard]] Sequence BeforePosition() const;
  void Conclude();
  void ConcludeEqual();
  void ConcludeWithoutBytes(std::string_view why);
  void FinishUnknown(std::string note);
  void Finish(Answer answer);

  WalExtent rejoiner_;
  WalExtent survivor_;
  KnownHistory known_;
  Phase phase_ = Phase::kDone;
  int rounds_ = 0;
  Sequence rejoiner_last_;
  Sequence end_;                            // the lower last of both: no batch beyond it can be common
  std::optional<Sequence> start_;           // the first sequence that may be compared
  std::optional<Sequence> hint_;            // where the records say that the fork is
  Sequence run_start_;                      // where the run that ends at position_ began
  Sequence position_;                       // everything from run_start_ up to it is equal
  std::uint64_t equal_batches_ = 0;         // in that run
  bool from_common_ = false;                // the run began where both are known to have been one history
  std::optional<Sequence> differs_before_;  // a digest says that a batch that begins before it differs
  std::optional<Sequence> list_to_;         // the next step is to list the batches up to there
  std::vector<BatchInfo> last_equal_;       // listed: the last ones of the run
  std::optional<BatchInfo> next_rejoiner_;  // listed: those behind the run, where both have one
  std::optional<BatchInfo> next_survivor_;
  Sequence scan_;                    // markers: everything before it was looked at
  std::optional<Sequence> restart_;  // markers: behind the last one so far
  bool restarted_ = false;
  std::string remark_;  // what people should know besides the answer
  Answer answer_;
};

}  // namespace walstitch::core
