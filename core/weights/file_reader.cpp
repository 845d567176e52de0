#include "core/weights/file_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/error.h"

namespace hqtrack {

FileReader::FileReader(const std::filesystem::path& path) : path_(path) {
  // Not blocking: a named pipe must be refused, not waited for.
  descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor_ < 0) fail(std::string("expected a readable weights file, found: ") + std::strerror(errno));
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(descriptor_);
    fail("expected a weights file, found something else than a regular file");
  }
  size_ = static_cast<uint64_t>(status.st_size);
}

FileReader::~FileReader() { ::close(descriptor_); }

void FileReader::read(uint64_t offset, void* target, size_t count) const {
  if (offset > size_ || count > size_ - offset) {
    fail("damaged: expected " + std::to_string(count) + " bytes at " + std::to_string(offset) +
         ", found a file of " + std::to_string(size_) + " bytes");
  }
  char* position = static_cast<char*>(target);
  while (count > 0) {
    const ssize_t done = ::pread(descriptor_, position, count, static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) fail(std::string("cannot be read: ") + std::strerror(errno));
    if (done == 0) fail("damaged: the file became shorter while it was read");
    position += done;
    offset += static_cast<uint64_t>(done);
    count -= static_cast<size_t>(done);
  }
}

std::string FileReader::read_text(uint64_t offset, size_t count) const {
  if (count > size_)
    fail("damaged: expected " + std::to_string(count) + " bytes, found " + std::to_string(size_));
  std::string text(count, '\0');
  read(offset, text.data(), count);
  return text;
}

void FileReader::fail(const std::string& message) const {
  throw WeightsError(path_.string() + ": " + message);
}

std::string in_quotes(std::string_view text) {
  constexpr size_t kLongest = 80;
  std::string out = "'";
  for (const char c : text.substr(0, kLongest)) {
    const auto byte = static_cast<unsigned char>(c);
    out += byte < ' ' || byte == 127 ? '?' : c;
  }
  return out + (text.size() > kLongest ? "...'" : "'");
}

}  // namespace hqtrack
