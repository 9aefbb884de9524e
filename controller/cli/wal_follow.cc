// `walstitch wal batches --follow`: a growing WAL, batch by batch.
#include <boost/json.hpp>
#include <chrono>

#include "agents/wal/wal_follower.h"
#include "controller/cli/text.h"
#include "controller/cli/wal_shared.h"
#include "policies/model/bytes.h"
#include "policies/model/json.h"

namespace walstitch::cli {
namespace {

// A wait that is over sooner whenever something is written.
constexpr std::chrono::seconds kLongestWait{60};

// What may pass: the database is away while a full sync replaces it.
bool MayPass(const Error& error) { return error.Code() == ErrorCode::kUnavailable; }

std::string Line(const BatchInfo& batch) {
  std::string line = "[" + batch.first.ToString() + ", " + batch.End().ToString() + ")  " +
                     Count(batch.count, "record") + "  " + std::to_string(batch.bytes) + " bytes  " +
                     ShowDigest(batch.digest);
  if (!batch.marker.empty()) line += "  decision " + batch.marker;
  return line + "\n";
}

}  // namespace

ExitCode WalFollowCommand(const Console& console, NamedSource& wal, const WalFollowOptions& options) {
  if (wal.directory == nullptr) {
    return console.Complain(ExitCode::kUsage, wal.name + ": --follow needs a data directory, not a server");
  }
  auto extent = wal.source->Extent();
  if (!extent) return ComplainOf(console, wal, extent.error());
  const Sequence end = extent->last ? *extent->last + 1 : Sequence(1);
  wal::WalFollower follower(wal.name, options.from ? Sequence(*options.from) : end);
  std::uint64_t shown = 0;
  const auto enough = [&] { return options.limit && shown >= *options.limit; };
  while (!enough()) {
    auto next = follower.Poll([&](const wal::BatchView& view) {
      const BatchInfo batch = wal::Describe(view);
      if (console.json) {
        console.out << Dump(ToJson(batch)) << "\n";
      } else {
        console.Print(Line(batch));
      }
      ++shown;
      return console.out.good() && !enough();
    });
    console.out.flush();
    if (!console.out.good()) return ExitCode::kNo;  // nobody reads any more
    if (!next && !MayPass(next.error())) return ComplainOf(console, wal, next.error());
    if (!enough()) follower.Wait(kLongestWait);
  }
  return ExitCode::kDone;
}

}  // namespace walstitch::cli
