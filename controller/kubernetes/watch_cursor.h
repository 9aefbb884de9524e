// Where a watch is in the history of its objects, and what it does next: list, watch on, or wait first. Pure:
// what came from the server goes in, with the time and a random number; no I/O. After Kubernetes' own client
// (client-go, tools/cache/reflector.go).
//
// 1. List everything; its resourceVersion says where in the history that was. 2. Watch from there; every
// event and every bookmark moves on. 3. A stream that ends is taken up again from the last event: nothing is
// lost.
// 4. A server that does not have that part of the history any more says Expired: back to 1.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "controller/kubernetes/api_error.h"
#include "controller/kubernetes/resource.h"

namespace walstitch::kubernetes {

using ObjectMap = std::map<std::string, Object>;  // by name

enum class ChangeKind { kAdded, kModified, kDeleted };

struct Change {
  ChangeKind kind = ChangeKind::kModified;
  std::string name;
  // As it is now; of a deleted one, as it was last. Valid for as long as the callback runs.
  const Object* object = nullptr;
};

class WatchCursor {
 public:
  using Time = std::chrono::steady_clock::time_point;

  enum class Next { kList, kWatch };
  struct Step {
    Next next = Next::kList;
    std::chrono::milliseconds wait{0};  // before it
    std::string resource_version;       // for kWatch: from where
  };
  // What is to be done now.
  [[nodiscard]] Step NextStep(double random) const;

  // The list came: it replaces everything.
  void Listed(ObjectList list, Time now);
  void ListFailed(const ApiError& error);

  // A stream begins.
  void StreamOpened(Time now);
  // One line of it. `stream_goes_on` false: the stream is of no more use; end it, and StreamEnded is not to
  // be called. A line that changes an object is told to `change`.
  struct Taken {
    bool stream_goes_on = true;
  };
  Taken TakeLine(std::string_view line, Time now, const std::function<void(const Change&)>& change);
  // It ended as it should, or with an error.
  void StreamEnded(Time now);
  void StreamFailed(const ApiError& error, Time now);

  [[nodiscard]] const ObjectMap& Objects() const { return objects_; }
  // Listed at least once: Objects() was true at some time.
  [[nodiscard]] bool Synced() const { return synced_; }
  // When the server last told us anything. What is in Objects() is as old as that, or younger.
  [[nodiscard]] std::optional<Time> LastContact() const { return last_contact_; }
  // Why there is no stream at the moment, in one sentence; empty while all is well.
  [[nodiscard]] const std::string& Problem() const { return problem_; }

 private:
  void Failed(std::string problem, bool list_again);
  Taken TakeStatus(const Object& status);

  ObjectMap objects_;
  std::string resource_version_;  // of the last that was seen; empty: a list is needed
  std::optional<Time> last_contact_;
  std::optional<Time> opened_;      // the stream
  bool stream_was_useful_ = false;  // something came in it
  bool synced_ = false;
  int failures_ = 0;         // one after the other
  int useless_streams_ = 0;  // one after the other: nothing came, and they did not end as they should
  std::chrono::milliseconds told_to_wait_{0};
  std::string problem_;
};

}  // namespace walstitch::kubernetes
