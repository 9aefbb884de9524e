#include "agents/agent/salvage_service.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/json.hpp>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>

#include "agents/agent/key_values.h"
#include "agents/agent/offload.h"
#include "agents/agent/salvage_maker.h"
#include "agents/agent/salvage_replay.h"
#include "agents/agent/wall_clock.h"
#include "agents/http/http_client.h"
#include "policies/model/bytes.h"
#include "policies/model/json.h"

namespace walstitch::agent {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

namespace {

constexpr int kMaxReading = 16;
// Of one answer. A line may be larger: then it is alone.
constexpr std::uint64_t kMaxAnswerBytes = std::uint64_t{4} << 20;
constexpr std::chrono::milliseconds kPeerTimeout{30000};
// Of values, for one part of a replay.
constexpr std::size_t kMaxReplayBytes = std::size_t{16} << 20;
// A part of a replay ends after so long, well before whoever asked gives up.
constexpr std::int64_t kReplayBudgetMs = 2000;
constexpr std::chrono::hours kRetireInterval{1};

node::ClientOptions WithStop(node::ClientOptions options, const std::atomic<bool>* stop) {
  options.stop = stop;
  return options;
}

Result<SalvagedKey> KeyOf(const std::string& line, std::uint64_t at) {
  auto value = ParseValueLine(line);
  if (!value) return Fail(value.error());
  value->key.at = at;
  value->key.bytes = line.size();
  return std::move(value->key);
}

// What another agent answers to Values().
struct PeerValues {
  Sequence fork;
  std::vector<SalvagedValue> values;
};

Result<PeerValues> ReadPeerValues(const std::string& body) {
  auto json = ParseJson(body);
  if (!json) return Fail(json.error());
  const auto* object = json->if_object();
  const auto* fork = object == nullptr ? nullptr : object->if_contains("fork");
  const auto* list = object == nullptr ? nullptr : object->if_contains("values");
  boost::system::error_code bad;
  PeerValues values;
  if (fork != nullptr) values.fork = Sequence(fork->to_number<std::uint64_t>(bad));
  if (fork == nullptr || bad || list == nullptr || !list->is_array()) {
    return Fail(ErrorCode::kDamaged, "the answer has no fork, or no values");
  }
  for (const auto& line : list->get_array()) {
    auto value = ParseValueLine(Dump(line));
    if (!value) return Fail(value.error());
    values.values.push_back(std::move(*value));
  }
  return values;
}

}  // namespace

SalvageService::SalvageService(SalvageServiceOptions options)
    : options_(std::move(options)),
      retirement_(options_.executor),
      store_(options_.state_directory, options_.limits),
      wal_(options_.data_directory, options_.client) {}

SalvageService::~SalvageService() { Stop(); }

void SalvageService::Start() {
  store_.CleanUp();
  Retire("");
  ScheduleRetirement();
}

void SalvageService::ScheduleRetirement() {
  retirement_.expires_after(kRetireInterval);
  retirement_.async_wait([this](boost::system::error_code error) {
    if (error || stop_) return;
    // On the worker that makes them: nothing is removed while another is written.
    auto retire = [this]() -> asio::awaitable<void> {
      WalService::Question question = [this](wal::WalSource&) -> Result<std::string> {
        Retire("");
        return std::string();
      };
      (void)co_await wal_.Ask(std::move(question));
    };
    asio::co_spawn(retirement_.get_executor(), retire, asio::detached);
    ScheduleRetirement();
  });
}

void SalvageService::Stop() {
  stop_ = true;
  retirement_.cancel();
  wal_.Stop();
  reads_.stop();
  reads_.join();
}

void SalvageService::Retire(const std::string& keep) {
  for (const std::string& id : store_.Retire(UnixMs(), keep)) {
    spdlog::info("Salvage {} is removed: salvage.keepFor and salvage.keepBytes keep no more.", id);
  }
}

// The result comes beside the answer: an answer of the question is about the WAL.
template <typename T>
asio::awaitable<Result<T>> SalvageService::Work(std::function<Result<T>(wal::WalSource&)> work) {
  auto done = std::make_shared<std::optional<Result<T>>>();
  WalService::Question question = [done, work = std::move(work)](wal::WalSource& source) {
    *done = work(source);
    return Result<std::string>(std::string());
  };
  auto answered = co_await wal_.Ask(std::move(question));
  if (*done) co_return std::move(**done);
  if (!answered) co_return Fail(answered.error());
  co_return Fail(ErrorCode::kUnavailable, "the agent is stopping");
}

template <typename T>
asio::awaitable<Result<T>> SalvageService::Read(std::function<Result<T>()> work) {
  if (reading_ >= kMaxReading) {
    co_return Fail(ErrorCode::kUnavailable,
                   "too many questions about salvages wait already: ask again later");
  }
  ++reading_;
  auto answer = co_await RunOn(reads_, std::move(work));
  --reading_;
  co_return answer;
}

asio::awaitable<Result<SalvageRef>> SalvageService::Keep(SalvageAction action, Clock::time_point deadline) {
  if (!ValidSalvageId(action.decision)) {
    co_return Fail(ErrorCode::kInvalid, "'" + ToPrintable(action.decision) + "' is no decision's id");
  }
  SalvageOrder order;
  order.action = std::move(action);
  order.group = options_.group;
  order.node = options_.node;
  order.slot_encoded = options_.slot_encoded();
  order.now_ms = UnixMs();
  // Most of the time is for the values, and the rest for the disk.
  const auto values_until = Clock::now() + (deadline - Clock::now()) / 10 * 8;
  std::function<Result<SalvageManifest>(wal::WalSource&)> work =
      [this, order, deadline, values_until](wal::WalSource& source) -> Result<SalvageManifest> {
    auto values = std::make_shared<ValueClient>(WithStop(options_.client, &stop_));
    const ReadValues read = [values](const std::vector<UserKeyName>& keys) { return values->Read(keys); };
    const GoOn go_on = [this, deadline]() -> Result<void> {
      if (stop_) return Fail(ErrorCode::kUnavailable, "the agent is stopping");
      if (waiting_ > 0) return Fail(ErrorCode::kUnavailable, "given up, for another command waits");
      if (Clock::now() >= deadline) return Fail(ErrorCode::kTimeout, "the command's deadline has passed");
      return {};
    };
    const auto time_is_left = [values_until] { return Clock::now() < values_until; };
    Retire("");  // what is too old must not keep a new one from its place
    auto made = MakeSalvage(source, store_, order, read, go_on, time_is_left);
    if (made) Retire(made->id);
    return made;
  };
  auto result = co_await Work(std::move(work));
  if (!result) co_return Fail(result.error());
  SalvageRef ref;
  ref.id = result->id;
  ref.node = result->node;
  ref.path = store_.PathOf(result->id);
  ref.range = result->range;
  ref.records = result->records;
  ref.keys = result->keys;
  ref.bytes = result->Bytes();
  ref.lacks = result->lacks;
  spdlog::info("Salvage {}: {} records of {} on {} keys, {} in {}{}.", ref.id, ref.records,
               ref.range.ToString(), ref.keys, HumanBytes(ref.bytes), ref.path,
               ref.lacks.empty() ? std::string() : "; it lacks " + ref.lacks);
  co_return ref;
}

asio::awaitable<Result<SalvageList>> SalvageService::List() {
  std::function<Result<SalvageList>()> work = [this]() -> Result<SalvageList> { return store_.List(); };
  co_return co_await Read(std::move(work));
}

asio::awaitable<Result<SalvageManifest>> SalvageService::Manifest(std::string id) {
  std::function<Result<SalvageManifest>()> work = [this, id] { return store_.ReadChecked(id); };
  co_return co_await Read(std::move(work));
}

asio::awaitable<Result<std::string>> SalvageService::Records(std::string id, std::uint64_t after,
                                                             std::size_t max) {
  std::function<Result<std::string>()> work = [this, id, after, max]() -> Result<std::string> {
    auto lines = store_.ReadLines(id, kRecordsFile, after, max, kMaxAnswerBytes);
    if (!lines) return Fail(lines.error());
    // They are JSON already.
    std::string body = "{\"records\":[";
    for (std::size_t i = 0; i < lines->lines.size(); ++i) body += (i == 0 ? "" : ",") + lines->lines[i];
    body += "]";
    if (lines->next) body += ",\"next\":" + std::to_string(*lines->next);
    return body + "}";
  };
  co_return co_await Read(std::move(work));
}

asio::awaitable<Result<SalvagedKeys>> SalvageService::Keys(std::string id, std::uint64_t after,
                                                           std::size_t max) {
  std::function<Result<SalvagedKeys>()> work = [this, id, after, max]() -> Result<SalvagedKeys> {
    auto lines = store_.ReadLines(id, kValuesFile, after, max, kMaxAnswerBytes);
    if (!lines) return Fail(lines.error());
    SalvagedKeys keys;
    for (std::size_t i = 0; i < lines->lines.size(); ++i) {
      auto key = KeyOf(lines->lines[i], lines->at[i]);
      if (!key) return Fail(key.error(), store_.PathOf(id));
      keys.keys.push_back(std::move(*key));
    }
    keys.next = lines->next;
    return keys;
  };
  co_return co_await Read(std::move(work));
}

asio::awaitable<Result<std::string>> SalvageService::Values(std::string id, std::vector<std::uint64_t> at) {
  std::function<Result<std::string>()> work = [this, id, at = std::move(at)]() -> Result<std::string> {
    auto manifest = store_.ReadChecked(id);
    if (!manifest) return Fail(manifest.error());
    std::string body = "{\"fork\":" + manifest->fork.ToString() + ",\"values\":[";
    std::uint64_t taken = 0;
    for (const std::uint64_t each : at) {
      if (taken >= kMaxAnswerBytes) break;
      auto line = store_.ReadLines(id, kValuesFile, each, 1, 1);
      if (!line) return Fail(line.error());
      if (line->lines.empty()) return Fail(ErrorCode::kInvalid, "no key stands at " + std::to_string(each));
      body += (taken == 0 ? "" : ",") + line->lines.front();
      taken += line->lines.front().size();
    }
    return body + "]}";
  };
  co_return co_await Read(std::move(work));
}

asio::awaitable<Result<ReplayAnswer>> SalvageService::Replay(ReplayRequest request) {
  if (request.node != options_.node || request.group != options_.group) {
    co_return Fail(ErrorCode::kInvalid,
                   "this is the agent of " + options_.node + " of group " + options_.group);
  }
  auto url = http::ParseUrl(request.source_url);
  if (!url) co_return Fail(url.error(), "source_url");
  const std::string where = "the salvage on " + request.source;
  auto shared = std::make_shared<PeerValues>();
  std::size_t bytes = 0;
  while (shared->values.size() < request.at.size() && bytes < kMaxReplayBytes) {
    const std::size_t begin = shared->values.size();
    const std::size_t end = std::min(begin + kMaxPlaces, request.at.size());
    std::string target = "/v1/salvage/" + request.salvage + "/values?at=";
    for (std::size_t i = begin; i < end; ++i)
      target += (i == begin ? "" : ",") + std::to_string(request.at[i]);
    target = http::AddressedTo(std::move(target), options_.group, request.source);
    auto body = co_await http::FetchBody(*url, "GET", target, "", options_.peers, kPeerTimeout);
    if (!body) co_return Fail(body.error(), where);
    bytes += body->size();
    auto values = ReadPeerValues(*body);
    if (!values) co_return Fail(values.error(), where);
    if (values->values.empty() || values->values.size() > end - begin) {
      co_return Fail(ErrorCode::kDamaged, where + ": it gave other values than were asked for");
    }
    shared->fork = values->fork;
    std::move(values->values.begin(), values->values.end(), std::back_inserter(shared->values));
  }
  const bool slot_encoded = options_.slot_encoded();
  std::function<Result<ReplayAnswer>(wal::WalSource&)> work = [this, shared, request,
                                                               slot_encoded](wal::WalSource& source) {
    return ReplayValues(source, WithStop(options_.client, &stop_), slot_encoded, request, shared->fork,
                        shared->values, kReplayBudgetMs);
  };
  co_return co_await Work(std::move(work));
}

}  // namespace walstitch::agent
