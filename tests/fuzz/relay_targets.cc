// What the relay reads: a node's commands, an upstream's stream, and the batches that it renumbers.
#include <algorithm>
#include <cctype>
#include <optional>
#include <string>
#include <vector>

#include "agents/relay/frame_reader.h"
#include "agents/relay/resp_reader.h"
#include "agents/relay/splicer.h"
#include "agents/wal/batch_decoder.h"
#include "agents/wal/marker.h"
#include "tests/fuzz/targets.h"

namespace walstitch::wal {
namespace {

struct Conversation {
  std::vector<relay::RespCommand> commands;
  bool refused = false;
};

Conversation ReadInPieces(std::string_view bytes, std::size_t piece) {
  relay::RespReader reader;
  Conversation read;
  for (std::size_t at = 0; at < bytes.size() && !read.refused; at += piece) {
    reader.Append(bytes.substr(at, piece));
    while (true) {
      Result<std::optional<relay::RespCommand>> command = reader.Next();
      if (!command) {
        WALSTITCH_CHECK(command.error().Code() == ErrorCode::kInvalid);
        read.refused = true;
        break;
      }
      // What is not understood yet is never more than a command may have, and the piece that came last.
      WALSTITCH_CHECK(reader.Pending() <= relay::kMaxCommandBytes + piece);
      if (!*command) break;
      WALSTITCH_CHECK(!(*command)->empty() && (*command)->size() <= relay::kMaxArguments);
      read.commands.push_back(std::move(**command));
    }
  }
  return read;
}

}  // namespace

void FuzzRespReader(std::string_view bytes) {
  const Conversation whole = ReadInPieces(bytes, std::max<std::size_t>(bytes.size(), 1));
  const Conversation single = ReadInPieces(bytes, 1);
  WALSTITCH_CHECK(whole.commands == single.commands && whole.refused == single.refused);
  std::string written;
  for (const relay::RespCommand& command : whole.commands) written += relay::EncodeResp(command);
  const Conversation again = ReadInPieces(written, 7);
  WALSTITCH_CHECK(again.commands == whole.commands && !again.refused);
}

void FuzzFrameReader(std::string_view bytes) {
  std::string_view left = bytes;
  for (int frames = 0; frames < 1000; ++frames) {
    const Result<std::optional<relay::Frame>> seen = relay::ReadFrame(left);
    if (!seen) {
      WALSTITCH_CHECK(seen.error().Code() == ErrorCode::kDamaged);
      return;
    }
    if (!*seen) return;
    const relay::Frame frame = **seen;
    WALSTITCH_CHECK(frame.bytes > 4 && frame.bytes <= relay::kMaxBatchBytes + relay::kMaxFrameHeadBytes + 2);
    if (frame.bytes > left.size()) return;
    const std::string_view whole = left.substr(0, static_cast<std::size_t>(frame.bytes));
    WALSTITCH_CHECK(whole.ends_with("\r\n"));
    // It is the same whatever follows, and never another as its bytes come in.
    for (std::size_t size = 0; size <= std::min<std::size_t>(whole.size(), 64); ++size) {
      const Result<std::optional<relay::Frame>> part = relay::ReadFrame(whole.substr(0, size));
      WALSTITCH_CHECK(part.has_value());
      if (*part) {
        WALSTITCH_CHECK((*part)->bytes == frame.bytes && (*part)->kind == frame.kind &&
                        (*part)->first == frame.first && (*part)->count == frame.count);
      }
    }
    left.remove_prefix(whole.size());
  }
}

// The first bytes are the fork and the shift, the rest is batches, each with two bytes of length before it.
void FuzzSplicer(std::string_view bytes) {
  if (bytes.size() < 2) return;
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(bytes[at]); };
  const Sequence fork(byte(0));
  const std::uint64_t shift = 1 + byte(1) % 16;
  relay::Splicer splicer(fork, shift, FillerMarker("01FUZZ"));
  for (std::size_t at = 2; at + 2 <= bytes.size() && !splicer.Met();) {
    const std::size_t length = std::min<std::size_t>(byte(at) | byte(at + 1) << 8U, bytes.size() - at - 2);
    const std::string_view batch = bytes.substr(at + 2, length);
    at += 2 + length;
    const Sequence upstream = splicer.UpstreamNext();
    const Sequence node = splicer.NodeNext();
    const std::uint64_t remaining = splicer.Remaining();
    const Result<std::optional<std::string>> taken = splicer.Take(batch);
    if (!taken) {
      WALSTITCH_CHECK(taken.error().Code() == ErrorCode::kDamaged);
      return;
    }
    // What the upstream numbers and what the node is given differ by what of the filler was left out.
    const Result<BatchHeader> header = ParseBatchHeader(batch);
    WALSTITCH_CHECK(header && header->first == upstream);
    WALSTITCH_CHECK(splicer.UpstreamNext() == upstream + header->count);
    WALSTITCH_CHECK(splicer.Remaining() <= remaining);
    WALSTITCH_CHECK(splicer.NodeNext() == splicer.UpstreamNext() + splicer.Remaining());
    if (!*taken) {
      WALSTITCH_CHECK(splicer.NodeNext() == node);
      continue;
    }
    const Result<BatchHeader> given = ParseBatchHeader(**taken);
    WALSTITCH_CHECK(given && given->first == node && splicer.NodeNext() == node + given->count);
    // What cannot hold the filler is renumbered unread, as damaged as it came: the server itself refuses it.
    const auto whole = [](std::string_view of) {
      return DecodeBatch(of, [](const BatchRecord&) { return true; }).has_value();
    };
    WALSTITCH_CHECK(whole(**taken) || !whole(batch));
  }
}

}  // namespace walstitch::wal
