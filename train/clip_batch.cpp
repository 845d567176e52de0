#include "train/clip_batch.h"

#include <ATen/ops/full.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <numeric>

namespace hqtrack {
namespace {

std::vector<int64_t> random_slots(int64_t num_objects, int64_t num_slots, Random& random) {
  std::vector<int64_t> slots(static_cast<size_t>(num_slots));
  std::iota(slots.begin(), slots.end(), 1);
  if (!random.chance(0.35)) random.shuffle(slots);
  slots.resize(static_cast<size_t>(num_objects));
  return slots;
}

/// Objects 1..n become their slots; 0 and 255 stay.
at::Tensor renumber(const at::Tensor& labels, const std::vector<int64_t>& slots) {
  at::Tensor table = at::zeros({256}, at::kByte);
  table[255] = 255;
  for (size_t i = 0; i < slots.size(); ++i) table[static_cast<int64_t>(i) + 1] = slots[i];
  return table.index_select(0, labels.flatten().to(at::kInt)).view(labels.sizes());
}

}  // namespace

ClipBatch make_batch(const std::vector<Clip>& clips, int64_t num_slots, Random& random) {
  std::vector<at::Tensor> images, labels;
  ClipBatch batch;
  batch.valid = at::zeros({static_cast<int64_t>(clips.size()), 1 + num_slots}, at::kBool);
  for (const Clip& clip : clips) {
    TORCH_CHECK(clip.num_objects <= num_slots, "make_batch: expected at most ", num_slots, " objects, found ",
                clip.num_objects);
    const std::vector<int64_t> slots = random_slots(clip.num_objects, num_slots, random);
    at::Tensor valid = batch.valid[static_cast<int64_t>(images.size())];
    valid[0] = true;
    for (const int64_t slot : slots) valid[slot] = true;
    if (!slots.empty() && random.chance(0.4)) {
      valid.narrow(0, 1, *std::max_element(slots.begin(), slots.end())).fill_(true);
    }
    images.push_back(clip.images);
    labels.push_back(renumber(clip.labels, slots));
    batch.slots.push_back(slots);
  }
  batch.images = at::stack(images, 1);
  batch.labels = at::stack(labels, 1);
  return batch;
}

}  // namespace hqtrack
