#include "cli/eval.h"

#include <array>
#include <boost/program_options/value_semantic.hpp>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

#include "cli/arguments.h"
#include "cli/network_arguments.h"
#include "core/device.h"
#include "core/error.h"
#include "core/label_mask.h"
#include "core/log.h"
#include "eval/davis_dataset.h"
#include "eval/davis_evaluation.h"
#include "eval/davis_report.h"
#include "io/output_file.h"
#include "pipeline/hqtrack.h"

namespace hqtrack {
namespace fs = std::filesystem;
namespace po = boost::program_options;
namespace {

constexpr const char* kHelp = R"(Usage: hqtrack eval davis --root DIR [--list FILE] [options]
Follows the objects of the first mask through each sequence; prints J (overlap),
F (contour), J&F of all frames but the first and last, and frames/s. Example:
  hqtrack eval davis --root DAVIS --list val.txt --json scores.json

  --root DIR           JPEGImages/480p/SEQUENCE/00000.jpg ... and
                       Annotations/480p/SEQUENCE/00000.png ... lie there
                       (480p may be 1080p, Full-Resolution or left out)
  --from-boxes         tell the tracker only the boxes around the first mask
  --list FILE          names of sequences, one a line (default: all)
  --json FILE          all scores, by sequence and object
  --by-kind            also one line for sequences NAME-1, NAME-2 ... together,
                       and how well `lost` was said
  --by-score           also how well the tracker's own score tells J
  --attributes FILE    also one line for each attribute of DAVIS's db_info.yaml
  --masks DIR          write the masks: DIR/SEQUENCE/00000.png ...
  --results DIR        track nothing: score masks that lie in DIR like that
  --config FILE        network settings (configs/nano.yaml)
  --weights FILE       weights instead of those the configuration names
  --set KEY=VALUE      one setting of the configuration; repeatable
  --device NAME        auto (default), cpu, cuda:N
  --threads N          CPU threads of the network (default: one a core)
)";

/// What `hqtrack eval` was asked for.
struct EvalArguments {
  fs::path root, list_file;
  fs::path json_output, mask_output;  // empty: not wanted
  fs::path results;                   // empty: track
  fs::path attributes;                // empty: not wanted
  bool by_kind = false, by_score = false, from_boxes = false;
  NetworkArguments network;  // the weights are the tracker's
};

po::options_description eval_options() {
  const auto text = [] { return po::value<std::string>(); };
  po::options_description options;
  add_network_options(options);
  options.add_options()("root", text())("list", text())("json", text())("masks", text())("results", text())(
      "weights", text())("by-kind", po::bool_switch())("by-score", po::bool_switch())("attributes", text())(
      "from-boxes", po::bool_switch());
  return options;
}

std::optional<EvalArguments> parse_eval_arguments(std::span<const std::string> args) {
  const auto line = parse_command_line(args, kHelp, eval_options(), {"davis"}, 1);
  if (!line) return std::nullopt;
  if (line->positional[0] != "davis") {
    throw UsageError("'" + line->positional[0] + "': expected the kind of data set, davis");
  }
  if (!line->has("root")) throw UsageError("--root: expected the folder of the data set, found none");
  if (line->has("results")) {
    for (const char* option : {"masks", "config", "weights", "set", "device", "threads"}) {
      if (line->has(option)) throw UsageError("--" + std::string(option) + ": has no meaning with --results");
    }
  }
  const bool from_boxes = line->options["from-boxes"].as<bool>();
  const bool by_score = line->options["by-score"].as<bool>();
  if (line->has("results") && (from_boxes || by_score)) {
    throw UsageError(std::string(from_boxes ? "--from-boxes" : "--by-score") +
                     ": has no meaning with --results");
  }
  return EvalArguments{.root = line->text("root"),
                       .list_file = line->text("list"),
                       .json_output = line->text("json"),
                       .mask_output = line->text("masks"),
                       .results = line->text("results"),
                       .attributes = line->text("attributes"),
                       .by_kind = line->options["by-kind"].as<bool>(),
                       .by_score = by_score,
                       .from_boxes = from_boxes,
                       .network = parse_network(*line)};
}

/// Looks at the outputs before hours of work: masks must not replace those they are compared with.
void check_outputs(const EvalArguments& arguments, const std::vector<DavisSequence>& sequences) {
  if (fs::is_directory(arguments.json_output)) {
    throw OutputError(arguments.json_output.string() + ": expected a file, found a folder");
  }
  if (!arguments.json_output.empty() && !is_special_file(arguments.json_output)) {
    const OutputFile trial(arguments.json_output);
  }
  if (arguments.mask_output.empty()) return;
  for (const DavisSequence& sequence : sequences) {
    const AnnotatedFrame& first = sequence.frames.front();
    for (const fs::path& input : {first.annotation.parent_path(), first.image.parent_path()}) {
      std::error_code ignored;
      if (fs::equivalent(arguments.mask_output / sequence.name, input, ignored)) {
        throw UsageError("--masks: " + arguments.mask_output.string() +
                         " would replace files of the data set");
      }
    }
  }
}

class HqTrackSequenceTracker : public SequenceTracker {
 public:
  HqTrackSequenceTracker(const Config& config, const std::string& device, bool from_boxes)
      : hqtrack_(config, device), from_boxes_(from_boxes) {}

