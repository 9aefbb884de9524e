// An open file's number, closed on the way out, and writing to one.
#pragma once

#include <string_view>

namespace walstitch::wal {

class FileDescriptor {
 public:
  // Takes what open() gave, a failure (-1), too.
  explicit FileDescriptor(int value = -1) : value_(value) {}
  ~FileDescriptor();
  FileDescriptor(FileDescriptor&& other) noexcept;
  FileDescriptor& operator=(FileDescriptor&& other) noexcept;

  [[nodiscard]] int Value() const { return value_; }

 private:
  int value_;
};

// All of it, however many writes that takes. False: errno says why not, and a part may be written.
bool WriteAll(int descriptor, std::string_view bytes);

}  // namespace walstitch::wal
