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

constexpr std::string_view kMountInfo =
    "21 1 0:20 / / rw,relatime - overlay overlay rw,lowerdir=/l\n"
    "30 21 8:16 /data /data ro,relatime master:1 shared:2 - ext4 /dev/sdb rw,errors=remount-ro\n"
    "31 21 8:32 / /data/two\\040words rw - ext4 /dev/sdc ro\n"
    "32 21 8:48 / /broken rw - xfs /dev/sdd ro,attr2\n"
    "half a line\n";

TEST(Disk, ReadOnlyMountOfAWritableFileSystemIsNotAReadOnlyFileSystem) {
  EXPECT_EQ(FileSystemReadOnly(kMountInfo, "/data"), false);
  EXPECT_EQ(FileSystemReadOnly(kMountInfo, "/data/db"), false);
}

TEST(Disk, FileSystemThatWentReadOnlyIsTold) {
  EXPECT_EQ(FileSystemReadOnly(kMountInfo, "/broken"), true);
  EXPECT_EQ(FileSystemReadOnly(kMountInfo, "/data/two words/db"), true);
}

TEST(Disk, PathIsOfTheMountWhoseWholeNameItBeginsWith) {
  EXPECT_EQ(FileSystemReadOnly(kMountInfo, "/brokenly"), false);
  EXPECT_EQ(FileSystemReadOnly("", "/data"), std::nullopt);
}

}  // namespace
}  // namespace walstitch::agent
