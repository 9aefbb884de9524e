#include "agents/agent/key_service.h"

#include <algorithm>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/json.hpp>
#include <set>
#include <utility>
#include <variant>

#include "agents/agent/changes_since.h"
#include "agents/agent/key_writer.h"
#include "agents/agent/offload.h"
#include "agents/agent/wall_clock.h"
#include "agents/http/http_client.h"
#include "agents/node/info.h"
#include "policies/model/bytes.h"
#include "policies/model/json.h"
#include "policies/model/types.h"

namespace walstitch::agent {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

namespace {

constexpr milliseconds kPeerTimeout{60000};
constexpr milliseconds kTimeout{5000};
constexpr milliseconds kPollInterval{2};
constexpr milliseconds kRoleChangeInterval{20};
constexpr const char* kRoleChangeWaits = "a command that changes its role waits";
// Between two rounds of comparing: a key that changed is written again soon, or it was by chance.
constexpr milliseconds kFirstPause{5};
constexpr milliseconds kLastPause{500};
// Of one key, while others write it.
constexpr int kMostTries = 100;
// From here on what changed is looked for among what was written whole.
constexpr int kFewLeft = 2;
const std::string kTemporary = std::string(kReservedKeys) + "repair";

node::ClientOptions WithStop(node::ClientOptions client, const std::atomic<bool>* stop) {
  client.stop = stop;
  return client;
}

Result<Sequence> LastOf(node::KvrocksClient& client) {
  auto info = client.Info();
  if (!info) return Fail(info.error());
  const node::NodeFacts facts = node::ReadFacts(*info);
  if (!facts.last) return Fail(ErrorCode::kUnavailable, "INFO says no sequence");
  return *facts.last;
}

milliseconds Left(Clock::time_point deadline) {
  return std::max(std::chrono::ceil<milliseconds>(deadline - Clock::now()), milliseconds(0));
}

template <typename T>
void Name(T one, std::vector<T>* names) {
  if (names->size() < kMostNamed) names->push_back(std::move(one));
}

}  // namespace

KeyService::KeyService(KeyServiceOptions options)
    : options_(std::move(options)),
      wal_(options_.data_directory, options_.client),
      client_(WithStop(options_.client, &stop_)),
      values_(WithStop(options_.client, &stop_)) {}

KeyService::~KeyService() {
  Stop();
  pool_.join();
}

void KeyService::Stop() {
  stop_ = true;
  wal_.Stop();
}

asio::awaitable<Result<ValuesAnswer>> KeyService::Values(KeysQuestion question) {
  auto work = [this, question = std::move(question)]() -> Result<ValuesAnswer> {
    ValuesAnswer answer;
    auto from = LastOf(client_);
    if (!from) return Fail(from.error());
    answer.from = *from;
    auto states = values_.ReadStates(question.keys);
    if (!states) values_.ForgetNamespaces();
    if (!states) return Fail(states.error());
    answer.values = std::move(*states);
    auto last = LastOf(client_);
    if (!last) return Fail(last.error());
    answer.last = *last;
    return answer;
  };
  co_return co_await RunOn(pool_, std::move(work));
}

asio::awaitable<Result<RepairableAnswer>> KeyService::Repairable(KeysQuestion question) {
  auto work = [this, question = std::move(question)]() -> Result<RepairableAnswer> {
    auto answer = values_.FindUnrepairable(question.keys);
    if (!answer) values_.ForgetNamespaces();
    return answer;
  };
  co_return co_await RunOn(pool_, std::move(work));
}

asio::awaitable<Result<ValuesAnswer>> KeyService::AskSurvivor(const CompareAction& action,
                                                              KeysQuestion question) {
  const std::string agent = "agent of " + action.survivor;
  const auto url = http::ParseUrl(action.survivor_url);
  if (!url) co_return Fail(url.error(), agent);
  // 1. The survivor's machine is lost, and its agent does not answer. 2. This node is to be promoted. 3. That
  // must not wait until the question is given up.
  using asio::experimental::awaitable_operators::operator||;
  std::string body = Dump(ToJson(question));
  std::string target = http::AddressedTo("/v1/keys/values", options_.group, action.survivor);
  auto asked =
      http::FetchBody(*url, "POST", std::move(target), std::move(body), options_.peers, kPeerTimeout);
  auto waited = AwaitRoleChange();
  auto first = std::move(asked) || std::move(waited);
  auto ended = co_await std::move(first);
  if (ended.index() == 1) co_return Fail(ErrorCode::kUnavailable, kRoleChangeWaits);
  const auto& told = std::get<0>(ended);
  if (!told) co_return Fail(told.error(), agent);
  const auto json = ParseJson(*told);
  if (!json) co_return Fail(json.error(), agent);
  auto answer = ValuesAnswerFromJson(*json);
  if (!answer) co_return Fail(answer.error(), agent);
  if (answer->values.size() != question.keys.size()) {
    co_return Fail(ErrorCode::kDamaged, agent + ": it told of other keys than it was asked about");
  }
  co_return std::move(*answer);
}

asio::awaitable<void> KeyService::AwaitRoleChange() {
  while (!options_.role_change_waits()) co_await SleepFor(kRoleChangeInterval);
}

asio::awaitable<Result<void>> KeyService::AwaitLast(Sequence last, Deadline deadline) {
  while (true) {
    auto ask = [this] { return LastOf(client_); };
    auto own = co_await RunOn(pool_, std::move(ask));
    if (!own) co_return Fail(own.error());
    if (*own >= last) co_return Result<void>();
    if (Left(deadline).count() == 0 || stop_) {
      co_return Fail(ErrorCode::kTimeout, "the node holds records up to " + own->ToString() + " only, and " +
                                              last.ToString() + " is to be compared");
    }
    if (options_.role_change_waits()) co_return Fail(ErrorCode::kUnavailable, kRoleChangeWaits);
    co_await SleepFor(kPollInterval);
  }
}

asio::awaitable<Result<KeyService::Looked>> KeyService::Look(const CompareAction& action,
                                                             std::vector<UserKeyName> keys,
                                                             Deadline deadline) {
  const KeysQuestion question{keys};
  auto theirs = co_await AskSurvivor(action, question);
  if (!theirs) co_return Fail(theirs.error());
  auto there = co_await AwaitLast(theirs->last, deadline);
  if (!there) co_return Fail(there.error());
  auto own = co_await Values(question);
  if (!own) co_return Fail(own.error());
  const std::set<UserKeyName> names(keys.begin(), keys.end());
  const bool slot_encoded = options_.slot_encoded();
  Looked looked;
  looked.from = theirs->from;
  std::set<UserKeyName> changed;
  WalService::Question read = [&](wal::WalSource& source) -> Result<std::string> {
    ChangesSince changes(source, theirs->from, slot_encoded, names);
    if (auto done = changes.ReadOn(); !done) return Fail(done.error());
    if (!changes.Readable()) return Fail(ErrorCode::kUnavailable, changes.WhyAll());
    for (const UserKeyName& name : names) {
      if (changes.Changed(name)) changed.insert(name);
    }
    return std::string();
  };
  auto asked = co_await wal_.Ask(std::move(read));
  if (!asked) co_return Fail(asked.error());
  const std::int64_t now_ms = UnixMs();
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const ValueState& survivor = theirs->values[i];
    const ValueState& mine = own->values[i];
    looked.keys[keys[i]] = CompareValue(survivor, mine, changed.contains(keys[i]), now_ms);
    if (!survivor.why.empty()) looked.why[keys[i]] = survivor.why;
    if (!mine.why.empty()) looked.why[keys[i]] = mine.why;
  }
  co_return looked;
}

