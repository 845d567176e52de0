#include "cli/eval_outputs.h"

#include <ATen/Parallel.h>
#include <sys/resource.h>

#include <algorithm>
#include <boost/program_options/value_semantic.hpp>
#include <cstdio>
#include <span>

#include "cli/track_arguments.h"
#include "core/device.h"
#include "core/error.h"
#include "core/log.h"
#include "eval/hqtrack_sequence_tracker.h"
#include "io/file_hash.h"
#include "io/output_file.h"
#include "pipeline/networks.h"

namespace hqtrack {
namespace fs = std::filesystem;
namespace po = boost::program_options;
namespace {

std::string weights_fact(const std::string& file) {
  return fs::path(file).filename().string() + ", SHA-256 " + sha256_of(file);
}

}  // namespace

void add_eval_options(po::options_description& options) {
  const auto text = [] { return po::value<std::string>(); };
  options.add_options()("json", text())("csv", text())("report", text())("against", text())(
      "allow-missing", po::bool_switch());
}

EvalOutputs parse_eval_outputs(const CommandLine& line, const std::string& kind) {
  EvalOutputs outputs{.json = line.given("json").value_or(""),
                      .csv = line.given("csv").value_or(""),
                      .report = line.given("report").value_or(""),
                      .against = line.given("against").value_or(""),
                      .other = {},
                      .allows_missing = line.options["allow-missing"].as<bool>()};
  if (!outputs.against.empty()) outputs.other = read_evaluation(outputs.against, kind);
  return outputs;
}

void check_eval_outputs(const EvalOutputs& outputs) {
  const std::vector<fs::path> files = {outputs.json, outputs.csv, outputs.report};
  for (size_t i = 0; i < files.size(); ++i) {
    if (files[i].empty()) continue;
    for (size_t k = 0; k < i; ++k) {
      if (files[k].empty() || !is_same_place(files[i], files[k])) continue;
      throw UsageError("--json, --csv, --report: expected different files, found " + files[i].string() +
                       " twice");
    }
    if (!is_special_file(files[i])) check_regular_output(files[i]);
  }
}

void check_regular_output(const fs::path& file) {
  if (fs::is_directory(file)) throw OutputError(file.string() + ": expected a file, found a folder");
  if (is_special_file(file)) throw OutputError(file.string() + ": expected a file, found a device");
  const OutputFile trial(file);
}

std::function<void(const std::string&)> fault_listener(const EvalOutputs& outputs) {
  if (!outputs.allows_missing) return {};
  return [](const std::string& fault) { log_warning(fault); };
}

void write_eval_outputs(const EvalOutputs& outputs, const std::string& json,
                        const std::function<HtmlReport()>& make_report) {
  if (!outputs.json.empty()) write_file(outputs.json, json);
  if (outputs.csv.empty() && outputs.report.empty() && outputs.against.empty()) return;
  HtmlReport report = make_report();
  if (!outputs.against.empty()) {
    compare_with(report, outputs.other, outputs.against.stem().string());
    print("\n" + difference_table(report));
  }
  if (!outputs.csv.empty()) write_file(outputs.csv, to_csv(report));
  if (!outputs.report.empty()) write_html_report(outputs.report, report);
}

std::vector<std::unique_ptr<SequenceTracker>> make_trackers(const Config& config,
                                                            const NetworkArguments& arguments,
                                                            int64_t num_jobs) {
  use_threads(arguments);
  if (!arguments.num_threads) {
    at::set_num_threads(std::max(1, at::get_num_threads() / static_cast<int>(num_jobs)));
  }
  const auto networks = std::make_shared<Networks>(config, arguments.device);
  std::vector<std::unique_ptr<SequenceTracker>> trackers;
  for (int64_t job = 0; job < num_jobs; ++job) {
    trackers.push_back(std::make_unique<HqTrackSequenceTracker>(networks));
  }
  return trackers;
}

ReportFacts tracker_facts(const Config& config, const std::string& device,
                          const std::vector<std::string>& settings) {
  ReportFacts facts = {
      {"program", "hqtrack " HQTRACK_VERSION},
      {"configuration", config.file.filename().string() + ", SHA-256 " + sha256_of(config.file)},
      {"tracker weights", weights_fact(config.tracker.weights)}};
  if (config.refiner.every_frames > 0) {
    facts.emplace_back("refiner weights", weights_fact(config.refiner.weights));
  }
  std::string changes;
  for (const std::string& setting : settings) changes += (changes.empty() ? "" : ", ") + setting;
  if (!changes.empty()) facts.emplace_back("settings", changes);
  facts.emplace_back("device", resolve_device(device).str());
  return facts;
}

ReportFacts run_facts(const std::optional<double>& frames_per_second) {
  ReportFacts facts;
  char text[48];
  if (frames_per_second) {
    std::snprintf(text, sizeof text, "%.1f frames/s", *frames_per_second);
    facts.emplace_back("speed", text);
  }
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  std::snprintf(text, sizeof text, "%.0f MiB", static_cast<double>(usage.ru_maxrss) / 1024);
  facts.emplace_back("peak memory", text);
  return facts;
}

void print(const std::string& lines) {
  std::fputs(lines.c_str(), stdout);
  if (std::fflush(stdout) != 0) throw OutputError("standard output: cannot be written");
}

}  // namespace hqtrack
