#include "controller/core/group_state.h"

#include <algorithm>
#include <boost/json.hpp>

namespace walstitch::core {
namespace {

const Promotion* FindPromotion(const GroupState& state, std::uint64_t epoch) {
  for (const auto& promotion : state.promotions) {
    if (promotion.epoch == epoch) return &promotion;
  }
  return nullptr;
}

Membership MembershipOf(const GroupState& state, const std::string& node) {
  auto found = state.nodes.find(node);
  return found == state.nodes.end() ? Membership{} : found->second;
}

boost::json::value MembershipJson(const Membership& membership) {
  boost::json::object json{{"epoch", membership.epoch}, {"from", membership.from.Value()}};
  if (membership.begun) {
    json["begun"] = {{"intact_to", membership.begun->intact_to.Value()},
                     {"epoch", membership.begun->epoch},
                     {"own_last", membership.begun->own_last.Value()}};
  }
  return json;
}

boost::json::value HoldJson(const Hold& hold) {
  return {{"since_ms", hold.since_ms}, {"reason", hold.reason}};
}

Hold HoldFromJson(const boost::json::value& json) {
  return {json.at("since_ms").to_number<std::int64_t>(), std::string(json.at("reason").as_string())};
}

Membership MembershipFromJson(const boost::json::value& json) {
  const auto number = [](const boost::json::value& object, std::string_view name) {
    return object.at(name).to_number<std::uint64_t>();
  };
  Membership membership{number(json, "epoch"), Sequence(number(json, "from"))};
  // What an older version did not write.
  if (const auto* begun = json.as_object().if_contains("begun")) {
    membership.begun = Begun{Sequence(number(*begun, "intact_to")), number(*begun, "epoch"),
                             Sequence(number(*begun, "own_last"))};
  }
  return membership;
}

}  // namespace

std::string_view ToString(Management management) {
  switch (management) {
    case Management::kNew:
      return "new";
    case Management::kManaged:
      return "managed";
    case Management::kReleased:
      return "released";
  }
  return "";
}

void ApplyPromotion(GroupState& state, const std::string& node, std::uint64_t epoch, Sequence at) {
  state.promotions.push_back({epoch, node, at, MembershipOf(state, node)});
  if (state.promotions.size() > kRememberedPromotions) state.promotions.erase(state.promotions.begin());
  state.epoch = std::max(state.epoch, epoch);
  state.master = node;
  state.suspects.erase(node);
  // A master's whole history is its stream's.
  state.nodes[node] = {epoch, Sequence(0), std::nullopt};
}

void ApplyBegun(GroupState& state, const std::string& node, Sequence last) {
  const std::uint64_t epoch = MembershipOf(state, state.master).epoch;
  std::optional<Begun>& begun = state.nodes[node].begun;
  const bool again = begun && begun->epoch == epoch;
  begun = Begun{begun ? std::min(begun->intact_to, last) : last, epoch,
                again ? std::min(begun->own_last, last) : last};
}

void ApplyJoin(GroupState& state, const std::string& node, Sequence from) {
  const auto master = state.nodes.find(state.master);
  WALSTITCH_CHECK(master != state.nodes.end());
  state.nodes[node] = {master->second.epoch, from, std::nullopt};
}

KnownHistory KnownBetween(const GroupState& state, const std::string& rejoiner, const std::string& survivor) {
  Membership a = MembershipOf(state, rejoiner);
  Membership b = MembershipOf(state, survivor);
  KnownHistory known;
  const std::optional<Begun> begun = a.begun;
  if (begun && survivor == state.master && begun->epoch == b.epoch) known.own_last = begun->own_last;
  if (a.epoch == 0 || b.epoch == 0) return known;
  known.same_stream = a.epoch == b.epoch && rejoiner != state.master && !begun;

  // Walk the younger stream back to the one it continues until both stand in the same stream. Each step
  // back is a promotion: at or before its sequence the histories may still have been one.
  Sequence shared_from = std::max(a.from, b.from);
  std::optional<Sequence> promoted_at;
  bool kept_to_stream = !begun;
  while (a.epoch != b.epoch) {
    Membership& younger = a.epoch > b.epoch ? a : b;
    if (&younger == &a) kept_to_stream = false;
    const Promotion* promotion = FindPromotion(state, younger.epoch);
    if (promotion == nullptr || promotion->before.epoch == 0) {
      KnownHistory nothing;
      nothing.own_last = known.own_last;
      return nothing;
    }
    // 1. A splice of n2 breaks off: its last is greater by what was replayed. 2. Its master is lost, and an
    // operator has n2 promoted. 3. Up to there, its history is not the one that others of its old stream
    // have.
    const Sequence at =
        promotion->before.begun ? std::min(promotion->at, promotion->before.begun->intact_to) : promotion->at;
    promoted_at = promoted_at ? std::min(*promoted_at, at) : at;
    younger = promotion->before;
    shared_from = std::max(shared_from, younger.from);
  }
  known.shared_from = shared_from;
  known.promoted_at = promoted_at;
  known.rejoiner_kept_to_stream = kept_to_stream;
  return known;
}

boost::json::value ToJson(const GroupState& state) {
  boost::json::array promotions;
  for (const auto& promotion : state.promotions) {
    promotions.push_back({{"epoch", promotion.epoch},
                          {"node", promotion.node},
                          {"at", promotion.at.Value()},
                          {"before", MembershipJson(promotion.before)}});
  }
  boost::json::object nodes;
  for (const auto& [node, membership] : state.nodes) nodes[node] = MembershipJson(membership);
  boost::json::object suspects;
  for (const auto& [node, suspect] : state.suspects) {
    suspects[node] = {{"epoch", suspect.epoch}, {"at", suspect.at.Value()}, {"since_ms", suspect.since_ms}};
  }
  boost::json::object maintenance;
  for (const auto& [node, hold] : state.maintenance) maintenance[node] = HoldJson(hold);
  boost::json::object json{{"group", state.group},
                           {"management", ToString(state.management)},
                           {"epoch", state.epoch},
                           {"master", state.master},
                           {"promotions", std::move(promotions)},
                           {"nodes", std::move(nodes)},
                           {"suspects", std::move(suspects)},
                           {"maintenance", std::move(maintenance)},
                           {"blocked_until_ms", state.blocked_until_ms}};
  if (state.paused) json["paused"] = HoldJson(*state.paused);
  return json;
}

Result<GroupState> GroupStateFromJson(const boost::json::value& json) try {
  GroupState state;
  state.group = std::string_view(json.at("group").as_string());
  const std::string_view management = json.at("management").as_string();
  if (management == "new") {
    state.management = Management::kNew;
  } else if (management == "managed") {
    state.management = Management::kManaged;
  } else if (management == "released") {
    state.management = Management::kReleased;
  } else {
    return Fail(ErrorCode::kDamaged, "group state: unknown management '" + std::string(management) + "'");
  }
  state.epoch = json.at("epoch").to_number<std::uint64_t>();
  state.master = std::string_view(json.at("master").as_string());
  for (const auto& item : json.at("promotions").as_array()) {
    Promotion promotion;
    promotion.epoch = item.at("epoch").to_number<std::uint64_t>();
    promotion.node = std::string_view(item.at("node").as_string());
    promotion.at = Sequence(item.at("at").to_number<std::uint64_t>());
    promotion.before = MembershipFromJson(item.at("before"));
    state.promotions.push_back(std::move(promotion));
  }
  for (const auto& item : json.at("nodes").as_object()) {
    state.nodes[std::string(item.key())] = MembershipFromJson(item.value());
  }
  for (const auto& item : json.at("suspects").as_object()) {
    Suspect suspect;
    suspect.epoch = item.value().at("epoch").to_number<std::uint64_t>();
    suspect.at = Sequence(item.value().at("at").to_number<std::uint64_t>());
    suspect.since_ms = item.value().at("since_ms").to_number<std::int64_t>();
    state.suspects[std::string(item.key())] = suspect;
  }
  // What an older version did not write.
  const auto& object = json.as_object();
  if (const auto* paused = object.if_contains("paused")) state.paused = HoldFromJson(*paused);
  if (const auto* maintenance = object.if_contains("maintenance")) {
    for (const auto& item : maintenance->as_object()) {
      state.maintenance[std::string(item.key())] = HoldFromJson(item.value());
    }
  }
  if (const auto* blocked = object.if_contains("blocked_until_ms")) {
    state.blocked_until_ms = blocked->to_number<std::int64_t>();
  }
  return state;
} catch (const std::exception& problem) {
  return Fail(ErrorCode::kDamaged, std::string("group state: ") + problem.what());
}

}  // namespace walstitch::core
