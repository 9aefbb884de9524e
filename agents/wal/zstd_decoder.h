// Decompresses the records of a compressed WAL: one ZSTD frame per logical record, as RocksDB writes it
// (util/compression.cc: ZSTDStreamingCompress, ZSTD_e_end, a reset for each record). The frame is split over
// fragments like any payload. Not thread-safe. Owns its context; memory: ZSTD's window, 128 KiB for a WAL.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

struct ZSTD_DCtx_s;

namespace walstitch::wal {

class ZstdDecoder {
 public:
  ZstdDecoder();
  ~ZstdDecoder();
  ZstdDecoder(const ZstdDecoder&) = delete;
  ZstdDecoder& operator=(const ZstdDecoder&) = delete;

  // A whole record. Empty: done. Else what is wrong with it.
  std::string Run(std::string_view input, std::size_t limit, std::string* output);

  // The beginning of a record, fragment by fragment: Begin(), then Feed() until enough came out. False: these
  // bytes are no ZSTD. Feed() appends at most what brings the output to `enough` bytes.
  void Begin();
  bool Feed(std::string_view fragment, std::size_t enough, std::string* output);

 private:
  ZSTD_DCtx_s* context_;
  std::vector<char> chunk_;
};

}  // namespace walstitch::wal
