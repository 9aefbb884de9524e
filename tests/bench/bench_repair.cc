// What it costs to make keys equal again on the master, against the full sync of the same group. See --help.
//
// Written as a program and not with a benchmark library: what is measured happens once, in other processes.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "controller/cli/table.h"
#include "controller/cli/text.h"
#include "policies/model/bytes.h"
#include "policies/model/json.h"
#include "tests/support/bulk_load.h"
#include "tests/support/cluster.h"

namespace walstitch::bench {
namespace {

constexpr const char* kHelp =
    R"(For each kind of key: two nodes, their agents and a controller on loopback, with --size MiB of other data. The
master dies with records of these keys that the replica never saw; the replica is promoted, and the old master
comes back, is padded, and its keys are repaired on the new one. Then the same again, and a full sync instead.

  repair    the steps of the record that rewrite the keys; they rest for as long as each key takes
  key, MiB  the same for each key, and for each MiB of their values
  rejoin    from the decision to its outcome: the comparisons before and after are in it
  full      the same for the full sync
  written   bytes of keys and values in the master's WAL for it, over the bytes of the values
  p50, p99  of one client's GET and SET of other keys on the master: without, and during the repair

KVROCKS_BIN=/path/to/kvrocks runs it on a real Kvrocks. Times are printed, never asserted; exit code 1 only if a
verdict or an outcome is not as it must be.)";

constexpr const char* kPolicy = R"(apiVersion: walstitch/v1
kind: TolerancePolicy
metadata: {name: bench}
spec:
  default: $DEFAULT
  prefer: [aligned, padded, full]
)";

constexpr std::size_t kValueBytes = 64 << 10;
constexpr auto kPatience = std::chrono::minutes(10);
constexpr auto kBaseline = std::chrono::seconds(2);

struct Kind {
  std::string name;
  int keys = 0;
  int fields = 0;  // 0: a string
  std::size_t value = 0;
  [[nodiscard]] std::uint64_t Bytes() const {
    return static_cast<std::uint64_t>(keys) * static_cast<std::uint64_t>(std::max(fields, 1)) * value;
  }
};

const std::vector<Kind> kKinds = {{"string, 100 B", 1000, 0, 100},
                                  {"hash, 10 x 100 B", 1000, 10, 100},
                                  {"string, 1 MiB", 20, 0, 1 << 20},
                                  {"hash, 1000 x 1 KiB", 20, 1000, 1 << 10}};

[[noreturn]] void Fail(const std::string& sentence) { throw std::runtime_error(sentence); }

void Must(const std::optional<std::string>& error) {
  if (error) Fail(*error);
}

std::string PolicyOf(const std::string& tolerance) {
  std::string policy = kPolicy;
  policy.replace(policy.find("$DEFAULT"), 8, tolerance);
  return policy;
}

std::int64_t UnixUs() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// One client that reads and writes keys of its own, one command after the other.
class Client {
 public:
  struct Sample {
    std::int64_t at_us = 0;
    std::int64_t took_us = 0;
  };

  explicit Client(test::RedisClient client) : client_(std::move(client)), thread_([this] { Run(); }) {}
  ~Client() { Stop(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  std::vector<Sample> Stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
    return samples_;
  }

 private:
  void Run() {
    for (int i = 0; !stop_; ++i) {
      const std::string key = "client:" + std::to_string(i % 100);
      const std::int64_t begin = UnixUs();
      (void)(i % 2 == 0 ? client_("SET", key, "value") : client_("GET", key));
      samples_.push_back({begin, UnixUs() - begin});
      std::this_thread::sleep_for(std::chrono::microseconds(200));
    }
  }

  test::RedisClient client_;
  std::atomic<bool> stop_{false};
  std::vector<Sample> samples_;
  std::thread thread_;
};

std::string Percentiles(const std::vector<Client::Sample>& samples, std::int64_t from_us,
                        std::int64_t to_us) {
  std::vector<std::int64_t> took;
  for (const auto& sample : samples) {
    if (sample.at_us >= from_us && sample.at_us < to_us) took.push_back(sample.took_us);
  }
  if (took.empty()) return "-";
  std::sort(took.begin(), took.end());
  const auto at = [&](std::size_t percent) {
    return took[std::min(took.size() - 1, took.size() * percent / 100)];
  };
  return std::to_string(at(50)) + ", " + std::to_string(at(99)) + " us";
}

struct Row {
  std::int64_t repair_ms = 0;
  std::int64_t rejoin_ms = 0;
  std::int64_t full_ms = 0;
  std::uint64_t written = 0;
  std::string without;
  std::string during;
};

class Bench {
 public:
  Bench(Kind kind, std::size_t megabytes)
      : kind_(std::move(kind)), megabytes_(megabytes), cluster_(Options()) {}

