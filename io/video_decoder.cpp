#include "io/video_decoder.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/error.h"
#include "io/network_url.h"

namespace hqtrack {
namespace {

/// FFmpeg shows a text file as pictures of a terminal; nobody means that as a video.
bool is_text_art(AVCodecID codec) {
  return codec == AV_CODEC_ID_ANSI || codec == AV_CODEC_ID_BINTEXT || codec == AV_CODEC_ID_XBIN ||
         codec == AV_CODEC_ID_IDF;
}

/// The first video stream that is not a cover picture.
AVStream* find_video_stream(AVFormatContext& format) {
  AVStream* best = nullptr;
  for (unsigned i = 0; i < format.nb_streams; ++i) {
    AVStream* stream = format.streams[i];
    if (stream->codecpar->codec_type != AVMEDIA_TYPE_VIDEO || is_text_art(stream->codecpar->codec_id))
      continue;
    if (stream->disposition & (AV_DISPOSITION_ATTACHED_PIC | AV_DISPOSITION_TIMED_THUMBNAILS)) continue;
    const bool is_default = stream->disposition & AV_DISPOSITION_DEFAULT;
    if (!best || (is_default && !(best->disposition & AV_DISPOSITION_DEFAULT))) best = stream;
  }
  return best;
}

std::string describe_streams(const AVFormatContext& format) {
  std::string found;
  for (unsigned i = 0; i < format.nb_streams; ++i) {
    const char* type = av_get_media_type_string(format.streams[i]->codecpar->codec_type);
    if (!found.empty()) found += ", ";
    found += std::string(type ? type : "unknown") + " (" +
             avcodec_get_name(format.streams[i]->codecpar->codec_id) + ")";
  }
  return found.empty() ? "no stream" : found;
}

bool is_corrupt(const AVFrame& frame) {
  return (frame.flags & AV_FRAME_FLAG_CORRUPT) || frame.decode_error_flags;
}

}  // namespace

VideoDecoder::VideoDecoder(const std::string& url, const SourceConfig& config)
    : url_(without_credentials(url)),
      is_live_(config.live.has_value()),
      guard_(config.interrupted, is_live_ ? config.live->timeout_us : 0),
      format_(open_input(url, {.guard = &guard_,
                               .rtsp_transport = is_live_ ? config.live->rtsp_transport : std::string(),
                               .complaint = &complaint_})),
      hardware_(config.hardware) {
  stream_ = find_video_stream(*format_);
  if (!stream_) throw MediaError(url_ + ": expected a video stream, found " + describe_streams(*format_));
  is_mov_ = std::strstr(format_->iformat->name, "mov") != nullptr;
  is_matroska_ = std::strstr(format_->iformat->name, "matroska") != nullptr;
  if (!is_matroska_ || is_live_) complaint_.clear();
  if (is_mov_) promised_packets_ = avformat_index_get_entries_count(stream_);
  for (unsigned i = 0; i < format_->nb_streams; ++i) {
    // Elsewhere the end of the other streams tells whether the file is whole.
    if (is_mov_ && format_->streams[i] != stream_) format_->streams[i]->discard = AVDISCARD_ALL;
  }
  codec_ = open_decoder(url_, *stream_, /*threads=*/0, &decoder_log_, &hardware_);
}

bool VideoDecoder::has_audio() const {
  return av_find_best_stream(format_.get(), AVMEDIA_TYPE_AUDIO, -1, -1, nullptr, 0) >= 0;
}

bool VideoDecoder::seek(int64_t time_us) {
  if (format_->pb && !(format_->pb->seekable & AVIO_SEEKABLE_NORMAL)) return false;
  const int64_t target = av_rescale_q(time_us, kMicroseconds, stream_->time_base) +
                         container_start(*format_, stream_->time_base);
  was_sought_ = av_seek_frame(format_.get(), stream_->index, target, AVSEEK_FLAG_BACKWARD) >= 0;
  return was_sought_;
}

std::optional<int64_t> VideoDecoder::duration_us() const {
  if (stream_->duration != AV_NOPTS_VALUE && stream_->duration > 0) {
    const int64_t start = stream_->start_time == AV_NOPTS_VALUE
                              ? 0
                              : stream_->start_time - container_start(*format_, stream_->time_base);
    return av_rescale_q(start + stream_->duration, stream_->time_base, kMicroseconds);
  }
  if (format_->duration == AV_NOPTS_VALUE || format_->duration <= 0) return std::nullopt;
  if (format_->duration_estimation_method == AVFMT_DURATION_FROM_BITRATE) return std::nullopt;
  return av_rescale_q(format_->duration, AV_TIME_BASE_Q, kMicroseconds);
}

std::optional<FrameCount> VideoDecoder::count_frames(int64_t from_us, std::optional<int64_t> to_us) const {
  if (is_mov_ && promised_packets_ > 0 && !(stream_->duration == AV_NOPTS_VALUE)) {
    const int64_t offset = container_start(*format_, stream_->time_base);
    int64_t count = 0;
    for (int64_t i = 0; i < promised_packets_; ++i) {
      const AVIndexEntry* entry = avformat_index_get_entry(stream_, static_cast<int>(i));
      if (!entry || entry->flags & AVINDEX_DISCARD_FRAME) continue;
      const int64_t time_us = av_rescale_q(entry->timestamp - offset, stream_->time_base, kMicroseconds);
      if ((from_us <= 0 || time_us >= from_us) && (!to_us || time_us < *to_us)) ++count;
    }
    return FrameCount{count, /*is_exact=*/true};
  }
  const std::optional<int64_t> duration = duration_us();
  const AVRational rate = stream_->avg_frame_rate;
  if (!duration || rate.num <= 0 || rate.den <= 0) return std::nullopt;
  const int64_t end = to_us ? std::min(*to_us, *duration) : *duration;
  const int64_t estimate = av_rescale(end - from_us, rate.num, int64_t{rate.den} * 1000000);
  return FrameCount{std::max<int64_t>(0, estimate), /*is_exact=*/false};
}

AvFramePtr VideoDecoder::read() {
  AvFramePtr frame = make_frame();
  while (true) {
    const int result = avcodec_receive_frame(codec_.get(), frame.get());
    if (result == AVERROR(EAGAIN)) {
      send_packet();
    } else if (result == AVERROR_EOF) {
      if (guard_.is_interrupted()) return nullptr;
      if (is_live_) throw_lost();
      if (!damage().empty()) throw_damage(damage());
      check_promises();
      return nullptr;
    } else if (result < 0) {
      if (refusal_.empty()) refusal_ = av_error_text(result);
    } else {
      // A stream that is entered in its middle may lose or break pictures until its first key frame.
      if (num_pictures_ == 0 && (was_sought_ || is_live_ || !starts_with_key_)) {
        if (is_corrupt(*frame)) continue;
        pending_.erase(pending_.begin(), pending_.lower_bound(frame->pts));
        decoder_log_.clear();
        refusal_.clear();
      }
      if (!is_live_) note_picture(*frame);
      frame->pts = picture_time(*frame);
      // What was read just before the damage came to light is trusted only if it follows without a gap.
      const bool has_gap = num_pictures_ > 0 && frame->pts > next_pts_ + picture_duration(*frame) / 2;
      if (!is_live_ && has_gap && !damage().empty()) throw_damage(damage());
      next_pts_ = frame->pts + picture_duration(*frame);
      ++num_pictures_;
      return hardware_.download(std::move(frame), url_);
    }
  }
}

/// In ticks of the stream; of an average picture where the packet does not tell.
int64_t VideoDecoder::picture_duration(const AVFrame& frame) const {
#if LIBAVUTIL_VERSION_MAJOR >= 58
  if (frame.duration > 0) return frame.duration;
#else
  if (frame.pkt_duration > 0) return frame.pkt_duration;
#endif
  const AVRational rate = stream_->avg_frame_rate.num > 0 ? stream_->avg_frame_rate : stream_->r_frame_rate;
  const AVRational duration = rate.num > 0 && rate.den > 0 ? av_inv_q(rate) : AVRational{1, 25};
  return std::max<int64_t>(av_rescale_q(1, duration, stream_->time_base), 1);
}

/// Gives the decoder the next packet of the stream, or tells it that there are no more.
void VideoDecoder::send_packet() {
  if (is_draining_) is_live_ ? throw_lost() : throw_damage("the decoder asks for more than there is");
  if (!read_packet()) {
    is_draining_ = true;
    avcodec_send_packet(codec_.get(), nullptr);
    return;
  }
  const int result = avcodec_send_packet(codec_.get(), packet_.get());
  if (result < 0 && result != AVERROR(EAGAIN) && refusal_.empty()) refusal_ = av_error_text(result);
  av_packet_unref(packet_.get());
}

/// Next packet of the video stream into packet_. False at the end, which damage brings about too.
bool VideoDecoder::read_packet() {
  LogWatch watch(format_.get());
  guard_.start_waiting();
  while (true) {
    av_packet_unref(packet_.get());
    const int result = av_read_frame(format_.get(), packet_.get());
    if (result == AVERROR(EAGAIN)) continue;
    if (result < 0 && result != AVERROR_EOF) damage_ = av_error_text(result);
    if (result == AVERROR_EOF && format_->pb && format_->pb->error < 0 && format_->pb->error != AVERROR_EOF) {
      damage_ = av_error_text(format_->pb->error);
    }
    // Matroska skips damage on its own and only the message tells.
    if (damage_.empty() && is_matroska_ && !is_live_) damage_ = watch.first_error();
    if (!damage_.empty() || result < 0) return false;
    if (packet_->stream_index == stream_->index && (packet_->flags & AV_PKT_FLAG_CORRUPT) &&
        num_pictures_ > 0 && !is_live_) {
      damage_ = "a packet is incomplete";
      return false;
    }
    note_packet(*packet_);
    if (packet_->stream_index == stream_->index) return true;
  }
}

void VideoDecoder::note_packet(const AVPacket& packet) {
  const AVRational time_base = format_->streams[packet.stream_index]->time_base;
  const int64_t time = packet.pts != AV_NOPTS_VALUE ? packet.pts : packet.dts;
  if (time != AV_NOPTS_VALUE) {
    const int64_t end = time + packet.duration - container_start(*format_, time_base);
    last_end_us_ = std::max(last_end_us_, av_rescale_q(end, time_base, kMicroseconds));
  }
  if (packet.stream_index != stream_->index) return;
  if (num_packets_++ == 0) starts_with_key_ = packet.flags & AV_PKT_FLAG_KEY;
  if (is_live_) return;  // nothing is promised
  if (packet.pts == AV_NOPTS_VALUE || packet.pts != packet.dts) has_true_times_ = true;
  if (packet.pts != AV_NOPTS_VALUE && !(packet.flags & AV_PKT_FLAG_DISCARD)) pending_.insert(packet.pts);
}

/// Throws when the picture is damaged, or when one before it was lost.
void VideoDecoder::note_picture(const AVFrame& frame) {
  if (is_corrupt(frame)) throw_damage(decoder_error().empty() ? "a picture is damaged" : decoder_error());
  if (frame.pts == AV_NOPTS_VALUE || has_decoding_times()) return;
  if (const auto own = pending_.find(frame.pts); own != pending_.end()) pending_.erase(own);
  while (!pending_.empty() && *pending_.begin() < frame.pts) {
    pending_.erase(pending_.begin());
    ++num_lost_;
  }
  if (num_lost_ > 0 && !decoder_error().empty()) throw_damage(decoder_error());
}

/// Why the stream is not whole, as far as it was read; empty when it is.
const std::string& VideoDecoder::damage() const { return damage_.empty() ? complaint_ : damage_; }

/// What the decoder first complained about; empty when it did not.
std::string VideoDecoder::decoder_error() const {
  const std::string message = decoder_log_.first_error();
  return message.empty() ? refusal_ : message;
}

/// Some files give each packet the time of its decoding although pictures are shown in another order.
bool VideoDecoder::has_decoding_times() const { return !has_true_times_ && codec_->has_b_frames > 0; }

int64_t VideoDecoder::picture_time(const AVFrame& frame) {
  int64_t time = frame.best_effort_timestamp;
  if (has_decoding_times() && !pending_.empty()) {  // the k-th picture shown has the k-th smallest time
    time = *pending_.begin();
    pending_.erase(pending_.begin());
  }
  if (time == AV_NOPTS_VALUE) return time;
  return time - container_start(*format_, stream_->time_base);
}

/// At the end of the file: throws when less was found than the container promised.
void VideoDecoder::check_promises() const {
  const bool is_short = is_mov_ && !was_sought_ && num_packets_ < promised_packets_;
  if (is_short) {
    throw_damage("the file ends after " + std::to_string(num_packets_) + " of " +
                 std::to_string(promised_packets_) + " packets");
  }
  if ((num_lost_ > 0 || !pending_.empty()) && !decoder_error().empty()) throw_damage(decoder_error());
  const std::optional<int64_t> promised = is_mov_ ? duration_us() : std::optional<int64_t>();
  const bool has_total = format_->duration != AV_NOPTS_VALUE && format_->duration > 0 &&
                         format_->duration_estimation_method == AVFMT_DURATION_FROM_STREAM;
  const int64_t expected_us = promised ? *promised : has_total ? format_->duration : 0;
  const AvFramePtr average = make_frame();
  const int64_t frame_us = av_rescale_q(picture_duration(*average), stream_->time_base, kMicroseconds);
  const int64_t tolerance_us = std::max({int64_t{250000}, expected_us / 100, 3 * frame_us});
  if (last_end_us_ + tolerance_us < expected_us) {
    throw_damage("the file ends at " + std::to_string(last_end_us_ / 1000) + " of " +
                 std::to_string(expected_us / 1000) + " ms");
  }
}

/// A live stream has come to its end.
void VideoDecoder::throw_lost() const {
  std::string reason = guard_.reason();
  if (reason.empty()) reason = damage_.empty() ? "the stream ended" : damage_;
  throw MediaError(url_ + ": " + reason);
}

void VideoDecoder::throw_damage(const std::string& reason) const {
  const bool is_seekable = format_->pb && (format_->pb->seekable & AVIO_SEEKABLE_NORMAL);
  if (is_mov_ && num_packets_ == 0 && !is_seekable) {
    throw MediaError(
        url_ +
        ": expected an MP4 whose index comes first (ffmpeg -movflags faststart), or a source that can be "
        "read from any place, found an index behind the pictures");
  }
  std::string message = url_ + ": damaged or truncated";
  message +=
      num_pictures_ > 0 ? " after frame " + std::to_string(num_pictures_ - 1) : " before the first frame";
  if (expected_frames_) message += " (expected about " + std::to_string(*expected_frames_) + " frames)";
  throw MediaError(message + ": " + reason);
}

}  // namespace hqtrack
