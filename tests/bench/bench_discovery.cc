// Clients that find the master with Sentinel's protocol, through failovers and switchovers; beside the same
// clients with Redis and Redis Sentinel. See --help.
//
// Written as a program and not with a benchmark library: what is measured happens once, in other processes.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "controller/cli/table.h"
#include "controller/cli/text.h"
#include "tests/bench/redis_group.h"
#include "tests/support/cluster.h"
#include "tests/support/sentinel_writer.h"

namespace walstitch::bench {
namespace {

using std::chrono::seconds;
using test::ClientLibrary;
using test::SentinelWriter;

constexpr const char* kHelp = R"(bench_discovery [--runs 20] [--only walstitch|sentinel]

Two nodes on loopback, and two programs that write all the time, one with redis-py and one with ioredis: as they are,
with nothing but their Sentinel support, to whom they are told is the master.

  failover     kill -9 of the master's server, until a client's first acknowledged write on the other. The dead one comes
               back after that as a replica. With Walstitch, as it is by default: the clients ask the controller. With
               Redis and Redis Sentinel (down-after 1000 ms, quorum 1, one Sentinel)
  switchover   ordered with SENTINEL FAILOVER: from the order, and from the last write that the old master acknowledged,
               to the first that the new one did

  errors       writes that the client's library gave up
  lost         writes that were acknowledged, and are not on the master at the end

What the two need to notice is not the same: an agent beside the server sees its process end, and Sentinel sees that
nobody answers for as long as it was told to wait. In a switchover, Sentinel promotes the replica first, and makes the old
master a replica some 10 s later: until then clients write there, and what they write is lost.

KVROCKS_BIN=/path/to/kvrocks runs Walstitch's nodes on a real Kvrocks. Times are printed, never asserted; exit code 1
only if a run does not come to its end.
)";

constexpr auto kPatience = seconds(60);

[[noreturn]] void Fail(const std::string& sentence) { throw std::runtime_error(sentence); }

void Must(const std::optional<std::string>& error) {
  if (error) Fail(*error);
}

struct Result {
  std::string system;
  std::string client;
  std::vector<std::int64_t> failover_us;  // from the kill
  std::vector<std::int64_t> ordered_us;   // from the order
  std::vector<std::int64_t> pause_us;     // from the last write on the old master
  std::uint64_t acknowledged = 0;
  std::uint64_t errors = 0;
  std::uint64_t lost = 0;
};

// The programs that write, and what each of them saw.
class Clients {
 public:
  Clients(const std::string& system, const std::string& group, uint16_t sentinel) {
    for (const ClientLibrary library : {ClientLibrary::kRedisPy, ClientLibrary::kIoredis}) {
      const std::string version = test::VersionOf(library);
      if (version.empty()) {
        std::cout << test::ToString(library) << " is not here: ./x bench discovery installs it, if it can\n";
        continue;
      }
      auto writer = std::make_unique<SentinelWriter>(library);
      test::WriterTarget target;
      target.group = group;
      target.sentinels = {sentinel};
      target.prefix = std::string(test::ToString(library)) + ":";
      Must(writer->Start(target));
      writers_.push_back(std::move(writer));
      results_.push_back({system, version, {}, {}, {}, 0, 0, 0});
    }
    if (writers_.empty()) Fail("there is no client");
  }

  // All of them write there, and go on doing so.
  void WaitWriting(uint16_t port, std::size_t writes = 200) {
    for (const auto& writer : writers_) {
      const std::int64_t since_us = SentinelWriter::NowUs();
      const auto enough = [&] {
        const auto& acks = writer->Acks();
        return acks.size() >= writes && acks[acks.size() - writes].end_us >= since_us &&
               acks.back().port == port;
      };
      if (!test::Eventually(kPatience, enough)) Say(*writer, "does not write on the master");
    }
  }

  void Failover(uint16_t to, std::int64_t since_us) {
    for (std::size_t i = 0; i < writers_.size(); ++i)
      results_[i].failover_us.push_back(First(*writers_[i], to, since_us) - since_us);
  }
  void Switchover(uint16_t from, uint16_t to, std::int64_t since_us) {
    for (std::size_t i = 0; i < writers_.size(); ++i) {
      const std::int64_t first = First(*writers_[i], to, since_us);
      results_[i].ordered_us.push_back(first - since_us);
      results_[i].pause_us.push_back(first - writers_[i]->LastAckOn(from)->end_us);
    }
  }

