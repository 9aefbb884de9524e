// Where to begin reading a log for a sequence: found by looking at a few hundred bytes in each of some twenty
// blocks, instead of reading all that is before it.
//
// The idea: a block begins with a physical record's header, always, so from any block's start one can hop
// from header to header to the first record that *begins* there, and a batch's first 8 bytes are its
// sequence. Sequences only grow along a log. So the last block whose first beginning is at or before the
// sequence is found by bisection; the batch that holds the sequence begins in that block.
//
// Nothing of what is seen on the way is verified, and nothing has to be: the search only proposes where to
// read. LogReader then reads from there with checksums, and the proposal is proven if the first record that
// it finds is not later than the sequence; else the caller steps back. A proposal that is too early costs
// reading time, never truth.
//
// Not for recycled logs: behind their end stand good headers of an earlier use. Not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "agents/wal/log_file.h"
#include "agents/wal/log_format.h"
#include "agents/wal/zstd_decoder.h"
#include "policies/model/result.h"
#include "policies/model/sequence.h"

namespace walstitch::wal {

class BlockSearch {
 public:
  // `size`: how much of the file to look at. Borrows the file. The errors of all methods are kIo, the file's.
  BlockSearch(LogFile* file, std::uint64_t size) : file_(file), size_(size) {}

  // The start of the last block whose first beginning is at or before the sequence; 0 if there is none.
  // nullopt: the log is recycled, or its compression is not known; it has to be read from its start.
  Result<std::optional<std::uint64_t>> BlockFor(Sequence sequence);

  // The start of the last block before `before` (a block's start) in which a record begins, or 0.
  Result<std::uint64_t> BlockBefore(std::uint64_t before);

  // The start of the last block that is not all zeroes, as far as block starts tell.
  Result<std::uint64_t> LastWrittenBlock();

  // The file's first record, if its end is in the file and something stands behind it (so that it was written
  // whole), verified as far as its header: the checksum of its first fragment. Reads no more than that of a
  // record of many megabytes. nullopt: it cannot be told so simply.
  Result<std::optional<Sequence>> FirstSequence();

 private:
  // What a record's beginning says: not verified.
  struct Beginning {
    std::uint64_t offset = 0;  // of its first fragment
    Sequence first;
  };
  enum class Kind { kNothing, kZeroes, kUnreadable, kRecord };
  // The physical record at an offset; payload + length lies within its block, if it is a record.
  struct Header {
    Kind kind = Kind::kNothing;
    std::uint64_t offset = 0;
    std::uint64_t payload = 0;  // offset of the payload
    std::size_t length = 0;
    std::uint8_t type = 0;
  };

  Result<void> Prepare();
  Result<std::string_view> Peek(std::uint64_t offset, std::size_t size);
  Result<Header> HeaderAt(std::uint64_t offset);
  Result<std::optional<Beginning>> FirstBeginning(std::uint64_t from, std::uint64_t to);
  Result<std::optional<Sequence>> SequenceAt(const Header& beginning);

  LogFile* file_;
  std::uint64_t size_;
  bool prepared_ = false;
  bool searchable_ = false;
  std::unique_ptr<ZstdDecoder> decoder_;  // if the file is compressed
  // The bytes around the last look.
  std::array<char, 512> window_{};
  std::uint64_t window_start_ = 0;
  std::size_t window_size_ = 0;
};

}  // namespace walstitch::wal
