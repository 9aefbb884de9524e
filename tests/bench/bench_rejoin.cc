// A padded rejoin against a full sync: the same two nodes, the same data, one run. See --help.
//
// Written as a program and not with a benchmark library: what is measured happens once, in other processes.
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>
#include <sstream>
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

constexpr const char* kHelp = R"(bench_rejoin [--sizes 64,512,2048] [--write-buffer 4]

For each size, in MiB of data that cannot be compressed: two nodes, their agents and a controller on loopback.
The master dies with records that the replica never saw; the replica is promoted and writes others; the old
master comes back. Twice the policy lets that differ (padded), once it does not (full).

  took      from the decision to its outcome, as on record: evidence, steps, verification
  evidence  the part of it until the first step: both WALs are read, the verdict is made and written
  steps     each step of the plan, in ms
  wall      from the start of the node's process until it follows the new master and holds all that it holds;
            the start of the server, which replays its own WAL, is in it
  sent      bytes to the node through the relay

--write-buffer is rocksdb.write_buffer_size of the nodes in MiB, and so about what one of their WAL files grows
to. It matters little to Walstitch, but to the server: before it answers PSYNC, RocksDB reads the newest WAL
file from its start up to the place where the stream shall begin (64, Kvrocks' default: up to 30 ms of `follow`).

KVROCKS_BIN=/path/to/kvrocks runs it on a real Kvrocks. Times are printed, never asserted; exit code 1 only
if a verdict or a counter is not as it must be.
)";

constexpr const char* kPolicy = R"(apiVersion: walstitch/v1
kind: TolerancePolicy
metadata: {name: bench}
spec:
  keyspaces:
    - name: page-cache
      match: {keys: ["page:*"]}
      onDivergence: ignore
  default: fullsync
  prefer: [aligned, padded, full]
)";

constexpr std::size_t kValueBytes = 64 << 10;
constexpr auto kPatience = std::chrono::minutes(10);

[[noreturn]] void Fail(const std::string& sentence) { throw std::runtime_error(sentence); }

void Must(const std::optional<std::string>& error) {
  if (error) Fail(*error);
}

// Of a process, since it began: its own and the kernel's for it.
std::uint64_t CpuTicks(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/stat");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  // The name, in parentheses, may hold anything; state is the first field behind it, utime the twelfth.
  std::istringstream fields(text.substr(std::min(text.rfind(')') + 1, text.size())));
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  std::uint64_t user = 0;
  std::uint64_t kernel = 0;
  fields >> user >> kernel;
  return user + kernel;
}

struct Row {
  std::size_t megabytes = 0;
  Verdict verdict = Verdict::kHold;
  std::int64_t took_ms = 0;
  std::int64_t evidence_ms = 0;
  std::string steps;
  std::int64_t wall_ms = 0;
  std::uint64_t sent = 0;
  std::string wal;  // of rejoiner and survivor
};

class Bench {
 public:
  Bench(std::size_t megabytes, std::size_t write_buffer)
      : megabytes_(megabytes), cluster_(Options(write_buffer)) {}

  std::vector<Row> Run() {
    Must(cluster_.Start());
    {
      test::RedisClient client = cluster_.Client(cluster_.Master());
      Must(test::Load(client, {"data:", megabytes_ * (1 << 20) / kValueBytes, kValueBytes, megabytes_}));
    }
    if (!cluster_.WaitSettled(kPatience)) Fail("the replica does not keep up with the load");
    std::vector<Row> rows;
    rows.push_back(Measure(Verdict::kPadded));
    rows.push_back(Measure(Verdict::kPadded));
    rows.push_back(Measure(Verdict::kFull));
    return rows;
  }

  std::string Logs() const { return cluster_.Logs(); }

 private:
  static test::ClusterOptions Options(std::size_t write_buffer) {
    test::ClusterOptions options;
    options.policy = kPolicy;
    options.node_config["rocksdb.write_buffer_size"] = std::to_string(write_buffer);
    return options;
  }

  std::string WalOf(const std::string& node) {
    const test::HttpAnswer answer = cluster_.CallAgent(node, "GET", "/v1/wal/extent");
    const auto json = ParseJson(answer.body);
    const auto extent = json ? WalExtentFromJson(*json) : ::walstitch::Fail(ErrorCode::kInvalid, answer.body);
    if (!extent) return "?";
    return HumanBytes(extent->bytes) + " in " + std::to_string(extent->files);
  }

