#include "agents/agent/disk.h"

#include <sys/statvfs.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

namespace walstitch::agent {
namespace {

// Blanks and backslashes stand in it as octal numbers.
std::string Decoded(std::string_view field) {
  std::string text;
  for (std::size_t at = 0; at < field.size(); ++at) {
    const auto octal = [&](std::size_t offset) {
      return at + offset < field.size() && field[at + offset] >= '0' && field[at + offset] <= '7';
    };
    if (field[at] == '\\' && octal(1) && octal(2) && octal(3)) {
      text +=
          static_cast<char>((field[at + 1] - '0') * 64 + (field[at + 2] - '0') * 8 + (field[at + 3] - '0'));
      at += 3;
    } else {
      text += field[at];
    }
  }
  return text;
}

std::vector<std::string> Fields(const std::string& line) {
  std::istringstream stream(line);
  std::vector<std::string> fields;
  for (std::string field; stream >> field;) fields.push_back(std::move(field));
  return fields;
}

bool Holds(const std::string& mount_point, const std::string& path) {
  if (mount_point == "/" || mount_point == path) return true;
  return path.starts_with(mount_point) && path[mount_point.size()] == '/';
}

bool HasOption(const std::string& options, std::string_view option) {
  std::istringstream stream(options);
  for (std::string each; std::getline(stream, each, ',');) {
    if (each == option) return true;
  }
  return false;
}

}  // namespace

std::optional<bool> FileSystemReadOnly(std::string_view mountinfo, const std::string& path) {
  constexpr std::size_t kMountPoint = 4;
  std::istringstream lines{std::string(mountinfo)};
  std::size_t longest = 0;
  std::optional<bool> read_only;
  for (std::string line; std::getline(lines, line);) {
    const std::vector<std::string> fields = Fields(line);
    // ID parent major:minor root mount-point options [optional fields] - type source super-options
    std::size_t dash = kMountPoint + 2;
    while (dash < fields.size() && fields[dash] != "-") ++dash;
    if (dash + 3 >= fields.size()) continue;
    const std::string mount_point = Decoded(fields[kMountPoint]);
    // Of two at one place the later one covers the earlier.
    if (!Holds(mount_point, path) || mount_point.size() < longest) continue;
    longest = mount_point.size();
    read_only = HasOption(fields[dash + 3], "ro");
  }
  return read_only;
}

Result<DiskReport> ReadDisk(const std::string& directory) {
  struct statvfs stat {};
  if (statvfs(directory.c_str(), &stat) != 0) {
    return Fail(ErrorCode::kIo, directory + ": statvfs: " + std::strerror(errno));
  }
  DiskReport disk;
  disk.free_bytes = static_cast<std::uint64_t>(stat.f_bavail) * stat.f_frsize;  // what a server may still use
  disk.total_bytes = static_cast<std::uint64_t>(stat.f_blocks) * stat.f_frsize;
  disk.read_only = (stat.f_flag & ST_RDONLY) != 0;
  if (!disk.read_only) return disk;
  std::error_code problem;
  const auto path = std::filesystem::canonical(directory, problem);
  std::ifstream file("/proc/self/mountinfo");
  std::ostringstream mountinfo;
  mountinfo << file.rdbuf();
  if (!problem) disk.read_only = FileSystemReadOnly(mountinfo.str(), path.string()).value_or(true);
  return disk;
}

}  // namespace walstitch::agent
