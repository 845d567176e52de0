#pragma once

#include <filesystem>
#include <memory>
#include <opencv2/core/mat.hpp>
#include <vector>

namespace hqtrack {

/// The still pictures that synthetic clips are made of. Cut-outs are RGBA (CV_8UC4, colours not multiplied by
/// alpha, cropped to what is visible), photographs RGB (CV_8UC3). The pixels may lie in a mapped file: read
/// only.
struct Pictures {
  std::vector<cv::Mat> stamps;    // cut-outs whose colours are used; longest side at most 224 px
  std::vector<cv::Mat> drawings;  // cut-outs used for their shape, painted with photographs; at most 176 px
  std::vector<cv::Mat> photographs;  // backgrounds and textures; short side at most 480 px
  std::shared_ptr<const void> storage;
};

/// Reads every usable picture below `folder`: PNG with transparency as cut-outs (a drawing where the path
/// names openclipart, else a stamp), other PNG, JPEG and WebP as photographs, also those inside Qt resource
/// containers
/// (.rcc). Left out: near-empty, tiny or very thin cut-outs, plain or small photographs, the same photograph
/// in further sizes, lettering (folders named "symbols"). Order and choice depend on the files alone.
///
/// The result is kept in `folder`/hqtrack_pictures.cache and read from there while the list of files (names
/// and sizes) stays the same; a folder that cannot be written to only costs time. Throws MediaError when the
/// folder cannot be read or holds no usable photograph.
Pictures load_pictures(const std::filesystem::path& folder);

}  // namespace hqtrack
