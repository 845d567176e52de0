#include "train/memory_damage.h"

#include <c10/util/Exception.h>

#include "train/mask_mistakes.h"

namespace hqtrack {
void damage_labels(at::Tensor& labels, const std::vector<int64_t>& slots, Random& random) {
  TORCH_CHECK(labels.dim() == 2 && labels.scalar_type() == at::kByte && labels.is_contiguous() &&
                  labels.device().is_cpu() && !slots.empty(),
              "damage_labels: expected contiguous uint8 [H, W] on the CPU and at least one slot, found ",
              labels.toString(), " ", labels.sizes(), " and ", slots.size(), " slots");
  cv::Mat map(static_cast<int>(labels.size(0)), static_cast<int>(labels.size(1)), CV_8UC1,
              labels.mutable_data_ptr<uint8_t>());
  static const std::vector<int> kKernels = {3, 5, 7, 9, 13};  // px
  const int64_t mistakes = random.chance(1.0 / 3) ? 2 : 1;
  for (int64_t i = 0; i < mistakes; ++i) {
    const int slot = static_cast<int>(random.choose(slots));
    switch (random.weighted({0.45, 0.20, 0.25, 0.10})) {
      case 0:
        add_blob_or_hole(map, slot, map.cols, random);
        break;
      case 1:
        shift_labels(map, 0.06 * map.cols, 0.06 * map.rows, random);
        break;
      case 2:
        fatten_or_thin(map, slot, random.choose(kKernels), random);
        break;
      default: {
        const int other = static_cast<int>(random.choose(slots));
        if (other != slot) {
          exchange_on_one_side(map, slot, other, random);
        } else {
          lose_one_side(map, slot, random);
        }
      }
    }
  }
}

}  // namespace hqtrack
