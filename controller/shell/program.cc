#include "controller/shell/program.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "controller/kubernetes/credentials.h"
#include "controller/shell/cluster_view.h"
#include "controller/shell/controller.h"
#include "controller/shell/disk_pulse.h"
#include "controller/shell/leader_election.h"
#include "controller/shell/local_store.h"
#include "controller/shell/shared_store.h"
#include "controller/shell/webhooks.h"

namespace walstitch::shell {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

namespace {

constexpr milliseconds kTick{100};
constexpr milliseconds kPolicyInterval{1000};
constexpr milliseconds kTakeOverRetry{500};
// A node that is gone may be back in a moment: a StatefulSet is exchanged for another, say.
constexpr milliseconds kGoneFor{30000};
constexpr milliseconds kGoneAtLast{120000};  // then calm or not

std::string RandomHex() {
  std::random_device device;
  char text[17];
  std::snprintf(text, sizeof text, "%08x%08x", device(), device());
  return text;
}

std::optional<std::string> Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

}  // namespace

class Program::Impl {
 public:
  Impl(asio::any_io_executor executor, ControllerConfig config, std::function<void()> begin_anew)
      : executor_(std::move(executor)), config_(std::move(config)), begin_anew_(std::move(begin_anew)) {}

  Result<void> Open();
  Result<void> Start();
  void Stop(std::function<void()> done);
  void Join() {
    if (controller_) controller_->Stop();
  }

  Controller* Leading() { return controller_.get(); }
  [[nodiscard]] bool LeadsNow() const { return controller_ && !Discovers() && Elected(); }
  [[nodiscard]] bool Acts() const { return controller_ && Leads(); }
  [[nodiscard]] bool Discovers() const { return view_ && !discovered_; }
  [[nodiscard]] Standby StandsBy() const;
  [[nodiscard]] std::vector<std::string> Notes() const;
  [[nodiscard]] std::vector<WebhookCounts> Hooks() const {
    return webhooks_ ? webhooks_->Counts() : std::vector<WebhookCounts>();
  }

 private:
  Result<void> OpenKubernetes();
  Result<void> MakeController(std::unique_ptr<Store> store);
  // Where there are no others, it always is.
  [[nodiscard]] bool Elected() const { return !election_ || election_->Leads(); }
  [[nodiscard]] bool Leads() const { return Elected() && (!pulse_ || pulse_->Beats()); }
  asio::awaitable<void> TakeOver();
  void GroupsChanged();
  asio::awaitable<void> Tick();
  void LookAtPolicies();
  void LookWhetherToBeginAnew();
  void BeginAnew(const std::string& why);
  asio::awaitable<void> Wait(milliseconds time);

  asio::any_io_executor executor_;
  ControllerConfig config_;
  std::function<void()> begin_anew_;
  std::unique_ptr<Controller> controller_;
  std::unique_ptr<Webhooks> webhooks_;  // looks at the controller, so it goes first

