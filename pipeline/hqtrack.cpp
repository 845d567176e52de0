#include "pipeline/hqtrack.h"

#include <ATen/ops/empty_like.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <array>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

#include "core/device.h"
#include "core/error.h"
#include "core/label_mask.h"
#include "core/weights/weights.h"
#include "refiner/hq_sam_weights.h"
#include "refiner/refiner.h"
#include "selector/select_masks.h"
#include "tracker/tracker.h"
#include "tracker/vmos.h"

namespace hqtrack {
namespace {

Vmos load_network(const Config& config, const std::string& device_name) {
  const at::Device device = resolve_device(device_name);
  if (config.tracker.weights.empty()) {
    throw ConfigError(config.file.string() + ": tracker.weights: expected a weights file, found nothing");
  }
  Vmos network(config.tracker);
  load_weights(*network, config.tracker.weights, kUnusedVmosWeights);
  network->to(device);
  return network;
}

std::optional<Refiner> load_refiner(const Config& config, const std::string& device_name) {
  if (config.refiner.every_frames == 0) return std::nullopt;
  if (config.refiner.weights.empty()) {
    throw ConfigError(config.file.string() +
                      ": refiner.weights: expected a weights file, found nothing (refine=off does without)");
  }
  HqSam network(config.refiner);
  load_hq_sam_weights(network, config.refiner.weights);
  network->to(resolve_device(device_name));
  return Refiner(network, config.refiner);
}

void check_size(const Frame& frame, const at::Tensor& label_mask) {
  const auto size = [](const at::Tensor& t) {
    return std::to_string(t.size(1)) + "x" + std::to_string(t.size(0));
  };
  if (label_mask.dim() == 2 && label_mask.size(0) == frame.image.size(0) &&
      label_mask.size(1) == frame.image.size(1)) {
    return;
  }
  throw MediaError(
      "label mask of frame " + std::to_string(frame.index) + ": expected " + size(frame.image) +
      " as the frame, found " +
      (label_mask.dim() == 2 ? size(label_mask) : std::to_string(label_mask.dim()) + " dimensions"));
}

at::Tensor without(const at::Tensor& label_mask, const std::array<bool, 256>& is_removed) {
  at::Tensor kept = at::empty_like(label_mask);
  const uint8_t* from = label_mask.const_data_ptr<uint8_t>();
  uint8_t* to = kept.mutable_data_ptr<uint8_t>();
  for (int64_t i = 0; i < kept.numel(); ++i) to[i] = is_removed[from[i]] ? 0 : from[i];
  return kept;
}

}  // namespace

class HqTrack::Impl {
 public:
  Impl(const Config& config, const std::string& device)
      : tracker_(load_network(config, device), config.tracker),
        refiner_(load_refiner(config, device)),
        refined_every_(config.refiner.every_frames),
        selector_(config.selector),
        states_(config.tracker.states),
        keeps_all_(config.tracker.compatibility == "reference") {}

  void set_names(const std::map<int64_t, std::string>& names) { names_ = names; }

  void encode_ahead(const Frame& frame) {
    Features features = tracker_.encode(frame.image);
    const std::lock_guard lock(encoded_mutex_);
    encoded_.push_back({frame.image, std::move(features)});
  }

  TrackedFrame start(Frame frame, const at::Tensor& label_mask) {
    c10::InferenceMode guard;
    check_size(frame, label_mask);
    const std::optional<Features> features = take_encoded(frame.image);
    tracker_.start(frame.image, label_mask, features ? &*features : nullptr);
    TrackerResult given{.label_mask = label_mask.clone(), .scores = {}};
    for (const int64_t id : label_ids(label_mask)) given.scores.push_back({id, 1.0});
    return with_given(describe(std::move(frame), std::move(given)), label_mask);
  }

  TrackedFrame track(Frame frame, const at::Tensor& new_objects) {
    c10::InferenceMode guard;
    if (new_objects.defined()) check_size(frame, new_objects);
    const std::optional<Features> features = take_encoded(frame.image);
    TrackerResult result = tracker_.track(frame.image, new_objects, features ? &*features : nullptr);
    return with_given(describe(std::move(frame), std::move(result)), new_objects);
  }

  bool has_refiner() const { return refiner_.has_value(); }

