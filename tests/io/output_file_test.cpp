#include "io/output_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <sstream>
#include <string>
#include <thread>

#include "core/error.h"
#include "tests/support/golden.h"

namespace hqtrack::testing {
namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

void write(const fs::path& file, const std::string& text) {
  write_file(file, text);
}

class OutputFileTest : public ::testing::Test {
 protected:
  fs::path at(const std::string& name) const { return folder_.path() / name; }
  TemporaryFolder folder_;
};

TEST_F(OutputFileTest, NeverTouchesWhatHasItsTemporaryName) {
  std::ofstream(at("out.part.mp4")) << "of an earlier run";
  OutputFile first(at("out.mp4")), second(at("out.mp4"));
  EXPECT_EQ(first.temporary_path(), at("out.part-2.mp4"));
  EXPECT_EQ(second.temporary_path(), at("out.part-3.mp4"));
  std::ofstream(first.temporary_path()) << "first";
  first.commit();
  EXPECT_EQ(read(at("out.mp4")), "first");
  EXPECT_EQ(read(at("out.part.mp4")), "of an earlier run");
}

TEST_F(OutputFileTest, WhatIsNeverCompletedIsKeptOnlyWhereItIsWanted) {
  {
    OutputFile removed(at("a.txt")), kept(at("b.txt"), OutputFile::WhenDropped::kKeep),
        empty(at("c.txt"), OutputFile::WhenDropped::kKeep);
    std::ofstream(removed.temporary_path()) << "half";
    std::ofstream(kept.temporary_path()) << "half";
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_.path()), fs::directory_iterator()), 1);
  EXPECT_EQ(read(at("b.part.txt")), "half");
}

TEST_F(OutputFileTest, MakesItsFolderAndFollowsALink) {
  write(at("new/folder/a.txt"), "a");
  EXPECT_EQ(read(at("new/folder/a.txt")), "a");
  fs::create_symlink(at("new/folder/a.txt"), at("link.txt"));
  write(at("link.txt"), "b");
  EXPECT_TRUE(fs::is_symlink(at("link.txt")));
  EXPECT_EQ(read(at("new/folder/a.txt")), "b");
}

TEST_F(OutputFileTest, WritesIntoAPipeInsteadOfReplacingIt) {
  ASSERT_EQ(::mkfifo(at("pipe").c_str(), 0600), 0);
  std::string received;
  std::thread reader([&] { received = read(at("pipe")); });
  write(at("pipe"), "through");
  reader.join();
  EXPECT_EQ(received, "through");
  EXPECT_TRUE(fs::is_fifo(at("pipe")));
}

TEST_F(OutputFileTest, NamesWhatCannotBeWritten) {
  std::ofstream(at("file")) << "x";
  try {
    write(at("file/out.txt"), "x");
    ADD_FAILURE() << "nothing was thrown";
  } catch (const OutputError& error) {
    EXPECT_NE(std::string(error.what()).find("file/out.txt"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace hqtrack::testing
