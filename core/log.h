#pragma once

#include <string_view>

namespace hqtrack {

/// From silent to talkative. info: about once a run; debug: about once a frame.
enum class LogLevel { kQuiet, kError, kWarning, kInfo, kDebug };

/// Messages above this level are dropped. kInfo at first. Callable from any thread, as are all functions
/// here.
void set_log_level(LogLevel level);
LogLevel log_level();

/// One line each on stderr, "warning: ..." and so on; control characters in the text become '?'. stdout is
/// for results only.
void log_error(std::string_view message);
void log_warning(std::string_view message);
void log_info(std::string_view message);
void log_debug(std::string_view message);

}  // namespace hqtrack
