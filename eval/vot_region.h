#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace hqtrack {

/// The regions of the VOT toolkit, with the meaning that its measures give them (VOTS2023 multi-object
/// evaluation, vot-toolkit 0.9). Coordinates are pixels of the picture.

/// No region. In annotations 0 means unknown, anything else absent; in results 1 means initialisation.
struct VotSpecial {
  int64_t code = 0;
};
struct VotPoint {
  float x = 0, y = 0;
};
/// Corner and size.
struct VotRectangle {
  float x = 0, y = 0, width = 0, height = 0;
};
struct VotPolygon {
  std::vector<VotPoint> corners;
};
/// A box of pixels, row by row, 0 or 1; the box may reach beyond the picture.
struct VotMask {
  int64_t x = 0, y = 0, width = 0, height = 0;
  std::vector<uint8_t> pixels;
};
using VotRegion = std::variant<VotSpecial, VotPoint, VotRectangle, VotPolygon, VotMask>;

/// Reads "mX,Y,W,H,run,run,...", "x,y,w,h", "x,y,x,y,x,y,...", "x,y" or a code; the runs may leave out the
/// last background. Masks are cut to their pixels as the toolkit does it. Throws MediaError saying what was
/// expected.
VotRegion parse_vot_region(std::string_view text);
std::string to_text(const VotRegion& region);

/// The same as TraX messages spell it: "mask:X,Y,W,H,run,...", without a last run of background; an empty
/// mask is "mask:0,0,1,1,1".
VotRegion parse_trax_region(std::string_view text);
std::string to_trax_text(const VotRegion& region);

/// The pixels of a mask, background first, row by row.
std::vector<int64_t> to_runs(const VotMask& mask);
/// Runs beyond the box are dropped, as the toolkit does it. Throws MediaError for a negative one.
VotMask mask_from_runs(std::array<int64_t, 4> box, const std::vector<int64_t>& runs);

/// The mask with the smallest box around its pixels. As in the toolkit a mask without pixels, or with pixels
/// in the first column of its box only, becomes one of size 0 at 0,0.
VotMask tightened(const VotMask& mask);

/// What the toolkit calls empty: any code, a rectangle or polygon without extent, a mask all of whose pixels
/// lie in the first column or the first row of its box.
bool is_empty(const VotRegion& region);

/// Intersection over union of the pixels within the picture (`size`: width and height), without those of
/// `ignore`. Two regions without extent overlap by 1, any pair that lies outside the picture by 0.
double overlap(const VotRegion& a, const VotRegion& b, std::optional<std::pair<int64_t, int64_t>> size,
               const VotRegion& ignore = VotSpecial{});

/// The mask of one object: bool or uint8 [H, W] on the CPU, cut to its pixels.
VotMask to_vot_mask(const at::Tensor& mask);
/// The pixels of a region that lie within a picture: bool [height, width].
at::Tensor to_mask(const VotRegion& region, int64_t height, int64_t width);

}  // namespace hqtrack
