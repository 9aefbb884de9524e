// Which of several controllers leads, by a record that all of them share and that only one writer can change
// at a time (in Kubernetes a Lease, coordination.k8s.io/v1). Pure: time is an argument, in milliseconds of a
// clock that also runs while the machine sleeps; nothing is ever compared between two clocks.
//
//   leader:    begins to write ---------- duration * (1 - drift) ---> leads no more, unless it has renewed
//   others:         sees it ------------------ duration * (1 + drift) ----------> may take over, if unchanged
//
// The leader counts from before it wrote, the others from when they first saw what it wrote; so no two lead
// at the same time, as long as no clock gains or loses more than the drift. What a leader has begun when its
// time ends may still arrive: a command is refused for its epoch, a lease counts from the report that it
// answers (policies/model/lease.h), and a write to the shared log fails, for its successor has written to it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace walstitch::core {

struct LeaderTerms {
  std::int64_t duration_ms = 15000;
  std::int64_t drift_permille = 10;  // how much any clock may gain or lose, in thousandths
};

struct LeaderRecord {
  std::string holder;  // empty: given back, if the address is empty, too
  std::int64_t duration_ms = 0;
  std::string renewed;            // when, by the holder's own clock: only ever compared for equality
  std::uint64_t transitions = 0;  // how often the holder has changed
  std::string address;            // where the holder's API is; empty: it does not say
  bool operator==(const LeaderRecord&) const = default;
};

class Leadership {
 public:
  // A run of the process in its place: "place/run". A predecessor in the same place is certainly gone.
  Leadership(std::string place, std::string run, LeaderTerms terms);

  enum class Step {
    kWait,    // another one leads, or may
    kCreate,  // there is no record
    kTake,    // the record is free, or has not been renewed for too long
    kRenew,   // it is this one's, and due
  };
  // The record as it was read; nullopt: there is none. `now_ms`: when the answer was here. `ever`: there was
  // a leader before. A record that is not there, or names nobody and was not given back, may have been taken
  // away under one who leads and cannot know: it is waited for as if it were another's.
  void Saw(const std::optional<LeaderRecord>& record, bool ever, std::int64_t now_ms);
  [[nodiscard]] Step Next(std::int64_t now_ms) const;
  // What kCreate, kTake and kRenew write. `renewed`: the time of day.
  [[nodiscard]] LeaderRecord Mine(std::string renewed, std::string address) const;
  // It was written, and nobody else had written before. `begun_ms`: before the request was sent.
  void Wrote(const LeaderRecord& record, std::int64_t begun_ms);

  // Until when this one leads; 0: it does not.
  [[nodiscard]] std::int64_t LeadsUntil() const { return leads_until_ms_; }
  [[nodiscard]] bool Leads(std::int64_t now_ms) const { return now_ms < leads_until_ms_; }
  // How long until the next look or renewal.
  [[nodiscard]] std::int64_t RetryMs() const;
  [[nodiscard]] const std::optional<LeaderRecord>& Record() const { return record_; }

 private:
  [[nodiscard]] bool Waited(std::int64_t duration_ms, std::int64_t now_ms) const;
  [[nodiscard]] std::string Identity() const { return place_ + "/" + run_; }

  std::string place_;
  std::string run_;
  LeaderTerms terms_;
  std::optional<LeaderRecord> record_;
  bool ever_ = false;
  std::int64_t seen_ms_ = 0;  // since when the record is as it is
  std::int64_t begun_ms_ = 0;
  std::int64_t leads_until_ms_ = 0;
};

}  // namespace walstitch::core
