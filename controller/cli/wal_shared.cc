#include "controller/cli/wal_shared.h"

#include <boost/json.hpp>

#include "controller/cli/text.h"
#include "policies/model/bytes.h"

namespace walstitch::cli {

ExitCode ComplainOf(const Console& console, const NamedSource& wal, const Error& error) {
  // Some errors name the source by themselves.
  const bool named = error.Message().starts_with(wal.name);
  const std::string sentence = named ? error.Message() : wal.name + ": " + error.Message();
  switch (error.Code()) {
    case ErrorCode::kInvalid:
    case ErrorCode::kIo:
      return console.Complain(ExitCode::kUsage, sentence);
    case ErrorCode::kNotFound:
    case ErrorCode::kStale:
    case ErrorCode::kConflict:
    case ErrorCode::kDamaged:
      return console.Complain(ExitCode::kNo, sentence);
    case ErrorCode::kUnavailable:
    case ErrorCode::kTimeout:
      return console.Complain(ExitCode::kUnreachable, sentence);
  }
  return ExitCode::kNo;
}

std::optional<wal::DatabaseLock> LockOf(const NamedSource& wal) {
  if (wal.directory == nullptr) return std::nullopt;
  return wal::ExamineLock(wal.directory->DatabaseDirectory());
}

std::string DescribeSource(const NamedSource& wal, const std::optional<wal::DatabaseLock>& lock) {
  if (!lock) return wal.name + "\n";
  std::string text = wal.name + ": " + Describe(*lock);
  if (lock->use == wal::DatabaseUse::kLive) text += "; the answer is of this moment";
  return text + "\n";
}

boost::json::object SourceJson(const NamedSource& wal, const std::optional<wal::DatabaseLock>& lock) {
  boost::json::object json;
  json["wal"] = Clean(wal.name);
  if (lock) {
    json["state"] = wal::ToString(lock->use);
    if (lock->process != 0) json["process"] = lock->process;
    if (!lock->program.empty()) json["program"] = Clean(lock->program);
  }
  return json;
}

std::string ShowSequence(const std::optional<Sequence>& sequence) {
  return sequence ? sequence->ToString() : "none";
}

tl::expected<AskedRange, ExitCode> AskRange(const Console& console, NamedSource& wal, const WalRange& range) {
  if (range.from && range.to && *range.to <= *range.from) {
    return tl::unexpected(
        console.Complain(ExitCode::kUsage, "--to must be greater than --from: the range is [from, to)"));
  }
  auto extent = wal.source->Extent();
  if (!extent) return tl::unexpected(ComplainOf(console, wal, extent.error()));
  if (!extent->oldest || !extent->last) {
    return tl::unexpected(console.Complain(ExitCode::kNo, wal.name + ": the WAL is empty"));
  }
  AskedRange asked;
  asked.range = {range.from ? Sequence(*range.from) : *extent->oldest, *extent->last + 1};
  if (range.to && Sequence(*range.to) < asked.range.to) asked.range.to = Sequence(*range.to);
  if (asked.range.Empty()) {
    const bool beyond = asked.range.from > *extent->last;
    return tl::unexpected(console.Complain(
        ExitCode::kNo,
        wal.name + ": the WAL " +
            (beyond ? "ends at " + extent->last->ToString() + ", before " + asked.range.from.ToString()
                    : "begins at " + extent->oldest->ToString() + ", not before --to " +
                          asked.range.to.ToString())));
  }
  asked.extent = std::move(*extent);
  return asked;
}

std::string ShowDigest(const BatchDigest& digest) {
  return ToHex({reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size()});
}

std::optional<Sequence> NextLogBehind(const NamedSource& wal, Sequence stuck) {
  if (wal.directory == nullptr) return std::nullopt;
  const auto logs = wal.directory->Logs();
  if (!logs) return std::nullopt;
  for (const wal::LogInfo& log : *logs) {
    if (log.first && *log.first > stuck) return log.first;
  }
  return std::nullopt;
}

std::uint64_t BytesUpTo(const AskedRange& asked, Sequence at) {
  const SequenceRange all{*asked.extent.oldest, *asked.extent.last + 1};
  if (all.Empty() || at <= asked.range.from) return 0;
  const double share = static_cast<double>(at - asked.range.from) / static_cast<double>(all.Size());
  return static_cast<std::uint64_t>(share * static_cast<double>(asked.extent.bytes));
}

}  // namespace walstitch::cli
