// A filler: no-op records that were written on a master to advance it (marker.h has the records). What of a
// batch is filler, and the batch without it. Pure; bytes from outside: every error is a Result.
//
// A master writes the batches of several writers as one (group commit): their records follow one another,
// each writer's behind its own LogData. So a filler's records are the no-ops that follow its marker, up to
// the next record of any other kind; what comes behind is somebody else's.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "policies/model/result.h"

namespace walstitch::wal {

// The no-op records in the batch that belong to this marker (FillerMarker). Errors as DecodeBatch.
Result<std::uint32_t> CountFiller(std::string_view batch, std::string_view marker);

struct WithoutFiller {
  std::string batch;  // the same first sequence, the right count; every other record as it was
  std::uint32_t count = 0;
  std::uint32_t left_out = 0;
};
// Leaves out these records and their marker. Errors as DecodeBatch.
Result<WithoutFiller> LeaveOutFiller(std::string_view batch, std::string_view marker);

}  // namespace walstitch::wal
