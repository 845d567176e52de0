#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "train/still.h"

namespace hqtrack {

/// A picture and the mask of its object.
struct PicturePair {
  std::filesystem::path image, mask;
};

/// Finds the pairs in the layouts of HQSeg-44K (docs/training.md), in any folders below `root`: NAME.jpg
/// beside NAME.png; or pictures and masks of equal names in two folders beside each other, `im` and `gt`,
/// `images` and `masks`, `images_train` and `masks_train` and the like, also with `_max255` at the end of the
/// mask folder. Warns of pictures without a mask and masks without a picture. Sorted by name. Throws
/// MediaError when the folder cannot be read or holds no pair.
std::vector<PicturePair> find_pairs(const std::filesystem::path& root);

struct PairStillOptions {
  uint64_t seed = 1;
  int64_t size_px = 512;     // longer edge
  bool is_augmented = true;  // false: pair n as it is, at its own size
};

/// Stills of one object each from pairs; mask values above 128 are inside. A random pair, half of them
/// mirrored, most of them cut out around the object or a random window that shows it, colours changed a
/// little. Thread-safe.
class PairStills : public StillSource {
 public:
  PairStills(std::vector<PicturePair> pairs, const PairStillOptions& options);
  /// Throws MediaError naming the file for an unreadable picture or mask, for a mask of another size than its
  /// picture, and when 100 draws show no object.
  Still example(int64_t number) const override;
  size_t num_pairs() const { return pairs_.size(); }

 private:
  std::vector<PicturePair> pairs_;
  PairStillOptions options_;
};

}  // namespace hqtrack
