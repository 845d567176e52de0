#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace hqtrack {

/// Picture files that `url` means, in the order of their numbers: a folder (all its pictures), a pattern with
/// %d or %05d, a pattern with * ? [], or one picture. Names compare naturally: frame2 comes before frame10.
/// Throws MediaError when there is none.
std::vector<std::filesystem::path> list_images(const std::string& url);

/// True when the text means pictures rather than a video: a folder, a pattern, or a file with the extension
/// of a picture.
bool is_image_input(const std::string& url);

/// True when the text is a pattern and no file of that name.
bool is_image_pattern(const std::string& url);

}  // namespace hqtrack
