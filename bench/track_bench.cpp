// Frames a second and memory of `hqtrack track`, from file to file: decode, track, overlay, encode.

#include <unistd.h>

#include <algorithm>
#include <boost/program_options/value_semantic.hpp>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "bench/measured_process.h"
#include "cli/arguments.h"
#include "cli/paths.h"
#include "core/error.h"
#include "io/mask_reader.h"
#include "io/output_file.h"
#include "pipeline/synthetic_clip.h"

namespace hqtrack {
namespace {

namespace fs = std::filesystem;
namespace po = boost::program_options;

constexpr const char* kHelp = R"(Usage: track_bench [options] [-- arguments for hqtrack track]
Runs `hqtrack track` on a video and measures it from file to file: frames/s
(decode, track, overlay, encode), and memory after every 500 frames. Without
--input it draws a video of 854x480 with two objects. For example:
  track_bench --json bench.json -- --config configs/nano.yaml

  --input FILE     a video; needs --mask
  --mask FILE      its first mask
  --frames N       length of the drawn video (5000)
  --every N        frames between two looks at memory (500)
  --cores N        CPU cores the program may use (2)
  --program FILE   the program (default: hqtrack beside this one)
  --folder DIR     keep videos and mask there (default: a temporary folder)
  --json FILE      all numbers
)";

struct BenchArguments {
  std::string program, input, mask, folder, json_output;
  int64_t num_frames = 5000, sample_frames = 500, num_cores = 2;
  std::vector<std::string> track_arguments;
};

std::optional<BenchArguments> parse_bench_arguments(std::vector<std::string> args) {
  const auto separator = std::find(args.begin(), args.end(), "--");
  BenchArguments arguments;
  if (separator != args.end()) arguments.track_arguments.assign(separator + 1, args.end());
  args.erase(separator, args.end());

  po::options_description options;
  for (const char* name : {"input", "mask", "frames", "every", "cores", "program", "folder", "json"}) {
    options.add_options()(name, po::value<std::string>());
  }
  const auto line = parse_command_line(args, kHelp, options, {}, 0);
  if (!line) return std::nullopt;
  arguments.program = line->text("program", (program_folder() / "hqtrack").string());
  arguments.input = line->text("input");
  arguments.mask = line->text("mask");
  arguments.folder = line->text("folder");
  arguments.json_output = line->text("json");
  arguments.num_frames = parse_integer("--frames", line->text("frames", "5000"), 2, 10'000'000);
  arguments.sample_frames = parse_integer("--every", line->text("every", "500"), 1, 10'000'000);
  arguments.num_cores = parse_integer("--cores", line->text("cores", "2"), 1, 1024);
  if (arguments.input.empty() != arguments.mask.empty()) {
    throw UsageError("--input and --mask: expected both or none, found one");
  }
  return arguments;
}

/// The folder asked for, or one of its own that goes with the object.
class WorkFolder {
 public:
  explicit WorkFolder(const std::string& asked_for) : is_temporary_(asked_for.empty()) {
    path_ = is_temporary_ ? fs::temp_directory_path() / ("hqtrack_bench_" + std::to_string(getpid()))
                          : fs::path(asked_for);
    fs::create_directories(path_);
  }
  ~WorkFolder() {
    std::error_code ignored;
    if (is_temporary_) fs::remove_all(path_, ignored);
  }
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  bool is_temporary_;
  fs::path path_;
};

/// What the numbers were taken on.
struct Machine {
  std::string cpu = "unknown";
  long num_cores = sysconf(_SC_NPROCESSORS_ONLN);
  double load = 0;  // of other programs, before the run
};

Machine describe_machine() {
  Machine machine;
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    if (!line.starts_with("model name")) continue;
    machine.cpu = line.substr(std::min(line.size(), line.find(':') + 2));
    break;
  }
  std::ifstream("/proc/loadavg") >> machine.load;
  return machine;
}

double mib(int64_t kib) { return static_cast<double>(kib) / 1024; }

/// The most that memory rose above the first sample; the frames before it are the warm-up.
double growth_mib(const std::vector<MemorySample>& samples) {
  int64_t most = 0;
  for (const MemorySample& sample : samples) {
    most = std::max(most, sample.resident_kib - samples.front().resident_kib);
  }
  return mib(most);
}

/// Without loading the network and closing the files: from the first frame to the last.
double steady_frames_per_second(const ProcessCost& cost) {
  const double seconds = cost.last_frame_seconds - cost.first_frame_seconds;
  return seconds > 0 ? static_cast<double>(cost.num_frames - 1) / seconds : 0;
}

