#include "agents/agent/command_runner.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <variant>

#include "agents/agent/offload.h"
#include "agents/agent/report_builder.h"
#include "agents/wal/batch_decoder.h"
#include "agents/wal/batch_digest.h"
#include "agents/wal/marker.h"

namespace walstitch::agent {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

namespace {

// Asked of another node's agent at a time: a few milliseconds of disk, and memory stays small.
constexpr std::uint64_t kTailBytes = std::uint64_t{4} << 20;
// As the patch that brings it to Kvrocks calls it (apache/kvrocks#3340, not merged when this was written).
constexpr std::string_view kPaddingSetting = "replication-enable-sequence-padding";
// Between two keys that are rewritten.
constexpr milliseconds kLongestRest{1000};

CommandResult Done(std::optional<Sequence> last) {
  CommandResult result;
  result.outcome = Outcome::kDone;
  result.last = last;
  return result;
}

CommandResult Failed(std::string sentence, std::optional<Sequence> last = std::nullopt) {
  CommandResult result;
  result.outcome = Outcome::kFailed;
  result.error = std::move(sentence);
  result.last = last;
  return result;
}

CommandResult Unknown(std::string sentence, std::optional<Sequence> last = std::nullopt) {
  CommandResult result = Failed(std::move(sentence), last);
  result.outcome = Outcome::kUnknown;
  return result;
}

milliseconds Left(Clock::time_point deadline) {
  return std::max(std::chrono::ceil<milliseconds>(deadline - Clock::now()), milliseconds(0));
}

bool MayHaveHappened(const Error& error) {
  switch (error.Code()) {
    case ErrorCode::kTimeout:
    case ErrorCode::kIo:
    case ErrorCode::kDamaged:
      return true;
    case ErrorCode::kInvalid:
    case ErrorCode::kNotFound:
    case ErrorCode::kStale:
    case ErrorCode::kConflict:
    case ErrorCode::kUnavailable:
      return false;
  }
  return true;
}

std::string Describe(const node::NodeFacts& facts) {
  if (facts.role == Role::kMaster) return "a master";
  if (facts.role != Role::kReplica) return "of an unknown role";
  return "a replica of " + (facts.master ? facts.master->ToString() : std::string("an unknown master"));
}

// Between two looks: a node is usually where it should be within a millisecond, and one that takes longer is
// not to be asked a thousand times.
class Pause {
 public:
  explicit Pause(milliseconds longest) : longest_(longest) {}
  milliseconds Next() {
    const milliseconds now = std::min(next_, longest_);
    next_ *= 2;
    if (next_ > longest_) next_ = longest_;
    return now;
  }

 private:
  milliseconds longest_;
  milliseconds next_{1};
};

// Nothing is commanded to a node whose database is being replaced. nullopt: it is at rest.
std::optional<std::string> Busy(const node::NodeFacts& facts) {
  if (facts.loading.value_or(false)) return "the node is loading: wait until its full sync is done";
  if (facts.sync_in_progress.value_or(false)) return "the node is in a full sync: wait until it is done";
  return std::nullopt;
}

// What of a tail is to be fed, and where it ends.
struct Feed {
  std::vector<std::string> batches;
  Sequence end;
};

// An Error unless the tail begins at `next` and its batches follow each other. What begins at the target or
// behind it is left out: it is not the history that was decided on.
Result<Feed> TakeUpTo(Sequence target, Sequence next, TailBatches tail) {
  if (tail.batches.empty()) {
    return Fail(ErrorCode::kNotFound, "it has no batch at " + next.ToString());
  }
  Feed feed;
  feed.end = next;
  Sequence expected = next;
  for (RangeBytes& batch : tail.batches) {
    const Result<wal::BatchHeader> header = wal::ParseBatchHeader(batch.bytes);
    if (!header) return Fail(header.error());
    if (header->first != expected) {
      return Fail(ErrorCode::kDamaged, "it gave a batch at " + header->first.ToString() + " where " +
                                           expected.ToString() + " was expected");
    }
    if (header->count == 0) {
      return Fail(ErrorCode::kDamaged, "it gave a batch of no records at " + expected.ToString());
    }
    expected = expected + header->count;
    if (header->first >= target) continue;
    if (expected > target) {
      return Fail(ErrorCode::kConflict, "its batch at " + header->first.ToString() + " of " +
                                            std::to_string(header->count) +
                                            " records reaches beyond the target " + target.ToString());
    }
    feed.end = expected;
    feed.batches.push_back(std::move(batch.bytes));
  }
  if (tail.next != expected) {
    return Fail(ErrorCode::kDamaged, "it says that its batches end at " + tail.next.ToString() +
                                         ", but they end at " + expected.ToString());
  }
  return feed;
}

bool IsBatch(std::string_view bytes, const BatchInfo& batch) {
  return bytes.size() == batch.bytes && wal::DigestOf(bytes) == batch.digest;
}

}  // namespace

asio::awaitable<CommandResult> CommandRunner::Run(Command command, Clock::time_point deadline) {
  const auto begin = Clock::now();
  CommandResult result;
  if (auto* park = std::get_if<ParkAction>(&command.action)) {
    result = co_await Do(*park, deadline);
  } else if (auto* promote = std::get_if<PromoteAction>(&command.action)) {
    result = co_await Do(*promote, deadline);
  } else if (auto* pad = std::get_if<PadAction>(&command.action)) {
    result = co_await Do(*pad, deadline);
  } else if (auto* follow = std::get_if<FollowAction>(&command.action)) {
    result = co_await Do(*follow, deadline);
  } else if (auto* rescue = std::get_if<RescueAction>(&command.action)) {
    result = co_await Do(*rescue, deadline);
  } else if (auto* salvage = std::get_if<SalvageAction>(&command.action)) {
    result = co_await Do(*salvage, deadline);
  } else if (auto* full_sync = std::get_if<FullSyncAction>(&command.action)) {
    result = co_await Do(*full_sync, deadline);
  } else if (auto* adopt = std::get_if<AdoptMasterAction>(&command.action)) {
    result = co_await Do(*adopt, deadline);
  } else if (auto* release = std::get_if<ReleaseAction>(&command.action)) {
    result = co_await Do(*release, deadline);
  } else if (auto* advance = std::get_if<AdvanceAction>(&command.action)) {
    result = co_await Do(*advance, deadline);
  } else if (auto* splice = std::get_if<SpliceAction>(&command.action)) {
    result = co_await Do(*splice, deadline);
  } else if (auto* repair = std::get_if<RepairAction>(&command.action)) {
    result = co_await Do(*repair, deadline);
  } else if (auto* compare = std::get_if<CompareAction>(&command.action)) {
    result = co_await Do(*compare, deadline);
  } else if (auto* offer = std::get_if<OfferPaddingAction>(&command.action)) {
    result = co_await Do(*offer, deadline);
  } else {
    result = Failed("this agent does not know that action");
  }
  result.id = command.id;
  if (result.outcome != Outcome::kDone) {
    std::string name(ActionName(command.action));
    result.error = "node " + command.node + ": " + name + ": " + result.error;
  }
  result.took_us = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - begin).count();
  co_return result;
}

