#include "io/stream_writer.h"

#include <ATen/ops/full.h>
#include <ATen/ops/randint.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>
#include <httplib.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <thread>

#include "core/error.h"
#include "io/live_source.h"
#include "io/outputs.h"
#include "io/segmented_writer.h"
#include "io/video_reader.h"
#include "tests/live/live_server.h"
#include "tests/support/file_size_limit.h"
#include "tests/support/golden.h"

namespace hqtrack::testing {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr int64_t kHeight = 48, kWidth = 64;

VideoInfo source_info() {
  VideoInfo info;
  info.height = kHeight;
  info.width = kWidth;
  info.rate_num = 25;
  return info;
}

/// A grey picture, 25 a second.
TrackedFrame frame(int64_t index) {
  return {.frame = {.index = index,
                    .pts_us = 40'000 * index,
                    .image = at::full({kHeight, kWidth, 3}, 40 + index % 150, at::kByte)},
          .label_mask = at::zeros({kHeight, kWidth}, at::kByte),
          .objects = {}};
}

/// Hard to encode.
TrackedFrame noise(int64_t index) {
  TrackedFrame next = frame(index);
  next.frame.image = at::randint(0, 255, next.frame.image.sizes(), at::kByte);
  return next;
}

std::unique_ptr<FrameSink> open(const std::string& target, std::shared_ptr<StreamEvents> events = nullptr,
                                ExistingOutput existing = ExistingOutput::kReplace) {
  return open_stream_sink(target, source_info(), OverlayConfig{}, EncodeConfig{}, std::move(events),
                          existing);
}

std::string text_of(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

/// Writes until something is true; fails after a while.
template <class Condition>
void write_until(FrameSink& sink, int64_t& index, Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + 30s;
  while (!condition()) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "it did not happen";
    sink.write(frame(index++));
    std::this_thread::sleep_for(10ms);
  }
}

struct Events {
  Events() {
    channel->listen([this](const StreamEvent& event) {
      const std::lock_guard lock(mutex);
      seen.push_back(event);
    });
  }
  size_t count() {
    const std::lock_guard lock(mutex);
    return seen.size();
  }
  std::shared_ptr<StreamEvents> channel = std::make_shared<StreamEvents>();
  std::mutex mutex;
  std::vector<StreamEvent> seen;
};

/// Waits for a connection, and counts the pictures that come.
class Receiver {
 public:
  explicit Receiver(int port) : Receiver("tcp://127.0.0.1:" + std::to_string(port) + "?listen=1") {}
  explicit Receiver(const std::string& url) {
    thread_ = std::jthread([this, url](std::stop_token stop) {
      SourceConfig config;
      config.live.emplace();
      config.live->timeout_us = 20'000'000;
      config.interrupted = stop;
      try {
        VideoReader reader(url, config);
        while (const auto next = reader.read()) {
          EXPECT_EQ(next->image.sizes(), at::IntArrayRef({kHeight, kWidth, 3}));
          ++count;
        }
      } catch (const MediaError&) {  // the end of a stream
      }
    });
  }
  void wait() { thread_.join(); }
  std::atomic<int64_t> count = 0;

