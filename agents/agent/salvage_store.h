// The salvages on the agent's disk: written so that there is never half of one, found again, checked when
// they are read, and removed when they are old or too many (salvage_format.h has their files).
//
// A salvage is written below a temporary name, synced, and renamed; whatever a crash leaves below such a name
// is removed at the next start. Blocking. Thread-safe: one thread writes, others may read.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agents/agent/salvage_format.h"
#include "policies/model/bytes.h"
#include "policies/model/result.h"
#include "policies/model/salvage.h"

namespace walstitch::agent {

struct SalvageLimits {
  std::int64_t keep_for_ms = std::int64_t{30} * 24 * 3600 * 1000;
  std::int64_t keep_at_least_ms = std::int64_t{24} * 3600 * 1000;  // none is removed for keep_bytes before
  std::uint64_t keep_bytes = std::uint64_t{10} << 30;              // of all salvages together
  std::uint64_t disk_floor = std::uint64_t{256} << 20;             // with less free space nothing is written
};

class SalvageWriter {
 public:
  ~SalvageWriter();  // removes what was not committed
  SalvageWriter(SalvageWriter&&) noexcept;
  SalvageWriter& operator=(SalvageWriter&&) = delete;

  // kIo, with what to do, when the disk is full or has less left than the floor. After an Error the salvage
  // cannot be finished.
  Result<void> AppendBatch(std::string_view bytes);
  Result<void> AppendRecords(std::string_view lines);
  Result<void> AppendValue(std::string_view line);
  [[nodiscard]] std::uint64_t BatchesBytes() const;

  // The batches that were written so far. Return false to stop.
  Result<void> ForEachBatch(const std::function<bool(std::string_view)>& visit);

  // Fills in the manifest's files, and makes the salvage durable under its id. What had that id is replaced.
  Result<void> Commit(SalvageManifest* manifest);

 private:
  friend class SalvageStore;
  class File;
  SalvageWriter(std::string directory, std::string id, std::uint64_t disk_floor);
  Result<void> Append(File* file, std::string_view bytes);
  Result<void> CheckSpace();

  std::string directory_;  // of all salvages
  std::string id_;
  std::string temporary_;
  std::uint64_t disk_floor_;
  std::uint64_t unchecked_ = 0;  // bytes since the free space was looked at
  std::unique_ptr<File> batches_;
  std::unique_ptr<File> records_;
  std::unique_ptr<File> values_;
  bool committed_ = false;
};

class SalvageStore {
 public:
  // `state_directory` exists. Touches nothing yet.
  SalvageStore(const std::string& state_directory, SalvageLimits limits);

  // Removes what a crash left unfinished.
  void CleanUp();

  [[nodiscard]] std::string PathOf(const std::string& id) const { return directory_ + "/" + id; }

  // Every id must be valid (ValidSalvageId).
  Result<SalvageWriter> Begin(const std::string& id);
  // Without looking at its files; kNotFound if there is none, kDamaged if it is not as it was written.
  [[nodiscard]] Result<SalvageManifest> Read(const std::string& id) const;
  // The same, and every file is as it was written. What was checked is checked again when its size or time
  // has changed.
  Result<SalvageManifest> ReadChecked(const std::string& id);
  [[nodiscard]] SalvageList List() const;

  // Lines of a file from the offset on, which must be a line's: at most max_lines and about max_bytes of
  // them, at least one. Without their line feeds.
  struct Lines {
    std::vector<std::string> lines;
    std::vector<std::uint64_t> at;
    std::optional<std::uint64_t> next;
  };
  Result<Lines> ReadLines(const std::string& id, std::string_view file, std::uint64_t from,
                          std::size_t max_lines, std::uint64_t max_bytes);

  // Removes salvages that are older than is kept, damaged ones, too; then the oldest ones until the rest is
  // small enough, but none that somebody may not have looked at yet (keep_at_least_ms). Never the newest, nor
  // `keep`. Gives the ids that were removed.
  std::vector<std::string> Retire(std::int64_t now_ms, const std::string& keep);

 private:
  struct Checked {
    std::uint64_t inode = 0;
    std::uint64_t bytes = 0;
    std::int64_t modified_ns = 0;
    bool operator==(const Checked&) const = default;
  };
  Result<void> CheckFile(const std::string& id, const SalvageFile& file);
  void Remove(const std::string& id);

  std::string directory_;
  SalvageLimits limits_;
  std::mutex mutex_;                        // of checked_
  std::map<std::string, Checked> checked_;  // by path
};

// Which of these are to be removed, by the rules of Retire. Pure; `salvages` newest first.
std::vector<std::string> ToRetire(const std::vector<SalvageManifest>& salvages, const SalvageLimits& limits,
                                  std::int64_t now_ms, const std::string& keep);

}  // namespace walstitch::agent
