#include "eval/trax_server.h"

#include <ATen/ops/zeros.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <thread>

#include "core/error.h"
#include "tests/eval/davis_folder.h"
#include "tests/support/golden.h"

namespace hqtrack {
namespace {

namespace fs = std::filesystem;
using testing::TemporaryFolder;

TEST(TraxMessage, ReadsBareAndQuotedArguments) {
  const auto message = parse_trax_message(
      "@@TRAX:Frame  plain \"with blank\" \"a \\\"b\\\" \\\\ \\n\"  key=v \"k.e_y=a=b\" \r");
  ASSERT_TRUE(message);
  EXPECT_EQ(message->type, "frame");
  EXPECT_EQ(message->arguments, (std::vector<std::string>{"plain", "with blank", "a \"b\" \\ \n"}));
  ASSERT_EQ(message->properties.size(), 2U);
  EXPECT_EQ(message->properties[0], std::pair(std::string("key"), std::string("v")));
  EXPECT_EQ(message->properties[1], std::pair(std::string("k.e_y"), std::string("a=b")));
}

TEST(TraxMessage, AnEqualsSignInAPathIsNoKey) {
  const auto message = parse_trax_message("@@TRAX:frame \"file:///a b/x=1.jpg\" ");
  ASSERT_TRUE(message);
  EXPECT_EQ(message->arguments, std::vector<std::string>{"file:///a b/x=1.jpg"});
  EXPECT_TRUE(message->properties.empty());
}

TEST(TraxMessage, StatusIsState) { EXPECT_EQ(parse_trax_message("@@TRAX:status")->type, "state"); }

TEST(TraxMessage, OtherLinesAreNone) {
  for (const char* line :
       {"", "text", " @@TRAX:quit", "x@@TRAX:quit", "@@TRAX:", "@@TRAX: quit", "@@TRAX:frame \"open",
        "@@TRAX:frame \"a\"b", "@@TRAX:frame \"a\\", "@@TRAX:qu-it"}) {
    EXPECT_FALSE(parse_trax_message(line)) << line;
  }
}

TEST(TraxMessage, WhatIsWrittenReadsTheSame) {
  const TraxMessage message{
      .type = "state", .arguments = {"a \"quoted\" \\ line\nbreak"}, .properties = {{"confidence", "0.5"}}};
  const std::string line = to_line(message);
  EXPECT_EQ(std::ranges::count(line, '\n'), 1);
  const auto read = parse_trax_message(line);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->arguments, message.arguments);
  EXPECT_EQ(read->properties, message.properties);
}

/// Objects stay where they are, one pixel further right with each frame; id 2 is never seen.
class SlidingTracker : public SequenceTracker {
 public:
  Result start(const std::filesystem::path& picture, Frame frame,
               std::span<const ObjectPrompt> prompts) override {
    labels_ = at::zeros({frame.image.size(0), frame.image.size(1)}, at::kByte);
    ++num_starts;
    return add(picture, prompts);
  }
  Result track(Frame /*frame*/) override {
    labels_ = labels_.roll(1, 1);
    return result();
  }
  Result add(const std::filesystem::path&, std::span<const ObjectPrompt> prompts) override {
    for (const ObjectPrompt& prompt : prompts) {
      seen.push_back(prompt);
      if (prompt.mask.defined()) labels_.masked_fill_(prompt.mask, prompt.id);
    }
    return result();
  }

  int num_starts = 0;
  std::vector<ObjectPrompt> seen;

 private:
  Result result() const {
    return {.label_mask = labels_.masked_fill(labels_.eq(2), 0), .scores = {{1, 0.875}}};
  }

  at::Tensor labels_;
};

/// A server in a thread of its own, and the client's ends of its pipes.
class TraxDialogue : public ::testing::Test {
 protected:
  void SetUp() override {
    EXPECT_EQ(::pipe(to_server_.data()) | ::pipe(to_client_.data()), 0);
    for (const char* name : {"1.png", "2.png", "a b=c.png"}) {
      write_image(file(name), at::zeros({20, 30, 3}, at::kByte));
    }
  }
  void start(VotsTracker::Kind kind = VotsTracker::Kind::kMask) {
    server_ = std::jthread([this, kind] {
      TraxConnection connection(to_server_[0], to_client_[1]);
      VotsTracker objects(tracker, kind);
      try {
        serve_trax(connection, objects, kind);
      } catch (const Error& error) {
        fault = error.what();
      }
    });
  }
  ~TraxDialogue() override {
    if (to_server_[1] >= 0) ::close(to_server_[1]);
    server_.join();
    ::close(to_client_[0]);
  }

