// chaos: failovers without end, at random, under writers that remember. See --help.
//
// A program and not a test: it goes on for as long as it is told to, and a seed says what happens when.
#include <algorithm>
#include <array>
#include <atomic>
#include <boost/json.hpp>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "controller/cli/table.h"
#include "controller/cli/text.h"
#include "policies/model/json.h"
#include "tests/integration/chaos/havoc.h"

namespace walstitch::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr const char* kHelp =
    R"(chaos [--failovers 20] [--seed S] [--kinds crash,stop,cut,...] [--check-every 20] [--lease 1s]
      [--policy ignore|fullsync] [--away 1m]

Three nodes, their agents and a controller on loopback, and a writer on each node that tries all the time and
remembers what was acknowledged. Then one thing after the other happens, until there were so many failovers:

  crash       kill -9 of the master's server, and perhaps of a controller in the middle of what it does about it
  machine     kill -9 of the master's server and of its agent at once
  stop        SIGSTOP of the master's server, perhaps with its agent, for a moment or until it is replaced; SIGCONT
  cut         the master's links are cut: to everybody, or only to the controller, or to one replica
  controller  kill -9 of the controller for up to four leases, or for --away, perhaps with an agent, for as long;
              perhaps the master crashes meanwhile
  agent       kill -9 of an agent, for up to two leases
  slow        the disk of a replica becomes slow, and the master crashes (on the reference node only)

Every so many failovers, and at the end, the writers are held, and the whole keyspace is compared across the nodes
and with every acknowledged write. Prints what it does, and a tally.

--policy ignore lets every key differ that a record names: no full sync is needed then. With fullsync none may
differ: a tail is taken back in full, or the node is copied afresh.

The seed decides what happens, and after how much of what was acknowledged; how processes interleave, it cannot.
KVROCKS_BIN=/path/to/kvrocks runs it on a real Kvrocks. Ctrl-C ends it, with the tally so far; again, at once.

Exit codes: 0 nothing was wrong; 1 something was; 2 wrong usage; 130 Ctrl-C.
)";

std::atomic<bool> interrupted{false};

enum class Kind { kCrash, kMachine, kStop, kCut, kController, kAgent, kSlow };
constexpr std::array<std::pair<const char*, Kind>, 7> kKinds = {{{"crash", Kind::kCrash},
                                                                 {"machine", Kind::kMachine},
                                                                 {"stop", Kind::kStop},
                                                                 {"cut", Kind::kCut},
                                                                 {"controller", Kind::kController},
                                                                 {"agent", Kind::kAgent},
                                                                 {"slow", Kind::kSlow}}};

struct Arguments {
  uint64_t failovers = 20;
  uint64_t seed = std::random_device{}();
  uint64_t check_every = 20;
  milliseconds lease{1000};
  std::optional<milliseconds> away;  // how long the controller is gone; else at random
  std::string policy = "ignore";
  std::vector<Kind> kinds;
  bool help = false;
  std::string error;  // one sentence
};

struct Violation : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Runner {
 public:
  explicit Runner(const Arguments& arguments) : arguments_(arguments), random_(arguments.seed) {}

  // 0, or 1 if anything was wrong.
  int Run() {
    ClusterOptions options = ChaosOptions(arguments_.lease);
    options.policy = arguments_.policy == "ignore" ? kIgnoreAll : kNothingMayDiffer;
    havoc_ = std::make_unique<Havoc>(std::move(options));
    try {
      Must(havoc_->Start());
      uint64_t checked = 0;
      while (took_us_.size() < arguments_.failovers && !interrupted) {
        Happen(arguments_.kinds[Random(arguments_.kinds.size())]);
        if (!havoc_->WaitSettled()) throw Violation("the group does not come to rest");
        if (took_us_.size() >= checked + arguments_.check_every) {
          checked = took_us_.size();
          CheckNow();
          if (!violations_.empty()) break;
        }
      }
      if (violations_.empty() && !interrupted) CheckNow();
    } catch (const std::exception& error) {
      violations_.emplace_back(error.what());
    }
    PrintTally();
    if (interrupted) {
      // A terminal's Ctrl-C ends all processes, and what is missed then says nothing.
      std::cerr << "chaos: interrupted; seed " << arguments_.seed << "\n";
      return 130;
    }
    if (violations_.empty()) return 0;
    std::cerr << havoc_->cluster().Logs(20000) << "\n";
    WriteRecords();
    for (size_t i = 0; i < violations_.size() && i < 50; ++i)
      std::cerr << "chaos: " << violations_[i] << "\n";
    std::cerr << "chaos: " << cli::Count(violations_.size(), "thing is", "things are")
              << " not as they must be; seed " << arguments_.seed << "\n";
    return 1;
  }

