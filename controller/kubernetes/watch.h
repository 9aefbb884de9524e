// Follows all objects of a kind in the client's namespace, and never gives up: lists them, watches on from
// there, takes a stream that ended up again, lists again where the server has forgotten.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "controller/kubernetes/api_client.h"
#include "controller/kubernetes/resource.h"
#include "controller/kubernetes/watch_cursor.h"

namespace walstitch::kubernetes {

struct WatchOptions {
  ResourceType type;
  std::string label_selector;
  std::string field_selector;
  // The server ends each stream after that long, which we notice if it does not: `grace` later, a stream
  // counts as lost. So this bounds for how long a half-open connection can go unnoticed.
  std::chrono::seconds stream_time{60};
  std::chrono::milliseconds grace{10000};
  std::chrono::milliseconds list_timeout{30000};
};

// Make, use and destroy it on the executor (one thread), or while that does not run. No callback comes after
// Stop() or the destructor, both of which a callback may call. Objects() is up to date when a callback runs.
class Watch {
 public:
  // `listed`: everything has been replaced by Objects(); after the first list and after every other one.
  // `changed`: one object, after that. Both may be empty.
  Watch(boost::asio::any_io_executor executor, ApiClient client, WatchOptions options,
        std::function<void()> listed, std::function<void(const Change&)> changed);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  void Stop();

  [[nodiscard]] const ObjectMap& Objects() const;
  // See watch_cursor.h.
  [[nodiscard]] bool Synced() const;
  [[nodiscard]] std::optional<std::chrono::steady_clock::time_point> LastContact() const;
  [[nodiscard]] const std::string& Problem() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace walstitch::kubernetes
