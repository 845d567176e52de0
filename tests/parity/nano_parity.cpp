#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <fstream>
#include <stdexcept>

#include "core/weights/weights.h"
#include "tests/parity/golden_folder.h"
#include "tests/parity/vmos_parity.h"
#include "tracker/preprocess.h"
#include "tracker/tracker.h"

namespace hqtrack::parity {
namespace {

using nlohmann::json;

std::string two_digits(int64_t t) { return (t < 10 ? "0" : "") + std::to_string(t); }

TrackerConfig tracker_config(const json& model) {
  TrackerConfig config;
  config.encoder.type = model.at("encoder").at("type");
  const json &at_16 = model.at("blocks_16x"), &at_8 = model.at("block_8x"),
             &preprocess = model.at("preprocessing");
  config.propagation_16x = {at_16.at("count"), at_16.at("width"), at_16.at("key_width")};
  config.propagation_8x = {at_8.at("count"), at_8.at("width"), at_8.at("key_width")};
  config.local_radius = at_16.at("local_radius");
  config.width_4x = model.at("fusion").at("width_4x");
  config.objects_per_engine = model.at("objects_per_engine");
  config.preprocess.short_edge_rule = "exactly";
  config.preprocess.max_long_edge = preprocess.at("max_long_edge");
  config.preprocess.mean = preprocess.at("mean");
  config.preprocess.std = preprocess.at("std");
  return config;
}

void check_clip(GoldenFolder& golden, const std::string& name, const json& clip, Vmos& network,
                TrackerConfig config, Report& report) {
  config.preprocess.short_edge = clip.at("short_edge");
  const json& memory = clip.at("memory");
  config.memory = {memory.at("long_term_memory_gap"), memory.at("long_term_memory_frames"),
                   memory.at("long_term_memory_frames_8x"), memory.at("short_term_memory_skip")};
  const at::Tensor frames = golden.load(name + ".frames_rgb"), labels = golden.load(name + ".labels");
  const at::Tensor mask = golden.load(name + ".mask0");
  const GridSize size{clip.at("network_size").at(0), clip.at("network_size").at(1)};
  report.check(network_size({frames.size(1), frames.size(2)}, config.preprocess) == size,
               name + " network size", "differs");
  const at::Tensor tensor = normalize(resize_bicubic(frames[0].contiguous(), size), config.preprocess);
  golden.compare(report, name + ".tensor.t00", tensor);
  const Features features = network->encode(tensor);
  golden.compare(report, name + ".feat4x.t00", features.stride_4);
  golden.compare(report, name + ".feat8x.t00", features.stride_8);
  golden.compare(report, name + ".feat16x_projected.t00", features.stride_16);
  if (GridSize{mask.size(0), mask.size(1)} == size) {
    const IdentityEmbedding embedding = network->embed_identity_labels(mask);
    golden.compare(report, name + ".id_emb16", embedding.stride_16);
    golden.compare(report, name + ".id_emb8", embedding.stride_8);
    const auto entry = network->reference(features, embedding);
    for (size_t i = 0; i < entry.size(); ++i) {
      const std::string block =
          name + ".mem_t00.block" + (i + 1 == entry.size() ? "8" : "16." + std::to_string(i));
      const int64_t half = entry[i].value.size(2) / 2;
      golden.compare(report, block + ".K", entry[i].key);
      golden.compare(report, block + ".V", entry[i].value.narrow(2, 0, half));
      golden.compare(report, block + ".IDV", entry[i].value.narrow(2, half, half));
    }
  }
  Tracker tracker(network, config);
  tracker.start(frames[0].contiguous(), mask);
  const int64_t channels = 1 + static_cast<int64_t>(tracker.object_ids().size());
  for (int64_t t = 1; t < frames.size(0); ++t) {
    ProbeScope probe([&](const std::string& probed, const at::Tensor& value) {
      if (probed == "dec.logits_unmasked") {
        golden.compare(report, name + ".logits4x.t" + two_digits(t), value.narrow(1, 0, channels));
      }
    });
    const TrackerResult result = tracker.track(frames[t].contiguous());
    report.compare_labels(name + " labels t" + two_digits(t), result.label_mask, labels[t].contiguous(),
                          clip.at("pixels_margin_below_1e_3").at(t).get<int64_t>() + 2);
  }
}

}  // namespace

void check_nano(const std::filesystem::path& folder, Report& report) {
  std::ifstream file(folder / "config.json");
  if (!file) throw std::runtime_error((folder / "config.json").string() + ": cannot be read");
  const json model = json::parse(file);
  const TrackerConfig config = tracker_config(model);
  Vmos network(config);
  load_weights(*network, folder / model.at("weights").at("file").get<std::string>());
  network->eval();
  c10::InferenceMode guard;
  GoldenFolder golden(folder / "golden");
  for (const auto& [name, entry] : golden.manifest().items()) {
    if (entry.contains("network_size")) check_clip(golden, name, entry, network, config, report);
  }
  golden.check_all_compared(report);
}

}  // namespace hqtrack::parity
