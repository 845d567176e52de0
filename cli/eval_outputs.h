#pragma once

#include <boost/program_options/options_description.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cli/arguments.h"
#include "cli/network_arguments.h"
#include "eval/evaluation_report.h"
#include "eval/sequence_tracker.h"

namespace hqtrack {

/// What every evaluation may write, and how it treats results with faults.
struct EvalOutputs {
  std::filesystem::path json, csv, report;  // empty: not wanted
  std::filesystem::path against;            // JSON of another run; empty: none
  nlohmann::json other;                     // what it holds
  bool allows_missing = false;
};

/// Adds --json, --csv, --report, --against and --allow-missing.
void add_eval_options(boost::program_options::options_description& options);
/// kind: of the data set. Reads the other run. Throws MediaError.
EvalOutputs parse_eval_outputs(const CommandLine& line, const std::string& kind);

/// Looks at the outputs before hours of work. Throws OutputError, and UsageError for one file twice.
void check_eval_outputs(const EvalOutputs& outputs);
/// The same for one file, which cannot be a device.
void check_regular_output(const std::filesystem::path& file);

/// Says a fault of results on stderr; empty where none is allowed.
std::function<void(const std::string&)> fault_listener(const EvalOutputs& outputs);

/// Writes what is wanted and prints the differences to the other run.
void write_eval_outputs(const EvalOutputs& outputs, const std::string& json,
                        const std::function<HtmlReport()>& make_report);

/// Trackers that share their networks, one for each of `num_jobs` threads, which share the cores.
std::vector<std::unique_ptr<SequenceTracker>> make_trackers(const Config& config,
                                                            const NetworkArguments& arguments,
                                                            int64_t num_jobs);

/// What a reader of a report wants to know of the tracker: configuration, weights with their SHA-256, device,
/// version, settings that differ from the configuration; and how fast it was and how much memory it took.
ReportFacts tracker_facts(const Config& config, const std::string& device,
                          const std::vector<std::string>& settings);
ReportFacts run_facts(const std::optional<double>& frames_per_second);

/// Prints lines at once. Throws OutputError.
void print(const std::string& lines);

}  // namespace hqtrack
