#include "io/network_url.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>
#include <vector>

namespace hqtrack {

namespace {

struct Span {
  size_t begin, end;
};

/// Where user names and passwords stand, without the '@' behind them.
std::vector<Span> credentials_in(std::string_view text) {
  constexpr std::string_view kMark = "://";
  std::vector<Span> spans;
  size_t done = 0;
  for (size_t mark = text.find(kMark); mark != std::string_view::npos; mark = text.find(kMark, done)) {
    const size_t host = mark + kMark.size();
    // A password may hold an unescaped '@': what stands before the last one of the authority is hidden.
    const size_t end = std::min(text.find_first_of("/?# \t'\"", host), text.size());
    const size_t at = text.substr(host, end - host).rfind('@');
    done = host;
    if (at == std::string_view::npos) continue;
    spans.push_back({host, host + at});
    done += at + 1;
  }
  return spans;
}

}  // namespace

std::string without_credentials(const std::string& text) {
  std::string shown;
  size_t done = 0;
  for (const auto& [begin, end] : credentials_in(text)) {
    shown += text.substr(done, begin - done) + "***";
    done = end;
  }
  return shown + text.substr(done);
}

void overwrite_credentials(char* text) {
  for (const auto& [begin, end] : credentials_in(text)) std::fill(text + begin, text + end, '*');
}

bool is_live_url(const std::string& url) {
  constexpr std::array kSchemes = {"rtsp", "rtsps", "rtp", "udp", "srt", "rtmp", "rtmps"};
  const size_t colon = url.find("://");
  if (colon == std::string::npos) return is_capture_device(url);
  std::string scheme = url.substr(0, colon);
  std::ranges::transform(scheme, scheme.begin(), [](unsigned char c) { return std::tolower(c); });
  return std::ranges::find(kSchemes, scheme) != kSchemes.end();
}

bool is_capture_device(const std::string& url) {
  return url.starts_with("/dev/video") || url.starts_with("/dev/v4l/");
}

}  // namespace hqtrack
