#pragma once

#include <ATen/core/Tensor.h>

namespace hqtrack {

/// The object of a picture on a transparent ground, as large as the picture, so that several can be laid over
/// each other: uint8 RGBA [H, W, 4], colours not multiplied by alpha; what is wholly transparent is black.
/// The edge is smooth over two pixels: alpha follows the distance to where the logits are 0, not their size,
/// so that doubt inside an object makes no hole. It is 128 or more where they are above 0.
///
/// image: uint8 RGB [H, W, 3]; logits: float [H, W], above 0 = object; both contiguous, on the CPU.
at::Tensor cut_out(const at::Tensor& image, const at::Tensor& logits);

}  // namespace hqtrack
