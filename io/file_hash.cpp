#include "io/file_hash.h"

extern "C" {
#include <libavutil/mem.h>
#include <libavutil/sha.h>
}

#include <array>
#include <fstream>
#include <memory>
#include <vector>

#include "core/error.h"

namespace hqtrack {

std::string sha256_of(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw MediaError(file.string() + ": expected a file, found none that can be read");
  const std::unique_ptr<AVSHA, decltype(&av_free)> sha(av_sha_alloc(), av_free);
  av_sha_init(sha.get(), 256);
  std::vector<uint8_t> block(1 << 20);
  while (stream) {
    stream.read(reinterpret_cast<char*>(block.data()), static_cast<std::streamsize>(block.size()));
    av_sha_update(sha.get(), block.data(), static_cast<size_t>(stream.gcount()));
  }
  std::array<uint8_t, 32> digest{};
  av_sha_final(sha.get(), digest.data());
  std::string text;
  for (const uint8_t byte : digest) {
    constexpr const char* kDigits = "0123456789abcdef";
    text += {kDigits[byte >> 4], kDigits[byte & 15]};
  }
  return text;
}

}  // namespace hqtrack
