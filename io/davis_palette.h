#pragma once

#include <array>
#include <cstdint>
#include <optional>

namespace hqtrack {

struct Rgb {
  uint8_t r = 0, g = 0, b = 0;
  bool operator==(const Rgb&) const = default;
};

/// Colours of the 256 ids in the mask pictures of DAVIS and YouTube-VOS (also PASCAL VOC): bit k of the id
/// goes, three bits at a time, to the high bits of red, green and blue. 0 is black, 1 dark red, 2 dark green
/// ...
const std::array<Rgb, 256>& davis_palette();

/// The id that has this colour.
std::optional<uint8_t> davis_id_of(Rgb colour);

}  // namespace hqtrack
