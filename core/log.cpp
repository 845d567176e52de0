#include "core/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <utility>

#include "core/log_scope.h"

namespace hqtrack {
namespace {

std::atomic<LogLevel> current_level = LogLevel::kInfo;
thread_local std::string scope;

/// Our own logger, not spdlog's default one: a host program may use that for itself.
spdlog::logger& logger() {
  static spdlog::logger instance = [] {
    spdlog::logger made("hqtrack", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    made.set_pattern("%^%l%$: %v");
    made.set_level(spdlog::level::trace);  // the decision is taken here
    made.flush_on(spdlog::level::trace);
    return made;
  }();
  return instance;
}

void log(LogLevel level, spdlog::level::level_enum spdlog_level, std::string_view message) {
  if (level > current_level) return;
  std::string line = (scope.empty() ? "" : scope + ": ") + std::string(message);
  std::replace_if(
      line.begin(), line.end(), [](unsigned char c) { return c < ' ' || c == 127; }, '?');
  logger().log(spdlog_level, spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace

LogScope::LogScope(std::string name) : before_(std::exchange(scope, std::move(name))) {}
LogScope::~LogScope() { scope = std::move(before_); }
std::string LogScope::current() { return scope; }

void set_log_level(LogLevel level) { current_level = level; }
LogLevel log_level() { return current_level; }

void log_error(std::string_view message) { log(LogLevel::kError, spdlog::level::err, message); }
void log_warning(std::string_view message) { log(LogLevel::kWarning, spdlog::level::warn, message); }
void log_info(std::string_view message) { log(LogLevel::kInfo, spdlog::level::info, message); }
void log_debug(std::string_view message) { log(LogLevel::kDebug, spdlog::level::debug, message); }

}  // namespace hqtrack
