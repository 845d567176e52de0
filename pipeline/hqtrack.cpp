#include "pipeline/hqtrack.h"

#include <ATen/ops/empty_like.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <array>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/label_mask.h"
#include "core/profile.h"
#include "core/state_file.h"
#include "core/threads.h"
#include "core/weights/weights.h"
#include "pipeline/look_again.h"
#include "pipeline/networks.h"
#include "pipeline/prompt_masks.h"
#include "pipeline/refine_schedule.h"
#include "refiner/refiner.h"
#include "selector/select_masks.h"
#include "tracker/tracker.h"

namespace hqtrack {
namespace {

constexpr const char* kStateFormat = "hqtrack state 2";

/// What decides how memory looks, beside the weights.
std::string memory_settings(const TrackerConfig& config) {
  const MemoryConfig& memory = config.memory;
  const PreprocessConfig& input = config.preprocess;
  std::string text = config.compatibility + " " + input.short_edge_rule;
  for (const int64_t value : {memory.interval_frames, memory.long_term_frames, memory.long_term_frames_8x,
                              memory.short_term_delay_frames, input.short_edge, input.max_long_edge}) {
    text += " " + std::to_string(value);
  }
  const SearchRegionConfig& region = config.search_region;
  text += " " + region.mode;
  for (const double value : {region.margin, region.frame_margin, region.smallest})
    text += " " + std::to_string(value);
  return text;
}

at::Tensor without(const at::Tensor& label_mask, const std::array<bool, 256>& is_removed) {
  at::Tensor kept = at::empty_like(label_mask);
  const uint8_t* from = label_mask.const_data_ptr<uint8_t>();
  uint8_t* to = kept.mutable_data_ptr<uint8_t>();
  for (int64_t i = 0; i < kept.numel(); ++i) to[i] = is_removed[from[i]] ? 0 : from[i];
  return kept;
}

/// An object as it stands in the frame given last.
struct KnownObject {
  std::string name;
  double score = 0.0;
  std::optional<Choice> given;  // its mask is the user's (skipped) or was made of a prompt (refined)
};

struct Computing {
  c10::InferenceMode mode;
  SerialOperators operators;
};

}  // namespace

class HqTrack::Impl {
 public:
  explicit Impl(std::shared_ptr<Networks> networks)
      : networks_(std::move(networks)),
        config_(networks_->config()),
        tracker_(networks_->tracker(), config_.tracker),
        schedule_(config_.refiner) {
    if (refines_frames()) load_refiner();
  }

  void load_refiner() {
    const std::lock_guard lock(refiner_mutex_);
    if (refiner_) return;
    refiner_.emplace(networks_->refiner(), config_.refiner);
    const at::Device device = networks_->device();
    if (!device.is_cpu()) {
      refiner_stream_ = c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device);
    }
  }

  void encode_ahead(const Frame& frame) {
    const Computing scope;
    Encoded encoded = tracker_.encode(picture(frame));
    const std::lock_guard lock(encoded_mutex_);
    encoded_.push_back({frame.image, std::move(encoded)});
  }

  TrackedFrame initialize(Frame frame, std::span<const ObjectPrompt> prompts) {
    const Computing scope;
    objects_.clear();
    prompts_.clear();
    label_mask_ = at::zeros({frame.image.size(0), frame.image.size(1)}, at::kByte);
    frame_ = std::move(frame);
    const std::optional<Encoded> encoded = take_encoded(frame_->image);
    tracker_.start(picture(*frame_), label_mask_, encoded ? &*encoded : nullptr);
    std::vector<PromptEdit> edits;
    for (const ObjectPrompt& prompt : prompts) edits.push_back({PromptEdit::Action::kAdd, prompt});
    return edit(edits);
  }

  TrackedFrame track(Frame frame) {
    const Computing scope;
    const std::optional<Encoded> encoded = take_encoded(frame.image);
    TrackerResult result = tracker_.track(picture(frame), encoded ? &*encoded : nullptr);
    frame_ = std::move(frame);
    prompts_.clear();
    label_mask_ = std::move(result.label_mask);
    for (const ObjectScore& found : result.scores) {
      objects_[found.id].score = config_.tracker.states.score(found.score);
      objects_[found.id].given.reset();
    }
    return describe();
  }

  TrackedFrame edit(std::span<const PromptEdit> edits) {
    const Computing scope;
    if (!frame_) throw Error(ExitCode::kInternal, "objects: expected initialize() before they are changed");
    std::vector<int64_t> known;
    for (const auto& [id, object] : objects_) known.push_back(id);
    PromptMasks masks = place_prompts(edits, known, label_mask_, [&](std::span<const ObjectPrompt> prompts) {
      std::vector<MaskProposal> made =
          ask_refiner([&](Refiner& refiner) { return refiner.segment(picture(*frame_), prompts); });
      if (config_.refiner.look_again) {
        look_again(networks_->tracker(), config_.tracker, frame_->image, prompts, made);
      }
      return made;
    });
    for (const auto& [action, prompt] : edits) {
      if (action != PromptEdit::Action::kRemove) continue;
      objects_.erase(prompt.id);
      tracker_.remove(prompt.id);
    }
    remember(edits, masks.label_mask);
    label_mask_ = std::move(masks.label_mask);
    for (const auto& [action, prompt] : edits) {
      if (action == PromptEdit::Action::kRemove) continue;
      KnownObject& object = objects_[prompt.id];
      if (!prompt.name.empty()) object.name = prompt.name;
      object.score = masks.scores[prompt.id];
      object.given = prompt.needs_refiner() ? Choice::kRefined : Choice::kSkipped;
      prompts_.push_back(prompt);
    }
    return describe();
  }