  void say(const std::string& line) const { send(line + "\n"); }
  void send(const std::string& text) const {
    EXPECT_EQ(::write(to_server_[1], text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  void frame(const char* name) const { say("@@TRAX:frame \"file://" + file(name).string() + "\" "); }
  void hang_up() {
    ::close(to_server_[1]);
    to_server_[1] = -1;
  }
  /// One line; empty at the end.
  std::string hear() const {
    std::string line;
    for (char letter; ::read(to_client_[0], &letter, 1) == 1;) {
      if (letter == '\n') return line;
      line += letter;
    }
    return line;
  }
  fs::path file(const char* name) const { return folder_.path() / name; }

  SlidingTracker tracker;
  std::string fault;

 private:
  TemporaryFolder folder_;
  std::array<int, 2> to_server_{}, to_client_{};
  std::jthread server_;
};

TEST_F(TraxDialogue, GreetsAndAnswersEachObjectInItsOrder) {
  start();
  const std::string hello = hear();
  for (const char* part : {"@@TRAX:hello ", "\"trax.version=4\"", "\"trax.region=mask;\"",
                           "\"trax.image=path;\"", "\"trax.channels=color;\"", "\"trax.multiobject=1\""}) {
    EXPECT_NE(hello.find(part), std::string::npos) << hello;
  }
  EXPECT_EQ(hello.find("\"vot"), std::string::npos) << "a key of the Python wrapper";
  say("@@TRAX:initialize \"mask:4,5,3,2,0,6\" ");
  say("@@TRAX:initialize \"mask:14,5,3,2,0,6\" ");
  say("nothing that concerns anybody");
  frame("1.png");
  EXPECT_EQ(hear(), "@@TRAX:state \"mask:4,5,3,2,0,6\" \"confidence=1.000000\" ");
  EXPECT_EQ(hear(), "@@TRAX:state \"mask:14,5,3,2,0,6\" \"confidence=1.000000\" ");
  frame("2.png");
  EXPECT_EQ(hear(), "@@TRAX:state \"mask:5,5,3,2,0,6\" \"confidence=0.875000\" ");
  EXPECT_EQ(hear(), "@@TRAX:state \"mask:0,0,1,1,1\" \"confidence=0.000000\" ") << "an absent object";
  // A third object enters; the answer has its region as it came.
  say("@@TRAX:initialize \"mask:20,10,3,2,0,6\" ");
  frame("a b=c.png");
  EXPECT_TRUE(hear().starts_with("@@TRAX:state \"mask:6,5,"));
  EXPECT_TRUE(hear().starts_with("@@TRAX:state \"mask:0,0,"));
  EXPECT_TRUE(hear().starts_with("@@TRAX:state \"mask:20,10,3,2,0,6\""));
  // A reset forgets all of them.
  say("@@TRAX:initialize ");
  frame("1.png");  // no objects: no answer
  say("@@TRAX:initialize \"mask:1,1,2,2,0,4\" ");
  frame("1.png");
  EXPECT_TRUE(hear().starts_with("@@TRAX:state \"mask:1,1,2,2,0,4\""));
  EXPECT_EQ(tracker.num_starts, 2);
  const auto begin = std::chrono::steady_clock::now();
  say("@@TRAX:quit ");
  EXPECT_EQ(hear(), "") << "nothing follows";
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
  EXPECT_EQ(fault, "");
}

TEST_F(TraxDialogue, LaterMasksHideEarlierOnes) {
  start();
  hear();
  say("@@TRAX:initialize \"mask:4,5,6,2,0,12\" ");
  say("@@TRAX:initialize \"mask:4,5,3,2,0,6\" ");
  say("@@TRAX:initialize \"mask:0,0,30,20,0,600\" ");
  frame("1.png");
  for (int i = 0; i < 3; ++i) hear();
  EXPECT_EQ(tracker.seen.size(), 3U);
  EXPECT_EQ(tracker.seen[2].id, 3);
  EXPECT_EQ(tracker.seen[2].mask.sum().item<int64_t>(), 600);
}

TEST_F(TraxDialogue, SpeaksRectangles) {
  start(VotsTracker::Kind::kRectangle);
  EXPECT_NE(hear().find("\"trax.region=rectangle;\""), std::string::npos);
  say("@@TRAX:initialize \"4.5000,5.0000,3.0000,2.0000\" ");
  frame("1.png");
  EXPECT_TRUE(hear().starts_with("@@TRAX:state \"4.5000,5.0000,3.0000,2.0000\""));
  ASSERT_EQ(tracker.seen.size(), 1U);
  ASSERT_TRUE(tracker.seen[0].box);
  EXPECT_EQ(tracker.seen[0].box->x0, 4.5);
  EXPECT_EQ(tracker.seen[0].box->x1, 7.5);
  frame("2.png");
  EXPECT_TRUE(hear().starts_with("@@TRAX:state \"0.0000,0.0000,0.0000,0.0000\""));
}

TEST_F(TraxDialogue, TheEndOfTheInputIsAQuit) {
  start();
  hear();
  say("@@TRAX:initialize \"mask:4,5,3,2,0,6\" ");
  send("@@TRAX:frame \"file://");
  hang_up();
  EXPECT_EQ(hear(), "");
  EXPECT_EQ(fault, "");
}

TEST_F(TraxDialogue, TellsTheOtherEndWhatIsWrong) {
  start();
  hear();
  say("@@TRAX:initialize \"mask:4,5,3,2,0,-6\" ");
  EXPECT_NE(hear().find("@@TRAX:quit \"trax.reason=expected runs of 0 and more"), std::string::npos);
  EXPECT_EQ(hear(), "");
  EXPECT_NE(fault.find("expected runs"), std::string::npos);
}

TEST_F(TraxDialogue, APictureThatIsMissingIsNamed) {
  start();
  hear();
  say("@@TRAX:initialize \"mask:4,5,3,2,0,6\" ");
  frame("none.png");
  EXPECT_NE(hear().find("none.png"), std::string::npos);
}

}  // namespace
}  // namespace hqtrack