 private:
  std::jthread thread_;
};

bool has_protocol(const std::string& name) {
  void* state = nullptr;
  while (const char* each = avio_enum_protocols(&state, 1)) {
    if (name == each) return true;
  }
  return false;
}

/// Connects as soon as somebody listens.
std::unique_ptr<FrameSink> open_when_there(const std::string& target,
                                           std::shared_ptr<StreamEvents> events = nullptr) {
  for (int attempt = 0; attempt < 100; ++attempt) {
    try {
      return open(target, events);
    } catch (const OutputError&) {
      std::this_thread::sleep_for(50ms);
    }
  }
  return open(target, events);
}

TEST(StreamWriter, SendsEveryPicture) {
  const int port = free_port();
  Receiver receiver(port);
  const auto sink = open_when_there("tcp://127.0.0.1:" + std::to_string(port));
  for (int64_t i = 0; i < 150; ++i) sink->write(frame(i));
  sink->finish();
  receiver.wait();
  EXPECT_EQ(receiver.count, 150);
}

TEST(StreamWriter, SendsOverUdp) {
  const std::string url = "udp://127.0.0.1:" + std::to_string(free_port());
  Receiver receiver(url);
  const auto sink = open(url);
  int64_t index = 0;
  write_until(*sink, index, [&] { return receiver.count > 20; });
}

TEST(StreamWriter, SendsOverSrt) {
  if (!has_protocol("srt")) GTEST_SKIP() << "skipped: this FFmpeg has no SRT";
  const std::string url = "srt://127.0.0.1:" + std::to_string(free_port());
  Receiver receiver(url + "?mode=listener");
  const auto sink = open_when_there(url);
  int64_t index = 0;
  write_until(*sink, index, [&] { return receiver.count > 20; });
}

/// Takes one stream that is published to rtmp://127.0.0.1:PORT/live/x, and counts its packets.
class RtmpServer {
 public:
  explicit RtmpServer(int port)
      : thread_([this, port] {
          AVDictionary* options = nullptr;
          av_dict_set(&options, "listen", "1", 0);
          AVFormatContext* format = nullptr;
          const std::string url = rtmp_url(port);
          const int result = avformat_open_input(&format, url.c_str(), av_find_input_format("flv"), &options);
          av_dict_free(&options);
          if (result < 0) return;
          for (AvPacketPtr packet = make_packet(); av_read_frame(format, packet.get()) >= 0;) {
            ++count;
            av_packet_unref(packet.get());
          }
          avformat_close_input(&format);
        }) {}
  static std::string rtmp_url(int port) { return "rtmp://127.0.0.1:" + std::to_string(port) + "/live/x"; }
  std::atomic<int64_t> count = 0;

 private:
  std::jthread thread_;
};

TEST(StreamWriter, PublishesToAnRtmpServer) {
  const int port = free_port();
  RtmpServer server(port);
  const auto sink = open_when_there(RtmpServer::rtmp_url(port));
  int64_t index = 0;
  write_until(*sink, index, [&] { return server.count > 20; });
  sink->finish();
}

/// Passes datagrams on from one port to another one, but loses some.
class LossyRelay {
 public:
  LossyRelay(int from, int to) : socket_(::socket(AF_INET, SOCK_DGRAM, 0)) {
    const sockaddr_in source = loopback(from), target = loopback(to);
    if (::bind(socket_, reinterpret_cast<const sockaddr*>(&source), sizeof source) != 0) {
      throw std::runtime_error("cannot bind");
    }
    const timeval patience{.tv_sec = 0, .tv_usec = 100'000};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    thread_ = std::jthread([this, target](std::stop_token stop) {
      std::array<char, 65536> data{};
      std::minstd_rand random(5);
      while (!stop.stop_requested()) {
        const ssize_t size = ::recv(socket_, data.data(), data.size(), 0);
        if (size <= 0) continue;
        if (random() % 100 < 5) {
          ++lost;
          continue;
        }
        ::sendto(socket_, data.data(), static_cast<size_t>(size), 0,
                 reinterpret_cast<const sockaddr*>(&target), sizeof target);
      }
    });
  }
  ~LossyRelay() {
    thread_ = {};
    ::close(socket_);
  }
  std::atomic<int64_t> lost = 0;

 private:
  static sockaddr_in loopback(int port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }

  int socket_;
  std::jthread thread_;
};