asio::awaitable<Result<node::NodeFacts>> CommandRunner::Info(Deadline deadline) {
  milliseconds left = Left(deadline);
  if (left.count() == 0) co_return Fail(ErrorCode::kTimeout, "the command's deadline has passed");
  auto facts = co_await node_.Info(std::min(left, options_.call_timeout));
  // 1. The fence parks the node, too, and drops its clients. 2. This connection is one of them, and a
  // question is under way on it. 3. The command would fail for nothing: on another connection the answer
  // comes.
  if (!facts && facts.error().Code() == ErrorCode::kIo && Left(deadline).count() > 0)
    facts = co_await node_.Info(std::min(Left(deadline), options_.call_timeout));
  if (facts && facts->role == Role::kMaster) was_master_ = true;
  co_return facts;
}

// Once more, when the node has a master again: who came back meanwhile would be refused for ever.
asio::awaitable<void> CommandRunner::DropClientsOfAMaster() {
  if (std::exchange(was_master_, false)) co_await DropClients();
}

asio::awaitable<void> CommandRunner::DropClients() {
  (void)co_await node_.DropClients(options_.call_timeout);
}

bool CommandRunner::BelongsToRelay(const node::NodeFacts& facts) const {
  return facts.role == Role::kReplica && facts.master && SameEndpoint(*facts.master, options_.relay);
}

asio::awaitable<std::optional<CommandResult>> CommandRunner::SetMaster(Endpoint master, Deadline deadline) {
  auto set = co_await node_.SlaveOf(master, Left(deadline));
  // 1. n1 followed n2, and is promoted. 2. n2 shall follow n1, but keeps n1 in its list of replicas until it
  // next writes to that dead connection, up to some seconds later. 3. Kvrocks refuses: n1 is its replica.
  while (!set && set.error().Message().find("own replicas") != std::string::npos &&
         Left(deadline) > options_.refused_interval) {
    co_await SleepFor(options_.refused_interval);
    set = co_await node_.SlaveOf(master, Left(deadline));
  }
  if (!set && !MayHaveHappened(set.error())) co_return Failed(set.error().Message());
  if (!set) {
    // The call was lost; what INFO says now is what counts. A node that is still on its way stays unknown.
    auto facts = co_await node_.Info(options_.call_timeout);
    if (!facts || facts->role != Role::kReplica || facts->master != master) {
      co_return Unknown(set.error().Message() + "; the node may still become a replica of " +
                        master.ToString());
    }
  }
  co_return std::nullopt;
}

