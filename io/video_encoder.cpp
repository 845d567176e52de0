#include "io/video_encoder.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/error.h"
#include "core/log.h"

extern "C" {
#include <libavutil/pixdesc.h>
}

namespace hqtrack {
namespace {

bool fits(const AVOutputFormat& container, const AVCodec* encoder) {
  if (!encoder || encoder->type != AVMEDIA_TYPE_VIDEO) return false;
  const int answer = avformat_query_codec(&container, encoder->id, FF_COMPLIANCE_NORMAL);
  if (answer != AVERROR_PATCHWELCOME) return answer == 1;
  // MPEG-TS does not say what it holds.
  const AVCodecID id = encoder->id;
  return id == AV_CODEC_ID_H264 || id == AV_CODEC_ID_HEVC || id == AV_CODEC_ID_MPEG4;
}

std::string usable_encoders(const AVOutputFormat& container) {
  std::string list;
  for (const char* name :
       {"libx264", "libx265", "libvpx-vp9", "libsvtav1", "libaom-av1", "h264_nvenc", "mpeg4", "ffv1"}) {
    if (!fits(container, avcodec_find_encoder_by_name(name))) continue;
    list += (list.empty() ? "" : ", ") + std::string(name);
  }
  return list.empty() ? "none" : list;
}

/// Of a graphics card, which may be missing or busy.
bool needs_device(const AVCodec& encoder) {
  const std::string name = encoder.name;
  return name.ends_with("_nvenc") || name.ends_with("_vaapi") || name.ends_with("_qsv");
}

const AVCodec* default_encoder(const AVOutputFormat& container) {
  for (const char* name : {"libx264", "libvpx-vp9", "libopenh264", "libvpx", "libsvtav1", "mpeg4"}) {
    const AVCodec* encoder = avcodec_find_encoder_by_name(name);
    if (fits(container, encoder)) return encoder;
  }
  return nullptr;
}

const AVCodec& choose_encoder(const std::string& file, const AVOutputFormat& container,
                              const std::string& wanted) {
  const AVCodec* encoder = nullptr;
  if (wanted == "auto" || wanted.empty()) {
    encoder = default_encoder(container);
  } else {
    encoder = avcodec_find_encoder_by_name(wanted.c_str());
    if (!encoder || encoder->type != AVMEDIA_TYPE_VIDEO) {
      throw OutputError(file + ": expected a video encoder of this FFmpeg (" + usable_encoders(container) +
                        "), found '" + wanted + "'");
    }
  }
  if (!fits(container, encoder)) {
    throw OutputError(file + ": expected an encoder that " + container.name + " can hold (" +
                      usable_encoders(container) + "), found '" + wanted + "'");
  }
  return *encoder;
}

AVPixelFormat choose_pixel_format(const AVCodec& encoder) {
  const AVPixelFormat* formats = encoder.pix_fmts;
  if (!formats) return AV_PIX_FMT_YUV420P;
  for (const AVPixelFormat wanted : {AV_PIX_FMT_YUVJ420P, AV_PIX_FMT_YUV420P}) {  // MJPEG has full range only
    if (wanted == AV_PIX_FMT_YUVJ420P && encoder.id != AV_CODEC_ID_MJPEG) continue;
    for (const AVPixelFormat* format = formats; *format != AV_PIX_FMT_NONE; ++format) {
      if (*format == wanted) return wanted;
    }
  }
  for (const AVPixelFormat* format = formats; *format != AV_PIX_FMT_NONE; ++format) {
    if (!(av_pix_fmt_desc_get(*format)->flags & AV_PIX_FMT_FLAG_HWACCEL)) return *format;
  }
  return AV_PIX_FMT_YUV420P;
}

/// x264's preset names as the speed numbers of libvpx.
int vpx_speed(const std::string& preset) {
  if (preset == "ultrafast") return 8;
  if (preset == "superfast" || preset == "veryfast") return 7;
  if (preset == "faster" || preset == "fast") return 4;
  if (preset == "medium") return 3;
  return 1;
}

/// The quality option each encoder has. x264's scale of 0..51 is stretched to the 0..63 of VP9 and AV1.
void set_quality(AVCodecContext& codec, const EncodeConfig& config) {
  const std::string name = codec.codec->name;
  const bool is_wide_scale =
      name.starts_with("libvpx") || name.starts_with("libaom") || name.starts_with("libsvt");
  const int64_t crf =
      is_wide_scale ? std::lround(static_cast<double>(config.quality) * 63 / 51) : config.quality;
  if (av_opt_set_int(codec.priv_data, "cq", config.quality, 0) >= 0) return;  // NVENC
  if (av_opt_set_int(codec.priv_data, "crf", crf, 0) >= 0) {
    if (is_wide_scale) codec.bit_rate = 0;
    return;
  }
  codec.flags |= AV_CODEC_FLAG_QSCALE;
  codec.global_quality = FF_QP2LAMBDA * static_cast<int>(std::clamp<int64_t>(config.quality / 5, 1, 31));
}

void set_speed(AVCodecContext& codec, const EncodeConfig& config) {
  const std::string name = codec.codec->name;
  if (name.starts_with("libx26")) av_opt_set(codec.priv_data, "preset", config.preset.c_str(), 0);
  if (name == "libx265") av_opt_set(codec.priv_data, "x265-params", "log-level=error", 0);
  if (name.starts_with("libvpx")) {
    const int speed = vpx_speed(config.preset);
    av_opt_set(codec.priv_data, "deadline", speed > 4 ? "realtime" : "good", 0);
    av_opt_set_int(codec.priv_data, "cpu-used", speed, 0);
    av_opt_set_int(codec.priv_data, "row-mt", 1, 0);
  }
}

void keep_nothing_back(AVCodecContext& codec) {
  const std::string name = codec.codec->name;
  if (name.starts_with("libx26")) av_opt_set(codec.priv_data, "tune", "zerolatency", 0);
  if (name.starts_with("libvpx") || name.starts_with("libaom"))
    av_opt_set_int(codec.priv_data, "lag-in-frames", 0, 0);
  if (name.ends_with("_nvenc")) {
    av_opt_set_int(codec.priv_data, "zerolatency", 1, 0);
    av_opt_set_int(codec.priv_data, "delay", 0, 0);
  }
  codec.max_b_frames = 0;
}

void set_colour(AVCodecContext& codec, int64_t width, int64_t height) {
  const char* name = av_get_pix_fmt_name(codec.pix_fmt);
  codec.color_range = std::strncmp(name, "yuvj", 4) == 0 ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
  codec.colorspace = guess_colour_matrix(width, height);
  const bool is_709 = codec.colorspace == AVCOL_SPC_BT709;
  codec.color_primaries = is_709 ? AVCOL_PRI_BT709 : AVCOL_PRI_SMPTE170M;
  codec.color_trc = is_709 ? AVCOL_TRC_BT709 : AVCOL_TRC_SMPTE170M;
  codec.chroma_sample_location = AVCHROMA_LOC_LEFT;
}

}  // namespace

AVRational output_time_base(const VideoInfo& source, int64_t finest) {
  constexpr int64_t kCoarsest = 90000;
  const int64_t den = source.time_base_den;
  if (source.time_base_num <= 0 || den <= 0 || den > finest) return {1, static_cast<int>(finest)};
  const int64_t factor = std::min((kCoarsest + den - 1) / den, finest / den);
  return {1, static_cast<int>(den * factor)};
}

VideoEncoder::VideoEncoder(const std::string& file, const AVOutputFormat& container, const VideoInfo& source,
                           const EncodeConfig& config, Use use)
    : file_(file), height_(source.height), width_(source.width), use_(use) {
  const AVCodec& encoder = choose_encoder(file, container, config.codec);
  try {
    prepare(encoder, container, source, config);
  } catch (const OutputError& error) {
    const AVCodec* other = default_encoder(container);
    if (!needs_device(encoder) || !other) throw;
    log_warning(std::string(error.what()) + "; " + other->name + " is used");
    prepare(*other, container, source, config);
  }
}

void VideoEncoder::prepare(const AVCodec& encoder, const AVOutputFormat& container, const VideoInfo& source,
                           const EncodeConfig& config) {
  codec_.reset(avcodec_alloc_context3(&encoder));
  codec_->pix_fmt = choose_pixel_format(encoder);
  int log2_width = 0, log2_height = 0;
  av_pix_fmt_get_chroma_sub_sample(codec_->pix_fmt, &log2_width, &log2_height);
  codec_->width = static_cast<int>(width_ + (log2_width > 0 ? width_ & 1 : 0));
  codec_->height = static_cast<int>(height_ + (log2_height > 0 ? height_ & 1 : 0));
  codec_->time_base = output_time_base(source, encoder.id == AV_CODEC_ID_MPEG4 ? 60000 : 1000000);
  double rate = 24;
  if (source.rate_num > 0 && source.rate_num < INT32_MAX && source.rate_den < INT32_MAX) {
    codec_->framerate = {static_cast<int>(source.rate_num), static_cast<int>(source.rate_den)};
    rate = av_q2d(codec_->framerate);
  }
  codec_->sample_aspect_ratio = {source.sample_aspect_num, source.sample_aspect_den};
  // Key frames every two seconds bound what a killed run loses.
  codec_->gop_size = static_cast<int>(std::clamp(std::lround(2 * rate), 12L, 240L));
  codec_->thread_count = 0;
  if (container.flags & AVFMT_GLOBALHEADER) codec_->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  set_colour(*codec_, width_, height_);
  set_quality(*codec_, config);
  set_speed(*codec_, config);
  if (use_ == Use::kStream) keep_nothing_back(*codec_);
  open(encoder, config);
}

void VideoEncoder::open(const AVCodec& encoder, const EncodeConfig& config) {
  LogWatch watch;
  if (const int result = avcodec_open2(codec_.get(), &encoder, nullptr); result < 0) {
    const std::string reason = watch.first_error().empty() ? av_error_text(result) : watch.first_error();
    throw OutputError(file_ + ": encoder " + encoder.name + " refuses " + std::to_string(codec_->width) +
                      "x" + std::to_string(codec_->height) + ", quality " + std::to_string(config.quality) +
                      ", preset '" + config.preset + "': " + reason);
  }
  for (const auto& [target, format] :
       {std::pair{&frame_, codec_->pix_fmt}, std::pair{&padded_, AV_PIX_FMT_RGB24}}) {
    *target = make_frame();
    (*target)->format = format;
    (*target)->width = codec_->width;
    (*target)->height = codec_->height;
    if (av_frame_get_buffer(target->get(), 0) < 0) throw std::bad_alloc();
  }
  scaler_.reset(sws_alloc_context());
  SwsContext* scaler = scaler_.get();
  av_opt_set_int(scaler, "srcw", codec_->width, 0);
  av_opt_set_int(scaler, "srch", codec_->height, 0);
  av_opt_set_int(scaler, "src_format", AV_PIX_FMT_RGB24, 0);
  av_opt_set_int(scaler, "dstw", codec_->width, 0);
  av_opt_set_int(scaler, "dsth", codec_->height, 0);
  av_opt_set_int(scaler, "dst_format", codec_->pix_fmt, 0);
  av_opt_set_int(scaler, "sws_flags", SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INP, 0);
  if (codec_->pix_fmt == AV_PIX_FMT_YUV420P) av_opt_set_int(scaler, "dst_h_chr_pos", 0, 0);
  const int* matrix =
      sws_getCoefficients(codec_->colorspace == AVCOL_SPC_BT709 ? SWS_CS_ITU709 : SWS_CS_ITU601);
  const int is_full = codec_->color_range == AVCOL_RANGE_JPEG;
  if (sws_init_context(scaler, nullptr, nullptr) < 0) fail(AVERROR(EINVAL));
  sws_setColorspaceDetails(scaler, matrix, 1, matrix, is_full, 0, 1 << 16, 1 << 16);
}

/// Picture in the encoder's format and size, in frame_.
void VideoEncoder::fill(const at::Tensor& image) {
  const uint8_t* source = image.const_data_ptr<uint8_t>();
  for (int y = 0; y < padded_->height; ++y) {
    uint8_t* row = padded_->data[0] + int64_t{y} * padded_->linesize[0];
    std::memcpy(row, source + 3 * width_ * std::min<int64_t>(y, height_ - 1),
                static_cast<size_t>(3 * width_));
    if (padded_->width > width_) std::memcpy(row + 3 * width_, row + 3 * (width_ - 1), 3);
  }
  if (const int result = av_frame_make_writable(frame_.get()); result < 0) fail(result);
  sws_scale(scaler_.get(), padded_->data, padded_->linesize, 0, padded_->height, frame_->data,
            frame_->linesize);
  frame_->color_range = codec_->color_range;
  frame_->colorspace = codec_->colorspace;
  frame_->color_primaries = codec_->color_primaries;
  frame_->color_trc = codec_->color_trc;
  frame_->chroma_location = codec_->chroma_sample_location;
  frame_->sample_aspect_ratio = codec_->sample_aspect_ratio;
}

void VideoEncoder::encode(const at::Tensor& image, int64_t pts, int64_t duration,
                          std::vector<AvPacketPtr>& packets) {
  if (image.dim() != 3 || image.size(0) != height_ || image.size(1) != width_) {
    throw OutputError(file_ + ": expected frames of " + std::to_string(width_) + "x" +
                      std::to_string(height_) + ", found " + std::to_string(image.size(1)) + "x" +
                      std::to_string(image.size(0)));
  }
  fill(image);
  frame_->pts = pts;
  // By time, not by count: what is tracked of a camera may be few frames a second, or many.
  const bool is_key =
      use_ == Use::kStream && (!last_key_ || pts - *last_key_ >= av_rescale_q(1, {1, 1}, codec_->time_base));
  if (is_key) last_key_ = pts;
  frame_->pict_type = is_key ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE;
  durations_[pts] = duration;
  if (const int result = avcodec_send_frame(codec_.get(), frame_.get()); result < 0) fail(result);
  receive(packets);
}

void VideoEncoder::finish(std::vector<AvPacketPtr>& packets) {
  if (const int result = avcodec_send_frame(codec_.get(), nullptr); result < 0) fail(result);
  receive(packets);
}

void VideoEncoder::receive(std::vector<AvPacketPtr>& packets) {
  while (true) {
    AvPacketPtr packet = make_packet();
    const int result = avcodec_receive_packet(codec_.get(), packet.get());
    if (result == AVERROR(EAGAIN) || result == AVERROR_EOF) return;
    if (result < 0) fail(result);
    if (const auto own = durations_.find(packet->pts); own != durations_.end()) {
      packet->duration = own->second;
      durations_.erase(own);
    }
    packets.push_back(std::move(packet));
  }
}

void VideoEncoder::fail(int code) const {
  throw OutputError(file_ + ": encoding failed: " + av_error_text(code));
}

}  // namespace hqtrack
