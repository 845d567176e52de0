#pragma once

#include <optional>
#include <vector>

#include "core/config.h"
#include "core/frame.h"
#include "core/state_file.h"
#include "tracker/layers.h"

namespace hqtrack {

/// The part of the coming frames that the network looks at (docs/vmos.md, section 10). With `objects` it is
/// the objects' outer box, moved on as it moved last, with margins around it, of the frame's proportions and
/// inside the frame. While an object is lost it grows from frame to frame until it is the whole frame. Frames
/// are encoded while the one before is still tracked, so what a frame shows decides about the second one
/// after it.
class SearchRegion {
 public:
  SearchRegion(const SearchRegionConfig& config, GridSize frame);

  /// Objects seen in a frame that was tracked, and whether some were not.
  void update(const std::vector<Box>& seen, bool is_any_lost);
  /// The same for a frame whose objects were given: the next frame knows it as well.
  void correct(const std::vector<Box>& seen, bool is_any_lost);

  /// Pixels of the frame that comes next, and of the one after it.
  const Box& next() const { return next_; }
  const Box& after_next() const { return after_next_; }
  Box whole() const { return {0, 0, frame_.width, frame_.height}; }

  void save(StateWriter& state) const;
  /// What `save` wrote, for frames of the same size. Throws WeightsError.
  void restore(const StateReader& state);

 private:
  struct Extent {
    double x0, y0, x1, y1;
  };
  Box choose(const std::vector<Box>& seen, bool is_any_lost, bool is_moving);
  Extent around(const Box& box, bool is_moving) const;
  Box fit(const Extent& extent) const;

  SearchRegionConfig config_;
  GridSize frame_;
  Box next_, after_next_;
  Box objects_;  // outer box of those seen last; empty where none was
};

}  // namespace hqtrack
