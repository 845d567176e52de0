#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "io/frame_source.h"
#include "io/rgb_converter.h"

namespace hqtrack {

/// Pictures of one size as a video of `config.image_rate` frames a second.
class ImageFolder : public FrameSource {
 public:
  /// Reads the first picture. Throws MediaError.
  ImageFolder(const std::string& url, const SourceConfig& config);

  const VideoInfo& info() const override { return info_; }
  /// Throws MediaError naming a picture that cannot be read or has another size than the first.
  std::optional<Frame> read() override;

 private:
  at::Tensor load(const std::filesystem::path& file);

  std::vector<std::filesystem::path> files_;
  size_t begin_ = 0, end_ = 0, next_ = 0;  // files that are read, and the next of them
  VideoInfo info_;
  RgbConverter converter_;
  at::Tensor first_;
};

}  // namespace hqtrack
