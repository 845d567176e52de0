#include <filesystem>

#include "io/frame_source.h"
#include "io/image_folder.h"
#include "io/list_images.h"
#include "io/picture.h"
#include "io/video_reader.h"

namespace hqtrack {

std::unique_ptr<FrameSource> open_source(const std::string& url, const SourceConfig& config) {
  namespace fs = std::filesystem;
  std::error_code code;
  const bool is_path = url != "-" && url.find("://") == std::string::npos;
  const bool is_pictures = is_path && (fs::is_directory(url, code) || is_image_pattern(url) ||
                                       (fs::exists(url, code) && has_picture_extension(url)));
  if (is_pictures) return std::make_unique<ImageFolder>(url, config);
  return std::make_unique<VideoReader>(url, config);
}

}  // namespace hqtrack
