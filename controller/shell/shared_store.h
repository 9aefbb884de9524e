// A store in custom resources of Kubernetes, for controllers of which one leads (core/shared_log.h): the
// object DecisionLog is the log's end and who writes it, a Decision is one decision with its outcome, a
// ReplicationGroup is what is remembered of a group. `kubectl get decisions` lists them.
//
// It is read as a whole when it is taken over, and answers from memory then. Writes count at once, and are
// durable a moment later (Settle): one write of the DecisionLog for all that waits. One whose fate is not
// known is looked at until it is.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "controller/kubernetes/api_client.h"
#include "controller/shell/store.h"

namespace walstitch::shell {

struct SharedStoreOptions {
  kubernetes::ApiClient client;
  std::string name;         // of the DecisionLog
  std::string holder;       // of the one who takes it over: another than any before
  std::size_t keep = 1000;  // decisions
  // Somebody else has taken it over, or has written to it: nothing can be written any more. Called once.
  std::function<void(std::string)> fenced;
};

class SharedStore : public Store {
 public:
  // Makes it this one's, and reads it. From then on its last holder can write no more. An Error may pass.
  static boost::asio::awaitable<Result<std::unique_ptr<SharedStore>>> TakeOver(
      boost::asio::any_io_executor executor, SharedStoreOptions options);
  ~SharedStore() override;
  SharedStore(const SharedStore&) = delete;
  SharedStore& operator=(const SharedStore&) = delete;

  Result<core::GroupState> LoadGroup(const std::string& group) const override;
  Result<void> AppendDecision(const Decision& decision, const core::GroupState* state) override;
  Result<void> AppendStep(const std::string& decision, std::int64_t time_ms, const StepRecord& step) override;
  Result<void> AppendOutcome(const std::string& decision, const OutcomeRecord& outcome,
                             const core::GroupState* state) override;
  Result<DecisionRecord> ReadRecord(const std::string& id) const override;
  [[nodiscard]] std::vector<DecisionRecord> OpenRecords(const std::string& group) const override;

  // An Error after 10 s.
  void Settle(std::function<void(Result<void>)> done) override;
  [[nodiscard]] core::LogHead Head() const override;
  [[nodiscard]] core::LogHead Trimmed() const override;
  Result<std::vector<std::string>> ReadLog(std::uint64_t from, std::size_t max) const override;
  Result<std::vector<DecisionRecord>> ReadRecords(const std::string& group, const std::string& node,
                                                  std::size_t max) const override;

 private:
  class Impl;
  explicit SharedStore(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

// The name of an object for a decision or a group, as Kubernetes allows it (RFC 1123): the name in lower
// case, or, where that is none or could be another's, with a part of its SHA-256 behind.
std::string ObjectNameOf(const std::string& name);

// The object for a decision: what its columns show, and its lines of the log. Pure.
kubernetes::Object DecisionObject(const DecisionRecord& record, const std::vector<std::string>& lines);
// The lines in such an object; what else is in it does not count.
Result<std::vector<std::string>> LinesOfObject(const kubernetes::Object& object);

// A decision of which the keys that differ are not all listed: where there are too many for the API server.
// nullopt: its plan needs them.
std::optional<Decision> Shortened(const Decision& decision, std::size_t keys);

}  // namespace walstitch::shell
