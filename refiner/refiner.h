#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <vector>

#include "core/config.h"
#include "core/frame.h"
#include "core/prompt.h"
#include "refiner/box_prompts.h"
#include "refiner/hq_sam.h"

namespace hqtrack {

/// How the decoder's masks become one a prompt.
struct PredictOptions {
  bool multimask = true;       // the best of three SAM masks, else the first one
  bool hq_token_only = false;  // the HQ mask alone, else its sum with the SAM mask
  double prompt_residual = 0;  // share of the logits of Prompts::masks, where given, that is added to it
};

/// One mask for each of B prompts, on the network's device.
struct Prediction {
  at::Tensor logits;  // float [B, H, W] at the picture's size; above 0 = object
  at::Tensor
      low_res;  // float [B, 1, h, w] at stride 4 of the network's input: may be given back as Prompts::masks
  at::Tensor scores;  // float [B]: predicted IoU, may lie outside 0..1
};

/// HQ-SAM for pictures of any size (docs/hqsam.md, sections 2 and 7). A picture is encoded once, whatever is
/// asked about it then; the prompts of a question go through the decoder a few at a time.
/// Calls that do not share an ImageEmbedding need nothing of each other. Used by one thread.
class Refiner {
 public:
  /// Takes a network that has its weights. Runs on the device the network is on.
  Refiner(HqSam network, const RefinerConfig& config);

  /// image: uint8 RGB [H, W, 3], contiguous, on the CPU or the network's device.
  ImageEmbedding encode(const at::Tensor& image);

  /// Prompts in pixels of the picture. Throws c10::Error for prompts that do not fit together.
  Prediction predict(const ImageEmbedding& image, const Prompts& prompts, const PredictOptions& options);
  /// With the options of the configuration.
  Prediction predict(const ImageEmbedding& image, const Prompts& prompts);

  /// A proposal for each object of a label mask (uint8 [H, W] on the CPU, size of the image) that is not too
  /// small (refiner/box_prompts.h); ascending ids. As `refiner.mode` says: the whole image is encoded once
  /// and each object prompted by its box; or its surroundings are encoded and it is prompted by box and mask,
  /// and beyond them is background. Encodes nothing when there is no such object.
  std::vector<MaskProposal> refine(const at::Tensor& image, const at::Tensor& label_mask);

  /// A proposal for each of the objects that a person described, in their order. Each prompt has a box or a
  /// point on the object, or a mask, in any mix (core/prompt.h). Mode `frame`: the image is encoded once for
  /// all. Mode `crop`: a look at the whole image gives a first mask where there is none, with a box the mean
  /// of it and of a look at the box's surroundings; then each object's surroundings are asked with that mask.
  /// A mask of a box ends a quarter of the box's size beyond it and the points on the object. What was seen
  /// of the whole image is kept for the next question about the same tensor, whose pixels and the network's
  /// weights must not change meanwhile.
  std::vector<MaskProposal> segment(const at::Tensor& image, std::span<const ObjectPrompt> prompts);

 private:
  std::vector<MaskProposal> refine_frame(const at::Tensor& image, const BoxPrompts& boxes);
  std::vector<MaskProposal> look_at_whole(const at::Tensor& image, std::span<const ObjectPrompt> prompts);
  std::vector<MaskProposal> masks_of(const at::Tensor& image, std::vector<ObjectPrompt> prompts);
  /// One object of a picture, to be looked at in its surroundings.
  struct Look {
    ObjectPrompt prompt;  // with a mask, or with a box and
    at::Tensor first;     // [H, W], the logits of a look at the whole image
  };
  std::vector<MaskProposal> look_closer(const at::Tensor& image, std::vector<Look> looks);
  ImageEmbedding embed(const at::Tensor& image);
  Prediction ask(const ImageEmbedding& image, const Prompts& prompts, const PredictOptions& options);

  at::Tensor image_;      // that `segment` was last asked about; undefined before
  ImageEmbedding whole_;  // of it

  HqSam network_;
  RefinerConfig config_;
};

}  // namespace hqtrack
