#include "eval/davis_evaluation.h"

#include <algorithm>
#include <chrono>
#include <numeric>

#include "core/error.h"
#include "core/label_mask.h"
#include "io/mask_reader.h"

namespace hqtrack {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kFrameDuration_us = 1'000'000 / 24;  // data sets of pictures have no clock

std::string size_text(const at::Tensor& mask) {
  return std::to_string(mask.size(1)) + "x" + std::to_string(mask.size(0));
}

void check_size(const fs::path& file, const at::Tensor& mask, const at::Tensor& expected) {
  if (mask.size(0) == expected.size(0) && mask.size(1) == expected.size(1)) return;
  throw MediaError(file.string() + ": expected " + size_text(expected) +
                   " pixels as the rest of the sequence, found " + size_text(mask));
}

std::string join(const std::vector<int64_t>& ids) {
  std::string text;
  for (const int64_t id : ids) text += (text.empty() ? "" : ", ") + std::to_string(id);
  return text;
}

fs::path mask_file(const fs::path& folder, const DavisSequence& sequence, size_t position) {
  return folder / sequence.name / (sequence.frames[position].image.stem().string() + ".png");
}

/// Collects the scores of one sequence, frame by frame.
class SequenceScorer {
 public:
  explicit SequenceScorer(const DavisSequence& sequence)
      : sequence_(sequence), first_mask_(read_annotation(sequence.frames.front().annotation)) {
    scores_.name = sequence.name;
    scores_.num_frames = static_cast<int64_t>(sequence.frames.size());
    for (const int64_t id : label_ids(first_mask_)) scores_.objects.push_back({.id = id, .j = {}, .f = {}});
    if (scores_.objects.empty()) {
      throw MediaError(sequence.frames.front().annotation.string() +
                       ": expected the objects to follow, found none");
    }
  }

  const at::Tensor& first_mask() const { return first_mask_; }

  /// scores: the tracker's own, by id; nothing where it gives none.
  void score(size_t position, const at::Tensor& result, const std::map<int64_t, double>& scores = {}) {
    const fs::path& file = sequence_.frames[position].annotation;
    const at::Tensor truth = read_annotation(file);
    check_size(file, truth, first_mask_);
    for (ObjectScores& object : scores_.objects) {
      const at::Tensor true_mask = truth.eq(object.id), mask = result.eq(object.id);
      object.j.push_back(region_similarity_j(true_mask, mask));
      object.f.push_back(contour_accuracy_f(true_mask, mask));
      const auto own = scores.find(object.id);
      object.score.push_back(own == scores.end() ? 0.0 : own->second);
      const bool is_absent = !true_mask.any().item<bool>(), is_said = !mask.any().item<bool>();
      object.lost += {.absent = is_absent, .said = is_said, .rightly_said = is_absent && is_said};
    }
  }

  SequenceScores scores() const { return scores_; }

 private:
  const DavisSequence& sequence_;
  at::Tensor first_mask_;
  SequenceScores scores_;
};

Frame read_frame(const DavisSequence& sequence, size_t position) {
  const auto index = static_cast<int64_t>(position);
  return {.index = index,
          .pts_us = index * kFrameDuration_us,
          .image = read_image(sequence.frames[position].image)};
}

SequenceScores track_sequence(const DavisSequence& sequence, SequenceTracker& tracker,
                              const fs::path& masks_folder) {
  SequenceScorer scorer(sequence);
  const auto save = [&](size_t position, const at::Tensor& mask) {
    if (!masks_folder.empty()) write_label_mask(mask_file(masks_folder, sequence, position), mask);
  };
  Frame first = read_frame(sequence, 0);
  check_size(sequence.frames.front().annotation, scorer.first_mask(), first.image);
  if (!masks_folder.empty()) fs::create_directories(masks_folder / sequence.name);
  tracker.start(std::move(first), scorer.first_mask());
  save(0, scorer.first_mask());

  const std::vector<size_t> scored = sequence.scored_frames();
  std::chrono::duration<double> tracking{0};
  for (size_t position = 1; position < sequence.frames.size(); ++position) {
    Frame frame = read_frame(sequence, position);
    check_size(sequence.frames[position].image, frame.image, scorer.first_mask());
    const auto begin = std::chrono::steady_clock::now();
    const SequenceTracker::Result result = tracker.track(std::move(frame));
    tracking += std::chrono::steady_clock::now() - begin;
    save(position, result.label_mask);
    if (!std::binary_search(scored.begin(), scored.end(), position)) continue;
    scorer.score(position, result.label_mask, result.scores);
  }
  SequenceScores scores = scorer.scores();
  if (tracking.count() > 0) scores.frames_per_second = (sequence.frames.size() - 1) / tracking.count();
  return scores;
}

SequenceScores score_results(const DavisSequence& sequence, const fs::path& results_folder) {
  SequenceScorer scorer(sequence);
  const std::vector<int64_t> objects = label_ids(scorer.first_mask());
  for (const size_t position : sequence.scored_frames()) {
    const fs::path file = mask_file(results_folder, sequence, position);
    if (!fs::exists(file))
      throw MediaError(file.string() + ": expected a mask for this frame, found no such file");
    const at::Tensor mask = read_annotation(file);
    check_size(file, mask, scorer.first_mask());
    for (const int64_t id : label_ids(mask)) {
      if (std::binary_search(objects.begin(), objects.end(), id)) continue;
      throw MediaError(file.string() + ": expected only the ids of the first annotation (" + join(objects) +
                       "), found id " + std::to_string(id));
    }
    scorer.score(position, mask);
  }
  return scorer.scores();
}

/// Runs `evaluate` for each sequence and reports it.
template <class Evaluate>
DavisScores evaluate_each(const std::vector<DavisSequence>& sequences, const OnSequence& on_sequence,
                          Evaluate evaluate) {
  DavisScores scores;
  for (const DavisSequence& sequence : sequences) {
    scores.sequences.push_back(evaluate(sequence));
    if (on_sequence) on_sequence(scores.sequences.back());
  }
  return scores;
}

/// Mean over all objects of the statistics of one of their two measures.
ScoreStatistics mean_statistics(const std::vector<SequenceScores>& sequences,
                                const std::vector<double> ObjectScores::*measure) {
  ScoreStatistics sum;
  double count = 0;
  for (const SequenceScores& sequence : sequences) {
    for (const ObjectScores& object : sequence.objects) {
      const ScoreStatistics statistics = score_statistics(object.*measure);
      sum.mean += statistics.mean;
      sum.recall += statistics.recall;
      sum.decay += statistics.decay;
      ++count;
    }
  }
  if (count == 0) return {};
  return {.mean = sum.mean / count, .recall = sum.recall / count, .decay = sum.decay / count};
}

}  // namespace

