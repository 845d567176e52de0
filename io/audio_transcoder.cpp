#include "io/audio_transcoder.h"

#include <algorithm>
#include <new>

#include "core/error.h"

namespace hqtrack {
namespace {

int choose_sample_rate(const AVCodec& encoder, int wanted) {
  const int* rates = encoder.supported_samplerates;
  if (!rates) return wanted;
  int highest = 0;
  for (; *rates; ++rates) {
    if (*rates == wanted) return wanted;
    highest = std::max(highest, *rates);
  }
  return highest;
}

}  // namespace

AudioTranscoder::AudioTranscoder(const std::string& url, const AVStream& from, const AVCodec& encoder,
                                 bool needs_global_header)
    : stream_time_base_(from.time_base), decoder_(open_decoder(url, from, /*threads=*/1)) {
  const int num_channels = from.codecpar->ch_layout.nb_channels;
  encoder_.reset(avcodec_alloc_context3(&encoder));
  encoder_->sample_rate = choose_sample_rate(encoder, from.codecpar->sample_rate);
  encoder_->sample_fmt = encoder.sample_fmts ? encoder.sample_fmts[0] : AV_SAMPLE_FMT_FLTP;
  av_channel_layout_default(&encoder_->ch_layout, std::min(num_channels, 2));
  encoder_->time_base = {1, encoder_->sample_rate};
  encoder_->bit_rate = 80000 * encoder_->ch_layout.nb_channels;
  if (needs_global_header) encoder_->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  int result = avcodec_open2(encoder_.get(), &encoder, nullptr);
  if (result < 0) throw MediaError(url + ": audio encoder " + encoder.name + ": " + av_error_text(result));
  fifo_.reset(av_audio_fifo_alloc(encoder_->sample_fmt, encoder_->ch_layout.nb_channels, 4096));
  if (!fifo_) throw std::bad_alloc();
}

std::vector<AvPacketPtr> AudioTranscoder::convert(const AVPacket* packet, int64_t end_us) {
  std::vector<AvPacketPtr> packets;
  if (avcodec_send_packet(decoder_.get(), packet) >= 0) {
    AvFramePtr frame = make_frame();
    while (avcodec_receive_frame(decoder_.get(), frame.get()) >= 0) resample(frame.get());
  }
  if (!packet) resample(nullptr);
  encode(end_us, /*is_last=*/!packet, packets);
  return packets;
}

/// Decoded sound into the fifo, in the encoder's format; null takes out what the resampler holds.
void AudioTranscoder::resample(const AVFrame* frame) {
  if (!resampler_) {
    if (!frame) return;
    SwrContext* raw = nullptr;
    AVChannelLayout layout = frame->ch_layout;
    if (layout.order == AV_CHANNEL_ORDER_UNSPEC)
      av_channel_layout_default(&layout, frame->ch_layout.nb_channels);
    const int result =
        swr_alloc_set_opts2(&raw, &encoder_->ch_layout, encoder_->sample_fmt, encoder_->sample_rate, &layout,
                            static_cast<AVSampleFormat>(frame->format), frame->sample_rate, 0, nullptr);
    resampler_.reset(raw);
    if (result < 0) return;
    // The output's clock starts at 0 and follows the input's times by silence and cuts.
    av_opt_set_double(raw, "async", 1, 0);
    av_opt_set_int(raw, "first_pts", 0, 0);
    if (swr_init(raw) < 0) return;
  }
  if (!swr_is_initialized(resampler_.get())) return;
  if (frame && frame->best_effort_timestamp != AV_NOPTS_VALUE) {
    const int64_t rate = int64_t{frame->sample_rate} * encoder_->sample_rate;
    const int64_t pts = frame->best_effort_timestamp;
    const int64_t scaled = rate <= INT32_MAX
                               ? av_rescale_q(pts, stream_time_base_, {1, static_cast<int>(rate)})
                               : av_rescale(av_rescale_q(pts, stream_time_base_, {1, frame->sample_rate}),
                                            encoder_->sample_rate, 1);
    swr_next_pts(resampler_.get(), scaled);
  }
  AvFramePtr out = make_frame();
  out->format = encoder_->sample_fmt;
  out->sample_rate = encoder_->sample_rate;
  av_channel_layout_copy(&out->ch_layout, &encoder_->ch_layout);
  out->nb_samples = std::max(swr_get_out_samples(resampler_.get(), frame ? frame->nb_samples : 0), 1);
  if (av_frame_get_buffer(out.get(), 0) < 0) throw std::bad_alloc();
  const int count = swr_convert(resampler_.get(), out->extended_data, out->nb_samples,
                                frame ? const_cast<const uint8_t**>(frame->extended_data) : nullptr,
                                frame ? frame->nb_samples : 0);
  if (count > 0) av_audio_fifo_write(fifo_.get(), reinterpret_cast<void**>(out->extended_data), count);
}

void AudioTranscoder::encode(int64_t end_us, bool is_last, std::vector<AvPacketPtr>& packets) {
  const int64_t end = av_rescale(end_us, encoder_->sample_rate, 1000000);
  const int frame_size = encoder_->frame_size > 0 ? encoder_->frame_size : 1024;
  while (num_encoded_ < end) {
    const int64_t held = av_audio_fifo_size(fifo_.get());
    const int64_t count = std::min<int64_t>({frame_size, held, end - num_encoded_});
    const bool is_whole = count == frame_size || (held >= end - num_encoded_ && is_last);
    if (count <= 0 || (!is_whole && !is_last)) break;
    AvFramePtr frame = make_frame();
    frame->format = encoder_->sample_fmt;
    frame->sample_rate = encoder_->sample_rate;
    frame->nb_samples = static_cast<int>(count);
    av_channel_layout_copy(&frame->ch_layout, &encoder_->ch_layout);
    if (av_frame_get_buffer(frame.get(), 0) < 0) throw std::bad_alloc();
    av_audio_fifo_read(fifo_.get(), reinterpret_cast<void**>(frame->extended_data), static_cast<int>(count));
    frame->pts = num_encoded_;
    num_encoded_ += count;
    avcodec_send_frame(encoder_.get(), frame.get());
  }
  if (is_last) avcodec_send_frame(encoder_.get(), nullptr);
  while (true) {
    AvPacketPtr packet = make_packet();
    if (avcodec_receive_packet(encoder_.get(), packet.get()) < 0) return;
    packets.push_back(std::move(packet));
  }
}

}  // namespace hqtrack
