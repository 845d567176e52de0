#include "tracker/stray_parts.h"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace hqtrack {
namespace {

// Less of an object than this share of its area before may be anything.
constexpr double kEnough = 0.3;
constexpr int64_t kLeast_px = 8;  // of a margin

Box around(const Region& region, double margin) {
  const auto wide = static_cast<int64_t>(margin * std::sqrt(static_cast<double>(region.area_px))) + kLeast_px;
  return {region.box.x0 - wide, region.box.y0 - wide, region.box.x1 + wide, region.box.y1 + wide};
}

bool contains(const Box& outer, const Box& inner) {
  return inner.x0 >= outer.x0 && inner.y0 >= outer.y0 && inner.x1 <= outer.x1 && inner.y1 <= outer.y1;
}

bool touch(const Box& a, const Box& b) { return a.x0 < b.x1 && b.x0 < a.x1 && a.y0 < b.y1 && b.y0 < a.y1; }

void add(Region& sum, const Region& part) {
  const Box& box = part.box;
  sum.box = sum.area_px == 0 ? box
                             : Box{std::min(sum.box.x0, box.x0), std::min(sum.box.y0, box.y0),
                                   std::max(sum.box.x1, box.x1), std::max(sum.box.y1, box.y1)};
  sum.area_px += part.area_px;
}

// Pixels of one slot side by side in a row.
struct Run {
  int64_t y, x0, x1;
  Region region() const { return {x1 - x0, {x0, y, x1, y + 1}}; }
};

std::vector<Run> find_runs(const at::Tensor& slots, uint8_t slot, const Box& box) {
  std::vector<Run> runs;
  for (int64_t y = box.y0; y < box.y1; ++y) {
    const uint8_t* const row = slots.const_data_ptr<uint8_t>() + y * slots.size(1);
    for (int64_t x = box.x0; x < box.x1; ++x) {
      if (row[x] != slot) continue;
      const int64_t first = x;
      while (x < box.x1 && row[x] == slot) ++x;
      runs.push_back({y, first, x});
    }
  }
  return runs;
}

// For each run the first one of its part; runs of a part share edges of pixels.
std::vector<size_t> join_runs(const std::vector<Run>& runs) {
  std::vector<size_t> parent(runs.size());
  std::iota(parent.begin(), parent.end(), size_t{0});
  const auto root = [&](size_t i) {
    while (parent[i] != i) i = parent[i] = parent[parent[i]];
    return i;
  };
  size_t above = 0;  // the first run that may touch the present one from above
  for (size_t i = 0; i < runs.size(); ++i) {
    const Run& run = runs[i];
    while (runs[above].y < run.y - 1 || (runs[above].y == run.y - 1 && runs[above].x1 <= run.x0)) ++above;
    for (size_t j = above; j < i && runs[j].y == run.y - 1 && runs[j].x0 < run.x1; ++j) {
      const size_t a = root(j), b = root(i);
      parent[std::max(a, b)] = std::min(a, b);
    }
  }
  for (size_t i = 0; i < runs.size(); ++i) parent[i] = root(i);
  return parent;
}

// What is left of the slot whose pixels lie in `whole`.
Region drop_far_parts(const at::Tensor& slots, uint8_t slot, const Region& whole, const Region& before,
                      const Box& near) {
  const std::vector<Run> runs = find_runs(slots, slot, whole.box);
  const std::vector<size_t> part_of = join_runs(runs);
  std::vector<Region> parts(runs.size());
  for (size_t i = 0; i < runs.size(); ++i) add(parts[part_of[i]], runs[i].region());
  Region kept;
  for (const Region& part : parts) {
    if (part.area_px > 0 && touch(part.box, near)) add(kept, part);
  }
  if (static_cast<double>(kept.area_px) < kEnough * static_cast<double>(before.area_px)) return whole;
  uint8_t* const pixels = slots.mutable_data_ptr<uint8_t>();
  for (size_t i = 0; i < runs.size(); ++i) {
    if (touch(parts[part_of[i]].box, near)) continue;
    std::fill(pixels + runs[i].y * slots.size(1) + runs[i].x0,
              pixels + runs[i].y * slots.size(1) + runs[i].x1, uint8_t{0});
  }
  return kept;
}

}  // namespace

void StrayParts::see(const at::Tensor& label_mask) {
  if (margin_ > 0) before_ = label_regions(label_mask);
}

void StrayParts::drop(const at::Tensor& slots, const std::array<uint8_t, 256>& ids) {
  if (margin_ <= 0) return;
  const std::array<Region, 256> regions = label_regions(slots);
  std::array<Region, 256> now{};
  for (size_t slot = 1; slot < regions.size(); ++slot) {
    const uint8_t id = ids[slot];
    if (id == 0 || regions[slot].area_px == 0) continue;
    const Region& before = before_[id];
    const Box near = around(before, margin_);
    const bool is_near = before.area_px == 0 || contains(near, regions[slot].box);
    now[id] = is_near ? regions[slot]
                      : drop_far_parts(slots, static_cast<uint8_t>(slot), regions[slot], before, near);
  }
  before_ = now;
}

void StrayParts::save(StateWriter& state) const {
  at::Tensor rows = at::empty({static_cast<int64_t>(before_.size()), 5}, at::kLong);
  int64_t* row = rows.mutable_data_ptr<int64_t>();
  for (const auto& [area_px, box] : before_) {
    for (const int64_t value : {area_px, box.x0, box.y0, box.x1, box.y1}) *row++ = value;
  }
  state.put("objects_before", rows);
}

void StrayParts::restore(const StateReader& state) {
  const at::Tensor& rows = state.tensor("objects_before", 2, at::kLong);
  if (rows.size(0) != static_cast<int64_t>(before_.size()) || rows.size(1) != 5) {
    state.fail("objects_before: expected [256, 5]");
  }
  const int64_t* row = rows.const_data_ptr<int64_t>();
  for (Region& region : before_) {
    region = {row[0], {row[1], row[2], row[3], row[4]}};
    row += 5;
  }
}

}  // namespace hqtrack