  // Everything is over; `master` holds what is left of it.
  std::vector<Result> Finish(test::RedisClient master) {
    for (std::size_t i = 0; i < writers_.size(); ++i) {
      SentinelWriter& writer = *writers_[i];
      writer.Stop();
      results_[i].acknowledged = writer.Acks().size();
      results_[i].errors = writer.Errors();
      for (const auto& ack : writer.Acks())
        results_[i].lost += master("EXISTS", writer.Key(ack.number)).integer == 0 ? 1 : 0;
    }
    return results_;
  }

 private:
  [[noreturn]] static void Say(SentinelWriter& writer, const std::string& what) {
    Fail(std::string(test::ToString(writer.Library())) + " " + what + ": " + writer.LastError());
  }
  static std::int64_t First(SentinelWriter& writer, uint16_t port, std::int64_t since_us) {
    std::optional<SentinelWriter::Ack> first;
    test::Eventually(kPatience, [&] { return (first = writer.FirstAckOn(port, since_us)).has_value(); });
    if (!first) Say(writer, "did not find the new master within a minute");
    return first->end_us;
  }

  std::vector<std::unique_ptr<SentinelWriter>> writers_;
  std::vector<Result> results_;
};

void Progress(const std::string& what, std::size_t run, std::size_t runs) {
  if (run % 5 == 0 || run == runs) std::cerr << what << ": " << run << " of " << runs << "\n";
}

std::vector<Result> Walstitch(std::size_t runs) {
  const uint16_t sentinel = test::PickFreePort();
  test::ClusterOptions options;
  options.controller_config =
      "sentinel: {port: " + std::to_string(sentinel) + "}\n";  // the rest as it is by default
  test::Cluster cluster(options);
  if (auto error = cluster.Start()) Fail(*error + cluster.Logs());
  const auto name = [&](std::size_t node) { return cluster.Nodes()[node]; };
  const auto port = [&](std::size_t node) { return cluster.Node(name(node)).port(); };
  // The master, when everything is quiet, and the next failover is not held back.
  const auto settle = [&] {
    if (!cluster.WaitSettled(kPatience)) Fail("the group does not come to rest\n" + cluster.Logs());
    cluster.CallController("POST", "/v1/groups/shop/unblock", R"({"reason": "the next run"})");
    if (!cluster.WaitSettled(kPatience)) Fail("the group does not come to rest\n" + cluster.Logs());
    return cluster.Master() == name(0) ? std::size_t{0} : std::size_t{1};
  };
  Clients clients("walstitch", "shop", sentinel);
  for (std::size_t run = 0; run < runs; ++run) {
    const std::size_t master = settle();
    clients.WaitWriting(port(master));
    const std::int64_t since_us = SentinelWriter::NowUs();
    cluster.KillNode(name(master));
    clients.Failover(port(1 - master), since_us);
    Must(cluster.RestartNode(name(master)));
    Progress("walstitch failover", run + 1, runs);
  }
  for (std::size_t run = 0; run < runs; ++run) {
    const std::size_t master = settle();
    clients.WaitWriting(port(master));
    const std::int64_t since_us = SentinelWriter::NowUs();
    const test::Reply reply = test::RedisClient(sentinel)("SENTINEL", "FAILOVER", "shop");
    if (!reply.IsOk()) Fail("switchover: " + test::ToString(reply));
    clients.Switchover(port(master), port(1 - master), since_us);
    Progress("walstitch switchover", run + 1, runs);
  }
  return clients.Finish(cluster.Client(name(settle())));
}

std::vector<Result> Sentinel(std::size_t runs) {
  if (test::RedisSentinel::Binary().empty()) {
    std::cout << "no Redis Sentinel here: ./x bench discovery installs Debian's redis-tools\n";
    return {};
  }
  RedisGroup group;
  Must(group.Start());
  std::size_t master = 0;
  Must(group.WaitReady(master));
  Clients clients("sentinel " + group.Version(), RedisGroup::kName, group.SentinelPort());
  const auto settle = [&] {
    if (const auto error = group.WaitReady(master)) Fail(*error + "\n" + group.Log());
    clients.WaitWriting(group.Port(master));
  };
  for (std::size_t run = 0; run < runs; ++run) {
    settle();
    const std::int64_t since_us = SentinelWriter::NowUs();
    group.Kill(master);
    clients.Failover(group.Port(1 - master), since_us);
    // Sentinel is in the middle of it still; started now, the old master would only meet what is left of
    // that.
    if (const auto error = group.WaitSwitched(1 - master)) Fail(*error + "\n" + group.Log());
    Must(group.StartAsReplica(master));
    master = 1 - master;
    Progress("sentinel failover", run + 1, runs);
  }
  for (std::size_t run = 0; run < runs; ++run) {
    settle();
    std::int64_t since_us = 0;
    test::Reply reply;
    // It refuses for a while after the last.
    test::Eventually(kPatience, [&] {
      since_us = SentinelWriter::NowUs();
      reply = group.Sentinel()("SENTINEL", "FAILOVER", RedisGroup::kName);
      return reply.IsOk();
    });
    if (!reply.IsOk()) Fail("switchover: " + test::ToString(reply));
    clients.Switchover(group.Port(master), group.Port(1 - master), since_us);
    master = 1 - master;
    Progress("sentinel switchover", run + 1, runs);
  }
  settle();
  return clients.Finish(group.Client(master));
}

std::int64_t Percentile(std::vector<std::int64_t> values, double part) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(part * static_cast<double>(values.size() - 1) + 0.5)];
}

