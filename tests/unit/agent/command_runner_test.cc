#include "agents/agent/command_runner.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "agents/wal/batch_digest.h"
#include "agents/wal/filler.h"
#include "agents/wal/marker.h"

namespace walstitch::agent {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;

const Endpoint kRelay{"127.0.0.1", 7666};
const Endpoint kUpstream{"10.0.0.2", 6666};

// A batch's header alone: nothing here looks into its records.
std::string Batch(std::uint64_t first, std::uint32_t count) {
  std::string batch;
  for (int i = 0; i < 8; ++i) batch.push_back(static_cast<char>(first >> (8 * i)));
  for (int i = 0; i < 4; ++i) batch.push_back(static_cast<char>(count >> (8 * i)));
  return batch;
}

TailBatches TailOf(const std::vector<std::string>& batches, std::uint64_t next) {
  TailBatches tail;
  for (const std::string& batch : batches) tail.batches.push_back(RangeBytes{batch});
  tail.next = Sequence(next);
  return tail;
}

// A node, its relay, its WAL, its peer, its leases and its salvages in one, with everything that was asked of
// them in `asked`. Replies come at once; `lose_*` makes the call's answer get lost, with or without its
// effect.
struct World : NodeControl,
               RelayControl,
               WalControl,
               PeerWal,
               LeaseControl,
               SalvageControl,
               UndoControl,
               KeyControl {
  std::vector<std::string> asked;
  node::NodeFacts facts;
  RelayReport relay;
  bool info_lost = false;
  bool connection_lost = false;  // once
  std::optional<Error> slave_of_error;
  bool slave_of_has_effect = true;
  int own_replica_refusals = 0;
  std::optional<Error> relay_error;
  std::uint64_t pad_lacks = 0;  // records that the node does not apply
  std::uint64_t in_flight = 0;  // batches that arrive one for each INFO, then none
  std::string marker;
  std::function<void(World&)> on_info;
  std::vector<Result<TailBatches>> tails;  // one for each time that the peer is asked, then an error
  std::size_t tails_given = 0;
  std::vector<std::string> fed;
  std::uint64_t feed_lacks = 0;  // records that the node does not apply
  std::optional<Error> lease_error;
  std::optional<Error> take_error;

  World() {
    facts.role = Role::kReplica;
    facts.master = kRelay;
    facts.link_up = true;
    facts.loading = false;
    facts.sync_in_progress = false;
    facts.last = Sequence(100);
    relay.state = RelayState::kParked;
    relay.node_attached = true;
    relay.node_next = Sequence(101);
  }

  asio::awaitable<Result<node::NodeFacts>> Info(milliseconds) override {
    if (on_info) on_info(*this);
    if (info_lost) co_return Fail(ErrorCode::kTimeout, "INFO: no answer");
    if (std::exchange(connection_lost, false))
      co_return Fail(ErrorCode::kIo, "INFO: the connection was lost");
    if (in_flight > 0) {
      --in_flight;
      facts.last = *facts.last + 1;
    }
    co_return facts;
  }
  asio::awaitable<Result<void>> SlaveOf(Endpoint master, milliseconds) override {
    asked.push_back("slaveof " + master.ToString());
    if (own_replica_refusals > 0) {
      --own_replica_refusals;
      co_return Fail(ErrorCode::kConflict,
                     "SLAVEOF: the node answered: ERR can't replicate your own replicas");
    }
    if (slave_of_has_effect) {
      facts.role = Role::kReplica;
      facts.master = master;
      facts.link_up = true;
      facts.sync_in_progress = false;
      relay.node_attached = master == kRelay;
      relay.node_next = *facts.last + 1;
    }
    if (slave_of_error) co_return Fail(*slave_of_error);
    co_return Result<void>();
  }
  asio::awaitable<Result<void>> SlaveOfNoOne(milliseconds) override {
    asked.push_back("slaveof no one");
    if (slave_of_has_effect) {
      facts.role = Role::kMaster;
      facts.master.reset();
    }
    if (slave_of_error) co_return Fail(*slave_of_error);
    co_return Result<void>();
  }
  asio::awaitable<Result<void>> DropClients(milliseconds) override {
    asked.push_back("drop clients");
    co_return Result<void>();
  }

  [[nodiscard]] RelayReport Report() const override { return relay; }
  void Park() override {
    asked.push_back("park");
    relay.state = RelayState::kParked;
  }
  void Idle() override {
    asked.push_back("idle");
    relay.state = RelayState::kIdle;
  }
  asio::awaitable<Result<Sequence>> WaitAttached(milliseconds) override {
    if (!relay.node_attached) co_return Fail(ErrorCode::kTimeout, "the node did not come");
    co_return *relay.node_next;
  }
  asio::awaitable<Result<void>> Pad(PadAction action, milliseconds) override {
    asked.push_back("pad");
    if (relay_error) co_return Fail(*relay_error);
    facts.last = action.target - 1 - pad_lacks;
    co_return Result<void>();
  }
  asio::awaitable<Result<void>> Follow(FollowAction action, milliseconds) override {
    asked.push_back("follow " + action.upstream.ToString());
    if (relay_error) co_return Fail(*relay_error);
    relay.state = RelayState::kFollowing;
    co_return Result<void>();
  }
  asio::awaitable<Result<Sequence>> Splice(SpliceAction action, milliseconds) override {
    asked.push_back("splice " + action.fork.ToString());
    spliced_from = action.expected_next;
    if (relay_error) {
      relay.state = RelayState::kParked;
      co_return Fail(*relay_error);
    }
    relay.state = RelayState::kSplicing;
    relay.node_next = splice_met;
    facts.last = splice_met - 1 - splice_lacks;
    co_return splice_met;
  }
  Result<void> FollowOn(Sequence met) override {
    asked.push_back("follow on from " + met.ToString());
    if (follow_on_error) return Fail(*follow_on_error);
    relay.state = RelayState::kFollowing;
    return {};
  }
  Sequence splice_met{150};
  std::uint64_t splice_lacks = 0;  // records that the node does not apply
  std::optional<Error> follow_on_error;
  asio::awaitable<Result<void>> ApplyBatch(std::string batch, milliseconds) override {
    asked.emplace_back("apply");
    if (apply_error && applies_before_error == 0) co_return Fail(*apply_error);
    if (applies_before_error > 0) --applies_before_error;
    auto count = wal::CountFiller(batch, wal::FillerMarker("D"));
    filler += count.value_or(0);
    facts.last = *facts.last + count.value_or(0) - filler_lost;
    filler -= filler_lost;
    co_return Result<void>();
  }
  asio::awaitable<Result<std::uint64_t>> FillerIn(SequenceRange range, std::string decision,
                                                  milliseconds /*timeout*/) override {
    EXPECT_EQ(decision, "D");
    asked.push_back("filler in " + range.ToString());
    if (wal_error) co_return Fail(*wal_error);
    co_return filler - std::exchange(filler_told, filler);
  }
  Result<std::vector<std::string>> TakeUndoBatches(const std::string& digest, Sequence first,
                                                   const std::string& decision) override {
    if (digest != "plan") return Fail(ErrorCode::kConflict, "the plan is not known any more");
    return wal::MakePadBatches(first, first + undo_records, wal::UndoMarker(decision), "");
  }
  std::uint64_t undo_records = 3;

  asio::awaitable<Result<Comparison>> Compare(CompareAction action, KeyControl::Deadline) override {
    if (compare_error) co_return Fail(*compare_error);
    Comparison comparison;
    comparison.equal = action.keys.size();
    co_return comparison;
  }
  asio::awaitable<Result<MendedKey>> Repair(UserKeyName name, std::uint64_t max_bytes, Sequence) override {
    asked.push_back("repair " + name.key + (max_bytes > 0 ? " of " + std::to_string(max_bytes) : ""));
    if (mend_error) co_return Fail(*mend_error);
    co_return MendedKey{10, name.key == "odd" ? "of a type that cannot be" : ""};
  }
  asio::awaitable<Result<MendedKey>> Evict(UserKeyName name) override {
    asked.push_back("evict " + name.key);
    co_return MendedKey{};
  }
  [[nodiscard]] bool RoleChangeWaits() const override { return role_change_waits; }
  asio::awaitable<Result<void>> Configure(std::string name, std::string value, milliseconds) override {
    asked.push_back(name + " " + value);
    if (configure_error) co_return Fail(*configure_error);
    co_return Result<void>();
  }
  std::optional<Error> configure_error;
  std::optional<Error> compare_error;
  std::optional<Error> mend_error;
  bool role_change_waits = false;

  Sequence spliced_from;
  [[nodiscard]] Result<void> MayWrite() const override {
    if (lease_error) return Fail(*lease_error);
    return {};
  }
  std::uint64_t filler = 0;       // that stands in the WAL
  std::uint64_t filler_told = 0;  // of it, in the ranges that were asked about
  std::uint64_t filler_lost = 0;  // of what is written at a time
  std::optional<Error> apply_error;
  int applies_before_error = 0;
  std::optional<Error> wal_error;
  asio::awaitable<Result<void>> FullSync(FullSyncAction action, milliseconds) override {
    asked.push_back("fullsync " + action.upstream.ToString());
    if (relay_error) co_return Fail(*relay_error);
    co_return Result<void>();
  }
  asio::awaitable<Result<void>> Feed(Sequence expected_next, std::vector<std::string> batches,
                                     milliseconds) override {
    asked.push_back("feed " + expected_next.ToString());
    if (relay_error) co_return Fail(*relay_error);
    for (const std::string& batch : batches) {
      fed.push_back(batch);
      relay.node_next = *relay.node_next + static_cast<unsigned char>(batch[8]);
    }
    facts.last = *relay.node_next - 1 - feed_lacks;
    co_return Result<void>();
  }
  asio::awaitable<Result<std::string>> MarkerAt(Sequence) override { co_return marker; }
  asio::awaitable<Result<TailBatches>> Tail(std::string, std::string url, Sequence from,
                                            std::uint64_t max_bytes, milliseconds) override {
    asked.push_back("tail " + url + " " + from.ToString());
    EXPECT_LE(max_bytes, std::uint64_t{4} << 20);
    if (tails_given == tails.size()) co_return Fail(ErrorCode::kUnavailable, "the peer is gone");
    co_return tails[tails_given++];
  }
  asio::awaitable<Result<TailBatches>> Lent(std::string, std::string url, Sequence from, std::uint64_t,
                                            milliseconds) override {
    asked.push_back("lent " + url + " " + from.ToString());
    if (tails_given == tails.size()) co_return Fail(ErrorCode::kUnavailable, "the peer is gone");
    co_return tails[tails_given++];
  }
  Result<void> MayPromote(const PromoteAction&) override {
    if (lease_error) return Fail(*lease_error);
    return {};
  }
  asio::awaitable<Result<void>> TakeLease(PromoteAction) override { co_return Take("promotion"); }
  asio::awaitable<Result<void>> TakeLease(AdoptMasterAction) override { co_return Take("adoption"); }
  Result<void> Take(const std::string& what) {
    if (take_error) return Fail(*take_error);
    leases.push_back("taken by " + what);
    return {};
  }
  void EndLease() override { leases.emplace_back("ended"); }
  asio::awaitable<Result<void>> ForgetLease() override {
    if (take_error) co_return Fail(*take_error);
    leases.emplace_back("forgotten");
    co_return Result<void>();
  }
  std::vector<std::string> leases;  // what came of them
  asio::awaitable<Result<SalvageRef>> Keep(SalvageAction action,
                                           std::chrono::steady_clock::time_point) override {
    asked.push_back("salvage " + action.range.ToString());
    if (moves_meanwhile) facts.last = *facts.last + 1;
    if (salvage_error) co_return Fail(*salvage_error);
    SalvageRef salvage;
    salvage.id = action.decision;
    co_return salvage;
  }
  std::optional<Error> salvage_error;
  bool moves_meanwhile = false;
};

class CommandRunnerTest : public ::testing::Test {
 protected:
  CommandResult Run(Action action, milliseconds deadline = milliseconds(5000)) {
    CommandRunner runner(world_, world_, world_, world_, world_, world_, world_, world_, QuickOptions());
    return RunOn(runner, std::move(action), deadline);
  }
  RunnerOptions QuickOptions() const {
    RunnerOptions options;
    options.relay = kRelay;
    options.tls_only = tls_only_;
    options.poll_interval = milliseconds(1);
    options.settle_time = milliseconds(100);
    options.refused_interval = milliseconds(1);
    return options;
  }
  CommandResult RunOn(CommandRunner& runner, Action action, milliseconds deadline = milliseconds(5000)) {
    Command command;
    command.id = "c1";
    command.node = "n1";
    command.group = "shop";
    command.action = std::move(action);
    asio::io_context context(1);
    CommandResult result;
    asio::co_spawn(context, runner.Run(command, std::chrono::steady_clock::now() + deadline),
                   [&](std::exception_ptr broken, CommandResult value) {
                     if (broken) std::rethrow_exception(broken);
                     result = std::move(value);
                   });
    context.run();
    EXPECT_EQ(result.id, "c1");
    EXPECT_EQ(result.error.empty(), result.outcome == Outcome::kDone) << result.error;
    return result;
  }
  void MakeMaster() {
    world_.facts.role = Role::kMaster;
    world_.facts.master.reset();
    world_.facts.link_up.reset();
    world_.relay.state = RelayState::kIdle;
    world_.relay.node_attached = false;
  }
  using Asked = std::vector<std::string>;

