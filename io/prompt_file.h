#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/prompt.h"

namespace hqtrack {

/// What a person wrote about one object, before anything is known of the video.
struct PromptEntry {
  /// Empty: an object that is known by then is corrected, another one added.
  std::optional<PromptEdit::Action> action;
  Moment at;
  std::optional<int64_t> id;  // empty: the next free one; of a mask its own
  std::string name;
  std::optional<PromptBox> box;
  std::vector<PromptPoint> points;
  std::filesystem::path mask;  // empty: none
  std::string source;          // where it stands, for messages: "FILE:LINE" or an option
};

/// Reads prompts as docs/prompts.schema.json describes them: timed additions, corrections and removals of
/// objects. Paths of masks are relative to the file. Throws MediaError "FILE:LINE: KEY: expected ..., found
/// ..." for a file that cannot be read, is no JSON, or does not fit the schema.
std::vector<PromptEntry> read_prompt_file(const std::filesystem::path& file);

/// One prompt of that schema, without moment and mask. Throws MediaError "NAME:LINE: prompt.KEY: expected
/// ..., found ...".
PromptEntry parse_prompt(const std::string& json, const std::string& name);

}  // namespace hqtrack
