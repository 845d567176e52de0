#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>

#include "core/config.h"
#include "core/frame.h"
#include "core/prompt.h"

namespace hqtrack {

class Networks;

/// The public class: one frame in, masks out.
///
///   HqTrack hqtrack(load_config("configs/nano.yaml"), "auto");
///   show(hqtrack.initialize(first_frame, prompts));
///   while (auto frame = source->read()) show(hqtrack.track(std::move(*frame)));
///
/// Objects may be added, corrected and removed at any time in the frame that was given last. Label masks are
/// uint8 [H, W], of the size of the frame, on the CPU; values are object ids, gaps are kept. An object whose
/// score falls below `tracker.states.lost_below` is taken out of the label mask and called lost; the tracker
/// goes on looking for it. With `compatibility: reference` every pixel stays.
///
/// Used by one thread, but for `encode_ahead` and `refine`, which may each run in another one.
class HqTrack {
 public:
  /// Builds the networks and loads their weights; those of the refiner only where `refine` is not `off`.
  /// device: "auto" (CUDA where there is one), "cpu", "cuda:N". Throws ConfigError, WeightsError,
  /// DeviceError.
  HqTrack(const Config& config, const std::string& device);
  /// With networks that others use as well.
  explicit HqTrack(std::shared_ptr<Networks> networks);
  ~HqTrack();

  /// Loads the refiner, which boxes and points need, now instead of with the first of them. Throws as the
  /// constructor does.
  void load_refiner();

  /// Computes what does not depend on the frames before, for a frame that will be tracked later: in another
  /// thread, so that a stream uses the machine better. Results do not change. Kept until the frame is
  /// tracked.
  void encode_ahead(const Frame& frame);

  /// Forgets everything and starts with this frame and these objects, which may be none; returns the frame
  /// with them. A prompt that is a mask alone is taken as it is; of boxes and points the refiner makes a
  /// mask, also where `refine` is `off`. Where objects overlap, a given mask hides one that was made, of made
  /// ones the surer one has the pixel, and of given ones the later. Throws MediaError for a prompt that does
  /// not fit the frame, an id given twice, and where the refiner finds nothing.
  TrackedFrame initialize(Frame frame, std::span<const ObjectPrompt> prompts);

  /// Carries the objects on to the next frame. Throws MediaError when its size is not that of the first one.
  TrackedFrame track(Frame frame);

  /// Adds, corrects and removes objects in the frame given last, and returns it again. The frame enters
  /// memory as a further reference; other objects keep their masks, but for pixels that a prompt takes. A
  /// correction by points alone starts from the object's mask, where they lie on it or near it. Throws
  /// MediaError, nothing changed, as `initialize` does, for an id that is known (add) or unknown.
  TrackedFrame edit(std::span<const PromptEdit> edits);
  TrackedFrame add_object(const ObjectPrompt& prompt);
  TrackedFrame correct_object(const ObjectPrompt& prompt);
  TrackedFrame remove_object(int64_t id);

  /// Whether the schedule asks for refined frames.
  bool refines_frames() const;
  /// A frame as it was returned above, masks replaced by the refiner's where the schedule asks for it
  /// (pipeline/refine_schedule.h) and the selector takes them. Masks that were given in this frame stay. The
  /// tracker never sees refined masks, so frames may be refined while later ones are tracked. Frames in
  /// their order.
  TrackedFrame refine(TrackedFrame tracked);

  /// Writes everything a later program needs to go on: memory, objects, names and the last frame; a
  /// .safetensors file, whole or not there. Throws OutputError, and Error before `initialize`.
  void save_state(const std::filesystem::path& file) const;
  /// Goes on where `save_state` was called, with the same weights and configuration; returns the last frame.
  /// Throws WeightsError for another file or one of another network, nothing changed, and for a damaged one,
  /// after which only `initialize` may follow.
  TrackedFrame restore_state(const std::filesystem::path& file);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hqtrack
