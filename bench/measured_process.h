#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace hqtrack {

/// Memory of a process after some frames.
struct MemorySample {
  int64_t frame = 0;
  double seconds = 0;        // since the start of the process
  int64_t resident_kib = 0;  // VmRSS
};

/// What a run of another program cost.
struct ProcessCost {
  int exit_code = 0;  // 128 + signal when a signal ended it
  int64_t num_frames = 0;
  double seconds = 0;              // wall clock, from the start of the process to its end
  double first_frame_seconds = 0;  // from the start to the first line
  double last_frame_seconds = 0;   // from the start to the last line
  double user_seconds = 0, system_seconds = 0;
  int64_t peak_resident_kib = 0;
  std::vector<MemorySample> samples;
};

/// Starts `command` (command[0] is the program's file) on the first `num_cores` of the cores this process may
/// use, and takes each line it prints on stdout for a finished frame. Memory is sampled after every
/// `sample_frames` frames. stderr is passed on. Throws std::system_error when the process cannot be started.
ProcessCost run_measured(const std::vector<std::string>& command, int num_cores, int64_t sample_frames);

}  // namespace hqtrack
