#include "tracker/engine.h"

#include <ATen/ops/empty_like.h>

#include <algorithm>

namespace hqtrack {
namespace {

// Labels of slots first + 1 .. first + count as 1 .. count, all others as background.
at::Tensor slots_of_engine(const at::Tensor& slots, int64_t first, int64_t count) {
  at::Tensor out = at::empty_like(slots);
  const uint8_t* source = slots.const_data_ptr<uint8_t>();
  uint8_t* target = out.mutable_data_ptr<uint8_t>();
  for (int64_t i = 0; i < slots.numel(); ++i) {
    const int64_t slot = source[i] - first;
    target[i] = static_cast<uint8_t>(slot >= 1 && slot <= count ? slot : 0);
  }
  return out;
}

}  // namespace

Engine::Engine(Vmos network, const MemoryConfig& config) : network_(std::move(network)), config_(config) {
  for (size_t i = 0; i < network_->num_blocks(); ++i) {
    const bool is_8x = i + 1 == network_->num_blocks();
    long_term_.emplace_back(is_8x ? config.long_term_frames_8x : config.long_term_frames);
  }
}

void Engine::push_long_term(const std::vector<MemoryFrame>& frame, bool is_reference) {
  const bool is_there = last_long_term_step_ == frame_step_;
  for (size_t i = 0; i < frame.size(); ++i) long_term_[i].push(frame[i], is_reference, is_there);
  last_long_term_step_ = frame_step_;
}

void Engine::add_reference(std::span<const LabelledView> views, int64_t num_objects) {
  TORCH_CHECK(num_objects <= network_->objects_per_engine(), "engine: expected at most ",
              network_->objects_per_engine(), " objects, found ", num_objects);
  const auto see = [&](const LabelledView& view) {
    return network_->reference(view.features, network_->embed_identity_labels(view.slots));
  };
  if (has_propagated()) {
    short_term_.assign(1, see(views.back()));
    push_long_term(short_term_.front(), /*is_reference=*/true);
  } else {
    std::vector<std::vector<MemoryFrame>> frames(long_term_.size());  // a block: a frame a view
    for (const LabelledView& view : views) {
      short_term_.assign(1, see(view));
      for (size_t i = 0; i < frames.size(); ++i) frames[i].push_back(short_term_.front()[i]);
    }
    for (size_t i = 0; i < frames.size(); ++i) long_term_[i].begin(frames[i]);
    last_long_term_step_ = frame_step_;
  }
  num_objects_ = num_objects;
}

at::Tensor Engine::propagate(const Features& features) {
  TORCH_CHECK(!short_term_.empty(), "engine: expected a reference frame before the first frame to track");
  ++frame_step_;
  std::vector<MemoryFrame> long_term;
  for (const MemoryBank& bank : long_term_) long_term.push_back(bank.frames());
  VmosImpl::Step step = network_->propagate(features, long_term, short_term_.front());
  states_ = std::move(step.states);
  return step.logits.narrow(1, 0, 1 + num_objects_);
}

void Engine::update_memory(const at::Tensor& slots) {
  TORCH_CHECK(!states_.empty(), "engine: expected a propagated frame before its labels");
  const auto memory = network_->memorize(states_, network_->embed_identity_labels(slots));
  short_term_.push_back(memory);
  while (static_cast<int64_t>(short_term_.size()) > config_.short_term_delay_frames) short_term_.pop_front();
  if (frame_step_ - last_long_term_step_ >= config_.interval_frames)
    push_long_term(memory, /*is_reference=*/false);
}

void Engine::save(StateWriter& state, const std::string& name) const {
  state.put(name + ".objects", num_objects_);
  state.put(name + ".step", frame_step_);
  state.put(name + ".last_write", last_long_term_step_);
  state.put(name + ".recent_frames", static_cast<int64_t>(short_term_.size()));
  for (size_t block = 0; block < long_term_.size(); ++block) {
    const std::string of_block = name + ".block." + std::to_string(block);
    long_term_[block].save(state, of_block + ".long_term");
    for (size_t i = 0; i < short_term_.size(); ++i) {
      const std::string frame = of_block + ".recent." + std::to_string(i);
      state.put(frame + ".key", short_term_[i][block].key);
      state.put(frame + ".value", short_term_[i][block].value);
    }
  }
}

void Engine::restore(const StateReader& state, const std::string& name) {
  num_objects_ = state.number(name + ".objects");
  frame_step_ = state.number(name + ".step");
  last_long_term_step_ = state.number(name + ".last_write");
  const int64_t recent = state.number(name + ".recent_frames");
  if (num_objects_ < 0 || num_objects_ > network_->objects_per_engine() || recent < 1 ||
      recent > config_.short_term_delay_frames) {
    state.fail(name + ": expected at most " + std::to_string(network_->objects_per_engine()) +
               " objects and 1 to " + std::to_string(config_.short_term_delay_frames) +
               " recent frames, found " + std::to_string(num_objects_) + " and " + std::to_string(recent));
  }
  states_.clear();
  short_term_.assign(recent, std::vector<MemoryFrame>(long_term_.size()));
  for (size_t block = 0; block < long_term_.size(); ++block) {
    const std::string of_block = name + ".block." + std::to_string(block);
    long_term_[block].restore(state, of_block + ".long_term", network_->device());
    for (int64_t i = 0; i < recent; ++i) {
      const std::string frame = of_block + ".recent." + std::to_string(i);
      short_term_[i][block].key = state.tensor(frame + ".key", 3, at::kFloat).to(network_->device());
      short_term_[i][block].value = state.tensor(frame + ".value", 3, at::kFloat).to(network_->device());
    }
  }
}

EngineGroup::EngineGroup(Vmos network, const MemoryConfig& config)
    : network_(std::move(network)), config_(config) {}

void EngineGroup::add_reference(std::span<const LabelledView> views, int64_t num_objects) {
  const int64_t per_engine = network_->objects_per_engine();
  num_objects_ = std::max(num_objects_, num_objects);
  const int64_t needed = std::max<int64_t>(1, (num_objects_ + per_engine - 1) / per_engine);
  while (static_cast<int64_t>(engines_.size()) < needed) engines_.emplace_back(network_, config_);
  for (int64_t e = 0; e < needed; ++e) {
    const int64_t first = e * per_engine, count = std::min(per_engine, num_objects_ - first);
    std::vector<LabelledView> own;
    for (const auto& [features, slots] : views)
      own.push_back({features, slots_of_engine(slots, first, count)});
    engines_[e].add_reference(own, count);
  }
}

std::vector<at::Tensor> EngineGroup::propagate(const Features& features) {
  std::vector<at::Tensor> logits;
  for (Engine& engine : engines_) logits.push_back(engine.propagate(features));
  return logits;
}

void EngineGroup::update_memory(const at::Tensor& slots) {
  for (size_t e = 0; e < engines_.size(); ++e) {
    const int64_t first = static_cast<int64_t>(e) * network_->objects_per_engine();
    engines_[e].update_memory(slots_of_engine(slots, first, engines_[e].num_objects()));
  }
}

void EngineGroup::erase(int64_t engine) {
  num_objects_ -= engines_[engine].num_objects();
  engines_.erase(engines_.begin() + engine);
}

void EngineGroup::save(StateWriter& state) const {
  state.put("engines", static_cast<int64_t>(engines_.size()));
  state.put("slots", num_objects_);
  for (size_t e = 0; e < engines_.size(); ++e) engines_[e].save(state, "engine." + std::to_string(e));
}

void EngineGroup::restore(const StateReader& state) {
  const int64_t count = state.number("engines");
  num_objects_ = state.number("slots");
  if (count < 0 || count > 255 || num_objects_ < 0 || num_objects_ > count * network_->objects_per_engine()) {
    state.fail("engines: expected enough for " + std::to_string(num_objects_) + " objects, found " +
               std::to_string(count));
  }
  engines_.assign(count, Engine(network_, config_));
  for (int64_t e = 0; e < count; ++e) engines_[e].restore(state, "engine." + std::to_string(e));
}

}  // namespace hqtrack
