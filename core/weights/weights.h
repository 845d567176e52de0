#pragma once

#include <c10/core/ScalarType.h>

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/weights/tensor_file.h"

namespace torch::nn {
class Module;
}

namespace hqtrack {

/// Reads a .pth or .safetensors file; the contents decide which it is, not the name. When every name begins
/// with `module.` (saved from a parallel wrapper), that prefix is taken off. Throws WeightsError.
TensorFile read_weights(const std::filesystem::path& file);

/// Copies each tensor into the parameter or buffer of the same name and shape; values are converted between
/// floating point types. A name the module does not know is tried again without `module.`.
/// Tensors whose names begin with one of `allowed_unused` may be in the file without being in the module.
/// Throws one WeightsError that lists every missing, unexpected and unfitting name, or the names of tensors
/// that hold NaN or infinity; the module is then unchanged. `source` stands in front of the message.
void load_weights(torch::nn::Module& module, const TensorFile& contents, const std::string& source,
                  const std::vector<std::string>& allowed_unused = {});
void load_weights(torch::nn::Module& module, const std::filesystem::path& file,
                  const std::vector<std::string>& allowed_unused = {});

/// All parameters and buffers on the CPU, detached; floating point ones converted to `dtype` when it is
/// given. The tensors may share memory with the module.
TensorFile module_weights(const torch::nn::Module& module,
                          std::optional<at::ScalarType> dtype = std::nullopt);

/// Writes them as .safetensors, atomically. Throws OutputError.
void save_weights(const torch::nn::Module& module, const std::filesystem::path& file,
                  std::optional<at::ScalarType> dtype = std::nullopt,
                  const std::map<std::string, std::string>& metadata = {});

}  // namespace hqtrack
