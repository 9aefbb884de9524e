// What libFuzzer calls. Built once for each target, which WALSTITCH_FUZZ_TARGET names.
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "tests/fuzz/targets.h"

extern "C" {

std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                    unsigned seed);
}

namespace {

constexpr const walstitch::wal::FuzzTarget& Target() {
  return *std::find_if(walstitch::wal::kFuzzTargets.begin(), walstitch::wal::kFuzzTargets.end(),
                       [](const auto& target) { return target.name == WALSTITCH_FUZZ_TARGET; });
}
static_assert(Target().name == WALSTITCH_FUZZ_TARGET);

}  // namespace

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Target().run(std::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}

std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size,
                                    unsigned seed) {
  size = LLVMFuzzerMutate(data, size, max_size);
  // A changed file that stays wrong fails its first checksum, and nothing more is tried.
  if (Target().log_file && seed % 4 != 0) {
    walstitch::wal::RepairRecords(reinterpret_cast<char*>(data), size, walstitch::wal::kFuzzLogNumber);
  }
  return size;
}
