#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "core/error.h"
#include "core/label_mask.h"
#include "io/mask_reader.h"
#include "train/pictures.h"
#include "train/scene.h"

// Draws videos that are hard to follow, with their true masks, in the layout of DAVIS: sequences KIND-1,
// KIND-2, ... of each kind (train/scene.h). `hqtrack eval davis --root DIR --by-kind` scores them. Their
// pictures are those of the training, their seed is not.
namespace {

using namespace hqtrack;
namespace fs = std::filesystem;

constexpr int kNumFrames = 40;
constexpr uint64_t kSeed = 0x4a5d;  // no training run has it
const cv::Size kCanvas(432, 240);
// Of every object in the first frame: less is no fair question.
constexpr int64_t kLeastPixels = 40;
constexpr double kLeastShare = 0.6;

bool shows_all(const Scene& scene, const at::Tensor& labels, int num_objects) {
  const auto regions = label_regions(labels);
  for (int id = 1; id <= num_objects; ++id) {
    if (regions[id].area_px < kLeastPixels || scene.visible_share(0, id) < kLeastShare) return false;
  }
  return true;
}

void write_sequence(const Pictures& pictures, HardKind kind, int number, const fs::path& root) {
  const std::string name = std::string(to_string(kind)) + "-" + std::to_string(number);
  const fs::path images = root / "JPEGImages/480p" / name, masks = root / "Annotations/480p" / name;
  fs::create_directories(images);
  fs::create_directories(masks);
  Random random(kSeed, static_cast<uint64_t>(kind) * 1000 + static_cast<uint64_t>(number));
  while (true) {
    const SceneStyle style = hard_style(kind, random);
    const Scene scene(pictures, style, kCanvas, kNumFrames, random);
    bool is_usable = true;
    for (int frame = 0; frame < kNumFrames && is_usable; ++frame) {
      at::Tensor labels = at::empty({kCanvas.height, kCanvas.width}, at::kByte);
      cv::Mat label_mat(kCanvas, CV_8UC1, labels.mutable_data_ptr<uint8_t>());
      cv::Mat image = scene.render(frame, label_mat, random);
      if (frame == 0) is_usable = shows_all(scene, labels, style.num_objects);
      if (!is_usable) break;
      char file[16];
      std::snprintf(file, sizeof file, "%05d.png", frame);
      write_image(images / file, at::from_blob(image.data, {image.rows, image.cols, 3}, at::kByte));
      write_label_mask(masks / file, labels);
    }
    if (is_usable) return;
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3 || argc > 4) {
    std::fputs("usage: hard_cases PICTURES OUT [SEQUENCES OF A KIND, 4]\n", stderr);
    return static_cast<int>(ExitCode::kUsage);
  }
  try {
    const Pictures pictures = load_pictures(argv[1]);
    const int count = argc > 3 ? std::max(1, std::atoi(argv[3])) : 4;
    for (int kind = 0; kind < kNumHardKinds; ++kind) {
      for (int number = 1; number <= count; ++number) {
        write_sequence(pictures, static_cast<HardKind>(kind), number, argv[2]);
      }
    }
  } catch (const Error& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return static_cast<int>(error.code());
  }
}
