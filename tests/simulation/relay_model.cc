#include <algorithm>

#include "tests/simulation/agent_model.h"
#include "tests/simulation/world.h"

namespace walstitch::simulation {
namespace {

constexpr std::int64_t kReconnectUs = 200'000;
constexpr std::int64_t kConnectUs = 3'000'000;
constexpr std::int64_t kSilenceUs = 10'000'000;

}  // namespace

RelayReport RelayModel::Report() const {
  RelayReport report;
  report.state = state_;
  report.node_attached = connection_ != 0;
  if (connection_ != 0) report.node_next = Sequence(node_next_);
  if (upstream_) {
    report.upstream = world_.EndpointOf(upstream_->node);
    report.upstream_connected = upstream_->connected;
    if (upstream_->connected) report.upstream_silent_ms = (world_.queue.NowUs() - upstream_->heard_us) / 1000;
  } else if (full_sync_from_) {
    report.upstream = world_.EndpointOf(*full_sync_from_);
  }
  report.frames_forwarded = frames_;
  report.bytes_forwarded = frames_ * 50;
  report.full_syncs_refused = full_syncs_refused_;
  report.error = error_;
  return report;
}

std::optional<std::size_t> RelayModel::Upstream() const {
  return upstream_ && upstream_->connected ? std::optional(upstream_->node) : std::nullopt;
}

void RelayModel::Changed() { agent_.RelayChanged(false); }

void RelayModel::DropUpstream() {
  if (upstream_) {
    const Session session = *upstream_;
    upstream_.reset();
    if (session.link != 0) world_.CloseFeed(index_, session.node, session.link);
  }
  full_sync_from_.reset();
  full_sync_.reset();
}

void RelayModel::BeginCommand() {
  ++command_;
  DropUpstream();
  last_given_.reset();
  fetched_ = false;
  state_ = RelayState::kParked;
  error_.clear();
  Changed();
}

void RelayModel::Park(RelayState state) {
  BeginCommand();
  state_ = state;
}

void RelayModel::ParkWith(std::string error) {
  DropUpstream();
  state_ = RelayState::kParked;
  error_ = std::move(error);
  world_.Trace(index_, "relay", [&] { return "parks: " + error_; });
  Changed();
}

void RelayModel::Detach() {
  if (connection_ == 0) return;
  const std::uint64_t connection = std::exchange(connection_, 0);
  world_.machines[index_]->server.RelayClosed(connection);
  if (upstream_ && upstream_->link != 0) Lost(upstream_->link);
  if (Splicing()) ParkWith("splicing: the node's connection broke");
  agent_.RelayChanged(true);
}

// ---- its server

bool RelayModel::NodePsync(std::uint64_t connection, std::uint64_t next, bool with_copy) {
  using Answer = relay::FullSyncDialogue::Answer;
  const bool syncing = full_sync_.has_value();
  const Answer answer = syncing ? full_sync_->OnPsync(Sequence(next), with_copy) : Answer::kFollow;
  if (answer == Answer::kRefuse) {
    connection_ = 0;
    if (upstream_ && upstream_->link != 0) world_.CloseFeed(index_, upstream_->node, upstream_->link);
    upstream_.reset();
    return false;
  }
  if (answer == Answer::kGiveUp) {
    ParkWith("the node came back without its full sync too often");
  } else if (syncing) {
    if (!upstream_) {
      upstream_.emplace();
      upstream_->node = *full_sync_from_;
    }
  } else if (Splicing()) {
    ParkWith("splicing: the node's connection broke, and it asks for " + std::to_string(next));
  } else if (upstream_ && upstream_->from) {
    if (next > node_next_) {
      ParkWith("the node asks for more than it was given");
    } else if (next < *upstream_->from) {
      ParkWith("the node lost records of an earlier history");
    }
  }
  if (connection_ != 0) Detach();
  connection_ = connection;
  node_next_ = next;
  forwarded_us_ = world_.queue.NowUs();
  world_.Trace(index_, "relay", [&] { return "is attached to, next " + std::to_string(next); });
  if (upstream_ && upstream_->link == 0) Dial();
  agent_.RelayChanged(true);
  return true;
}

void RelayModel::NodeClosed(std::uint64_t connection) {
  if (connection != connection_ || connection == 0) return;
  connection_ = 0;
  if (upstream_ && upstream_->link != 0) {
    const std::uint64_t link = upstream_->link;
    world_.CloseFeed(index_, upstream_->node, link);
    upstream_->link = 0;
    upstream_->connected = false;
  }
  if (Splicing()) ParkWith("splicing: the node's connection broke");
  agent_.RelayChanged(true);
}

std::optional<std::size_t> RelayModel::NodeFetches() {
  if (!full_sync_) {
    ++full_syncs_refused_;
    Changed();
    return std::nullopt;
  }
  full_sync_->OnFetchMeta();
  fetched_ = true;
  Changed();
  return full_sync_from_;
}

// ---- its upstream

void RelayModel::Follow(const FollowAction& action) {
  BeginCommand();
  upstream_.emplace();
  upstream_->node = world_.IndexOf(action.upstream);
  if (action.expected_next) upstream_->expected_next = action.expected_next->Value();
  upstream_->last_batch = action.last_batch;
  if (connection_ != 0) Dial();
}

void RelayModel::Splice(const SpliceAction& action) {
  BeginCommand();
  upstream_.emplace();
  upstream_->node = world_.IndexOf(action.upstream);
  upstream_->expected_next = action.expected_next.Value();
  upstream_->last_batch = action.last_common;
  SpliceState splice;
  splice.fork = action.fork.Value();
  splice.last = action.expected_next.Value() - 1;
  splice.upstream_next = action.fork.Value() + 1;
  splice.remaining = action.shift;
  splice.marker = world_.MarkerOf(std::string(kFillerPrefix) + action.decision);
  upstream_->splice = std::move(splice);
  state_ = RelayState::kSplicing;
  if (connection_ != 0) Dial();
  Changed();
}

std::optional<std::uint64_t> RelayModel::MetAt() const {
  if (!Splicing() || upstream_->splice->remaining > 0) return std::nullopt;
  return upstream_->splice->upstream_next;
}

Result<void> RelayModel::FollowOn(std::uint64_t met) {
  if (MetAt() != met || node_next_ != met || connection_ == 0 || !upstream_->connected) {
    return Fail(ErrorCode::kConflict, "the splice is over: " + error_);
  }
  const SpliceState splice = std::move(*upstream_->splice);
  upstream_->splice.reset();
  upstream_->from = met;
  upstream_->ever_accepted = true;
  state_ = RelayState::kFollowing;
  error_.clear();
  world_.checkers->Spliced(index_, upstream_->node, met, splice.fork, splice.last);
  for (const Batch& batch : splice.held) {
    if (!upstream_ || batch.first != node_next_) {
      ParkWith("what came behind the splice does not follow it");
      break;
    }
    Forward(batch);
  }
  Changed();
  return {};
}

bool RelayModel::SpliceFrame(const Batch& batch) {
  SpliceState& splice = *upstream_->splice;
  if (splice.remaining == 0) {
    splice.held.push_back(batch);
    return true;
  }
  if (batch.first != splice.upstream_next) {
    ParkWith("splicing: a frame begins at " + std::to_string(batch.first) + ", not at " +
             std::to_string(splice.upstream_next));
    return false;
  }
  splice.upstream_next = batch.End();
  if (batch.marker == splice.marker) {
    if (batch.count > splice.remaining) {
      ParkWith("splicing: there is more of the filler than the shift");
      return false;
    }
    splice.remaining -= batch.count;
    last_given_ = batch;
    if (splice.remaining == 0) Changed();
    return true;
  }
  Batch renumbered = batch;
  renumbered.first += splice.remaining;
  Seal(renumbered);
  Forward(renumbered);
  return true;
}

void RelayModel::FullSync(std::size_t upstream) {
  BeginCommand();
  state_ = RelayState::kFullSync;
  full_sync_from_ = upstream;
  full_sync_.emplace();
  Detach();
  Changed();
}

void RelayModel::Dial() {
  Session& session = *upstream_;
  if (!session.from && session.expected_next && *session.expected_next != node_next_) {
    return ParkWith("the node's next is " + std::to_string(node_next_) + ", not " +
                    std::to_string(*session.expected_next) + " as commanded");
  }
  if (!session.from && !session.splice) session.from = node_next_;
  const std::uint64_t link = world_.NewNumber();
  session.link = link;
  session.connected = false;
  const std::size_t to = session.node;
  agent_.Later(kConnectUs, [this, link] {
    if (upstream_ && upstream_->link == link && !upstream_->connected) Lost(link);
  });
  const auto travel = world_.network.Travel(index_, to);
  if (!travel) return;
  const std::uint64_t next = session.splice ? session.splice->upstream_next : node_next_;
  const bool splices = session.splice.has_value();
  World& world = world_;
  const std::size_t index = index_;
  const std::uint64_t run = agent_.Run();
  world.queue.After(*travel, [&world, index, run, link, to, next, splices] {
    Machine& machine = *world.machines[to];
    if (!machine.up) return;
    const auto answer = [&world, index, run, link, to](std::function<void(RelayModel&)> call) {
      const auto back = world.network.Travel(to, index);
      if (!back) return;
      world.queue.After(*back, [&world, index, run, call = std::move(call)] {
        if (AgentModel* agent = world.AgentOf(index, run)) call(agent->relay());
      });
    };
    machine.server.Call([&world, index, run, link, to, next, splices, answer](bool alive) {
      if (!alive) return answer([link](RelayModel& relay) { relay.Lost(link); });
      AgentModel* agent = world.AgentOf(index, run);
      const bool wanted =
          agent != nullptr && agent->relay().upstream_ && agent->relay().upstream_->link == link;
      if (!wanted) return;
      if (!agent->relay().SameHistory(to, next)) {
        return answer([link](RelayModel& relay) { relay.Refused(link); });
      }
      switch (world.machines[to]->server.OnPsync(index, run, link, next)) {
        case ServerModel::PsyncAnswer::kLoading:
          return answer([link](RelayModel& relay) { relay.Lost(link); });
        case ServerModel::PsyncAnswer::kRefused:
          return answer([link](RelayModel& relay) { relay.Refused(link); });
        case ServerModel::PsyncAnswer::kAccepted:
          world.Trace(index, "relay",
                      [&] { return "is accepted by " + world.NameOf(to) + " at " + std::to_string(next); });
          if (!splices) world.checkers->Resumed(index, to, next);
          return answer([link](RelayModel& relay) { relay.Heard(link); });
      }
    });
  });
}

// A link is compared by the batch before the node's next: at first by the one that was commanded, if there
// was one, and one that is made again by the last that was given, and over without one.
bool RelayModel::SameHistory(std::size_t upstream, std::uint64_t next) const {
  const ServerModel& server = world_.machines[upstream]->server;
  const WalView wal(server.Log(), server.WalBegin(), world_.markers);
  std::optional<BatchInfo> behind = upstream_->last_batch;
  if (upstream_->ever_accepted && last_given_) behind = wal.InfoOf(*last_given_);
  if (behind && behind->End() != Sequence(next)) behind.reset();
  if (!behind) return !upstream_->ever_accepted && !upstream_->last_batch;
  const std::uint64_t first = behind->first.Value();
  const Batch* theirs = server.Log().At(first);
  return theirs != nullptr && server.Log().Find(first) >= server.WalBegin() &&
         wal.InfoOf(*theirs).digest == behind->digest;
}

void RelayModel::Lost(std::uint64_t link) {
  if (!upstream_ || upstream_->link != link) return;
  if (Splicing()) return ParkWith("splicing: the upstream is lost");
  world_.CloseFeed(index_, upstream_->node, link);
  upstream_->link = 0;
  upstream_->connected = false;
  error_ = "the upstream is lost";
  Changed();
  agent_.Later(kReconnectUs, [this, command = command_] {
    if (command == command_ && upstream_ && upstream_->link == 0 && connection_ != 0) Dial();
  });
}

void RelayModel::Refused(std::uint64_t link) {
  if (!upstream_ || upstream_->link != link) return;
  if (full_sync_) {
    full_sync_->OnUpstreamRefused();
    upstream_.reset();
    Detach();
    return;
  }
  ParkWith("the upstream refused PSYNC at " + std::to_string(node_next_));
}

bool RelayModel::Heard(std::uint64_t link) {
  if (!upstream_ || upstream_->link != link) return false;
  upstream_->heard_us = world_.queue.NowUs();
  if (upstream_->connected) return true;
  upstream_->connected = true;
  if (Splicing()) {
    WatchSilence(link);
    return true;
  }
  upstream_->ever_accepted = true;
  state_ = RelayState::kFollowing;
  error_.clear();
  full_sync_from_.reset();
  full_sync_.reset();
  WatchSilence(link);
  Changed();
  return true;
}

void RelayModel::WatchSilence(std::uint64_t link) {
  const std::int64_t silent = world_.queue.NowUs() - upstream_->heard_us;
  agent_.Later(kSilenceUs - silent, [this, link] {
    if (!upstream_ || upstream_->link != link) return;
    if (world_.queue.NowUs() - upstream_->heard_us >= kSilenceUs) return Lost(link);
    WatchSilence(link);
  });
}

void RelayModel::LinkClosed(std::uint64_t link) { Lost(link); }

bool RelayModel::Frame(std::uint64_t link, const Batch& batch) {
  if (!Heard(link)) return false;
  if (connection_ == 0) {
    Lost(link);
    return false;
  }
  if (Splicing()) return SpliceFrame(batch);
  if (batch.first != node_next_) {
    ParkWith("a frame begins at " + std::to_string(batch.first) + ", not at " + std::to_string(node_next_));
    return false;
  }
  Forward(batch);
  return true;
}

void RelayModel::Forward(const Batch& batch) {
  node_next_ = batch.End();
  last_given_ = batch;
  ++frames_;
  forwarded_us_ = std::max(forwarded_us_, world_.queue.NowUs() + world_.random.Between(20, 400));
  world_.queue.At(forwarded_us_, [&world = world_, index = index_, connection = connection_, batch] {
    world.machines[index]->server.ApplyFrame(connection, batch);
  });
}

Result<void> RelayModel::Give(std::uint64_t expected_next, const std::vector<Batch>& batches) {
  if (state_ != RelayState::kParked || upstream_)
    return Fail(ErrorCode::kConflict, "the relay is not parked");
  if (connection_ == 0) return Fail(ErrorCode::kConflict, "the node is not attached to its relay");
  if (node_next_ != expected_next) {
    return Fail(ErrorCode::kConflict, "the node's next sequence is " + std::to_string(node_next_));
  }
  for (const Batch& batch : batches) Forward(batch);
  return {};
}

}  // namespace walstitch::simulation
