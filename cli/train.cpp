#include "cli/train.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "cli/interruption.h"
#include "cli/progress.h"
#include "cli/train_arguments.h"
#include "core/device.h"
#include "core/error.h"
#include "core/log.h"
#include "eval/davis_dataset.h"
#include "eval/davis_evaluation.h"
#include "eval/hqtrack_sequence_tracker.h"
#include "io/mask_reader.h"
#include "pipeline/hqtrack.h"
#include "train/pair_stills.h"
#include "train/pictures.h"
#include "train/preview.h"
#include "train/refiner_trainer.h"
#include "train/refiner_validation.h"
#include "train/sequence_clips.h"
#include "train/synthetic_clips.h"
#include "train/synthetic_stills.h"
#include "train/tracked_stills.h"
#include "train/vmos_trainer.h"

namespace hqtrack {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kPreviewRows = 12;
constexpr uint64_t kValidationSeed = 0x56414c;  // no training run has it

Pictures read_pictures(const fs::path& folder) {
  std::fprintf(stderr, "reading the pictures below %s\n", folder.c_str());
  Pictures pictures = load_pictures(folder);
  std::fprintf(stderr, "%zu stamps, %zu drawings, %zu photographs\n", pictures.stamps.size(),
               pictures.drawings.size(), pictures.photographs.size());
  return pictures;
}

std::unique_ptr<ClipSource> make_synthetic_clips(const fs::path& folder, const TrainConfig& config) {
  const SyntheticClipOptions options{.seed = static_cast<uint64_t>(config.seed),
                                     .height_px = config.crop_height_px,
                                     .width_px = config.crop_width_px,
                                     .num_frames = config.clip_frames,
                                     .max_objects = config.max_objects,
                                     .max_distractors = config.max_distractors,
                                     .max_gap_frames = config.max_gap_frames,
                                     .motion_strength = config.motion_strength,
                                     .hard_share = config.hard_share};
  return std::make_unique<SyntheticClips>(read_pictures(folder), options);
}

std::unique_ptr<ClipSource> make_sequences(const fs::path& root, const TrainConfig& config) {
  const SequenceClipOptions options{.seed = static_cast<uint64_t>(config.seed),
                                    .height_px = config.crop_height_px,
                                    .width_px = config.crop_width_px,
                                    .num_frames = config.clip_frames,
                                    .max_objects = config.max_objects,
                                    .max_step_frames = config.sequence_gap_frames};
  auto sequences = std::make_unique<SequenceClips>(root, options);
  std::fprintf(stderr, "%zu sequences\n", sequences->num_sequences());
  return sequences;
}

std::unique_ptr<ClipSource> make_clips(const TrainArguments& arguments, const TrainConfig& config) {
  if (arguments.sequences.empty()) return make_synthetic_clips(arguments.pictures, config);
  auto sequences = make_sequences(arguments.sequences, config);
  if (arguments.pictures.empty()) return sequences;
  return std::make_unique<MixedSource<Clip>>(make_synthetic_clips(arguments.pictures, config),
                                             std::move(sequences), config.sequence_share,
                                             static_cast<uint64_t>(config.seed));
}

/// J, F and J&F of exported weights on the validation sequences, where some are given.
void validate_on_sequences(const TrainArguments& arguments, const Config& config, TrainingRun& run) {
  if (arguments.validation_root.empty()) return;
  run.score_names = {"j_mean", "f_mean", "j_and_f"};
  run.validate = [sequences = read_davis_dataset(arguments.validation_root, arguments.validation_list),
                  config, device = run.devices.front().str()](const fs::path& weights) {
    Config with_weights = config;
    with_weights.tracker.weights = fs::absolute(weights);
    with_weights.refiner.every_frames = 0;
    std::vector<std::unique_ptr<SequenceTracker>> tracker;
    tracker.push_back(std::make_unique<HqTrackSequenceTracker>(with_weights, device));
    const DavisMeans means = evaluate_trackers(sequences, tracker).means();
    return std::vector<double>{means.j, means.f, means.j_and_f()};
  };
}

/// Stills of the sources that are given, and the same sources for validation.
struct StillSources {
  std::unique_ptr<StillSource> training, synthetic_validation, pair_validation;
  int64_t num_validation_pairs = 0;
};

std::unique_ptr<PairStills> make_pairs(const fs::path& root, const PairStillOptions& options) {
  auto pairs = std::make_unique<PairStills>(find_pairs(root), options);
  std::fprintf(stderr, "%zu pictures with masks below %s\n", pairs->num_pairs(), root.c_str());
  return pairs;
}

StillSources make_stills(const TrainArguments& arguments, const Config& config, c10::Device device) {
  const auto seed = static_cast<uint64_t>(config.train.seed);
  const RefinerTrainConfig& train = config.train.refiner;
  StillSources sources;
  if (!arguments.pictures.empty()) {
    const Pictures pictures = read_pictures(arguments.pictures);
    SyntheticStillOptions options{.seed = seed,
                                  .size_px = config.refiner.image_size,
                                  .max_objects = train.max_objects,
                                  .zoom_share = train.zoom_share};
    sources.training = std::make_unique<SyntheticStills>(pictures, options);
    if (train.tracked_share > 0) {
      const TrackedStillOptions tracked{.seed = seed,
                                        .size_px = options.size_px,
                                        .max_objects = options.max_objects,
                                        .zoom_share = options.zoom_share};
      sources.training = std::make_unique<MixedSource<Still>>(
          std::move(sources.training),
          std::make_unique<TrackedStills>(pictures, tracked, config.tracker, device), train.tracked_share,
          seed);
    }
    options.seed = kValidationSeed;
    options.zoom_share = 0;
    sources.synthetic_validation = std::make_unique<SyntheticStills>(pictures, options);
  }
  if (!arguments.pairs.empty()) {
    auto pairs = make_pairs(arguments.pairs, {.seed = seed, .size_px = config.refiner.image_size});
    if (sources.training) {
      sources.training = std::make_unique<MixedSource<Still>>(std::move(sources.training), std::move(pairs),
                                                              train.pairs_share, seed);
    } else {
      sources.training = std::move(pairs);
    }
  }
  if (!arguments.validation_pairs.empty()) {
    auto pairs =
        make_pairs(arguments.validation_pairs, {.size_px = config.refiner.image_size, .is_augmented = false});
    sources.num_validation_pairs = static_cast<int64_t>(pairs->num_pairs());
    sources.pair_validation = std::move(pairs);
  }
  return sources;
}

/// IoU by kind of prompt of exported weights, where there is anything to measure it on.
void validate_on_stills(const StillSources& sources, const Config& config, TrainingRun& run) {
  const int64_t most = config.train.refiner.validation_pictures;
  if (most == 0) return;
  auto validation = std::make_shared<RefinerValidation>(config, run.devices.front());
  if (sources.synthetic_validation) validation->add("stills", *sources.synthetic_validation, most);
  if (sources.pair_validation) {
    validation->add("pairs", *sources.pair_validation, std::min(most, sources.num_validation_pairs));
  }
  if (validation->is_empty()) return;
  run.score_names = validation->score_names();
  run.validate = [validation](const fs::path& weights) { return validation->measure(weights); };
}

/// Tells how far a run is: scores on stdout, one line each; the state on stderr, over and over on one line of
/// a terminal, elsewhere a line after the first step and then every half minute.
class TrainingReport {
 public:
  TrainingReport(std::vector<std::string> score_names, int64_t num_steps)
      : score_names_(std::move(score_names)), num_steps_(num_steps) {}

