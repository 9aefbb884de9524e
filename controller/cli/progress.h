// One line on stderr for a person who waits: how much is done, how fast, how long it still takes.
//
// Nothing is written in the first half second, nothing when nobody looks, and the line is gone when the
// Progress is. Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <ostream>
#include <string>

namespace walstitch::cli {

// "1.2 GiB of 16 GiB, 350 MiB/s, 43 s left". `elapsed` > 0; `all` of 0: not known.
std::string DescribeProgress(std::uint64_t done, std::uint64_t all, std::chrono::milliseconds elapsed);

class Progress {
 public:
  using Clock = std::function<std::chrono::steady_clock::time_point()>;

  // `out` null: nobody looks. It must outlive this.
  Progress(std::ostream* out, std::uint64_t all_bytes, Clock clock = std::chrono::steady_clock::now);
  ~Progress() { Clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Cheap: to be called as often as is convenient.
  void Show(std::uint64_t done_bytes);
  // Takes the line away, before something else is written.
  void Clear();

 private:
  std::ostream* out_;
  std::uint64_t all_bytes_;
  Clock clock_;
  std::chrono::steady_clock::time_point start_;
  std::chrono::steady_clock::time_point next_;
  bool shown_ = false;
};

}  // namespace walstitch::cli
