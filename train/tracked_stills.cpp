#include "train/tracked_stills.h"

#include <c10/util/Exception.h>

#include <opencv2/core.hpp>
#include <utility>

#include "core/weights/weights.h"
#include "tracker/tracker.h"
#include "train/as_mat.h"
#include "train/random.h"
#include "train/still_crop.h"
#include "train/wrong_mask.h"

namespace hqtrack {
namespace {

constexpr uint64_t kSeed = 0x7ac4;
constexpr int64_t kMostDraws = 64;  // of clips for one still

SyntheticClipOptions clip_options(const TrackedStillOptions& options) {
  SyntheticClipOptions clips;
  clips.seed = options.seed ^ kSeed;
  clips.height_px = 432;  // as videos are, so that small objects are cut out of few pixels
  clips.width_px = 768;
  clips.num_frames = 6;
  clips.max_objects = options.max_objects;
  clips.hard_share = 0.2;
  return clips;
}

/// Objects that can be asked about.
std::vector<int> followed_objects(const cv::Mat& labels, const cv::Mat& tracked, int64_t num_objects) {
  std::vector<int> followed;
  for (int object = 1; object <= num_objects; ++object) {
    const cv::Mat truth = labels == object;
    if (cv::countNonZero(truth) < kLeastObjectPixels) continue;
    if (iou_of(tracked == object, truth) >= kLeastIou) followed.push_back(object);
  }
  return followed;
}

}  // namespace

TrackedStills::TrackedStills(const Pictures& pictures, const TrackedStillOptions& options,
                             const TrackerConfig& tracker, c10::Device device)
    : clips_(pictures, clip_options(options)), options_(options), config_(tracker), device_(device) {
  give_back(take_tracker());
}

TrackedStills::~TrackedStills() = default;

std::unique_ptr<Tracker> TrackedStills::take_tracker() const {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      auto tracker = std::move(idle_.back());
      idle_.pop_back();
      return tracker;
    }
  }
  Vmos network(config_);
  load_weights(*network, config_.weights, kUnusedVmosWeights);
  network->to(device_);
  return std::make_unique<Tracker>(network, config_);
}

void TrackedStills::give_back(std::unique_ptr<Tracker> tracker) const {
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(tracker));
}

Still TrackedStills::example(int64_t number) const {
  Random random(options_.seed ^ kSeed, static_cast<uint64_t>(number));
  auto tracker = take_tracker();
  Still still;
  for (int64_t draw = 0; draw < kMostDraws && still.num_objects == 0; ++draw) {
    const Clip clip = clips_.example(number * kMostDraws + draw);
    const int64_t last = clip.images.size(0) - 1;
    tracker->start(clip.images[0], clip.labels[0]);
    at::Tensor tracked;
    for (int64_t i = 1; i <= last; ++i) tracked = tracker->track(clip.images[i]).label_mask;
    cv::Mat image = as_mat(clip.images[last]), labels = as_mat(clip.labels[last]), mask = as_mat(tracked);
    const std::vector<int> followed = followed_objects(labels, mask, clip.num_objects);
    if (followed.empty()) continue;
    if (random.chance(options_.zoom_share)) {
      const cv::Rect window =
          random_surroundings(box_of(mask, random.choose(followed)), image.size(), random);
      image = image(window);
      labels = labels(window);
      mask = mask(window);
    }
    if (followed_objects(labels, mask, clip.num_objects).empty()) continue;
    still = make_still(image, labels, clip.num_objects, options_.size_px, mask);
    // At the network's size they may be smaller.
    if (followed_objects(as_mat(still.labels), as_mat(still.tracked), clip.num_objects).empty()) still = {};
  }
  give_back(std::move(tracker));
  TORCH_CHECK(still.num_objects > 0, "tracked stills: the tracker lost every object of ", kMostDraws,
              " clips");
  return still;
}

}  // namespace hqtrack
