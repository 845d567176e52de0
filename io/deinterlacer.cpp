#include "io/deinterlacer.h"

extern "C" {
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
}

#include <string>

#include "core/error.h"

namespace hqtrack {

bool is_interlaced(const AVFrame& frame) {
#ifdef AV_FRAME_FLAG_INTERLACED
  return frame.flags & AV_FRAME_FLAG_INTERLACED;
#else
  return frame.interlaced_frame;
#endif
}

void Deinterlacer::check(int result) const {
  if (result < 0) throw MediaError(url_ + ": deinterlacing failed: " + av_error_text(result));
}

void Deinterlacer::start(const AVFrame& frame) {
  graph_.reset(avfilter_graph_alloc());
  graph_->nb_threads = 1;
  const std::string source = "video_size=" + std::to_string(frame.width) + "x" +
                             std::to_string(frame.height) + ":pix_fmt=" + std::to_string(frame.format) +
                             ":time_base=" + std::to_string(time_base_.num) + "/" +
                             std::to_string(time_base_.den);
  const AVFilter* filter = avfilter_get_by_name("bwdif");
  if (!filter) filter = avfilter_get_by_name("yadif");
  if (!filter) throw MediaError(url_ + ": interlaced, and this FFmpeg has neither bwdif nor yadif");
  AVFilterContext* weave = nullptr;
  check(avfilter_graph_create_filter(&input_, avfilter_get_by_name("buffer"), "in", source.c_str(), nullptr,
                                     graph_.get()));
  check(avfilter_graph_create_filter(&weave, filter, "weave", "mode=send_frame:parity=auto:deint=interlaced",
                                     nullptr, graph_.get()));
  check(avfilter_graph_create_filter(&output_, avfilter_get_by_name("buffersink"), "out", nullptr, nullptr,
                                     graph_.get()));
#if LIBAVFILTER_VERSION_MAJOR >= 10
  AVBufferSrcParameters* parameters = av_buffersrc_parameters_alloc();
  parameters->color_space = frame.colorspace;
  parameters->color_range = frame.color_range;
  const int result = av_buffersrc_parameters_set(input_, parameters);
  av_free(parameters);
  check(result);
#endif
  check(avfilter_link(input_, 0, weave, 0));
  check(avfilter_link(weave, 0, output_, 0));
  check(avfilter_graph_config(graph_.get(), nullptr));
  width_ = frame.width;
  height_ = frame.height;
  format_ = frame.format;
}

void Deinterlacer::push(AvFramePtr frame) {
  const bool is_other = frame->width != width_ || frame->height != height_ || frame->format != format_;
  if (graph_ && is_other) finish();
  if (!graph_) {
    if (!is_interlaced(*frame)) {
      ready_.push_back(std::move(frame));
      return;
    }
    start(*frame);
  }
  check(av_buffersrc_add_frame(input_, frame.get()));
  collect();
}

void Deinterlacer::collect() {
  while (true) {
    AvFramePtr frame = make_frame();
    const int result = av_buffersink_get_frame(output_, frame.get());
    if (result == AVERROR(EAGAIN) || result == AVERROR_EOF) return;
    check(result);
    if (frame->pts != AV_NOPTS_VALUE)
      frame->pts = av_rescale_q(frame->pts, av_buffersink_get_time_base(output_), time_base_);
    ready_.push_back(std::move(frame));
  }
}

void Deinterlacer::finish() {
  if (!graph_) return;
  check(av_buffersrc_add_frame(input_, nullptr));
  collect();
  graph_.reset();
}

AvFramePtr Deinterlacer::pull() {
  if (ready_.empty()) return nullptr;
  AvFramePtr frame = std::move(ready_.front());
  ready_.pop_front();
  return frame;
}

}  // namespace hqtrack
