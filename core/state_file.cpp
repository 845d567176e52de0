#include "core/state_file.h"

#include <charconv>

#include "core/error.h"
#include "core/weights/safetensors.h"

namespace hqtrack {

void StateWriter::put(const std::string& name, const at::Tensor& tensor) {
  contents_.tensors.push_back(
      {name, tensor.to(at::kCPU, /*non_blocking=*/false, /*copy=*/true).contiguous()});
}

void StateWriter::write(const std::filesystem::path& file) const { write_safetensors(file, contents_); }

StateReader::StateReader(const std::filesystem::path& file) : file_(file), contents_(read_safetensors(file)) {
  for (const NamedTensor& entry : contents_.tensors) tensors_[entry.name] = &entry.tensor;
}

const at::Tensor& StateReader::tensor(const std::string& name, int64_t dimensions,
                                      at::ScalarType type) const {
  const auto found = tensors_.find(name);
  if (found == tensors_.end()) fail("expected a tensor " + name + ", found none");
  const at::Tensor& tensor = *found->second;
  if (tensor.dim() != dimensions || tensor.scalar_type() != type || tensor.numel() == 0) {
    fail(name + ": expected " + std::to_string(dimensions) + " dimensions of " + c10::toString(type) +
         ", found " + std::to_string(tensor.dim()) + " of " + c10::toString(tensor.scalar_type()));
  }
  return tensor;
}

int64_t StateReader::number(const std::string& name) const {
  const std::string& written = text(name);
  int64_t value = 0;
  const char* const end = written.data() + written.size();
  const auto [rest, error] = std::from_chars(written.data(), end, value);
  if (error != std::errc() || rest != end) fail(name + ": expected a whole number, found '" + written + "'");
  return value;
}

const std::string& StateReader::text(const std::string& name) const {
  const auto found = contents_.metadata.find(name);
  if (found == contents_.metadata.end()) fail("expected an entry " + name + ", found none");
  return found->second;
}

void StateReader::fail(const std::string& message) const {
  throw WeightsError(file_.string() + ": " + message);
}

}  // namespace hqtrack
