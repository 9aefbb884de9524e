// What answers are made of. Plain data.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "controller/sentinel/view.h"

namespace walstitch::sentinel {

// What of a controller's configuration has a word in Sentinel's protocol.
struct Settings {
  std::int64_t down_after_ms = 1000;        // failover.unreachableAfter
  std::int64_t failover_timeout_ms = 3000;  // lease.duration
  std::int64_t parallel_syncs = 1;          // maxConcurrentFullSyncs
};

// Another controller that answers Sentinel's protocol.
struct Other {
  std::string id;  // as it says itself: 40 hex digits
  Endpoint endpoint;
  bool heard = false;           // it answers
  std::int64_t heard_ms = 0;    // when it did so last
  std::int64_t changed_ms = 0;  // since when it does, or does not
};

// Of the listener, since it began. The shape is that of the other listeners' counts.
struct ListenerCounts {
  std::uint64_t accepted = 0;     // connections
  std::uint64_t open = 0;         // now
  std::uint64_t subscribers = 0;  // now
  std::uint64_t requests = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t events = 0;  // told, each once for each subscription
  std::uint64_t errors = 0;  // replies that were errors
  // Connections and requests that were refused, by reason.
  std::uint64_t refused_token = 0;      // wrong, or none where one is needed
  std::uint64_t refused_role = 0;       // the token's role does not allow it
  std::uint64_t refused_full = 0;       // too many connections, and none that could be given up for this one
  std::uint64_t refused_garbage = 0;    // neither a request nor a beginning of one
  std::uint64_t refused_too_large = 0;  // a request, or what a client has subscribed to
  std::uint64_t refused_slow = 0;       // a request that does not end, or replies that are not read
  std::uint64_t evicted = 0;            // had asked nothing for longest when another needed the place
  std::uint64_t closed_idle = 0;        // nothing was asked for long
};

struct Knowledge {
  const View* view = nullptr;  // null: nothing is known at the moment
  std::string why;             // then: one sentence
  Settings settings;
  std::string id;  // of this one: 40 hex digits
  Endpoint announced;
  std::vector<Other> others;
  std::int64_t now_ms = 0;  // of the view's clock
  // For INFO.
  ListenerCounts counts;
  std::string version;  // of Walstitch
  std::string os;       // "Linux 6.1.0 x86_64"
  std::int64_t process_id = 0;
  std::int64_t uptime_ms = 0;
  std::int64_t unix_us = 0;
  std::int64_t max_clients = 0;
  double cpu_user_seconds = 0;
  double cpu_system_seconds = 0;
};

}  // namespace walstitch::sentinel