LostCounts& LostCounts::operator+=(const LostCounts& other) {
  absent += other.absent;
  said += other.said;
  rightly_said += other.rightly_said;
  return *this;
}

DavisMeans SequenceScores::means() const {
  DavisMeans sum;
  for (const ObjectScores& object : objects) {
    sum.j += object.means().j;
    sum.f += object.means().f;
  }
  const double count = std::max<double>(1, static_cast<double>(objects.size()));
  return {.j = sum.j / count, .f = sum.f / count};
}

ScoreStatistics DavisScores::j() const { return mean_statistics(sequences, &ObjectScores::j); }

ScoreStatistics DavisScores::f() const { return mean_statistics(sequences, &ObjectScores::f); }

int64_t DavisScores::num_objects() const {
  return std::accumulate(
      sequences.begin(), sequences.end(), int64_t{0},
      [](int64_t sum, const SequenceScores& s) { return sum + static_cast<int64_t>(s.objects.size()); });
}

LostCounts SequenceScores::lost() const {
  LostCounts sum;
  for (const ObjectScores& object : objects) sum += object.lost;
  return sum;
}

LostCounts DavisScores::lost() const {
  LostCounts sum;
  for (const SequenceScores& sequence : sequences) sum += sequence.lost();
  return sum;
}

namespace {

void add_to(std::vector<SequenceScores>& groups, const std::string& name, const SequenceScores& sequence) {
  auto group = std::ranges::find(groups, name, &SequenceScores::name);
  if (group == groups.end()) group = groups.insert(groups.end(), {.name = name, .objects = {}});
  group->num_frames += sequence.num_frames;
  group->objects.insert(group->objects.end(), sequence.objects.begin(), sequence.objects.end());
}

}  // namespace

std::vector<SequenceScores> DavisScores::by_kind() const {
  std::vector<SequenceScores> kinds;
  for (const SequenceScores& sequence : sequences) {
    const size_t dash = sequence.name.rfind('-');
    const bool is_numbered = dash != std::string::npos && dash + 1 < sequence.name.size() &&
                             sequence.name.find_first_not_of("0123456789", dash + 1) == std::string::npos;
    add_to(kinds, is_numbered ? sequence.name.substr(0, dash) : sequence.name, sequence);
  }
  return kinds;
}

std::vector<SequenceScores> DavisScores::by_attribute(const DavisAttributes& attributes) const {
  std::vector<SequenceScores> groups;
  for (const SequenceScores& sequence : sequences) {
    const auto found = attributes.find(sequence.name);
    if (found == attributes.end()) continue;
    for (const std::string& attribute : found->second) add_to(groups, attribute, sequence);
  }
  std::ranges::sort(groups, {}, &SequenceScores::name);
  return groups;
}

std::optional<double> DavisScores::frames_per_second() const {
  double frames = 0, seconds = 0;
  for (const SequenceScores& sequence : sequences) {
    if (!sequence.frames_per_second) continue;
    const auto tracked = static_cast<double>(sequence.num_frames - 1);
    frames += tracked;
    seconds += tracked / *sequence.frames_per_second;
  }
  return seconds > 0 ? std::optional(frames / seconds) : std::nullopt;
}

DavisScores evaluate_tracker(const std::vector<DavisSequence>& sequences, SequenceTracker& tracker,
                             const fs::path& masks_folder, const OnSequence& on_sequence) {
  return evaluate_each(sequences, on_sequence, [&](const DavisSequence& sequence) {
    return track_sequence(sequence, tracker, masks_folder);
  });
}

DavisScores evaluate_results(const std::vector<DavisSequence>& sequences, const fs::path& results_folder,
                             const OnSequence& on_sequence) {
  return evaluate_each(sequences, on_sequence, [&](const DavisSequence& sequence) {
    return score_results(sequence, results_folder);
  });
}

}  // namespace hqtrack
