#include "io/frame_source.h"
#include "io/image_folder.h"
#include "io/list_images.h"
#include "io/live_source.h"
#include "io/video_reader.h"

namespace hqtrack {

std::unique_ptr<FrameSource> open_source(const std::string& url, const SourceConfig& config) {
  if (config.live) return std::make_unique<LiveSource>(url, config);
  if (is_image_input(url)) return std::make_unique<ImageFolder>(url, config);
  return std::make_unique<VideoReader>(url, config);
}

}  // namespace hqtrack
