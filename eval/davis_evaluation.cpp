#include "eval/davis_evaluation.h"

#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <numeric>
#include <thread>

#include "core/error.h"
#include "core/label_mask.h"
#include "core/prompt.h"
#include "eval/parallel.h"
#include "io/mask_reader.h"

namespace hqtrack {
namespace fs = std::filesystem;
namespace {

constexpr double kNothing = std::numeric_limits<double>::quiet_NaN();
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
    if (label_ids(enter(0)).empty()) {
      throw MediaError(sequence.frames.front().annotation.string() +
                       ": expected the objects to follow, found none");
    }
  }

  const at::Tensor& first_mask() const { return first_mask_; }

  /// The true masks of the objects that enter in a frame, without those that are known.
  at::Tensor enter(size_t position) {
    const bool may_enter = position == 0 || sequence_.rules == VosRules::kYoutubeVos;
    if (!may_enter || sequence_.frames[position].annotation.empty()) return at::zeros_like(first_mask_);
    at::Tensor truth = position == 0 ? first_mask_.clone() : read_truth(position);
    for (const int64_t id : label_ids(truth)) {
      if (is_known(id)) {
        truth.masked_fill_(truth.eq(id), 0);
      } else {
        scores_.objects.push_back({.id = id, .first_frame = position, .j = {}, .f = {}});
      }
    }
    return truth;
  }

  /// Ids that a result of this frame may hold.
  bool is_known(int64_t id) const {
    return std::ranges::find(scores_.objects, id, &ObjectScores::id) != scores_.objects.end();
  }
  std::vector<int64_t> ids() const {
    std::vector<int64_t> ids;
    for (const ObjectScores& object : scores_.objects) ids.push_back(object.id);
    return ids;
  }

  /// What was made of the boxes of objects that enter in this frame.
  void score_start(const at::Tensor& truth, const at::Tensor& result) {
    for (const int64_t id : label_ids(truth)) {
      const auto object = std::ranges::find(scores_.objects, id, &ObjectScores::id);
      object->first_mask_j = region_similarity_j(truth.eq(id), result.eq(id));
    }
  }

  /// scores: the tracker's own, by id; nothing where it gives none.
  void score(size_t position, const at::Tensor& result, const std::map<int64_t, double>& scores = {}) {
    const at::Tensor truth = read_truth(position);
    scores_.num_pixels += truth.numel();
    scores_.num_right_pixels += truth.eq(result).sum().item<int64_t>();
    for (ObjectScores& object : scores_.objects) {
      if (position <= object.first_frame) continue;
      const at::Tensor true_mask = truth.eq(object.id), mask = result.eq(object.id);
      object.frames.push_back(position);
      object.j.push_back(region_similarity_j(true_mask, mask));
      object.f.push_back(contour_accuracy_f(true_mask, mask));
      object.boundary_iou.push_back(boundary_iou(true_mask, mask));
      const auto own = scores.find(object.id);
      object.score.push_back(own == scores.end() ? 0.0 : own->second);
      const bool is_absent = !true_mask.any().item<bool>(), is_said = !mask.any().item<bool>();
      object.lost += {.absent = is_absent, .said = is_said, .rightly_said = is_absent && is_said};
      keep_if_bad(
          {.position = position, .id = object.id, .j = object.j.back(), .truth = truth, .result = result});
    }
  }

  SequenceScores scores() const { return scores_; }

 private:
  at::Tensor read_truth(size_t position) const {
    const fs::path& file = sequence_.frames[position].annotation;
    const at::Tensor truth = read_annotation(file);
    check_size(file, truth, first_mask_);
    return truth;
  }

  /// Frames that follow each other say the same: of those the worst is kept.
  void keep_if_bad(WorstFrame frame) {
    constexpr size_t kMost = 4, kApart = 8;
    std::vector<WorstFrame>& worst = scores_.worst;
    const auto near = std::ranges::find_if(worst, [&](const WorstFrame& other) {
      return other.id == frame.id && frame.position - other.position < kApart;
    });
    if (near != worst.end()) {
      if (frame.j < near->j) *near = std::move(frame);
    } else {
      worst.push_back(std::move(frame));
    }
    std::ranges::stable_sort(worst, {}, &WorstFrame::j);
    if (worst.size() > kMost) worst.pop_back();
  }

  const DavisSequence& sequence_;
  at::Tensor first_mask_;
  SequenceScores scores_;
};

