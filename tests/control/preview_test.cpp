#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "tests/control/browser.h"
#include "tests/control/running_stream.h"
#include "tests/support/golden.h"

namespace hqtrack::testing {
namespace {

using namespace std::chrono_literals;
using Json = nlohmann::json;

constexpr int64_t kHeight = 240, kWidth = 320;

/// A red disc at (100, 120) and a yellow one at (240, 80) on a ground with some texture.
at::Tensor discs() {
  at::manual_seed(3);
  const at::Tensor y = at::arange(kHeight).view({-1, 1}), x = at::arange(kWidth).view({1, -1});
  at::Tensor picture = at::randint(60, 90, {kHeight, kWidth, 3}, at::kByte);
  const auto draw = [&](int64_t cx, int64_t cy, int64_t radius, std::array<int64_t, 3> colour) {
    const at::Tensor is_inside = ((x - cx).square() + (y - cy).square()).lt(radius * radius);
    for (int64_t c = 0; c < 3; ++c)
      picture.select(2, c).masked_fill_(is_inside, colour[static_cast<size_t>(c)]);
  };
  draw(100, 120, 40, {220, 40, 40});
  draw(240, 80, 30, {230, 220, 60});
  return picture;
}

/// The page of a running program, in a real browser.
class PreviewTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!has_browser()) GTEST_SKIP() << "skipped: no Chromium (chromedriver)";
    const ControlConfig control{.token = "0123456789abcdef"};
    stream = std::make_unique<RunningStream>(control, repository_root() / "configs/nano.yaml", discs());
    browser = std::make_unique<Browser>();
    browser->open(stream->url() + "/#token=0123456789abcdef");
    wait_for("return document.getElementById('picture').naturalWidth", kWidth);
  }

  void wait_for(const std::string& script, const Json& expected) {
    Json found;
    for (int i = 0; i < 600; ++i) {
      found = browser->run(script);
      if (found == expected) return;
      std::this_thread::sleep_for(50ms);
    }
    FAIL() << script << ": expected " << expected << ", found " << found << "; the page says "
           << browser->run("return document.getElementById('message').textContent");
  }

  /// The mouse, in pixels of the stream's picture.
  void drag(double x0, double y0, double x1, double y1) {
    const Json area = browser->run(
        "const a = document.getElementById('drawing').getBoundingClientRect(); return [a.x, a.y, a.width, "
        "a.height]");
    const auto at_x = [&](double x) { return area[0].get<double>() + x * area[2].get<double>() / kWidth; };
    const auto at_y = [&](double y) { return area[1].get<double>() + y * area[3].get<double>() / kHeight; };
    browser->drag(at_x(x0), at_y(y0), at_x(x1), at_y(y1));
  }

  std::vector<TrackedObject> objects() const { return stream->stream().latest()->objects; }

  const std::string kItems =
      "return [...document.querySelectorAll('#objects li')].map(i => i.querySelector('label "
      "span').textContent)";
  const std::string kMessage = "return document.getElementById('message').textContent";
  std::unique_ptr<RunningStream> stream;
  std::unique_ptr<Browser> browser;
};

TEST_F(PreviewTest, ObjectsAreDrawnClickedCorrectedAndRemoved) {
  // A box around the red disc.
  browser->run("document.getElementById('name').value = 'red <b>disc</b>'");
  drag(55, 75, 145, 165);
  wait_for(kItems, {"1 red <b>disc</b>"});
  wait_for(kMessage, "Object 1 is followed.");
  ASSERT_EQ(objects().size(), 1U);
  const Box box = objects()[0].box;
  EXPECT_NEAR(box.x0, 60, 6);
  EXPECT_NEAR(box.y0, 80, 6);
  EXPECT_NEAR(box.x1, 140, 6);
  EXPECT_NEAR(box.y1, 160, 6);

  // A click on the yellow one.
  drag(240, 80, 240, 80);
  wait_for(kItems, {"1 red <b>disc</b>", "2"});
  const at::Tensor labels = stream->stream().latest()->label_mask;
  EXPECT_EQ(labels[80][240].item<int64_t>(), 2);

  // With an object chosen, a box says that this one is elsewhere.
  browser->run("document.querySelectorAll('#objects input')[0].click()");
  drag(205, 45, 275, 115);
  wait_for(kMessage, "Object 1 is followed.");
  EXPECT_EQ(stream->stream().latest()->label_mask[80][240].item<int64_t>(), 1);

  browser->run("document.querySelectorAll('#objects button')[0].click()");
  wait_for(kItems, {"2"});
  wait_for(kMessage, "Object 1 is not followed any more.");
}

TEST_F(PreviewTest, SaysWhenTheSourceIsLost) {
  stream->publish({.kind = StreamEvent::Kind::kOutage, .reason = "test"});
  wait_for(kMessage, "No frames: the source is lost, and tried again.");
  stream->publish({.kind = StreamEvent::Kind::kResumed, .reason = ""});
  wait_for(kMessage, "");
}

}  // namespace
}  // namespace hqtrack::testing
