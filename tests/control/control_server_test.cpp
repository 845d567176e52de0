#include "control/control_server.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <future>
#include <nlohmann/json.hpp>
#include <regex>
#include <thread>

#include "core/error.h"
#include "io/live_source.h"
#include "io/mask_reader.h"
#include "io/rgba_picture.h"
#include "tests/control/running_stream.h"
#include "tests/support/golden.h"

namespace hqtrack::testing {
namespace {

using Json = nlohmann::json;
using namespace std::chrono_literals;

std::string mask_png(int64_t top, int64_t left) {
  at::Tensor mask = at::zeros({RunningStream::kHeight, RunningStream::kWidth}, at::kByte);
  mask.slice(0, top, top + 15).slice(1, left, left + 20).fill_(1);
  const auto bytes = encode_label_mask(mask);
  return {bytes.begin(), bytes.end()};
}

/// A stream, and somebody who speaks to it.
class ControlServerTest : public ::testing::Test {
 protected:
  ControlServerTest() { client.set_read_timeout(30s); }

  void wait_for_a_frame() { ASSERT_TRUE(stream.stream().next(nullptr, 30s)); }
  Json get(const std::string& path) {
    const auto result = client.Get(path);
    if (!result) throw std::runtime_error(path + ": no answer");
    status = result->status;
    return Json::parse(result->body);
  }
  Json post(const std::string& body, const char* type = "application/json", const std::string& query = "") {
    const auto result = client.Post("/streams/main/prompts" + query, body, type);
    if (!result) throw std::runtime_error("no answer");
    status = result->status;
    return Json::parse(result->body);
  }
  std::string refusal(int expected, const std::string& body, const char* type = "application/json",
                      const std::string& query = "") {
    const Json json = post(body, type, query);
    EXPECT_EQ(status, expected) << json;
    return json.value("error", "");
  }
  std::vector<int64_t> ids() {
    std::vector<int64_t> ids;
    const Json objects = get("/streams/main/objects");
    for (const Json& object : objects.at("objects")) ids.push_back(object.at("id"));
    return ids;
  }

