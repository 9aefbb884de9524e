#include "agents/wal/log_reader.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "agents/wal/crc32c.h"
#include "agents/wal/log_format.h"

namespace walstitch::wal {
namespace {

constexpr std::size_t kFirstRead = kBlockSize;
constexpr std::size_t kMaxRead = 16 * kBlockSize;

// How much checksumming the search for a good record behind a bad one may cost.
constexpr std::uint64_t kSearchBudget = 64ULL << 20;

bool AllZero(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == 0; });
}

bool IsKnownType(std::uint8_t type) {
  return (type >= kFullType && type <= kRecyclableUserDefinedTimestampSizeType) ||
         type == kPredecessorWalInfoType || type == kRecyclablePredecessorWalInfoType;
}

}  // namespace

LogReader::LogReader(std::unique_ptr<LogFile> file, LogReaderOptions options)
    : file_(std::move(file)), options_(options) {}
LogReader::~LogReader() = default;
LogReader::LogReader(LogReader&&) noexcept = default;
LogReader& LogReader::operator=(LogReader&&) noexcept = default;

tl::unexpected<Error> LogReader::Damage(std::uint64_t offset, std::string_view what) const {
  return Fail(ErrorCode::kDamaged,
              file_->Name() + ": offset " + std::to_string(offset) + ": " + std::string(what));
}

Result<LogReader::Step> LogReader::Torn(std::uint64_t offset, std::string_view what) {
  tail_note_ = "torn tail at offset " + std::to_string(offset) + ": " + std::string(what);
  return Step::kEnd;
}

// Reads the buffer anew from a block's start. False: there is nothing there.
Result<bool> LogReader::Fill(std::uint64_t block_start) {
  if (buffer_capacity_ < kMaxRead) {
    buffer_capacity_ = buffer_capacity_ == 0 ? kFirstRead : buffer_capacity_ * 2;
    buffer_ = std::make_unique_for_overwrite<char[]>(buffer_capacity_);
  }
  buffer_start_ = block_start;
  buffer_size_ = 0;
  Result<std::size_t> got = file_->ReadAt(block_start, buffer_.get(), buffer_capacity_);
  if (!got) return Fail(got.error());
  buffer_size_ = *got;
  buffer_at_end_ = buffer_size_ < buffer_capacity_;
  return buffer_size_ > 0;
}

// Whether the file holds nothing but zeroes (or nothing at all) from the offset on. Leaves the buffer
// alone.
Result<bool> LogReader::OnlyZeroesFrom(std::uint64_t offset) {
  const std::uint64_t buffer_end = buffer_start_ + buffer_size_;
  if (offset < buffer_end) {
    const auto from = static_cast<std::size_t>(offset - buffer_start_);
    if (!AllZero(std::string_view(buffer_.get() + from, buffer_size_ - from))) return false;
    offset = buffer_end;
  }
  if (buffer_at_end_) return true;
  std::vector<char> more(kMaxRead);
  for (;;) {
    Result<std::size_t> got = file_->ReadAt(offset, more.data(), more.size());
    if (!got) return Fail(got.error());
    if (!AllZero(std::string_view(more.data(), *got))) return false;
    if (*got < more.size()) return true;
    offset += *got;
  }
}

// Whether a good record begins anywhere in the buffer behind the offset. Asked only when the file seems
// to end inside the record at the offset, thus within the block. A flipped bit in a record's length looks
// like a record that is cut off; but then the writer went on, and the next record is good.
bool LogReader::GoodRecordBehind(std::uint64_t offset) const {
  std::uint64_t budget = kSearchBudget;
  std::size_t at = static_cast<std::size_t>(offset - buffer_start_) + 1;
  for (; at + kHeaderSize <= buffer_size_; ++at) {
    const char* bytes = buffer_.get() + at;
    const PhysicalHeader header = ParsePhysicalHeader(bytes);
    if (!IsKnownType(header.type)) continue;
    const std::size_t size = header.HeaderSize() + header.length;
    if (size > std::min(BlockLeft(buffer_start_ + at), buffer_size_ - at)) continue;
    const std::size_t covered = size - 6;
    if (covered > budget) return false;
    budget -= covered;
    if (Crc32c(std::string_view(bytes + 6, covered)) == UnmaskCrc(header.checksum)) return true;
  }
  return false;
}

