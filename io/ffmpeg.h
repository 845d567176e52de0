#pragma once

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavcodec/bsf.h>
#include <libavfilter/avfilter.h>
#include <libavformat/avformat.h>
#include <libavutil/audio_fifo.h>
#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <libswresample/swresample.h>
#include <libswscale/swscale.h>
}

#include <chrono>
#include <cstdarg>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <utility>

namespace hqtrack {

/// What is shared by all files that call FFmpeg. Its types and codes never leave io/.
struct AvDelete {
  void operator()(AVPacket* packet) const { av_packet_free(&packet); }
  void operator()(AVFrame* frame) const { av_frame_free(&frame); }
  void operator()(AVCodecContext* codec) const { avcodec_free_context(&codec); }
  void operator()(AVFilterGraph* graph) const { avfilter_graph_free(&graph); }
  void operator()(SwsContext* scaler) const { sws_freeContext(scaler); }
  void operator()(SwrContext* resampler) const { swr_free(&resampler); }
  void operator()(AVAudioFifo* fifo) const { av_audio_fifo_free(fifo); }
  void operator()(AVBSFContext* filter) const { av_bsf_free(&filter); }
};
/// Deletes a context made by `open_input`.
struct AvCloseInput {
  void operator()(AVFormatContext* format) const;
};
/// Deletes a context made with avformat_alloc_output_context2 and closes its file. Writes no trailer.
struct AvCloseOutput {
  void operator()(AVFormatContext* format) const;
};

using AvPacketPtr = std::unique_ptr<AVPacket, AvDelete>;
using AvFramePtr = std::unique_ptr<AVFrame, AvDelete>;
using AvCodecPtr = std::unique_ptr<AVCodecContext, AvDelete>;
using AvFilterGraphPtr = std::unique_ptr<AVFilterGraph, AvDelete>;
using AvScalerPtr = std::unique_ptr<SwsContext, AvDelete>;
using AvResamplerPtr = std::unique_ptr<SwrContext, AvDelete>;
using AvPacketFilterPtr = std::unique_ptr<AVBSFContext, AvDelete>;
using AvAudioFifoPtr = std::unique_ptr<AVAudioFifo, AvDelete>;
using AvInputPtr = std::unique_ptr<AVFormatContext, AvCloseInput>;
using AvOutputPtr = std::unique_ptr<AVFormatContext, AvCloseOutput>;

/// Fresh packet or frame. Throws std::bad_alloc.
AvPacketPtr make_packet();
AvFramePtr make_frame();

/// FFmpeg's words for one of its error codes.
std::string av_error_text(int code);

/// Microseconds as a time base.
inline constexpr AVRational kMicroseconds = {1, 1000000};

/// Ends what waits for the other side: when it is interrupted, or when nothing moved for too long. FFmpeg
/// asks it in all protocols, where timeouts of their own some have and some have not.
class WaitGuard {
 public:
  /// timeout_us: 0 waits for ever.
  explicit WaitGuard(std::stop_token interrupted = {}, int64_t timeout_us = 0)
      : interrupted_(std::move(interrupted)), timeout_us_(timeout_us) {}

  /// From now on something is waited for.
  void start_waiting() { since_ = Clock::now(); }
  bool is_interrupted() const { return interrupted_.stop_requested(); }
  bool has_timed_out() const;
  /// "no data for 5 s", where that is why it ended.
  std::string reason() const;
  /// For FFmpeg; borrows the guard.
  AVIOInterruptCB callback();

 private:
  using Clock = std::chrono::steady_clock;
  std::stop_token interrupted_;
  int64_t timeout_us_;
  Clock::time_point since_ = Clock::now();
};

/// How an input is opened.
struct InputOptions {
  WaitGuard* guard = nullptr;        // borrowed while the input lives
  std::string rtsp_transport = {};   // tcp or udp; empty: FFmpeg's choice
  std::string* complaint = nullptr;  // gets what the format first said against its headers
};

/// Opens an input and reads its stream headers; that reads some packets ahead. Throws MediaError: "URL:
/// cannot be opened: ...", without credentials.
AvInputPtr open_input(const std::string& url, const InputOptions& options = {});

/// Keeps the first error-level message of one decoder, whichever of the decoder's threads writes it: with
/// several threads that is all FFmpeg tells of a picture it had to drop.
class DecoderLog {
 public:
  /// Without line break; empty when there was none.
  std::string first_error() const;
  void clear();

 private:
  friend void receive_ffmpeg_log(void* context, int level, const char* format, va_list arguments);
  mutable std::mutex mutex_;
  std::string first_error_;
};

class HardwareDecoder;

/// A decoder that is ready for packets of this stream. threads: 0 = as many as the machine has cores. `log`,
/// if any, hears the decoder's messages and has to outlive it; `hardware`, if any, decodes where it can.
/// Throws MediaError naming `url` when FFmpeg has no decoder for it.
AvCodecPtr open_decoder(const std::string& url, const AVStream& stream, int threads,
                        DecoderLog* log = nullptr, const HardwareDecoder* hardware = nullptr);

/// Time in `time_base` that counts as 0: the first packet of the container, where sound before 0 does not
/// count, which is there for the decoder to warm up on.
int64_t container_start(const AVFormatContext& format, AVRational time_base);

/// Colour matrix of a picture whose stream does not name one: BT.709 for high definition, else BT.601, as
/// players guess.
AVColorSpace guess_colour_matrix(int64_t width, int64_t height);

/// Sends FFmpeg's messages to the log at debug level. Called by whatever opens something; cheap after the
/// first time.
void route_ffmpeg_log();

/// While it lives, keeps the first error-level message that `owner` (a format or codec context), or any
/// context when it is null, writes on this thread: FFmpeg tells some damage, and the reasons of some
/// failures, in no other way.
class LogWatch {
 public:
  explicit LogWatch(const void* owner = nullptr);
  ~LogWatch();
  LogWatch(const LogWatch&) = delete;
  LogWatch& operator=(const LogWatch&) = delete;

  /// Without line break; empty when there was none.
  const std::string& first_error() const { return first_error_; }
  void clear() { first_error_.clear(); }
  /// "REASON (first error)"; the error is left out where it says the reason itself.
  std::string explain(const std::string& reason) const;

 private:
  friend void receive_ffmpeg_log(void* context, int level, const char* format, va_list arguments);
  const void* owner_;
  LogWatch* outer_;  // watches of one thread form a stack
  std::string first_error_;
};

}  // namespace hqtrack
