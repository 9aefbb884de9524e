// The controller's process: what it needs before it may lead, and what it does then. Runs on one executor,
// which one thread runs.
//
// Without Kubernetes, or with a store of its own, it leads at once. Where several share a store, it stands by
// until it is the one that leads; one that leads no more begins anew, as a new process in the same place, for
// what it has begun must not be gone on with.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <memory>

#include "controller/api/api.h"
#include "controller/shell/config.h"
#include "policies/model/result.h"

namespace walstitch::shell {

class Program : public api::Front {
 public:
  // `begin_anew` replaces the process by a new one; it does not return.
  Program(boost::asio::any_io_executor executor, ControllerConfig config, std::function<void()> begin_anew);
  ~Program() override;
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // Opens what it needs; nothing is done yet. kInvalid: the configuration or a policy is wrong.
  Result<void> Open();
  Result<void> Start();
  // Gives the leadership back, and calls `done` when that is said, or cannot be in time.
  void Stop(std::function<void()> done);
  // When the executor does not run any more.
  void Join();

  [[nodiscard]] Controller* Leading() override;
  [[nodiscard]] bool LeadsNow() const override;
  [[nodiscard]] bool Acts() const override;
  [[nodiscard]] bool Discovers() const override;
  [[nodiscard]] Standby StandsBy() const override;
  [[nodiscard]] std::vector<std::string> Notes() const override;
  [[nodiscard]] std::vector<WebhookCounts> Hooks() const override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace walstitch::shell
