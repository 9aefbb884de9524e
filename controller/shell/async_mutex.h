// A mutex for coroutines on one executor: waiters are served in order, nothing blocks a thread. Not for
// use from several threads. The guard unlocks when it goes.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <deque>
#include <memory>
#include <utility>

namespace walstitch::shell {

class AsyncMutex {
 public:
  explicit AsyncMutex(boost::asio::any_io_executor executor) : executor_(std::move(executor)) {}

  class Guard {
   public:
    explicit Guard(AsyncMutex* mutex) : mutex_(mutex) {}
    Guard(Guard&& other) noexcept : mutex_(std::exchange(other.mutex_, nullptr)) {}
    Guard& operator=(Guard&&) = delete;
    ~Guard() {
      if (mutex_ != nullptr) mutex_->Unlock();
    }

   private:
    AsyncMutex* mutex_;
  };

  boost::asio::awaitable<Guard> Lock() {
    if (!locked_) {
      locked_ = true;
      co_return Guard(this);
    }
    auto turn =
        std::make_shared<boost::asio::steady_timer>(executor_, boost::asio::steady_timer::time_point::max());
    waiters_.push_back(turn);
    boost::system::error_code cancelled;  // the cancellation is the signal
    co_await turn->async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, cancelled));
    co_return Guard(this);  // ownership was handed over, locked_ stayed true
  }

  [[nodiscard]] bool Locked() const { return locked_; }

 private:
  void Unlock() {
    if (waiters_.empty()) {
      locked_ = false;
      return;
    }
    auto next = waiters_.front();
    waiters_.pop_front();
    next->cancel();
  }

  boost::asio::any_io_executor executor_;
  std::deque<std::shared_ptr<boost::asio::steady_timer>> waiters_;
  bool locked_ = false;
};

}  // namespace walstitch::shell
