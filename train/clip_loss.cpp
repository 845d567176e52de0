#include "train/clip_loss.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/argmax.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/zeros.h>

#include <algorithm>

#include "tracker/layers.h"
#include "train/frame_features.h"
#include "train/losses.h"
#include "train/memory_damage.h"

namespace hqtrack {
namespace {

constexpr int64_t kLeastVisiblePixels = 20;

Features encode_frames(Vmos& network, const at::Tensor& images, bool is_frozen) {
  if (!is_frozen) return network->encode(images);
  return network->project(frozen_backbone_features(network, images));
}

Features frame_of(const Features& features, int64_t frame, int64_t num_clips) {
  const auto part = [&](const at::Tensor& map) { return map.narrow(0, frame * num_clips, num_clips); };
  return {part(features.stride_4), part(features.stride_8), part(features.stride_16)};
}

/// Label shares of one frame on both grids: what the attention maps carry in training.
struct Shares {
  at::Tensor at_16x, at_8x;
};

Shares shares_of(const at::Tensor& one_hot) { return {label_shares(one_hot, 16), label_shares(one_hot, 8)}; }

void attach(std::vector<MemoryFrame>& memory, const Shares& shares) {
  for (size_t i = 0; i + 1 < memory.size(); ++i) memory[i].labels = shares.at_16x;
  memory.back().labels = shares.at_8x;
}

/// Frames side by side, block by block.
std::vector<MemoryFrame> join(const std::vector<std::vector<MemoryFrame>>& frames) {
  if (frames.size() == 1) return frames.front();
  std::vector<MemoryFrame> joined;
  for (size_t block = 0; block < frames.front().size(); ++block) {
    std::vector<at::Tensor> keys, values, labels;
    for (const auto& frame : frames) {
      keys.push_back(frame[block].key);
      values.push_back(frame[block].value);
      if (frame[block].labels.defined()) labels.push_back(frame[block].labels);
    }
    joined.push_back(
        {at::cat(keys, 1), at::cat(values, 1), labels.empty() ? at::Tensor() : at::cat(labels, 1)});
  }
  return joined;
}

at::Tensor carried_loss(const VmosImpl::Step& step, const Shares& truth) {
  const auto mean = [](const std::vector<at::Tensor>& maps, const at::Tensor& shares) {
    at::Tensor sum;
    for (const at::Tensor& map : maps) {
      const at::Tensor loss = carried_label_loss(map, shares);
      sum = sum.defined() ? sum + loss : loss;
    }
    return sum / static_cast<double>(maps.size());
  };
  return 0.5 * (mean(step.labels_16x, truth.at_16x) + mean(step.labels_8x, truth.at_8x));
}

/// Damages some of the maps [B, H, W]; they are on the CPU and nobody else's.
void damage_some(at::Tensor& maps, const ClipBatch& batch, double probability, Random& random) {
  for (int64_t clip = 0; clip < batch.num_clips(); ++clip) {
    if (!random.chance(probability) || batch.slots[clip].empty()) continue;
    at::Tensor map = maps[clip];
    damage_labels(map, batch.slots[clip], random);
  }
}

at::Tensor every_second_pixel(const at::Tensor& labels) {
  return labels.slice(1, 0, std::nullopt, 2).slice(2, 0, std::nullopt, 2).contiguous();
}

}  // namespace

TrainingPhase TrainingPhase::at(const TrainConfig& config, int64_t step, double progress) {
  constexpr double kLeft = 0.3;  // share of teacher forcing and auxiliary loss that is left at the end
  const double fade = 1 - (1 - kLeft) * progress;
  const double hardening =
      config.hard_pixel_steps > 0
          ? std::min(1.0, static_cast<double>(step) / static_cast<double>(config.hard_pixel_steps))
          : 1.0;
  return {1 - (1 - config.hard_pixel_ratio) * hardening, config.auxiliary_weight * fade,
          config.teacher_forcing * fade};
}

ClipLoss run_clips(Vmos& network, const ClipBatch& batch, const TrackerConfig& tracker,
                   const TrainConfig& config, const TrainingPhase& phase, Random& random) {
  const at::Device device = network->device();
  const int64_t num_frames = batch.num_frames(), num_clips = batch.num_clips();
  const int64_t num_classes = 1 + network->objects_per_engine();
  const at::Tensor labels = batch.labels.to(device), valid = batch.valid.to(device);
  const Features features =
      encode_frames(network, normalize_images(batch.images.to(device).flatten(0, 1), tracker.preprocess),
                    config.encoder_learning_rate_ratio == 0);
  const bool has_auxiliary = phase.auxiliary_weight > 0;

  const at::Tensor reference = one_hot_labels(labels[0], num_classes);
  std::vector<std::vector<MemoryFrame>> long_term = {
      network->reference(frame_of(features, 0, num_clips), network->embed_identity(reference))};
  if (has_auxiliary) attach(long_term.front(), shares_of(reference));
  std::vector<MemoryFrame> short_term = long_term.front();

  at::Tensor segmentation = at::zeros({}, device), auxiliary = at::zeros({}, device), predicted;
  for (int64_t t = 1; t < num_frames; ++t) {
    const VmosImpl::Step step =
        network->propagate(frame_of(features, t, num_clips), join(long_term), short_term);
    const at::Tensor truth = labels[t].to(at::kLong);
    const at::Tensor half = every_second_pixel(truth);
    segmentation =
        segmentation + segmentation_loss(resize_bilinear(step.logits, {half.size(1), half.size(2)}), half,
                                         valid, phase.hard_pixel_ratio);
    Shares shares;
    if (has_auxiliary) {
      shares = shares_of(one_hot_labels(truth, num_classes));
      auxiliary = auxiliary + carried_loss(step, shares);
    }
    const bool is_last = t + 1 == num_frames;
    const bool takes_truth = !is_last && random.chance(phase.teacher_forcing);
    if (!takes_truth) {
      const at::NoGradGuard no_gradients;
      const at::Tensor full = resize_bilinear(step.logits.detach(), {truth.size(1), truth.size(2)});
      predicted = at::argmax(mask_classes(full, valid), 1);
    }
    if (is_last) break;

    at::Tensor remembered =
        (takes_truth ? truth : predicted).to(at::kCPU, at::kByte, false, /*copy=*/true).contiguous();
    damage_some(remembered, batch, config.memory_damage, random);
    const at::Tensor one_hot = one_hot_labels(remembered.to(device), num_classes);
    short_term = network->memorize(step.states, network->embed_identity(one_hot));
    if (has_auxiliary) attach(short_term, shares);  // what an attention map should carry is always the truth
    if (random.chance(0.5)) long_term.push_back(short_term);
  }

  const double steps = static_cast<double>(num_frames - 1);
  segmentation = segmentation / steps;
  auxiliary = auxiliary / steps;
  ClipLoss loss;
  loss.total = segmentation + phase.auxiliary_weight * auxiliary;
  loss.segmentation = segmentation.item<double>();
  loss.auxiliary = auxiliary.item<double>();
  loss.iou =
      mean_object_iou(predicted, labels[num_frames - 1].to(at::kLong), num_classes, kLeastVisiblePixels);
  return loss;
}

}  // namespace hqtrack
