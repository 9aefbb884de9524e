#include "controller/sentinel/service.h"

#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json.hpp>
#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <tuple>
#include <utility>
#include <vector>

#include "agents/http/http_client.h"
#include "controller/sentinel/answers.h"
#include "controller/sentinel/listener.h"
#include "controller/sentinel/others.h"
#include "controller/shell/controller.h"
#include "policies/model/bytes.h"
#include "policies/model/json.h"

namespace walstitch::sentinel {

namespace asio = boost::asio;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds kTick{10};         // how late a switch is told, at most, that the leader knows of
constexpr std::int64_t kRefreshMs = 250;  // of all that is not a switch
constexpr milliseconds kFollow{100};      // between two questions to the leader
constexpr milliseconds kFollowTimeout{1000};
constexpr milliseconds kOrderTimeout{120000};
constexpr int kStatusOk = 200;
constexpr int kStatusConflict = 409;
constexpr rlim_t kFilesOfTheRest = 1024;

std::int64_t NowMs() {
  return std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

double SecondsOf(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

std::string OsName() {
  utsname name{};
  if (::uname(&name) != 0) return "";
  return std::string(name.sysname) + " " + name.release + " " + name.machine;
}

// 1. Clients of Sentinel's protocol hold as many files as they may. 2. The controller cannot open one more,
// and does not reach its agents. So there is room for both.
Result<void> CheckRoomForFiles(std::uint64_t connections) {
  const rlim_t needed = connections + kFilesOfTheRest;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= needed) return {};
  return Fail(ErrorCode::kInvalid, "sentinel.maxConnections: " + std::to_string(connections) +
                                       " clients need " + std::to_string(needed) + " open files, and " +
                                       std::to_string(limit.rlim_cur) +
                                       " are allowed; raise the limit (ulimit -n), or lower maxConnections");
}

// What a look at a group costs little to compare: whether it may have changed what clients are told.
struct Mark {
  std::uint64_t heard = 0;
  std::uint64_t epoch = 0;
  std::string master;
  core::Management management = core::Management::kNew;
  std::map<std::string, std::optional<core::Place>> places;
  std::string busy;
};

// What came of an order. `group` as it is seen now; null: it is not.
Reply ReplyOf(const core::OperatorAnswer& answer, const GroupSeen* group) {
  if (!answer) return AnswerRefusal(answer.error(), group);
  if (answer->outcome && answer->outcome->outcome == Outcome::kDone) return Reply::Ok();
  const std::string error = answer->outcome ? answer->outcome->sentence : "it was not carried out";
  return Reply::Fault("ERR " + error + "; see walstitch decisions show " + answer->decision.id);
}

// Of the API of the controller that leads.
Reply ReplyOf(const Result<http::ClientResponse>& response, const GroupSeen* group) {
  if (!response) return Reply::Fault("ERR the controller that leads: " + response.error().Message());
  auto json = ParseJson(response->body);
  const auto* object = json ? json->if_object() : nullptr;
  if (object == nullptr) return Reply::Fault("ERR the controller that leads gave no answer that can be read");
  if (response->status != kStatusOk) {
    const auto* error = object->if_contains("error");
    const ErrorCode code =
        response->status == kStatusConflict ? ErrorCode::kConflict : ErrorCode::kUnavailable;
    return AnswerRefusal(
        Error(code, error != nullptr && error->is_string() ? std::string(error->get_string())
                                                           : "status " + std::to_string(response->status)),
        group);
  }
  const auto* record = object->if_contains("record");
  auto read = record == nullptr
                  ? Result<DecisionRecord>(Fail(ErrorCode::kInvalid, "there is no record in it"))
                  : DecisionRecordFromJson(*record);
  if (!read) return Reply::Fault("ERR the answer of the controller that leads: " + read.error().Message());
  return ReplyOf(core::OperatorAnswer(std::move(*read)), group);
}

}  // namespace

class Service::Impl : public std::enable_shared_from_this<Service::Impl> {
 public:
  Impl(asio::any_io_executor executor, ServiceOptions options, api::Front& front)
      : executor_(std::move(executor)),
        options_(std::move(options)),
        front_(front),
        id_(IdOf(options_)),
        os_(OsName()),
        began_ms_(NowMs()),
        tick_(executor_),
        others_(executor_, {options_.listen.others, id_}) {}

