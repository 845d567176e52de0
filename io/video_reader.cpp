#include "io/video_reader.h"

#include <algorithm>
#include <array>
#include <exception>
#include <utility>

#include "core/error.h"
#include "core/log.h"
#include "core/profile.h"
#include "io/network_url.h"

extern "C" {
#include <libavutil/pixdesc.h>
}

namespace hqtrack {
namespace {

std::string in_seconds(int64_t time_us) {
  const std::string text = std::to_string(static_cast<double>(time_us) / 1e6);
  return text.substr(0, text.size() - 3) + " s";
}

std::string size_text(int width, int height) { return std::to_string(width) + "x" + std::to_string(height); }

}  // namespace

VideoReader::VideoReader(const std::string& url, const SourceConfig& config)
    : url_(url), shown_url_(without_credentials(url)), config_(config), converter_(shown_url_) {
  start();
  fill_info(*held_);
  next_ = next_frame();
  if (!next_) {
    std::string found =
        info_.duration_us ? "an end at " + in_seconds(*decoder_->duration_us()) : "an earlier end";
    throw MediaError(shown_url_ + ": expected a frame at or after " + in_seconds(config.start_us) +
                     ", found " + found);
  }
}

/// Opens the input so that held_ is its first picture, or one at or before the start that is asked for.
void VideoReader::start() {
  // The key frame a container finds for a time may be shown after it: then from earlier, at last from the
  // beginning.
  constexpr int64_t kMarginUs = 10000000;
  for (const int64_t time_us : std::array{config_.start_us, config_.start_us - kMarginUs, int64_t{0}}) {
    decoder_ = std::make_unique<VideoDecoder>(url_, config_);
    deinterlacer_ = std::make_unique<Deinterlacer>(shown_url_, decoder_->stream().time_base);
    is_drained_ = false;
    held_.reset();
    const bool was_sought = time_us > 0 && decoder_->seek(time_us);
    held_ = next_picture();
    const bool is_usable = held_ && held_->pts != AV_NOPTS_VALUE && picture_us(*held_) <= config_.start_us;
    if (!was_sought || is_usable) break;
  }
  if (!held_) throw MediaError(shown_url_ + ": no frame could be decoded");
}

void VideoReader::fill_info(const AVFrame& first) {
  const AVStream& stream = decoder_->stream();
  const AVFormatContext& format = decoder_->format();
  const int32_t* matrix = find_display_matrix(stream);
  if (!matrix) matrix = find_display_matrix(first);
  if (matrix) orientation_ = orientation_of(matrix);
  coded_height_ = first.height;
  coded_width_ = first.width;

  info_.url = url_;
  info_.format = format.iformat->name;
  info_.codec = avcodec_get_name(stream.codecpar->codec_id);
  const char* pixel_format = av_get_pix_fmt_name(static_cast<AVPixelFormat>(first.format));
  info_.pixel_format = pixel_format ? pixel_format : "unknown";
  const FrameSize size = config_.frame_size.value_or(stream_size());
  info_.height = size.height;
  info_.width = size.width;
  height_ = static_cast<int>(orientation_.is_transposed ? size.width : size.height);
  width_ = static_cast<int>(orientation_.is_transposed ? size.height : size.width);
  const AVRational rate = stream.avg_frame_rate.num > 0 ? stream.avg_frame_rate : stream.r_frame_rate;
  if (rate.num > 0 && rate.den > 0) {
    info_.rate_num = rate.num;
    info_.rate_den = rate.den;
  }
  info_.time_base_num = stream.time_base.num;
  info_.time_base_den = stream.time_base.den;
  info_.rotation_degrees = orientation_.rotation_degrees();
  const AVRational aspect = av_guess_sample_aspect_ratio(
      const_cast<AVFormatContext*>(&format), const_cast<AVStream*>(&stream), const_cast<AVFrame*>(&first));
  if (aspect.num > 0 && aspect.den > 0) {
    info_.sample_aspect_num = orientation_.is_transposed ? aspect.den : aspect.num;
    info_.sample_aspect_den = orientation_.is_transposed ? aspect.num : aspect.den;
  }
  info_.has_audio = decoder_->has_audio();
  info_.start_us = config_.start_us;
  std::optional<int64_t> end_us;
  if (config_.duration_us) end_us = config_.start_us + *config_.duration_us;
  if (const auto count = decoder_->count_frames(config_.start_us, end_us)) {
    info_.num_frames = count->frames;
    info_.has_exact_count = count->is_exact;
  }
  decoder_->set_expected_frames(info_.num_frames);
  info_.duration_us = config_.duration_us;
  if (const auto total_us = decoder_->duration_us()) {
    const int64_t rest_us = std::max<int64_t>(*total_us - config_.start_us, 0);
    info_.duration_us = std::min(rest_us, config_.duration_us.value_or(rest_us));
  }
}

FrameSize VideoReader::stream_size() const {
  FrameSize size{.height = coded_height_, .width = coded_width_};
  if (orientation_.is_transposed) std::swap(size.height, size.width);
  return size;
}

std::optional<Frame> VideoReader::read() {
  const StageTimer timer(Stage::kDecode);
  // Only the first frame is read ahead: its predecessors are never kept back by damage behind them.
  std::optional<Frame> frame = next_ ? std::exchange(next_, std::nullopt) : next_frame();
  if (frame) frame->index = num_read_++;
  return frame;
}

std::optional<Frame> VideoReader::next_frame() {
  while (const AvFramePtr picture = next_picture()) {
    std::optional<int64_t> stream_us;
    if (picture->pts != AV_NOPTS_VALUE) stream_us = picture_us(*picture);
    const int64_t duration_us =
        av_rescale_q(decoder_->picture_duration(*picture), decoder_->stream().time_base, kMicroseconds);
    const int64_t time_us = clock_.next(stream_us, duration_us);
    if (time_us < config_.start_us && config_.start_us > 0) continue;
    if (config_.duration_us && time_us >= config_.start_us + *config_.duration_us) break;
    if ((picture->height != coded_height_ || picture->width != coded_width_) && !has_warned_size_) {
      has_warned_size_ = true;
      log_warning(shown_url_ + ": frames change from " + size_text(coded_width_, coded_height_) + " to " +
                  size_text(picture->width, picture->height) + " at " + in_seconds(time_us) +
                  "; they are scaled to the first size");
    }
    coded_height_ = picture->height;
    coded_width_ = picture->width;
    // Scaled or turned it would be another picture.
    const bool is_as_decoded =
        orientation_.is_identity() && picture->height == height_ && picture->width == width_;
    return Frame{.pts_us = time_us,
                 .image = converter_.convert(*picture, orientation_, height_, width_),
                 .on_gpu = is_as_decoded ? HardwareDecoder::rgb_on_gpu(*picture) : at::Tensor()};
  }
  is_drained_ = true;  // also when the part that is asked for is over
  return std::nullopt;
}

/// Next decoded picture, whole instead of interlaced; null at the end.
AvFramePtr VideoReader::next_picture() {
  if (held_) return std::move(held_);
  while (true) {
    if (AvFramePtr ready = deinterlacer_->pull()) return ready;
    if (is_drained_) {
      if (damage_) std::rethrow_exception(std::exchange(damage_, nullptr));
      return nullptr;
    }
    try {
      if (AvFramePtr decoded = decoder_->read()) {
        deinterlacer_->push(std::move(decoded));
        continue;
      }
    } catch (const MediaError&) {
      // What the deinterlacer holds back lies before the damage.
      damage_ = std::current_exception();
    }
    is_drained_ = true;
    deinterlacer_->finish();
  }
}

int64_t VideoReader::picture_us(const AVFrame& frame) const {
  return av_rescale_q(frame.pts, decoder_->stream().time_base, kMicroseconds);
}

}  // namespace hqtrack