Result<LogReader::Step> LogReader::ReadPhysical(Physical* out) {
  for (;;) {
    const std::size_t block_left = BlockLeft(position_);
    if (block_left < kHeaderSize) {
      position_ += block_left;  // the zero-filled end of a block
      continue;
    }
    const std::uint64_t buffer_end = buffer_start_ + buffer_size_;
    if (position_ >= buffer_end) {
      // A block that was read short is the end of the file, as of that moment.
      if (buffer_at_end_) return Step::kEnd;
      Result<bool> filled = Fill(position_ - position_ % kBlockSize);
      if (!filled) return Fail(filled.error());
      if (position_ >= buffer_start_ + buffer_size_) return Step::kEnd;
    }
    const auto at = static_cast<std::size_t>(position_ - buffer_start_);
    const std::size_t available = std::min(block_left, buffer_size_ - at);  // in this block
    const char* bytes = buffer_.get() + at;
    // The file ends inside this block: whole blocks are always read, short only at the end.
    const bool ends_here = available < block_left;

    if (available < kHeaderSize) {
      return Torn(position_, "the header of a record is cut off");
    }
    const PhysicalHeader header = ParsePhysicalHeader(bytes);
    const std::size_t length = header.length;
    if (header.IsZero()) {
      Result<bool> zeroes = OnlyZeroesFrom(position_ + 4);  // its checksum may have reached the disk
      if (!zeroes) return Fail(zeroes.error());
      if (*zeroes) return Torn(position_, "only zeroes follow");
      // A writer may fill up a block to begin a record with a new one; with recycled logs also a fragment,
      // if the larger header has no room.
      const bool filled_up = AllZero(std::string_view(bytes, available)) &&
                             (!in_fragments_ || (recycled_ && block_left < kRecyclableHeaderSize));
      if (!filled_up) {
        if (recycled_) return Torn(position_, "the rest is left from the file's earlier use");
        return Damage(position_, "zeroes stand where a record must begin, and more follows");
      }
      position_ += block_left;
      continue;
    }
    const std::size_t header_size = header.HeaderSize();
    if (header_size == kRecyclableHeaderSize) {
      if (any_record_ && !recycled_ && header.type <= kRecyclableLastType) {
        return Damage(position_, "a record of a recycled log in a log that is not recycled");
      }
      if (block_left < header_size) {
        // With recycled logs the filled end of a block is up to 10 bytes, but it is zeroes.
        return Damage(position_, "a record's header crosses the end of a block");
      }
      if (available < header_size) return Torn(position_, "the header of a record is cut off");
    }
    if (header_size + length > available) {
      if (recycled_) return Torn(position_, "the rest is left from the file's earlier use");
      if (!ends_here) {
        return Damage(position_,
                      "a record of " + std::to_string(length) + " bytes crosses the end of a block");
      }
      if (GoodRecordBehind(position_)) {
        return Damage(position_, "a record of " + std::to_string(length) +
                                     " bytes is longer than the file, but good records follow");
      }
      return Torn(position_, "a record of " + std::to_string(length) + " bytes is cut off after " +
                                 std::to_string(available - header_size));
    }
    const std::string_view covered(bytes + 6, header_size - 6 + length);
    if (Crc32c(covered) != UnmaskCrc(header.checksum)) {
      if (recycled_) return Torn(position_, "the rest is left from the file's earlier use");
      Result<bool> last = OnlyZeroesFrom(position_ + header_size + length);
      if (!last) return Fail(last.error());
      if (*last && !GoodRecordBehind(position_)) {
        return Torn(position_, "the last record of " + std::to_string(length) + " bytes fails its checksum");
      }
      return Damage(position_, "a record of " + std::to_string(length) + " bytes fails its checksum");
    }
    if (header_size == kRecyclableHeaderSize) {
      recycled_ = true;
      if (DecodeFixed32(bytes + 7) != static_cast<std::uint32_t>(options_.log_number)) {
        return Torn(position_, "the rest is left from the file's earlier use");
      }
    }
    out->type = header.type;
    out->offset = position_;
    out->payload = std::string_view(bytes + header_size, length);
    position_ += header_size + length;
    return Step::kRecord;
  }
}

Result<bool> LogReader::Finish(std::string_view payload, std::uint64_t offset) {
  if (decompressor_) {
    std::string wrong = decompressor_->Run(payload, options_.max_record_bytes, &decompressed_);
    if (!wrong.empty()) return Damage(offset, wrong);
    record_ = decompressed_;
  } else {
    record_ = payload;
  }
  any_record_ = true;
  record_offset_ = offset;
  end_offset_ = position_;
  return true;
}