 private:
  static void Must(const std::optional<std::string>& error) {
    if (error) throw Violation(*error);
  }

  uint64_t Random(uint64_t below) { return std::uniform_int_distribution<uint64_t>(0, below - 1)(random_); }
  bool Chance(uint64_t one_in) { return Random(one_in) == 0; }

  // How long something lasts: part of what happens, and no waiting for anything.
  void Last(milliseconds most) {
    std::this_thread::sleep_for(milliseconds(Random(static_cast<uint64_t>(most.count()) + 1)));
  }

  Cluster& cluster() { return havoc_->cluster(); }

  std::string AnyReplica() {
    std::vector<std::string> replicas;
    for (const std::string& node : cluster().Nodes()) {
      if (node != master_) replicas.push_back(node);
    }
    return replicas[Random(replicas.size())];
  }

  void Say(const std::string& what) {
    std::cout << "#" << took_us_.size() << " " << master_ << ": " << what << "\n" << std::flush;
  }

  // Somebody else must take writes.
  void ExpectTakeover(int64_t since_us) {
    const auto takeover = havoc_->WaitTakeover(master_, since_us, seconds(60));
    if (!takeover) throw Violation("nobody took over from " + master_ + " within a minute");
    took_us_.push_back(takeover->took_us);
    Say("replaced by " + takeover->node + " after " + cli::FormatDuration(takeover->took_us / 1000) + "; " +
        cli::Count(havoc_->log().acknowledged(), "write") + " acknowledged");
  }

  void Happen(Kind kind) {
    master_ = havoc_->Master();
    if (master_.empty()) throw Violation("the group has no master");
    if (!havoc_->WaitForWrites(master_, 50 + Random(200)))
      throw Violation(master_ + " acknowledges no write");
    switch (kind) {
      case Kind::kCrash:
        Say("crash");
        return Crash(Chance(4));
      case Kind::kMachine:
        Say("machine");
        return LoseMachine();
      case Kind::kStop:
        return StopMaster();
      case Kind::kCut:
        return CutMaster();
      case Kind::kController:
        return LoseController();
      case Kind::kAgent:
        return LoseAgent();
      case Kind::kSlow:
        return CrashWithSlowReplica();
    }
  }

  void Crash(bool with_controller) {
    const int64_t since_us = AckLog::NowMicros();
    havoc_->KillServer(master_);
    if (with_controller) {
      Last(milliseconds(300));
      Say("the controller, too");
      cluster().KillController();
      Must(cluster().StartController());
    }
    ExpectTakeover(since_us);
    Last(milliseconds(500));
    Must(havoc_->StartServer(master_));
  }

  void LoseMachine() {
    const int64_t since_us = AckLog::NowMicros();
    havoc_->KillServer(master_);
    cluster().KillAgent(master_);
    ExpectTakeover(since_us);
    Must(cluster().StartAgent(master_));
    Must(havoc_->StartServer(master_));
  }

  void StopMaster() {
    const bool with_agent = Chance(2);
    const bool for_long = !Chance(4);
    Say(std::string("stop") + (with_agent ? " with its agent" : "") + (for_long ? "" : " for a moment"));
    const int64_t since_us = AckLog::NowMicros();
    havoc_->Stop(master_, with_agent);
    if (for_long) {
      ExpectTakeover(since_us);
      Last(milliseconds(500));
    } else {
      Last(arguments_.lease / 5);
    }
    if (!havoc_->Continue(master_, with_agent, for_long))
      throw Violation(master_ + " goes on as a second master");
  }

  void CutMaster() {
    const uint64_t whom = Random(4);
    if (whom >= 2) {
      Say("cut off");
      const int64_t since_us = AckLog::NowMicros();
      cluster().Isolate(master_);
      ExpectTakeover(since_us);
      Last(milliseconds(500));
    } else {
      const std::string other = whom == 0 ? "controller" : AnyReplica();
      Say("cut off from " + other);
      cluster().Cut(master_, other);
      if (!havoc_->WritesGoOn(master_, milliseconds(Random(3 * arguments_.lease.count())))) {
        throw Violation("writes to " + master_ + " failed while it was cut off from " + other + " only");
      }
    }
    cluster().Heal();
  }

