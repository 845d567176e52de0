#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace hqtrack::testing {

/// How the built program ended.
struct Finished {
  int exit_code = -1;  // -1 when it was killed
  int signal = 0;      // that killed it; 0 when none did
  std::string out, err;
};

/// The built `hqtrack` as a child process. What it prints goes into files, so it never waits for its reader.
class Program {
 public:
  /// Starts it with these arguments and this file as its standard input; its configurations are those of the
  /// repository.
  explicit Program(const std::vector<std::string>& args, const std::filesystem::path& input = "/dev/null");
  /// Kills what is still running.
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  void send(int signal) const;
  /// What it printed on stdout so far.
  std::string out() const;
  Finished wait();

 private:
  std::filesystem::path folder_;
  pid_t pid_ = -1;
};

/// Starts it and waits.
Finished run_program(const std::vector<std::string>& args);

std::string read_text(const std::filesystem::path& file);
std::vector<std::string> lines_of(const std::string& text);

}  // namespace hqtrack::testing
