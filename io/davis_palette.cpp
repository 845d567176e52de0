#include "io/davis_palette.h"

#include <unordered_map>

namespace hqtrack {
namespace {

std::array<Rgb, 256> make_palette() {
  std::array<Rgb, 256> palette;
  for (int id = 0; id < 256; ++id) {
    Rgb& colour = palette[id];
    for (int digit = 0; digit < 3; ++digit) {
      const int bits = id >> (3 * digit), shift = 7 - digit;
      colour.r |= static_cast<uint8_t>((bits & 1) << shift);
      colour.g |= static_cast<uint8_t>((bits >> 1 & 1) << shift);
      colour.b |= static_cast<uint8_t>((bits >> 2 & 1) << shift);
    }
  }
  return palette;
}

uint32_t key_of(Rgb colour) { return uint32_t{colour.r} << 16 | uint32_t{colour.g} << 8 | colour.b; }

}  // namespace

const std::array<Rgb, 256>& davis_palette() {
  static const std::array<Rgb, 256> palette = make_palette();
  return palette;
}

std::optional<uint8_t> davis_id_of(Rgb colour) {
  static const std::unordered_map<uint32_t, uint8_t> ids = [] {
    std::unordered_map<uint32_t, uint8_t> made;
    for (int id = 0; id < 256; ++id) made[key_of(davis_palette()[id])] = static_cast<uint8_t>(id);
    return made;
  }();
  const auto found = ids.find(key_of(colour));
  return found == ids.end() ? std::nullopt : std::optional<uint8_t>(found->second);
}

}  // namespace hqtrack