  RunningStream stream;
  httplib::Client client{"127.0.0.1", stream.port()};
  int status = 0;
};

TEST_F(ControlServerTest, ObjectsAreAddedCorrectedAndRemoved) {
  wait_for_a_frame();
  EXPECT_EQ(ids(), std::vector<int64_t>{});
  Json answer = post(mask_png(5, 10), "image/png", "?name=a%20cup");
  ASSERT_EQ(status, 200) << answer;
  EXPECT_EQ(answer.at("id"), 1);
  EXPECT_EQ(answer.at("frame").at("objects").at(0).at("name"), "a cup");
  EXPECT_EQ(answer.at("frame").at("objects").at(0).at("box"), (Json{10, 5, 30, 20}));
  answer = post(mask_png(30, 50), "image/png");
  EXPECT_EQ(answer.at("id"), 2);
  answer = post(mask_png(30, 10), "image/png", "?id=77");
  EXPECT_EQ(answer.at("id"), 77);
  EXPECT_EQ(ids(), (std::vector<int64_t>{1, 2, 77}));

  answer = post(mask_png(6, 40), "image/png", "?action=correct&id=1");
  ASSERT_EQ(status, 200) << answer;
  EXPECT_EQ(answer.at("frame").at("objects").at(0).at("box"), (Json{40, 6, 60, 21}));

  answer = post(R"({"action":"remove","id":2})");
  ASSERT_EQ(status, 200) << answer;
  EXPECT_EQ(answer.at("frame").at("objects").size(), 2U);
  // The id of what is gone is not given to the next one.
  EXPECT_EQ(post(mask_png(30, 50), "image/png").at("id"), 3);
}

TEST_F(ControlServerTest, WhatCannotBeFollowedIsToldAndChangesNothing) {
  wait_for_a_frame();
  ASSERT_EQ(post(mask_png(5, 10), "image/png").at("id"), 1);
  EXPECT_NE(refusal(422, mask_png(5, 10), "image/png", "?id=1").find("expected a new id"), std::string::npos);
  EXPECT_NE(refusal(422, R"({"action":"remove","id":9})").find("found none with this id"), std::string::npos);
  EXPECT_NE(refusal(422, R"({"box":[500,500,600,600]})").find("box"), std::string::npos);
  EXPECT_EQ(refusal(400, R"({"box":[1,2,3]})"),
            "request:1: prompt.box: expected [x0, y0, x1, y1], found a list of 3");
  EXPECT_NE(refusal(400, R"({"box":[1,2,3,4],"colour":"red"})").find("prompt.colour"), std::string::npos);
  EXPECT_EQ(refusal(400, R"({"box":[1,2,3,4],"frame":7})"), "request:1: prompt.frame: has no meaning here");
  EXPECT_EQ(refusal(400, R"({"mask":"/etc/passwd"})"), "request:1: prompt.mask: has no meaning here");
  EXPECT_NE(refusal(400, "{\"box\":").find("expected JSON"), std::string::npos);
  EXPECT_NE(refusal(400, "[1]").find("an object"), std::string::npos);
  EXPECT_EQ(refusal(400, "no picture", "image/png"), "mask: expected a PNG of 82x50, found one of 0x0");
  std::string large = mask_png(5, 10);
  large[16] = 1;  // 16777298 pixels wide, it says
  EXPECT_NE(refusal(400, large, "image/png").find("found one of 16777298x50"), std::string::npos);
  EXPECT_NE(refusal(400, mask_png(5, 10).substr(0, 60), "image/png").find("damaged"), std::string::npos);
  EXPECT_NE(refusal(400, R"({"box":[1,2,30,40],"name":")" + std::string(300, 'x') + "\"}")
                .find("name: expected at most"),
            std::string::npos);
  std::string points = R"({"points":[[1,1])";
  for (int i = 0; i < 64; ++i) points += ",[1,1]";
  EXPECT_EQ(refusal(400, points + "]}"), "points: expected at most 64, found 65");
  EXPECT_EQ(refusal(400, mask_png(5, 10), "image/png", "?id=0"),
            "id: expected a whole number from 1 to 255, found '0'");
  EXPECT_NE(refusal(415, "box=1", "application/x-www-form-urlencoded").find("application/json"),
            std::string::npos);
  EXPECT_EQ(ids(), std::vector<int64_t>{1});
}

TEST_F(ControlServerTest, AddressesThatAreNoneAreSaid) {
  get("/streams/other/objects");
  EXPECT_EQ(status, 404);
  EXPECT_EQ(get("/nothing").at("error"), "no such address");
  EXPECT_EQ(status, 404);
}

TEST_F(ControlServerTest, APromptWaitsForAFrameButNotForEver) {
  wait_for_a_frame();
  stream.freeze(true);
  std::this_thread::sleep_for(200ms);
  const auto result =
      client.Post("/streams/main/prompts", R"({"action":"remove","id":1})", "application/json");
  EXPECT_EQ(result->status, 503);
  EXPECT_EQ(result->get_header_value("Retry-After"), "5");
  EXPECT_EQ(Json::parse(result->body).at("error"), "no frame came in time");
  stream.stream().prompts->close();
  EXPECT_EQ(refusal(410, R"({"action":"remove","id":1})"), "the run has ended");
}

TEST_F(ControlServerTest, APromptBetweenTwoRunsIsFollowedInTheNextOne) {
  wait_for_a_frame();
  ASSERT_EQ(post(mask_png(5, 10), "image/png").at("id"), 1);
  stream.end();
  auto answer = std::async(std::launch::async, [&] { return post(mask_png(30, 50), "image/png"); });
  EXPECT_EQ(answer.wait_for(200ms), std::future_status::timeout);
  stream.begin();
  const Json json = answer.get();
  ASSERT_EQ(status, 200) << json;
  EXPECT_EQ(json.at("frame").at("objects").size(), 1U);  // the first run's was forgotten with it
  EXPECT_EQ(json.at("frame").at("objects").at(0).at("box"), (Json{50, 30, 70, 45}));
}

TEST(ControlServer, AMaskWaitsForTheFirstFrame) {
  RunningStream stream;
  httplib::Client client("127.0.0.1", stream.port());
  client.set_read_timeout(30s);
  EXPECT_EQ(client.Post("/streams/main/prompts", mask_png(5, 10), "image/png")->status, 200);
}

TEST_F(ControlServerTest, PicturesAreThoseOfTheNewestFrame) {
  wait_for_a_frame();
  ASSERT_EQ(post(mask_png(5, 10), "image/png").at("id"), 1);
  stream.freeze(true);
  std::this_thread::sleep_for(500ms);
  const auto frame = stream.stream().latest();
  const auto bytes_of = [](const std::string& body) {
    return std::span(reinterpret_cast<const uint8_t*>(body.data()), body.size());
  };
  const auto mask = client.Get("/streams/main/mask.png");
  EXPECT_TRUE(read_label_mask(bytes_of(mask->body), "mask").equal(frame->label_mask));
  const auto plain = client.Get("/streams/main/picture.jpg?plain");
  EXPECT_EQ(plain->get_header_value("Content-Type"), "image/jpeg");
  const at::Tensor rgba = decode_rgba_picture(bytes_of(plain->body), "picture");
  EXPECT_TENSORS_CLOSE(rgba.slice(2, 0, 3).to(at::kFloat), frame->frame.image.to(at::kFloat), 0, 3);
  const auto drawn = client.Get("/streams/main/picture.jpg");
  EXPECT_GT((decode_rgba_picture(bytes_of(drawn->body), "picture").to(at::kFloat) - rgba.to(at::kFloat))
                .abs()
                .max()
                .item<double>(),
            20);
}

TEST_F(ControlServerTest, ThePreviewShowsFrameAfterFrame) {
  wait_for_a_frame();
  std::string received;
  client.Get("/streams/main/preview.mjpeg", [&](const char* data, size_t size) {
    received.append(data, size);
    return received.size() < 20000;
  });
  const std::regex part("--hqtrackframe\r\nContent-Type: image/jpeg\r\nContent-Length: ([0-9]+)\r\n\r\n");
  int count = 0;
  for (std::sregex_iterator at(received.begin(), received.end(), part), end; at != end; ++at) {
    const size_t begin = static_cast<size_t>(at->position() + at->length()), size = std::stoul((*at)[1]);
    if (begin + size > received.size()) break;
    const auto* bytes = reinterpret_cast<const uint8_t*>(received.data() + begin);
    EXPECT_EQ(decode_rgba_picture({bytes, size}, "part").sizes(),
              at::IntArrayRef({RunningStream::kHeight, RunningStream::kWidth, 4}));
    ++count;
  }
  EXPECT_GE(count, 3);
}

TEST_F(ControlServerTest, ThePreviewIsASourceForOthers) {
  wait_for_a_frame();
  SourceConfig config;
  config.live.emplace();
  LiveSource source(stream.url() + "/streams/main/preview.mjpeg", config);
  for (int64_t i = 0; i < 10; ++i) {
    const auto frame = source.read();
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->image.sizes(), at::IntArrayRef({RunningStream::kHeight, RunningStream::kWidth, 3}));
  }
}

