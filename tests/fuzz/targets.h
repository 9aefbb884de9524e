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
void FuzzHttpText(std::string_view bytes);         // a request's target, a token file, a URL
void FuzzSentinelRequest(std::string_view bytes);  // what a client of Sentinel's protocol sends

void FuzzRespReader(std::string_view bytes);   // what somebody sends to the relay's listener
void FuzzFrameReader(std::string_view bytes);  // what an upstream streams
void FuzzSplicer(std::string_view bytes);      // an upstream's batches, to be renumbered

void FuzzPolicy(std::string_view bytes);            // a policy file
void FuzzConfig(std::string_view bytes);            // a configuration of an agent or a controller
void FuzzJson(std::string_view bytes);              // what agents and controllers say to each other
void FuzzText(std::string_view bytes);              // targets, addresses, numbers, encoded bytes
void FuzzNodeInfo(std::string_view bytes);          // a server's INFO
void FuzzSalvage(std::string_view bytes);           // a line, or the manifest, of a salvage; a stored line
void FuzzKubernetesObject(std::string_view bytes);  // an object of Kubernetes' API

struct FuzzTarget {
  std::string_view name;
  void (*run)(std::string_view bytes);
  bool log_file;  // its bytes are a WAL file
};

inline constexpr std::array<FuzzTarget, 16> kFuzzTargets = {{
    {"log_reader", FuzzLogReader, true},
    {"batch_decoder", FuzzBatchDecoder, false},
    {"kvrocks_keys", FuzzKvrocksKeys, false},
    {"wal_directory", FuzzWalDirectory, true},
    {"http_text", FuzzHttpText, false},
    {"sentinel_request", FuzzSentinelRequest, false},
    {"resp_reader", FuzzRespReader, false},
    {"frame_reader", FuzzFrameReader, false},
    {"splicer", FuzzSplicer, false},
    {"policy", FuzzPolicy, false},
    {"config", FuzzConfig, false},
    {"json", FuzzJson, false},
    {"text", FuzzText, false},
    {"node_info", FuzzNodeInfo, false},
    {"salvage", FuzzSalvage, false},
    {"kubernetes_object", FuzzKubernetesObject, false},
}};

// Gives every physical record of a WAL file, as far as one can be made out, a length that stays in its block
// and the right checksum: random changes behind that are seen by more than the checksum's test.
void RepairRecords(char* bytes, std::size_t size, std::uint32_t log_number);

// The log's number that the targets take their bytes for.
inline constexpr std::uint32_t kFuzzLogNumber = 7;

}  // namespace walstitch::wal
