#pragma once

#include <c10/core/Device.h>

#include <filesystem>
#include <memory>
#include <mutex>
#include <vector>

#include "core/config.h"
#include "train/pictures.h"
#include "train/still.h"
#include "train/synthetic_clips.h"

namespace hqtrack {

class Tracker;

struct TrackedStillOptions {
  uint64_t seed = 1;
  int64_t size_px = 512;     // longer edge
  int64_t max_objects = 5;   // up to 10
  double zoom_share = 0.55;  // share of stills that are cut out around what the tracker took for one object
};

/// Frames of synthetic clips with the masks that a tracker has come to by then: what the refiner is asked to
/// mend in use. At least one object shows `kLeastObjectPixels` and is still followed. Thread-safe; each
/// thread that asks at the same time gets a tracker of its own.
class TrackedStills : public StillSource {
 public:
  /// Keeps the pictures (shared storage). Throws MediaError when there is no photograph, WeightsError when
  /// `tracker.weights` cannot be read.
  TrackedStills(const Pictures& pictures, const TrackedStillOptions& options, const TrackerConfig& tracker,
                c10::Device device);
  ~TrackedStills() override;
  Still example(int64_t number) const override;

 private:
  std::unique_ptr<Tracker> take_tracker() const;
  void give_back(std::unique_ptr<Tracker> tracker) const;

  SyntheticClips clips_;
  TrackedStillOptions options_;
  TrackerConfig config_;
  c10::Device device_;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Tracker>> idle_;
};

}  // namespace hqtrack
