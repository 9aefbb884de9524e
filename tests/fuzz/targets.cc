#include "tests/fuzz/targets.h"

#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agents/wal/batch_decoder.h"
#include "agents/wal/crc32c.h"
#include "agents/wal/kvrocks_keys.h"
#include "agents/wal/log_format.h"
#include "agents/wal/log_reader.h"
#include "agents/wal/marker.h"
#include "agents/wal/records.h"
#include "agents/wal/wal_directory.h"
#include "tests/unit/wal/wal_text.h"

namespace walstitch::wal {
namespace {

namespace fs = std::filesystem;

// Compressed records may expand to anything: a fuzzer shall not run out of memory.
constexpr std::size_t kMaxRecordBytes = std::size_t{1} << 20;

bool Inside(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

// What a file holds, read from its beginning.
struct Sequential {
  std::vector<PlacedRecord> records;
  std::uint64_t end = 0;
  std::string tail_note;
  bool damaged = false;
};

Sequential ReadAll(std::string_view bytes) {
  LogReader reader(std::make_unique<StringLogFile>("fuzz", std::string(bytes)),
                   LogReaderOptions{.log_number = kFuzzLogNumber, .max_record_bytes = kMaxRecordBytes});
  Sequential all;
  for (;;) {
    Result<bool> next = reader.Next();
    all.end = reader.EndOffset();
    all.tail_note = reader.TailNote();
    if (!next) {
      WALSTITCH_CHECK(next.error().Code() == ErrorCode::kDamaged);
      WALSTITCH_CHECK(next.error().Message().starts_with("fuzz: offset "));
      WALSTITCH_CHECK(!reader.Next());
      all.damaged = true;
      return all;
    }
    if (!*next) {
      Result<bool> again = reader.Next();
      WALSTITCH_CHECK(again && !*again);
      return all;
    }
    WALSTITCH_CHECK(reader.RecordOffset() >= (all.records.empty() ? 0 : all.records.back().end));
    WALSTITCH_CHECK(reader.RecordOffset() < reader.EndOffset() && reader.EndOffset() <= bytes.size());
    WALSTITCH_CHECK(reader.Record().size() <= kMaxRecordBytes);
    all.records.push_back({reader.RecordOffset(), reader.EndOffset(), std::string(reader.Record())});
  }
}

bool Same(const std::vector<PlacedRecord>& a, const std::vector<PlacedRecord>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const PlacedRecord& x, const PlacedRecord& y) {
    return x.offset == y.offset && x.end == y.end && x.bytes == y.bytes;
  });
}

}  // namespace

void FuzzLogReader(std::string_view bytes) {
  const Sequential all = ReadAll(bytes);
  WALSTITCH_CHECK(all.end <= bytes.size());
  // What is good stays good without what follows, and ends as a file does that was closed in good order.
  const Sequential good = ReadAll(bytes.substr(0, all.end));
  WALSTITCH_CHECK(!good.damaged && good.tail_note.empty() && Same(good.records, all.records));
  // Zeroes behind it are no damage, and no record.
  const Sequential zeroes = ReadAll(std::string(bytes.substr(0, all.end)) + std::string(100, '\0'));
  WALSTITCH_CHECK(!zeroes.damaged && Same(zeroes.records, all.records));
}

void FuzzBatchDecoder(std::string_view bytes) {
  Result<BatchHeader> header = ParseBatchHeader(bytes);
  std::uint64_t consumed = 0;
  std::uint64_t visited = 0;
  Result<void> decoded = DecodeBatch(bytes, [&](const BatchRecord& record) {
    WALSTITCH_CHECK(header);
    WALSTITCH_CHECK(Inside(record.key, bytes) && Inside(record.value, bytes));
    WALSTITCH_CHECK(record.sequence == header->first + consumed);
    if (record.ConsumesSequence()) ++consumed;
    if (record.operation == Operation::kLogData) {
      (void)ParseMarker(record.value);
      (void)ParseReplicationId(record.value);
    }
    ++visited;
    return true;
  });
  WALSTITCH_CHECK(decoded || decoded.error().Code() == ErrorCode::kDamaged);
  WALSTITCH_CHECK(!decoded || consumed == header->count);
  if (!header) return;
  WALSTITCH_CHECK(consumed <= header->count);
  // Whoever stops early has seen nothing wrong.
  std::uint64_t seen = 0;
  Result<void> first = DecodeBatch(bytes, [&](const BatchRecord&) { return ++seen == visited; });
  WALSTITCH_CHECK(visited < 2 || first);

  const SequenceRange range{header->first, header->first + header->count};
  for (const bool slot_encoded : {false, true}) {
    ListSource source({std::string(bytes)});
    Result<RecordList> records =
        ListRecords(source, range, {.max_records = 1000000, .slot_encoded = slot_encoded});
    WALSTITCH_CHECK(records.has_value() == (decoded.has_value() || header->count == 0));
    if (records && header->count > 0) WALSTITCH_CHECK(records->records.size() == header->count);
    Result<Touched> touched = ListTouched(source, range, {.max_keys = 100, .slot_encoded = slot_encoded});
    if (touched) WALSTITCH_CHECK(touched->keys.size() <= 100);
  }
}

