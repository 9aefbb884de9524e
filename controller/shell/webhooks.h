// Webhooks: tells others over HTTP of decisions, outcomes, groups without a master and findings
// (core/notice.h). Sends, and decides nothing: what is told, when it is tried again and when it is given up
// is core/deliveries.h. docs/webhooks.md is for those who receive it.
//
// Nothing waits for it: a decision is handed over when it is durable, and sent when there is time. What a run
// could not send is told again by the next one, from the decision log.
//
// Runs on the controller's executor; every method is called from there.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "controller/core/deliveries.h"
#include "controller/shell/config.h"
#include "policies/model/result.h"

namespace walstitch::shell {

class Controller;
class Store;

struct WebhookCounts : core::DeliveryCounts {
  std::string name;
};

class Webhooks {
 public:
  // Reads every hook's secret and certificates once, to find what is wrong before anything happens: kInvalid.
  // They are read again for each attempt, so with `whatever_their_files` what is wrong is only told of:
  // whoever takes over must not be stopped by it. `sender`: this controller's own name; may be empty.
  static Result<std::unique_ptr<Webhooks>> Open(boost::asio::any_io_executor executor,
                                                std::vector<WebhookConfig> hooks, std::string sender,
                                                bool whatever_their_files = false);
  ~Webhooks();
  Webhooks(const Webhooks&) = delete;
  Webhooks& operator=(const Webhooks&) = delete;

  // From now on, what is written to the store is told; and what was written lately, again. The store outlives
  // every call that it makes of this.
  Result<void> Follow(Store& store);
  // Looks at the groups from now on, until Stop or the end of this one: the controller outlives that.
  void Watch(Controller& controller);
  // Nothing is sent any more.
  void Stop();

  [[nodiscard]] std::vector<WebhookCounts> Counts() const;

 private:
  class Impl;
  explicit Webhooks(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace walstitch::shell
