#include "train/sequence_clips.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cstdio>

#include "core/error.h"
#include "io/mask_reader.h"
#include "tests/support/golden.h"
#include "tests/train/drawn_pictures.h"

namespace hqtrack {
namespace {
namespace fs = std::filesystem;

/// Grey pictures in which every pixel of an object has the value 100 + 40 * id, and background 20.
void write_frame(const fs::path& images, const fs::path& masks, int index, int64_t height = 90,
                 int64_t width = 120) {
  char name[16];
  std::snprintf(name, sizeof(name), "%05d", index);
  at::Tensor mask = at::zeros({height, width}, at::kByte);
  mask.slice(0, 10, 60).slice(1, 5 + 2 * index, 45 + 2 * index).fill_(1);
  mask.slice(0, 20, 80).slice(1, 60, 110).fill_(3);
  at::Tensor image = at::empty({height, width, 3}, at::kByte).fill_(20);
  image.masked_fill_((mask == 1).unsqueeze(-1), 140);
  image.masked_fill_((mask == 3).unsqueeze(-1), 220);
  fs::create_directories(images);
  fs::create_directories(masks);
  write_image(images / (std::string(name) + ".png"), image);
  write_label_mask(masks / (std::string(name) + ".png"), mask);
}

void write_sequence(const fs::path& root, const std::string& name, int frames,
                    const std::string& resolution = "480p") {
  for (int i = 0; i < frames; ++i) {
    write_frame(root / "JPEGImages" / resolution / name, root / "Annotations" / resolution / name, i);
  }
}

SequenceClipOptions small_options() {
  SequenceClipOptions options;
  options.height_px = 49;
  options.width_px = 65;
  options.num_frames = 3;
  return options;
}

std::string error_of(const fs::path& root) {
  try {
    SequenceClips(root, small_options()).example(0);
  } catch (const MediaError& error) {
    return error.what();
  }
  return "no error";
}

TEST(SequenceClips, ReadsBothLayouts) {
  const testing::TemporaryFolder davis, youtube;
  write_sequence(davis.path(), "one", 6);
  write_sequence(davis.path(), "short", 2);
  write_sequence(youtube.path(), "one", 6, "");
  EXPECT_EQ(SequenceClips(davis.path(), small_options()).num_sequences(), 1u);
  EXPECT_EQ(SequenceClips(youtube.path(), small_options()).num_sequences(), 1u);
}

// Background and objects differ in brightness, whatever the colours become: sorting the pixels by the nearest
// of those levels has to give the labels, but for the outlines.
TEST(SequenceClips, LabelsAgreeWithPixels) {
  const testing::TemporaryFolder folder;
  write_sequence(folder.path(), "one", 8);
  const SequenceClips clips(folder.path(), small_options());
  for (int64_t number = 0; number < 20; ++number) {
    const Clip clip = clips.example(number);
    ASSERT_EQ(clip.images.sizes(), (std::vector<int64_t>{3, 49, 65, 3}));
    const at::Tensor brightness = clip.images.to(at::kFloat).mean(-1);
    std::vector<at::Tensor> distances;
    for (int64_t object = 0; object <= clip.num_objects; ++object) {
      const at::Tensor level = brightness.masked_select(clip.labels == object).median();
      distances.push_back((brightness - level).abs());
      if (object > 0) {
        EXPECT_GE((clip.labels[0] == object).sum().item<int64_t>(), 100);
      }
    }
    const at::Tensor nearest = at::stack(distances).argmin(0);
    EXPECT_GT((nearest == clip.labels).to(at::kFloat).mean().item<double>(), 0.93) << "clip " << number;
  }
}

TEST(SequenceClips, SameNumberGivesTheSameBytes) {
  const testing::TemporaryFolder folder;
  write_sequence(folder.path(), "one", 8);
  const SequenceClips a(folder.path(), small_options()), b(folder.path(), small_options());
  a.example(3);
  EXPECT_TRUE(a.example(5).images.equal(b.example(5).images));
  EXPECT_TRUE(a.example(5).labels.equal(b.example(5).labels));
  EXPECT_FALSE(a.example(5).images.equal(b.example(6).images));
}

TEST(SequenceClips, KeepsToTheNumberOfObjects) {
  const testing::TemporaryFolder folder;
  write_sequence(folder.path(), "one", 8);
  SequenceClipOptions options = small_options();
  options.max_objects = 1;
  const SequenceClips clips(folder.path(), options);
  for (int64_t number = 0; number < 10; ++number)
    EXPECT_EQ(clips.example(number).labels.max().item<int64_t>(), 1);
}

TEST(SequenceClips, SaysWhatIsWrong) {
  const testing::TemporaryFolder folder;
  const std::string root = folder.path().string();
  EXPECT_EQ(error_of(folder.path()),
            root + ": expected the folders JPEGImages and Annotations, found no JPEGImages");
  write_sequence(folder.path(), "short", 2);
  EXPECT_EQ(error_of(folder.path()),
            root + ": expected sequences of at least 3 frames with masks, found none");
  write_frame(folder.path() / "JPEGImages/480p/short", folder.path() / "Annotations/480p/short", 2, 100, 100);
  EXPECT_NE(error_of(folder.path()).find("found another size"), std::string::npos);
  const fs::path image = folder.path() / "JPEGImages/480p/short/00001.png";
  testing::write_bytes(image, {'x'});
  EXPECT_NE(error_of(folder.path()).find(image.string()), std::string::npos);
}

TEST(MixedSource, TakesTheShareOfTheSecond) {
  struct Numbered : ClipSource {
    explicit Numbered(int64_t objects) : objects(objects) {}
    Clip example(int64_t) const override { return {{}, {}, objects}; }
    int64_t objects;
  };
  const MixedSource<Clip> clips(std::make_unique<Numbered>(1), std::make_unique<Numbered>(2), 0.25, 1);
  int64_t second = 0;
  for (int64_t i = 0; i < 4000; ++i) second += clips.example(i).num_objects == 2;
  EXPECT_NEAR(static_cast<double>(second), 1000, 120);
}

}  // namespace
}  // namespace hqtrack
