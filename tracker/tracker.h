#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/config.h"
#include "tracker/vmos.h"

namespace hqtrack {

/// The tracker's own view of one object in one frame.
struct ObjectScore {
  int64_t id = 0;
  double score = 0.0;  // mean probability over the object's pixels; 0 when it has none
};

struct TrackerResult {
  at::Tensor label_mask;            // uint8 [H, W] at source size, on the CPU; values are user ids
  std::vector<ObjectScore> scores;  // every object known, ascending id
};

/// VMOS with its memory and the objects' ids: follows the objects of a reference frame through a video
/// (docs/vmos.md, sections 1, 3, 6 and 7). Used by one thread, but for `encode`. All frames have one size.
class Tracker {
 public:
  /// Takes a network that has its weights. Runs on the device the network is on.
  Tracker(Vmos network, const TrackerConfig& config);
  ~Tracker();

  /// What the network sees in a picture, whatever is tracked. image: uint8 RGB [H, W, 3] on the CPU. May run
  /// in another thread beside everything else.
  Features encode(const at::Tensor& image) const;

  /// Forgets everything and starts with this frame and its label mask (uint8 [H, W], size of the image, ids
  /// 1..255, gaps allowed, may be empty of objects). features: `encode(image)`, where it is known already.
  void start(const at::Tensor& image, const at::Tensor& label_mask, const Features* features = nullptr);

  /// Carries all objects on to the next frame; then pastes `new_objects`, if any (uint8 [H, W], 0 = leave as
  /// predicted), over the prediction and makes the frame a further reference. Ids may be new or known. Throws
  /// Error when `start` was not called or the size changed.
  TrackerResult track(const at::Tensor& image, const at::Tensor& new_objects = {},
                      const Features* features = nullptr);

  /// Ids known so far, ascending.
  std::vector<int64_t> object_ids() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hqtrack
