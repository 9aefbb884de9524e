#include "controller/shell/cluster_view.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/json.hpp>
#include <chrono>
#include <cstdio>
#include <deque>
#include <set>
#include <utility>

#include "controller/kubernetes/times.h"
#include "controller/kubernetes/watch.h"
#include "controller/shell/pods.h"

namespace walstitch::shell {

namespace asio = boost::asio;
using kubernetes::Object;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::size_t kMaxEvents =
    200;  // that wait; more are dropped: they are for people, and in the log anyway
constexpr milliseconds kPatchTimeout{3000};
constexpr int kMostPatience = 3;
// A connection that is half open goes unnoticed for no longer than both together.
constexpr std::chrono::seconds kStreamTime{20};
constexpr milliseconds kStreamGrace{5000};
constexpr milliseconds kFirstRetry{250};
constexpr milliseconds kLastRetry{10000};

std::string Now() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return kubernetes::TimeText(std::chrono::duration_cast<milliseconds>(now).count());
}

Object ConditionPatch(bool in_service) {
  boost::json::object condition{
      {"type", kInServiceGate},
      {"status", in_service ? "True" : "False"},
      {"lastTransitionTime", Now()},
      {"reason", in_service ? "InService" : "OutOfService"},
      {"message", in_service ? "it is the master, or in sync with it"
                             : "it is parked, or held for repair: walstitch status"}};
  return {{"status", boost::json::object{{"conditions", boost::json::array{std::move(condition)}}}}};
}

Object RolePatch(core::Place role) {
  boost::json::object labels;
  labels[kRoleLabel] = ToString(role);
  return {{"metadata", boost::json::object{{"labels", std::move(labels)}}}};
}

}  // namespace

