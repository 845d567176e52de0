#include "eval/davis_dataset.h"

#include <ATen/TensorOperators.h>
#include <ATen/ops/zeros.h>

#include <fstream>

#include "core/error.h"
#include "io/mask_reader.h"
#include "tests/support/golden.h"

namespace hqtrack {
namespace {

namespace fs = std::filesystem;
using testing::TemporaryFolder;

/// A data set of empty files: enough to be listed.
class DavisDataset : public ::testing::Test {
 protected:
  void touch(const fs::path& file, const std::string& text = {}) const {
    fs::create_directories((root() / file).parent_path());
    std::ofstream(root() / file) << text;
  }
  void add_sequence(const std::string& name, int num_frames, const std::string& resolution = "480p") const {
    for (int i = 0; i < num_frames; ++i) {
      const std::string stem = "0000" + std::to_string(i);
      touch(fs::path("JPEGImages") / resolution / name / (stem + ".jpg"));
      touch(fs::path("Annotations") / resolution / name / (stem + ".png"));
    }
  }
  const fs::path& root() const { return folder_.path(); }

  /// The message of the MediaError that reading ends with.
  std::string error_of(const fs::path& root, const fs::path& list = {}) const {
    try {
      read_davis_dataset(root, list);
    } catch (const MediaError& e) {
      return e.what();
    }
    return "no error";
  }

  static std::vector<std::string> names(const std::vector<DavisSequence>& sequences) {
    std::vector<std::string> names;
    for (const DavisSequence& sequence : sequences) names.push_back(sequence.name);
    return names;
  }

