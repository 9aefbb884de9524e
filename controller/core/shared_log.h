// The decision log where several controllers share a store that writes one object at a time, and only if
// nobody else has written it since it was read (in Kubernetes: custom resources, by their resourceVersion).
// Pure: what is to be written next, and what an answer, or none, says.
//
// One object, the shared log, is what counts: who leads (holder, term), the chain's head, and the entries
// that were appended last, each with the state that its group has by it. Writing it is the commit: it is one
// write, whatever it appends. Behind it the entries are spread to objects of their own, one for each decision
// and one for each group, for people and for whoever leads next; entries that were spread leave the shared
// log.
//
// 1. A leader is paused in the middle of a write. 2. Its successor takes the shared log over: it writes its
// own name and the next term into it. 3. The first wakes, and its write fails: the log is not as it read it.
// So nothing that it decides is ever durable again, and it acts on nothing that is not.
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "controller/core/log_chain.h"
#include "policies/model/result.h"

namespace walstitch::core {

struct SharedEntry {
  std::uint64_t index = 0;
  std::string decision;
  std::string line;
  std::string group;                        // whose state follows; empty: none
  std::optional<boost::json::value> state;  // as ToJson(GroupState)
};

struct SharedLog {
  std::string holder;  // who may write it
  std::uint64_t term = 0;
  LogHead head;     // of the last entry
  LogHead trimmed;  // of the last entry that was forgotten
  std::vector<SharedEntry> pending;
};

boost::json::value ToJson(const SharedLog& log);
Result<SharedLog> SharedLogFromJson(const boost::json::value& json);

// An entry that is longer cannot be written: etcd takes no more than 1.5 MiB at once.
inline constexpr std::size_t kMaxSharedEntryBytes = 600 << 10;
// Entries are not added to what is written while there is more than this.
inline constexpr std::size_t kMaxPendingBytes = 700 << 10;

class LogJournal {
 public:
  // The shared log as it was just written by the one who takes it over.
  explicit LogJournal(SharedLog taken);

  // `head` is the chain's behind the entry.
  void Append(SharedEntry entry, LogHead head);
  // What is forgotten goes into the next write.
  void Trim(LogHead trimmed);

  // What to write now: nothing is under way, and there is something. It is under way from then on.
  std::optional<SharedLog> Next();
  // It was written.
  void Wrote();
  // It was certainly not written, and nobody else has written.
  void NotWritten();
  enum class Fate { kWritten, kNotWritten, kFenced };
  // What became of it, by the log as it stands; Wrote or NotWritten is not called then. kFenced: somebody
  // else has written it, and this journal writes no more.
  Fate Saw(const SharedLog& stored);

  // Entries up to here are durable.
  [[nodiscard]] std::uint64_t Durable() const { return written_.head.index; }
  [[nodiscard]] std::uint64_t Appended() const {
    return queue_.empty() ? written_.head.index : queue_.back().entry.index;
  }
  [[nodiscard]] bool Fenced() const { return fenced_; }

  // Durable entries that were not spread yet, in order.
  [[nodiscard]] std::vector<SharedEntry> ToSpread() const;
  void Spread(std::uint64_t up_to);

 private:
  struct Queued {
    SharedEntry entry;
    LogHead head;
  };

  SharedLog written_;         // as it stands, as far as is known
  std::uint64_t spread_ = 0;  // entries up to here are spread
  std::deque<Queued> queue_;
  std::optional<LogHead> trim_;
  std::optional<SharedLog> under_way_;
  bool fenced_ = false;
};

}  // namespace walstitch::core