  Row Run() {
    Must(cluster_.Start());
    test::RedisClient client = cluster_.Client(cluster_.Master());
    Must(test::Load(client, {"data:", megabytes_ * (1 << 20) / kValueBytes, kValueBytes, megabytes_}));
    Write(client, "common");
    if (!cluster_.WaitSettled(kPatience)) Fail("the replica does not keep up with the load");
    Row row;
    Repair(&row);
    cluster_.WritePolicy(PolicyOf("fullsync"));
    FullSync(&row);
    return row;
  }

  std::string Logs() const { return cluster_.Logs(); }

 private:
  void Write(test::RedisClient& client, const std::string& word) {
    const std::string value = word + std::string(kind_.value - word.size(), 'x');
    for (int i = 0; i < kind_.keys; ++i) {
      std::vector<std::string> command = {kind_.fields == 0 ? "SET" : "HSET", "bench:" + std::to_string(i)};
      if (kind_.fields == 0) command.push_back(value);
      for (int field = 0; field < kind_.fields; ++field) {
        command.push_back("field-" + std::to_string(field));
        command.push_back(value);
      }
      const test::Reply reply = client.Command(command);
      if (reply.kind == test::Reply::Kind::kError)
        Fail(command.front() + " was answered " + test::ToString(reply));
    }
  }

  static test::ClusterOptions Options() {
    test::ClusterOptions options;
    options.policy = PolicyOf("repair");
    return options;
  }

  // The master dies with a tail on every key; the record of how it came back. `prepare` runs before it does.
  template <typename Prepare>
  DecisionRecord Rejoin(Verdict verdict, const Prepare& prepare) {
    if (!cluster_.WaitSettled(kPatience)) Fail("the group does not settle");
    const std::string rejoiner = cluster_.Master();
    const std::string survivor = rejoiner == "n1" ? "n2" : "n1";
    Must(cluster_.Diverge(
        survivor,
        [&](test::RedisClient& client) {
          for (int i = 0; i < kind_.keys; ++i) {
            const std::string key = "bench:" + std::to_string(i);
            (void)(kind_.fields == 0 ? client("SET", key, "tail") : client("HSET", key, "field-0", "tail"));
          }
        },
        [&](test::RedisClient& client) {
          std::vector<std::string> batch = {"MSET"};
          for (int i = 0; i < 2 * kind_.keys + 1; ++i)
            batch.insert(batch.end(), {"client:" + std::to_string(i), "m"});
          if (!client.Command(batch).IsOk()) Fail("MSET is refused");
        }));
    prepare(survivor);
    Must(cluster_.RestartNode(rejoiner));
    const auto record_of = [&] { return cluster_.LastRejoin(rejoiner); };
    const std::string survivor_of = survivor;
    const bool back = cluster_.WaitUntil(
        [&] {
          const auto record = record_of();
          return record && record->decision.survivor == survivor_of &&
                 record->decision.epoch == cluster_.Epoch();
        },
        kPatience);
    if (!back) Fail(rejoiner + " does not come back");
    const auto record = record_of();
    if (record->decision.verdict->verdict != verdict) {
      Fail("the verdict is " + std::string(ToString(record->decision.verdict->verdict)) + ": " +
           record->decision.verdict->reasons.front().sentence);
    }
    if (record->outcome->outcome != Outcome::kDone) Fail(record->outcome->sentence);
    return *record;
  }

