#include "cli/track.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/error.h"
#include "core/label_mask.h"
#include "io/frame_source.h"
#include "io/mask_reader.h"
#include "tests/cli/moving_square.h"
#include "tests/cli/program.h"
#include "tests/pipeline/tiny_model.h"
#include "tests/support/golden.h"

namespace hqtrack::testing {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using Texts = std::vector<std::string>;

int code(ExitCode exit_code) { return static_cast<int>(exit_code); }

std::vector<Json> read_events(const std::string& text) {
  std::vector<Json> events;
  for (const std::string& line : lines_of(text)) events.push_back(Json::parse(line));
  return events;
}

size_t count_files(const fs::path& folder) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

/// A folder with a video of a moving square, its mask and a small network.
class TrackProgram : public ::testing::Test {
 protected:
  void SetUp() override {
    config_ = write_tiny_model(folder_.path()).string();
    write_label_mask(at("mask.png"), square_.mask(0, 7));
  }

  std::string at(const std::string& name) const { return (folder_.path() / name).string(); }
  bool is_there(const std::string& name) const { return fs::exists(at(name)); }
  void write_video(const std::string& name, int64_t num_frames) { square_.write_video(at(name), num_frames); }

  /// hqtrack track with the small network.
  Texts track(const std::string& input, const Texts& more) const {
    Texts args = {"track", at(input), "--config", config_, "--device", "cpu", "--threads", "1"};
    args.insert(args.end(), more.begin(), more.end());
    return args;
  }
  Texts track_to_all(const std::string& input) const {
    return track(input, {"--mask", at("mask.png"), "-o", at("out.mp4"), "--masks", at("masks"), "--events",
                         at("events.ndjson")});
  }

