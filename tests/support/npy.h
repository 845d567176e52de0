#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>

namespace hqtrack::testing {

/// Reads a NumPy .npy file (format 1 to 3) in C order, little-endian, of uint8, int64, float32 or float64.
/// Returns a contiguous CPU tensor of its own. Throws std::runtime_error naming the file for anything else:
/// missing, not .npy, another type or order, fewer or more bytes of data than the shape asks for.
at::Tensor load_npy(const std::filesystem::path& file);

}  // namespace hqtrack::testing
