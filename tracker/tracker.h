#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/frame.h"
#include "core/state_file.h"
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

/// What the network sees in a part of a picture.
struct Encoded {
  Features features;
  Box region;  // pixels of the picture
};

/// Whether an object is said to be lost, by StateConfig::score of its mean probability.
bool is_lost(const TrackerConfig& config, double score);

/// VMOS with its memory and the objects' ids: follows the objects of a reference frame through a video
/// (docs/vmos.md, sections 1, 3, 6 and 7). Used by one thread, but for `encode`. All frames have one size.
class Tracker {
 public:
  /// Takes a network that has its weights. Runs on the device the network is on.
  Tracker(Vmos network, const TrackerConfig& config);
  ~Tracker();

  /// What the network sees in the part of a picture that will be asked for, if the pictures are tracked in
  /// the order in which they come here, and at most one of them is not yet when this is called. In another
  /// order results are the same, and take longer. image: uint8 RGB [H, W, 3] on the CPU. May run in another
  /// thread beside everything else.
  Encoded encode(const at::Tensor& image) const;

  /// Forgets everything and starts with this frame and its label mask (uint8 [H, W], size of the image, ids
  /// 1..255, gaps allowed, may be empty of objects). encoded: `encode(image)`, where it is known already.
  void start(const at::Tensor& image, const at::Tensor& label_mask, const Encoded* encoded = nullptr);

  /// Carries all objects on to the next frame. Throws Error when `start` was not called, MediaError when the
  /// size changed.
  TrackerResult track(const at::Tensor& image, const Encoded* encoded = nullptr);

  /// Gives the frame seen last, whose image this is, another label mask, and makes it a further reference.
  /// Ids may be new or known. When new ones need more slots than the engines have, and removed objects hold
  /// some, the memory begins anew with this frame, so that it does not outgrow the objects there are; but not
  /// while an object is out of sight, which would be forgotten then, unless there are 255 slots.
  void correct(const at::Tensor& image, const at::Tensor& label_mask);

  /// Forgets an object: from the next frame on its pixels are background. Unknown ids change nothing.
  void remove(int64_t id);

  /// Writes what is remembered; `restore` goes on from it with the same network and configuration.
  void save(StateWriter& state) const;
  /// Throws WeightsError, the tracker unusable until the next `start`, when the state is damaged or of
  /// another network.
  void restore(const StateReader& state);

  /// Ids known so far, ascending.
  std::vector<int64_t> object_ids() const;
  /// What a frame costs depends on it: one for each `objects_per_engine` objects.
  int64_t num_engines() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hqtrack