  /// Waits until a running program has written so many lines of events; false when it takes a minute.
  bool wait_for_events(const std::string& name, size_t num_lines) const {
    for (int i = 0; i < 6000; ++i) {
      if (lines_of(read_text(at(name))).size() >= num_lines) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }

  TemporaryFolder folder_;
  MovingSquare square_;
  std::string config_;
};

TEST_F(TrackProgram, WritesAllOutputsOfEveryFrame) {
  write_video("in.mp4", 30);
  const Finished finished = run_program(track_to_all("in.mp4"));
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_EQ(finished.out, "");
  EXPECT_EQ(lines_of(finished.err).size(), 1U) << finished.err;
  EXPECT_EQ(count_frames(at("out.mp4")), 30);
  EXPECT_EQ(count_files(at("masks")), 30U);
  const std::vector<Json> events = read_events(read_text(at("events.ndjson")));
  ASSERT_EQ(events.size(), 30U);
  for (size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(events[i]["index"], i);
    EXPECT_NEAR(events[i]["pts"].get<double>(), 0.04 * static_cast<double>(i), 1e-6);
    char name[32];
    std::snprintf(name, sizeof name, "%05zu.png", i);
    const auto regions = label_regions(read_label_mask(folder_.path() / "masks" / name));
    for (const Json& object : events[i]["objects"]) {
      const Region& region = regions[object["id"].get<size_t>()];
      EXPECT_EQ(object["area"], region.area_px) << "frame " << i;
      const Json box = {region.box.x0, region.box.y0, region.box.x1, region.box.y1};
      EXPECT_EQ(object["box"], region.area_px > 0 ? box : Json(nullptr)) << "frame " << i;
      EXPECT_EQ(object["state"] == "lost", region.area_px == 0);
    }
  }
  EXPECT_FALSE(is_there("out.part.mp4"));
  EXPECT_FALSE(is_there("events.part.ndjson"));
}

TEST_F(TrackProgram, EventsOnStandardOutputAreAlone) {
  write_video("in.mp4", 5);
  const Finished finished = run_program(
      track("in.mp4", {"--mask", at("mask.png"), "--events", "-", "--quiet", "--name", "7=square"}));
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_EQ(finished.err, "");
  const std::vector<Json> events = read_events(finished.out);
  ASSERT_EQ(events.size(), 5U);
  EXPECT_EQ(events[0]["objects"][0]["id"], 7);
  EXPECT_EQ(events[0]["objects"][0]["name"], "square");
  EXPECT_EQ(events[0]["objects"][0]["box"], (Json{8, 20, 40, 52}));
}

TEST_F(TrackProgram, AddsObjectsAtTheirFrame) {
  write_video("in.mp4", 8);
  at::Tensor added = at::zeros({square_.height, square_.width}, at::kByte);
  added.slice(0, 60, 90).slice(1, 90, 120).fill_(2);
  write_label_mask(at("added.png"), added);
  const Finished finished = run_program(
      track("in.mp4", {"--mask", at("mask.png"), "--mask", at("added.png"), "--at", "3", "--events", "-"}));
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  const std::vector<Json> events = read_events(finished.out);
  ASSERT_EQ(events.size(), 8U);
  EXPECT_EQ(events[2]["objects"].size(), 1U);
  ASSERT_EQ(events[3]["objects"].size(), 2U);
  EXPECT_EQ(events[3]["objects"][0]["id"], 2);
  EXPECT_EQ(events[3]["objects"][0]["box"], (Json{90, 60, 120, 90}));
  EXPECT_EQ(events[7]["objects"].size(), 2U);
}

TEST_F(TrackProgram, TracksAPartOfTheVideo) {
  write_video("in.mp4", 50);
  const Finished finished = run_program(
      track("in.mp4", {"--mask", at("mask.png"), "--events", "-", "--start", "0:00.4", "--duration", "0.8"}));
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  const std::vector<Json> events = read_events(finished.out);
  ASSERT_EQ(events.size(), 20U);
  EXPECT_EQ(events[0]["index"], 0);
  EXPECT_NEAR(events[0]["pts"].get<double>(), 0.4, 1e-6);
}

TEST_F(TrackProgram, ResizesAMaskOfAnotherSizeAndSaysSo) {
  write_video("in.mp4", 3);
  write_label_mask(at("large.png"), resize_labels(square_.mask(0, 7), 2 * square_.height, 2 * square_.width));
  const Finished finished = run_program(track("in.mp4", {"--mask", at("large.png"), "--events", "-"}));
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_NE(finished.err.find("large.png: resized from 256x192 to 128x96"), std::string::npos)
      << finished.err;
  EXPECT_EQ(read_events(finished.out)[0]["objects"][0]["box"], (Json{8, 20, 40, 52}));
}

TEST_F(TrackProgram, EachKindOfFailureHasItsExitCode) {
  write_video("in.mp4", 3);
  write_label_mask(at("empty.png"), at::zeros({square_.height, square_.width}, at::kByte));
  std::ofstream(at("text.mp4")) << "no video";
  std::ofstream(at("text.png")) << "no picture";
  std::ofstream(at("text.safetensors")) << "no weights";
  std::ofstream(at("wrong.json")) << R"({"prompts": [
  {"box": [1, 2, 30, 40]},
  {"points": [[1]]}]})";
  std::ofstream(at("unknown.json"))
      << R"({"prompts": [{"box": [1, 2, 30, 40]}, {"frame": 2, "action": "remove", "id": 5}]})";
  std::ofstream(at("unknown_key.yaml")) << "tracker: {colour: red}\n";
  const Texts outputs = {"-o", at("out.mp4"), "--events", at("events.ndjson"), "--masks", at("masks")};
  const auto with = [&](const std::string& input, Texts more) {
    more.insert(more.end(), outputs.begin(), outputs.end());
    return track(input, more);
  };
  const std::string mask = at("mask.png");
  struct Case {
    Texts args;
    ExitCode expected;
    const char* named;  // what the message must name
  };
  const std::vector<Case> cases = {
      {{"trakc"}, ExitCode::kUsage, "did you mean track"},
      {{}, ExitCode::kUsage, "expected a command"},
      {with("in.mp4", {"--mask", mask, "--oops"}), ExitCode::kUsage, "--oops"},
      {with("in.mp4", {"--mask", mask, "--set", "tracker.colour=red"}), ExitCode::kConfig, "tracker.colour"},
      {with("in.mp4", {"--mask", mask, "--set", "overlay.mask_opacity=much"}), ExitCode::kConfig,
       "overlay.mask_opacity"},
      {{"track", at("in.mp4"), "--mask", mask, "-o", at("out.mp4"), "--config", at("unknown_key.yaml")},
       ExitCode::kConfig,
       "colour"},
      {{"track", at("in.mp4"), "--mask", mask, "-o", at("out.mp4"), "--config", at("missing.yaml")},
       ExitCode::kConfig,
       "missing.yaml"},
      {with("in.mp4", {"--mask", mask, "--weights", at("missing.safetensors")}), ExitCode::kWeights,
       "missing.safetensors"},
      {with("in.mp4", {"--mask", mask, "--weights", at("text.safetensors")}), ExitCode::kWeights,
       "text.safetensors"},
      {with("in.mp4", {"--mask", ""}), ExitCode::kUsage, "--mask"},
      {with("in.mp4", {}), ExitCode::kUsage, "expected an object to follow"},
      {{"track", "rtsp://camera.invalid/1", "--control", "0.0.0.0:8080"},
       ExitCode::kUsage,
       "expected a control token for 0.0.0.0"},
      {with("in.mp4", {"--box", "1,2,3"}), ExitCode::kUsage, "--box"},
      {with("in.mp4", {"--box", "40,2,30,9"}), ExitCode::kUsage,
       "expected x0 < x1 and y0 < y1, found 40,2,30,9"},
      {with("in.mp4", {"--box", "500,2,600,9"}), ExitCode::kUsage, "inside the picture of 128x96"},
      {with("in.mp4", {"--point", "128,5"}), ExitCode::kUsage, "found 128,5"},
      {with("in.mp4", {"--point", "8,5,0"}), ExitCode::kUsage, "only points beside it"},
      {with("in.mp4", {"--point", "8,5,2"}), ExitCode::kUsage, "'8,5,2'"},
      {with("in.mp4", {"--box", "1,2,30,40", "--at", "3"}), ExitCode::kUsage, "expected a frame below 3"},
      {with("in.mp4", {"--box", "1,2,30,40", "--at", "0:20"}), ExitCode::kUsage, "found 20 s"},
      {with("in.mp4", {"--box", "1,2,30,40", "--at", "soon"}), ExitCode::kUsage, "'soon'"},
      {with("in.mp4", {"--box", "1,2,30,40", "--id", "256"}), ExitCode::kUsage, "--id"},
      {with("in.mp4", {"--at", "1"}), ExitCode::kUsage, "expected a --box, --point or --mask with it"},
      {with("in.mp4", {"--prompts", at("missing.json")}), ExitCode::kInput, "missing.json"},
      {with("in.mp4", {"--prompts", at("wrong.json")}), ExitCode::kInput, "wrong.json:3: prompts[1].points"},
      {with("in.mp4", {"--prompts", at("unknown.json")}), ExitCode::kInput, "found no object 5 by then"},
      {with("missing.mp4", {"--mask", mask}), ExitCode::kInput, "missing.mp4"},
      {with("text.mp4", {"--mask", mask}), ExitCode::kInput, "text.mp4"},
      {with("in.mp4", {"--mask", at("missing.png")}), ExitCode::kInput, "missing.png"},
      {with("in.mp4", {"--mask", at("text.png")}), ExitCode::kInput, "text.png"},
      {with("in.mp4", {"--mask", at("empty.png")}), ExitCode::kInput, "empty.png"},
      {with("in.mp4", {"--mask", mask, "--start", "9:00"}), ExitCode::kInput, "in.mp4"},
      {track("in.mp4", {"--mask", mask, "-o", at("mask.png/out.mp4")}), ExitCode::kOutput,
       "mask.png/out.mp4"},
      {track("in.mp4", {"--mask", mask, "-o", at("out.txt")}), ExitCode::kOutput, "out.txt"},
      {{"track", at("in.mp4"), "--mask", mask, "-o", at("out.mp4"), "--config", config_, "--device",
        "cuda:77"},
       ExitCode::kDevice,
       "cuda:77"},
      {{"info", at("missing.mp4")}, ExitCode::kInput, "missing.mp4"},
      {{"info", at("text.safetensors")}, ExitCode::kWeights, "text.safetensors"},
  };
  for (const Case& each : cases) {
    const Finished finished = run_program(each.args);
    EXPECT_EQ(finished.exit_code, code(each.expected)) << each.named << ": " << finished.err;
    EXPECT_EQ(lines_of(finished.err).size(), 1U) << each.named << ": " << finished.err;
    EXPECT_NE(finished.err.find(each.named), std::string::npos) << finished.err;
    EXPECT_FALSE(is_there("out.mp4")) << each.named;
    EXPECT_FALSE(is_there("out.part.mp4")) << each.named;
    EXPECT_FALSE(is_there("masks")) << each.named;
  }
}

