#include "tests/parity/hq_sam_folder.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <stdexcept>

#include "tests/support/npy.h"

namespace hqtrack::parity {
namespace {
namespace fs = std::filesystem;
using nlohmann::json;

at::ScalarType type_of(const std::string& dtype) {
  if (dtype == "uint8") return at::kByte;
  if (dtype == "float32") return at::kFloat;
  throw std::runtime_error("expected dtype uint8 or float32, found " + dtype);
}

at::Tensor every(at::Tensor tensor, const std::vector<int64_t>& strides) {
  for (size_t axis = 0; axis < strides.size(); ++axis) {
    tensor = tensor.slice(static_cast<int64_t>(axis), 0, std::nullopt, strides[axis]);
  }
  return tensor;
}

// Figures of a whole tensor of which only a part is kept.
void check_figures(Report& report, const std::string& file, const at::Tensor& actual, const json& item) {
  const json& full = item.at("full");
  const at::Tensor values = actual.to(at::kDouble);
  const auto check = [&](const std::string& name, double found, double allowed) {
    const double expected = full.at(name);
    report.check(std::abs(found - expected) <= allowed, file + " " + name,
                 "expected " + std::to_string(expected) + ", found " + std::to_string(found));
  };
  const auto allowed = [&](const std::string& name) {
    return item.at("atol").get<double>() +
           item.at("rtol").get<double>() * std::abs(full.at(name).get<double>());
  };
  const double of_std = 1e-4 * full.at("std").get<double>();
  check("mean", values.mean().item<double>(), of_std);
  check("std", values.std(/*unbiased=*/false).item<double>(), of_std);
  check("min", values.min().item<double>(), allowed("min"));
  check("max", values.max().item<double>(), allowed("max"));
  check("abs_sum", values.abs().sum().item<double>(), 1e-4 * full.at("abs_sum").get<double>());
}

}  // namespace

HqSamFolder::HqSamFolder(const fs::path& root) : root_(root) {
  for (const auto& entry :
       fs::recursive_directory_iterator(root, fs::directory_options::follow_directory_symlink)) {
    if (entry.path().filename() != "manifest.json") continue;
    std::ifstream file(entry.path());
    const std::string folder = entry.path().parent_path().lexically_relative(root).generic_string() + "/";
    manifests_.push_back({folder, json::parse(file)});
    for (const json& item : manifests_.back().json.value("items", json::array())) {
      items_[item.at("file")] = item;
    }
  }
  if (manifests_.empty()) throw std::runtime_error(root.string() + ": no manifest.json below it");
}

std::vector<HqSamFolder::Manifest> HqSamFolder::manifests_with(const std::string& key) const {
  std::vector<Manifest> found;
  std::ranges::copy_if(manifests_, std::back_inserter(found), [&](const Manifest& manifest) {
    const json cases = manifest.json.value("cases", json::array());
    return manifest.json.contains(key) || (!cases.empty() && cases[0].contains(key));
  });
  std::ranges::sort(found, {}, &Manifest::folder);
  return found;
}

std::vector<std::string> HqSamFolder::pictures(int64_t height, int64_t width) const {
  std::vector<std::string> found;
  for (const auto& [file, item] : items_) {
    if (item.at("dtype") == "uint8" && item.at("shape") == json{height, width, 3}) found.push_back(file);
  }
  return found;
}

at::Tensor HqSamFolder::peek(const std::string& file) const {
  const auto found = items_.find(file);
  if (found == items_.end()) throw std::runtime_error(file + ": no manifest has such a file");
  const at::Tensor tensor = testing::load_npy(root_ / file);
  const auto shape = found->second.at("shape").get<std::vector<int64_t>>();
  if (tensor.sizes() != at::IntArrayRef(shape) ||
      tensor.scalar_type() != type_of(found->second.at("dtype").get<std::string>())) {
    throw std::runtime_error(file + ": not as the manifest says: " + found->second.dump());
  }
  return tensor;
}

at::Tensor HqSamFolder::load(const std::string& file) {
  used_.insert(file);
  return peek(file);
}

bool HqSamFolder::fits(const std::string& file, const at::Tensor& actual) const {
  const json& item = items_.at(file);
  const at::Tensor expected = peek(file);
  const at::Tensor kept = every(actual, item.value("stride", std::vector<int64_t>{}));
  return kept.sizes() == expected.sizes() &&
         at::allclose(kept, expected, item.value("rtol", 0.0), item.at("atol").get<double>());
}

void HqSamFolder::compare(Report& report, const std::string& file, const at::Tensor& actual) {
  if (!has(file)) return;
  const json& item = items_.at(file);
  const at::Tensor expected = load(file);
  at::Tensor found = actual.detach().to(at::kCPU);
  if (item.contains("full")) {
    const auto shape = item["full"].at("shape").get<std::vector<int64_t>>();
    if (found.numel() != c10::multiply_integers(shape)) {
      return report.check(false, file, "expected another size than " + std::to_string(found.numel()));
    }
    check_figures(report, file, found, item);
    found = every(found.reshape(shape), item.at("stride").get<std::vector<int64_t>>());
  }
  if (item.contains("max_mismatch_fraction")) {
    const double allowed =
        item["max_mismatch_fraction"].get<double>() * static_cast<double>(expected.numel());
    return report.compare_labels(file, found.reshape(expected.sizes()), expected,
                                 static_cast<int64_t>(allowed));
  }
  report.compare(file, found, expected, item.at("atol"), item.value("rtol", 0.0));
}

void HqSamFolder::compare_exactly(Report& report, const std::string& file, const at::Tensor& actual) {
  if (!has(file)) return;
  report.check(at::equal(load(file), actual), file, "differs");
}

void HqSamFolder::check_all_used(Report& report) const {
  for (const auto& [file, item] : items_) {
    if (!used_.contains(file)) report.check(false, file, "compared with nothing");
  }
  for (const auto& entry :
       fs::recursive_directory_iterator(root_, fs::directory_options::follow_directory_symlink)) {
    const std::string file = entry.path().lexically_relative(root_).generic_string();
    if (entry.path().extension() == ".npy" && !has(file)) report.check(false, file, "no manifest has it");
  }
}

}  // namespace hqtrack::parity
