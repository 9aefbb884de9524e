#include "agents/agent/undo_service.h"

#include <algorithm>
#include <boost/json.hpp>
#include <map>
#include <set>
#include <utility>

#include "agents/agent/offload.h"
#include "agents/http/http_client.h"
#include "agents/wal/marker.h"
#include "policies/model/bytes.h"
#include "policies/model/json.h"

namespace walstitch::agent {

namespace asio = boost::asio;

namespace {

// Of the names in one question, so that it stays below what an agent takes (http::ServerOptions).
constexpr std::size_t kMaxQuestionBytes = std::size_t{384} << 10;
// More is not asked: what is left then stays left.
constexpr std::size_t kMaxQuestions = 32;
constexpr std::size_t kKeysPerCommand = 200;
constexpr std::chrono::milliseconds kPeerTimeout{60000};
constexpr std::chrono::milliseconds kServerTimeout{5000};
constexpr std::chrono::seconds kKeptFor{120};

std::string HexOf(const BatchDigest& digest) {
  return ToHex(std::string(digest.bytes.begin(), digest.bytes.end()));
}

// What to ask at a time.
std::vector<WrittenQuestion> QuestionsOf(const wal::UndoPlan& plan, Sequence from) {
  std::vector<WrittenQuestion> questions;
  std::size_t bytes = kMaxQuestionBytes;
  const auto room = [&](std::size_t more) -> WrittenQuestion& {
    if (questions.empty() || bytes + more > kMaxQuestionBytes) {
      questions.emplace_back();
      questions.back().from = from;
      bytes = 0;
    }
    bytes += more;
    return questions.back();
  };
  constexpr std::size_t kAround = 40;    // the field's names, and what base64 adds to a short key
  constexpr std::size_t kPrintable = 4;  // at most so many characters for a byte
  for (const RawKey& key : wal::KeysToAsk(plan)) {
    room(key.key.size() * 4 / 3 + kAround).raw.push_back(key);
  }
  for (const wal::UndoLeft& left : plan.left) {
    if (!left.internal.empty()) continue;
    room((left.name.name_space.size() + left.name.key.size()) * kPrintable + kAround)
        .names.push_back(left.name);
  }
  return questions;
}

void Add(const WrittenQuestion& question, const WrittenAnswer& answer, wal::SurvivorAnswer* all) {
  const auto add = [](const auto& asked, const std::vector<std::uint64_t>& places, auto* to) {
    for (const auto place : places) {
      if (place < asked.size()) to->insert(asked[place]);
    }
  };
  add(question.raw, answer.wrote, &all->writes.wrote);
  add(question.raw, answer.renewed, &all->writes.renewed);
  add(question.names, answer.lacks, &all->lacks);
}

std::string NoteOf(const wal::UndoPlan& plan) {
  std::string note = "the WAL was read from " + plan.scan.from.ToString() + " on (" +
                     std::string(wal::ToString(plan.scan.end)) + ", " + std::to_string(plan.scan.bytes) +
                     " bytes)";
  if (!plan.scan.note.empty()) note += "; " + plan.scan.note;
  std::map<wal::UndoDoubt, std::size_t> doubts;
  for (const auto& left : plan.left) ++doubts[left.doubt];
  for (const auto& [doubt, keys] : doubts)
    note += "; " + std::to_string(keys) + " left: " + std::string(wal::Explain(doubt));
  return note;
}

// What of the tail a plan leaves: with the same types and bytes that a policy would judge without the plan.
Touched LeftOf(const wal::UndoPlan& plan, Touched tail) {
  std::set<std::pair<std::string_view, UserKeyName>> left;
  for (const auto& one : plan.left) left.emplace(one.internal, one.name);
  std::erase_if(tail.keys, [&](const TouchedKey& key) {
    return !left.contains({key.internal, UserKeyName{key.name_space, key.key}});
  });
  tail.records = 0;
  tail.bytes = 0;
  for (const TouchedKey& key : tail.keys) {
    tail.records += key.records;
    tail.bytes += key.bytes;
  }
  return tail;
}

}  // namespace

UndoService::UndoService(UndoServiceOptions options)
    : options_(std::move(options)), wal_(options_.data_directory, options_.client), values_([this] {
        node::ClientOptions client = options_.client;
        client.stop = &stop_;
        return client;
      }()) {}

UndoService::~UndoService() {
  Stop();
  pool_.join();
}

void UndoService::Stop() {
  stop_ = true;
  wal_.Stop();
}

asio::awaitable<Result<UndoEvidence>> UndoService::Plan(UndoQuestion question) {
  std::optional<BatchInfo> last_batch;
  WalService::Question ask = [&last_batch, &question](wal::WalSource& source) -> Result<std::string> {
    auto batch = source.BatchHolding(question.last);
    if (!batch) return Fail(batch.error());
    last_batch = std::move(*batch);
    return std::string();
  };
  if (question.fork < question.last) {
    auto asked = co_await wal_.Ask(std::move(ask));
    if (!asked) co_return Fail(asked.error());
  }
  const bool fresh = std::chrono::steady_clock::now() - made_ < kKeptFor;
  if (kept_ && fresh && question_ == question && last_batch == last_batch_) co_return *kept_;
  kept_.reset();
  records_.clear();
  wal::UndoOptions options;
  options.max_scan_bytes = question.scan_bytes;
  options.slot_encoded = options_.slot_encoded();
  wal::UndoPlan plan;
  Touched tail;
  WalService::Question make = [&](wal::WalSource& source) -> Result<std::string> {
    auto made = options_.planner(source, question.fork, question.last, options);
    if (!made) return Fail(made.error());
    plan = std::move(*made);
    wal::TouchOptions touch;
    touch.slot_encoded = options.slot_encoded;
    auto listed = wal::ListTouched(source, {question.fork + 1, question.last + 1}, touch);
    if (!listed) return Fail(listed.error());
    tail = std::move(*listed);
    return std::string();
  };
  auto made = co_await wal_.Ask(std::move(make));
  if (!made) co_return Fail(made.error());
  if (plan.refusal != wal::UndoRefusal::kNone) {
    co_return Fail(ErrorCode::kConflict, std::string(wal::Explain(plan.refusal)));
  }
  std::string note;
  if (!plan.left.empty() && !question.survivor.empty()) {
    auto settled = co_await AskSurvivor(question.survivor_node, question.survivor, question.fork + 1, plan);
    if (settled) plan = std::move(*settled);
    if (!settled) note = "; what the survivor wrote since is not known: " + settled.error().Message();
  }
  UndoEvidence evidence;
  evidence.digest = HexOf(wal::DigestOf(plan));
  evidence.records = plan.records.size();
  evidence.keys = plan.undone.size();
  evidence.left = LeftOf(plan, std::move(tail));
  evidence.note = NoteOf(plan) + note;
  evidence.undone = plan.undone;
  records_ = std::move(plan.records);
  last_batch_ = std::move(last_batch);
  question_ = std::move(question);
  made_ = std::chrono::steady_clock::now();
  // What the survivor did not tell it may tell the next time.
  kept_ = evidence;
  if (!note.empty()) made_ -= kKeptFor;
  co_return evidence;
}

asio::awaitable<Result<wal::UndoPlan>> UndoService::AskSurvivor(std::string node, std::string url,
                                                                Sequence from, wal::UndoPlan plan) {
  const std::string agent = "agent at " + url;
  const auto parsed = http::ParseUrl(url);
  if (!parsed) co_return Fail(parsed.error(), agent);
  wal::SurvivorAnswer all;
  const std::vector<WrittenQuestion> questions = QuestionsOf(plan, from);
  // A controller of an older version does not name it.
  const std::string path = "/v1/wal/written";
  const std::string target = node.empty() ? path : http::AddressedTo(path, options_.group, node);
  for (std::size_t i = 0; i < std::min(questions.size(), kMaxQuestions); ++i) {
    std::string body = Dump(ToJson(questions[i]));
    const auto told =
        co_await http::FetchBody(*parsed, "POST", target, std::move(body), options_.peers, kPeerTimeout);
    if (!told) co_return Fail(told.error(), agent);
    const auto json = ParseJson(*told);
    if (!json) co_return Fail(json.error(), agent);
    const auto answer = WrittenAnswerFromJson(*json);
    if (!answer) co_return Fail(answer.error(), agent);
    Add(questions[i], *answer, &all);
  }
  auto work = [plan = std::move(plan), all = std::move(all)]() mutable {
    return wal::Settle(std::move(plan), all);
  };
  wal::UndoPlan settled = co_await RunOn(pool_, std::move(work));
  co_return settled;
}

asio::awaitable<Result<WrittenAnswer>> UndoService::Written(WrittenQuestion question) {
  // First what it does not have, then what it wrote: whatever is made in between was written, and is found.
  WrittenAnswer answer;
  answer.lacks = co_await Lacking(question.names);
  const std::vector<RawKey>& keys = question.raw;
  wal::SurvivorWrites found;
  WalService::Question look = [&](wal::WalSource& source) -> Result<std::string> {
    auto extent = source.Extent();
    if (!extent) return Fail(extent.error());
    if (!extent->last || *extent->last < question.from) return std::string();
    answer.last = *extent->last;
    auto writes = wal::FindWrites(source, {question.from, *extent->last + 1}, keys);
    if (!writes) return Fail(writes.error());
    found = std::move(*writes);
    return std::string();
  };
  auto looked = co_await wal_.Ask(std::move(look));
  if (!looked) co_return Fail(looked.error());
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (found.wrote.contains(keys[i])) answer.wrote.push_back(i);
    if (found.renewed.contains(keys[i])) answer.renewed.push_back(i);
  }
  co_return answer;
}

