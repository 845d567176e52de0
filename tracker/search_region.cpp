#include "tracker/search_region.h"

#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>

namespace hqtrack {
namespace {

constexpr double kGrowth = 1.1;         // a frame, while an object is lost
constexpr double kNearlyWhole = 0.95;   // of the frame's edges: not worth leaving out the rest
constexpr double kMovesOnFrames = 1.0;  // at the speed of the last frame

}  // namespace

SearchRegion::SearchRegion(const SearchRegionConfig& config, GridSize frame)
    : config_(config), frame_(frame), next_(whole()), after_next_(next_) {}

void SearchRegion::update(const std::vector<Box>& seen, bool is_any_lost) {
  const Box chosen = choose(seen, is_any_lost, true);
  next_ = after_next_;
  after_next_ = chosen;
}

void SearchRegion::correct(const std::vector<Box>& seen, bool is_any_lost) {
  next_ = after_next_ = choose(seen, is_any_lost, false);
}

Box SearchRegion::choose(const std::vector<Box>& seen, bool is_any_lost, bool is_moving) {
  if (config_.mode != "objects") return whole();
  std::optional<Extent> wanted;
  if (!seen.empty()) {
    Box outer = seen.front();
    for (const Box& box : seen) {
      outer = {std::min(outer.x0, box.x0), std::min(outer.y0, box.y0), std::max(outer.x1, box.x1),
               std::max(outer.y1, box.y1)};
    }
    wanted = around(outer, is_moving);
    objects_ = outer;
  }
  if (is_any_lost || !wanted) {
    const double dx = (kGrowth - 1) / 2 * static_cast<double>(after_next_.x1 - after_next_.x0),
                 dy = (kGrowth - 1) / 2 * static_cast<double>(after_next_.y1 - after_next_.y0);
    const Extent grown{static_cast<double>(after_next_.x0) - dx, static_cast<double>(after_next_.y0) - dy,
                       static_cast<double>(after_next_.x1) + dx, static_cast<double>(after_next_.y1) + dy};
    wanted = !wanted ? grown
                     : Extent{std::min(wanted->x0, grown.x0), std::min(wanted->y0, grown.y0),
                              std::max(wanted->x1, grown.x1), std::max(wanted->y1, grown.y1)};
  }
  return fit(*wanted);
}

SearchRegion::Extent SearchRegion::around(const Box& box, bool is_moving) const {
  const auto real = [](int64_t value) { return static_cast<double>(value); };
  const double width = real(frame_.width), height = real(frame_.height);
  Extent extent{real(box.x0), real(box.y0), real(box.x1), real(box.y1)};
  if (is_moving && !objects_.is_empty()) {
    const auto move_on = [&](int64_t now, int64_t before) {
      return real(now) + kMovesOnFrames * real(now - before);
    };
    extent.x0 = std::clamp(move_on(box.x0, objects_.x0), 0.0, extent.x0);
    extent.y0 = std::clamp(move_on(box.y0, objects_.y0), 0.0, extent.y0);
    extent.x1 = std::clamp(move_on(box.x1, objects_.x1), extent.x1, width);
    extent.y1 = std::clamp(move_on(box.y1, objects_.y1), extent.y1, height);
  }
  const double margin = config_.margin * std::sqrt((extent.x1 - extent.x0) * (extent.y1 - extent.y0)) +
                        config_.frame_margin * std::min(width, height);
  return {extent.x0 - margin, extent.y0 - margin, extent.x1 + margin, extent.y1 + margin};
}

Box SearchRegion::fit(const Extent& extent) const {
  const double width = static_cast<double>(frame_.width), height = static_cast<double>(frame_.height);
  const double scale =
      std::max({(extent.x1 - extent.x0) / width, (extent.y1 - extent.y0) / height, config_.smallest});
  if (scale > kNearlyWhole) return whole();
  const auto place = [&](double low, double high, double edge) {
    const double length = std::max(1.0, std::floor(scale * edge));
    const auto first =
        static_cast<int64_t>(std::lround(std::clamp((low + high - length) / 2, 0.0, edge - length)));
    return std::pair(first, first + static_cast<int64_t>(length));
  };
  const auto [x0, x1] = place(extent.x0, extent.x1, width);
  const auto [y0, y1] = place(extent.y0, extent.y1, height);
  return {x0, y0, x1, y1};
}

void SearchRegion::save(StateWriter& state) const {
  std::vector<int64_t> edges;
  for (const Box& box : {next_, after_next_, objects_})
    edges.insert(edges.end(), {box.x0, box.y0, box.x1, box.y1});
  state.put("search_region", at::tensor(edges, at::kLong).view({3, 4}));
}

void SearchRegion::restore(const StateReader& state) {
  const at::Tensor& edges = state.tensor("search_region", 2, at::kLong);
  if (edges.size(0) != 3 || edges.size(1) != 4)
    state.fail("search_region: expected [3, 4], found other sizes");
  const auto read = [&](int64_t row, bool may_be_empty) {
    const int64_t* edge = edges.const_data_ptr<int64_t>() + 4 * row;
    const Box box{edge[0], edge[1], edge[2], edge[3]};
    const bool is_inside = box.x0 >= 0 && box.y0 >= 0 && box.x1 <= frame_.width && box.y1 <= frame_.height;
    if (!is_inside || (box.is_empty() && !may_be_empty)) {
      state.fail("search_region: expected boxes inside the frame, found others");
    }
    return box;
  };
  next_ = read(0, false);
  after_next_ = read(1, false);
  objects_ = read(2, true);
}

}  // namespace hqtrack
