#pragma once

#include <string>

namespace hqtrack {

/// The text with user names and passwords of all URLs in it hidden: "rtsp://***@camera/1". For everything
/// that a person or a log gets to see.
std::string without_credentials(const std::string& text);

/// The same in place, with a '*' for each character: for the arguments of a program, which `ps` shows to
/// everybody.
void overwrite_credentials(char* text);

/// Whether an input goes on while nobody reads: rtsp, rtsps, rtp, udp, srt, rtmp(s), and capture devices.
/// http(s) and standard input may be either.
bool is_live_url(const std::string& url);

/// Whether an input is a capture device of Video4Linux: /dev/video0 and the like.
bool is_capture_device(const std::string& url);

}  // namespace hqtrack
