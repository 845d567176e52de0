#include "pipeline/live_prompts.h"

#include <gtest/gtest.h>

#include <thread>

namespace hqtrack::testing {
namespace {

using namespace std::chrono_literals;

PromptEdit removal(int64_t id) {
  PromptEdit edit{.action = PromptEdit::Action::kRemove, .prompt = {}};
  edit.prompt.id = id;
  return edit;
}

TEST(LivePrompts, AreForgottenWhenNobodyTakesThemInTime) {
  LivePrompts prompts;
  EXPECT_THROW(prompts.follow(removal(3), 20ms), LivePrompts::Unanswered);
  EXPECT_TRUE(prompts.take().empty());
}

TEST(LivePrompts, AreAwaitedOnceTheyAreTaken) {
  LivePrompts prompts;
  std::jthread tracker([&] {
    std::list<std::unique_ptr<LivePrompts::Request>> taken;
    while (taken.empty()) taken = prompts.take();
    std::this_thread::sleep_for(200ms);
    taken.front()->answer.set_value({taken.front()->edit.prompt.id, {}});
  });
  EXPECT_EQ(prompts.follow(removal(3), 50ms).id, 3);
}

TEST(LivePrompts, AreAnsweredWhenTheRunFailsThatTookThem) {
  LivePrompts prompts;
  std::jthread tracker([&] {
    while (prompts.take().empty()) std::this_thread::yield();
  });
  EXPECT_THROW(prompts.follow(removal(3), 60s), LivePrompts::Unanswered);
}

TEST(LivePrompts, EndWithTheRun) {
  LivePrompts prompts;
  std::jthread end([&] {
    std::this_thread::sleep_for(50ms);
    prompts.close();
  });
  EXPECT_THROW(prompts.follow(removal(3), 60s), LivePrompts::Ended);
  EXPECT_THROW(prompts.follow(removal(3), 60s), LivePrompts::Ended);
}

}  // namespace
}  // namespace hqtrack::testing
