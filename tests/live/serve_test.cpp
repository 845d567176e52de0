#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>
#include <thread>

#include "io/frame_source.h"
#include "io/mask_reader.h"
#include "tests/cli/program.h"
#include "tests/live/live_server.h"
#include "tests/support/golden.h"

namespace hqtrack::testing {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Json = nlohmann::json;

/// The built program with cameras, and a person who runs `hqtrack ctl`.
class ServeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!has_rtsp_server()) GTEST_SKIP() << "skipped: built without GStreamer's RTSP server";
  }

  fs::path file(const char* name) const { return folder_.path() / name; }
  Finished ctl(std::vector<std::string> args) const {
    args.insert(args.begin(), "ctl");
    args.insert(args.end(), {"--control", std::to_string(control_port)});
    return run_program(args);
  }
  void wait_until(const std::function<bool()>& condition, const char* what) const {
    for (int i = 0; i < 600; ++i) {
      if (condition()) return;
      std::this_thread::sleep_for(50ms);
    }
    FAIL() << "never: " << what;
  }
  void wait_for_frames(const std::string& stream) const {
    const auto has_some = [&] { return ctl({"list", "--stream", stream}).exit_code == 0; };
    wait_until(has_some, "a frame of the stream");
  }
  std::vector<Json> events(const char* name) const {
    std::vector<Json> events;
    for (const std::string& line : lines_of(read_text(file(name)))) events.push_back(Json::parse(line));
    return events;
  }

  const int camera_port = free_port(), control_port = free_port();

 private:
  TemporaryFolder folder_;
};

TEST_F(ServeTest, TrackTakesPromptsWhileItRuns) {
  const RtspServer camera(camera_port, "ball:160x120");
  Program track({"track", rtsp_url(camera_port), "--control", std::to_string(control_port), "--events",
                 file("events.ndjson"), "--stats", "1"});
  wait_for_frames("main");
  EXPECT_EQ(ctl({"streams"}).out,
            "{\"streams\":[{\"name\":\"main\",\"is_receiving\":true,\"width\":160,\"height\":120}]}\n");
  EXPECT_EQ(ctl({"health"}).exit_code, 0);

  write_label_mask(file("mask.png"), [] {
    at::Tensor mask = at::zeros({120, 160}, at::kByte);
    mask.slice(0, 20, 60).slice(1, 30, 90).fill_(4);
    return mask;
  }());
  const Finished added = ctl({"add", "--mask", file("mask.png"), "--id", "9", "--name", "square"});
  ASSERT_EQ(added.exit_code, 0) << added.err;
  const Json object = Json::parse(added.out).at("frame").at("objects").at(0);
  EXPECT_EQ(object.at("id"), 9);
  EXPECT_EQ(object.at("name"), "square");
  EXPECT_EQ(object.at("box"), (Json{30, 20, 90, 60}));
  EXPECT_EQ(ctl({"correct", "9", "--mask", file("mask.png")}).exit_code, 0);

  const Finished again = ctl({"add", "--box", "1,1,9,9", "--id", "9"});
  EXPECT_EQ(again.exit_code, 5);
  EXPECT_NE(again.err.find("expected a new id"), std::string::npos) << again.err;
  EXPECT_EQ(ctl({"remove", "8"}).exit_code, 5);
  EXPECT_EQ(ctl({"remove", "9"}).exit_code, 0);

  EXPECT_EQ(ctl({"picture", file("p.jpg")}).exit_code, 0);
  EXPECT_EQ(ctl({"picture", file("p.jpg")}).exit_code, 6);  // is there now
  EXPECT_EQ(read_image(file("p.jpg")).sizes(), at::IntArrayRef({120, 160, 3}));
  EXPECT_NE(ctl({"metrics"}).out.find("hqtrack_receiving{stream=\"main\"} 1"), std::string::npos);

  track.send(SIGTERM);
  EXPECT_EQ(track.wait().exit_code, 130);
  EXPECT_EQ(ctl({"streams"}).exit_code, 5);
  bool has_object = false, has_stats = false;
  for (const Json& event : events("events.ndjson")) {
    has_stats |= event.value("event", "") == "stats";
    has_object |= event.contains("objects") && !event["objects"].empty();
  }
  EXPECT_TRUE(has_object);
  EXPECT_TRUE(has_stats);
}

TEST_F(ServeTest, AKillLosesNothingThatWasFinished) {
  const RtspServer camera(camera_port, "ball:160x120");
  Program track({"track", rtsp_url(camera_port), "--control", std::to_string(control_port), "--events",
                 file("events.ndjson"), "-o", file("rec.mkv"), "--segment", "1"});
  const auto num_complete = [&] {
    const std::string text = read_text(file("events.part.ndjson"));
    int64_t count = 0;
    for (size_t at = 0; (at = text.find("segment_complete", at)) != std::string::npos; ++at) ++count;
    return count;
  };
  wait_until([&] { return num_complete() >= 2; }, "two segments");
  track.send(SIGKILL);
  EXPECT_EQ(track.wait().signal, SIGKILL);

  std::vector<fs::path> told;
  for (const std::string& line : lines_of(read_text(file("events.part.ndjson")))) {
    const Json event = Json::parse(line);  // none is cut off
    if (event.value("event", "") == "segment_complete")
      told.emplace_back(event.at("output").get<std::string>());
  }
  EXPECT_GE(told.size(), 2U);
  for (const fs::path& segment : told) {
    const auto video = open_source(segment);
    int64_t num_frames = 0;
    while (video->read()) ++num_frames;
    EXPECT_GE(num_frames, 2) << segment;
  }
}