/// Prompts of boxes alone, the outer boxes of masks.
std::vector<ObjectPrompt> box_prompts(const at::Tensor& label_mask) {
  const std::array<Region, 256> regions = label_regions(label_mask);
  std::vector<ObjectPrompt> prompts;
  for (const int64_t id : label_ids(label_mask)) {
    const Box& box = regions[static_cast<size_t>(id)].box;
    ObjectPrompt& prompt = prompts.emplace_back();
    prompt.id = id;
    prompt.box = {static_cast<double>(box.x0), static_cast<double>(box.y0), static_cast<double>(box.x1),
                  static_cast<double>(box.y1)};
  }
  return prompts;
}

Frame read_frame(const DavisSequence& sequence, size_t position) {
  const auto index = static_cast<int64_t>(position);
  return {.index = index,
          .pts_us = index * kFrameDuration_us,
          .image = read_image(sequence.frames[position].image)};
}

SequenceScores track_sequence(const DavisSequence& sequence, SequenceTracker& tracker,
                              const EvaluationOptions& options) {
  SequenceScorer scorer(sequence);
  const fs::path& folder = options.masks_folder;
  const auto save = [&](size_t position, const at::Tensor& mask) {
    if (!folder.empty()) write_label_mask(mask_file(folder, sequence, position), mask);
  };
  const auto prompts = [&](const at::Tensor& mask) {
    return options.from_boxes ? box_prompts(mask) : mask_prompts(mask);
  };
  Frame first = read_frame(sequence, 0);
  check_size(sequence.frames.front().annotation, scorer.first_mask(), first.image);
  if (!folder.empty()) fs::create_directories(folder / sequence.name);
  const SequenceTracker::Result started =
      tracker.start(sequence.frames.front().image, std::move(first), prompts(scorer.first_mask()));
  if (options.from_boxes) scorer.score_start(scorer.first_mask(), started.label_mask);
  save(0, options.from_boxes ? started.label_mask : scorer.first_mask());

  const std::vector<size_t> scored = sequence.scored_frames();
  std::chrono::duration<double> tracking{0};
  for (size_t position = 1; position < sequence.frames.size(); ++position) {
    if (options.stop.stop_requested()) throw Interrupted();
    Frame frame = read_frame(sequence, position);
    check_size(sequence.frames[position].image, frame.image, scorer.first_mask());
    const auto begin = std::chrono::steady_clock::now();
    SequenceTracker::Result result = tracker.track(std::move(frame));
    tracking += std::chrono::steady_clock::now() - begin;
    if (const at::Tensor entering = scorer.enter(position); entering.any().item<bool>()) {
      result = tracker.add(sequence.frames[position].image, prompts(entering));
      if (options.from_boxes) scorer.score_start(entering, result.label_mask);
    }
    save(position, result.label_mask);
    if (!std::ranges::binary_search(scored, position)) continue;
    scorer.score(position, result.label_mask, result.scores);
  }
  SequenceScores scores = scorer.scores();
  if (tracking.count() > 0) {
    scores.frames_per_second = static_cast<double>(sequence.frames.size() - 1) / tracking.count();
  }
  return scores;
}

/// Reads a mask of a tracker; throws MediaError for one that cannot be scored.
at::Tensor read_result(const fs::path& file, const SequenceScorer& scorer) {
  if (!fs::exists(file)) {
    throw MediaError(file.string() + ": expected a mask for this frame, found no such file");
  }
  at::Tensor mask = read_annotation(file);
  check_size(file, mask, scorer.first_mask());
  return mask;
}

void check_ids(const fs::path& file, const at::Tensor& mask, const SequenceScorer& scorer) {
  for (const int64_t id : label_ids(mask)) {
    if (scorer.is_known(id)) continue;
    throw MediaError(file.string() + ": expected only the ids of the annotated objects (" +
                     join(scorer.ids()) + "), found id " + std::to_string(id));
  }
}

SequenceScores score_results(const DavisSequence& sequence, const fs::path& results_folder,
                             const EvaluationOptions& options) {
  SequenceScorer scorer(sequence);
  const std::vector<size_t> scored = sequence.scored_frames();
  for (size_t position = 1; position < sequence.frames.size(); ++position) {
    if (options.stop.stop_requested()) throw Interrupted();
    scorer.enter(position);
    if (!std::ranges::binary_search(scored, position)) continue;
    const fs::path file = mask_file(results_folder, sequence, position);
    at::Tensor mask = at::zeros_like(scorer.first_mask());
    try {
      mask = read_result(file, scorer);
      check_ids(file, mask, scorer);
    } catch (const MediaError& error) {
      if (!options.on_fault) throw;
      options.on_fault(std::string(error.what()) + "; counted as empty");
    }
    scorer.score(position, mask);
  }
  return scorer.scores();
}

