#pragma once

#include <ATen/TensorOperators.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "io/mask_reader.h"

namespace hqtrack::testing {

/// One box of pixels that carry an id.
struct LabelledBox {
  int64_t id, x, y, width, height;
};

inline at::Tensor draw_labels(int64_t height, int64_t width, const std::vector<LabelledBox>& boxes) {
  at::Tensor labels = at::zeros({height, width}, at::kByte);
  for (const LabelledBox& box : boxes) {
    labels.slice(0, box.y, box.y + box.height).slice(1, box.x, box.x + box.width).fill_(box.id);
  }
  return labels;
}

/// Adds a sequence in the layout of DAVIS: grey pictures whose brightness is the frame's number (modulo 256),
/// and these annotations.
inline void write_davis_sequence(const std::filesystem::path& root, const std::string& name,
                                 const std::vector<at::Tensor>& annotations) {
  const auto images = root / "JPEGImages" / "480p" / name, masks = root / "Annotations" / "480p" / name;
  std::filesystem::create_directories(images);
  std::filesystem::create_directories(masks);
  for (size_t i = 0; i < annotations.size(); ++i) {
    const std::string number = std::to_string(i);
    const std::string file = std::string(5 - number.size(), '0') + number + ".png";
    const at::Tensor& labels = annotations[i];
    write_image(images / file,
                at::full({labels.size(0), labels.size(1), 3}, static_cast<int64_t>(i % 256), at::kByte));
    write_label_mask(masks / file, labels);
  }
}

}  // namespace hqtrack::testing