  void add(const TrainingRecord& record) {
    if (record.scores.empty()) {
      last_ = record;
      return;
    }
    std::printf("step %jd, %.1f min, %jd examples:", static_cast<intmax_t>(record.step), record.minutes,
                static_cast<intmax_t>(record.examples));
    for (size_t i = 0; i < score_names_.size(); ++i) {
      std::printf("  %s %.4f", score_names_[i].c_str(), record.scores[i]);
    }
    std::printf("\n");
    std::fflush(stdout);
  }

  void add_step(int64_t step, double minutes, double progress) {
    const auto now = std::chrono::steady_clock::now();
    const auto pause = is_stderr_terminal() ? std::chrono::seconds(1) : std::chrono::seconds(30);
    if (told_ && now - *told_ < pause) return;
    told_ = now;
    std::string line = "step " + std::to_string(step);
    if (num_steps_ > 0) line += " of " + std::to_string(num_steps_);
    char text[96];
    std::snprintf(text, sizeof text, ", %.0f %%, %s left", 100 * progress,
                  format_duration(60 * std::max(0.0, minutes / progress - minutes)).c_str());
    line += text;
    if (last_) {
      std::snprintf(text, sizeof text, ", loss %.4f, IoU %.3f, %.1f examples/s", last_->loss, last_->iou,
                    static_cast<double>(last_->examples) / (60 * last_->minutes));
      line += text;
    }
    if (is_stderr_terminal()) {
      std::fprintf(stderr, "\r%s\033[K", line.c_str());
    } else {
      log_info(line);
    }
  }

