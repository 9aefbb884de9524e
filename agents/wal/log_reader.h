// Reads one WAL file: physical records in, logical records (batches) out, each with its file offset.
//
// The idea: a file is good up to some point, and what comes after that point is one of three things.
//   * Nothing: the file ends behind a record.
//   * A torn tail: bytes that a writer began and did not finish (it is writing them now, or crashed), or
//     zeroes that a power failure left. Normal, not an error: Next() says "end", TailNote() why.
//   * Damage: bytes that are there and cannot be right. kDamaged, with file and offset.
// Torn and damaged are told apart by what follows: a record that is cut off by the end of the file, or
// whose checksum is wrong with nothing but zeroes behind it, is a torn tail; but if a good record stands
// behind it, a writer went on after it, so it cannot be unfinished: it is damage.
//
// Speed: a record that stands in one fragment, as most do, is a view into the read buffer: no copy beyond the
// read, no allocation. The read buffer begins at one block, so that a look is cheap, and doubles with each
// read up to 512 KiB, so that a scan is not made of system calls.
//
// Memory: the read buffer and one logical record, which grows only by bytes that are in the file, up to
// Options::max_record_bytes; the same limit holds for what a compressed record expands to.
//
// Not thread-safe. Owns its file. On a live file, the end is where the file ended when it was read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "agents/wal/log_file.h"
#include "agents/wal/zstd_decoder.h"
#include "policies/model/result.h"

namespace walstitch::wal {

struct LogReaderOptions {
  std::uint64_t log_number = 0;                         // of the file, for recyclable records
  std::size_t max_record_bytes = std::size_t{1} << 30;  // of one logical record, and decompressed
};

class LogReader {
 public:
  LogReader(std::unique_ptr<LogFile> file, LogReaderOptions options);
  ~LogReader();
  LogReader(LogReader&&) noexcept;
  LogReader& operator=(LogReader&&) noexcept;

  // True: Record() is the next logical record. False: the end, and for ever after. An Error (kDamaged,
  // kIo) is for ever, too.
  Result<bool> Next();

  // Begins at a block instead of the file's start, before any Next(). What stands there and began earlier,
  // the fragments of a record before the block, is left out (checksums are verified all the same). How the
  // file is compressed is read from its first record. `block_offset` is a multiple of kBlockSize. Not for
  // recycled logs. Errors as Next().
  Result<void> StartAt(std::uint64_t block_offset);

  // Gives the file back; the reader is done with.
  std::unique_ptr<LogFile> TakeFile() && { return std::move(file_); }

  // Valid until the next call of Next().
  [[nodiscard]] std::string_view Record() const { return record_; }
  // Where in the file the record begins, in bytes.
  [[nodiscard]] std::uint64_t RecordOffset() const { return record_offset_; }
  // One past the last byte of the last good record.
  [[nodiscard]] std::uint64_t EndOffset() const { return end_offset_; }

  // After the end: what a torn tail looks like, one sentence; empty if the file ends behind a record.
  [[nodiscard]] const std::string& TailNote() const { return tail_note_; }

  [[nodiscard]] const std::string& Name() const { return file_->Name(); }

 private:
  // The next physical record; also steps over block ends.
  enum class Step { kRecord, kEnd };
  struct Physical {
    std::uint8_t type = 0;
    std::uint64_t offset = 0;
    std::string_view payload;  // into buffer_
  };

  bool NextInBuffer();
  Result<bool> Fill(std::uint64_t block_start);
  Result<Step> ReadPhysical(Physical* out);
  Result<Step> Torn(std::uint64_t offset, std::string_view what);
  Result<bool> OnlyZeroesFrom(std::uint64_t offset);
  [[nodiscard]] bool GoodRecordBehind(std::uint64_t offset) const;
  [[nodiscard]] tl::unexpected<Error> Damage(std::uint64_t offset, std::string_view what) const;
  Result<bool> NextRecord();
  Result<bool> Finish(std::string_view payload, std::uint64_t offset);
  Result<void> SetCompression(std::string_view payload, std::uint64_t offset);

  std::unique_ptr<LogFile> file_;
  LogReaderOptions options_;
  std::unique_ptr<char[]> buffer_;
  std::size_t buffer_capacity_ = 0;  // a multiple of the block size
  std::uint64_t buffer_start_ = 0;   // file offset of buffer_[0], a multiple of the block size
  std::size_t buffer_size_ = 0;      // bytes in it
  bool buffer_at_end_ = false;       // the file ended behind it
  std::uint64_t position_ = 0;       // of the next physical record
  bool finished_ = false;
  bool in_fragments_ = false;  // between a record's first fragment and its last
  bool in_earlier_ = false;    // since StartAt(): where fragments may belong to a record that began before it
  bool recycled_ = false;
  bool any_record_ = false;
  bool compression_set_ = false;
  std::unique_ptr<ZstdDecoder> decompressor_;
  std::string fragments_;
  std::string decompressed_;
  std::string_view record_;
  std::uint64_t record_offset_ = 0;
  std::uint64_t end_offset_ = 0;
  std::string tail_note_;
  std::unique_ptr<Error> error_;
};

}  // namespace walstitch::wal