  void Repair(Row* row) {
    std::optional<Client> client;
    std::int64_t baseline_us = 0;
    std::uint64_t before = 0;
    std::string survivor;
    const DecisionRecord record = Rejoin(Verdict::kPadded, [&](const std::string& master) {
      survivor = master;
      before = cluster_.Node(master).LastSequence();
      client.emplace(cluster_.Client(master));
      baseline_us = UnixUs();
      std::this_thread::sleep_for(kBaseline);
    });
    const std::vector<Client::Sample> samples = client->Stop();
    std::int64_t begin_ms = 0;
    std::int64_t end_ms = 0;
    for (const StepRecord& step : record.steps) {
      if (step.action != "repair") continue;
      if (begin_ms == 0) begin_ms = step.start_ms;
      end_ms = step.end_ms;
      row->repair_ms += step.end_ms - step.start_ms;
    }
    row->rejoin_ms = record.outcome->took_ms;
    row->without =
        Percentiles(samples, baseline_us, baseline_us + std::chrono::microseconds(kBaseline).count());
    row->during = Percentiles(samples, begin_ms * 1000, end_ms * 1000);
    row->written = Written(survivor, before);
  }

  // For the keys, behind that sequence.
  std::uint64_t Written(const std::string& master, std::uint64_t before) {
    const std::uint64_t last = cluster_.Node(master).LastSequence();
    const auto answer =
        cluster_.CallAgent(master, "GET",
                           "/v1/wal/touched?max_keys=100000&from=" + std::to_string(before + 1) +
                               "&to=" + std::to_string(last + 1));
    const auto json = ParseJson(answer.body);
    const auto touched = json ? TouchedFromJson(*json) : ::walstitch::Fail(ErrorCode::kInvalid, answer.body);
    if (!touched) Fail(touched.error().Message());
    std::uint64_t bytes = 0;
    for (const TouchedKey& key : touched->keys) {
      if (key.internal.empty() && !key.key.starts_with("client:")) bytes += key.bytes;
    }
    return bytes;
  }

  void FullSync(Row* row) {
    const DecisionRecord record = Rejoin(Verdict::kFull, [](const std::string&) {});
    row->full_ms = record.outcome->took_ms;
  }

  Kind kind_;
  std::size_t megabytes_;
  test::Cluster cluster_;
};

std::string Fixed(double value, const char* format) {
  char text[32];
  std::snprintf(text, sizeof text, format, value);
  return text;
}

int Main(int argc, char** argv) {
  std::size_t megabytes = 256;
  CLI::App app(kHelp, "bench_repair");
  app.add_option("--size", megabytes, "MiB of other data")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  std::cout << "Repair after a padded rejoin: "
            << (test::NodeServer::IsRealKvrocks() ? "a real Kvrocks" : "reference node") << ", " << megabytes
            << " MiB of other data, all on loopback of one machine\n"
            << std::flush;
  cli::Table table({{"KEYS", cli::Align::kRight},
                    {"EACH"},
                    {"REPAIR", cli::Align::kRight},
                    {"KEY", cli::Align::kRight},
                    {"MIB", cli::Align::kRight},
                    {"REJOIN", cli::Align::kRight},
                    {"FULL", cli::Align::kRight},
                    {"FULL / REJOIN", cli::Align::kRight},
                    {"WRITTEN", cli::Align::kRight},
                    {"P50, P99 WITHOUT", cli::Align::kRight},
                    {"DURING", cli::Align::kRight}});
  for (const Kind& kind : kKinds) {
    Bench bench(kind, megabytes);
    try {
      const Row row = bench.Run();
      const auto ms = static_cast<double>(row.repair_ms);
      const double mib = static_cast<double>(kind.Bytes()) / (1 << 20);
      table.AddRow({std::to_string(kind.keys), kind.name, cli::FormatDuration(row.repair_ms),
                    Fixed(ms / kind.keys, "%.2f ms"), Fixed(ms / mib, "%.0f ms"),
                    cli::FormatDuration(row.rejoin_ms), cli::FormatDuration(row.full_ms),
                    Fixed(static_cast<double>(row.full_ms) /
                              static_cast<double>(std::max<std::int64_t>(row.rejoin_ms, 1)),
                          "%.2f"),
                    Fixed(static_cast<double>(row.written) / static_cast<double>(kind.Bytes()), "%.2f"),
                    row.without, row.during});
    } catch (const std::exception& error) {
      std::cerr << bench.Logs() << "bench_repair: " << kind.name << ": " << error.what() << "\n";
      return 1;
    }
    std::cerr << kind.name << " done\n";
  }
  std::cout << "\n" << table.Render();
  return 0;
}

}  // namespace
}  // namespace walstitch::bench

int main(int argc, char** argv) { return walstitch::bench::Main(argc, argv); }
