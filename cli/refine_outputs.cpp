#include "cli/refine_outputs.h"

#include <ATen/ops/full.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <map>
#include <utility>

#include "core/error.h"
#include "core/log.h"
#include "io/mask_reader.h"
#include "io/output_file.h"
#include "refiner/cutout.h"

namespace hqtrack {
namespace fs = std::filesystem;
namespace {

constexpr const char* kCocoName = "coco.json";
constexpr const char* kNameless = "object";  // COCO wants a name for every category

std::string cutout_name(const std::string& stem, int64_t id) {
  return stem + "_" + std::to_string(id) + ".png";
}

/// Names of the files that may be written.
class OutputNames {
 public:
  OutputNames(const std::set<RefineFormat>& formats, const std::vector<fs::path>& pictures)
      : formats_(formats) {
    if (formats == std::set{RefineFormat::kCoco}) return;  // one file for all pictures
    for (const fs::path& picture : pictures) {
      const auto [other, is_new] = by_stem_.emplace(picture.stem().string(), picture);
      if (is_new) continue;
      throw UsageError(picture.string() + " and " + other->second.string() +
                       ": expected names of their own, as " + other->first + ".png would be of both");
    }
    if (!has(RefineFormat::kMasks)) return;
    for (const auto& [stem, picture] : by_stem_) {
      if (!is_cutout(stem)) continue;
      throw UsageError(picture.string() + ": its mask " + stem +
                       ".png may have the name of another picture's cut-out; write masks and cutouts apart");
    }
  }

  bool contains(const fs::path& name) const {
    if (has(RefineFormat::kCoco) && name == kCocoName) return true;
    const std::string stem = name.stem().string();
    return name.extension() == ".png" &&
           ((has(RefineFormat::kMasks) && by_stem_.contains(stem)) || is_cutout(stem));
  }

  /// One of them.
  std::string first() const {
    if (has(RefineFormat::kCoco)) return kCocoName;
    const std::string& stem = by_stem_.begin()->first;
    return has(RefineFormat::kMasks) ? stem + ".png" : cutout_name(stem, 1);
  }

 private:
  bool has(RefineFormat format) const { return formats_.contains(format); }

  bool is_cutout(const std::string& name) const {
    const size_t line = name.rfind('_');
    if (!has(RefineFormat::kCutouts) || line == std::string::npos) return false;
    const std::string id = name.substr(line + 1);
    const bool is_id = !id.empty() && id.size() <= 3 && id.front() != '0' &&
                       id.find_first_not_of("0123456789") == std::string::npos;
    return is_id && by_stem_.contains(name.substr(0, line));
  }

  std::set<RefineFormat> formats_;
  std::map<std::string, fs::path> by_stem_;
};

}  // namespace

void check_refine_outputs(const RefineArguments& arguments, const std::vector<fs::path>& pictures,
                          const std::vector<fs::path>& inputs) {
  const OutputNames names(arguments.formats, pictures);
  const fs::path& folder = arguments.output;
  std::error_code code;
  if (fs::exists(folder, code) && !fs::is_directory(folder, code)) {
    throw OutputError(folder.string() + ": expected a folder, found a file");
  }
  std::set<fs::path> read;
  for (const fs::path& input : inputs) read.insert(fs::weakly_canonical(fs::absolute(input), code));
  for (fs::directory_iterator it(folder, code), end; !code && it != end; it.increment(code)) {
    if (!names.contains(it->path().filename())) continue;
    std::error_code ignored;
    const std::string file = it->path().string();
    if (read.contains(fs::weakly_canonical(fs::absolute(it->path()), ignored))) {
      throw UsageError("--output: " + file + " would replace an input");
    }
    if (it->is_directory(ignored)) throw OutputError(file + ": expected a file, found a folder");
    if (!arguments.overwrites) throw OutputError(file + ": exists already; --overwrite replaces it");
  }
  const bool is_new = !fs::exists(folder, code);
  { const OutputFile trial(folder / names.first()); }
  if (is_new) fs::remove(folder, code);  // there may be other reasons to write nothing
}

RefineOutputs::RefineOutputs(fs::path folder, std::set<RefineFormat> formats, int64_t last_annotation_id)
    : folder_(std::move(folder)), formats_(std::move(formats)), last_annotation_id_(last_annotation_id) {}

void RefineOutputs::begin_picture(const std::string& name, int64_t id, const at::Tensor& image) {
  stem_ = fs::path(name).stem().string();
  image_ = image;
  labels_ = at::zeros({image.size(0), image.size(1)}, at::kByte);
  surest_ = at::full(labels_.sizes(), 0.0, at::kFloat);  // logits; above 0 = object
  described_ = {id, name, image.size(0), image.size(1)};
}

void RefineOutputs::add(const RefinedObject& object, const MaskProposal& mask) {
  ++num_objects_;
  const at::Tensor is_surer = mask.logits.gt(surest_);
  labels_.masked_fill_(is_surer, mask.id);
  surest_ = at::where(is_surer, mask.logits, surest_);
  if (formats_.contains(RefineFormat::kCutouts)) {
    write_image(folder_ / cutout_name(stem_, mask.id), cut_out(image_, mask.logits.contiguous()));
  }
  if (formats_.contains(RefineFormat::kCoco)) {
    CocoAnnotation& annotation = coco_.annotations.emplace_back(describe_mask(mask.logits.gt(0)));
    annotation.id = object.annotation_id ? *object.annotation_id : ++last_annotation_id_;
    annotation.image = coco_.images.size();
    annotation.category_id = category_of(object);
    annotation.object_id = mask.id;
    annotation.score = std::clamp(mask.score, 0.0, 1.0);
  }
}

int64_t RefineOutputs::category_of(const RefinedObject& object) {
  const std::string name = object.name.empty() ? kNameless : object.name;
  if (object.category_id) {
    coco_.categories.emplace(*object.category_id, name);
    return *object.category_id;
  }
  for (const auto& [id, known] : coco_.categories) {
    if (known == name) return id;
  }
  const auto next = static_cast<int64_t>(coco_.categories.size()) + 1;
  coco_.categories.emplace(next, name);
  return next;
}

void RefineOutputs::end_picture() {
  if (formats_.contains(RefineFormat::kMasks)) write_label_mask(folder_ / (stem_ + ".png"), labels_);
  coco_.images.push_back(std::move(described_));
  image_ = labels_ = surest_ = at::Tensor();
}

void RefineOutputs::finish(bool is_complete) {
  if (!formats_.contains(RefineFormat::kCoco)) return;
  const fs::path file = folder_ / kCocoName;
  if (!is_complete && fs::exists(file)) {
    log_warning(file.string() + ": is left as it was");
  } else {
    write_coco(file, coco_);
  }
}

}  // namespace hqtrack
