#include "refiner/hq_sam_weights.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "core/config.h"
#include "core/error.h"
#include "core/weights/batch_norm.h"
#include "core/weights/weights.h"

namespace hqtrack {
namespace {

constexpr double kBatchNormEps = 1e-5;
constexpr std::string_view kConvSuffix = ".c.weight";
constexpr std::string_view kTrunk = "image_encoder.", kTrackerTrunk = "encoder.";
constexpr const char* kTrunkEntry = "trunk";

// In the files, never used.
const std::vector<std::string> kUnused = {"image_encoder.norm_head.", "image_encoder.head."};
const std::vector<std::string> kHqOnly = {
    "mask_decoder.hf_token.", "mask_decoder.hf_mlp.", "mask_decoder.compress_vit_feat.",
    "mask_decoder.embedding_encoder.", "mask_decoder.embedding_maskfeature."};

// What tells one SAM from another.
struct Kind {
  std::string type;  // of the encoder: vit | tiny_vit | efficientnet_lite0
  int64_t width = 0, num_blocks = 0;
  bool has_hq = false;
  bool fits(const Kind& file) const {
    return type == file.type && width == file.width && num_blocks == file.num_blocks &&
           (file.has_hq || !has_hq);
  }
};

// None when it is no SAM at all.
std::optional<Kind> kind_of(const TensorFile& contents) {
  Kind kind;
  const at::Tensor* neck = contents.find("image_encoder.neck.0.weight");
  if (!neck || neck->dim() != 4) return std::nullopt;
  kind.width = neck->size(1);
  std::set<std::string> blocks;
  for (const NamedTensor& entry : contents.tensors) {
    const size_t at = entry.name.find("blocks.");
    if (entry.name.starts_with("image_encoder.") && at != std::string::npos) {
      blocks.insert(entry.name.substr(0, entry.name.find('.', at + 7)));
    }
    kind.has_hq |= entry.name.starts_with(kHqOnly.front());
  }
  kind.num_blocks = static_cast<int64_t>(blocks.size());
  kind.type = contents.find("image_encoder.pos_embed")     ? "vit"
              : contents.find("image_encoder.stem.weight") ? "efficientnet_lite0"
                                                           : "tiny_vit";
  return kind;
}

std::string describe(const Kind& kind) {
  const std::string network = kind.has_hq ? "HQ-SAM " : "SAM ";
  if (kind.num_blocks == 0) return network + "without its encoder";
  for (const auto& [name, sizes] : refiner_variants()) {
    int64_t num_blocks = 0;
    for (const int64_t depth : sizes.depths) num_blocks += depth;
    if (sizes.type == kind.type && sizes.widths.back() == kind.width && num_blocks == kind.num_blocks) {
      return network + name;
    }
  }
  return network + kind.type + " of width " + std::to_string(kind.width) + " with " +
         std::to_string(kind.num_blocks) + " blocks";
}

void check_kind(const HqSam& network, const TensorFile& contents, const std::string& source) {
  const Kind expected = *kind_of(module_weights(*network));
  const std::optional<Kind> found = kind_of(contents);
  if (found && expected.fits(*found)) return;
  const bool is_vmos = contents.find("patch_wise_id_bank.weight");
  throw WeightsError(source + ": expected " + describe(expected) + ", found " +
                     (found     ? describe(*found)
                      : is_vmos ? "VMOS, a tracker"
                                : "another network"));
}

}  // namespace

std::string hq_sam_kind(const TensorFile& contents) {
  const std::optional<Kind> kind = kind_of(contents);
  return kind ? describe(*kind) : "";
}

TensorFile trunk_of_tracker(const TensorFile& tracker) {
  TensorFile trunk;
  for (const NamedTensor& entry : tracker.tensors) {
    if (!entry.name.starts_with(kTrackerTrunk)) continue;
    trunk.tensors.push_back({std::string(kTrunk) + entry.name.substr(kTrackerTrunk.size()), entry.tensor});
  }
  return trunk;
}

TensorFile read_hq_sam_weights(const std::filesystem::path& file) {
  TensorFile contents = read_weights(file);
  const auto beside = contents.metadata.find(kTrunkEntry);
  if (beside == contents.metadata.end()) return contents;
  const std::filesystem::path tracker = file.parent_path() / std::filesystem::path(beside->second).filename();
  if (!std::filesystem::exists(tracker)) {
    throw WeightsError(file.string() + ": expected the file with its encoder, " + tracker.string() +
                       ", found none");
  }
  const TensorFile trunk = trunk_of_tracker(read_weights(tracker));
  contents.tensors.insert(contents.tensors.end(), trunk.tensors.begin(), trunk.tensors.end());
  contents.metadata.erase(kTrunkEntry);
  return contents;
}

void share_trunk(TensorFile& contents, const std::filesystem::path& tracker, const std::string& source) {
  const TensorFile trunk = trunk_of_tracker(read_weights(tracker));
  const auto is_shared = [&](const NamedTensor& entry) {
    if (!is_trunk_weight(entry.name)) return false;
    const at::Tensor* other = trunk.find(entry.name);
    if (other && other->scalar_type() == entry.tensor.scalar_type() && other->equal(entry.tensor))
      return true;
    throw WeightsError(source + ": " + entry.name + ": expected the values of " + tracker.string() +
                       ", found others");
  };
  if (std::erase_if(contents.tensors, is_shared) == 0) {
    throw WeightsError(source + ": expected a refiner with an encoder, found none");
  }
  contents.metadata[kTrunkEntry] = tracker.filename().string();
}

bool is_hq_weight(const std::string& name) {
  return std::any_of(kHqOnly.begin(), kHqOnly.end(),
                     [&](const std::string& prefix) { return name.starts_with(prefix); });
}

bool is_trunk_weight(const std::string& name) {
  return name.starts_with("image_encoder.") && !name.starts_with("image_encoder.neck.");
}

TensorFile fold_batch_norms(const TensorFile& contents) {
  std::map<std::string, const at::Tensor*> by_name;
  for (const NamedTensor& entry : contents.tensors) by_name[entry.name] = &entry.tensor;
  const auto statistic = [&](const std::string& name, const at::Tensor& conv) -> const at::Tensor* {
    const auto found = by_name.find(name);
    const bool fits =
        found != by_name.end() && found->second->dim() == 1 && found->second->size(0) == conv.size(0);
    return fits ? found->second : nullptr;
  };
  TensorFile folded{{}, contents.metadata};
  std::set<std::string> norms;  // beginnings of names that are used up
  for (const NamedTensor& entry : contents.tensors) {
    if (!entry.name.ends_with(kConvSuffix) || entry.tensor.dim() != 4) continue;
    const std::string name = entry.name.substr(0, entry.name.size() - kConvSuffix.size());
    const at::Tensor *weight = statistic(name + ".bn.weight", entry.tensor),
                     *bias = statistic(name + ".bn.bias", entry.tensor),
                     *mean = statistic(name + ".bn.running_mean", entry.tensor),
                     *variance = statistic(name + ".bn.running_var", entry.tensor);
    if (!weight || !bias || !mean || !variance) continue;
    const FoldedConvolution conv =
        fold_batch_norm(entry.tensor, *weight, *bias, *mean, *variance, kBatchNormEps);
    folded.tensors.push_back({name + ".weight", conv.weight});
    folded.tensors.push_back({name + ".bias", conv.bias});
    norms.insert(name);
  }
  for (const NamedTensor& entry : contents.tensors) {
    const size_t at = std::min(entry.name.rfind(".c."), entry.name.rfind(".bn."));
    if (at == std::string::npos || !norms.contains(entry.name.substr(0, at))) folded.tensors.push_back(entry);
  }
  return folded;
}

void load_hq_sam_weights(HqSam& network, const TensorFile& contents, const std::string& source) {
  const TensorFile folded = fold_batch_norms(contents);
  check_kind(network, folded, source);
  std::vector<std::string> unused = kUnused;
  unused.insert(unused.end(), kHqOnly.begin(), kHqOnly.end());
  load_weights(*network, folded, source, unused);
}

void load_hq_sam_weights(HqSam& network, const std::filesystem::path& file) {
  load_hq_sam_weights(network, read_hq_sam_weights(file), file.string());
}

}  // namespace hqtrack
