#include <ATen/Functions.h>
#include <benchmark/benchmark.h>
#include <c10/core/InferenceMode.h>

#include <cmath>

#include "core/attention.h"
#include "core/dense.h"
#include "core/depthwise.h"
#include "core/grouped_attention.h"

// The CPU kernels on the sizes of configs/nano.yaml for a frame of 854x480 (maps of 29x51 and 15x26 cells),
// each beside LibTorch's operators for the same formula.
namespace {

using namespace hqtrack;

constexpr GridSize kGrid8{29, 51}, kGrid16{15, 26};

// --- fully connected: rows, depth, width

template <class Layer, Precision precision = Precision::kFloat32>
void linear(benchmark::State& state) {
  const c10::InferenceMode inference;
  Layer layer(state.range(1), state.range(2));
  if constexpr (precision != Precision::kFloat32) layer->precision = precision;
  const at::Tensor x = at::randn({1, state.range(0), state.range(1)});
  for (auto _ : state) benchmark::DoNotOptimize(layer(x));
}

void linear_sizes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"rows", "depth", "width"})->Unit(benchmark::kMicrosecond)->UseRealTime();
  bench->Args({kGrid8.area(), 48, 144})->Args({kGrid8.area(), 192, 96})->Args({kGrid8.area(), 48, 225});
  bench->Args({kGrid16.area(), 384, 192})->Args({kGrid16.area(), 480, 80});
  bench->Args({4096, 768, 768})->Args({4096, 768, 3072})->Args({4096, 3072, 768});  // of ViT-B
}

BENCHMARK(linear<Linear>)->Apply(linear_sizes);
BENCHMARK(linear<Linear, Precision::kBFloat16>)->Apply(linear_sizes);
BENCHMARK(linear<Linear, Precision::kInt8>)->Apply(linear_sizes);
BENCHMARK(linear<torch::nn::Linear>)->Apply(linear_sizes);

// --- long-term attention: frames in memory

struct Operands {
  explicit Operands(int64_t keys)
      : q(at::randn({1, kGrid8.area(), 48})), k(at::randn({1, keys, 48})), v(at::randn({1, keys, 192})) {}
  at::Tensor q, k, v;
};

at::Tensor plain_attend(const Operands& o) {
  return at::bmm(at::softmax(at::bmm(o.q, o.k.transpose(1, 2)) / std::sqrt(48.0), -1), o.v);
}

template <Precision precision>
void attention(benchmark::State& state) {
  const c10::InferenceMode inference;
  const Operands o(state.range(0) * kGrid8.area());
  for (auto _ : state) benchmark::DoNotOptimize(attend(o.q, o.k, o.v, precision));
}

void attention_plain(benchmark::State& state) {
  const c10::InferenceMode inference;
  const Operands o(state.range(0) * kGrid8.area());
  for (auto _ : state) benchmark::DoNotOptimize(plain_attend(o));
}

void frames(benchmark::internal::Benchmark* bench) {
  bench->ArgName("frames")->Unit(benchmark::kMillisecond)->UseRealTime()->Arg(1)->Arg(2)->Arg(6);
}

BENCHMARK(attention<Precision::kFloat32>)->Apply(frames);
BENCHMARK(attention<Precision::kBFloat16>)->Apply(frames);
BENCHMARK(attention_plain)->Apply(frames);

// --- the same in groups, at the sizes of configs/hqtrack.yaml (61x107 cells) and of the embedded model:
// frames in memory, and the thousandths of a frame that are looked at one by one (0: all)

template <Precision precision>
void grouped_attention(benchmark::State& state) {
  const c10::InferenceMode inference;
  const bool is_full = state.range(0) != 0;
  const int64_t cells = is_full ? 61 * 107 : kGrid8.area(), key_width = is_full ? 64 : 48,
                value_width = is_full ? 512 : 192, num_exact = state.range(2) * cells / 1000;
  const at::Tensor q = at::randn({1, cells, key_width}),
                   k = at::randn({1, state.range(1) * cells, key_width}),
                   v = at::randn({1, state.range(1) * cells, value_width});
  for (auto _ : state) {
    benchmark::DoNotOptimize(num_exact > 0 ? attend_by_groups(q, k, v, num_exact, precision)
                                           : attend(q, k, v, precision));
  }
}

