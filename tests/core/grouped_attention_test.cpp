#include "core/grouped_attention.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "core/attention.h"
#include "core/cpu_kernels.h"
#include "tests/support/golden.h"

namespace hqtrack {
namespace {

struct Operands {
  at::Tensor q, k, v;
};

// Keys of a few kinds, as the cells of frames are.
Operands random_operands(int64_t batch, int64_t queries, int64_t keys, int64_t key_width,
                         int64_t value_width) {
  at::manual_seed(7);
  const at::Tensor kinds = at::randn({11, key_width}) * 2;
  const auto similar = [&](int64_t count) {
    return kinds.index_select(0, at::randint(11, {batch * count}, at::kLong))
               .view({batch, count, key_width}) +
           at::randn({batch, count, key_width}) * 0.3;
  };
  return {similar(queries), similar(keys), at::randn({batch, keys, value_width})};
}

// The formula, one query after the other, with the whole list of scores.
at::Tensor plain_attention_by_groups(const Operands& o, int64_t num_exact) {
  const double scale = 1.0 / std::sqrt(static_cast<double>(o.q.size(2)));
  const int64_t num_chosen = (num_exact + kKeysOfGroup - 1) / kKeysOfGroup;
  at::Tensor out = at::empty({o.q.size(0), o.q.size(1), o.v.size(2)});
  for (int64_t b = 0; b < o.q.size(0); ++b) {
    const at::Tensor of_queries = order_by_similarity(o.q[b], kQueriesOfGroup);
    const std::vector<at::Tensor> groups = order_by_similarity(o.k[b], kKeysOfGroup).split(kKeysOfGroup);
    std::vector<at::Tensor> means, variances, values, log_counts;
    for (const at::Tensor& group : groups) {
      const at::Tensor keys = o.k[b].index_select(0, group);
      means.push_back(keys.mean(0));
      variances.push_back((keys - means.back()).square().mean(0));
      values.push_back(o.v[b].index_select(0, group).mean(0));
      log_counts.push_back(at::tensor(static_cast<double>(group.size(0)), at::kFloat).log());
    }
    for (const at::Tensor& queries : of_queries.split(kQueriesOfGroup)) {
      const at::Tensor q = o.q[b].index_select(0, queries) * scale;
      const at::Tensor scores = at::mm(q, at::stack(means).t()) +
                                at::mm(q.square(), at::stack(variances).t()) / 2 + at::cat(log_counts);
      const at::Tensor best = std::get<1>(at::softmax(scores, 1).sum(0).sort(/*dim=*/0, /*descending=*/true));
      std::vector<at::Tensor> own_scores, own_values;
      for (int64_t i = 0; i < best.size(0); ++i) {
        const int64_t group = best[i].item<int64_t>();
        if (i < num_chosen) {
          own_scores.push_back(at::mm(q, o.k[b].index_select(0, groups[group]).t()));
          own_values.push_back(o.v[b].index_select(0, groups[group]));
        } else {
          own_scores.push_back(scores.narrow(1, group, 1));
          own_values.push_back(values[group].unsqueeze(0));
        }
      }
      out[b].index_copy_(0, queries, at::mm(at::softmax(at::cat(own_scores, 1), 1), at::cat(own_values)));
    }
  }
  return out;
}

struct Shape {
  int64_t batch, queries, keys, key_width, value_width, num_exact;
};

TEST(GroupedAttention, EqualsThePlainFormulaOverOddSizes) {
  for (const Shape& s :
       {Shape{1, 99, 297, 16, 24, 64}, Shape{2, 129, 513, 5, 7, 40}, Shape{1, 130, 1101, 48, 192, 300},
        Shape{1, 97, 33, 8, 1, 1}, Shape{1, 300, 1700, 64, 40, 1690}}) {
    const Operands o = random_operands(s.batch, s.queries, s.keys, s.key_width, s.value_width);
    EXPECT_TENSORS_CLOSE(attend_by_groups(o.q, o.k, o.v, s.num_exact),
                         plain_attention_by_groups(o, s.num_exact), 1e-4, 5e-5)
        << s.queries << " x " << s.keys;
  }
}

TEST(GroupedAttention, WithAllKeysIsAttention) {
  const Operands o = random_operands(2, 130, 301, 16, 24);
  EXPECT_TRUE(at::equal(attend_by_groups(o.q, o.k, o.v, 300), attend(o.q, o.k, o.v)));
  EXPECT_TRUE(at::equal(attend_by_groups(o.q, o.k, o.v, 10000), attend(o.q, o.k, o.v)));
}

// Groups whose keys are the same are worth as much as their keys, chosen or not.
TEST(GroupedAttention, OfRepeatedKeysIsAttention) {
  Operands o = random_operands(1, 200, 64, 16, 24);
  o.k = o.k.repeat_interleave(kKeysOfGroup, 1);
  o.v = at::randn({1, o.k.size(1), 24});
  EXPECT_TENSORS_CLOSE(attend_by_groups(o.q, o.k, o.v, 5 * kKeysOfGroup), attend(o.q, o.k, o.v), 1e-4, 5e-5);
}

TEST(GroupedAttention, ComesNearerWithMoreKeys) {
  const Operands o = random_operands(1, 400, 3000, 32, 48);
  const at::Tensor exact = attend(o.q, o.k, o.v);
  const auto error = [&](int64_t num_exact) {
    return (attend_by_groups(o.q, o.k, o.v, num_exact) - exact).abs().mean().item<double>();
  };
  EXPECT_LT(error(300), error(32));
  EXPECT_LT(error(2000), error(300));
}

TEST(GroupedAttention, InBFloat16IsNearFloat32) {
  if (!bf16_cpu_kernels()) GTEST_SKIP() << "no bf16 dot products on this CPU";
  for (const int64_t keys : {641, 1700}) {
    const Operands o = random_operands(1, 200, keys, 24, 40);
    const at::Tensor fp32 = attend_by_groups(o.q, o.k, o.v, 200);
    const at::Tensor bf16 = attend_by_groups(o.q, o.k, o.v, 200, Precision::kBFloat16);
    EXPECT_LT((bf16 - fp32).abs().mean().item<double>(), 0.02 * fp32.abs().mean().item<double>()) << keys;
  }
}

TEST(GroupedAttention, TakesViewsOfMemory) {
  const Operands o = random_operands(1, 100, 600, 16, 24);
  const at::Tensor both = at::cat({o.k, o.v}, 2);
  EXPECT_TRUE(at::equal(attend_by_groups(o.q, both.narrow(2, 0, 16), both.narrow(2, 16, 24), 64),
                        attend_by_groups(o.q, o.k, o.v, 64)));
}

TEST(GroupedAttention, IsExactWhereGradientsAreWanted) {
  Operands o = random_operands(1, 100, 200, 8, 8);
  o.q.requires_grad_();
  EXPECT_TRUE(at::equal(attend_by_groups(o.q, o.k, o.v, 32).detach(), attend(o.q, o.k, o.v).detach()));
}

TEST(OrderBySimilarity, IsAnOrderWhoseGroupsAreAlike) {
  for (const int64_t count : {1, 31, 32, 33, 500}) {
    const at::Tensor rows = at::randn({count, 3});
    const at::Tensor order = order_by_similarity(rows, 32);
    EXPECT_TRUE(at::equal(std::get<0>(order.sort()), at::arange(count, at::kLong))) << count;
    EXPECT_TRUE(at::equal(order_by_similarity(rows, 32), order));
  }
  // Four kinds that lie far apart, mixed.
  const at::Tensor kind = at::arange(128, at::kLong) % 4;
  const at::Tensor rows = at::eye(4).index_select(0, kind) * 100 + at::rand({128, 4});
  for (const at::Tensor& group : order_by_similarity(rows, 32).split(32)) {
    EXPECT_EQ((kind.index_select(0, group) - kind[group[0].item<int64_t>()]).abs().sum().item<int64_t>(), 0);
  }
}

TEST(OrderBySimilarity, TakesRowsThatAreAllTheSame) {
  EXPECT_EQ(order_by_similarity(at::ones({100, 4}), 32).size(0), 100);
}

}  // namespace
}  // namespace hqtrack
