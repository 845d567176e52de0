#pragma once

#include <vector>

#include "bench/baseline/parameters.h"
#include "core/config.h"
#include "core/frame.h"
#include "refiner/hq_sam.h"

namespace hqtrack::baseline {

/// The image encoder of SAM (ViT) in LibTorch's operators alone: scores of a window as one matrix, with the
/// relative positions added to it (docs/hqsam.md, section 3).
class PlainVit {
 public:
  PlainVit(const HqSamImpl& network, const RefinerConfig& config);
  /// image [1, 3, image_size, image_size].
  ImageFeatures encode(const at::Tensor& image) const;

 private:
  at::Tensor attend(const std::string& name, const at::Tensor& windows) const;
  at::Tensor block(int64_t i, const at::Tensor& x) const;

  Parameters weights_;
  RefinerConfig config_;
};

/// Refines as the published program does: the picture is encoded once for every object, which is then asked
/// for by its box. Prompts and masks go through the network's own decoder.
class PlainRefiner {
 public:
  PlainRefiner(HqSam network, const RefinerConfig& config);
  /// image: uint8 RGB [H, W, 3]; label_mask: uint8 [H, W]. Ascending ids.
  std::vector<MaskProposal> refine(const at::Tensor& image, const at::Tensor& label_mask);

 private:
  HqSam network_;
  PlainVit encoder_;
  RefinerConfig config_;
};

}  // namespace hqtrack::baseline