void FuzzKvrocksKeys(std::string_view bytes) {
  for (const std::size_t slot : {0U, 2U}) {
    const auto with_slot = [&](std::string text) {
      // Behind the namespace; which slot it is nobody reads.
      const std::size_t at = 1 + static_cast<std::uint8_t>(bytes[0]);
      return slot == 0 ? text : text.insert(at, bytes.substr(at, slot));
    };
    if (const auto key = ParseMetadataKey(bytes, slot != 0)) {
      WALSTITCH_CHECK(!key->name_space.empty());
      WALSTITCH_CHECK(with_slot(MetadataKey(key->name_space, key->key)) == bytes);
    }
    if (const auto subkey = ParseSubkey(bytes, slot != 0)) {
      const UserKey& key = subkey->user_key;
      WALSTITCH_CHECK(!key.name_space.empty());
      WALSTITCH_CHECK(with_slot(SubkeyKey(key.name_space, key.key, subkey->version, subkey->rest)) == bytes);
    }
  }
  (void)MetadataType(bytes);
  (void)LogDataType(bytes);
  (void)ParseReplicationId(bytes);
  if (const auto marker = ParseMarker(bytes)) WALSTITCH_CHECK(marker->size() < bytes.size());
}

namespace {

// A data directory with one log, for as long as the process lives.
class OneLog {
 public:
  OneLog() {
    std::string pattern = (fs::temp_directory_path() / "walstitch_fuzz_XXXXXX").string();
    WALSTITCH_CHECK(::mkdtemp(pattern.data()) != nullptr);
    directory_ = pattern;
    fs::create_directories(directory_ / "db");
  }
  ~OneLog() {
    std::error_code ignored;
    fs::remove_all(directory_, ignored);
  }
  OneLog(const OneLog&) = delete;
  OneLog& operator=(const OneLog&) = delete;

  [[nodiscard]] std::string Directory() const { return directory_.string(); }
  [[nodiscard]] std::string Path() const { return (directory_ / "db" / "000007.log").string(); }
  void Write(std::string_view bytes) const {
    std::ofstream(Path(), std::ios::binary | std::ios::trunc)
        .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  }

