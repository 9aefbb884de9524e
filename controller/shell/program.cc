#include "controller/shell/program.h"

#include <spdlog/spdlog.h>

#include <filesystem>
#include <utility>

#include "controller/shell/controller.h"
#include "controller/shell/local_store.h"

namespace walstitch::shell {

class Program::Impl {
 public:
  Impl(boost::asio::any_io_executor executor, ControllerConfig config, std::function<void()> begin_anew)
      : executor_(std::move(executor)), config_(std::move(config)), begin_anew_(std::move(begin_anew)) {}

  Result<void> Open() {
    std::error_code problem;
    std::filesystem::create_directories(config_.state_dir, problem);
    if (problem) return Fail(ErrorCode::kIo, "stateDir " + config_.state_dir + ": " + problem.message());
    auto store = LocalStore::Open((std::filesystem::path(config_.state_dir) / "store").string());
    if (!store) return Fail(store.error());
    auto controller = Controller::Create(executor_, config_, std::move(*store));
    if (!controller) return Fail(controller.error());
    controller_ = std::move(*controller);
    return {};
  }

  Result<void> Start() { return controller_->Start(); }

  void Stop(std::function<void()> done) { done(); }
  void Join() {
    if (controller_) controller_->Stop();
  }

  Controller* Leading() { return controller_.get(); }
  [[nodiscard]] Standby StandsBy() const { return {"this controller does not lead", ""}; }

 private:
  boost::asio::any_io_executor executor_;
  ControllerConfig config_;
  std::function<void()> begin_anew_;
  std::unique_ptr<Controller> controller_;
};

Program::Program(boost::asio::any_io_executor executor, ControllerConfig config,
                 std::function<void()> begin_anew)
    : impl_(std::make_unique<Impl>(std::move(executor), std::move(config), std::move(begin_anew))) {}
Program::~Program() = default;
Result<void> Program::Open() { return impl_->Open(); }
Result<void> Program::Start() { return impl_->Start(); }
void Program::Stop(std::function<void()> done) { impl_->Stop(std::move(done)); }
void Program::Join() { impl_->Join(); }
Controller* Program::Leading() { return impl_->Leading(); }
api::Front::Standby Program::StandsBy() const { return impl_->StandsBy(); }

}  // namespace walstitch::shell
