// Replays the corpus through the fuzz targets: what a fuzzer found once stays found, with any compiler.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/fuzz/targets.h"

namespace walstitch::wal {
namespace {

namespace fs = std::filesystem;

std::string ReadFile(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class FuzzCorpusTest : public ::testing::TestWithParam<FuzzTarget> {};
INSTANTIATE_TEST_SUITE_P(All, FuzzCorpusTest, ::testing::ValuesIn(kFuzzTargets),
                         [](const auto& parameter) { return std::string(parameter.param.name); });

TEST_P(FuzzCorpusTest, EveryInputKeepsThePromises) {
  std::size_t files = 0;
  for (const auto& entry : fs::directory_iterator(fs::path(WALSTITCH_FUZZ_CORPUS) / GetParam().name)) {
    SCOPED_TRACE(entry.path().filename());
    GetParam().run(ReadFile(entry.path()));
    ++files;
  }
  EXPECT_GT(files, 0U);
}

// The same files with a byte changed here and there, checksums repaired and not: what the fuzzers begin with.
TEST_P(FuzzCorpusTest, EveryInputWithAChangedByteKeepsThePromises) {
  for (const auto& entry : fs::directory_iterator(fs::path(WALSTITCH_FUZZ_CORPUS) / GetParam().name)) {
    const std::string bytes = ReadFile(entry.path());
    for (std::size_t at = 0; at < bytes.size(); at += 1 + bytes.size() / 23) {
      std::string changed = bytes;
      changed[at] = static_cast<char>(changed[at] ^ (1U << at % 8));
      GetParam().run(changed);
      if (!GetParam().log_file) continue;
      RepairRecords(changed.data(), changed.size(), kFuzzLogNumber);
      GetParam().run(changed);
    }
  }
}

TEST(RepairRecordsTest, AFileWithoutFaultStaysAsItIs) {
  for (const auto& entry : fs::directory_iterator(fs::path(WALSTITCH_FUZZ_CORPUS) / "log_reader")) {
    const std::string bytes = ReadFile(entry.path());
    std::string repaired = bytes;
    RepairRecords(repaired.data(), repaired.size(), kFuzzLogNumber);
    EXPECT_TRUE(repaired == bytes) << entry.path();
  }
}

}  // namespace
}  // namespace walstitch::wal