TEST_F(ControlServerTest, HealthIsThatOfTheSource) {
  wait_for_a_frame();
  EXPECT_EQ(get("/healthz").at("status"), "ok");
  stream.publish({.kind = StreamEvent::Kind::kOutage, .reason = "test"});
  const std::string health = get("/healthz").at("streams").at("main");
  EXPECT_TRUE(health.starts_with("an outage")) << health;
  EXPECT_EQ(status, 503);
  stream.publish({.kind = StreamEvent::Kind::kResumed, .reason = ""});
  EXPECT_EQ(get("/healthz").at("status"), "ok");
}

TEST_F(ControlServerTest, MetricsAreInTheFormatOfPrometheus) {
  wait_for_a_frame();
  ASSERT_EQ(post(mask_png(5, 10), "image/png").at("id"), 1);
  const auto result = client.Get("/metrics");
  EXPECT_EQ(result->get_header_value("Content-Type"), "text/plain; version=0.0.4");
  const std::regex line(R"re(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{([a-z]+="[^"]*",?)+\})? [0-9.e+-]+)re");
  std::istringstream lines(result->body);
  std::map<std::string, double> values;
  for (std::string text; std::getline(lines, text);) {
    EXPECT_TRUE(std::regex_match(text, line)) << text;
    if (!text.starts_with('#'))
      values[text.substr(0, text.rfind(' '))] = std::stod(text.substr(text.rfind(' ')));
  }
  EXPECT_GT(values.at("hqtrack_frames_tracked_total{stream=\"main\"}"), 0);
  EXPECT_EQ(values.at("hqtrack_receiving{stream=\"main\"}"), 1);
  double objects = 0;
  for (const char* state : {"tracked", "uncertain", "lost"}) {
    objects += values.at("hqtrack_objects{stream=\"main\",state=\"" + std::string(state) + "\"}");
  }
  EXPECT_EQ(objects, 1);
  EXPECT_EQ(values.at("hqtrack_latency_seconds_bucket{stream=\"main\",le=\"+Inf\"}"),
            values.at("hqtrack_latency_seconds_count{stream=\"main\"}"));
  EXPECT_GT(values.at("process_resident_memory_bytes"), 1e6);
}