TEST_F(TrackProgram, ReplacesOutputsOnlyWhenToldTo) {
  write_video("in.mp4", 3);
  std::ofstream(at("out.mp4")) << "precious";
  const Texts to_video = track("in.mp4", {"--mask", at("mask.png"), "-o", at("out.mp4")});
  EXPECT_EQ(run_program(to_video).exit_code, code(ExitCode::kOutput));
  EXPECT_EQ(read_text(at("out.mp4")), "precious");

  fs::create_directory(at("masks"));
  std::ofstream(at("masks/00001.png")) << "precious";
  write_label_mask(at("masks/00400.png"), square_.mask(0, 7));  // of a longer video
  std::ofstream(at("masks/notes.txt")) << "not ours";
  Texts to_masks = track("in.mp4", {"--mask", at("mask.png"), "--masks", at("masks")});
  EXPECT_EQ(run_program(to_masks).exit_code, code(ExitCode::kOutput));
  EXPECT_EQ(read_text(at("masks/00001.png")), "precious");

  Texts replacing = track_to_all("in.mp4");
  replacing.push_back("--overwrite");
  const Finished finished = run_program(replacing);
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_EQ(count_frames(at("out.mp4")), 3);
  EXPECT_NO_THROW(read_label_mask(at("masks/00001.png")));
  EXPECT_FALSE(is_there("masks/00400.png"));
  EXPECT_EQ(read_text(at("masks/notes.txt")), "not ours");
}