  void LoseController() {
    const bool with_crash = Chance(3);
    std::string agent;
    if (arguments_.away && Chance(2)) agent = Chance(2) ? master_ : AnyReplica();
    Say(std::string("the controller is gone") + (agent.empty() ? "" : ", and the agent of " + agent) +
        (with_crash ? ", and a crash" : ""));
    const int64_t gone_us = AckLog::NowMicros();
    cluster().KillController();
    if (!agent.empty()) cluster().KillAgent(agent);
    const milliseconds random(Random(4 * arguments_.lease.count()));
    if (!havoc_->WritesGoOn(master_, arguments_.away.value_or(random))) {
      throw Violation("writes to " + master_ + " failed without a controller");
    }
    longest_pause_us_ = std::max(longest_pause_us_, havoc_->log().LongestPauseOf(master_, gone_us));
    if (!agent.empty()) Must(cluster().StartAgent(agent));
    const int64_t since_us = AckLog::NowMicros();
    if (with_crash) havoc_->KillServer(master_);
    Must(cluster().StartController());
    if (!with_crash) return;
    ExpectTakeover(since_us);
    Must(havoc_->StartServer(master_));
  }

  void LoseAgent() {
    const std::string node = Chance(2) ? master_ : AnyReplica();
    Say("the agent of " + node + " is gone");
    cluster().KillAgent(node);
    if (!havoc_->WritesGoOn(master_, milliseconds(Random(2 * arguments_.lease.count())))) {
      throw Violation("writes to " + master_ + " failed without the agent of " + node);
    }
    Must(cluster().StartAgent(node));
  }

  void CrashWithSlowReplica() {
    if (NodeServer::IsRealKvrocks()) {
      Say("crash");
      return Crash(false);
    }
    const std::string slow = AnyReplica();
    Say("crash, and the disk of " + slow + " is slow");
    if (!cluster().Client(slow)("REFNODE.FAULT", "slow-writes", std::to_string(1 + Random(10))).IsOk()) {
      throw Violation(slow + " has no fault switches");
    }
    havoc_->WaitForWrites(master_, 100);
    Crash(false);
    cluster().Client(slow)("REFNODE.FAULT", "clear");
  }

  void CheckNow() {
    findings_ = havoc_->CheckNow();
    violations_ = findings_.Sentences();
    std::cout << "checked: " << cli::Count(havoc_->log().acknowledged(), "acknowledged write") << ", "
              << (violations_.empty() ? "all as it must be" : cli::Count(violations_.size(), "violation"))
              << "\n"
              << std::flush;
  }

  // For whoever looks for the reason: the nodes and the controller are gone then.
  void WriteRecords() const {
    boost::json::array records;
    for (const auto& [id, record] : havoc_->CollectDecisions()) records.push_back(ToJson(record));
    const std::string path =
        std::filesystem::temp_directory_path() / ("chaos-" + std::to_string(arguments_.seed) + ".json");
    std::ofstream(path) << DumpPretty(records);
    std::cerr << "chaos: every decision is in " << path << "\n";
  }

  std::string Percentile(double part) const {
    if (took_us_.empty()) return "-";
    std::vector<int64_t> sorted = took_us_;
    std::sort(sorted.begin(), sorted.end());
    const auto at = static_cast<size_t>(part * static_cast<double>(sorted.size() - 1) + 0.5);
    return cli::FormatDuration(sorted[at] / 1000);
  }

  void PrintTally() {
    cli::Table table({{"WHAT"}, {"", cli::Align::kRight}});
    const auto row = [&](const std::string& what, const std::string& number) {
      table.AddRow({what, number});
    };
    const auto count = [&](const std::string& what, uint64_t number) { row(what, std::to_string(number)); };
    count("failovers", took_us_.size());
    row("until a write was acknowledged again, p50", Percentile(0.5));
    row("... p99", Percentile(0.99));
    count("acknowledged writes", havoc_->log().acknowledged());
    count("writes that nobody answered", havoc_->log().unknown());
    count("acknowledged and lost", findings_.lost.size());
    count("acknowledged and given up, by name on record", findings_.given_up);
    count("acknowledged by a replaced master that went on", findings_.excused);
    row("... the last of them, after it went on", cli::FormatDuration(findings_.longest_excused_us / 1000));
    row("longest pause of writes without a controller", cli::FormatDuration(longest_pause_us_ / 1000));
    count("overlapping masters", findings_.overlapping.size());
    count("keys that differ, and no record says so", findings_.different.size());
    count("full syncs that nobody decided", findings_.full_syncs.size());
    count("tails given up, and not salvaged", findings_.not_salvaged.size());
    count("decisions without an outcome", findings_.open.size());
    std::cout << "\nSeed " << arguments_.seed << ", "
              << (NodeServer::IsRealKvrocks() ? "a real Kvrocks" : "the reference node") << "\n\n"
              << table.Render() << std::flush;
  }