asio::awaitable<std::optional<CommandResult>> CommandRunner::Attach(node::NodeFacts facts,
                                                                    Deadline deadline) {
  if (!BelongsToRelay(facts)) {
    auto not_set = co_await SetMaster(options_.relay, deadline);
    if (not_set) co_return not_set;
    if (facts.role == Role::kMaster) co_await DropClients();
  }
  auto attached = co_await relay_.WaitAttached(std::min(Left(deadline), options_.attach_patience));
  if (!attached && Left(deadline).count() > 0) {
    // 1. A full sync was broken off (its relay restarted, or was parked). 2. Kvrocks asks for the files again
    // and again, and never more for the stream. 3. SLAVEOF to the same address is no change to it. So it is
    // sent elsewhere, where nobody listens, and back: that ends its replication thread.
    // Named, for GCC 12 destroys an aggregate temporary within a co_await twice.
    const Endpoint elsewhere{options_.relay.host, 1};
    auto not_sent = co_await SetMaster(elsewhere, deadline);
    if (not_sent) co_return not_sent;
    not_sent = co_await SetMaster(options_.relay, deadline);
    if (not_sent) co_return not_sent;
    attached = co_await relay_.WaitAttached(Left(deadline));
  }
  if (!attached) {
    co_return Failed("the node did not attach to its relay at " + options_.relay.ToString() + ": " +
                     attached.error().Message());
  }
  co_return std::nullopt;
}

// 1. The relay has sent a batch and parks. 2. The node applies the batch a moment later. 3. A `last` read
// in between is too low, and what is decided on it is wrong. So the node has settled when it holds all
// that the relay sent it. A node that takes writes of its own (slave-read-only no) is never there; it has
// settled when it stood still for a while.
asio::awaitable<Result<Sequence>> CommandRunner::Settle(Deadline deadline) {
  std::optional<Sequence> last;
  Clock::time_point since = Clock::now();
  std::string waits_for = "INFO was not answered";
  Pause pause(options_.poll_interval);
  while (true) {
    auto facts = co_await Info(deadline);
    if (!facts) {
      co_return Fail(facts.error().Code(),
                     "the node did not settle: " + waits_for + ": " + facts.error().Message());
    }
    if (!BelongsToRelay(*facts)) {
      waits_for = "it is " + Describe(*facts) + ", not of its relay";
    } else if (auto busy = Busy(*facts)) {
      co_return Fail(ErrorCode::kConflict, *busy);
    } else if (!facts->link_up.value_or(false)) {
      waits_for = "its link to the relay is down";
    } else if (!facts->last) {
      waits_for = "INFO says no sequence";
    } else {
      if (last != facts->last) {
        last = facts->last;
        since = Clock::now();
      } else {
        RelayReport relay = relay_.Report();
        bool holds_all = relay.node_attached && relay.node_next && *relay.node_next == *last + 1;
        // One that lags behind what it was sent is stalled, not settled: promoted now, it would drop that.
        bool lags = relay.node_attached && relay.node_next && *relay.node_next > *last + 1;
        if (holds_all || (!lags && Clock::now() - since >= options_.settle_time)) co_return *last;
        if (lags) {
          waits_for = "it was sent records up to " + (*relay.node_next - 1).ToString() + ", and holds " +
                      last->ToString();
          co_await SleepFor(pause.Next());
          continue;
        }
      }
      waits_for = "its sequence still moves";
    }
    co_await SleepFor(pause.Next());
  }
}

CommandRunner::Step CommandRunner::Do(ParkAction, Deadline deadline) {
  auto facts = co_await Info(deadline);
  // A database that is being replaced is left to it; a full sync that still fetches files is broken off
  // (nothing but these files is lost); a node that does not answer is fed no more.
  if (facts && facts->loading.value_or(false)) co_return Failed(*Busy(*facts));
  relay_.Park();
  if (!facts) co_return Failed(facts.error().Message() + "; its relay is parked");
  auto not_attached = co_await Attach(*facts, deadline);
  if (not_attached) co_return *not_attached;
  // It takes no writes any more, whether it settles or not.
  leases_.EndLease();
  auto last = co_await Settle(deadline);
  if (!last) co_return Failed(last.error().Message());
  co_return Done(*last);
}