void print_report(const Machine& machine, const BenchArguments& arguments, const std::string& input,
                  const ProcessCost& cost) {
  const double frames = static_cast<double>(cost.num_frames);
  std::printf("machine       %s, %ld cores, %lld used; load before the run %.1f\n", machine.cpu.c_str(),
              machine.num_cores, static_cast<long long>(arguments.num_cores), machine.load);
  std::printf("input         %s, %lld frames\n", input.c_str(), static_cast<long long>(cost.num_frames));
  std::printf("end to end    %.2f frames/s (%.1f s, start and end of the program included)\n",
              frames / cost.seconds, cost.seconds);
  std::printf("steady        %.2f frames/s (first to last frame; the first took %.1f s)\n",
              steady_frames_per_second(cost), cost.first_frame_seconds);
  std::printf("CPU time      %.1f ms a frame\n", 1000 * (cost.user_seconds + cost.system_seconds) / frames);
  std::printf("peak memory   %.1f MiB\n", mib(cost.peak_resident_kib));
  if (cost.samples.empty()) return;
  std::printf("\n   frame    seconds   memory MiB   against frame %lld\n",
              static_cast<long long>(cost.samples.front().frame));
  for (const MemorySample& sample : cost.samples) {
    std::printf("%8lld %10.1f %12.1f %+12.1f\n", static_cast<long long>(sample.frame), sample.seconds,
                mib(sample.resident_kib), mib(sample.resident_kib - cost.samples.front().resident_kib));
  }
  std::printf("growth        %.1f MiB at most\n", growth_mib(cost.samples));
}

std::string report_json(const Machine& machine, const BenchArguments& arguments, const std::string& input,
                        const ProcessCost& cost) {
  const double frames = static_cast<double>(cost.num_frames);
  nlohmann::ordered_json json{{"cpu", machine.cpu},
                              {"num_cores", machine.num_cores},
                              {"num_cores_used", arguments.num_cores},
                              {"load_before", machine.load},
                              {"input", input},
                              {"num_frames", cost.num_frames},
                              {"seconds", cost.seconds},
                              {"first_frame_seconds", cost.first_frame_seconds},
                              {"frames_per_second", frames / cost.seconds},
                              {"steady_frames_per_second", steady_frames_per_second(cost)},
                              {"cpu_ms_per_frame", 1000 * (cost.user_seconds + cost.system_seconds) / frames},
                              {"peak_resident_mib", mib(cost.peak_resident_kib)},
                              {"growth_mib", growth_mib(cost.samples)},
                              {"samples", nlohmann::ordered_json::array()}};
  for (const MemorySample& sample : cost.samples) {
    json["samples"].push_back(
        {{"frame", sample.frame}, {"seconds", sample.seconds}, {"resident_mib", mib(sample.resident_kib)}});
  }
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

int run_bench(const std::vector<std::string>& args) {
  const auto arguments = parse_bench_arguments(args);
  if (!arguments) return 0;
  const WorkFolder folder(arguments->folder);
  std::string input = arguments->input, mask = arguments->mask;
  if (input.empty()) {
    input = (folder.path() / "input.mp4").string();
    mask = (folder.path() / "mask.png").string();
    const SyntheticClip clip(480, 854, 2);
    std::fprintf(stderr, "drawing %lld frames of 854x480 ...\n",
                 static_cast<long long>(arguments->num_frames));
    clip.write(input, arguments->num_frames);
    write_label_mask(mask, clip.label_mask(0));
  }
  const Machine machine = describe_machine();
  std::vector<std::string> command = {arguments->program,
                                      "track",
                                      input,
                                      "--mask",
                                      mask,
                                      "--events",
                                      "-",
                                      "-o",
                                      (folder.path() / "output.mp4").string(),
                                      "--overwrite",
                                      "--quiet"};
  command.insert(command.end(), arguments->track_arguments.begin(), arguments->track_arguments.end());
  const ProcessCost cost =
      run_measured(command, static_cast<int>(arguments->num_cores), arguments->sample_frames);
  if (cost.exit_code != 0 || cost.num_frames == 0) {
    throw Error(ExitCode::kInternal,
                arguments->program + " track: expected exit code 0 and frames, found exit code " +
                    std::to_string(cost.exit_code) + " after " + std::to_string(cost.num_frames) + " frames");
  }
  const std::string name = arguments->input.empty() ? "drawn, 854x480, H.264, 2 objects" : input;
  print_report(machine, *arguments, name, cost);
  if (!arguments->json_output.empty()) {
    const std::string text = report_json(machine, *arguments, name, cost);
    write_file(arguments->json_output, text);
  }
  return 0;
}

}  // namespace
}  // namespace hqtrack

int main(int argc, char** argv) {
  try {
    return hqtrack::run_bench(std::vector<std::string>(argv + 1, argv + argc));
  } catch (const hqtrack::Error& e) {
    std::fprintf(stderr, "track_bench: %s\n", e.what());
    return static_cast<int>(e.code());
  } catch (const std::exception& e) {
    std::fprintf(stderr, "track_bench: %s\n", e.what());
    return 1;
  }
}
