#pragma once

#include <boost/program_options/options_description.hpp>
#include <boost/program_options/variables_map.hpp>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hqtrack {

/// What stands on a command line after the name of the command.
struct CommandLine {
  boost::program_options::variables_map options;
  std::vector<std::string> positional;
  std::vector<std::pair<std::string, std::string>> in_order;  // options with a value, as they were written

  bool has(const std::string& option) const { return options.count(option) > 0; }
  std::string text(const std::string& option, const std::string& otherwise = {}) const;
  /// The same; empty when it is not there. Throws UsageError for a value without a character.
  std::optional<std::string> given(const std::string& option) const;
  /// Values of an option that may be given several times.
  std::vector<std::string> texts(const std::string& option) const;
};

/// Reads `args`: options as described, and between `min_positional` and `names.size()` other arguments, which
/// messages call by their names; a last name that ends in "..." stands for any number. `-h` and `--help`
/// print `help` on stdout and give nothing back. Throws UsageError, one line, with the nearest option for one
/// that is unknown.
std::optional<CommandLine> parse_command_line(std::span<const std::string> args, std::string_view help,
                                              const boost::program_options::options_description& options,
                                              const std::vector<std::string>& names, size_t min_positional);

/// Seconds (12.5) or [HH:]MM:SS[.mmm] in microseconds. Throws UsageError naming the option.
int64_t parse_time_us(const std::string& option, const std::string& text);

/// A whole number in [low, high]. Throws UsageError naming the option.
int64_t parse_integer(const std::string& option, const std::string& text, int64_t low, int64_t high);

/// The candidate that is nearest to a word with a typing error in it or its end left out; empty when none is
/// near.
std::string nearest(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace hqtrack
