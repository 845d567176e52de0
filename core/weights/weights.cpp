#include "core/weights/weights.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/isfinite.h>
#include <torch/nn/module.h>

#include <algorithm>
#include <cstring>
#include <sstream>
#include <unordered_map>

#include "core/error.h"
#include "core/weights/file_reader.h"
#include "core/weights/safetensors.h"
#include "core/weights/torch_pickle.h"

namespace hqtrack {

namespace {
namespace fs = std::filesystem;

constexpr const char* kWrapperPrefix = "module.";
constexpr size_t kMostNamesListed = 8;

void strip_wrapper_prefix(TensorFile& contents) {
  const auto is_wrapped = [](const NamedTensor& entry) { return entry.name.starts_with(kWrapperPrefix); };
  if (!std::all_of(contents.tensors.begin(), contents.tensors.end(), is_wrapped)) return;
  for (NamedTensor& entry : contents.tensors) entry.name.erase(0, std::strlen(kWrapperPrefix));
}

std::string shape_text(const at::Tensor& tensor) {
  std::ostringstream out;
  out << c10::toString(tensor.scalar_type()) << " " << tensor.sizes();
  return out.str();
}

/// "3 missing: a, b, c", cut after some names.
std::string list_names(const std::string& what, const std::vector<std::string>& names) {
  std::string text = std::to_string(names.size()) + " " + what + ": ";
  for (size_t i = 0; i < std::min(names.size(), kMostNamesListed); ++i)
    text += (i > 0 ? ", " : "") + names[i];
  if (names.size() > kMostNamesListed)
    text += " and " + std::to_string(names.size() - kMostNamesListed) + " more";
  return text;
}

/// What a file and a module have in common, and everything that stands against loading.
class WeightMatch {
 public:
  WeightMatch(torch::nn::Module& module, const TensorFile& contents,
              const std::vector<std::string>& allowed_unused) {
    for (const auto& item : module.named_parameters()) targets_[item.key()] = item.value();
    for (const auto& item : module.named_buffers()) targets_[item.key()] = item.value();
    for (const NamedTensor& entry : contents.tensors) match(entry, allowed_unused);
    for (const auto& [name, target] : targets_) {
      if (!sources_.count(name)) missing_.push_back(in_quotes(name));
    }
    std::sort(missing_.begin(), missing_.end());
  }

  void check_names(const std::string& source) const {
    std::string message;
    const auto add = [&](const std::string& what, const std::vector<std::string>& names) {
      if (!names.empty()) message += (message.empty() ? "" : "; ") + list_names(what, names);
    };
    add("missing", missing_);
    add("unexpected", unexpected_);
    add("of another shape or type", unfitting_);
    if (!message.empty()) throw WeightsError(source + ": does not fit the network: " + message);
  }

  /// Converts everything before anything is changed, so that a bad value cannot leave half a network.
  void copy(const std::string& source) {
    std::vector<std::string> not_finite;
    for (auto& [name, value] : sources_) {
      value = value.to(targets_.at(name).scalar_type());
      if (value.is_floating_point() && !at::isfinite(value).all().item<bool>())
        not_finite.push_back(in_quotes(name));
    }
    std::sort(not_finite.begin(), not_finite.end());
    if (!not_finite.empty())
      throw WeightsError(source + ": " + list_names("with NaN or infinite values", not_finite));
    const at::NoGradGuard no_grad;
    for (const auto& [name, value] : sources_) targets_.at(name).copy_(value);
  }

 private:
  void match(const NamedTensor& entry, const std::vector<std::string>& allowed_unused) {
    std::string name = entry.name;
    const auto is_unused = [&] {
      return std::any_of(allowed_unused.begin(), allowed_unused.end(),
                         [&](const std::string& prefix) { return name.starts_with(prefix); });
    };
    if (!targets_.count(name) && name.starts_with(kWrapperPrefix)) name.erase(0, std::strlen(kWrapperPrefix));
    const auto target = targets_.find(name);
    if (target == targets_.end()) {
      if (!is_unused()) unexpected_.push_back(in_quotes(entry.name));
      return;
    }
    if (entry.tensor.sizes() != target->second.sizes() ||
        (entry.tensor.scalar_type() != target->second.scalar_type() &&
         !(entry.tensor.is_floating_point() && target->second.is_floating_point()))) {
      unfitting_.push_back(in_quotes(name) + " (expected " + shape_text(target->second) + ", found " +
                           shape_text(entry.tensor) + ")");
    }
    if (!sources_.emplace(name, entry.tensor).second)
      unexpected_.push_back(in_quotes(entry.name) + " (a second time)");
  }

  std::unordered_map<std::string, at::Tensor> targets_;
  std::unordered_map<std::string, at::Tensor> sources_;  // by the module's name
  std::vector<std::string> missing_, unexpected_, unfitting_;
};

}  // namespace

TensorFile read_weights(const fs::path& path) {
  const FileReader file(path);
  const std::string start = file.read_text(0, std::min<uint64_t>(file.size(), 16));
  TensorFile contents;
  if (is_torch_pickle(start)) {
    contents = read_torch_pickle(file);
  } else if (start.size() > 8 && start[8] == '{') {
    contents = read_safetensors(file);
  } else {
    file.fail("expected a .pth or .safetensors file, found neither");
  }
  strip_wrapper_prefix(contents);
  return contents;
}

void load_weights(torch::nn::Module& module, const TensorFile& contents, const std::string& source,
                  const std::vector<std::string>& allowed_unused) {
  WeightMatch match(module, contents, allowed_unused);
  match.check_names(source);
  match.copy(source);
}

void load_weights(torch::nn::Module& module, const fs::path& file,
                  const std::vector<std::string>& allowed_unused) {
  load_weights(module, read_weights(file), file.string(), allowed_unused);
}

TensorFile module_weights(const torch::nn::Module& module, std::optional<at::ScalarType> dtype) {
  TensorFile contents;
  const auto add = [&](const std::string& name, const at::Tensor& tensor) {
    const bool converts = dtype && tensor.is_floating_point();
    const at::Tensor value = tensor.detach().to(at::kCPU);
    contents.tensors.push_back({name, converts ? value.to(*dtype) : value});
  };
  for (const auto& item : module.named_parameters()) add(item.key(), item.value());
  for (const auto& item : module.named_buffers()) add(item.key(), item.value());
  return contents;
}

void save_weights(const torch::nn::Module& module, const fs::path& file, std::optional<at::ScalarType> dtype,
                  const std::map<std::string, std::string>& metadata) {
  TensorFile contents = module_weights(module, dtype);
  contents.metadata = metadata;
  write_safetensors(file, contents);
}

}  // namespace hqtrack
