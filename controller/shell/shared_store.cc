#include "controller/shell/shared_store.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json.hpp>
#include <chrono>
#include <deque>
#include <exception>
#include <map>
#include <set>
#include <utility>

#include "controller/core/log_memory.h"
#include "controller/core/shared_log.h"
#include "controller/kubernetes/times.h"
#include "controller/shell/stored_line.h"
#include "policies/model/bytes.h"
#include "policies/model/json.h"

namespace walstitch::shell {

namespace asio = boost::asio;
using kubernetes::ApiError;
using kubernetes::ApiErrorKind;
using kubernetes::Object;
using std::chrono::milliseconds;

namespace {

constexpr milliseconds kSettleTimeout{10000};
constexpr milliseconds kFirstRetry{100};
constexpr milliseconds kLastRetry{2000};
// A write that hangs is given up early: what became of it is seen by the log, and writes are small.
constexpr milliseconds kWriteTimeout{3000};
constexpr milliseconds kReadTimeout{3000};
constexpr milliseconds kListTimeout{30000};
constexpr std::size_t kListedKeys = 1000;  // of a decision that would be too long

bool IsObjectName(std::string_view text) {
  const auto inner = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; };
  return !text.empty() && text.size() <= 63 && std::all_of(text.begin(), text.end(), inner) &&
         text.front() != '-' && text.back() != '-';
}

Object GroupObject(const std::string& group, const boost::json::value& state) {
  Object object = kubernetes::MakeObject(kubernetes::ReplicationGroups(), ObjectNameOf(group));
  object["spec"] = {{"state", state}};
  return object;
}

Object LogObject(const std::string& name, const core::SharedLog& log) {
  Object object = kubernetes::MakeObject(kubernetes::DecisionLogs(), name);
  object["spec"] = ToJson(log);
  return object;
}

void SetVersion(Object& object, const std::string& version) {
  object["metadata"].as_object()["resourceVersion"] = version;
}

Result<core::SharedLog> LogOf(const Object& object) {
  const auto* spec = object.if_contains("spec");
  if (spec == nullptr) return Fail(ErrorCode::kDamaged, "the shared decision log has no spec");
  return core::SharedLogFromJson(*spec);
}

std::vector<std::string> AllLines(const std::vector<Object>& decisions) {
  std::vector<std::string> lines;
  for (const Object& object : decisions) {
    auto of_object = LinesOfObject(object);
    if (of_object) std::move(of_object->begin(), of_object->end(), std::back_inserter(lines));
  }
  return lines;
}

// It is not the object that is the matter, and may pass.
bool MayPass(const ApiError& error) {
  return error.kind == ApiErrorKind::kUnreachable || error.kind == ApiErrorKind::kTooManyRequests ||
         error.kind == ApiErrorKind::kServerError || error.kind == ApiErrorKind::kGarbled ||
         error.kind == ApiErrorKind::kUnauthorized;
}

}  // namespace

std::string ObjectNameOf(const std::string& name) {
  std::string lower = name;
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  // A ULID is written in capitals only, and no two become one.
  const bool one_case =
      lower == name || std::none_of(name.begin(), name.end(), [](char c) { return c >= 'a' && c <= 'z'; });
  if (one_case && IsObjectName(lower)) return lower;
  std::string fit;
  for (const char c : lower) {
    const bool good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (c == '-' && !fit.empty());
    if (good && fit.size() < 40) fit += c;
  }
  return (fit.empty() ? "x" : fit) + "-" + Sha256Hex(name).substr(0, 16);
}

