// What is fuzzed. Each target takes any bytes, calls the product with them, and stops the program if the
// product breaks a promise of its header. The fuzzers (fuzz_main.cc, clang only) and the replay of the corpus
// (corpus_test.cc, any compiler) call the same functions.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace walstitch::wal {

void FuzzLogReader(std::string_view bytes);        // a WAL file
void FuzzBatchDecoder(std::string_view bytes);     // a batch
void FuzzKvrocksKeys(std::string_view bytes);      // a RocksDB key, a metadata value, or a LogData
void FuzzWalDirectory(std::string_view bytes);     // the only WAL file of a directory
void FuzzHttpText(std::string_view bytes);         // a request\'s target, a token file, a URL
void FuzzSentinelRequest(std::string_view bytes);  // what a client of Sentinel's protocol sends

struct FuzzTarget {
  std::string_view name;
  void (*run)(std::string_view bytes);
  bool log_file;  // its bytes are a WAL file
};

inline constexpr std::array<FuzzTarget, 6> kFuzzTargets = {{
    {"log_reader", FuzzLogReader, true},
    {"batch_decoder", FuzzBatchDecoder, false},
    {"kvrocks_keys", FuzzKvrocksKeys, false},
    {"wal_directory", FuzzWalDirectory, true},
    {"http_text", FuzzHttpText, false},
    {"sentinel_request", FuzzSentinelRequest, false},
}};

// Gives every physical record of a WAL file, as far as one can be made out, a length that stays in its block
// and the right checksum: random changes behind that are seen by more than the checksum's test.
void RepairRecords(char* bytes, std::size_t size, std::uint32_t log_number);

// The log's number that the targets take their bytes for.
inline constexpr std::uint32_t kFuzzLogNumber = 7;

}  // namespace walstitch::wal
