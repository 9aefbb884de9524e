// A failover and a switchover, seen by those who write; next to Redis Sentinel on the same kind of nodes. See
// --help.
//
// Written as a program and not with a benchmark library: what is measured happens once, in other processes.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "controller/cli/table.h"
#include "controller/cli/text.h"
#include "tests/bench/sentinel_group.h"
#include "tests/support/ack_check.h"
#include "tests/support/ack_writer.h"
#include "tests/support/cluster.h"

namespace walstitch::bench {
namespace {

using std::chrono::seconds;

constexpr const char* kHelp = R"(bench_failover [--runs 50] [--only walstitch|sentinel]

Two nodes on loopback, and a client on each that writes, every half of a millisecond or so, whatever it is answered.

  failover     kill -9 of the master's server, until the other node acknowledges a write that was sent after it.
               The dead one comes back after that as a replica. Once with Walstitch, as it is by default; once with
               Redis Sentinel (down-after 1000 ms, quorum 1, one Sentinel) over nodes that replicate directly
  switchover   ordered under the same load: from the last write that the old master acknowledged to the first that
               the new one did

  lost         writes that were acknowledged, and are not on the new master when everybody is back
  full syncs   that the nodes counted when the dead one came back
  different    keys on which the two nodes differ when everybody is back, of those that were written in the run

What the two need to notice is not the same: an agent beside the server sees its process end, and Sentinel sees that
nobody answers for as long as it was told to wait.

KVROCKS_BIN=/path/to/kvrocks runs it on a real Kvrocks. Times are printed, never asserted; exit code 1 only if a run
does not come to its end.
)";

constexpr auto kPatience = seconds(60);

[[noreturn]] void Fail(const std::string& sentence) { throw std::runtime_error(sentence); }

void Must(const std::optional<std::string>& error) {
  if (error) Fail(*error);
}

// The writers of one run: keys of their own for each, so that nothing of an earlier one is counted again.
class Load {
 public:
  Load(std::size_t run, uint16_t first, uint16_t second) {
    test::AckWriterOptions options;
    options.prefix = "run-" + std::to_string(run) + ":";
    // Enough to tell a millisecond, and not so much that the machine is busy with nothing else.
    options.pause = options.patience = std::chrono::microseconds(500);
    writers_[0] = std::make_unique<test::AckWriter>(log_, "0", first, options);
    writers_[1] = std::make_unique<test::AckWriter>(log_, "1", second, options);
  }

  test::AckLog& log() { return log_; }

  void WaitForWrites(std::size_t node, std::uint64_t count) {
    const std::string name = std::to_string(node);
    const std::uint64_t so_far = log_.AcknowledgedBy(name);
    if (!test::Eventually(kPatience, [&] { return log_.AcknowledgedBy(name) >= so_far + count; })) {
      Fail("the master acknowledges no write");
    }
  }

  // The first acknowledged write that was sent to the other node since then.
  test::Ack WaitTakeover(std::size_t from, std::int64_t since_us) {
    std::optional<std::pair<std::string, test::Ack>> first;
    const bool is_over = test::Eventually(kPatience, [&] {
      first = log_.FirstAckSince(since_us, std::to_string(from));
      return first.has_value();
    });
    if (!is_over) Fail("nobody took over within a minute");
    return first->second;
  }

  void Stop() {
    for (const auto& writer : writers_) writer->Stop();
  }

  // What the node holds of everything that was written in this run, as DumpKeyspace would tell it.
  std::map<std::string, std::string> Held(test::RedisClient client) const {
    std::map<std::string, std::string> held;
    const auto get = [&](const std::string& name) {
      const std::string key = name.substr(0, name.find(test::kFieldMark));
      std::string& value = held["__namespace:" + key];
      if (!value.empty()) return;
      if (key.size() != name.size()) {
        value = "hash ";
        const test::Reply all = client("HGETALL", key);
        for (std::size_t i = 0; i + 1 < all.items.size(); i += 2) {
          value += "\"" + all.items[i].text + "\"=>\"" + all.items[i + 1].text + "\",";
        }
      } else if (const test::Reply reply = client("GET", key); !reply.IsNil()) {
        value = "string \"" + reply.text + "\"";
      }
    };
    for (const auto& [name, writes] : log_.registers()) get(name);
    for (const auto& [name, counter] : log_.counters()) get(name);
    std::erase_if(held, [](const auto& item) { return item.second.empty(); });
    return held;
  }

 private:
  test::AckLog log_;
  std::unique_ptr<test::AckWriter> writers_[2];
};

struct Result {
  std::string system;
  std::vector<std::int64_t> took_us;
  std::uint64_t acknowledged = 0;
  std::uint64_t lost = 0;
  std::uint64_t full_syncs = 0;
  std::uint64_t different = 0;

