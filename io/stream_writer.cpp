#include "io/stream_writer.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <system_error>
#include <utility>

#include "core/error.h"
#include "io/network_url.h"
#include "io/output_file.h"

namespace hqtrack {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kTimeout_us = 5'000'000;  // for connecting, and for each packet

bool is_hls(const std::string& target) { return target.ends_with(".m3u8"); }

std::string scheme_of(const std::string& target) { return target.substr(0, target.find("://")); }

const char* container_of(const std::string& target) {
  if (is_hls(target)) return "hls";
  const std::string scheme = scheme_of(target);
  if (scheme == "rtsp" || scheme == "rtsps") return "rtsp";
  if (scheme == "rtmp" || scheme == "rtmps") return "flv";
  return "mpegts";
}

/// Above those of all segments that lie beside a playlist: NAME12.ts.
int64_t next_segment_number(const fs::path& playlist) {
  const std::string name = playlist.stem().string();
  int64_t next = 0;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(fs::absolute(playlist).parent_path(), ignored)) {
    const std::string stem = entry.path().stem().string();
    if (entry.path().extension() != ".ts" || !stem.starts_with(name)) continue;
    int64_t number = -1;
    const char* const end = stem.data() + stem.size();
    const auto [rest, code] = std::from_chars(stem.data() + name.size(), end, number);
    if (code == std::errc() && rest == end) next = std::max(next, number + 1);
  }
  return next;
}

bool is_playlist(const fs::path& file) {
  std::ifstream stream(file);
  std::string line;
  return std::getline(stream, line) && line.starts_with("#EXTM3U");
}

/// Of container and protocol; names that neither has are left alone by FFmpeg.
AVDictionary* options_of(const std::string& target, ExistingOutput existing) {
  AVDictionary* options = nullptr;
  if (is_hls(target)) {
    av_dict_set(&options, "hls_time", "1", 0);
    av_dict_set(&options, "hls_list_size", "6", 0);
    std::string flags = "delete_segments+independent_segments+program_date_time+temp_file";
    if (existing == ExistingOutput::kAppend) {
      // Segments are counted on by the playlist; without one, no segment that is there is replaced.
      flags += "+append_list+omit_endlist";
      if (!is_playlist(target)) av_dict_set_int(&options, "start_number", next_segment_number(target), 0);
    }
    av_dict_set(&options, "hls_flags", flags.c_str(), 0);
  }
  if (target.starts_with("rtsp")) av_dict_set(&options, "rtsp_transport", "tcp", 0);
  if (target.starts_with("udp") && target.find("pkt_size") == std::string::npos) {
    av_dict_set(&options, "pkt_size", "1316", 0);  // seven packets of MPEG-TS: below any MTU
  }
  return options;
}

}  // namespace

bool is_stream_output(const std::string& target) {
  return target == "-" || is_hls(target) || target.find("://") != std::string::npos;
}

StreamWriter::StreamWriter(const std::string& target, const VideoInfo& source, const OverlayConfig& overlay,
                           const EncodeConfig& encode, std::shared_ptr<StreamEvents> events,
                           ExistingOutput existing)
    : target_(target),
      shown_target_(target == "-" ? "standard output" : without_credentials(target)),
      existing_(existing),
      source_(source),
      encode_(encode),
      overlay_(overlay),
      guard_({}, kTimeout_us) {
  route_ffmpeg_log();
  // Who closes the other end of standard output wants an end; a file that is tracked can wait for room.
  if (target != "-" && (events || !is_hls(target))) retry_.emplace(shown_target_, std::move(events));
  open();
}

StreamWriter::~StreamWriter() = default;

void StreamWriter::open() {
  if (is_hls(target_)) const OutputFile trial(target_);  // FFmpeg opens nothing before the first segment ends
  AVFormatContext* raw = nullptr;
  const std::string address = target_ == "-"    ? "pipe:1"
                              : is_hls(target_) ? fs::absolute(target_).string()
                                                : target_;
  check(avformat_alloc_output_context2(&raw, nullptr, container_of(target_), address.c_str()));
  AvOutputPtr format(raw);
  encoder_ = std::make_unique<VideoEncoder>(shown_target_, *raw->oformat, source_, encode_,
                                            VideoEncoder::Use::kStream);
  if (is_hls(target_)) files_.watch(*raw);
  raw->interrupt_callback = guard_.callback();
  raw->flags |= AVFMT_FLAG_FLUSH_PACKETS;
  raw->max_delay = 0;
  stream_ = avformat_new_stream(raw, nullptr);
  if (!stream_) throw std::bad_alloc();
  check(avcodec_parameters_from_context(stream_->codecpar, &encoder_->codec()));
  stream_->time_base = encoder_->time_base();
  stream_->avg_frame_rate = encoder_->codec().framerate;
  AVDictionary* options = options_of(target_, existing_);
  guard_.start_waiting();
  LogWatch watch;
  int result = 0;
  if (!(raw->oformat->flags & AVFMT_NOFILE)) {
    result = avio_open2(&raw->pb, address.c_str(), AVIO_FLAG_WRITE, &raw->interrupt_callback, &options);
  }
  if (result >= 0) result = avformat_write_header(raw, &options);
  av_dict_free(&options);
  if (result < 0) {
    throw OutputError(shown_target_ + ": cannot be opened: " +
                      watch.explain(guard_.has_timed_out() ? "no answer" : av_error_text(result)));
  }
  format_ = std::move(format);
  has_written_ = false;
  existing_ = ExistingOutput::kAppend;  // when it is opened anew
}

void StreamWriter::write(const TrackedFrame& frame) {
  attempt(
      retry_, frame.frame.pts_us, [&] { return write_now(frame); }, [&] { format_.reset(); });
}

/// Whether something has gone out since it was opened.
bool StreamWriter::write_now(const TrackedFrame& frame) {
  if (!format_) open();
  const AVRational time_base = encoder_->time_base();
  last_pts_ = std::max(last_pts_ + 1, av_rescale_q(frame.frame.pts_us, kMicroseconds, time_base));
  std::vector<AvPacketPtr> packets;
  encoder_->encode(overlay_.draw(frame), last_pts_, 0, packets);
  for (const AvPacketPtr& packet : packets) {
    av_packet_rescale_ts(packet.get(), time_base, stream_->time_base);
    packet->stream_index = stream_->index;
    guard_.start_waiting();
    check(av_write_frame(format_.get(), packet.get()));
    check(files_.error());
    has_written_ = !is_hls(target_) || files_.num_complete() > 0;
  }
  return has_written_;
}

void StreamWriter::finish() {
  if (!format_) return;
  guard_.start_waiting();
  const int result = av_write_trailer(format_.get());
  format_.reset();
  check(result);
  check(files_.error());
}

void StreamWriter::check(int result) const {
  if (result < 0) {
    throw OutputError(shown_target_ + ": cannot be written: " +
                      (guard_.has_timed_out() ? "nobody takes it" : av_error_text(result)));
  }
}

std::unique_ptr<FrameSink> open_stream_sink(const std::string& target, const VideoInfo& source,
                                            const OverlayConfig& overlay, const EncodeConfig& encode,
                                            std::shared_ptr<StreamEvents> events, ExistingOutput existing) {
  return std::make_unique<StreamWriter>(target, source, overlay, encode, std::move(events), existing);
}

}  // namespace hqtrack