Object DecisionObject(const DecisionRecord& record, const std::vector<std::string>& lines) {
  const Decision& decision = record.decision;
  Object object = kubernetes::MakeObject(kubernetes::Decisions(), ObjectNameOf(decision.id));
  object["metadata"].as_object()["labels"] = {{"walstitch.io/group", decision.group}};
  boost::json::object spec;
  spec["group"] = decision.group;
  spec["kind"] = ToString(decision.kind);
  spec["node"] = decision.node;
  spec["survivor"] = decision.survivor;
  spec["verdict"] = decision.verdict ? std::string(ToString(decision.verdict->verdict)) : std::string();
  spec["finding"] = decision.finding;
  spec["epoch"] = decision.epoch;
  spec["time"] = kubernetes::TimeText(decision.time_ms);
  boost::json::array log;
  for (const std::string& line : lines) log.push_back(boost::json::string(PackLine(line)));
  spec["log"] = std::move(log);
  object["spec"] = std::move(spec);
  boost::json::object status;
  if (record.outcome) {
    status["outcome"] = ToString(record.outcome->outcome);
    status["sentence"] = record.outcome->sentence;
    status["time"] = kubernetes::TimeText(record.outcome->time_ms);
  } else {
    status["outcome"] = "open";
  }
  object["status"] = std::move(status);
  return object;
}

Result<std::vector<std::string>> LinesOfObject(const Object& object) {
  const std::string name = kubernetes::NameOf(object);
  const Object* spec = kubernetes::ObjectAt(object, "spec");
  const auto* log = spec == nullptr ? nullptr : spec->if_contains("log");
  if (log == nullptr || !log->is_array())
    return Fail(ErrorCode::kDamaged, "decision " + name + " has no log");
  std::vector<std::string> lines;
  for (const auto& item : log->get_array()) {
    if (!item.is_string())
      return Fail(ErrorCode::kDamaged, "decision " + name + ": its log is no list of texts");
    auto line = UnpackLine(item.get_string());
    if (!line) return Fail(line.error(), "decision " + name);
    lines.push_back(std::move(*line));
  }
  return lines;
}

std::optional<Decision> Shortened(const Decision& decision, std::size_t keys) {
  // A repair and a comparison name their keys in the plan: a successor must find all of them there.
  for (const PlanStep& step : decision.plan) {
    if (std::holds_alternative<RepairAction>(step.action) ||
        std::holds_alternative<CompareAction>(step.action))
      return std::nullopt;
  }
  Decision shorter = decision;
  const auto cut = [keys](std::optional<Touched>& touched) {
    if (!touched || touched->keys.size() <= keys) return;
    touched->keys.resize(keys);
    touched->truncated = true;
  };
  if (shorter.evidence) {
    cut(shorter.evidence->tail);
    cut(shorter.evidence->missed);
    cut(shorter.evidence->own_tail);
    auto& unrepairable = shorter.evidence->unrepairable;
    if (unrepairable && unrepairable->size() > keys) unrepairable->resize(keys);
  }
  cut(shorter.left_behind);
  return shorter;
}

class SharedStore::Impl : public std::enable_shared_from_this<SharedStore::Impl> {
 public:
  Impl(asio::any_io_executor executor, SharedStoreOptions options)
      : executor_(std::move(executor)), options_(std::move(options)), wake_(executor_) {}

  asio::awaitable<Result<void>> TakeOver();
  void Start() {
    wake_.expires_at(std::chrono::steady_clock::time_point::max());
    asio::co_spawn(executor_, Run(shared_from_this()), [](std::exception_ptr problem) {
      // A writer that is no more must not leave a leader behind that only renews.
      if (problem) std::rethrow_exception(problem);
    });
  }
  void Stop() {
    stopped_ = true;
    wake_.cancel();
  }

  Result<void> Append(core::EntryKind kind, const std::string& decision, std::int64_t time_ms,
                      const boost::json::value& body, const core::GroupState* state);
  void Settle(std::function<void(Result<void>)> done);

  core::LogMemory memory_;
  std::map<std::string, core::GroupState> groups_;

 private:
  struct Waiter {
    std::uint64_t index = 0;
    std::function<void(Result<void>)> done;
    std::shared_ptr<asio::steady_timer> timer;
  };