  const Arguments arguments_;
  std::mt19937_64 random_;
  std::unique_ptr<Havoc> havoc_;
  std::string master_;  // before the event under way
  std::vector<int64_t> took_us_;
  int64_t longest_pause_us_ = 0;  // while the controller was gone
  AckFindings findings_;
  std::vector<std::string> violations_;
};

std::optional<uint64_t> ParseNumber(const std::string& text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// Empty if a word is no kind.
std::vector<Kind> ParseKinds(const std::string& text) {
  std::vector<Kind> kinds;
  for (size_t at = 0; at <= text.size();) {
    const size_t comma = std::min(text.find(',', at), text.size());
    const std::string word = text.substr(at, comma - at);
    const auto found =
        std::find_if(kKinds.begin(), kKinds.end(), [&](const auto& kind) { return word == kind.first; });
    if (found == kKinds.end()) return {};
    kinds.push_back(found->second);
    at = comma + 1;
  }
  return kinds;
}

Arguments Parse(const std::vector<std::string>& words) {
  Arguments arguments;
  for (const auto& [name, kind] : kKinds) arguments.kinds.push_back(kind);
  for (size_t i = 0; i < words.size(); ++i) {
    std::string name = words[i];
    if (name == "-h" || name == "--help") {
      arguments.help = true;
      continue;
    }
    std::string value;
    if (const size_t equals = name.find('='); equals != std::string::npos) {
      value = name.substr(equals + 1);
      name.resize(equals);
    } else if (i + 1 < words.size()) {
      value = words[++i];
    }
    const std::optional<uint64_t> number = ParseNumber(value);
    bool is_right = true;
    if (name == "--kinds") {
      arguments.kinds = ParseKinds(value);
      is_right = !arguments.kinds.empty();
    } else if (name == "--lease") {
      const auto lease = cli::ParseDuration(value);
      is_right = lease && *lease >= milliseconds(500);
      if (is_right) arguments.lease = *lease;
    } else if (name == "--away") {
      const auto away = cli::ParseDuration(value);
      is_right = away.has_value();
      if (away) arguments.away = *away;
    } else if (name == "--policy") {
      arguments.policy = value;
      is_right = value == "ignore" || value == "fullsync";
    } else if (name == "--seed") {
      is_right = number.has_value();
      if (number) arguments.seed = *number;
    } else if (name == "--failovers" || name == "--check-every") {
      is_right = number.has_value() && *number > 0;
      if (is_right) (name == "--failovers" ? arguments.failovers : arguments.check_every) = *number;
    } else {
      arguments.error =
          "what is '" + cli::Clean(name) +
          "'? Known are --failovers, --seed, --kinds, --check-every, --lease, --policy, --away and --help";
      return arguments;
    }
    if (!is_right) {
      arguments.error =
          name + " needs " +
          (name == "--kinds" ? "some of crash,machine,stop,cut,controller,agent,slow" : "a number") +
          ", and got '" + cli::Clean(value) + "'";
      return arguments;
    }
  }
  // Of these alone no failover comes.
  const bool fails_over = std::any_of(arguments.kinds.begin(), arguments.kinds.end(),
                                      [](Kind kind) { return kind != Kind::kAgent; });
  if (!fails_over) arguments.error = "--kinds agent alone brings no failover: name another";
  return arguments;
}

int Main(const std::vector<std::string>& words) {
  const Arguments arguments = Parse(words);
  if (!arguments.error.empty()) {
    std::cerr << "chaos: " << arguments.error << "\n";
    return 2;
  }
  if (arguments.help) {
    std::cout << kHelp;
    return 0;
  }
  for (const int signal : {SIGINT, SIGTERM})
    std::signal(signal, [](int number) {
      interrupted = true;
      std::signal(number, SIG_DFL);
    });
  std::cout << "Chaos: " << cli::Count(arguments.failovers, "failover") << ", seed " << arguments.seed << ", "
            << (NodeServer::IsRealKvrocks() ? "a real Kvrocks" : "the reference node") << "\n"
            << std::flush;
  return Runner(arguments).Run();
}

}  // namespace
}  // namespace walstitch::test

int main(int argc, char** argv) { return walstitch::test::Main({argv + 1, argv + argc}); }
