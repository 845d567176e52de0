#include "tests/io/make_media.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <numbers>
#include <random>
#include <stdexcept>

extern "C" {
#include <libavutil/pixdesc.h>
}

namespace hqtrack::testing {
namespace fs = std::filesystem;
namespace {

void check(int result, const std::string& what) {
  if (result >= 0) return;
  const std::string message = "making a test video: " + what + ": " + av_error_text(result);
  ADD_FAILURE() << message;
  throw std::runtime_error(message);
}

AvCodecPtr new_encoder(const std::string& name, const AVOutputFormat& container) {
  route_ffmpeg_log();
  const AVCodec* encoder = avcodec_find_encoder_by_name(name.c_str());
  check(encoder ? 0 : AVERROR_ENCODER_NOT_FOUND, name);
  AvCodecPtr codec(avcodec_alloc_context3(encoder));
  codec->thread_count = 1;
  if (container.flags & AVFMT_GLOBALHEADER) codec->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  return codec;
}

AvCodecPtr open_video_encoder(const MediaOptions& options, const AVOutputFormat& container) {
  AvCodecPtr codec = new_encoder(options.codec, container);
  codec->width = options.width;
  codec->height = options.height;
  codec->pix_fmt = options.pixel_format;
  codec->time_base = options.time_base;
  codec->sample_aspect_ratio = options.sample_aspect;
  codec->colorspace = options.colour_matrix;
  codec->color_range = options.colour_range;
  codec->gop_size = options.gop_size;
  codec->max_b_frames = options.num_b_frames;
  if (options.is_interlaced) codec->flags |= AV_CODEC_FLAG_INTERLACED_DCT | AV_CODEC_FLAG_INTERLACED_ME;
  AVDictionary* dictionary = nullptr;
  av_dict_parse_string(&dictionary, options.codec_options.c_str(), "=", ":", 0);
  const int result = avcodec_open2(codec.get(), codec->codec, &dictionary);
  av_dict_free(&dictionary);
  check(result, options.codec);
  return codec;
}

AvCodecPtr open_audio_encoder(const MediaOptions& options, const AVOutputFormat& container) {
  AvCodecPtr codec = new_encoder(options.audio_codec, container);
  codec->sample_rate = 48000;
  codec->sample_fmt = codec->codec->sample_fmts[0];
  av_channel_layout_default(&codec->ch_layout, 1);
  codec->bit_rate = 96000;
  codec->time_base = {1, codec->sample_rate};
  check(avcodec_open2(codec.get(), codec->codec, nullptr), options.audio_codec);
  return codec;
}

AVStream* add_stream(AVFormatContext& format, const AVCodecContext& codec) {
  AVStream* stream = avformat_new_stream(&format, nullptr);
  check(avcodec_parameters_from_context(stream->codecpar, &codec), "stream");
  stream->time_base = codec.time_base;
  return stream;
}

void add_display_matrix(AVStream& stream, const std::array<int32_t, 9>& matrix) {
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(60, 31, 102)
  AVPacketSideData* data =
      av_packet_side_data_new(&stream.codecpar->coded_side_data, &stream.codecpar->nb_coded_side_data,
                              AV_PKT_DATA_DISPLAYMATRIX, sizeof(matrix), 0);
  std::memcpy(data->data, matrix.data(), sizeof(matrix));
#else
  std::memcpy(av_stream_new_side_data(&stream, AV_PKT_DATA_DISPLAYMATRIX, sizeof(matrix)), matrix.data(),
              sizeof(matrix));
#endif
}

void set_interlaced(AVFrame& frame) {
#ifdef AV_FRAME_FLAG_INTERLACED
  frame.flags |= AV_FRAME_FLAG_INTERLACED | AV_FRAME_FLAG_TOP_FIELD_FIRST;
#else
  frame.interlaced_frame = 1;
  frame.top_field_first = 1;
#endif
}

AvFramePtr new_picture(AVPixelFormat format, int width, int height) {
  AvFramePtr frame = make_frame();
  frame->format = format;
  frame->width = width;
  frame->height = height;
  check(av_frame_get_buffer(frame.get(), 0), "picture");
  return frame;
}

/// Everything of one file while it is made.
class Maker {
 public:
  Maker(const fs::path& file, const MediaOptions& options) : options_(options) {
    AVFormatContext* raw = nullptr;
    check(avformat_alloc_output_context2(&raw, nullptr, nullptr, file.c_str()), file.string());
    format_.reset(raw);
    raw->flags |= AVFMT_FLAG_BITEXACT;  // no random numbers in the file: damage hits the same bytes each time
    video_ = open_video_encoder(options, *format_->oformat);
    video_stream_ = add_stream(*format_, *video_);
    video_stream_->sample_aspect_ratio = options.sample_aspect;
    if (options.display_matrix) add_display_matrix(*video_stream_, *options.display_matrix);
    if (!options.audio_codec.empty()) {
      audio_ = open_audio_encoder(options, *format_->oformat);
      audio_stream_ = add_stream(*format_, *audio_);
    }
    check(avio_open(&format_->pb, file.c_str(), AVIO_FLAG_WRITE), file.string());
    AVDictionary* dictionary = nullptr;
    av_dict_parse_string(&dictionary, options.muxer_options.c_str(), "=", ":", 0);
    const int result = avformat_write_header(format_.get(), &dictionary);
    av_dict_free(&dictionary);
    check(result, "header");
  }

