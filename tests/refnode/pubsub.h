// Who listens to which channel. Thread-safe.
#pragma once

#include <deque>
#include <mutex>
#include <set>
#include <string>
#include <utility>

namespace walstitch::refnode {

class Subscriber {
 public:
  explicit Subscriber(std::set<std::string> channels) : channels_(std::move(channels)) {}

  bool Wants(const std::string& channel) const { return channels_.count(channel) != 0; }
  void Push(std::string message) {
    std::lock_guard lock(mutex_);
    messages_.push_back(std::move(message));
  }
  // All that came since the last time, one behind the other.
  std::string Take() {
    std::lock_guard lock(mutex_);
    std::string all;
    for (const std::string& message : messages_) all += message;
    messages_.clear();
    return all;
  }

 private:
  const std::set<std::string> channels_;
  std::mutex mutex_;
  std::deque<std::string> messages_;  // as they are sent
};

class PubSub {
 public:
  void Add(Subscriber* subscriber) {
    std::lock_guard lock(mutex_);
    subscribers_.insert(subscriber);
  }
  void Remove(Subscriber* subscriber) {
    std::lock_guard lock(mutex_);
    subscribers_.erase(subscriber);
  }
  // To how many it went.
  int Publish(const std::string& channel, const std::string& message) {
    std::lock_guard lock(mutex_);
    int reached = 0;
    for (Subscriber* subscriber : subscribers_) {
      if (!subscriber->Wants(channel)) continue;
      subscriber->Push(message);
      ++reached;
    }
    return reached;
  }

 private:
  std::mutex mutex_;
  std::set<Subscriber*> subscribers_;
};

}  // namespace walstitch::refnode
