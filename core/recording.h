#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <vector>

namespace hqtrack {

/// A computation on a GPU that is the same for every input of a shape: its kernels are recorded once (a CUDA
/// graph) and from then on started together, which takes the processor microseconds instead of a call each.
/// Any thread, any stream.
class Recording {
 public:
  /// Of tensors on the input's device. Reads nothing back, and copies nothing to the device.
  using Compute = std::function<std::vector<at::Tensor>(const at::Tensor& input)>;

  Recording();
  ~Recording();
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  /// compute(input), which always has to be the same function of the same weights, whose values may change
  /// but not where they lie; the results are the caller's own. On a CPU, in builds without CUDA, outside
  /// InferenceMode, while somebody probes (core/layers.h), for the first input of a shape, and where
  /// recording fails (the log says so), `compute` is simply called.
  std::vector<at::Tensor> run(const at::Tensor& input, const Compute& compute);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hqtrack
