#include "agents/wal/block_search.h"

#include <algorithm>

#include "agents/wal/crc32c.h"

namespace walstitch::wal {
namespace {

// All that is needed of a batch's header.
constexpr std::size_t kSequenceSize = 8;

// How many blocks in a row may hold nothing readable before a stretch counts as empty: damage is a block or
// two, while space allocated in advance can be long.
constexpr int kMaxUnreadableBlocks = 64;

bool IsBeginning(std::uint8_t type) { return type == kFullType || type == kFirstType; }
bool IsContinuation(std::uint8_t type) { return type == kMiddleType || type == kLastType; }

std::uint64_t NextBlock(std::uint64_t offset) { return offset + BlockLeft(offset); }

std::optional<Sequence> ToSequence(std::string_view bytes) {
  const std::uint64_t value = DecodeFixed64(bytes.data());
  if (value > kMaxSequence) return std::nullopt;
  return Sequence(value);
}

}  // namespace

// The bytes of the window that begin at the offset: `size` of them, or as many as there are.
Result<std::string_view> BlockSearch::Peek(std::uint64_t offset, std::size_t size) {
  const bool inside = offset >= window_start_ && offset + size <= window_start_ + window_size_;
  if (!inside) {
    Result<std::size_t> got = file_->ReadAt(offset, window_.data(), window_.size());
    if (!got) return Fail(got.error());
    window_start_ = offset;
    window_size_ = *got;
  }
  const std::string_view window(window_.data(), window_size_);
  return window.substr(static_cast<std::size_t>(offset - window_start_), size);
}

// kNothing: the file ends here. kUnreadable: what stands here is no header that can be right.
Result<BlockSearch::Header> BlockSearch::HeaderAt(std::uint64_t offset) {
  if (BlockLeft(offset) < kHeaderSize) offset = NextBlock(offset);
  Header header;
  header.offset = offset;
  if (offset >= size_) return header;
  Result<std::string_view> bytes = Peek(offset, kHeaderSize);
  if (!bytes) return Fail(bytes.error());
  if (bytes->size() < kHeaderSize) return header;
  const PhysicalHeader physical = ParsePhysicalHeader(bytes->data());
  header.type = physical.type;
  header.length = physical.length;
  header.payload = offset + physical.HeaderSize();
  if (physical.IsZero()) {
    header.kind = Kind::kZeroes;
  } else if (physical.HeaderSize() + physical.length > BlockLeft(offset) || physical.type == kZeroType) {
    header.kind = Kind::kUnreadable;
  } else {
    header.kind = Kind::kRecord;
  }
  return header;
}

Result<void> BlockSearch::Prepare() {
  if (prepared_) return {};
  Result<Header> first = HeaderAt(0);
  if (!first) return Fail(first.error());
  prepared_ = true;
  if (first->kind != Kind::kRecord) return {};
  if (first->type == kSetCompressionType) {
    Result<std::string_view> method = Peek(first->payload, 4);
    if (!method) return Fail(method.error());
    if (method->size() < 4) return {};
    const std::uint32_t compression = DecodeFixed32(method->data());
    if (compression == kZstdCompression) decoder_ = std::make_unique<ZstdDecoder>();
    searchable_ = compression == kZstdCompression || compression == kNoCompression;
    // Is what comes next recycled?
    first = HeaderAt(first->payload + first->length);
    if (!first) return Fail(first.error());
  } else {
    searchable_ = true;
  }
  if (first->kind == Kind::kRecord && first->type >= kRecyclableFullType &&
      first->type <= kRecyclableLastType) {
    searchable_ = false;
  }
  return {};
}

// The sequence that a record begins with: 8 bytes, which may be split over fragments. nullopt: they cannot be
// had, or cannot be right.
Result<std::optional<Sequence>> BlockSearch::SequenceAt(const Header& beginning) {
  if (!decoder_ && beginning.length >= kSequenceSize) {
    Result<std::string_view> bytes = Peek(beginning.payload, kSequenceSize);
    if (!bytes) return Fail(bytes.error());
    if (bytes->size() < kSequenceSize) return std::nullopt;
    return ToSequence(*bytes);
  }
  if (decoder_) decoder_->Begin();
  std::string gathered;
  std::string fragment;
  for (Header header = beginning;;) {
    fragment.resize(header.length);
    Result<std::size_t> got = file_->ReadAt(header.payload, fragment.data(), fragment.size());
    if (!got) return Fail(got.error());
    if (*got < fragment.size()) return std::nullopt;
    if (!decoder_) {
      gathered += fragment;
    } else if (!decoder_->Feed(fragment, kSequenceSize, &gathered)) {
      return std::nullopt;
    }
    if (gathered.size() >= kSequenceSize) return ToSequence(gathered);
    if (header.type != kFirstType && header.type != kMiddleType) return std::nullopt;
    Result<Header> next = HeaderAt(header.payload + header.length);
    if (!next) return Fail(next.error());
    if (next->kind != Kind::kRecord || !IsContinuation(next->type)) return std::nullopt;
    header = *next;
  }
}

// The first record that begins in [from, to); `from` is a block's start.
Result<std::optional<BlockSearch::Beginning>> BlockSearch::FirstBeginning(std::uint64_t from,
                                                                          std::uint64_t to) {
  int unreadable = 0;
  for (std::uint64_t at = from; at < to;) {
    Result<Header> header = HeaderAt(at);
    if (!header) return Fail(header.error());
    if (header->kind == Kind::kNothing || header->offset >= to) return std::nullopt;
    if (header->kind != Kind::kRecord) {
      // At the next block's start one stands on a header again.
      if (++unreadable > kMaxUnreadableBlocks) return std::nullopt;
      at = NextBlock(header->offset);
      continue;
    }
    if (IsBeginning(header->type)) {
      Result<std::optional<Sequence>> first = SequenceAt(*header);
      if (!first) return Fail(first.error());
      if (*first) return Beginning{header->offset, **first};
    }
    at = header->payload + header->length;
  }
  return std::nullopt;
}

Result<std::optional<std::uint64_t>> BlockSearch::BlockFor(Sequence sequence) {
  if (Result<void> prepared = Prepare(); !prepared) return Fail(prepared.error());
  if (!searchable_) return std::nullopt;
  std::uint64_t low = 0;
  std::uint64_t high = (size_ + kBlockSize - 1) / kBlockSize;
  while (high > low + 1) {
    const std::uint64_t middle = low + (high - low) / 2;
    // Beyond `high` there is nothing new: records that begin there are known to be later.
    Result<std::optional<Beginning>> beginning = FirstBeginning(middle * kBlockSize, high * kBlockSize);
    if (!beginning) return Fail(beginning.error());
    if (*beginning && (*beginning)->first <= sequence) {
      low = (*beginning)->offset / kBlockSize;
    } else {
      high = middle;
    }
  }
  return low * kBlockSize;
}

Result<std::uint64_t> BlockSearch::BlockBefore(std::uint64_t before) {
  if (Result<void> prepared = Prepare(); !prepared) return Fail(prepared.error());
  if (!searchable_) return 0;
  while (before > kBlockSize) {
    before -= kBlockSize;
    Result<std::optional<Beginning>> beginning = FirstBeginning(before, before + kBlockSize);
    if (!beginning) return Fail(beginning.error());
    if (*beginning) return before;
  }
  return 0;
}

Result<std::uint64_t> BlockSearch::LastWrittenBlock() {
  const std::uint64_t blocks = (size_ + kBlockSize - 1) / kBlockSize;
  const auto written = [&](std::uint64_t block) -> Result<bool> {
    Result<Header> header = HeaderAt(block * kBlockSize);
    if (!header) return Fail(header.error());
    return header->kind != Kind::kZeroes;
  };
  if (blocks <= 1) return 0;
  std::uint64_t low = 0;
  std::uint64_t high = blocks;
  for (std::uint64_t middle = blocks - 1; high > low + 1; middle = low + (high - low) / 2) {
    Result<bool> there = written(middle);
    if (!there) return Fail(there.error());
    (*there ? low : high) = middle;
  }
  return low * kBlockSize;
}

Result<std::optional<Sequence>> BlockSearch::FirstSequence() {
  if (Result<void> prepared = Prepare(); !prepared) return Fail(prepared.error());
  if (!searchable_) return std::nullopt;
  Result<Header> header = HeaderAt(0);
  while (header && header->kind == Kind::kRecord && !IsBeginning(header->type)) {
    if (IsContinuation(header->type)) return std::nullopt;
    header = HeaderAt(header->payload + header->length);
  }
  if (!header) return Fail(header.error());
  if (header->kind != Kind::kRecord) return std::nullopt;

  std::string bytes(header->payload - header->offset + header->length, '\0');
  Result<std::size_t> got = file_->ReadAt(header->offset, bytes.data(), bytes.size());
  if (!got) return Fail(got.error());
  if (*got < bytes.size()) return std::nullopt;
  const PhysicalHeader physical = ParsePhysicalHeader(bytes.data());
  const std::string_view covered = std::string_view(bytes).substr(6);
  if (Crc32c(covered) != UnmaskCrc(physical.checksum)) return std::nullopt;
  const std::string_view payload = covered.substr(1);
  std::optional<Sequence> first;
  if (decoder_) {
    std::string gathered;
    decoder_->Begin();
    if (!decoder_->Feed(payload, kBatchHeaderSize, &gathered)) return std::nullopt;
    if (gathered.size() >= kBatchHeaderSize) first = ToSequence(gathered);
  } else if (payload.size() >= kBatchHeaderSize) {
    first = ToSequence(payload);
  }
  if (!first) return std::nullopt;

  while (header->type == kFirstType || header->type == kMiddleType) {
    header = HeaderAt(header->payload + header->length);
    if (!header) return Fail(header.error());
    if (header->kind != Kind::kRecord || !IsContinuation(header->type)) return std::nullopt;
  }
  header = HeaderAt(header->payload + header->length);
  if (!header) return Fail(header.error());
  if (header->kind != Kind::kRecord) return std::nullopt;
  return first;
}

}  // namespace walstitch::wal
