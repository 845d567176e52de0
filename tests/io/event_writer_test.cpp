#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "core/error.h"
#include "io/outputs.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/golden.h"

namespace hqtrack::testing {
namespace {

namespace fs = std::filesystem;

TrackedFrame frame_with(std::vector<TrackedObject> objects, int64_t index = 0, int64_t pts_us = 33367) {
  TrackedFrame tracked;
  tracked.frame.index = index;
  tracked.frame.pts_us = pts_us;
  tracked.objects = std::move(objects);
  return tracked;
}

TrackedObject object(int64_t id, const std::string& name, ObjectState state) {
  TrackedObject made;
  made.id = id;
  made.name = name;
  made.box = {3, 4, 30, 40};
  made.area_px = 123;
  made.score = 0.98765432;
  made.state = state;
  return made;
}

std::string read(const fs::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

TEST(EventWriter, WritesTheDocumentedLine) {
  const TemporaryFolder folder;
  const auto sink = open_event_sink((folder.path() / "e.ndjson").string());
  sink->write(frame_with({object(1, "box", ObjectState::kTracked)}));
  TrackedObject lost = object(7, "", ObjectState::kLost);
  lost.box = {};
  lost.area_px = 0;
  lost.score = std::numeric_limits<double>::quiet_NaN();
  sink->write(frame_with({lost}, 1, 1500000));
  sink->finish();
  EXPECT_EQ(
      read(folder.path() / "e.ndjson"),
      R"({"index":0,"pts":0.033367,"objects":[{"id":1,"name":"box","box":[3,4,30,40],"area":123,"score":0.9877,"state":"tracked"}]})"
      "\n"
      R"({"index":1,"pts":1.5,"objects":[{"id":7,"name":"","box":null,"area":0,"score":0.0,"state":"lost"}]})"
      "\n");
}

TEST(EventWriter, TellsWhatHappensToTheSource) {
  const TemporaryFolder folder;
  const auto sink = open_event_sink((folder.path() / "e.ndjson").string());
  sink->write_event(
      {.kind = StreamEvent::Kind::kOutage, .pts_us = 12'500'000, .reason = "no data for 5.0 s"});
  sink->write_event({.kind = StreamEvent::Kind::kResumed,
                     .pts_us = 19'125'000,
                     .reason = {},
                     .seconds = 6.625,
                     .attempts = 3});
  sink->write_event({.kind = StreamEvent::Kind::kSizeChanged, .pts_us = 19'125'001, .reason = "1280x720"});
  sink->finish();
  EXPECT_EQ(read(folder.path() / "e.ndjson"),
            R"({"event":"outage","pts":12.5,"reason":"no data for 5.0 s"})"
            "\n"
            R"({"event":"resumed","pts":19.125,"seconds":6.625,"attempts":3})"
            "\n"
            R"({"event":"size_changed","pts":19.125001,"reason":"1280x720"})"
            "\n");
}

TEST(EventWriter, GivesTheSelectorsVerdictWhereThereIsOne) {
  const TemporaryFolder folder;
  const auto sink = open_event_sink((folder.path() / "e.ndjson").string());
  std::vector<TrackedObject> objects;
  for (const Choice choice : {Choice::kRefined, Choice::kKept, Choice::kSkipped}) {
    objects.push_back(object(static_cast<int64_t>(objects.size()) + 1, "", ObjectState::kTracked));
    objects.back().choice = choice;
  }
  sink->write(frame_with(objects));
  sink->finish();
  const auto line = nlohmann::json::parse(read(folder.path() / "e.ndjson"));
  EXPECT_EQ(line["objects"][0]["verdict"], "refined");
  EXPECT_EQ(line["objects"][1]["verdict"], "kept");
  EXPECT_EQ(line["objects"][2]["verdict"], "skipped");
}

TEST(EventWriter, KeepsTheFinalNameForWhatIsComplete) {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "e.ndjson";
  std::ofstream(file) << "old";
  {
    const auto sink = open_event_sink(file.string());
    sink->write(frame_with({}));
    EXPECT_EQ(read(file), "old");
    EXPECT_EQ(read(folder.path() / "e.part.ndjson"), "{\"index\":0,\"pts\":0.033367,\"objects\":[]}\n");
  }
  EXPECT_EQ(read(file), "old");  // destroyed before it was finished
  const auto sink = open_event_sink(file.string());
  sink->finish();
  EXPECT_EQ(read(file), "");
}

TEST(EventWriter, SurvivesNamesOfAnyBytes) {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "e.ndjson";
  const auto sink = open_event_sink(file.string());
  sink->write(frame_with({object(1, "K\xc3\xa4tzchen \"x\"\n", ObjectState::kUncertain),
                          object(2, "\xff\xfe", ObjectState::kTracked)}));
  sink->finish();
  const std::string text = read(file);
  EXPECT_NE(text.find("\"K\xc3\xa4tzchen \\\"x\\\"\\n\""), std::string::npos) << text;
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
}

TEST(EventWriter, MakesItsFolder) {
  const TemporaryFolder folder;
  for (const ExistingOutput existing : {ExistingOutput::kReplace, ExistingOutput::kAppend}) {
    const fs::path file = folder.path() / std::to_string(static_cast<int>(existing)) / "e.ndjson";
    const auto sink = open_event_sink(file.string(), nullptr, existing);
    sink->write(frame_with({}));
    sink->finish();
    EXPECT_FALSE(read(file).empty()) << file;
  }
}

TEST(EventWriter, SaysWhenItCannotWrite) {
  EXPECT_THROW(open_event_sink("/dev/null/e.ndjson"), OutputError);
  if (!fs::exists("/dev/full")) GTEST_SKIP() << "no /dev/full";
  const auto sink = open_event_sink("/dev/full");
  try {
    sink->write(frame_with({}));
    FAIL() << "no error";
  } catch (const OutputError& error) {
    EXPECT_STREQ(error.what(), "/dev/full: cannot be written: No space left on device");
  }
}

TEST(EventWriter, OfALiveStreamWaitsForRoomAndKeepsLinesWhole) {
  for (const ExistingOutput existing : {ExistingOutput::kReplace, ExistingOutput::kAppend}) {
    const TemporaryFolder folder;
    const fs::path file = folder.path() / "e.ndjson";
    const auto events = std::make_shared<StreamEvents>();
    std::vector<StreamEvent::Kind> told;
    events->listen([&](const StreamEvent& event) { told.push_back(event.kind); });
    const auto sink = open_event_sink(file.string(), events, existing);
    int64_t index = 0;
    {
      const FileSizeLimit full(100);  // in the midst of the third line
      while (index < 6) sink->write(frame_with({}, index++));
    }
    EXPECT_EQ(told, std::vector{StreamEvent::Kind::kOutputLost});
    while (told.size() < 2) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      sink->write(frame_with({}, index++));
    }
    EXPECT_EQ(told[1], StreamEvent::Kind::kOutputResumed);
    sink->finish();
    std::vector<int64_t> indices;
    std::istringstream lines(read(file));
    for (std::string line; std::getline(lines, line);)
      indices.push_back(nlohmann::json::parse(line).at("index").get<int64_t>());
    EXPECT_EQ(indices, (std::vector<int64_t>{0, 1, index - 1}));
  }
}

}  // namespace
}  // namespace hqtrack::testing
