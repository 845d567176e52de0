#pragma once

#include <c10/core/Device.h>

#include <mutex>
#include <string>

#include "core/config.h"
#include "refiner/hq_sam.h"
#include "tracker/vmos.h"

namespace hqtrack {

/// What takes the place of a weights file that is not there.
enum class MissingWeights {
  kError,
  kByRule  // core/weights/rule_weights.h: for measurements
};

/// Tracker's and refiner's networks with their weights. Nothing in them changes while they are used, so that
/// several HqTracks may share them. Any thread.
class Networks {
 public:
  /// Loads the tracker's weights, those of the refiner only where `refine` is not `off`. device: "auto" (CUDA
  /// where there is one), "cpu", "cuda:N". Throws ConfigError, WeightsError, DeviceError.
  Networks(const Config& config, const std::string& device, MissingWeights missing = MissingWeights::kError);

  const Config& config() const { return config_; }
  c10::Device device() const { return device_; }
  Vmos tracker() const { return tracker_; }
  /// Loads it at the first call. Throws ConfigError where the configuration names no weights, WeightsError.
  HqSam refiner();

 private:
  Config config_;
  c10::Device device_;
  MissingWeights missing_;
  Vmos tracker_;
  std::mutex mutex_;
  HqSam refiner_{nullptr};
};

}  // namespace hqtrack
