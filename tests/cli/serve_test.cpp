#include <gtest/gtest.h>

#include <fstream>

#include "tests/cli/program.h"
#include "tests/support/golden.h"

namespace hqtrack::testing {
namespace {

namespace fs = std::filesystem;

/// Files of `hqtrack serve` that make no sense; no stream is opened.
class ServeConfigTest : public ::testing::Test {
 protected:
  /// What it says of this file, without the name of the file.
  std::string refusal(const std::string& text, int exit_code = 3) {
    const fs::path file = folder_.path() / "cameras.yaml";
    std::ofstream(file) << text;
    const Finished finished = run_program({"serve", "--config", file});
    EXPECT_EQ(finished.exit_code, exit_code) << finished.err;
    const std::string head = "error: " + file.string() + ":";
    return finished.err.starts_with(head) ? finished.err.substr(head.size()) : finished.err;
  }
  TemporaryFolder folder_;
};

TEST_F(ServeConfigTest, MistakesAreNamedByLine) {
  EXPECT_EQ(refusal("control: 8080\n"), "1: streams: expected at least one stream by its name, found none\n");
  EXPECT_EQ(refusal("controls: 8080\n"), "1: controls: unknown key; did you mean control?\n");
  EXPECT_EQ(refusal("streams:\n  gate:\n    inputs: x\n"),
            "3: streams.gate.inputs: unknown key; did you mean input?\n");
  EXPECT_EQ(refusal("streams:\n  gate:\n    timeout: 3\n"), "3: streams.gate: expected input, found none\n");
  EXPECT_EQ(refusal("streams:\n  a/b:\n    input: x\n"),
            "2: streams: expected names of letters, digits, - and _, found 'a/b'\n");
  EXPECT_EQ(refusal("streams:\n  gate:\n    input: rtsp://x/\n    timeout: soon\n").substr(0, 24),
            "3: streams.gate: timeout");
  EXPECT_EQ(refusal("control: 0\nstreams:\n  gate: {input: rtsp://x/, events: '-'}\n"),
            "3: streams.gate: expected no output to standard output, found one\n");
  EXPECT_EQ(refusal("control: 99999\nstreams: {a: {input: rtsp://x/}}\n"),
            "1: control: expected PORT, HOST:PORT or [IPV6]:PORT, found '99999'\n");
  for (const std::string key : {"device", "threads"}) {
    EXPECT_EQ(refusal("control: 0\n" + key + ": [cpu]\nstreams: {a: {input: rtsp://x/}}\n"),
              "2: " + key + ": expected a value, found another thing\n");
  }
  EXPECT_NE(refusal("streams: [").find("expected YAML"), std::string::npos);
}

TEST_F(ServeConfigTest, StreamsThatMakeNoSenseAreRefused) {
  const auto expect = [&](const std::string& text, const std::string& said) {
    const std::string found = refusal(text);
    EXPECT_NE(found.find(said), std::string::npos) << found;
  };
  const std::string out = (folder_.path() / "out.mkv").string();
  expect("streams: {a: {input: rtsp://x/}}\n", "1: streams.a: expected an output");
  expect("streams: {a: {input: rtsp://x/, output: " + out + ", segment: 60}}\n", "expected an object");
  expect("control: 0\nstreams: {a: {input: rtsp://x/, output: " + out + "}}\n",
         "streams.a: expected segment");
  expect("control: 0\nstreams: {a: {input: rtsp://x/, output: " + out +
             ", segment: 60}, b: {input: rtsp://y/, output: " + (folder_.path() / "." / "out.mkv").string() +
             ", segment: 60}}\n",
         "streams a and b: expected different outputs");
  expect("control: 0.0.0.0:0\nstreams: {a: {input: rtsp://127.0.0.1:9/}}\n",
         "1: control: expected a control token");
  expect("control-token: x\nstreams: {a: {input: rtsp://127.0.0.1:9/}}\n",
         "1: control-token: expected control with it");
  expect("control: 0\ndevice: cpu,cpu\nstreams: {a: {input: rtsp://127.0.0.1:9/}}\n",
         "2: device: expected auto, cpu, cuda or cuda:N, found 'cpu,cpu'");
  expect("control: 0\nstreams: {a: {input: --help}}\n", "streams.a.input: expected an address or a device");
}

TEST(Serve, NeedsItsFile) {
  EXPECT_EQ(run_program({"serve"}).exit_code, 2);
  EXPECT_EQ(run_program({"serve", "--config", "/nowhere.yaml"}).exit_code, 3);
  EXPECT_EQ(run_program({"serve", "--config", "/tmp"}).exit_code, 3);
  EXPECT_EQ(run_program({"serve", "--help"}).exit_code, 0);
}

TEST(Ctl, SaysWhatItExpects) {
  const auto refusal = [](std::vector<std::string> args, int exit_code) {
    args.insert(args.begin(), "ctl");
    const Finished finished = run_program(args);
    EXPECT_EQ(finished.exit_code, exit_code) << finished.err;
    return finished.err;
  };
  EXPECT_NE(refusal({"lst", "--control", "1"}, 2).find("did you mean list?"), std::string::npos);
  EXPECT_NE(refusal({"list"}, 2).find("expected --control"), std::string::npos);
  EXPECT_NE(refusal({"remove", "--control", "1"}, 2).find("expected an ID"), std::string::npos);
  EXPECT_NE(refusal({"list", "7", "--control", "1"}, 2).find("expected nothing"), std::string::npos);
  EXPECT_NE(refusal({"list", "--control", "x"}, 2).find("expected PORT"), std::string::npos);
  EXPECT_NE(refusal({"remove", "3", "--box", "1,2,3,4", "--control", "1"}, 2).find("has no meaning"),
            std::string::npos);
  EXPECT_NE(refusal({"streams", "--control", "1"}, 5).find("cannot be reached"), std::string::npos);
}

}  // namespace
}  // namespace hqtrack::testing
