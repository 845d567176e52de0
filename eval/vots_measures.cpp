#include "eval/vots_measures.h"

#include <c10/util/Exception.h>

#include <algorithm>
#include <functional>

namespace hqtrack {
namespace {

constexpr int64_t kInitialisation = 1, kFailure = 2;  // codes of results
constexpr int64_t kFewAbsentFrames = 10;

bool has_code(const VotRegion& region, int64_t code) {
  const auto* special = std::get_if<VotSpecial>(&region);
  return special && special->code == code;
}

/// Sums up what is defined.
class Mean {
 public:
  void add(const std::optional<double>& value) {
    if (!value) return;
    sum_ += *value;
    ++count_;
  }
  double or_zero() const { return value().value_or(0.0); }
  std::optional<double> value() const {
    return count_ > 0 ? std::optional(sum_ / static_cast<double>(count_)) : std::nullopt;
  }

 private:
  double sum_ = 0;
  int64_t count_ = 0;
};

SuccessCurve success_curve(const std::vector<double>& overlaps) {
  SuccessCurve curve{};
  for (size_t k = 0; k < curve.size(); ++k) {
    const bool is_last = k + 1 == curve.size();
    const double threshold = static_cast<double>(k) / static_cast<double>(curve.size() - 1);
    const auto above = std::ranges::count_if(
        overlaps, [&](double value) { return is_last ? value >= 1.0 : value > threshold; });
    curve[k] = static_cast<double>(above) / static_cast<double>(overlaps.size());
  }
  return curve;
}

/// Means over parts of the same kind.
template <class Part>
VotsMeasures mean_of(const std::vector<Part>& parts) {
  const auto mean = [&](const std::function<std::optional<double>(const VotsMeasures&)>& value) {
    Mean mean;
    for (const Part& part : parts) mean.add(value(part.measures));
    return mean;
  };
  VotsMeasures measures{.quality = mean(&VotsMeasures::quality).or_zero(),
                        .accuracy = mean(&VotsMeasures::accuracy).or_zero(),
                        .robustness = mean(&VotsMeasures::robustness).value(),
                        .nre = mean(&VotsMeasures::nre).value(),
                        .dre = mean(&VotsMeasures::dre).value(),
                        .adq = mean(&VotsMeasures::adq).value(),
                        .success = {}};
  SuccessCurve success{};
  for (size_t k = 0; k < success.size(); ++k) {
    const auto at_k = [&](const VotsMeasures& part) {
      return part.success ? std::optional((*part.success)[k]) : std::nullopt;
    };
    const auto value = mean(at_k).value();
    if (!value) return measures;
    success[k] = *value;
  }
  measures.success = success;
  return measures;
}

}  // namespace

VotsObjectScores score_vots_object(const VotsSequence& sequence, const VotsObject& object,
                                   const VotTrajectory& result) {
  TORCH_CHECK(result.size() == object.truth.size(), "score_vots_object: expected ", object.truth.size(),
              " regions, found ", result.size());
  VotsObjectScores scores{.id = object.id, .measures = {}, .overlaps = {}};
  std::vector<double> of_quality;
  Mean accuracy;
  for (size_t frame = 0; frame < result.size(); ++frame) {
    const VotRegion &truth = object.truth[frame], &found = result[frame];
    if (has_code(truth, 0)) {
      scores.overlaps.emplace_back();
      continue;
    }
    const double value = overlap(found, truth, std::pair(sequence.width, sequence.height),
                                 sequence.ignore.empty() ? VotSpecial{} : sequence.ignore[frame]);
    scores.overlaps.emplace_back(value);
    if (!has_code(found, kFailure)) of_quality.push_back(value);
    if (is_empty(truth)) {
      ++(is_empty(found) ? scores.noticed : scores.hallucinated);
      continue;
    }
    ++(value > 0 ? scores.tracked : is_empty(found) ? scores.missed : scores.failed);
    if (value > 0 || has_code(found, kInitialisation)) accuracy.add(value);
  }
  VotsMeasures& measures = scores.measures;
  Mean quality;
  for (const double value : of_quality) quality.add(value);
  measures.quality = quality.or_zero();
  measures.accuracy = accuracy.or_zero();
  if (!of_quality.empty()) measures.success = success_curve(of_quality);
  const auto shown = static_cast<double>(scores.tracked + scores.failed + scores.missed);
  if (shown > 0) {
    measures.robustness = static_cast<double>(scores.tracked) / shown;
    measures.nre = static_cast<double>(scores.missed) / shown;
    measures.dre = static_cast<double>(scores.failed) / shown;
  }
  const int64_t absent = scores.noticed + scores.hallucinated;
  if (absent > kFewAbsentFrames) {
    measures.adq = static_cast<double>(scores.noticed) / static_cast<double>(absent);
  }
  return scores;
}

VotsSequenceScores combine(const VotsSequence& sequence, std::vector<VotsObjectScores> objects) {
  VotsMeasures measures = mean_of(objects);
  return {
      .name = sequence.name, .length = sequence.length, .measures = measures, .objects = std::move(objects)};
}

VotsScores combine(std::vector<VotsSequenceScores> sequences) {
  VotsMeasures measures = mean_of(sequences);
  return {.measures = measures, .sequences = std::move(sequences)};
}

}  // namespace hqtrack
