#include "refiner/refiner.h"

#include <ATen/ops/full.h>
#include <ATen/ops/upsample_bilinear2d.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/precision.h"
#include "core/profile.h"
#include "core/threads.h"
#include "refiner/object_prompts.h"
#include "refiner/preprocess.h"

namespace hqtrack {
namespace {

at::Tensor resize_maps(const at::Tensor& maps, GridSize size) {
  return at::upsample_bilinear2d(maps, {size.height, size.width}, /*align_corners=*/false);
}

Prompts on(at::Device device, Prompts prompts) {
  for (at::Tensor* tensor : {&prompts.boxes, &prompts.points, &prompts.labels, &prompts.masks}) {
    if (tensor->defined()) *tensor = tensor->to(device);
  }
  return prompts;
}

PredictOptions options_of(const RefinerConfig& config) {
  return {config.multimask, config.hq_token_only, config.prompt_residual};
}

constexpr int64_t kMostAtOnce = 4;  // prompts; each takes many maps, the last ones as large as the picture
constexpr float kBackground = -100.0f;  // logit where nothing was looked at

/// Background from a quarter of the box's size beyond it on. logits: [H, W].
void end_near(const PromptBox& box, at::Tensor& logits) {
  const double margin_x = 0.25 * (box.x1 - box.x0), margin_y = 0.25 * (box.y1 - box.y0);
  const auto cell = [](double edge, int64_t size) {
    return static_cast<int64_t>(std::clamp(edge, 0.0, static_cast<double>(size)));
  };
  const int64_t height = logits.size(0), width = logits.size(1);
  const int64_t left = cell(std::floor(box.x0 - margin_x), width),
                right = cell(std::ceil(box.x1 + margin_x), width);
  const int64_t top = cell(std::floor(box.y0 - margin_y), height),
                bottom = cell(std::ceil(box.y1 + margin_y), height);
  logits.slice(0, 0, top).fill_(kBackground);
  logits.slice(0, bottom).fill_(kBackground);
  logits.slice(1, 0, left).fill_(kBackground);
  logits.slice(1, right).fill_(kBackground);
}

}  // namespace

Refiner::Refiner(HqSam network, const RefinerConfig& config) : network_(std::move(network)), config_(config) {
  if (network_->is_training()) network_->eval();  // others may be using it
  set_precision(*network_, resolve_precision(config_.precision, network_->device()));
}

ImageEmbedding Refiner::encode(const at::Tensor& image) {
  c10::InferenceMode guard;
  const StageTimer timer(Stage::kSamEncode);
  return embed(image);
}

ImageEmbedding Refiner::embed(const at::Tensor& image) {
  const GridSize size{image.size(0), image.size(1)}, resized = resized_size(size, config_.image_size);
  const at::Tensor input =
      network_input(image, resized, network_->input_form(), config_.image_size, network_->device());
  ImageEmbedding embedding = network_->embed_image(input);
  embedding.image_size = size;
  embedding.resized_size = resized;
  return embedding;
}

Prediction Refiner::predict(const ImageEmbedding& image, const Prompts& prompts,
                            const PredictOptions& options) {
  c10::InferenceMode guard;
  const StageTimer timer(Stage::kSamDecode);
  return ask(image, prompts, options);
}

Prediction Refiner::ask(const ImageEmbedding& image, const Prompts& prompts, const PredictOptions& options) {
  const Prompts scaled = on(network_->device(), to_resized(prompts, image.image_size, image.resized_size));
  ChosenMasks chosen =
      choose_masks(network_->decode(image, scaled), options.multimask, options.hq_token_only);
  if (scaled.masks.defined() && options.prompt_residual > 0)
    chosen.logits = chosen.logits + options.prompt_residual * scaled.masks;
  // In two steps: one alone would give other borders.
  const at::Tensor padded = resize_maps(chosen.logits, image.input_size());
  const at::Tensor picture =
      padded.narrow(2, 0, image.resized_size.height).narrow(3, 0, image.resized_size.width);
  return {resize_maps(picture, image.image_size).squeeze(1), chosen.logits, chosen.scores};
}

Prediction Refiner::predict(const ImageEmbedding& image, const Prompts& prompts) {
  return predict(image, prompts, options_of(config_));
}

std::vector<MaskProposal> Refiner::refine(const at::Tensor& image, const at::Tensor& label_mask) {
  TORCH_CHECK(
      label_mask.dim() == 2 && label_mask.size(0) == image.size(0) && label_mask.size(1) == image.size(1),
      "refiner: expected a label mask of ", image.size(0), " x ", image.size(1), ", found ",
      label_mask.sizes());
  c10::InferenceMode guard;
  BoxPrompts boxes;
  {
    const StageTimer timer(Stage::kBox);
    boxes = box_prompts(label_mask, config_);
  }
  if (boxes.ids.empty()) return {};
  if (config_.mode == "frame") return refine_frame(image, boxes);
  std::vector<Look> looks;
  for (int64_t i = 0; i < static_cast<int64_t>(boxes.ids.size()); ++i) {
    const double* corners = boxes.prompts.boxes[i].const_data_ptr<double>();
    ObjectPrompt prompt;
    prompt.id = boxes.ids[i];
    prompt.box = {corners[0], corners[1], corners[2] + 1, corners[3] + 1};
    prompt.mask = label_mask.eq(prompt.id);
    looks.push_back({std::move(prompt), {}});
  }
  return look_closer(image, std::move(looks));
}

std::vector<MaskProposal> Refiner::refine_frame(const at::Tensor& image, const BoxPrompts& boxes) {
  const ImageEmbedding embedding = encode(image);
  const auto num_boxes = static_cast<int64_t>(boxes.ids.size());
  std::vector<MaskProposal> proposals;
  for (int64_t first = 0; first < num_boxes; first += kMostAtOnce) {
    Prompts asked;
    asked.boxes = boxes.prompts.boxes.slice(0, first, first + kMostAtOnce);
    const Prediction prediction = predict(embedding, asked);
    const at::Tensor logits = prediction.logits.to(at::kCPU), scores = prediction.scores.to(at::kCPU);
    for (int64_t i = 0; i < logits.size(0); ++i) {
      proposals.push_back({boxes.ids[first + i], logits[i], scores[i].item<double>()});
    }
  }
  return proposals;
}

std::vector<MaskProposal> Refiner::look_closer(const at::Tensor& image, std::vector<Look> looks) {
  const auto count = static_cast<int64_t>(looks.size());
  std::vector<Box> crops;
  for (Look& look : looks) {
    const auto [x0, y0, x1, y1] = *outer_box(look.prompt);
    crops.push_back(crop_around({x0, y0, x1 - 1, y1 - 1}, {image.size(0), image.size(1)}, config_));
    if (!look.prompt.box) look.prompt.box = {x0, y0, x1, y1};
  }
  const auto cropped = [&](const at::Tensor& picture, size_t i) {
    return picture.slice(0, crops[i].y0, crops[i].y1).slice(1, crops[i].x0, crops[i].x1);
  };
  const auto answer = [&](size_t i, const ImageEmbedding& part) {
    ObjectPrompt seen = seen_in(crops[i], looks[i].prompt);
    const auto ask_once = [&] { return ask(part, to_prompts({&seen, 1}, part), options_of(config_)); };
    if (!seen.mask.defined())
      seen.mask = (ask_once().logits[0].to(at::kCPU) + cropped(looks[i].first, i)).gt(0);
    const Prediction prediction = ask_once();
    at::Tensor logits = at::full({image.size(0), image.size(1)}, kBackground, at::kFloat);
    cropped(logits, i).copy_(prediction.logits[0]);
    return MaskProposal{looks[i].prompt.id, logits, prediction.scores[0].item<double>()};
  };
  std::vector<MaskProposal> proposals(looks.size());
  for (int64_t first = 0; first < count; first += kMostAtOnce) {
    const int64_t num_parts = std::min(kMostAtOnce, count - first);
    std::vector<ImageEmbedding> parts(static_cast<size_t>(num_parts));
    const auto for_each = [&](Stage stage, const auto& work) {
      const StageTimer timer(stage);
      const auto at_index = [&](int64_t i) {
        work(static_cast<size_t>(first + i), parts[static_cast<size_t>(i)]);
      };
      if (network_->device().is_cpu()) return run_each(num_parts, at_index);
      for (int64_t i = 0; i < num_parts; ++i) at_index(i);  // a stream is of the calling thread
    };
    for_each(Stage::kSamEncode,
             [&](size_t i, ImageEmbedding& part) { part = embed(cropped(image, i).contiguous()); });
    for_each(Stage::kSamDecode, [&](size_t i, ImageEmbedding& part) { proposals[i] = answer(i, part); });
  }
  return proposals;
}

std::vector<MaskProposal> Refiner::look_at_whole(const at::Tensor& image,
                                                 std::span<const ObjectPrompt> prompts) {
  if (!image_.is_same(image)) {
    whole_ = encode(image);
    image_ = image;
  }
  std::vector<MaskProposal> proposals(prompts.size());
  for (const std::vector<size_t>& group : same_form(prompts, kMostAtOnce)) {
    std::vector<ObjectPrompt> asked;
    for (const size_t i : group) asked.push_back(prompts[i]);
    const Prediction prediction = predict(whole_, to_prompts(asked, whole_));
    const at::Tensor logits = prediction.logits.to(at::kCPU), scores = prediction.scores.to(at::kCPU);
    for (size_t i = 0; i < group.size(); ++i) {
      const auto row = static_cast<int64_t>(i);
      proposals[group[i]] = {asked[i].id, logits[row], scores[row].item<double>()};
    }
  }
  return proposals;
}

std::vector<MaskProposal> Refiner::segment(const at::Tensor& image, std::span<const ObjectPrompt> given) {
  c10::InferenceMode guard;
  std::vector<ObjectPrompt> prompts(given.begin(), given.end());
  for (ObjectPrompt& prompt : prompts) {
    if (prompt.box) prompt.box = clipped(*prompt.box, {image.size(0), image.size(1)});
  }
  std::vector<MaskProposal> proposals = masks_of(image, prompts);
  for (size_t i = 0; i < prompts.size(); ++i) {
    if (prompts[i].box) end_near(*outer_box(prompts[i]), proposals[i].logits);
  }
  return proposals;
}

std::vector<MaskProposal> Refiner::masks_of(const at::Tensor& image, std::vector<ObjectPrompt> prompts) {
  if (config_.mode == "frame") return look_at_whole(image, prompts);
  std::vector<ObjectPrompt> without_mask;
  for (const ObjectPrompt& prompt : prompts) {
    if (!prompt.mask.defined()) without_mask.push_back(prompt);
  }
  std::vector<MaskProposal> first;
  if (!without_mask.empty()) first = look_at_whole(image, without_mask);
  std::vector<Look> looks;
  auto next = first.begin();
  for (ObjectPrompt& prompt : prompts) {
    const at::Tensor seen = prompt.mask.defined() ? at::Tensor() : (next++)->logits;
    if (seen.defined() && !prompt.box) prompt.mask = seen.gt(0);
    looks.push_back({std::move(prompt), seen});
  }
  return look_closer(image, std::move(looks));
}

}  // namespace hqtrack
