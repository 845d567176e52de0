#include "tests/support/rule_weights.h"

#include <ATen/ATen.h>

#include <cmath>

namespace hqtrack::testing {
namespace {

struct Range {
  double base, scale;
};

Range range_of(const std::string& name, at::IntArrayRef shape) {
  const std::string last = name.substr(name.rfind('.') + 1);
  if (last == "gamma1" || last == "gamma2") return {1.0, 0.1f};
  if (shape.size() == 1) return last == "bias" ? Range{0.0, 0.05f} : Range{1.0, 0.1f};
  double fan_in = 1;
  for (size_t i = 1; i < shape.size(); ++i) fan_in *= static_cast<double>(shape[i]);
  const double gain = name == "conv_output2.weight" ? 4.0 : 1.0;
  return {0.0, static_cast<float>(gain * std::sqrt(3.0 / fan_in))};
}

}  // namespace

uint64_t fnv1a64(const void* data, size_t size) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (size_t i = 0; i < size; ++i) hash = (hash ^ static_cast<const uint8_t*>(data)[i]) * 0x100000001b3ull;
  return hash;
}

at::Tensor vmos_rule_weight(const std::string& salt, const std::string& name, at::IntArrayRef shape) {
  const std::string key = salt + name;
  const uint64_t seed = fnv1a64(key.data(), key.size());
  const Range range = range_of(name, shape);
  at::Tensor tensor = at::empty(shape, at::kFloat);
  float* out = tensor.mutable_data_ptr<float>();
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    uint64_t z = seed + (static_cast<uint64_t>(i) + 1) * 0x9E3779B97F4A7C15ull;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    z ^= z >> 31;
    const double u = static_cast<double>(z >> 40) * 0x1p-23 - 1.0;
    out[i] = static_cast<float>(range.base + range.scale * u);
  }
  return tensor;
}

void fill_by_vmos_rule(torch::nn::Module& network, const std::string& salt) {
  at::NoGradGuard guard;
  for (auto& parameter : network.named_parameters()) {
    parameter.value().copy_(vmos_rule_weight(salt, parameter.key(), parameter.value().sizes()));
  }
}

}  // namespace hqtrack::testing
