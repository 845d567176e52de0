#include "core/log.h"

#include <gtest/gtest.h>

#include <string>

namespace hqtrack {
namespace {

class Log : public ::testing::Test {
 protected:
  ~Log() override { set_log_level(LogLevel::kInfo); }

  static std::string lines_at(LogLevel level) {
    set_log_level(level);
    ::testing::internal::CaptureStderr();
    log_error("e");
    log_warning("w");
    log_info("i");
    log_debug("d");
    return ::testing::internal::GetCapturedStderr();
  }
};

TEST_F(Log, DropsWhatIsAboveItsLevel) {
  EXPECT_EQ(lines_at(LogLevel::kQuiet), "");
  EXPECT_EQ(lines_at(LogLevel::kError), "error: e\n");
  EXPECT_EQ(lines_at(LogLevel::kWarning), "error: e\nwarning: w\n");
  EXPECT_EQ(lines_at(LogLevel::kInfo), "error: e\nwarning: w\ninfo: i\n");
  EXPECT_EQ(lines_at(LogLevel::kDebug), "error: e\nwarning: w\ninfo: i\ndebug: d\n");
}

TEST_F(Log, KeepsStdoutForResultsAndOneMessageOnOneLine) {
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  log_info("{} of\na %s file\x1b[2J");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "info: {} of?a %s file?[2J\n");
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "");
}

}  // namespace
}  // namespace hqtrack