  TrackedFrame refine(TrackedFrame tracked) {
    if (!refiner_ || tracked.frame.index % refined_every_ != 0) return tracked;
    c10::InferenceMode guard;
    std::array<bool, 256> is_given{};
    for (const TrackedObject& object : tracked.objects) is_given[object.id] = object.choice.has_value();
    Selection selection =
        select_masks(tracked.label_mask,
                     refiner_->refine(tracked.frame.image, without(tracked.label_mask, is_given)), selector_);
    tracked.label_mask = std::move(selection.label_mask);
    const std::array<Region, 256> regions = label_regions(tracked.label_mask);
    for (TrackedObject& object : tracked.objects) {
      const auto verdict = std::ranges::find(selection.verdicts, object.id, &Verdict::id);
      if (verdict == selection.verdicts.end()) continue;  // no pixel
      object.choice = verdict->choice;
      object.box = regions[object.id].box;
      object.area_px = regions[object.id].area_px;
      if (object.area_px > 0) continue;
      // Others took all its pixels.
      object.state = ObjectState::kLost;
      object.score = 0.0;
    }
    return tracked;
  }

 private:
  struct Encoded {
    at::Tensor image;
    Features features;
  };

  /// Frames come in order: what lies before this one is not asked for any more.
  std::optional<Features> take_encoded(const at::Tensor& image) {
    const std::lock_guard lock(encoded_mutex_);
    const auto found =
        std::ranges::find_if(encoded_, [&](const Encoded& each) { return each.image.is_same(image); });
    if (found == encoded_.end()) return std::nullopt;
    std::optional<Features> features = std::move(found->features);
    encoded_.erase(encoded_.begin(), found + 1);
    return features;
  }

  /// Masks of the user need no refinement.
  TrackedFrame with_given(TrackedFrame tracked, const at::Tensor& given) const {
    if (!refiner_ || !given.defined()) return tracked;
    const std::vector<int64_t> ids = label_ids(given);
    for (TrackedObject& object : tracked.objects) {
      if (std::ranges::find(ids, object.id) != ids.end()) object.choice = Choice::kSkipped;
    }
    return tracked;
  }

  TrackedFrame describe(Frame frame, TrackerResult result) const {
    TrackedFrame tracked{
        .frame = std::move(frame), .label_mask = std::move(result.label_mask), .objects = {}};
    const std::array<Region, 256> regions = label_regions(tracked.label_mask);
    std::array<bool, 256> is_removed{};
    for (const ObjectScore& found : result.scores) {
      TrackedObject& object = tracked.objects.emplace_back();
      object.id = found.id;
      if (const auto name = names_.find(found.id); name != names_.end()) object.name = name->second;
      object.state = state_of(found, regions[found.id]);
      if (object.state == ObjectState::kLost) {
        is_removed[found.id] = regions[found.id].area_px > 0;
        continue;
      }
      object.box = regions[found.id].box;
      object.area_px = regions[found.id].area_px;
      object.score = found.score;
    }
    if (std::ranges::find(is_removed, true) != is_removed.end()) {
      tracked.label_mask = without(tracked.label_mask, is_removed);
    }
    return tracked;
  }

  ObjectState state_of(const ObjectScore& found, const Region& region) const {
    if (region.area_px == 0) return ObjectState::kLost;
    if (found.score < states_.lost_below && !keeps_all_) return ObjectState::kLost;
    return found.score < states_.uncertain_below ? ObjectState::kUncertain : ObjectState::kTracked;
  }

  Tracker tracker_;
  std::optional<Refiner> refiner_;
  int64_t refined_every_;
  SelectorConfig selector_;
  StateConfig states_;
  bool keeps_all_;
  std::map<int64_t, std::string> names_;
  std::mutex encoded_mutex_;
  std::deque<Encoded> encoded_;
};

HqTrack::HqTrack(const Config& config, const std::string& device)
    : impl_(std::make_unique<Impl>(config, device)) {}
HqTrack::~HqTrack() = default;
void HqTrack::set_names(const std::map<int64_t, std::string>& names) { impl_->set_names(names); }
void HqTrack::encode_ahead(const Frame& frame) { impl_->encode_ahead(frame); }
TrackedFrame HqTrack::start(Frame frame, const at::Tensor& label_mask) {
  return impl_->start(std::move(frame), label_mask);
}
TrackedFrame HqTrack::track(Frame frame) { return impl_->track(std::move(frame), {}); }
TrackedFrame HqTrack::track(Frame frame, const at::Tensor& new_objects) {
  return impl_->track(std::move(frame), new_objects);
}
bool HqTrack::has_refiner() const { return impl_->has_refiner(); }
TrackedFrame HqTrack::refine(TrackedFrame tracked) { return impl_->refine(std::move(tracked)); }

}  // namespace hqtrack