TEST_F(TrackProgram, AStartThatFailsReplacesNothing) {
  write_video("in.mp4", 3);
  fs::create_directory(at("masks"));
  for (const char* name : {"out.mp4", "masks/00001.png", "events.ndjson"}) {
    std::ofstream(at(name)) << "precious";
  }
  // A tracked square takes all of what is to be another object: no pixel is left of it.
  write_label_mask(at("behind.png"), square_.mask(0, 9));
  Texts args = track_to_all("in.mp4");
  args.insert(args.begin() + 2, {"--mask", at("behind.png"), "--overwrite"});
  const Finished finished = run_program(args);
  EXPECT_EQ(finished.exit_code, code(ExitCode::kInput)) << finished.err;
  for (const char* name : {"out.mp4", "masks/00001.png", "events.ndjson"}) {
    EXPECT_EQ(read_text(at(name)), "precious") << name;
  }
  EXPECT_EQ(count_files(folder_.path() / "masks"), 1U);
}

TEST_F(TrackProgram, OutputsNeverReplaceTheWeightsOfTheConfiguration) {
  write_video("in.mp4", 3);
  const std::string weights = at("refiner.safetensors");
  std::ofstream(weights) << "precious";
  const Finished finished =
      run_program(track("in.mp4", {"--mask", at("mask.png"), "--events", weights, "--set",
                                   "refiner.weights=" + weights, "--overwrite"}));
  EXPECT_EQ(finished.exit_code, code(ExitCode::kUsage)) << finished.err;
  EXPECT_EQ(read_text(weights), "precious");
}

TEST_F(TrackProgram, TracksADamagedVideoUpToTheDamage) {
  write_video("in.mkv", 200);
  truncate_file(at("in.mkv"), 0.5);
  const int64_t num_good = count_frames(at("in.mkv"));
  ASSERT_GT(num_good, 0);
  ASSERT_LT(num_good, 200);
  const Finished finished = run_program(track_to_all("in.mkv"));
  EXPECT_EQ(finished.exit_code, code(ExitCode::kInput)) << finished.err;
  EXPECT_NE(finished.err.find("in.mkv"), std::string::npos) << finished.err;
  EXPECT_NE(finished.err.find(std::to_string(num_good) + " frames before"), std::string::npos)
      << finished.err;
  EXPECT_EQ(count_frames(at("out.mp4")), num_good);
  EXPECT_EQ(count_files(at("masks")), static_cast<size_t>(num_good));
  EXPECT_EQ(read_events(read_text(at("events.ndjson"))).size(), static_cast<size_t>(num_good));
}

