#pragma once

#include <cstdint>

#include "io/ffmpeg.h"

namespace hqtrack {

/// Watches the files that a muxer opens by itself. The one of HLS opens one for each segment and keeps it to
/// itself when that cannot be written.
class MuxerFiles {
 public:
  /// format: not opened so far; borrows the object.
  void watch(AVFormatContext& format);

  /// FFmpeg's code for the first file that could not be opened or written; 0 while there is none.
  int error() const { return error_; }
  /// How many are complete.
  int64_t num_complete() const { return num_complete_; }

 private:
  static int open(AVFormatContext* format, AVIOContext** file, const char* url, int flags,
                  AVDictionary** options);
  static int close(AVFormatContext* format, AVIOContext* file);
  int note(int result);

  decltype(AVFormatContext::io_open) open_ = nullptr;  // FFmpeg's own
  decltype(AVFormatContext::io_close2) close_ = nullptr;
  int error_ = 0;
  int64_t num_complete_ = 0;
};

}  // namespace hqtrack
