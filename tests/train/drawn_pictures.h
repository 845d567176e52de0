#pragma once

#include <filesystem>
#include <opencv2/core/mat.hpp>
#include <vector>

#include "train/pictures.h"

namespace hqtrack::testing {

/// A photograph of sorts: coloured noise on several scales, CV_8UC3. Another number, another picture.
cv::Mat drawn_photograph(int width, int height, int number);

/// An ellipse of noise on nothing, CV_8UC4 RGBA.
cv::Mat drawn_cut_out(int width, int height, int number);

/// Two photographs, three stamps and two drawings.
Pictures drawn_pictures();

/// Bytes of a PNG file; RGB or RGBA.
std::vector<uint8_t> png_bytes(const cv::Mat& picture);
/// Bytes of a JPEG file; RGB.
std::vector<uint8_t> jpeg_bytes(const cv::Mat& rgb);

void write_bytes(const std::filesystem::path& file, const std::vector<uint8_t>& bytes);
std::vector<uint8_t> read_bytes(const std::filesystem::path& file);

}  // namespace hqtrack::testing
