// Evidence: what is known of one rejoiner and one survivor when their verdict is decided. Gathered
// while the rejoiner is parked. What could not be had is absent, with the reason in `missing`.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "policies/model/batch.h"
#include "policies/model/report.h"
#include "policies/model/sequence.h"
#include "policies/model/undo.h"

namespace walstitch {

enum class ForkProof {
  kUnknown,            // "unknown"
  kRecordedPromotion,  // "recorded promotion": only the record says so
  kSameStream,         // "same stream": the rejoiner joined this very master's stream in this epoch and
                       // was never promoted since, so its history is a prefix of the survivor's; or a
                       // recorded, verified join stands exactly at the fork
  kEqualBatches,       // "equal batches": both WALs hold the same batch ending at the fork, and the
                       // next ones differ, or one has no next
};

std::string_view ToString(ForkProof proof);

struct SideEvidence {
  std::string node;
  std::optional<Sequence> last;
  std::optional<Sequence> oldest;  // the oldest sequence still in its WAL
  std::string wal_source;          // "files" or "pollupdates"
  std::string version;
  bool replication_id_psync = false;
  bool cluster_enabled = false;
  bool offers_padding = false;  // its server can pad a replica by itself
};

// What another node of the survivor's own stream lends to a rejoiner whose next the survivor's WAL no longer
// holds (controller/core/lender.h).
struct BorrowEvidence {
  std::string lender;
  std::string agent;        // its agent, "http://host:port"
  SequenceRange range;      // from the rejoiner's next on
  std::uint64_t bytes = 0;  // of its WAL, about; 0: not known
  BatchInfo joint;          // the batch at the end of the range, the same in both WALs
};

// The rejoiner's next is about to be purged from the survivor's WAL, and the group is calm: a full sync
// disturbs less now than later.
struct EndangeredEvidence {
  std::int64_t left_ms = 0;   // how long the WAL still holds it, at the least
  bool falls_behind = false;  // it followed, and came ever closer to the WAL's beginning
};

struct Evidence {
  SideEvidence rejoiner;
  SideEvidence survivor;
  std::optional<Sequence> fork;  // last common sequence
  ForkProof proof = ForkProof::kUnknown;
  // The records say that the rejoiner joined this very master's stream in this epoch and was never
  // promoted since: it can hold nothing that the survivor does not.
  bool same_stream = false;
  std::string fork_note;           // how it was found, for people
  std::optional<Sequence> target;  // survivor's first boundary at or after the rejoiner's next
  // The survivor's batch that ends right before the target, where its WAL still holds it. Where the rejoiner
  // stands there by equal batches, it is the rejoiner's own: that one stands still.
  std::optional<BatchInfo> before_target;
  std::optional<Touched> tail;  // rejoiner's records in (fork, last]
  // Survivor's records in (fork, target); without a target, for the rejoiner is ahead: all behind the fork.
  std::optional<Touched> missed;
  std::string replication_id;        // the survivor's at target - 1, if it uses them
  std::vector<std::string> missing;  // what could not be had, and why; one sentence each
  bool expected_to_come = false;     // what is missing is expected to come (loading, starting)
  // The survivor's last when it was promoted, by the record: the fork is there, or before (fork.h). What a
  // tail is counted from where the fork is not known.
  std::optional<Sequence> promoted_at{};
  // For a splice, where there is a tail. The survivor's first boundary at or after fork + 1; absent: its WAL
  // does not reach back so far. And the survivor's batch that ends at the fork, where its WAL still holds it.
  std::optional<Sequence> replay_from{};
  std::optional<BatchInfo> last_common{};
  // A splice or pad of it to this survivor broke off before: the rejoiner's last before the first of them.
  // What it holds behind that came from the survivor, or is without data, and a splice replays it anew.
  std::optional<Sequence> own_last{};
  std::optional<Touched> own_tail{};  // with own_last: the rejoiner's records in (fork, own_last]
  // What of the tail can be taken back; absent: nothing, and why.
  std::optional<UndoEvidence> undo{};
  std::string undo_note{};
  // Splices of this rejoiner that failed since it was last in service, as far as this controller knows, and
  // why the last one did.
  std::uint64_t splices_failed = 0;
  std::string splice_failure{};
  // Keys of keyspaces that are to be repaired, and that the survivor cannot rewrite as they are; absent: it
  // was not asked, or did not answer.
  std::optional<std::vector<KeyProblem>> unrepairable{};
  // After a splice or a pad of it to this survivor, keys were not made equal, or not seen to be: why.
  std::string repair_failure{};
  // Where the survivor's WAL no longer holds the rejoiner's next: who lends what is between. There is no
  // target then. Absent, with a note: why nobody does.
  std::optional<BorrowEvidence> borrow{};
  std::string borrow_note{};
  bool lender_unheard = false;  // a node that may lend did not answer
  std::optional<EndangeredEvidence> endangered{};

  // What of the tail a splice leaves to differ, if nothing of it is taken back.
  [[nodiscard]] const std::optional<Touched>& OwnTail() const { return own_last ? own_tail : tail; }
  // By how much a splice shifts: the tail's records, and those that take it back. The fork and the rejoiner's
  // last are known.
  [[nodiscard]] std::uint64_t Shift() const { return (*rejoiner.last - *fork) + (undo ? undo->records : 0); }
  // target - next, if both are known.
  [[nodiscard]] std::optional<std::uint64_t> Pad() const {
    if (!target || !rejoiner.last || *target < *rejoiner.last + 1) return std::nullopt;
    return *target - (*rejoiner.last + 1);
  }
};

}  // namespace walstitch
