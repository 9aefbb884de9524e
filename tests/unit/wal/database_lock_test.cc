#include "agents/wal/database_lock.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "tests/unit/wal/test_database.h"

namespace walstitch::wal {
namespace {

// A process that holds a lock as RocksDB does, until it is destroyed: a process does not see its own locks.
class Holder {
 public:
  explicit Holder(const std::string& file) {
    int ready[2];
    int done[2];
    if (::pipe(ready) != 0 || ::pipe(done) != 0) throw std::runtime_error("pipe");
    child_ = ::fork();
    if (child_ == 0) {
      ::close(done[1]);
      const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT, 0644);
      struct flock lock {};
      lock.l_type = F_WRLCK;
      lock.l_whence = SEEK_SET;
      char byte = ::fcntl(descriptor, F_SETLK, &lock) == 0 ? 'y' : 'n';
      if (::write(ready[1], &byte, 1) == 1) (void)!::read(done[0], &byte, 1);
      ::_exit(0);
    }
    ::close(done[0]);
    ::close(ready[1]);
    done_ = done[1];
    char byte = 'n';
    held_ = ::read(ready[0], &byte, 1) == 1 && byte == 'y';
    ::close(ready[0]);
  }
  ~Holder() {
    ::close(done_);
    ::waitpid(child_, nullptr, 0);
  }
  Holder(const Holder&) = delete;
  Holder& operator=(const Holder&) = delete;

  [[nodiscard]] bool Held() const { return held_; }
  [[nodiscard]] pid_t Process() const { return child_; }

 private:
  pid_t child_ = -1;
  int done_ = -1;
  bool held_ = false;
};

TEST(DatabaseLockTest, AHeldLockNamesItsProcess) {
  TestDirectory directory;
  const Holder holder((directory.Path() / "LOCK").string());
  ASSERT_TRUE(holder.Held());
  const DatabaseLock lock = ExamineLock(directory.Path().string());
  EXPECT_EQ(lock.use, DatabaseUse::kLive);
  EXPECT_EQ(lock.process, holder.Process());
  EXPECT_EQ(lock.program, "wal_test");
  EXPECT_EQ(Describe(lock), "live: held by process " + std::to_string(holder.Process()) + " (wal_test)");
}

TEST(DatabaseLockTest, AskingDoesNotTakeTheLock) {
  TestDirectory directory;
  const std::string file = (directory.Path() / "LOCK").string();
  std::ofstream(file) << "";
  EXPECT_EQ(ExamineLock(directory.Path().string()).use, DatabaseUse::kNotInUse);
  const Holder holder(file);
  EXPECT_TRUE(holder.Held());
}

TEST(DatabaseLockTest, WhatAServerLeftBehindIsNotInUse) {
  TestDirectory directory;
  { const TestDatabase database(directory.Path()); }
  const DatabaseLock lock = ExamineLock((directory.Path() / "db").string());
  EXPECT_EQ(lock.use, DatabaseUse::kNotInUse);
  EXPECT_EQ(Describe(lock), "not in use");
}

TEST(DatabaseLockTest, WithoutALockFileItIsACopy) {
  TestDirectory directory;
  EXPECT_EQ(ExamineLock(directory.Path().string()).use, DatabaseUse::kCopied);
}

TEST(DatabaseLockTest, ALockThatCannotBeOpenedIsUnknownAndSaysWhy) {
  TestDirectory directory;
  std::filesystem::create_symlink("LOCK", directory.Path() / "LOCK");
  const DatabaseLock lock = ExamineLock(directory.Path().string());
  EXPECT_EQ(lock.use, DatabaseUse::kUnknown);
  EXPECT_TRUE(Describe(lock).starts_with("in use or not, unknown: db/LOCK cannot be examined: "))
      << Describe(lock);
}

}  // namespace
}  // namespace walstitch::wal
