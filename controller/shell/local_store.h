// A store in an embedded RocksDB. Every write is synced before the call returns. One process at a time
// (RocksDB's LOCK).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "controller/shell/store.h"
#include "policies/model/result.h"

namespace walstitch::shell {

class LocalStore : public Store {
 public:
  // Opens or creates it, and walks the newest entries so that the log goes on where it ended.
  static Result<std::unique_ptr<LocalStore>> Open(const std::string& directory);
  ~LocalStore() override;
  LocalStore(const LocalStore&) = delete;
  LocalStore& operator=(const LocalStore&) = delete;

  // Group state; a group that was never seen has a fresh one.
  Result<core::GroupState> LoadGroup(const std::string& group) const override;

  // Appends to the log, and saves the group's state with it in one atomic write if given.
  Result<void> AppendDecision(const Decision& decision, const core::GroupState* state) override;
  Result<void> AppendStep(const std::string& decision, std::int64_t time_ms, const StepRecord& step) override;
  Result<void> AppendOutcome(const std::string& decision, const OutcomeRecord& outcome,
                             const core::GroupState* state) override;

  void Settle(std::function<void(Result<void>)> done) override { done({}); }
  [[nodiscard]] core::LogHead Head() const override;
  [[nodiscard]] core::LogHead Trimmed() const override { return {}; }
  Result<std::vector<std::string>> ReadLog(std::uint64_t from, std::size_t max) const override;
  Result<std::vector<DecisionRecord>> ReadRecords(const std::string& group, const std::string& node,
                                                  std::size_t max) const override;
  Result<DecisionRecord> ReadRecord(const std::string& id) const override;
  // Decisions without an outcome, oldest first.
  [[nodiscard]] std::vector<DecisionRecord> OpenRecords(const std::string& group) const override;

 private:
  class Impl;
  explicit LocalStore(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace walstitch::shell
