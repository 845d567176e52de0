#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

namespace hqtrack {

struct NamedTensor {
  std::string name;
  at::Tensor tensor;  // on the CPU
};

class FileReader;

/// Room for values of a file. Throws WeightsError when there is not enough memory.
at::Tensor allocate_tensor(const FileReader& file, const std::string& name, at::IntArrayRef sizes,
                           at::ScalarType type);

/// What a file of parameters holds, whatever its format.
struct TensorFile {
  std::vector<NamedTensor> tensors;             // names are unique; order of the file
  std::map<std::string, std::string> metadata;  // free texts; .pth files have none

  /// Null when there is no such tensor.
  const at::Tensor* find(const std::string& name) const {
    for (const NamedTensor& entry : tensors) {
      if (entry.name == name) return &entry.tensor;
    }
    return nullptr;
  }
};

}  // namespace hqtrack