void grouped_sizes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"full", "frames", "exact"})->Unit(benchmark::kMillisecond)->UseRealTime();
  for (const int64_t is_full : {0, 1}) {
    for (const int64_t frames : {1, 2, 3, 4, 6, 8, 12}) {
      for (const int64_t exact : {0, 1000, 500}) bench->Args({is_full, frames, exact});
    }
  }
}

BENCHMARK(grouped_attention<Precision::kFloat32>)->Apply(grouped_sizes);
BENCHMARK(grouped_attention<Precision::kBFloat16>)->Apply(grouped_sizes);

// --- local attention; the plain form is a dense one under a mask

template <Precision precision>
void local_attention(benchmark::State& state) {
  const c10::InferenceMode inference;
  const Operands o(kGrid8.area());
  const at::Tensor relative = at::randn({1, kGrid8.area(), 225});
  for (auto _ : state)
    benchmark::DoNotOptimize(attend_locally(o.q, o.k, o.v, relative, kGrid8, 7, precision));
}

void local_attention_plain(benchmark::State& state) {
  const c10::InferenceMode inference;
  const Operands o(kGrid8.area());
  const at::Tensor relative = at::randn({1, kGrid8.area(), 225});
  const at::Tensor y = at::arange(kGrid8.height).view({-1, 1}).expand({-1, kGrid8.width}).flatten(),
                   x = at::arange(kGrid8.width).view({1, -1}).expand({kGrid8.height, -1}).flatten();
  const at::Tensor dy = y.view({1, -1}) - y.view({-1, 1}), dx = x.view({1, -1}) - x.view({-1, 1});
  const at::Tensor outside = dy.abs().gt(7).logical_or(dx.abs().gt(7)).unsqueeze(0);
  const at::Tensor entry = ((dy.clamp(-7, 7) + 7) * 15 + dx.clamp(-7, 7) + 7).unsqueeze(0);
  for (auto _ : state) {
    at::Tensor scores = at::bmm(o.q, o.k.transpose(1, 2)) / std::sqrt(48.0) + relative.gather(2, entry);
    scores.masked_fill_(outside, -INFINITY);
    benchmark::DoNotOptimize(at::bmm(at::softmax(scores, -1), o.v));
  }
}

BENCHMARK(local_attention<Precision::kFloat32>)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(local_attention<Precision::kBFloat16>)->Unit(benchmark::kMillisecond)->UseRealTime();
BENCHMARK(local_attention_plain)->Unit(benchmark::kMillisecond)->UseRealTime();

// --- one filter a channel: channels, kernel

struct Filters {
  explicit Filters(const benchmark::State& state)
      : map(at::randn({1, state.range(0), kGrid8.height, kGrid8.width})
                .contiguous(at::MemoryFormat::ChannelsLast)),
        weight(at::randn({state.range(0), 1, state.range(1), state.range(1)})) {}
  at::Tensor map, weight;
};

void depthwise(benchmark::State& state) {
  const c10::InferenceMode inference;
  const Filters f(state);
  for (auto _ : state) benchmark::DoNotOptimize(depthwise_conv(f.map, f.weight, {}, 1, state.range(1) / 2));
}

void depthwise_plain(benchmark::State& state) {
  const c10::InferenceMode inference;
  const Filters f(state);
  for (auto _ : state) {
    benchmark::DoNotOptimize(at::conv2d(f.map, f.weight, {}, 1, state.range(1) / 2, 1, state.range(0)));
  }
}

void filters(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"channels", "kernel"})->Unit(benchmark::kMicrosecond)->UseRealTime();
  bench->Args({192, 5})->Args({240, 3});
}

BENCHMARK(depthwise)->Apply(filters);
BENCHMARK(depthwise_plain)->Apply(filters);

}  // namespace

BENCHMARK_MAIN();