TEST(LiveSource, GoesOnThroughPacketsThatAreLost) {
  const int in = free_port(), out = free_port();
  LossyRelay relay(in, out);
  std::atomic<int64_t> num_sent = 0;
  std::jthread camera([&](std::stop_token stop) {
    const auto sink = open("udp://127.0.0.1:" + std::to_string(in));
    at::manual_seed(2);
    while (!stop.stop_requested()) {
      sink->write(noise(num_sent++));  // several packets a picture
      std::this_thread::sleep_for(10ms);
    }
  });
  Events events;
  SourceConfig config;
  config.live.emplace();
  config.live->events = events.channel;
  LiveSource source("udp://127.0.0.1:" + std::to_string(out), config);
  int64_t last_index = -1, last_us = -1;
  for (int i = 0; i < 100; ++i) {
    const std::optional<Frame> next = source.read();
    ASSERT_TRUE(next);
    EXPECT_EQ(next->image.sizes(), at::IntArrayRef({kHeight, kWidth, 3}));
    EXPECT_GT(next->index, last_index);
    EXPECT_GT(next->pts_us, last_us);
    last_index = next->index;
    last_us = next->pts_us;
  }
  EXPECT_GT(relay.lost, 5);
  EXPECT_EQ(events.count(), 0U);  // no outage
  EXPECT_EQ(last_index + 1, 100 + source.num_dropped());
}

TEST(StreamWriter, ComesBackToAReceiverThatComesBack) {
  const int port = free_port();
  Events events;
  auto receiver = std::make_unique<Receiver>(port);
  const auto sink = open_when_there("tcp://127.0.0.1:" + std::to_string(port), events.channel);
  int64_t index = 0;
  write_until(*sink, index, [&] { return receiver->count > 3; });
  receiver.reset();
  write_until(*sink, index, [&] { return events.count() == 1; });
  receiver = std::make_unique<Receiver>(port);
  write_until(*sink, index, [&] { return receiver->count > 3; });
  sink->finish();
  receiver->wait();
  ASSERT_EQ(events.seen.size(), 2U);
  EXPECT_EQ(events.seen[0].kind, StreamEvent::Kind::kOutputLost);
  EXPECT_EQ(events.seen[0].output, "tcp://127.0.0.1:" + std::to_string(port));
  EXPECT_EQ(events.seen[1].kind, StreamEvent::Kind::kOutputResumed);
  EXPECT_GE(events.seen[1].attempts, 1);
  EXPECT_GT(events.seen[1].seconds, 0.3);
}

TEST(StreamWriter, PublishesToAnRtspServer) {
  if (!has_rtsp_server()) GTEST_SKIP() << "skipped: built without GStreamer's RTSP server";
  const TemporaryFolder folder;
  const fs::path recorded = folder.path() / "recorded.h264";
  const int port = free_port();
  {
    const RtspServer server(port, "record:" + recorded.string());
    const auto sink = open(rtsp_url(port));
    for (int64_t i = 0; i < 100; ++i) {
      sink->write(frame(i));
      std::this_thread::sleep_for(10ms);
    }
    sink->finish();
    std::this_thread::sleep_for(1s);  // the server writes what it has
  }
  SourceConfig config;
  config.live.emplace();  // nobody closed the file
  VideoReader reader(recorded.string(), config);
  int64_t count = 0;
  try {
    while (reader.read()) ++count;
  } catch (const MediaError&) {
  }
  EXPECT_GE(count, 95);
  EXPECT_LE(count, 100);
}

TEST(StreamWriter, KeepsAnHlsPlaylistOfTheLastSeconds) {
  const TemporaryFolder folder;
  const fs::path playlist = folder.path() / "live.m3u8";
  const auto sink = open(playlist.string());
  for (int64_t i = 0; i < 300; ++i) sink->write(frame(i));
  std::ifstream stream(playlist);
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  EXPECT_EQ(text.find("#EXT-X-ENDLIST"), std::string::npos) << text;
  EXPECT_NE(text.find("#EXT-X-TARGETDURATION:1"), std::string::npos) << text;
  sink->finish();
  int64_t segments = 0;
  for (const auto& entry : fs::directory_iterator(folder.path()))
    segments += entry.path().extension() == ".ts";
  EXPECT_GE(segments, 6);
  EXPECT_LE(segments, 8);  // older ones are deleted
  const auto source = open_source(playlist.string());
  int64_t count = 0;
  while (source->read()) ++count;
  EXPECT_GE(count, 125);
  EXPECT_LE(count, 200);
}

