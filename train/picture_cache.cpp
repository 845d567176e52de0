#include "train/picture_cache.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <opencv2/core.hpp>

#include "core/error.h"

namespace hqtrack {
namespace {
namespace fs = std::filesystem;

constexpr char kMagic[8] = {'H', 'Q', 'T', 'P', 'I', 'C', '0', '1'};

struct Header {
  char magic[8];
  uint64_t signature, file_bytes, count;
};
enum class Kind : uint32_t { kStamp, kDrawing, kPhotograph };
struct Entry {
  uint64_t offset;
  uint32_t height, width, channels;
  Kind kind;
};

uint64_t bytes_of(const Entry& entry) { return uint64_t{entry.height} * entry.width * entry.channels; }

bool is_possible(const Entry& entry, uint64_t file_bytes) {
  constexpr uint32_t kLargestSide = 1 << 15;
  const uint32_t channels = entry.kind == Kind::kPhotograph ? 3 : 4;
  return entry.kind <= Kind::kPhotograph && entry.channels == channels && entry.height > 0 &&
         entry.width > 0 && entry.height <= kLargestSide && entry.width <= kLargestSide &&
         entry.offset <= file_bytes && bytes_of(entry) <= file_bytes - entry.offset;
}

/// The whole file, read only; null when there is none.
std::shared_ptr<const uint8_t> map_file(const fs::path& file, uint64_t& size) {
  const int descriptor = open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return nullptr;
  struct stat status {};
  fstat(descriptor, &status);
  size = static_cast<uint64_t>(status.st_size);
  void* data = size > 0 ? mmap(nullptr, size, PROT_READ, MAP_SHARED, descriptor, 0) : MAP_FAILED;
  close(descriptor);
  if (data == MAP_FAILED) return nullptr;
  return {static_cast<const uint8_t*>(data),
          [size](const uint8_t* start) { munmap(const_cast<uint8_t*>(start), size); }};
}

}  // namespace

void write_picture_cache(const fs::path& file, uint64_t signature, const Pictures& pictures) {
  std::vector<Entry> entries;
  std::vector<cv::Mat> pixels;
  const auto add = [&](const std::vector<cv::Mat>& mats, Kind kind) {
    for (const cv::Mat& mat : mats) {
      pixels.push_back(mat.isContinuous() ? mat : mat.clone());
      entries.push_back({0, static_cast<uint32_t>(mat.rows), static_cast<uint32_t>(mat.cols),
                         static_cast<uint32_t>(mat.channels()), kind});
    }
  };
  add(pictures.stamps, Kind::kStamp);
  add(pictures.drawings, Kind::kDrawing);
  add(pictures.photographs, Kind::kPhotograph);
  uint64_t offset = sizeof(Header) + entries.size() * sizeof(Entry);
  for (Entry& entry : entries) {
    entry.offset = offset;
    offset += bytes_of(entry);
  }
  Header header{{}, signature, offset, entries.size()};
  std::memcpy(header.magic, kMagic, sizeof(kMagic));

  fs::path part = file;
  part += ".part" + std::to_string(getpid());
  std::ofstream out(part, std::ios::binary);
  out.write(reinterpret_cast<const char*>(&header), sizeof(header));
  out.write(reinterpret_cast<const char*>(entries.data()), entries.size() * sizeof(Entry));
  for (size_t i = 0; i < entries.size(); ++i) {
    out.write(reinterpret_cast<const char*>(pixels[i].data),
              static_cast<std::streamsize>(bytes_of(entries[i])));
  }
  out.close();
  std::error_code error;
  if (out) fs::rename(part, file, error);
  if (!out || error) {
    std::error_code ignored;
    fs::remove(part, ignored);
    throw OutputError(file.string() + ": cannot write the picture cache");
  }
}

std::optional<Pictures> read_picture_cache(const fs::path& file, uint64_t signature) {
  uint64_t size = 0;
  const auto data = map_file(file, size);
  if (!data || size < sizeof(Header)) return std::nullopt;
  Header header;
  std::memcpy(&header, data.get(), sizeof(header));
  if (std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0 || header.signature != signature ||
      header.file_bytes != size || header.count > (size - sizeof(Header)) / sizeof(Entry)) {
    return std::nullopt;
  }
  Pictures pictures;
  for (uint64_t i = 0; i < header.count; ++i) {
    Entry entry;
    std::memcpy(&entry, data.get() + sizeof(Header) + i * sizeof(Entry), sizeof(entry));
    if (!is_possible(entry, size)) return std::nullopt;
    const cv::Mat mat(static_cast<int>(entry.height), static_cast<int>(entry.width), CV_8UC(entry.channels),
                      const_cast<uint8_t*>(data.get() + entry.offset));
    auto& list = entry.kind == Kind::kStamp     ? pictures.stamps
                 : entry.kind == Kind::kDrawing ? pictures.drawings
                                                : pictures.photographs;
    list.push_back(mat);
  }
  pictures.storage = data;
  return pictures;
}

}  // namespace hqtrack