 private:
  std::vector<std::string> score_names_;
  int64_t num_steps_;  // 0: the clock ends it
  std::optional<TrainingRecord> last_;
  std::optional<std::chrono::steady_clock::time_point> told_;
};

/// "cuda:0,cuda:1": those that train together.
std::vector<c10::Device> resolve_devices(const std::string& names) {
  std::vector<c10::Device> devices;
  for (size_t begin = 0; begin <= names.size();) {
    const size_t end = std::min(names.find(',', begin), names.size());
    devices.push_back(resolve_device(names.substr(begin, end - begin)));
    begin = end + 1;
  }
  return devices;
}

using Training = std::function<bool(const TrainingRun&, std::stop_token)>;

int train(const Training& training, const TrainConfig& config, TrainingRun& run) {
  TrainingReport report(run.score_names, config.max_minutes > 0 ? 0 : config.num_steps);
  run.report = [&](const TrainingRecord& record) { report.add(record); };
  run.on_step = [&](int64_t step, double minutes, double progress) {
    report.add_step(step, minutes, progress);
  };
  const Interruption interruption;
  const bool is_complete = training(run, interruption.token());
  if (is_stderr_terminal()) std::fputc('\n', stderr);
  std::printf("%s: %s\n", is_complete ? "trained" : "interrupted, --resume goes on",
              (run.folder / "weights.safetensors").c_str());
  return static_cast<int>(is_complete ? ExitCode::kSuccess : ExitCode::kInterrupted);
}

void check_folder(const char* option, const fs::path& folder) {
  if (folder.empty() || fs::is_directory(folder)) return;
  throw MediaError("--" + std::string(option) + ": " + folder.string() + ": expected a folder, found " +
                   (fs::exists(folder) ? "a file" : "nothing"));
}

void check_inputs(const TrainArguments& arguments) {
  check_folder("pictures", arguments.pictures);
  check_folder("sequences", arguments.sequences);
  check_folder("pairs", arguments.pairs);
  check_folder("validate-root", arguments.validation_root);
  check_folder("validate-pairs", arguments.validation_pairs);
}

/// Before minutes are spent on reading pictures.
void check_outputs(const TrainArguments& arguments, const TrainingRun& run) {
  const fs::path& preview = arguments.preview;
  if (preview.empty()) return check_start(run);
  if (fs::is_directory(preview)) throw OutputError(preview.string() + ": expected a file, found a folder");
  if (fs::exists(preview) && !arguments.overwrites) {
    throw OutputError(preview.string() + ": exists already; --overwrite replaces it");
  }
}

int train_the_tracker(const TrainArguments& arguments, const Config& config, TrainingRun& run) {
  const auto clips = make_clips(arguments, config.train);
  if (!arguments.preview.empty()) {
    write_image(arguments.preview, preview_sheet(*clips, kPreviewRows));
    return static_cast<int>(ExitCode::kSuccess);
  }
  validate_on_sequences(arguments, config, run);
  return train(
      [&](const TrainingRun& r, std::stop_token stop) { return train_vmos(config, *clips, r, stop); },
      config.train, run);
}

int train_the_refiner(const TrainArguments& arguments, const Config& config, TrainingRun& run) {
  const StillSources sources = make_stills(arguments, config, run.devices.front());
  if (!arguments.preview.empty()) {
    write_image(arguments.preview, preview_sheet(*sources.training, config.train, kPreviewRows));
    return static_cast<int>(ExitCode::kSuccess);
  }
  validate_on_stills(sources, config, run);
  return train([&](const TrainingRun& r,
                   std::stop_token stop) { return train_refiner(config, *sources.training, r, stop); },
               config.train, run);
}

}  // namespace

int run_train(std::span<const std::string> args) {
  const auto arguments = parse_train_arguments(args);
  if (!arguments) return static_cast<int>(ExitCode::kSuccess);
  check_inputs(*arguments);
  const Config config = load_config(arguments->network_arguments);
  use_threads(arguments->network_arguments);
  TrainingRun run{.folder = arguments->out,
                  .initial_weights = arguments->initial_weights,
                  .resume = arguments->resume,
                  .devices = resolve_devices(arguments->network_arguments.device),
                  .num_loader_threads = config.train.loader_threads,
                  .score_names = {},
                  .validate = {},
                  .report = {},
                  .on_step = {}};
  check_outputs(*arguments, run);
  return arguments->network == TrainedNetwork::kVmos ? train_the_tracker(*arguments, config, run)
                                                     : train_the_refiner(*arguments, config, run);
}

}  // namespace hqtrack
