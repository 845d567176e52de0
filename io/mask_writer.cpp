#include <ATen/core/Tensor.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "core/error.h"
#include "io/davis_palette.h"
#include "io/mask_reader.h"
#include "io/output_file.h"
#include "io/outputs.h"
#include "io/picture.h"

namespace hqtrack {
namespace fs = std::filesystem;
namespace {

AvFramePtr make_picture(AVPixelFormat format, const at::Tensor& pixels) {
  AvFramePtr frame = make_frame();
  frame->format = format;
  frame->height = static_cast<int>(pixels.size(0));
  frame->width = static_cast<int>(pixels.size(1));
  if (av_frame_get_buffer(frame.get(), 0) < 0) throw std::bad_alloc();
  const int64_t row_bytes = pixels.numel() / pixels.size(0);
  const uint8_t* source = pixels.const_data_ptr<uint8_t>();
  for (int64_t y = 0; y < pixels.size(0); ++y) {
    std::memcpy(frame->data[0] + y * frame->linesize[0], source + y * row_bytes,
                static_cast<size_t>(row_bytes));
  }
  return frame;
}

AvFramePtr palette_picture(const at::Tensor& label_mask) {
  TORCH_CHECK(label_mask.dim() == 2 && label_mask.scalar_type() == at::kByte && label_mask.numel() > 0,
              "label mask: expected uint8 [H, W], found ", label_mask.toString(), " ", label_mask.sizes());
  AvFramePtr frame = make_picture(AV_PIX_FMT_PAL8, label_mask.contiguous());
  for (int id = 0; id < 256; ++id) {
    const Rgb colour = davis_palette()[id];
    const uint32_t argb = 0xff000000u | uint32_t{colour.r} << 16 | uint32_t{colour.g} << 8 | colour.b;
    std::memcpy(frame->data[1] + 4 * id, &argb, 4);
  }
  return frame;
}

class MaskWriter : public FrameSink {
 public:
  explicit MaskWriter(fs::path folder) : folder_(std::move(folder)) {
    std::error_code code;
    fs::create_directories(folder_, code);
    if (code) throw OutputError(folder_.string() + ": the folder cannot be created: " + code.message());
  }

  void write(const TrackedFrame& frame) override {
    if (!std::exchange(is_begun_, true)) remove_old_masks();
    char name[32];
    std::snprintf(name, sizeof(name), "%05lld.png", static_cast<long long>(frame.frame.index));
    write_label_mask(folder_ / name, frame.label_mask);
  }

  void finish() override {}  // each file is complete as soon as it has its name

 private:
  // Masks of an earlier, longer video would look like masks of this one. Other pictures stay.
  void remove_old_masks() const {
    std::error_code ignored;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder_, ignored)) {
      const std::string stem = entry.path().stem().string();
      const bool is_number = stem.size() >= 5 && stem.find_first_not_of("0123456789") == std::string::npos;
      if (is_number && entry.path().extension() == ".png" && has_palette(entry.path())) {
        fs::remove(entry.path(), ignored);
      }
    }
  }

  // Of a PNG; its colour type is the byte at 25, 3 with a palette.
  static bool has_palette(const fs::path& file) {
    std::array<char, 26> head{};
    std::ifstream(file, std::ios::binary).read(head.data(), head.size());
    return head[25] == 3;
  }

  fs::path folder_;
  bool is_begun_ = false;
};

}  // namespace

std::vector<uint8_t> encode_label_mask(const at::Tensor& label_mask) {
  return encode_png("mask", *palette_picture(label_mask));
}

void write_label_mask(const fs::path& file, const at::Tensor& label_mask) {
  write_file(file, encode_png(file, *palette_picture(label_mask)));
}

void write_image(const fs::path& file, const at::Tensor& image) {
  const bool has_alpha = image.dim() == 3 && image.size(2) == 4;
  TORCH_CHECK(image.dim() == 3 && (has_alpha || image.size(2) == 3) && image.scalar_type() == at::kByte &&
                  image.numel() > 0,
              "image: expected uint8 [H, W, 3] or [H, W, 4], found ", image.toString(), " ", image.sizes());
  const AVPixelFormat format = has_alpha ? AV_PIX_FMT_RGBA : AV_PIX_FMT_RGB24;
  write_file(file, encode_png(file, *make_picture(format, image.contiguous())));
}

std::vector<uint8_t> encode_jpeg(const at::Tensor& image, int64_t longest_edge) {
  TORCH_CHECK(image.dim() == 3 && image.size(2) == 3 && image.scalar_type() == at::kByte && image.numel() > 0,
              "image: expected uint8 [H, W, 3], found ", image.toString(), " ", image.sizes());
  const auto height = static_cast<int>(image.size(0)), width = static_cast<int>(image.size(1));
  const double share =
      std::min(1.0, static_cast<double>(longest_edge) / static_cast<double>(std::max(height, width)));
  AvFramePtr frame = make_frame();
  frame->format = AV_PIX_FMT_YUVJ420P;
  frame->height = std::max(1, static_cast<int>(std::lround(height * share)));
  frame->width = std::max(1, static_cast<int>(std::lround(width * share)));
  frame->quality = 4 * FF_QP2LAMBDA;
  if (av_frame_get_buffer(frame.get(), 0) < 0) throw std::bad_alloc();
  const AvScalerPtr scaler(sws_getContext(width, height, AV_PIX_FMT_RGB24, frame->width, frame->height,
                                          AV_PIX_FMT_YUVJ420P, SWS_AREA, nullptr, nullptr, nullptr));
  if (!scaler) throw OutputError("picture: FFmpeg cannot convert it for a JPEG");
  const at::Tensor pixels = image.contiguous();
  const uint8_t* const planes[4] = {pixels.const_data_ptr<uint8_t>(), nullptr, nullptr, nullptr};
  const int strides[4] = {3 * width, 0, 0, 0};
  sws_scale(scaler.get(), planes, strides, 0, height, frame->data, frame->linesize);
  return encode_jpeg("picture", *frame);
}

std::unique_ptr<FrameSink> open_mask_sink(const fs::path& folder) {
  return std::make_unique<MaskWriter>(folder);
}

}  // namespace hqtrack
