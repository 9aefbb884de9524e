// One file that survives crashes: it holds either the old content or the new one, never a part.
//
// The first of a directory owns a lock on it, so that two agents never share one. Not thread-safe; two files
// of one directory may be used on two threads.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "policies/model/result.h"

namespace walstitch::agent {

class StateFile {
 public:
  // Makes the directory if only its last part is missing, and locks it.
  static Result<StateFile> Open(const std::string& directory, std::string name);
  // Another file of the same directory, under this one's lock, which outlives its use.
  [[nodiscard]] Result<StateFile> Beside(std::string name) const;
  ~StateFile();
  StateFile(StateFile&& other) noexcept;
  StateFile& operator=(StateFile&&) = delete;

  // nullopt: nothing was ever written.
  [[nodiscard]] Result<std::optional<std::string>> Read() const;

  // Durable when it returns: temporary file, fsync, rename, fsync of the directory.
  Result<void> Write(std::string_view content);

  [[nodiscard]] std::string Path() const;

 private:
  StateFile(std::string directory, std::string name, int descriptor, int lock);

  std::string directory_;
  std::string name_;
  int descriptor_ = -1;  // of the directory
  int lock_ = -1;        // -1: another one's
};

}  // namespace walstitch::agent