  World world_;
  bool tls_only_ = false;
};

// park

TEST_F(CommandRunnerTest, ParkOfTheRelaysReplicaOnlyParksTheRelay) {
  world_.relay.state = RelayState::kFollowing;
  CommandResult result = Run(ParkAction{});
  EXPECT_EQ(result.outcome, Outcome::kDone);
  EXPECT_EQ(result.last, Sequence(100));
  EXPECT_EQ(world_.asked, (Asked{"park"}));
}

TEST_F(CommandRunnerTest, ParkOfAMasterMakesItTheRelaysReplica) {
  MakeMaster();
  CommandResult result = Run(ParkAction{});
  EXPECT_EQ(result.outcome, Outcome::kDone) << result.error;
  EXPECT_EQ(world_.asked, (Asked{"park", "slaveof 127.0.0.1:7666", "drop clients"}));
}

TEST_F(CommandRunnerTest, ClientsOfAnOldMasterAreDroppedOnceMoreWhenItFollowsTheNewOne) {
  CommandRunner runner(world_, world_, world_, world_, world_, world_, world_, world_, QuickOptions());
  MakeMaster();
  ASSERT_EQ(RunOn(runner, ParkAction{}).outcome, Outcome::kDone);
  world_.asked.clear();
  FollowAction follow;
  follow.upstream = {"10.0.0.2", 6666};
  EXPECT_EQ(RunOn(runner, follow).outcome, Outcome::kDone);
  EXPECT_EQ(std::count(world_.asked.begin(), world_.asked.end(), "drop clients"), 1);
  world_.asked.clear();
  EXPECT_EQ(RunOn(runner, follow).outcome, Outcome::kDone);
  EXPECT_EQ(std::count(world_.asked.begin(), world_.asked.end(), "drop clients"), 0);
}

TEST_F(CommandRunnerTest, ClientsOfAnOldMasterAreDroppedOnceMoreWhenItIsCopiedAnew) {
  CommandRunner runner(world_, world_, world_, world_, world_, world_, world_, world_, QuickOptions());
  MakeMaster();
  ASSERT_EQ(RunOn(runner, ParkAction{}).outcome, Outcome::kDone);
  world_.asked.clear();
  FullSyncAction copy;
  copy.upstream = {"10.0.0.2", 6666};
  CommandResult result = RunOn(runner, copy);
  EXPECT_EQ(result.outcome, Outcome::kDone) << result.error;
  EXPECT_EQ(std::count(world_.asked.begin(), world_.asked.end(), "drop clients"), 1);
}

TEST_F(CommandRunnerTest, ParkOutlivesAConnectionThatIsDroppedWithTheClients) {
  MakeMaster();
  world_.on_info = [first = true](World& world) mutable {
    if (std::exchange(first, false)) world.connection_lost = true;
  };
  CommandResult result = Run(ParkAction{});
  EXPECT_EQ(result.outcome, Outcome::kDone) << result.error;
}

TEST_F(CommandRunnerTest, ParkWaitsForWhatIsStillInFlight) {
  world_.in_flight = 5;
  world_.relay.node_next = Sequence(106);
  EXPECT_EQ(Run(ParkAction{}).last, Sequence(105));
}

TEST_F(CommandRunnerTest, ParkOfANodeThatWritesByItselfEndsWhenItStandsStill) {
  world_.relay.node_next = Sequence(90);
  EXPECT_EQ(Run(ParkAction{}).last, Sequence(100));
}

TEST_F(CommandRunnerTest, ParkOfASilentNodeParksItsRelay) {
  world_.info_lost = true;
  CommandResult result = Run(ParkAction{});
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_EQ(world_.asked, (Asked{"park"}));
}

TEST_F(CommandRunnerTest, ParkLeavesADatabaseAloneThatIsBeingReplaced) {
  world_.facts.loading = true;
  EXPECT_EQ(Run(ParkAction{}).outcome, Outcome::kFailed);
  EXPECT_TRUE(world_.asked.empty());
}

TEST_F(CommandRunnerTest, ParkBreaksOffAFullSyncThatStillFetches) {
  world_.facts.sync_in_progress = true;
  world_.relay.node_attached = false;
  EXPECT_EQ(Run(ParkAction{}).outcome, Outcome::kDone);
  EXPECT_EQ(world_.asked, (Asked{"park", "slaveof 127.0.0.1:1", "slaveof " + kRelay.ToString()}));
}

TEST_F(CommandRunnerTest, ANodeThatLagsBehindWhatItWasSentHasNotSettled) {
  world_.relay.node_next = Sequence(120);
  EXPECT_EQ(Run(ParkAction{}, milliseconds(400)).outcome, Outcome::kFailed);
}

TEST_F(CommandRunnerTest, ParkWhoseSlaveOfWasLostIsProvenByInfo) {
  MakeMaster();
  world_.slave_of_error = Error(ErrorCode::kTimeout, "SLAVEOF: no answer");
  EXPECT_EQ(Run(ParkAction{}).outcome, Outcome::kDone);
}

TEST_F(CommandRunnerTest, ParkWhoseSlaveOfWasLostAndNotSeenIsUnknown) {
  MakeMaster();
  world_.slave_of_error = Error(ErrorCode::kTimeout, "SLAVEOF: no answer");
  world_.slave_of_has_effect = false;
  EXPECT_EQ(Run(ParkAction{}).outcome, Outcome::kUnknown);
}

TEST_F(CommandRunnerTest, ParkWhoseSlaveOfWasRefusedHasFailed) {
  MakeMaster();
  world_.slave_of_error = Error(ErrorCode::kConflict, "SLAVEOF: the node answered: ERR no");
  world_.slave_of_has_effect = false;
  CommandResult result = Run(ParkAction{});
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_EQ(result.error, "node n1: park: SLAVEOF: the node answered: ERR no");
}

TEST_F(CommandRunnerTest, DeadlineEndsAParkThatDoesNotSettle) {
  world_.facts.link_up = false;
  CommandResult result = Run(ParkAction{}, milliseconds(50));
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_NE(result.error.find("its link to the relay is down"), std::string::npos) << result.error;
}

// promote

TEST_F(CommandRunnerTest, PromoteStopsTheFeedFirst) {
  world_.relay.state = RelayState::kFollowing;
  CommandResult result = Run(PromoteAction{});
  EXPECT_EQ(result.outcome, Outcome::kDone) << result.error;
  EXPECT_EQ(result.last, Sequence(100));
  EXPECT_EQ(result.last_after, Sequence(100));
  EXPECT_EQ(world_.asked, (Asked{"park", "slaveof no one", "idle"}));
}

TEST_F(CommandRunnerTest, PromoteTellsTheForkPointAfterAllIsApplied) {
  world_.in_flight = 3;
  world_.relay.node_next = Sequence(104);
  EXPECT_EQ(Run(PromoteAction{}).last, Sequence(103));
}

TEST_F(CommandRunnerTest, PromoteOfANodeThatIsBehindTouchesNothing) {
  CommandResult result = Run(PromoteAction{Sequence(101)});
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_TRUE(world_.asked.empty());
  EXPECT_EQ(Run(PromoteAction{Sequence(100)}).outcome, Outcome::kDone);
}

TEST_F(CommandRunnerTest, PromoteIsRefusedForAMaster) {
  MakeMaster();
  EXPECT_EQ(Run(PromoteAction{}).outcome, Outcome::kFailed);
  EXPECT_TRUE(world_.asked.empty());
}

TEST_F(CommandRunnerTest, PromoteIsRefusedWhileLoadingOrInAFullSync) {
  world_.facts.loading = true;
  EXPECT_EQ(Run(PromoteAction{}).outcome, Outcome::kFailed);
  world_.facts.loading = false;
  world_.facts.sync_in_progress = true;
  EXPECT_EQ(Run(PromoteAction{}).outcome, Outcome::kFailed);
  world_.facts.sync_in_progress = false;
  world_.relay.state = RelayState::kFullSync;
  EXPECT_EQ(Run(PromoteAction{}).outcome, Outcome::kFailed);
  EXPECT_TRUE(world_.asked.empty());
}

TEST_F(CommandRunnerTest, PromoteIsRefusedForAReplicaOfSomebodyElse) {
  world_.facts.master = kUpstream;
  EXPECT_EQ(Run(PromoteAction{}).outcome, Outcome::kFailed);
  EXPECT_TRUE(world_.asked.empty());
}

TEST_F(CommandRunnerTest, PromoteWhoseAnswerWasLostIsProvenByInfo) {
  world_.slave_of_error = Error(ErrorCode::kTimeout, "SLAVEOF: no answer");
  EXPECT_EQ(Run(PromoteAction{}).outcome, Outcome::kDone);
}

TEST_F(CommandRunnerTest, PromoteWhoseAnswerWasLostAndNotSeenIsUnknown) {
  world_.slave_of_error = Error(ErrorCode::kTimeout, "SLAVEOF: no answer");
  world_.slave_of_has_effect = false;
  CommandResult result = Run(PromoteAction{});
  EXPECT_EQ(result.outcome, Outcome::kUnknown);
  EXPECT_EQ(result.last, Sequence(100));
  EXPECT_EQ(world_.relay.state, RelayState::kParked);
}

TEST_F(CommandRunnerTest, PromoteThatWasRefusedHasFailed) {
  world_.slave_of_error = Error(ErrorCode::kConflict, "SLAVEOF: the node answered: ERR no");
  world_.slave_of_has_effect = false;
  EXPECT_EQ(Run(PromoteAction{}).outcome, Outcome::kFailed);
}

// pad

PadAction PadTo(std::uint64_t expected_next, std::uint64_t target) {
  return {Sequence(expected_next), Sequence(target), "d1", ""};
}

TEST_F(CommandRunnerTest, PadEndsOneBeforeTheTarget) {
  CommandResult result = Run(PadTo(101, 150));
  EXPECT_EQ(result.outcome, Outcome::kDone) << result.error;
  EXPECT_EQ(result.last, Sequence(149));
  EXPECT_EQ(world_.asked, (Asked{"pad"}));
}

TEST_F(CommandRunnerTest, PadOfZeroWritesNothing) {
  EXPECT_EQ(Run(PadTo(101, 101)).outcome, Outcome::kDone);
  EXPECT_TRUE(world_.asked.empty());
}

TEST_F(CommandRunnerTest, PadFromAnotherSequenceThanExpectedIsRefused) {
  EXPECT_EQ(Run(PadTo(100, 150)).outcome, Outcome::kFailed);
  EXPECT_EQ(Run(PadTo(102, 150)).outcome, Outcome::kFailed);
  EXPECT_EQ(Run(PadTo(102, 101)).outcome, Outcome::kFailed);  // backwards
  EXPECT_TRUE(world_.asked.empty());
}

TEST_F(CommandRunnerTest, PadThatWasDoneBeforeIsKnownByItsMarker) {
  world_.marker = "d1";
  EXPECT_EQ(Run(PadTo(50, 101)).outcome, Outcome::kDone);
  world_.marker = "d0";
  EXPECT_EQ(Run(PadTo(50, 101)).outcome, Outcome::kFailed);
  world_.marker = "";
  EXPECT_EQ(Run(PadTo(50, 101)).outcome, Outcome::kFailed);
  EXPECT_TRUE(world_.asked.empty());
}

TEST_F(CommandRunnerTest, PadOfANodeThatIsNotParkedIsRefused) {
  world_.relay.state = RelayState::kFollowing;
  EXPECT_EQ(Run(PadTo(101, 150)).outcome, Outcome::kFailed);
  EXPECT_EQ(Run(PadTo(101, 101)).outcome, Outcome::kFailed);
  EXPECT_TRUE(world_.asked.empty());
}

TEST_F(CommandRunnerTest, PadThatDoesNotArriveHasFailed) {
  world_.pad_lacks = 1;
  CommandResult result = Run(PadTo(101, 150), milliseconds(50));
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_EQ(result.last, Sequence(148));
  EXPECT_NE(result.error.find("it stays parked"), std::string::npos);
}

TEST_F(CommandRunnerTest, PadThatGoesPastTheTargetHasFailed) {
  world_.pad_lacks = static_cast<std::uint64_t>(-1);
  EXPECT_EQ(Run(PadTo(101, 150)).outcome, Outcome::kFailed);
}

// follow

TEST_F(CommandRunnerTest, FollowGivesTheRelayItsUpstream) {
  CommandResult result = Run(FollowAction{kUpstream, Sequence(101)});
  EXPECT_EQ(result.outcome, Outcome::kDone) << result.error;
  EXPECT_EQ(world_.asked, (Asked{"follow 10.0.0.2:6666"}));
}

TEST_F(CommandRunnerTest, FollowAdoptsAReplicaOfSomebodyElse) {
  world_.facts.master = kUpstream;
  world_.relay.state = RelayState::kIdle;
  EXPECT_EQ(Run(FollowAction{kUpstream, std::nullopt}).outcome, Outcome::kDone);
  EXPECT_EQ(world_.asked, (Asked{"park", "slaveof 127.0.0.1:7666", "follow 10.0.0.2:6666"}));
}

TEST_F(CommandRunnerTest, FollowFromAnotherSequenceThanExpectedIsRefused) {
  EXPECT_EQ(Run(FollowAction{kUpstream, Sequence(102)}).outcome, Outcome::kFailed);
  EXPECT_TRUE(world_.asked.empty());
}

TEST_F(CommandRunnerTest, FollowNeverDemotesAMaster) {
  MakeMaster();
  EXPECT_EQ(Run(FollowAction{kUpstream, std::nullopt}).outcome, Outcome::kFailed);
  EXPECT_TRUE(world_.asked.empty());
}

TEST_F(CommandRunnerTest, FollowThatTheUpstreamRefusesHasFailed) {
  world_.relay_error = Error(ErrorCode::kConflict, "10.0.0.2:6666: PSYNC refused");
  CommandResult result = Run(FollowAction{kUpstream, std::nullopt});
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_EQ(result.error, "node n1: follow: 10.0.0.2:6666: PSYNC refused; the node is parked");
}

// rescue

const std::string kPeer = "http://10.0.0.3:7667";

RescueAction RescueTo(std::uint64_t target) { return {"n3", kPeer, Sequence(target)}; }

class RescueTest : public CommandRunnerTest {
 protected:
  // Fails, with the node parked at `last` and so many batches fed to it, for a reason that has these words.
  void ExpectFailed(const CommandResult& result, std::uint64_t last, std::size_t fed,
                    const std::string& words) {
    EXPECT_EQ(result.outcome, Outcome::kFailed);
    EXPECT_EQ(result.last, Sequence(last));
    EXPECT_NE(result.error.find(words), std::string::npos) << result.error;
    EXPECT_NE(result.error.find("stays parked"), std::string::npos) << result.error;
    EXPECT_EQ(world_.fed.size(), fed);
    EXPECT_EQ(world_.relay.state, RelayState::kParked);
  }
};

TEST_F(RescueTest, ANodeThatIsThereAlreadyIsDoneAndNobodyIsAsked) {
  CommandResult result = Run(RescueTo(101));
  EXPECT_EQ(result.outcome, Outcome::kDone) << result.error;
  EXPECT_EQ(result.last, Sequence(100));
  EXPECT_EQ(world_.asked, (Asked{"park"}));
}

TEST_F(RescueTest, ANodePastTheTargetHasFailedAndNobodyIsAsked) {
  ExpectFailed(Run(RescueTo(100)), 100, 0, "is past the target 100");
  EXPECT_EQ(world_.asked, (Asked{"park"}));
}

TEST_F(RescueTest, SeveralRoundsReachTheTarget) {
  world_.relay.state = RelayState::kFollowing;
  world_.tails = {TailOf({Batch(101, 2), Batch(103, 1)}, 104), TailOf({Batch(104, 6)}, 110)};
  CommandResult result = Run(RescueTo(110));
  EXPECT_EQ(result.outcome, Outcome::kDone) << result.error;
  EXPECT_EQ(result.last, Sequence(109));
  EXPECT_EQ(world_.asked,
            (Asked{"park", "tail " + kPeer + " 101", "feed 101", "tail " + kPeer + " 104", "feed 104"}));
  EXPECT_EQ(world_.fed, (std::vector<std::string>{Batch(101, 2), Batch(103, 1), Batch(104, 6)}));
}

TEST_F(RescueTest, ANodeThatIsAliveIsAskedForWhatItLends) {
  RescueAction borrow = RescueTo(105);
  borrow.alive = true;
  borrow.last_batch = BatchInfo{Sequence(101), 4, Batch(101, 4).size(), wal::DigestOf(Batch(101, 4)), ""};
  world_.tails = {TailOf({Batch(101, 4), Batch(105, 1)}, 106)};
  CommandResult result = Run(borrow);
  EXPECT_EQ(result.outcome, Outcome::kDone) << result.error;
  EXPECT_EQ(world_.asked, (Asked{"park", "lent " + kPeer + " 101", "feed 101"}));
}

TEST_F(RescueTest, WhatEndsWithAnotherBatchThanWasDecidedOnIsNotTaken) {
  RescueAction borrow = RescueTo(105);
  borrow.alive = true;
  borrow.last_batch = BatchInfo{Sequence(101), 4, Batch(101, 4).size(), wal::DigestOf("another"), ""};
  world_.tails = {TailOf({Batch(101, 4)}, 105)};
  ExpectFailed(Run(borrow), 100, 0, "what n3 lends: the batch that ends at 105 is another one");
}

TEST_F(RescueTest, MoreThanMayBeBorrowedIsNotTaken) {
  RescueAction borrow = RescueTo(110);
  borrow.alive = true;
  borrow.max_bytes = Batch(101, 9).size() - 1;
  world_.tails = {TailOf({Batch(101, 9)}, 110)};
  ExpectFailed(Run(borrow), 100, 0, "limits.borrow");
}

TEST_F(RescueTest, WhatBeginsAtTheTargetOrBehindItIsLeftOut) {
  world_.tails = {TailOf({Batch(101, 4), Batch(105, 1), Batch(106, 9)}, 115)};
  CommandResult result = Run(RescueTo(105));
  EXPECT_EQ(result.outcome, Outcome::kDone) << result.error;
  EXPECT_EQ(world_.fed, (std::vector<std::string>{Batch(101, 4)}));
}

TEST_F(RescueTest, ABatchThatStraddlesTheTargetFailsBeforeAnythingOfItsAnswerIsFed) {
  world_.tails = {TailOf({Batch(101, 4), Batch(105, 3)}, 108)};
  ExpectFailed(Run(RescueTo(106)), 100, 0, "reaches beyond the target 106");
}

TEST_F(RescueTest, AnErrorOfThePeerTellsHowFarItCame) {
  world_.tails = {TailOf({Batch(101, 4)}, 105)};
  ExpectFailed(Run(RescueTo(110)), 104, 1, "the tail of n3: the peer is gone");
}

TEST_F(RescueTest, AnEmptyAnswerFails) {
  world_.tails = {TailOf({}, 101)};
  ExpectFailed(Run(RescueTo(110)), 100, 0, "no batch at 101");
}

TEST_F(RescueTest, AnAnswerThatBeginsElsewhereFails) {
  world_.tails = {TailOf({Batch(100, 10)}, 110)};
  ExpectFailed(Run(RescueTo(110)), 100, 0, "a batch at 100 where 101 was expected");
}

TEST_F(RescueTest, AGapInAnAnswerFails) {
  world_.tails = {TailOf({Batch(101, 4), Batch(106, 4)}, 110)};
  ExpectFailed(Run(RescueTo(110)), 100, 0, "a batch at 106 where 105 was expected");
}

TEST_F(RescueTest, ABatchOfNoRecordsFails) {
  world_.tails = {TailOf({Batch(101, 0)}, 101)};
  ExpectFailed(Run(RescueTo(110)), 100, 0, "no records");
}

TEST_F(RescueTest, ABatchThatIsCutOffFails) {
  world_.tails = {TailOf({Batch(101, 9).substr(0, 11)}, 110)};
  ExpectFailed(Run(RescueTo(110)), 100, 0, "shorter than its header");
}

TEST_F(RescueTest, AnAnswerThatSaysItEndsElsewhereFails) {
  world_.tails = {TailOf({Batch(101, 9)}, 111)};
  ExpectFailed(Run(RescueTo(110)), 100, 0, "end at 111, but they end at 110");
}

TEST_F(RescueTest, AFeedThatTheRelayRefusesFails) {
  world_.tails = {TailOf({Batch(101, 9)}, 110)};
  world_.relay_error = Error(ErrorCode::kConflict, "the node is not attached");
  ExpectFailed(Run(RescueTo(110)), 100, 0, "the node is not attached");
}

TEST_F(RescueTest, TheDeadlineEndsTheWaitForWhatTheNodeDoesNotApply) {
  world_.tails = {TailOf({Batch(101, 9)}, 110)};
  world_.feed_lacks = 2;
  ExpectFailed(Run(RescueTo(110), milliseconds(50)), 107, 1, "deadline has passed");
}

TEST_F(RescueTest, ANodeThatGoesPastWhatItWasSentFails) {
  world_.tails = {TailOf({Batch(101, 9)}, 110)};
  world_.feed_lacks = static_cast<std::uint64_t>(-1);
  ExpectFailed(Run(RescueTo(110)), 110, 1, "went past");
}

TEST_F(RescueTest, ANodeThatComesBackWithoutWhatItWasSentFailsAtOnce) {
  world_.tails = {TailOf({Batch(101, 9)}, 110)};
  world_.feed_lacks = 9;
  world_.on_info = [](World& world) {
    if (!world.fed.empty()) world.relay.node_next = Sequence(101);
  };
  ExpectFailed(Run(RescueTo(110)), 100, 1, "came back at 101");
}

TEST_F(RescueTest, ANodeThatDoesNotAnswerIsFedNothing) {
  world_.info_lost = true;
  EXPECT_EQ(Run(RescueTo(110)).outcome, Outcome::kFailed);
  EXPECT_TRUE(world_.asked.empty());
}

TEST_F(RescueTest, AMasterIsLeftAlone) {
  MakeMaster();
  EXPECT_EQ(Run(RescueTo(110)).outcome, Outcome::kFailed);
  EXPECT_TRUE(world_.asked.empty());
}

// salvage

SalvageAction SalvageOf(std::uint64_t from, std::uint64_t to) {
  return {{Sequence(from), Sequence(to)}, Sequence(from - 1), "01JD3Z6Q7R8S9T0V1W2X3Y4Z5A", "n2", true};
}

TEST_F(CommandRunnerTest, ASalvageOfAParkedNodeNamesWhatWasKept) {
  const CommandResult result = Run(SalvageOf(90, 101));
  EXPECT_EQ(result.outcome, Outcome::kDone);
  ASSERT_TRUE(result.salvage);
  EXPECT_EQ(result.salvage->id, "01JD3Z6Q7R8S9T0V1W2X3Y4Z5A");
  EXPECT_EQ(world_.asked, (Asked{"salvage [90, 101)"}));
}

TEST_F(CommandRunnerTest, ASalvageThatFailsLeavesTheNodeAsItIs) {
  world_.salvage_error = Error(ErrorCode::kIo, "the disk is full");
  const CommandResult result = Run(SalvageOf(90, 101));
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_NE(result.error.find("the disk is full"), std::string::npos) << result.error;
  EXPECT_NE(result.error.find("unless the policy says salvage: try"), std::string::npos) << result.error;
  EXPECT_EQ(world_.relay.state, RelayState::kParked);
}

TEST_F(CommandRunnerTest, NothingIsSalvagedOfANodeThatIsNotWhereItWasDecidedAbout) {
  EXPECT_EQ(Run(SalvageOf(90, 100)).outcome, Outcome::kFailed);
  world_.relay.state = RelayState::kFollowing;
  EXPECT_EQ(Run(SalvageOf(90, 101)).outcome, Outcome::kFailed);
  MakeMaster();
  EXPECT_EQ(Run(SalvageOf(90, 101)).outcome, Outcome::kFailed);
  EXPECT_TRUE(world_.asked.empty());
}

TEST_F(CommandRunnerTest, ANodeThatMovesWhileItIsSalvagedIsNotSalvaged) {
  world_.moves_meanwhile = true;
  EXPECT_EQ(Run(SalvageOf(90, 101)).outcome, Outcome::kFailed);
}

// full_sync, adopt_master, release

TEST_F(CommandRunnerTest, FullSyncIsForTheRelaysReplica) {
  EXPECT_EQ(Run(FullSyncAction{kUpstream}).outcome, Outcome::kDone);
  EXPECT_EQ(world_.asked, (Asked{"fullsync 10.0.0.2:6666"}));
  world_.asked.clear();
  MakeMaster();
  EXPECT_EQ(Run(FullSyncAction{kUpstream}).outcome, Outcome::kFailed);
  EXPECT_TRUE(world_.asked.empty());
}

TEST_F(CommandRunnerTest, FullSyncThatMayBeginYetIsUnknown) {
  world_.relay_error = Error(ErrorCode::kTimeout, "the dialogue did not begin");
  EXPECT_EQ(Run(FullSyncAction{kUpstream}).outcome, Outcome::kUnknown);
}

TEST_F(CommandRunnerTest, AdoptMasterLeavesAMasterAlone) {
  EXPECT_EQ(Run(AdoptMasterAction{}).outcome, Outcome::kFailed);
  EXPECT_TRUE(world_.asked.empty());
  MakeMaster();
  EXPECT_EQ(Run(AdoptMasterAction{}).outcome, Outcome::kDone);
  EXPECT_EQ(world_.asked, (Asked{"idle"}));
}

TEST_F(CommandRunnerTest, ReleaseOfAReplicaGivesItADirectUpstream) {
  EXPECT_EQ(Run(ReleaseAction{kUpstream}).outcome, Outcome::kDone);
  EXPECT_EQ(world_.asked, (Asked{"slaveof 10.0.0.2:6666", "idle"}));
}

TEST_F(CommandRunnerTest, ReleaseWaitsUntilTheUpstreamIsNoReplicaAnyMore) {
  world_.own_replica_refusals = 3;
  EXPECT_EQ(Run(ReleaseAction{kUpstream}).outcome, Outcome::kDone);
  world_.facts.master = kRelay;
  world_.own_replica_refusals = 1000000;
  EXPECT_EQ(Run(ReleaseAction{kUpstream}, milliseconds(20)).outcome, Outcome::kFailed);
}

TEST_F(CommandRunnerTest, ReleaseToServersThatTheNodeCannotSpeakToIsRefused) {
  tls_only_ = true;
  const CommandResult result = Run(ReleaseAction{kUpstream});
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_TRUE(world_.asked.empty());
}

TEST_F(CommandRunnerTest, ReleaseOfAMasterOnlyIdlesTheRelay) {
  EXPECT_EQ(Run(ReleaseAction{std::nullopt}).outcome, Outcome::kFailed);  // a replica needs an upstream
  MakeMaster();
  EXPECT_EQ(Run(ReleaseAction{kUpstream}).outcome, Outcome::kFailed);
  EXPECT_TRUE(world_.asked.empty());
  EXPECT_EQ(Run(ReleaseAction{std::nullopt}).outcome, Outcome::kDone);
  EXPECT_EQ(world_.asked, (Asked{"idle"}));
}

// leases

TEST_F(CommandRunnerTest, PromotionThatMayNotBeTouchesNothing) {
  world_.lease_error = Error(ErrorCode::kConflict, "the node has promised");
  CommandResult result = Run(PromoteAction{});
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_EQ(result.error, "node n1: promote: the node has promised");
  EXPECT_TRUE(world_.asked.empty());
}

TEST_F(CommandRunnerTest, LeaseIsTakenBeforeThePromotion) {
  EXPECT_EQ(Run(PromoteAction{}).outcome, Outcome::kDone);
  EXPECT_EQ(world_.leases, Asked{"taken by promotion"});
  world_ = World();
  world_.take_error = Error(ErrorCode::kIo, "disk full");
  CommandResult result = Run(PromoteAction{});
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_EQ(world_.asked, Asked{"park"});
  EXPECT_EQ(world_.facts.role, Role::kReplica);
}

TEST_F(CommandRunnerTest, LeaseEndsWithAPromotionThatTheNodeRefused) {
  world_.slave_of_has_effect = false;
  world_.slave_of_error = Error(ErrorCode::kConflict, "the node answered: ERR no");
  EXPECT_EQ(Run(PromoteAction{}).outcome, Outcome::kFailed);
  EXPECT_EQ(world_.leases, (Asked{"taken by promotion", "ended"}));
}

TEST_F(CommandRunnerTest, LeaseThatMayHaveBegunStays) {
  world_.slave_of_has_effect = false;
  world_.slave_of_error = Error(ErrorCode::kTimeout, "no answer");
  EXPECT_EQ(Run(PromoteAction{}).outcome, Outcome::kUnknown);
  EXPECT_EQ(world_.leases, Asked{"taken by promotion"});
}

TEST_F(CommandRunnerTest, ParkEndsTheLeaseAndReleaseForgetsIt) {
  MakeMaster();
  EXPECT_EQ(Run(ParkAction{}).outcome, Outcome::kDone);
  EXPECT_EQ(world_.leases, Asked{"ended"});
  world_ = World();
  MakeMaster();
  EXPECT_EQ(Run(ReleaseAction{}).outcome, Outcome::kDone);
  EXPECT_EQ(world_.leases, Asked{"forgotten"});
}

TEST_F(CommandRunnerTest, AdoptionTakesTheLease) {
  MakeMaster();
  EXPECT_EQ(Run(AdoptMasterAction{}).outcome, Outcome::kDone);
  EXPECT_EQ(world_.leases, Asked{"taken by adoption"});
  world_.take_error = Error(ErrorCode::kConflict, "the lease has run out");
  EXPECT_EQ(Run(AdoptMasterAction{}).outcome, Outcome::kFailed);
}

// advance

TEST_F(CommandRunnerTest, AdvanceWritesAFillerOfExactlyThatMany) {
  MakeMaster();
  CommandResult result = Run(AdvanceAction{Sequence(101), 10000, "D"});
  EXPECT_EQ(result.outcome, Outcome::kDone) << result.error;
  EXPECT_EQ(world_.filler, 10000U);
  EXPECT_EQ(result.last, Sequence(10100));
  EXPECT_EQ(world_.asked,
            (Asked{"filler in [101, 101)", "apply", "apply", "apply", "filler in [101, 10101)"}));
}

TEST_F(CommandRunnerTest, AdvanceThatComesAgainWritesOnlyWhatLacks) {
  MakeMaster();
  world_.filler = 4096;
  world_.facts.last = Sequence(4196);
  EXPECT_EQ(Run(AdvanceAction{Sequence(101), 5000, "D"}).outcome, Outcome::kDone);
  EXPECT_EQ(world_.filler, 5000U);
  world_.asked.clear();
  world_.filler_told = 0;
  EXPECT_EQ(Run(AdvanceAction{Sequence(101), 5000, "D"}).outcome, Outcome::kDone);
  EXPECT_EQ(world_.asked, (Asked{"filler in [101, 5101)", "filler in [5101, 5101)"}));
}

TEST_F(CommandRunnerTest, AdvanceOfAnythingButAMasterWithItsLeaseWritesNothing) {
  CommandResult result = Run(AdvanceAction{Sequence(101), 5, "D"});
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_NE(result.error.find("not a master"), std::string::npos) << result.error;
  MakeMaster();
  world_.lease_error = Error(ErrorCode::kConflict, "the node's lease has run out");
  result = Run(AdvanceAction{Sequence(101), 5, "D"});
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_EQ(result.error,
            "node n1: advance: the node's lease has run out; 0 of its 5 no-op records are written");
  EXPECT_EQ(world_.filler, 0U);
}

TEST_F(CommandRunnerTest, AdvanceWritesNothingWhereItIsNotKnownWhatStandsThere) {
  MakeMaster();
  world_.wal_error = Error(ErrorCode::kNotFound, "the WAL begins at 500");
  EXPECT_EQ(Run(AdvanceAction{Sequence(90), 5, "D"}).outcome, Outcome::kFailed);
  EXPECT_EQ(world_.asked, (Asked{"filler in [90, 101)"}));
}

TEST_F(CommandRunnerTest, AdvanceOfAMasterThatLostRecordsWritesNothing) {
  MakeMaster();
  const CommandResult result = Run(AdvanceAction{Sequence(103), 5, "D"});
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_NE(result.error.find("it lost records"), std::string::npos) << result.error;
  EXPECT_EQ(world_.filler, 0U);
}

TEST_F(CommandRunnerTest, AdvanceWhoseAnswerIsLostIsUnknownAndNotTriedAgain) {
  MakeMaster();
  world_.apply_error = Error(ErrorCode::kTimeout, "APPLYBATCH: no answer");
  world_.applies_before_error = 1;
  CommandResult result = Run(AdvanceAction{Sequence(101), 10000, "D"});
  EXPECT_EQ(result.outcome, Outcome::kUnknown);
  EXPECT_NE(result.error.find("4096 of its 10000 no-op records are written, and perhaps more"),
            std::string::npos)
      << result.error;
  world_.apply_error = Error(ErrorCode::kConflict, "APPLYBATCH: the node answered: ERR unknown command");
  EXPECT_EQ(Run(AdvanceAction{Sequence(101), 10000, "D"}).outcome, Outcome::kFailed);
}

TEST_F(CommandRunnerTest, AdvanceIsDoneOnlyWhenTheWholeFillerStandsInTheWal) {
  MakeMaster();
  world_.filler_lost = 1;
  EXPECT_EQ(Run(AdvanceAction{Sequence(101), 5, "D"}).outcome, Outcome::kFailed);
  world_.filler_lost = 0;
  world_.filler_told = 0;
  world_.filler = 6;
  EXPECT_EQ(Run(AdvanceAction{Sequence(101), 5, "D"}).outcome, Outcome::kFailed);
}

// splice

SpliceAction SpliceAt(std::uint64_t fork, std::uint64_t next) {
  return SpliceAction{kUpstream, Sequence(fork), Sequence(next), next - fork - 1, "D", std::nullopt};
}

SpliceAction WithUndo(SpliceAction action, std::string digest = "plan") {
  action.undo = std::move(digest);
  action.undo_records = 3;
  action.shift += 3;
  return action;
}

TEST_F(CommandRunnerTest, SpliceTakesTheTailBackBeforeItReplays) {
  const CommandResult result = Run(WithUndo(SpliceAt(90, 101)));
  EXPECT_EQ(result.outcome, Outcome::kDone) << result.error;
  ASSERT_GE(world_.asked.size(), 2U);
  EXPECT_EQ(world_.asked[0], "feed 101");
  EXPECT_EQ(world_.asked[1].substr(0, 6), "splice") << world_.asked[1];
  EXPECT_EQ(world_.spliced_from, Sequence(104));
}

TEST_F(CommandRunnerTest, SpliceWhosePlanIsAnotherChangesNothing) {
  CommandResult result = Run(WithUndo(SpliceAt(90, 101), "another"));
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_NE(result.error.find("not known any more; nothing was changed"), std::string::npos) << result.error;
  world_.undo_records = 4;
  result = Run(WithUndo(SpliceAt(90, 101)));
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_NE(result.error.find("has 4 records, and 3 were commanded"), std::string::npos) << result.error;
  world_.undo_records = 3;
  SpliceAction wrong = WithUndo(SpliceAt(90, 101));
  wrong.shift -= 1;
  EXPECT_EQ(Run(wrong).outcome, Outcome::kFailed);
  EXPECT_EQ(world_.asked, Asked{});
}

TEST_F(CommandRunnerTest, SpliceFollowsOnWhereTheNodeIsReadBack) {
  CommandResult result = Run(SpliceAt(90, 101));
  EXPECT_EQ(result.outcome, Outcome::kDone) << result.error;
  EXPECT_EQ(result.last, Sequence(149));
  EXPECT_EQ(world_.asked, (Asked{"splice 90", "follow on from 150"}));
}

TEST_F(CommandRunnerTest, SpliceOfANodeThatStandsElsewhereTouchesNothing) {
  EXPECT_EQ(Run(SpliceAt(90, 102)).outcome, Outcome::kFailed);
  world_.relay.state = RelayState::kFollowing;
  EXPECT_EQ(Run(SpliceAt(90, 101)).outcome, Outcome::kFailed);
  EXPECT_TRUE(world_.asked.empty());
}

TEST_F(CommandRunnerTest, SpliceThatFailsSaysWhereTheNodeStands) {
  world_.relay_error = Error(ErrorCode::kConflict, "the upstream refused");
  world_.on_info = [](World& world) {
    if (!world.asked.empty()) world.facts.last = Sequence(120);
  };
  CommandResult result = Run(SpliceAt(90, 101));
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_EQ(result.last, Sequence(120));
}

TEST_F(CommandRunnerTest, SpliceOfANodeThatIsNotExactlyThereIsParked) {
  world_.splice_lacks = 1;
  CommandResult result = Run(SpliceAt(90, 101), milliseconds(50));
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_EQ(world_.asked, (Asked{"splice 90", "park"}));
  EXPECT_EQ(world_.relay.state, RelayState::kParked);
}

TEST_F(CommandRunnerTest, SpliceThatBrokeBeforeItFollowsOnIsParked) {
  world_.follow_on_error = Error(ErrorCode::kConflict, "the splice is over");
  EXPECT_EQ(Run(SpliceAt(90, 101)).outcome, Outcome::kFailed);
  EXPECT_EQ(world_.relay.state, RelayState::kParked);
}

RepairAction Mending(std::vector<std::string> repair, std::vector<std::string> evict = {}) {
  RepairAction action;
  action.keyspace = "carts";
  for (auto& key : repair) action.repair.push_back({"__namespace", std::move(key)});
  for (auto& key : evict) action.evict.push_back({"__namespace", std::move(key)});
  return action;
}

TEST_F(CommandRunnerTest, RepairDealsWithEveryKeyOnAMaster) {
  MakeMaster();
  const CommandResult result = Run(Mending({"a", "b"}, {"c"}));
  EXPECT_EQ(result.outcome, Outcome::kDone) << result.error;
  ASSERT_TRUE(result.repair);
  EXPECT_EQ(result.repair->repaired, 2U);
  EXPECT_EQ(result.repair->evicted, 1U);
  EXPECT_EQ(world_.asked, (Asked{"repair a", "repair b", "evict c"}));
}

TEST_F(CommandRunnerTest, RepairOfAReplicaTouchesNothing) {
  EXPECT_EQ(Run(Mending({"a"})).outcome, Outcome::kFailed);
  EXPECT_EQ(world_.asked, Asked{});
}

TEST_F(CommandRunnerTest, RepairWithoutALeaseTouchesNothing) {
  MakeMaster();
  world_.lease_error = Error(ErrorCode::kConflict, "the lease is over");
  const CommandResult result = Run(Mending({"a"}));
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_NE(result.error.find("0 of 1 keys of keyspace carts were made equal, then: the lease is over"),
            std::string::npos)
      << result.error;
  EXPECT_EQ(world_.asked, Asked{});
}

TEST_F(CommandRunnerTest, KeyThatCannotBeRepairedIsNamedAndTheOthersAre) {
  MakeMaster();
  const CommandResult result = Run(Mending({"odd", "b"}));
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  ASSERT_TRUE(result.repair);
  EXPECT_EQ(result.repair->repaired, 1U);
  ASSERT_EQ(result.repair->failures.size(), 1U);
  EXPECT_EQ(result.repair->failures[0].name.key, "odd");
}

TEST_F(CommandRunnerTest, RepairEndsWhereItsBytesDo) {
  MakeMaster();
  RepairAction action = Mending({"a", "b", "c"});
  action.max_bytes = 15;
  const CommandResult result = Run(action);
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_EQ(world_.asked, (Asked{"repair a of 15", "repair b of 5"}));
  EXPECT_EQ(result.repair->failed, 1U);
}

TEST_F(CommandRunnerTest, RepairGivesWayToARoleChange) {
  MakeMaster();
  world_.role_change_waits = true;
  const CommandResult result = Run(Mending({"a"}));
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_EQ(result.repair->failed, 0U);
  EXPECT_EQ(world_.asked, Asked{});
}

TEST_F(CommandRunnerTest, RepairWhoseServerDoesNotAnswerFailsNoKey) {
  MakeMaster();
  world_.mend_error = Error(ErrorCode::kTimeout, "no answer");
  const CommandResult result = Run(Mending({"a", "b"}));
  EXPECT_EQ(result.outcome, Outcome::kFailed);
  EXPECT_EQ(result.repair->failed, 0U);
  EXPECT_EQ(world_.asked, (Asked{"repair a"}));
}

TEST_F(CommandRunnerTest, PaddingIsSwitchedOnOnAMasterAndOffAnywhere) {
  EXPECT_EQ(Run(OfferPaddingAction{true}).outcome, Outcome::kFailed);
  EXPECT_EQ(world_.asked, Asked{});
  EXPECT_EQ(Run(OfferPaddingAction{false}).outcome, Outcome::kDone);
  MakeMaster();
  EXPECT_EQ(Run(OfferPaddingAction{true}).outcome, Outcome::kDone);
  EXPECT_EQ(world_.asked,
            (Asked{"replication-enable-sequence-padding no", "replication-enable-sequence-padding yes"}));
  world_.configure_error = Error(ErrorCode::kConflict, "Unsupported CONFIG parameter");
  EXPECT_EQ(Run(OfferPaddingAction{true}).outcome, Outcome::kFailed);
}

TEST_F(CommandRunnerTest, OnlyANodeThatFollowsIsCompared) {
  CompareAction action;
  action.keys = {{"__namespace", "a"}, {"__namespace", "b"}};
  EXPECT_EQ(Run(action).outcome, Outcome::kFailed);
  world_.relay.state = RelayState::kFollowing;
  const CommandResult result = Run(action);
  EXPECT_EQ(result.outcome, Outcome::kDone) << result.error;
  ASSERT_TRUE(result.comparison);
  EXPECT_EQ(result.comparison->equal, 2U);
}

}  // namespace
}  // namespace walstitch::agent
