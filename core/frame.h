#pragma once

#include <ATen/core/Tensor.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/prompt.h"

namespace hqtrack {

/// One picture of a video.
struct Frame {
  int64_t index = 0;   // 0, 1, 2 ... in display order; of a live source as received, with gaps where it drops
  int64_t pts_us = 0;  // presentation time of the source in microseconds
  at::Tensor image;    // uint8 RGB [H, W, 3], contiguous, on the CPU
  at::Tensor on_gpu = {};  // the same picture on the GPU that decoded it; undefined for others
  std::chrono::steady_clock::time_point received = {};  // of a live source: when the frame came

  /// The picture on that device where it is there, else on the CPU.
  const at::Tensor& picture(at::Device device) const {
    return on_gpu.defined() && on_gpu.device() == device ? on_gpu : image;
  }
};

/// Pixels of the original frame; x1 and y1 are exclusive. Empty when x1 <= x0.
struct Box {
  int64_t x0 = 0, y0 = 0, x1 = 0, y1 = 0;
  bool is_empty() const { return x1 <= x0 || y1 <= y0; }
  bool operator==(const Box&) const = default;
};

enum class ObjectState {
  kTracked,    // the mask is to be trusted
  kUncertain,  // a mask is given, but the tracker itself doubts it
  kLost        // the object is not seen: no pixel of the label mask carries its id
};
/// "tracked", "uncertain", "lost".
const char* to_string(ObjectState state);

/// Which mask the selector gave an object.
enum class Choice {
  kRefined,  // the refined one
  kKept,     // the tracked one: the refined one agreed too little with it
  kSkipped   // the tracked one: there was no refined one
};
/// "refined", "kept", "skipped".
const char* to_string(Choice choice);

/// What is known of one object in one frame.
struct TrackedObject {
  int64_t id = 0;       // 1..255, given by the user
  std::string name;     // empty when the user gave none
  Box box;              // outer box of the mask
  int64_t area_px = 0;  // pixels of the mask
  double score = 0.0;   // how sure the tracker is of the mask, 0..1 (StateConfig::score); 0 when lost
  ObjectState state = ObjectState::kLost;
  std::optional<Choice> choice;  // empty where the frame was not refined, or the object is lost
};

/// A second opinion on one object of a frame: what the refiner proposes and the selector judges.
struct MaskProposal {
  int64_t id = 0;
  at::Tensor logits;   // float [H, W] on the CPU; above 0 = object
  double score = 0.0;  // the refiner's own estimate of the mask's IoU with the truth; may lie outside 0..1
};

/// A frame with its result: what the tracker hands to the sinks.
struct TrackedFrame {
  Frame frame;
  at::Tensor label_mask;               // uint8 [H, W], contiguous; 0 = background, other values = object ids
  std::vector<TrackedObject> objects;  // every object known so far, ascending id, lost ones included
  std::vector<ObjectPrompt> prompts = {};  // what the user said in this frame
};

}  // namespace hqtrack
