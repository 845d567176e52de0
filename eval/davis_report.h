#pragma once

#include <string>

#include "eval/davis_evaluation.h"
#include "eval/score_calibration.h"

namespace hqtrack {

/// What was evaluated, for the reader of a report.
struct DavisRun {
  std::string kind = {};                     // davis or youtube-vos
  std::string config;                        // name of the configuration, or the folder of results
  std::string weights;                       // file; empty when results were scored
  std::string device;                        // empty when results were scored
  std::vector<std::string> settings = {};    // what differs from the configuration
  std::string dataset;                       // its root
  std::string list;                          // file; empty for all sequences
  std::vector<std::string> unfinished = {};  // sequences that were not scored because one of them failed
  ScoreMap score_map = {};                   // of the tracker; not in the report
};

/// The scores as a JSON document:
/// {"program":"hqtrack","version":"0.1.0","kind":...,"config":...,"weights":...,"device":...,"settings":[...],"dataset":...,"list":...,"unfinished":[...],
///  "j_mean":...,"j_recall":...,"j_decay":...,"f_mean":...,"f_recall":...,"f_decay":...,"j_and_f":...,
///  "boundary_iou_mean":...,"pixel_accuracy":...,"first_mask_j_mean":...,"frames_per_second":...,"num_objects":...,"frames_absent":...,"frames_lost":...,"frames_rightly_lost":...,
///  "sequences":[{"name":...,"num_frames":...,"j_mean":...,"f_mean":...,"j_and_f":...,
///                "boundary_iou_mean":...,"frames_per_second":...,
///                "objects":[{"id":...,"j_mean":...,"j_recall":...,"j_decay":...,"f_mean":...,...,"j_and_f":...,
///                            "boundary_iou_mean":...,"first_mask_j":...,"frames":[...],"j":[...],"f":[...],"boundary_iou":[...],
///                            "score":[...]}]}]}
/// The lists have an entry a scored frame (`frames`: counted from the first annotated one); `score` is the
/// tracker's own, 0 where it gives no mask; first_mask_j is there where objects were told by their boxes. frames_per_second is null when results were scored.
std::string davis_json(const DavisScores& scores, const DavisRun& run);

/// Lines of a table, each ending in a line break: column heads, one sequence (with a line an object where it
/// has more than one), and the mean over all objects, with that of first masks where they were made of boxes.
std::string davis_table_head();
std::string davis_table_row(const SequenceScores& sequence);
std::string davis_table_foot(const DavisScores& scores);
/// Means of groups of sequences (DavisScores::by_kind, by_attribute) and of all, with precision and recall of
/// saying that an object is lost, where that was said or is true. what: heads the names of the groups.
std::string davis_table_of_groups(const std::string& what, const std::vector<SequenceScores>& groups,
                                  const DavisScores& scores);

/// The bins that hold masks, the expected error, and the settings with which these scores would say what J is
/// to be expected. current: those they were made with.
std::string score_calibration_table(const ScoreCalibration& calibration, const ScoreMap& current);

}  // namespace hqtrack
