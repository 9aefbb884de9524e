// The controller's state and decision log, in an embedded RocksDB. Every write is synced before the call
// returns. One process at a time (RocksDB's LOCK). Not thread-safe: the controller's executor only.
#pragma once

#include <boost/json/fwd.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controller/core/environment.h"
#include "controller/core/group_state.h"
#include "controller/core/log_chain.h"
#include "policies/model/decision.h"
#include "policies/model/result.h"

namespace walstitch::shell {

class Store : public core::DecisionStore {
 public:
  // Opens or creates it, and walks the newest entries so that the log goes on where it ended.
  static Result<std::unique_ptr<Store>> Open(const std::string& directory);
  ~Store() override;
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  // Group state; a group that was never seen has a fresh one.
  Result<core::GroupState> LoadGroup(const std::string& group) const override;

  // Appends to the log, and saves the group's state with it in one atomic write if given.
  Result<void> AppendDecision(const Decision& decision, const core::GroupState* state) override;
  Result<void> AppendStep(const std::string& decision, std::int64_t time_ms, const StepRecord& step) override;
  Result<void> AppendOutcome(const std::string& decision, const OutcomeRecord& outcome,
                             const core::GroupState* state) override;

  [[nodiscard]] core::LogHead Head() const;
  // Raw lines from `index` on, at most `max`.
  Result<std::vector<std::string>> ReadLog(std::uint64_t from, std::size_t max) const;

  // Records, newest first. Empty group or node: any.
  Result<std::vector<DecisionRecord>> ReadRecords(const std::string& group, const std::string& node,
                                                  std::size_t max) const;
  // By the whole id, or a prefix or suffix that is unique.
  Result<DecisionRecord> ReadRecord(const std::string& id) const override;
  // Decisions without an outcome, oldest first.
  [[nodiscard]] std::vector<DecisionRecord> OpenRecords(const std::string& group) const override;

 private:
  class Impl;
  explicit Store(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace walstitch::shell
