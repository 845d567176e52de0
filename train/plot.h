#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "train/training_log.h"

namespace hqtrack {

/// Draws a training log as SVG: loss and training IoU over the minutes of training, and the scores of
/// validations, which have the names `score_names`.
std::string training_plot_svg(const std::vector<std::string>& score_names,
                              const std::vector<TrainingRecord>& records);

/// Writes it to a file, atomically. Throws OutputError.
void write_training_plot(const std::filesystem::path& file, const std::vector<std::string>& score_names,
                         const std::vector<TrainingRecord>& records);

}  // namespace hqtrack
