#include "io/image_folder.h"

#include <fnmatch.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <optional>
#include <string_view>

#include "core/error.h"
#include "core/log.h"
#include "io/picture.h"

extern "C" {
#include <libavutil/pixdesc.h>
}

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

ImageFolder::ImageFolder(const std::string& url, const SourceConfig& config)
    : files_(list_images(url)), converter_(url, RgbConverter::Source::kPicture) {
  const AVRational rate = av_d2q(config.image_rate, 1000000);
  if (rate.num <= 0 || rate.den <= 0) {
    throw MediaError(url + ": expected a frame rate above 0, found " + std::to_string(config.image_rate));
  }
  const auto first_at_or_after = [&](int64_t time_us) {
    return static_cast<size_t>(
        std::max<int64_t>(0, av_rescale_rnd(time_us, rate.num, int64_t{rate.den} * 1000000, AV_ROUND_UP)));
  };
  begin_ = next_ = first_at_or_after(config.start_us);
  end_ = files_.size();
  if (config.duration_us) end_ = std::min(end_, first_at_or_after(config.start_us + *config.duration_us));
  if (begin_ >= end_) {
    throw MediaError(url + ": expected a frame at or after " + std::to_string(config.start_us / 1000) +
                     " ms, found " + std::to_string(files_.size()) + " pictures at " +
                     std::to_string(config.image_rate) + " a second");
  }
  const Picture picture = decode_picture(files_[begin_]);
  const char* pixel_format = av_get_pix_fmt_name(static_cast<AVPixelFormat>(picture.frame->format));
  first_ = load(files_[begin_]);
  info_ = VideoInfo{
      .url = url,
      .format = "images",
      .codec = avcodec_get_name(picture.codec),
      .pixel_format = pixel_format ? pixel_format : "unknown",
      .height = first_.size(0),
      .width = first_.size(1),
      .rate_num = rate.num,
      .rate_den = rate.den,
      .time_base_num = rate.den,
      .time_base_den = rate.num,
      .num_frames = static_cast<int64_t>(end_ - begin_),
      .has_exact_count = true,
      .duration_us = av_rescale(static_cast<int64_t>(end_ - begin_), int64_t{rate.den} * 1000000, rate.num),
      .start_us = config.start_us};
}

at::Tensor ImageFolder::load(const fs::path& file) {
  const Picture picture = decode_picture(file);
  const int32_t* matrix = find_display_matrix(*picture.frame);
  return converter_.convert(*picture.frame, matrix ? orientation_of(matrix) : Orientation{});
}

std::optional<Frame> ImageFolder::read() {
  if (next_ >= end_) return std::nullopt;
  Frame frame;
  frame.index = static_cast<int64_t>(next_ - begin_);
  frame.pts_us = av_rescale(static_cast<int64_t>(next_), int64_t{info_.rate_den} * 1000000, info_.rate_num);
  const fs::path& file = files_[next_];
  frame.image = first_.defined() ? std::move(first_) : load(file);
  first_ = at::Tensor();
  if (frame.image.size(0) != info_.height || frame.image.size(1) != info_.width) {
    throw MediaError(file.string() + ": expected " + std::to_string(info_.width) + "x" +
                     std::to_string(info_.height) + " pixels as in " + files_[begin_].filename().string() +
                     ", found " + std::to_string(frame.image.size(1)) + "x" +
                     std::to_string(frame.image.size(0)));
  }
  ++next_;
  return frame;
}

}  // namespace hqtrack
