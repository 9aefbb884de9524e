#include "controller/shell/disk_pulse.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

namespace walstitch::shell {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kInterval{500};
constexpr milliseconds kStale{1500};

bool WriteDurably(const std::string& path) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0) return false;
  static std::atomic<std::uint64_t> number{0};
  const std::uint64_t beat = ++number;  // another content each time, so that there is something to write
  const bool written = ::pwrite(file, &beat, sizeof beat, 0) == sizeof beat && ::fdatasync(file) == 0;
  return ::close(file) == 0 && written;
}

}  // namespace

// Shared with its thread, which nobody waits for: it may hang in the disk.
class DiskPulse::Impl {
 public:
  std::atomic<Clock::time_point> last{Clock::now()};  // of the newest write that was durable, when it began
  std::mutex mutex;
  std::condition_variable wake;
  bool stop = false;
};

DiskPulse::DiskPulse(const std::string& directory) : impl_(std::make_shared<Impl>()) {
  std::thread([impl = impl_, path = directory + "/pulse"] {
    for (;;) {
      const auto began = Clock::now();
      if (WriteDurably(path)) impl->last = began;
      std::unique_lock lock(impl->mutex);
      if (impl->wake.wait_for(lock, kInterval, [&] { return impl->stop; })) return;
    }
  }).detach();
}

DiskPulse::~DiskPulse() {
  std::lock_guard lock(impl_->mutex);
  impl_->stop = true;
  impl_->wake.notify_all();
}

bool DiskPulse::Beats() const { return Clock::now() - impl_->last.load() < kStale; }

}  // namespace walstitch::shell
