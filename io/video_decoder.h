#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "io/ffmpeg.h"
#include "io/frame_source.h"
#include "io/hardware_decoder.h"

namespace hqtrack {

struct FrameCount {
  int64_t frames = 0;
  bool is_exact = false;  // else an estimate from duration and rate
};

/// Decoded pictures of the first video stream of a file, URL or pipe, in display order, and the judgement
/// whether the stream is whole. Damage is told from what the decoder says of a picture, from packets that
/// never became one, and from the number of frames or the duration that the container promised; a decoder
/// that complains and still gives every picture is believed. Used by one thread.
class VideoDecoder {
 public:
  /// Opens the stream. Throws MediaError: not there, no video in it, no decoder. A stop of
  /// `config.interrupted` ends the stream where it is. A live stream may be entered anywhere, and damage in
  /// it is no reason to stop: FFmpeg's best guess of a picture is given, and only a lost connection is an
  /// error.
  explicit VideoDecoder(const std::string& url, const SourceConfig& config = {});

  /// Goes to the key frame at or before `time_us` (from the start of the video). False when the input cannot
  /// seek. Only before the first `read`.
  bool seek(int64_t time_us);

  /// Next picture, null at the end of a whole stream; `pts` is its time in `stream().time_base`, counted from
  /// the start of the container, or AV_NOPTS_VALUE. Throws MediaError at damage, after every picture before
  /// it was given.
  AvFramePtr read();

  const AVFormatContext& format() const { return *format_; }
  const AVStream& stream() const { return *stream_; }
  /// Pixel format and coded size of the stream are known once a picture was read.
  const AVCodecContext& codec() const { return *codec_; }
  bool has_audio() const;
  /// Duration of a picture in ticks of the stream; the average one where the stream does not tell.
  int64_t picture_duration(const AVFrame& frame) const;
  /// Frames of the video shown between two times: counted where the container has an index, else from its
  /// duration and rate; empty when it tells neither.
  std::optional<FrameCount> count_frames(int64_t from_us, std::optional<int64_t> to_us) const;
  /// Duration the container claims; empty when it does not.
  std::optional<int64_t> duration_us() const;
  /// Said in messages about damage.
  void set_expected_frames(std::optional<int64_t> count) { expected_frames_ = count; }

 private:
  void send_packet();
  bool read_packet();
  void note_packet(const AVPacket& packet);
  void note_picture(const AVFrame& frame);
  const std::string& damage() const;
  std::string decoder_error() const;
  bool has_decoding_times() const;
  int64_t picture_time(const AVFrame& frame);
  void check_promises() const;
  [[noreturn]] void throw_lost() const;
  [[noreturn]] void throw_damage(const std::string& reason) const;

  std::string url_;  // without credentials
  bool is_live_;
  WaitGuard guard_;
  std::string complaint_;  // of Matroska, when it was opened
  AvInputPtr format_;
  AVStream* stream_ = nullptr;  // owned by format_
  HardwareDecoder hardware_;
  DecoderLog decoder_log_;
  AvCodecPtr codec_;
  AvPacketPtr packet_ = make_packet();

  bool is_mov_ = false;
  bool is_matroska_ = false;
  bool is_draining_ = false;
  bool was_sought_ = false;
  bool starts_with_key_ = true;
  int64_t promised_packets_ = 0;  // of the container's index
  int64_t num_packets_ = 0;       // of the video stream
  int64_t num_pictures_ = 0;
  int64_t next_pts_ = 0;     // end of the last picture
  int64_t last_end_us_ = 0;  // of all streams
  std::optional<int64_t> expected_frames_;

  std::multiset<int64_t> pending_;  // times of packets that have not become a picture yet
  bool has_true_times_ = false;     // some packet is shown later than it is decoded
  int64_t num_lost_ = 0;            // packets that were passed by later pictures
  std::string refusal_;             // code of the first packet the decoder refused, in words
  std::string damage_;              // why reading stopped early
};

}  // namespace hqtrack
