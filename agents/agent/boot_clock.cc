#include "agents/agent/boot_clock.h"

#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <fstream>
#include <utility>

namespace walstitch::agent {

namespace asio = boost::asio;

namespace {
constexpr const char* kBootIdPath = "/proc/sys/kernel/random/boot_id";
}  // namespace

std::int64_t BootMs() {
  timespec now{};
  WALSTITCH_CHECK(clock_gettime(CLOCK_BOOTTIME, &now) == 0);
  return static_cast<std::int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1000000;
}

Result<std::string> ReadBootId() {
  std::ifstream file(kBootIdPath);
  std::string id;
  std::getline(file, id);
  if (id.empty()) return Fail(ErrorCode::kIo, std::string(kBootIdPath) + ": cannot be read");
  return id;
}

struct BootTimer::State {
  State(const asio::any_io_executor& executor, std::function<void()> what)
      : descriptor(executor, timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK)),
        fire(std::move(what)) {}
  asio::posix::stream_descriptor descriptor;
  std::function<void()> fire;  // empty once the timer is gone
};

BootTimer::BootTimer(asio::any_io_executor executor, std::function<void()> fire)
    : state_(std::make_shared<State>(executor, std::move(fire))) {
  Wait(state_);
}

BootTimer::~BootTimer() {
  state_->fire = nullptr;
  boost::system::error_code ignored;
  state_->descriptor.close(ignored);
}

void BootTimer::Wait(const std::shared_ptr<State>& state) {
  state->descriptor.async_wait(
      asio::posix::stream_descriptor::wait_read, [state](boost::system::error_code error) {
        if (error || !state->fire) return;
        std::uint64_t count = 0;
        const ssize_t got = read(state->descriptor.native_handle(), &count, sizeof count);
        // Nothing to read: it was set anew in between.
        if (got == sizeof count) state->fire();
        if (state->fire) Wait(state);
      });
}

void BootTimer::Set(std::optional<std::int64_t> at_ms) {
  itimerspec at{};  // zero: never
  if (at_ms) {
    const std::int64_t ms = std::max<std::int64_t>(1, *at_ms);
    at.it_value.tv_sec = static_cast<decltype(at.it_value.tv_sec)>(ms / 1000);
    at.it_value.tv_nsec = static_cast<decltype(at.it_value.tv_nsec)>(ms % 1000 * 1000000);
  }
  timerfd_settime(state_->descriptor.native_handle(), TFD_TIMER_ABSTIME, &at, nullptr);
}

}  // namespace walstitch::agent
