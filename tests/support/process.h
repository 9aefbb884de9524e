// A child process of a test.
//
// The child dies with whoever started it: its destructor kills it, and so does
// the kernel when the *thread* that called Start() ends; start processes from a
// thread that lives as long as they shall. Not thread-safe.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace walstitch::test {

class Process {
 public:
  Process() = default;
  ~Process() { Kill(); }
  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // Runs `arguments[0]`. Both outputs are appended to `output_file`. The text of
  // the error, if any; an executable that cannot be run is one.
  std::optional<std::string> Start(const std::vector<std::string>& arguments, const std::string& output_file,
                                   const std::map<std::string, std::string>& environment = {});

  pid_t pid() const { return pid_; }
  // Also notices that it ended by itself.
  bool IsRunning();
  void Signal(int signal) const;
  // SIGTERM, and SIGKILL if it has not ended after `patience`. True if it ended
  // by itself in time.
  bool Terminate(std::chrono::milliseconds patience = std::chrono::seconds(15));
  // kill -9, and waits.
  void Kill();
  // True if it ended within `timeout`; then ExitStatus() says how.
  bool Wait(std::chrono::milliseconds timeout);
  // The exit code, or minus the signal; nothing while it runs or never ran.
  std::optional<int> ExitStatus() const { return exit_status_; }

 private:
  pid_t pid_ = -1;
  std::optional<int> exit_status_;
};

}  // namespace walstitch::test