TEST_F(ServeTest, SendsTheVideoToStandardOutput) {
  const RtspServer camera(camera_port, "ball:160x120");
  Program track({"track", rtsp_url(camera_port), "--control", std::to_string(control_port), "-o", "-"});
  wait_until([&] { return track.out().size() > 50'000; }, "video");
  track.send(SIGINT);
  const Finished finished = track.wait();
  EXPECT_EQ(finished.exit_code, 130);
  std::ofstream(file("out.ts"), std::ios::binary) << finished.out;
  const auto video = open_source(file("out.ts"));
  EXPECT_EQ(video->info().width, 160);
  int64_t num_frames = 0;
  while (video->read()) ++num_frames;
  EXPECT_GT(num_frames, 10);
}

TEST_F(ServeTest, GoesOnWithItsOutputsWhenBegunAnew) {
  const RtspServer camera(camera_port, "ball:160x120");
  std::ofstream(file("cameras.yaml"))
      << "control: " << control_port << "\nstreams:\n  yard:\n    input: " << rtsp_url(camera_port)
      << "\n    output: " << file("yard.m3u8").string() << "\n    events: " << file("new/e.ndjson").string()
      << "\n";
  const auto last_segment = [&] {
    int64_t last = -1;
    for (const std::string& line : lines_of(read_text(file("yard.m3u8")))) {
      if (line.starts_with("yard")) last = std::stoll(line.substr(4));
    }
    return last;
  };
  for (const int signal : {SIGTERM, SIGKILL, SIGTERM}) {
    const int64_t last = last_segment();
    const size_t num_events = lines_of(read_text(file("new/e.ndjson"))).size();
    Program serve({"serve", "--config", file("cameras.yaml")});
    wait_until([&] { return last_segment() > last; }, "a segment");
    serve.send(signal);
    const Finished finished = serve.wait();
    EXPECT_EQ(finished.exit_code, signal == SIGTERM ? 130 : -1) << finished.err;
    EXPECT_GT(lines_of(read_text(file("new/e.ndjson"))).size(), num_events);
    EXPECT_EQ(read_text(file("yard.m3u8")).find("ENDLIST"), std::string::npos);
  }
}

TEST_F(ServeTest, OneStreamThatIsAwayDoesNotTouchTheOther) {
  auto camera = std::make_unique<RtspServer>(camera_port, "ball:160x120");
  const int other_port = free_port();
  std::ofstream(file("cameras.yaml"))
      << "control: " << control_port << "\nstreams:\n  here:\n    input: " << rtsp_url(camera_port)
      << "\n    events: " << file("here.ndjson").string()
      << "\n    timeout: 2\n  away:\n    input: " << rtsp_url(other_port) << "\n";
  Program serve({"serve", "--config", file("cameras.yaml")});
  wait_for_frames("here");
  const Finished unhealthy = ctl({"health"});
  EXPECT_EQ(unhealthy.exit_code, 5);
  EXPECT_NE(unhealthy.err.find(": away: no frame so far"), std::string::npos) << unhealthy.err;
  const Finished unsaid = ctl({"list"});
  EXPECT_EQ(unsaid.exit_code, 2);
  EXPECT_NE(unsaid.err.find("expected one of here, away"), std::string::npos) << unsaid.err;
  EXPECT_NE(ctl({"list", "--stream", "away"}).err.find("no frame came so far"), std::string::npos);

  const RtspServer other(other_port, "ball:96x64");
  wait_for_frames("away");
  EXPECT_EQ(ctl({"health"}).exit_code, 0);

  camera.reset();
  wait_until([&] { return ctl({"health"}).exit_code == 5; }, "an outage");
  camera = std::make_unique<RtspServer>(camera_port, "ball:160x120");
  wait_until([&] { return ctl({"health"}).exit_code == 0; }, "the end of the outage");

  serve.send(SIGTERM);
  const Finished finished = serve.wait();
  EXPECT_EQ(finished.exit_code, 130);
  EXPECT_NE(finished.err.find("error: away: "), std::string::npos) << finished.err;
  EXPECT_NE(finished.err.find("warning: here: rtsp://"), std::string::npos) << finished.err;
  EXPECT_NE(finished.err.find("begun anew in"), std::string::npos) << finished.err;
  std::vector<std::string> kinds;
  for (const Json& event : events("here.ndjson")) {
    if (event.contains("event")) kinds.push_back(event["event"]);
  }
  EXPECT_EQ(kinds, (std::vector<std::string>{"outage", "resumed"}));
}

}  // namespace
}  // namespace hqtrack::testing