  asio::awaitable<Result<core::SharedLog>> Claim();
  asio::awaitable<Result<void>> WriteLog(core::SharedLog log);
  asio::awaitable<Result<void>> ReadAll(core::SharedLog log);
  static asio::awaitable<void> Run(std::shared_ptr<Impl> self);
  // One step of the writer: true if it got on, false if it has to wait for something.
  asio::awaitable<bool> Commit();
  asio::awaitable<bool> SpreadSome();
  enum class PutResult { kDone, kLater, kRefused };
  asio::awaitable<PutResult> Put(kubernetes::ResourceType type, Object object,
                                 std::map<std::string, std::string>* versions);
  asio::awaitable<void> LookWhoseLogItIs();
  // Something waits to be durable: that goes first.
  [[nodiscard]] bool MustCommit() const { return journal_->Appended() > journal_->Durable(); }
  asio::awaitable<void> Forget();
  void TellSettled();
  void LoseTo(const std::string& what);
  asio::awaitable<void> WaitFor(milliseconds time);
  void NoteLog(const Object& stored) {
    log_version_ = kubernetes::ResourceVersionOf(stored);
    log_uid_ = kubernetes::UidOf(stored);
  }
  // With its uid: a replacement must never make an object anew that somebody has deleted.
  void SetLogVersion(Object& object) const {
    SetVersion(object, log_version_);
    object["metadata"].as_object()["uid"] = log_uid_;
  }
  // Once for each kind of trouble, not for each try.
  void Complain(const std::string& what);

  asio::any_io_executor executor_;
  SharedStoreOptions options_;
  asio::steady_timer wake_;
  bool stopped_ = false;
  std::optional<core::LogJournal> journal_;
  std::string log_version_;
  std::string log_uid_;
  std::map<std::string, std::string> decision_versions_;  // by object name; empty: it is to be created
  std::map<std::string, std::string> group_versions_;
  std::map<std::string, std::uint64_t> spread_;  // decisions of the present round, up to which entry
  std::set<std::string> to_delete_;              // decision objects that are not kept any more
  std::deque<Waiter> waiters_;
  int failures_ = 0;
  std::string complaint_;
};

void SharedStore::Impl::Complain(const std::string& what) {
  ++failures_;
  if (complaint_ == what) return;
  complaint_ = what;
  if (!what.empty()) spdlog::warn("shared store: {}", what);
}

void SharedStore::Impl::LoseTo(const std::string& what) {
  if (!options_.fenced) return;
  auto told = std::exchange(options_.fenced, nullptr);
  told(what);
}

