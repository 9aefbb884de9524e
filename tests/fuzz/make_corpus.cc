// Makes the corpus that the fuzzers begin with: make_fuzz_corpus tests/fuzz/corpus. The logs are RocksDB's
// own, but for the kinds that it does not write any more or does not write yet.
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "agents/wal/marker.h"
#include "tests/fuzz/targets.h"
#include "tests/unit/wal/property.h"
#include "tests/unit/wal/test_database.h"
#include "tests/unit/wal/wal_text.h"

namespace walstitch::wal {
namespace {

namespace fs = std::filesystem;

class Corpus {
 public:
  explicit Corpus(fs::path root) : root_(std::move(root)) {}

  void Add(const std::string& target, const std::string& name, const std::string& bytes) const {
    fs::create_directories(root_ / target);
    std::ofstream(root_ / target / name, std::ios::binary | std::ios::trunc) << bytes;
  }

 private:
  fs::path root_;
};

std::string Hash(std::uint64_t first, const std::string& key, const std::string& value) {
  return BatchText(first)
      .Log("2")
      .Put(0, SubkeyKey("__namespace", key, 1700000000000000, "field"), value)
      .Put(1, MetadataKey("__namespace", key), MetadataValue(2, std::string(16, '\1')))
      .Bytes();
}

// The log that RocksDB writes for these batches.
std::string RealLog(const std::vector<std::string>& batches, bool compressed) {
  const TestDirectory directory;
  {
    TestDatabase database(directory.Path(), {.compress_wal = compressed});
    for (const std::string& batch : batches) database.Write(batch);
  }
  std::string newest;
  for (const auto& entry : fs::directory_iterator(directory.Path() / "db")) {
    if (entry.path().extension() == ".log") newest = std::max(newest, entry.path().string());
  }
  std::ifstream file(newest, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void AddLogs(const Corpus& corpus) {
  Random random(1);
  std::vector<std::string> small;
  for (std::uint64_t i = 0; i < 12; ++i) {
    small.push_back(Hash(0, "user:" + std::to_string(i), std::string(i * 5, 'x')));
  }
  small.push_back(BatchText(0).Log("5").Bytes());
  small.push_back(BatchText(0).Delete(1, MetadataKey("__namespace", "user:1")).Bytes());
  // Around the ends of two blocks, without being large in the repository.
  std::vector<std::string> blocks = small;
  blocks.push_back(Hash(0, "big", std::string(32000, 'b')));
  blocks.insert(blocks.end(), small.begin(), small.begin() + 4);
  std::vector<std::string> noise = small;
  noise.push_back(Hash(0, "noise", random.Noise(33000)));
  noise.insert(noise.end(), small.begin(), small.begin() + 4);
  for (const std::string target : {"log_reader", "wal_directory"}) {
    corpus.Add(target, "small.log", RealLog(small, false));
    corpus.Add(target, "small_zstd.log", RealLog(small, true));
  }
  corpus.Add("wal_directory", "blocks.log", RealLog(blocks, false));
  corpus.Add("wal_directory", "blocks_zstd.log", RealLog(noise, true));
  corpus.Add("log_reader", "blocks.log", RealLog(blocks, false));

  LogText recycled(true, kFuzzLogNumber);
  LogText others;
  others.AddPhysical(130, "about the log before").AddPhysical(10, Fixed(1, 4));
  for (std::uint64_t i = 0; i < 6; ++i) {
    recycled.Add(Hash(100 + 2 * i, "key", "value"));
    others.Add(Hash(100 + 2 * i, "key", "value")).AddPhysical(200, "of a later version");
  }
  LogText blocks_of_one(false, 0);
  blocks_of_one.Add(Hash(1, "a", "b")).FillBlock().Add(Hash(3, "a", "b"));
  corpus.Add("log_reader", "recycled.log", recycled.Bytes());
  corpus.Add("log_reader", "others.log", others.Bytes());
  corpus.Add("wal_directory", "recycled.log", recycled.Bytes());
  corpus.Add("wal_directory", "others.log", others.Bytes());
  corpus.Add("wal_directory", "filled_block.log", blocks_of_one.Bytes());
}

void AddBatches(const Corpus& corpus) {
  const std::string key = SubkeyKey("ns", "key", 7, "field");
  corpus.Add("batch_decoder", "hash", Hash(10, "user:1", "value"));
  corpus.Add("batch_decoder", "empty", BatchText(10).Log("2").Bytes());
  corpus.Add("batch_decoder", "del", BatchText(10).Log("0").Delete(1, MetadataKey("ns", "key")).Bytes());
  corpus.Add("batch_decoder", "flush",
             BatchText(10).DeleteRange(1, MetadataKey("ns", ""), MetadataKey("ns~", "")).Bytes());
  corpus.Add(
      "batch_decoder", "group",
      BatchText(10).Log("2").Put(0, key, "v").Log("r 0123456789ABCDEF").Log("5").Put(2, key, "").Bytes());
  corpus.Add("batch_decoder", "others",
             BatchText(10)
                 .Put(3, "channel", "message")
                 .Put(4, "lua_f_1", "x")
                 .Put(6, "s", "")
                 .Put(300, "k", "")
                 .Bytes());
  corpus.Add("batch_decoder", "transaction",
             BatchText(10).Raw("\x09").Put(0, key, "v").Raw("\x0a\x02id").Raw("\x0b\x02id").Bytes());
  corpus.Add("batch_decoder", "merge", BatchText(10).Raw("\x02\x01k\x01v", 1).Raw("\x07\x01k", 1).Bytes());
  corpus.Add("batch_decoder", "pad", MakePadBatches(Sequence(10), Sequence(14), "01JD", "").front());
}

void AddKeys(const Corpus& corpus) {
  const std::string subkey = SubkeyKey("__namespace", "user:1", 0x0b16212c37424d, "field");
  corpus.Add("kvrocks_keys", "metadata", MetadataKey("__namespace", "user:1"));
  corpus.Add("kvrocks_keys", "metadata_slot", std::string(MetadataKey("__namespace", "\x12\x34user:1")));
  corpus.Add("kvrocks_keys", "subkey", subkey);
  corpus.Add("kvrocks_keys", "subkey_slot", std::string(subkey).insert(12, "\x12\x34"));
  corpus.Add("kvrocks_keys", "value", MetadataValue(2, std::string(16, '\0')));
  corpus.Add("kvrocks_keys", "log_data", "3 6");
  corpus.Add("kvrocks_keys", "replication_id", "r 0123456789ABCDEF");
  corpus.Add("kvrocks_keys", "noop", std::string(NoopKey()));
}

}  // namespace
}  // namespace walstitch::wal

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_fuzz_corpus DIRECTORY\n");
    return 2;
  }
  const walstitch::wal::Corpus corpus(argv[1]);
  walstitch::wal::AddLogs(corpus);
  walstitch::wal::AddBatches(corpus);
  walstitch::wal::AddKeys(corpus);
  return 0;
}