  // In Kubernetes.
  std::optional<kubernetes::ApiClient> client_;
  std::unique_ptr<ClusterView> view_;
  std::unique_ptr<LeaderElection> election_;
  std::unique_ptr<DiskPulse> pulse_;  // with a store of its own
  std::string taking_over_;           // why it has not yet taken over, though it leads
  bool started_ = false;
  bool stopped_ = false;
  bool discovered_ = false;  // the controller was told of all groups that there are
  Clock::time_point policies_read_;
  std::vector<std::string> gone_;  // nodes that are not there any more
  std::optional<Clock::time_point> gone_since_;
};

Result<void> Program::Impl::Open() {
  if (config_.kubernetes) {
    if (auto opened = OpenKubernetes(); !opened) return opened;
    if (config_.kubernetes->shared_store) {
      // It may lead one day: what is wrong with its hooks is to be seen today.
      auto webhooks = Webhooks::Open(executor_, config_.webhooks, config_.identity);
      return webhooks ? Result<void>() : Fail(webhooks.error());
    }
  }
  std::error_code problem;
  std::filesystem::create_directories(config_.state_dir, problem);
  if (problem) return Fail(ErrorCode::kIo, "stateDir " + config_.state_dir + ": " + problem.message());
  auto store = LocalStore::Open((std::filesystem::path(config_.state_dir) / "store").string());
  if (!store) return Fail(store.error());
  if (config_.kubernetes) pulse_ = std::make_unique<DiskPulse>(config_.state_dir);
  return MakeController(std::move(*store));
}

Result<void> Program::Impl::OpenKubernetes() {
  const KubernetesConfig& config = *config_.kubernetes;
  auto origin = kubernetes::ApiServerOrigin(config.server, Environment("KUBERNETES_SERVICE_HOST"),
                                            Environment("KUBERNETES_SERVICE_PORT"));
  if (!origin) return Fail(origin.error(), "kubernetes");
  kubernetes::ApiClientOptions options;
  options.server = *origin;
  options.account = kubernetes::ServiceAccount(config.service_account);
  auto name_space = options.account.Namespace();
  if (!name_space) return Fail(name_space.error(), "kubernetes.serviceAccount");
  options.namespace_name = *name_space;
  auto engine = std::make_shared<std::mt19937_64>(std::random_device{}());
  options.random = [engine] { return std::uniform_real_distribution<double>(0.0, 1.0)(*engine); };
  client_.emplace(executor_, std::move(options));
  ClusterViewOptions view{*client_, config_.identity.empty() ? config.name : config_.identity,
                          config.policy_config_map, config_.agent_tls.has_value()};
  view_ = std::make_unique<ClusterView>(executor_, std::move(view), [this] { GroupsChanged(); });
  if (!config.shared_store) return {};
  LeaderElectionOptions election{*client_, config.name, config_.identity, RandomHex(), "", config.leadership};
  election.address = http::ToString(
      http::Url{config_.api_host, std::to_string(config_.api_port), config_.api_access.tls.has_value()});
  election_ = std::make_unique<LeaderElection>(
      executor_, std::move(election), [this] { asio::co_spawn(executor_, TakeOver(), asio::detached); },
      [this] { BeginAnew("it leads no more: its lease could not be renewed in time, or another has it"); });
  return {};
}

Result<void> Program::Impl::MakeController(std::unique_ptr<Store> store) {
  if (view_) {
    store->OnClosed([this](const DecisionRecord& record) {
      if (auto event = EventOf(record)) view_->Tell(*event);
    });
  }
  if (!config_.webhooks.empty()) {
    auto webhooks = Webhooks::Open(executor_, config_.webhooks, config_.identity, election_ != nullptr);
    if (!webhooks) return Fail(webhooks.error());
    if (auto follows = (*webhooks)->Follow(*store); !follows) return follows;
    webhooks_ = std::move(*webhooks);
  }
  std::function<bool()> leads;
  if (view_) leads = [this] { return Leads(); };
  // Who led among others begins anew when it does no more; one with a store of its own may lead again.
  const bool over_without = election_ != nullptr;
  auto controller = Controller::Create(executor_, config_, std::move(store), std::move(leads), over_without);
  if (!controller) return Fail(controller.error());
  controller_ = std::move(*controller);
  if (webhooks_) webhooks_->Watch(*controller_);
  return {};
}

Result<void> Program::Impl::Start() {
  started_ = true;
  if (view_) {
    view_->Start();
    asio::co_spawn(executor_, Tick(), asio::detached);
  }
  if (election_) election_->Start();
  return controller_ ? controller_->Start() : Result<void>();
}

asio::awaitable<void> Program::Impl::Wait(milliseconds time) {
  boost::system::error_code ignored;
  asio::steady_timer timer(executor_, time);
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

// It leads: what its predecessor left is read, and gone on with.
asio::awaitable<void> Program::Impl::TakeOver() {
  while (Leads() && !stopped_) {
    SharedStoreOptions options{
        *client_, config_.kubernetes->name, election_->Identity(),
        static_cast<std::size_t>(config_.kubernetes->keep_decisions),
        [this](const std::string& why) { BeginAnew("it writes the decision log no more: " + why); }};
    auto store = co_await SharedStore::TakeOver(executor_, std::move(options));
    if (stopped_) co_return;
    if (store) {
      auto made = MakeController(std::move(*store));
      if (made) made = controller_->Start();
      if (made) {
        taking_over_.clear();
        spdlog::info("the store is taken over: {} entries in the decision log",
                     controller_->GetStore().Head().index);
        GroupsChanged();
        co_return;
      }
      webhooks_.reset();
      controller_.reset();
      taking_over_ = made.error().Message();
    } else {
      taking_over_ = store.error().Message();
    }
    spdlog::error("the store is not taken over yet: {}", taking_over_);
    co_await Wait(kTakeOverRetry);
  }
}

void Program::Impl::GroupsChanged() {
  if (stopped_ || !started_ || !controller_ || !view_) return;
  auto groups = view_->Groups();
  if (!groups) return;
  auto gone = controller_->Discovered(std::move(*groups));
  discovered_ = true;
  if (!gone) {
    spdlog::error("{}", gone.error().Message());
    return;
  }
  if (*gone != gone_) {
    gone_ = std::move(*gone);
    gone_since_ = gone_.empty() ? std::nullopt : std::optional(Clock::now());
    for (const std::string& node : gone_) spdlog::warn("node {} is not there any more", node);
  }
}

asio::awaitable<void> Program::Impl::Tick() {
  while (!stopped_) {
    if (controller_ && Leads()) {
      for (const auto& [name, host] : controller_->Groups()) {
        const core::GroupState& state = host->Runner().State();
        view_->Show(host->Runner().Places(), state.master);
      }
      LookAtPolicies();
      LookWhetherToBeginAnew();
    }
    co_await Wait(kTick);
  }
}

void Program::Impl::LookAtPolicies() {
  if (Clock::now() - policies_read_ < kPolicyInterval) return;
  policies_read_ = Clock::now();
  PolicyStore& policies = controller_->Policies();
  policies.Refresh();
  std::string in_force;
  for (const auto& [name, host] : controller_->Groups()) {
    const TolerancePolicy& policy = policies.For(name);
    in_force +=
        (in_force.empty() ? "" : ", ") + name + ": " + policy.name + " " + policy.content_hash.substr(0, 12);
  }
  if (!in_force.empty() || !policies.Problem().empty()) view_->TellPolicies(policies.Problem(), in_force);
}

// A group that was made smaller is looked after without the nodes that went by a new run only.
void Program::Impl::LookWhetherToBeginAnew() {
  if (!gone_since_ || Clock::now() - *gone_since_ < kGoneFor) return;
  const bool calm = std::all_of(controller_->Groups().begin(), controller_->Groups().end(),
                                [](const auto& group) { return group.second->Runner().Calm(); });
  if (calm || Clock::now() - *gone_since_ >= kGoneAtLast) {
    BeginAnew(std::to_string(gone_.size()) + " nodes are not there any more: " + gone_.front() +
              (gone_.size() > 1 ? " and others" : ""));
  }
}

void Program::Impl::BeginAnew(const std::string& why) {
  if (stopped_) return;
  spdlog::warn("beginning anew: {}", why);
  begin_anew_();
}

void Program::Impl::Stop(std::function<void()> done) {
  stopped_ = true;
  if (webhooks_) webhooks_->Stop();
  if (!election_) return done();
  asio::co_spawn(executor_, election_->GiveBack(), [done = std::move(done)](std::exception_ptr) { done(); });
}

api::Front::Standby Program::Impl::StandsBy() const {
  if (controller_ && Discovers() && Elected())
    return {"this controller looks for its groups, and has not been told of all of them yet", ""};
  if (!election_) return {"this controller is not ready yet", ""};
  if (election_->Leads()) {
    return {"this controller leads, and has not taken over what its predecessor left yet" +
                (taking_over_.empty() ? "" : ": " + taking_over_),
            ""};
  }
  const std::string holder = election_->Holder();
  if (holder.empty()) {
    return {"this controller stands by, and does not know who leads" +
                (election_->Problem().empty() ? "" : ": " + election_->Problem()),
            ""};
  }
  const bool itself = holder == election_->Identity();
  return {"this controller stands by; " + holder.substr(0, holder.rfind('/')) + " leads",
          itself ? std::string() : election_->HoldersAddress()};
}

std::vector<std::string> Program::Impl::Notes() const {
  std::vector<std::string> notes;
  for (const WebhookCounts& hook : Hooks()) {
    if (hook.problem.empty() || hook.waiting == 0) continue;
    notes.push_back("webhook " + hook.name + ": " + std::to_string(hook.waiting) +
                    " wait to be delivered: " + hook.problem);
  }
  if (!view_) return notes;
  if (const std::string problem = view_->Problem(); !problem.empty()) {
    notes.push_back("what Kubernetes shows is not followed at the moment, and labels and Events wait: " +
                    problem);
  }
  if (election_ && !election_->Problem().empty()) {
    notes.push_back("the leadership could not be renewed just now: " + election_->Problem());
  }
  const auto groups = view_->Groups();
  if (groups && groups->empty()) {
    notes.push_back("no group was found: pods and their StatefulSets need the label walstitch.io/group");
  }
  if (pulse_ && !pulse_->Beats()) {
    notes.push_back("stateDir " + config_.state_dir +
                    " cannot be written: no leases are given, and nothing is done");
  }
  for (const std::string& node : gone_)
    notes.push_back("node " + node + " is not there any more; it is forgotten soon");
  return notes;
}

Program::Program(asio::any_io_executor executor, ControllerConfig config, std::function<void()> begin_anew)
    : impl_(std::make_unique<Impl>(std::move(executor), std::move(config), std::move(begin_anew))) {}
Program::~Program() = default;
Result<void> Program::Open() { return impl_->Open(); }
Result<void> Program::Start() { return impl_->Start(); }
void Program::Stop(std::function<void()> done) { impl_->Stop(std::move(done)); }
void Program::Join() { impl_->Join(); }
Controller* Program::Leading() { return impl_->Leading(); }
bool Program::LeadsNow() const { return impl_->LeadsNow(); }
bool Program::Acts() const { return impl_->Acts(); }
bool Program::Discovers() const { return impl_->Discovers(); }
api::Front::Standby Program::StandsBy() const { return impl_->StandsBy(); }
std::vector<std::string> Program::Notes() const { return impl_->Notes(); }
std::vector<WebhookCounts> Program::Hooks() const { return impl_->Hooks(); }

}  // namespace walstitch::shell
