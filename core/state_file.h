#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <unordered_map>

#include "core/weights/tensor_file.h"

namespace hqtrack {

/// Equal for equal names, texts and values, and hardly for others.
std::string fingerprint(const TensorFile& contents);

/// The state of a run as named tensors and texts: a .safetensors file.
class StateWriter {
 public:
  void put(const std::string& name, const at::Tensor& tensor);  // a copy on the CPU
  void put(const std::string& name, int64_t number) { contents_.metadata[name] = std::to_string(number); }
  void put(const std::string& name, const std::string& text) { contents_.metadata[name] = text; }

  /// `file` is the old one or the complete new one. Throws OutputError.
  void write(const std::filesystem::path& file);

 private:
  TensorFile contents_;
};

/// Every failure is a WeightsError that names the file and the entry; damage is found when it is opened.
class StateReader {
 public:
  explicit StateReader(const std::filesystem::path& file);

  bool has(const std::string& name) const {
    return tensors_.contains(name) || contents_.metadata.contains(name);
  }
  const at::Tensor& tensor(const std::string& name, int64_t dimensions, at::ScalarType type) const;
  int64_t number(const std::string& name) const;
  const std::string& text(const std::string& name) const;

  [[noreturn]] void fail(const std::string& message) const;

 private:
  std::filesystem::path file_;
  TensorFile contents_;
  std::unordered_map<std::string, const at::Tensor*> tensors_;
};

}  // namespace hqtrack