TEST_F(TrackProgram, InterruptionCompletesTheOutputs) {
  write_video("in.mp4", 1500);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    Texts args = track_to_all("in.mp4");
    args.push_back("--overwrite");
    fs::remove(at("events.part.ndjson"));
    Program program(args);
    ASSERT_TRUE(wait_for_events("events.part.ndjson", 10));
    program.send(signal);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    program.send(signal);  // as timeout does, to the program and to its group
    const Finished finished = program.wait();
    EXPECT_EQ(finished.exit_code, code(ExitCode::kInterrupted)) << finished.err;
    const auto num_events = static_cast<int64_t>(read_events(read_text(at("events.ndjson"))).size());
    EXPECT_GE(num_events, 10);
    EXPECT_LT(num_events, 1500);
    EXPECT_EQ(count_frames(at("out.mp4")), num_events);
    EXPECT_EQ(count_files(at("masks")), static_cast<size_t>(num_events));
    EXPECT_NE(finished.err.find("interrupted after " + std::to_string(num_events) + " frames"),
              std::string::npos)
        << finished.err;
  }
}

TEST_F(TrackProgram, EndsWhenNobodyReadsStandardOutput) {
  write_video("in.mp4", 60);
  std::string command = HQTRACK_PROGRAM;
  for (const std::string& arg : track("in.mp4", {"--mask", at("mask.png"), "-o", "-"})) {
    command += " '" + arg + "'";
  }
  command = "bash -c \"" + command + " | true; exit \\${PIPESTATUS[0]}\"";
  const int status = std::system(command.c_str());
  EXPECT_EQ(WEXITSTATUS(status), code(ExitCode::kOutput));
}

TEST_F(TrackProgram, InterruptionEndsTheWaitForAStream) {
  write_video("in.mkv", 300);
  ASSERT_EQ(::mkfifo(at("pipe").c_str(), 0600), 0);
  Texts args = track_to_all("in.mkv");
  args[1] = "-";
  Program program(args, at("pipe"));
  std::ofstream pipe(at("pipe"), std::ios::binary);  // stays open: the stream stalls
  const std::string video = read_text(at("in.mkv"));
  pipe.write(video.data(), static_cast<std::streamsize>(video.size() / 2)).flush();
  ASSERT_TRUE(wait_for_events("events.part.ndjson", 10));
  program.send(SIGINT);
  const Finished finished = program.wait();
  EXPECT_EQ(finished.exit_code, code(ExitCode::kInterrupted)) << finished.err;
  const auto num_events = static_cast<int64_t>(read_events(read_text(at("events.ndjson"))).size());
  EXPECT_GE(num_events, 10);
  EXPECT_EQ(count_frames(at("out.mp4")), num_events);
}

TEST_F(TrackProgram, AVideoThatEndsBeforeItsPromptsIsAnError) {
  write_video("in.mkv", 4);  // Matroska does not say how many frames it has
  const Finished finished =
      run_program(track("in.mkv", {"--mask", at("mask.png"), "--at", "4", "--events", at("events.ndjson")}));
  EXPECT_EQ(finished.exit_code, code(ExitCode::kInput));
  EXPECT_NE(finished.err.find("before 4 frames"), std::string::npos) << finished.err;
  const Finished half = run_program(track("in.mkv", {"--mask", at("mask.png"), "--box", "9,9,30,30", "--at",
                                                     "5", "--name", "9=cat", "--events", "-"}));
  EXPECT_EQ(half.exit_code, 0) << half.err;
  EXPECT_NE(half.err.find("found frame 5"), std::string::npos) << half.err;
  EXPECT_NE(half.err.find("found 9 for 'cat'"), std::string::npos) << half.err;
}