class ClusterView::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::any_io_executor executor, ClusterViewOptions options, std::function<void()> changed)
      : executor_(std::move(executor)), options_(std::move(options)), changed_(std::move(changed)) {}

  void Start() {
    kubernetes::WatchOptions pods;
    pods.type = kubernetes::Pods();
    pods.label_selector = kGroupLabel;
    pods.stream_time = kStreamTime;
    pods.grace = kStreamGrace;
    kubernetes::WatchOptions sets;
    sets.stream_time = kStreamTime;
    sets.grace = kStreamGrace;
    sets.type = kubernetes::StatefulSets();
    sets.label_selector = kGroupLabel;
    const auto listed = [this] { Changed(); };
    const auto changed = [this](const kubernetes::Change&) { Changed(); };
    pods_watch_ =
        std::make_unique<kubernetes::Watch>(executor_, options_.client, std::move(pods), listed, changed);
    sets_watch_ =
        std::make_unique<kubernetes::Watch>(executor_, options_.client, std::move(sets), listed, changed);
  }
  void Stop() {
    stopped_ = true;
    pods_watch_.reset();
    sets_watch_.reset();
  }

  [[nodiscard]] bool Synced() const { return pods_watch_ && pods_watch_->Synced() && sets_watch_->Synced(); }

  // What comes in one piece is looked at once.
  void Changed() {
    if (change_posted_) return;
    change_posted_ = true;
    asio::post(executor_, [weak = weak_from_this()] {
      const auto self = weak.lock();
      if (!self || self->stopped_) return;
      self->change_posted_ = false;
      self->Read();
    });
  }

  void Read() {
    if (!Synced()) return;
    pods_.clear();
    for (const auto& [name, object] : pods_watch_->Objects()) {
      if (auto pod = ReadPod(object)) pods_.emplace(name, std::move(*pod));
    }
    std::map<std::string, StatefulSet> sets;
    for (const auto& [name, object] : sets_watch_->Objects()) {
      if (auto set = ReadStatefulSet(object)) sets.emplace(name, std::move(*set));
    }
    std::vector<std::string> problems;
    groups_ = GroupsOf(pods_, sets, &problems, options_.agents_tls);
    for (const auto& problem : problems) {
      if (!told_.contains(problem)) spdlog::warn("{}", problem);
    }
    told_ = {problems.begin(), problems.end()};
    changed_();
  }

  void Show(const std::map<std::string, std::optional<core::Place>>& places, const std::string& master) {
    if (stopped_) return;
    for (PodChange& change : ChangesOf(pods_, places, master)) {
      Writing& writing = writing_[change.pod];
      // An old master first, and the new one only then: the Service has both for a moment otherwise. But a
      // pod that cannot be written keeps no other from it for ever.
      const bool demotes = change.role && pods_.at(change.pod).role == ToString(core::Place::kMaster) &&
                           writing.failures < kMostPatience;
      const bool waits = writing.under_way || Clock::now() < writing.not_before;
      if (!waits) {
        writing.under_way = true;
        asio::co_spawn(executor_, Write(shared_from_this(), std::move(change)), asio::detached);
      }
      if (demotes) return;
    }
  }

  void Enqueue(Object event) {
    if (events_.size() >= kMaxEvents) return;
    events_.push_back(std::move(event));
    if (sending_ || stopped_) return;
    sending_ = true;
    asio::co_spawn(executor_, SendEvents(shared_from_this()), asio::detached);
  }

  Object EventAbout(const std::string& kind, const std::string& name, const std::string& uid, bool warning,
                    const std::string& reason, const std::string& message) {
    const std::string now = Now();
    // Unique: Events of one object would overwrite each other.
    const auto stamp = std::chrono::system_clock::now().time_since_epoch().count();
    char suffix[32];
    std::snprintf(suffix, sizeof suffix, ".%llx", static_cast<unsigned long long>(stamp) + ++event_number_);
    Object event = kubernetes::MakeObject(kubernetes::Events(), name + suffix);
    boost::json::object about{
        {"apiVersion", "v1"}, {"kind", kind}, {"name", name}, {"namespace", options_.client.Namespace()}};
    if (!uid.empty()) about["uid"] = uid;
    event["involvedObject"] = std::move(about);
    event["type"] = warning ? "Warning" : "Normal";
    event["reason"] = reason;
    event["message"] = message;
    event["source"] = {{"component", "walstitch-controller"}};
    event["reportingComponent"] = "walstitch.io/controller";
    event["reportingInstance"] = options_.identity;
    event["firstTimestamp"] = now;
    event["lastTimestamp"] = now;
    event["count"] = 1;
    return event;
  }

  asio::any_io_executor executor_;
  ClusterViewOptions options_;
  std::function<void()> changed_;
  std::unique_ptr<kubernetes::Watch> pods_watch_;
  std::unique_ptr<kubernetes::Watch> sets_watch_;
  std::map<std::string, Pod> pods_;
  std::optional<std::vector<GroupConfig>> groups_;
  bool stopped_ = false;
  std::optional<std::string> policy_problem_;  // that was told last
  std::string policies_told_;

 private:
  struct Writing {
    bool under_way = false;
    int failures = 0;
    Clock::time_point not_before;
    std::string complaint;
  };

  static asio::awaitable<void> Write(std::shared_ptr<Impl> self, PodChange change) {
    kubernetes::CallOptions call;
    call.timeout = call.attempt_timeout = kPatchTimeout;
    std::string problem;
    // The gate before the label where it opens, the label before the gate where it closes.
    if (change.role && change.in_service != true) {
      const auto labelled = co_await self->options_.client.Patch(
          kubernetes::Pods(), change.pod, RolePatch(*change.role), kubernetes::PatchKind::kMerge, "", call);
      if (!labelled) problem = labelled.error().message;
      if (labelled) self->Labelled(change.pod, *change.role);
      change.role.reset();
    }
    if (change.in_service && problem.empty()) {
      const auto gated = co_await self->options_.client.Patch(
          kubernetes::Pods(), change.pod, ConditionPatch(*change.in_service),
          kubernetes::PatchKind::kStrategicMerge, "status", call);
      if (!gated) problem = gated.error().message;
      const auto pod = self->pods_.find(change.pod);
      if (gated && pod != self->pods_.end()) pod->second.in_service = change.in_service;
    }
    if (change.role && problem.empty()) {
      const auto labelled = co_await self->options_.client.Patch(
          kubernetes::Pods(), change.pod, RolePatch(*change.role), kubernetes::PatchKind::kMerge, "", call);
      if (!labelled) problem = labelled.error().message;
      if (labelled) self->Labelled(change.pod, *change.role);
    }
    Writing& writing = self->writing_[change.pod];
    writing.under_way = false;
    writing.failures = problem.empty() ? 0 : writing.failures + 1;
    if (!problem.empty()) {
      writing.not_before = Clock::now() + kubernetes::Backoff(writing.failures, kFirstRetry, kLastRetry,
                                                              self->options_.client.Random());
      if (writing.complaint != problem)
        spdlog::warn("pod {}: its role cannot be shown: {}", change.pod, problem);
    }
    writing.complaint = problem;
  }

  // The watch tells the same a moment later.
  void Labelled(const std::string& pod, core::Place role) {
    const auto found = pods_.find(pod);
    if (found != pods_.end()) found->second.role = ToString(role);
    spdlog::info("pod {} is labelled {}", pod, ToString(role));
  }

  static asio::awaitable<void> SendEvents(std::shared_ptr<Impl> self) {
    while (!self->events_.empty() && !self->stopped_) {
      Object event = std::move(self->events_.front());
      self->events_.pop_front();
      const auto sent = co_await self->options_.client.Create(kubernetes::Events(), std::move(event));
      if (!sent) spdlog::warn("an Event was not written: {}", sent.error().message);
    }
    self->sending_ = false;
  }

  std::map<std::string, Writing> writing_;
  std::deque<Object> events_;
  bool sending_ = false;
  bool change_posted_ = false;
  std::uint64_t event_number_ = 0;
  std::set<std::string> told_;
};