  // What a load leaves behind, compaction and dirty pages, is not to be measured with the next rejoin: waits
  // until the servers need less than a tenth of a core.
  void WaitIdle() {
    ::sync();
    const auto ticks = [&] {
      return CpuTicks(cluster_.Node("n1").process().pid()) + CpuTicks(cluster_.Node("n2").process().pid());
    };
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(2);
    for (std::uint64_t before = ticks(), now = 0; std::chrono::steady_clock::now() < deadline; before = now) {
      std::this_thread::sleep_for(std::chrono::seconds(1));
      now = ticks();
      if ((now - before) * 10 <= static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK))) return;
    }
  }

  // The roles change with each call.
  Row Measure(Verdict verdict) {
    if (!cluster_.WaitSettled(kPatience)) Fail("the group does not settle");
    WaitIdle();
    const std::string rejoiner = cluster_.Master();
    const std::string survivor = rejoiner == "n1" ? "n2" : "n1";
    const std::string prefix = verdict == Verdict::kPadded ? "page:" : "order:";
    const auto write = [](test::RedisClient& client, const std::vector<std::string>& command) {
      const test::Reply reply = client.Command(command);
      if (!reply.IsOk()) Fail(command.front() + " was answered " + test::ToString(reply));
    };
    Must(cluster_.Diverge(
        survivor,
        [&](test::RedisClient& client) {
          for (int i = 0; i < 3; ++i) write(client, {"SET", prefix + std::to_string(i), "of the tail"});
        },
        [&](test::RedisClient& client) {
          std::vector<std::string> batch = {"MSET"};
          for (int i = 0; i < 5; ++i) batch.insert(batch.end(), {prefix + std::to_string(i), "missed"});
          write(client, batch);
          write(client, {"SET", "data:after", "follows"});
        }));
    const auto before = cluster_.LastRejoin(rejoiner);
    const std::uint64_t full_syncs = cluster_.Node(survivor).InfoNumber("stats", "sync_full");
    const auto start = std::chrono::steady_clock::now();
    Must(cluster_.RestartNode(rejoiner));
    if (!cluster_.WaitInService(rejoiner, kPatience)) Fail(rejoiner + " does not come back");
    const auto wall = std::chrono::steady_clock::now() - start;
    if (!cluster_.WaitSettled(kPatience)) Fail("the group does not settle");

    const auto record = cluster_.LastRejoin(rejoiner);
    if (!record || (before && before->decision.id == record->decision.id)) Fail("no rejoin is on record");
    if (record->decision.verdict->verdict != verdict) {
      Fail("the verdict is " + std::string(ToString(record->decision.verdict->verdict)) + ": " +
           record->decision.verdict->reasons.front().sentence);
    }
    if (record->outcome->outcome != Outcome::kDone) Fail(record->outcome->sentence);
    const std::uint64_t served = cluster_.Node(survivor).InfoNumber("stats", "sync_full") - full_syncs;
    if (served != (verdict == Verdict::kFull ? 1U : 0U)) {
      Fail(survivor + " counted " + cli::Count(served, "full sync") + " for the verdict " +
           std::string(ToString(verdict)));
    }
    Row row;
    row.megabytes = megabytes_;
    row.verdict = verdict;
    row.took_ms = record->outcome->took_ms;
    if (!record->steps.empty()) row.evidence_ms = record->steps.front().start_ms - record->decision.time_ms;
    for (const StepRecord& step : record->steps) {
      row.steps +=
          (row.steps.empty() ? "" : ", ") + step.action + " " + std::to_string(step.end_ms - step.start_ms);
    }
    row.wall_ms = std::chrono::duration_cast<std::chrono::milliseconds>(wall).count();
    row.sent = record->outcome->bytes_to_node;
    row.wal = WalOf(rejoiner) + ", " + WalOf(survivor);
    return row;
  }

  std::size_t megabytes_;
  test::Cluster cluster_;
};

std::string Ratio(double more, double less) {
  char text[32];
  std::snprintf(text, sizeof text, "%.0f", less > 0 ? more / less : 0);
  return text;
}