/// Names of segments as a playlist tells them.
std::vector<std::string> segments_in(const std::string& playlist) {
  std::vector<std::string> names;
  std::istringstream lines(playlist);
  for (std::string line; std::getline(lines, line);) {
    if (line.ends_with(".ts")) names.push_back(line);
  }
  return names;
}

TEST(StreamWriter, APlaylistThatIsAppendedToGoesOn) {
  const TemporaryFolder folder;
  const fs::path playlist = folder.path() / "live" / "yard.m3u8";
  const auto record = [&](bool is_killed) {
    const auto sink = open(playlist.string(), nullptr, ExistingOutput::kAppend);
    for (int64_t i = 0; i < 90; ++i) sink->write(frame(i));
    if (!is_killed) sink->finish();
    return segments_in(text_of(playlist));
  };
  EXPECT_EQ(record(/*is_killed=*/true), (std::vector<std::string>{"yard0.ts", "yard1.ts", "yard2.ts"}));
  const std::string old = text_of(playlist.parent_path() / "yard2.ts");
  const std::vector<std::string> all = record(/*is_killed=*/false);
  EXPECT_EQ(all.size(), 6U);
  EXPECT_EQ(all.back(), "yard6.ts");
  EXPECT_EQ(text_of(playlist.parent_path() / "yard2.ts"), old);
  const std::string text = text_of(playlist);
  EXPECT_NE(text.find("#EXT-X-MEDIA-SEQUENCE:1\n"), std::string::npos) << text;
  EXPECT_NE(text.find("#EXT-X-DISCONTINUITY\n"), std::string::npos) << text;
  EXPECT_EQ(text.find("#EXT-X-ENDLIST"), std::string::npos) << text;

  std::ofstream(playlist, std::ios::trunc).close();  // a full disk did that
  EXPECT_EQ(record(/*is_killed=*/true).front(), "yard7.ts");
}

TEST(StreamWriter, AFullDiskLosesAPlaylist) {
  const TemporaryFolder folder;
  const std::string target = folder.path() / "live.m3u8";
  {
    const FileSizeLimit full(1000);
    const auto of_a_file = open(target);
    const auto write = [&] {
      for (int64_t i = 0; i < 60; ++i) of_a_file->write(noise(i));
    };
    EXPECT_THROW(write(), OutputError);
  }
  Events events;
  const auto sink = open(target, events.channel);
  int64_t index = 0;
  {
    const FileSizeLimit full(1000);
    const auto end = std::chrono::steady_clock::now() + 3s;  // several attempts, which all open
    while (std::chrono::steady_clock::now() < end) {
      sink->write(noise(index++));
      std::this_thread::sleep_for(10ms);
    }
    EXPECT_EQ(events.count(), 1U);
  }
  write_until(*sink, index, [&] { return events.count() > 1; });
  sink->finish();
  ASSERT_EQ(events.seen.size(), 2U);
  EXPECT_EQ(events.seen[0].kind, StreamEvent::Kind::kOutputLost);
  EXPECT_NE(events.seen[0].reason.find("cannot be written"), std::string::npos) << events.seen[0].reason;
  EXPECT_EQ(events.seen[1].kind, StreamEvent::Kind::kOutputResumed);
  EXPECT_GE(events.seen[1].attempts, 2);
}

TEST(StreamWriter, WhatCannotBeMadeAtFirstIsAnError) {
  const TemporaryFolder folder;
  const fs::path place = folder.path() / "place";
  std::ofstream(place) << "a file where a folder is to be";
  Events events;
  EXPECT_THROW(open(place / "live.m3u8", events.channel), OutputError);
  EXPECT_THROW(open_segmented_sink(place / "rec.mkv", 1'000'000, source_info(), OverlayConfig{},
                                   EncodeConfig{}, events.channel),
               OutputError);
}

