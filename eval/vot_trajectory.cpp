#include "eval/vot_trajectory.h"

#include <bit>
#include <concepts>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>

#include "core/error.h"
#include "io/output_file.h"

namespace hqtrack {
namespace fs = std::filesystem;
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little endian");

constexpr uint16_t kVersion = 1;
constexpr int64_t kLongestRun = 65025;  // a longer one is split by a run of 0
enum Type : uint8_t { kSpecial, kRectangle, kPolygon, kMask, kPoint };

/// Takes numbers off the front of a file.
class Reader {
 public:
  explicit Reader(std::vector<char> bytes) : bytes_(std::move(bytes)) {}

  template <class Number>
  Number take() {
    if (bytes_.size() - position_ < sizeof(Number)) {
      throw MediaError("expected more bytes, found the end of the file");
    }
    Number value;
    std::memcpy(&value, bytes_.data() + position_, sizeof value);
    position_ += sizeof value;
    return value;
  }

 private:
  std::vector<char> bytes_;
  size_t position_ = 0;
};

VotMask take_mask(Reader& reader) {
  const int64_t x = reader.take<int16_t>(), y = reader.take<int16_t>();
  const int64_t width = reader.take<uint16_t>(), height = reader.take<uint16_t>();
  std::vector<int64_t> runs(reader.take<uint16_t>());
  for (int64_t& run : runs) run = reader.take<uint16_t>();
  return mask_from_runs({x, y, width, height}, runs);
}

VotPoint take_point(Reader& reader) {
  const auto x = reader.take<float>();
  return {x, reader.take<float>()};
}

VotRegion take_region(Reader& reader) {
  const auto type = reader.take<uint8_t>();
  switch (type) {
    case kSpecial:
      return VotSpecial{reader.take<uint32_t>()};
    case kRectangle: {
      const auto [x, y] = take_point(reader);
      const auto [width, height] = take_point(reader);
      return VotRectangle{x, y, width, height};
    }
    case kPolygon: {
      VotPolygon polygon;
      polygon.corners.resize(reader.take<uint16_t>());
      for (VotPoint& corner : polygon.corners) corner = take_point(reader);
      if (polygon.corners.empty()) throw MediaError("expected a polygon of some corners, found none");
      return polygon;
    }
    case kMask:
      return take_mask(reader);
    case kPoint:
      return take_point(reader);
    default:
      throw MediaError("expected a region of type 0 to 4, found type " + std::to_string(type));
  }
}

VotTrajectory read_binary(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  Reader reader({std::istreambuf_iterator<char>(stream), {}});
  if (const auto version = reader.take<uint16_t>(); version != kVersion) {
    throw MediaError("expected version 1 of the toolkit's format, found " + std::to_string(version));
  }
  const auto count = reader.take<uint32_t>();
  VotTrajectory trajectory;
  for (uint32_t frame = 0; frame < count; ++frame) {
    try {
      trajectory.push_back(take_region(reader));
    } catch (const Error& error) {
      throw MediaError("frame " + std::to_string(frame) + " of " + std::to_string(count) + ": " +
                       error.what());
    }
  }
  return trajectory;
}

/// Collects numbers at their size in the file.
class Writer {
 public:
  template <class Number>
  void put(Number value) {
    const auto* begin = reinterpret_cast<const uint8_t*>(&value);
    bytes.insert(bytes.end(), begin, begin + sizeof value);
  }
  /// A number that must fit.
  template <std::integral Number>
  void put_checked(int64_t value, const char* what) {
    if (value < std::numeric_limits<Number>::min() || value > std::numeric_limits<Number>::max()) {
      throw MediaError(std::string("expected ") + what + " of 16 bits, found " + std::to_string(value));
    }
    put(static_cast<Number>(value));
  }

  std::vector<uint8_t> bytes;
};

void put_region(Writer& writer, const VotSpecial& special) {
  writer.put<uint8_t>(kSpecial);
  writer.put(static_cast<uint32_t>(special.code));
}

void put_region(Writer& writer, const VotPoint& point) {
  writer.put<uint8_t>(kPoint);
  writer.put(point.x);
  writer.put(point.y);
}

void put_region(Writer& writer, const VotRectangle& box) {
  writer.put<uint8_t>(kRectangle);
  for (const float value : {box.x, box.y, box.width, box.height}) writer.put(value);
}

void put_region(Writer& writer, const VotPolygon& polygon) {
  writer.put<uint8_t>(kPolygon);
  writer.put_checked<uint16_t>(static_cast<int64_t>(polygon.corners.size()), "a count of corners");
  for (const VotPoint& corner : polygon.corners) {
    writer.put(corner.x);
    writer.put(corner.y);
  }
}

void put_region(Writer& writer, const VotMask& mask) {
  std::vector<int64_t> runs;
  for (int64_t run : to_runs(mask)) {
    for (; run > kLongestRun; run -= kLongestRun) runs.insert(runs.end(), {kLongestRun, 0});
    runs.push_back(run);
  }
  writer.put<uint8_t>(kMask);
  writer.put_checked<int16_t>(mask.x, "the corner of a mask");
  writer.put_checked<int16_t>(mask.y, "the corner of a mask");
  writer.put_checked<uint16_t>(mask.width, "the size of a mask");
  writer.put_checked<uint16_t>(mask.height, "the size of a mask");
  writer.put_checked<uint16_t>(static_cast<int64_t>(runs.size()), "a count of runs");
  for (const int64_t run : runs) writer.put(static_cast<uint16_t>(run));
}

}  // namespace

VotTrajectory read_vot_trajectory(const fs::path& stem) {
  const fs::path text = stem.string() + ".txt", binary = stem.string() + ".bin";
  if (fs::exists(text)) return read_vot_text(text);
  if (!fs::exists(binary)) {
    throw MediaError(binary.string() + ": expected the results of an object, found no such file, nor .txt");
  }
  try {
    return read_binary(binary);
  } catch (const Error& error) {
    throw MediaError(binary.string() + ": " + error.what());
  }
}

VotTrajectory read_vot_text(const fs::path& file) {
  std::ifstream stream(file);
  if (!stream) throw MediaError(file.string() + ": expected a region a line, found no file that can be read");
  VotTrajectory trajectory;
  for (std::string line; std::getline(stream, line);) {
    try {
      trajectory.push_back(parse_vot_region(line));
    } catch (const Error& error) {
      throw MediaError(file.string() + ":" + std::to_string(trajectory.size() + 1) + ": " + error.what());
    }
  }
  return trajectory;
}

void write_vot_trajectory(const fs::path& file, const VotTrajectory& trajectory) {
  Writer writer;
  writer.put(kVersion);
  writer.put(static_cast<uint32_t>(trajectory.size()));
  for (size_t frame = 0; frame < trajectory.size(); ++frame) {
    try {
      std::visit([&](const auto& region) { put_region(writer, region); }, trajectory[frame]);
    } catch (const Error& error) {
      throw OutputError(file.string() + ": frame " + std::to_string(frame) + ": " + error.what());
    }
  }
  write_file(file, writer.bytes);
}

void write_vot_values(const fs::path& file, const std::vector<std::string>& values) {
  std::string text;
  for (const std::string& value : values) text += value + "\n";
  write_file(file, text);
}

}  // namespace hqtrack