CommandRunner::Step CommandRunner::Do(PromoteAction action, Deadline deadline) {
  auto facts = co_await Info(deadline);
  if (!facts) co_return Failed(facts.error().Message());
  if (facts->role == Role::kMaster) co_return Failed("the node is a master already", facts->last);
  if (auto busy = Busy(*facts)) co_return Failed(*busy);
  if (!BelongsToRelay(*facts)) {
    // Somebody else feeds it: it cannot be stopped at a known sequence.
    co_return Failed("the node is " + Describe(*facts) + " and not of its relay: park it first", facts->last);
  }
  if (relay_.Report().state == RelayState::kFullSync) {
    co_return Failed("the node is in a full sync: wait until it is done", facts->last);
  }
  auto too_low = [&action](Sequence last) {
    return "the node's last is " + last.ToString() + ", but at least " + action.require_last->ToString() +
           " is required";
  };
  if (auto may = leases_.MayPromote(action); !may) co_return Failed(may.error().Message(), facts->last);
  // Looked at once before anything is touched, and again when nothing can be added any more.
  if (action.require_last && facts->last && *facts->last < *action.require_last) {
    co_return Failed(too_low(*facts->last), facts->last);
  }
  relay_.Park();
  auto last = co_await Settle(deadline);
  if (!last) co_return Failed(last.error().Message() + "; the node is parked");
  if (action.require_last && *last < *action.require_last) {
    co_return Failed(too_low(*last) + "; the node is parked", *last);
  }

  auto leased = co_await leases_.TakeLease(action);
  if (!leased) co_return Failed(leased.error().Message() + "; the node is parked", *last);
  auto promoted = co_await node_.SlaveOfNoOne(Left(deadline));
  if (!promoted && !MayHaveHappened(promoted.error())) {
    leases_.EndLease();
    co_return Failed(promoted.error().Message() + "; the node is parked", *last);
  }
  std::string lost = promoted ? std::string() : promoted.error().Message() + "; ";
  // After the deadline, too: an answer may turn `unknown` into `done`.
  auto after = co_await node_.Info(options_.call_timeout);
  if (!after) co_return Unknown(lost + "the node's role is not known: " + after.error().Message(), *last);
  if (after->role != Role::kMaster) {
    co_return Unknown(lost + "the node is still " + Describe(*after) + ", and may yet become a master",
                      *last);
  }
  relay_.Idle();
  was_master_ = true;
  CommandResult result = Done(*last);
  result.last_after = after->last;
  co_return result;
}

std::optional<CommandResult> CommandRunner::NotParked(const node::NodeFacts& facts) const {
  if (auto busy = Busy(facts)) return Failed(*busy);
  if (!BelongsToRelay(facts)) {
    return Failed("the node is " + Describe(facts) + " and not parked on its relay: park it first",
                  facts.last);
  }
  if (relay_.Report().state != RelayState::kParked)
    return Failed("the relay is not parked: park the node first", facts.last);
  return std::nullopt;
}

CommandRunner::Step CommandRunner::Do(PadAction action, Deadline deadline) {
  if (action.target < action.expected_next) {
    co_return Failed("the target " + action.target.ToString() + " is before the node's expected next " +
                     action.expected_next.ToString());
  }
  auto facts = co_await Info(deadline);
  if (!facts) co_return Failed(facts.error().Message());
  if (auto not_parked = NotParked(*facts)) co_return *not_parked;
  if (!facts->last) co_return Failed("INFO says no sequence");
  const Sequence next = *facts->last + 1;
  if (next == action.target && action.target != action.expected_next) {
    // Where it should be already. By this decision, whose result was lost, or by writes that merely have
    // the same number? The marker tells.
    auto marker = co_await wal_.MarkerAt(*facts->last);
    if (!marker)
      co_return Failed("the node is at the target already, and why is not known: " +
                       marker.error().Message());
    if (*marker == action.decision) co_return Done(*facts->last);
    co_return Failed("the node is at the target already, but not by this decision", *facts->last);
  }
  if (next != action.expected_next) {
    co_return Failed("the node's next is " + next.ToString() + ", but " + action.expected_next.ToString() +
                         " was expected; nothing was padded",
                     *facts->last);
  }
  if (action.target == action.expected_next) co_return Done(*facts->last);

  auto padded = co_await relay_.Pad(action, Left(deadline));
  std::optional<Sequence> last = facts->last;
  std::string why = padded ? std::string() : padded.error().Message();
  Pause pause(options_.poll_interval);
  while (padded) {
    auto now = co_await Info(deadline);
    if (!now) {
      why = now.error().Message();
      break;
    }
    last = now->last;
    if (last && *last + 1 == action.target) co_return Done(*last);
    if (last && *last + 1 > action.target) {
      why = "the node went past the target";
      break;
    }
    co_await SleepFor(pause.Next());
  }
  co_return Failed(why + "; the node's last is " + (last ? last->ToString() : std::string("not known")) +
                       ", " + (action.target - 1).ToString() + " was to be reached; it stays parked",
                   last);
}

CommandRunner::Step CommandRunner::Do(FollowAction action, Deadline deadline) {
  auto facts = co_await Info(deadline);
  if (!facts) co_return Failed(facts.error().Message());
  if (facts->role == Role::kMaster) co_return Failed("the node is a master: park it first", facts->last);
  if (auto busy = Busy(*facts)) co_return Failed(*busy);
  if (action.expected_next && facts->last && *facts->last + 1 != *action.expected_next) {
    co_return Failed("the node's next is " + (*facts->last + 1).ToString() + ", but " +
                         action.expected_next->ToString() + " was expected; nothing was changed",
                     facts->last);
  }
  if (!BelongsToRelay(*facts)) relay_.Park();  // adoption: what attaches gets heartbeats first
  auto not_attached = co_await Attach(*facts, deadline);
  if (not_attached) co_return *not_attached;
  auto follows = co_await relay_.Follow(action, Left(deadline));
  if (!follows) co_return Failed(follows.error().Message() + "; the node is parked", facts->last);
  co_await DropClientsOfAMaster();
  auto after = co_await node_.Info(options_.call_timeout);
  co_return Done(after && after->last ? after->last : facts->last);
}

