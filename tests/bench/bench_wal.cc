// Reading WALs against RocksDB's own way of reading them: the same files, one run. See --help.
//
// Written as a program and not with a benchmark library: the two sides take microseconds and a second for the
// same question, and each of them is asked as often as it can be in a bounded time.
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iomanip>
#include <iostream>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "agents/wal/crc32c.h"
#include "agents/wal/log_file.h"
#include "agents/wal/wal_directory.h"
#include "controller/cli/find_fork.h"
#include "controller/cli/table.h"
#include "tests/bench/wal_generator.h"
#include "tests/support/node_server.h"

namespace walstitch::bench {
namespace {

constexpr const char* kHelp = R"(bench_wal [--sizes 16,64,256,512,1024,4096] [--fork 1024] [--directory DIR]

For each size in MiB a WAL is written by RocksDB, in one file up to 512 MiB and in files of 64 MiB above, and read
with a warm page cache, by Walstitch from the files and by RocksDB from the open database.

  locate    the batch that holds a random sequence: WalDirectory::Locate against GetUpdatesSince + Valid
  scan      every batch, checksums verified: WalDirectory::ForEachBatch against TransactionLogIterator; and beside
            it what reading into memory, and computing CRC32C, take alone on the same bytes
  fork      where two WALs of --fork MiB part, which agree on two thirds: CPU of everything, bytes exchanged
            and rounds
  live      the latency of SETs of 1 KiB on a server, refnode or the Kvrocks of $KVROCKS_BIN, over one connection:
            while nobody reads its WAL, while a random sequence is located every millisecond, and while the whole
            WAL is scanned again and again, all on the same machine
  memory    the highest resident memory of a process that does nothing else

Both sides must give the same answers; exit code 1 if they do not. Times are printed, never asserted.
--directory is where the WALs are written (and deleted), by default the temporary folder.
)";

using Clock = std::chrono::steady_clock;

[[noreturn]] void Fail(const std::string& sentence) { throw std::runtime_error(sentence); }

template <typename T>
T Must(Result<T> result) {
  if (!result) Fail(result.error().Message());
  return std::move(*result);
}

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::string Number(double value, int digits) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(digits) << value;
  return text.str();
}

std::string Rate(std::uint64_t bytes, double seconds) {
  return Number(static_cast<double>(bytes) / seconds / 1e9, 2) + " GB/s";
}

