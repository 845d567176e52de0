#include "eval/results_zip.h"

#include <gtest/gtest.h>
#include <zip.h>

#include <fstream>

#include "core/error.h"
#include "tests/support/golden.h"

namespace hqtrack {
namespace {

namespace fs = std::filesystem;
using testing::TemporaryFolder;

class ResultsZip : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* file : {"dog/00001.png", "dog/00000.png", "cat/00000.png", "left out/00000.png", "dog/00001.part.png", "dog/notes.txt"}) {
      fs::create_directories((masks() / file).parent_path());
      std::ofstream(masks() / file) << "content of " << file;
    }
  }
  fs::path masks() const { return folder_.path() / "masks"; }
  fs::path file() const { return folder_.path() / "masks.zip"; }

  /// Names and contents in their order.
  std::vector<std::pair<std::string, std::string>> entries() const {
    zip_t* const archive = zip_open(file().c_str(), ZIP_RDONLY | ZIP_CHECKCONS, nullptr);
    EXPECT_NE(archive, nullptr);
    std::vector<std::pair<std::string, std::string>> all;
    for (zip_int64_t i = 0; i < zip_get_num_entries(archive, 0); ++i) {
      const auto index = static_cast<zip_uint64_t>(i);
      zip_file_t* const entry = zip_fopen_index(archive, index, 0);
      std::string text(100, ' ');
      text.resize(static_cast<size_t>(zip_fread(entry, text.data(), text.size())));
      zip_fclose(entry);
      all.emplace_back(zip_get_name(archive, index, 0), text);
    }
    zip_discard(archive);
    return all;
  }

 private:
  TemporaryFolder folder_;
};

TEST_F(ResultsZip, HoldsTheSequencesThatAreNamed) {
  write_results_zip(file(), masks(), {"dog", "cat"}, "");
  using Entry = std::pair<std::string, std::string>;
  EXPECT_EQ(entries(), (std::vector<Entry>{{"dog/00000.png", "content of dog/00000.png"},
                                           {"dog/00001.png", "content of dog/00001.png"},
                                           {"cat/00000.png", "content of cat/00000.png"}}));
  write_results_zip(file(), masks(), {"cat"}, "Annotations");
  EXPECT_EQ(entries(), (std::vector<Entry>{{"Annotations/cat/00000.png", "content of cat/00000.png"}}));
}

TEST_F(ResultsZip, LeavesNothingBehindWhenASequenceIsMissing) {
  EXPECT_THROW(write_results_zip(file(), masks(), {"dog", "bird"}, ""), MediaError);
  EXPECT_FALSE(fs::exists(file()));
  EXPECT_THROW(write_results_zip(masks() / "dog" / "00000.png" / "x.zip", masks(), {"dog"}, ""), OutputError);
}

}  // namespace
}  // namespace hqtrack
