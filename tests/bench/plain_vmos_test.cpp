#include "bench/baseline/plain_vmos.h"

#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include "core/label_mask.h"
#include "tests/support/golden.h"
#include "tests/tracker/tiny_model.h"
#include "tracker/preprocess.h"

namespace hqtrack::testing {
namespace {

/// Several long-term frames of each block side by side.
std::vector<MemoryFrame> side_by_side(const std::vector<std::vector<MemoryFrame>>& frames) {
  std::vector<MemoryFrame> joined = frames.front();
  for (size_t f = 1; f < frames.size(); ++f) {
    for (size_t i = 0; i < joined.size(); ++i) {
      joined[i].key = at::cat({joined[i].key, frames[f][i].key}, 1);
      joined[i].value = at::cat({joined[i].value, frames[f][i].value}, 1);
    }
  }
  return joined;
}

void expect_same(const std::vector<MemoryFrame>& plain, const std::vector<MemoryFrame>& ours) {
  ASSERT_EQ(plain.size(), ours.size());
  for (size_t i = 0; i < ours.size(); ++i) {
    EXPECT_TENSORS_CLOSE(plain[i].key, ours[i].key, 1e-3, 1e-4);
    EXPECT_TENSORS_CLOSE(plain[i].value, ours[i].value, 1e-3, 1e-4);
  }
}

/// A reference and four frames; both get the same memory and labels.
void expect_same_video(const TrackerConfig& config) {
  const c10::InferenceMode guard;
  Vmos ours = tiny_network(config);
  const baseline::PlainVmos plain(*ours, config);
  const GridSize size = network_size({60, 80}, config.preprocess);
  const auto input = [&](int64_t t) {
    return normalize(resize_bicubic(moving_discs(t), size), config.preprocess);
  };
  const at::Tensor slots = resize_labels(disc_labels(1, 2), size.height, size.width);
  const IdentityEmbedding embedding = ours->embed_identity_labels(slots);
  const IdentityEmbedding plain_embedding = plain.embed_identity_labels(slots);
  EXPECT_TENSORS_CLOSE(plain_embedding.stride_16, embedding.stride_16, 1e-3, 1e-4);
  EXPECT_TENSORS_CLOSE(plain_embedding.stride_8, embedding.stride_8, 1e-3, 1e-4);
  const Features first = ours->encode(input(0)), plain_first = plain.encode(input(0));
  EXPECT_TENSORS_CLOSE(plain_first.stride_4, first.stride_4, 1e-3, 1e-4);
  EXPECT_TENSORS_CLOSE(plain_first.stride_8, first.stride_8, 1e-3, 1e-4);
  EXPECT_TENSORS_CLOSE(plain_first.stride_16, first.stride_16, 1e-3, 1e-4);
  std::vector<std::vector<MemoryFrame>> memory = {ours->reference(first, embedding)};
  expect_same(plain.reference(first, embedding), memory.front());
  for (int64_t t = 1; t < 5; ++t) {
    const Features features = ours->encode(input(t));
    const auto long_term = side_by_side(memory);
    const VmosImpl::Step step = ours->propagate(features, long_term, memory.back());
    const VmosImpl::Step plain_step = plain.propagate(features, long_term, memory.back());
    EXPECT_TENSORS_CLOSE(plain_step.logits, step.logits, 1e-3, 1e-3);
    memory.push_back(ours->memorize(step.states, embedding));
    expect_same(plain.memorize(step.states, embedding), memory.back());
  }
}

TEST(PlainVmos, AgreesWithInternImage) { expect_same_video(tiny_config()); }

TEST(PlainVmos, AgreesWithEfficientNetAndPooledSelfAttention) {
  TrackerConfig config = tiny_config();
  config.encoder.type = "efficientnet_lite0";
  config.propagation_8x.self_pool = 2;
  expect_same_video(config);
}

}  // namespace
}  // namespace hqtrack::testing
