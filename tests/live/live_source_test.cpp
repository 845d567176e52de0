#include "io/live_source.h"

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <mutex>
#include <thread>
#include <vector>

#include "core/error.h"
#include "tests/io/make_media.h"
#include "tests/live/live_server.h"
#include "tests/support/golden.h"

namespace hqtrack::testing {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

/// Events in the order in which they came.
class Events {
 public:
  Events() : channel(std::make_shared<StreamEvents>()) {
    channel->listen([this](const StreamEvent& event) {
      const std::lock_guard lock(mutex_);
      events_.push_back(event);
    });
  }
  std::vector<StreamEvent> seen() const {
    const std::lock_guard lock(mutex_);
    return events_;
  }
  std::shared_ptr<StreamEvents> channel;

 private:
  mutable std::mutex mutex_;
  std::vector<StreamEvent> events_;
};

class LiveSourceTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!has_rtsp_server()) GTEST_SKIP() << "skipped: built without GStreamer's RTSP server";
    make_clip("clip.mp4", 64, 48);
  }
  ~LiveSourceTest() override { events_.channel->listen({}); }

  void make_clip(const char* name, int width, int height) const {
    MediaOptions options;
    options.width = width;
    options.height = height;
    options.num_frames = 1500;  // a minute
    options.gop_size = 10;
    make_media(file(name), options);
  }
  fs::path file(const char* name) const { return folder_.path() / name; }
  int port() const { return port_; }

  SourceConfig config() const {
    SourceConfig config;
    config.live.emplace();
    config.live->timeout_us = 1'500'000;
    config.live->events = events_.channel;
    return config;
  }
  std::unique_ptr<LiveSource> open(const SourceConfig& config) const {
    return std::make_unique<LiveSource>(rtsp_url(port_), config);
  }
  std::vector<StreamEvent> events() const { return events_.seen(); }

  /// Reads until something is true of a frame; fails after a while.
  template <class Condition>
  std::optional<Frame> read_until(LiveSource& source, Condition condition) const {
    const auto deadline = std::chrono::steady_clock::now() + 30s;
    while (std::chrono::steady_clock::now() < deadline) {
      std::optional<Frame> frame = source.read();
      if (!frame || condition(*frame)) return frame;
    }
    ADD_FAILURE() << "it did not come";
    return std::nullopt;
  }

 private:
  TemporaryFolder folder_;
  int port_ = free_port();
  Events events_;
};

void expect_frames(LiveSource& source, int64_t count) {
  int64_t last_us = -1, first_us = 0;
  for (int64_t i = 0; i < count; ++i) {
    const std::optional<Frame> frame = source.read();
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->index, i);
    EXPECT_GT(frame->pts_us, last_us);
    EXPECT_EQ(frame->image.sizes(), at::IntArrayRef({48, 64, 3}));
    if (i == 0) first_us = frame->pts_us;
    last_us = frame->pts_us;
  }
  // At 25 frames a second; a frame that was lost or dropped makes it longer.
  EXPECT_NEAR(static_cast<double>(last_us - first_us) / 1e6, static_cast<double>(count - 1) / 25, 0.5);
}

TEST_F(LiveSourceTest, ReceivesOverTcp) {
  const RtspServer server(port(), file("clip.mp4"));
  const auto source = open(config());
  EXPECT_EQ(source->info().format, "rtsp");
  EXPECT_FALSE(source->info().num_frames);
  expect_frames(*source, 40);
}

TEST_F(LiveSourceTest, ReceivesOverUdp) {
  const RtspServer server(port(), file("clip.mp4"));
  SourceConfig udp = config();
  udp.live->rtsp_transport = "udp";
  expect_frames(*open(udp), 40);
}

TEST_F(LiveSourceTest, LogsInAndNeverSaysHow) {
  const RtspServer server(port(), file("clip.mp4"), {.user = "me", .password = "secret"});
  LiveSource source(rtsp_url(port(), "me:secret"), config());
  expect_frames(source, 5);
  try {
    LiveSource(rtsp_url(port(), "me:wrong-secret"), config());
    ADD_FAILURE() << "it let us in";
  } catch (const MediaError& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find("rtsp://***@127.0.0.1"), std::string::npos) << message;
    EXPECT_NE(message.find("401"), std::string::npos) << message;
    EXPECT_EQ(message.find("secret"), std::string::npos) << message;
  }
}

TEST_F(LiveSourceTest, ReceivesOverTls) {
  const std::string key = file("key.pem").string(), certificate = file("certificate.pem").string();
  const std::string make = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -keyout " +
                           key + " -out " + certificate + " 2>/dev/null && cat " + key + " >> " + certificate;
  if (std::system(make.c_str()) != 0) GTEST_SKIP() << "skipped: no openssl to make a certificate";
  const RtspServer server(port(), file("clip.mp4"),
                          {.user = "me", .password = "secret", .certificate = certificate});
  const std::string url = rtsp_url(port(), "me:secret");
  LiveSource source("rtsps" + url.substr(4), config());
  expect_frames(source, 5);
}

