// The files of a salvage, line by line and byte by byte. Pure, thread-safe.
//
// A salvage is a directory, <stateDir>/salvage/<id of the decision>, with
//
//   manifest.json  what it is of, what it holds, and the SHA-256 of each file (policies/model/salvage.h), and
//                  its own: "sha256" is that of the object without this field, on one line
//   batches.raw    every batch of the range as it stands in the WAL: ( length u32 little-endian | bytes )*
//   records.jsonl  every record of the range, decoded, one JSON object a line, in their order
//   values.jsonl   every user key that the records touch, as it was on the node when the salvage was made
//
// Raw bytes are a JSON string where they are text (json.h: IsText), else {"base64": "..."}.
//
// A record:
//   sequence, batch      its own (for what consumes none: that of the next), and its batch's first
//   operation            put, delete, single_delete, delete_range, merge, blob_index, put_entity, timed_put,
//                        log_data, transaction_mark; undecoded: the rest of a batch that makes no sense
//   family               Kvrocks' column family: default (subkeys), metadata, zset_score, pubsub, ...
//   namespace, key, type of a record of a user key; the type where the record tells it
//   internal             of any other: pubsub, propagate, search, flush, pad (Walstitch's own no-op), unknown
//   version              of a subkey, or in metadata
//   field | member | index | entry | subkey
//                        of a hash | a set, a sorted set | a list | a stream | a type that is not known
//   score                of a sorted set's member
//   size                 elements, by metadata
//   expire_ms            by metadata, unix time; left out: never
//   value                a string's without its header, a field's, an element's; of a delete: none. Of
//                        everything else, and of what could not be decoded: the bytes as they are
//   raw_key              where namespace and key could not be told; delete_range: from, and `to` behind it
//   raw_at, value_bytes  instead of a value larger than kMaxRecordValue: where its batch stands in
//   batches.raw
//
// A value:
//   namespace, key, type, kept, why, expire_ms    as in SalvagedKey
//   value                string: the bytes. Else an array of them, as the server gives it: hash: field,
//   value,
//                        ...; list: its elements; set: its members; sorted set: member, score, ...
#pragma once

#include <boost/json/value.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agents/wal/wal_source.h"
#include "policies/model/result.h"
#include "policies/model/salvage.h"
#include "policies/model/sequence.h"

namespace walstitch::agent {

inline constexpr std::uint32_t kSalvageFormat = 1;
inline constexpr std::string_view kManifestFile = "manifest.json";
inline constexpr std::string_view kBatchesFile = "batches.raw";
inline constexpr std::string_view kRecordsFile = "records.jsonl";
inline constexpr std::string_view kValuesFile = "values.jsonl";

inline constexpr std::size_t kMaxRecordValue = std::size_t{8} << 20;

// A ULID, as decisions have it: the only names that a salvage can have, and no path is made of any other.
bool ValidSalvageId(std::string_view id);

boost::json::value BytesToJson(std::string_view bytes);
Result<std::string> BytesFromJson(const boost::json::value& json);

// The length in front of a batch in batches.raw, and back: of exactly 4 bytes.
std::string FrameHeader(std::size_t bytes);
std::size_t FrameLength(std::string_view header);

struct RecordCounts {
  std::uint64_t records = 0;  // that consume a sequence of the range
  std::uint64_t range_deletes = 0;
};

// Appends the lines of a batch's records whose sequences lie in the range. `raw_at`: where it stands in
// batches.raw. A batch that does not decode gets a line that holds it.
void AppendRecordLines(const wal::BatchView& batch, SequenceRange range, bool slot_encoded,
                       std::uint64_t raw_at, std::string* out, RecordCounts* counts);

// A key with its value.
struct SalvagedValue {
  SalvagedKey key;
  std::vector<std::string> elements;  // string: one, its value; else as in the file
};

// With its line feed. `at` and `bytes` are not in the line.
std::string ValueLine(const SalvagedValue& value);
// Without one. kDamaged for what is no such line.
Result<SalvagedValue> ParseValueLine(std::string_view line);

// With its own checksum, as the file has it; and back: kDamaged if it is not as it was written.
std::string ManifestText(const SalvageManifest& manifest);
Result<SalvageManifest> ParseManifest(std::string_view text);

}  // namespace walstitch::agent
