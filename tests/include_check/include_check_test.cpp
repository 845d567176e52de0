#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "tests/include_check/include_rules.h"

namespace hqtrack::testing {
namespace {
namespace fs = std::filesystem;

/// A source tree in a temporary folder, for rules that this repository does not break.
class Tree {
 public:
  Tree() {
    std::string pattern = (fs::temp_directory_path() / "hqtrack_includes_XXXXXX").string();
    if (mkdtemp(pattern.data()) == nullptr) throw std::runtime_error("cannot make " + pattern);
    root_ = pattern;
  }
  ~Tree() { fs::remove_all(root_); }
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;

  Tree& add(const fs::path& file, const std::string& text) {
    fs::create_directories((root_ / file).parent_path());
    std::ofstream(root_ / file) << text;
    return *this;
  }
  std::vector<std::string> violations() const { return include_violations(root_); }

 private:
  fs::path root_;
};

using Lines = std::vector<std::string>;

TEST(IncludeRules, ThisRepositoryKeepsThem) {
  const fs::path root = HQTRACK_SOURCE_DIR;
  ASSERT_GT(checked_files(root).size(), 50u) << "the check found too few sources under " << root;
  for (const std::string& violation : include_violations(root)) ADD_FAILURE() << violation;
}

TEST(IncludeRules, DownwardsAndInsideIsAllowed) {
  Tree tree;
  tree.add("core/a.h", "#include <string>\n").add("core/b.h", "#include \"core/a.h\"\n");
  tree.add("tracker/t.cpp", "#include \"core/b.h\"\n")
      .add("io/i.cpp", "#include <libavutil/opt.h>\n#include <opencv2/core.hpp>\n");
  tree.add("train/t.cpp", "#include \"core/a.h\"\n#include <opencv2/core.hpp>\n");
  tree.add("cli/main.cpp", "// #include \"nowhere.h\"\n#include \"core/a.h\"\n");
  EXPECT_EQ(tree.violations(), Lines{});
}

TEST(IncludeRules, UpwardsIsRefused) {
  Tree tree;
  tree.add("pipeline/p.h", "").add("core/a.cpp", "#include <string>\n#include \"pipeline/p.h\"\n");
  EXPECT_EQ(tree.violations(), Lines{"core/a.cpp:2: pipeline/p.h: points upwards"});
}

TEST(IncludeRules, SiblingsAreRefused) {
  Tree tree;
  tree.add("tracker/t.h", "").add("io/i.cpp", "  #  include \"tracker/t.h\" // for its size\n");
  EXPECT_EQ(tree.violations(), Lines{"io/i.cpp:1: tracker/t.h: siblings do not know each other"});
}

TEST(IncludeRules, PathsAreWrittenFromTheRoot) {
  Tree tree;
  tree.add("core/a.h", "")
      .add("core/b.h", "#include \"a.h\"\n")
      .add("core/c.h", "#include \"core/gone.h\"\n");
  EXPECT_EQ(tree.violations(), (Lines{"core/b.h:1: a.h: no such file, seen from the root",
                                      "core/c.h:1: core/gone.h: no such file, seen from the root"}));
}

TEST(IncludeRules, MediaLibrariesStayWhereTheyBelong) {
  Tree tree;
  tree.add("tracker/t.cpp", "#include <opencv2/imgproc.hpp>\n")
      .add("eval/e.cpp", "#include <libavcodec/avcodec.h>\n");
  EXPECT_EQ(tree.violations(),
            (Lines{"eval/e.cpp:1: libavcodec/avcodec.h: FFmpeg belongs to io",
                   "tracker/t.cpp:1: opencv2/imgproc.hpp: OpenCV belongs to io, eval and train"}));
}

TEST(IncludeRules, FfmpegDoesNotLeakThroughHeadersOfIo) {
  Tree tree;
  tree.add("io/av.h", "#include <libavformat/avformat.h>\n").add("io/reader.h", "#include \"io/av.h\"\n");
  tree.add("io/clean.h", "").add("pipeline/p.cpp", "#include \"io/clean.h\"\n#include \"io/reader.h\"\n");
  EXPECT_EQ(tree.violations(), Lines{"pipeline/p.cpp:2: io/reader.h: brings FFmpeg headers out of io"});
}

TEST(IncludeRules, WholeLibTorchIsRefused) {
  Tree tree;
  tree.add("tracker/t.h", "#include <torch/torch.h>\n");
  EXPECT_EQ(tree.violations(),
            Lines{"tracker/t.h:1: torch/torch.h: includes all of LibTorch: name the narrow headers"});
}

}  // namespace
}  // namespace hqtrack::testing
