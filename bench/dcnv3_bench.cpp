#include <ATen/ops/randn.h>
#include <ATen/ops/softmax.h>
#include <benchmark/benchmark.h>
#include <c10/core/InferenceMode.h>

#include "tracker/encoders/dcnv3.h"

// The DCNv3 calls of InternImage-T for a 465 x 465 frame: (height = width, groups) of its four levels at
// stride 4, 8, 16 and 32, 16 channels per group. In VMOS the last level stays at stride 16: 30 x 30 with 32
// groups.
namespace {

using hqtrack::Dcnv3Options;

struct Inputs {
  explicit Inputs(const benchmark::State& state) {
    const int64_t size = state.range(0);
    options.groups = state.range(1);
    value = at::randn({1, size, size, options.groups * 16});
    offset = at::randn({1, size, size, options.groups * 18});
    mask = at::softmax(at::randn({1, size, size, options.groups, 9}), -1).view({1, size, size, -1});
  }
  Dcnv3Options options;
  at::Tensor value, offset, mask;
};

template <auto kFunction>
void forward(benchmark::State& state) {
  const c10::InferenceMode inference;
  const Inputs in(state);
  for (auto _ : state) benchmark::DoNotOptimize(kFunction(in.value, in.offset, in.mask, in.options));
}

template <auto kFunction>
void forward_and_backward(benchmark::State& state) {
  const Inputs in(state);
  for (auto* tensor : {&in.value, &in.offset, &in.mask}) tensor->requires_grad_();
  const auto grad = at::randn(in.value.sizes());
  for (auto _ : state) kFunction(in.value, in.offset, in.mask, in.options).backward(grad);
}

void shapes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"size", "groups"})->Unit(benchmark::kMillisecond)->UseRealTime();
  bench->Args({117, 4})->Args({59, 8})->Args({30, 16})->Args({15, 32})->Args({30, 32});
}

BENCHMARK(forward<hqtrack::dcnv3>)->Apply(shapes);
BENCHMARK(forward<hqtrack::dcnv3_reference>)->Apply(shapes);
BENCHMARK(forward_and_backward<hqtrack::dcnv3>)->Apply(shapes);
BENCHMARK(forward_and_backward<hqtrack::dcnv3_reference>)->Apply(shapes);

}  // namespace

BENCHMARK_MAIN();