  // Everybody is back, and nobody writes.
  void Count(Load& load, test::NodeServer& master, test::NodeServer& replica) {
    test::Observed observed;
    observed.keyspaces = {{"master", load.Held(master.Client())}, {"replica", load.Held(replica.Client())}};
    observed.masters = {"master"};
    // Without records nothing is excused: what is gone is lost, whether anybody names it or not.
    const test::AckFindings findings = test::Check(load.log(), observed);
    acknowledged += load.log().acknowledged();
    lost += findings.lost.size();
    different += findings.different.size();
  }
};

std::int64_t Percentile(std::vector<std::int64_t> values, double part) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(part * static_cast<double>(values.size() - 1) + 0.5)];
}

class WalstitchBench {
 public:
  WalstitchBench() {
    if (auto error = cluster_.Start()) Fail(*error + cluster_.Logs());
  }

  Result Failovers(std::size_t runs) {
    Result result;
    result.system = "walstitch";
    for (std::size_t run = 0; run < runs; ++run) {
      const std::size_t master = Settle();
      Load load = NewLoad();
      load.WaitForWrites(master, 500);
      const std::uint64_t before = Server(1 - master).InfoNumber("stats", "sync_full");
      const std::int64_t since_us = test::AckLog::NowMicros();
      cluster_.KillNode(Name(master));
      result.took_us.push_back(load.WaitTakeover(master, since_us).done_us - since_us);
      load.WaitForWrites(1 - master, 200);
      Must(cluster_.RestartNode(Name(master)));
      load.Stop();
      if (Settle() != 1 - master) Fail("the new master is not the master");
      result.full_syncs += Server(1 - master).InfoNumber("stats", "sync_full") - before;
      result.Count(load, Server(1 - master), Server(master));
      Progress(result.system + " failover", run + 1, runs);
    }
    return result;
  }

  Result Switchovers(std::size_t runs) {
    Result result;
    result.system = "walstitch";
    for (std::size_t run = 0; run < runs; ++run) {
      const std::size_t master = Settle();
      Load load = NewLoad();
      load.WaitForWrites(master, 500);
      const std::uint64_t before = cluster_.FullSyncsServed();
      const std::int64_t since_us = test::AckLog::NowMicros();
      const test::Answer answer = cluster_.Switchover(Name(1 - master));
      if (!answer.IsDone()) Fail("switchover: " + answer.error);
      const test::Ack first = load.WaitTakeover(master, since_us);
      load.WaitForWrites(1 - master, 200);
      load.Stop();
      result.took_us.push_back(first.done_us - load.log().LastAckOf(std::to_string(master)));
      if (Settle() != 1 - master) Fail("the new master is not the master");
      result.full_syncs += cluster_.FullSyncsServed() - before;
      result.Count(load, Server(1 - master), Server(master));
      Progress("switchover", run + 1, runs);
    }
    return result;
  }

  static void Progress(const std::string& what, std::size_t run, std::size_t runs) {
    if (run % 10 == 0 || run == runs) std::cerr << what << ": " << run << " of " << runs << "\n";
  }

 private:
  std::string Name(std::size_t node) const { return cluster_.Nodes()[node]; }
  test::NodeServer& Server(std::size_t node) { return cluster_.Node(Name(node)); }
  Load NewLoad() { return Load(++load_, Server(0).port(), Server(1).port()); }

  // The master, when everything is quiet, and the next failover is not held back.
  std::size_t Settle() {
    if (!cluster_.WaitSettled(kPatience)) Fail("the group does not come to rest\n" + cluster_.Logs());
    cluster_.CallController("POST", "/v1/groups/shop/unblock", R"({"reason": "the next run"})");
    if (!cluster_.WaitSettled(kPatience)) Fail("the group does not come to rest\n" + cluster_.Logs());
    return cluster_.Master() == Name(0) ? 0 : 1;
  }

  static test::ClusterOptions Options() {
    test::ClusterOptions options;
    options.controller_config = "";  // as it is by default
    return options;
  }

  test::Cluster cluster_{Options()};
  std::size_t load_ = 0;
};

// Absent, with a sentence printed, if Sentinel can't run such nodes.
std::optional<Result> SentinelFailovers(std::size_t runs) {
  if (SentinelGroup::Binary().empty()) {
    std::cout << "no Redis Sentinel here: ./x bench failover installs Debian's redis-tools\n";
    return std::nullopt;
  }
  SentinelGroup group;
  Must(group.Start());
  std::size_t master = 0;
  if (const auto error = group.WaitReady(master)) {
    std::cout
        << *error << "\n"
        << (test::NodeServer::IsRealKvrocks()
                ? ""
                : "the reference node may lack what Sentinel needs; try KVROCKS_BIN=/path/to/kvrocks\n");
    return std::nullopt;
  }
  Result result;
  result.system = "sentinel " + group.Version();
  for (std::size_t run = 0; run < runs; ++run) {
    Load load(run, group.Node(0).port(), group.Node(1).port());
    load.WaitForWrites(master, 500);
    test::NodeServer& dead = group.Node(master);
    test::NodeServer& heir = group.Node(1 - master);
    const std::uint64_t before = heir.InfoNumber("stats", "sync_full");
    const std::int64_t since_us = test::AckLog::NowMicros();
    dead.Kill();
    try {
      result.took_us.push_back(load.WaitTakeover(master, since_us).done_us - since_us);
    } catch (const std::exception& error) {
      Fail(std::string(error.what()) + "\n" + group.Log());
    }
    load.WaitForWrites(1 - master, 200);
    // Sentinel is in the middle of it still; started now, the old master would only meet what is left of
    // that.
    if (const auto error = group.WaitSwitched(1 - master)) Fail(*error + "\n" + group.Log());
    Must(group.StartAsReplica(master));
    load.Stop();
    if (!dead.WaitInSync(heir, kPatience)) Fail("the old master does not come back\n" + group.Log());
    master = 1 - master;
    if (const auto error = group.WaitReady(master)) Fail(*error + "\n" + group.Log());
    result.full_syncs += heir.InfoNumber("stats", "sync_full") - before;
    result.Count(load, heir, dead);
    WalstitchBench::Progress(result.system + " failover", run + 1, runs);
  }
  return result;
}

