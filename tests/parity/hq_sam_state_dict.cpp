#include "tests/parity/hq_sam_state_dict.h"

#include <ATen/ATen.h>

#include <cmath>
#include <fstream>
#include <stdexcept>

#include "core/weights/rule_weights.h"

namespace hqtrack::parity {

using nlohmann::json;
using Shape = std::vector<int64_t>;

StateDict::StateDict(const std::filesystem::path& path) {
  std::ifstream file(path);
  file_ = json::parse(file);
  variant_ = file_.at("variant");
  for (const json& entry : file_.at("entries")) shapes_[entry.at(0)] = entry.at(1).get<Shape>();
}

RefinerConfig StateDict::config(std::optional<int64_t> image_size) const {
  RefinerConfig config;
  config.decoder.width = shape("mask_decoder.iou_token.weight")[1];
  config.decoder.mlp_width = shape("mask_decoder.transformer.layers.0.mlp.lin1.weight")[0];
  config.decoder.hq_branch = has("mask_decoder.hf_token.weight");
  if (has("image_encoder.pos_embed")) {
    config.encoder = vit();
    config.image_size = 16 * shape("image_encoder.pos_embed")[1];
  } else {
    config.encoder = tiny_vit();
  }
  config.image_size = image_size.value_or(config.image_size);
  return config;
}

TensorFile StateDict::weights(const std::string& prefix) const {
  TensorFile contents;
  for (const auto& [name, shape] : shapes_) {
    contents.tensors.push_back({name, hq_sam_rule_weight(prefix, name, shape)});
  }
  return contents;
}

void StateDict::check(Report& report) const {
  int64_t bytes = 0;
  for (const json& entry : file_.at("entries")) {
    const auto shape = entry.at(1).get<Shape>();
    bytes += c10::multiply_integers(shape) * (entry.at(2) == "int64" ? 8 : 4);
    const double scale = hq_sam_rule(entry.at(0), shape).scale;
    report.check(std::abs(scale - entry.at(4).get<double>()) < 1e-12,
                 variant_ + " scale of " + entry.at(0).get<std::string>(), std::to_string(scale));
  }
  report.check(file_.at("tensors") == shapes_.size(), variant_ + " tensors", std::to_string(shapes_.size()));
  report.check(file_.at("bytes") == bytes, variant_ + " bytes", std::to_string(bytes));
}

const Shape& StateDict::shape(const std::string& name) const {
  const auto found = shapes_.find(name);
  if (found == shapes_.end()) throw std::runtime_error(variant_ + ": state_dict has no " + name);
  return found->second;
}

int64_t StateDict::num_blocks(const std::string& parent, const std::string& member) const {
  int64_t count = 0;
  while (has(parent + "blocks." + std::to_string(count) + "." + member)) ++count;
  return count;
}

// Windows and global blocks are told apart by the length of their tables.
RefinerEncoderConfig StateDict::vit() const {
  const Shape& positions = shape("image_encoder.pos_embed");
  const int64_t width = positions[3], grid = positions[1];
  const int64_t depth = num_blocks("image_encoder.", "norm1.weight");
  RefinerEncoderConfig encoder{"vit", {width}, {depth}, {}, {grid}, {}};
  for (int64_t i = 0; i < depth; ++i) {
    const Shape& table = shape("image_encoder.blocks." + std::to_string(i) + ".attn.rel_pos_h");
    encoder.heads = {width / table[1]};
    if (table[0] == 2 * grid - 1) {
      encoder.global_blocks.push_back(i);
    } else {
      encoder.windows = {(table[0] + 1) / 2};
    }
  }
  return encoder;
}

RefinerEncoderConfig StateDict::tiny_vit() const {
  RefinerEncoderConfig encoder{"tiny_vit", {}, {}, {1}, {1}, {}};
  for (int i = 0; i < 4; ++i) {
    const std::string stage = "image_encoder.layers." + std::to_string(i) + ".";
    encoder.depths.push_back(num_blocks(stage, i == 0 ? "conv1.c.weight" : "mlp.fc1.weight"));
    encoder.widths.push_back(
        shape(stage + (i == 0 ? "blocks.0.conv1.c.weight" : "blocks.0.mlp.fc1.weight"))[1]);
    if (i == 0) continue;
    const Shape& biases = shape(stage + "blocks.0.attn.attention_biases");
    encoder.heads.push_back(biases[0]);
    encoder.windows.push_back(std::lround(std::sqrt(biases[1])));
  }
  return encoder;
}

}  // namespace hqtrack::parity
