#include "agents/agent/command_service.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <exception>
#include <utility>
#include <variant>

namespace walstitch::agent {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

namespace {
constexpr std::string_view kRefused = "refused";
}  // namespace

CommandService::CommandService(asio::any_io_executor executor, asio::thread_pool& pool, CommandLedger ledger,
                               Runner runner, Writer writer, std::function<void()> changed)
    : executor_(std::move(executor)),
      pool_(pool),
      ledger_(std::move(ledger)),
      runner_(std::move(runner)),
      writer_(std::move(writer)),
      changed_(std::move(changed)) {}

asio::awaitable<Result<CommandResult>> CommandService::Submit(Command command, std::function<void()> queued) {
  auto admission = ledger_.Admit(command);
  if (!admission) {
    ++counts_[{std::string(ActionName(command.action)), std::string(kRefused)}];
    co_return Fail(admission.error());
  }
  std::shared_ptr<Pending> pending;
  switch (*admission) {
    case CommandLedger::Admission::kAnswered:
      co_return *ledger_.Find(command.id);
    case CommandLedger::Admission::kUnderWay: {
      auto found = pending_.find(command.id);
      WALSTITCH_CHECK(found != pending_.end());
      pending = found->second;
      break;
    }
    case CommandLedger::Admission::kNew:
      pending = std::make_shared<Pending>(executor_, command);
      pending_[command.id] = pending;
      queue_.push_back(pending);
      if (queued) queued();
      if (!draining_) {
        draining_ = true;
        asio::co_spawn(executor_, Drain(), asio::detached);
      }
      break;
  }
  while (!pending->result) co_await pending->done.Wait();
  co_return *pending->result;
}

bool CommandService::RoleChangeWaits() const {
  return std::any_of(queue_.begin(), queue_.end(), [](const auto& pending) {
    const Action& action = pending->command.action;
    return !std::holds_alternative<RepairAction>(action) && !std::holds_alternative<CompareAction>(action) &&
           !std::holds_alternative<AdvanceAction>(action) &&
           !std::holds_alternative<OfferPaddingAction>(action) &&
           !std::holds_alternative<SalvageAction>(action);
  });
}

asio::awaitable<void> CommandService::Drain() {
  while (!queue_.empty()) {
    auto pending = queue_.front();
    queue_.pop_front();
    pending->result = co_await RunOne(pending->command, pending->arrival);
    pending_.erase(pending->command.id);
    pending->done.Notify();
  }
  draining_ = false;
  changed_();
}

asio::awaitable<Result<CommandResult>> CommandService::RunOne(Command command, Clock::time_point arrival) {
  const std::string name(ActionName(command.action));
  const auto deadline = arrival + milliseconds(command.deadline_ms);
  auto begun = ledger_.Begin(command);
  if (!begun) {
    spdlog::warn("Refused command {} ({}): {}.", command.id, name, begun.error().Message());
    ++counts_[{name, std::string(kRefused)}];
    co_return Fail(begun.error());
  }
  changed_();
  CommandResult result;
  result.id = command.id;
  result.outcome = Outcome::kFailed;
  auto saved = co_await Save();
  if (!saved) {
    result.error = "node " + command.node + ": " + name +
                   ": was not run, since it could not be noted before: " + saved.error().Message();
  } else if (Clock::now() >= deadline) {
    result.error =
        "node " + command.node + ": " + name + ": was not run, since its deadline passed while it waited";
  } else {
    spdlog::info("Running command {} ({}) of epoch {}.", command.id, name, command.epoch);
    std::string broken;
    try {
      result = co_await runner_(command, deadline);
    } catch (const std::exception& exception) {
      broken = exception.what();
    }
    if (!broken.empty()) {
      result.id = command.id;
      result.outcome = Outcome::kUnknown;
      result.error = "node " + command.node + ": " + name + ": internal error: " + broken;
    }
  }
  ++counts_[{name, std::string(ToString(result.outcome))}];
  ledger_.Finish(result);
  auto noted = co_await Save();
  if (!noted)
    spdlog::error("The result of command {} is not on disk: {}.", command.id, noted.error().Message());
  if (result.outcome == Outcome::kDone) {
    spdlog::info("Command {} ({}) is done after {} us{}.", command.id, name, result.took_us,
                 result.last ? ", last " + result.last->ToString() : std::string());
  } else {
    spdlog::warn("Command {} ({}) {}: {}.", command.id, name,
                 result.outcome == Outcome::kFailed ? "has failed" : "has an unknown outcome", result.error);
  }
  co_return result;
}

asio::awaitable<Result<void>> CommandService::Save() {
  std::string state = ledger_.Save();
  auto write = [writer = writer_, state] { return writer(state); };
  co_return co_await RunOn(pool_, std::move(write));
}

asio::awaitable<Result<void>> CommandService::SaveDatabaseName(std::string name) {
  ledger_.SetDatabaseName(std::move(name));
  co_return co_await Save();
}

}  // namespace walstitch::agent
