#include "cli/eval_davis.h"

#include <algorithm>
#include <boost/program_options/value_semantic.hpp>
#include <exception>
#include <filesystem>
#include <optional>
#include <utility>
#include <vector>

#include "cli/arguments.h"
#include "cli/eval_outputs.h"
#include "cli/interruption.h"
#include "core/device.h"
#include "core/error.h"
#include "core/log.h"
#include "eval/davis_dataset.h"
#include "eval/davis_evaluation.h"
#include "eval/davis_report.h"
#include "eval/results_folder.h"
#include "eval/results_zip.h"
#include "io/output_file.h"

namespace hqtrack {
namespace fs = std::filesystem;
namespace po = boost::program_options;
namespace {

constexpr const char* kHelp = R"(Usage: hqtrack eval davis|youtube-vos --root DIR [options]
Follows the objects of the first masks; prints J (overlap), F (contour), J&F,
boundary IoU and frames/s. Example:
  hqtrack eval davis --root DAVIS --list val.txt --report scores.html

  --root DIR        JPEGImages/480p/SEQUENCE/00000.jpg ... and
                    Annotations/480p/SEQUENCE/00000.png ... (480p may be 1080p,
                    Full-Resolution or left out, as YouTube-VOS does)
  --list FILE       names of sequences, one a line (default: all)
  --results DIR     track nothing: score the masks DIR/SEQUENCE/00000.png ...
  --allow-missing   count masks that are missing or damaged as empty
  --masks DIR       write the masks: DIR/SEQUENCE/00000.png ...
  --zip FILE        pack --masks or --results for the evaluation server
  --json, --csv, --report FILE   all scores; the report is one HTML page
  --against FILE    compare with another run: its --json
  --from-boxes      tell the tracker only the boxes around the first masks
  --by-kind, --by-score, --attributes FILE   also tables of sequence names, of
                    the tracker's own score, of DAVIS's db_info.yaml
  --jobs N          sequences at a time (1)
  --config, --weights, --preset, --set, --device, --threads   as track has them
)";

struct DavisArguments {
  VosRules rules = VosRules::kDavis;
  std::string kind;
  fs::path root, list_file;
  fs::path mask_output, zip_output;  // empty: not wanted
  fs::path results;                  // empty: track
  fs::path attributes;               // empty: not wanted
  bool by_kind = false, by_score = false, from_boxes = false;
  int64_t num_jobs = 1;
  EvalOutputs outputs;
  NetworkArguments network;
};

po::options_description davis_options() {
  const auto text = [] { return po::value<std::string>(); };
  po::options_description options;
  add_network_options(options);
  add_preset_option(options);
  add_eval_options(options);
  options.add_options()("root", text())("list", text())("masks", text())("zip", text())("results", text())(
      "weights", text())("jobs", text())("attributes", text())("by-kind", po::bool_switch())(
      "by-score", po::bool_switch())("from-boxes", po::bool_switch());
  return options;
}

/// Options that would be ignored.
void check_meaning(const CommandLine& line) {
  const auto refuse = [](const char* option, const char* where) {
    throw UsageError("--" + std::string(option) + ": has no meaning with" + where);
  };
  if (!line.has("results") && line.options["allow-missing"].as<bool>())
    refuse("allow-missing", "out --results");
  if (line.has("zip") && !line.has("masks") && !line.has("results"))
    refuse("zip", "out --masks or --results");
  if (!line.has("results")) return;
  for (const char* option : {"masks", "config", "weights", "preset", "set", "device", "threads", "jobs"}) {
    if (line.has(option)) refuse(option, " --results");
  }
  for (const char* option : {"from-boxes", "by-score"}) {
    if (line.options[option].as<bool>()) refuse(option, " --results");
  }
}

std::optional<DavisArguments> parse_davis_arguments(std::span<const std::string> args) {
  constexpr int64_t kMostJobs = 256;
  const auto line = parse_command_line(args, kHelp, davis_options(), {"davis|youtube-vos"}, 1);
  if (!line) return std::nullopt;
  if (!line->has("root")) throw UsageError("--root: expected the folder of the data set, found none");
  check_meaning(*line);
  const std::string& kind = line->positional[0];
  return DavisArguments{
      .rules = kind == "davis" ? VosRules::kDavis : VosRules::kYoutubeVos,
      .kind = kind,
      .root = *line->given("root"),
      .list_file = line->given("list").value_or(""),
      .mask_output = line->given("masks").value_or(""),
      .zip_output = line->given("zip").value_or(""),
      .results = line->given("results").value_or(""),
      .attributes = line->given("attributes").value_or(""),
      .by_kind = line->options["by-kind"].as<bool>(),
      .by_score = line->options["by-score"].as<bool>(),
      .from_boxes = line->options["from-boxes"].as<bool>(),
      .num_jobs = line->has("jobs") ? parse_integer("--jobs", line->text("jobs"), 1, kMostJobs) : 1,
      .outputs = parse_eval_outputs(*line, kind),
      .network = parse_network(*line)};
}

/// Looks at the outputs before hours of work: masks must not replace those they are compared with.
void check_outputs(const DavisArguments& arguments, const std::vector<DavisSequence>& sequences) {
  check_eval_outputs(arguments.outputs);
  if (!arguments.zip_output.empty()) check_regular_output(arguments.zip_output);
  if (arguments.mask_output.empty()) return;
  const OutputFile trial(arguments.mask_output / "trial");
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

void score_tracker(const DavisArguments& arguments, const std::vector<DavisSequence>& sequences,
                   const EvaluationOptions& options, DavisRun& run, ReportFacts& facts) {
  const Config config = load_track_config(arguments.network);
  run.score_map = config.tracker.states.score;
  run.config = config.file.stem().string();
  run.weights = config.tracker.weights;
  run.device = resolve_device(arguments.network.device).str();
  const auto trackers = make_trackers(config, arguments.network, arguments.num_jobs);
  run.settings = arguments.network.overrides;
  if (arguments.from_boxes) run.settings.emplace_back("--from-boxes");
  facts = tracker_facts(config, arguments.network.device, run.settings);
  evaluate_trackers(sequences, trackers, options);
}

void pack(const DavisArguments& arguments, const std::vector<DavisSequence>& sequences) {
  if (arguments.zip_output.empty()) return;
  std::vector<std::string> names;
  for (const DavisSequence& sequence : sequences) names.push_back(sequence.name);
  const fs::path& folder = arguments.mask_output.empty() ? arguments.results : arguments.mask_output;
  write_results_zip(arguments.zip_output, folder, names,
                    arguments.rules == VosRules::kYoutubeVos ? "Annotations" : "");
}

void print_groups(const DavisArguments& arguments, const DavisScores& scores, const DavisRun& run) {
  if (arguments.by_kind) print("\n" + davis_table_of_groups("kind", scores.by_kind(), scores));
  if (!arguments.attributes.empty()) {
    const DavisAttributes attributes = read_davis_attributes(arguments.attributes);
    print("\n" + davis_table_of_groups("attribute", scores.by_attribute(attributes), scores));
  }
  if (arguments.by_score) print("\n" + score_calibration_table(score_calibration(scores), run.score_map));
}

/// Says which sequences have no scores.
std::vector<std::string> unfinished(const std::vector<DavisSequence>& sequences, const DavisScores& scores) {
  std::vector<std::string> names;
  for (const DavisSequence& sequence : sequences) {
    if (std::ranges::find(scores.sequences, sequence.name, &SequenceScores::name) == scores.sequences.end())
      names.push_back(sequence.name);
  }
  if (!names.empty()) {
    log_warning(std::to_string(scores.sequences.size()) + " of " + std::to_string(sequences.size()) +
                " sequences are finished: the scores are theirs");
  }
  return names;
}

}  // namespace

int run_eval_davis(std::span<const std::string> args) {
  const auto arguments = parse_davis_arguments(args);
  if (!arguments) return static_cast<int>(ExitCode::kSuccess);
  const auto sequences = read_davis_dataset(arguments->root, arguments->list_file, arguments->rules);
  if (!arguments->results.empty()) check_results_folder(arguments->results);
  check_outputs(*arguments, sequences);
  if (!arguments->attributes.empty()) read_davis_attributes(arguments->attributes);  // mistakes are said now

  DavisRun run{.kind = arguments->kind,
               .config = arguments->results.string(),
               .weights = {},
               .device = {},
               .dataset = arguments->root.string(),
               .list = arguments->list_file.string()};
  ReportFacts facts = {{"results", arguments->results.string()}};
  const Interruption interruption;
  EvaluationOptions options{.masks_folder = arguments->mask_output,
                            .from_boxes = arguments->from_boxes,
                            .on_fault = fault_listener(arguments->outputs),
                            .stop = interruption.token()};
  DavisScores scores;
  options.on_sequence = [&](const SequenceScores& sequence) {
    print(davis_table_row(sequence));
    scores.sequences.push_back(sequence);
  };
  print(davis_table_head());
  std::exception_ptr failure;  // the scores of what is finished are written before it is thrown
  try {
    if (arguments->results.empty()) {
      score_tracker(*arguments, sequences, options, run, facts);
    } else {
      evaluate_results(sequences, arguments->results, options);
    }
  } catch (const Error&) {
    if (scores.sequences.empty()) throw;
    failure = std::current_exception();
  }
  run.unfinished = unfinished(sequences, scores);
  print(davis_table_foot(scores));
  print_groups(*arguments, scores, run);
  if (!failure) pack(*arguments, sequences);
  write_eval_outputs(arguments->outputs, davis_json(scores, run), [&] {
    facts.emplace_back("data set", arguments->root.string());
    const ReportFacts figures = run_facts(scores.frames_per_second());
    facts.insert(facts.end(), figures.begin(), figures.end());
    if (failure) facts.emplace_back("unfinished sequences", std::to_string(run.unfinished.size()));
    return davis_report(scores, sequences, facts);
  });
  if (failure) std::rethrow_exception(failure);
  return static_cast<int>(ExitCode::kSuccess);
}

}  // namespace hqtrack
