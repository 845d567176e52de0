#include "io/prompt_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <thread>

#include "core/error.h"
#include "tests/support/golden.h"

namespace hqtrack {
namespace {

class PromptFile : public ::testing::Test {
 protected:
  std::vector<PromptEntry> read(const std::string& text) {
    std::ofstream(file()) << text;
    return read_prompt_file(file());
  }
  std::string error(const std::string& text) {
    try {
      read(text);
    } catch (const MediaError& e) {
      const std::string message = e.what();
      return message.starts_with(file()) ? message.substr(file().size()) : message;
    }
    return "no error";
  }
  std::string file() const { return (folder_.path() / "prompts.json").string(); }

  testing::TemporaryFolder folder_;
};

TEST_F(PromptFile, ReadsEveryKey) {
  const auto entries = read(
      "{\"$schema\":\"x\",\"prompts\":[\n\t{\"box\":[1,2.5,3,4],\"name\":\"a \\u00e9 \\/\"},"
      "\n{\"action\":\"correct\",\"time\":1.25,\"id\":7,\"points\":[[5,6],[7,8,0],[9,1e1,1]]},"
      "{\"action\":\"remove\",\"frame\":12,\"id\":7},{\"mask\":\"m.png\","
      "\"name\":\"\\uD83d\\uDE00 \\\\ud83d\\\\ude00\"}]}");
  ASSERT_EQ(entries.size(), 4U);
  EXPECT_EQ(entries[0].action, PromptEdit::Action::kAdd);
  EXPECT_EQ(entries[0].box->y0, 2.5);
  EXPECT_EQ(entries[0].name, "a \u00e9 /");
  EXPECT_EQ(entries[3].name, "\U0001F600 \\ud83d\\ude00");
  EXPECT_EQ(entries[0].at.frame_index, 0);
  EXPECT_FALSE(entries[0].id);
  EXPECT_EQ(entries[0].source, file() + ":2: prompts[0]");
  EXPECT_EQ(entries[1].action, PromptEdit::Action::kCorrect);
  EXPECT_EQ(entries[1].at.time_us, 1'250'000);
  ASSERT_EQ(entries[1].points.size(), 3U);
  EXPECT_TRUE(entries[1].points[0].is_object);
  EXPECT_FALSE(entries[1].points[1].is_object);
  EXPECT_EQ(entries[1].points[2].y, 10);
  EXPECT_EQ(entries[2].action, PromptEdit::Action::kRemove);
  EXPECT_EQ(entries[2].at.frame_index, 12);
  EXPECT_EQ(entries[3].mask, folder_.path() / "m.png");
}

TEST_F(PromptFile, NamesLineAndKeyOfWhatDoesNotFit) {
  const std::string ok = "{\"box\": [1, 2, 3, 4]}";
  EXPECT_EQ(error("{\"prompts\": []}"),
            ":1: prompts: expected a list of at least one prompt, found a list of 0");
  EXPECT_EQ(error("[" + ok + "]"), ":1: expected an object with the list 'prompts', found a list of 1");
  EXPECT_EQ(error("{\n\"prompt\": [" + ok + "]}"),
            ":2: prompt: expected one of $schema, prompts, found this key");
  EXPECT_EQ(error("{\"prompts\": [" + ok + ",\n{\"bocks\": 1}]}"),
            ":2: prompts[1].bocks: expected one of action, frame, time, id, name, box, points, mask, found "
            "this key");
  EXPECT_EQ(error("{\"prompts\": [\n{\"box\": [1, 2, 3]}]}"),
            ":2: prompts[0].box: expected [x0, y0, x1, y1], found a list of 3");
  EXPECT_EQ(error("{\"prompts\": [{\"box\": [1, 2, 3,\n\"4\"]}]}"),
            ":2: prompts[0].box: expected [x0, y0, x1, y1], found '4'");
  EXPECT_EQ(error("{\"prompts\": [{\"points\": [[1, 2, 3]]}]}"),
            ":1: prompts[0].points: expected [x, y], or [x, y, 0] for a place beside the object, found '3'");
  EXPECT_EQ(error("{\"prompts\": [{\"frame\": -1, \"box\": [1, 2, 3, 4]}]}"),
            ":1: prompts[0].frame: expected a whole number from 0 to 2147483647, found '-1'");
  EXPECT_EQ(error("{\"prompts\": [{\"id\": 256, \"box\": [1, 2, 3, 4]}]}"),
            ":1: prompts[0].id: expected a whole number from 1 to 255, found '256'");
  EXPECT_EQ(error("{\"prompts\": [{\"name\": 3, \"box\": [1, 2, 3, 4]}]}"),
            ":1: prompts[0].name: expected a text in quotes, found '3'");
  EXPECT_EQ(error("{\"prompts\": [{\"frame\": 1, \"time\": 1, \"box\": [1, 2, 3, 4]}]}"),
            ":1: prompts[0]: expected frame or time, found both");
  EXPECT_EQ(error("{\"prompts\": [{\"action\": \"move\", \"id\": 1}]}"),
            ":1: prompts[0].action: expected add, correct or remove, found 'move'");
  EXPECT_EQ(error("{\"prompts\": [{\"action\": \"remove\"}]}"),
            ":1: prompts[0]: expected only an id and a moment to remove an object, found an object");
  EXPECT_EQ(error("{\"prompts\": [{\"action\": \"correct\", \"box\": [1, 2, 3, 4]}]}"),
            ":1: prompts[0]: expected the id of the object to correct, found none");
  EXPECT_EQ(error("{\"prompts\": [{\"frame\": 3}]}"),
            ":1: prompts[0]: expected a box, points or a mask, found none");
  EXPECT_EQ(error("{\"prompts\": [{\"id\": 1, \"id\": 2, \"box\": [1, 2, 3, 4]}]}"),
            ":1: prompts[0].id: expected once, found twice");
}

// Right in JSON, but not in YAML, whose reader is used.
TEST_F(PromptFile, ReadsJsonHoweverItIsLaidOut) {
  for (const char* text : {"{\"prompts\"\n : \t[{\"name\"\r\n:\"a\", \"box\" :[1, 2, 3, 4]}]}",
                           "{\r\"prompts\":\r[{\"name\":\r\"a\",\"box\":[1,2,3,4]\r}]}"}) {
    std::ofstream(file(), std::ios::binary) << text;
    const std::vector<PromptEntry> entries = read_prompt_file(file());
    ASSERT_EQ(entries.size(), 1U) << text;
    EXPECT_EQ(entries[0].name, "a");
  }
  std::ofstream(file()) << R"({"prompts": [{"name": "a \" : \\", "box": [1, 2, 3, 4]}]})";
  EXPECT_EQ(read_prompt_file(file())[0].name, "a \" : \\");
  EXPECT_EQ(error("{\"prompts\"\n\n: [{\"box\":\n [1, 2, 3]}]}"),
            ":4: prompts[0].box: expected [x0, y0, x1, y1], found a list of 3");
  EXPECT_EQ(error("{\"$schema\": 3, \"prompts\": [{\"box\": [1, 2, 3, 4]}]}"),
            ":1: $schema: expected a text in quotes, found '3'");
  EXPECT_EQ(error("{\"prompts\": [{\"box\": [1, 2,\n1e999, 4]}]}"),
            ":2: expected JSON, found a number that is too large");
}