  void make() {
    const double seconds_a_tick = av_q2d(options_.time_base);
    for (int i = 0; i < options_.num_frames; ++i) {
      const int64_t pts = options_.pts.empty() ? i : options_.pts.at(i);
      write_audio(static_cast<double>(pts) * seconds_a_tick);
      write_picture(i, pts);
    }
    encode(*video_, nullptr, *video_stream_);
    const double end =
        (options_.pts.empty() ? options_.num_frames : options_.pts.back() + 1) * seconds_a_tick;
    write_audio(options_.audio_seconds > 0 ? options_.audio_seconds : end);
    if (audio_) encode(*audio_, nullptr, *audio_stream_);
    check(av_write_trailer(format_.get()), "trailer");
  }

 private:
  void write_picture(int index, int64_t pts) {
    const AvFramePtr frame = new_picture(options_.pixel_format, options_.width, options_.height);
    if (options_.paint) {
      options_.paint(*frame, index);
    } else {
      paint_index(*frame, index);
    }
    frame->pts = pts;
    frame->colorspace = options_.colour_matrix;
    frame->color_range = options_.colour_range;
    if (options_.is_interlaced) set_interlaced(*frame);
    encode(*video_, frame.get(), *video_stream_);
  }

  /// Sound from where it stands up to a time.
  void write_audio(double until) {
    if (!audio_) return;
    const int frame_size = audio_->frame_size > 0 ? audio_->frame_size : 1024;
    const double start = options_.audio_start;
    while (start + static_cast<double>(num_samples_) / audio_->sample_rate < until) {
      AvFramePtr frame = make_frame();
      frame->format = audio_->sample_fmt;
      frame->sample_rate = audio_->sample_rate;
      frame->nb_samples = frame_size;
      av_channel_layout_copy(&frame->ch_layout, &audio_->ch_layout);
      check(av_frame_get_buffer(frame.get(), 0), "sound");
      for (int i = 0; i < frame_size; ++i) {
        const double time = start + static_cast<double>(num_samples_ + i) / audio_->sample_rate;
        const bool is_tone =
            time >= options_.tone_at && time < options_.tone_at + 0.1 && options_.tone_at >= 0;
        const double value = is_tone ? 0.5 * std::sin(2 * std::numbers::pi * 1000 * time) : 0;
        if (audio_->sample_fmt == AV_SAMPLE_FMT_S16) {
          reinterpret_cast<int16_t*>(frame->data[0])[i] = static_cast<int16_t>(std::lround(value * 32767));
        } else {
          reinterpret_cast<float*>(frame->data[0])[i] =
              static_cast<float>(value);  // FLT and FLTP of one channel
        }
      }
      frame->pts = num_samples_ + std::llround(start * audio_->sample_rate);
      num_samples_ += frame_size;
      encode(*audio_, frame.get(), *audio_stream_);
    }
  }

  void encode(AVCodecContext& codec, const AVFrame* frame, AVStream& stream) {
    check(avcodec_send_frame(&codec, frame), "encode");
    const AvPacketPtr packet = make_packet();
    while (avcodec_receive_packet(&codec, packet.get()) >= 0) {
      if (packet->duration == 0) packet->duration = 1;
      if (options_.has_decoding_times_only && &stream == video_stream_) {
        packet->dts += options_.num_b_frames;
        packet->pts = packet->dts;
      }
      packet->stream_index = stream.index;
      av_packet_rescale_ts(packet.get(), codec.time_base, stream.time_base);
      check(av_interleaved_write_frame(format_.get(), packet.get()), "write");
    }
  }

