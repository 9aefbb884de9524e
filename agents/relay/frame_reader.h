// Reads the stream that a Kvrocks master sends after `+OK`: one frame after the other, each
//
//   $<length>\r\n<length bytes>\r\n
//
// whose bytes are `ping` (a heartbeat), `_getack` (from 2.14 on: the master wants to know how far the
// replica is), or a RocksDB WriteBatch: first sequence (u64) and count (u32), little-endian, records.
//
// Kvrocks' replica trusts all of this. A length of 0 or noise makes it sleep ten seconds; fewer than 12
// bytes, or a `_getack` before 2.14, it applies to the database as a batch, which can break it for good.
// So everything that is not exactly one of the three is an Error here and is never forwarded.
//
// Pure functions over bytes that the caller holds.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "policies/model/result.h"
#include "policies/model/sequence.h"

namespace walstitch::relay {

enum class FrameKind { kHeartbeat, kGetAck, kBatch };

struct Frame {
  FrameKind kind = FrameKind::kHeartbeat;
  std::uint64_t bytes = 0;  // of the whole frame, with its `$<length>\r\n` and the last \r\n
  Sequence first;           // batches only
  std::uint32_t count = 0;  // batches only; 0 is normal
};

inline constexpr std::uint64_t kMaxBatchBytes = std::uint64_t{1} << 30;
inline constexpr std::size_t kBatchHeaderBytes = 12;
// `$1073741824\r\n`, a batch's header: what ReadFrame needs to see of a frame at most to know it.
inline constexpr std::size_t kMaxFrameHeadBytes = 13 + kBatchHeaderBytes;

inline constexpr std::string_view kHeartbeatFrame = "$4\r\nping\r\n";

// The frame that `bytes` begins with. nullopt: more bytes are needed to tell. A batch is told as soon as
// its header is there; the rest of it may still be to come. The last \r\n is checked if it is there.
Result<std::optional<Frame>> ReadFrame(std::string_view bytes);

}  // namespace walstitch::relay
