#include "io/video_writer.h"

#include <algorithm>
#include <cctype>
#include <string>
#include <utility>

#include "core/error.h"
#include "core/log.h"
#include "core/profile.h"
#include "io/remux.h"

namespace hqtrack {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kPromptsShown_us = 1'000'000;

std::string container_of(const fs::path& file) {
  std::string extension = file.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  if (extension == ".mp4" || extension == ".m4v") return "mp4";
  if (extension == ".mov") return "mov";
  if (extension == ".mkv") return "matroska";
  if (extension == ".webm") return "webm";
  throw OutputError(file.string() + ": expected the extension .mp4, .mov, .mkv or .webm, found '" +
                    extension + "'");
}

bool is_fragmented(const AVOutputFormat& container) {
  const std::string name = container.name;
  return name == "mp4" || name == "mov";
}

}  // namespace

void check_video_output(const fs::path& file) { container_of(file); }

VideoWriter::VideoWriter(const fs::path& file, const VideoInfo& source, const OverlayConfig& overlay,
                         const EncodeConfig& encode)
    : source_(source), output_(file, OutputFile::WhenDropped::kKeep), overlay_(overlay) {
  route_ffmpeg_log();
  const std::string container = container_of(file);
  AVFormatContext* raw = nullptr;
  check(avformat_alloc_output_context2(&raw, nullptr, container.c_str(), output_.temporary_path().c_str()));
  format_.reset(raw);
  encoder_ = std::make_unique<VideoEncoder>(file.string(), *format_->oformat, source, encode);
  open();
}

VideoWriter::~VideoWriter() {
  if (!has_frames_) remove();
}

void VideoWriter::remove() {
  format_.reset();
  std::error_code ignored;
  fs::remove(output_.temporary_path(), ignored);
}

void VideoWriter::open() {
  const AVCodecContext& codec = encoder_->codec();
  stream_ = avformat_new_stream(format_.get(), nullptr);
  if (!stream_) throw std::bad_alloc();
  check(avcodec_parameters_from_context(stream_->codecpar, &codec));
  // The tag that players of Apple's know; the encoder's headers are global.
  if (codec.codec_id == AV_CODEC_ID_HEVC && is_fragmented(*format_->oformat)) {
    stream_->codecpar->codec_tag = MKTAG('h', 'v', 'c', '1');
  }
  stream_->time_base = codec.time_base;
  stream_->avg_frame_rate = codec.framerate;
  stream_->sample_aspect_ratio = codec.sample_aspect_ratio;
  audio_ = AudioTrack::open(source_, *format_);

  const std::string address = "file:" + output_.temporary_path().string();
  if (const int result = avio_open(&format_->pb, address.c_str(), AVIO_FLAG_WRITE); result < 0) {
    throw OutputError(output_.final_path().string() + ": cannot be created: " + av_error_text(result));
  }
  AVDictionary* options = nullptr;
  if (is_fragmented(*format_->oformat)) {
    // The header waits for the first fragment, so that it can tell where picture and sound begin.
    // Short fragments: what is written is playable, however the program ends.
    av_dict_set(&options, "movflags", "empty_moov+delay_moov+default_base_moof", 0);
    av_dict_set(&options, "frag_duration", "500000", 0);  // µs
  } else {
    av_dict_set(&options, "cluster_time_limit", "500", 0);
    // Sound that an encoder puts before 0 has a field of its own there, and need not move the picture.
    format_->avoid_negative_ts = AVFMT_AVOID_NEG_TS_DISABLED;
  }
  format_->flush_packets = 1;
  const int result = avformat_write_header(format_.get(), &options);
  av_dict_free(&options);
  check(result);
  header_bytes_ = avio_tell(format_->pb);
}

bool VideoWriter::has_written() const { return avio_tell(format_->pb) > header_bytes_; }

