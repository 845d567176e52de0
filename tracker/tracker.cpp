#include "tracker/tracker.h"

#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <utility>

#include "core/error.h"
#include "core/label_mask.h"
#include "core/profile.h"
#include "tracker/decode_labels.h"
#include "tracker/engine.h"
#include "tracker/preprocess.h"
#include "tracker/search_region.h"
#include "tracker/stray_parts.h"

namespace hqtrack {
namespace {

constexpr int64_t kLargestEdge = 1 << 20;
constexpr int64_t kMostSlots = 255;  // labels have a byte

GridSize image_size(const at::Tensor& image) { return {image.size(0), image.size(1)}; }

// Of an image or a label mask; shares its memory.
at::Tensor part(const at::Tensor& picture, const Box& region) {
  return picture.narrow(0, region.y0, region.y1 - region.y0).narrow(1, region.x0, region.x1 - region.x0);
}

// Values of a label map looked up in a table.
at::Tensor map_labels(const at::Tensor& labels, const std::array<uint8_t, 256>& table) {
  at::Tensor out = labels.clone();
  uint8_t* data = out.mutable_data_ptr<uint8_t>();
  for (int64_t i = 0; i < out.numel(); ++i) data[i] = table[data[i]];
  return out;
}

}  // namespace

bool is_lost(const TrackerConfig& config, double score) {
  return config.compatibility != "reference" && score < config.states.lost_below;
}

class Tracker::Impl {
 public:
  Impl(Vmos network, const TrackerConfig& config)
      : network_(std::move(network)), config_(config), stray_parts_(config.stray_margin) {
    if (network_->is_training()) network_->eval();  // others may be using it
  }

  void start(const at::Tensor& image, const at::Tensor& label_mask, const Encoded* encoded) {
    c10::InferenceMode guard;
    source_ = image_size(image);
    network_size_ = network_size(source_, config_.preprocess);
    encoded_.reset();
    if (encoded) encoded_ = *encoded;
    begin_anew(image, label_mask);
  }

  TrackerResult track(const at::Tensor& image, const Encoded* encoded) {
    c10::InferenceMode guard;
    if (!engines_) throw Error(ExitCode::kInternal, "tracker: expected start() before track()");
    if (image_size(image) != source_) {
      throw MediaError("frame: expected " + std::to_string(source_.width) + "x" +
                       std::to_string(source_.height) + " as the first frame, found " +
                       std::to_string(image.size(1)) + "x" + std::to_string(image.size(0)));
    }
    encoded_.reset();
    TrackerResult result;
    if (slot_of_id_.empty()) {
      result.label_mask = at::zeros({source_.height, source_.width}, at::kByte);
      return result;
    }
    const Box region = search_region_->next();
    if (encoded) encoded_ = *encoded;
    encoded_ = view(image, region);
    const std::vector<at::Tensor> logits = engines_->propagate(encoded_->features);
    DecodedLabels decoded;
    const at::Tensor slots = at::zeros({source_.height, source_.width}, at::kByte);
    {
      const StageTimer timer(Stage::kHead);
      decoded = decode_labels(logits, {region.y1 - region.y0, region.x1 - region.x0},
                              network_->objects_per_engine(), part(slots, region));
      const std::array<uint8_t, 256> ids = id_table();
      stray_parts_.drop(slots, ids);
      result.label_mask = map_labels(slots, ids);
    }
    {
      const StageTimer timer(Stage::kMemory);
      engines_->update_memory(resize_labels(decoded.slots, network_size_.height, network_size_.width));
    }
    for (const auto& [id, slot] : slot_of_id_) {
      const bool was_tracked = slot < static_cast<int64_t>(decoded.mean_score.size());
      result.scores.push_back({id, was_tracked ? decoded.mean_score[slot] : 0.0});
    }
    update_search_region(image, slots, &decoded.mean_score);
    return result;
  }

  void correct(const at::Tensor& image, const at::Tensor& label_mask) {
    c10::InferenceMode guard;
    if (!engines_) throw Error(ExitCode::kInternal, "tracker: expected start() before correct()");
    if (slot_of_id_.empty()) return begin_anew(image, label_mask);
    const std::vector<int64_t> ids = label_ids(label_mask);
    const auto num_new = std::ranges::count_if(ids, [&](int64_t id) { return !slot_of_id_.contains(id); });
    const int64_t needed = engines_->num_objects() + num_new;
    const bool has_retired = engines_->num_objects() > static_cast<int64_t>(slot_of_id_.size());
    // What is not seen in this frame could not be found again.
    const bool is_all_seen = std::ranges::all_of(
        slot_of_id_, [&](const auto& known) { return std::ranges::binary_search(ids, known.first); });
    const bool can_begin_anew = has_retired && (is_all_seen || needed > kMostSlots);
    if (can_begin_anew && needed > engines_->num_slots() && config_.compatibility != "reference") {
      return begin_anew(image, label_mask);
    }
    add_reference(image, label_mask);
  }

