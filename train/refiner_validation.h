#pragma once

#include <c10/core/Device.h>

#include <filesystem>
#include <string>
#include <vector>

#include "core/config.h"
#include "refiner/refiner.h"
#include "train/still.h"

namespace hqtrack {

/// Measures the refiner as it is used: mean IoU, at the size of the pictures, of what it makes of a box, of a
/// point and of a wrong mask of one object a picture. In crop mode box and mask are asked about in a crop.
class RefinerValidation {
 public:
  RefinerValidation(const Config& config, c10::Device device);

  /// Takes the first `count` stills; boxes, points and masks are drawn from fixed seeds. Scores are named
  /// `name`_box, `name`_point and `name`_mask. Stills that show no object are passed over.
  void add(const std::string& name, const StillSource& stills, int64_t count);

  bool is_empty() const { return groups_.empty(); }
  std::vector<std::string> score_names() const;
  /// In the order of the names. Throws WeightsError for weights of another network.
  std::vector<double> measure(const std::filesystem::path& weights) const;

 private:
  struct Question {
    at::Tensor image, truth;  // uint8 [H, W, 3], bool [H, W]
    at::Tensor box, point;    // double [1, 4], [1, 1, 2]
    at::Tensor wrong_mask;    // uint8 [H, W], 1 = object
  };
  struct Group {
    std::string name;
    std::vector<Question> questions;
  };
  static Question make_question(const Still& still, int object, int64_t number);
  double iou_by_box(Refiner& refiner, const Question& question) const;

  RefinerConfig config_;
  c10::Device device_;
  std::vector<Group> groups_;
};

}  // namespace hqtrack
