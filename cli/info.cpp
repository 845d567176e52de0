#include "cli/info.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <torch/version.h>

#include <algorithm>
#include <boost/program_options/value_semantic.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "cli/arguments.h"
#include "core/cpu_kernels.h"
#include "core/device.h"
#include "core/error.h"
#include "core/weights/file_reader.h"
#include "core/weights/weights.h"
#include "io/frame_source.h"
#include "io/media_info.h"
#ifdef HQTRACK_WITH_CUDA
#include <cuda_runtime_api.h>
#endif

namespace hqtrack {
namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
namespace {

constexpr const char* kHelp = R"(Usage: hqtrack info [FILE] [--json]
Without FILE: the program, LibTorch, CUDA, FFmpeg and what this machine can do.
Of a video: container, codec, size, rate, length. Of a weights file
(.safetensors, .pth, .pt, .ckpt): format, tensors, parameters. For example:
  hqtrack info box.mp4
  hqtrack info --json | jq .cuda

  --json   JSON on stdout instead of text
)";

// ---- what is known, as JSON

std::string cpu_model() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

Json cuda_abilities() {
  Json devices = Json::array();
#ifdef HQTRACK_WITH_CUDA
  for (int i = 0; i < static_cast<int>(cuda_device_count()); ++i) {
    cudaDeviceProp properties;
    if (cudaGetDeviceProperties(&properties, i) != cudaSuccess) continue;
    devices.push_back({{"name", properties.name}, {"memory_bytes", properties.totalGlobalMem}});
  }
  return {{"built", true}, {"devices", devices}};
#else
  return {{"built", false}, {"devices", devices}};
#endif
}

Json ffmpeg_abilities() {
  const MediaInfo media = media_info();
  Json libraries = Json::object(), built = Json::array(), usable = Json::array();
  for (const LibraryVersion& library : media.libraries) libraries[library.name] = library.version;
  for (const HardwareDevice& device : media.devices) {
    built.push_back(device.name);
    if (device.is_usable) usable.push_back(device.name);
  }
  return {{"version", media.version},
          {"libraries", libraries},
          {"hardware_devices", built},
          {"usable_hardware_devices", usable},
          {"hardware_decoders", media.hardware_decoders},
          {"hardware_encoders", media.hardware_encoders}};
}

Json program_info() {
  return {{"version", HQTRACK_VERSION},
          {"libtorch", TORCH_VERSION},
          {"cpu",
           {{"model", cpu_model()},
            {"threads", std::thread::hardware_concurrency()},
            {"network_threads", at::get_num_threads()},
            {"instructions", at::get_cpu_capability()},
            {"bf16", bf16_cpu_kernels() != nullptr},
            {"int8", !int8_kernels().empty()}}},
          {"cuda", cuda_abilities()},
          {"ffmpeg", ffmpeg_abilities()}};
}

Json video_info(const std::string& url) {
  const auto source = open_source(url);
  const VideoInfo& video = source->info();
  Json info = {{"file", url},
               {"format", video.format},
               {"codec", video.codec},
               {"pixel_format", video.pixel_format},
               {"width", video.width},
               {"height", video.height},
               {"frames", nullptr},
               {"seconds", nullptr},
               {"frame_rate", nullptr},
               {"rotation_degrees", video.rotation_degrees},
               {"sample_aspect", {video.sample_aspect_num, video.sample_aspect_den}},
               {"has_audio", video.has_audio}};
  if (video.num_frames) info["frames"] = *video.num_frames;
  if (video.duration_us) info["seconds"] = static_cast<double>(*video.duration_us) / 1e6;
  if (video.rate_num > 0) {
    info["frame_rate"] = static_cast<double>(video.rate_num) / static_cast<double>(video.rate_den);
  }
  return info;
}

// Nobody may ever write to it, and who does may have one reader in mind.
void check_no_pipe(const std::string& file) {
  std::error_code ignored;
  if (fs::is_fifo(file, ignored)) throw MediaError(file + ": expected a file or URL, found a pipe");
}

bool is_weights_file(const fs::path& file) {
  const std::string extension = file.extension().string();
  if (extension == ".safetensors" || extension == ".pth" || extension == ".pt" || extension == ".ckpt")
    return true;
  char start[9] = {};
  std::error_code ignored;
  if (fs::is_regular_file(file, ignored)) std::ifstream(file, std::ios::binary).read(start, 9);
  return start[8] == '{' || std::string(start, 4) == "PK\3\4";
}

// The contents decide, as in read_weights: a zip file or a pickle is PyTorch's.
std::string weights_format(const fs::path& file) {
  char start[9] = {};
  std::ifstream(file, std::ios::binary).read(start, 9);
  return start[8] == '{' ? "safetensors" : "PyTorch";
}

Json weights_info(const fs::path& file) {
  const TensorFile contents = read_weights(file);
  Json tensors = Json::array();
  std::map<std::string, int64_t> types;
  int64_t num_parameters = 0;
  for (const NamedTensor& entry : contents.tensors) {
    const std::string type = c10::toString(entry.tensor.scalar_type());
    num_parameters += entry.tensor.numel();
    types[type] += entry.tensor.numel();
    tensors.push_back({{"name", entry.name}, {"type", type}, {"shape", entry.tensor.sizes().vec()}});
  }
  return {{"file", file.string()},
          {"format", weights_format(file)},
          {"bytes", fs::file_size(file)},
          {"parameters", num_parameters},
          {"types", types},
          {"metadata", contents.metadata},
          {"tensors", tensors}};
}

// ---- the same as text

void print_row(const char* name, const std::string& value) { std::printf("%-18s %s\n", name, value.c_str()); }

std::string joined(const Json& texts) {
  std::string line;
  for (const Json& text : texts) line += (line.empty() ? "" : ", ") + text.get<std::string>();
  return line.empty() ? "none" : line;
}

std::string plain(const Json& value, const std::string& unit = {}) {
  if (value.is_null()) return "unknown";
  return (value.is_string() ? value.get<std::string>() : value.dump()) + unit;
}

std::string in_decimals(const Json& value) {
  if (!value.is_number()) return plain(value);
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", value.get<double>());
  return text;
}

void print_program(const Json& info) {
  const Json &cpu = info["cpu"], &cuda = info["cuda"], &ffmpeg = info["ffmpeg"];
  print_row("hqtrack", plain(info["version"]));
  print_row("LibTorch", plain(info["libtorch"]));
  print_row("CPU", plain(cpu["model"]) + ", " + plain(cpu["threads"], " threads") + ", " +
                       plain(cpu["instructions"]) + (cpu["bf16"].get<bool>() ? ", AVX512-BF16" : "") +
                       (cpu["int8"].get<bool>() ? ", VNNI" : ""));
  print_row("network threads", plain(cpu["network_threads"]));
  print_row("CUDA kernels", cuda["built"].get<bool>() ? "built" : "not built");
  if (cuda["devices"].empty()) print_row("CUDA devices", "none");
  for (size_t i = 0; i < cuda["devices"].size(); ++i) {
    const Json& device = cuda["devices"][i];
    const auto gib = static_cast<double>(device["memory_bytes"].get<int64_t>()) / (1 << 30);
    char memory[32];
    std::snprintf(memory, sizeof memory, ", %.1f GiB", gib);
    print_row(("cuda:" + std::to_string(i)).c_str(), plain(device["name"]) + memory);
  }
  std::string libraries;
  for (const auto& [name, version] : ffmpeg["libraries"].items()) {
    libraries += (libraries.empty() ? "" : ", ") + name + " " + version.get<std::string>();
  }
  print_row("FFmpeg", plain(ffmpeg["version"]));
  print_row("  libraries", libraries);
  print_row("  hardware", joined(ffmpeg["hardware_devices"]));
  print_row("  usable here", joined(ffmpeg["usable_hardware_devices"]));
  print_row("  decoders", joined(ffmpeg["hardware_decoders"]));
  print_row("  encoders", joined(ffmpeg["hardware_encoders"]));
}

void print_video(const Json& info) {
  print_row("file", plain(info["file"]));
  print_row("container", plain(info["format"]));
  print_row("codec", plain(info["codec"]) + ", " + plain(info["pixel_format"]));
  print_row("size", plain(info["width"]) + "x" + plain(info["height"]));
  if (info["rotation_degrees"] != 0)
    print_row("rotation", plain(info["rotation_degrees"], " degrees, applied"));
  if (info["sample_aspect"][0] != info["sample_aspect"][1]) {
    print_row("pixel shape", plain(info["sample_aspect"][0]) + ":" + plain(info["sample_aspect"][1]));
  }
  print_row("length", in_decimals(info["seconds"]) + " s, " + plain(info["frames"]) +
                          (info["frames"] == 1 ? " frame" : " frames"));
  print_row("frame rate", in_decimals(info["frame_rate"]) + " frames/s");
  print_row("audio", info["has_audio"].get<bool>() ? "yes" : "no");
}

void print_weights(const Json& info) {
  constexpr size_t kShown = 8;
  print_row("file", plain(info["file"]));
  print_row("format", plain(info["format"], ", ") + plain(info["bytes"], " bytes"));
  print_row("tensors", std::to_string(info["tensors"].size()));
  print_row("parameters", plain(info["parameters"]));
  for (const auto& [type, count] : info["types"].items()) print_row(("  " + type).c_str(), count.dump());
  for (const auto& [name, text] : info["metadata"].items())
    print_row("metadata", in_quotes(name) + ": " + in_quotes(plain(text)));
  const Json& tensors = info["tensors"];
  for (size_t i = 0; i < std::min(kShown, tensors.size()); ++i) {
    std::printf("  %s %s\n", tensors[i]["name"].get<std::string>().c_str(),
                tensors[i]["shape"].dump().c_str());
  }
  if (tensors.size() > kShown)
    std::printf("  ... and %zu more (all of them: --json)\n", tensors.size() - kShown);
}

}  // namespace

int run_info(std::span<const std::string> args) {
  boost::program_options::options_description options;
  options.add_options()("json", boost::program_options::bool_switch());
  const auto line = parse_command_line(args, kHelp, options, {"FILE"}, 0);
  if (!line) return static_cast<int>(ExitCode::kSuccess);

  Json info;
  void (*print)(const Json&) = print_program;
  if (line->positional.empty()) {
    info = program_info();
  } else {
    const std::string& file = line->positional[0];
    check_no_pipe(file);
    const bool is_weights = is_weights_file(file);
    info = is_weights ? weights_info(file) : video_info(file);
    print = is_weights ? print_weights : print_video;
  }
  if (line->options["json"].as<bool>()) {
    // File names need not be UTF-8.
    std::puts(info.dump(2, ' ', false, Json::error_handler_t::replace).c_str());
  } else {
    print(info);
  }
  return static_cast<int>(ExitCode::kSuccess);
}

}  // namespace hqtrack
