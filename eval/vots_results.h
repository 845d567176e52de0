#pragma once

#include <filesystem>
#include <functional>
#include <vector>

#include "eval/vots_measures.h"

namespace hqtrack {

/// What is wrong with a folder of results: one line each, and what is done about it.
using OnFault = std::function<void(const std::string&)>;

/// Scores the results of a tracker as the VOT toolkit stores them: FOLDER/baseline/SEQUENCE/STEM.bin or
/// .txt, or the same without baseline/. Throws MediaError naming the file: results that are missing, damaged,
/// or of another length. With on_fault such an object counts as never reported, and on_fault hears of it.
VotsScores evaluate_vots_results(const std::vector<VotsSequence>& sequences,
                                 const std::filesystem::path& folder, const OnFault& on_fault = {});

/// Where the results of a sequence lie, or will: below baseline/, unless the folder has the sequence itself.
std::filesystem::path vots_results_folder(const std::filesystem::path& folder, const VotsSequence& sequence);

/// What a tracker said of one object, an entry a frame.
struct VotsObjectResult {
  VotTrajectory trajectory;
  std::vector<std::string> confidence, time;  // empty where there is none; seconds
};

/// Writes the results of a sequence, objects in its order, as the toolkit would, the regions of an object
/// last. Throws OutputError, also where results as text would hide them.
void write_vots_results(const std::filesystem::path& folder, const VotsSequence& sequence,
                        const std::vector<VotsObjectResult>& results);

/// Whether the regions of all objects of a sequence are there, one for each frame.
bool has_vots_results(const std::filesystem::path& folder, const VotsSequence& sequence);

}  // namespace hqtrack
