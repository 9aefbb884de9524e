// Kubernetes as the controller sees it, and what it shows there: groups and agents from pods and
// StatefulSets, followed as they change; on pods the label of their role and the condition that their
// readiness waits for; Events. Nothing of it is needed for a failover: while the API server is away, what was
// seen last stands, and labels follow when it is back. On the executor only.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controller/core/finding.h"
#include "controller/kubernetes/api_client.h"
#include "controller/shell/config.h"
#include "controller/shell/decision_event.h"

namespace walstitch::shell {

struct ClusterViewOptions {
  kubernetes::ApiClient client;
  std::string identity;           // who writes Events
  std::string policy_config_map;  // empty: no Events about policies
  bool agents_tls = false;        // agents are reached by https://
};

class ClusterView {
 public:
  // `changed`: there is something new in Groups(), which is complete.
  ClusterView(boost::asio::any_io_executor executor, ClusterViewOptions options,
              std::function<void()> changed);
  ~ClusterView();
  ClusterView(const ClusterView&) = delete;
  ClusterView& operator=(const ClusterView&) = delete;

  void Start();
  // nullopt: nothing was seen yet.
  [[nodiscard]] std::optional<std::vector<GroupConfig>> Groups() const;
  // Why it cannot be seen at the moment, one sentence; empty: it can.
  [[nodiscard]] std::string Problem() const;

  // What clients may use the nodes of a group for. Written where the pods say otherwise; called again and
  // again.
  void Show(const std::map<std::string, std::optional<core::Place>>& places, const std::string& master);
  void Tell(const DecisionEvent& event);
  // Whether the policies as they are now are in force; told when it changes.
  void TellPolicies(const std::string& problem, const std::string& in_force);

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace walstitch::shell
