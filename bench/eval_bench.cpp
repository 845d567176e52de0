#include <ATen/ops/zeros.h>
#include <benchmark/benchmark.h>

#include <unistd.h>
#include <cmath>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "core/label_mask.h"
#include "eval/davis_evaluation.h"
#include "eval/davis_metrics.h"
#include "io/mask_reader.h"

// The measures of DAVIS on masks of 854 x 480: each one against its plain formulation (dilation by the disk,
// pixel by pixel), and all of them over files of the size of DAVIS-2017 val: 30 sequences, 61 objects, 2,000
// frames.
namespace {

using namespace hqtrack;
namespace fs = std::filesystem;

constexpr int64_t kHeight = 480, kWidth = 854;

/// Blobs with ragged edges, one an object.
at::Tensor blobs(int64_t num_objects, uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> share(0, 1);
  at::Tensor labels = at::zeros({kHeight, kWidth}, at::kByte);
  auto pixels = labels.accessor<uint8_t, 2>();
  for (int64_t id = 1; id <= num_objects; ++id) {
    const double x0 = 150 + 500 * share(random), y0 = 120 + 240 * share(random);
    const double radius = 60 + 60 * share(random), phase = 6 * share(random);
    for (int64_t y = 0; y < kHeight; ++y) {
      for (int64_t x = 0; x < kWidth; ++x) {
        const double dx = static_cast<double>(x) - x0, dy = static_cast<double>(y) - y0,
                     angle = std::atan2(dy, dx);
        const double edge = radius * (1 + 0.2 * std::sin(5 * angle + phase) + 0.05 * std::sin(23 * angle));
        if (dx * dx + dy * dy < edge * edge) pixels[y][x] = static_cast<uint8_t>(id);
      }
    }
  }
  return labels;
}

// ---- the plain formulation ----

using Pixels = std::vector<uint8_t>;

Pixels plain_contour(const at::Tensor& mask) {
  Pixels contour(static_cast<size_t>(kHeight * kWidth), 0);
  const auto at = [&, pixels = mask.const_data_ptr<bool>()](int64_t y, int64_t x) {
    return pixels[y * kWidth + x];
  };
  for (int64_t y = 0; y < kHeight; ++y) {
    for (int64_t x = 0; x < kWidth; ++x) {
      const int64_t below = std::min(y + 1, kHeight - 1), right = std::min(x + 1, kWidth - 1);
      const bool here = at(y, x);
      contour[static_cast<size_t>(y * kWidth + x)] =
          here != at(y, right) || here != at(below, x) || here != at(below, right);
    }
  }
  return contour;
}

Pixels plain_dilated(const Pixels& map, int64_t radius) {
  Pixels dilated(map.size(), 0);
  for (int64_t y = 0; y < kHeight; ++y) {
    for (int64_t x = 0; x < kWidth; ++x) {
      for (int64_t dy = -radius; dy <= radius; ++dy) {
        for (int64_t dx = -radius; dx <= radius; ++dx) {
          const int64_t v = y + dy, u = x + dx;
          if (dx * dx + dy * dy > radius * radius || v < 0 || u < 0 || v >= kHeight || u >= kWidth) continue;
          dilated[static_cast<size_t>(y * kWidth + x)] |= map[static_cast<size_t>(v * kWidth + u)];
        }
      }
    }
  }
  return dilated;
}

double plain_f(const at::Tensor& truth, const at::Tensor& result) {
  const int64_t radius = contour_tolerance_px(kHeight, kWidth);
  const Pixels a = plain_contour(truth), b = plain_contour(result);
  const Pixels near_a = plain_dilated(a, radius), near_b = plain_dilated(b, radius);
  double num_a = 0, num_b = 0, hits_a = 0, hits_b = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    num_a += a[i];
    num_b += b[i];
    hits_a += a[i] & near_b[i];
    hits_b += b[i] & near_a[i];
  }
  const double precision = hits_b / num_b, recall = hits_a / num_a;
  return 2 * precision * recall / (precision + recall);
}

struct Pair {
  at::Tensor truth = blobs(1, 3).ne(0), result = truth.roll(7, 1);
};

void contour_accuracy(benchmark::State& state) {
  const Pair pair;
  for (auto _ : state) benchmark::DoNotOptimize(contour_accuracy_f(pair.truth, pair.result));
}
BENCHMARK(contour_accuracy)->Unit(benchmark::kMillisecond);

void contour_accuracy_plain(benchmark::State& state) {
  const Pair pair;
  if (std::abs(plain_f(pair.truth, pair.result) - contour_accuracy_f(pair.truth, pair.result)) > 1e-12) {
    state.SkipWithError("the two formulations differ");
    return;
  }
  for (auto _ : state) benchmark::DoNotOptimize(plain_f(pair.truth, pair.result));
}
BENCHMARK(contour_accuracy_plain)->Unit(benchmark::kMillisecond);

void boundary_iou_of_a_mask(benchmark::State& state) {
  const Pair pair;
  for (auto _ : state) benchmark::DoNotOptimize(boundary_iou(pair.truth, pair.result));
}
BENCHMARK(boundary_iou_of_a_mask)->Unit(benchmark::kMillisecond);

/// Truth and results as files, written once.
struct ValSet {
  static constexpr int64_t kSequences = 30, kObjects = 61, kFrames = 2000;

  ValSet() {
    for (int64_t s = 0; s < kSequences; ++s) {
      const int64_t objects = kObjects / kSequences + (s < kObjects % kSequences ? 1 : 0);
      const int64_t frames = kFrames / kSequences + (s < kFrames % kSequences ? 1 : 0);
      const std::string name = "sequence-" + std::to_string(s);
      const at::Tensor first = blobs(objects, static_cast<uint32_t>(s));
      DavisSequence& sequence = sequences.emplace_back();
      sequence.name = name;
      for (int64_t t = 0; t < frames; ++t) {
        const std::string file = std::to_string(10000 + t) + ".png";
        const fs::path annotation = folder / "truth" / name / file;
        write_label_mask(annotation, first.roll(t, 1));
        write_label_mask(folder / "results" / name / file, first.roll(t + 5, 1));
        sequence.frames.push_back({file, annotation});
      }
    }
  }
  ~ValSet() { fs::remove_all(folder); }

  fs::path folder = fs::temp_directory_path() / ("hqtrack_eval_bench_" + std::to_string(::getpid()));
  std::vector<DavisSequence> sequences;
};

void davis_2017_val_size(benchmark::State& state) {
  static const ValSet set;
  for (auto _ : state) benchmark::DoNotOptimize(evaluate_results(set.sequences, set.folder / "results"));
}
BENCHMARK(davis_2017_val_size)->Unit(benchmark::kSecond)->UseRealTime()->Iterations(1);

}  // namespace

BENCHMARK_MAIN();
