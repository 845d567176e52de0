#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/config.h"
#include "io/ffmpeg.h"
#include "io/frame_source.h"

namespace hqtrack {

/// RGB pictures in, packets out. Where the encoder halves chroma, an odd width or height grows by one: the
/// last column or row is repeated. BT.709 for high definition and BT.601 below, limited range (full where the
/// format is), tagged so. Used by one thread.
class VideoEncoder {
 public:
  enum class Use {
    kFile,
    kStream  // every packet comes out at once, a key frame each second lets viewers in
  };
  /// file: named in errors. Throws OutputError: no such encoder (naming those there are), one the container
  /// cannot hold, or options it refuses.
  VideoEncoder(const std::string& file, const AVOutputFormat& container, const VideoInfo& source,
               const EncodeConfig& config, Use use = Use::kFile);

  const AVCodecContext& codec() const { return *codec_; }

  /// Unit of times of pictures and packets: the source's own, made finer where that is coarse.
  AVRational time_base() const { return codec_->time_base; }

  /// image: uint8 RGB [H, W, 3] of the source's size. pts grows. Appends the packets that are ready, each
  /// with the duration of its picture. Throws OutputError.
  void encode(const at::Tensor& image, int64_t pts, int64_t duration, std::vector<AvPacketPtr>& packets);
  /// Appends what the encoder still holds.
  void finish(std::vector<AvPacketPtr>& packets);

 private:
  void prepare(const AVCodec& encoder, const AVOutputFormat& container, const VideoInfo& source,
               const EncodeConfig& config);
  void open(const AVCodec& encoder, const EncodeConfig& config);
  void fill(const at::Tensor& image);
  void receive(std::vector<AvPacketPtr>& packets);
  [[noreturn]] void fail(int code) const;

  std::string file_;
  int64_t height_, width_;  // of the images
  Use use_;
  std::optional<int64_t> last_key_;  // its time; of a stream
  AvCodecPtr codec_;
  AvScalerPtr scaler_;
  AvFramePtr frame_;
  AvFramePtr padded_;                     // RGB of the encoder's size
  std::map<int64_t, int64_t> durations_;  // by pts, of pictures whose packet is not out yet
};

/// Time base 1/N that holds the source's ticks exactly (times in whole microseconds where those are finer
/// than 1/finest), and is fine enough for times that were repaired.
AVRational output_time_base(const VideoInfo& source, int64_t finest = 1000000);

}  // namespace hqtrack
