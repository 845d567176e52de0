#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <fstream>
#include <stdexcept>

#include "refiner/hq_sam_weights.h"
#include "refiner/preprocess.h"
#include "refiner/refiner.h"
#include "tests/parity/golden_folder.h"
#include "tests/parity/hq_sam_parity.h"

namespace hqtrack::parity {
namespace {

using nlohmann::json;

RefinerConfig refiner_config(const json& model) {
  RefinerConfig config;
  config.encoder.type = model.at("encoder").at("type");
  const json &transformer = model.at("transformer"), &recommended = model.at("recommended");
  config.decoder = {.width = model.at("embed_dim"),
                    .heads = transformer.at("heads"),
                    .mlp_width = transformer.at("mlp"),
                    .hq_branch = model.at("decoder").at("hq_token")};
  config.image_size = model.at("image_side");
  config.multimask = recommended.at("multimask");
  config.hq_token_only = recommended.at("hq_token_only");
  config.mode = recommended.at("crop") ? "crop" : "frame";
  config.crop_margin = recommended.at("crop_margin");
  config.crop_margin_px = recommended.at("crop_margin_px");
  return config;
}

/// One image, and what was asked about it.
class Check {
 public:
  Check(const json& model, const std::filesystem::path& folder, Report& report)
      : golden_(folder / "golden"), report_(report), config_(refiner_config(model)), network_(config_) {
    load_hq_sam_weights(network_, folder / model.at("weights").at("file").get<std::string>());
    network_->eval();
    image_ = golden_.load("image_rgb").contiguous();
  }

  void run() {
    check_encoder();
    Refiner refiner(network_, config_);
    for (const auto& [name, entry] : golden_.manifest().items()) {
      if (!entry.is_object() || !entry.contains("box_xyxy")) continue;
      const auto corners = entry.at("box_xyxy").get<std::vector<double>>();
      Prompts prompts{.boxes = at::tensor(corners, at::kDouble).unsqueeze(0)};
      const at::Tensor given = golden_.load(name + ".mask_in");
      check_prompt(name + ".box", refiner, prompts);
      prompts.masks = mask_prompt(given, embedding_.resized_size, embedding_.input_size());
      golden_.compare(report_, name + ".mask_logits4", prompts.masks[0][0]);
      check_prompt(name + ".box_mask", refiner, prompts);
      if (!golden_.has(name + ".crop_box_mask.mask")) continue;
      const MaskProposal proposal = refiner.refine(image_, given.contiguous()).at(0);
      check_mask(name + ".crop_box_mask.mask", proposal.logits);
      const double score = golden_.entry(name + ".crop_box_mask.mask").at("score");
      report_.check(std::abs(proposal.score - score) < 1e-3, name + ".crop_box_mask score");
    }
    golden_.check_all_compared(report_);
  }

 private:
  void check_encoder() {
    const GridSize size{image_.size(0), image_.size(1)}, resized = resized_size(size, config_.image_size);
    const at::Tensor input =
        normalize_and_pad(resize_antialiased(image_, resized), network_->input_form(), config_.image_size);
    golden_.compare(report_, "input_tensor", input[0]);
    ProbeScope probe([&](const std::string& probed, const at::Tensor& value) {
      if (probed == "enc.stride_16") golden_.compare(report_, "feat16x", value[0]);
      if (probed == "enc.interm0") golden_.compare(report_, "early_544", value[0].permute({2, 0, 1}));
    });
    embedding_ = network_->embed_image(input);
    embedding_.image_size = size;
    embedding_.resized_size = resized;
    golden_.compare(report_, "image_embedding", embedding_.embedding[0]);
    golden_.compare(report_, "hq_features", embedding_.hq_features[0]);
    golden_.compare(report_, "dense_code", embedding_.dense_code[0]);
  }

  void check_prompt(const std::string& name, Refiner& refiner, const Prompts& prompts) {
    const RawMasks raw =
        network_->decode(embedding_, to_resized(prompts, embedding_.image_size, embedding_.resized_size));
    golden_.compare(report_, name + ".lowres5", at::cat({raw.sam, raw.hq}, 1)[0]);
    golden_.compare(report_, name + ".iou4", raw.predicted_ious[0]);
    const std::string residual = name + ".mask_residual_";
    for (const std::string& item : golden_.names(name + ".mask")) {
      PredictOptions options{.multimask = config_.multimask, .hq_token_only = config_.hq_token_only};
      if (item.starts_with(residual)) {
        options.prompt_residual = std::stod(item.substr(residual.size()));
      } else if (item != name + ".mask") {
        continue;
      }
      check_mask(item, refiner.predict(embedding_, prompts, options).logits[0]);
    }
  }

  void check_mask(const std::string& name, const at::Tensor& logits) {
    const double fraction = golden_.entry(name).at("max_mismatch_fraction");
    const at::Tensor expected = golden_.load(name);
    report_.compare_labels(name, logits.gt(0).to(at::kByte), expected.ne(0).to(at::kByte),
                           static_cast<int64_t>(fraction * static_cast<double>(expected.numel())));
  }

  GoldenFolder golden_;
  Report& report_;
  RefinerConfig config_;
  HqSam network_;
  at::Tensor image_;
  ImageEmbedding embedding_;
};

}  // namespace

void check_nano_refiner(const std::filesystem::path& folder, Report& report) {
  std::ifstream file(folder / "config.json");
  if (!file) throw std::runtime_error((folder / "config.json").string() + ": cannot be read");
  c10::InferenceMode guard;
  Check(json::parse(file), folder, report).run();
}

}  // namespace hqtrack::parity