  void remove(int64_t id) {
    const auto found = slot_of_id_.find(id);
    if (found == slot_of_id_.end()) return;
    const int64_t slot = found->second;
    retired_[slot] = true;
    slot_of_id_.erase(found);
    // In the published system the slot is the id.
    if (config_.compatibility != "reference") drop_idle_engine((slot - 1) / network_->objects_per_engine());
  }

  void save(StateWriter& state) const {
    if (!engines_) throw Error(ExitCode::kInternal, "tracker: expected start() before save()");
    state.put("height", source_.height);
    state.put("width", source_.width);
    // [n, 2]: id and slot; removed objects have id 0.
    std::vector<int64_t> slots;
    for (const auto& [id, slot] : slot_of_id_) slots.insert(slots.end(), {id, slot});
    for (size_t slot = 0; slot < retired_.size(); ++slot) {
      if (retired_[slot]) slots.insert(slots.end(), {0, static_cast<int64_t>(slot)});
    }
    slots.insert(slots.end(), {0, 0});  // never empty
    state.put("slot_of_id", at::tensor(slots, at::kLong).view({-1, 2}));
    search_region_->save(state);
    stray_parts_.save(state);
    engines_->save(state);
  }

  void restore(const StateReader& state) {
    c10::InferenceMode guard;
    engines_.reset();
    encoded_.reset();
    slot_of_id_.clear();
    retired_.fill(false);
    source_ = {state.number("height"), state.number("width")};
    if (source_.height < 1 || source_.width < 1 || source_.height > kLargestEdge ||
        source_.width > kLargestEdge) {
      state.fail("expected frames of at least a pixel, found " + std::to_string(source_.width) + "x" +
                 std::to_string(source_.height));
    }
    network_size_ = network_size(source_, config_.preprocess);
    const at::Tensor& slots = state.tensor("slot_of_id", 2, at::kLong);
    for (int64_t i = 0; i < slots.size(0); ++i) {
      const int64_t id = slots[i][0].item<int64_t>(), slot = slots[i][1].item<int64_t>();
      if (id < 0 || id > 255 || slot < 0 || slot > 255)
        state.fail("slot_of_id: expected 0 to 255, found others");
      if (id > 0) slot_of_id_[id] = slot;
      if (id == 0 && slot > 0) retired_[slot] = true;
    }
    EngineGroup engines(network_, config_.memory);
    engines.restore(state);
    SearchRegion search_region(config_.search_region, source_);
    search_region.restore(state);
    stray_parts_.restore(state);
    {
      const std::lock_guard lock(region_mutex_);
      search_region_ = std::move(search_region);
      newest_.reset();
    }
    engines_ = std::move(engines);
  }

  Encoded encode(const at::Tensor& image) const {
    c10::InferenceMode guard;
    return encode(image, expected_region(image));
  }

  int64_t num_engines() const { return engines_ ? static_cast<int64_t>(engines_->engines().size()) : 0; }

  std::vector<int64_t> object_ids() const {
    std::vector<int64_t> ids;
    for (const auto& [id, slot] : slot_of_id_) ids.push_back(id);
    return ids;
  }

 private:
  // An engine that has lost all its objects costs as much time as before. The last one is left: track() does
  // not ask it.
  void drop_idle_engine(int64_t engine) {
    const int64_t per_engine = network_->objects_per_engine(), end = (engine + 1) * per_engine;
    const bool is_idle = std::ranges::none_of(slot_of_id_, [&](const auto& known) {
      return known.second > end - per_engine && known.second <= end;
    });
    if (!is_idle || num_engines() == 1) return;
    engines_->erase(engine);
    for (auto& [id, slot] : slot_of_id_) {
      if (slot > end) slot -= per_engine;
    }
    std::shift_left(retired_.begin() + (end - per_engine + 1), retired_.end(), per_engine);
    std::fill(retired_.end() - per_engine, retired_.end(), false);
  }

  Encoded encode(const at::Tensor& image, const Box& region) const {
    const GridSize size = network_size(image_size(image), config_.preprocess);
    at::Tensor input;
    {
      const StageTimer timer(Stage::kPreprocess);
      input = preprocess(part(image, region), size, config_.preprocess, network_->device());
    }
    const StageTimer timer(Stage::kEncoder);
    return {network_->encode(input), region};
  }

  // Of the image, which is the one encoded last, if any was.
  Encoded view(const at::Tensor& image, const Box& region) const {
    return encoded_ && encoded_->region == region ? *encoded_ : encode(image, region);
  }

  // Of an image that comes to be encoded: what is known of the frame before the last one decides.
  Box expected_region(const at::Tensor& image) const {
    const std::lock_guard lock(region_mutex_);
    const at::Tensor before = std::exchange(encoded_before_, image);
    const GridSize size = image_size(image);
    if (!search_region_ || size != source_) return {0, 0, size.width, size.height};
    return newest_.defined() && before.is_same(newest_) ? search_region_->next()
                                                        : search_region_->after_next();
  }

