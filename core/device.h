#pragma once

#include <c10/core/Device.h>

#include <string>

namespace hqtrack {

/// "auto" (the first CUDA device, else the CPU), "cpu", "cuda" (its first device) or "cuda:N".
/// Throws DeviceError for any other text and for a device that is not there; says how many there are.
c10::Device resolve_device(const std::string& name);

/// CUDA devices this program can use; 0 in a build without CUDA.
int64_t cuda_device_count();

}  // namespace hqtrack
