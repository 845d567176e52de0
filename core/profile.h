#pragma once

#include <c10/core/Device.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace hqtrack {

/// What is done with a frame, in order.
enum class Stage {
  kDecode,      // a frame of the video, as RGB
  kPreprocess,  // the tracker's network input
  kEncoder,     // with the projection to the width at stride 16
  kBlocks16x,   // propagation at stride 16
  kBlock8x,     // and at stride 8
  kFusion,      // of both scales
  kHead,        // logits, and the labels of all pixels
  kMemory,      // identity embedding, memory frames
  kBox,         // boxes and areas of the objects
  kSamEncode,   // the refiner's network input and its encoder
  kSamDecode,   // all prompts of a picture
  kSelect,      // between tracked and refined masks
  kOverlay,
  kEncode  // the overlay video
};
constexpr size_t kNumStages = 14;
/// "decode", "preprocess" ... "encode".
const char* to_string(Stage stage);

/// What a stage has cost.
struct StageCost {
  double seconds = 0;  // wall clock
  double flops = 0;    // counted by `count_flops`
};
using StageCosts = std::array<StageCost, kNumStages>;

/// Measures all stages, in all threads, while it lives: one at a time. Where nobody measures, a stage costs
/// one branch. On a GPU a stage ends when its kernels have; then it waits for them, and stages do not
/// overlap.
class Profile {
 public:
  /// device: that the networks are on.
  explicit Profile(c10::Device device);
  ~Profile();
  Profile(const Profile&) = delete;
  Profile& operator=(const Profile&) = delete;

  /// The costs since the last call.
  StageCosts take();

 private:
  friend class StageTimer;
  friend void count_flops(int64_t count);
  c10::Device device_;
  std::array<std::atomic<double>, kNumStages> seconds_{}, flops_{};
};

/// The calling thread works at this stage as long as the object lives. Not nested.
class StageTimer {
 public:
  explicit StageTimer(Stage stage);
  ~StageTimer();
  StageTimer(const StageTimer&) = delete;
  StageTimer& operator=(const StageTimer&) = delete;

 private:
  Profile* profile_;  // null: nobody measures
  int64_t start_ns_ = 0;
};

/// The stage at which a thread works, -1 for none: a thread that helps it works at the same.
int current_stage();
void set_current_stage(int stage);

/// Adds floating point operations to the stage of the calling thread: a multiplication and an addition are
/// two. Matrix products, convolutions, attentions and DCNv3 report theirs; norms, activations, softmax,
/// resizing, everything on uint8 and what costs one operation an element are not counted.
void count_flops(int64_t count);

/// What the calling thread counts while it lives, also where nobody measures. Not nested.
class FlopCount {
 public:
  FlopCount();
  ~FlopCount();
  FlopCount(const FlopCount&) = delete;
  FlopCount& operator=(const FlopCount&) = delete;

  int64_t flops() const { return flops_; }

 private:
  friend void count_flops(int64_t count);
  int64_t flops_ = 0;
};

}  // namespace hqtrack
