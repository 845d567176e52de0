#include "bench/measured_process.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <system_error>

namespace hqtrack {
namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void fail(const char* what) { throw std::system_error(errno, std::generic_category(), what); }

double seconds_of(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

/// The first `num_cores` of the cores this process may use.
cpu_set_t first_cores(int num_cores) {
  cpu_set_t allowed, chosen;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) fail("sched_getaffinity");
  CPU_ZERO(&chosen);
  for (int core = 0; core < CPU_SETSIZE && CPU_COUNT(&chosen) < num_cores; ++core) {
    if (CPU_ISSET(core, &allowed)) CPU_SET(core, &chosen);
  }
  return chosen;
}

int64_t resident_kib(pid_t process) {
  std::ifstream status("/proc/" + std::to_string(process) + "/status");
  for (std::string key; status >> key;) {
    int64_t value = 0;
    if (key == "VmRSS:" && status >> value) return value;
    status.ignore(1024, '\n');
  }
  return 0;
}

/// Starts the program with `output` as its stdout.
pid_t start(const std::vector<std::string>& command, const cpu_set_t& cores, int output, int unused) {
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  const pid_t process = fork();
  if (process < 0) fail("fork");
  if (process > 0) return process;
  // From here on only calls that are safe between fork and exec.
  dup2(output, STDOUT_FILENO);
  close(output);
  close(unused);
  sched_setaffinity(0, sizeof cores, &cores);
  execv(arguments[0], arguments.data());
  _exit(127);
}

}  // namespace

ProcessCost run_measured(const std::vector<std::string>& command, int num_cores, int64_t sample_frames) {
  int ends[2];
  if (pipe(ends) != 0) fail("pipe");
  const Clock::time_point begin = Clock::now();
  const auto since_begin = [&] { return std::chrono::duration<double>(Clock::now() - begin).count(); };
  const pid_t process = start(command, first_cores(num_cores), ends[1], ends[0]);
  close(ends[1]);

  ProcessCost cost;
  char buffer[65536];
  for (ssize_t size; (size = read(ends[0], buffer, sizeof buffer)) != 0;) {
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) fail("read");
    const auto lines = std::count(buffer, buffer + size, '\n');
    for (int64_t i = 0; i < lines; ++i) {
      cost.last_frame_seconds = since_begin();
      if (++cost.num_frames == 1) cost.first_frame_seconds = cost.last_frame_seconds;
      if (cost.num_frames % sample_frames != 0) continue;
      cost.samples.push_back({cost.num_frames, cost.last_frame_seconds, resident_kib(process)});
    }
  }
  close(ends[0]);

  int status = 0;
  rusage usage{};
  while (wait4(process, &status, 0, &usage) < 0) {
    if (errno != EINTR) fail("wait4");
  }
  cost.seconds = since_begin();
  cost.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  cost.user_seconds = seconds_of(usage.ru_utime);
  cost.system_seconds = seconds_of(usage.ru_stime);
  cost.peak_resident_kib = usage.ru_maxrss;
  return cost;
}

}  // namespace hqtrack
