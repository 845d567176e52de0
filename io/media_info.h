#pragma once

#include <string>
#include <vector>

namespace hqtrack {

struct LibraryVersion {
  std::string name, version;
};

/// Way of decoding or encoding on a chip of its own that FFmpeg was built with.
struct HardwareDevice {
  std::string name;        // FFmpeg's: cuda, vaapi, qsv ...
  bool is_usable = false;  // this machine has such a device and its driver
};

/// What FFmpeg can do here.
struct MediaInfo {
  std::string version;                    // of FFmpeg as a whole
  std::vector<LibraryVersion> libraries;  // those the program runs with
  std::vector<HardwareDevice> devices;
  std::vector<std::string> hardware_decoders;  // codec names; built in, which needs no device to be there
  std::vector<std::string> hardware_encoders;
};

/// Tries to open each kind of hardware device once, which takes up to some tenths of a second.
MediaInfo media_info();

}  // namespace hqtrack
