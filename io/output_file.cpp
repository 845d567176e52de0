#include "io/output_file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "core/error.h"

namespace hqtrack {
namespace fs = std::filesystem;

OutputFile::OutputFile(fs::path file, WhenDropped when_dropped)
    : final_(std::move(file)), when_dropped_(when_dropped) {
  temporary_ = final_.parent_path() / (final_.stem().string() + ".part" + final_.extension().string());
}

OutputFile::~OutputFile() {
  if (is_committed_ || when_dropped_ == WhenDropped::kKeep) return;
  std::error_code ignored;
  fs::remove(temporary_, ignored);
}

void OutputFile::commit() {
  std::error_code code;
  fs::rename(temporary_, final_, code);
  if (code) throw OutputError(final_.string() + ": cannot be given its name: " + code.message());
  is_committed_ = true;
}

void write_file(const fs::path& file, std::span<const uint8_t> bytes) {
  OutputFile output(file);
  const auto fail = [&](const char* what) {
    throw OutputError(file.string() + ": cannot be " + what + ": " + std::strerror(errno));
  };
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> stream(std::fopen(output.temporary_path().c_str(), "wb"),
                                                         std::fclose);
  if (!stream) fail("created");
  if (std::fwrite(bytes.data(), 1, bytes.size(), stream.get()) != bytes.size()) fail("written");
  if (std::fclose(stream.release()) != 0) fail("written");
  output.commit();
}

}  // namespace hqtrack
