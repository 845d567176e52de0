#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "core/config.h"
#include "core/frame.h"

namespace hqtrack {

/// The public class: one frame in, masks out.
///
///   HqTrack hqtrack(load_config("configs/nano.yaml"), "auto");
///   hqtrack.start(first_frame, label_mask);
///   while (auto frame = source->read()) show(hqtrack.track(std::move(*frame)));
///
/// Label masks are uint8 [H, W], of the size of the frame, on the CPU; values are object ids, gaps are kept.
/// An object whose score falls below `tracker.states.lost_below` is taken out of the label mask and called
/// lost; the tracker goes on looking for it. With `compatibility: reference` every pixel stays.
/// Used by one thread, but for `encode_ahead` and `refine`, which may each run in another one.
class HqTrack {
 public:
  /// Builds the networks and loads their weights; that of the refiner only where `refine` is not `off`.
  /// device: "auto" (CUDA where there is one), "cpu", "cuda:N". Throws ConfigError, WeightsError,
  /// DeviceError.
  HqTrack(const Config& config, const std::string& device);
  ~HqTrack();

  /// Names shown for ids; ids without a name show their number.
  void set_names(const std::map<int64_t, std::string>& names);

  /// Computes what does not depend on the frames before, for a frame that will be tracked later: in another
  /// thread, so that a stream uses the machine better. Results do not change. Kept until the frame is
  /// tracked.
  void encode_ahead(const Frame& frame);

  /// Forgets everything and starts with this frame and its label mask; returns the frame with its objects.
  /// Throws MediaError when the mask has another size than the frame.
  TrackedFrame start(Frame frame, const at::Tensor& label_mask);
  /// Carries the objects on to the next frame. Throws MediaError when its size is not that of the first one.
  TrackedFrame track(Frame frame);
  /// As above, with objects added or corrected in this frame (0 = leave as predicted).
  TrackedFrame track(Frame frame, const at::Tensor& new_objects);

  /// Whether some frames are refined.
  bool has_refiner() const;
  /// A frame as `start` or `track` returned it, its masks replaced by the refiner's where the selector takes
  /// them. Masks that were given in this frame stay. A frame that the schedule leaves
  /// out comes back as it is. The tracker never sees refined masks, so
  /// frames may be refined while later ones are tracked.
  TrackedFrame refine(TrackedFrame tracked);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hqtrack
