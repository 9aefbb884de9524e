#include "agents/agent/lease_keeper.h"

#include <algorithm>
#include <boost/json.hpp>
#include <utility>

#include "policies/model/bytes.h"
#include "policies/model/json.h"

namespace walstitch::agent {

namespace {

constexpr int kVersion = 1;

// The controller counts as silent when so much of a lease is left as there is half a renewal after one that
// did not come. So three rounds of asking fit in: a machine that is busy may answer the first one late.
std::int64_t SilentLeft(const LeaseTerms& terms) {
  const std::int64_t renew = RenewInterval(terms);
  return std::max<std::int64_t>(0, HolderDeadline(0, terms) - renew - renew / 2);
}

std::string Milliseconds(std::int64_t ms) { return std::to_string(ms) + " ms"; }

std::optional<LeaseTerms> Longer(const std::optional<LeaseTerms>& left,
                                 const std::optional<LeaseTerms>& right) {
  if (!left || !right) return left ? left : right;
  return GrantorDeadline(0, *left) >= GrantorDeadline(0, *right) ? left : right;
}

tl::unexpected<Error> Damaged(std::string_view field) {
  return Fail(ErrorCode::kDamaged, "'" + std::string(field) + "' is missing or malformed");
}

// Readers of one field each; false: it is not there, or of another kind.
bool ReadText(const boost::json::object& object, std::string_view name, std::string& out) {
  const auto* value = object.if_contains(name);
  if (value == nullptr || !value->is_string()) return false;
  out = std::string(std::string_view(value->get_string()));
  return true;
}

bool ReadFlag(const boost::json::object& object, std::string_view name, bool& out) {
  const auto* value = object.if_contains(name);
  if (value == nullptr || !value->is_bool()) return false;
  out = value->get_bool();
  return true;
}

template <typename Number>
bool ReadNumber(const boost::json::object& object, std::string_view name, Number& out) {
  const auto* value = object.if_contains(name);
  if (value == nullptr || !value->is_number()) return false;
  boost::system::error_code error;
  out = value->to_number<Number>(error);
  return !error;
}

// Absent is good; what is there must be terms that can be kept.
bool ReadTerms(const boost::json::object& object, std::string_view name, std::optional<LeaseTerms>& out) {
  const auto* value = object.if_contains(name);
  if (value == nullptr) return true;
  auto terms = LeaseTermsFromJson(*value);
  if (!terms || !CheckTerms(*terms)) return false;
  out = *terms;
  return true;
}

}  // namespace

LeaseKeeper::LeaseKeeper(std::string node, std::string group, std::string boot_id)
    : node_(std::move(node)), group_(std::move(group)), boot_id_(std::move(boot_id)) {}

std::string LeaseKeeper::Save() const {
  boost::json::object object;
  object["version"] = kVersion;
  object["node"] = node_;
  object["group"] = group_;
  object["boot_id"] = boot_id_;
  object["leased"] = leased_;
  object["epoch"] = epoch_;
  if (terms_) object["terms"] = ToJson(*terms_);
  boost::json::array others;
  for (const GroupMember& member : others_) {
    others.push_back(boost::json::object{
        {"node", member.node}, {"agent", member.agent}, {"own_address", member.own_address}});
  }
  object["others"] = std::move(others);
  object["deadline_ms"] = deadline_ms_;
  object["ended_ms"] = ended_ms_;
  object["promised_until_ms"] = promised_until_ms_;
  if (promised_terms_) object["promised_terms"] = ToJson(*promised_terms_);
  object["promised_to"] = promised_to_;
  object["seen_epoch"] = seen_epoch_;
  return Dump(object);
}

Result<LeaseKeeper> LeaseKeeper::Restore(std::string_view text, std::string node, std::string group,
                                         std::string boot_id) {
  auto json = ParseJson(text);
  if (!json) return Fail(ErrorCode::kDamaged, json.error().Message());
  if (!json->is_object()) return Fail(ErrorCode::kDamaged, "it is no object");
  const boost::json::object& object = json->get_object();
  int version = 0;
  if (!ReadNumber(object, "version", version)) return Damaged("version");
  if (version != kVersion) {
    return Fail(ErrorCode::kDamaged, "it is of version " + std::to_string(version) + ", expected version 1");
  }
  std::string its_node;
  std::string its_group;
  std::string its_boot;
  if (!ReadText(object, "node", its_node)) return Damaged("node");
  if (!ReadText(object, "group", its_group)) return Damaged("group");
  if (!ReadText(object, "boot_id", its_boot)) return Damaged("boot_id");
  if (its_node != node || its_group != group) {
    return Fail(ErrorCode::kConflict, "it is the lease of node " + ToPrintable(its_node) + " of group " +
                                          ToPrintable(its_group) + ", but this agent is for node " + node +
                                          " of group " + group);
  }
  LeaseKeeper keeper(std::move(node), std::move(group), std::move(boot_id));
  if (!ReadFlag(object, "leased", keeper.leased_)) return Damaged("leased");
  if (!ReadNumber(object, "epoch", keeper.epoch_)) return Damaged("epoch");
  if (!ReadTerms(object, "terms", keeper.terms_)) return Damaged("terms");
  if (!ReadNumber(object, "deadline_ms", keeper.deadline_ms_)) return Damaged("deadline_ms");
  if (!ReadNumber(object, "ended_ms", keeper.ended_ms_)) return Damaged("ended_ms");
  if (!ReadNumber(object, "promised_until_ms", keeper.promised_until_ms_)) {
    return Damaged("promised_until_ms");
  }
  if (!ReadTerms(object, "promised_terms", keeper.promised_terms_)) return Damaged("promised_terms");
  if (!ReadText(object, "promised_to", keeper.promised_to_)) return Damaged("promised_to");
  if (!ReadNumber(object, "seen_epoch", keeper.seen_epoch_)) return Damaged("seen_epoch");
  const auto* others = object.if_contains("others");
  if (others == nullptr || !others->is_array()) return Damaged("others");
  for (const auto& value : others->get_array()) {
    GroupMember member;
    if (!value.is_object() || !ReadText(value.get_object(), "node", member.node) ||
        !ReadText(value.get_object(), "agent", member.agent)) {
      return Damaged("others");
    }
    // Absent: saved by a version that knew none but own addresses.
    if (value.get_object().contains("own_address") &&
        !ReadFlag(value.get_object(), "own_address", member.own_address)) {
      return Damaged("others");
    }
    keeper.others_.push_back(std::move(member));
  }
  // A lease that could not be asked for, nor counted, is none.
  if (keeper.leased_ && !keeper.terms_) return Damaged("terms");
  if (its_boot != keeper.boot_id_) {
    keeper.deadline_ms_ = 0;
    keeper.ended_ms_ = -1;
    keeper.promise_of_other_boot_ = keeper.promised_terms_.has_value();
    keeper.promised_until_ms_ = 0;
  }
  return keeper;
}

void LeaseKeeper::Start(std::int64_t now_ms) {
  started_ms_ = now_ms;
  if (promise_of_other_boot_) promised_until_ms_ = GrantorDeadline(now_ms, *promised_terms_);
  promise_of_other_boot_ = false;
}

void LeaseKeeper::FirstLook(bool is_master, std::int64_t now_ms) {
  if (leased_ && is_master && !Holds(now_ms)) grace_end_ms_ = now_ms + kFirstRoundMs;
}

// ---- holder

Result<void> LeaseKeeper::Check(const LeaseGrant& grant, std::uint64_t agent_epoch,
                                std::int64_t now_ms) const {
  if (grant.group != group_ || grant.node != node_) {
    return Fail(ErrorCode::kConflict, "the lease is for node " + ToPrintable(grant.node) + " of group " +
                                          ToPrintable(grant.group) + ", but this is node " + node_ +
                                          " of group " + group_);
  }
  const std::uint64_t highest = std::max(agent_epoch, seen_epoch_);
  if (grant.epoch < highest) {
    return Fail(ErrorCode::kStale, "the lease's epoch " + std::to_string(grant.epoch) + " is lower than " +
                                       std::to_string(highest) + ", which this agent has seen");
  }
  if (grant.boot_id != boot_id_) {
    return Fail(ErrorCode::kConflict, "the lease is counted by the clock of another boot");
  }
  if (grant.anchor_ms > now_ms) {
    return Fail(ErrorCode::kConflict, "the lease is counted from " +
                                          std::to_string(grant.anchor_ms - now_ms) + " ms in the future");
  }
  if (auto terms = CheckTerms(grant.terms); !terms) return Fail(terms.error(), "the lease's terms");
  if (grant.others.size() > kMaxOthers) {
    return Fail(ErrorCode::kInvalid, "the lease names more than " + std::to_string(kMaxOthers) + " others");
  }
  return {};
}

void LeaseKeeper::Install(const LeaseGrant& grant) {
  deadline_ms_ = std::max(deadline_ms_, HolderDeadline(grant.anchor_ms, grant.terms));
  leased_ = true;
  epoch_ = grant.epoch;
  terms_ = grant.terms;
  others_ = grant.others;
  grace_end_ms_ = 0;
  asking_ = false;
  awaited_.clear();
}

Result<void> LeaseKeeper::Grant(const LeaseGrant& grant, std::uint64_t agent_epoch, std::int64_t now_ms) {
  if (auto good = Check(grant, agent_epoch, now_ms); !good) return good;
  // 1. A report is on its way. 2. The node is parked, and its lease is over. 3. The grant that answers the
  // report arrives.
  if (grant.anchor_ms <= ended_ms_) {
    return Fail(ErrorCode::kConflict, "the lease has ended since the report that this grant answers");
  }
  Install(grant);
  return {};
}

void LeaseKeeper::End(std::int64_t now_ms) {
  deadline_ms_ = 0;
  ended_ms_ = now_ms;
  grace_end_ms_ = 0;
  asking_ = false;
  awaited_.clear();
}

void LeaseKeeper::Forget() {
  leased_ = false;
  deadline_ms_ = 0;
  grace_end_ms_ = 0;
  asking_ = false;
  awaited_.clear();
}

std::optional<std::int64_t> LeaseKeeper::LeftMs(std::int64_t now_ms) const {
  if (!Holds(now_ms)) return std::nullopt;
  return deadline_ms_ - now_ms;
}

bool LeaseKeeper::MustPark(bool is_master, std::int64_t now_ms) const {
  return leased_ && is_master && deadline_ms_ <= now_ms && grace_end_ms_ <= now_ms;
}

std::optional<std::int64_t> LeaseKeeper::ParkAt() const {
  if (!leased_) return std::nullopt;
  return std::max(deadline_ms_, grace_end_ms_);
}

// ---- asking for promises

std::optional<std::int64_t> LeaseKeeper::AskAt() const {
  if (!leased_ || !terms_) return std::nullopt;
  if (grace_end_ms_ > 0) {
    if (asking_) return std::nullopt;  // one round only
    return grace_end_ms_ - kFirstRoundMs;
  }
  if (deadline_ms_ == 0) return std::nullopt;
  if (asking_) return round_begun_ms_ + RenewInterval(*terms_);
  return deadline_ms_ - SilentLeft(*terms_);
}

LeaseKeeper::Round LeaseKeeper::BeginRound(std::int64_t now_ms) {
  Round round;
  round.number = ++round_;
  round_begun_ms_ = now_ms;
  round_lapsed_ = !Holds(now_ms);
  asking_ = true;
  awaited_.clear();
  if (!leased_ || !terms_) return round;
  round.timeout_ms = round_lapsed_ ? kFirstRoundMs : RenewInterval(*terms_) * 9 / 10;
  for (const GroupMember& member : others_) {
    if (member.node == node_ || !awaited_.insert(member.node).second) continue;
    round.questions.push_back({member, PromiseRequest{group_, node_, member.node, epoch_, *terms_}});
  }
  if (awaited_.empty()) {
    deadline_ms_ = std::max(deadline_ms_, HolderDeadline(now_ms, *terms_));
    grace_end_ms_ = 0;
  }
  return round;
}

bool LeaseKeeper::Answer(std::uint64_t round, const std::string& node, Heard heard, std::uint64_t epoch,
                         std::int64_t now_ms) {
  // Whichever round it was: there is, or will be, another master.
  if (leased_ && epoch > epoch_) {
    seen_epoch_ = std::max(seen_epoch_, epoch);
    if (deadline_ms_ == 0 && grace_end_ms_ == 0) return true;
    End(now_ms);
    return true;
  }
  if (round != round_ || !awaited_.contains(node)) return false;
  const auto member = std::find_if(others_.begin(), others_.end(),
                                   [&](const GroupMember& other) { return other.node == node; });
  const bool own_address = member != others_.end() && member->own_address;
  const bool counts = heard == Heard::kPromised ||
                      (heard == Heard::kRefusedByMachine && own_address && !round_lapsed_ && Holds(now_ms));
  if (!counts) {
    awaited_.clear();  // the round is lost
    return false;
  }
  awaited_.erase(node);
  if (!awaited_.empty()) return false;
  deadline_ms_ = std::max(deadline_ms_, HolderDeadline(round_begun_ms_, *terms_));
  grace_end_ms_ = 0;
  return true;
}

// ---- promising

PromiseAnswer LeaseKeeper::Promise(const PromiseRequest& request, std::uint64_t agent_epoch, bool is_master,
                                   bool promotion_under_way, std::int64_t now_ms) {
  PromiseAnswer answer;
  answer.epoch = std::max(agent_epoch, seen_epoch_);
  if (request.group != group_ || request.node != node_) {
    answer.epoch = 0;  // of another group: it would say nothing there
    answer.reason = "this is the agent of node " + node_ + " of group " + group_ + ", and not of node " +
                    ToPrintable(request.node) + " of group " + ToPrintable(request.group);
    return answer;
  }
  if (request.epoch < answer.epoch) {
    answer.reason = "the epoch " + std::to_string(request.epoch) + " is lower than " +
                    std::to_string(answer.epoch) + ", which this agent has seen";
    return answer;
  }
  if (auto terms = CheckTerms(request.terms); !terms) {
    answer.reason = "the terms: " + terms.error().Message();
    return answer;
  }
  if (is_master || Holds(now_ms)) {
    answer.reason = "node " + node_ + " is a master itself, or may be";
    return answer;
  }
  if (promotion_under_way) {
    answer.reason = "node " + node_ + " is being promoted";
    return answer;
  }
  seen_epoch_ = std::max(seen_epoch_, request.epoch);
  answer.epoch = std::max(agent_epoch, seen_epoch_);
  promised_until_ms_ = std::max(promised_until_ms_, GrantorDeadline(now_ms, request.terms));
  promised_terms_ = Longer(promised_terms_, request.terms);
  promised_to_ = request.holder;
  answer.promised = true;
  return answer;
}

std::int64_t LeaseKeeper::QuarantineEnd(const std::optional<LeaseTerms>& more) const {
  const std::optional<LeaseTerms> terms = Longer(Longer(terms_, promised_terms_), more);
  if (!terms || !started_ms_) return 0;
  return GrantorDeadline(*started_ms_, *terms);
}

std::optional<std::int64_t> LeaseKeeper::PromisedLeftMs(std::int64_t now_ms) const {
  const std::int64_t until = std::max(promised_until_ms_, QuarantineEnd(std::nullopt));
  if (until <= now_ms) return std::nullopt;
  return until - now_ms;
}

// ---- commands

// One that would run out before its holder has heard from anybody is not begun.
Result<void> LeaseKeeper::CheckTime(const LeaseGrant& lease, std::int64_t now_ms) const {
  const std::int64_t left = HolderDeadline(lease.anchor_ms, lease.terms) - now_ms;
  if (left >= RenewInterval(lease.terms)) return {};
  return Fail(ErrorCode::kConflict, "the command was under way for too long: its lease, counted from " +
                                        Milliseconds(now_ms - lease.anchor_ms) + " ago, " +
                                        (left <= 0 ? "has run out" : "runs out in " + Milliseconds(left)));
}

Result<void> LeaseKeeper::MayPromote(const PromoteAction& action, std::uint64_t agent_epoch,
                                     std::int64_t now_ms) const {
  if (action.lease) {
    if (auto good = Check(*action.lease, agent_epoch, now_ms); !good) {
      return Fail(ErrorCode::kConflict, good.error().Message());
    }
    if (auto in_time = CheckTime(*action.lease, now_ms); !in_time) return in_time;
  }
  // 1. n2 was promoted in n1's place, hangs, and nobody knows that it was; this node has promised it. 2.
  // Another is to take n1's place, and n1 is known to be fenced. 3. Taken for all promises, that would void
  // the one to n2, and there would be two masters.
  const bool is_void = action.holder_fenced && (action.replaces.empty() || promised_to_ == action.replaces);
  if (promised_until_ms_ > now_ms && !is_void) {
    return Fail(ErrorCode::kConflict, "the node has promised master " + ToPrintable(promised_to_) +
                                          " not to be promoted for another " +
                                          Milliseconds(promised_until_ms_ - now_ms));
  }
  if (action.holder_fenced) return {};
  const std::int64_t end =
      QuarantineEnd(action.lease ? std::optional<LeaseTerms>(action.lease->terms) : std::nullopt);
  if (end > now_ms) {
    return Fail(ErrorCode::kConflict,
                "this agent has just started, and a master may count on its absence for another " +
                    Milliseconds(end - now_ms));
  }
  return {};
}

void LeaseKeeper::Promoting(const PromoteAction& action, std::int64_t now_ms) {
  if (!action.lease) return Forget();
  // What was held before is not added to what the command says.
  End(now_ms);
  Install(*action.lease);
}

Result<void> LeaseKeeper::MayAdopt(const AdoptMasterAction& action, std::uint64_t agent_epoch,
                                   std::int64_t now_ms) const {
  if (!action.lease) return {};
  if (auto good = Check(*action.lease, agent_epoch, now_ms); !good) {
    return Fail(ErrorCode::kConflict, good.error().Message());
  }
  return CheckTime(*action.lease, now_ms);
}

void LeaseKeeper::Adopting(const AdoptMasterAction& action, std::int64_t /*now_ms*/) {
  if (!action.lease) return Forget();
  Install(*action.lease);
}

}  // namespace walstitch::agent