asio::awaitable<Result<void>> KeyService::SettleRenewed(Sequence since, std::vector<UserKeyName>* open,
                                                        Comparison* comparison) {
  const std::set<UserKeyName> names(open->begin(), open->end());
  const bool slot_encoded = options_.slot_encoded();
  std::vector<UserKeyName> left;
  WalService::Question read = [&](wal::WalSource& source) -> Result<std::string> {
    ChangesSince changes(source, since, slot_encoded, names);
    if (auto done = changes.ReadOn(); !done) return Fail(done.error());
    for (const UserKeyName& name : names) {
      if (!changes.Renewed(name)) left.push_back(name);
    }
    return std::string();
  };
  auto asked = co_await wal_.Ask(std::move(read));
  if (!asked) co_return Fail(asked.error());
  comparison->equal += open->size() - left.size();
  *open = std::move(left);
  co_return Result<void>();
}

asio::awaitable<Result<Comparison>> KeyService::Compare(CompareAction action, Deadline deadline) {
  Comparison comparison;
  std::vector<UserKeyName> open = action.keys;
  std::optional<Sequence> since;  // what the node, which follows, had in common with its master at first
  milliseconds pause = kFirstPause;
  for (int round = 0; round < kMostRounds && !open.empty(); ++round) {
    std::vector<UserKeyName> again;
    for (auto& part : PartsOfRound(open, round)) {
      if (options_.role_change_waits()) co_return Fail(ErrorCode::kUnavailable, kRoleChangeWaits);
      auto looked = co_await Look(action, std::move(part), deadline);
      if (!looked) co_return Fail(looked.error());
      if (!since) since = looked->from;
      for (const auto& [name, compared] : looked->keys) {
        switch (compared) {
          case Compared::kEqual:
            ++comparison.equal;
            break;
          case Compared::kDiffer:
            ++comparison.differ;
            Name(name, &comparison.differing);
            break;
          case Compared::kUnreadable:
            ++comparison.unreadable;
            Name(KeyProblem{name, looked->why[name]}, &comparison.unread);
            break;
          case Compared::kChanged:
          case Compared::kExpiring:
            again.push_back(name);
            break;
        }
      }
    }
    open = std::move(again);
    const bool last = round + 1 == kMostRounds || Left(deadline) < pause * 2;
    if (!open.empty() && (round == kFewLeft || last)) {
      auto settled = co_await SettleRenewed(*since, &open, &comparison);
      if (!settled) co_return Fail(settled.error());
    }
    if (open.empty() || last) break;
    co_await SleepFor(pause);
    pause = std::min(pause * 2, kLastPause);
  }
  comparison.restless = open.size();
  for (UserKeyName& name : open) Name(std::move(name), &comparison.never_still);
  co_return comparison;
}