TEST_F(PromptFile, RefusesWhatIsNoJson) {
  for (const char* text :
       {"", "{\"prompts\": [", "{\"prompts\": [{]}", "\xff\xfe", "{} {}", "prompts",
        "{\"prompts\": {\"a\": 1}}", "prompts:\n- box: [1, 2, 3, 4]",
        "{\"prompts\": [{\"box\": [1, 2, 3, 4]},]}", "# a\n{\"prompts\": [{\"box\": [1, 2, 3, 4]}]}"}) {
    EXPECT_NE(error(text), "no error") << text;
  }
  EXPECT_EQ(error("{\"prompts\": [\n}"), ":2: expected JSON, found an error at byte 15");
  EXPECT_THROW(read_prompt_file(folder_.path()), MediaError);
  EXPECT_THROW(read_prompt_file(folder_.path() / "missing.json"), MediaError);
}

TEST_F(PromptFile, MayBeAPipe) {
  ASSERT_EQ(mkfifo(file().c_str(), 0600), 0);
  std::jthread writer([&] { std::ofstream(file()) << "{\"prompts\": [{\"box\": [1, 2, 3, 4]}]}"; });
  EXPECT_EQ(read_prompt_file(file()).size(), 1U);
}

}  // namespace
}  // namespace hqtrack
