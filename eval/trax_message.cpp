#include "eval/trax_message.h"

#include <algorithm>
#include <cctype>

namespace hqtrack {
namespace {

constexpr std::string_view kPrefix = "@@TRAX:";
constexpr size_t kLongestKey = 64;

bool is_word(char letter) { return std::isalnum(static_cast<unsigned char>(letter)) != 0; }

/// Takes one argument off the front of a line; empty when it is malformed.
std::optional<std::string> take_argument(std::string_view& rest) {
  std::string text;
  if (rest.front() != '"') {
    const size_t end = std::min(rest.find_first_of(" \r"), rest.size());
    text = rest.substr(0, end);
    rest.remove_prefix(end);
    return text;
  }
  for (size_t i = 1; i < rest.size(); ++i) {
    if (rest[i] == '"') {
      rest.remove_prefix(i + 1);
      if (!rest.empty() && rest.front() != ' ' && rest.front() != '\r') return std::nullopt;
      return text;
    }
    if (rest[i] == '\\' && ++i < rest.size()) {
      text += rest[i] == 'n' ? '\n' : rest[i];
    } else if (i < rest.size()) {
      text += rest[i];
    }
  }
  return std::nullopt;
}

void add_argument(TraxMessage& message, const std::string& text) {
  const size_t equals = text.find('=');
  const auto is_key_letter = [](char c) { return is_word(c) || c == '.' || c == '_'; };
  const bool is_named =
      equals != std::string::npos && equals > 0 && equals <= kLongestKey &&
      std::all_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(equals), is_key_letter);
  if (is_named) {
    message.properties.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  } else {
    message.arguments.push_back(text);
  }
}

void append_quoted(std::string& line, const std::string& text) {
  line += " \"";
  for (const char letter : text) {
    if (letter == '"' || letter == '\\') line += '\\';
    line += letter == '\n' ? "\\n" : std::string(1, letter);
  }
  line += '"';
}

}  // namespace

std::optional<TraxMessage> parse_trax_message(std::string_view line) {
  if (line.ends_with('\n')) line.remove_suffix(1);
  if (!line.starts_with(kPrefix)) return std::nullopt;
  line.remove_prefix(kPrefix.size());
  const auto type_end = std::ranges::find_if_not(line, is_word);
  TraxMessage message{.type = std::string(line.begin(), type_end)};
  line.remove_prefix(message.type.size());
  std::ranges::transform(message.type, message.type.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (message.type == "status") message.type = "state";
  if (message.type.empty() || (!line.empty() && line.front() != ' ' && line.front() != '\r'))
    return std::nullopt;
  while (true) {
    line.remove_prefix(std::min(line.find_first_not_of(" \r"), line.size()));
    if (line.empty()) return message;
    const auto argument = take_argument(line);
    if (!argument) return std::nullopt;
    add_argument(message, *argument);
  }
}

std::string to_line(const TraxMessage& message) {
  std::string line = std::string(kPrefix) + message.type;
  for (const std::string& argument : message.arguments) append_quoted(line, argument);
  for (const auto& [key, value] : message.properties) append_quoted(line, key + "=" + value);
  return line + " \n";
}

}  // namespace hqtrack
