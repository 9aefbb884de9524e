#include "agents/wal/verify.h"

#include <charconv>

#include "agents/wal/batch_decoder.h"
#include "agents/wal/log_reader.h"

namespace walstitch::wal {
namespace {

// How many batches are read between two calls of BytesDone.
constexpr std::uint64_t kBatchesPerReport = 256;

// The reader names file and offset in front of what is wrong: "FILE: offset N: what".
struct Place {
  std::uint64_t offset = 0;
  std::string what;
};

Place PlaceOf(const std::string& message, const std::string& before, std::uint64_t otherwise) {
  std::string_view rest = message;
  if (rest.starts_with(before)) {
    rest.remove_prefix(before.size());
    std::uint64_t offset = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), offset);
    const std::string_view what = rest.substr(static_cast<std::size_t>(end - rest.data()));
    if (error == std::errc() && what.starts_with(": ")) return {offset, std::string(what.substr(2))};
  }
  return {otherwise, message};
}

// The same for a tail note: "torn tail at offset N: why".
Place PlaceOfTail(const std::string& note, std::uint64_t otherwise) {
  return PlaceOf(note, "torn tail at offset ", otherwise);
}

class Verifier {
 public:
  explicit Verifier(const BytesDone& done) : done_(done) {}

  // `limit`: the first sequence of the next log that has one; `newest`: there is no other log behind it.
  void Read(const LogInfo& log, Result<std::unique_ptr<LogFile>> file, std::optional<Sequence> limit,
            bool newest) {
    log_ = &log;
    limit_ = limit;
    if (!file) {
      const bool gone = file.error().Code() == ErrorCode::kNotFound;
      if (gone && newest) {
        // 1. A full sync puts another database into db/. 2. All logs that were listed are gone, as if purged.
        // 3. A WAL of which nothing was read would pass for whole. But the newest log is never purged.
        Add(FindingKind::kUnreadable, 0, "is gone: another database was put here while this one was read");
      } else {
        Add(gone ? FindingKind::kPurged : FindingKind::kUnreadable, 0, file.error().Message());
      }
      expected_.reset();  // what follows begins where it begins
    } else {
      ++report_.logs;
      report_.bytes += log.bytes;
      LogReader reader(std::move(*file), LogReaderOptions{.log_number = log.number});
      ReadBatches(&reader);
    }
    finished_bytes_ += log.bytes;
    if (done_) done_(finished_bytes_);
  }

  VerifyReport Take() && { return std::move(report_); }

 private:
  void ReadBatches(LogReader* reader) {
    for (std::uint64_t read = 1;; ++read) {
      const Result<bool> next = reader->Next();
      if (!next) {
        const std::string& message = next.error().Message();
        const Place place = PlaceOf(message, reader->Name() + ": offset ", reader->EndOffset());
        if (next.error().Code() == ErrorCode::kIo) {
          return Broken(FindingKind::kUnreadable, place.offset, message);
        }
        return Broken(FindingKind::kDamage, place.offset, place.what);
      }
      if (!*next) {
        if (!reader->TailNote().empty()) Torn(*reader);
        return;
      }
      if (!ReadBatch(*reader)) return;
      if (done_ && read % kBatchesPerReport == 0) done_(finished_bytes_ + reader->EndOffset());
    }
  }

  // False: the rest of this log is not the history, or cannot be trusted.
  bool ReadBatch(const LogReader& reader) {
    const std::uint64_t offset = reader.RecordOffset();
    const Result<BatchHeader> header = ParseBatchHeader(reader.Record());
    if (!header) {
      Broken(FindingKind::kDamage, offset, header.error().Message());
      return false;
    }
    const Sequence end = header->first + header->count;
    if (limit_ && header->first >= *limit_ && end > *limit_) {
      GivenUp(offset);
      return false;
    }
    const std::string batch = "the batch " + SequenceRange{header->first, end}.ToString();
    const Result<void> decoded = DecodeBatch(reader.Record(), [](const BatchRecord&) { return true; });
    if (!decoded) {
      Broken(FindingKind::kDamage, offset, batch + ": " + decoded.error().Message());
      return false;
    }
    if (limit_ && end > *limit_) {
      Add(FindingKind::kDamage, offset,
          batch + " reaches into the next log, which begins at " + limit_->ToString());
      return false;
    }
    if (expected_ && header->first < *expected_) {
      Add(FindingKind::kDamage, offset,
          batch + " follows sequence " + (*expected_ - 1).ToString() + ": sequences go back");
      return false;
    }
    if (expected_ && header->first > *expected_) {
      Add(FindingKind::kGap, offset,
          "the sequences " + SequenceRange{*expected_, header->first}.ToString() + " are in no batch");
    }
    if (!report_.first) report_.first = header->first;
    expected_ = end;
    report_.end = end;
    if (header->count > 0) ++report_.batches;
    report_.records += header->count;
    return true;
  }

