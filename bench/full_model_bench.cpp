// The full model, whole and in its parts, beside the published formulation in LibTorch's operators
// (bench/baseline): in one process, in turn, on two threads, with the same weights
// (core/weights/rule_weights.h). Usage: full_model_bench CONFIGS [DEVICE], the folder with hqtrack.yaml and
// nano.yaml. On a GPU in float32 and in float16, and with three refiners. docs/performance.md has what it
// printed.

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/upsample_bilinear2d.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <malloc.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "bench/baseline/operators.h"
#include "bench/baseline/plain_refiner.h"
#include "bench/baseline/plain_vmos.h"
#include "core/attention.h"
#include "core/config.h"
#include "core/device.h"
#include "core/freed_memory.h"
#include "core/label_mask.h"
#include "core/precision.h"
#include "core/threads.h"
#include "core/weights/rule_weights.h"
#include "refiner/refiner.h"
#include "selector/select_masks.h"
#include "tracker/decode_labels.h"
#include "tracker/encoders/dcnv3.h"
#include "tracker/preprocess.h"
#include "tracker/vmos.h"

namespace hqtrack {
namespace {

constexpr int kThreads = 2;
constexpr int64_t kHeight = 480, kWidth = 854, kNumObjects = 3;

// ---- time

/// In milliseconds. CPU time, of all threads, tells of the work also where other programs have the cores.
struct Cost {
  double wall = 0, cpu = 0;
};

double clock_ms(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return 1e3 * static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_nsec);
}

void wait_for(at::Device device) {
  if (!device.is_cpu()) c10::impl::VirtualGuardImpl(device.type()).getStream(device).synchronize();
}

Cost cost_of(at::Device device, const std::function<void()>& work) {
  wait_for(device);
  const double wall = clock_ms(CLOCK_MONOTONIC), cpu = clock_ms(CLOCK_PROCESS_CPUTIME_ID);
  work();
  wait_for(device);
  return {clock_ms(CLOCK_MONOTONIC) - wall, clock_ms(CLOCK_PROCESS_CPUTIME_ID) - cpu};
}

/// With what it needs awake and in the caches, and nothing else: OpenMP's threads look for work for some
/// milliseconds after an operator.
Cost warm_cost_of(at::Device device, const std::function<void()>& work) {
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const double start = clock_ms(CLOCK_MONOTONIC);
  while (clock_ms(CLOCK_MONOTONIC) < start + 30) work();
  return cost_of(device, work);
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

Cost median(const std::vector<Cost>& costs) {
  std::vector<double> wall, cpu;
  for (const Cost& cost : costs) {
    wall.push_back(cost.wall);
    cpu.push_back(cost.cpu);
  }
  return {median(wall), median(cpu)};
}

struct Costs {
  Cost plain, ours;
};

void print_row(const std::string& name, const Costs& costs) {
  const auto& [plain, ours] = costs;
  std::printf("| %s | %.1f | %.1f | %.1f x | %.1f | %.1f | %.1f x |\n", name.c_str(), plain.wall, ours.wall,
              plain.wall / ours.wall, plain.cpu, ours.cpu, plain.cpu / ours.cpu);
  std::fflush(stdout);
}

/// In turn; ours on the threads that hqtrack gives it.
Costs compare(at::Device device, int repetitions, const std::function<void()>& plain,
              const std::function<void()>& by_hqtrack) {
  const auto ours = [&] {
    const SerialOperators operators;
    by_hqtrack();
  };
  std::vector<Cost> plain_costs, our_costs;
  for (int i = 0; i < repetitions; ++i) {
    plain_costs.push_back(warm_cost_of(device, plain));
    our_costs.push_back(warm_cost_of(device, ours));
  }
  return {median(plain_costs), median(our_costs)};
}

// ---- parts

void compare_dcnv3(at::Device device) {
  struct Level {
    int64_t height, width, groups, group_channels, calls;
  };
  // Of InternImage in VMOS, for a network input of 481 x 849.
  constexpr Level kLevels[] = {
      {121, 213, 4, 16, 4}, {61, 107, 8, 16, 4}, {31, 54, 16, 16, 18}, {31, 54, 32, 8, 4}};
  Costs all{};
  for (const auto& [height, width, groups, group_channels, calls] : kLevels) {
    const at::Tensor value = at::randn({1, height, width, groups * group_channels}, device),
                     offset = at::randn({1, height, width, groups * 18}, device),
                     mask = at::softmax(at::randn({1, height, width, groups, 9}, device), -1).flatten(-2);
    const Costs times = compare(
        device, 9, [&] { baseline::dcnv3(value, offset, mask, groups); },
        [&, options = Dcnv3Options{.groups = groups}] { dcnv3(value, offset, mask, options); });
    print_row("DCNv3, " + std::to_string(height) + "x" + std::to_string(width) + ", " +
                  std::to_string(groups) + " groups",
              times);
    for (const auto& [sum, one] : {std::pair(&all.plain, &times.plain), std::pair(&all.ours, &times.ours)}) {
      sum->wall += static_cast<double>(calls) * one->wall;
      sum->cpu += static_cast<double>(calls) * one->cpu;
    }
  }
  print_row("DCNv3, all 30 of a frame", all);
}

/// LibTorch's fused attention, whose values may not be wider than 256 numbers and are as wide as the keys in
/// its fastest form: the values in parts, a head each, for each of which it computes the scores again.
at::Tensor attend_by_parts(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v) {
  const int64_t width = q.size(2), parts = v.size(2) / width;
  const auto repeated = [&](const at::Tensor& tokens) {
    return tokens.unsqueeze(1).expand({-1, parts, -1, -1}).to(at::kHalf);
  };
  const at::Tensor values = v.unflatten(2, {parts, width}).transpose(1, 2).to(at::kHalf);
  return at::scaled_dot_product_attention(repeated(q), repeated(k), values)
      .transpose(1, 2)
      .flatten(2)
      .to(q.scalar_type());
}

void compare_attentions(at::Device device) {
  struct Scale {
    const char* name;
    GridSize grid;
    int64_t key_width, value_width;
  };
  constexpr Scale kScales[] = {{"16x", {31, 54}, 128, 1024}, {"8x", {61, 107}, 64, 512}};
  constexpr int64_t kRadius = 7, kFrames = 6;
  for (const auto& [name, grid, key_width, value_width] : kScales) {
    const int64_t n = grid.area();
    const auto random = [&](int64_t tokens, int64_t width) { return at::randn({1, tokens, width}, device); };
    const at::Tensor q = random(n, key_width), k = random(kFrames * n, key_width),
                     v = random(kFrames * n, value_width), relative = random(n, 15 * 15);
    const baseline::LocalAttention plain_local(grid, kRadius, device);
    const at::Tensor near_k = k.narrow(1, 0, n), near_v = v.narrow(1, 0, n);
    const Costs local = compare(
        device, 5, [&, grid = grid] { plain_local(q, near_k, near_v, relative); },
        [&, grid = grid] { attend_locally(q, near_k, near_v, relative, grid, kRadius); });
    print_row("local attention, 15x15, " + std::string(name), local);
    const Costs global = compare(
        device, 3, [&] { baseline::attend(q, k, v); }, [&] { attend(q, k, v); });
    print_row("long-term attention, 6 frames, " + std::string(name), global);
    if (device.is_cpu()) continue;
    const Costs fused = compare(
        device, 9, [&] { attend_by_parts(q, k, v); }, [&] { attend(q, k, v, Precision::kFloat16); });
    print_row("the same in float16, LibTorch's fused one in place of the baseline, " + std::string(name),
              fused);
  }
}

// ---- a frame

/// Three discs.
at::Tensor label_mask() {
  at::Tensor mask = at::zeros({kHeight, kWidth}, at::kByte);
  auto labels = mask.accessor<uint8_t, 2>();
  for (int64_t id = 1; id <= kNumObjects; ++id) {
    const int64_t x0 = kWidth * id / (kNumObjects + 1), y0 = kHeight / 2, radius = kHeight / 8;
    for (int64_t y = y0 - radius; y <= y0 + radius; ++y) {
      for (int64_t x = x0 - radius; x <= x0 + radius; ++x) {
        if ((x - x0) * (x - x0) + (y - y0) * (y - y0) <= radius * radius)
          labels[y][x] = static_cast<uint8_t>(id);
      }
    }
  }
  return mask;
}

struct Memory {
  std::vector<MemoryFrame> long_term, short_term;
};

/// The memory of a reference and of further frames, `frames` in all.
Memory fill_memory(VmosImpl& network, const at::Tensor& picture, const TrackerConfig& config) {
  const GridSize size = network_size({kHeight, kWidth}, config.preprocess);
  const IdentityEmbedding embedding =
      network.embed_identity_labels(resize_labels(label_mask(), size.height, size.width));
  const Features features = network.encode(preprocess(picture, size, config.preprocess, network.device()));
  Memory memory;
  memory.short_term = network.reference(features, embedding);
  for (size_t i = 0; i < memory.short_term.size(); ++i) {
    const bool is_8x = i + 1 == memory.short_term.size();
    const int64_t frames = is_8x ? config.memory.long_term_frames_8x : config.memory.long_term_frames;
    const MemoryFrame& frame = memory.short_term[i];
    memory.long_term.push_back({frame.key.repeat({1, frames, 1}), frame.value.repeat({1, frames, 1}), {}});
  }
  return memory;
}

at::Tensor decode(const VmosImpl&, const at::Tensor& logits, const TrackerConfig& config) {
  return decode_labels({logits}, {kHeight, kWidth}, config.objects_per_engine).slots;
}
at::Tensor decode(const baseline::PlainVmos&, const at::Tensor& logits, const TrackerConfig&) {
  const at::Tensor large = at::upsample_bilinear2d(logits, {kHeight, kWidth}, /*align_corners=*/true);
  return at::softmax(large, 1).argmax(1).squeeze(0).to(at::kByte).to(at::kCPU);
}

/// From a picture to its label mask and the memory made of it.
template <class Network>
void track(Network& network, const at::Tensor& picture, const Memory& memory, const TrackerConfig& config) {
  const GridSize size = network_size({kHeight, kWidth}, config.preprocess);
  const at::Device device = memory.long_term.front().key.device();
  const Features features = network.encode(preprocess(picture, size, config.preprocess, device));
  const VmosImpl::Step step = network.propagate(features, memory.long_term, memory.short_term);
  const at::Tensor labels = decode(network, step.logits.narrow(1, 0, 1 + kNumObjects), config);
  network.memorize(step.states,
                   network.embed_identity_labels(resize_labels(labels, size.height, size.width)));
}

Vmos make_vmos(const TrackerConfig& config, at::Device device) {
  Vmos network(config);
  fill_by_vmos_rule(*network, "");
  network->to(device);
  network->eval();
  return network;
}

// ---- memory

int64_t status_bytes(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    int64_t kib = 0;
    if (word == key && status >> kib) return 1024 * kib;
  }
  return 0;
}

/// What the process needs at most during `work`, above what it had before.
double peak_mib(const std::function<void()>& work) {
  malloc_trim(0);
  std::ofstream("/proc/self/clear_refs") << 5;  // the peak begins anew
  const int64_t before = status_bytes("VmRSS:");
  work();
  return static_cast<double>(status_bytes("VmHWM:") - before) / (1 << 20);
}

/// How the peak grows with every frame in long-term memory, beside the size of what is remembered.
void compare_memory(Vmos& ours, const baseline::PlainVmos& plain, const at::Tensor& picture,
                    TrackerConfig config) {
  give_back_freed_memory();  // what is left is what lives
  std::printf(
      "\n| long-term frames | stored, MiB | baseline: peak of a frame, MiB | ours, MiB "
      "|\n|---|---|---|---|\n");
  for (const int64_t frames : {1, 3, 6}) {
    config.memory.long_term_frames = config.memory.long_term_frames_8x = frames;
    const Memory memory = fill_memory(*ours, picture, config);
    int64_t stored = 0;
    for (const MemoryFrame& frame : memory.long_term) {
      stored += static_cast<int64_t>(frame.key.nbytes() + frame.value.nbytes());
    }
    const double plain_peak = peak_mib([&] { track(plain, picture, memory, config); });
    const double our_peak = peak_mib([&] { track(*ours, picture, memory, config); });
    std::printf("| %lld | %.0f | %.0f | %.0f |\n", static_cast<long long>(frames),
                static_cast<double>(stored) / (1 << 20), plain_peak, our_peak);
    std::fflush(stdout);
  }
}

// ---- all

HqSam make_refiner(const RefinerConfig& config, at::Device device) {
  HqSam network(config);
  fill_by_hq_sam_rule(*network, "");
  network->to(device);
  network->eval();
  return network;
}

const char* const kHead =
    "| median | baseline, ms | ours, ms | ratio | baseline, ms of CPU | ours, ms of CPU | ratio |\n"
    "|---|---|---|---|---|---|---|\n";

void run_on_cpu(const std::filesystem::path& configs) {
  const at::Tensor picture = at::randint(0, 256, {kHeight, kWidth, 3}, at::kByte), mask = label_mask();
  std::printf("%s", kHead);
  compare_dcnv3(at::kCPU);
  compare_attentions(at::kCPU);
  {
    const TrackerConfig config = load_config(configs / "nano.yaml").tracker;
    Vmos ours = make_vmos(config, at::kCPU);
    const baseline::PlainVmos plain(*ours, config);
    const Memory memory = fill_memory(*ours, picture, config);
    const auto time = [&] {
      return compare(
          at::kCPU, 15, [&] { track(plain, picture, memory, config); },
          [&] { track(*ours, picture, memory, config); });
    };
    print_row("embedded model, a frame", time());
    set_precision(*ours, resolve_precision(config.precision, at::kCPU));
    print_row("embedded model as configured, a frame", time());
  }
  const Config config = load_config(configs / "hqtrack.yaml", {"refiner.variant=vit_b"});
  Vmos ours = make_vmos(config.tracker, at::kCPU);
  const baseline::PlainVmos plain(*ours, config.tracker);
  const Memory memory = fill_memory(*ours, picture, config.tracker);
  const Costs encoder = [&] {
    const GridSize size = network_size({kHeight, kWidth}, config.tracker.preprocess);
    const at::Tensor input = normalize(resize_bicubic(picture, size), config.tracker.preprocess);
    return compare(
        at::kCPU, 3, [&] { plain.encode(input); }, [&] { ours->encode(input); });
  }();
  print_row("VMOS, its encoder", encoder);
  const Costs tracker = compare(
      at::kCPU, 5, [&] { track(plain, picture, memory, config.tracker); },
      [&] { track(*ours, picture, memory, config.tracker); });
  print_row("VMOS, a frame, 6 frames in memory", tracker);

  const HqSam network = make_refiner(config.refiner, at::kCPU);
  baseline::PlainRefiner plain_refiner(network, config.refiner);
  Refiner our_refiner(network, config.refiner);
  // Minutes long: once, and what is warm is so from above.
  const Costs pipeline{.plain = cost_of(at::kCPU,
                                        [&] {
                                          track(plain, picture, memory, config.tracker);
                                          select_masks(mask, plain_refiner.refine(picture, mask),
                                                       config.selector);
                                        }),
                       .ours = cost_of(at::kCPU, [&] {
                         const SerialOperators operators;
                         track(*ours, picture, memory, config.tracker);
                         select_masks(mask, our_refiner.refine(picture, mask), config.selector);
                       })};
  print_row("VMOS and ViT-B refiner, 3 objects, a frame", pipeline);
  compare_memory(ours, plain, picture, config.tracker);
}

/// One after the other; `hqtrack bench` has the frames/s of both side by side. The baseline computes in
/// float32, with TF32 in convolutions, as LibTorch does by itself.
void run_on_gpu(const std::filesystem::path& configs, at::Device device) {
  const at::Tensor picture = at::randint(0, 256, {kHeight, kWidth, 3}, at::kByte), mask = label_mask();
  std::printf("%s", kHead);
  compare_dcnv3(device);
  compare_attentions(device);
  for (const char* const precision : {"fp32", "fp16"}) {
    const auto compare_with = [&](int repetitions, const std::function<void()>& plain,
                                  const std::function<void()>& ours) {
      return compare(
          device, repetitions,
          [&] {
            at::globalContext().setAllowTF32CuBLAS(false);
            at::globalContext().setAllowTF32CuDNN(true);
            plain();
          },
          [&] {
            allow_tf32(precision != std::string("fp32"));
            ours();
          });
    };
    for (const char* const name : {"nano.yaml", "hqtrack.yaml"}) {
      const TrackerConfig config = load_config(configs / name).tracker;
      // Each has weights of its own: those of fewer bits are rounded.
      Vmos ours = make_vmos(config, device), published = make_vmos(config, device);
      set_precision(*ours, resolve_precision(precision, device));
      const baseline::PlainVmos plain(*published, config);
      const Memory memory = fill_memory(*ours, picture, config);
      print_row(std::string(name) + ", " + precision + ", tracker, a frame",
                compare_with(
                    15, [&] { track(plain, picture, memory, config); },
                    [&] { track(*ours, picture, memory, config); }));
    }
    for (const char* const variant : {"vit_b", "vit_h"}) {
      RefinerConfig config =
          load_config(configs / "hqtrack.yaml", {std::string("refiner.variant=") + variant}).refiner;
      baseline::PlainRefiner plain(make_refiner(config, device), config);
      config.precision = precision;
      Refiner ours(make_refiner(config, device), config);
      print_row(std::string(variant) + ", " + precision + ", refiner, 3 objects, a frame",
                compare_with(
                    5, [&] { plain.refine(picture, mask); }, [&] { ours.refine(picture, mask); }));
    }
  }
}

void run(const std::filesystem::path& configs, at::Device device) {
  const c10::InferenceMode guard;
  at::manual_seed(1);
  for (const char* const name : {"nano.yaml", "hqtrack.yaml"})
    load_config(configs / name);  // before minutes of work
  if (!device.is_cpu()) return run_on_gpu(configs, device);
  at::set_num_threads(kThreads);
  run_on_cpu(configs);
}

}  // namespace
}  // namespace hqtrack

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3) {
    std::fputs("Usage: full_model_bench CONFIGS [DEVICE], the folder with hqtrack.yaml and nano.yaml\n",
               stderr);
    return 2;
  }
  try {
    hqtrack::run(argv[1], hqtrack::resolve_device(argc == 3 ? argv[2] : "cpu"));
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "full_model_bench: %s\n", e.what());
    return 1;
  }
}
