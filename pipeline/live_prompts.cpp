#include "pipeline/live_prompts.h"

#include <utility>

namespace hqtrack {
LivePrompts::Followed LivePrompts::follow(PromptEdit edit, std::chrono::milliseconds timeout) {
  auto request = std::make_unique<Request>(std::move(edit), std::promise<Followed>());
  const Request* const mine = request.get();
  std::future<Followed> answer = request->answer.get_future();
  {
    const std::lock_guard lock(mutex_);
    if (is_closed_) throw Ended("the run has ended");
    waiting_.push_back(std::move(request));
  }
  if (answer.wait_for(timeout) != std::future_status::ready) {
    const std::lock_guard lock(mutex_);
    const auto is_mine = [&](const auto& each) { return each.get() == mine; };
    // What was taken is being followed, which may take a while.
    if (std::erase_if(waiting_, is_mine) > 0) throw Unanswered("no frame came in time");
  }
  try {
    return answer.get();
  } catch (const std::future_error&) {
    const std::lock_guard lock(mutex_);
    if (is_closed_) throw Ended("the run has ended");
    throw Unanswered("the run failed");
  }
}

std::list<std::unique_ptr<LivePrompts::Request>> LivePrompts::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(waiting_, {});
}

void LivePrompts::close() {
  const std::lock_guard lock(mutex_);
  is_closed_ = true;
  waiting_.clear();  // whose answers are promises that are broken
}

}  // namespace hqtrack