TEST_F(LiveSourceTest, ASourceThatIsNotThereIsAnError) {
  try {
    open(config());
    ADD_FAILURE() << "it opened";
  } catch (const MediaError& error) {
    EXPECT_NE(std::string(error.what()).find("refused"), std::string::npos) << error.what();
  }
}

TEST_F(LiveSourceTest, GoesOnWhenTheServerComesBackWithAnotherSize) {
  make_clip("large.mp4", 96, 80);
  auto server = std::make_unique<RtspServer>(port(), file("clip.mp4"));
  const auto source = open(config());
  int64_t last_us = read_until(*source, [](const Frame& frame) { return frame.index == 10; })->pts_us;
  server.reset();
  server = std::make_unique<RtspServer>(port(), file("large.mp4"));
  const auto frame = read_until(*source, [&](const Frame& next) {
    EXPECT_GT(next.pts_us, last_us);
    last_us = next.pts_us;
    return events().size() >= 3;
  });
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->image.sizes(), at::IntArrayRef({48, 64, 3}));
  const auto seen = events();
  ASSERT_EQ(seen.size(), 3U);
  EXPECT_EQ(seen[0].kind, StreamEvent::Kind::kOutage);
  EXPECT_FALSE(seen[0].reason.empty());
  EXPECT_EQ(seen[1].kind, StreamEvent::Kind::kResumed);
  EXPECT_GE(seen[1].attempts, 1);
  EXPECT_NEAR(seen[1].seconds, static_cast<double>(seen[1].pts_us - seen[0].pts_us) / 1e6, 0.1);
  EXPECT_EQ(seen[2].kind, StreamEvent::Kind::kSizeChanged);
  EXPECT_EQ(seen[2].reason, "96x80");
}

TEST_F(LiveSourceTest, NoticesAServerThatFreezes) {
  const RtspServer server(port(), file("clip.mp4"));
  const auto source = open(config());
  read_until(*source, [](const Frame& frame) { return frame.index == 5; });
  server.send(SIGSTOP);
  // The rest of what is on its way comes still.
  std::jthread wakes([&] {
    while (events().empty()) std::this_thread::sleep_for(50ms);
    server.send(SIGCONT);
  });
  read_until(*source, [&](const Frame&) { return events().size() >= 2; });
  const auto seen = events();
  ASSERT_GE(seen.size(), 2U);
  EXPECT_EQ(seen[0].reason, "no data for 1.5 s");
  EXPECT_EQ(seen[1].kind, StreamEvent::Kind::kResumed);
}

TEST_F(LiveSourceTest, GivesUpAfterTheLongestOutage) {
  auto server = std::make_unique<RtspServer>(port(), file("clip.mp4"));
  SourceConfig impatient = config();
  impatient.live->max_outage_us = 1'000'000;
  const auto source = open(impatient);
  read_until(*source, [](const Frame& frame) { return frame.index == 5; });
  server.reset();
  try {
    read_until(*source, [](const Frame&) { return false; });
    ADD_FAILURE() << "it went on";
  } catch (const MediaError& error) {
    EXPECT_NE(std::string(error.what()).find("expected frames again within 1 s"), std::string::npos)
        << error.what();
  }
}

TEST_F(LiveSourceTest, AnInterruptionEndsEveryWait) {
  auto server = std::make_unique<RtspServer>(port(), file("clip.mp4"));
  for (const bool is_gone : {false, true}) {
    std::stop_source stop;
    SourceConfig patient = config();
    patient.live->timeout_us = 60'000'000;
    patient.interrupted = stop.get_token();
    const auto source = open(patient);
    read_until(*source, [](const Frame& frame) { return frame.index == 3; });
    is_gone ? server.reset() : server->send(SIGSTOP);
    std::jthread interrupts([&] {
      std::this_thread::sleep_for(700ms);
      stop.request_stop();
    });
    const auto start = std::chrono::steady_clock::now();
    EXPECT_FALSE(read_until(*source, [](const Frame&) { return false; }));
    EXPECT_LT(std::chrono::steady_clock::now() - start, 10s);
    if (!is_gone) server->send(SIGCONT);
  }
}

TEST_F(LiveSourceTest, KeepsTheFirstFrameForItsReader) {
  const RtspServer server(port(), file("clip.mp4"));
  const auto source = open(config());
  std::this_thread::sleep_for(2s);  // as while networks are loaded
  const auto first = source->read(), next = source->read();
  ASSERT_TRUE(first && next);
  EXPECT_EQ(first->index, 0);
  EXPECT_LT(first->pts_us, 500'000);
  EXPECT_GT(next->index, 10);
}

TEST_F(LiveSourceTest, DropsTheOldestWhenNobodyReads) {
  const RtspServer server(port(), file("clip.mp4"));
  SourceConfig tight = config();
  tight.live->max_latency_us = 100'000;
  const auto source = open(tight);
  const auto first = source->read();
  std::this_thread::sleep_for(2s);
  const auto next = source->read();
  ASSERT_TRUE(first && next);
  EXPECT_EQ(first->index, 0);
  EXPECT_GT(next->index, 10);
  EXPECT_GE(source->num_dropped(), next->index - 1) << "those between the two";
  EXPECT_GT(next->pts_us - first->pts_us, 1'000'000);
}

}  // namespace
}  // namespace hqtrack::testing