 private:
  TemporaryFolder folder_;
};

using Names = std::vector<std::string>;

TEST_F(DavisDataset, ListsAllSequencesByName) {
  add_sequence("dog", 4);
  add_sequence("bear", 3);
  const auto sequences = read_davis_dataset(root());
  ASSERT_EQ(names(sequences), (Names{"bear", "dog"}));
  const DavisSequence& dog = sequences[1];
  ASSERT_EQ(dog.frames.size(), 4);
  EXPECT_EQ(dog.frames[3].image, root() / "JPEGImages/480p/dog/00003.jpg");
  EXPECT_EQ(dog.frames[3].annotation, root() / "Annotations/480p/dog/00003.png");
  EXPECT_EQ(dog.scored_frames(), (std::vector<size_t>{1, 2}));
}

TEST_F(DavisDataset, FollowsTheListInItsOrder) {
  add_sequence("dog", 3);
  add_sequence("bear", 3);
  add_sequence("swan", 3);
  touch("val.txt", "# chosen\nswan\n\n  bear  # a comment\r\nswan\n");
  EXPECT_EQ(names(read_davis_dataset(root(), root() / "val.txt")), (Names{"swan", "bear"}));
  EXPECT_EQ(names(read_davis_dataset(root(), "val.txt")), (Names{"swan", "bear"})) << "below the root";
}

TEST_F(DavisDataset, TakesTheListsOfDavis2016) {
  add_sequence("dog", 3);
  add_sequence("bear", 3);
  touch("ImageSets/480p/val.txt",
        "/JPEGImages/480p/dog/00000.jpg /Annotations/480p/dog/00000.png \n"
        "/JPEGImages/480p/dog/00001.jpg /Annotations/480p/dog/00001.png \n"
        "/JPEGImages/480p/bear/00000.jpg /Annotations/480p/bear/00000.png \n");
  EXPECT_EQ(names(read_davis_dataset(root(), "ImageSets/480p/val.txt")), (Names{"dog", "bear"}));
}

TEST_F(DavisDataset, TakesOtherResolutions) {
  add_sequence("dog", 3, "Full-Resolution");
  EXPECT_EQ(names(read_davis_dataset(root())), Names{"dog"});
}

TEST_F(DavisDataset, TakesSparseAnnotationsOfYouTubeVos) {
  for (const char* stem : {"00000", "00005", "00010", "00015", "00020", "00025"}) {
    touch(fs::path("JPEGImages/a1b2") / (std::string(stem) + ".jpg"));
  }
  for (const char* stem : {"00005", "00015", "00025"}) {
    touch(fs::path("Annotations/a1b2") / (std::string(stem) + ".png"));
  }
  const auto sequences = read_davis_dataset(root());
  ASSERT_EQ(names(sequences), Names{"a1b2"});
  ASSERT_EQ(sequences[0].frames.size(), 5) << "the first annotated frame is the first one";
  EXPECT_EQ(sequences[0].frames[0].annotation.filename(), "00005.png");
  EXPECT_TRUE(sequences[0].frames[1].annotation.empty());
  EXPECT_EQ(sequences[0].scored_frames(), std::vector<size_t>{2});
}

TEST_F(DavisDataset, SaysWhatIsMissing) {
  EXPECT_NE(error_of(root() / "nowhere").find("nowhere: expected the folders JPEGImages and Annotations"),
            std::string::npos);
  add_sequence("dog", 3);
  EXPECT_NE(error_of(root(), "val.txt").find("val.txt: expected a list"), std::string::npos);
  touch("empty.txt", "# nothing\n");
  EXPECT_NE(error_of(root(), "empty.txt").find("found none"), std::string::npos);
  touch("other.txt", "dog\ncat\n");
  EXPECT_NE(error_of(root(), "other.txt").find("JPEGImages/480p/cat: expected the sequence 'cat'"),
            std::string::npos);
}

TEST_F(DavisDataset, RejectsAnAnnotationWithoutItsPicture) {
  add_sequence("dog", 4);
  fs::remove(root() / "JPEGImages/480p/dog/00002.jpg");
  EXPECT_NE(error_of(root()).find("00002.png: expected a picture '00002'"), std::string::npos);
}

TEST_F(DavisDataset, RejectsASequenceWithNothingToScore) {
  add_sequence("dog", 2);
  EXPECT_NE(error_of(root()).find("at least 3 annotated frames"), std::string::npos);
}

TEST(ReadAnnotation, TakesVoidOfALabelMapAsBackground) {
  const TemporaryFolder folder;
  at::Tensor labels = at::zeros({4, 6}, at::kByte);
  labels[1][1] = 3;
  labels[2][2] = 255;
  write_label_mask(folder.path() / "labels.png", labels);
  const at::Tensor read = read_annotation(folder.path() / "labels.png");
  EXPECT_EQ(read[1][1].item<int>(), 3);
  EXPECT_EQ(read[2][2].item<int>(), 0);
}

TEST(ReadAnnotation, TakesABinaryPictureAsObject1) {
  const TemporaryFolder folder;
  at::Tensor picture = at::zeros({4, 6, 3}, at::kByte);
  picture[1][1].fill_(255);
  write_image(folder.path() / "mask.png", picture);
  EXPECT_EQ(read_annotation(folder.path() / "mask.png")[1][1].item<int>(), 1);
}

TEST(DavisAttributes, ReadsTheListOfDavis) {
  const testing::TemporaryFolder folder;
  const fs::path file = folder.path() / "db_info.yaml";
  const auto read = [&](const std::string& text) {
    std::ofstream(file) << text;
    return read_davis_attributes(file);
  };
  const auto message = [&](const std::string& text) -> std::string {
    try {
      read(text);
    } catch (const MediaError& error) {
      return std::string(error.what()).substr(file.string().size());
    }
    return "no error";
  };
  const DavisAttributes attributes = read(
      "attributes: [AC, FM]\nsequences:\n- attributes: [AC, FM]\n  name: bear\n  num_frames: 82\n"
      "- name: bike\n  set: val\n- {name: boat, attributes: [FM]}\n");
  EXPECT_EQ(attributes, (DavisAttributes{{"bear", {"AC", "FM"}}, {"boat", {"FM"}}}));
  EXPECT_EQ(message("sequences: 3"), ":1: expected a list 'sequences' as in DAVIS's db_info.yaml");
  EXPECT_EQ(message("sequences:\n- {set: val}"), ":2: expected a sequence with a name");
  EXPECT_EQ(message("sequences:\n- {name: a}"),
            ": expected sequences with attributes, found none that has any");
  EXPECT_NE(message("sequences: [\n"), "no error");
  EXPECT_NE(message("sequences:\n- {name: a, attributes: 3}"), "no error");
  EXPECT_THROW(read_davis_attributes(folder.path() / "none"), MediaError);
}

}  // namespace
}  // namespace hqtrack
