#include "agents/agent/command_service.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace walstitch::agent {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;

Command Park(const std::string& id, std::uint64_t epoch = 1) {
  Command command;
  command.id = id;
  command.epoch = epoch;
  command.group = "shop";
  command.node = "n1";
  command.action = ParkAction{};
  return command;
}

class CommandServiceTest : public ::testing::Test {
 protected:
  ~CommandServiceTest() override { pool_.join(); }

  asio::awaitable<CommandResult> Execute(Command command, std::chrono::steady_clock::time_point) {
    ++running_;
    most_running_ = std::max(most_running_, running_);
    ran_.push_back(command.id);
    states_at_run_.push_back(written_.empty() ? "" : written_.back());
    co_await SleepFor(milliseconds(5));
    --running_;
    if (command.id == "throws") throw std::runtime_error("broke");
    CommandResult result;
    result.id = command.id;
    result.outcome = Outcome::kDone;
    co_return result;
  }

  void Submit(Command command) {
    asio::co_spawn(context_, service_.Submit(std::move(command)),
                   [this](std::exception_ptr broken, Result<CommandResult> result) {
                     if (broken) std::rethrow_exception(broken);
                     answers_.push_back(std::move(result));
                   });
  }

  asio::io_context context_{1};
  asio::thread_pool pool_{1};
  bool disk_full_ = false;
  std::vector<std::string> written_;  // by the pool, while the context waits for it
  std::vector<std::string> states_at_run_;
  std::vector<std::string> ran_;
  int running_ = 0;
  int most_running_ = 0;
  std::vector<Result<CommandResult>> answers_;
  CommandService service_{context_.get_executor(),
                          pool_,
                          CommandLedger("n1", "shop"),
                          [this](Command command, std::chrono::steady_clock::time_point deadline) {
                            return Execute(std::move(command), deadline);
                          },
                          [this](const std::string& state) -> Result<void> {
                            if (disk_full_) return Fail(ErrorCode::kIo, "no space left");
                            written_.push_back(state);
                            return {};
                          },
                          [] {}};
};

TEST_F(CommandServiceTest, CommandsRunOneAtATimeAndInOrder) {
  for (std::string id : {"a", "b", "c"}) Submit(Park(id));
  context_.run();
  EXPECT_EQ(ran_, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(most_running_, 1);
  ASSERT_EQ(answers_.size(), 3U);
  EXPECT_EQ(answers_[2]->id, "c");
  EXPECT_FALSE(service_.Busy());
}

TEST_F(CommandServiceTest, RepeatedCommandRunsOnceAndAllAreAnswered) {
  Submit(Park("a"));
  Submit(Park("a"));
  context_.run();
  Submit(Park("a"));
  context_.restart();
  context_.run();
  EXPECT_EQ(ran_.size(), 1U);
  ASSERT_EQ(answers_.size(), 3U);
  for (const auto& answer : answers_) EXPECT_EQ(answer->outcome, Outcome::kDone);
}

TEST_F(CommandServiceTest, EpochAndBeginAreOnDiskBeforeTheCommandRuns) {
  Submit(Park("a", 9));
  context_.run();
  ASSERT_EQ(states_at_run_.size(), 1U);
  auto ledger = CommandLedger::Restore(states_at_run_[0], "n1", "shop");
  ASSERT_TRUE(ledger) << ledger.error().Message();
  EXPECT_EQ(ledger->Epoch(), 9U);
  ASSERT_NE(ledger->Find("a"), nullptr);
  EXPECT_EQ(ledger->Find("a")->outcome, Outcome::kUnknown);
  EXPECT_EQ(CommandLedger::Restore(written_.back(), "n1", "shop")->Find("a")->outcome, Outcome::kDone);
}

TEST_F(CommandServiceTest, WhatCannotBeNotedIsNotRun) {
  disk_full_ = true;
  Submit(Park("a"));
  context_.run();
  EXPECT_TRUE(ran_.empty());
  ASSERT_EQ(answers_.size(), 1U);
  EXPECT_EQ(answers_[0]->outcome, Outcome::kFailed);
  EXPECT_NE(answers_[0]->error.find("no space left"), std::string::npos);
}

TEST_F(CommandServiceTest, CommandThatWaitedTooLongIsNotRun) {
  Submit(Park("a"));
  Command late = Park("late");
  late.deadline_ms = 1;
  Submit(late);
  context_.run();
  EXPECT_EQ(ran_, (std::vector<std::string>{"a"}));
  ASSERT_EQ(answers_.size(), 2U);
  EXPECT_EQ(answers_[1]->outcome, Outcome::kFailed);
}

TEST_F(CommandServiceTest, CommandThatWaitedBehindAHigherEpochIsStale) {
  Submit(Park("a", 1));
  Submit(Park("new", 5));
  Submit(Park("old", 4));
  context_.run();
  ASSERT_EQ(answers_.size(), 3U);
  EXPECT_EQ(ran_, (std::vector<std::string>{"a", "new"}));
  ASSERT_FALSE(answers_[2]);
  EXPECT_EQ(answers_[2].error().Code(), ErrorCode::kStale);
}

TEST_F(CommandServiceTest, ExceptionIsAnUnknownOutcome) {
  Submit(Park("throws"));
  Submit(Park("next"));
  context_.run();
  ASSERT_EQ(answers_.size(), 2U);
  EXPECT_EQ(answers_[0]->outcome, Outcome::kUnknown);
  EXPECT_EQ(answers_[1]->outcome, Outcome::kDone);
}

}  // namespace
}  // namespace walstitch::agent
