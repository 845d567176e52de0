#pragma once

#include <string>

namespace hqtrack {

/// The text with user names and passwords of all URLs in it hidden: "rtsp://***@camera/1". For everything
/// that a person or a log gets to see.
std::string without_credentials(const std::string& text);

/// Whether a URL names a stream that goes on while nobody reads: rtsp, rtsps, rtp, udp, srt, rtmp(s). http(s)
/// and standard input may be either.
bool is_live_url(const std::string& url);

}  // namespace hqtrack
