#include "pipeline/networks.h"

#include <ATen/Parallel.h>

#include "core/device.h"
#include "core/error.h"
#include "core/precision.h"
#include "core/weights/weights.h"
#include "refiner/hq_sam_weights.h"

namespace hqtrack {
namespace {

Vmos load_network(const Config& config, at::Device device) {
  if (config.tracker.weights.empty()) {
    throw ConfigError(config.file.string() + ": tracker.weights: expected a weights file, found nothing");
  }
  Vmos network(config.tracker);
  const std::string& file = config.tracker.weights;
  const TensorFile contents = read_weights(file);
  if (const std::string kind = hq_sam_kind(contents); !kind.empty()) {
    throw WeightsError(file + ": expected VMOS, a tracker, found " + kind);
  }
  load_weights(*network, contents, file, kUnusedVmosWeights);
  network->to(device);
  network->eval();
  if (device.is_cpu()) set_precision(*network, resolve_precision(config.tracker.precision));
  return network;
}

}  // namespace

Networks::Networks(const Config& config, const std::string& device)
    : config_(config), device_(resolve_device(device)), tracker_(load_network(config, device_)) {
  // Makes LibTorch start all of its threads. With few of them OpenMP takes the machine for its own and spins for
  // a millisecond at the end of each operator; where another process has a core, frames took 20 times as long.
  at::set_num_threads(at::get_num_threads());
  if (config.refiner.every_frames > 0) refiner();
}

HqSam Networks::refiner() {
  const std::lock_guard lock(mutex_);
  if (!refiner_.is_empty()) return refiner_;
  if (config_.refiner.weights.empty()) {
    throw ConfigError(
        config_.file.string() + ": refiner.weights: expected a weights file, found nothing (" +
        (config_.refiner.every_frames > 0 ? "refine=off does without" : "boxes and points need it") + ")");
  }
  HqSam network(config_.refiner);
  load_hq_sam_weights(network, config_.refiner.weights);
  network->to(device_);
  network->eval();
  return refiner_ = network;
}

}  // namespace hqtrack