  Result<void> Start() {
    const shell::SentinelConfig& config = options_.listen;
    ListenerOptions listen;
    listen.host = config.host;
    listen.port = config.port;
    listen.admission = options_.admission;
    listen.audit = options_.audit;
    if (config.without_token) {
      listen.anonymous = http::AccessRole::kView;
    } else if (options_.admission) {
      listen.anonymous = std::nullopt;
    }
    listen.max_connections = static_cast<std::size_t>(config.max_connections);
    listen.limits.bytes = config.max_request;
    listen.max_output = config.max_output;
    listen.request_timeout = milliseconds(config.request_timeout_ms);
    listen.idle_timeout = milliseconds(config.idle_timeout_ms);
    listener_ = std::make_unique<Listener>(
        executor_, std::move(listen), [this] { return Know(); },
        [self = weak_from_this()](std::string group, std::string by) {
          return Order(self, std::move(group), std::move(by));
        });
    if (auto room = CheckRoomForFiles(static_cast<std::uint64_t>(config.max_connections)); !room) return room;
    if (auto started = listener_->Start(); !started) return started;
    others_.Start();
    asio::co_spawn(executor_, Run(shared_from_this()), asio::detached);
    return {};
  }

  void Stop() {
    stopped_ = true;
    tick_.cancel();
    others_.Stop();
    if (listener_) listener_->Stop();
  }

  [[nodiscard]] std::uint16_t Port() const { return listener_ ? listener_->Port() : 0; }
  [[nodiscard]] http::ServerCounts Counts() const {
    http::ServerCounts counts;
    if (!listener_) return counts;
    const ListenerCounts own = listener_->Counts();
    counts.accepted = own.accepted;
    counts.open = own.open;
    counts.streams = own.subscribers;
    counts.requests = own.requests;
    const auto set = [&counts](http::Refused why, std::uint64_t count) {
      counts.refused[static_cast<std::size_t>(why)] = count;
    };
    set(http::Refused::kToken, own.refused_token);
    set(http::Refused::kRole, own.refused_role);
    set(http::Refused::kTooLarge, own.refused_too_large);
    set(http::Refused::kSlow, own.refused_slow);
    set(http::Refused::kGarbage, own.refused_garbage);
    set(http::Refused::kFull, own.refused_full);
    set(http::Refused::kEvicted, own.evicted);
    return counts;
  }

 private:
  // The same in every run, and another for every controller.
  static std::string IdOf(const ServiceOptions& options) {
    const std::string name = options.identity + " " + options.listen.announce_host + " " +
                             std::to_string(options.listen.announce_port);
    return Sha256Hex("walstitch sentinel " + name).substr(0, 40);
  }

  Knowledge Know() {
    // Clients that lost their connections ask at once, sooner than the next look would be.
    if (front_.LeadsNow()) LookAtOwn();
    Knowledge knowledge;
    knowledge.now_ms = NowMs();
    if (view_ && knowledge.now_ms - view_->at_ms <= kFreshMs) {
      knowledge.view = &*view_;
    } else {
      knowledge.why = WhyNot();
    }
    knowledge.settings = options_.settings;
    knowledge.id = id_;
    knowledge.announced = {options_.listen.announce_host, options_.listen.announce_port};
    knowledge.others = others_.List();
    knowledge.version = options_.version;
    knowledge.os = os_;
    knowledge.process_id = ::getpid();
    knowledge.uptime_ms = knowledge.now_ms - began_ms_;
    knowledge.unix_us = std::chrono::duration_cast<std::chrono::microseconds>(
                            std::chrono::system_clock::now().time_since_epoch())
                            .count();
    rusage usage{};
    if (::getrusage(RUSAGE_SELF, &usage) == 0) {
      knowledge.cpu_user_seconds = SecondsOf(usage.ru_utime);
      knowledge.cpu_system_seconds = SecondsOf(usage.ru_stime);
    }
    return knowledge;
  }

  [[nodiscard]] std::string WhyNot() const {
    if (front_.LeadsNow()) return "this controller has begun just now";
    const api::Front::Standby standby = front_.StandsBy();
    if (standby.leader.empty()) return standby.sentence;
    return standby.sentence + "; nothing was heard from it for " + std::to_string(kFreshMs / 1000) + " s" +
           (problem_.empty() ? "" : ": " + problem_);
  }