asio::awaitable<std::optional<std::string>> CommandRunner::AwaitApplied(Sequence end, Sequence* last,
                                                                        Deadline deadline,
                                                                        std::optional<RelayState> state) {
  Pause pause(options_.poll_interval);
  while (true) {
    auto facts = co_await Info(deadline);
    if (!facts) co_return facts.error().Message();
    if (facts->last) *last = *facts->last;
    if (facts->last && *facts->last + 1 == end) co_return std::nullopt;
    if (facts->last && *facts->last + 1 > end) co_return "the node went past what it was sent";
    // What was in the connection's buffers when it broke never comes: the node asks for it anew.
    RelayReport relay = relay_.Report();
    if (state && relay.state != *state) {
      co_return "the relay is " + std::string(ToString(relay.state)) + " by now" +
          (relay.error.empty() ? std::string() : ": " + relay.error);
    }
    if (relay.node_attached && relay.node_next && *relay.node_next < end) {
      co_return "the node's connection broke, and it came back at " + relay.node_next->ToString();
    }
    co_await SleepFor(pause.Next());
  }
}

CommandRunner::Step CommandRunner::Do(RescueAction action, Deadline deadline) {
  auto facts = co_await Info(deadline);
  if (!facts) co_return Failed(facts.error().Message());
  if (facts->role == Role::kMaster) co_return Failed("the node is a master", facts->last);
  const ParkAction park;
  CommandResult parked = co_await Do(park, deadline);
  if (parked.outcome != Outcome::kDone) co_return parked;
  Sequence last = *parked.last;
  auto failed = [&last, &action](const std::string& why) {
    return Failed(why + "; the node's last is " + last.ToString() + ", " + (action.target - 1).ToString() +
                      " was to be reached; it stays parked",
                  last);
  };
  const std::string what = action.alive ? "what " + action.source + " lends" : "the tail of " + action.source;
  const std::string source = what + ": ";
  if (last + 1 > action.target) {
    co_return Failed("the node is past the target " + action.target.ToString() + ": its last is " +
                         last.ToString() + "; it stays parked",
                     last);
  }
  std::uint64_t taken = 0;
  while (last + 1 != action.target) {
    const milliseconds timeout = std::min(Left(deadline), options_.peer_timeout);
    if (timeout.count() == 0) co_return failed("the command's deadline has passed");
    const Sequence next = last + 1;
    auto asked = action.alive ? peer_.Lent(action.source, action.source_url, next, kTailBytes, timeout)
                              : peer_.Tail(action.source, action.source_url, next, kTailBytes, timeout);
    auto tail = co_await std::move(asked);
    if (!tail) co_return failed(source + tail.error().Message());
    auto feed = TakeUpTo(action.target, next, std::move(*tail));
    if (!feed) co_return failed(source + feed.error().Message());
    for (const std::string& batch : feed->batches) taken += batch.size();
    if (action.max_bytes > 0 && taken > action.max_bytes) {
      co_return failed((action.alive ? what : "the tail") + " is larger than the " +
                       std::to_string(action.max_bytes) + " bytes that the policy allows (" +
                       (action.alive ? "limits.borrow" : "failover.rescue.bytes") + ")");
    }
    if (action.last_batch && feed->end == action.target &&
        !IsBatch(feed->batches.back(), *action.last_batch)) {
      co_return failed(source + "the batch that ends at " + action.target.ToString() +
                       " is another one than was decided on");
    }
    auto fed = co_await relay_.Feed(next, std::move(feed->batches), Left(deadline));
    if (!fed) {
      // Part of it may have been applied. After the deadline, too: the controller goes on from this number.
      auto now = co_await node_.Info(options_.call_timeout);
      if (now && now->last) last = *now->last;
      co_return failed(fed.error().Message());
    }
    auto not_applied = co_await AwaitApplied(feed->end, &last, deadline);
    if (not_applied) co_return failed(*not_applied);
  }
  co_return Done(last);
}

// What is kept is what the node holds: it must be the tail that was decided on, and stand still meanwhile.
CommandRunner::Step CommandRunner::Do(SalvageAction action, Deadline deadline) {
  const Sequence expected = action.range.to;
  auto facts = co_await Info(deadline);
  if (!facts) co_return Failed(facts.error().Message());
  if (auto not_parked = NotParked(*facts)) co_return *not_parked;
  if (!facts->last || *facts->last + 1 != expected) {
    co_return Failed("the node's next is " +
                         (facts->last ? (*facts->last + 1).ToString() : std::string("not known")) + ", but " +
                         expected.ToString() + " was expected; nothing was salvaged",
                     facts->last);
  }
  const bool required = action.required;
  auto kept = co_await salvages_.Keep(std::move(action), deadline);
  if (!kept) {
    std::string why = "the tail could not be salvaged: " + kept.error().Message();
    if (required) why += "; it is not given up before it is kept, unless the policy says salvage: try";
    co_return Failed(std::move(why), facts->last);
  }
  auto after = co_await node_.Info(options_.call_timeout);
  if (!after) co_return Failed(after.error().Message());
  if (!after->last || *after->last + 1 != expected) {
    co_return Failed("the node did not stand still while its tail was salvaged", after->last);
  }
  CommandResult result;
  result.outcome = Outcome::kDone;
  result.salvage = std::move(*kept);
  co_return result;
}