TEST(LiveSource, FollowsAnHlsPlaylist) {
  const TemporaryFolder folder;
  httplib::Server server;
  server.set_mount_point("/", folder.path());
  const int port = server.bind_to_any_port("127.0.0.1");
  std::jthread serving([&] { server.listen_after_bind(); });
  const auto sink = open(folder.path() / "live.m3u8");
  std::atomic<bool> is_over = false;
  std::jthread camera([&] {
    for (int64_t i = 0; !is_over; ++i) {
      sink->write(frame(i));
      std::this_thread::sleep_for(10ms);  // four times as fast as it says
    }
  });
  while (!fs::exists(folder.path() / "live.m3u8")) std::this_thread::sleep_for(10ms);
  SourceConfig config;
  config.live.emplace();
  LiveSource source("http://127.0.0.1:" + std::to_string(port) + "/live.m3u8", config);
  int64_t last_us = -1;
  for (int64_t i = 0; i < 60; ++i) {
    const auto next = source.read();
    ASSERT_TRUE(next);
    EXPECT_GT(next->pts_us, last_us);
    last_us = next->pts_us;
  }
  is_over = true;
  server.stop();
}

TEST(StreamWriter, ATargetThatIsNotThereIsAnError) {
  const std::string target = "rtsp://me:secret@127.0.0.1:" + std::to_string(free_port()) + "/live";
  try {
    open(target);
    ADD_FAILURE() << "it opened";
  } catch (const OutputError& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find("refused"), std::string::npos) << message;
    EXPECT_EQ(message.find("refused"), message.rfind("refused")) << message;
    EXPECT_EQ(message.find("secret"), std::string::npos) << message;
  }
}

TEST(SegmentedWriter, EverySecondAFile) {
  const TemporaryFolder folder;
  Events events;
  const auto sink = open_segmented_sink(folder.path() / "rec.mp4", 1'000'000, source_info(), OverlayConfig{},
                                        EncodeConfig{}, events.channel);
  for (int64_t i = 0; i < 60; ++i) sink->write(frame(i));
  sink->finish();
  ASSERT_EQ(events.seen.size(), 3U);
  const std::array<int64_t, 3> expected{25, 25, 10};
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(events.seen[i].kind, StreamEvent::Kind::kSegmentComplete);
    const fs::path file = events.seen[i].output;
    EXPECT_TRUE(file.filename().string().starts_with("rec-20")) << file;
    const auto source = open_source(file.string());
    int64_t count = 0;
    for (; const auto read = source->read(); ++count) EXPECT_NEAR(read->pts_us, 40'000 * count, 1000);
    EXPECT_EQ(count, expected[i]);
  }
}

TEST(SegmentedWriter, GoesOnWhenAFileCannotBeMade) {
  const TemporaryFolder folder;
  Events events;
  const fs::path place = folder.path() / "place";
  const auto sink = open_segmented_sink(place / "rec.mkv", 1'000'000, source_info(), OverlayConfig{},
                                        EncodeConfig{}, events.channel);
  fs::remove(place);
  std::ofstream(place) << "a file where a folder is to be";
  int64_t index = 0;
  write_until(*sink, index, [&] { return events.count() == 1; });
  fs::remove(place);
  write_until(*sink, index, [&] { return events.count() == 3; });
  ASSERT_EQ(events.seen.size(), 3U);
  EXPECT_EQ(events.seen[0].kind, StreamEvent::Kind::kOutputLost);
  // It is back with the first bytes in the file, or with the whole segment.
  const bool is_whole_first = events.seen[1].kind == StreamEvent::Kind::kSegmentComplete;
  const StreamEvent &segment = events.seen[is_whole_first ? 1 : 2],
                    &back = events.seen[is_whole_first ? 2 : 1];
  EXPECT_EQ(segment.kind, StreamEvent::Kind::kSegmentComplete);
  EXPECT_EQ(back.kind, StreamEvent::Kind::kOutputResumed);
  EXPECT_TRUE(open_source(segment.output)->read());
}

