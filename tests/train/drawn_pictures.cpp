#include "tests/train/drawn_pictures.h"

#include <cstring>
#include <fstream>
#include <opencv2/imgproc.hpp>

#include "io/picture.h"
#include "train/random.h"

namespace hqtrack::testing {
namespace {

AvFramePtr frame_of(const cv::Mat& picture, AVPixelFormat format) {
  AvFramePtr frame = make_frame();
  frame->width = picture.cols;
  frame->height = picture.rows;
  frame->format = format;
  av_frame_get_buffer(frame.get(), 0);
  for (int y = 0; y < picture.rows; ++y) {
    std::memcpy(frame->data[0] + int64_t{y} * frame->linesize[0], picture.ptr(y),
                picture.cols * picture.elemSize());
  }
  return frame;
}

}  // namespace

cv::Mat drawn_photograph(int width, int height, int number) {
  Random random(99, static_cast<uint64_t>(number));
  cv::Mat sum = cv::Mat::zeros(height, width, CV_32FC3);
  for (const int cells : {4, 16, 64}) {
    cv::Mat coarse(cells, cells, CV_32FC3), layer;
    for (int i = 0; i < 3 * cells * cells; ++i)
      coarse.ptr<float>()[i] = static_cast<float>(random.uniform(0, 85));
    cv::resize(coarse, layer, {width, height}, 0, 0, cv::INTER_CUBIC);
    sum += layer;
  }
  for (int i = 0; i < 3 * width * height; ++i) sum.ptr<float>()[i] += static_cast<float>(random.normal(6));
  cv::Mat picture;
  sum.convertTo(picture, CV_8UC3);
  return picture;
}

cv::Mat drawn_cut_out(int width, int height, int number) {
  cv::Mat rgba;
  cv::cvtColor(drawn_photograph(width, height, 1000 + number), rgba, cv::COLOR_RGB2RGBA);
  cv::Mat alpha = cv::Mat::zeros(height, width, CV_8UC1);
  cv::ellipse(alpha, {width / 2, height / 2}, {width * 2 / 5, height * 2 / 5}, 0, 0, 360, 255, cv::FILLED);
  cv::insertChannel(alpha, rgba, 3);
  return rgba;
}

Pictures drawn_pictures() {
  Pictures pictures;
  for (int i = 0; i < 2; ++i) pictures.photographs.push_back(drawn_photograph(320 + 40 * i, 240, i));
  for (int i = 0; i < 3; ++i) pictures.stamps.push_back(drawn_cut_out(120, 80 + 20 * i, i));
  for (int i = 0; i < 2; ++i) pictures.drawings.push_back(drawn_cut_out(90, 100, 10 + i));
  return pictures;
}

std::vector<uint8_t> png_bytes(const cv::Mat& picture) {
  const bool has_alpha = picture.channels() == 4;
  return encode_png("drawn.png", *frame_of(picture, has_alpha ? AV_PIX_FMT_RGBA : AV_PIX_FMT_RGB24));
}

std::vector<uint8_t> jpeg_bytes(const cv::Mat& rgb) {
  const AvFramePtr source = frame_of(rgb, AV_PIX_FMT_RGB24);
  AvFramePtr frame = make_frame();
  frame->width = rgb.cols;
  frame->height = rgb.rows;
  frame->format = AV_PIX_FMT_YUVJ444P;
  av_frame_get_buffer(frame.get(), 0);
  const AvScalerPtr scaler(sws_getContext(rgb.cols, rgb.rows, AV_PIX_FMT_RGB24, rgb.cols, rgb.rows,
                                          AV_PIX_FMT_YUVJ444P, SWS_BILINEAR, nullptr, nullptr, nullptr));
  sws_scale(scaler.get(), source->data, source->linesize, 0, rgb.rows, frame->data, frame->linesize);
  const AVCodec* encoder = avcodec_find_encoder(AV_CODEC_ID_MJPEG);
  const AvCodecPtr codec(avcodec_alloc_context3(encoder));
  codec->width = rgb.cols;
  codec->height = rgb.rows;
  codec->pix_fmt = AV_PIX_FMT_YUVJ444P;
  codec->time_base = {1, 1};
  codec->flags |= AV_CODEC_FLAG_QSCALE;
  codec->global_quality = 2 * FF_QP2LAMBDA;
  frame->quality = codec->global_quality;
  avcodec_open2(codec.get(), encoder, nullptr);
  avcodec_send_frame(codec.get(), frame.get());
  const AvPacketPtr packet = make_packet();
  avcodec_receive_packet(codec.get(), packet.get());
  return {packet->data, packet->data + packet->size};
}

void write_bytes(const std::filesystem::path& file, const std::vector<uint8_t>& bytes) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

std::vector<uint8_t> read_bytes(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

}  // namespace hqtrack::testing