  bool refines_frames() const { return config_.refiner.every_frames > 0; }

  TrackedFrame refine(TrackedFrame tracked) {
    const std::array<bool, 256> is_due = schedule_.due_objects(tracked);
    if (std::ranges::find(is_due, true) == is_due.end()) return tracked;
    const Computing scope;
    std::array<bool, 256> is_left{};
    std::ranges::transform(is_due, is_left.begin(), std::logical_not());
    const at::Tensor asked = without(tracked.label_mask, is_left);
    const std::vector<MaskProposal> proposals =
        ask_refiner([&](Refiner& refiner) { return refiner.refine(picture(tracked.frame), asked); });
    Selection selection;
    {
      const StageTimer timer(Stage::kSelect);
      selection = select_masks(tracked.label_mask, proposals, config_.selector);
    }
    const StageTimer timer(Stage::kBox);
    tracked.label_mask = std::move(selection.label_mask);
    const std::array<Region, 256> regions = label_regions(tracked.label_mask);
    for (TrackedObject& object : tracked.objects) {
      const auto verdict = std::ranges::find(selection.verdicts, object.id, &Verdict::id);
      if (verdict == selection.verdicts.end()) continue;  // no pixel
      if (is_due[object.id]) {
        object.choice = verdict->choice;
        schedule_.report(tracked.frame.index, object.id, verdict->choice, verdict->iou);
      }
      object.box = regions[object.id].box;
      object.area_px = regions[object.id].area_px;
      if (object.area_px > 0) continue;
      // Others took all its pixels.
      object.state = ObjectState::kLost;
      object.score = 0.0;
    }
    return tracked;
  }

  void save_state(const std::filesystem::path& file) const {
    if (!frame_) throw Error(ExitCode::kInternal, "state: expected initialize() before it is saved");
    StateWriter state;
    state.put("format", kStateFormat);
    state.put("weights", fingerprint(module_weights(*networks_->tracker())));
    state.put("settings", memory_settings(config_.tracker));
    state.put("frame.index", frame_->index);
    state.put("frame.pts_us", frame_->pts_us);
    state.put("frame.image", frame_->image);
    state.put("frame.label_mask", label_mask_);
    std::array<double, 256> scores;
    scores.fill(-1);  // no such object
    for (const auto& [id, object] : objects_) {
      scores[id] = object.score;
      state.put("name." + std::to_string(id), object.name);
    }
    state.put("frame.scores", at::tensor(scores, at::kDouble));
    tracker_.save(state);
    state.write(file);
  }

  TrackedFrame restore_state(const std::filesystem::path& file) {
    const Computing scope;
    const StateReader state(file);
    const auto expect = [&](const std::string& name, const std::string& expected, const std::string& what) {
      if (state.text(name) != expected) {
        state.fail(name + ": expected " + what + " '" + expected + "', found '" + state.text(name) + "'");
      }
    };
    expect("format", kStateFormat, "the format");
    expect("weights", fingerprint(module_weights(*networks_->tracker())), "those of this tracker,");
    expect("settings", memory_settings(config_.tracker), "the tracker's settings");
    const at::Tensor image = state.tensor("frame.image", 3, at::kByte),
                     label_mask = state.tensor("frame.label_mask", 2, at::kByte),
                     scores = state.tensor("frame.scores", 1, at::kDouble);
    const int64_t height = state.number("height"), width = state.number("width");
    if (image.sizes() != at::IntArrayRef({height, width, 3}) ||
        label_mask.sizes() != at::IntArrayRef({height, width}) || scores.numel() != 256) {
      state.fail("frame: expected an image, labels and scores of " + std::to_string(width) + "x" +
                 std::to_string(height) + ", found other sizes");
    }
    frame_.reset();
    objects_.clear();
    prompts_.clear();
    tracker_.restore(state);
    for (const int64_t id : tracker_.object_ids()) {
      objects_[id] = {.name = state.text("name." + std::to_string(id)),
                      .score = scores[id].item<double>(),
                      .given = std::nullopt};
    }
    label_mask_ = label_mask;
    frame_ = {.index = state.number("frame.index"), .pts_us = state.number("frame.pts_us"), .image = image};
    return describe();
  }

 private:
  struct EncodedAhead {
    at::Tensor image;
    Encoded encoded;
  };

  /// What the networks are given.
  const at::Tensor& picture(const Frame& frame) const { return frame.picture(networks_->device()); }