// 1. The filler is written in part, and the agent dies. 2. The command comes again. 3. Written anew, there
// would be more of the filler than the shift, and no splice would ever meet. So what stands in the WAL
// counts, and nothing else: before the first record is written, and when all are.
CommandRunner::Step CommandRunner::Do(AdvanceAction action, Deadline deadline) {
  auto facts = co_await Info(deadline);
  if (!facts) co_return Failed(facts.error().Message());
  if (facts->role != Role::kMaster)
    co_return Failed("the node is " + Describe(*facts) + ", not a master", facts->last);
  if (auto busy = Busy(*facts)) co_return Failed(*busy);
  std::uint64_t written = 0;
  const auto so_far = [&] {
    return "; " + std::to_string(written) + " of its " + std::to_string(action.count) +
           " no-op records are written";
  };
  const std::string decision = action.decision;
  if (facts->last && *facts->last + 1 < action.from) {
    co_return Failed("the node's next is " + (*facts->last + 1).ToString() + ", before " +
                         action.from.ToString() + " where it stood: it lost records; nothing was written",
                     facts->last);
  }
  const SequenceRange before{action.from, facts->last ? *facts->last + 1 : action.from};
  auto found = co_await wal_.FillerIn(before, decision, Left(deadline));
  // A WAL that begins there, or is empty, holds nothing of it.
  const bool stands_still = facts->last && *facts->last + 1 == action.from;
  if (!found && found.error().Code() == ErrorCode::kNotFound && stands_still) found = std::uint64_t{0};
  if (!found) {
    co_return Failed("what the WAL holds of the filler already is not known: " + found.error().Message(),
                     facts->last);
  }
  written = *found;
  const std::string marker = wal::FillerMarker(action.decision);
  while (written < action.count) {
    if (auto may = leases_.MayWrite(); !may) co_return Failed(may.error().Message() + so_far(), facts->last);
    const milliseconds left = Left(deadline);
    if (left.count() == 0) co_return Failed("the command's deadline has passed" + so_far(), facts->last);
    const std::uint64_t some = std::min<std::uint64_t>(action.count - written, wal::kMaxPadBatch);
    // The server numbers it itself.
    std::string batch = wal::MakePadBatches(Sequence(1), Sequence(1 + some), marker, "").front();
    auto applied = co_await node_.ApplyBatch(std::move(batch), left);
    if (!applied && !MayHaveHappened(applied.error())) {
      co_return Failed(applied.error().Message() + so_far(), facts->last);
    }
    if (!applied) {
      co_return Unknown(applied.error().Message() + so_far() + ", and perhaps more", facts->last);
    }
    written += some;
  }
  auto after = co_await node_.Info(options_.call_timeout);
  if (!after || !after->last)
    co_return Failed("where the node stands now is not known" + so_far(), facts->last);
  const SequenceRange behind{before.to, *after->last + 1};
  auto stands = co_await wal_.FillerIn(behind, decision, Left(deadline));
  if (!stands) {
    co_return Failed("whether the filler stands in the WAL is not known: " + stands.error().Message(),
                     after->last);
  }
  if (*found + *stands != action.count) {
    co_return Failed("the WAL holds " + std::to_string(*found + *stands) + " records of the filler, and " +
                         std::to_string(action.count) + " were commanded",
                     after->last);
  }
  co_return Done(after->last);
}

asio::awaitable<std::optional<std::string>> CommandRunner::Undo(SpliceAction* action, Sequence* last,
                                                                Deadline deadline) {
  const Sequence next = action->expected_next;
  // Known before anything is sent; the relay asks the same of the rest.
  const bool adds_up = action->fork < next && next - action->fork - 1 + action->undo_records == action->shift;
  if (!adds_up) {
    co_return "a shift of " + std::to_string(action->shift) + " is not the tail and the " +
        std::to_string(action->undo_records) + " records that take it back; nothing was changed";
  }
  auto batches = undo_.TakeUndoBatches(action->undo, next, action->decision);
  if (!batches) co_return batches.error().Message() + "; nothing was changed";
  std::uint64_t records = 0;
  for (const std::string& batch : *batches) {
    const auto header = wal::ParseBatchHeader(batch);
    records += header ? header->count : 0;
  }
  if (records != action->undo_records) {
    co_return "the plan to take the tail back has " + std::to_string(records) + " records, and " +
        std::to_string(action->undo_records) + " were commanded; nothing was changed";
  }
  if (records == 0) co_return std::nullopt;
  auto fed = co_await relay_.Feed(next, std::move(*batches), Left(deadline));
  if (!fed) co_return "taking the tail back: " + fed.error().Message();
  auto not_there = co_await AwaitApplied(next + records, last, deadline);
  if (not_there) co_return "taking the tail back: " + *not_there;
  action->expected_next = next + records;
  co_return std::nullopt;
}

