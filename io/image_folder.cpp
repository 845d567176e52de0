#include "io/image_folder.h"

#include <algorithm>
#include <optional>

#include "core/error.h"
#include "core/profile.h"
#include "io/list_images.h"
#include "io/picture.h"

extern "C" {
#include <libavutil/pixdesc.h>
}

namespace hqtrack {
namespace fs = std::filesystem;

ImageFolder::ImageFolder(const std::string& url, const SourceConfig& config)
    : files_(list_images(url)), converter_(url, RgbConverter::Source::kPicture) {
  const AVRational rate = av_d2q(config.image_rate, 1000000);
  if (rate.num <= 0 || rate.den <= 0) {
    throw MediaError(url + ": expected a frame rate above 0, found " + std::to_string(config.image_rate));
  }
  const auto first_at_or_after = [&](int64_t time_us) {
    return static_cast<size_t>(
        std::max<int64_t>(0, av_rescale_rnd(time_us, rate.num, int64_t{rate.den} * 1000000, AV_ROUND_UP)));
  };
  begin_ = next_ = first_at_or_after(config.start_us);
  end_ = files_.size();
  if (config.duration_us) end_ = std::min(end_, first_at_or_after(config.start_us + *config.duration_us));
  if (begin_ >= end_) {
    throw MediaError(url + ": expected a frame at or after " + std::to_string(config.start_us / 1000) +
                     " ms, found " + std::to_string(files_.size()) + " pictures at " +
                     std::to_string(config.image_rate) + " a second");
  }
  const Picture picture = decode_picture(files_[begin_]);
  const char* pixel_format = av_get_pix_fmt_name(static_cast<AVPixelFormat>(picture.frame->format));
  first_ = load(files_[begin_]);
  info_ = VideoInfo{
      .url = url,
      .format = "images",
      .codec = avcodec_get_name(picture.codec),
      .pixel_format = pixel_format ? pixel_format : "unknown",
      .height = first_.size(0),
      .width = first_.size(1),
      .rate_num = rate.num,
      .rate_den = rate.den,
      .time_base_num = rate.den,
      .time_base_den = rate.num,
      .num_frames = static_cast<int64_t>(end_ - begin_),
      .has_exact_count = true,
      .duration_us = av_rescale(static_cast<int64_t>(end_ - begin_), int64_t{rate.den} * 1000000, rate.num),
      .start_us = config.start_us};
}

at::Tensor ImageFolder::load(const fs::path& file) {
  const Picture picture = decode_picture(file);
  const int32_t* matrix = find_display_matrix(*picture.frame);
  return converter_.convert(*picture.frame, matrix ? orientation_of(matrix) : Orientation{});
}

std::optional<Frame> ImageFolder::read() {
  const StageTimer timer(Stage::kDecode);
  if (next_ >= end_) return std::nullopt;
  Frame frame;
  frame.index = static_cast<int64_t>(next_ - begin_);
  frame.pts_us = av_rescale(static_cast<int64_t>(next_), int64_t{info_.rate_den} * 1000000, info_.rate_num);
  const fs::path& file = files_[next_];
  frame.image = first_.defined() ? std::move(first_) : load(file);
  first_ = at::Tensor();
  if (frame.image.size(0) != info_.height || frame.image.size(1) != info_.width) {
    throw MediaError(file.string() + ": expected " + std::to_string(info_.width) + "x" +
                     std::to_string(info_.height) + " pixels as in " + files_[begin_].filename().string() +
                     ", found " + std::to_string(frame.image.size(1)) + "x" +
                     std::to_string(frame.image.size(0)));
  }
  ++next_;
  return frame;
}

}  // namespace hqtrack
