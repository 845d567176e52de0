#include <ATen/ops/randint.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <benchmark/benchmark.h>
#include <c10/core/InferenceMode.h>

#include <string>
#include <vector>

#include "core/precision.h"
#include "refiner/preprocess.h"
#include "refiner/refiner.h"

// HQ-SAM on one 720 x 1280 picture, with random weights: what is done once a picture, what for every
// question, and both together for several objects.
namespace {

using namespace hqtrack;

constexpr int64_t kHeight = 720, kWidth = 1280;

struct Subject {
  explicit Subject(const std::string& variant) {
    for (const auto& [name, sizes] : refiner_variants()) {
      if (name == variant) config.encoder = sizes;
    }
    if (variant == "nano") {  // configs/nano.yaml
      config.encoder.type = "efficientnet_lite0";
      config.decoder = {.width = 128, .heads = 4, .mlp_width = 512};
      config.image_size = 512;
      config.multimask = false;
      config.precision = "bf16";
    }
    network = HqSam(config);
    set_precision(*network, resolve_precision(config.precision, at::kCPU));
  }
  RefinerConfig config;
  HqSam network{nullptr};
  at::Tensor picture = at::randint(0, 256, {kHeight, kWidth, 3}, at::kByte);
};

/// The networks are large: only the last one asked for is kept.
const Subject& subject(const std::string& variant) {
  static std::string current;
  static std::unique_ptr<Subject> kept;
  if (current != variant) {
    kept.reset();
    kept = std::make_unique<Subject>(variant);
    current = variant;
  }
  return *kept;
}

/// Squares side by side.
at::Tensor labels(int64_t objects) {
  at::Tensor mask = at::zeros({kHeight, kWidth}, at::kByte);
  for (int64_t i = 0; i < objects; ++i) mask.narrow(0, 200, 100).narrow(1, 20 + 120 * i, 100).fill_(i + 1);
  return mask;
}

Prompts boxes(int64_t count) {
  return {.boxes = at::randint(0, 1024, {count, 4}, at::kFloat), .points = {}, .labels = {}, .masks = {}};
}

void preprocess(benchmark::State& state) {
  const at::Tensor picture = at::randint(0, 256, {kHeight, kWidth, 3}, at::kByte);
  const GridSize size = resized_size({kHeight, kWidth}, 1024);
  for (auto _ : state)
    benchmark::DoNotOptimize(normalize_and_pad(resize_antialiased(picture, size), InputForm{}, 1024));
}

void encode(benchmark::State& state, const std::string& variant) {
  c10::InferenceMode guard;
  HqSam network = subject(variant).network;
  const int64_t edge = subject(variant).config.image_size;
  const at::Tensor image = at::zeros({1, 3, edge, edge}).contiguous(at::MemoryFormat::ChannelsLast);
  for (auto _ : state) benchmark::DoNotOptimize(network->embed_image(image));
}

void decode(benchmark::State& state, const std::string& variant) {
  c10::InferenceMode guard;
  HqSam network = subject(variant).network;
  const int64_t edge = subject(variant).config.image_size;
  const at::Tensor image = at::zeros({1, 3, edge, edge}).contiguous(at::MemoryFormat::ChannelsLast);
  const ImageEmbedding embedding = network->embed_image(image);
  const Prompts prompts = boxes(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(network->decode(embedding, prompts));
}

void refine(benchmark::State& state, const std::string& variant, const std::string& mode) {
  const Subject& given = subject(variant);
  RefinerConfig config = given.config;
  config.mode = mode;
  Refiner refiner(given.network, config);
  const at::Tensor mask = labels(state.range(0));
  for (auto _ : state) benchmark::DoNotOptimize(refiner.refine(given.picture, mask));
}

void add_benchmarks() {
  const auto measured = [](benchmark::internal::Benchmark* bench) {
    return bench->Unit(benchmark::kMillisecond)->MeasureProcessCPUTime()->UseRealTime();
  };
  measured(benchmark::RegisterBenchmark("preprocess", preprocess));
  std::vector<std::string> names = {"nano"};
  for (const auto& variant : refiner_variants()) names.push_back(variant.first);
  for (const std::string& name : names) {
    measured(benchmark::RegisterBenchmark((name + "/encode").c_str(), encode, name));
    measured(benchmark::RegisterBenchmark((name + "/decode").c_str(), decode, name))->Arg(1)->Arg(3)->Arg(10);
    for (const std::string mode : {"frame", "crop"}) {
      measured(benchmark::RegisterBenchmark((name + "/refine_" + mode).c_str(), refine, name, mode))
          ->Arg(1)
          ->Arg(3)
          ->Arg(10);
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  add_benchmarks();
  benchmark::RunSpecifiedBenchmarks();
}