Result<bool> LogReader::NextRecord() {
  in_fragments_ = false;
  std::uint64_t first_offset = 0;
  fragments_.clear();
  for (;;) {
    Physical physical;
    Result<Step> step = ReadPhysical(&physical);
    if (!step) return Fail(step.error());
    if (*step == Step::kEnd) {
      if (in_fragments_ && tail_note_.empty()) {
        tail_note_ = "torn tail at offset " + std::to_string(first_offset) + ": a record has no end";
      }
      return false;
    }
    const bool beginning = physical.type == kFullType || physical.type == kFirstType ||
                           physical.type == kRecyclableFullType || physical.type == kRecyclableFirstType;
    if (in_earlier_) {
      const bool last = physical.type == kLastType || physical.type == kRecyclableLastType;
      if (beginning || last) in_earlier_ = false;
      if (last || physical.type == kMiddleType || physical.type == kRecyclableMiddleType) continue;
    }
    switch (physical.type) {
      case kFullType:
      case kRecyclableFullType:
        // An empty beginning at the end of a block is an old writer's slip (LevelDB's, RocksDB's), and
        // loses nothing.
        if (in_fragments_ && !fragments_.empty()) return Damage(first_offset, "a record has no end");
        return Finish(physical.payload, physical.offset);
      case kFirstType:
      case kRecyclableFirstType:
        if (in_fragments_ && !fragments_.empty()) return Damage(first_offset, "a record has no end");
        in_fragments_ = true;
        first_offset = physical.offset;
        fragments_.assign(physical.payload);
        break;
      case kMiddleType:
      case kRecyclableMiddleType:
      case kLastType:
      case kRecyclableLastType:
        if (!in_fragments_) return Damage(physical.offset, "a record has no beginning");
        if (fragments_.size() + physical.payload.size() > options_.max_record_bytes) {
          return Damage(first_offset,
                        "a record is longer than " + std::to_string(options_.max_record_bytes) + " bytes");
        }
        fragments_.append(physical.payload);
        if (physical.type == kLastType || physical.type == kRecyclableLastType) {
          return Finish(fragments_, first_offset);
        }
        break;
      case kSetCompressionType: {
        if (any_record_ || in_fragments_ || compression_set_) {
          return Damage(physical.offset, "the compression is set, but not by the first record");
        }
        if (Result<void> set = SetCompression(physical.payload, physical.offset); !set) {
          return Fail(set.error());
        }
        break;
      }
      case kUserDefinedTimestampSizeType:
      case kRecyclableUserDefinedTimestampSizeType:
        // Sizes of timestamps in keys: Kvrocks has none. It only must not stand inside a record.
        if (in_fragments_) return Damage(first_offset, "a record is interrupted by another");
        break;
      case kPredecessorWalInfoType:
      case kRecyclablePredecessorWalInfoType:
      default:
        if ((physical.type & kIgnorableTypeBit) == 0) {
          return Damage(physical.offset, "unknown record type " + std::to_string(physical.type));
        }
        if (in_fragments_) return Damage(first_offset, "a record is interrupted by another");
        break;
    }
    // What is not a fragment is a good record by itself.
    if (!in_fragments_) end_offset_ = position_;
  }
}

Result<void> LogReader::SetCompression(std::string_view payload, std::uint64_t offset) {
  if (payload.size() != 4) return Damage(offset, "the compression record is malformed");
  const std::uint32_t compression = DecodeFixed32(payload.data());
  compression_set_ = true;
  if (compression == kZstdCompression) {
    decompressor_ = std::make_unique<ZstdDecoder>();
  } else if (compression != kNoCompression) {
    return Damage(offset, "the file is compressed by method " + std::to_string(compression) +
                              ", and only ZSTD (7) is known for WALs");
  }
  return {};
}

Result<void> LogReader::StartAt(std::uint64_t block_offset) {
  WALSTITCH_CHECK(!any_record_ && !finished_ && !error_ && position_ == 0 && block_offset % kBlockSize == 0);
  if (block_offset == 0) return {};
  std::array<char, kHeaderSize + 4> first{};
  Result<std::size_t> got = file_->ReadAt(0, first.data(), first.size());
  if (!got) return Fail(got.error());
  const PhysicalHeader header = ParsePhysicalHeader(first.data());
  if (*got == first.size() && header.type == kSetCompressionType) {
    const std::string_view covered(first.data() + 6, 5);
    if (header.length != 4 || Crc32c(covered) != UnmaskCrc(header.checksum)) {
      return Damage(0, "the record that tells how the file is compressed is damaged");
    }
    if (Result<void> set = SetCompression(covered.substr(1), 0); !set) return set;
  }
  compression_set_ = true;  // later than here it cannot be set any more
  position_ = block_offset;
  end_offset_ = block_offset;
  in_earlier_ = true;
  return {};
}

// Most records are whole, and stand in the buffer. Says false also where it is only too simple to tell.
inline bool LogReader::NextInBuffer() {
  if (decompressor_ || recycled_) return false;
  const std::uint64_t buffer_end = buffer_start_ + buffer_size_;
  if (position_ < buffer_start_ || position_ + kHeaderSize > buffer_end) return false;
  const std::size_t available = std::min<std::uint64_t>(BlockLeft(position_), buffer_end - position_);
  const char* bytes = buffer_.get() + (position_ - buffer_start_);
  const PhysicalHeader header = ParsePhysicalHeader(bytes);
  if (header.type != kFullType || kHeaderSize + header.length > available) return false;
  if (Crc32c(std::string_view(bytes + 6, 1 + header.length)) != UnmaskCrc(header.checksum)) return false;
  any_record_ = true;
  in_earlier_ = false;
  record_ = std::string_view(bytes + kHeaderSize, header.length);
  record_offset_ = position_;
  position_ += kHeaderSize + header.length;
  end_offset_ = position_;
  return true;
}

Result<bool> LogReader::Next() {
  if (error_) return Fail(*error_);
  if (finished_) return false;
  if (NextInBuffer()) return true;
  record_ = {};
  Result<bool> next = NextRecord();
  if (!next) {
    error_ = std::make_unique<Error>(next.error());
  } else if (!*next) {
    finished_ = true;
  }
  return next;
}

}  // namespace walstitch::wal