// The node is read back where the numbers have met, before anything else is sent to it: there, and nowhere
// later, its number tells whether it holds exactly what was computed.
CommandRunner::Step CommandRunner::Do(SpliceAction action, Deadline deadline) {
  auto facts = co_await Info(deadline);
  if (!facts) co_return Failed(facts.error().Message());
  if (auto not_parked = NotParked(*facts)) co_return *not_parked;
  if (!facts->last || *facts->last + 1 != action.expected_next) {
    co_return Failed("the node's next is " +
                         (facts->last ? (*facts->last + 1).ToString() : std::string("not known")) + ", but " +
                         action.expected_next.ToString() + " was expected; nothing was changed",
                     facts->last);
  }
  if (!action.undo.empty()) {
    Sequence stands = *facts->last;
    auto not_undone = co_await Undo(&action, &stands, deadline);
    if (not_undone) co_return Failed(*not_undone + "; the node is parked", stands);
    facts->last = stands;
  }
  auto met = co_await relay_.Splice(action, Left(deadline));
  if (!met) {
    // It may hold a part of the replay.
    auto now = co_await node_.Info(options_.call_timeout);
    co_return Failed(met.error().Message() + "; the node is parked",
                     now && now->last ? now->last : facts->last);
  }
  Sequence last = *facts->last;
  auto not_there = co_await AwaitApplied(*met, &last, deadline, RelayState::kSplicing);
  if (!not_there) {
    const Result<void> follows = relay_.FollowOn(*met);
    if (!follows) not_there = follows.error().Message();
  }
  if (not_there) {
    relay_.Park();
    co_return Failed(*not_there + "; the node's last is " + last.ToString() + ", " + (*met - 1).ToString() +
                         " was to be reached; it is parked",
                     last);
  }
  co_await DropClientsOfAMaster();
  co_return Done(*met - 1);
}

// Paced: the server has as long for its clients as a key took.
CommandRunner::Step CommandRunner::Do(RepairAction action, Deadline deadline) {
  auto facts = co_await Info(deadline);
  if (!facts) co_return Failed(facts.error().Message());
  if (facts->role != Role::kMaster)
    co_return Failed("the node is " + Describe(*facts) + ", not a master", facts->last);
  if (auto busy = Busy(*facts)) co_return Failed(*busy);
  if (!facts->last) co_return Failed("INFO says no sequence");
  const Sequence since = *facts->last;
  CommandResult result;
  RepairReport& report = result.repair.emplace();
  std::uint64_t bytes_left = action.max_bytes;
  const std::size_t count = action.repair.size() + action.evict.size();
  std::string stopped;
  for (std::size_t i = 0; i < count; ++i) {
    if (auto may = leases_.MayWrite(); !may) stopped = may.error().Message();
    if (stopped.empty() && keys_.RoleChangeWaits()) stopped = "a command that changes its role waits";
    if (stopped.empty() && Left(deadline).count() == 0) stopped = "the command's deadline has passed";
    if (!stopped.empty()) break;
    const bool evict = i >= action.repair.size();
    const UserKeyName name = evict ? action.evict[i - action.repair.size()] : action.repair[i];
    const auto begin = Clock::now();
    Result<MendedKey> mended = Fail(ErrorCode::kUnavailable, "");
    if (evict) {
      mended = co_await keys_.Evict(name);
    } else if (action.max_bytes > 0 && bytes_left == 0) {
      mended = MendedKey{0, "the keys before it are larger than the keyspace's limits.bytes allow"};
    } else {
      mended = co_await keys_.Repair(name, bytes_left, since);
    }
    if (!mended) {
      stopped = mended.error().Message();
      break;
    }
    if (action.max_bytes > 0) bytes_left -= std::min(bytes_left, mended->bytes);
    if (!mended->why_not.empty()) {
      ++report.failed;
      if (report.failures.size() < kMostNamed) report.failures.push_back({name, mended->why_not});
    } else {
      ++(evict ? report.evicted : report.repaired);
    }
    const auto rest = std::chrono::ceil<milliseconds>(Clock::now() - begin);
    co_await SleepFor(std::min(rest, kLongestRest));
  }
  result.outcome = stopped.empty() && report.failed == 0 ? Outcome::kDone : Outcome::kFailed;
  if (!stopped.empty()) {
    result.error = std::to_string(report.repaired + report.evicted) + " of " + std::to_string(count) +
                   " keys of keyspace " + action.keyspace + " were made equal, then: " + stopped;
    if (report.failed > 0) {
      result.error += "; before that, " + std::to_string(report.failed) +
                      " could not be; the first: " + report.failures.front().why;
    }
  } else if (report.failed > 0) {
    result.error = std::to_string(report.failed) + " of " + std::to_string(count) + " keys of keyspace " +
                   action.keyspace + " could not be made equal; the first: " + report.failures.front().why;
  }
  co_return result;
}

