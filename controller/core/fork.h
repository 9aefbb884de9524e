// Where two histories part. Pure: batches in, an answer out.
//
// The idea: a replica applies each frame of its master as one record, so as long as two nodes are in one
// stream their WALs hold the same batches, byte for byte. The fork is the end of the last batch of an
// unbroken run of equal ones. The records of promotions say where to look; the bytes have the last word.
// What errs errs downwards: a fork that is too low makes tail and missed longer, never a divergent key
// invisible. One that is too high would hide divergence, so agreement beyond a difference counts for
// nothing (two equal SETs are chance), with one exception, recorded stitches: see fork.cc.
//
// Not thread-safe; holds no reference to anything passed in. Sequences are those of RocksDB (56 bits);
// lists that cannot be right (gaps, disorder) end the search with an unknown fork and a note.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

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
};

// A search for the fork in rounds: Next() says which windows to read, Feed() takes them. Every round
// moves forward by at least a batch or ends the search.
class ForkSearch {
 public:
  struct Window {
    SequenceRange range;  // ask both nodes for the batches of this range
  };
  struct Answer {
    std::optional<Sequence> fork;
    ForkProof proof = ForkProof::kUnknown;
    std::string note;  // for people: how it was found, or why not
  };

  // `last` of an extent is the node's last even where its WAL holds nothing (after a full sync, say): an
  // extent without it, or with 0, is taken for a node that has no history at all.
  ForkSearch(WalExtent rejoiner, WalExtent survivor, KnownHistory known, std::uint64_t window_records = 4096);

  // The next window to read, or nullopt when Answer() stands.
  [[nodiscard]] std::optional<Window> Next() const;
  // The batches (count > 0) that hold a sequence of the window, of each side. Either list may end early
  // (the caller's maximum): the search goes on from what both cover.
  void Feed(const std::vector<BatchInfo>& rejoiner, const std::vector<BatchInfo>& survivor);
  [[nodiscard]] const Answer& Result() const;

 private:
  enum class Phase { kAtPromotion, kForward, kMarkers, kDone };
  using Batches = std::vector<const BatchInfo*>;

  void Begin();
  void FeedAtPromotion(const Batches& rejoiner, const Batches& survivor);
  void FeedForward(const Batches& rejoiner, const Batches& survivor);
  void FeedMarkers(const Batches& rejoiner, const Batches& survivor);
  void GoForward(Sequence from);
  void GoOn();
  void Differ();
  void Conclude();
  void ConcludeWithoutBytes(std::string_view why);
  void FinishUnknown(std::string note);
  void Finish(Answer answer);

  WalExtent rejoiner_;
  WalExtent survivor_;
  KnownHistory known_;
  std::uint64_t window_records_;  // of the first forward window
  std::uint64_t window_ = 0;      // of the next one
  Phase phase_ = Phase::kDone;
  Sequence rejoiner_last_;
  Sequence end_;                     // the lower last of both: no batch beyond it can be common
  std::optional<Sequence> start_;    // the first sequence that may be compared
  std::optional<Sequence> hint_;     // where the records say that the fork is
  Sequence position_;                // forward: everything before it is equal; markers: the difference
  std::uint64_t equal_batches_ = 0;  // in the run that ends at position_
  bool from_common_ = false;         // the run began where both are known to have been one history
  Sequence scan_;                    // markers: everything before it was looked at
  std::optional<Sequence> restart_;  // markers: behind the last one so far
  bool restarted_ = false;
  std::string remark_;  // what people should know besides the answer
  Answer answer_;
};

}  // namespace walstitch::core
