#pragma once

#include <memory>
#include <optional>
#include <string>

#include "io/audio_transcoder.h"
#include "io/ffmpeg.h"
#include "io/frame_source.h"

namespace hqtrack {

/// The audio of a source on its way into an output: copied packet by packet, or re-encoded when the container
/// cannot hold its codec. Reads the source a second time, beside the video. Used by one thread.
class AudioTrack {
 public:
  /// Adds the audio stream to `output`, whose header is not written yet. Null when there is nothing to add;
  /// says why in one warning when there is audio that cannot be kept.
  static std::unique_ptr<AudioTrack> open(const VideoInfo& source, AVFormatContext& output);

  /// Writes what starts before `time_us` of the output. Returns FFmpeg's code of a failed write, else 0.
  /// Audio that cannot be read any more ends with one warning.
  int write_until(int64_t time_us);
  /// As above, and completes an encoder's last packets.
  int finish(int64_t end_us);

 private:
  AudioTrack(const VideoInfo& source, AVFormatContext& output);
  bool read_packet();
  int write(AVPacket& packet, AVRational time_base);
  int write_transcoded(const AVPacket* packet, int64_t end_us);

  std::string url_;
  AVFormatContext& output_;
  AvInputPtr input_;
  AVStream* from_ = nullptr;                     // owned by input_
  AVStream* to_ = nullptr;                       // owned by output_
  std::unique_ptr<AudioTranscoder> transcoder_;  // null: packets are copied
  AvPacketFilterPtr unpacker_;  // takes the headers of AAC of a broadcast stream; null where there are none
  AvPacketPtr packet_ = make_packet();
  bool has_packet_ = false;
  bool is_over_ = false;
  int64_t shift_ = 0;     // subtracted from the source's times, in its time base
  int64_t earliest_ = 0;  // packets before it are left out, after the shift
};

}  // namespace hqtrack
