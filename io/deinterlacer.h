#pragma once

#include <deque>
#include <string>
#include <utility>

#include "io/ffmpeg.h"

namespace hqtrack {

bool is_interlaced(const AVFrame& frame);

/// Makes whole pictures of interlaced ones, a picture for a picture with its time. Progressive pictures pass
/// unchanged, and without delay as long as no interlaced one was seen. Used by one thread.
class Deinterlacer {
 public:
  /// `url` is named in errors; time_base of the pictures' pts.
  Deinterlacer(std::string url, AVRational time_base) : url_(std::move(url)), time_base_(time_base) {}

  /// Throws MediaError when FFmpeg's filter cannot be set up.
  void push(AvFramePtr frame);
  /// No more pictures will be pushed: those held back come out.
  void finish();
  /// Next finished picture; null when more input is needed or, after `finish`, when there is none left.
  AvFramePtr pull();

 private:
  void start(const AVFrame& frame);
  void collect();
  void check(int result) const;

  std::string url_;
  AVRational time_base_;
  AvFilterGraphPtr graph_;
  AVFilterContext* input_ = nullptr;   // owned by graph_
  AVFilterContext* output_ = nullptr;  // owned by graph_
  int width_ = 0, height_ = 0, format_ = -1;
  std::deque<AvFramePtr> ready_;
};

}  // namespace hqtrack
