#pragma once

#include <filesystem>

namespace hqtrack::testing {

/// Writes tiny.yaml, tiny.safetensors and tiny_refiner.safetensors into `folder`: networks of the real kinds,
/// small, with random weights of a fixed seed. They follow and refine nothing, but quickly; `refine` is off.
/// Returns the configuration's path.
std::filesystem::path write_tiny_model(const std::filesystem::path& folder);

}  // namespace hqtrack::testing
