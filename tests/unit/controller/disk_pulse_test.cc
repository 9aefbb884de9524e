#include "controller/shell/disk_pulse.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <thread>

#include "tests/support/environment.h"

namespace walstitch::shell {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(DiskPulseTest, BeatsWhileTheDiskTakesWhatIsWritten) {
  test::TempDirectory directory;
  DiskPulse pulse(directory.path());
  EXPECT_TRUE(
      test::Eventually(seconds(5), [&] { return std::filesystem::exists(directory.path() + "/pulse"); }));
  std::this_thread::sleep_for(milliseconds(2000));  // longer than a beat lasts
  EXPECT_TRUE(pulse.Beats());
}

TEST(DiskPulseTest, StopsSoonAfterTheDiskIsGone) {
  auto directory = std::make_unique<test::TempDirectory>();
  DiskPulse pulse(directory->path());
  EXPECT_TRUE(pulse.Beats());
  const std::string path = directory->path();
  directory.reset();
  // A beat may come between what is taken out of it and its own end.
  EXPECT_TRUE(test::Eventually(seconds(10), [&] {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
    return !pulse.Beats();
  }));
}

}  // namespace
}  // namespace walstitch::shell
