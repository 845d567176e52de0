#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace hqtrack {

/// A mask (bool [H, W], CPU) as the `counts` of COCO's compressed run lengths: the runs of background and
/// object in turn, column by column from the upper left pixel, background first, which may be 0. From the
/// fourth on, a run is written as its difference to the one two before. Numbers are written five bits a
/// character, the lowest first, with 32 added where more follow and 48 to make it printable.
std::string encode_coco_rle(const at::Tensor& mask);

}  // namespace hqtrack
