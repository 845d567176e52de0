#include "core/recording.h"

#ifdef HQTRACK_WITH_CUDA
#include <ATen/cuda/CUDAEvent.h>
#include <ATen/cuda/CUDAGraph.h>
#include <ATen/ops/empty_like.h>
#include <c10/core/InferenceMode.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <exception>
#include <map>
#include <mutex>
#include <string>

#include "core/layers.h"
#include "core/log.h"
#include "core/profile.h"
#endif

namespace hqtrack {

#ifdef HQTRACK_WITH_CUDA

namespace {

/// Of one shape. Made before it is recorded: the first call of kernels sets things up that cannot be
/// recorded.
struct Recorded {
  at::Tensor input;                 // the kernels read here ...
  std::vector<at::Tensor> results;  // ... and write here
  std::unique_ptr<at::cuda::CUDAGraph> graph;
  int64_t flops = 0;
  bool has_failed = false;

  void record(const at::Tensor& example, const Recording::Compute& compute) {
    static std::mutex one_at_a_time;
    const std::lock_guard lock(one_at_a_time);
    at::cuda::CUDAEvent is_there;
    is_there.record(c10::cuda::getCurrentCUDAStream());
    // One that nobody else works in.
    const c10::cuda::CUDAStream own_stream =
        c10::cuda::getStreamFromPool(/*isHighPriority=*/true, example.device().index());
    const c10::cuda::CUDAStreamGuard in_own_stream(own_stream);
    is_there.block(own_stream);
    input = example.clone();
    compute(input);  // libraries set themselves up for this thread and stream, which cannot be recorded
    own_stream.synchronize();
    auto made = std::make_unique<at::cuda::CUDAGraph>();
    const at::MempoolId_t pool = at::cuda::graph_pool_handle();
    // Other threads may go on asking for memory meanwhile.
    made->capture_begin(pool, cudaStreamCaptureModeThreadLocal);
    std::exception_ptr failure;
    try {
      const FlopCount count;
      results = compute(input);
      flops = count.flops();
    } catch (...) {
      failure = std::current_exception();
    }
    try {
      made->capture_end();
    } catch (...) {
      if (!failure) failure = std::current_exception();
      // It has left the memory's allocator in the middle.
      results.clear();
      try {
        c10::cuda::CUDACachingAllocator::endAllocateToPool(example.device().index(), pool);
      } catch (const std::exception&) {  // it was through with that
      }
    }
    if (failure) std::rethrow_exception(failure);
    graph = std::move(made);
  }

  std::vector<at::Tensor> replay(const at::Tensor& from) {
    input.copy_(from);
    graph->replay();
    count_flops(flops);
    std::vector<at::Tensor> own;
    for (const at::Tensor& result : results) own.push_back(result.clone());
    return own;
  }
};

}  // namespace

class Recording::Impl {
 public:
  std::vector<at::Tensor> run(const at::Tensor& input, const Compute& compute) {
    if (!input.is_cuda() || !c10::InferenceMode::is_enabled() || is_probed()) return compute(input);
    const c10::cuda::CUDAGuard guard(input.device());
    const std::lock_guard lock(mutex_);
    const auto [found, is_new] = of_shape_.try_emplace(shape_of(input));
    Recorded& recorded = found->second;
    if (is_new || recorded.has_failed || (!recorded.graph && num_recorded_ == kMostShapes))
      return compute(input);
    if (!recorded.graph) {
      try {
        recorded.record(input, compute);
        ++num_recorded_;
      } catch (const std::exception& error) {
        recorded = {};
        recorded.has_failed = true;
        log_info(std::string("CUDA graph: cannot be recorded, goes on without: ") + error.what());
        return compute(input);
      }
    }
    // Whoever used it last may have another stream.
    const c10::cuda::CUDAStream stream = c10::cuda::getCurrentCUDAStream();
    done_.block(stream);
    std::vector<at::Tensor> results = recorded.replay(input);
    done_.record(stream);
    return results;
  }

 private:
  static constexpr int kMostShapes = 4;  // each holds the memory of a run

  static std::vector<int64_t> shape_of(const at::Tensor& input) {
    std::vector<int64_t> shape = input.sizes().vec();
    shape.push_back(input.device().index());
    return shape;
  }

  std::mutex mutex_;
  std::map<std::vector<int64_t>, Recorded> of_shape_;
  int num_recorded_ = 0;
  at::cuda::CUDAEvent done_;
};

#else

class Recording::Impl {
 public:
  std::vector<at::Tensor> run(const at::Tensor& input, const Compute& compute) { return compute(input); }
};

#endif

Recording::Recording() : impl_(std::make_unique<Impl>()) {}
Recording::~Recording() = default;
std::vector<at::Tensor> Recording::run(const at::Tensor& input, const Compute& compute) {
  return impl_->run(input, compute);
}

}  // namespace hqtrack
