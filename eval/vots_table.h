#pragma once

#include <string>

#include "eval/vots_measures.h"

namespace hqtrack {

/// Lines of a table, each ending in a line break: column heads, a sequence, the means over sequences.
std::string vots_table_head();
std::string vots_table_row(const VotsSequenceScores& sequence);
std::string vots_table_foot(const VotsScores& scores);

/// What was evaluated, for the reader of the JSON document.
struct VotsRun {
  std::string config, weights, device;     // empty where results were scored
  std::vector<std::string> settings = {};  // what differs from the configuration
  std::string dataset, results;
};

/// The scores as a JSON document; measures that are undefined are null:
/// {"program":"hqtrack","version":...,"kind":"vots","config":...,"weights":...,"device":...,"settings":[...],"dataset":...,
///  "results":...,"quality":...,"accuracy":...,"robustness":...,"nre":...,"dre":...,"adq":...,"success":[100],
///  "sequences":[{"name":...,"length":...,"quality":...,...,"frames_per_second":...,
///                "objects":[{"id":...,"quality":...,...,"tracked":...,"failed":...,"missed":...,
///                            "hallucinated":...,"noticed":...,"overlaps":[...]}]}]}
std::string vots_json(const VotsScores& scores, const VotsRun& run);

}  // namespace hqtrack