ClusterView::ClusterView(asio::any_io_executor executor, ClusterViewOptions options,
                         std::function<void()> changed)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(options), std::move(changed))) {}
ClusterView::~ClusterView() { impl_->Stop(); }
void ClusterView::Start() { impl_->Start(); }
std::optional<std::vector<GroupConfig>> ClusterView::Groups() const { return impl_->groups_; }

std::string ClusterView::Problem() const {
  if (!impl_->pods_watch_) return "";
  const std::string& pods = impl_->pods_watch_->Problem();
  return pods.empty() ? impl_->sets_watch_->Problem() : pods;
}

void ClusterView::Show(const std::map<std::string, std::optional<core::Place>>& places,
                       const std::string& master) {
  impl_->Show(places, master);
}

void ClusterView::Tell(const DecisionEvent& event) {
  const auto pod = impl_->pods_.find(event.pod);
  const std::string uid = pod == impl_->pods_.end() ? std::string() : pod->second.uid;
  impl_->Enqueue(impl_->EventAbout("Pod", event.pod, uid, event.warning, event.reason, event.message));
}

void ClusterView::TellPolicies(const std::string& problem, const std::string& in_force) {
  if (impl_->options_.policy_config_map.empty()) return;
  const bool changed =
      impl_->policy_problem_ != problem || (problem.empty() && impl_->policies_told_ != in_force);
  if (!changed) return;
  impl_->policy_problem_ = problem;
  impl_->policies_told_ = in_force;
  constexpr std::size_t kMaxMessage = 1000;
  const std::string message =
      problem.empty() ? "in force: " + in_force : "refused, what was in force stays so: " + problem;
  impl_->Enqueue(impl_->EventAbout("ConfigMap", impl_->options_.policy_config_map, "", !problem.empty(),
                                   problem.empty() ? "PoliciesInForce" : "PoliciesRefused",
                                   message.substr(0, kMaxMessage)));
}

}  // namespace walstitch::shell
