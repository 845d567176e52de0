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
  for (size_t i = 0; i < frame.size(); ++i) long_term_[i].push(frame[i], is_reference);
  last_long_term_step_ = frame_step_;
}

void Engine::add_reference(const Features& features, const at::Tensor& slots, int64_t num_objects) {
  TORCH_CHECK(num_objects <= network_->objects_per_engine(), "engine: expected at most ",
              network_->objects_per_engine(), " objects, found ", num_objects);
  const auto memory = network_->reference(features, network_->embed_identity_labels(slots));
  push_long_term(memory, /*is_reference=*/true);
  short_term_.assign(1, memory);
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

EngineGroup::EngineGroup(Vmos network, const MemoryConfig& config)
    : network_(std::move(network)), config_(config) {}

void EngineGroup::add_reference(const Features& features, const at::Tensor& slots, int64_t num_objects) {
  const int64_t per_engine = network_->objects_per_engine();
  num_objects_ = std::max(num_objects_, num_objects);
  const int64_t needed = std::max<int64_t>(1, (num_objects_ + per_engine - 1) / per_engine);
  while (static_cast<int64_t>(engines_.size()) < needed) engines_.emplace_back(network_, config_);
  for (int64_t e = 0; e < needed; ++e) {
    const int64_t first = e * per_engine, count = std::min(per_engine, num_objects_ - first);
    engines_[e].add_reference(features, slots_of_engine(slots, first, count), count);
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

}  // namespace hqtrack
