#include "cli/eval_vots.h"

#include <algorithm>
#include <boost/program_options/value_semantic.hpp>
#include <filesystem>
#include <optional>

#include "cli/arguments.h"
#include "cli/eval_outputs.h"
#include "cli/interruption.h"
#include "core/device.h"
#include "core/error.h"
#include "core/log.h"
#include "eval/vots_evaluation.h"
#include "eval/vots_results.h"
#include "eval/vots_table.h"
#include "io/json_text.h"
#include "io/output_file.h"

namespace hqtrack {
namespace fs = std::filesystem;
namespace po = boost::program_options;
namespace {

constexpr const char* kHelp = R"(Usage: hqtrack eval vots --dataset DIR --results DIR [--run] [options]
The measures of VOTS2023, as vot-toolkit 0.9 computes them: Quality, Accuracy,
Robustness, not-reported and drift-rate error, absence detection. Example:
  hqtrack eval vots --dataset W/sequences --results W/results/hqtrack

  --dataset DIR     list.txt and a folder a sequence, annotated in every frame
  --results DIR     baseline/SEQUENCE/SEQUENCE_001.bin ... lie there (baseline/
                    may be left out)
  --run             track first and write the results there; sequences whose
                    results are complete are not tracked again; only results
                    of the same settings go together
  --jobs N          sequences tracked at a time (1)
  --allow-missing   count objects without results, or with damaged ones, as
                    never reported
  --json, --csv, --report FILE   all scores; the report is one HTML page
  --against FILE    compare with another run: its --json
  --config, --weights, --preset, --set, --device, --threads   as track has them
)";

struct VotsEvalArguments {
  fs::path dataset, results;
  bool tracks = false;
  int64_t num_jobs = 1;
  EvalOutputs outputs;
  NetworkArguments network;
};

std::optional<VotsEvalArguments> parse_arguments(std::span<const std::string> args) {
  constexpr int64_t kMostJobs = 256;
  const auto text = [] { return po::value<std::string>(); };
  po::options_description options;
  add_network_options(options);
  add_preset_option(options);
  add_eval_options(options);
  options.add_options()("dataset", text())("results", text())("run", po::bool_switch())("jobs", text())(
      "weights", text());
  const auto line = parse_command_line(args, kHelp, options, {"vots"}, 1);
  if (!line) return std::nullopt;
  const auto dataset = line->given("dataset"), results = line->given("results");
  if (!dataset) throw UsageError("--dataset: expected the folder of the data set, found none");
  if (!results) throw UsageError("--results: expected the folder of the results, found none");
  const bool tracks = line->options["run"].as<bool>();
  for (const char* option : {"jobs", "config", "weights", "preset", "set", "device", "threads"}) {
    if (!tracks && line->has(option)) {
      throw UsageError("--" + std::string(option) + ": has no meaning without --run");
    }
  }
  return VotsEvalArguments{
      .dataset = *dataset,
      .results = *results,
      .tracks = tracks,
      .num_jobs = line->has("jobs") ? parse_integer("--jobs", line->text("jobs"), 1, kMostJobs) : 1,
      .outputs = parse_eval_outputs(*line, "vots"),
      .network = parse_network(*line)};
}

/// Results that are there must be those of this very run: they are not made again.
void check_same_run(const VotsEvalArguments& arguments, const std::vector<VotsSequence>& sequences,
                    const ReportFacts& facts) {
  const fs::path file = arguments.results / "run.txt";
  std::string now;
  for (const auto& [name, value] : facts) now += name + ": " + value + "\n";
  if (fs::exists(file) && read_text(file, "the settings of a run") == now) return;
  const auto has_results = [&](const VotsSequence& sequence) {
    return has_vots_results(arguments.results, sequence);
  };
  if (std::ranges::any_of(sequences, has_results)) {
    throw OutputError(
        arguments.results.string() +
        ": expected no results, or those of the same configuration (as run.txt says), found others");
  }
  write_file(file, now);
}

void track(const VotsEvalArguments& arguments, const std::vector<VotsSequence>& sequences, VotsRun& run,
           ReportFacts& facts) {
  const Config config = load_track_config(arguments.network);
  run.config = config.file.stem().string();
  run.weights = config.tracker.weights;
  run.device = resolve_device(arguments.network.device).str();
  const auto trackers = make_trackers(config, arguments.network, arguments.num_jobs);
  run.settings = arguments.network.overrides;
  facts = tracker_facts(config, arguments.network.device, run.settings);
  check_same_run(arguments, sequences, facts);
  const Interruption interruption;
  run_vots_dataset(
      sequences, trackers, arguments.results,
      [](const VotsSequence& sequence, bool was_there) {
        log_info(sequence.name + ": " + (was_there ? "its results are there" : "tracked"));
      },
      interruption.token());
}

}  // namespace

int run_eval_vots(std::span<const std::string> args) {
  const auto arguments = parse_arguments(args);
  if (!arguments) return static_cast<int>(ExitCode::kSuccess);
  const std::vector<VotsSequence> sequences = read_vots_dataset(arguments->dataset);
  for (const VotsSequence& sequence : sequences) {
    std::error_code ignored;
    if (!arguments->tracks ||
        !fs::equivalent(vots_results_folder(arguments->results, sequence), sequence.folder, ignored))
      continue;
    throw UsageError("--results: " + arguments->results.string() + " would replace files of the data set");
  }
  check_eval_outputs(arguments->outputs);
  if (arguments->tracks) {
    const OutputFile trial(arguments->results / "trial");
  }
  VotsRun run{.config = {},
              .weights = {},
              .device = {},
              .dataset = arguments->dataset.string(),
              .results = arguments->results.string()};
  ReportFacts facts;
  if (arguments->tracks) track(*arguments, sequences, run, facts);

  const VotsScores scores =
      evaluate_vots_results(sequences, arguments->results, fault_listener(arguments->outputs));
  print(vots_table_head());
  for (const VotsSequenceScores& sequence : scores.sequences) print(vots_table_row(sequence));
  print(vots_table_foot(scores));
  write_eval_outputs(arguments->outputs, vots_json(scores, run), [&] {
    facts.emplace_back("data set", arguments->dataset.string());
    facts.emplace_back("results", arguments->results.string());
    const ReportFacts figures = run_facts(std::nullopt);
    facts.insert(facts.end(), figures.begin(), figures.end());
    return vots_report(scores, sequences, arguments->results, facts);
  });
  return static_cast<int>(ExitCode::kSuccess);
}

}  // namespace hqtrack
