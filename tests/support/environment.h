// What every test that starts processes needs: ports, directories, binaries,
// and waiting for a condition instead of sleeping for luck.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

namespace walstitch::test {

// A port on 127.0.0.1 that nobody listened on just now, and that no call in
// this process has returned before. Thread-safe.
uint16_t PickFreePort();

// A directory of its own under $TMPDIR, removed with all it holds. Kept when
// WALSTITCH_KEEP_TEST_DIRS is set.
class TempDirectory {
 public:
  TempDirectory();
  ~TempDirectory();
  TempDirectory(TempDirectory&& other) noexcept;
  TempDirectory& operator=(TempDirectory&& other) noexcept;
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Calls `condition` until it is true or the time is over; its last answer. It is
// called at least once.
bool Eventually(std::chrono::milliseconds timeout, const std::function<bool()>& condition);

// The path of one of our binaries: in $WALSTITCH_BIN_DIR, else beside the test,
// else where the build puts it.
std::string BinaryPath(const std::string& name);

}  // namespace walstitch::test
