#include "core/attention.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "core/threads.h"
#include "tests/support/golden.h"

namespace hqtrack {
namespace {

struct Operands {
  at::Tensor q, k, v, relative;
};

Operands random_operands(int64_t batch, int64_t queries, int64_t keys, int64_t key_width, int64_t value_width,
                         int64_t window, at::ScalarType type) {
  at::manual_seed(7);
  const auto options = at::TensorOptions().dtype(type);
  return {at::randn({batch, queries, key_width}, options) * 2,
          at::randn({batch, keys, key_width}, options) * 2, at::randn({batch, keys, value_width}, options),
          at::randn({batch, queries, window}, options)};
}

// The formula with the whole score matrix.
at::Tensor plain_attention(const Operands& o) {
  return at::bmm(
      at::softmax(at::bmm(o.q, o.k.transpose(1, 2)) / std::sqrt(static_cast<double>(o.q.size(2))), -1), o.v);
}

// The formula cell by cell.
at::Tensor plain_local_attention(const Operands& o, GridSize grid, int64_t radius) {
  const int64_t side = 2 * radius + 1;
  at::Tensor out = at::zeros({o.q.size(0), grid.area(), o.v.size(2)}, o.v.options());
  for (int64_t b = 0; b < o.q.size(0); ++b) {
    for (int64_t y = 0; y < grid.height; ++y) {
      for (int64_t x = 0; x < grid.width; ++x) {
        const int64_t cell = y * grid.width + x;
        std::vector<at::Tensor> scores, values;
        for (int64_t dy = -radius; dy <= radius; ++dy) {
          for (int64_t dx = -radius; dx <= radius; ++dx) {
            if (y + dy < 0 || y + dy >= grid.height || x + dx < 0 || x + dx >= grid.width) continue;
            const int64_t other = (y + dy) * grid.width + x + dx;
            scores.push_back(at::dot(o.q[b][cell], o.k[b][other]) /
                                 std::sqrt(static_cast<double>(o.q.size(2))) +
                             o.relative[b][cell][(dy + radius) * side + dx + radius]);
            values.push_back(o.v[b][other]);
          }
        }
        out[b][cell] = at::matmul(at::softmax(at::stack(scores), 0), at::stack(values));
      }
    }
  }
  return out;
}

struct Shape {
  int64_t batch, queries, keys, key_width, value_width;
};

TEST(Attention, EqualsThePlainFormulaOverOddSizes) {
  for (const Shape& s : {Shape{1, 1, 1, 4, 8}, Shape{1, 99, 297, 16, 24}, Shape{2, 129, 513, 5, 7},
                         Shape{1, 130, 1100, 48, 192}, Shape{3, 128, 512, 8, 1},
                         Shape{2, 197, 3100, 150, 555}}) {  // the last one's keys come in parts
    const Operands o = random_operands(s.batch, s.queries, s.keys, s.key_width, s.value_width, 1, at::kFloat);
    EXPECT_TENSORS_CLOSE(attend(o.q, o.k, o.v), plain_attention(o), 1e-5, 2e-5)
        << s.queries << " x " << s.keys;
  }
}

// Rounding a factor changes it by 1 +- 2^-9 at most, so a score by 2^-8 of what its products add up to, and a
// probability by twice the largest such change, besides its own rounding.
double bf16_bound(const Operands& o) {
  const at::Tensor products = at::bmm(o.q.abs(), o.k.abs().transpose(1, 2));
  const double score = products.max().item<double>() / std::sqrt(static_cast<double>(o.q.size(2))) / 255;
  return (std::expm1(2 * score) + 1.0 / 255) * o.v.abs().max().item<double>();
}

TEST(Attention, InBFloat16DiffersByTheRoundingOfItsFactors) {
  for (const Shape& s : {Shape{1, 1, 1, 4, 8}, Shape{2, 129, 513, 5, 7}, Shape{1, 130, 1101, 48, 192},
                         Shape{1, 101, 3101, 150, 555}}) {
    const Operands o = random_operands(s.batch, s.queries, s.keys, s.key_width, s.value_width, 1, at::kFloat);
    EXPECT_TENSORS_CLOSE(attend(o.q, o.k, o.v, Precision::kBFloat16), plain_attention(o), 0, bf16_bound(o))
        << s.queries << " x " << s.keys;
  }
}

// Where no kernel of ours is, as on a GPU: probabilities and values are rounded, scores are not.
TEST(Attention, ByBandsRoundsProbabilitiesAndValues) {
  const Operands o = random_operands(2, 129, 513, 5, 7, 1, at::kDouble);
  const at::Tensor found = attend(o.q, o.k, o.v, Precision::kBFloat16), expected = plain_attention(o);
  EXPECT_EQ(found.scalar_type(), at::kDouble);
  EXPECT_TENSORS_CLOSE(found, expected, 0, 3.0 / 255 * o.v.abs().max().item<double>());
  EXPECT_GT((found - expected).abs().max().item<double>(), 1e-5);
}

TEST(LocalAttention, InBFloat16DiffersByTheRoundingOfItsFactors) {
  const GridSize grid{9, 13};
  const Operands o = random_operands(1, grid.area(), grid.area(), 7, 10, 49, at::kFloat);
  EXPECT_TENSORS_CLOSE(attend_locally(o.q, o.k, o.v, o.relative, grid, 3, Precision::kBFloat16),
                       plain_local_attention(o, grid, 3), 0, bf16_bound(o));
}

TEST(Attention, IsTheSameForAnyNumberOfThreads) {
  const GridSize grid{17, 23};
  const Operands o = random_operands(1, grid.area(), grid.area(), 48, 96, 225, at::kFloat);
  for (const Precision precision : {Precision::kFloat32, Precision::kBFloat16}) {
    at::Tensor first_global, first_local;
    for (const int threads : {1, 2, 5}) {
      std::thread([&] {  // the number of threads belongs to the thread that sets it
        set_threads(1, threads);
        const at::Tensor global = attend(o.q, o.k, o.v, precision);
        const at::Tensor local = attend_locally(o.q, o.k, o.v, o.relative, grid, 7, precision);
        if (threads == 1) first_global = global, first_local = local;
        EXPECT_TRUE(at::equal(global, first_global)) << threads << " threads";
        EXPECT_TRUE(at::equal(local, first_local)) << threads << " threads";
      })
          .join();
    }
  }
}

TEST(Attention, SurvivesScoresThatOverflowAnExponential) {
  Operands o = random_operands(1, 33, 700, 8, 4, 1, at::kFloat);
  o.q *= 40;
  EXPECT_TENSORS_CLOSE(attend(o.q, o.k, o.v), plain_attention(o), 1e-4, 1e-4);
}

TEST(Attention, TakesViewsThatAreNotContiguous) {
  Operands o = random_operands(1, 40, 60, 6, 10, 1, at::kFloat);
  const at::Tensor wide = at::cat({o.k, at::randn({1, 60, 5})}, -1);
  const at::Tensor expected = attend(o.q, o.k, o.v);
  o.k = wide.narrow(-1, 0, 6);
  ASSERT_FALSE(o.k.is_contiguous());
  EXPECT_TENSORS_CLOSE(attend(o.q, o.k, o.v), expected, 0, 1e-6);
}

TEST(Attention, GradientsEqualThoseOfThePlainFormula) {
  Operands a = random_operands(2, 21, 35, 6, 9, 1, at::kDouble), b = a;
  for (Operands* o : {&a, &b}) {
    for (at::Tensor* t : {&o->q, &o->k, &o->v}) *t = t->clone().set_requires_grad(true);
  }
  const at::Tensor weight = at::randn({2, 21, 9}, at::kDouble);
  (attend(a.q, a.k, a.v) * weight).sum().backward();
  (plain_attention(b) * weight).sum().backward();
  EXPECT_TENSORS_CLOSE(a.q.grad(), b.q.grad(), 0, 1e-10);
  EXPECT_TENSORS_CLOSE(a.k.grad(), b.k.grad(), 0, 1e-10);
  EXPECT_TENSORS_CLOSE(a.v.grad(), b.v.grad(), 0, 1e-10);
}

// rows[y] + columns[x] for every cell, as they are.
at::Tensor plain_attention_to_map(const Operands& o, const at::Tensor& rows, const at::Tensor& columns,
                                  double scale) {
  const at::Tensor places = (rows.unsqueeze(3) + columns.unsqueeze(2)).flatten(2);
  return at::bmm(at::softmax((at::bmm(o.q, o.k.transpose(1, 2)) + places) * scale, -1), o.v);
}

TEST(AttentionToMap, EqualsThePlainFormulaOverOddMaps) {
  for (const GridSize map :
       {GridSize{1, 1}, GridSize{5, 3}, GridSize{14, 14}, GridSize{3, 301}, GridSize{300, 2}}) {
    for (const int64_t batch : {1, 9}) {
      const Operands o = random_operands(batch, 37, map.area(), 6, 11, 1, at::kFloat);
      at::Tensor rows = at::randn({batch, 37, map.height}) * 3,
                 columns = at::randn({batch, 37, map.width}) * 3;
      const at::Tensor expected = plain_attention_to_map(o, rows, columns, 0.3);
      EXPECT_TENSORS_CLOSE(attend_to_map(o.q, o.k, o.v, rows, columns, 0.3), expected, 1e-5, 2e-5)
          << map.height << " x " << map.width << ", batch " << batch;
      rows.set_requires_grad(true);
      EXPECT_TENSORS_CLOSE(attend_to_map(o.q, o.k, o.v, rows, columns, 0.3), expected, 1e-5, 2e-5)
          << map.height << " x " << map.width << ", batch " << batch << ", as channels";
    }
  }
}

TEST(AttentionToMap, GradientsEqualThoseOfThePlainFormula) {
  Operands a = random_operands(2, 5, 12, 6, 9, 1, at::kDouble), b = a;
  const at::Tensor rows = at::randn({2, 5, 3}, at::kDouble), columns = at::randn({2, 5, 4}, at::kDouble);
  std::vector<at::Tensor> leaves[2];
  for (const int i : {0, 1}) {
    Operands& o = i == 0 ? a : b;
    for (at::Tensor* t : {&o.q, &o.k, &o.v}) leaves[i].push_back(*t = t->clone().set_requires_grad(true));
    for (const at::Tensor& t : {rows, columns}) leaves[i].push_back(t.clone().set_requires_grad(true));
  }
  const at::Tensor weight = at::randn({2, 5, 9}, at::kDouble);
  (attend_to_map(a.q, a.k, a.v, leaves[0][3], leaves[0][4], 0.4) * weight).sum().backward();
  (plain_attention_to_map(b, leaves[1][3], leaves[1][4], 0.4) * weight).sum().backward();
  for (size_t i = 0; i < leaves[0].size(); ++i) {
    EXPECT_TENSORS_CLOSE(leaves[0][i].grad(), leaves[1][i].grad(), 0, 1e-10) << "operand " << i;
  }
}

TEST(AttentionToMap, RejectsScoresThatDoNotFit) {
  const Operands o = random_operands(1, 4, 12, 6, 7, 1, at::kFloat);
  EXPECT_THROW(attend_to_map(o.q, o.k, o.v, at::zeros({1, 4, 3}), at::zeros({1, 4, 5}), 1), c10::Error);
  EXPECT_THROW(attend_to_map(o.q, o.k, o.v, at::zeros({1, 5, 3}), at::zeros({1, 4, 4}), 1), c10::Error);
}

TEST(Attention, RejectsOperandsThatDoNotFit) {
  const Operands o = random_operands(1, 4, 5, 6, 7, 1, at::kFloat);
  EXPECT_THROW(attend(o.q, o.k.narrow(2, 0, 5), o.v), c10::Error);
  EXPECT_THROW(attend(o.q, o.k, o.v.narrow(1, 0, 4)), c10::Error);
}

TEST(LocalAttention, EqualsThePlainFormulaOverOddGrids) {
  for (const GridSize grid :
       {GridSize{1, 1}, GridSize{3, 5}, GridSize{9, 11}, GridSize{5, 33}, GridSize{20, 17}}) {
    for (const int64_t radius : {1, 3, 7}) {
      const int64_t window = (2 * radius + 1) * (2 * radius + 1);
      const Operands o = random_operands(2, grid.area(), grid.area(), 6, 5, window, at::kFloat);
      EXPECT_TENSORS_CLOSE(attend_locally(o.q, o.k, o.v, o.relative, grid, radius),
                           plain_local_attention(o, grid, radius), 1e-5, 2e-5)
          << grid.height << " x " << grid.width << ", radius " << radius;
    }
  }
}

TEST(LocalAttention, DifferentiableFormEqualsTheKernel) {
  const GridSize grid{18, 23};
  Operands o = random_operands(1, grid.area(), grid.area(), 12, 20, 225, at::kFloat);
  const at::Tensor kernel = attend_locally(o.q, o.k, o.v, o.relative, grid, 7);
  o.q.set_requires_grad(true);
  EXPECT_TENSORS_CLOSE(attend_locally(o.q, o.k, o.v, o.relative, grid, 7), kernel, 1e-5, 2e-5);
}

TEST(LocalAttention, GradientsEqualThoseOfThePlainFormula) {
  const GridSize grid{5, 7};
  Operands a = random_operands(2, grid.area(), grid.area(), 4, 3, 25, at::kDouble), b = a;
  for (Operands* o : {&a, &b}) {
    for (at::Tensor* t : {&o->q, &o->k, &o->v, &o->relative}) *t = t->clone().set_requires_grad(true);
  }
  const at::Tensor weight = at::randn({2, grid.area(), 3}, at::kDouble);
  (attend_locally(a.q, a.k, a.v, a.relative, grid, 2) * weight).sum().backward();
  (plain_local_attention(b, grid, 2) * weight).sum().backward();
  EXPECT_TENSORS_CLOSE(a.q.grad(), b.q.grad(), 0, 1e-10);
  EXPECT_TENSORS_CLOSE(a.k.grad(), b.k.grad(), 0, 1e-10);
  EXPECT_TENSORS_CLOSE(a.v.grad(), b.v.grad(), 0, 1e-10);
  EXPECT_TENSORS_CLOSE(a.relative.grad(), b.relative.grad(), 0, 1e-10);
}

TEST(LocalAttention, RejectsAGridThatDoesNotMatchTheTokens) {
  const Operands o = random_operands(1, 12, 12, 4, 4, 9, at::kFloat);
  EXPECT_THROW(attend_locally(o.q, o.k, o.v, o.relative, {3, 5}, 1), c10::Error);
  EXPECT_THROW(attend_locally(o.q, o.k, o.v, o.relative, {3, 4}, 2), c10::Error);
}

}  // namespace
}  // namespace hqtrack
