#include "cli/progress.h"

#include <gtest/gtest.h>

namespace hqtrack {
namespace {

TEST(FormatDuration, ShowsHoursOnlyWhenThereAreSome) {
  EXPECT_EQ(format_duration(0), "0:00");
  EXPECT_EQ(format_duration(4.2), "0:05");
  EXPECT_EQ(format_duration(65), "1:05");
  EXPECT_EQ(format_duration(3600), "1:00:00");
  EXPECT_EQ(format_duration(43201), "12:00:01");
  EXPECT_EQ(format_duration(-3), "0:00");
}

TEST(ProgressLine, ShowsShareSpeedAndTimeLeft) {
  EXPECT_EQ(progress_line(50, 200, 5.0, 100),
            "[##########..............................]  25%  50/200  10.0 frames/s  0:15 left");
  EXPECT_EQ(progress_line(200, 200, 20.0, 40), "100%  200/200  10.0 frames/s  0:00 left");
}

TEST(ProgressLine, WithoutATotalOnlyCounts) {
  EXPECT_EQ(progress_line(50, std::nullopt, 5.0, 79), "50 frames  10.0 frames/s");
  EXPECT_EQ(progress_line(50, 0, 5.0, 79), "50 frames  10.0 frames/s");
}

TEST(ProgressLine, NamesWhatItCounts) {
  EXPECT_EQ(progress_line(3, std::nullopt, 6.0, 79, "pictures"), "3 pictures  0.5 pictures/s");
}

TEST(ProgressLine, AnEstimateThatIsPassedStaysAtTheEnd) {
  EXPECT_EQ(progress_line(205, 200, 20.5, 40), "100%  205/205  10.0 frames/s  0:00 left");
}

TEST(ProgressLine, NeverIsWiderThanTheTerminal) {
  for (int width = 0; width < 120; ++width) {
    EXPECT_LE(progress_line(123456, 9999999, 321.0, width).size(), static_cast<size_t>(width));
    EXPECT_LE(progress_line(123456, std::nullopt, 321.0, width).size(), static_cast<size_t>(width));
  }
}

}  // namespace
}  // namespace hqtrack