TrackedFrame VideoWriter::with_recent_prompts(TrackedFrame frame) {
  const int64_t now_us = frame.frame.pts_us;
  std::erase_if(recent_prompts_,
                [&](const auto& recent) { return now_us >= recent.first + kPromptsShown_us; });
  for (const ObjectPrompt& prompt : frame.prompts) recent_prompts_.emplace_back(now_us, prompt);
  frame.prompts.clear();
  for (const auto& [time_us, prompt] : recent_prompts_) {
    const bool is_there =
        std::ranges::find(frame.objects, prompt.id, &TrackedObject::id) != frame.objects.end();
    if (is_there) frame.prompts.push_back(prompt);
  }
  return frame;
}

void VideoWriter::write(const TrackedFrame& frame) {
  const AVRational time_base = encoder_->time_base();
  int64_t pts = av_rescale_q(frame.frame.pts_us, kMicroseconds, time_base) -
                av_rescale_q(source_.start_us, kMicroseconds, time_base);
  at::Tensor image;
  {
    const StageTimer timer(Stage::kOverlay);
    image = overlay_.draw(with_recent_prompts(frame));
  }
  if (pending_) {
    pts = std::max(pts, pending_->pts + 1);
    encode_pending(pts - pending_->pts);
  }
  pending_ = Pending{.image = std::move(image), .pts = pts};
  has_frames_ = true;
}

void VideoWriter::encode_pending(int64_t duration) {
  const StageTimer timer(Stage::kEncode);
  last_duration_ = duration;
  std::vector<AvPacketPtr> packets;
  encoder_->encode(pending_->image, pending_->pts, duration, packets);
  write_packets(std::move(packets));
}

void VideoWriter::write_packets(std::vector<AvPacketPtr> packets) {
  const AVRational time_base = encoder_->time_base();
  for (AvPacketPtr& packet : packets) {
    if (audio_) check(audio_->write_until(av_rescale_q(packet->dts, time_base, kMicroseconds)));
    av_packet_rescale_ts(packet.get(), time_base, stream_->time_base);
    packet->stream_index = stream_->index;
    check(av_interleaved_write_frame(format_.get(), packet.get()));
  }
}

void VideoWriter::finish() {
  if (!has_frames_) {
    remove();
    log_warning(output_.final_path().string() + ": no frame was tracked, so no video is written");
    return;
  }
  // The last frame has no successor: it lasts as long as the source's rate says, else as its predecessor.
  const AVRational rate = encoder_->codec().framerate, time_base = encoder_->time_base();
  int64_t duration = rate.num > 0 ? av_rescale_q(1, av_inv_q(rate), time_base) : last_duration_;
  if (duration <= 0) duration = av_rescale_q(40000, kMicroseconds, time_base);
  const int64_t end_us = av_rescale_q(pending_->pts + duration, time_base, kMicroseconds);
  encode_pending(duration);
  pending_.reset();
  std::vector<AvPacketPtr> packets;
  encoder_->finish(packets);
  write_packets(std::move(packets));
  if (audio_) check(audio_->finish(end_us));
  close();
}

void VideoWriter::close() {
  check(av_write_trailer(format_.get()));
  const bool was_fragmented = is_fragmented(*format_->oformat);
  const std::string container = format_->oformat->name;
  check(avio_closep(&format_->pb));
  format_.reset();
  if (was_fragmented) {
    // A second temporary file beside the first; where there is no room for it, fragments are a valid file
    // too.
    OutputFile whole(output_.temporary_path());
    try {
      remux(output_.temporary_path(), whole.temporary_path(), container);
      whole.commit();
    } catch (const OutputError& error) {
      log_warning(output_.final_path().string() + ": is left fragmented: " + error.what());
    }
  }
  output_.commit();
}

void VideoWriter::check(int result) const {
  if (result < 0)
    throw OutputError(output_.final_path().string() + ": cannot be written: " + av_error_text(result));
}

std::unique_ptr<FrameSink> open_video_sink(const fs::path& file, const VideoInfo& source,
                                           const OverlayConfig& overlay, const EncodeConfig& encode) {
  return std::make_unique<VideoWriter>(file, source, overlay, encode);
}

}  // namespace hqtrack
