#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "core/precision.h"

namespace hqtrack {

/// Numbers 0 .. M - 1 of the rows [M, d] (float32, on the CPU), so ordered that each `group` of them in turn
/// are similar rows: halves, of whole groups, along the direction of most variance, halves of these, and so
/// on. int64 [M]; the last group may be smaller. The same rows give the same order.
at::Tensor order_by_similarity(const at::Tensor& rows, int64_t group);

constexpr int64_t kKeysOfGroup = 32;
constexpr int64_t kQueriesOfGroup = 96;

/// `attend` for many keys, nearly all of which matter little (docs/vmos.md, section 11): keys are put into
/// groups of 32 similar ones, queries into groups of 96. A group of queries looks at the keys of those groups
/// one by one that hold most of its attention, ceil(num_exact / 32) of them, and at every other group as a
/// whole: its mean value has the weight that its keys would have together if they were normally distributed.
/// q [B, N, d], k [B, M, d], v [B, M, e] -> [B, N, e], num_exact >= 1. Where that is all keys, where
/// gradients are wanted, and on other devices than the CPU it is `attend`.
at::Tensor attend_by_groups(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, int64_t num_exact,
                            Precision precision = Precision::kFloat32);

}  // namespace hqtrack
