#include "io/network_url.h"

#include <gtest/gtest.h>

namespace hqtrack::testing {
namespace {

TEST(NetworkUrl, HidesWhoLogsIn) {
  EXPECT_EQ(without_credentials("rtsp://me:secret@camera:554/1?a=b@c"), "rtsp://***@camera:554/1?a=b@c");
  EXPECT_EQ(without_credentials("rtsp://me@camera"), "rtsp://***@camera");
  EXPECT_EQ(without_credentials("rtsp://me:p@ss:w@camera/1"), "rtsp://***@camera/1");
  EXPECT_EQ(without_credentials("rtsp://camera/1 and http://u:p@h/x."),
            "rtsp://camera/1 and http://***@h/x.");
  for (const char* plain : {"", "clip.mp4", "a@b.mp4", "rtsp://camera/user@home", "://", "http://"}) {
    EXPECT_EQ(without_credentials(plain), plain);
  }
}

TEST(NetworkUrl, HidesWhoLogsInInPlace) {
  std::string text = "rtsp://me:p@ss@camera/user@home";
  overwrite_credentials(text.data());
  EXPECT_EQ(text, "rtsp://*******@camera/user@home");
  overwrite_credentials(text.data());
  EXPECT_EQ(text, "rtsp://*******@camera/user@home");
}

TEST(NetworkUrl, KnowsLiveStreamsByTheirScheme) {
  for (const char* live : {"rtsp://camera/1", "RTSPS://camera", "udp://239.0.0.1:1234", "srt://h:1",
                           "rtmp://h/a", "/dev/video0"}) {
    EXPECT_TRUE(is_live_url(live)) << live;
  }
  for (const char* other :
       {"http://h/clip.mp4", "https://h/live.m3u8", "-", "clip.mp4", "rtsp", "file:///a"}) {
    EXPECT_FALSE(is_live_url(other)) << other;
  }
}

}  // namespace
}  // namespace hqtrack::testing
