#include "io/output_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <optional>
#include <string>

#include "core/error.h"

namespace hqtrack {
namespace fs = std::filesystem;
namespace {

[[noreturn]] void fail(const fs::path& file, const char* what) {
  throw OutputError(file.string() + ": cannot be " + what + ": " + std::strerror(errno));
}

// An empty file under a name that was free.
fs::path create_beside(const fs::path& file) {
  for (int attempt = 1;; ++attempt) {
    const std::string part = attempt == 1 ? ".part" : ".part-" + std::to_string(attempt);
    const fs::path path = file.parent_path() / (file.stem().string() + part + file.extension().string());
    const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor >= 0) {
      ::close(descriptor);
      return path;
    }
    if (errno != EEXIST) fail(file, "created");
  }
}

}  // namespace

OutputFile::OutputFile(const fs::path& file, WhenDropped when_dropped)
    : final_(file), when_dropped_(when_dropped) {
  std::error_code code;
  if (fs::is_symlink(file, code)) final_ = fs::weakly_canonical(file, code);
  make_folder_of(final_);
  temporary_ = create_beside(final_);
}

OutputFile::~OutputFile() {
  std::error_code ignored;
  const bool is_worth_keeping = when_dropped_ == WhenDropped::kKeep && !fs::is_empty(temporary_, ignored);
  if (!is_committed_ && !is_worth_keeping) fs::remove(temporary_, ignored);
}

void OutputFile::commit() {
  std::error_code code;
  fs::rename(temporary_, final_, code);
  if (code) throw OutputError(final_.string() + ": cannot be given its name: " + code.message());
  is_committed_ = true;
}

void make_folder_of(const fs::path& file) {
  std::error_code code;
  if (file.has_parent_path()) fs::create_directories(file.parent_path(), code);
  if (code) throw OutputError(file.string() + ": its folder cannot be created: " + code.message());
}

bool is_special_file(const fs::path& file) {
  std::error_code ignored;
  return fs::exists(file, ignored) && !fs::is_regular_file(file, ignored) && !fs::is_directory(file, ignored);
}

void write_file(const fs::path& file, std::span<const uint8_t> bytes) {
  std::optional<OutputFile> output;
  if (!is_special_file(file)) output.emplace(file);
  const fs::path& path = output ? output->temporary_path() : file;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> stream(std::fopen(path.c_str(), "wb"), std::fclose);
  if (!stream) fail(file, "created");
  if (std::fwrite(bytes.data(), 1, bytes.size(), stream.get()) != bytes.size()) fail(file, "written");
  if (std::fclose(stream.release()) != 0) fail(file, "written");
  if (output) output->commit();
}

void write_file(const fs::path& file, std::string_view text) {
  write_file(file, std::span(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
}

}  // namespace hqtrack
