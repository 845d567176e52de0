#include "cli/process.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <initializer_list>

namespace hqtrack {
namespace {

// Else the first files opened would take these numbers, and messages would end up in them.
void fill_standard_streams() {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(descriptor, F_GETFD) >= 0 || errno != EBADF) continue;
    [[maybe_unused]] const int opened = ::open("/dev/null", O_RDWR);
  }
}

// By default threads spin while they wait, and here decoder, network and encoder share the cores.
void let_openmp_sleep(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") || std::getenv("GOMP_SPINCOUNT")) return;
  ::setenv("OMP_WAIT_POLICY", "passive", 1);
  ::execv("/proc/self/exe",
          argv);  // comes back only where that is not possible, and then it is merely slower
}

}  // namespace

void prepare_process(char** argv) {
  fill_standard_streams();
  std::signal(SIGPIPE, SIG_IGN);
  let_openmp_sleep(argv);
}

}  // namespace hqtrack
