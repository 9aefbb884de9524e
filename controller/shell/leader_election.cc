#include "controller/shell/leader_election.h"

#include <spdlog/spdlog.h>
#include <time.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json.hpp>
#include <chrono>
#include <exception>
#include <optional>
#include <utility>

#include "controller/kubernetes/times.h"

namespace walstitch::shell {

namespace asio = boost::asio;
using kubernetes::ApiErrorKind;
using kubernetes::Object;
using std::chrono::milliseconds;
using Step = core::Leadership::Step;

namespace {

constexpr std::string_view kAddress = "walstitch.io/address";
constexpr milliseconds kLook{1000};  // between two looks at the Lease of another
constexpr milliseconds kTick{50};    // between two looks at the clock
constexpr milliseconds kGiveBack{2000};

// Also runs while the machine sleeps.
std::int64_t BootMs() {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  return std::int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1000000;
}

std::string Now() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return kubernetes::MicroTimeText(std::chrono::duration_cast<std::chrono::microseconds>(now).count());
}

std::uint64_t NumberAt(const Object& object, std::string_view field) {
  const auto* value = object.if_contains(field);
  if (value == nullptr || !value->is_number()) return 0;
  boost::system::error_code problem;
  const auto number = value->to_number<std::uint64_t>(problem);
  return problem ? 0 : number;
}

// Made where there is none, or something else.
Object& ObjectIn(Object& object, std::string_view field) {
  boost::json::value& value = object[field];
  if (!value.is_object()) value = Object();
  return value.get_object();
}

// A writer that has ended by a broken assumption must not leave a leader behind that only renews.
void Rethrow(std::exception_ptr problem) {
  if (problem) std::rethrow_exception(problem);
}

}  // namespace

core::LeaderRecord RecordOfLease(const Object& lease) {
  core::LeaderRecord record;
  const Object* spec = kubernetes::ObjectAt(lease, "spec");
  if (spec != nullptr) {
    record.holder = kubernetes::TextAt(*spec, "holderIdentity");
    record.duration_ms =
        static_cast<std::int64_t>(std::min<std::uint64_t>(NumberAt(*spec, "leaseDurationSeconds"), 86400)) *
        1000;
    record.renewed = kubernetes::TextAt(*spec, "renewTime");
    record.transitions = NumberAt(*spec, "leaseTransitions");
  }
  const auto annotations = kubernetes::AnnotationsOf(lease);
  const auto address = annotations.find(std::string(kAddress));
  if (address != annotations.end()) record.address = address->second;
  return record;
}

Object LeaseOf(Object before, const core::LeaderRecord& record, const std::string& now) {
  const core::LeaderRecord was = RecordOfLease(before);
  boost::json::object& metadata = ObjectIn(before, "metadata");
  ObjectIn(metadata, "annotations")[kAddress] = record.address;
  boost::json::object& spec = ObjectIn(before, "spec");
  if (was.holder != record.holder || !spec.contains("acquireTime")) spec["acquireTime"] = now;
  // One that is given back has no holder, rather than one without a name: that the API server refuses.
  spec.erase("holderIdentity");
  if (!record.holder.empty()) spec["holderIdentity"] = record.holder;
  spec["leaseDurationSeconds"] = record.duration_ms / 1000;
  spec["renewTime"] = record.renewed;
  spec["leaseTransitions"] = record.transitions;
  return before;
}