std::string Milliseconds(std::int64_t us) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f ms", static_cast<double>(us) / 1000);
  return text;
}

void Print(const std::string& title, const std::vector<Result>& results,
           std::vector<std::int64_t> Result::*times) {
  cli::Table table({{"BY"},
                    {"CLIENT"},
                    {"RUNS", cli::Align::kRight},
                    {"P50", cli::Align::kRight},
                    {"P99", cli::Align::kRight},
                    {"LONGEST", cli::Align::kRight}});
  for (const Result& result : results) {
    const auto& us = result.*times;
    table.AddRow({result.system, result.client, std::to_string(us.size()), Milliseconds(Percentile(us, 0.5)),
                  Milliseconds(Percentile(us, 0.99)), Milliseconds(Percentile(us, 1))});
  }
  std::cout << "\n" << title << "\n" << table.Render() << std::flush;
}

void PrintWrites(const std::vector<Result>& results) {
  cli::Table table({{"BY"},
                    {"CLIENT"},
                    {"ACKNOWLEDGED", cli::Align::kRight},
                    {"LOST", cli::Align::kRight},
                    {"ERRORS", cli::Align::kRight}});
  for (const Result& result : results) {
    table.AddRow({result.system, result.client, std::to_string(result.acknowledged),
                  std::to_string(result.lost), std::to_string(result.errors)});
  }
  std::cout << "\nwrites, of all runs\n" << table.Render() << std::flush;
}

int Main(const std::vector<std::string>& words) {
  std::size_t runs = 20;
  std::string only;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    const std::string value = i + 1 < words.size() ? words[i + 1] : "";
    if (word == "-h" || word == "--help") {
      std::cout << kHelp;
      return 0;
    }
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), runs);
    if (word == "--only" && (value == "walstitch" || value == "sentinel")) {
      only = value;
    } else if (word != "--runs" || error != std::errc() || end != value.data() + value.size() || runs == 0) {
      std::cerr << "bench_discovery: what is '" << cli::Clean(word) << " " << cli::Clean(value)
                << "'? Known are --runs NUMBER, --only walstitch|sentinel and --help\n";
      return 2;
    }
    ++i;
  }
  std::cout << "Clients with Sentinel's protocol: Walstitch on "
            << (test::NodeServer::IsRealKvrocks() ? "a real Kvrocks" : "the reference node")
            << ", Sentinel on Redis, all on loopback of one machine\n"
            << std::flush;
  try {
    std::vector<Result> results;
    if (only != "sentinel") results = Walstitch(runs);
    if (only != "walstitch") {
      for (Result& result : Sentinel(runs)) results.push_back(std::move(result));
    }
    Print("failover: kill -9 of the master to the client's first acknowledged write on the other", results,
          &Result::failover_us);
    Print("switchover: the order to the first acknowledged write on the new master", results,
          &Result::ordered_us);
    Print("switchover: the last acknowledged write on the old master to the first on the new", results,
          &Result::pause_us);
    PrintWrites(results);
  } catch (const std::exception& error) {
    std::cerr << "bench_discovery: " << error.what() << "\n";
    return 1;
  }
  return 0;
}

}  // namespace
}  // namespace walstitch::bench

int main(int argc, char** argv) { return walstitch::bench::Main({argv + 1, argv + argc}); }