  const MediaOptions& options_;
  AvOutputPtr format_;
  AvCodecPtr video_, audio_;
  AVStream* video_stream_ = nullptr;
  AVStream* audio_stream_ = nullptr;
  int64_t num_samples_ = 0;
};

}  // namespace

void make_media(const fs::path& file, const MediaOptions& options) { Maker(file, options).make(); }

void make_sound(const fs::path& file) {
  constexpr uint32_t kRate = 8000, kBytes = kRate;  // half a second of two-byte samples
  std::string bytes;
  const auto put = [&](uint32_t value, int count) {
    for (int i = 0; i < count; ++i) bytes += static_cast<char>(value >> (8 * i));
  };
  bytes += "RIFF";
  put(36 + kBytes, 4);
  bytes += "WAVEfmt ";
  put(16, 4);
  put(1, 2);  // PCM
  put(1, 2);  // channels
  put(kRate, 4);
  put(2 * kRate, 4);  // bytes a second
  put(2, 2);
  put(16, 2);
  bytes += "data";
  put(kBytes, 4);
  bytes.append(kBytes, '\0');
  std::ofstream(file, std::ios::binary) << bytes;
}

int shade_of(int index) { return 40 + 6 * (index % 30); }

void paint_index(AVFrame& frame, int index) {
  // Limited range luma of the grey value; chroma in the middle.
  const int luma = static_cast<int>(std::lround(16 + shade_of(index) * 219.0 / 255));
  paint_samples({luma, 128, 128})(frame, index);
  if (av_pix_fmt_desc_get(static_cast<AVPixelFormat>(frame.format))->comp[0].depth != 8) return;
  for (int y = 0; y < frame.height / 4; ++y) {
    for (int x = 0; x < frame.width / 4; ++x) {
      frame.data[0][y * frame.linesize[0] + x] = static_cast<uint8_t>((x + y + index) % 3 * 80 + 20);
    }
  }
}

std::function<void(AVFrame&, int)> paint_samples(std::array<int, 3> samples) {
  return [samples](AVFrame& frame, int) {
    const AVPixFmtDescriptor* descriptor = av_pix_fmt_desc_get(static_cast<AVPixelFormat>(frame.format));
    for (int c = 0; c < descriptor->nb_components; ++c) {
      const bool is_chroma = c == 1 || c == 2;
      const int width = is_chroma ? AV_CEIL_RSHIFT(frame.width, descriptor->log2_chroma_w) : frame.width;
      const int height = is_chroma ? AV_CEIL_RSHIFT(frame.height, descriptor->log2_chroma_h) : frame.height;
      const AVComponentDescriptor& component = descriptor->comp[c];
      const int value = c < 3 ? samples[c] : (1 << component.depth) / 3;  // a fourth one is alpha
      for (int y = 0; y < height; ++y) {
        uint8_t* row = frame.data[component.plane] + y * frame.linesize[component.plane];
        for (int x = 0; x < width; ++x) {
          uint8_t* sample = row + x * component.step + component.offset;
          if (component.depth > 8) {
            const uint16_t wide = static_cast<uint16_t>(value);
            std::memcpy(sample, &wide, 2);
          } else {
            *sample = static_cast<uint8_t>(value);
          }
        }
      }
    }
  };
}

Colour rgb_of(std::array<int, 3> samples, AVColorSpace matrix, bool is_full_range, int bits) {
  double kr = 0.299, kb = 0.114;
  if (matrix == AVCOL_SPC_BT709) kr = 0.2126, kb = 0.0722;
  if (matrix == AVCOL_SPC_BT2020_NCL) kr = 0.2627, kb = 0.0593;
  const double unit = 1 << (bits - 8), full = (1 << bits) - 1;
  const double y = is_full_range ? samples[0] / full : (samples[0] - 16 * unit) / (219 * unit);
  const double range = is_full_range ? full : 224 * unit;
  const double cb = (samples[1] - 128 * unit) / range, cr = (samples[2] - 128 * unit) / range;
  const double r = y + 2 * (1 - kr) * cr, b = y + 2 * (1 - kb) * cb;
  const double g = (y - kr * r - kb * b) / (1 - kr - kb);
  return {255 * std::clamp(r, 0.0, 1.0), 255 * std::clamp(g, 0.0, 1.0), 255 * std::clamp(b, 0.0, 1.0)};
}

void make_picture(const fs::path& file, AVPixelFormat format, int width, int height,
                  const std::function<void(AVFrame&)>& paint) {
  const std::string extension = file.extension().string();
  const std::string encoder = extension == ".jpg"   ? "mjpeg"
                              : extension == ".tif" ? "tiff"
                                                    : extension.substr(1);
  AvCodecPtr codec = new_encoder(encoder, *av_guess_format("image2", nullptr, nullptr));
  codec->width = width;
  codec->height = height;
  codec->pix_fmt = format;
  codec->time_base = {1, 25};
  if (encoder == "mjpeg") {
    codec->flags |= AV_CODEC_FLAG_QSCALE;
    codec->global_quality = FF_QP2LAMBDA;
  }
  check(avcodec_open2(codec.get(), codec->codec, nullptr), encoder);
  const AvFramePtr frame = new_picture(format, width, height);
  paint(*frame);
  if (encoder == "mjpeg") frame->quality = codec->global_quality;
  const AvPacketPtr packet = make_packet();
  check(avcodec_send_frame(codec.get(), frame.get()), encoder);
  check(avcodec_send_frame(codec.get(), nullptr), encoder);
  check(avcodec_receive_packet(codec.get(), packet.get()), encoder);
  std::ofstream(file, std::ios::binary).write(reinterpret_cast<const char*>(packet->data), packet->size);
}

void truncate_to(const fs::path& file, double share) {
  fs::resize_file(file, static_cast<uintmax_t>(static_cast<double>(fs::file_size(file)) * share));
}

void damage_at(const fs::path& file, double share, size_t length) {
  std::mt19937 random(7);
  std::string noise(length, '\0');
  for (char& byte : noise) byte = static_cast<char>(random());
  std::fstream stream(file, std::ios::binary | std::ios::in | std::ios::out);
  stream.seekp(static_cast<std::streamoff>(static_cast<double>(fs::file_size(file)) * share));
  stream.write(noise.data(), static_cast<std::streamsize>(noise.size()));
}

}  // namespace hqtrack::testing