class LeaderElection::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::any_io_executor executor, LeaderElectionOptions options, std::function<void()> begins,
       std::function<void()> ends)
      : executor_(std::move(executor)),
        options_(std::move(options)),
        begins_(std::move(begins)),
        ends_(std::move(ends)),
        leadership_(options_.place, options_.run, options_.terms) {}

  void Start() {
    asio::co_spawn(executor_, Run(shared_from_this()), Rethrow);
    asio::co_spawn(executor_, WatchClock(shared_from_this()), Rethrow);
  }
  void Stop() { stopped_ = true; }

  [[nodiscard]] bool Leads() const { return !given_back_ && leadership_.Leads(BootMs()); }

  asio::awaitable<void> GiveBack() {
    stopped_ = true;
    if (!Leads() || !lease_) co_return;
    given_back_ = true;
    core::LeaderRecord free = leadership_.Mine(Now(), "");
    free.holder.clear();
    Object object = LeaseOf(*lease_, free, Now());
    kubernetes::CallOptions call;
    call.timeout = call.attempt_timeout = kGiveBack;
    const auto written =
        co_await options_.client.Replace(kubernetes::Leases(), options_.name, std::move(object), call);
    if (!written) spdlog::warn("the leadership was not given back: {}", written.error().message);
  }

  asio::any_io_executor executor_;
  LeaderElectionOptions options_;
  std::function<void()> begins_;
  std::function<void()> ends_;
  core::Leadership leadership_;
  std::optional<Object> lease_;  // as it was read or written last
  std::string problem_;
  bool stopped_ = false;
  bool given_back_ = false;
  bool leading_ = false;  // `begins` was told

 private:
  // No renewal may use up the time of the next.
  [[nodiscard]] kubernetes::CallOptions Call() const {
    kubernetes::CallOptions call;
    call.timeout = call.attempt_timeout = milliseconds(std::max<std::int64_t>(500, leadership_.RetryMs()));
    return call;
  }

  asio::awaitable<void> Wait(milliseconds time) {
    boost::system::error_code ignored;
    asio::steady_timer timer(executor_, time);
    co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }

  void Complain(const std::string& what) {
    if (what != problem_ && !what.empty()) spdlog::warn("leadership: {}", what);
    problem_ = what;
  }

  asio::awaitable<bool> Look() {
    auto found = co_await options_.client.Get(kubernetes::Leases(), options_.name, Call());
    if (stopped_) co_return false;
    if (!found && found.error().kind != ApiErrorKind::kNotFound) {
      Complain(found.error().message);
      co_return false;
    }
    // Without a Lease there was a leader all the same, if there is a log that one has written.
    bool ever = found.has_value();
    if (!ever) {
      const auto log = co_await options_.client.Get(kubernetes::DecisionLogs(), options_.name, Call());
      if (stopped_) co_return false;
      if (!log && log.error().kind != ApiErrorKind::kNotFound) {
        Complain(log.error().message);
        co_return false;
      }
      ever = log.has_value();
    }
    Complain("");
    lease_.reset();
    std::optional<core::LeaderRecord> record;
    if (found) {
      record = RecordOfLease(*found);
      lease_ = std::move(*found);
    }
    leadership_.Saw(record, ever, BootMs());
    co_return true;
  }

  // False: it is to be looked at anew.
  asio::awaitable<bool> Write(Step step) {
    const std::int64_t begun_ms = BootMs();
    const std::string now = Now();
    const core::LeaderRecord mine = leadership_.Mine(now, options_.address);
    Object before = lease_ ? *lease_ : kubernetes::MakeObject(kubernetes::Leases(), options_.name);
    Object object = LeaseOf(std::move(before), mine, now);
    kubernetes::ApiResult<Object> written;
    if (step == Step::kCreate) {
      written = co_await options_.client.Create(kubernetes::Leases(), std::move(object), Call());
    } else {
      written =
          co_await options_.client.Replace(kubernetes::Leases(), options_.name, std::move(object), Call());
    }
    if (stopped_) co_return false;
    if (!written) {
      const bool overtaken = written.error().kind == ApiErrorKind::kConflict ||
                             written.error().kind == ApiErrorKind::kAlreadyExists;
      if (!overtaken) Complain(written.error().message);
      co_return false;
    }
    Complain("");
    lease_ = std::move(*written);
    leadership_.Wrote(mine, begun_ms);
    co_return true;
  }

  static asio::awaitable<void> Run(std::shared_ptr<Impl> self) {
    bool known = false;
    while (!self->stopped_) {
      // Who leads knows what is in the Lease, and writes without a look at it, as long as that goes well.
      if (!known || !self->leading_) known = co_await self->Look();
      if (self->stopped_) co_return;
      const Step step = known ? self->leadership_.Next(BootMs()) : Step::kWait;
      if (step != Step::kWait) {
        known = co_await self->Write(step);
        if (self->stopped_) co_return;
        if (known && !self->leading_ && self->leadership_.Leads(BootMs())) {
          self->leading_ = true;
          spdlog::info("leadership: {} leads now", self->leadership_.Record()->holder);
          self->begins_();
        }
        if (!known) co_await self->Wait(std::min(kLook, milliseconds(self->leadership_.RetryMs() / 4)));
        continue;
      }
      co_await self->Wait(std::min(kLook, milliseconds(self->leadership_.RetryMs() / 2)));
    }
  }

  static asio::awaitable<void> WatchClock(std::shared_ptr<Impl> self) {
    while (!self->stopped_) {
      if (self->leading_ && !self->leadership_.Leads(BootMs())) {
        self->stopped_ = true;
        self->ends_();
        co_return;
      }
      co_await self->Wait(kTick);
    }
  }
};

LeaderElection::LeaderElection(asio::any_io_executor executor, LeaderElectionOptions options,
                               std::function<void()> begins, std::function<void()> ends)
    : impl_(std::make_shared<Impl>(std::move(executor), std::move(options), std::move(begins),
                                   std::move(ends))) {}
LeaderElection::~LeaderElection() { impl_->Stop(); }
void LeaderElection::Start() { impl_->Start(); }
bool LeaderElection::Leads() const { return impl_->Leads(); }
std::string LeaderElection::Identity() const { return impl_->options_.place + "/" + impl_->options_.run; }
std::string LeaderElection::Holder() const {
  return impl_->leadership_.Record() ? impl_->leadership_.Record()->holder : std::string();
}
std::string LeaderElection::HoldersAddress() const {
  return impl_->leadership_.Record() ? impl_->leadership_.Record()->address : std::string();
}
const std::string& LeaderElection::Problem() const { return impl_->problem_; }
asio::awaitable<void> LeaderElection::GiveBack() { return impl_->GiveBack(); }

}  // namespace walstitch::shell