  // Whether the next log goes on right where the good part of this one ends.
  [[nodiscard]] bool NextGoesOnHere() const { return limit_ && expected_ && *expected_ == *limit_; }

  void Broken(FindingKind kind, std::uint64_t offset, const std::string& what) {
    if (NextGoesOnHere()) {
      GivenUp(offset);
    } else {
      Add(kind, offset, what + Lost());
    }
    // What is missing behind a fault is the same fault, not another one.
    if (limit_ && !NextGoesOnHere()) expected_.reset();
  }

  void Torn(const LogReader& reader) {
    Place place = PlaceOfTail(reader.TailNote(), reader.EndOffset());
    if (!limit_ || !expected_ || *expected_ >= *limit_) {
      return Add(FindingKind::kTornTail, place.offset, std::move(place.what));
    }
    // The next log does not go on where this one breaks off.
    Add(FindingKind::kDamage, place.offset, place.what + Lost());
    expected_.reset();
  }

  // What cannot be read because of a fault here.
  [[nodiscard]] std::string Lost() const {
    if (!limit_ || !expected_ || *expected_ >= *limit_) return {};
    return "; the sequences " + SequenceRange{*expected_, *limit_}.ToString() + " cannot be read";
  }

  void GivenUp(std::uint64_t offset) {
    Add(FindingKind::kGivenUp, offset,
        "what stands from here on was given up by a recovery: the next log goes on at " + limit_->ToString());
  }

  void Add(FindingKind kind, std::uint64_t offset, std::string what) {
    if (IsFault(kind)) ++report_.faults;
    if (report_.findings.size() == kMaxFindings) {
      report_.more_findings = true;
      return;
    }
    report_.findings.push_back({kind, log_->number, log_->path, offset, std::move(what)});
  }

  const BytesDone& done_;
  VerifyReport report_;
  const LogInfo* log_ = nullptr;
  std::optional<Sequence> limit_;
  std::optional<Sequence> expected_;
  std::uint64_t finished_bytes_ = 0;
};

}  // namespace

std::string_view ToString(FindingKind kind) {
  switch (kind) {
    case FindingKind::kDamage:
      return "damage";
    case FindingKind::kGap:
      return "gap";
    case FindingKind::kUnreadable:
      return "unreadable";
    case FindingKind::kTornTail:
      return "torn-tail";
    case FindingKind::kGivenUp:
      return "given-up";
    case FindingKind::kPurged:
      return "purged";
  }
  return "damage";
}

bool IsFault(FindingKind kind) {
  switch (kind) {
    case FindingKind::kDamage:
    case FindingKind::kGap:
    case FindingKind::kUnreadable:
      return true;
    case FindingKind::kTornTail:
    case FindingKind::kGivenUp:
    case FindingKind::kPurged:
      return false;
  }
  return true;
}

Result<std::unique_ptr<LogFile>> OpenListedLog(const LogInfo& log) {
  Result<std::unique_ptr<PosixLogFile>> file = PosixLogFile::Open(log.path);
  if (!file && file.error().Code() == ErrorCode::kNotFound && !log.archived) {
    const std::size_t name = log.path.rfind('/') + 1;
    Result<std::unique_ptr<PosixLogFile>> archived =
        PosixLogFile::Open(log.path.substr(0, name) + "archive/" + log.path.substr(name));
    if (archived) return std::unique_ptr<LogFile>(std::move(*archived));
  }
  if (!file) return Fail(file.error());
  return std::unique_ptr<LogFile>(std::move(*file));
}

VerifyReport VerifyLogs(const std::vector<LogInfo>& logs, const LogOpener& open, const BytesDone& done) {
  Verifier verifier(done);
  for (std::size_t i = 0; i < logs.size(); ++i) {
    std::optional<Sequence> limit;
    for (std::size_t next = i + 1; next < logs.size() && !limit; ++next) limit = logs[next].first;
    verifier.Read(logs[i], open(logs[i]), limit, i + 1 == logs.size());
  }
  return std::move(verifier).Take();
}

}  // namespace walstitch::wal