 private:
  fs::path directory_;
};

struct Batch {
  BatchHeader header;
  std::uint64_t offset = 0;
  std::string_view bytes;  // into Sequential
};

// The batches of a file in which nothing is wrong from its beginning to its end: nullopt if something is, or
// if what stands behind the end could be taken for records by whoever does not read all that is before it.
std::optional<std::vector<Batch>> Faultless(const Sequential& all, std::string_view bytes) {
  const bool ends_here = all.end / kBlockSize == bytes.size() / kBlockSize ||
                         bytes.find_first_not_of('\0', all.end) == std::string_view::npos;
  if (all.damaged || !ends_here) return std::nullopt;
  std::vector<Batch> batches;
  for (const PlacedRecord& record : all.records) {
    const Result<BatchHeader> header = ParseBatchHeader(record.bytes);
    if (!header) return std::nullopt;
    if (!batches.empty()) {
      const BatchHeader& before = batches.back().header;
      if (header->first < before.first + before.count) return std::nullopt;
    }
    batches.push_back({*header, record.offset, record.bytes});
  }
  return batches;
}

// The sequences that a file's batches and their surroundings suggest to ask for; of a large file, some.
std::vector<std::uint64_t> Questions(const Sequential& all) {
  std::vector<std::uint64_t> questions = {1};
  const std::size_t step = 1 + all.records.size() / 12;
  for (std::size_t i = 0; i < all.records.size(); ++i) {
    const bool end = i == 0 || i + 1 == all.records.size();
    const Result<BatchHeader> header = ParseBatchHeader(all.records[i].bytes);
    if (!header || (!end && i % step != 0)) continue;
    const std::uint64_t first = header->first.Value();
    questions.push_back(first);
    questions.push_back(first + header->count / 2);
    if (end) {
      questions.push_back(first + header->count);
      questions.push_back(first + header->count + 1);
      if (first > 0) questions.push_back(first - 1);
    }
  }
  return questions;
}

void CheckAgainstAll(WalDirectory& wal, const std::vector<Batch>& batches, std::uint64_t sequence,
                     const std::string& path) {
  Result<std::optional<BatchPlace>> place = wal.Locate(Sequence(sequence));
  const auto holding = std::find_if(batches.begin(), batches.end(), [&](const Batch& batch) {
    return batch.header.first.Value() <= sequence &&
           sequence < (batch.header.first + batch.header.count).Value();
  });
  if (holding == batches.end()) {
    const bool next =
        !batches.empty() && (batches.back().header.first + batches.back().header.count).Value() == sequence;
    WALSTITCH_CHECK(next ? place && !*place : !place && place.error().Code() == ErrorCode::kNotFound);
    return;
  }
  WALSTITCH_CHECK(place && *place);
  WALSTITCH_CHECK((*place)->header.first == holding->header.first);
  WALSTITCH_CHECK((*place)->header.count == holding->header.count);
  WALSTITCH_CHECK((*place)->bytes == holding->bytes.size());
  WALSTITCH_CHECK((*place)->log_number == kFuzzLogNumber && (*place)->file == path);
  WALSTITCH_CHECK((*place)->offset == holding->offset);
}

// Every batch of a count greater than 0, and nothing else, up to the first hole.
void CheckWhole(WalDirectory& wal, const std::vector<Batch>& batches) {
  auto expected = batches.begin();
  const auto skip_empty = [&] {
    while (expected != batches.end() && expected->header.count == 0) ++expected;
  };
  skip_empty();
  Sequence next = batches.front().header.first;
  Result<void> read = wal.ForEachBatch({next, Sequence(kMaxSequence)}, [&](const BatchView& batch) {
    if (batch.count == 0) return true;
    WALSTITCH_CHECK(expected != batches.end() && batch.bytes == expected->bytes && batch.first == next);
    next = batch.End();
    ++expected;
    skip_empty();
    return true;
  });
  if (read) {
    WALSTITCH_CHECK(expected == batches.end());
  } else {
    WALSTITCH_CHECK(read.error().Code() == ErrorCode::kNotFound);
    const bool hole = std::any_of(batches.begin(), batches.end(),
                                  [&](const Batch& batch) { return batch.header.first > next; });
    WALSTITCH_CHECK(hole);
  }
}

}  // namespace

void FuzzWalDirectory(std::string_view bytes) {
  static const OneLog log;
  log.Write(bytes);
  const Sequential all = ReadAll(bytes);
  const std::optional<std::vector<Batch>> batches = Faultless(all, bytes);
  WalDirectory used(log.Directory());
  for (const std::uint64_t sequence : Questions(all)) {
    WalDirectory fresh(log.Directory());
    for (WalDirectory* wal : {&fresh, &used}) {
      if (batches) {
        CheckAgainstAll(*wal, *batches, sequence, log.Path());
        continue;
      }
      // With something wrong in the file, what is found must still be what was asked for.
      Result<std::optional<BatchPlace>> place = wal->Locate(Sequence(sequence));
      if (!place || !*place) continue;
      const BatchHeader& header = (*place)->header;
      WALSTITCH_CHECK(header.first.Value() <= sequence && sequence < (header.first + header.count).Value());
      WALSTITCH_CHECK((*place)->offset < bytes.size());
    }
  }
  (void)used.Extent();
  (void)used.Logs();
  if (batches && !batches->empty()) CheckWhole(used, *batches);
}

void RepairRecords(char* bytes, std::size_t size, std::uint32_t log_number) {
  const auto put = [&](std::size_t at, std::uint64_t value, int width) {
    const std::string text = Fixed(value, width);
    std::copy(text.begin(), text.end(), bytes + at);
  };
  for (std::size_t at = 0; at + kHeaderSize <= size;) {
    const std::size_t block_left = kBlockSize - at % kBlockSize;
    if (block_left < kHeaderSize) {
      at += block_left;
      continue;
    }
    const auto type = static_cast<std::uint8_t>(bytes[at + 6]);
    std::size_t length = static_cast<std::uint8_t>(bytes[at + 4]) |
                         static_cast<std::size_t>(static_cast<std::uint8_t>(bytes[at + 5])) << 8;
    if (type == kZeroType && length == 0) {
      at += block_left;
      continue;
    }
    const std::size_t header = HasRecyclableHeader(type) ? kRecyclableHeaderSize : kHeaderSize;
    const std::size_t room = std::min(block_left, size - at);
    if (room < header) return;
    length = std::min(length, room - header);
    put(at + 4, length, 2);
    if (header == kRecyclableHeaderSize) put(at + 7, log_number, 4);
    put(at, MaskCrc(Crc32c(std::string_view(bytes + at + 6, header - 6 + length))), 4);
    at += header + length;
  }
}

}  // namespace walstitch::wal
