#include <c10/util/Exception.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "cli/arguments.h"
#include "cli/bench.h"
#include "cli/convert.h"
#include "cli/ctl.h"
#include "cli/eval.h"
#include "cli/info.h"
#include "cli/process.h"
#include "cli/refine.h"
#include "cli/serve.h"
#include "cli/track.h"
#include "cli/train.h"
#include "cli/vots.h"
#include "core/error.h"
#include "core/log.h"
#include "core/one_line.h"
#include "io/network_url.h"

namespace hqtrack {
namespace {

struct Command {
  const char* name;
  int (*run)(std::span<const std::string> args);
};

constexpr Command kCommands[] = {{"track", run_track},   {"serve", run_serve}, {"ctl", run_ctl},
                                 {"refine", run_refine}, {"info", run_info},   {"convert", run_convert},
                                 {"eval", run_eval},     {"vots", run_vots},   {"train", run_train},
                                 {"bench", run_bench}};

constexpr const char* kHelp = R"(Usage: hqtrack COMMAND [arguments]; hqtrack COMMAND --help says more
  track     follow objects through a video: overlay video, masks, events
  serve     the same of several live streams in one process
  ctl       speak to a running track or serve: objects, pictures, metrics
  refine    cut objects out of pictures, sharpen masks: masks, COCO JSON
  info      what this program and machine can do; of a video or weights file
  convert   weights from .pth to .safetensors
  eval      scores on a data set: DAVIS, YouTube-VOS, VOTS
  vots      a tracker for the VOT toolkit
  train     train a network
  bench     how fast this machine runs a configuration, stage by stage
hqtrack --version prints the version. For example:
  hqtrack track box.mp4 --mask box_mask.png -o out.mp4

Exit codes, and what failed:
    0  nothing
    1  the program itself, or a library
    2  the command line
    3  a configuration file or a --set value
    4  a weights file: missing, damaged, or of another network
    5  an input, missing or damaged; what comes before the damage is written
    6  an output that cannot be written, or exists without --overwrite
    7  a device: not there, or out of memory
  130  interrupted by Ctrl-C or SIGTERM; what was written is complete
)";

int run(std::span<const std::string> args) {
  if (args.empty()) throw UsageError("expected a command, found none; see hqtrack --help");
  if (args[0] == "--help" || args[0] == "-h" || args[0] == "help") {
    std::fputs(kHelp, stdout);
    return static_cast<int>(ExitCode::kSuccess);
  }
  if (args[0] == "--version") {
    std::puts("hqtrack " HQTRACK_VERSION);
    return static_cast<int>(ExitCode::kSuccess);
  }
  std::vector<std::string> names;
  for (const Command& command : kCommands) {
    if (args[0] == command.name) return command.run(args.subspan(1));
    names.emplace_back(command.name);
  }
  const std::string near = nearest(args[0], names);
  throw UsageError("'" + args[0] + "': unknown command" +
                   (near.empty() ? "; see hqtrack --help" : "; did you mean " + near + "?"));
}

int fail(ExitCode code, const std::string& message) {
  log_error(message);
  return static_cast<int>(code);
}

int run_guarded(std::span<const std::string> args) {
  try {
    const int code = run(args);
    if (std::fflush(stdout) != 0) throw OutputError("standard output: cannot be written");
    return code;
  } catch (const Interrupted& e) {
    log_warning(e.what());
    return static_cast<int>(e.code());
  } catch (const Error& e) {
    return fail(e.code(), one_line(e));
  } catch (const c10::OutOfMemoryError& e) {
    return fail(ExitCode::kDevice, one_line(e));
  } catch (const std::filesystem::filesystem_error& e) {
    return fail(ExitCode::kInput, e.path1().string() + ": " + e.code().message());
  } catch (const std::exception& e) {
    return fail(ExitCode::kInternal, one_line(e));
  }
}

}  // namespace
}  // namespace hqtrack

int main(int argc, char** argv) {
  hqtrack::prepare_process();
  const std::vector<std::string> args(argv + 1, argv + argc);
  for (int i = 1; i < argc; ++i) hqtrack::overwrite_credentials(argv[i]);
  const int code = hqtrack::run_guarded(args);
#ifndef __SANITIZE_ADDRESS__
  // What LibTorch tears down after main takes time, and reads in pages that no memory budget has counted.
  std::fflush(nullptr);
  std::_Exit(code);
#else
  return code;  // leaks are looked for behind it
#endif
}