// Deletes what it named.
class Scratch {
 public:
  explicit Scratch(const std::filesystem::path& parent) {
    std::string pattern = (parent / "walstitch_bench_XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) Fail(parent.string() + ": cannot be written to");
    path_ = pattern;
  }
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  [[nodiscard]] std::string Sub(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

struct Arguments {
  std::vector<std::uint64_t> sizes{16, 64, 256, 512, 1024, 4096};
  std::uint64_t fork = 1024;
  std::string directory = std::filesystem::temp_directory_path().string();
};

// --- what is measured ------------------------------------------------------------------------------------

std::uint64_t ScanAll(const std::string& directory) {
  wal::WalDirectory wal(directory);
  const WalExtent extent = Must(wal.Extent());
  std::uint64_t bytes = 0;
  const auto read = wal.ForEachBatch({*extent.oldest, *extent.last + 1}, [&](const wal::BatchView& batch) {
    bytes += batch.bytes.size();
    return true;
  });
  if (!read) Fail(read.error().Message());
  return bytes;
}

std::uint64_t LocateSome(const std::string& directory, std::uint64_t latest, int times) {
  wal::WalDirectory wal(directory);
  std::mt19937_64 random(7);
  std::uint64_t sum = 0;
  for (int i = 0; i < times; ++i) {
    sum += Must(wal.Locate(Sequence(1 + random() % latest)))->header.first.Value();
  }
  return sum;
}

// The highest resident memory of this very program doing one thing, in a process of its own. It tells it
// itself: what wait4() says of a child includes what the parent had when it forked.
std::string PeakMemory(const std::string& arguments) {
  const std::string command = std::filesystem::read_symlink("/proc/self/exe").string() + " " + arguments;
  FILE* child = ::popen(command.c_str(), "r");
  if (child == nullptr) Fail("a process to measure the memory of cannot be started");
  std::array<char, 64> text{};
  const bool answered = std::fgets(text.data(), text.size(), child) != nullptr;
  if (::pclose(child) != 0 || !answered) Fail("measuring the memory failed");
  return text.data();
}

void PrintPeakMemory() {
  std::ifstream status("/proc/self/status");
  std::string line;
  while (std::getline(status, line)) {
    if (line.starts_with("VmHWM:")) std::cout << Number(std::stod(line.substr(6)) / 1024, 1) << " MiB";
  }
}

struct LocateTimes {
  double first_us = 0;   // a new WalDirectory, which knows no file yet
  double median_us = 0;  // the same one asked again
  double worst_us = 0;   // 99.9th of a hundred
  double reads = 0;
  double bytes = 0;
  double rocksdb_us = 0;  // median
};

LocateTimes MeasureLocate(const WalGenerator& database) {
  LocateTimes times;
  std::mt19937_64 random(42);
  const auto any = [&] { return 1 + random() % database.Latest(); };
  {
    const auto start = Clock::now();
    wal::WalDirectory fresh(database.Directory());
    Must(fresh.Locate(Sequence(any())));
    times.first_us = SecondsSince(start) * 1e6;
  }
  wal::WalDirectory wal(database.Directory());
  std::vector<double> ours;
  constexpr int kLocates = 20000;
  for (int i = 0; i < kLocates; ++i) {
    const Sequence sequence(any());
    const auto start = Clock::now();
    const auto place = Must(wal.Locate(sequence));
    ours.push_back(SecondsSince(start) * 1e6);
    if (!place) Fail("sequence " + sequence.ToString() + " was not found");
    if (!wal.Cost().fallback.empty()) Fail("a fallback was needed: " + wal.Cost().fallback);
    times.reads += static_cast<double>(wal.Cost().reads) / kLocates;
    times.bytes += static_cast<double>(wal.Cost().bytes) / kLocates;
  }
  std::sort(ours.begin(), ours.end());
  times.median_us = ours[ours.size() / 2];
  times.worst_us = ours[ours.size() - ours.size() / 1000];
  std::vector<double> theirs;
  const auto end = Clock::now() + std::chrono::seconds(8);
  while (theirs.size() < 200 && (theirs.size() < 5 || Clock::now() < end)) {
    const Sequence sequence(any());
    const auto start = Clock::now();
    const std::uint64_t first = database.UpdatesSince(sequence.Value());
    theirs.push_back(SecondsSince(start) * 1e6);
    if (const auto place = Must(wal.Locate(sequence)); place->header.first.Value() != first) {
      Fail("sequence " + sequence.ToString() + " is in the batch at " + std::to_string(first) +
           " for RocksDB, at " + place->header.first.ToString() + " here");
    }
  }
  std::sort(theirs.begin(), theirs.end());
  times.rocksdb_us = theirs[theirs.size() / 2];
  return times;
}

// The best of three: what the machine can do, not what else it had to do.
double BestOfThree(const std::function<void()>& work) {
  double best = 1e9;
  for (int i = 0; i < 3; ++i) {
    const auto start = Clock::now();
    work();
    best = std::min(best, SecondsSince(start));
  }
  return best;
}

struct ScanTimes {
  std::uint64_t bytes = 0;  // of the batches
  double scan = 0;          // seconds
  double rocksdb = 0;
  double read_only = 0;  // pread into a buffer: the copy alone
  double read_crc = 0;   // and CRC32C over it
  std::uint32_t sum = 0;
};

ScanTimes MeasureScan(const WalGenerator& database) {
  ScanTimes times;
  const auto read_all = [&](bool with_crc) {
    std::vector<char> buffer(512 << 10);
    wal::WalDirectory wal(database.Directory());
    std::uint32_t sum = 0;
    for (const wal::LogInfo& log : Must(wal.Logs())) {
      const auto file = Must(wal::PosixLogFile::Open(log.path));
      for (std::uint64_t at = 0;;) {
        const std::size_t got = Must(file->ReadAt(at, buffer.data(), buffer.size()));
        if (got == 0) break;
        if (with_crc) sum ^= wal::Crc32c({buffer.data(), got});
        at += got;
      }
    }
    times.sum ^= sum;  // so that it is not left out
  };
  times.read_only = BestOfThree([&] { read_all(false); });
  times.read_crc = BestOfThree([&] { read_all(true); });
  times.scan = BestOfThree([&] { times.bytes = ScanAll(database.Directory()); });
  std::uint64_t theirs = 0;
  times.rocksdb = BestOfThree([&] { theirs = database.IterateAll(); });
  if (theirs != times.bytes) {
    Fail("RocksDB read " + std::to_string(theirs) + " bytes of batches, and here were " +
         std::to_string(times.bytes));
  }
  return times;
}

struct Latency {
  double median_us = 0;
  double p99_us = 0;
  double p999_us = 0;
  std::uint64_t answers = 0;  // that the reader got meanwhile
};

// `read`: what is done beside the writing, again and again; returns whether it did something.
Latency MeasureWrites(const test::NodeServer& node, const std::function<void()>& read) {
  constexpr int kWrites = 30000;
  std::atomic<bool> stop = false;
  std::atomic<std::uint64_t> answers = 0;
  std::string problem;
  std::thread reader([&] {
    try {
      while (read && !stop) {
        read();
        ++answers;
      }
    } catch (const std::exception& error) {
      problem = error.what();
    }
  });
  test::RedisClient client = node.Client();
  std::vector<double> times;
  std::mt19937 random(3);
  bool refused = false;
  for (int i = 0; i < kWrites && !refused; ++i) {
    const std::string key = "bench:" + std::to_string(random() % 10000);
    const auto start = Clock::now();
    refused = !client("SET", key, std::string(1024, 'v')).IsOk();
    times.push_back(SecondsSince(start) * 1e6);
  }
  stop = true;
  reader.join();
  if (refused) problem = "the node refused a SET";
  if (!problem.empty()) Fail(problem);
  std::sort(times.begin(), times.end());
  const auto at = [&](double share) {
    return times[static_cast<std::size_t>(share * static_cast<double>(times.size() - 1))];
  };
  return {at(0.5), at(0.99), at(0.999), answers};
}

cli::Table MeasureLive() {
  using cli::Align;
  cli::Table table({{"the WAL is"},
                    {"median", Align::kRight},
                    {"99%", Align::kRight},
                    {"99.9%", Align::kRight},
                    {"answers", Align::kRight}});
  test::NodeServer node;
  if (const auto error = node.Start()) Fail(*error);
  const auto add = [&](const std::string& what, const std::function<void()>& read) {
    const Latency latency = MeasureWrites(node, read);
    table.AddRow({what, Number(latency.median_us, 0) + " us", Number(latency.p99_us, 0) + " us",
                  Number(latency.p999_us, 0) + " us", std::to_string(latency.answers)});
  };
  MeasureWrites(node, nullptr);  // something to read, and everything warm
  add("not read", nullptr);
  wal::WalDirectory wal(node.directory());
  std::mt19937_64 random(9);
  add("located in", [&] {
    const WalExtent extent = Must(wal.Extent());
    Must(wal.Locate(Sequence(1 + random() % extent.last->Value())));
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  });
  add("scanned", [&] { ScanAll(node.directory()); });
  add("not read", nullptr);
  return table;
}

struct ForkCost {
  double cpu = 0;  // seconds, of both sides and the search
  std::uint64_t bytes = 0;
  int rounds = 0;
  std::uint64_t fork = 0;
};

double CpuSeconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

ForkCost FindTheFork(const std::string& rejoiner, const std::string& survivor,
                     const core::KnownHistory& known) {
  const double before = CpuSeconds();
  wal::WalDirectory a(rejoiner);
  wal::WalDirectory b(survivor);
  const auto found =
      Must(cli::FindFork({"rejoiner", a, Must(a.Extent())}, {"survivor", b, Must(b.Extent())}, known));
  if (!found.answer.fork) Fail("the fork was not found: " + found.answer.note);
  return {CpuSeconds() - before, found.answer_bytes, found.rounds, found.answer.fork->Value()};
}

cli::Table MeasureFork(const Arguments& arguments) {
  using cli::Align;
  cli::Table table({{"WALs"},
                    {"told by a record"},
                    {"CPU", Align::kRight},
                    {"exchanged", Align::kRight},
                    {"rounds", Align::kRight},
                    {"memory", Align::kRight}});
  const Scratch scratch(arguments.directory);
  WalShape shape;
  shape.bytes = arguments.fork << 20;
  shape.file_bytes = 64 << 20;
  const WalGenerator survivor(scratch.Sub("survivor"), shape);
  shape.fork_at = 0.67;
  const WalGenerator rejoiner(scratch.Sub("rejoiner"), shape);
  const auto add = [&](const std::string& what, const core::KnownHistory& known,
                       const std::string& promoted) {
    ForkCost best;
    for (int i = 0; i < 3; ++i) {
      const ForkCost cost = FindTheFork(rejoiner.Directory(), survivor.Directory(), known);
      if (cost.fork != rejoiner.ForkSequence()) {
        Fail("the fork is at " + std::to_string(rejoiner.ForkSequence()) + ", and " +
             std::to_string(cost.fork) + " was found");
      }
      if (i == 0 || cost.cpu < best.cpu) best = cost;
    }
    table.AddRow({"2 x " + std::to_string(arguments.fork) + " MiB", what, Number(best.cpu * 1e3, 1) + " ms",
                  Number(static_cast<double>(best.bytes) / 1024, 1) + " KiB", std::to_string(best.rounds),
                  PeakMemory("--only-fork " + rejoiner.Directory() + " " + survivor.Directory() + promoted)});
  };
  add("nothing", {}, "");
  core::KnownHistory promoted;
  promoted.promoted_at = Sequence(rejoiner.ForkSequence());
  add("where it is", promoted, " " + std::to_string(rejoiner.ForkSequence()));
  return table;
}

// --- the program -----------------------------------------------------------------------------------------

std::uint64_t ParseSize(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value > 65536) {
    Fail("a size is a number of MiB up to 65536, and not '" + std::string(text) + "'");
  }
  return value;
}

Arguments Parse(const std::vector<std::string>& words) {
  Arguments arguments;
  for (std::size_t i = 0; i < words.size(); i += 2) {
    if (i + 1 == words.size()) Fail(words[i] + ": its value is missing (see --help)");
    const std::string& value = words[i + 1];
    if (words[i] == "--sizes") {
      arguments.sizes.clear();
      std::istringstream list(value);
      for (std::string size; std::getline(list, size, ',');) arguments.sizes.push_back(ParseSize(size));
    } else if (words[i] == "--fork") {
      arguments.fork = ParseSize(value);
    } else if (words[i] == "--directory") {
      arguments.directory = value;
    } else {
      Fail("there is no option '" + words[i] + "' (see --help)");
    }
  }
  return arguments;
}

void Run(const Arguments& arguments) {
  using cli::Align;
  cli::Table locate({{"WAL", Align::kRight},
                     {"files", Align::kRight},
                     {"locate", Align::kRight},
                     {"99.9%", Align::kRight},
                     {"first", Align::kRight},
                     {"reads", Align::kRight},
                     {"read", Align::kRight},
                     {"GetUpdatesSince", Align::kRight},
                     {"ratio", Align::kRight},
                     {"memory", Align::kRight}});
  cli::Table scan({{"WAL", Align::kRight},
                   {"scan", Align::kRight},
                   {"TransactionLogIterator", Align::kRight},
                   {"ratio", Align::kRight},
                   {"read alone", Align::kRight},
                   {"read + CRC32C", Align::kRight},
                   {"scan's share", Align::kRight},
                   {"memory", Align::kRight}});
  for (const std::uint64_t megabytes : arguments.sizes) {
    const Scratch scratch(arguments.directory);
    WalShape shape;
    shape.bytes = megabytes << 20;
    if (megabytes > 512) shape.file_bytes = 64 << 20;
    std::cerr << "writing " << megabytes << " MiB ..." << std::endl;
    const WalGenerator database(scratch.Sub("node"), shape);
    const std::string size = std::to_string(megabytes) + " MiB";
    const ScanTimes scanned = MeasureScan(database);
    scan.AddRow({size, Rate(scanned.bytes, scanned.scan), Rate(scanned.bytes, scanned.rocksdb),
                 Number(scanned.rocksdb / scanned.scan, 1), Rate(scanned.bytes, scanned.read_only),
                 Rate(scanned.bytes, scanned.read_crc),
                 Number(100 * scanned.read_crc / scanned.scan, 0) + "%",
                 PeakMemory("--only-scan " + database.Directory())});
    const LocateTimes located = MeasureLocate(database);
    const auto extent = Must(wal::WalDirectory(database.Directory()).Extent());
    locate.AddRow(
        {size, std::to_string(extent.files), Number(located.median_us, 1) + " us",
         Number(located.worst_us, 1) + " us", Number(located.first_us, 1) + " us", Number(located.reads, 1),
         Number(located.bytes / 1024, 1) + " KiB", Number(located.rocksdb_us, 0) + " us",
         Number(located.rocksdb_us / located.median_us, 0),
         PeakMemory("--only-locate " + database.Directory() + " " + std::to_string(database.Latest()))});
  }
  std::cerr << "writing twice " << arguments.fork << " MiB ..." << std::endl;
  const cli::Table fork = MeasureFork(arguments);
  std::cerr << "writing to a server ..." << std::endl;
  const cli::Table live = MeasureLive();
  std::cout << "locate: a random sequence\n"
            << locate.Render(2) << "\nscan: all batches\n"
            << scan.Render(2) << "\nfork: of two WALs that agree on two thirds\n"
            << fork.Render(2) << "\nlive: SETs of 1 KiB on "
            << (test::NodeServer::IsRealKvrocks() ? "Kvrocks" : "refnode") << "\n"
            << live.Render(2);
}

}  // namespace
}  // namespace walstitch::bench

int main(int argc, char** argv) {
  using namespace walstitch::bench;
  const std::vector<std::string> words(argv + 1, argv + argc);
  try {
    if (!words.empty() && (words[0] == "--help" || words[0] == "-h")) {
      std::cout << kHelp;
    } else if (words.size() == 2 && words[0] == "--only-scan") {
      ScanAll(words[1]);
      PrintPeakMemory();
    } else if (words.size() == 3 && words[0] == "--only-locate") {
      LocateSome(words[1], std::stoull(words[2]), 1000);
      PrintPeakMemory();
    } else if (words.size() >= 3 && words[0] == "--only-fork") {
      walstitch::core::KnownHistory known;
      if (words.size() == 4) known.promoted_at = walstitch::Sequence(std::stoull(words[3]));
      FindTheFork(words[1], words[2], known);
      PrintPeakMemory();
    } else {
      Run(Parse(words));
    }
  } catch (const std::exception& error) {
    std::cerr << "bench_wal: " << error.what() << "\n";
    return 1;
  }
  return 0;
}
