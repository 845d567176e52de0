#include "tracker/preprocess.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "core/threads.h"
#include "tracker/preprocess_pixel.h"

namespace hqtrack {
namespace {

// Four neighbours of a target pixel and their weights.
struct Taps {
  std::array<int64_t, 4> index;
  std::array<float, 4> weight;
};

std::vector<Taps> cubic_taps(int64_t in, int64_t out) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  std::vector<Taps> taps(out);
  for (int64_t i = 0; i < out; ++i) {
    const double position = (static_cast<double>(i) + 0.5) * scale - 0.5;
    const int64_t base = static_cast<int64_t>(std::floor(position));
    const double x = position - static_cast<double>(base);
    constexpr double a = -0.75;
    std::array<double, 4> w;
    w[0] = ((a * (x + 1) - 5 * a) * (x + 1) + 8 * a) * (x + 1) - 4 * a;
    w[1] = ((a + 2) * x - (a + 3)) * x * x + 1;
    w[2] = ((a + 2) * (1 - x) - (a + 3)) * (1 - x) * (1 - x) + 1;
    w[3] = 1 - w[0] - w[1] - w[2];
    for (int k = 0; k < 4; ++k) {
      taps[i].index[k] = std::clamp<int64_t>(base - 1 + k, 0, in - 1);
      taps[i].weight[k] = static_cast<float>(w[k]);
    }
  }
  return taps;
}

void check_image(const at::Tensor& image) {
  TORCH_CHECK(image.dim() == 3 && image.size(2) == 3 && image.scalar_type() == at::kByte &&
                  image.stride(2) == 1 && image.stride(1) == 3 && image.device().is_cpu(),
              "image: expected uint8 [H, W, 3] with whole rows on the CPU, found ", image.toString(), " ",
              image.sizes());
}

// One source row, resized across.
void resize_row(const uint8_t* row, const std::vector<Taps>& columns, double* out) {
  for (const Taps& tap : columns) {
    for (int c = 0; c < 3; ++c) {
      double sum = 0;
      for (int k = 0; k < 4; ++k) sum += static_cast<double>(row[tap.index[k] * 3 + c]) * tap.weight[k];
      *out++ = sum;
    }
  }
}

}  // namespace

GridSize network_size(GridSize source, const PreprocessConfig& config) {
  double height = static_cast<double>(source.height), width = static_cast<double>(source.width);
  const double short_edge = static_cast<double>(config.short_edge);
  if (config.short_edge_rule == "exactly" || std::min(height, width) < short_edge) {
    const double scale = short_edge / std::min(height, width);
    height *= scale;
    width *= scale;
  }
  if (std::max(height, width) > static_cast<double>(config.max_long_edge)) {
    const double scale = static_cast<double>(config.max_long_edge) / std::max(height, width);
    height *= scale;
    width *= scale;
  }
  const auto fit = [](double edge) {
    // Cut to whole pixels first; halves go to even. An edge of one cell would have nothing to propagate to.
    const double strides = std::nearbyint(static_cast<double>(static_cast<int64_t>(edge) - 1) / 16.0);
    return std::max<int64_t>(17, 16 * static_cast<int64_t>(strides) + 1);
  };
  return {fit(height), fit(width)};
}

at::Tensor resize_bicubic(const at::Tensor& image, GridSize size) {
  check_image(image);
  const int64_t in_height = image.size(0), in_width = image.size(1);
  if (in_height == size.height && in_width == size.width) return image.contiguous();
  const std::vector<Taps> rows = cubic_taps(in_height, size.height),
                          columns = cubic_taps(in_width, size.width);
  at::Tensor out = at::empty({size.height, size.width, 3}, image.options());
  const uint8_t* source = image.const_data_ptr<uint8_t>();
  uint8_t* target = out.mutable_data_ptr<uint8_t>();
  const int64_t row_values = size.width * 3;
  constexpr int64_t kRows = 32;  // of one piece of work
  share_out((size.height + kRows - 1) / kRows, [&](int64_t piece) {
    const int64_t begin = piece * kRows, end = std::min(begin + kRows, size.height);
    // The four resized rows a target row needs; row y lies at y % 4, so neighbours share them.
    std::vector<double> cache(4 * row_values);
    std::array<int64_t, 4> cached = {-1, -1, -1, -1};
    for (int64_t y = begin; y < end; ++y) {
      const double* lines[4];
      double weight[4];
      for (int k = 0; k < 4; ++k) {
        const int64_t index = rows[y].index[k], slot = index % 4;
        double* line = cache.data() + slot * row_values;
        if (cached[slot] != index) {
          resize_row(source + index * image.stride(0), columns, line);
          cached[slot] = index;
        }
        lines[k] = line;
        weight[k] = rows[y].weight[k];
      }
      uint8_t* line = target + y * row_values;
      for (int64_t i = 0; i < row_values; ++i) {
        // Rounded to float first: where a sum lies within float's precision of a half, OpenCV's own float
        // sums decide.
        const float sum = static_cast<float>(lines[0][i] * weight[0] + lines[1][i] * weight[1] +
                                             lines[2][i] * weight[2] + lines[3][i] * weight[3]);
        line[i] = static_cast<uint8_t>(std::clamp(std::nearbyint(sum), 0.0f, 255.0f));
      }
    }
  });
  return out;
}

at::Tensor normalize(const at::Tensor& image, const PreprocessConfig& config) {
  check_image(image);
  TORCH_CHECK(image.is_contiguous(), "image: expected it contiguous");
  std::array<std::array<float, 256>, 3> table;
  for (int c = 0; c < 3; ++c) {
    for (int v = 0; v < 256; ++v)
      table[c][v] = static_cast<float>((v / 255.0 - config.mean[c]) / config.std[c]);
  }
  const int64_t pixels = image.size(0) * image.size(1);
  at::Tensor out = at::empty({1, image.size(0), image.size(1), 3}, image.options().dtype(at::kFloat));
  const uint8_t* source = image.const_data_ptr<uint8_t>();
  float* target = out.mutable_data_ptr<float>();
  for (int64_t i = 0; i < pixels; ++i) {
    for (int c = 0; c < 3; ++c) target[3 * i + c] = table[c][source[3 * i + c]];
  }
  return out.permute({0, 3, 1, 2});
}

at::Tensor preprocess(const at::Tensor& image, GridSize size, const PreprocessConfig& config,
                      c10::Device device) {
#ifdef HQTRACK_WITH_CUDA
  if (device.is_cuda()) return preprocess_cuda(image.to(device), size, config);
#endif
  return normalize(resize_bicubic(image, size), config);
}

}  // namespace hqtrack
