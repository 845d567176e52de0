#include "tracker/tracker.h"

#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "core/error.h"
#include "core/label_mask.h"
#include "tracker/decode_labels.h"
#include "tracker/engine.h"
#include "tracker/preprocess.h"

namespace hqtrack {
namespace {

GridSize image_size(const at::Tensor& image) { return {image.size(0), image.size(1)}; }

// Values of a label map looked up in a table.
at::Tensor map_labels(const at::Tensor& labels, const std::array<uint8_t, 256>& table) {
  at::Tensor out = labels.clone();
  uint8_t* data = out.mutable_data_ptr<uint8_t>();
  for (int64_t i = 0; i < out.numel(); ++i) data[i] = table[data[i]];
  return out;
}

}  // namespace

class Tracker::Impl {
 public:
  Impl(Vmos network, const TrackerConfig& config) : network_(std::move(network)), config_(config) {
    network_->eval();
  }

  void start(const at::Tensor& image, const at::Tensor& label_mask, const Features* features) {
    c10::InferenceMode guard;
    slot_of_id_.clear();
    engines_.emplace(network_, config_.memory);
    source_ = image_size(image);
    network_size_ = network_size(source_, config_.preprocess);
    add_reference(features ? *features : encode(image), label_mask);
  }

  TrackerResult track(const at::Tensor& image, const at::Tensor& new_objects, const Features* encoded) {
    c10::InferenceMode guard;
    if (!engines_) throw Error(ExitCode::kInternal, "tracker: expected start() before track()");
    if (image_size(image) != source_) {
      throw MediaError("frame: expected " + std::to_string(source_.width) + "x" +
                       std::to_string(source_.height) + " as the first frame, found " +
                       std::to_string(image.size(1)) + "x" + std::to_string(image.size(0)));
    }
    const Features features = encoded ? *encoded : encode(image);
    const DecodedLabels decoded =
        decode_labels(engines_->propagate(features), source_, network_->objects_per_engine());
    TrackerResult result;
    result.label_mask = map_labels(decoded.slots, id_table());
    if (new_objects.defined()) {
      paste(new_objects, result.label_mask);
      add_reference(features, result.label_mask);
    } else {
      engines_->update_memory(resize_labels(decoded.slots, network_size_.height, network_size_.width));
    }
    for (const auto& [id, slot] : slot_of_id_) {
      const bool was_tracked = slot < static_cast<int64_t>(decoded.mean_score.size());
      result.scores.push_back({id, was_tracked ? decoded.mean_score[slot] : 0.0});
    }
    if (new_objects.defined()) trust(label_ids(new_objects), result.scores);
    return result;
  }

  Features encode(const at::Tensor& image) const {
    c10::InferenceMode guard;
    const GridSize size = network_size(image_size(image), config_.preprocess);
    return network_->encode(
        normalize(resize_bicubic(image, size), config_.preprocess).to(network_->device()));
  }

  std::vector<int64_t> object_ids() const {
    std::vector<int64_t> ids;
    for (const auto& [id, slot] : slot_of_id_) ids.push_back(id);
    return ids;
  }

 private:
  // Gives new ids their slots and hands the frame to all engines.
  void add_reference(const Features& features, const at::Tensor& label_mask) {
    TORCH_CHECK(
        label_mask.dim() == 2 && label_mask.size(0) == source_.height && label_mask.size(1) == source_.width,
        "label mask: expected ", source_.height, " x ", source_.width, ", found ", label_mask.sizes());
    int64_t num_slots = engines_->num_objects();
    for (const int64_t id : label_ids(label_mask)) {
      if (slot_of_id_.contains(id)) continue;
      // The published system uses the id itself as the slot, so gaps become objects that do not exist.
      const int64_t slot = config_.compatibility == "reference" ? id : num_slots + 1;
      slot_of_id_[id] = slot;
      num_slots = std::max(num_slots, slot);
    }
    std::array<uint8_t, 256> table{};
    for (const auto& [id, slot] : slot_of_id_) table[id] = static_cast<uint8_t>(slot);
    engines_->add_reference(
        features, resize_labels(map_labels(label_mask, table), network_size_.height, network_size_.width),
        num_slots);
  }

  std::array<uint8_t, 256> id_table() const {
    std::array<uint8_t, 256> table{};
    if (config_.compatibility == "reference") {
      for (size_t slot = 0; slot < table.size(); ++slot) table[slot] = static_cast<uint8_t>(slot);
    }
    for (const auto& [id, slot] : slot_of_id_) table[slot] = static_cast<uint8_t>(id);
    return table;
  }

  static void paste(const at::Tensor& new_objects, at::Tensor& label_mask) {
    TORCH_CHECK(new_objects.sizes() == label_mask.sizes(), "label mask of new objects: expected ",
                label_mask.sizes(), ", found ", new_objects.sizes());
    const uint8_t* source = new_objects.const_data_ptr<uint8_t>();
    uint8_t* target = label_mask.mutable_data_ptr<uint8_t>();
    for (int64_t i = 0; i < label_mask.numel(); ++i) target[i] = source[i] != 0 ? source[i] : target[i];
  }

  // Masks that the user gave are certain.
  static void trust(const std::vector<int64_t>& ids, std::vector<ObjectScore>& scores) {
    for (ObjectScore& object : scores) {
      if (std::binary_search(ids.begin(), ids.end(), object.id)) object.score = 1.0;
    }
  }

  mutable Vmos network_;  // LibTorch's modules have no constant forward
  TrackerConfig config_;
  GridSize source_, network_size_;
  std::optional<EngineGroup> engines_;
  std::map<int64_t, int64_t> slot_of_id_;
};

Tracker::Tracker(Vmos network, const TrackerConfig& config)
    : impl_(std::make_unique<Impl>(std::move(network), config)) {}
Tracker::~Tracker() = default;
Features Tracker::encode(const at::Tensor& image) const { return impl_->encode(image); }
void Tracker::start(const at::Tensor& image, const at::Tensor& label_mask, const Features* features) {
  impl_->start(image, label_mask, features);
}
TrackerResult Tracker::track(const at::Tensor& image, const at::Tensor& new_objects,
                             const Features* features) {
  return impl_->track(image, new_objects, features);
}
std::vector<int64_t> Tracker::object_ids() const { return impl_->object_ids(); }

}  // namespace hqtrack
