#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "eval/davis_evaluation.h"
#include "eval/html_report.h"
#include "eval/vots_results.h"

namespace hqtrack {

/// Scores of any data set in the one form that tables and pages are made of. facts: shown as they are.
using ReportFacts = std::vector<std::pair<std::string, std::string>>;
HtmlReport davis_report(const DavisScores& scores, const std::vector<DavisSequence>& sequences,
                        const ReportFacts& facts);
/// results: where the worst frames are taken from.
HtmlReport vots_report(const VotsScores& scores, const std::vector<VotsSequence>& sequences,
                       const std::filesystem::path& results, const ReportFacts& facts);

/// The JSON that an evaluation of this kind wrote ("davis", "youtube-vos" or "vots"). Throws MediaError
/// naming the file.
nlohmann::json read_evaluation(const std::filesystem::path& file, const std::string& kind);

/// Fills in the numbers of another run, which is called `name`. Sequences and objects that it lacks stay
/// without, and so does the whole where its sequences are others.
void compare_with(HtmlReport& report, const nlohmann::json& other, const std::string& name);

/// A line a sequence for which both runs have numbers, and one for all: what was, what is, what was gained.
std::string difference_table(const HtmlReport& report);

/// A table in CSV (RFC 4180): scope (all, sequence, object), sequence, object, frames and each measure;
/// undefined ones are empty.
std::string to_csv(const HtmlReport& report);

}  // namespace hqtrack
