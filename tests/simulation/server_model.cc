#include "tests/simulation/server_model.h"

#include <algorithm>
#include <utility>

#include "tests/simulation/agent_model.h"
#include "tests/simulation/world.h"

namespace walstitch::simulation {
namespace {

constexpr std::int64_t kReconnectUs = 1'000'000;  // Kvrocks sleeps so long when its upstream is gone
constexpr std::int64_t kPingUs = 2'000'000;
constexpr std::int64_t kResendUs = 200'000;      // TCP, towards a network that is cut
constexpr std::int64_t kUnsyncedUs = 1'000'000;  // what a machine's crash may lose

}  // namespace

void ServerModel::Later(std::int64_t us, std::function<void()> call) {
  world_.queue.After(us, [this, process = process_, call = std::move(call)] {
    if (process == process_ && up_) call();
  });
}

// ---- the process

void ServerModel::Start() {
  if (up_) return;
  up_ = true;
  paused_ = false;
  ++process_;
  up_since_us_ = world_.queue.NowUs();
  role_ = Role::kReplica;
  elsewhere_ = false;
  ++slaving_;
  syncing_ = false;
  copied_ = false;
  loading_ = true;
  world_.Trace(index_, "server",
               [&] { return "starts, as the replica of its relay, next " + std::to_string(Next()); });
  Later(world_.random.Between(5'000, 150'000), [this] {
    loading_ = false;
    AttachIn(500);
  });
}

void ServerModel::Kill(bool machine_too) {
  if (!up_) {
    if (machine_too) died_with_machine = true;
    return;
  }
  world_.Trace(index_, "server", [&] { return machine_too ? "is gone with its machine" : "is killed"; });
  died_us = world_.queue.NowUs();
  died_as_master = role_ == Role::kMaster;
  died_with_machine = machine_too;
  up_ = false;
  paused_ = false;
  ++process_;
  loading_ = false;
  syncing_ = false;
  LeaveRelay();
  auto calls = std::move(waiting_);
  waiting_.clear();
  waiting_frames_.clear();
  for (const auto& call : calls) call(false);
  // Whoever it fed notices that its connection is closed, unless the network is cut.
  for (const Feed& feed : feeds_) {
    if (machine_too) continue;
    if (const auto travel = world_.network.Travel(index_, feed.agent)) {
      world_.queue.After(*travel, [this, feed] {
        if (AgentModel* agent = world_.AgentOf(feed.agent, feed.run)) agent->relay().LinkClosed(feed.link);
      });
    }
  }
  feeds_.clear();
  if (machine_too) {
    std::size_t synced = log_.Batches().size();
    while (synced > 0 && applied_us_[synced - 1] > world_.queue.NowUs() - kUnsyncedUs) --synced;
    const std::size_t keeps = synced + world_.random.Index(log_.Batches().size() - synced + 1);
    if (keeps < log_.Batches().size()) {
      world_.Trace(index_, "server", [&] {
        return "has lost what was not synced: " + std::to_string(log_.Batches().size() - keeps) + " batches";
      });
      log_.CutTo(keeps);
      applied_us_.resize(keeps);
      wal_begin_ = std::min(wal_begin_, keeps);
      data_ = log_.DataBefore(Next());
    }
    return;
  }
  if (AgentModel* agent = world_.AgentOf(index_)) agent->ServerGone();
}

void ServerModel::Pause() {
  if (!up_ || paused_) return;
  world_.Trace(index_, "server", [] { return "hangs"; });
  paused_ = true;
}

void ServerModel::Continue() {
  if (!up_ || !paused_) return;
  world_.Trace(index_, "server", [] { return "goes on"; });
  paused_ = false;
  paused_us = world_.queue.NowUs();
  auto calls = std::move(waiting_);
  waiting_.clear();
  for (const auto& call : calls) call(true);
  auto frames = std::move(waiting_frames_);
  waiting_frames_.clear();
  for (const auto& [connection, batch] : frames) ApplyFrame(connection, batch);
  if (connection_ == 0 && role_ == Role::kReplica) AttachIn(1000);
  PumpAll();
}

void ServerModel::Call(std::function<void(bool)> call) {
  if (!up_) return call(false);
  if (!paused_) return call(true);
  waiting_.push_back(std::move(call));
}

// ---- its master

void ServerModel::LeaveRelay() {
  ++slaving_;
  if (connection_ == 0) return;
  const std::uint64_t connection = std::exchange(connection_, 0);
  if (AgentModel* agent = world_.AgentOf(index_)) agent->relay().NodeClosed(connection);
}

void ServerModel::SlaveOfRelay() {
  if (OfRelay()) return;
  world_.Trace(index_, "server", [] { return "becomes the replica of its relay"; });
  LeaveRelay();
  role_ = Role::kReplica;
  elsewhere_ = false;
  syncing_ = false;
  AttachIn(world_.random.Between(500, 5'000));
}

void ServerModel::SlaveOfElsewhere() {
  LeaveRelay();
  role_ = Role::kReplica;
  elsewhere_ = true;
  syncing_ = false;
}

void ServerModel::SlaveOfNoOne() {
  if (role_ == Role::kMaster) return;
  LeaveRelay();
  role_ = Role::kMaster;
  elsewhere_ = false;
  syncing_ = false;
  reign_start = log_.Batches().size();
  world_.Trace(index_, "server", [&] { return "becomes a master, next " + std::to_string(Next()); });
}

bool ServerModel::Write(const Batch& batch) {
  if (!TakesWrites()) return false;
  Append(batch);
  return true;
}

void ServerModel::Append(Batch batch) {
  // RocksDB numbers what it writes by its own counter.
  if (batch.first != Next()) {
    batch.first = Next();
    Seal(batch);
  }
  log_.Append(batch);
  applied_us_.push_back(world_.queue.NowUs());
  data_.Apply(batch);
  PumpAll();
}

void ServerModel::AttachIn(std::int64_t us) {
  Later(us, [this, slaving = slaving_] {
    if (slaving == slaving_) Attach();
  });
}

void ServerModel::Attach() {
  if (paused_ || loading_ || connection_ != 0 || syncing_ || !OfRelay()) return;
  AgentModel* agent = world_.AgentOf(index_);
  if (agent == nullptr) return AttachIn(kReconnectUs);
  const std::uint64_t connection = ++connections_;
  if (agent->relay().NodePsync(connection, Next(), std::exchange(copied_, false))) {
    connection_ = connection;
    return;
  }
  syncing_ = true;
  Fetch();
}

void ServerModel::RelayClosed(std::uint64_t connection) {
  if (!up_ || connection != connection_ || connection == 0) return;
  connection_ = 0;
  AttachIn(kReconnectUs);
}

void ServerModel::ApplyFrame(std::uint64_t connection, const Batch& batch) {
  if (!up_ || connection != connection_ || connection == 0 || role_ != Role::kReplica) return;
  if (paused_) {
    waiting_frames_.emplace_back(connection, batch);
    return;
  }
  Append(batch);
}

// ---- a full sync, as the one that is copied to. Once begun, it is never given up for PSYNC, see Kvrocks.

void ServerModel::Fetch() {
  const auto again = [this] {
    Later(world_.random.Between(1'000'000, 10'000'000), [this, slaving = slaving_] {
      if (slaving == slaving_ && syncing_ && !loading_) Fetch();
    });
  };
  AgentModel* agent = world_.AgentOf(index_);
  const std::optional<std::size_t> from = agent == nullptr ? std::nullopt : agent->relay().NodeFetches();
  if (!from) return again();
  ServerModel& source = world_.machines[*from]->server;
  const bool there = source.Up() && !source.Paused() && !source.Loading() &&
                     !world_.network.Cut(index_, *from) && !world_.network.Cut(*from, index_);
  if (!there) return again();
  world_.checkers->FullSyncBegins(index_);
  if (world_.Broken()) return;
  const std::shared_ptr<const History> copy = source.Checkpoint();
  const std::uint64_t command = agent->relay().Command();
  world_.Trace(index_, "server", [&] { return "fetches the files of " + world_.NameOf(*from); });
  Later(world_.random.Between(5'000, 300'000),
        [this, slaving = slaving_, copy, command, from = *from, again] {
          if (slaving != slaving_ || !syncing_) return;
          AgentModel* now = world_.AgentOf(index_);
          const bool goes_on = now != nullptr && now->relay().Command() == command &&
                               !world_.network.Cut(from, index_) && world_.machines[from]->server.Up();
          if (!goes_on || paused_) return again();
          loading_ = true;
          Later(world_.random.Between(5'000, 200'000), [this, copy] { Restore(copy); });
        });
}

void ServerModel::Restore(std::shared_ptr<const History> copy) {
  loading_ = false;
  syncing_ = false;
  log_ = *copy;
  applied_us_.assign(log_.Batches().size(), world_.queue.NowUs() - 10 * kUnsyncedUs);
  wal_begin_ = log_.Batches().size();
  data_ = log_.DataBefore(Next());
  copied_ = true;
  // Those that it fed are disconnected.
  for (const Feed& feed : feeds_) {
    if (AgentModel* agent = world_.AgentOf(feed.agent, feed.run)) agent->relay().LinkClosed(feed.link);
  }
  feeds_.clear();
  world_.Trace(index_, "server", [&] { return "holds a full copy, next " + std::to_string(Next()); });
  if (OfRelay()) AttachIn(1000);
}

std::shared_ptr<const History> ServerModel::Checkpoint() {
  ++counters_.sync_full;
  return std::make_shared<const History>(log_);
}

// ---- as an upstream

ServerModel::PsyncAnswer ServerModel::OnPsync(std::size_t agent, std::uint64_t run, std::uint64_t link,
                                              std::uint64_t next) {
  if (loading_) return PsyncAnswer::kLoading;
  const std::size_t index = log_.Find(next);
  const bool boundary = next == Next() || (index >= wal_begin_ && log_.At(next) != nullptr);
  if (!boundary) {
    ++counters_.sync_partial_err;
    return PsyncAnswer::kRefused;
  }
  ++counters_.sync_partial_ok;
  Feed feed;
  feed.agent = agent;
  feed.run = run;
  feed.link = link;
  feed.index = index;
  feed.arrives_us = world_.queue.NowUs();
  feed.sent_us = world_.queue.NowUs();
  std::erase_if(feeds_, [&](const Feed& other) { return other.agent == agent; });
  feeds_.push_back(feed);
  Pump(feeds_.back());
  Later(kPingUs, [this, link] { Ping(link); });
  return PsyncAnswer::kAccepted;
}

ServerModel::Feed* ServerModel::FindFeed(std::size_t agent, std::uint64_t link) {
  for (Feed& feed : feeds_) {
    if (feed.agent == agent && feed.link == link) return &feed;
  }
  return nullptr;
}

void ServerModel::DropFeed(std::size_t agent, std::uint64_t link) {
  std::erase_if(feeds_, [&](const Feed& feed) { return feed.agent == agent && feed.link == link; });
}

void ServerModel::PumpAll() {
  for (Feed& feed : feeds_) Pump(feed);
}

void ServerModel::Pump(Feed& feed) {
  while (!paused_ && !feed.waits && feed.index < log_.Batches().size()) {
    const auto travel = world_.network.Travel(index_, feed.agent);
    if (!travel) {  // it is sent again, until it comes through or the connection is given up
      feed.waits = true;
      Later(kResendUs, [this, agent = feed.agent, link = feed.link] {
        Feed* again = FindFeed(agent, link);
        if (again == nullptr) return;
        again->waits = false;
        Pump(*again);
      });
      return;
    }
    feed.arrives_us = std::max(feed.arrives_us, world_.queue.NowUs() + *travel + world_.feed_lag_us);
    feed.sent_us = world_.queue.NowUs();
    const Batch& batch = log_.Batches()[feed.index++];
    world_.queue.At(feed.arrives_us, [this, agent = feed.agent, run = feed.run, link = feed.link, batch] {
      AgentModel* to = world_.AgentOf(agent, run);
      if (to == nullptr || !to->relay().Frame(link, batch)) DropFeed(agent, link);
    });
  }
}

// An idle master says so.
void ServerModel::Ping(std::uint64_t link) {
  for (Feed& feed : feeds_) {
    if (feed.link != link) continue;
    const std::int64_t idle = world_.queue.NowUs() - feed.sent_us;
    if (idle >= kPingUs && !paused_) {
      feed.sent_us = world_.queue.NowUs();
      if (const auto travel = world_.network.Travel(index_, feed.agent)) {
        world_.queue.After(*travel, [this, agent = feed.agent, run = feed.run, link] {
          AgentModel* to = world_.AgentOf(agent, run);
          if (to == nullptr || !to->relay().Heard(link)) DropFeed(agent, link);
        });
      }
    }
    Later(idle >= kPingUs ? kPingUs : kPingUs - idle, [this, link] { Ping(link); });
    return;
  }
}

void ServerModel::Purge() {
  const std::size_t size = log_.Batches().size();
  if (size > 3) wal_begin_ = std::max(wal_begin_, size - 3);
}

}  // namespace walstitch::simulation