TEST_F(TrackProgram, FollowsAPromptFile) {
  write_video("in.mp4", 10);
  std::ofstream(at("prompts.json")) << R"({
    "$schema": "prompts.schema.json",
    "prompts": [
      {"mask": "mask.png"},
      {"time": 0.12, "box": [60, 50, 100, 90], "name": "box\u00e9"},
      {"frame": 5, "action": "correct", "id": 7, "mask": "mask.png"},
      {"frame": 7, "action": "remove", "id": 7}
    ]
  })";
  const Finished finished = run_program(track("in.mp4", {"--prompts", at("prompts.json"), "--events", "-"}));
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  const std::vector<Json> events = read_events(finished.out);
  ASSERT_EQ(events.size(), 10U);
  EXPECT_EQ(events[2]["objects"].size(), 1U);
  ASSERT_EQ(events[3]["objects"].size(), 2U);  // 0.12 s, 25 frames a second
  EXPECT_EQ(events[3]["objects"][0]["id"], 1);
  EXPECT_EQ(events[3]["objects"][0]["name"], "box\u00e9");
  EXPECT_EQ(events[3]["objects"][0]["verdict"], "refined");
  EXPECT_EQ(events[5]["objects"][1]["box"], (Json{8, 20, 40, 52}));
  EXPECT_EQ(events[5]["objects"][1]["score"], 1.0);
  EXPECT_EQ(events[7]["objects"].size(), 1U);
  EXPECT_EQ(events[9]["objects"][0]["id"], 1);
}

TEST_F(TrackProgram, AKilledRunLeavesAPlayableVideo) {
  write_video("in.mp4", 1500);
  Program program(track_to_all("in.mp4"));
  ASSERT_TRUE(wait_for_events("events.part.ndjson", 400));
  program.send(SIGKILL);
  EXPECT_EQ(program.wait().signal, SIGKILL);
  EXPECT_FALSE(is_there("out.mp4"));
  EXPECT_GT(count_frames(at("out.part.mp4")), 50);
  std::string text = read_text(at("events.part.ndjson"));
  text.resize(text.rfind('\n') + 1);
  EXPECT_GE(read_events(text).size(), 400U);
}

TEST_F(TrackProgram, AFullDiskFailsOneOutputAndFinishesTheOthers) {
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  write_video("in.mp4", 20);
  const Finished finished =
      run_program(track("in.mp4", {"--mask", at("mask.png"), "-o", at("out.mp4"), "--events", "/dev/full"}));
  EXPECT_EQ(finished.exit_code, code(ExitCode::kOutput));
  EXPECT_NE(finished.err.find("/dev/full"), std::string::npos) << finished.err;
  EXPECT_GT(count_frames(at("out.mp4")), 0);
}

TEST_F(TrackProgram, WorksWithoutStandardStreams) {
  write_video("in.mp4", 5);
  std::string command = "'" HQTRACK_PROGRAM "'";
  for (const std::string& arg : track_to_all("in.mp4")) command += " '" + arg + "'";
  EXPECT_EQ(std::system((command + " <&- >&- 2>&-").c_str()), 0);
  EXPECT_EQ(count_frames(at("out.mp4")), 5);
  EXPECT_EQ(read_events(read_text(at("events.ndjson"))).size(), 5U);
}

TEST_F(TrackProgram, GivesTheSameBytesTwice) {
  write_video("in.mp4", 12);
  const Texts args = track("in.mp4", {"--mask", at("mask.png"), "--events", "-", "--quiet"});
  const std::string first = run_program(args).out;
  EXPECT_EQ(lines_of(first).size(), 12U);
  EXPECT_EQ(first, run_program(args).out);
}

TEST_F(TrackProgram, TheEmbeddedModelFollowsASquare) {
  if (!fs::exists(repository_root() / "models" / "nano.safetensors"))
    GTEST_SKIP() << "models/nano.safetensors is missing";
  constexpr int64_t kNumFrames = 20;
  write_video("in.mp4", kNumFrames);
  const Finished finished = run_program({"track", at("in.mp4"), "--mask", at("mask.png"), "--masks",
                                         at("masks"), "--events", "-", "--device", "cpu"});
  ASSERT_EQ(finished.exit_code, 0) << finished.err;
  ASSERT_EQ(count_files(at("masks")), static_cast<size_t>(kNumFrames));
  for (int64_t i = 0; i < kNumFrames; ++i) {
    char name[16];
    std::snprintf(name, sizeof name, "%05d.png", static_cast<int>(i));
    const at::Tensor found = read_label_mask(folder_.path() / "masks" / name).eq(7);
    const at::Tensor truth = square_.mask(i).gt(0);
    const double both = (found & truth).sum().item<double>(), any = (found | truth).sum().item<double>();
    EXPECT_GT(both / any, 0.8) << "frame " << i;
  }
  for (const Json& event : read_events(finished.out)) EXPECT_EQ(event["objects"][0]["state"], "tracked");
}

}  // namespace
}  // namespace hqtrack::testing