  void start(Frame frame, const at::Tensor& label_mask) override {
    std::vector<ObjectPrompt> prompts = from_boxes_ ? box_prompts(label_mask) : mask_prompts(label_mask);
    while (true) {
      try {
        hqtrack_.initialize(frame, prompts);
        return;
      } catch (const PromptError& error) {
        if (!from_boxes_) throw;
        log_warning("box of " + std::string(error.what()) + "; scored as never found");
        prompts.erase(prompts.begin() + static_cast<std::ptrdiff_t>(error.edit()));
      }
    }
  }
  Result track(Frame frame) override {
    const TrackedFrame tracked = hqtrack_.refine(hqtrack_.track(std::move(frame)));
    Result result{.label_mask = tracked.label_mask, .scores = {}};
    for (const TrackedObject& object : tracked.objects) {
      if (object.area_px > 0) result.scores[object.id] = object.score;
    }
    return result;
  }

 private:
  static std::vector<ObjectPrompt> box_prompts(const at::Tensor& label_mask) {
    const std::array<Region, 256> regions = label_regions(label_mask);
    std::vector<ObjectPrompt> prompts;
    for (const int64_t id : label_ids(label_mask)) {
      const Box& box = regions[id].box;
      ObjectPrompt& prompt = prompts.emplace_back();
      prompt.id = id;
      prompt.box = {static_cast<double>(box.x0), static_cast<double>(box.y0), static_cast<double>(box.x1),
                    static_cast<double>(box.y1)};
    }
    return prompts;
  }

  HqTrack hqtrack_;
  bool from_boxes_;
};

void print(const std::string& lines) {
  std::fputs(lines.c_str(), stdout);
  std::fflush(stdout);
}

DavisScores score_tracker(const EvalArguments& arguments, const std::vector<DavisSequence>& sequences,
                          const OnSequence& on_sequence, DavisRun& run) {
  Config config = load_config(arguments.network);
  const fs::path& weights = arguments.network.weights_file;
  if (!weights.empty()) config.tracker.weights = fs::absolute(weights).string();
  run.score_map = config.tracker.states.score;
  run.config = config.file.stem().string();
  run.weights = config.tracker.weights;
  run.device = resolve_device(arguments.network.device).str();
  HqTrackSequenceTracker tracker(config, arguments.network.device, arguments.from_boxes);
  return evaluate_tracker(sequences, tracker, arguments.mask_output, on_sequence);
}

}  // namespace

int run_eval(std::span<const std::string> args) {
  const auto arguments = parse_eval_arguments(args);
  if (!arguments) return static_cast<int>(ExitCode::kSuccess);
  use_threads(arguments->network);
  const std::vector<DavisSequence> sequences = read_davis_dataset(arguments->root, arguments->list_file);
  check_outputs(*arguments, sequences);
  DavisAttributes attributes;
  if (!arguments->attributes.empty()) attributes = read_davis_attributes(arguments->attributes);

  DavisRun run{.config = arguments->results.string(),
               .weights = {},
               .device = {},
               .dataset = arguments->root.string(),
               .list = arguments->list_file.string()};
  bool has_head = false;
  const OnSequence print_row = [&](const SequenceScores& sequence) {
    print((std::exchange(has_head, true) ? "" : davis_table_head()) + davis_table_row(sequence));
  };
  const DavisScores scores = arguments->results.empty()
                                 ? score_tracker(*arguments, sequences, print_row, run)
                                 : evaluate_results(sequences, arguments->results, print_row);
  print(davis_table_foot(scores));
  if (arguments->by_kind) print("\n" + davis_table_of_groups("kind", scores.by_kind(), scores));
  if (!attributes.empty()) {
    print("\n" + davis_table_of_groups("attribute", scores.by_attribute(attributes), scores));
  }
  if (arguments->by_score) print("\n" + score_calibration_table(score_calibration(scores), run.score_map));
  if (!arguments->json_output.empty()) write_davis_json(arguments->json_output, scores, run);
  return static_cast<int>(ExitCode::kSuccess);
}

}  // namespace hqtrack
