#include "agents/wal/zstd_decoder.h"

#include <zstd.h>

#include "policies/model/result.h"

namespace walstitch::wal {

ZstdDecoder::ZstdDecoder() : context_(ZSTD_createDCtx()) { WALSTITCH_CHECK(context_ != nullptr); }

ZstdDecoder::~ZstdDecoder() { ZSTD_freeDCtx(context_); }

std::string ZstdDecoder::Run(std::string_view input, std::size_t limit, std::string* output) {
  output->clear();
  if (input.empty()) return "";  // RocksDB does not compress an empty record
  Begin();
  ZSTD_inBuffer in{input.data(), input.size(), 0};
  chunk_.resize(ZSTD_DStreamOutSize());
  for (;;) {
    ZSTD_outBuffer out{chunk_.data(), chunk_.size(), 0};
    const std::size_t left = ZSTD_decompressStream(context_, &out, &in);
    if (ZSTD_isError(left) != 0) {
      return std::string("ZSTD cannot decompress the record: ") + ZSTD_getErrorName(left);
    }
    if (output->size() + out.pos > limit) {
      return "the record expands to more than " + std::to_string(limit) + " bytes";
    }
    output->append(chunk_.data(), out.pos);
    if (left == 0) break;  // the frame is complete
    if (in.pos == in.size && out.pos < out.size) return "the ZSTD frame of the record is cut off";
  }
  if (in.pos != in.size) return "bytes follow the ZSTD frame of the record";
  return "";
}

void ZstdDecoder::Begin() { ZSTD_DCtx_reset(context_, ZSTD_reset_session_only); }

bool ZstdDecoder::Feed(std::string_view fragment, std::size_t enough, std::string* output) {
  ZSTD_inBuffer in{fragment.data(), fragment.size(), 0};
  while (output->size() < enough && in.pos < in.size) {
    const std::size_t before = output->size();
    const std::size_t consumed = in.pos;
    output->resize(enough);
    ZSTD_outBuffer out{output->data() + before, enough - before, 0};
    const std::size_t left = ZSTD_decompressStream(context_, &out, &in);
    output->resize(before + (ZSTD_isError(left) != 0 ? 0 : out.pos));
    if (ZSTD_isError(left) != 0) return false;
    if (left == 0 || (out.pos == 0 && in.pos == consumed)) break;  // the frame's end; or no progress
  }
  return true;
}

}  // namespace walstitch::wal
