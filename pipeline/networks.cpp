#include "pipeline/networks.h"

#include <c10/core/impl/VirtualGuardImpl.h>

#include <filesystem>

#include "core/device.h"
#include "core/error.h"
#include "core/precision.h"
#include "core/weights/rule_weights.h"
#include "core/weights/weights.h"
#include "refiner/hq_sam_weights.h"

namespace hqtrack {
namespace {

bool is_made_up(const std::string& file, MissingWeights missing) {
  return missing == MissingWeights::kByRule && !std::filesystem::exists(file);
}

void load_tracker_weights(Vmos& network, const Config& config) {
  const std::string& file = config.tracker.weights;
  if (file.empty()) {
    throw ConfigError(config.file.string() + ": tracker.weights: expected a weights file, found nothing");
  }
  const TensorFile contents = read_weights(file);
  if (const std::string kind = hq_sam_kind(contents); !kind.empty()) {
    throw WeightsError(file + ": expected VMOS, a tracker, found " + kind);
  }
  load_weights(*network, contents, file, kUnusedVmosWeights);
}

Vmos make_tracker(const Config& config, at::Device device, MissingWeights missing) {
  Vmos network(config.tracker);
  if (is_made_up(config.tracker.weights, missing)) {
    fill_by_vmos_rule(*network, "");
  } else {
    load_tracker_weights(network, config);
  }
  network->to(device);
  network->eval();
  set_precision(*network, resolve_precision(config.tracker.precision, device));
  return network;
}

}  // namespace

Networks::Networks(const Config& config, const std::string& device, MissingWeights missing)
    : config_(config),
      device_(resolve_device(device)),
      missing_(missing),
      tracker_(make_tracker(config, device_, missing)) {
  if (!device_.is_cpu()) {
    const bool refiner_may = config.refiner.every_frames == 0 || config.refiner.precision != "fp32";
    allow_tf32(config.tracker.precision != "fp32" && refiner_may);
  }
  if (config.refiner.every_frames > 0) refiner();
}

HqSam Networks::refiner() {
  const std::lock_guard lock(mutex_);
  if (!refiner_.is_empty()) return refiner_;
  const bool by_rule = is_made_up(config_.refiner.weights, missing_);
  if (!by_rule && config_.refiner.weights.empty()) {
    throw ConfigError(
        config_.file.string() + ": refiner.weights: expected a weights file, found nothing (" +
        (config_.refiner.every_frames > 0 ? "refine=off does without" : "boxes and points need it") + ")");
  }
  HqSam network(config_.refiner);
  if (by_rule) {
    fill_by_hq_sam_rule(*network, "");
  } else {
    load_hq_sam_weights(network, config_.refiner.weights);
  }
  network->to(device_);
  network->eval();
  set_precision(*network, resolve_precision(config_.refiner.precision, device_));  // of all Refiners
  if (!device_.is_cpu()) {  // they have streams of their own
    c10::impl::VirtualGuardImpl(device_.type()).getStream(device_).synchronize();
  }
  return refiner_ = network;
}

}  // namespace hqtrack
