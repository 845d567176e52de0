#pragma once

#include <cstdint>

// The vector registers of the including file's instruction set; see core/cpu_kernels_body.h.

namespace hqtrack {
namespace {

constexpr int64_t kLanes = HQTRACK_LANES;

typedef float Vector __attribute__((vector_size(kLanes * sizeof(float)), aligned(4), may_alias));

inline int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t at_least(int64_t a, int64_t b) { return a > b ? a : b; }

}  // namespace
}  // namespace hqtrack
