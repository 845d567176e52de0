#include "cli/arguments.h"

#include <gtest/gtest.h>

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
  return usage_error([&] { parse_track_arguments(args); });
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
      Texts{"in.mp4",    "--mask",  "a.png",  "--mask=12:b.png", "--mask", "./5:c.png",   "-o",
            "out.mkv",   "--masks", "m",      "--events",        "-",      "--config",    "c.yaml",
            "--weights", "w.pth",   "--set",  "a.b=1",           "--set",  "c=[1, 2]",    "--device",
            "cpu",       "--start", "1:00",   "--duration",      "2.5",    "--overwrite", "--quiet",
            "--threads", "3",       "--name", "1=box",           "--name", "200=a=b"});
  ASSERT_TRUE(arguments);
  EXPECT_EQ(arguments->input, "in.mp4");
  ASSERT_EQ(arguments->masks.size(), 3U);
  EXPECT_EQ(arguments->masks[0].frame_index, 0);
  EXPECT_EQ(arguments->masks[0].file, "a.png");
  EXPECT_EQ(arguments->masks[1].frame_index, 12);
  EXPECT_EQ(arguments->masks[1].file, "b.png");
  EXPECT_EQ(arguments->masks[2].frame_index, 0);
  EXPECT_EQ(arguments->masks[2].file, "./5:c.png");
  EXPECT_EQ(arguments->video_output, "out.mkv");
  EXPECT_EQ(arguments->mask_output, "m");
  EXPECT_EQ(arguments->event_output, "-");
  EXPECT_EQ(arguments->config_file, "c.yaml");
  EXPECT_EQ(arguments->weights_file, "w.pth");
  EXPECT_EQ(arguments->overrides, (Texts{"a.b=1", "c=[1, 2]"}));
  EXPECT_EQ(arguments->device, "cpu");
  EXPECT_EQ(arguments->source.start_us, 60000000);
  EXPECT_EQ(arguments->source.duration_us, 2500000);
  EXPECT_TRUE(arguments->overwrites);
  EXPECT_TRUE(arguments->is_quiet);
  EXPECT_EQ(arguments->num_threads, 3);
  EXPECT_EQ(arguments->names, (std::map<int64_t, std::string>{{1, "box"}, {200, "a=b"}}));
}

TEST(TrackArguments, StandardInputIsAnInput) {
  const auto arguments = parse_track_arguments(Texts{"-", "--mask", "a.png", "-oout.mp4"});
  ASSERT_TRUE(arguments);
  EXPECT_EQ(arguments->input, "-");
  EXPECT_EQ(arguments->video_output, "out.mp4");
  EXPECT_EQ(arguments->device, "auto");
  EXPECT_FALSE(arguments->overwrites);
}

TEST(TrackArguments, SaysWhatIsWrongInOneLine) {
  EXPECT_EQ(track_error({}), "INPUT: expected, found none; see --help");
  EXPECT_EQ(track_error({"a", "b", "-o", "o", "--mask", "m"}), "'b': unexpected argument; see --help");
  EXPECT_EQ(track_error({"a", "--msak", "m"}), "--msak: unknown option; did you mean --mask?");
  EXPECT_EQ(track_error({"a", "--frobnicate"}), "--frobnicate: unknown option; see --help");
  EXPECT_EQ(track_error({"a", "--dev", "cpu"}), "--dev: unknown option; did you mean --device?");
  EXPECT_EQ(track_error({"a", "-x"}), "-x: unknown option; see --help");
  EXPECT_EQ(track_error({"a", "-o"}), "--output: expected a value, found none");
  EXPECT_EQ(track_error({"a", "-o", "x", "-o", "y"}), "--output: expected once, found several times");
  EXPECT_EQ(track_error({"a", "--quiet=yes"}), "--quiet: expected no value, found one");
  EXPECT_EQ(track_error({"a", "-o", "o.mp4"}),
            "--mask: expected a picture of the objects to follow, found none");
  EXPECT_EQ(track_error({"a", "--mask", "m"}),
            "expected an output (--output, --masks or --events), found none");
  EXPECT_EQ(track_error({"a", "--mask", "m", "-o", "o", "--threads", "0"}),
            "--threads: expected a whole number from 1 to 1024, found '0'");
  EXPECT_EQ(track_error({"a", "--mask", "m", "-o", "o", "--name", "box"}),
            "--name: expected ID=NAME, found 'box'");
  EXPECT_EQ(track_error({"a", "--mask", "m", "-o", "o", "--name", "256=box"}),
            "--name: expected a whole number from 1 to 255, found '256'");
  EXPECT_EQ(track_error({"a", "--mask", "m", "-o", "o", "--duration", "0"}),
            "--duration: expected more than 0, found 0");
  EXPECT_EQ(track_error({"a", "--mask", "m", "-o", "-"}), "--output: expected a file, found '-'");
}

TEST(TrackArguments, OutputsMayNotBeInputs) {
  const testing::TemporaryFolder folder;
  const auto at = [&](const char* name) { return (folder.path() / name).string(); };
  std::filesystem::create_directory(at("frames"));
  std::filesystem::create_directory_symlink(at("frames"), at("link"));
  const auto check = [](const Texts& args) {
    return usage_error([&] { check_outputs(*parse_track_arguments(args)); });
  };
  EXPECT_EQ(check({at("in.mp4"), "--mask", at("m.png"), "-o", at("in.mp4"), "--overwrite"}),
            "--output: " + at("in.mp4") + " is the input");
  EXPECT_NE(check({at("in.mp4"), "--mask", at("m.png"), "-o", at("frames/../in.mp4")}), "no error");
  EXPECT_NE(check({at("frames"), "--mask", at("m.png"), "--masks", at("link/"), "--overwrite"}), "no error");
  EXPECT_NE(check({at("frames/%05d.jpg"), "--mask", at("m.png"), "--masks", at("frames")}), "no error");
  EXPECT_NE(check({at("in.mp4"), "--mask", at("frames/00000.png"), "--masks", at("frames")}), "no error");
  EXPECT_NE(check({at("in.mp4"), "--mask", at("m.png"), "-o", at("x.mp4"), "--events", at("./x.mp4")}),
            "no error");
  EXPECT_EQ(check({at("in.mp4"), "--mask", at("frames/00000.png"), "--masks", at("other"), "-o", at("x.mp4"),
                   "--events", "-"}),
            "no error");
}

TEST(TrackArguments, HelpFitsTheScreenAndNamesEveryOption) {
  const std::string help = kTrackHelp;
  const Texts lines = testing::lines_of(help);
  EXPECT_LE(lines.size(), 23U);
  for (const std::string& line : lines) EXPECT_LE(line.size(), 80U) << line;
  for (const char* option :
       {"-o, --output", "--masks", "--events", "--mask ", "--name", "--start", "--duration", "--config",
        "--weights", "--set", "--device", "--threads", "--overwrite", "--quiet"}) {
    EXPECT_NE(help.find(option), std::string::npos) << option;
  }
}

}  // namespace
}  // namespace hqtrack
