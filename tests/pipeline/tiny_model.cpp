#include "tests/pipeline/tiny_model.h"

#include <ATen/Context.h>

#include <fstream>

#include "core/config.h"
#include "core/weights/weights.h"
#include "refiner/hq_sam.h"
#include "tracker/vmos.h"

namespace hqtrack::testing {

std::filesystem::path write_tiny_model(const std::filesystem::path& folder) {
  const std::filesystem::path config_file = folder / "tiny.yaml";
  std::ofstream(config_file) << R"(
tracker:
  weights: tiny.safetensors
  encoder: {type: internimage, channels: 16, depths: [1, 1, 1, 1], groups: [1, 2, 4, 4]}
  propagation_16x: {num_blocks: 1, width: 32, key_width: 16}
  propagation_8x: {num_blocks: 1, width: 16, key_width: 16}
  width_4x: 16
  local_radius: 2
  objects_per_engine: 4
  preprocess: {short_edge: 65, short_edge_rule: exactly, max_long_edge: 145}
  memory: {interval_frames: 5, long_term_frames: 2, long_term_frames_8x: 2, short_term_delay_frames: 1}
  states: {uncertain_below: 0, lost_below: 0}
refiner:
  weights: tiny_refiner.safetensors
  encoder: {type: vit, widths: [24], depths: [2], heads: [2], windows: [4], global_blocks: [1]}
  decoder: {width: 32, heads: 2, mlp_width: 48}
  image_size: 96
)";
  const Config config = load_config(config_file);
  at::manual_seed(7);
  const Vmos network(config.tracker);
  save_weights(*network, config.tracker.weights);
  const HqSam refiner(config.refiner);
  save_weights(*refiner, config.refiner.weights);
  return config_file;
}

}  // namespace hqtrack::testing
