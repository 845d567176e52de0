#include <ATen/Parallel.h>
#include <ATen/ops/randn.h>
#include <benchmark/benchmark.h>
#include <c10/core/InferenceMode.h>

#include "core/config.h"
#include "core/threads.h"
#include "tracker/vmos.h"

// The embedded model's encoder on frames of 225 x 401: what a batch of frames gains over one after the other,
// and over threads that each encode their own, as the streams of `hqtrack serve` do. Frames a second:
// items_per_second.
namespace {

using namespace hqtrack;

constexpr int64_t kHeight = 225, kWidth = 401;

TrackerConfig embedded() {
  TrackerConfig config;
  config.encoder.type = "efficientnet_lite0";
  config.propagation_16x = {2, 96, 64};
  config.propagation_8x = {1, 48, 48};
  config.width_4x = 24;
  return config;
}

Vmos& network() {
  static Vmos network(embedded());
  return network;
}

void encode(benchmark::State& state) {
  c10::InferenceMode guard;
  const auto operators = static_cast<int>(state.range(1));
  set_threads(operators, operators);
  network()->eval();
  const at::Tensor frames =
      at::randn({state.range(0), 3, kHeight, kWidth}).contiguous(at::MemoryFormat::ChannelsLast);
  for (auto _ : state) benchmark::DoNotOptimize(network()->encode(frames));
  state.SetItemsProcessed(state.iterations() * state.range(0));
}

BENCHMARK(encode)->ArgNames({"batch", "operators"})->ArgsProduct({{1, 2, 4}, {2}})->UseRealTime();
BENCHMARK(encode)->ArgNames({"batch", "operators"})->Args({1, 1})->Threads(2)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
