#pragma once

#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "core/config.h"
#include "tracker/memory_bank.h"
#include "tracker/vmos.h"

namespace hqtrack {

/// A frame as the network saw it, or a part of it, and its labels at network size.
struct LabelledView {
  Features features;
  at::Tensor slots;
};

/// The memory of up to `objects_per_engine` objects, and when it is written (docs/vmos.md, section 7). Labels
/// are identity slots at network size, uint8 [H, W] on the CPU, 0 = background. Several engines share one
/// network and its features.
class Engine {
 public:
  Engine(Vmos network, const MemoryConfig& config);

  /// Takes the frame seen last as a reference; the objects have slots 1..num_objects. The last view is what
  /// short-term memory holds. Before the first frame is propagated all views stay in long-term memory, and
  /// replace those given before; later only the last one enters, in the place of the frame where that was
  /// just written.
  void add_reference(std::span<const LabelledView> views, int64_t num_objects);
  /// Carries the objects on to the next frame. Returns logits [1, 1 + num_objects, h4, w4].
  at::Tensor propagate(const Features& features);
  /// Writes the frame propagated last to memory, with its labels.
  void update_memory(const at::Tensor& slots);

  bool has_propagated() const { return frame_step_ > 0; }
  int64_t num_objects() const { return num_objects_; }
  int64_t num_long_term_frames() const { return long_term_.front().num_frames(); }

  void save(StateWriter& state, const std::string& name) const;
  /// What `save` wrote, of an engine with the same network and configuration.
  void restore(const StateReader& state, const std::string& name);

 private:
  void push_long_term(const std::vector<MemoryFrame>& frame, bool is_reference);

  Vmos network_;
  MemoryConfig config_;
  int64_t num_objects_ = 0, frame_step_ = 0, last_long_term_step_ = -1;
  std::vector<MemoryBank> long_term_;                // one a block
  std::deque<std::vector<MemoryFrame>> short_term_;  // oldest first
  std::vector<BlockState> states_;                   // of the frame propagated last
};

/// As many engines as the objects need. Labels are slots 1..n over all engines: engine e owns the slots
/// e * objects_per_engine + 1 and on.
class EngineGroup {
 public:
  EngineGroup(Vmos network, const MemoryConfig& config);

  void add_reference(std::span<const LabelledView> views, int64_t num_objects);
  /// Logits of each engine, [1, 1 + its objects, h4, w4].
  std::vector<at::Tensor> propagate(const Features& features);
  void update_memory(const at::Tensor& slots);
  /// Forgets the objects of an engine; those of later ones move down by objects_per_engine slots.
  void erase(int64_t engine);

  bool has_propagated() const { return !engines_.empty() && engines_.front().has_propagated(); }
  int64_t num_objects() const { return num_objects_; }
  /// Objects there may be without another engine.
  int64_t num_slots() const { return static_cast<int64_t>(engines_.size()) * network_->objects_per_engine(); }
  const std::vector<Engine>& engines() const { return engines_; }

  void save(StateWriter& state) const;
  void restore(const StateReader& state);

 private:
  Vmos network_;
  MemoryConfig config_;
  int64_t num_objects_ = 0;
  std::vector<Engine> engines_;
};

}  // namespace hqtrack