TEST_F(ControlServerTest, PagesOfOtherSitesAreNotLetIn) {
  const auto status_of = [&](const httplib::Headers& headers) {
    return client.Post("/streams/main/prompts", headers, "{}", "application/json")->status;
  };
  EXPECT_EQ(status_of({}), 400);  // let in, and found empty
  EXPECT_EQ(status_of({{"Host", "evil.example:80"}}), 403);
  EXPECT_EQ(status_of({{"Host", "localhost:1234"}}), 400);
  EXPECT_EQ(status_of({{"Origin", "http://evil.example"}}), 403);
  EXPECT_EQ(status_of({{"Origin", "null"}}), 403);
  EXPECT_EQ(status_of({{"Origin", stream.url()}}), 400);
  for (const char* host :
       {"127.evil.example:80", "127.0.0.1.evil.example", "[::1", "127.0.0.1@evil.example", ""}) {
    EXPECT_EQ(status_of({{"Host", host}}), 403) << host;
  }
  EXPECT_EQ(status_of({{"Sec-Fetch-Site", "cross-site"}}), 403);
  EXPECT_EQ(status_of({{"Sec-Fetch-Site", "same-origin"}}), 400);
}

/// What a server answers to these bytes, until it closes the connection; empty when it does not within ten
/// seconds.
std::string raw_answer(int port, const std::string& bytes) {
  const int connection = ::socket(AF_INET, SOCK_STREAM, 0);
  const timeval patience{.tv_sec = 10, .tv_usec = 0};
  ::setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string answer = "closed";
  if (::connect(connection, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) {
    ::send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    std::array<char, 4096> piece{};
    ssize_t size = 0;
    while ((size = ::recv(connection, piece.data(), piece.size(), 0)) > 0)
      answer.append(piece.data(), static_cast<size_t>(size));
    if (size < 0 && errno == EAGAIN) answer.clear();
  }
  ::close(connection);
  return answer;
}

TEST_F(ControlServerTest, ARefusedRequestLeavesNoSecondOne) {
  wait_for_a_frame();
  const std::string inner =
      "POST /streams/main/prompts HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
      "Content-Length: 26\r\n\r\n{\"action\":\"remove\",\"id\":1}";
  const std::string outer =
      "POST /streams/main/prompts HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: http://evil.example\r\n"
      "Content-Length: " +
      std::to_string(inner.size()) + "\r\n\r\n" + inner;
  const std::string answer = raw_answer(stream.port(), outer);
  EXPECT_NE(answer.find("403"), std::string::npos) << answer;
  EXPECT_EQ(answer.find("HTTP/1.1"), answer.rfind("HTTP/1.1")) << answer;  // one answer
}

TEST_F(ControlServerTest, WhoIsSlowOrLargeIsCutOff) {
  EXPECT_EQ(raw_answer(stream.port(), "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"),
            "closed");  // and nothing more
  EXPECT_TRUE(
      raw_answer(stream.port(), "GET /" + std::string(100'000, 'x')).starts_with("closedHTTP/1.1 431"));
  EXPECT_TRUE(raw_answer(stream.port(), "no request\r\n\r\n").starts_with("closedHTTP/1.1 400"));
  const std::string head = "POST /streams/main/prompts HTTP/1.1\r\nHost: 127.0.0.1\r\n";
  const std::string body(6'000'000, 'x');
  for (const char* size :
       {"Transfer-Encoding: chunked\r\n\r\n5b8d80\r\n", "Content-Length: 6000000\r\n\r\n"}) {
    EXPECT_TRUE(raw_answer(stream.port(), head + size + body).starts_with("closedHTTP/1.1 413")) << size;
  }
}

TEST_F(ControlServerTest, WhoIsOneTooManyIsToldSo) {
  wait_for_a_frame();
  std::atomic<int> num_answered = 0, num_refused = 0;
  {
    std::vector<std::jthread> clients;
    for (int i = 0; i < 80; ++i) {
      clients.emplace_back([&] {
        httplib::Client other(stream.url());
        for (int k = 0; k < 4; ++k) {
          const auto result =
              other.Post("/streams/main/prompts", R"({"action":"remove","id":9})", "application/json");
          if (!result) continue;
          ++num_answered;
          if (result->status != 503) continue;
          ++num_refused;
          EXPECT_TRUE(result->has_header("Retry-After"));
        }
      });
    }
  }
  EXPECT_EQ(num_answered, 320);
  EXPECT_GT(num_refused, 0);
  EXPECT_EQ(client.Get("/streams")->status, 200);
}

TEST(ControlServer, EndsAtOnceWhoeverIsConnected) {
  auto stream = std::make_unique<RunningStream>();
  std::vector<int> connections;
  for (int i = 0; i < 40; ++i) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(stream->port()));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connections.push_back(::socket(AF_INET, SOCK_STREAM, 0));
    ASSERT_EQ(::connect(connections.back(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ::send(connections.back(), "GET /", 5, MSG_NOSIGNAL);
  }
  std::this_thread::sleep_for(200ms);
  const auto start = std::chrono::steady_clock::now();
  stream.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - start, 3s);
  for (const int connection : connections) ::close(connection);
}

TEST(ControlServer, WantsItsToken) {
  RunningStream stream({.token = "0123456789abcdef"});
  httplib::Client client("127.0.0.1", stream.port());
  EXPECT_EQ(client.Get("/streams")->status, 401);
  EXPECT_EQ(client.Get("/metrics")->status, 401);
  EXPECT_EQ(client.Get("/")->status, 200);
  EXPECT_NE(client.Get("/healthz")->status, 401);
  EXPECT_EQ(client.Get("/streams?token=0123456789abcdef")->status, 200);
  EXPECT_EQ(client.Get("/streams?token=0123456789abcdefg")->status, 401);
  EXPECT_EQ(client.Get("/streams?token=0123456789abcdeF")->status, 401);
  EXPECT_EQ(client.Post("/streams/main/prompts?token=0123456789abcdef", "{}", "application/json")->status,
            401);
  client.set_bearer_token_auth("0123456789abcdef");
  EXPECT_EQ(client.Get("/streams")->status, 200);
  EXPECT_EQ(client.Post("/streams/main/prompts", "{}", "application/json")->status, 400);
}

TEST(ControlServer, AddressesBeyondThisMachineNeedAToken) {
  EXPECT_THROW(ControlServer({.host = "0.0.0.0"}, {}), UsageError);
  EXPECT_NO_THROW(ControlServer({.host = "0.0.0.0", .token = "0123456789abcdef"}, {}));
}

TEST(ControlServer, APortInUseIsAnError) {
  const ControlServer first({}, {});
  const int port = std::stoi(first.url().substr(first.url().rfind(':') + 1));
  try {
    ControlServer({.port = port}, {});
    ADD_FAILURE() << "it listens";
  } catch (const OutputError& error) {
    EXPECT_NE(std::string(error.what()).find("cannot listen"), std::string::npos);
  }
}

TEST(ControlServer, ReadsAddressesAndTokens) {
  EXPECT_EQ(parse_control_address("--control", "8080").host, "127.0.0.1");
  EXPECT_EQ(parse_control_address("--control", "8080").port, 8080);
  EXPECT_EQ(parse_control_address("--control", "[::1]:80").host, "::1");
  EXPECT_EQ(parse_control_address("--control", "0.0.0.0:80").host, "0.0.0.0");
  for (const char* text : {"", "abc", "70000", "-1", ":80", "host:", "host:8x", "::1", "::1:80"}) {
    EXPECT_THROW(parse_control_address("--control", text), UsageError) << text;
  }
  const TemporaryFolder folder;
  const std::string file = folder.path() / "token";
  EXPECT_THROW(read_control_token("--control-token", file), UsageError);
  std::ofstream(file) << "short\n";
  EXPECT_THROW(read_control_token("--control-token", file), UsageError);
  std::ofstream(file) << "0123456789abcdef \r\nmore\n";
  EXPECT_EQ(read_control_token("--control-token", file), "0123456789abcdef");
}

}  // namespace
}  // namespace hqtrack::testing
