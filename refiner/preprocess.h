#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "core/layers.h"
#include "refiner/encoders/image_encoder.h"
#include "refiner/prompt_encoder.h"

namespace hqtrack {

/// Size of a picture whose long edge becomes `image_size`; halves are rounded up.
GridSize resized_size(GridSize picture, int64_t image_size);

/// Resize of uint8 [H, W, 3] (contiguous, CPU) as Pillow's BILINEAR does it, bit by bit: antialiased when it
/// shrinks, first across, then down, integer weights of 22 bits, each pass rounded (docs/hqsam.md, section
/// 2).
at::Tensor resize_antialiased(const at::Tensor& image, GridSize size);

/// Size of the network's input for a resized picture.
GridSize input_size(GridSize resized, const InputForm& form, int64_t image_size);

/// The network's input: uint8 RGB [H, W, 3], at most image_size each, -> float [1, 3, h, w], channels-last;
/// normalised, then zeros below and to the right up to the size that the form asks for.
at::Tensor normalize_and_pad(const at::Tensor& image, const InputForm& form, int64_t image_size);

/// The network's input of uint8 RGB [H, W, 3] (contiguous, on the CPU or the network's device) on that
/// device, made of its form at size `resized`. On a GPU one kernel does it all (refiner/preprocess_pixel.h).
at::Tensor network_input(const at::Tensor& image, GridSize resized, const InputForm& form, int64_t image_size,
                         c10::Device device);

/// A mask as a prompt of the network: uint8 or bool [H, W] of the picture -> float [1, 1, h, w] logits for an
/// input that holds the picture at size `resized` and has 4 h x 4 w pixels. The logit of a cell is
/// 12 (c - 0.5), clipped to [-6, 6], c its part that is inside the mask (docs/hqsam.md, section 9).
at::Tensor mask_prompt(const at::Tensor& mask, GridSize resized, GridSize input);

/// Prompts in pixels of the picture -> in pixels of its resized form, float32. Each axis has a ratio of its
/// own, since both edges are rounded. Masks stay as they are.
Prompts to_resized(const Prompts& prompts, GridSize picture, GridSize resized);

}  // namespace hqtrack
