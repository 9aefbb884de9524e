#include "controller/kubernetes/times.h"

#include <gtest/gtest.h>

namespace walstitch::kubernetes {
namespace {

TEST(TimesTest, TimesAreWrittenAsTheApiWantsThem) {
  EXPECT_EQ(TimeText(1'760'000'000'999), "2025-10-09T08:53:20Z");
  EXPECT_EQ(MicroTimeText(1'760'000'000'000'042), "2025-10-09T08:53:20.000042Z");
}

}  // namespace
}  // namespace walstitch::kubernetes
