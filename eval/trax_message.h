#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hqtrack {

/// One message of TraX, version 4: the protocol between the VOT toolkit (client) and trackers (servers).
/// @@TRAX:TYPE "argument" "key=value" ..., a line each.
struct TraxMessage {
  std::string type;  // hello, initialize, frame, state, quit; in small letters
  std::vector<std::string> arguments = {};
  std::vector<std::pair<std::string, std::string>> properties = {};
};

/// Reads one line. Empty for a line that is no message, which belongs to a log.
std::optional<TraxMessage> parse_trax_message(std::string_view line);

/// With the line end.
std::string to_line(const TraxMessage& message);

}  // namespace hqtrack
