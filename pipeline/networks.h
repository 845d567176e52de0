#pragma once

#include <c10/core/Device.h>

#include <mutex>
#include <string>

#include "core/config.h"
#include "refiner/hq_sam.h"
#include "tracker/vmos.h"

namespace hqtrack {

/// Tracker's and refiner's networks with their weights. Nothing in them changes while they are used, so that
/// several HqTracks may share them. Any thread.
class Networks {
 public:
  /// Loads the tracker's weights, those of the refiner only where `refine` is not `off`. device: "auto" (CUDA
  /// where there is one), "cpu", "cuda:N". Throws ConfigError, WeightsError, DeviceError.
  Networks(const Config& config, const std::string& device);

  const Config& config() const { return config_; }
  c10::Device device() const { return device_; }
  Vmos tracker() const { return tracker_; }
  /// Loads it at the first call. Throws ConfigError where the configuration names no weights, WeightsError.
  HqSam refiner();

 private:
  Config config_;
  c10::Device device_;
  Vmos tracker_;
  std::mutex mutex_;
  HqSam refiner_{nullptr};
};

}  // namespace hqtrack
