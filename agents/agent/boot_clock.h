// The clock that leases are counted on: CLOCK_BOOTTIME, which runs on while the machine sleeps and is never
// set. It begins anew with each boot, so a time of it means something only beside the boot's id.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "policies/model/result.h"

namespace walstitch::agent {

std::int64_t BootMs();

// /proc/sys/kernel/random/boot_id.
Result<std::string> ReadBootId();

// Calls `fire` on the executor when the boot clock has reached a time, also when it jumped there since the
// machine slept. Call from the executor; no call comes after the destructor.
class BootTimer {
 public:
  BootTimer(boost::asio::any_io_executor executor, std::function<void()> fire);
  ~BootTimer();
  BootTimer(const BootTimer&) = delete;
  BootTimer& operator=(const BootTimer&) = delete;

  // nullopt: never. A time that has passed: soon.
  void Set(std::optional<std::int64_t> at_ms);

 private:
  struct State;
  static void Wait(const std::shared_ptr<State>& state);
  std::shared_ptr<State> state_;
};

}  // namespace walstitch::agent
