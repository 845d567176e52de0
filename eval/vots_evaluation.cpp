#include "eval/vots_evaluation.h"

#include <chrono>
#include <cstdio>

#include "core/error.h"
#include "eval/parallel.h"
#include "eval/vots_results.h"

namespace hqtrack {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kUnknown = 0, kInitialisation = 1;  // codes of results

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6f", value);
  return text;
}

std::vector<VotsObjectResult> track_sequence(const VotsSequence& sequence, SequenceTracker& tracker,
                                             const std::stop_token& stop) {
  VotsTracker objects(tracker, VotsTracker::Kind::kMask);
  std::vector<VotsObjectResult> results(sequence.objects.size());
  for (int64_t frame = 0; frame < sequence.length; ++frame) {
    if (stop.stop_requested()) throw Interrupted();
    std::vector<VotRegion> entering;
    for (const VotsObject& object : sequence.objects) {
      if (object.first_frame() == static_cast<size_t>(frame)) entering.push_back(object.truth[frame]);
    }
    const auto begin = std::chrono::steady_clock::now();
    const std::vector<VotsAnswer> answers = objects.track(sequence.picture(frame), entering);
    const std::chrono::duration<double> time = std::chrono::steady_clock::now() - begin;
    for (size_t i = 0; i < results.size(); ++i) {
      const bool is_known = i < answers.size();
      results[i].trajectory.push_back(frame == 0 ? VotRegion(VotSpecial{kInitialisation})
                                      : is_known ? answers[i].region
                                                 : VotRegion(VotSpecial{kUnknown}));
      results[i].confidence.push_back(is_known ? number(answers[i].confidence) : "");
      results[i].time.push_back(number(time.count()));
    }
  }
  return results;
}

}  // namespace

void run_vots_dataset(const std::vector<VotsSequence>& sequences,
                      const std::vector<std::unique_ptr<SequenceTracker>>& trackers, const fs::path& folder,
                      const OnVotsSequence& on_sequence, const std::stop_token& stop) {
  std::vector<char> was_there(sequences.size(), 0);
  for_each_item(
      sequences.size(), trackers.size(),
      [&](size_t item, size_t worker) {
        const VotsSequence& sequence = sequences[item];
        was_there[item] = has_vots_results(folder, sequence);
        if (was_there[item]) return;
        write_vots_results(folder, sequence, track_sequence(sequence, *trackers[worker], stop));
      },
      [&](size_t item) {
        if (on_sequence) on_sequence(sequences[item], was_there[item] != 0);
      });
}

}  // namespace hqtrack
