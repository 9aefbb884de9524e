// Whether the controller's disk still takes what it writes, looked at twice a second. For a controller with a
// store of its own whose pod may be given up while it lives: its machine is cut off, the volume is taken from
// it and given to another pod, and that one leads. The first cannot know; but it can write no more, and then
// it may give no leases.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <memory>
#include <string>

namespace walstitch::shell {

class DiskPulse {
 public:
  // Writes a file of its own in that directory, on a thread of its own: a disk that is gone may hold it for
  // long.
  explicit DiskPulse(const std::string& directory);
  ~DiskPulse();
  DiskPulse(const DiskPulse&) = delete;
  DiskPulse& operator=(const DiskPulse&) = delete;

  // A write that began within the last 1.5 s was durable.
  [[nodiscard]] bool Beats() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace walstitch::shell