void PrintRatios(const std::vector<Row>& rows) {
  // The slower of the two padded ones, to be fair to the full sync.
  cli::Table table({{"DATA", cli::Align::kRight},
                    {"FULL / PADDED, TOOK", cli::Align::kRight},
                    {"WALL", cli::Align::kRight},
                    {"SENT", cli::Align::kRight}});
  for (std::size_t i = 0; i + 2 < rows.size(); i += 3) {
    const Row& padded = rows[i].took_ms > rows[i + 1].took_ms ? rows[i] : rows[i + 1];
    const Row& full = rows[i + 2];
    const auto number = [](auto value) { return static_cast<double>(value); };
    table.AddRow(
        {std::to_string(full.megabytes) + " MiB", Ratio(number(full.took_ms), number(padded.took_ms)),
         Ratio(number(full.wall_ms), number(padded.wall_ms)), Ratio(number(full.sent), number(padded.sent))});
  }
  std::cout << "\n" << table.Render();
}

// Empty if a word is no size.
std::vector<std::size_t> ParseSizes(const std::string& text) {
  std::vector<std::size_t> sizes;
  for (std::size_t at = 0; at <= text.size();) {
    const std::size_t comma = std::min(text.find(',', at), text.size());
    std::size_t size = 0;
    const auto [end, error] = std::from_chars(text.data() + at, text.data() + comma, size);
    if (error != std::errc() || end != text.data() + comma || size < 1 || size > (1 << 20)) return {};
    sizes.push_back(size);
    at = comma + 1;
  }
  return sizes;
}

struct Arguments {
  std::vector<std::size_t> sizes = {64, 512, 2048};
  std::size_t write_buffer = 4;
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
    const std::vector<std::size_t> numbers = ParseSizes(value);
    if (name == "--sizes") {
      arguments.sizes = numbers;
    } else if (name == "--write-buffer") {
      if (!numbers.empty()) arguments.write_buffer = numbers.front();
    } else {
      arguments.error = "what is '" + cli::Clean(name) + "'? Known are --sizes, --write-buffer and --help";
      return arguments;
    }
    if (numbers.empty() || (name == "--write-buffer" && numbers.size() > 1)) {
      arguments.error = name + " needs MiB, such as " + (name == "--sizes" ? "64,512,2048" : "64") +
                        ", and got '" + cli::Clean(value) + "'";
      return arguments;
    }
  }
  return arguments;
}

int Main(const std::vector<std::string>& words) {
  const Arguments arguments = Parse(words);
  if (!arguments.error.empty()) {
    std::cerr << "bench_rejoin: " << arguments.error << "\n";
    return 2;
  }
  if (arguments.help) {
    std::cout << kHelp;
    return 0;
  }
  std::cout << "Rejoin after a failover: "
            << (test::NodeServer::IsRealKvrocks() ? "a real Kvrocks" : "reference node")
            << ", write buffers of " << arguments.write_buffer << " MiB, all on loopback of one machine\n"
            << std::flush;
  std::vector<Row> rows;
  for (const std::size_t size : arguments.sizes) {
    Bench bench(size, arguments.write_buffer);
    try {
      for (Row& row : bench.Run()) rows.push_back(std::move(row));
    } catch (const std::exception& error) {
      std::cerr << bench.Logs() << "bench_rejoin: " << size << " MiB: " << error.what() << "\n";
      return 1;
    }
    std::cerr << size << " MiB done\n";
  }
  cli::Table table({{"DATA", cli::Align::kRight},
                    {"VERDICT"},
                    {"TOOK", cli::Align::kRight},
                    {"EVIDENCE", cli::Align::kRight},
                    {"STEPS (MS)"},
                    {"WALL", cli::Align::kRight},
                    {"SENT", cli::Align::kRight},
                    {"WAL OF REJOINER, SURVIVOR (BYTES IN FILES)"}});
  for (const Row& row : rows) {
    table.AddRow({std::to_string(row.megabytes) + " MiB", std::string(ToString(row.verdict)),
                  cli::FormatDuration(row.took_ms), cli::FormatDuration(row.evidence_ms), row.steps,
                  cli::FormatDuration(row.wall_ms), HumanBytes(row.sent), row.wal});
  }
  std::cout << "\n" << table.Render();
  PrintRatios(rows);
  return 0;
}

}  // namespace
}  // namespace walstitch::bench

int main(int argc, char** argv) { return walstitch::bench::Main({argv + 1, argv + argc}); }
