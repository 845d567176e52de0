#pragma once

#include <filesystem>
#include <string>

namespace hqtrack {

/// Copies all streams of a media file into a new one of FFmpeg's format `format` ("mp4", "mov"), with its
/// index in front. Times and durations stay as they are. Throws OutputError naming `to`.
void remux(const std::filesystem::path& from, const std::filesystem::path& to, const std::string& format);

}  // namespace hqtrack