asio::awaitable<Result<MendedKey>> KeyService::Repair(UserKeyName name, std::uint64_t max_bytes,
                                                      Sequence since) {
  auto work = [this, name, max_bytes] { return Rewrite(name, max_bytes); };
  auto mended = co_await RunOn(pool_, std::move(work));
  if (!mended || !mended->why_not.empty() || !mended->changed_each_time) co_return mended;
  // Whoever writes a counter so often writes it whole each time: that is as good as a repair.
  bool renewed = false;
  const bool slot_encoded = options_.slot_encoded();
  WalService::Question look = [&](wal::WalSource& source) -> Result<std::string> {
    ChangesSince changes(source, since, slot_encoded, {name});
    if (auto read = changes.ReadOn(); !read) return Fail(read.error());
    renewed = changes.Renewed(name);
    return std::string();
  };
  auto looked = co_await wal_.Ask(std::move(look));
  if (!looked) co_return Fail(looked.error());
  if (!renewed) {
    mended->why_not = "it changed each of the " + std::to_string(kMostTries) + " times that it was tried";
  }
  co_return mended;
}

asio::awaitable<Result<MendedKey>> KeyService::Evict(UserKeyName name) {
  auto work = [this, name = std::move(name)] { return Delete(name); };
  co_return co_await RunOn(pool_, std::move(work));
}

