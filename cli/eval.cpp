#include "cli/eval.h"

#include <cstdio>

#include "cli/eval_davis.h"
#include "cli/eval_vots.h"
#include "core/error.h"

namespace hqtrack {
namespace {

constexpr const char* kHelp = R"(Usage: hqtrack eval davis|youtube-vos|vots ...; each with --help says more
Scores on a data set, of this tracker or of masks that any tracker made:
  hqtrack eval davis --root DAVIS --list val.txt
  hqtrack eval youtube-vos --root YouTube/valid --masks out --zip out.zip
  hqtrack eval vots --dataset W/sequences --results W/results/hqtrack --run
Each writes JSON, CSV and an HTML page (--json, --csv, --report FILE), and
compares with another run (--against FILE.json). A tracker for the VOT toolkit
itself: hqtrack vots.
)";

}  // namespace

int run_eval(std::span<const std::string> args) {
  if (args.empty()) throw UsageError("expected the kind of data set (davis, youtube-vos, vots), found none");
  const std::string& kind = args[0];
  if (kind == "davis" || kind == "youtube-vos") return run_eval_davis(args);
  if (kind == "vots") return run_eval_vots(args);
  if (kind != "--help" && kind != "-h") {
    throw UsageError("'" + kind + "': expected the kind of data set: davis, youtube-vos or vots");
  }
  std::fputs(kHelp, stdout);
  return static_cast<int>(ExitCode::kSuccess);
}

}  // namespace hqtrack