asio::awaitable<std::vector<std::uint64_t>> UndoService::Lacking(std::vector<UserKeyName> names) {
  auto work = [this, names = std::move(names)] {
    std::vector<std::uint64_t> lacking;
    std::map<std::string, std::vector<std::uint64_t>> by_namespace;
    for (std::uint64_t i = 0; i < names.size(); ++i) by_namespace[names[i].name_space].push_back(i);
    for (const auto& [name_space, places] : by_namespace) {
      auto client = values_.Enter(name_space);
      if (!client) continue;
      for (std::size_t from = 0; from < places.size(); from += kKeysPerCommand) {
        const std::size_t to = std::min(places.size(), from + kKeysPerCommand);
        std::vector<node::NodeCommand> commands;
        for (std::size_t i = from; i < to; ++i) commands.push_back({"EXISTS", names[places[i]].key});
        auto replies = (*client)->Send(commands, {.timeout = kServerTimeout});
        if (!replies || replies->size() != commands.size()) break;
        for (std::size_t i = from; i < to; ++i) {
          const node::NodeReply& reply = (*replies)[i - from];
          if (reply.kind == node::NodeReply::Kind::kNumber && reply.number == 0) lacking.push_back(places[i]);
        }
      }
    }
    std::sort(lacking.begin(), lacking.end());
    return lacking;
  };
  co_return co_await RunOn(pool_, std::move(work));
}

Result<std::vector<std::string>> UndoService::TakeUndoBatches(const std::string& digest, Sequence first,
                                                              const std::string& decision) {
  if (!kept_ || digest != kept_->digest) {
    return Fail(
        ErrorCode::kConflict,
        "the plan to take the tail back is not known any more: the agent was restarted, or was asked for "
        "another one");
  }
  auto batches = wal::MakeUndoBatches(records_, first, wal::UndoMarker(decision));
  kept_.reset();
  records_ = {};
  return batches;
}

}  // namespace walstitch::agent
