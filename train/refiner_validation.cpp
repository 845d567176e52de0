#include "train/refiner_validation.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <opencv2/core.hpp>

#include "core/error.h"
#include "refiner/box_prompts.h"
#include "refiner/hq_sam_weights.h"
#include "train/random.h"
#include "train/refiner_questions.h"
#include "train/still_crop.h"
#include "train/wrong_mask.h"

namespace hqtrack {
namespace {

constexpr uint64_t kSeed = 0x7a11d;
constexpr double kBoxJitter = 0.02;  // people are about as exact

cv::Mat map_of(const at::Tensor& labels) {
  return {static_cast<int>(labels.size(0)), static_cast<int>(labels.size(1)), CV_8UC1, labels.data_ptr()};
}

double iou(const at::Tensor& found, const at::Tensor& truth) {
  const auto either = found.logical_or(truth).sum().item<double>();
  return either > 0 ? found.logical_and(truth).sum().item<double>() / either : 1.0;
}

/// The object that shows most; 0 when none shows enough.
int largest_object(const Still& still) {
  const cv::Mat labels = map_of(still.labels);
  int largest = 0, most = kLeastObjectPixels - 1;
  for (int object = 1; object <= still.num_objects; ++object) {
    const int pixels = cv::countNonZero(labels == object);
    if (pixels > most) {
      most = pixels;
      largest = object;
    }
  }
  return largest;
}

}  // namespace

RefinerValidation::RefinerValidation(const Config& config, c10::Device device)
    : config_(config.refiner), device_(device) {}

void RefinerValidation::add(const std::string& name, const StillSource& stills, int64_t count) {
  Group group{name, {}};
  for (int64_t number = 0; number < count; ++number) {
    const Still still = stills.example(number);
    const int object = largest_object(still);
    if (object > 0) group.questions.push_back(make_question(still, object, number));
  }
  if (group.questions.empty()) throw MediaError(name + ": expected pictures that show an object, found none");
  groups_.push_back(std::move(group));
}

RefinerValidation::Question RefinerValidation::make_question(const Still& still, int object, int64_t number) {
  Random random(kSeed, static_cast<uint64_t>(number));
  const cv::Mat labels = map_of(still.labels);
  Question question{still.image, still.labels.eq(object), {}, {}, {}};
  const std::vector<float> box = random_box(labels, object, kBoxJitter, random);
  question.box = at::tensor(box).to(at::kDouble).unsqueeze(0);
  const cv::Point point = random_point_on(labels, object, random);
  question.point =
      at::tensor({static_cast<double>(point.x), static_cast<double>(point.y)}, at::kDouble).view({1, 1, 2});
  const cv::Mat mask = wrong_mask(labels, object, random);
  question.wrong_mask =
      at::from_blob(mask.data, still.labels.sizes(), at::kByte).ne(0).to(at::kByte).contiguous();
  return question;
}

std::vector<std::string> RefinerValidation::score_names() const {
  std::vector<std::string> names;
  for (const Group& group : groups_) {
    for (const char* kind : {"_box", "_point", "_mask"}) names.push_back(group.name + kind);
  }
  return names;
}

double RefinerValidation::iou_by_box(Refiner& refiner, const Question& question) const {
  if (config_.mode == "frame") {
    const Prediction prediction = refiner.predict(refiner.encode(question.image), {.boxes = question.box});
    return iou(prediction.logits[0].gt(0).cpu(), question.truth);
  }
  const double* const corners = question.box.const_data_ptr<double>();
  const Box crop = crop_around({corners[0], corners[1], corners[2], corners[3]},
                               {question.image.size(0), question.image.size(1)}, config_);
  const auto cropped = [&](const at::Tensor& picture) {
    return picture.slice(0, crop.y0, crop.y1).slice(1, crop.x0, crop.x1);
  };
  const auto x0 = static_cast<double>(crop.x0), y0 = static_cast<double>(crop.y0);
  const Prediction prediction =
      refiner.predict(refiner.encode(cropped(question.image).contiguous()),
                      {.boxes = question.box - at::tensor({x0, y0, x0, y0}, at::kDouble)});
  at::Tensor found = at::zeros(question.truth.sizes(), at::kBool);
  cropped(found).copy_(prediction.logits[0].gt(0));
  return iou(found, question.truth);
}

std::vector<double> RefinerValidation::measure(const std::filesystem::path& weights) const {
  const c10::InferenceMode guard;
  HqSam network(config_);
  load_hq_sam_weights(network, weights);
  network->to(device_);
  RefinerConfig config = config_;
  config.min_area_px = 1;
  Refiner refiner(network, config);
  std::vector<double> scores;
  for (const Group& group : groups_) {
    double box = 0, point = 0, mask = 0;
    for (const Question& question : group.questions) {
      box += iou_by_box(refiner, question);
      const Prompts on_object{.points = question.point, .labels = at::ones({1, 1}, at::kLong)};
      const Prediction prediction = refiner.predict(refiner.encode(question.image), on_object);
      point += iou(prediction.logits[0].gt(0).cpu(), question.truth);
      const auto proposals = refiner.refine(question.image, question.wrong_mask);
      mask += iou(proposals.front().logits.gt(0).cpu(), question.truth);
    }
    const double count = static_cast<double>(group.questions.size());
    scores.insert(scores.end(), {box / count, point / count, mask / count});
  }
  return scores;
}

}  // namespace hqtrack
