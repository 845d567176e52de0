#include "io/json_text.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "core/error.h"

namespace hqtrack {
namespace fs = std::filesystem;

using Json = nlohmann::json;

std::string read_text(const fs::path& file, const std::string& what) {
  std::ifstream stream(file, std::ios::binary);
  std::error_code ignored;
  if (fs::is_directory(file, ignored) || !stream) {
    throw MediaError(file.string() + ": expected " + what + ", found none that can be read");
  }
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

Json parse_json(std::string_view text, const fs::path& file, const std::string& left_out) {
  const auto is_wanted = [&](int, Json::parse_event_t event, const Json& parsed) {
    return event != Json::parse_event_t::key || parsed != left_out;
  };
  try {
    return Json::parse(text, is_wanted);
  } catch (const Json::parse_error& e) {
    const size_t at = std::min(e.byte, text.size());
    const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n');
    const bool is_over = e.byte > text.size();
    throw MediaError(file.string() + ":" + std::to_string(line) + ": expected JSON, found " +
                     (is_over ? "the end of the file" : "an error at byte " + std::to_string(e.byte)));
  } catch (const Json::exception& e) {  // a number beyond all numbers, in quotes in the message
    const std::string_view message = e.what();
    const size_t open = message.find('\''), close = message.rfind('\'');
    const size_t at = open < close ? text.find(message.substr(open + 1, close - open - 1)) : 0;
    const auto line =
        1 +
        std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(std::min(at, text.size())), '\n');
    throw MediaError(file.string() + ":" + std::to_string(line) +
                     ": expected JSON, found a number that is too large");
  }
}

}  // namespace hqtrack
