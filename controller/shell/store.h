// What a controller remembers: its decision log and the groups' states, and where they are kept. LocalStore
// keeps them on this machine's disk, SharedStore where several controllers share them. Not thread-safe: the
// controller's executor only.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "controller/core/environment.h"
#include "controller/core/log_chain.h"
#include "policies/model/decision.h"
#include "policies/model/result.h"

namespace walstitch::shell {

class Store : public core::DecisionStore {
 public:
  // As core::Environment::Settle; may call at once.
  virtual void Settle(std::function<void(Result<void>)> done) = 0;

  [[nodiscard]] virtual core::LogHead Head() const = 0;
  // Of the last entry that is not kept any more; index 0: all are.
  [[nodiscard]] virtual core::LogHead Trimmed() const = 0;
  // Raw lines from `index` on, at most `max`.
  virtual Result<std::vector<std::string>> ReadLog(std::uint64_t from, std::size_t max) const = 0;
  // Records, newest first. Empty group or node: any.
  virtual Result<std::vector<DecisionRecord>> ReadRecords(const std::string& group, const std::string& node,
                                                          std::size_t max) const = 0;
  // ReadRecord takes the whole id, or a prefix or suffix that is unique.

  // Each gets every decision as soon as it is appended, which may be before it is durable (see Settle).
  void OnOpened(std::function<void(const Decision&)> tell) { tell_opened_.push_back(std::move(tell)); }
  // The same, of each decision that has its outcome, as soon as that is appended.
  void OnClosed(std::function<void(const DecisionRecord&)> tell) { tell_closed_.push_back(std::move(tell)); }

 protected:
  void Opened(const Decision& decision) const {
    for (const auto& tell : tell_opened_) tell(decision);
  }
  void Closed(const std::string& decision) const {
    if (tell_closed_.empty()) return;
    const auto record = ReadRecord(decision);
    if (!record) return;
    for (const auto& tell : tell_closed_) tell(*record);
  }

 private:
  std::vector<std::function<void(const Decision&)>> tell_opened_;
  std::vector<std::function<void(const DecisionRecord&)>> tell_closed_;
};

}  // namespace walstitch::shell
