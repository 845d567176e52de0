#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>

#include "core/config.h"
#include "core/frame.h"
#include "io/davis_palette.h"

namespace hqtrack {

/// Bright colour of an id in overlays: neighbouring ids are far apart, all 255 differ, each reads on dark and
/// light.
Rgb overlay_colour(int64_t id);

/// Text that the built-in font can draw: each character beyond ASCII becomes '?', long names are cut.
/// `fallback` when nothing readable is left.
std::string drawable_text(const std::string& utf8, const std::string& fallback);

/// Draws tracked objects over their frame: a tint over each mask, an anti-aliased contour (coloured inside,
/// dark outside the mask's edge, so that it reads on any background), a label near each object, and a list of
/// lost objects in a corner, the boxes and points of the frame's prompts. Uncertain objects are hatched with
/// a broken contour. Nothing else of the picture changes.
class Overlay {
 public:
  explicit Overlay(const OverlayConfig& config) : config_(config) {}

  /// Returns a new image, uint8 RGB [H, W, 3].
  at::Tensor draw(const TrackedFrame& tracked) const;

 private:
  OverlayConfig config_;
};

}  // namespace hqtrack
