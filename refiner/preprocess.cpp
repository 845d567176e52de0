#include "refiner/preprocess.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/ne.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <vector>

#include "core/threads.h"
#include "refiner/preprocess_pixel.h"

namespace hqtrack {
namespace {

constexpr int kWeightBits = 22;
constexpr int64_t kStride = 16, kMaskStride = 4;

// Samples of one axis that make up each target pixel, with whole-number weights.
struct Taps {
  struct Span {
    int64_t start, count;
  };
  std::vector<Span> spans;
  int64_t most = 0;              // room of a span's weights
  std::vector<int32_t> weights;  // [target][most]
  const int32_t* weights_of(int64_t i) const { return weights.data() + i * most; }
};

Taps triangle_taps(int64_t in, int64_t out) {
  const double ratio = static_cast<double>(in) / static_cast<double>(out), reach = std::max(ratio, 1.0);
  const double inverse = 1.0 / reach;
  Taps taps;
  taps.most = static_cast<int64_t>(std::ceil(reach)) * 2 + 1;
  taps.spans.resize(out);
  taps.weights.resize(out * taps.most);
  std::vector<double> raw(taps.most);
  for (int64_t i = 0; i < out; ++i) {
    const double centre = (static_cast<double>(i) + 0.5) * ratio;
    const int64_t start = std::max<int64_t>(static_cast<int64_t>(centre - reach + 0.5), 0);
    const int64_t count = std::min<int64_t>(static_cast<int64_t>(centre + reach + 0.5), in) - start;
    double sum = 0;
    for (int64_t k = 0; k < count; ++k) {
      raw[k] = std::max(0.0, 1.0 - std::abs((static_cast<double>(start + k) - centre + 0.5) * inverse));
      sum += raw[k];
    }
    taps.spans[i] = {start, count};
    for (int64_t k = 0; k < count; ++k) {
      taps.weights[i * taps.most + k] = static_cast<int32_t>(raw[k] / sum * (1 << kWeightBits) + 0.5);
    }
  }
  return taps;
}

uint8_t rounded(int32_t sum) { return static_cast<uint8_t>(std::clamp(sum >> kWeightBits, 0, 255)); }

constexpr int32_t kHalf = 1 << (kWeightBits - 1);
constexpr int64_t kRows = 16;  // of one piece of work

template <class Work>
void share_out_rows(int64_t rows, Work work) {
  share_out((rows + kRows - 1) / kRows, [&](int64_t piece) {
    for (int64_t y = piece * kRows; y < std::min(rows, (piece + 1) * kRows); ++y) work(y);
  });
}

at::Tensor resize_across(const at::Tensor& image, int64_t width) {
  const int64_t height = image.size(0), in_width = image.size(1);
  if (in_width == width) return image;
  const Taps taps = triangle_taps(in_width, width);
  at::Tensor out = at::empty({height, width, 3}, image.options());
  const uint8_t* const source = image.const_data_ptr<uint8_t>();
  uint8_t* const target = out.mutable_data_ptr<uint8_t>();
  share_out_rows(height, [&](int64_t y) {
    const uint8_t* const row = source + y * in_width * 3;
    uint8_t* pixel = target + y * width * 3;
    for (int64_t x = 0; x < width; ++x, pixel += 3) {
      const auto [start, count] = taps.spans[x];
      const int32_t* const weights = taps.weights_of(x);
      std::array<int32_t, 3> sum = {kHalf, kHalf, kHalf};
      for (int64_t k = 0; k < count; ++k) {
        for (int c = 0; c < 3; ++c) sum[c] += weights[k] * row[(start + k) * 3 + c];
      }
      for (int c = 0; c < 3; ++c) pixel[c] = rounded(sum[c]);
    }
  });
  return out;
}

at::Tensor resize_down(const at::Tensor& image, int64_t height) {
  const int64_t in_height = image.size(0), row_values = image.size(1) * 3;
  if (in_height == height) return image;
  const Taps taps = triangle_taps(in_height, height);
  at::Tensor out = at::empty({height, image.size(1), 3}, image.options());
  const uint8_t* const source = image.const_data_ptr<uint8_t>();
  uint8_t* const target = out.mutable_data_ptr<uint8_t>();
  share_out_rows(height, [&](int64_t y) {
    const auto [start, count] = taps.spans[y];
    std::vector<int32_t> sums(row_values, kHalf);
    for (int64_t k = 0; k < count; ++k) {
      const uint8_t* const row = source + (start + k) * row_values;
      const int32_t weight = taps.weights_of(y)[k];
      for (int64_t i = 0; i < row_values; ++i) sums[i] += weight * row[i];
    }
    std::transform(sums.begin(), sums.end(), target + y * row_values, rounded);
  });
  return out;
}

/// What the pixels from `first` on contribute to a cell of a mask prompt.
struct Cell {
  int64_t first = 0;
  std::vector<double> weights;
};

// add(source pixel, weight) for target pixel i of a smaller picture: the part of it that each covers.
template <class Add>
void add_areas(int64_t in, double ratio, int64_t i, Add add) {
  const double from = static_cast<double>(i) * ratio, to = from + ratio;
  for (auto k = static_cast<int64_t>(from); k < in && static_cast<double>(k) < to; ++k) {
    const double part =
        std::min<double>(static_cast<double>(k + 1), to) - std::max<double>(static_cast<double>(k), from);
    add(k, std::max(0.0, part) / ratio);
  }
}

// The same for a larger picture: target pixels that lie in one source pixel are that, those across an edge
// blend the two by where the edge is. OpenCV's INTER_AREA does the same.
template <class Add>
void add_stretched(int64_t in, double ratio, int64_t i, Add add) {
  const int64_t left = std::min(static_cast<int64_t>(std::floor(static_cast<double>(i) * ratio)), in - 1);
  double part = static_cast<double>(i + 1) - static_cast<double>(left + 1) / ratio;
  part = part <= 0 ? 0.0 : part - std::floor(part);
  add(left, 1 - part);
  add(std::min(left + 1, in - 1), part);
}

// Cells of one axis: means of kMaskStride pixels of the resized picture, zeros behind its end.
std::vector<Cell> cells_of(int64_t in, int64_t resized, int64_t count, bool shrinks) {
  const double ratio = static_cast<double>(in) / static_cast<double>(resized);
  std::vector<Cell> cells(count);
  for (int64_t i = 0; i < resized; ++i) {
    Cell& cell = cells[i / kMaskStride];
    const auto add = [&](int64_t k, double weight) {
      if (cell.weights.empty()) cell.first = k;
      cell.weights.resize(std::max(cell.weights.size(), static_cast<size_t>(k - cell.first + 1)));
      cell.weights[k - cell.first] += weight / kMaskStride;
    };
    shrinks ? add_areas(in, ratio, i, add) : add_stretched(in, ratio, i, add);
  }
  return cells;
}

void check_image(const at::Tensor& image) {
  TORCH_CHECK(image.dim() == 3 && image.size(2) == 3 && image.scalar_type() == at::kByte &&
                  image.is_contiguous() && image.device().is_cpu() && image.numel() > 0,
              "image: expected contiguous uint8 [H, W, 3] on the CPU, found ", image.toString(), " ",
              image.sizes());
}

}  // namespace

GridSize resized_size(GridSize picture, int64_t image_size) {
  const double scale =
      static_cast<double>(image_size) / static_cast<double>(std::max(picture.height, picture.width));
  const auto fit = [&](int64_t edge) {
    // A picture may be so long and narrow that nothing would be left of it.
    return std::max<int64_t>(1, static_cast<int64_t>(std::floor(static_cast<double>(edge) * scale + 0.5)));
  };
  return {fit(picture.height), fit(picture.width)};
}

at::Tensor resize_antialiased(const at::Tensor& image, GridSize size) {
  check_image(image);
  return resize_down(resize_across(image, size.width), size.height);
}

GridSize input_size(GridSize resized, const InputForm& form, int64_t image_size) {
  if (form.is_square) return {image_size, image_size};
  const auto padded = [](int64_t edge) { return (edge + kStride - 1) / kStride * kStride; };
  return {padded(resized.height), padded(resized.width)};
}

at::Tensor normalize_and_pad(const at::Tensor& image, const InputForm& form, int64_t image_size) {
  check_image(image);
  const int64_t height = image.size(0), row_values = image.size(1) * 3;
  TORCH_CHECK(height <= image_size && image.size(1) <= image_size, "image: expected at most ", image_size,
              " pixels an edge, found ", image.sizes());
  std::array<std::array<float, 256>, 3> table;
  for (int c = 0; c < 3; ++c) {
    for (int v = 0; v < 256; ++v) table[c][v] = (static_cast<float>(v) - form.mean[c]) / form.std[c];
  }
  const GridSize size = input_size({height, image.size(1)}, form, image_size);
  at::Tensor out = at::zeros({1, size.height, size.width, 3}, image.options().dtype(at::kFloat));
  const uint8_t* const source = image.const_data_ptr<uint8_t>();
  float* const target = out.mutable_data_ptr<float>();
  const int64_t left_out = form.shift_px * 3;  // of a row
  share_out_rows(height - form.shift_px, [&](int64_t y) {
    const uint8_t* const end = source + (y + form.shift_px + 1) * row_values;
    float* value = target + y * size.width * 3;
    for (const uint8_t* pixel = end - row_values + left_out; pixel < end; pixel += 3, value += 3) {
      for (int c = 0; c < 3; ++c) value[c] = table[c][pixel[c]];
    }
  });
  return out.permute({0, 3, 1, 2});
}

at::Tensor network_input(const at::Tensor& image, GridSize resized, const InputForm& form, int64_t image_size,
                         c10::Device device) {
#ifdef HQTRACK_WITH_CUDA
  if (device.is_cuda()) {
    return network_input_cuda(image.to(device), resized, input_size(resized, form, image_size), form);
  }
#endif
  return normalize_and_pad(resize_antialiased(image, resized), form, image_size);
}

at::Tensor mask_prompt(const at::Tensor& mask, GridSize resized, GridSize input) {
  TORCH_CHECK(mask.dim() == 2, "mask prompt: expected [H, W], found ", mask.sizes());
  const at::Tensor inside = mask.ne(0).contiguous();
  const int64_t height = mask.size(0), width = mask.size(1);
  const bool shrinks = height >= resized.height && width >= resized.width;
  const std::vector<Cell> rows = cells_of(height, resized.height, input.height / kMaskStride, shrinks),
                          columns = cells_of(width, resized.width, input.width / kMaskStride, shrinks);
  at::Tensor out = at::empty({1, 1, input.height / kMaskStride, input.width / kMaskStride}, at::kFloat);
  float* logit = out.mutable_data_ptr<float>();
  std::vector<double> line(width);  // coverage of a row of cells
  for (const Cell& row : rows) {
    std::fill(line.begin(), line.end(), 0.0);
    const bool* pixels = inside.const_data_ptr<bool>() + row.first * width;
    for (const double weight : row.weights) {
      for (int64_t x = 0; x < width; ++x) line[x] += weight * static_cast<double>(pixels[x]);
      pixels += width;
    }
    for (const Cell& column : columns) {
      const double coverage =
          std::inner_product(column.weights.begin(), column.weights.end(), line.begin() + column.first, 0.0);
      *logit++ = static_cast<float>(std::clamp((coverage - 0.5) * 12, -6.0, 6.0));
    }
  }
  return out;
}

Prompts to_resized(const Prompts& prompts, GridSize picture, GridSize resized) {
  const auto ratio = [](int64_t to, int64_t from) {
    return static_cast<double>(to) / static_cast<double>(from);
  };
  const at::Tensor ratios =
      at::tensor({ratio(resized.width, picture.width), ratio(resized.height, picture.height)}, at::kDouble);
  const auto scaled = [&](const at::Tensor& coordinates) {
    return (coordinates.to(at::kDouble).unflatten(-1, {-1, 2}) * ratios.to(coordinates.device()))
        .view(coordinates.sizes())
        .to(at::kFloat);
  };
  Prompts result = prompts;
  if (prompts.boxes.defined()) result.boxes = scaled(prompts.boxes);
  if (prompts.points.defined()) result.points = scaled(prompts.points);
  return result;
}

}  // namespace hqtrack
