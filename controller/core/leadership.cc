#include "controller/core/leadership.h"

#include <algorithm>
#include <utility>

namespace walstitch::core {

namespace {

// A renewal may fail four times before its time is over.
constexpr std::int64_t kRenewals = 5;

}  // namespace

Leadership::Leadership(std::string place, std::string run, LeaderTerms terms)
    : place_(std::move(place)), run_(std::move(run)), terms_(terms) {}

void Leadership::Saw(const std::optional<LeaderRecord>& record, bool ever, std::int64_t now_ms) {
  ever_ = ever;
  if (record_ != record || seen_ms_ == 0) seen_ms_ = now_ms;
  // 1. It leads, and cannot be told. 2. Somebody writes the record by hand. It leads no more, at once.
  if (leads_until_ms_ != 0 && (!record || record->holder != Identity())) leads_until_ms_ = 0;
  record_ = record;
}

Leadership::Step Leadership::Next(std::int64_t now_ms) const {
  if (!record_) {
    if (seen_ms_ == 0) return Step::kWait;
    return !ever_ || Waited(terms_.duration_ms, now_ms) ? Step::kCreate : Step::kWait;
  }
  if (record_->holder == Identity()) return now_ms - begun_ms_ >= RetryMs() ? Step::kRenew : Step::kWait;
  const bool given_back = record_->holder.empty() && record_->address.empty();
  if (given_back || record_->holder.starts_with(place_ + "/")) return Step::kTake;
  // Whose duration counts is the holder's; one that says none is waited for as if it were ours.
  return Waited(std::max(record_->duration_ms, terms_.duration_ms), now_ms) ? Step::kTake : Step::kWait;
}

bool Leadership::Waited(std::int64_t duration_ms, std::int64_t now_ms) const {
  return now_ms - seen_ms_ >= duration_ms + (duration_ms * terms_.drift_permille + 999) / 1000;
}

LeaderRecord Leadership::Mine(std::string renewed, std::string address) const {
  LeaderRecord mine;
  mine.holder = Identity();
  mine.duration_ms = terms_.duration_ms;
  mine.renewed = std::move(renewed);
  mine.address = std::move(address);
  const bool held = record_ && record_->holder == mine.holder;
  mine.transitions = record_ ? record_->transitions + (held ? 0 : 1) : 0;
  return mine;
}

void Leadership::Wrote(const LeaderRecord& record, std::int64_t begun_ms) {
  record_ = record;
  seen_ms_ = begun_ms_ = begun_ms;
  leads_until_ms_ =
      record.holder == Identity()
          ? begun_ms + terms_.duration_ms - (terms_.duration_ms * terms_.drift_permille + 999) / 1000
          : 0;
}

std::int64_t Leadership::RetryMs() const {
  return std::max<std::int64_t>(100, terms_.duration_ms / kRenewals);
}

}  // namespace walstitch::core