TEST(SegmentedWriter, IsBackWhenItHasWrittenAgain) {
  const TemporaryFolder folder;
  Events events;
  const auto sink = open_segmented_sink(folder.path() / "rec.mkv", 3600'000'000, source_info(),
                                        OverlayConfig{}, EncodeConfig{}, events.channel);
  int64_t index = 0;
  {
    const FileSizeLimit full(4000);  // the head of a file is shorter
    for (int i = 0; i < 300; ++i) {
      sink->write(noise(index++));
      std::this_thread::sleep_for(10ms);
    }
    EXPECT_EQ(events.count(), 1U);
  }
  write_until(*sink, index, [&] { return events.count() > 1; });
  EXPECT_EQ(events.seen[0].kind, StreamEvent::Kind::kOutputLost);
  EXPECT_EQ(events.seen[1].kind, StreamEvent::Kind::kOutputResumed);
}

TEST(SegmentedWriter, NamesFilesByTheTime) {
  ::setenv("TZ", "UTC", 1);
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "rec.mp4";
  EXPECT_EQ(segment_file(file, 1795349100).filename(), "rec-20261122T120500.mp4");
  EXPECT_EQ(segment_file(folder.path() / "%H-%M.mkv", 1795349100).filename(), "12-05.mkv");
  EXPECT_EQ(segment_names("rec/gate.mp4"), "rec/gate-*.mp4");
  EXPECT_EQ(segment_names("rec/%H-%M.mkv"), "rec/%H-%M.mkv");
  std::ofstream(folder.path() / "12-05.mkv") << "taken";
  EXPECT_EQ(segment_file(folder.path() / "%H-%M.mkv", 1795349100).filename(), "12-05-2.mkv");
}

/// Listens at a Unix socket for one connection.
class Listener {
 public:
  explicit Listener(const fs::path& path) : socket_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, path.c_str());
    if (::bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        ::listen(socket_, 1) != 0) {
      throw std::runtime_error("cannot listen");
    }
  }
  ~Listener() {
    if (connection_ >= 0) ::close(connection_);
    ::close(socket_);
  }
  std::string read_line() {
    if (connection_ < 0) connection_ = ::accept(socket_, nullptr, nullptr);
    std::string line;
    for (char c = 0; ::read(connection_, &c, 1) == 1 && c != '\n';) line += c;
    return line;
  }

 private:
  int socket_, connection_ = -1;
};

TEST(EventSocket, SendsWholeLinesToWhoeverListens) {
  const TemporaryFolder folder;
  const fs::path path = folder.path() / "events";
  Events events;
  auto listener = std::make_unique<Listener>(path);
  const auto sink = open_event_sink("unix:" + path.string(), events.channel);
  int64_t index = 0;
  sink->write(frame(index++));
  EXPECT_EQ(nlohmann::json::parse(listener->read_line())["index"], 0);
  listener.reset();
  fs::remove(path);
  write_until(*sink, index, [&] { return events.count() == 1; });
  listener = std::make_unique<Listener>(path);
  write_until(*sink, index, [&] { return events.count() == 2; });
  sink->finish();
  EXPECT_GT(nlohmann::json::parse(listener->read_line())["index"], 1);
  EXPECT_EQ(events.seen[0].kind, StreamEvent::Kind::kOutputLost);
  EXPECT_EQ(events.seen[1].kind, StreamEvent::Kind::kOutputResumed);
}

TEST(EventSocket, SpeaksTcpAsWell) {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0), port = free_port();
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listener, 1), 0);
  const auto sink = open_event_sink("tcp://127.0.0.1:" + std::to_string(port));
  const int connection = ::accept(listener, nullptr, nullptr);
  sink->write(frame(7));
  sink->finish();
  std::string line;
  for (char c = 0; ::read(connection, &c, 1) == 1 && c != '\n';) line += c;
  EXPECT_EQ(nlohmann::json::parse(line)["index"], 7);
  ::close(connection);
  ::close(listener);
}

TEST(EventSocket, RefusesWhatIsNoAddress) {
  for (const char* wrong :
       {"tcp://", "tcp://host", "tcp://:5", "tcp://host:", "unix:", "unix:/nobody/listens/here"}) {
    EXPECT_THROW(open_event_sink(wrong), OutputError) << wrong;
  }
}

}  // namespace
}  // namespace hqtrack::testing
