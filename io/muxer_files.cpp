#include "io/muxer_files.h"

namespace hqtrack {

void MuxerFiles::watch(AVFormatContext& format) {
  open_ = format.io_open;
  close_ = format.io_close2;
  error_ = 0;
  num_complete_ = 0;
  format.opaque = this;
  format.io_open = open;
  format.io_close2 = close;
}

int MuxerFiles::open(AVFormatContext* format, AVIOContext** file, const char* url, int flags,
                     AVDictionary** options) {
  auto& self = *static_cast<MuxerFiles*>(format->opaque);
  return self.note(self.open_(format, file, url, flags, options));
}

int MuxerFiles::close(AVFormatContext* format, AVIOContext* file) {
  auto& self = *static_cast<MuxerFiles*>(format->opaque);
  const int result = self.note(self.close_(format, file));
  if (result >= 0) ++self.num_complete_;
  return result;
}

int MuxerFiles::note(int result) {
  if (result < 0 && error_ == 0) error_ = result;
  return result;
}

}  // namespace hqtrack
