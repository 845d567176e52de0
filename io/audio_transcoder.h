#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "io/ffmpeg.h"

namespace hqtrack {

/// Decodes audio packets and encodes them in another codec. Its output starts at time 0: earlier sound is cut
/// off, gaps become silence. Used by one thread.
class AudioTranscoder {
 public:
  /// Throws Error when the stream cannot be decoded or the encoder cannot be opened.
  AudioTranscoder(const std::string& url, const AVStream& from, const AVCodec& encoder,
                  bool needs_global_header);

  const AVCodecContext& encoder() const { return *encoder_; }

  /// packet: with its pts counted from the output's start, in the stream's time base; null ends the input.
  /// Packets that are ready, times in `encoder().time_base`. Sound from `end_us` on is left out. Undecodable
  /// packets become silence.
  std::vector<AvPacketPtr> convert(const AVPacket* packet, int64_t end_us);

 private:
  void resample(const AVFrame* frame);
  void encode(int64_t end_us, bool is_last, std::vector<AvPacketPtr>& packets);

  AVRational stream_time_base_;
  AvCodecPtr decoder_, encoder_;
  AvResamplerPtr resampler_;
  AvAudioFifoPtr fifo_;
  int64_t num_encoded_ = 0;  // samples
};

}  // namespace hqtrack