  static asio::awaitable<void> Run(std::shared_ptr<Impl> self) {
    while (!self->stopped_) {
      milliseconds pause = kTick;
      if (self->front_.LeadsNow()) {
        self->LookAtOwn();
      } else {
        self->marks_.clear();
        co_await Follow(self);
        pause = kFollow;
      }
      if (self->stopped_) co_return;
      boost::system::error_code ignored;
      self->tick_.expires_after(pause);
      co_await self->tick_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    }
  }

  void LookAtOwn() {
    shell::Controller& controller = *front_.Leading();
    bool due = !view_ || NowMs() - looked_ms_ >= kRefreshMs || marks_.size() != controller.Groups().size();
    for (const auto& [name, host] : controller.Groups()) due = Changed(name, host->Runner()) || due;
    if (!due) return;
    looked_ms_ = NowMs();
    boost::json::array groups;
    for (const auto& [name, host] : controller.Groups()) groups.push_back(host->Status());
    TakeOver({{"groups", std::move(groups)}});
  }

  bool Changed(const std::string& name, const core::GroupRunner& runner) {
    const core::GroupState& state = runner.State();
    Mark& mark = marks_[name];
    const bool decided = std::tie(mark.epoch, mark.master, mark.management, mark.busy) !=
                         std::tie(state.epoch, state.master, state.management, runner.BusyWith());
    if (!decided && mark.heard == runner.Heard()) return false;
    mark.heard = runner.Heard();
    mark.epoch = state.epoch;
    mark.master = state.master;
    mark.management = state.management;
    mark.busy = runner.BusyWith();
    auto places = runner.Places();
    const bool moved = places != mark.places;
    mark.places = std::move(places);
    return decided || moved;
  }

  static asio::awaitable<void> Follow(std::shared_ptr<Impl> self) {
    const std::string leader = self->front_.StandsBy().leader;
    if (leader.empty()) {
      self->problem_.clear();
      co_return;
    }
    const auto url = http::ParseUrl(leader);
    if (!url) {
      self->problem_ = url.error().Message();
      co_return;
    }
    std::string method = "GET";
    std::string target = "/v1/status";
    std::string body;
    const Result<http::ClientResponse> response =
        co_await http::Fetch(*url, std::move(method), std::move(target), std::move(body),
                             self->options_.credentials, kFollowTimeout);
    if (self->stopped_ || self->front_.LeadsNow()) co_return;
    if (!response) {
      self->problem_ = response.error().Message();
      co_return;
    }
    auto json = ParseJson(response->body);
    if (response->status != 200 || !json) {
      self->problem_ = "its API answers with status " + std::to_string(response->status);
      co_return;
    }
    self->problem_.clear();
    self->TakeOver(*json);
  }

  // Takes the status for what is known from now on, and tells what has changed.
  void TakeOver(const boost::json::value& status) {
    auto view = ReadStatus(status, NowMs());
    if (!view) {
      const bool early = view.error().Code() == ErrorCode::kUnavailable;
      if (!early && problem_ != view.error().Message()) spdlog::error("sentinel: {}", view.error().Message());
      problem_ = view.error().Message();
      return;
    }
    AwaitReports(view_ ? &*view_ : nullptr, &*view);
    CarryOver(view_ ? &*view_ : nullptr, &*view);
    std::vector<Event> events;
    if (view_) events = EventsBetween(*view_, *view);
    for (const Event& event : events) spdlog::debug("sentinel: {} {}", event.channel, event.payload);
    view_ = std::move(*view);
    if (!events.empty()) listener_->Publish(events);
  }

  [[nodiscard]] const GroupSeen* Seen(const std::string& group) const {
    if (!view_) return nullptr;
    const auto found = view_->groups.find(group);
    return found == view_->groups.end() ? nullptr : &found->second;
  }

