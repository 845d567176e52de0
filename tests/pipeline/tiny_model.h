#pragma once

#include <filesystem>

namespace hqtrack::testing {

/// Writes tiny.yaml and tiny.safetensors into `folder`: a network of the real kind, small, with random
/// weights of a fixed seed. It follows nothing, but quickly. Returns the configuration's path.
std::filesystem::path write_tiny_model(const std::filesystem::path& folder);

}  // namespace hqtrack::testing
