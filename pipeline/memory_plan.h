#pragma once

#include <c10/core/Device.h>

#include <cstdint>
#include <string>
#include <vector>

#include "core/config.h"

namespace hqtrack {

/// What the memory of a run depends on, beside the configuration.
struct RunSize {
  int64_t height = 0, width = 0;  // of a frame, in pixels
  int64_t num_objects = 1;        // over the whole run; with `compatibility: reference` the largest id
  bool asks_refiner = false;      // a prompt does; which frames are refined the configuration says
  int64_t num_videos = 0;         // that are written
  int64_t num_webm = 0;           // of them
};

/// How the stages of a run share memory. Changes no result.
struct Staging {
  size_t queue_frames = 3;  // RunOptions::queue_frames
  /// Nothing is encoded ahead, and the tracker's thread refines.
  bool is_serial = false;
};

/// Bytes by what they are for, at the moment of a run that takes most.
struct MemoryNeeds {
  int64_t program = 0;   // what the process has before networks are loaded; on a GPU the driver's
  int64_t weights = 0;   // also in the order that the CPU's kernels want
  int64_t memory = 0;    // long- and short-term memory of all engines
  int64_t tracking = 0;  // while a frame is encoded and propagated
  int64_t refining = 0;  // while a frame is refined
  int64_t frames = 0;    // decoded and waiting, with what is made of them
  int64_t video = 0;     // while one is encoded
  int64_t slack = 0;     // freed, and not given back
  int64_t total() const { return program + weights + memory + tracking + refining + frames + video + slack; }
};

/// A configuration that holds a budget, and how to run it.
struct MemoryPlan {
  Config config;
  Staging staging;
  bool gives_back_freed = false;  // memory, at once; on the CPU. Slower
  MemoryNeeds needs;
  std::vector<std::string> changes = {};  // against what was asked for, for people
};

/// What a plan will take of the device's memory: on the CPU of the process, which has `program_bytes` now. An
/// estimate from above: sizes of networks and maps are known, how many maps live at a time was measured
/// (docs/performance.md, "Memory"). Throws ConfigError for networks that cannot be built.
MemoryNeeds memory_needs(const MemoryPlan& plan, const RunSize& size, c10::Device device,
                         int64_t program_bytes);

/// Changes the configuration step by step until it fits beside `program_bytes`: first what changes no mask,
/// then what does, from little to much. The order stands in docs/performance.md. Throws DeviceError naming
/// the least possible budget where nothing fits, ConfigError as above.
MemoryPlan plan_memory(const Config& config, const RunSize& size, c10::Device device, int64_t budget_bytes,
                       int64_t program_bytes);

/// One line: budget, expected peak, changes.
std::string to_text(const MemoryPlan& plan, int64_t budget_bytes);

/// Resident memory of this process now, in bytes; 0 where the system does not tell.
int64_t resident_bytes();

}  // namespace hqtrack
