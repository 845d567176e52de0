#include "io/list_images.h"

#include <fnmatch.h>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/error.h"
#include "core/log.h"
#include "io/picture.h"

namespace hqtrack {
namespace fs = std::filesystem;
namespace {

bool is_digit(char c) { return std::isdigit(static_cast<unsigned char>(c)); }

/// Runs of digits compare as numbers, everything else by bytes.
bool natural_less(std::string_view a, std::string_view b) {
  size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    if (!is_digit(a[i]) || !is_digit(b[j])) {
      if (a[i] != b[j]) return static_cast<unsigned char>(a[i]) < static_cast<unsigned char>(b[j]);
      ++i, ++j;
      continue;
    }
    const auto take_number = [](std::string_view text, size_t& at) {
      while (at < text.size() && text[at] == '0') ++at;
      const size_t start = at;
      while (at < text.size() && is_digit(text[at])) ++at;
      return text.substr(start, at - start);
    };
    const std::string_view x = take_number(a, i), y = take_number(b, j);
    if (x.size() != y.size()) return x.size() < y.size();
    if (x != y) return x < y;
  }
  const size_t rest_a = a.size() - i, rest_b = b.size() - j;
  return rest_a != rest_b ? rest_a < rest_b : a < b;
}

std::vector<fs::path> files_in(const fs::path& folder) {
  std::error_code code;
  std::vector<fs::path> files;
  for (fs::directory_iterator it(folder.empty() ? "." : folder, code), end; !code && it != end;
       it.increment(code)) {
    if (!it->is_directory(code)) files.push_back(folder / it->path().filename());
  }
  if (code) throw MediaError(folder.string() + ": cannot be read: " + code.message());
  std::sort(files.begin(), files.end(), [](const fs::path& a, const fs::path& b) {
    return natural_less(a.filename().string(), b.filename().string());
  });
  return files;
}

/// A file name with one number in it, as in frame_%05d.png.
struct NumberPattern {
  std::string before, after;
  size_t min_digits = 1;  // %05d also takes longer numbers, as printf writes them

  std::optional<int64_t> number_in(const std::string& name) const {
    if (name.size() < before.size() + after.size() + min_digits) return std::nullopt;
    if (!name.starts_with(before) || !name.ends_with(after)) return std::nullopt;
    const std::string digits = name.substr(before.size(), name.size() - before.size() - after.size());
    if (digits.size() > 18 || !std::all_of(digits.begin(), digits.end(), is_digit)) return std::nullopt;
    if (digits.size() > min_digits && digits.front() == '0') return std::nullopt;
    return std::stoll(digits);
  }
};

std::optional<NumberPattern> parse_number_pattern(const std::string& name) {
  const size_t percent = name.find('%');
  if (percent == std::string::npos) return std::nullopt;
  size_t at = percent + 1;
  while (at < name.size() && is_digit(name[at])) ++at;
  if (at >= name.size() || name[at] != 'd' || at - percent > 4) return std::nullopt;
  NumberPattern pattern{.before = name.substr(0, percent), .after = name.substr(at + 1)};
  if (at > percent + 1)
    pattern.min_digits = std::max<size_t>(1, std::stoul(name.substr(percent + 1, at - percent - 1)));
  return pattern;
}

std::vector<fs::path> list_numbered(const std::string& url, const NumberPattern& pattern) {
  std::vector<fs::path> files;
  std::optional<int64_t> last;
  for (const fs::path& file : files_in(fs::path(url).parent_path())) {
    const std::optional<int64_t> number = pattern.number_in(file.filename().string());
    if (!number) continue;
    if (last && *number != *last + 1) {
      log_warning(url + ": no picture between numbers " + std::to_string(*last) + " and " +
                  std::to_string(*number));
    }
    last = number;
    files.push_back(file);
  }
  return files;
}

}  // namespace

bool is_image_input(const std::string& url) {
  std::error_code code;
  if (url == "-" || url.find("://") != std::string::npos) return false;
  return fs::is_directory(url, code) || is_image_pattern(url) ||
         (fs::exists(url, code) && has_picture_extension(url));
}

bool is_image_pattern(const std::string& url) {
  std::error_code code;
  if (fs::exists(url, code)) return false;
  return parse_number_pattern(fs::path(url).filename().string()) ||
         url.find_first_of("*?[") != std::string::npos;
}

std::vector<fs::path> list_images(const std::string& url) {
  std::error_code code;
  const fs::path path(url);
  const std::string name = path.filename().string();
  std::vector<fs::path> files;
  if (fs::is_directory(path, code)) {
    files = files_in(path);
    std::erase_if(files, [](const fs::path& file) {
      return !has_picture_extension(file) || file.filename().string().starts_with(".");
    });
    if (files.empty())
      throw MediaError(url + ": expected pictures (png, jpg, webp, bmp, tif) in the folder, found none");
    return files;
  }
  if (fs::exists(path, code)) return {path};
  if (const auto pattern = parse_number_pattern(name)) {
    files = list_numbered(url, *pattern);
  } else {
    files = files_in(path.parent_path());
    std::erase_if(files, [&](const fs::path& file) {
      return fnmatch(name.c_str(), file.filename().c_str(), FNM_PERIOD) != 0;
    });
  }
  if (files.empty()) throw MediaError(url + ": no file matches the pattern");
  return files;
}

}  // namespace hqtrack
