#include "io/audio_track.h"

#include <algorithm>
#include <cstring>
#include <exception>

#include "core/error.h"
#include "core/log.h"
#include "io/network_url.h"

namespace hqtrack {
namespace {

constexpr int64_t kNoEnd = int64_t{1} << 50;  // µs

/// Asked of the muxer itself: what FFmpeg's tables promise, MP4 and MOV refuse for some codecs.
bool can_hold(const AVOutputFormat& container, const AVCodecParameters& parameters) {
  if (avformat_query_codec(&container, parameters.codec_id, FF_COMPLIANCE_NORMAL) != 1) return false;
  AVFormatContext* trial = nullptr;
  if (avformat_alloc_output_context2(&trial, &container, nullptr, nullptr) < 0) throw std::bad_alloc();
  AVStream* stream = avformat_new_stream(trial, nullptr);
  if (!stream || avio_open_dyn_buf(&trial->pb) < 0) throw std::bad_alloc();
  avcodec_parameters_copy(stream->codecpar, &parameters);
  stream->codecpar->codec_tag = 0;
  stream->time_base = {1, std::max(parameters.sample_rate, 1)};
  AVDictionary* options = nullptr;
  av_dict_set(&options, "movflags", "frag_keyframe+delay_moov", 0);
  const bool is_accepted = avformat_init_output(trial, &options) >= 0;
  av_dict_free(&options);
  uint8_t* written = nullptr;
  avio_close_dyn_buf(trial->pb, &written);
  av_free(written);
  trial->pb = nullptr;
  avformat_free_context(trial);
  return is_accepted;
}

bool can_hold(const AVOutputFormat& container, AVCodecID codec) {
  return avformat_query_codec(&container, codec, FF_COMPLIANCE_NORMAL) == 1;
}

const AVCodec* find_encoder(const AVOutputFormat& container) {
  for (const char* name : {"aac", "libopus", "libvorbis"}) {
    const AVCodec* encoder = avcodec_find_encoder_by_name(name);
    if (encoder && can_hold(container, encoder->id)) return encoder;
  }
  return nullptr;
}

AvPacketFilterPtr open_unpacker(const AVStream& stream) {
  const AVBitStreamFilter* filter = av_bsf_get_by_name("aac_adtstoasc");
  AVBSFContext* raw = nullptr;
  if (!filter || av_bsf_alloc(filter, &raw) < 0) throw MediaError("this FFmpeg has no filter aac_adtstoasc");
  AvPacketFilterPtr unpacker(raw);
  avcodec_parameters_copy(raw->par_in, stream.codecpar);
  raw->time_base_in = stream.time_base;
  if (av_bsf_init(raw) < 0) throw MediaError("the filter aac_adtstoasc refuses the stream");
  return unpacker;
}

/// MP4 and MOV can trim the start of a stream; elsewhere times below 0 would move the picture.
bool can_trim(const AVOutputFormat& container) {
  return std::strcmp(container.name, "mp4") == 0 || std::strcmp(container.name, "mov") == 0;
}

/// Matroska subtracts the codec's delay when it is read. Before FFmpeg 8 its writer left adding it to the
/// caller.
int64_t writer_delay(const AVOutputFormat& container, const AVStream& stream) {
#if LIBAVFORMAT_VERSION_MAJOR < 62
  const AVCodecParameters& parameters = *stream.codecpar;
  if (!can_trim(container) && parameters.codec_id == AV_CODEC_ID_OPUS && parameters.initial_padding > 0) {
    return av_rescale_q(parameters.initial_padding, {1, 48000}, stream.time_base);
  }
#endif
  return 0;
}

}  // namespace

std::unique_ptr<AudioTrack> AudioTrack::open(const VideoInfo& source, AVFormatContext& output) {
  if (!source.has_audio) return nullptr;
  if (source.url == "-") {
    log_warning("standard input: its audio is left out, because a pipe cannot be read twice");
    return nullptr;
  }
  try {
    return std::unique_ptr<AudioTrack>(new AudioTrack(source, output));
  } catch (const Error& error) {
    log_warning(std::string("audio is left out: ") + error.what());
    return nullptr;
  }
}

AudioTrack::AudioTrack(const VideoInfo& source, AVFormatContext& output)
    : url_(without_credentials(source.url)), output_(output) {
  input_ = open_input(source.url);
  const int index = av_find_best_stream(input_.get(), AVMEDIA_TYPE_AUDIO, -1, -1, nullptr, 0);
  if (index < 0) throw MediaError(url_ + ": no audio stream");
  from_ = input_->streams[index];
  for (unsigned i = 0; i < input_->nb_streams; ++i) {
    if (input_->streams[i] != from_) input_->streams[i]->discard = AVDISCARD_ALL;
  }
  const AVOutputFormat& container = *output.oformat;
  const AVCodecParameters& parameters = *from_->codecpar;
  if (!can_hold(container, parameters)) {
    const std::string name = avcodec_get_name(parameters.codec_id);
    const AVCodec* encoder = find_encoder(container);
    if (!encoder)
      throw MediaError(url_ + ": " + container.name + " cannot hold " + name +
                       ", and no encoder can replace it");
    transcoder_ =
        std::make_unique<AudioTranscoder>(url_, *from_, *encoder, container.flags & AVFMT_GLOBALHEADER);
  }
  // MP4 and MOV would do it themselves, but not while the header waits for the first fragment.
  if (!transcoder_ && parameters.codec_id == AV_CODEC_ID_AAC && parameters.extradata_size == 0) {
    unpacker_ = open_unpacker(*from_);
  }
  to_ = avformat_new_stream(&output, nullptr);
  if (!to_) throw std::bad_alloc();
  if (transcoder_) {
    avcodec_parameters_from_context(to_->codecpar, &transcoder_->encoder());
    to_->time_base = transcoder_->encoder().time_base;
  } else {
    avcodec_parameters_copy(to_->codecpar, &parameters);
    to_->codecpar->codec_tag = 0;
    to_->time_base = from_->time_base;
  }
  if (const AVDictionaryEntry* language = av_dict_get(from_->metadata, "language", nullptr, 0)) {
    av_dict_set(&to_->metadata, "language", language->value, 0);
  }

  const int64_t start = av_rescale_q(source.start_us, kMicroseconds, from_->time_base);
  shift_ = container_start(*input_, from_->time_base) + start;
  // Decoders warm up on the packet before the first one that is heard.
  const int64_t lead = av_rescale_q(100000, kMicroseconds, from_->time_base);
  earliest_ = transcoder_ || can_trim(container) ? -lead : 0;
  const bool can_seek = !input_->pb || (input_->pb->seekable & AVIO_SEEKABLE_NORMAL);
  if (source.start_us > 0 && can_seek) {
    av_seek_frame(input_.get(), from_->index, shift_ - 2 * lead, AVSEEK_FLAG_BACKWARD);
  }
}

/// Next packet of the stream that belongs to the output, its times counted from the output's start.
bool AudioTrack::read_packet() {
  if (has_packet_) return true;
  while (!is_over_) {
    av_packet_unref(packet_.get());
    const int result = av_read_frame(input_.get(), packet_.get());
    if (result == AVERROR(EAGAIN)) continue;
    if (result < 0) {
      if (result != AVERROR_EOF) log_warning(url_ + ": the audio ends early: " + av_error_text(result));
      is_over_ = true;
      break;
    }
    if (packet_->stream_index != from_->index) continue;
    if (packet_->pts == AV_NOPTS_VALUE) packet_->pts = packet_->dts;
    if (packet_->pts == AV_NOPTS_VALUE || (packet_->flags & AV_PKT_FLAG_CORRUPT)) continue;
    packet_->pts -= shift_;
    packet_->dts = packet_->pts;  // no audio codec reorders
    if (packet_->pts < earliest_) continue;
    return has_packet_ = true;
  }
  return false;
}

int AudioTrack::write(AVPacket& packet, AVRational time_base) {
  if (unpacker_) {
    // One packet in, one out; what cannot be unpacked is damaged.
    if (av_bsf_send_packet(unpacker_.get(), &packet) < 0) return 0;
    if (av_bsf_receive_packet(unpacker_.get(), &packet) < 0) return 0;
  }
  av_packet_rescale_ts(&packet, time_base, to_->time_base);
  const int64_t delay = writer_delay(*output_.oformat, *to_);
  packet.pts += delay;
  packet.dts += delay;
  packet.stream_index = to_->index;
  packet.pos = -1;
  return av_interleaved_write_frame(&output_, &packet);
}

int AudioTrack::write_transcoded(const AVPacket* packet, int64_t end_us) {
  for (AvPacketPtr& encoded : transcoder_->convert(packet, end_us)) {
    if (const int result = write(*encoded, transcoder_->encoder().time_base); result < 0) return result;
  }
  return 0;
}

int AudioTrack::write_until(int64_t time_us) {
  while (read_packet() && av_compare_ts(packet_->pts, from_->time_base, time_us, kMicroseconds) < 0) {
    has_packet_ = false;
    const int result =
        transcoder_ ? write_transcoded(packet_.get(), kNoEnd) : write(*packet_, from_->time_base);
    if (result < 0) return result;
  }
  return 0;
}

int AudioTrack::finish(int64_t end_us) {
  if (const int result = write_until(end_us); result < 0) return result;
  return transcoder_ ? write_transcoded(nullptr, end_us) : 0;
}

}  // namespace hqtrack
