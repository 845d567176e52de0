#pragma once

#include <memory>
#include <string>
#include <vector>

#include "eval/sequence_tracker.h"
#include "pipeline/hqtrack.h"

namespace hqtrack {

/// HqTrack as an evaluation drives it, refiner included where the configuration asks for it. An object that
/// cannot be followed (a mask without pixels, a box in which the refiner finds nothing) is said in the log
/// and never found.
class HqTrackSequenceTracker : public SequenceTracker {
 public:
  HqTrackSequenceTracker(const Config& config, const std::string& device) : hqtrack_(config, device) {}
  explicit HqTrackSequenceTracker(std::shared_ptr<Networks> networks) : hqtrack_(std::move(networks)) {}

  Result start(const std::filesystem::path& picture, Frame frame,
               std::span<const ObjectPrompt> prompts) override;
  Result track(Frame frame) override;
  Result add(const std::filesystem::path& picture, std::span<const ObjectPrompt> prompts) override;

 private:
  HqTrack hqtrack_;
};

}  // namespace hqtrack
