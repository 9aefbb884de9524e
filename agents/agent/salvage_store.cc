#include "agents/agent/salvage_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "agents/agent/disk.h"
#include "agents/wal/file_descriptor.h"

namespace walstitch::agent {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kUnfinished = ".new-";
constexpr std::string_view kRemoved = ".gone-";
constexpr std::size_t kBuffer = std::size_t{1} << 20;
// How much is written between two looks at the free space.
constexpr std::uint64_t kSpaceInterval = std::uint64_t{8} << 20;
constexpr std::size_t kMaxManifest = std::size_t{1} << 20;

Error SystemError(const std::string& what, int number) {
  return {number == ENOENT ? ErrorCode::kNotFound : ErrorCode::kIo, what + ": " + std::strerror(number)};
}

Result<void> SyncDirectory(const std::string& path) {
  const wal::FileDescriptor directory(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.Value() < 0) return Fail(SystemError(path + ": cannot be opened", errno));
  if (fsync(directory.Value()) != 0) return Fail(SystemError(path + ": cannot be synced", errno));
  return {};
}

// Up to `size` bytes from the offset; fewer only at the end.
Result<std::string> ReadAt(int descriptor, const std::string& path, std::uint64_t offset, std::size_t size) {
  std::string bytes(size, '\0');
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got =
        pread(descriptor, bytes.data() + done, size - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Fail(SystemError(path + ": cannot be read", errno));
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  bytes.resize(done);
  return bytes;
}

// An empty list for a directory that is not there, or cannot be read to its end.
std::vector<std::string> NamesIn(const std::string& directory) {
  std::vector<std::string> names;
  std::error_code problem;
  fs::directory_iterator entry(directory, problem);
  for (; !problem && entry != fs::directory_iterator(); entry.increment(problem)) {
    names.push_back(entry->path().filename().string());
  }
  return names;
}

void RemoveTree(const std::string& path) {
  std::error_code ignored;
  fs::remove_all(path, ignored);
}

}  // namespace

// ---- writing

// One file in the making: buffered, and its checksum with it.
class SalvageWriter::File {
 public:
  File(std::string directory, std::string_view name)
      : name_(name), path_(std::move(directory) + "/" + name_) {}

