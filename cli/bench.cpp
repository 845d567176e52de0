#include "cli/bench.h"

#include <boost/program_options/value_semantic.hpp>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/arguments.h"
#include "cli/interruption.h"
#include "cli/memory_budget.h"
#include "cli/network_arguments.h"
#include "core/error.h"
#include "io/frame_source.h"
#include "io/output_file.h"
#include "pipeline/benchmark.h"

namespace hqtrack {
namespace po = boost::program_options;
using Json = nlohmann::ordered_json;
namespace {

constexpr const char* kHelp = R"(Usage: hqtrack bench [options]
How fast this machine runs a configuration, from a video file to an overlay
video: milliseconds of every stage, frames/s, memory, floating point operations
(FLOP), and which share of the machine's best float32 matrix product a stage
reaches. The stages are measured one after the other, frames/s as track runs
them, both with long-term memory full. Counted are matrix products,
convolutions, attentions and DCNv3. Where the weights file of the configuration
is not there, weights are made up; speed does not depend on them. For example:
  hqtrack bench --config configs/hqtrack.yaml --set refine=off --objects 3

  --input VIDEO    a video file; default: synthetic, drawn discs that move, of
                   854x480; synthetic:1920x1080 of another size
  --objects N      1 to 255, by default 3; discs over the first frame of VIDEO
  --frames N       frames to measure, by default 20
  --json FILE      all figures; - is stdout, in place of the table
  --config, --preset, --set, --device, --threads, --memory-budget   as hqtrack
                   track has them
)";

struct BenchArguments {
  BenchmarkOptions options;
  std::string json_output;
  NetworkArguments network;
  std::optional<int64_t> memory_budget_bytes;
};

void parse_input(const std::string& input, BenchmarkOptions& options) {
  constexpr std::string_view kSized = "synthetic:";
  if (input == "synthetic") return;
  if (!input.starts_with(kSized)) {
    options.input = input;
    return;
  }
  constexpr int64_t kLeast = 16, kMost = 16384;
  const std::string size = input.substr(kSized.size());
  const size_t cross = size.find('x');
  if (cross == std::string::npos) {
    throw UsageError("--input: expected synthetic:WIDTHxHEIGHT, found '" + input + "'");
  }
  options.width = parse_integer("--input: width", size.substr(0, cross), kLeast, kMost);
  options.height = parse_integer("--input: height", size.substr(cross + 1), kLeast, kMost);
  if (options.width % 2 != 0 || options.height % 2 != 0) {
    throw UsageError("--input: expected an even width and height, as the video's encoder needs, found '" +
                     input + "'");
  }
}

std::optional<BenchArguments> parse_bench_arguments(std::span<const std::string> args) {
  po::options_description options;
  for (const char* name : {"input", "objects", "frames", "json", "memory-budget"}) {
    options.add_options()(name, po::value<std::string>());
  }
  add_network_options(options);
  add_preset_option(options);
  const auto line = parse_command_line(args, kHelp, options, {}, 0);
  if (!line) return std::nullopt;
  BenchArguments arguments;
  parse_input(line->given("input").value_or("synthetic"), arguments.options);
  arguments.options.num_objects = parse_integer("--objects", line->text("objects", "3"), 1, 255);
  arguments.options.num_frames = parse_integer("--frames", line->text("frames", "20"), 2, 1'000'000);
  arguments.json_output = line->given("json").value_or("");
  arguments.network = parse_network(*line);
  arguments.memory_budget_bytes = parse_memory_budget(*line);
  return arguments;
}

RunSize size_of(const BenchmarkOptions& options) {
  RunSize size{
      .height = options.height, .width = options.width, .num_objects = options.num_objects, .num_videos = 1};
  if (options.input.empty()) return size;
  const auto source = open_source(options.input);
  size.height = source->info().height;
  size.width = source->info().width;
  return size;
}

double mib(int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

std::string weights_note(const BenchmarkReport& report) {
  if (report.has_made_up_tracker && report.has_made_up_refiner) return "made up, of tracker and refiner";
  if (report.has_made_up_tracker) return "made up, of the tracker";
  return report.has_made_up_refiner ? "made up, of the refiner" : "those of the configuration";
}

void print_table(const BenchmarkReport& report) {
  std::printf("device        %s, %d threads; best matrix product %.1f GFLOP/s\n", report.device.c_str(),
              report.num_threads, report.peak_flops_per_second * 1e-9);
  std::printf("input         %s, %lld frames, %lld frames in long-term memory\n", report.input.c_str(),
              static_cast<long long>(report.num_frames), static_cast<long long>(report.long_term_frames));
  std::printf("weights       %s\n", weights_note(report).c_str());
  std::printf("\n%-12s %10s %10s %12s %10s %8s\n", "stage", "ms p50", "ms p95", "GFLOP/frame", "GFLOP/s",
              "of peak");
  double flops = 0;
  for (const StageFigures& stage : report.stages) {
    std::printf("%-12s %10.2f %10.2f", to_string(stage.stage), stage.p50_ms, stage.p95_ms);
    if (stage.flops > 0) {
      std::printf(" %12.3f %10.1f %7.1f%%", stage.flops * 1e-9, stage.flops_per_second * 1e-9,
                  100 * stage.flops_per_second / report.peak_flops_per_second);
    }
    std::printf("\n");
    flops += stage.flops;
  }
  std::printf("%-12s %10.2f %10.2f %12.3f\n", "all", report.frame_p50_ms, report.frame_p95_ms, flops * 1e-9);
  std::printf("\nend to end    %.2f frames/s, stages side by side\n", report.frames_per_second);
  std::printf("peak memory   %.0f MiB", mib(report.peak_resident_bytes));
  if (report.peak_device_bytes) std::printf(", %.0f MiB on the GPU", mib(*report.peak_device_bytes));
  std::printf("\n");
}

std::string to_json(const BenchmarkReport& report) {
  Json json{{"device", report.device},
            {"threads", report.num_threads},
            {"input", report.input},
            {"made_up_tracker", report.has_made_up_tracker},
            {"made_up_refiner", report.has_made_up_refiner},
            {"frames", report.num_frames},
            {"long_term_frames", report.long_term_frames},
            {"peak_flops_per_second", report.peak_flops_per_second},
            {"stages", Json::array()},
            {"frame_ms_p50", report.frame_p50_ms},
            {"frame_ms_p95", report.frame_p95_ms},
            {"tenths", Json::array()},
            {"frames_per_second", report.frames_per_second},
            {"peak_resident_bytes", report.peak_resident_bytes},
            {"peak_device_bytes", nullptr}};
  if (report.peak_device_bytes) json["peak_device_bytes"] = *report.peak_device_bytes;
  for (const TenthFigures& tenth : report.tenths) {
    json["tenths"].push_back(
        {{"frame_ms_p50", tenth.frame_p50_ms}, {"resident_bytes", tenth.resident_bytes}});
  }
  for (const StageFigures& stage : report.stages) {
    json["stages"].push_back({{"stage", to_string(stage.stage)},
                              {"ms_p50", stage.p50_ms},
                              {"ms_p95", stage.p95_ms},
                              {"flops", stage.flops},
                              {"flops_per_second", stage.flops_per_second},
                              {"share_of_peak", stage.flops_per_second / report.peak_flops_per_second}});
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

int run_bench(std::span<const std::string> args) {
  const auto arguments = parse_bench_arguments(args);
  if (!arguments) return static_cast<int>(ExitCode::kSuccess);
  const Config config = load_config(arguments->network);
  use_threads(arguments->network);
  const Interruption interruption;
  BenchmarkOptions options = arguments->options;
  const MemoryPlan plan =
      keep_to_budget(config, arguments->network, size_of(options), arguments->memory_budget_bytes);
  options.staging = plan.staging;
  options.interrupted = interruption.token();
  const BenchmarkReport report = run_benchmark(plan.config, arguments->network.device, options);
  if (arguments->json_output == "-") {
    std::fputs(to_json(report).c_str(), stdout);
    return static_cast<int>(ExitCode::kSuccess);
  }
  print_table(report);
  if (!arguments->json_output.empty()) write_file(arguments->json_output, to_json(report));
  return static_cast<int>(ExitCode::kSuccess);
}

}  // namespace hqtrack
