#pragma once

#include <boost/program_options/options_description.hpp>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "cli/arguments.h"
#include "cli/detection_prompts.h"
#include "io/prompt_file.h"

namespace hqtrack {

/// Adds --box, --point, --mask, --at, --name, --id, --detections and --min-score.
void add_prompt_options(boost::program_options::options_description& options);

struct PromptArguments {
  std::vector<PromptEntry> entries;
  std::vector<DetectionArguments> detections;
  std::map<int64_t, std::string> names;  // of `--name ID=NAME`, which belongs to no prompt
};

/// Reads them from a command line, where their order says what belongs together. An object begins with the
/// first of them; and again with the next --box or --mask, with a second --at, --name or --id, and with a
/// --point behind the --at, --name or --id of the one before. --detections stands alone, but for an --at and
/// a
/// --min-score before or behind it. Throws UsageError for a value that is none, for an object without --box,
/// --point and --mask, and for a --min-score without --detections.
PromptArguments parse_prompts(const CommandLine& line);

/// A frame (a whole number), or seconds (12.5, 12s) or [HH:]MM:SS.mmm. Throws UsageError naming the option.
Moment parse_moment(const std::string& option, const std::string& text);

}  // namespace hqtrack
