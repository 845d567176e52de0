#include "core/state_file.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <map>

#include "core/error.h"
#include "core/weights/safetensors.h"

namespace hqtrack {
namespace {

constexpr const char* kChecksum = "checksum";

uint64_t hash_bytes(uint64_t hash, const void* data, size_t size) {  // FNV-1a, by words
  const auto* bytes = static_cast<const char*>(data);
  for (size_t i = 0; i < size; i += sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, bytes + i, std::min(sizeof word, size - i));
    hash = (hash ^ word) * 1099511628211u;
    hash ^= hash >> 32;
  }
  return (hash ^ size) * 1099511628211u;
}

}  // namespace

std::string fingerprint(const TensorFile& contents) {
  uint64_t hash = 14695981039346656037u;
  const auto add = [&](const std::string& text) { hash = hash_bytes(hash, text.data(), text.size()); };
  std::map<std::string, const at::Tensor*> by_name;  // files have an order of their own
  for (const NamedTensor& entry : contents.tensors) by_name[entry.name] = &entry.tensor;
  for (const auto& [name, tensor] : by_name) {
    const at::Tensor values = tensor->contiguous();
    add(name);
    add(c10::toString(values.scalar_type()));
    hash = hash_bytes(hash, values.sizes().data(), values.dim() * sizeof(int64_t));
    hash = hash_bytes(hash, values.const_data_ptr(), values.nbytes());
  }
  for (const auto& [key, text] : contents.metadata) {
    add(key);
    add(text);
  }
  return std::to_string(hash);
}

void StateWriter::put(const std::string& name, const at::Tensor& tensor) {
  contents_.tensors.push_back(
      {name, tensor.to(at::kCPU, /*non_blocking=*/false, /*copy=*/true).contiguous()});
}

void StateWriter::write(const std::filesystem::path& file) {
  contents_.metadata.erase(kChecksum);
  contents_.metadata[kChecksum] = fingerprint(contents_);
  write_safetensors(file, contents_);
}

StateReader::StateReader(const std::filesystem::path& file) : file_(file), contents_(read_safetensors(file)) {
  const std::string checksum = text(kChecksum);
  contents_.metadata.erase(kChecksum);
  if (fingerprint(contents_) != checksum) fail("damaged: its contents have another checksum");
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
