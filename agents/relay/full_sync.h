// What the relay answers its node's PSYNC while a full sync is decided.
//
// The dialogue of a node, as seen from its upstream:
//
// 1. PSYNC n: refused. From now on the node is in its full-sync machine, and stays there (retrying every
//    ten seconds) until a full sync succeeds or its upstream is changed.
// 2. `_fetch_meta` on a new connection, which the node keeps open until the data is restored;
//    `_fetch_file` on one to four more.
// 3. When it is done: a new connection first, then the one of `_fetch_meta` is closed, then PSYNC m.
//
// The trap is a node that is restarted in the middle of 2. It asks PSYNC n again, with its old data, and
// if n happens to fit, the upstream would accept: a resumption over a divergence for which a full sync
// was decided. It shows in two ways, and one that speaks for success is enough: the sequence has changed
// (m != n), or the connection was opened while `_fetch_meta`'s was still open, which a process that died
// cannot do. Else it is refused again; at worst a full sync is made twice.
//
// Pure.
#pragma once

#include <cstddef>
#include <optional>

#include "policies/model/sequence.h"

namespace walstitch::relay {

class FullSyncDialogue {
 public:
  enum class Answer {
    kRefuse,  // the node shall make a full sync
    kFollow,  // the node has made it: follow the upstream from there
    kGiveUp,  // refused too often: park
  };
  static constexpr std::size_t kMaxRetries = 3;

  // `during_fetch`: the node opened this connection while its `_fetch_meta` connection stood.
  Answer OnPsync(Sequence next, bool during_fetch);

  void OnFetchMeta();

  // The upstream refused the node's PSYNC after the full sync: the node has to make another one.
  void OnUpstreamRefused();

  // The node has asked for `_fetch_meta`.
  [[nodiscard]] bool Begun() const { return begun_; }

 private:
  std::size_t refusals_ = 0;
  bool begun_ = false;
  bool fetched_ = false;                // `_fetch_meta` since the last refusal
  std::optional<Sequence> refused_at_;  // absent: the node was in its full-sync machine already
  std::optional<Sequence> synced_at_;
};

}  // namespace walstitch::relay
