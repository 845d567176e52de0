#include "io/remux.h"

#include "core/error.h"
#include "io/ffmpeg.h"

namespace hqtrack {

void remux(const std::filesystem::path& from, const std::filesystem::path& to, const std::string& format) {
  const auto check = [&](int result) {
    if (result < 0) throw OutputError(to.string() + ": cannot be written: " + av_error_text(result));
  };
  AvInputPtr input;
  try {
    input = open_input(from.string());
  } catch (const MediaError& error) {
    throw OutputError(error.what());
  }
  AVFormatContext* raw = nullptr;
  check(avformat_alloc_output_context2(&raw, nullptr, format.c_str(), to.c_str()));
  AvOutputPtr output(raw);
  for (unsigned i = 0; i < input->nb_streams; ++i) {
    const AVStream& stream = *input->streams[i];
    AVStream* copy = avformat_new_stream(output.get(), nullptr);
    if (!copy) throw std::bad_alloc();
    check(avcodec_parameters_copy(copy->codecpar, stream.codecpar));
    copy->time_base = stream.time_base;
    copy->avg_frame_rate = stream.avg_frame_rate;
    copy->sample_aspect_ratio = stream.sample_aspect_ratio;
    copy->disposition = stream.disposition;
    av_dict_copy(&copy->metadata, stream.metadata, 0);
  }
  check(avio_open(&output->pb, ("file:" + to.string()).c_str(), AVIO_FLAG_WRITE));
  AVDictionary* options = nullptr;
  av_dict_set(&options, "movflags", "faststart", 0);
  const int result = avformat_write_header(output.get(), &options);
  av_dict_free(&options);
  check(result);
  AvPacketPtr packet = make_packet();
  while (true) {
    const int read = av_read_frame(input.get(), packet.get());
    if (read == AVERROR_EOF) break;
    check(read);
    const AVStream& stream = *input->streams[packet->stream_index];
    av_packet_rescale_ts(packet.get(), stream.time_base, output->streams[packet->stream_index]->time_base);
    packet->pos = -1;
    check(av_interleaved_write_frame(output.get(), packet.get()));
  }
  check(av_write_trailer(output.get()));
  check(avio_closep(&output->pb));
}

}  // namespace hqtrack
