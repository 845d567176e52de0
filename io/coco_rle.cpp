#include "io/coco_rle.h"

#include <c10/util/Exception.h>

#include <cstdint>
#include <vector>

namespace hqtrack {
namespace {

/// Lengths of the runs, background first.
std::vector<int64_t> column_runs(const at::Tensor& mask) {
  const at::Tensor columns = mask.t().contiguous();
  const bool* pixels = columns.const_data_ptr<bool>();
  std::vector<int64_t> runs = {0};
  bool is_object = false;
  for (int64_t i = 0; i < columns.numel(); ++i) {
    if (pixels[i] != is_object) {
      is_object = !is_object;
      runs.push_back(0);
    }
    ++runs.back();
  }
  return runs;
}

void append(std::string& text, int64_t value) {
  for (bool has_more = true; has_more;) {
    int64_t bits = value & 0x1f;
    value >>= 5;
    // The fifth bit is the sign of what is not written any more.
    has_more = (bits & 0x10) != 0 ? value != -1 : value != 0;
    text += static_cast<char>((has_more ? bits | 0x20 : bits) + 48);
  }
}

}  // namespace

std::string encode_coco_rle(const at::Tensor& mask) {
  TORCH_CHECK(mask.dim() == 2 && mask.scalar_type() == at::kBool,
              "COCO RLE: expected a mask, bool [H, W], found ", mask.toString(), " ", mask.sizes());
  const std::vector<int64_t> runs = column_runs(mask);
  std::string text;
  for (size_t i = 0; i < runs.size(); ++i) append(text, i > 2 ? runs[i] - runs[i - 2] : runs[i]);
  return text;
}

}  // namespace hqtrack
