#include "tests/parity/golden_folder.h"

#include <fstream>
#include <stdexcept>

#include "tests/support/npy.h"

namespace hqtrack::parity {

GoldenFolder::GoldenFolder(const std::filesystem::path& folder) : folder_(folder) {
  std::ifstream file(folder / "manifest.json");
  if (!file) throw std::runtime_error((folder / "manifest.json").string() + ": cannot be read");
  manifest_ = nlohmann::json::parse(file);
  if (manifest_.contains("tensors")) {
    for (const auto& entry : manifest_["tensors"]) entries_[entry.at("name")] = entry;
  } else {
    const nlohmann::json& items = manifest_.contains("items") ? manifest_["items"] : manifest_;
    for (const auto& [name, entry] : items.items()) {
      if (entry.contains("dtype")) entries_[name] = entry;
    }
  }
}

at::Tensor GoldenFolder::load(const std::string& name) const {
  const auto found = entries_.find(name);
  if (found == entries_.end())
    throw std::runtime_error(folder_.string() + ": the manifest has no tensor " + name);
  return testing::load_npy(folder_ / found->second.value("file", name + ".npy"));
}

double GoldenFolder::atol(const std::string& name) const {
  return entries_.at(name).at("atol").get<double>();
}

std::vector<std::string> GoldenFolder::names(const std::string& prefix) const {
  std::vector<std::string> found;
  for (const auto& [name, entry] : entries_) {
    if (name.starts_with(prefix)) found.push_back(name);
  }
  return found;
}

void GoldenFolder::compare(Report& report, const std::string& name, const at::Tensor& actual) {
  if (!has(name)) return;
  mark_compared(name);
  const at::Tensor expected = load(name);
  const double rounding = expected.scalar_type() == at::kHalf ? 0x1p-11 : 0.0;  // of what is stored
  report.compare(name, actual, expected.to(actual.scalar_type()), atol(name), rounding);
}

void GoldenFolder::check_all_compared(Report& report) const {
  for (const auto& [name, entry] : entries_) {
    if (entry.contains("atol") && !compared_.contains(name))
      report.check(false, name, "compared with nothing");
  }
}

}  // namespace hqtrack::parity