  Result<void> Open() {
    descriptor_ = wal::FileDescriptor(open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (descriptor_.Value() < 0) return Fail(SystemError(path_ + ": cannot be made", errno));
    return {};
  }

  Result<void> Append(std::string_view bytes) {
    sum_.Add(bytes);
    bytes_ += bytes.size();
    if (buffer_.size() + bytes.size() > kBuffer) {
      if (auto flushed = Flush(); !flushed) return flushed;
    }
    if (bytes.size() > kBuffer) return Write(bytes);
    buffer_.append(bytes);
    return {};
  }

  Result<void> Flush() {
    auto written = Write(buffer_);
    buffer_.clear();
    return written;
  }

  Result<SalvageFile> Finish() {
    if (auto flushed = Flush(); !flushed) return Fail(flushed.error());
    if (fsync(descriptor_.Value()) != 0) return Fail(SystemError(path_ + ": cannot be synced", errno));
    return SalvageFile{name_, bytes_, sum_.FinishHex()};
  }

  [[nodiscard]] std::uint64_t Bytes() const { return bytes_; }
  [[nodiscard]] const std::string& Path() const { return path_; }
  [[nodiscard]] int Value() const { return descriptor_.Value(); }

 private:
  Result<void> Write(std::string_view bytes) {
    if (wal::WriteAll(descriptor_.Value(), bytes)) return {};
    if (errno == ENOSPC || errno == EDQUOT) {
      return Fail(ErrorCode::kIo, path_ + ": the disk is full: free some space there");
    }
    return Fail(SystemError(path_ + ": cannot be written", errno));
  }

  std::string name_;
  std::string path_;
  wal::FileDescriptor descriptor_;
  std::string buffer_;
  std::uint64_t bytes_ = 0;
  Sha256Stream sum_;
};

SalvageWriter::SalvageWriter(std::string directory, std::string id, std::uint64_t disk_floor)
    : directory_(std::move(directory)),
      id_(std::move(id)),
      temporary_(directory_ + "/" + std::string(kUnfinished) + id_),
      disk_floor_(disk_floor),
      batches_(std::make_unique<File>(temporary_, kBatchesFile)),
      records_(std::make_unique<File>(temporary_, kRecordsFile)),
      values_(std::make_unique<File>(temporary_, kValuesFile)) {}

SalvageWriter::SalvageWriter(SalvageWriter&& other) noexcept
    : directory_(std::move(other.directory_)),
      id_(std::move(other.id_)),
      temporary_(std::move(other.temporary_)),
      disk_floor_(other.disk_floor_),
      unchecked_(other.unchecked_),
      batches_(std::move(other.batches_)),
      records_(std::move(other.records_)),
      values_(std::move(other.values_)),
      committed_(std::exchange(other.committed_, true)) {}

SalvageWriter::~SalvageWriter() {
  if (!committed_) RemoveTree(temporary_);
}

Result<void> SalvageWriter::CheckSpace() {
  auto disk = ReadDisk(directory_);
  if (!disk) return Fail(disk.error());
  if (disk->free_bytes >= disk_floor_) return {};
  return Fail(ErrorCode::kIo, directory_ + ": only " + HumanBytes(disk->free_bytes) +
                                  " are free, and salvage.diskFloor leaves " + HumanBytes(disk_floor_) +
                                  ": free some space there, or lower it");
}

Result<void> SalvageWriter::Append(File* file, std::string_view bytes) {
  unchecked_ += bytes.size();
  if (unchecked_ >= kSpaceInterval) {
    unchecked_ = 0;
    if (auto space = CheckSpace(); !space) return space;
  }
  return file->Append(bytes);
}

Result<void> SalvageWriter::AppendBatch(std::string_view bytes) {
  if (auto header = Append(batches_.get(), FrameHeader(bytes.size())); !header) return header;
  return Append(batches_.get(), bytes);
}
Result<void> SalvageWriter::AppendRecords(std::string_view lines) { return Append(records_.get(), lines); }
Result<void> SalvageWriter::AppendValue(std::string_view line) { return Append(values_.get(), line); }
std::uint64_t SalvageWriter::BatchesBytes() const { return batches_->Bytes(); }

Result<void> SalvageWriter::ForEachBatch(const std::function<bool(std::string_view)>& visit) {
  if (auto flushed = batches_->Flush(); !flushed) return flushed;
  std::string window;  // from `begin` in the file on
  std::uint64_t begin = 0;
  std::size_t at = 0;
  const auto have = [&](std::size_t size) -> Result<bool> {
    if (window.size() - at >= size) return true;
    begin += at;
    auto read = ReadAt(batches_->Value(), batches_->Path(), begin, std::max(size, kBuffer));
    if (!read) return Fail(read.error());
    window = std::move(*read);
    at = 0;
    return window.size() >= size;
  };
  while (true) {
    auto header = have(4);
    if (!header) return Fail(header.error());
    if (!*header) return {};
    const std::size_t length = FrameLength(std::string_view(window).substr(at, 4));
    auto whole = have(4 + length);
    if (!whole) return Fail(whole.error());
    if (!*whole) return Fail(ErrorCode::kDamaged, batches_->Path() + ": ends within a batch");
    if (!visit(std::string_view(window).substr(at + 4, length))) return {};
    at += 4 + length;
  }
}

Result<void> SalvageWriter::Commit(SalvageManifest* manifest) {
  manifest->files.clear();
  for (File* file : {batches_.get(), records_.get(), values_.get()}) {
    auto finished = file->Finish();
    if (!finished) return Fail(finished.error());
    manifest->files.push_back(std::move(*finished));
  }
  File text(temporary_, kManifestFile);
  if (auto opened = text.Open(); !opened) return opened;
  if (auto appended = text.Append(ManifestText(*manifest)); !appended) return appended;
  if (auto finished = text.Finish(); !finished) return Fail(finished.error());
  if (auto synced = SyncDirectory(temporary_); !synced) return synced;
  const std::string path = directory_ + "/" + id_;
  // Nothing is replaced but what could not be relied on.
  const std::string aside = directory_ + "/" + std::string(kRemoved) + id_;
  RemoveTree(aside);
  if (rename(path.c_str(), aside.c_str()) != 0 && errno != ENOENT) {
    return Fail(SystemError(path + ": cannot be replaced", errno));
  }
  if (rename(temporary_.c_str(), path.c_str()) != 0) {
    return Fail(SystemError(path + ": cannot be made", errno));
  }
  committed_ = true;
  RemoveTree(aside);
  return SyncDirectory(directory_);
}

// ---- the store

SalvageStore::SalvageStore(const std::string& state_directory, SalvageLimits limits)
    : directory_(state_directory + "/salvage"), limits_(limits) {}

void SalvageStore::CleanUp() {
  for (const std::string& name : NamesIn(directory_)) {
    if (name.starts_with(kUnfinished) || name.starts_with(kRemoved)) RemoveTree(directory_ + "/" + name);
  }
}

Result<SalvageWriter> SalvageStore::Begin(const std::string& id) {
  WALSTITCH_CHECK(ValidSalvageId(id));
  if (mkdir(directory_.c_str(), 0700) == 0) {
    const std::string parent = directory_.substr(0, directory_.rfind('/'));
    if (auto synced = SyncDirectory(parent); !synced) return Fail(synced.error());
  } else if (errno != EEXIST) {
    return Fail(SystemError(directory_ + ": cannot be made", errno));
  }
  SalvageWriter writer(directory_, id, limits_.disk_floor);
  RemoveTree(writer.temporary_);
  if (mkdir(writer.temporary_.c_str(), 0700) != 0) {
    return Fail(ErrorCode::kIo, writer.temporary_ + ": cannot be made: " + std::strerror(errno));
  }
  if (auto space = writer.CheckSpace(); !space) return Fail(space.error());
  for (SalvageWriter::File* file : {writer.batches_.get(), writer.records_.get(), writer.values_.get()}) {
    if (auto opened = file->Open(); !opened) return Fail(opened.error());
  }
  return writer;
}

Result<SalvageManifest> SalvageStore::Read(const std::string& id) const {
  WALSTITCH_CHECK(ValidSalvageId(id));
  const std::string path = PathOf(id) + "/" + std::string(kManifestFile);
  struct stat directory {};
  if (stat(PathOf(id).c_str(), &directory) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return Fail(ErrorCode::kNotFound, "there is no salvage " + id);
    return Fail(SystemError(PathOf(id) + ": cannot be looked at", errno));
  }
  const wal::FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.Value() < 0 && errno == ENOENT) return Fail(ErrorCode::kDamaged, path + ": is missing");
  if (file.Value() < 0) return Fail(SystemError(path + ": cannot be opened", errno));
  auto text = ReadAt(file.Value(), path, 0, kMaxManifest);
  if (!text) return Fail(text.error());
  auto manifest = ParseManifest(*text);
  if (!manifest) return Fail(manifest.error(), path);
  if (manifest->id != id) return Fail(ErrorCode::kDamaged, path + ": is of another salvage, " + manifest->id);
  return manifest;
}

Result<void> SalvageStore::CheckFile(const std::string& id, const SalvageFile& file) {
  const std::string path = PathOf(id) + "/" + file.name;
  const wal::FileDescriptor opened(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (opened.Value() < 0 && errno == ENOENT) return Fail(ErrorCode::kDamaged, path + ": is missing");
  if (opened.Value() < 0) return Fail(SystemError(path + ": cannot be opened", errno));
  struct stat now {};
  if (fstat(opened.Value(), &now) != 0) return Fail(SystemError(path + ": cannot be looked at", errno));
  const Checked seen{now.st_ino, static_cast<std::uint64_t>(now.st_size),
                     std::int64_t{now.st_mtim.tv_sec} * 1000000000 + now.st_mtim.tv_nsec};
  {
    const std::lock_guard lock(mutex_);
    if (auto known = checked_.find(path); known != checked_.end() && known->second == seen) return {};
  }
  if (seen.bytes != file.bytes) {
    return Fail(ErrorCode::kDamaged, path + ": has " + std::to_string(seen.bytes) +
                                         " bytes, and was written with " + std::to_string(file.bytes));
  }
  Sha256Stream sum;
  for (std::uint64_t at = 0; at < file.bytes;) {
    auto bytes = ReadAt(opened.Value(), path, at, kBuffer);
    if (!bytes) return Fail(bytes.error());
    if (bytes->empty()) break;
    sum.Add(*bytes);
    at += bytes->size();
  }
  if (sum.FinishHex() != file.sha256) {
    return Fail(ErrorCode::kDamaged, path + ": is not as it was written: its checksum differs");
  }
  const std::lock_guard lock(mutex_);
  checked_[path] = seen;
  return {};
}

Result<SalvageManifest> SalvageStore::ReadChecked(const std::string& id) {
  auto manifest = Read(id);
  if (!manifest) return manifest;
  for (const SalvageFile& file : manifest->files) {
    if (auto checked = CheckFile(id, file); !checked) return Fail(checked.error());
  }
  return manifest;
}

SalvageList SalvageStore::List() const {
  SalvageList list;
  std::vector<std::string> ids = NamesIn(directory_);
  std::erase_if(ids, [](const std::string& name) { return !ValidSalvageId(name); });
  std::sort(ids.rbegin(), ids.rend());
  for (const std::string& id : ids) {
    auto manifest = Read(id);
    if (manifest) {
      list.salvages.push_back(std::move(*manifest));
    } else if (manifest.error().Code() != ErrorCode::kNotFound) {
      list.damaged.push_back({id, manifest.error().Message()});
    }
  }
  std::stable_sort(list.salvages.begin(), list.salvages.end(),
                   [](const SalvageManifest& a, const SalvageManifest& b) { return a.time_ms > b.time_ms; });
  return list;
}

Result<SalvageStore::Lines> SalvageStore::ReadLines(const std::string& id, std::string_view file,
                                                    std::uint64_t from, std::size_t max_lines,
                                                    std::uint64_t max_bytes) {
  auto manifest = ReadChecked(id);
  if (!manifest) return Fail(manifest.error());
  const auto found = std::find_if(manifest->files.begin(), manifest->files.end(),
                                  [&](const SalvageFile& each) { return each.name == file; });
  if (found == manifest->files.end()) return Fail(ErrorCode::kNotFound, "it has no " + std::string(file));
  const std::string path = PathOf(id) + "/" + found->name;
  const wal::FileDescriptor opened(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (opened.Value() < 0) return Fail(SystemError(path + ": cannot be opened", errno));
  if (from > 0) {
    auto before = ReadAt(opened.Value(), path, from - 1, 1);
    if (!before) return Fail(before.error());
    if (*before != "\n")
      return Fail(ErrorCode::kInvalid, "no line of " + found->name + " begins at " + std::to_string(from));
  }
  Lines lines;
  std::string window;         // of the file, up to `read`
  std::size_t begin = 0;      // in it: of the next line
  std::size_t searched = 0;   // in it: no line ends before
  std::uint64_t at = from;    // in the file: of the next line
  std::uint64_t read = from;  // how far the file was read
  while (at < found->bytes) {
    if (lines.lines.size() >= max_lines || (at - from >= max_bytes && !lines.lines.empty())) {
      lines.next = at;
      break;
    }
    const std::size_t end = window.find('\n', searched);
    if (end == std::string::npos) {
      window.erase(0, begin);
      begin = 0;
      searched = window.size();
      auto more = ReadAt(opened.Value(), path, read, kBuffer);
      if (!more) return Fail(more.error());
      if (more->empty()) return Fail(ErrorCode::kDamaged, path + ": ends within a line");
      read += more->size();
      window += *more;
      continue;
    }
    lines.at.push_back(at);
    lines.lines.push_back(window.substr(begin, end - begin));
    at += end + 1 - begin;
    begin = searched = end + 1;
  }
  return lines;
}

void SalvageStore::Remove(const std::string& id) {
  const std::string aside = directory_ + "/" + std::string(kRemoved) + id;
  // Gone in one step: nobody finds half of it.
  if (rename(PathOf(id).c_str(), aside.c_str()) == 0) RemoveTree(aside);
  const std::lock_guard lock(mutex_);
  std::erase_if(checked_, [&](const auto& entry) { return entry.first.starts_with(PathOf(id) + "/"); });
}

std::vector<std::string> SalvageStore::Retire(std::int64_t now_ms, const std::string& keep) {
  const SalvageList list = List();
  std::vector<std::string> ids = ToRetire(list.salvages, limits_, now_ms, keep);
  for (const DamagedSalvage& damaged : list.damaged) {  // whose own word on its age cannot be had
    struct stat directory {};
    if (stat(PathOf(damaged.id).c_str(), &directory) != 0) continue;
    const std::int64_t made_ms = std::int64_t{directory.st_mtim.tv_sec} * 1000;
    if (damaged.id != keep && now_ms - made_ms > limits_.keep_for_ms) ids.push_back(damaged.id);
  }
  for (const std::string& id : ids) Remove(id);
  return ids;
}

std::vector<std::string> ToRetire(const std::vector<SalvageManifest>& salvages, const SalvageLimits& limits,
                                  std::int64_t now_ms, const std::string& keep) {
  std::vector<std::string> ids;
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < salvages.size(); ++i) {
    const SalvageManifest& salvage = salvages[i];
    const std::uint64_t own = salvage.Bytes();
    const bool old = now_ms - salvage.time_ms > limits.keep_for_ms;
    const bool too_much =
        bytes + own > limits.keep_bytes && now_ms - salvage.time_ms > limits.keep_at_least_ms;
    if (i > 0 && salvage.id != keep && (old || too_much)) {
      ids.push_back(salvage.id);
    } else {
      bytes += own;
    }
  }
  return ids;
}

}  // namespace walstitch::agent
