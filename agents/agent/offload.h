// Two small helpers for coroutines on one executor that one thread runs.
//
// Signal: wakes everyone who waits. RunOn: runs a blocking function on a pool's thread and resumes with
// its result. The pool must be joined before the executor's context is destroyed.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace walstitch::agent {

class Signal {
 public:
  explicit Signal(const boost::asio::any_io_executor& executor)
      : timer_(std::make_shared<boost::asio::steady_timer>(executor, Clock::time_point::max())) {}

  void Notify() { timer_->cancel(); }

  // Returns after the next Notify(), at the deadline, or for no reason: the caller looks at what it
  // waits for.
  boost::asio::awaitable<void> Wait(
      std::chrono::steady_clock::time_point deadline = Clock::time_point::max()) {
    // The handler below may be queued already when the Signal goes: it holds the timer that it touches.
    auto timer = timer_;
    boost::asio::steady_timer limit(timer->get_executor(), deadline);
    if (deadline != Clock::time_point::max()) {
      limit.async_wait([timer](boost::system::error_code error) {
        if (!error) timer->cancel();
      });
    }
    boost::system::error_code ignored;
    co_await timer->async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
  }

 private:
  using Clock = std::chrono::steady_clock;
  std::shared_ptr<boost::asio::steady_timer> timer_;
};

inline boost::asio::awaitable<void> SleepFor(std::chrono::milliseconds time) {
  boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor, time);
  boost::system::error_code ignored;
  co_await timer.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
}

// `function` takes nothing and returns a value; it is run once. Give it a name before the co_await: GCC 12
// destroys a capturing lambda twice that is a temporary of a co_await expression.
template <typename Function>
boost::asio::awaitable<std::invoke_result_t<Function>> RunOn(boost::asio::thread_pool& pool,
                                                             Function function) {
  using Value = std::invoke_result_t<Function>;
  struct State {
    State(const boost::asio::any_io_executor& executor, Function work)
        : timer(executor, std::chrono::steady_clock::time_point::max()), run(std::move(work)) {}
    boost::asio::steady_timer timer;
    Function run;
    std::optional<Value> value;
  };
  boost::asio::any_io_executor executor = co_await boost::asio::this_coro::executor;
  auto state = std::make_shared<State>(executor, std::move(function));
  boost::asio::post(pool, [state, executor] {
    auto value = std::make_shared<Value>(state->run());
    boost::asio::post(executor, [state, value] {
      state->value = std::move(*value);
      state->timer.cancel();
    });
  });
  boost::system::error_code ignored;
  while (!state->value) {
    co_await state->timer.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
  }
  co_return std::move(*state->value);
}

}  // namespace walstitch::agent