/// Runs `evaluate` for each sequence and reports it.
template <class Evaluate>
DavisScores evaluate_each(const std::vector<DavisSequence>& sequences, size_t num_workers,
                          const EvaluationOptions& options, Evaluate evaluate) {
  DavisScores scores;
  scores.sequences.resize(sequences.size());
  for_each_item(
      sequences.size(), num_workers,
      [&](size_t item, size_t worker) { scores.sequences[item] = evaluate(sequences[item], worker); },
      [&](size_t item) {
        if (options.on_sequence) options.on_sequence(scores.sequences[item]);
      });
  return scores;
}

/// Mean over all objects of the statistics of one of their two measures.
ScoreStatistics mean_statistics(const std::vector<SequenceScores>& sequences,
                                const std::vector<double> ObjectScores::*measure) {
  ScoreStatistics sum;
  double count = 0;
  for (const SequenceScores& sequence : sequences) {
    for (const ObjectScores& object : sequence.objects) {
      if ((object.*measure).empty()) continue;
      const ScoreStatistics statistics = score_statistics(object.*measure);
      sum.mean += statistics.mean;
      sum.recall += statistics.recall;
      sum.decay += statistics.decay;
      ++count;
    }
  }
  if (count == 0) return {.mean = kNothing, .recall = kNothing, .decay = kNothing};
  return {.mean = sum.mean / count, .recall = sum.recall / count, .decay = sum.decay / count};
}

}  // namespace

LostCounts& LostCounts::operator+=(const LostCounts& other) {
  absent += other.absent;
  said += other.said;
  rightly_said += other.rightly_said;
  return *this;
}

std::optional<DavisMeans> ObjectScores::means() const {
  if (j.empty()) return std::nullopt;
  return DavisMeans{score_statistics(j).mean, score_statistics(f).mean};
}

std::optional<double> ObjectScores::mean_boundary_iou() const {
  double sum = 0, count = 0;
  for (const auto& value : boundary_iou) {
    if (!value) continue;
    sum += *value;
    ++count;
  }
  return count > 0 ? std::optional(sum / count) : std::nullopt;
}

DavisMeans SequenceScores::means() const {
  DavisMeans sum;
  double count = 0;
  for (const ObjectScores& object : objects) {
    const auto means = object.means();
    if (!means) continue;
    sum.j += means->j;
    sum.f += means->f;
    ++count;
  }
  return count > 0 ? DavisMeans{.j = sum.j / count, .f = sum.f / count} : DavisMeans{kNothing, kNothing};
}

std::optional<double> SequenceScores::boundary_iou() const {
  double sum = 0, count = 0;
  for (const ObjectScores& object : objects) {
    const auto mean = object.mean_boundary_iou();
    sum += mean.value_or(0.0);
    count += mean.has_value();
  }
  return count > 0 ? std::optional(sum / count) : std::nullopt;
}

std::optional<double> DavisScores::boundary_iou() const {
  SequenceScores all;
  for (const SequenceScores& sequence : sequences) {
    all.objects.insert(all.objects.end(), sequence.objects.begin(), sequence.objects.end());
  }
  return all.boundary_iou();
}

std::optional<double> DavisScores::first_mask_j() const {
  double sum = 0, count = 0;
  for (const SequenceScores& sequence : sequences) {
    for (const ObjectScores& object : sequence.objects) {
      sum += object.first_mask_j.value_or(0.0);
      count += object.first_mask_j.has_value();
    }
  }
  return count > 0 ? std::optional(sum / count) : std::nullopt;
}

ScoreStatistics DavisScores::j() const { return mean_statistics(sequences, &ObjectScores::j); }

ScoreStatistics DavisScores::f() const { return mean_statistics(sequences, &ObjectScores::f); }

double DavisScores::pixel_accuracy() const {
  int64_t pixels = 0, right = 0;
  for (const SequenceScores& sequence : sequences) {
    pixels += sequence.num_pixels;
    right += sequence.num_right_pixels;
  }
  return pixels == 0 ? 1.0 : static_cast<double>(right) / static_cast<double>(pixels);
}

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

DavisScores evaluate_trackers(const std::vector<DavisSequence>& sequences,
                              const std::vector<std::unique_ptr<SequenceTracker>>& trackers,
                              const EvaluationOptions& options) {
  return evaluate_each(sequences, trackers.size(), options,
                       [&](const DavisSequence& sequence, size_t worker) {
                         return track_sequence(sequence, *trackers[worker], options);
                       });
}

DavisScores evaluate_results(const std::vector<DavisSequence>& sequences, const fs::path& results_folder,
                             const EvaluationOptions& options) {
  const size_t num_workers = std::max(1U, std::thread::hardware_concurrency());
  return evaluate_each(sequences, num_workers, options,
                       [&](const DavisSequence& sequence, size_t /*worker*/) {
                         return score_results(sequence, results_folder, options);
                       });
}

}  // namespace hqtrack
