#include "tests/cli/program.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>

#include "tests/support/golden.h"

namespace hqtrack::testing {
namespace fs = std::filesystem;
namespace {

void redirect(const fs::path& file, int descriptor, int flags) {
  const int opened = ::open(file.c_str(), flags, 0600);
  if (opened < 0 || ::dup2(opened, descriptor) < 0) ::_exit(125);
}

}  // namespace

Program::Program(const std::vector<std::string>& args, const fs::path& input) {
  std::string pattern = (fs::temp_directory_path() / "hqtrack_program_XXXXXX").string();
  folder_ = ::mkdtemp(pattern.data());
  std::vector<char*> arguments = {const_cast<char*>(HQTRACK_PROGRAM)};
  for (const std::string& arg : args) arguments.push_back(const_cast<char*>(arg.c_str()));
  arguments.push_back(nullptr);
  ::setenv("HQTRACK_HOME", repository_root().c_str(), 1);
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("fork failed");
  if (pid_ == 0) {
    redirect(input, STDIN_FILENO, O_RDONLY);
    redirect(folder_ / "out", STDOUT_FILENO, O_WRONLY | O_CREAT);
    redirect(folder_ / "err", STDERR_FILENO, O_WRONLY | O_CREAT);
    ::execv(HQTRACK_PROGRAM, arguments.data());
    ::_exit(126);
  }
}

Program::~Program() {
  if (pid_ > 0) {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

void Program::send(int signal) const { ::kill(pid_, signal); }

std::string Program::out() const { return read_text(folder_ / "out"); }

Finished Program::wait() {
  int status = 0;
  ::waitpid(pid_, &status, 0);
  pid_ = -1;
  Finished finished{.out = read_text(folder_ / "out"), .err = read_text(folder_ / "err")};
  if (WIFEXITED(status)) finished.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) finished.signal = WTERMSIG(status);
  return finished;
}

Finished run_program(const std::vector<std::string>& args) { return Program(args).wait(); }

std::string read_text(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

}  // namespace hqtrack::testing
