#pragma once

#include <cstdint>
#include <cstring>

// The vector registers of the including file's instruction set; see core/cpu_kernels_body.h.

namespace hqtrack {
namespace {

constexpr int64_t kLanes = HQTRACK_LANES;

typedef float Vector __attribute__((vector_size(kLanes * sizeof(float)), aligned(4), may_alias));

inline int64_t at_most(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t at_least(int64_t a, int64_t b) { return a > b ? a : b; }

// The first `count` floats of `value`, all of them where that is less.
inline void store_clamped(Vector value, float lowest, float highest, int64_t count, float* out) {
  value = value < lowest ? Vector{} + lowest : value;
  value = value > highest ? Vector{} + highest : value;
  if (count >= kLanes) {
    *reinterpret_cast<Vector*>(out) = value;
  } else if (count > 0) {
    std::memcpy(out, &value, count * sizeof(float));
  }
}

}  // namespace
}  // namespace hqtrack