  // From the slots of a frame: its labels were given, or have these scores.
  void update_search_region(const at::Tensor& image, const at::Tensor& slots,
                            const std::vector<double>* scores) {
    if (config_.search_region.mode != "objects") return;  // the frame it is, whatever is seen
    std::vector<Box> seen;
    const std::array<Region, 256> regions = label_regions(slots);
    for (const auto& [id, slot] : slot_of_id_) {
      if (regions[slot].area_px == 0) continue;
      if (!scores || !is_lost(config_, config_.states.score((*scores)[slot])))
        seen.push_back(regions[slot].box);
    }
    const bool is_any_lost = seen.size() < slot_of_id_.size();
    const std::lock_guard lock(region_mutex_);
    newest_ = image;
    scores ? search_region_->update(seen, is_any_lost) : search_region_->correct(seen, is_any_lost);
  }

  // With this frame as the first reference, if there is an object in it.
  void begin_anew(const at::Tensor& image, const at::Tensor& label_mask) {
    slot_of_id_.clear();
    retired_.fill(false);
    {
      const std::lock_guard lock(region_mutex_);
      search_region_.emplace(config_.search_region, source_);
      newest_ = image;
    }
    stray_parts_ = StrayParts(config_.stray_margin);
    engines_.emplace(network_, config_.memory);
    TORCH_CHECK(
        label_mask.dim() == 2 && label_mask.size(0) == source_.height && label_mask.size(1) == source_.width,
        "label mask: expected ", source_.height, " x ", source_.width, ", found ", label_mask.sizes());
    if (!label_ids(label_mask).empty()) add_reference(image, label_mask);
  }

  // Gives new ids their slots and hands the frame to all engines: the region of the search and, if it is the
  // first one, all of it, so that what lies outside is known as background.
  void add_reference(const at::Tensor& image, const at::Tensor& label_mask) {
    int64_t num_slots = engines_->num_objects();
    for (const int64_t id : label_ids(label_mask)) {
      if (slot_of_id_.contains(id)) continue;
      // The published system uses the id itself as the slot, so gaps become objects that do not exist.
      const int64_t slot = config_.compatibility == "reference" ? id : num_slots + 1;
      slot_of_id_[id] = slot;
      retired_[slot] = false;
      num_slots = std::max(num_slots, slot);
    }
    std::array<uint8_t, 256> table{};
    for (const auto& [id, slot] : slot_of_id_) table[id] = static_cast<uint8_t>(slot);
    const at::Tensor slots = map_labels(label_mask, table);
    stray_parts_.see(label_mask);
    update_search_region(image, slots, nullptr);
    const Box region = search_region_->next(), whole = search_region_->whole();
    std::vector<LabelledView> views;
    const auto add_view = [&](const Box& seen) {
      encoded_ = view(image, seen);
      views.push_back(
          {encoded_->features, resize_labels(part(slots, seen), network_size_.height, network_size_.width)});
    };
    if (!engines_->has_propagated() && region != whole) add_view(whole);
    add_view(region);
    engines_->add_reference(views, num_slots);
  }

  std::array<uint8_t, 256> id_table() const {
    std::array<uint8_t, 256> table{};
    if (config_.compatibility == "reference") {
      for (size_t slot = 0; slot < table.size(); ++slot) {
        table[slot] = static_cast<uint8_t>(retired_[slot] ? 0 : slot);
      }
    }
    for (const auto& [id, slot] : slot_of_id_) table[slot] = static_cast<uint8_t>(id);
    return table;
  }

  mutable Vmos network_;  // LibTorch's modules have no constant forward
  TrackerConfig config_;
  GridSize source_, network_size_;
  std::optional<EngineGroup> engines_;
  std::optional<Encoded> encoded_;   // the frame seen last; empty where nothing asked for it
  mutable std::mutex region_mutex_;  // `encode` may be in another thread
  std::optional<SearchRegion> search_region_;
  StrayParts stray_parts_;
  at::Tensor newest_;                  // image of the frame that the search region knows
  mutable at::Tensor encoded_before_;  // the image that came to `encode` last
  std::map<int64_t, int64_t> slot_of_id_;
  std::array<bool, 256> retired_{};  // slots of removed objects
};

Tracker::Tracker(Vmos network, const TrackerConfig& config)
    : impl_(std::make_unique<Impl>(std::move(network), config)) {}
Tracker::~Tracker() = default;
Encoded Tracker::encode(const at::Tensor& image) const { return impl_->encode(image); }
void Tracker::start(const at::Tensor& image, const at::Tensor& label_mask, const Encoded* encoded) {
  impl_->start(image, label_mask, encoded);
}
TrackerResult Tracker::track(const at::Tensor& image, const Encoded* encoded) {
  return impl_->track(image, encoded);
}
void Tracker::correct(const at::Tensor& image, const at::Tensor& label_mask) {
  impl_->correct(image, label_mask);
}
void Tracker::remove(int64_t id) { impl_->remove(id); }
void Tracker::save(StateWriter& state) const { impl_->save(state); }
void Tracker::restore(const StateReader& state) { impl_->restore(state); }
std::vector<int64_t> Tracker::object_ids() const { return impl_->object_ids(); }
int64_t Tracker::num_engines() const { return impl_->num_engines(); }

}  // namespace hqtrack