CommandRunner::Step CommandRunner::Do(CompareAction action, Deadline deadline) {
  auto facts = co_await Info(deadline);
  if (!facts) co_return Failed(facts.error().Message());
  if (!BelongsToRelay(*facts) || relay_.Report().state != RelayState::kFollowing) {
    co_return Failed("the node does not follow its master: what it holds cannot be compared", facts->last);
  }
  auto comparison = co_await keys_.Compare(std::move(action), deadline);
  if (!comparison) co_return Failed(comparison.error().Message(), facts->last);
  CommandResult result;
  result.outcome = Outcome::kDone;
  result.comparison = std::move(*comparison);
  co_return result;
}

CommandRunner::Step CommandRunner::Do(OfferPaddingAction action, Deadline deadline) {
  auto facts = co_await Info(deadline);
  if (!facts) co_return Failed(facts.error().Message());
  // Switched off it may be whatever the node is by now.
  if (action.on && facts->role != Role::kMaster) {
    co_return Failed("the node is " + Describe(*facts) + ", not a master", facts->last);
  }
  const std::string value = action.on ? "yes" : "no";
  auto set = co_await node_.Configure(std::string(kPaddingSetting), value, Left(deadline));
  if (!set)
    co_return Failed(std::string(kPaddingSetting) + " " + value + ": " + set.error().Message(), facts->last);
  co_return Done(facts->last);
}

CommandRunner::Step CommandRunner::Do(FullSyncAction action, Deadline deadline) {
  auto facts = co_await Info(deadline);
  if (!facts) co_return Failed(facts.error().Message());
  if (facts->role == Role::kMaster) co_return Failed("the node is a master: park it first", facts->last);
  if (auto busy = Busy(*facts)) co_return Failed(*busy);
  if (!BelongsToRelay(*facts)) {
    co_return Failed("the node is " + Describe(*facts) + " and not of its relay: park it first", facts->last);
  }
  auto begun = co_await relay_.FullSync(action, Left(deadline));
  if (!begun) {
    // Once the node has been refused it may begin at any moment.
    std::string why = begun.error().Message();
    if (begun.error().Code() == ErrorCode::kTimeout) co_return Unknown(why, facts->last);
    co_return Failed(why, facts->last);
  }
  co_await DropClientsOfAMaster();
  co_return Done(facts->last);
}

CommandRunner::Step CommandRunner::Do(AdoptMasterAction action, Deadline deadline) {
  auto facts = co_await Info(deadline);
  if (!facts) co_return Failed(facts.error().Message());
  if (facts->role != Role::kMaster)
    co_return Failed("the node is " + Describe(*facts) + ", not a master", facts->last);
  auto leased = co_await leases_.TakeLease(action);
  if (!leased) co_return Failed(leased.error().Message(), facts->last);
  relay_.Idle();
  co_return Done(facts->last);
}

CommandRunner::Step CommandRunner::Do(ReleaseAction action, Deadline deadline) {
  auto facts = co_await Info(deadline);
  if (!facts) co_return Failed(facts.error().Message());
  if (!action.upstream) {
    if (facts->role != Role::kMaster) {
      co_return Failed("the node is " + Describe(*facts) + ": say which upstream it shall have", facts->last);
    }
    auto forgotten = co_await leases_.ForgetLease();
    if (!forgotten) co_return Failed(forgotten.error().Message(), facts->last);
    relay_.Idle();
    co_return Done(facts->last);
  }
  if (facts->role == Role::kMaster) {
    co_return Failed("the node is a master, and cannot be given an upstream: park it first", facts->last);
  }
  if (options_.tls_only) {
    // 1. The node is told to follow another server directly. 2. That is reached by TLS alone, and the node
    // speaks in plain. 3. It stands still, released, and nobody looks after it.
    co_return Failed(
        "the other nodes' servers are reached by TLS (upstreamTls), and the node itself replicates "
        "in plain: take upstreamTls out of the agents' configurations first",
        facts->last);
  }
  if (auto busy = Busy(*facts)) co_return Failed(*busy);
  if (facts->master != action.upstream) {
    auto not_set = co_await SetMaster(*action.upstream, deadline);
    if (not_set) co_return *not_set;
  }
  auto forgotten = co_await leases_.ForgetLease();
  if (!forgotten) co_return Failed(forgotten.error().Message(), facts->last);
  relay_.Idle();
  auto after = co_await node_.Info(options_.call_timeout);
  co_return Done(after && after->last ? after->last : facts->last);
}

}  // namespace walstitch::agent
