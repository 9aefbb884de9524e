#include "controller/kubernetes/watch_cursor.h"

#include <algorithm>
#include <utility>

namespace walstitch::kubernetes {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kFirstWait{200};
constexpr milliseconds kMostWait{10000};
constexpr milliseconds kMostToldToWait{30000};
constexpr milliseconds kShortStream{1000};
constexpr int kMaxUselessStreams = 5;

}  // namespace

WatchCursor::Step WatchCursor::NextStep(double random) const {
  Step step;
  step.next = resource_version_.empty() ? Next::kList : Next::kWatch;
  step.resource_version = resource_version_;
  if (failures_ > 0) step.wait = Backoff(failures_, kFirstWait, kMostWait, random);
  step.wait = std::max(step.wait, told_to_wait_);
  return step;
}

void WatchCursor::Listed(ObjectList list, Time now) {
  objects_.clear();
  for (Object& object : list.items) {
    std::string name = NameOf(object);
    objects_.insert_or_assign(std::move(name), std::move(object));
  }
  resource_version_ = std::move(list.resource_version);
  last_contact_ = now;
  synced_ = true;
  failures_ = 0;
  useless_streams_ = 0;
  told_to_wait_ = milliseconds(0);
  problem_.clear();
}

void WatchCursor::ListFailed(const ApiError& error) {
  Failed(error.message, true);
  told_to_wait_ = std::min(error.retry_after.value_or(milliseconds(0)), kMostToldToWait);
}

void WatchCursor::StreamOpened(Time now) {
  opened_ = now;
  stream_was_useful_ = false;
  last_contact_ = now;
  told_to_wait_ = milliseconds(0);
  problem_.clear();
}

WatchCursor::Taken WatchCursor::TakeLine(std::string_view line, Time now,
                                         const std::function<void(const Change&)>& change) {
  last_contact_ = now;
  auto event = ParseObject(line);
  const std::string type = event ? TextAt(*event, "type") : std::string();
  auto* field = event ? event->if_contains("object") : nullptr;
  Object* object = field == nullptr ? nullptr : field->if_object();
  if (object == nullptr || type.empty()) {
    Failed("a watch's line is no event: " + (event ? "it has no type and object" : event.error().Message()),
           false);
    return {false};
  }
  if (type == "ERROR") return TakeStatus(*object);

  const std::string version = ResourceVersionOf(*object);
  std::string name = NameOf(*object);
  const bool bookmark = type == "BOOKMARK";
  if (version.empty() || (name.empty() && !bookmark)) {
    Failed("a watch's event " + type.substr(0, 20) + " has an object without a name or a resourceVersion",
           false);
    return {false};
  }
  if (!bookmark && type != "ADDED" && type != "MODIFIED" && type != "DELETED") {
    // A kind of event that is not known may have changed anything.
    Failed("a watch's event has the unknown type '" + type.substr(0, 20) + "'", true);
    return {false};
  }
  failures_ = 0;
  useless_streams_ = 0;
  stream_was_useful_ = true;
  resource_version_ = version;
  if (bookmark) return {true};

  Change told;
  told.name = name;
  if (type == "DELETED") {
    const auto known = objects_.find(name);
    if (known != objects_.end()) objects_.erase(known);
    told.kind = ChangeKind::kDeleted;
    told.object = object;
    if (change) change(told);
    return {true};
  }
  const auto [at, added] = objects_.insert_or_assign(std::move(name), std::move(*object));
  // By what we know, not by what the event is called: an object that begins to match a selector is ADDED.
  told.kind = added ? ChangeKind::kAdded : ChangeKind::kModified;
  told.object = &at->second;
  if (change) change(told);
  return {true};
}

WatchCursor::Taken WatchCursor::TakeStatus(const Object& status) {
  const ApiError error = ErrorOfStatus(status, "watch");
  const bool may_pass =
      error.kind == ApiErrorKind::kTooManyRequests || error.kind == ApiErrorKind::kServerError;
  if (error.kind == ApiErrorKind::kExpired) {
    // Nothing is wrong: it was away for too long, or there was much to do.
    resource_version_.clear();
    problem_ = error.message;
    if (!stream_was_useful_) ++failures_;
  } else {
    Failed(error.message, !may_pass);
  }
  told_to_wait_ = std::min(error.retry_after.value_or(milliseconds(0)), kMostToldToWait);
  opened_.reset();
  return {false};
}

void WatchCursor::StreamEnded(Time now) {
  last_contact_ = now;
  // 1. Something between ends every stream at once. 2. Each end is a proper one. 3. Without a wait we would
  // ask as fast as we can.
  const bool short_stream = !opened_ || now - *opened_ < kShortStream;
  if (short_stream && !stream_was_useful_) {
    Failed("the watch's stream ended as soon as it began", false);
  } else {
    failures_ = 0;
    useless_streams_ = 0;
  }
  opened_.reset();
}

void WatchCursor::StreamFailed(const ApiError& error, Time now) {
  const bool was_open = opened_.has_value();
  const bool long_stream = was_open && now - *opened_ >= kShortStream;
  // 1. A stream is fine for minutes. 2. The server restarts. 3. That is the first failure, not one more.
  if (long_stream) failures_ = 0;
  switch (error.kind) {
    case ApiErrorKind::kExpired:
      resource_version_.clear();
      problem_ = error.message;
      ++failures_;
      break;
    case ApiErrorKind::kUnreachable:
    case ApiErrorKind::kTooManyRequests:
    case ApiErrorKind::kServerError:
    case ApiErrorKind::kUnauthorized:
    case ApiErrorKind::kForbidden:
    case ApiErrorKind::kGarbled:
      Failed(error.message, false);
      break;
    case ApiErrorKind::kNotFound:
    case ApiErrorKind::kAlreadyExists:
    case ApiErrorKind::kConflict:
    case ApiErrorKind::kInvalid:
      // It does not take the question: perhaps for the resourceVersion in it.
      Failed(error.message, true);
      break;
  }
  told_to_wait_ = std::min(error.retry_after.value_or(milliseconds(0)), kMostToldToWait);
  opened_.reset();
}

void WatchCursor::Failed(std::string problem, bool list_again) {
  problem_ = std::move(problem);
  ++failures_;
  // 1. The store of the server was put back to an older state. 2. Our resourceVersion is one that it has not
  // come to yet. 3. Streams from there bring nothing, or fail. So a list ends a row of them.
  if (!resource_version_.empty() && ++useless_streams_ >= kMaxUselessStreams) list_again = true;
  if (list_again) {
    resource_version_.clear();
    useless_streams_ = 0;
  }
}

}  // namespace walstitch::kubernetes
