#include "cli/arguments.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "cli/track_arguments.h"
#include "core/error.h"
#include "tests/cli/program.h"
#include "tests/support/golden.h"

namespace hqtrack {
namespace {

using Texts = std::vector<std::string>;

template <class Call>
std::string usage_error(Call call) {
  try {
    call();
  } catch (const UsageError& e) {
    return e.what();
  }
  return "no error";
}

std::string track_error(const Texts& args) {
  return usage_error([&] {
    if (const auto arguments = parse_track_arguments(args)) check_asked(*arguments, false);
  });
}

TEST(ParseTime, TakesSecondsAndClockTimes) {
  EXPECT_EQ(parse_time_us("--start", "0"), 0);
  EXPECT_EQ(parse_time_us("--start", "12.5"), 12500000);
  EXPECT_EQ(parse_time_us("--start", "90"), 90000000);
  EXPECT_EQ(parse_time_us("--start", "1:02.25"), 62250000);
  EXPECT_EQ(parse_time_us("--start", "01:02:03.004"), 3723004000);
  EXPECT_EQ(parse_time_us("--start", ".5"), 500000);
}

TEST(ParseTime, RefusesAnythingElse) {
  for (const char* text : {"", "-1", "-0", "x", "1s", "1:", ":1", "1:60", "1:2:3:4", "1.5:00", "1e3", "inf",
                           "nan", "1:-2", " 1", "1 ", "1e999", "99999999999"}) {
    EXPECT_THROW(parse_time_us("--start", text), UsageError) << "'" << text << "'";
  }
  EXPECT_EQ(usage_error([] { parse_time_us("--start", "soon"); }),
            "--start: expected seconds or [HH:]MM:SS.mmm, found 'soon'");
}

TEST(ParseInteger, KeepsToItsRange) {
  EXPECT_EQ(parse_integer("--threads", "8", 1, 8), 8);
  for (const char* text : {"0", "9", "", "1.5", "+1", "0x1", "two", "99999999999999999999"}) {
    EXPECT_THROW(parse_integer("--threads", text, 1, 8), UsageError) << "'" << text << "'";
  }
}

TEST(Nearest, FindsTypingErrorsOnly) {
  const Texts words = {"--mask", "--masks", "--events", "--output"};
  EXPECT_EQ(nearest("--msak", words), "--mask");
  EXPECT_EQ(nearest("--out", words), "--output");
  EXPECT_EQ(nearest("--o", words), "");
  EXPECT_EQ(nearest("--event", words), "--events");
  EXPECT_EQ(nearest("--ouptut", words), "--output");
  EXPECT_EQ(nearest("--colour", words), "");
}

TEST(TrackArguments, ReadsEverything) {
  const auto arguments = parse_track_arguments(
      Texts{"in.mp4",    "--mask",  "a.png",  "--mask=b.png", "--at",   "12",          "-o",
            "out.mkv",   "--masks", "m",      "--events",     "-",      "--config",    "c.yaml",
            "--weights", "w.pth",   "--set",  "a.b=1",        "--set",  "c=[1, 2]",    "--device",
            "cpu",       "--start", "1:00",   "--duration",   "2.5",    "--overwrite", "--quiet",
            "--threads", "3",       "--name", "1=box",        "--name", "200=a=b"});
  ASSERT_TRUE(arguments);
  EXPECT_EQ(arguments->input, "in.mp4");
  const std::vector<PromptEntry>& entries = arguments->prompts.entries;
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries[0].at.frame_index, 0);
  EXPECT_EQ(entries[0].mask, "a.png");
  EXPECT_EQ(entries[1].at.frame_index, 12);
  EXPECT_EQ(entries[1].mask, "b.png");
  EXPECT_EQ(arguments->video_outputs, (Texts{"out.mkv"}));
  EXPECT_EQ(arguments->mask_output, "m");
  EXPECT_EQ(arguments->event_outputs, (Texts{"-"}));
  EXPECT_EQ(arguments->network.config_file, "c.yaml");
  EXPECT_EQ(arguments->network.weights_file, "w.pth");
  EXPECT_EQ(arguments->network.overrides, (Texts{"a.b=1", "c=[1, 2]"}));
  EXPECT_EQ(arguments->network.device, "cpu");
  EXPECT_EQ(arguments->source.start_us, 60000000);
  EXPECT_EQ(arguments->source.duration_us, 2500000);
  EXPECT_TRUE(arguments->overwrites);
  EXPECT_TRUE(arguments->is_quiet);
  EXPECT_EQ(arguments->network.num_threads, 3);
  EXPECT_EQ(arguments->prompts.names, (std::map<int64_t, std::string>{{1, "box"}, {200, "a=b"}}));
}

TEST(TrackArguments, StandardInputIsAnInput) {
  const auto arguments = parse_track_arguments(Texts{"-", "--mask", "a.png", "-oout.mp4"});
  ASSERT_TRUE(arguments);
  EXPECT_EQ(arguments->input, "-");
  EXPECT_EQ(arguments->video_outputs, (Texts{"out.mp4"}));
  EXPECT_EQ(arguments->network.device, "auto");
  EXPECT_FALSE(arguments->overwrites);
}

TEST(TrackArguments, AStreamIsFollowedAsItComes) {
  const auto live_of = [](Texts args) {
    args.insert(args.end(), {"--mask", "a.png", "-oout.mp4"});
    return parse_track_arguments(args)->source.live;
  };
  EXPECT_FALSE(live_of({"a.mp4"}));
  EXPECT_FALSE(live_of({"http://h/a.mp4"}));
  EXPECT_TRUE(live_of({"http://h/a.m3u8", "--live"}));
  EXPECT_TRUE(live_of({"-", "--live"}));
  const auto plain = live_of({"rtsp://camera/1"});
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->rtsp_transport, "tcp");
  EXPECT_FALSE(plain->max_outage_us);
  const auto tuned = live_of({"rtsp://camera/1", "--rtsp-transport", "udp", "--timeout", "2", "--max-outage",
                              "1:00", "--max-latency", "0.25"});
  EXPECT_EQ(tuned->rtsp_transport, "udp");
  EXPECT_EQ(tuned->timeout_us, 2'000'000);
  EXPECT_EQ(tuned->max_outage_us, 60'000'000);
  EXPECT_EQ(tuned->max_latency_us, 250'000);
  const auto error = [](Texts args) {
    args.insert(args.end(), {"--mask", "a.png", "-oout.mp4"});
    return track_error(args);
  };
  EXPECT_EQ(error({"http://me:secret@h/a", "--max-outage", "5"}),
            "--max-outage: expected a live stream (rtsp://..., or --live), found http://***@h/a");
  EXPECT_EQ(error({"rtsp://h/a", "--timeout", "0"}), "--timeout: expected more than 0, found 0");
  EXPECT_EQ(error({"rtsp://h/a", "--rtsp-transport", "ip"}),
            "--rtsp-transport: expected tcp or udp, found 'ip'");
  EXPECT_EQ(error({"rtsp://h/a", "--start", "5"}), "--start: has no meaning for a live stream");
  EXPECT_EQ(error({"frames/%05d.jpg", "--live"}),
            "--live: expected a stream, found pictures: frames/%05d.jpg");
}

TEST(TrackArguments, SaysWhatIsWrongInOneLine) {
  EXPECT_EQ(track_error({}), "expected INPUT, found none; see --help");
  EXPECT_EQ(track_error({"in.mp4", "--device", "foo"}),
            "--device: expected auto, cpu, cuda or cuda:N, found 'foo'");
  EXPECT_EQ(track_error({"in.mp4", "--device", "cpu,cpu"}),
            "--device: expected auto, cpu, cuda or cuda:N, found 'cpu,cpu'");
  EXPECT_EQ(track_error({"a", "b", "-o", "o", "--mask", "m"}), "'b': unexpected argument; see --help");
  EXPECT_EQ(track_error({"a", "--msak", "m"}), "--msak: unknown option; did you mean --mask?");
  EXPECT_EQ(track_error({"a", "--frobnicate"}), "--frobnicate: unknown option; see --help");
  EXPECT_EQ(track_error({"a", "--dev", "cpu"}), "--dev: unknown option; did you mean --device?");
  EXPECT_EQ(track_error({"a", "-x"}), "-x: unknown option; see --help");
  EXPECT_EQ(track_error({"a", "-o"}), "--output: expected a value, found none");
  EXPECT_EQ(track_error({"a", "--masks", "x", "--masks", "y"}),
            "--masks: expected once, found several times");
  EXPECT_EQ(track_error({"a", "--quiet=yes"}), "--quiet: expected no value, found one");
  EXPECT_EQ(track_error({"a", "-o", "o.mp4"}),
            "expected an object to follow (--box, --point, --mask, --detections or --prompts), found none");
  EXPECT_EQ(track_error({"a", "--mask", "m"}),
            "expected an output (--output, --masks or --events), found none");
  EXPECT_EQ(track_error({"a", "--mask", "m", "-o", "o", "--threads", "0"}),
            "--threads: expected a whole number from 1 to 1024, found '0'");
  EXPECT_EQ(track_error({"a", "--mask", "m", "-o", "o", "--name", "3="}),
            "--name: expected ID=NAME or NAME, found '3='");
  EXPECT_EQ(track_error({"a", "--mask", "m", "-o", "o", "--name", "256=box"}),
            "--name: expected a whole number from 1 to 255, found '256'");
  EXPECT_EQ(track_error({"a", "--mask", "m", "-o", "o", "--duration", "0"}),
            "--duration: expected more than 0, found 0");
  EXPECT_EQ(track_error({"a", "--mask", "m", "-o", "-", "--events", "-"}),
            "'-': expected one output that goes to standard output, found several");
  EXPECT_EQ(track_error({"a", "--mask", "m", "-o", "x", "-o", "x"}),
            "--output: expected different outputs, found x several times");
}

std::vector<PromptEntry> prompts_of(Texts args) {
  args.insert(args.begin(), "in.mp4");
  args.insert(args.end(), {"-o", "out.mp4"});
  return parse_track_arguments(args)->prompts.entries;
}

TEST(TrackArguments, SaysWhereItLookedForPrompts) {
  try {
    parse_track_arguments(Texts{"in.mp4", "--prompts", "none.json"});
    ADD_FAILURE() << "no error";
  } catch (const MediaError& error) {
    EXPECT_EQ(error.what(), (std::filesystem::current_path() / "none.json").string() +
                                ": expected a JSON file of prompts, found none that can be read");
  }
}

TEST(TrackArguments, OrderSaysWhichPromptsBelongTogether) {
  struct Case {
    Texts args;
    std::vector<std::string> expected;  // of each object: box, number of points, mask, name, id, frame
  };
  const std::string box = "1,2,3,4", point = "5,6";
  const std::vector<Case> cases = {
      {{"--box", box, "--box", box}, {"box 0 '' '' - 0", "box 0 '' '' - 0"}},
      {{"--point", point, "--point", "7,8,0"}, {"- 2 '' '' - 0"}},
      {{"--box", box, "--point", point, "--mask", "m"}, {"box 1 '' '' - 0", "- 0 'm' '' - 0"}},
      {{"--box", box, "--name", "a", "--point", point, "--name", "b"},
       {"box 0 '' 'a' - 0", "- 1 '' 'b' - 0"}},
      {{"--name", "a", "--box", box, "--name", "b", "--box", box}, {"box 0 '' 'a' - 0", "box 0 '' 'b' - 0"}},
      {{"--id", "3", "--point", point, "--id", "4", "--point", point}, {"- 1 '' '' 3 0", "- 1 '' '' 4 0"}},
      {{"--box", box, "--at", "9", "--id", "3", "--mask", "m"}, {"box 0 '' '' 3 9", "- 0 'm' '' - 0"}},
      {{"--mask", "m", "--mask", "n", "--at", "7"}, {"- 0 'm' '' - 0", "- 0 'n' '' - 7"}},
      {{"--box", box, "--name", "3=x", "--point", point}, {"box 1 '' '' - 0"}},  // belongs to no object
  };
  for (const Case& each : cases) {
    std::vector<std::string> found;
    for (const PromptEntry& entry : prompts_of(each.args)) {
      found.push_back(std::string(entry.box ? "box" : "-") + " " + std::to_string(entry.points.size()) +
                      " '" + entry.mask.string() + "' '" + entry.name + "' " +
                      (entry.id ? std::to_string(*entry.id) : "-") + " " +
                      std::to_string(entry.at.frame_index));
    }
    EXPECT_EQ(found, each.expected) << each.args[0] << " " << each.args[1] << " " << each.args[2];
  }
}

TEST(TrackArguments, BoxesPointsAndMomentsAreNumbers) {
  const PromptEntry entry = prompts_of({"--box", "-1.5,2,3e1,4", "--point", "5,6.25", "--point", "7,8,0"})[0];
  EXPECT_EQ(entry.box->x0, -1.5);
  EXPECT_EQ(entry.box->x1, 30);
  EXPECT_EQ(entry.points[0].y, 6.25);
  EXPECT_TRUE(entry.points[0].is_object);
  EXPECT_FALSE(entry.points[1].is_object);
  EXPECT_EQ(parse_moment("--at", "12").frame_index, 12);
  EXPECT_FALSE(parse_moment("--at", "12").time_us);
  EXPECT_EQ(parse_moment("--at", "12s").time_us, 12'000'000);
  EXPECT_EQ(parse_moment("--at", "4.5").time_us, 4'500'000);
  EXPECT_EQ(parse_moment("--at", "1:20").time_us, 80'000'000);
  for (const char* wrong :
       {"1,2,3", "1,2,3,4,5", "1,2,3,nan", "1,2,3,", "a,2,3,4", "1 2 3 4", "", ",1,2,3", "inf,1,2,3"}) {
    EXPECT_THROW(prompts_of({"--box", wrong}), UsageError) << wrong;
  }
  for (const char* wrong : {"1", "1,2,3", "1,2,-1", "1,2,0,0", "x,y"}) {
    EXPECT_THROW(prompts_of({"--point", wrong}), UsageError) << wrong;
  }
  for (const char* wrong : {"", "s", "-1", "1:2s", "1.5f", "soon"}) {
    EXPECT_THROW(parse_moment("--at", wrong), UsageError) << wrong;
  }
}

TEST(TrackArguments, OutputsMayNotBeInputs) {
  const testing::TemporaryFolder folder;
  const auto at = [&](const char* name) { return (folder.path() / name).string(); };
  std::filesystem::create_directory(at("frames"));
  std::filesystem::create_directory_symlink(at("frames"), at("link"));
  const auto check = [](const Texts& args) {
    return usage_error([&] { check_outputs(*parse_track_arguments(args), {}); });
  };
  EXPECT_EQ(check({at("in.mp4"), "--mask", at("m.png"), "-o", at("in.mp4"), "--overwrite"}),
            "--output: " + at("in.mp4") + " is the input");
  EXPECT_NE(check({at("in.mp4"), "--mask", at("m.png"), "-o", at("frames/../in.mp4")}), "no error");
  EXPECT_NE(check({at("frames"), "--mask", at("m.png"), "--masks", at("link/"), "--overwrite"}), "no error");
  for (const char* picture : {"frames/00000.jpg", "frames/00001.jpg"})
    std::ofstream(at(picture)) << "a picture";
  for (const char* input :
       {"frames", "frames/%05d.jpg", "frames/*.jpg", "frames/0000[01].jpg", "frames/00001.jpg"}) {
    EXPECT_NE(check({at(input), "--mask", at("m.png"), "--masks", at("frames"), "--overwrite"}), "no error")
        << input;
    EXPECT_NE(check({at(input), "--mask", at("m.png"), "--events", at("frames/00001.jpg"), "--overwrite"}),
              "no error")
        << input;
  }
  EXPECT_THROW(check({at("in.mp4"), "--mask", at("m.png"), "-o", at("x.txt")}), OutputError);
  EXPECT_NE(check({at("in.mp4"), "--mask", at("frames/00000.png"), "--masks", at("frames")}), "no error");
  EXPECT_NE(check({at("in.mp4"), "--mask", at("m.png"), "-o", at("x.mp4"), "--events", at("./x.mp4")}),
            "no error");
  EXPECT_EQ(check({at("in.mp4"), "--mask", at("frames/00000.png"), "--masks", at("other"), "-o", at("x.mp4"),
                   "--events", "-"}),
            "no error");
}

TEST(TrackArguments, PresetComesBeforeSettings) {
  const auto settings_of = [](const Texts& more) {
    Texts args = {"in.mp4", "--mask", "m.png", "-o", "x.mp4"};
    args.insert(args.end(), more.begin(), more.end());
    return parse_track_arguments(args)->network.overrides;
  };
  EXPECT_EQ(settings_of({}), Texts());
  for (const char* preset : {"exact", "balanced", "fast"}) {
    const Texts settings = settings_of({"--set", "tracker.precision=fp32", "--preset", preset});
    ASSERT_GT(settings.size(), 1U);
    EXPECT_EQ(settings.back(), "tracker.precision=fp32");
    const Config config = load_config(testing::repository_root() / "configs/hqtrack.yaml", settings);
    EXPECT_EQ(config.tracker.precision, "fp32");
    EXPECT_EQ(config.tracker.propagation_8x.exact_frames > 0, preset != std::string("exact"));
  }
  EXPECT_EQ(usage_error([&] {
              settings_of({"--preset", "quick"});
            }),
            "--preset: expected one of exact, balanced, fast, found 'quick'");
}

TEST(TrackArguments, HelpFitsTheScreenAndNamesEveryOption) {
  const std::string help = kTrackHelp;
  const Texts lines = testing::lines_of(help);
  EXPECT_LE(lines.size(), 24U);
  for (const std::string& line : lines) EXPECT_LE(line.size(), 80U) << line;
  for (const char* option :
       {"-o, --output", "--masks",   "--events",    "--mask ",  "--box",     "--point",
        "--at",         "--id",      "--prompts",   "--name",   "--start",   "--duration",
        "--live",       "--segment", "--control",   "--config", "--weights", "--set",
        "--device",     "--threads", "--overwrite", "--quiet",  "--preset"}) {
    EXPECT_NE(help.find(option), std::string::npos) << option;
  }
}

}  // namespace
}  // namespace hqtrack
