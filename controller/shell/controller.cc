#include "controller/shell/controller.h"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "agents/metrics/http_numbers.h"

namespace walstitch::shell {

Controller::Controller(boost::asio::any_io_executor executor, ControllerConfig config,
                       std::unique_ptr<Store> store, std::function<bool()> leads, bool over_without)
    : executor_(std::move(executor)),
      config_(std::move(config)),
      store_(std::move(store)),
      leads_(std::move(leads)),
      over_without_(over_without),
      policies_(config_.policies) {
  fleet_.full_syncs.limit = config_.max_concurrent_full_syncs;
  fleet_.full_syncs.zone_limit = config_.max_concurrent_full_syncs_per_zone;
  fleet_.full_syncs.bytes_per_second = config_.full_sync_rate;
  store_->OnOpened([this](const Decision& decision) { records_.Opened(decision); });
  store_->OnClosed([this](const DecisionRecord& record) { records_.Closed(record); });
}

Result<std::unique_ptr<Controller>> Controller::Create(boost::asio::any_io_executor executor,
                                                       ControllerConfig config, std::unique_ptr<Store> store,
                                                       std::function<bool()> leads, bool over_without) {
  std::unique_ptr<Controller> controller(new Controller(std::move(executor), std::move(config),
                                                        std::move(store), std::move(leads), over_without));
  auto agents = http::Credentials::Load(controller->config_.agent_token, controller->config_.agent_tls);
  if (!agents) return Fail(agents.error(), "agents");
  controller->agents_ = std::move(*agents);
  if (const auto& files = controller->config_.kvrocks_tls) {
    auto identity = http::TlsIdentity::Load(http::TlsEnd::kClient, *files);
    if (!identity) return Fail(identity.error(), "kvrocksTls");
    controller->kvrocks_tls_ = std::move(*identity);
  }
  controller->policies_.Refresh();
  // At the start there is no policy in force to fall back to, so a bad file is a bad start; but not in
  // Kubernetes, where a pod is started anew whenever it must be, and nobody is there to see it: until the
  // files are mended, nothing may differ.
  if (!controller->policies_.Problem().empty()) {
    if (!controller->config_.kubernetes) return Fail(ErrorCode::kInvalid, controller->policies_.Problem());
    spdlog::error("the default policy (fullsync) is in force: {}", controller->policies_.Problem());
  }
  for (const auto& group : controller->config_.groups) {
    if (auto added = controller->AddGroup(group); !added) return Fail(added.error());
    (void)controller->policies_.For(group.name);
    if (!controller->policies_.Problem().empty())
      return Fail(ErrorCode::kInvalid, controller->policies_.Problem());
  }
  return controller;
}

Result<void> Controller::AddGroup(GroupConfig group) {
  auto state = store_->LoadGroup(group.name);
  if (!state) return Fail(state.error(), "group " + group.name);
  // 1. A group is made smaller, and the node that goes is the master, away just now. 2. The controller is
  // started anew, and knows of no such node. 3. It must not be forgotten before another was promoted: it may
  // take writes.
  const bool has_master = state->master.empty() ||
                          std::any_of(group.nodes.begin(), group.nodes.end(),
                                      [&](const NodeConfig& node) { return node.name == state->master; });
  if (!has_master && config_.kubernetes) {
    NodeConfig master;
    master.name = state->master;
    master.own_address = false;
    group.nodes.push_back(std::move(master));
  }
  HostContext context{executor_,    pool_,
                      agents_,      config_.kvrocks_password,
                      kvrocks_tls_, config_.kvrocks_port,
                      *store_,      policies_,
                      fleet_,       leads_,
                      over_without_};
  const std::string name = group.name;
  records_.Know(name);
  groups_.emplace(name, std::make_unique<GroupHost>(std::move(context), std::move(group), config_.failover));
  return {};
}

Result<void> Controller::Start() {
  for (auto& [name, group] : groups_) {
    if (auto started = group->Start(); !started) return Fail(started.error(), "group " + name);
  }
  return {};
}

Result<std::vector<std::string>> Controller::Discovered(std::vector<GroupConfig> groups) {
  std::vector<std::string> gone;
  for (auto& [name, host] : groups_) {
    const auto found = std::find_if(groups.begin(), groups.end(),
                                    [&name = name](const GroupConfig& group) { return group.name == name; });
    for (const NodeConfig& node : host->Nodes()) {
      const bool there = found != groups.end() &&
                         std::any_of(found->nodes.begin(), found->nodes.end(),
                                     [&](const NodeConfig& each) { return each.name == node.name; });
      if (there || node.name == host->Runner().State().master) continue;
      gone.push_back(name + "/" + node.name);
      // What is at its address now may be anything.
      NodeConfig away = node;
      away.agent.clear();
      away.agent_url = {};
      host->PutNode(std::move(away));
    }
  }
  for (GroupConfig& group : groups) {
    GroupHost* host = FindGroup(group.name);
    if (host == nullptr) {
      const std::string name = group.name;
      spdlog::info("group {}: found, with {} nodes", name, group.nodes.size());
      if (auto added = AddGroup(std::move(group)); !added) return Fail(added.error());
      (void)policies_.For(name);
      if (auto started = groups_.at(name)->Start(); !started) return Fail(started.error(), "group " + name);
      continue;
    }
    for (NodeConfig& node : group.nodes) host->PutNode(std::move(node));
  }
  return gone;
}

void Controller::AddCertificates(std::int64_t unix_seconds, metrics::ProcessNumbers* numbers) const {
  metrics::AddCertificate("agents", agents_.Tls(), unix_seconds, numbers);
  metrics::AddCertificate("kvrocks", kvrocks_tls_, unix_seconds, numbers);
}

void Controller::Stop() {
  pool_.stop();
  pool_.join();
}

GroupHost* Controller::FindGroup(const std::string& name) {
  auto found = groups_.find(name);
  return found == groups_.end() ? nullptr : found->second.get();
}

}  // namespace walstitch::shell
