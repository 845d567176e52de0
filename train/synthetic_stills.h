#pragma once

#include "train/pictures.h"
#include "train/still.h"

namespace hqtrack {

struct SyntheticStillOptions {
  uint64_t seed = 1;
  int64_t size_px = 512;     // longer edge
  int64_t max_objects = 5;   // up to 10
  double zoom_share = 0.55;  // share of stills that are cut out around one object and enlarged
};

/// Composes stills: cut-outs, blobs and pieces of photographs in front of a photograph, turned, sheared,
/// bent, with soft edges, with colours drawn towards those behind them, some of them twins; then what a cheap
/// camera does. At least one object shows `kLeastObjectPixels`. Thread-safe.
class SyntheticStills : public StillSource {
 public:
  /// Keeps the pictures (shared storage). Throws MediaError when there is no photograph.
  SyntheticStills(Pictures pictures, const SyntheticStillOptions& options);
  /// On one machine the bytes depend on pictures, options and number alone.
  Still example(int64_t number) const override;

 private:
  Pictures pictures_;
  SyntheticStillOptions options_;
};

}  // namespace hqtrack
