#include "agents/agent/disk.h"

#include <sys/statvfs.h>

#include <cerrno>
#include <cstring>

namespace walstitch::agent {

Result<DiskReport> ReadDisk(const std::string& directory) {
  struct statvfs stat {};
  if (statvfs(directory.c_str(), &stat) != 0) {
    return Fail(ErrorCode::kIo, directory + ": statvfs: " + std::strerror(errno));
  }
  DiskReport disk;
  disk.free_bytes = static_cast<std::uint64_t>(stat.f_bavail) * stat.f_frsize;  // what a server may still use
  disk.total_bytes = static_cast<std::uint64_t>(stat.f_blocks) * stat.f_frsize;
  disk.read_only = (stat.f_flag & ST_RDONLY) != 0;
  return disk;
}

}  // namespace walstitch::agent