// The value that is rewritten is what was read behind the WATCH: whoever changes the key in between is not
// overwritten, but tried again behind.
Result<MendedKey> KeyService::Rewrite(const UserKeyName& name, std::uint64_t max_bytes) {
  KeyWriter writer(values_, kTemporary);
  MendedKey mended;
  for (int attempt = 0; attempt < kMostTries; ++attempt) {
    auto watched = writer.Watch(name);
    if (!watched && KeyWriter::IsOfTheKey(watched.error())) {
      mended.why_not = watched.error().Message();
      return mended;
    }
    if (!watched) return Fail(watched.error());
    auto present = values_.Read({name});
    if (!present) return Fail(present.error());
    const SalvagedValue& value = present->front();
    const bool there = value.key.kept != KeptAs::kAbsent;
    mended.bytes = 0;
    for (const std::string& element : value.elements) mended.bytes += element.size();
    if (value.key.kept == KeptAs::kNotKept) {
      mended.why_not = value.key.why;
      return mended;
    }
    if (max_bytes > 0 && mended.bytes > max_bytes) {
      mended.why_not =
          "its " + HumanBytes(mended.bytes) + " are more than what the keyspace's limits.bytes leave";
      return mended;
    }
    KeyWriter::Written written =
        there ? writer.Write(*watched, value, there) : KeyWriter::MakeAndDelete(*watched);
    switch (written.end) {
      case KeyWriter::End::kDone:
        return mended;
      case KeyWriter::End::kChanged:
        continue;
      case KeyWriter::End::kFailed:
        // It expired just now: the next time it is not there.
        if (value.key.expire_ms && *value.key.expire_ms <= UnixMs()) continue;
        mended.why_not = std::move(written.why);
        return mended;
      case KeyWriter::End::kUnknown:
        return Fail(ErrorCode::kIo, written.why);
    }
  }
  mended.changed_each_time = true;
  return mended;
}

Result<MendedKey> KeyService::Delete(const UserKeyName& name) {
  KeyWriter writer(values_, kTemporary);
  MendedKey mended;
  for (int attempt = 0; attempt < kMostTries; ++attempt) {
    auto watched = writer.Watch(name);
    if (!watched && KeyWriter::IsOfTheKey(watched.error())) {
      mended.why_not = watched.error().Message();
      return mended;
    }
    if (!watched) return Fail(watched.error());
    // What is there may be changed by whom it will: it is deleted all the same. Looked at first, for a DEL of
    // nothing ends the WATCH, too.
    auto exists = watched->client->Send({{"EXISTS", name.key}}, {.timeout = kTimeout});
    if (!exists) return Fail(exists.error());
    if (exists->front().kind == node::NodeReply::Kind::kNumber && exists->front().number > 0) {
      auto deleted = watched->client->Send({{"DEL", name.key}}, {.timeout = kTimeout});
      if (!deleted) return Fail(deleted.error());
      const node::NodeReply& reply = deleted->front();
      if (reply.kind == node::NodeReply::Kind::kNumber && reply.number > 0) return mended;
      if (reply.kind != node::NodeReply::Kind::kError) continue;
      mended.why_not = "DEL: " + ToPrintable(reply.text);
      return mended;
    }
    KeyWriter::Written written = KeyWriter::MakeAndDelete(*watched);
    if (written.end == KeyWriter::End::kUnknown) return Fail(ErrorCode::kIo, written.why);
    if (written.end == KeyWriter::End::kDone) return mended;
    if (written.end == KeyWriter::End::kFailed) {
      mended.why_not = std::move(written.why);
      return mended;
    }
  }
  mended.why_not =
      "it was made and deleted each of the " + std::to_string(kMostTries) + " times that it was tried";
  return mended;
}

}  // namespace walstitch::agent
