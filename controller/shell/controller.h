// The controller: its store, its policies, one host for each group. Runs on one executor.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/thread_pool.hpp>
#include <map>
#include <memory>
#include <string>

#include "controller/shell/config.h"
#include "controller/shell/group_host.h"
#include "controller/shell/policy_store.h"
#include "controller/shell/store.h"

namespace walstitch::shell {

class Controller {
 public:
  // Opens the store and reads the policies: an Error if either cannot be had.
  static Result<std::unique_ptr<Controller>> Create(boost::asio::any_io_executor executor,
                                                    ControllerConfig config);

  // Begins to watch the groups.
  Result<void> Start();

  [[nodiscard]] GroupHost* FindGroup(const std::string& name);
  [[nodiscard]] const std::map<std::string, std::unique_ptr<GroupHost>>& Groups() const { return groups_; }
  // Before the executor ends.
  void Stop();
  [[nodiscard]] Store& GetStore() { return *store_; }

 private:
  Controller(ControllerConfig config, std::unique_ptr<Store> store);

  ControllerConfig config_;
  std::unique_ptr<Store> store_;
  PolicyStore policies_;
  core::Fleet fleet_;
  boost::asio::thread_pool pool_{2};  // what blocks: the controller's own connections to servers
  std::map<std::string, std::unique_ptr<GroupHost>> groups_;
};

}  // namespace walstitch::shell
