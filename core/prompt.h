#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"

namespace hqtrack {

/// Corners in pixels of the picture, (0, 0) at its upper left corner; x1 and y1 lie beyond the last pixel, as
/// in Box.
struct PromptBox {
  double x0 = 0, y0 = 0, x1 = 0, y1 = 0;
};

/// A pixel of the picture.
struct PromptPoint {
  double x = 0, y = 0;
  bool is_object = true;  // false: the object is not here
};

/// How a person says which object is meant: by its mask, by box, by points, or by several of them.
struct ObjectPrompt {
  int64_t id = 0;    // 1..255
  std::string name;  // shown in place of the id; may be empty
  std::optional<PromptBox> box;
  std::vector<PromptPoint> points;
  at::Tensor mask;  // bool [H, W] of the size of the picture, on the CPU; undefined: none

  /// Whether a mask has to be made of it. A mask alone is taken as it is.
  bool needs_refiner() const { return box.has_value() || !points.empty(); }
};

/// What is wrong with a prompt for a picture of this size, as "KEY: expected ..., found ..."; empty when it
/// is fine. Boxes may reach beyond the picture, but not lie beside it. A correction may have points beside
/// the object only.
std::string fault_of(const ObjectPrompt& prompt, int64_t height, int64_t width, bool is_correction = false);

/// One prompt for each id of a label mask (uint8 [H, W] on the CPU), ascending.
std::vector<ObjectPrompt> mask_prompts(const at::Tensor& label_mask);

/// What happens to one object at a frame.
struct PromptEdit {
  enum class Action { kAdd, kCorrect, kRemove };
  Action action = Action::kAdd;
  ObjectPrompt prompt;  // of a removal only the id counts
};
/// Of several edits of a frame one that cannot be followed.
class PromptError : public MediaError {
 public:
  PromptError(size_t edit, const std::string& message) : MediaError(message), edit_(edit) {}
  /// Its place among them.
  size_t edit() const { return edit_; }

 private:
  size_t edit_;
};

/// "add", "correct", "remove".
const char* to_string(PromptEdit::Action action);

/// A place in a video: a frame counted from the first one read, or the first frame at or after a time.
struct Moment {
  int64_t frame_index = 0;
  std::optional<int64_t> time_us{};  // from the start of the video; counts where given
};

struct TimedPrompt {
  Moment at;
  PromptEdit edit;
};

}  // namespace hqtrack
