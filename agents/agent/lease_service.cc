#include "agents/agent/lease_service.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/json.hpp>
#include <utility>
#include <vector>

#include "agents/agent/peer_promise.h"
#include "policies/model/json.h"

namespace walstitch::agent {

namespace asio = boost::asio;
using std::chrono::milliseconds;

namespace {
constexpr std::size_t kMaxComplaints = 32;
}  // namespace

LeaseService::LeaseService(asio::any_io_executor executor, LeaseServiceOwner& owner,
                           LeaseServiceOptions options, LeaseKeeper keeper, StateFile file)
    : executor_(executor),
      owner_(owner),
      options_(std::move(options)),
      keeper_(std::move(keeper)),
      file_(std::move(file)),
      timer_(executor, [this] { Check(); }),
      wrote_(executor) {}

LeaseService::~LeaseService() { Stop(); }

void LeaseService::Start() {
  keeper_.Start(BootMs());
  started_ = true;
  Check();
}

void LeaseService::Stop() {
  if (stopped_) return;
  stopped_ = true;
  timer_.Set(std::nullopt);
  if (fence_) fence_->Stop();
  pool_.join();  // what is being written is written
}

void LeaseService::Look(const NodeLook& look) {
  if (stopped_ || look.served < trusted_from_) return;
  const std::int64_t now = BootMs();
  maybe_master_ = look.maybe_master;
  answers_ = look.known;
  if (look.down != down_) {
    down_ = look.down;
    // A server that boots has no lease: it boots as the replica of its relay, or is parked.
    if (down_ && keeper_.Leased()) {
      keeper_.End(now);
      Save();
    }
  }
  if (commands_ended_ && (look.known || look.down)) promoting_ = false;
  if (!looked_ && (look.known || look.down || look.maybe_master)) {
    looked_ = true;
    keeper_.FirstLook(maybe_master_, now);
  }
  Check();
}

void LeaseService::CommandsEnded(std::uint64_t request) {
  commands_ended_ = true;
  trusted_from_ = std::max(trusted_from_, request);
}

void LeaseService::Check() {
  if (stopped_ || !started_) return;
  const std::int64_t now = BootMs();
  if (maybe_master_ && !fence_ && keeper_.MustPark(true, now)) BeginFence();
  if (!maybe_master_ || fence_) {
    timer_.Set(std::nullopt);
    return;
  }
  // 1. The server hangs, and the controller lets its lease run out. 2. Went it on by promises, the group
  // could not be failed over for as long as it hangs. So nothing is asked for a server that does not answer.
  const auto due = [this] { return answers_ ? keeper_.AskAt() : std::nullopt; };
  auto ask_at = due();
  if (ask_at && *ask_at <= now) {
    BeginRound();
    ask_at = due();
  }
  auto next = keeper_.ParkAt();
  if (ask_at) next = next ? std::min(*next, *ask_at) : *ask_at;
  timer_.Set(next);
}

// ---- the fence

void LeaseService::BeginFence() {
  fence_note_ = "the lease ran out" +
                (not_promised_.empty() ? std::string() : ", and not all promised (" + not_promised_ + ")") +
                ": the node is parked";
  spdlog::warn("Node {}: {}.", options_.node, fence_note_);
  keeper_.End(BootMs());
  ++counts_.ran_out;
  not_promised_.clear();
  Save();
  owner_.ParkRelay();
  node::ClientOptions client = options_.client;
  fence_.emplace(executor_, client, options_.relay, [this](Fence::News news) { FenceTold(std::move(news)); });
  owner_.LeaseChanged();
}

void LeaseService::FenceTold(Fence::News news) {
  if (stopped_ || !fence_) return;
  if (!news.over) {
    Complain("Node " + options_.node + " is not parked yet: " + news.trouble);
    return;
  }
  fence_->Stop();
  fence_.reset();
  if (news.parked) {
    spdlog::info("Node {} is the replica of its relay.", options_.node);
  } else {
    spdlog::info("Node {} needs not be parked: {}.", options_.node, news.trouble);
  }
  // A look from before still shows the master.
  maybe_master_ = false;
  trusted_from_ = owner_.LookNow();
  owner_.LeaseChanged();
  Check();
}

// ---- asking

void LeaseService::BeginRound() {
  const LeaseKeeper::Round round = keeper_.BeginRound(BootMs());
  for (const LeaseKeeper::Question& question : round.questions) {
    asio::co_spawn(executor_, AskOne(round.number, question, milliseconds(round.timeout_ms)), asio::detached);
  }
  if (round.questions.empty()) {
    ++counts_.by_promises;
    Save();
  }
}

asio::awaitable<void> LeaseService::AskOne(std::uint64_t round, LeaseKeeper::Question question,
                                           milliseconds timeout) {
  auto heard = co_await AskPromise(question.member.agent, question.request, options_.peers, timeout);
  if (stopped_) co_return;
  const bool leased = keeper_.LeftMs(BootMs()).has_value();
  if (heard.heard == LeaseKeeper::Heard::kNothing) {
    not_promised_ = heard.why;
    Complain("Node " + options_.node + " asked for a promise in vain: " + heard.why);
  }
  if (keeper_.Answer(round, question.member.node, heard.heard, heard.epoch, BootMs())) {
    if (keeper_.LeftMs(BootMs())) {
      ++counts_.by_promises;
      not_promised_.clear();
      if (!leased) spdlog::info("Node {} goes on as master: all others promised.", options_.node);
    }
    Save();
    Check();
  }
}

// ---- the controller and the other agents

void LeaseService::HandleMessage(std::string_view text) {
  if (stopped_) return;
  auto json = ParseJson(text);
  if (!json || !json->is_object()) {
    return Complain("A message of the controller is no JSON object" +
                    (json ? std::string() : ": " + json.error().Message()));
  }
  const auto* lease = json->get_object().if_contains("lease");
  if (lease == nullptr) return;  // of a newer version
  auto grant = LeaseGrantFromJson(*lease);
  if (!grant) return Complain("A lease of the controller is malformed: " + grant.error().Message());
  if (fence_) return Complain("A lease came too late: the node is being parked");
  const bool leased = keeper_.Leased();
  auto granted = keeper_.Grant(*grant, owner_.HighestEpoch(), BootMs());
  if (!granted) return Complain("A lease was not taken: " + granted.error().Message());
  ++counts_.by_controller;
  if (!leased) spdlog::info("Node {} holds a lease.", options_.node);
  complaints_.clear();
  not_promised_.clear();
  fence_note_.clear();
  Save();
  Check();
  if (!leased) owner_.LeaseChanged();
}

asio::awaitable<PromiseAnswer> LeaseService::Promise(PromiseRequest request) {
  // Of a node that was not looked at yet nobody knows.
  const bool may_be_master = maybe_master_ || fence_ || !looked_;
  PromiseAnswer answer = keeper_.Promise(request, owner_.HighestEpoch(), may_be_master, promoting_, BootMs());
  if (!answer.promised) co_return answer;
  auto saved = co_await SaveNow();
  if (!saved) {
    answer.promised = false;
    answer.reason = "the promise is not on disk: " + saved.error().Message();
  }
  owner_.LeaseChanged();
  co_return answer;
}

std::optional<std::int64_t> LeaseService::RenewMs() const {
  if (!keeper_.Terms() || !keeper_.LeftMs(BootMs())) return std::nullopt;
  return RenewInterval(*keeper_.Terms());
}

void LeaseService::Fill(Report& report) const {
  const std::int64_t now = BootMs();
  report.lease_left_ms = keeper_.LeftMs(now);
  report.promised_left_ms = keeper_.PromisedLeftMs(now);
  report.leased = keeper_.Leased();
}

// ---- commands

Result<void> LeaseService::MayPromote(const PromoteAction& action) {
  if (fence_) return Fail(ErrorCode::kConflict, "the node is being parked, since its lease ran out");
  auto may = keeper_.MayPromote(action, owner_.HighestEpoch(), BootMs());
  if (may) {
    promoting_ = true;
    commands_ended_ = false;
  }
  return may;
}

Result<void> LeaseService::MayWrite() const {
  if (fence_) return Fail(ErrorCode::kConflict, "the node is being parked, since its lease ran out");
  if (keeper_.Leased() && !keeper_.LeftMs(BootMs())) {
    return Fail(ErrorCode::kConflict, "the node's lease has run out");
  }
  return {};
}

asio::awaitable<Result<void>> LeaseService::TakeLease(PromoteAction action) {
  if (auto may = MayPromote(action); !may) co_return may;
  keeper_.Promoting(action, BootMs());
  fence_note_.clear();
  auto saved = co_await SaveNow();
  if (!saved) {
    keeper_.End(BootMs());
    co_return Fail(saved.error(), "the lease is not on disk");
  }
  if (action.lease) ++counts_.by_controller;
  co_return Result<void>();
}

asio::awaitable<Result<void>> LeaseService::TakeLease(AdoptMasterAction action) {
  if (fence_) co_return Fail(ErrorCode::kConflict, "the node is being parked, since its lease ran out");
  if (auto may = keeper_.MayAdopt(action, owner_.HighestEpoch(), BootMs()); !may) co_return may;
  keeper_.Adopting(action, BootMs());
  fence_note_.clear();
  auto saved = co_await SaveNow();
  if (!saved) co_return Fail(saved.error(), "the lease is not on disk");
  if (action.lease) ++counts_.by_controller;
  Check();
  co_return Result<void>();
}

void LeaseService::EndLease() {
  keeper_.End(BootMs());
  fence_note_.clear();
  // The last look may have been at a master.
  maybe_master_ = false;
  trusted_from_ = owner_.LookNow();
  Save();
  Check();
}

asio::awaitable<Result<void>> LeaseService::ForgetLease() {
  keeper_.Forget();
  fence_note_.clear();
  auto saved = co_await SaveNow();
  Check();
  if (!saved) co_return Fail(saved.error(), "that leases are over is not on disk");
  co_return Result<void>();
}

// ---- the file

void LeaseService::Save() {
  ++wanted_;
  if (writing_ || stopped_) return;
  writing_ = true;
  asio::co_spawn(executor_, Write(), asio::detached);
}

asio::awaitable<Result<void>> LeaseService::SaveNow() {
  Save();
  const std::uint64_t mine = wanted_;
  while (written_ < mine) {
    if (stopped_) co_return Fail(ErrorCode::kUnavailable, "the agent is stopping");
    co_await wrote_.Wait();
  }
  co_return write_result_;
}

asio::awaitable<void> LeaseService::Write() {
  while (written_ < wanted_ && !stopped_) {
    const std::uint64_t state = wanted_;
    auto work = [this, text = keeper_.Save()] { return file_.Write(text); };
    auto result = co_await RunOn(pool_, std::move(work));
    if (!result) Complain(result.error().Message());
    write_result_ = std::move(result);
    written_ = state;
    wrote_.Notify();
  }
  writing_ = false;
}

// The same thing comes with every message, and is said once, until all is well again.
void LeaseService::Complain(const std::string& what) {
  if (complaints_.size() >= kMaxComplaints || !complaints_.insert(what).second) return;
  spdlog::warn("{}.", what);
}

}  // namespace walstitch::agent
