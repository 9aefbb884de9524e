// Coroutines for the core: a sequence of steps that waits for answers, without a thread, a clock or a socket.
// What it waits for comes as callbacks of core::Environment; so the same code runs in the controller, on real
// agents, and in the simulator, on a virtual clock.
//
// A Task is lazy and is run by being awaited, once. A TaskGroup runs tasks that nobody awaits; destroying it
// destroys what has not ended, in the middle, as a crash would. Everything on one thread.
#pragma once

#include <coroutine>
#include <deque>
#include <exception>
#include <functional>
#include <list>
#include <optional>
#include <utility>

#include "policies/model/result.h"

namespace walstitch::core {

template <typename T>
class [[nodiscard]] Task;

namespace task_detail {

struct PromiseBase {
  std::coroutine_handle<> waiting;
  std::exception_ptr problem;

  struct Final {
    bool await_ready() noexcept { return false; }
    template <typename Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> ended) noexcept {
      return ended.promise().waiting ? ended.promise().waiting : std::noop_coroutine();
    }
    void await_resume() noexcept {}
  };
  std::suspend_always initial_suspend() noexcept { return {}; }
  Final final_suspend() noexcept { return {}; }
  void unhandled_exception() { problem = std::current_exception(); }
};

template <typename T>
struct Promise : PromiseBase {
  std::optional<T> value;
  Task<T> get_return_object();
  template <typename U>
  void return_value(U&& given) {
    value.emplace(std::forward<U>(given));
  }
  T Take() {
    if (problem) std::rethrow_exception(problem);
    return std::move(*value);
  }
};

template <>
struct Promise<void> : PromiseBase {
  Task<void> get_return_object();
  void return_void() {}
  void Take() const {
    if (problem) std::rethrow_exception(problem);
  }
};

}  // namespace task_detail

template <typename T>
class [[nodiscard]] Task {
 public:
  using promise_type = task_detail::Promise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  explicit Task(Handle handle) : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&&) = delete;
  ~Task() {
    if (handle_) handle_.destroy();
  }

  struct Awaiter {
    Handle handle;
    bool await_ready() noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiting) noexcept {
      handle.promise().waiting = waiting;
      return handle;
    }
    T await_resume() { return handle.promise().Take(); }
  };
  Awaiter operator co_await() && noexcept { return {handle_}; }

 private:
  Handle handle_;
};

namespace task_detail {
template <typename T>
Task<T> Promise<T>::get_return_object() {
  return Task<T>(Task<T>::Handle::from_promise(*this));
}
inline Task<void> Promise<void>::get_return_object() {
  return Task<void>(Task<void>::Handle::from_promise(*this));
}
}  // namespace task_detail

// Waits for a callback that is never called before `start` returns, and never after the coroutine was
// destroyed (see Environment).
//
//   auto report = co_await Answer<Result<Report>>([&](auto done) { environment.FreshReport(node, done); });
template <typename T>
class Answer {
 public:
  using Done = std::function<void(T)>;
  explicit Answer(std::function<void(Done)> start) : start_(std::move(start)) {}
  bool await_ready() noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiting) {
    start_([this, waiting](T value) {
      value_.emplace(std::move(value));
      waiting.resume();
    });
  }
  T await_resume() { return std::move(*value_); }

 private:
  std::function<void(Done)> start_;
  std::optional<T> value_;
};

// Owns tasks that nobody awaits. A task that throws ends the program: there is nobody to tell.
class TaskGroup {
 public:
  TaskGroup() = default;
  ~TaskGroup() { Clear(); }
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  // Runs it until it first waits.
  void Spawn(Task<void> task) {
    Reap();
    Root root = Drive(std::move(task));
    running_.push_back(root.handle);
    root.handle.resume();
  }
  void Clear() {
    while (!running_.empty()) {
      auto handle = running_.front();
      running_.pop_front();
      handle.destroy();
    }
  }

 private:
  struct Root {
    struct promise_type {
      Root get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
      std::suspend_always initial_suspend() noexcept { return {}; }
      std::suspend_always final_suspend() noexcept { return {}; }
      void return_void() {}
      void unhandled_exception() { std::terminate(); }
    };
    std::coroutine_handle<promise_type> handle;
  };
  static Root Drive(Task<void> task) { co_await std::move(task); }
  void Reap() {
    for (auto at = running_.begin(); at != running_.end();) {
      if (!at->done()) {
        ++at;
        continue;
      }
      at->destroy();
      at = running_.erase(at);
    }
  }

  std::list<std::coroutine_handle<Root::promise_type>> running_;
};

// Waiters are served in order. `soon` runs a callback a moment later, from the loop.
class Mutex {
 public:
  explicit Mutex(std::function<void(std::function<void()>)> soon) : soon_(std::move(soon)) {}

  class Guard {
   public:
    explicit Guard(Mutex* mutex) : mutex_(mutex) {}
    Guard(Guard&& other) noexcept : mutex_(std::exchange(other.mutex_, nullptr)) {}
    Guard& operator=(Guard&&) = delete;
    ~Guard() {
      if (mutex_ != nullptr) mutex_->Unlock();
    }

   private:
    Mutex* mutex_;
  };

  struct Awaiter {
    Mutex* mutex;
    bool await_ready() noexcept {
      if (mutex->locked_) return false;
      mutex->locked_ = true;
      return true;
    }
    void await_suspend(std::coroutine_handle<> waiting) { mutex->waiters_.push_back(waiting); }
    Guard await_resume() noexcept { return Guard(mutex); }
  };
  Awaiter Lock() { return {this}; }
  [[nodiscard]] bool Locked() const { return locked_; }
  // Before its users are destroyed in the middle: nobody is served any more.
  void Close() {
    closed_ = true;
    waiters_.clear();
  }

 private:
  void Unlock() {
    if (closed_) return;
    if (waiters_.empty()) {
      locked_ = false;
      return;
    }
    auto next = waiters_.front();
    waiters_.pop_front();
    soon_([next] { next.resume(); });  // it stays locked: handed over
  }

  std::function<void(std::function<void()>)> soon_;
  std::deque<std::coroutine_handle<>> waiters_;
  bool locked_ = false;
  bool closed_ = false;
};

}  // namespace walstitch::core
