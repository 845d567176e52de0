#include "core/efficientnet_lite0_weights.h"

#include <utility>

#include "core/error.h"
#include "core/weights/batch_norm.h"

namespace hqtrack {
namespace {

constexpr int kNumBlocks = 11;  // up to the 112-channel stage
constexpr double kBatchNormEps = 1e-3;
// A block's convolutions: name here, published name, name of the batch norm behind it.
constexpr std::string_view kConvolutions[][3] = {{"expand", "_expand_conv", "_bn0"},
                                                 {"dw", "_depthwise_conv", "_bn1"},
                                                 {"project", "_project_conv", "_bn2"}};

class Folding {
 public:
  Folding(const TensorFile& contents, const std::string& source) : contents_(contents), source_(source) {}

  void add(const std::string& name, const std::string& conv, const std::string& norm) {
    const at::Tensor& weight = find(conv + ".weight");
    if (weight.dim() != 4) fail(conv + ".weight", "a convolution");
    const auto of_norm = [&](const char* part) -> const at::Tensor& {
      const at::Tensor& values = find(norm + part);
      if (values.dim() != 1 || values.size(0) != weight.size(0)) {
        fail(norm + part, std::to_string(weight.size(0)) + " values");
      }
      return values;
    };
    FoldedConvolution folded =
        fold_batch_norm(weight, of_norm(".weight"), of_norm(".bias"), of_norm(".running_mean"),
                        of_norm(".running_var"), kBatchNormEps);
    folded_.tensors.push_back({"encoder." + name + ".weight", std::move(folded.weight)});
    folded_.tensors.push_back({"encoder." + name + ".bias", std::move(folded.bias)});
  }

  TensorFile take() { return std::move(folded_); }

 private:
  const at::Tensor& find(const std::string& name) const {
    const at::Tensor* tensor = contents_.find(name);
    if (!tensor) throw WeightsError(source_ + ": expected EfficientNet-Lite0, '" + name + "' is missing");
    return *tensor;
  }
  [[noreturn]] void fail(const std::string& name, const std::string& expected) const {
    throw WeightsError(source_ + ": '" + name + "': expected " + expected + ", found another shape");
  }

  const TensorFile& contents_;
  const std::string& source_;
  TensorFile folded_;
};

}  // namespace

bool is_published_efficientnet_lite0(const TensorFile& contents) {
  return contents.find("_conv_stem.weight") && contents.find("_blocks.0._depthwise_conv.weight");
}

TensorFile fold_efficientnet_lite0(const TensorFile& contents, const std::string& source) {
  Folding folding(contents, source);
  folding.add("stem", "_conv_stem", "_bn0");
  for (int block = 0; block < kNumBlocks; ++block) {
    const std::string number = std::to_string(block) + ".";
    for (const auto& [name, conv, norm] : kConvolutions) {
      const std::string published = "_blocks." + number;
      if (block == 0 && name == "expand") continue;  // the only block without
      folding.add("blocks." + number + std::string(name), published + std::string(conv),
                  published + std::string(norm));
    }
  }
  return folding.take();
}

}  // namespace hqtrack