asio::awaitable<void> SharedStore::Impl::WaitFor(milliseconds time) {
  boost::system::error_code ignored;
  asio::steady_timer timer(executor_, time);
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

// The log as it stands, with this one as its holder. Whoever held it can write no more.
asio::awaitable<Result<core::SharedLog>> SharedStore::Impl::Claim() {
  kubernetes::CallOptions call;
  call.timeout = kReadTimeout;
  auto found = co_await options_.client.Get(kubernetes::DecisionLogs(), options_.name, call);
  core::SharedLog log;
  if (!found && found.error().kind != ApiErrorKind::kNotFound) co_return Fail(found.error().ToError());
  if (found) {
    auto read = LogOf(*found);
    if (!read) co_return Fail(read.error(), "decisionlog " + options_.name);
    log = std::move(*read);
  }
  const bool mine =
      found && log.holder == options_.holder;  // an earlier try of this one, whose answer was lost
  log.holder = options_.holder;
  if (!mine) ++log.term;
  if (found) NoteLog(*found);
  auto written = co_await WriteLog(log);
  if (!written) co_return Fail(written.error());
  co_return log;
}

// As it is; with `log_version_` empty it is created.
asio::awaitable<Result<void>> SharedStore::Impl::WriteLog(core::SharedLog log) {
  kubernetes::CallOptions call;
  call.timeout = call.attempt_timeout = kWriteTimeout;
  Object object = LogObject(options_.name, log);
  kubernetes::ApiResult<Object> written;
  if (log_version_.empty()) {
    written = co_await options_.client.Create(kubernetes::DecisionLogs(), std::move(object), call);
  } else {
    SetLogVersion(object);
    written =
        co_await options_.client.Replace(kubernetes::DecisionLogs(), options_.name, std::move(object), call);
  }
  if (!written) co_return Fail(written.error().ToError());
  NoteLog(*written);
  co_return Result<void>();
}

asio::awaitable<Result<void>> SharedStore::Impl::ReadAll(core::SharedLog log) {
  kubernetes::CallOptions call;
  call.timeout = call.attempt_timeout = kListTimeout;
  kubernetes::ListOptions page;
  page.page = 50;  // an object may have half a MiB
  auto decisions = co_await options_.client.List(kubernetes::Decisions(), page, call);
  if (!decisions) co_return Fail(decisions.error().ToError());
  auto groups = co_await options_.client.List(kubernetes::ReplicationGroups(), page, call);
  if (!groups) co_return Fail(groups.error().ToError());

  std::vector<std::string> problems;
  // 1. Somebody deletes the log's object. 2. A new one begins at nothing, and all decisions are behind its
  // end. They are the log all the same: it goes on where they end.
  if (log.head.index == 0 && !decisions->items.empty()) {
    const auto ends = core::EndsOf(AllLines(decisions->items));
    if (ends.head.index > 0) {
      problems.push_back("the DecisionLog " + options_.name + " was lost; it goes on behind entry " +
                         std::to_string(ends.head.index) + ", the last that is kept");
      log.trimmed = ends.trimmed;
      log.head = ends.head;
      auto written = co_await WriteLog(log);
      if (!written) co_return Fail(written.error());
    }
  }
  memory_ = core::LogMemory(log.trimmed, log.head);
  const auto load = [&](const std::string& line) {
    if (auto loaded = memory_.Load(line); !loaded) problems.push_back(loaded.error().Message());
  };
  for (const Object& object : decisions->items) {
    decision_versions_[kubernetes::NameOf(object)] = kubernetes::ResourceVersionOf(object);
    auto lines = LinesOfObject(object);
    if (!lines) problems.push_back(lines.error().Message());
    if (lines) std::for_each(lines->begin(), lines->end(), load);
  }
  for (const Object& object : groups->items) {
    group_versions_[kubernetes::NameOf(object)] = kubernetes::ResourceVersionOf(object);
    const Object* spec = kubernetes::ObjectAt(object, "spec");
    const auto* state = spec == nullptr ? nullptr : spec->if_contains("state");
    auto read = state == nullptr ? Result<core::GroupState>(Fail(ErrorCode::kDamaged, "it has no state"))
                                 : core::GroupStateFromJson(*state);
    // What a group was is not guessed: one epoch too few, and an agent refuses; a master forgotten is worse.
    if (!read) co_return Fail(read.error(), "replicationgroup " + kubernetes::NameOf(object));
    groups_[read->group] = std::move(*read);
  }
  for (const core::SharedEntry& entry : log.pending) {
    auto line = UnpackLine(entry.line);
    if (!line) co_return Fail(line.error());
    load(*line);
    if (!entry.state) continue;
    auto state = core::GroupStateFromJson(*entry.state);
    if (!state) co_return Fail(state.error(), "the shared decision log: the state of group " + entry.group);
    groups_[entry.group] = std::move(*state);
  }
  for (auto& problem : memory_.Loaded()) problems.push_back(std::move(problem));
  // A decision that somebody has deleted by hand is no reason to leave groups alone.
  for (const auto& problem : problems) spdlog::error("shared store: {}", problem);
  // What an earlier run has forgotten, and not deleted. What is merely not understood stays.
  for (const Object& object : decisions->items) {
    const auto lines = LinesOfObject(object);
    if (lines && !lines->empty() && core::EndsOf(*lines).head.index <= log.trimmed.index)
      to_delete_.insert(kubernetes::NameOf(object));
  }
  journal_.emplace(std::move(log));
  co_return Result<void>();
}

asio::awaitable<Result<void>> SharedStore::Impl::TakeOver() {
  auto log = co_await Claim();
  if (!log) co_return Fail(log.error());
  co_return co_await ReadAll(std::move(*log));
}

Result<void> SharedStore::Impl::Append(core::EntryKind kind, const std::string& decision,
                                       std::int64_t time_ms, const boost::json::value& body,
                                       const core::GroupState* state) {
  if (journal_->Fenced()) return Fail(ErrorCode::kStale, "another controller writes the decision log now");
  core::SharedEntry entry;
  entry.decision = decision;
  std::size_t state_bytes = 0;
  if (state != nullptr) {
    entry.group = state->group;
    entry.state = core::ToJson(*state);
    state_bytes = Dump(*entry.state).size();
  }
  // Measured before it is appended: what is appended must be written.
  const std::size_t bytes =
      PackLine(core::Seal(memory_.Head(), kind, decision, time_ms, body).line).size() + state_bytes;
  if (bytes > core::kMaxSharedEntryBytes) {
    return Fail(ErrorCode::kInvalid,
                "decision " + decision + " is too long for the API server: " + std::to_string(bytes >> 10) +
                    " KiB, and " + std::to_string(core::kMaxSharedEntryBytes >> 10) + " KiB are allowed");
  }
  entry.line = PackLine(memory_.Append(kind, decision, time_ms, body));
  entry.index = memory_.Head().index;
  if (state != nullptr) groups_[state->group] = *state;
  journal_->Append(std::move(entry), memory_.Head());
  wake_.cancel();
  return {};
}

void SharedStore::Impl::Settle(std::function<void(Result<void>)> done) {
  if (journal_->Fenced())
    return done(Fail(ErrorCode::kStale, "another controller writes the decision log now"));
  const std::uint64_t index = journal_->Appended();
  if (index <= journal_->Durable()) return done({});
  auto timer = std::make_shared<asio::steady_timer>(executor_, kSettleTimeout);
  waiters_.push_back({index, std::move(done), timer});
  timer->async_wait([weak = weak_from_this(), timer](boost::system::error_code error) {
    const auto self = weak.lock();
    if (error || !self) return;
    const auto found = std::find_if(self->waiters_.begin(), self->waiters_.end(),
                                    [&](const Waiter& waiter) { return waiter.timer == timer; });
    if (found == self->waiters_.end()) return;
    const auto told = std::move(found->done);
    self->waiters_.erase(found);
    told(Fail(ErrorCode::kTimeout, "the API server has not taken the decision for " +
                                       std::to_string(kSettleTimeout.count() / 1000) + " s" +
                                       (self->complaint_.empty() ? "" : ": " + self->complaint_)));
  });
}

void SharedStore::Impl::TellSettled() {
  while (!waiters_.empty() && (waiters_.front().index <= journal_->Durable() || journal_->Fenced())) {
    Waiter waiter = std::move(waiters_.front());
    waiters_.pop_front();
    waiter.timer->cancel();
    if (waiter.index <= journal_->Durable()) {
      waiter.done({});
    } else {
      waiter.done(Fail(ErrorCode::kStale, "another controller writes the decision log now"));
    }
  }
}

asio::awaitable<bool> SharedStore::Impl::Commit() {
  auto next = journal_->Next();
  if (!next) co_return false;
  Object object = LogObject(options_.name, *next);
  SetLogVersion(object);
  kubernetes::CallOptions call;
  call.timeout = call.attempt_timeout = kWriteTimeout;
  auto written =
      co_await options_.client.Replace(kubernetes::DecisionLogs(), options_.name, std::move(object), call);
  if (written) {
    NoteLog(*written);
    journal_->Wrote();
    failures_ = 0;
    complaint_.clear();
    TellSettled();
    co_return true;
  }
  Complain(written.error().message);
  // Whatever it was, the log as it stands tells whether it was written: asked until it answers.
  for (;;) {
    if (stopped_) co_return false;
    call.timeout = call.attempt_timeout = kReadTimeout;
    auto stored = co_await options_.client.Get(kubernetes::DecisionLogs(), options_.name, call);
    if (stored) {
      auto log = LogOf(*stored);
      const auto fate = log ? journal_->Saw(*log) : journal_->Saw(core::SharedLog{});
      NoteLog(*stored);
      if (fate == core::LogJournal::Fate::kFenced) {
        LoseTo(log ? "the decision log was taken over by " + (log->holder.empty() ? "somebody" : log->holder)
                   : log.error().Message());
      }
      if (fate == core::LogJournal::Fate::kWritten) failures_ = 0;
      TellSettled();
      if (fate == core::LogJournal::Fate::kNotWritten) {
        const auto wait = kubernetes::Backoff(failures_, kFirstRetry, kLastRetry, options_.client.Random());
        co_await WaitFor(wait);
      }
      co_return fate != core::LogJournal::Fate::kFenced;
    }
    if (stored.error().kind == ApiErrorKind::kNotFound) {
      // Without it nobody knows who may write. It is not made anew: what was in it is gone.
      (void)journal_->Saw(core::SharedLog{});
      LoseTo("the DecisionLog " + options_.name + " was deleted");
      TellSettled();
      co_return false;
    }
    Complain(stored.error().message);
    const auto wait = kubernetes::Backoff(failures_, kFirstRetry, kLastRetry, options_.client.Random());
    co_await WaitFor(wait);
  }
}

// Whether the log is still this one's.
asio::awaitable<void> SharedStore::Impl::LookWhoseLogItIs() {
  kubernetes::CallOptions call;
  call.timeout = call.attempt_timeout = kReadTimeout;
  auto stored = co_await options_.client.Get(kubernetes::DecisionLogs(), options_.name, call);
  if (!stored || stopped_) co_return;
  const auto log = LogOf(*stored);
  if (log && log->holder == options_.holder) co_return;
  (void)journal_->Saw(core::SharedLog{});
  LoseTo(log ? "the decision log was taken over by " + log->holder : log.error().Message());
  TellSettled();
}

// Creates or replaces it.
//
// 1. A leader is paused in the middle of this. 2. Its successor takes over, and writes the object anew. 3.
// The first goes on, is told that the object has changed, reads it and writes what it had over what is newer.
// So whoever is told that looks first whether the log is still its own.
asio::awaitable<SharedStore::Impl::PutResult> SharedStore::Impl::Put(
    kubernetes::ResourceType type, Object object, std::map<std::string, std::string>* versions) {
  const std::string name = kubernetes::NameOf(object);
  kubernetes::CallOptions call;
  call.timeout = call.attempt_timeout = kWriteTimeout;
  const std::string version = (*versions)[name];
  kubernetes::ApiResult<Object> written;
  if (version.empty()) {
    written = co_await options_.client.Create(type, std::move(object), call);
  } else {
    SetVersion(object, version);
    written = co_await options_.client.Replace(type, name, std::move(object), call);
  }
  if (written) {
    (*versions)[name] = kubernetes::ResourceVersionOf(*written);
    co_return PutResult::kDone;
  }
  const ApiError& error = written.error();
  Complain(error.message);
  if (error.kind == ApiErrorKind::kInvalid) {
    spdlog::error("shared store: {} {} is refused for good, and is not written: {}", type.kind, name,
                  error.message);
    co_return PutResult::kRefused;
  }
  if (MayPass(error) && !error.effect_unknown) co_return PutResult::kLater;
  co_await LookWhoseLogItIs();
  if (journal_->Fenced()) co_return PutResult::kLater;
  auto stored = co_await options_.client.Get(type, name, call);
  if (stored) (*versions)[name] = kubernetes::ResourceVersionOf(*stored);
  if (!stored && stored.error().kind == ApiErrorKind::kNotFound) (*versions)[name].clear();
  co_return PutResult::kLater;
}

asio::awaitable<bool> SharedStore::Impl::SpreadSome() {
  const std::vector<core::SharedEntry> entries = journal_->ToSpread();
  if (entries.empty()) co_return false;
  // All entries of a decision at once, and the newest state of a group.
  std::set<std::string> decisions;
  std::map<std::string, boost::json::value> states;
  for (const core::SharedEntry& entry : entries) {
    decisions.insert(entry.decision);
    if (entry.state) states[entry.group] = *entry.state;
  }
  const std::uint64_t up_to = entries.back().index;
  // Groups first: the next leader needs them most.
  for (const auto& [group, state] : states) {
    Object object = GroupObject(group, state);
    const PutResult put = co_await Put(kubernetes::ReplicationGroups(), std::move(object), &group_versions_);
    if (put == PutResult::kLater || MustCommit()) co_return false;
  }
  for (const std::string& id : decisions) {
    if (spread_.contains(id) && spread_.at(id) >= up_to) continue;  // done, before something had to go first
    const DecisionRecord* record = memory_.Find(id);
    if (record == nullptr) continue;  // its beginning was deleted by hand
    // What was appended since is in the record as well, and not durable yet: so only what is.
    std::vector<std::string> lines;
    DecisionRecord durable{record->decision, {}, std::nullopt};
    for (std::string& line : memory_.LinesOf(id)) {
      const auto parsed = core::ParseEntry(line, nullptr);
      if (!parsed || parsed->index > journal_->Durable()) break;
      if (parsed->kind == core::EntryKind::kOutcome) durable.outcome = record->outcome;
      lines.push_back(std::move(line));
    }
    Object object = DecisionObject(durable, lines);
    const PutResult put = co_await Put(kubernetes::Decisions(), std::move(object), &decision_versions_);
    if (put != PutResult::kLater) spread_[id] = up_to;
    if (put == PutResult::kLater || MustCommit()) co_return false;
  }
  spread_.clear();
  journal_->Spread(up_to);
  failures_ = 0;
  complaint_.clear();
  co_return true;
}

// What is too old: first the log says so, then the objects go.
asio::awaitable<void> SharedStore::Impl::Forget() {
  if (const auto excess = memory_.Excess(options_.keep);
      excess && memory_.Records().size() > options_.keep + options_.keep / 10 &&
      excess->trimmed.index <= journal_->Durable() && journal_->ToSpread().empty()) {
    for (const std::string& id : excess->decisions) to_delete_.insert(ObjectNameOf(id));
    memory_.Trim(*excess);
    journal_->Trim(excess->trimmed);
    co_return;  // the deletions follow when that is written
  }
  const kubernetes::DeleteConditions any;  // named: GCC 12 destroys such a temporary within a co_await twice
  kubernetes::CallOptions call;
  call.timeout = call.attempt_timeout = kWriteTimeout;
  while (!to_delete_.empty() && !stopped_ && !MustCommit()) {
    const std::string name = *to_delete_.begin();
    auto deleted = co_await options_.client.Delete(kubernetes::Decisions(), name, any, call);
    if (!deleted && deleted.error().kind != ApiErrorKind::kNotFound) {
      Complain(deleted.error().message);
      co_return;
    }
    to_delete_.erase(name);
    decision_versions_.erase(name);
  }
}

asio::awaitable<void> SharedStore::Impl::Run(std::shared_ptr<Impl> self) {
  while (!self->stopped_ && !self->journal_->Fenced()) {
    const bool committed = co_await self->Commit();
    if (committed) continue;
    if (self->journal_->Fenced() || self->stopped_) break;
    const bool spread = co_await self->SpreadSome();
    if (spread) continue;
    if (self->journal_->ToSpread().empty()) {
      co_await self->Forget();
      if (self->MustCommit()) continue;
      boost::system::error_code ignored;
      self->wake_.expires_after(std::chrono::seconds(5));
      co_await self->wake_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    } else if (!self->MustCommit()) {
      // It could not be spread just now. What is appended meanwhile does not wait for that.
      boost::system::error_code ignored;
      self->wake_.expires_after(kubernetes::Backoff(std::max(1, self->failures_), kFirstRetry, kLastRetry,
                                                    self->options_.client.Random()));
      co_await self->wake_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    } else {
      co_await self->WaitFor(kFirstRetry);
    }
  }
}

asio::awaitable<Result<std::unique_ptr<SharedStore>>> SharedStore::TakeOver(asio::any_io_executor executor,
                                                                            SharedStoreOptions options) {
  auto impl = std::make_shared<Impl>(std::move(executor), std::move(options));
  auto taken = co_await impl->TakeOver();
  if (!taken) co_return Fail(taken.error());
  impl->Start();
  std::unique_ptr<SharedStore> store(new SharedStore(std::move(impl)));
  co_return store;
}

SharedStore::SharedStore(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
SharedStore::~SharedStore() { impl_->Stop(); }

Result<core::GroupState> SharedStore::LoadGroup(const std::string& group) const {
  const auto found = impl_->groups_.find(group);
  if (found != impl_->groups_.end()) return found->second;
  core::GroupState fresh;
  fresh.group = group;
  return fresh;
}

Result<void> SharedStore::AppendDecision(const Decision& decision, const core::GroupState* state) {
  auto appended =
      impl_->Append(core::EntryKind::kDecision, decision.id, decision.time_ms, ToJson(decision), state);
  if (!appended && appended.error().Code() == ErrorCode::kInvalid) {
    if (const auto shorter = Shortened(decision, kListedKeys)) {
      appended =
          impl_->Append(core::EntryKind::kDecision, decision.id, decision.time_ms, ToJson(*shorter), state);
    }
  }
  if (appended) Opened(decision);
  return appended;
}

Result<void> SharedStore::AppendStep(const std::string& decision, std::int64_t time_ms,
                                     const StepRecord& step) {
  return impl_->Append(core::EntryKind::kStep, decision, time_ms, ToJson(step), nullptr);
}

Result<void> SharedStore::AppendOutcome(const std::string& decision, const OutcomeRecord& outcome,
                                        const core::GroupState* state) {
  auto appended = impl_->Append(core::EntryKind::kOutcome, decision, outcome.time_ms, ToJson(outcome), state);
  if (appended) Closed(decision);
  return appended;
}

Result<DecisionRecord> SharedStore::ReadRecord(const std::string& id) const {
  if (const DecisionRecord* record = impl_->memory_.Find(id)) return *record;
  std::vector<std::string> ids;
  for (const auto& [each, record] : impl_->memory_.Records()) ids.push_back(each);
  auto found = core::ResolveDecision(ids, id);
  if (!found) return Fail(found.error());
  return *impl_->memory_.Find(*found);
}

std::vector<DecisionRecord> SharedStore::OpenRecords(const std::string& group) const {
  std::vector<DecisionRecord> records;
  for (const std::string& id : impl_->memory_.Open()) {
    const DecisionRecord* record = impl_->memory_.Find(id);
    if (record != nullptr && record->decision.group == group) records.push_back(*record);
  }
  return records;
}

void SharedStore::Settle(std::function<void(Result<void>)> done) { impl_->Settle(std::move(done)); }
core::LogHead SharedStore::Head() const { return impl_->memory_.Head(); }
core::LogHead SharedStore::Trimmed() const { return impl_->memory_.Trimmed(); }

Result<std::vector<std::string>> SharedStore::ReadLog(std::uint64_t from, std::size_t max) const {
  return impl_->memory_.Lines(from, max);
}

Result<std::vector<DecisionRecord>> SharedStore::ReadRecords(const std::string& group,
                                                             const std::string& node, std::size_t max) const {
  std::vector<DecisionRecord> records;
  const auto& all = impl_->memory_.Records();
  for (auto record = all.rbegin(); record != all.rend() && records.size() < max; ++record) {
    if (!group.empty() && record->second.decision.group != group) continue;
    if (!node.empty() && record->second.decision.node != node) continue;
    records.push_back(record->second);
  }
  return records;
}

}  // namespace walstitch::shell