  /// Frames come in order: what lies before this one is not asked for any more.
  std::optional<Encoded> take_encoded(const at::Tensor& image) {
    const std::lock_guard lock(encoded_mutex_);
    const auto found =
        std::ranges::find_if(encoded_, [&](const EncodedAhead& each) { return each.image.is_same(image); });
    if (found == encoded_.end()) return std::nullopt;
    std::optional<Encoded> encoded = std::move(found->encoded);
    encoded_.erase(encoded_.begin(), found + 1);
    return encoded;
  }

  /// Prompts and refined frames may ask at the same time.
  template <class Ask>
  std::vector<MaskProposal> ask_refiner(Ask ask) {
    load_refiner();
    const std::lock_guard lock(refiner_mutex_);
    const c10::OptionalStreamGuard on_its_stream(refiner_stream_);
    return ask(*refiner_);
  }

  void remember(std::span<const PromptEdit> edits, const at::Tensor& label_mask) {
    const auto has_mask = [](const PromptEdit& edit) { return edit.action != PromptEdit::Action::kRemove; };
    if (std::ranges::none_of(edits, has_mask)) return;
    try {
      tracker_.correct(picture(*frame_), label_mask);
    } catch (...) {
      for (const auto& [action, prompt] : edits) {
        if (action == PromptEdit::Action::kAdd) tracker_.remove(prompt.id);
      }
      throw;
    }
  }

  TrackedFrame describe() const {
    const StageTimer timer(Stage::kBox);
    TrackedFrame tracked{.frame = *frame_, .label_mask = label_mask_, .objects = {}, .prompts = prompts_};
    const std::array<Region, 256> regions = label_regions(label_mask_);
    std::array<bool, 256> is_removed{};
    for (const auto& [id, known] : objects_) {
      TrackedObject& object = tracked.objects.emplace_back();
      object.id = id;
      object.name = known.name;
      object.state = state_of(known, regions[id]);
      if (object.state == ObjectState::kLost) {
        is_removed[id] = regions[id].area_px > 0;
        continue;
      }
      object.box = regions[id].box;
      object.area_px = regions[id].area_px;
      object.score = known.score;
      if (known.given != Choice::kSkipped || refines_frames()) object.choice = known.given;
    }
    if (std::ranges::find(is_removed, true) != is_removed.end()) {
      tracked.label_mask = without(tracked.label_mask, is_removed);
    }
    return tracked;
  }

  ObjectState state_of(const KnownObject& object, const Region& region) const {
    if (region.area_px == 0) return ObjectState::kLost;
    if (is_lost(config_.tracker, object.score) && !object.given) return ObjectState::kLost;
    return object.score < config_.tracker.states.uncertain_below ? ObjectState::kUncertain
                                                                 : ObjectState::kTracked;
  }

  std::shared_ptr<Networks> networks_;
  const Config& config_;
  Tracker tracker_;
  RefineSchedule schedule_;

  std::mutex refiner_mutex_;
  std::optional<Refiner> refiner_;
  std::optional<c10::Stream> refiner_stream_;  // empty on the CPU

  // The frame given last, as the tracker left it and prompts changed it.
  std::optional<Frame> frame_;
  at::Tensor label_mask_;
  std::map<int64_t, KnownObject> objects_;
  std::vector<ObjectPrompt> prompts_;

  std::mutex encoded_mutex_;
  std::deque<EncodedAhead> encoded_;
};

HqTrack::HqTrack(const Config& config, const std::string& device)
    : HqTrack(std::make_shared<Networks>(config, device)) {}
HqTrack::HqTrack(std::shared_ptr<Networks> networks) : impl_(std::make_unique<Impl>(std::move(networks))) {}
HqTrack::~HqTrack() = default;
void HqTrack::load_refiner() { impl_->load_refiner(); }
void HqTrack::encode_ahead(const Frame& frame) { impl_->encode_ahead(frame); }
TrackedFrame HqTrack::initialize(Frame frame, std::span<const ObjectPrompt> prompts) {
  return impl_->initialize(std::move(frame), prompts);
}
TrackedFrame HqTrack::track(Frame frame) { return impl_->track(std::move(frame)); }
TrackedFrame HqTrack::edit(std::span<const PromptEdit> edits) { return impl_->edit(edits); }
TrackedFrame HqTrack::add_object(const ObjectPrompt& prompt) {
  return edit(std::array{PromptEdit{PromptEdit::Action::kAdd, prompt}});
}
TrackedFrame HqTrack::correct_object(const ObjectPrompt& prompt) {
  return edit(std::array{PromptEdit{PromptEdit::Action::kCorrect, prompt}});
}
TrackedFrame HqTrack::remove_object(int64_t id) {
  PromptEdit edit{.action = PromptEdit::Action::kRemove, .prompt = {}};
  edit.prompt.id = id;
  return this->edit(std::array{edit});
}
bool HqTrack::refines_frames() const { return impl_->refines_frames(); }
TrackedFrame HqTrack::refine(TrackedFrame tracked) { return impl_->refine(std::move(tracked)); }
void HqTrack::save_state(const std::filesystem::path& file) const { impl_->save_state(file); }
TrackedFrame HqTrack::restore_state(const std::filesystem::path& file) { return impl_->restore_state(file); }

}  // namespace hqtrack
