#include "cli/arguments.h"

#include <algorithm>
#include <boost/program_options/cmdline.hpp>
#include <boost/program_options/errors.hpp>
#include <boost/program_options/parsers.hpp>
#include <boost/program_options/positional_options.hpp>
#include <boost/program_options/value_semantic.hpp>
#include <charconv>
#include <cmath>
#include <iostream>

#include "core/error.h"

namespace hqtrack {
namespace po = boost::program_options;
namespace {

// Letters to insert, delete, replace or swap with their neighbour to make one word of the other.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> distance(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) {
    for (size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        distance[i][j] = i + j;
        continue;
      }
      const size_t replaced = distance[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      distance[i][j] = std::min({replaced, distance[i - 1][j] + 1, distance[i][j - 1] + 1});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        distance[i][j] = std::min(distance[i][j], distance[i - 2][j - 2] + 1);
      }
    }
  }
  return distance[a.size()][b.size()];
}

std::string_view without_dashes(std::string_view word) {
  return word.substr(std::min(word.find_first_not_of('-'), word.size()));
}

std::vector<std::string> long_names(const po::options_description& options) {
  std::vector<std::string> names;
  for (const auto& option : options.options()) {
    if (option->long_name() != "arguments") names.push_back("--" + option->long_name());
  }
  return names;
}

// Boost gives names with and without dashes.
std::string with_dashes(const std::string& name) {
  if (name.starts_with("-")) return name;
  return (name.size() == 1 ? "-" : "--") + name;
}

CommandLine parse(std::span<const std::string> args, const po::options_description& options) {
  po::positional_options_description positional;
  positional.add("arguments", -1);
  const int style = po::command_line_style::unix_style & ~po::command_line_style::allow_guessing;
  CommandLine line;
  try {
    const po::parsed_options parsed =
        po::command_line_parser(std::vector<std::string>(args.begin(), args.end()))
            .options(options)
            .positional(positional)
            .style(style)
            .run();
    po::store(parsed, line.options);
    po::notify(line.options);
    for (const po::option& option : parsed.options) {
      for (const std::string& value : option.value) line.in_order.emplace_back(option.string_key, value);
    }
  } catch (const po::unknown_option& e) {
    const std::string name = with_dashes(e.get_option_name());
    const std::string near = nearest(name, long_names(options));
    throw UsageError(name + ": unknown option" +
                     (near.empty() ? "; see --help" : "; did you mean " + near + "?"));
  } catch (const po::multiple_occurrences& e) {
    throw UsageError(with_dashes(e.get_option_name()) + ": expected once, found several times");
  } catch (const po::invalid_command_line_syntax& e) {
    const std::string name = with_dashes(e.get_option_name());
    throw UsageError(name + (e.kind() == po::invalid_syntax::extra_parameter
                                 ? ": expected no value, found one"
                                 : ": expected a value, found none"));
  } catch (const po::error& e) {
    throw UsageError(e.what());
  }
  return line;
}

std::optional<double> parse_number(std::string_view text) {
  double value = 0;
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value, std::chars_format::fixed);
  if (error != std::errc{} || end != text.data() + text.size() || !std::isfinite(value)) return std::nullopt;
  return value;
}

}  // namespace

std::string CommandLine::text(const std::string& option, const std::string& otherwise) const {
  return has(option) ? options[option].as<std::string>() : otherwise;
}

std::optional<std::string> CommandLine::given(const std::string& option) const {
  if (!has(option)) return std::nullopt;
  if (text(option).empty()) throw UsageError("--" + option + ": expected a value, found none");
  return text(option);
}

std::vector<std::string> CommandLine::texts(const std::string& option) const {
  return has(option) ? options[option].as<std::vector<std::string>>() : std::vector<std::string>{};
}

std::optional<CommandLine> parse_command_line(std::span<const std::string> args, std::string_view help,
                                              const po::options_description& options,
                                              const std::vector<std::string>& names, size_t min_positional) {
  po::options_description all;
  all.add(options).add_options()("help,h", "")("arguments", po::value<std::vector<std::string>>());
  CommandLine line = parse(args, all);
  if (line.has("help")) {
    std::cout << help;
    return std::nullopt;
  }
  line.positional = line.texts("arguments");
  if (line.positional.size() < min_positional) {
    throw UsageError("expected " + names[line.positional.size()] + ", found none; see --help");
  }
  const bool takes_any_number = !names.empty() && names.back().ends_with("...");
  if (line.positional.size() > names.size() && !takes_any_number) {
    throw UsageError("'" + line.positional[names.size()] + "': unexpected argument; see --help");
  }
  return line;
}

int64_t parse_time_us(const std::string& option, const std::string& text) {
  const auto fail = [&] {
    throw UsageError(option + ": expected seconds or [HH:]MM:SS.mmm, found '" + text + "'");
  };
  double seconds = 0;
  size_t begin = 0, num_parts = 0;
  while (true) {
    const size_t colon = text.find(':', begin);
    const bool is_last = colon == std::string::npos;
    const std::string part = text.substr(begin, is_last ? colon : colon - begin);
    const std::optional<double> value = parse_number(part);
    const bool is_whole = part.find('.') == std::string::npos;
    // After a colon there are 60 of each; before one there are no fractions.
    if (!value || std::signbit(*value) || (num_parts > 0 && *value >= 60) || (!is_last && !is_whole)) fail();
    seconds = seconds * 60 + *value;
    ++num_parts;
    if (is_last) break;
    begin = colon + 1;
  }
  if (num_parts > 3 || seconds > 1e9) fail();
  return static_cast<int64_t>(std::llround(seconds * 1e6));
}

int64_t parse_integer(const std::string& option, const std::string& text, int64_t low, int64_t high) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value < low || value > high) {
    throw UsageError(option + ": expected a whole number from " + std::to_string(low) + " to " +
                     std::to_string(high) + ", found '" + text + "'");
  }
  return value;
}

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
  const std::string_view wanted = without_dashes(word);
  std::string best;
  size_t best_distance = std::min<size_t>(3, wanted.size() / 2) + 1;
  for (const std::string& candidate : candidates) {
    const std::string_view name = without_dashes(candidate);
    const bool is_shortened = wanted.size() >= 2 && name.starts_with(wanted);
    const size_t distance = is_shortened ? 1 : edit_distance(wanted, name);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace hqtrack