  // The groups that this one has ordered a failover of, while it goes on. 1. Somebody orders one. 2. Somebody
  // else does, and the controller that leads has not said yet that it is busy with it. 3. The second would be
  // carried out after the first, and undo it.
  class Ordering {
   public:
    Ordering(std::set<std::string>& groups, std::string group) : groups_(groups), group_(std::move(group)) {
      mine_ = groups_.insert(group_).second;
    }
    ~Ordering() {
      if (mine_) groups_.erase(group_);
    }
    Ordering(const Ordering&) = delete;
    Ordering& operator=(const Ordering&) = delete;
    [[nodiscard]] bool IsMine() const { return mine_; }

   private:
    std::set<std::string>& groups_;
    std::string group_;
    bool mine_ = false;
  };

  // Of a group with a master, a switchover, which loses nothing; of one without, a failover. Away from the
  // master that was seen: another controller may have been asked for the same a moment before.
  static asio::awaitable<Reply> Order(std::weak_ptr<Impl> weak, std::string group, std::string by) {
    const auto self = weak.lock();
    if (!self || self->stopped_) co_return Reply::Fault("ERR the controller is stopping");
    const Ordering ordering(self->ordering_, group);
    if (!ordering.IsMine()) co_return Reply::Fault(std::string(kInProgress));
    const GroupSeen* seen = self->Seen(group);
    const bool alive = seen != nullptr && seen->UsableMaster() != nullptr;
    const std::string master = seen == nullptr ? std::string() : seen->recorded;
    const std::string what = alive ? "switchover" : "failover";
    if (self->front_.LeadsNow()) {
      shell::GroupHost* host = self->front_.Leading()->FindGroup(group);
      if (host == nullptr) co_return Reply::Fault("ERR No such master with that name");
      const shell::GroupHost::Order order =
          alive ? &core::GroupRunner::Switchover : &core::GroupRunner::Failover;
      core::OperatorRequest request;
      request.node = master;
      request.by = by;
      const core::OperatorAnswer answer = co_await host->Give(order, std::move(request));
      co_return ReplyOf(answer, self->Seen(group));
    }
    const auto leader = http::ParseUrl(self->front_.StandsBy().leader);
    if (!leader) co_return Reply::Fault("LOADING " + self->WhyNot());
    std::string method = "POST";
    std::string target = "/v1/groups/" + http::PercentEncode(group) + "/" + what;
    boost::json::object asked;
    if (!master.empty()) asked["node"] = master;
    if (!by.empty()) asked["by"] = by;
    std::string body = Dump(asked);
    const Result<http::ClientResponse> response =
        co_await http::Fetch(*leader, std::move(method), std::move(target), std::move(body),
                             self->options_.credentials, kOrderTimeout);
    co_return ReplyOf(response, self->Seen(group));
  }

  asio::any_io_executor executor_;
  ServiceOptions options_;
  api::Front& front_;
  std::string id_;
  std::string os_;
  std::int64_t began_ms_;
  asio::steady_timer tick_;
  Others others_;
  std::unique_ptr<Listener> listener_;
  std::optional<View> view_;
  std::map<std::string, Mark> marks_;
  std::set<std::string> ordering_;
  std::int64_t looked_ms_ = 0;
  std::string problem_;
  bool stopped_ = false;
};

Service::Service(asio::any_io_executor executor, ServiceOptions options, api::Front& front)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(options), front)) {}
Service::~Service() { Stop(); }
Result<void> Service::Start() { return impl_->Start(); }
void Service::Stop() { impl_->Stop(); }
std::uint16_t Service::Port() const { return impl_->Port(); }
http::ServerCounts Service::Counts() const { return impl_->Counts(); }

Result<ServiceOptions> OptionsOf(const shell::ControllerConfig& config, std::string version) {
  ServiceOptions options;
  options.listen = *config.sentinel;
  const auto& tls = options.listen.leader_tls ? options.listen.leader_tls : config.agent_tls;
  auto credentials = http::Credentials::Load(config.api_access.Own(), tls);
  if (!credentials) return Fail(credentials.error());
  options.credentials = std::move(*credentials);
  options.identity = config.identity;
  options.version = std::move(version);
  options.settings.down_after_ms = config.failover.unreachable_ms;
  options.settings.failover_timeout_ms = config.failover.lease.duration_ms;
  options.settings.parallel_syncs = config.max_concurrent_full_syncs;
  return options;
}

}  // namespace walstitch::sentinel
