#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace hqtrack {

/// The whole text of a file or pipe. Throws MediaError "FILE: expected WHAT, found none that can be read".
std::string read_text(const std::filesystem::path& file, const std::string& what);

/// Reads JSON, without the members called `left_out`. Throws MediaError "FILE:LINE: expected JSON, found
/// ...".
nlohmann::json parse_json(std::string_view text, const std::filesystem::path& file,
                          const std::string& left_out = {});

}  // namespace hqtrack
