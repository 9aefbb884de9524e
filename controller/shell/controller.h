// The controller: its store, its policies, one host for each group. Runs on one executor.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/thread_pool.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agents/metrics/process_numbers.h"
#include "controller/core/record_counters.h"
#include "controller/shell/config.h"
#include "controller/shell/group_host.h"
#include "controller/shell/policy_store.h"
#include "controller/shell/store.h"

namespace walstitch::shell {

class Controller {
 public:
  // Reads the policies, and makes a host for each group of the configuration: an Error if either cannot be
  // had. `leads`, `over_without`: see HostContext.
  static Result<std::unique_ptr<Controller>> Create(boost::asio::any_io_executor executor,
                                                    ControllerConfig config, std::unique_ptr<Store> store,
                                                    std::function<bool()> leads = nullptr,
                                                    bool over_without = false);

  // Begins to watch the groups.
  Result<void> Start();

  // The groups as they are now, where they are discovered: new ones and new nodes are taken up, what is known
  // is changed. Gives the nodes, as "group/node", that are not there any more: they stay until the next run.
  // After Start.
  Result<std::vector<std::string>> Discovered(std::vector<GroupConfig> groups);

  [[nodiscard]] GroupHost* FindGroup(const std::string& name);
  [[nodiscard]] const std::map<std::string, std::unique_ptr<GroupHost>>& Groups() const { return groups_; }
  // Before the executor ends.
  void Stop();
  [[nodiscard]] Store& GetStore() { return *store_; }
  [[nodiscard]] PolicyStore& Policies() { return policies_; }
  // What it shows to the agents, and to the servers.
  void AddCertificates(std::int64_t unix_seconds, metrics::ProcessNumbers* numbers) const;
  // Of the decisions of this run.
  [[nodiscard]] const core::RecordCounters& Records() const { return records_; }

 private:
  Controller(boost::asio::any_io_executor executor, ControllerConfig config, std::unique_ptr<Store> store,
             std::function<bool()> leads, bool over_without);
  Result<void> AddGroup(GroupConfig group);

  boost::asio::any_io_executor executor_;
  ControllerConfig config_;
  std::unique_ptr<Store> store_;
  std::function<bool()> leads_;
  bool over_without_;
  http::Credentials agents_;                        // shown to the agents
  std::shared_ptr<http::TlsIdentity> kvrocks_tls_;  // towards the servers; null: in plain
  PolicyStore policies_;
  core::RecordCounters records_;
  core::Fleet fleet_;
  boost::asio::thread_pool pool_{2};  // what blocks: the controller's own connections to servers
  std::map<std::string, std::unique_ptr<GroupHost>> groups_;
};

}  // namespace walstitch::shell
