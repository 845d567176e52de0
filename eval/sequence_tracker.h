#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>

#include "core/frame.h"
#include "core/prompt.h"

namespace hqtrack {

/// What is evaluated: sees pictures and how objects are first shown, never another annotation.
class SequenceTracker {
 public:
  struct Result {
    at::Tensor label_mask;             // uint8 [H, W], values = ids
    std::map<int64_t, double> scores;  // by id, of the objects with a mask: how sure the tracker is of it
  };

  virtual ~SequenceTracker() = default;
  /// Forgets everything and starts with this frame and these objects. picture: where the frame was read, for
  /// messages.
  virtual Result start(const std::filesystem::path& picture, Frame frame,
                       std::span<const ObjectPrompt> prompts) = 0;
  virtual Result track(Frame frame) = 0;
  /// Further objects, in the frame given last.
  virtual Result add(const std::filesystem::path& picture, std::span<const ObjectPrompt> prompts) = 0;
};

}  // namespace hqtrack
