#include "core/profile.h"

#include <c10/core/Stream.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <c10/util/Exception.h>

#include <chrono>

namespace hqtrack {
namespace {

std::atomic<Profile*> active_profile = nullptr;
thread_local int stage_of_thread = -1;
thread_local FlopCount* count_of_thread = nullptr;

int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void wait_for(c10::Device device) {
  if (!device.is_cpu()) c10::impl::VirtualGuardImpl(device.type()).getStream(device).synchronize();
}

}  // namespace

const char* to_string(Stage stage) {
  constexpr std::array<const char*, kNumStages> kNames = {
      "decode", "preprocess", "encoder",    "16x blocks", "8x block", "fusion",  "head",
      "memory", "box",        "SAM encode", "SAM decode", "select",   "overlay", "encode"};
  return kNames[static_cast<size_t>(stage)];
}

Profile::Profile(c10::Device device) : device_(device) {
  Profile* none = nullptr;
  TORCH_CHECK(active_profile.compare_exchange_strong(none, this),
              "profile: expected one at a time, found two");
}

Profile::~Profile() { active_profile = nullptr; }

StageCosts Profile::take() {
  StageCosts costs;
  for (size_t i = 0; i < kNumStages; ++i) {
    costs[i] = {.seconds = seconds_[i].exchange(0), .flops = flops_[i].exchange(0)};
  }
  return costs;
}

StageTimer::StageTimer(Stage stage) : profile_(active_profile.load(std::memory_order_relaxed)) {
  if (!profile_) return;
  wait_for(profile_->device_);
  stage_of_thread = static_cast<int>(stage);
  start_ns_ = now_ns();
}

StageTimer::~StageTimer() {
  if (!profile_) return;
  wait_for(profile_->device_);
  profile_->seconds_[stage_of_thread] += static_cast<double>(now_ns() - start_ns_) * 1e-9;
  stage_of_thread = -1;
}

int current_stage() { return stage_of_thread; }
void set_current_stage(int stage) { stage_of_thread = stage; }

FlopCount::FlopCount() {
  TORCH_CHECK(!count_of_thread, "flop count: expected one at a time, found two");
  count_of_thread = this;
}

FlopCount::~FlopCount() { count_of_thread = nullptr; }

void count_flops(int64_t count) {
  if (count_of_thread) count_of_thread->flops_ += count;
  Profile* const profile = active_profile.load(std::memory_order_relaxed);
  if (profile && stage_of_thread >= 0) profile->flops_[stage_of_thread] += static_cast<double>(count);
}

}  // namespace hqtrack
