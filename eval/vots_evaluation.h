#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <stop_token>
#include <vector>

#include "eval/vots_dataset.h"
#include "eval/vots_tracker.h"

namespace hqtrack {

/// What came of a sequence: followed now, or found complete.
using OnVotsSequence = std::function<void(const VotsSequence&, bool was_there)>;

/// Follows the objects of each sequence and writes the results into the folder as the toolkit would
/// (eval/vots_results.h). Each tracker has a thread and takes sequence after sequence. Sequences whose
/// results are complete are left as they are, so that an interrupted run goes on. on_sequence: after each
/// one, in their order. Throws MediaError naming the file, OutputError, and Interrupted when asked to stop.
void run_vots_dataset(const std::vector<VotsSequence>& sequences,
                      const std::vector<std::unique_ptr<SequenceTracker>>& trackers,
                      const std::filesystem::path& folder, const OnVotsSequence& on_sequence = {},
                      const std::stop_token& stop = {});

}  // namespace hqtrack