std::string Milliseconds(std::int64_t us) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f ms", static_cast<double>(us) / 1000);
  return text;
}

void Print(const std::string& title, const std::vector<Result>& results) {
  cli::Table table({{"BY"},
                    {"RUNS", cli::Align::kRight},
                    {"P50", cli::Align::kRight},
                    {"P99", cli::Align::kRight},
                    {"LONGEST", cli::Align::kRight},
                    {"ACKNOWLEDGED", cli::Align::kRight},
                    {"LOST", cli::Align::kRight},
                    {"FULL SYNCS", cli::Align::kRight},
                    {"DIFFERENT", cli::Align::kRight}});
  for (const Result& result : results) {
    table.AddRow({result.system, std::to_string(result.took_us.size()),
                  Milliseconds(Percentile(result.took_us, 0.5)),
                  Milliseconds(Percentile(result.took_us, 0.99)), Milliseconds(Percentile(result.took_us, 1)),
                  std::to_string(result.acknowledged), std::to_string(result.lost),
                  std::to_string(result.full_syncs), std::to_string(result.different)});
  }
  std::cout << "\n" << title << "\n" << table.Render() << std::flush;
}

void PrintRatio(const Result& ours, const Result& reference) {
  const auto ratio = [&](double part) {
    const auto less = static_cast<double>(Percentile(ours.took_us, part));
    char text[32];
    std::snprintf(text, sizeof text, "%.1f",
                  less > 0 ? static_cast<double>(Percentile(reference.took_us, part)) / less : 0);
    return std::string(text);
  };
  std::cout << reference.system << " / " << ours.system << ": p50 " << ratio(0.5) << ", p99 " << ratio(0.99)
            << "\n";
}

struct Arguments {
  std::size_t runs = 50;
  std::string only;  // empty: both
  bool help = false;
  std::string error;  // one sentence
};

Arguments Parse(const std::vector<std::string>& words) {
  Arguments arguments;
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::string name = words[i];
    if (name == "-h" || name == "--help") {
      arguments.help = true;
      continue;
    }
    std::string value;
    if (const std::size_t equals = name.find('='); equals != std::string::npos) {
      value = name.substr(equals + 1);
      name.resize(equals);
    } else if (i + 1 < words.size()) {
      value = words[++i];
    }
    if (name == "--runs") {
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), arguments.runs);
      if (error != std::errc() || end != value.data() + value.size() || arguments.runs == 0) {
        arguments.error = "--runs needs a number, 1 or more, and got '" + cli::Clean(value) + "'";
        return arguments;
      }
    } else if (name == "--only" && (value == "walstitch" || value == "sentinel")) {
      arguments.only = value;
    } else {
      arguments.error =
          "what is '" + cli::Clean(name) + "'? Known are --runs NUMBER, --only walstitch|sentinel and --help";
      return arguments;
    }
  }
  return arguments;
}

int Main(const std::vector<std::string>& words) {
  const Arguments arguments = Parse(words);
  if (!arguments.error.empty()) {
    std::cerr << "bench_failover: " << arguments.error << "\n";
    return 2;
  }
  if (arguments.help) {
    std::cout << kHelp;
    return 0;
  }
  std::cout << "Failover and switchover under load: "
            << (test::NodeServer::IsRealKvrocks() ? "a real Kvrocks" : "reference node")
            << ", all on loopback of one machine\n"
            << std::flush;
  try {
    std::vector<Result> failovers;
    std::optional<Result> switchovers;
    if (arguments.only != "sentinel") {
      WalstitchBench bench;
      failovers.push_back(bench.Failovers(arguments.runs));
      switchovers = bench.Switchovers(arguments.runs);
    }
    if (arguments.only != "walstitch") {
      if (auto result = SentinelFailovers(arguments.runs)) failovers.push_back(std::move(*result));
    }
    Print("failover: kill -9 of the master to the first acknowledged write on the other", failovers);
    if (failovers.size() == 2) PrintRatio(failovers[0], failovers[1]);
    if (switchovers)
      Print("switchover: last acknowledged write on the old master to the first on the new", {*switchovers});
  } catch (const std::exception& error) {
    std::cerr << "bench_failover: " << error.what() << "\n";
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace walstitch::bench

int main(int argc, char** argv) { return walstitch::bench::Main({argv + 1, argv + argc}); }
