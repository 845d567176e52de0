#pragma once

#include <boost/program_options/options_description.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cli/arguments.h"
#include "io/prompt_file.h"

namespace hqtrack {

/// Adds --box, --point, --mask, --at, --name and --id.
void add_prompt_options(boost::program_options::options_description& options);

struct PromptArguments {
  std::vector<PromptEntry> entries;
  std::map<int64_t, std::string> names;  // of `--name ID=NAME`, which belongs to no prompt
};

/// Reads them from a command line, where their order says what belongs together. An object begins with the
/// first of them; and again with the next --box or --mask, with a second --at, --name or --id, and with a
/// --point behind the --at, --name or --id of the one before. Throws UsageError for a value that is none, and
/// for an object without --box, --point and --mask.
PromptArguments parse_prompts(const CommandLine& line);

/// A frame (a whole number), or seconds (12.5, 12s) or [HH:]MM:SS.mmm. Throws UsageError naming the option.
Moment parse_moment(const std::string& option, const std::string& text);

}  // namespace hqtrack
