#include "eval/vots_results.h"

#include <algorithm>
#include <fstream>

#include "core/error.h"
#include "eval/results_folder.h"

namespace hqtrack {
namespace fs = std::filesystem;
namespace {

/// Frames a second of a sequence, from the times that the toolkit stores; those of the first frame hold the
/// start of the tracker.
std::optional<double> rate_of(const fs::path& stem) {
  std::ifstream stream(stem.string() + "_time.value");
  double seconds = 0;
  int64_t frames = 0;
  std::string line;
  std::getline(stream, line);
  for (; std::getline(stream, line); ++frames) {
    try {
      seconds += std::stod(line);
    } catch (const std::exception&) {
      return std::nullopt;  // a tracker need not tell them
    }
  }
  return seconds > 0 ? std::optional(static_cast<double>(frames) / seconds) : std::nullopt;
}

VotTrajectory read_result(const VotsSequence& sequence, const fs::path& stem) {
  VotTrajectory result = read_vot_trajectory(stem);
  if (std::ssize(result) != sequence.length) {
    throw MediaError(stem.string() + ": expected " + std::to_string(sequence.length) +
                     " regions, one a frame, found " + std::to_string(result.size()));
  }
  return result;
}

VotsSequenceScores score_sequence(const VotsSequence& sequence, const fs::path& root,
                                  const OnFault& on_fault) {
  const fs::path folder = vots_results_folder(root, sequence);
  std::vector<VotsObjectScores> objects;
  for (const VotsObject& object : sequence.objects) {
    VotTrajectory result;
    try {
      result = read_result(sequence, folder / sequence.result_stem(object));
    } catch (const MediaError& error) {
      if (!on_fault) throw;
      on_fault(std::string(error.what()) + "; counted as never reported");
      result.assign(static_cast<size_t>(sequence.length), VotSpecial{0});
    }
    objects.push_back(score_vots_object(sequence, object, result));
  }
  VotsSequenceScores scores = combine(sequence, std::move(objects));
  scores.frames_per_second = rate_of(folder / sequence.result_stem(sequence.objects.front()));
  return scores;
}

}  // namespace

fs::path vots_results_folder(const fs::path& folder, const VotsSequence& sequence) {
  const fs::path direct = folder / sequence.name;
  return fs::is_directory(direct) ? direct : folder / "baseline" / sequence.name;
}

VotsScores evaluate_vots_results(const std::vector<VotsSequence>& sequences, const fs::path& folder,
                                 const OnFault& on_fault) {
  check_results_folder(folder);
  std::vector<VotsSequenceScores> scores;
  for (const VotsSequence& sequence : sequences) scores.push_back(score_sequence(sequence, folder, on_fault));
  return combine(std::move(scores));
}

void write_vots_results(const fs::path& folder, const VotsSequence& sequence,
                        const std::vector<VotsObjectResult>& results) {
  const fs::path own = vots_results_folder(folder, sequence);
  for (size_t i = 0; i < results.size(); ++i) {
    const std::string stem = (own / sequence.result_stem(sequence.objects[i])).string();
    if (fs::exists(stem + ".txt")) {
      throw OutputError(stem + ".txt: expected no results as text, which would hide new ones, found some");
    }
    write_vot_values(stem + "_confidence.value", results[i].confidence);
    write_vot_values(stem + "_time.value", results[i].time);
    write_vot_trajectory(stem + ".bin", results[i].trajectory);
  }
}

bool has_vots_results(const fs::path& folder, const VotsSequence& sequence) {
  const fs::path own = vots_results_folder(folder, sequence);
  return std::ranges::all_of(sequence.objects, [&](const VotsObject& object) {
    try {
      read_result(sequence, own / sequence.result_stem(object));
      return true;
    } catch (const MediaError&) {
      return false;
    }
  });
}

}  // namespace hqtrack
