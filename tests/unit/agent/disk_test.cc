#include "agents/agent/disk.h"

#include <gtest/gtest.h>

#include "tests/unit/agent/scratch_directory.h"

namespace walstitch::agent {
namespace {

TEST(Disk, FileSystemOfADirectoryIsReported) {
  tests::ScratchDirectory scratch;
  auto disk = ReadDisk(scratch.Path());
  ASSERT_TRUE(disk) << disk.error().Message();
  EXPECT_GT(disk->total_bytes, 0U);
  EXPECT_LE(disk->free_bytes, disk->total_bytes);
  EXPECT_FALSE(disk->read_only);
}

TEST(Disk, DirectoryThatIsNotThereIsASentence) {
  auto disk = ReadDisk("/no/such/place");
  ASSERT_FALSE(disk);
  EXPECT_EQ(disk.error().Message(), "/no/such/place: statvfs: No such file or directory");
}

}  // namespace
}  // namespace walstitch::agent
