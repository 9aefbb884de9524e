#include "controller/shell/controller.h"

#include <spdlog/spdlog.h>

#include <filesystem>

namespace walstitch::shell {

Controller::Controller(ControllerConfig config, std::unique_ptr<Store> store)
    : config_(std::move(config)), store_(std::move(store)), policies_(config_.policies) {
  fleet_.full_syncs.limit = config_.max_concurrent_full_syncs;
  fleet_.full_syncs.zone_limit = config_.max_concurrent_full_syncs_per_zone;
  fleet_.full_syncs.bytes_per_second = config_.full_sync_rate;
}

Result<std::unique_ptr<Controller>> Controller::Create(boost::asio::any_io_executor executor,
                                                       ControllerConfig config) {
  std::error_code problem;
  std::filesystem::create_directories(config.state_dir, problem);
  if (problem) return Fail(ErrorCode::kIo, "stateDir " + config.state_dir + ": " + problem.message());
  auto store = Store::Open((std::filesystem::path(config.state_dir) / "store").string());
  if (!store) return Fail(store.error());
  std::unique_ptr<Controller> controller(new Controller(std::move(config), std::move(*store)));
  controller->policies_.Refresh();
  // At the start there is no policy in force to fall back to, so a bad file is a bad start.
  if (!controller->policies_.Problem().empty())
    return Fail(ErrorCode::kInvalid, controller->policies_.Problem());
  for (const auto& group : controller->config_.groups) {
    HostContext context{executor,
                        controller->pool_,
                        controller->config_.agent_token,
                        controller->config_.kvrocks_password,
                        *controller->store_,
                        controller->policies_,
                        controller->fleet_};
    controller->groups_.emplace(
        group.name, std::make_unique<GroupHost>(std::move(context), group, controller->config_.failover));
    (void)controller->policies_.For(group.name);
    if (!controller->policies_.Problem().empty())
      return Fail(ErrorCode::kInvalid, controller->policies_.Problem());
  }
  return controller;
}

Result<void> Controller::Start() {
  for (auto& [name, group] : groups_) {
    if (auto started = group->Start(); !started) return Fail(started.error(), "group " + name);
  }
  return {};
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
