#include "core/local_attention_tile.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <vector>

#include "core/attention.h"
#include "tests/support/golden.h"

namespace hqtrack {
namespace {

/// A loop in place of a block's threads. What one thread reads of another's in the same phase would depend on
/// the order.
struct Loop {
  bool is_reversed;
  template <class Phase>
  void operator()(const Phase& phase) const {
    for (int i = 0; i < kTileThreads; ++i) phase(is_reversed ? kTileThreads - 1 - i : i);
  }
};

at::Tensor attend_by_tiles(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                           const at::Tensor& relative, GridSize grid, int64_t radius, bool is_reversed) {
  at::Tensor out = at::full({q.size(0), q.size(1), v.size(2)}, 1e9);
  const LocalAttention attention =
      local_attention(q, k, v, relative, grid, radius, 1 / std::sqrt(static_cast<double>(q.size(2))), out);
  const LocalAttentionScratch layout(attention.radius, attention.key_width);
  for (int64_t b = 0; b < q.size(0); ++b) {
    for (int y = 0; y < attention.height; ++y) {
      for (int x = 0; x < attention.width; x += kTileQueries) {
        std::vector<float> scratch(layout.size(), std::nanf(""));
        attend_to_tile(attention, b, y, x, scratch.data(), Loop{is_reversed});
      }
    }
  }
  return out;
}

TEST(LocalAttentionTile, IsWhatTheCpuComputes) {
  struct Case {
    GridSize grid;
    int64_t batch, radius, key_width, value_width;
  };
  for (const Case& c : {Case{{1, 1}, 1, 7, 4, 3}, Case{{9, 13}, 2, 3, 7, 10}, Case{{3, 40}, 1, 7, 32, 300},
                        Case{{20, 17}, 1, 7, 64, 40}, Case{{5, 8}, 1, 0, 5, 5}}) {
    at::manual_seed(5);
    const int64_t cells = c.grid.area(), side = 2 * c.radius + 1;
    const at::Tensor q = at::randn({c.batch, cells, c.key_width}) * 2,
                     k = at::randn({c.batch, cells, c.key_width + 3}).narrow(2, 1, c.key_width) * 2,
                     v = at::randn({c.batch, cells, c.value_width + 1}).narrow(2, 1, c.value_width),
                     relative = at::randn({c.batch, cells, side * side});
    ASSERT_TRUE(fits_local_attention_tile(c.grid, c.radius, c.key_width));
    const at::Tensor found = attend_by_tiles(q, k, v, relative, c.grid, c.radius, false);
    EXPECT_TENSORS_CLOSE(found, attend_locally(q, k, v, relative, c.grid, c.radius), 1e-5, 2e-5)
        << c.grid.height << " x " << c.grid.width;
    EXPECT_TRUE(at::equal(found, attend_by_tiles(q, k, v, relative, c.grid, c.radius, true)));
  }
}

TEST(LocalAttentionTile, OfThePublishedNetworkFits) {
  EXPECT_TRUE(fits_local_attention_tile({30, 53}, 7, 128));
  EXPECT_TRUE(fits_local_attention_tile({60, 106}, 7, 64));
  EXPECT_FALSE(fits_local_attention_tile({60, 106}, 17, 128)) << "goes by bands";
}

}  // namespace
}  // namespace hqtrack
