#include "cli/train.h"

#include <ATen/Parallel.h>

#include <boost/program_options/value_semantic.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <vector>

#include "cli/arguments.h"
#include "cli/interruption.h"
#include "cli/paths.h"
#include "cli/progress.h"
#include "core/config.h"
#include "core/device.h"
#include "core/error.h"
#include "eval/davis_dataset.h"
#include "eval/davis_evaluation.h"
#include "io/mask_reader.h"
#include "pipeline/hqtrack.h"
#include "train/pictures.h"
#include "train/preview.h"
#include "train/sequence_clips.h"
#include "train/synthetic_clips.h"
#include "train/vmos_trainer.h"

namespace hqtrack {
namespace fs = std::filesystem;
namespace po = boost::program_options;
namespace {

constexpr int64_t kPreviewRows = 12;

constexpr const char* kHelp = R"(Usage: hqtrack train vmos --pictures DIR --out DIR [options]
Trains the tracker on short clips drawn from still pictures, and on sequences
with masks where some are given. Ctrl-C stops it; --resume goes on. For example:
  scripts/fetch_training_pictures.sh pictures
  hqtrack train vmos --pictures pictures --out out/train \
    --init models/nano.safetensors --set train.max_minutes=60

  --pictures DIR        photographs and cut-outs, in any folders below
  --sequences DIR       sequences in the layout of DAVIS or YouTube-VOS
  --out DIR             gets checkpoint, weights.safetensors, log.csv, log.svg
  --init WEIGHTS        start from these (default: random)
  --resume              go on from the checkpoint in --out
  --config FILE         settings, section `train` (configs/nano.yaml)
  --set KEY=VALUE       one setting of the configuration; repeatable
  --validate-root DIR   measure J&F on a DAVIS set at every checkpoint
  --validate-list FILE  its sequences, one a line (default: all)
  --preview PNG         only write a sheet of training clips
  --device NAME         auto (default), cpu, cuda:N
  --threads N           CPU threads of the network (default: one a core)
)";

/// What `hqtrack train` was asked for. Empty paths: not given.
struct TrainArguments {
  fs::path pictures, sequences, out, initial_weights, config_file, preview;
  fs::path validation_root, validation_list;
  std::vector<std::string> overrides;
  std::string device = "auto";
  std::optional<int64_t> num_threads;
  bool resume = false;
};

po::options_description train_options() {
  const auto text = [] { return po::value<std::string>(); };
  po::options_description options;
  options.add_options()("pictures", text())("sequences", text())("out", text())("init", text())(
      "resume", po::bool_switch())("config", text())(
      "set", po::value<std::vector<std::string>>()->composing())("validate-root", text())(
      "validate-list", text())("preview", text())("device", text())("threads", text());
  return options;
}

std::optional<TrainArguments> parse_train_arguments(std::span<const std::string> args) {
  const auto line = parse_command_line(args, kHelp, train_options(), {"vmos"}, 1);
  if (!line) return std::nullopt;
  if (line->positional[0] != "vmos") {
    throw UsageError("'" + line->positional[0] + "': expected what to train, vmos");
  }
  TrainArguments arguments{.pictures = line->text("pictures"),
                           .sequences = line->text("sequences"),
                           .out = line->text("out"),
                           .initial_weights = line->text("init"),
                           .config_file = line->text("config"),
                           .preview = line->text("preview"),
                           .validation_root = line->text("validate-root"),
                           .validation_list = line->text("validate-list"),
                           .overrides = line->texts("set"),
                           .device = line->text("device", "auto"),
                           .num_threads = std::nullopt,
                           .resume = line->options["resume"].as<bool>()};
  if (line->has("threads"))
    arguments.num_threads = parse_integer("--threads", line->text("threads"), 1, 1024);
  if (arguments.pictures.empty() && arguments.sequences.empty()) {
    throw UsageError("expected --pictures or --sequences, found neither");
  }
  if (arguments.out.empty() && arguments.preview.empty()) {
    throw UsageError("--out: expected a folder for the results, found none");
  }
  if (!arguments.validation_list.empty() && arguments.validation_root.empty()) {
    throw UsageError("--validate-list: has no meaning without --validate-root");
  }
  return arguments;
}

std::unique_ptr<ClipSource> make_synthetic(const fs::path& folder, const TrainConfig& config) {
  std::fprintf(stderr, "reading the pictures below %s\n", folder.c_str());
  Pictures pictures = load_pictures(folder);
  std::fprintf(stderr, "%zu stamps, %zu drawings, %zu photographs\n", pictures.stamps.size(),
               pictures.drawings.size(), pictures.photographs.size());
  const SyntheticClipOptions options{.seed = static_cast<uint64_t>(config.seed),
                                     .size_px = config.crop_px,
                                     .num_frames = config.clip_frames,
                                     .max_objects = config.max_objects,
                                     .max_distractors = config.max_distractors,
                                     .max_gap_frames = config.max_gap_frames,
                                     .motion_strength = config.motion_strength};
  return std::make_unique<SyntheticClips>(std::move(pictures), options);
}

std::unique_ptr<ClipSource> make_sequences(const fs::path& root, const TrainConfig& config) {
  const SequenceClipOptions options{.seed = static_cast<uint64_t>(config.seed),
                                    .size_px = config.crop_px,
                                    .num_frames = config.clip_frames,
                                    .max_objects = config.max_objects,
                                    .max_step_frames = config.sequence_gap_frames};
  auto sequences = std::make_unique<SequenceClips>(root, options);
  std::fprintf(stderr, "%zu sequences\n", sequences->num_sequences());
  return sequences;
}

std::unique_ptr<ClipSource> make_clips(const TrainArguments& arguments, const TrainConfig& config) {
  if (arguments.sequences.empty()) return make_synthetic(arguments.pictures, config);
  auto sequences = make_sequences(arguments.sequences, config);
  if (arguments.pictures.empty()) return sequences;
  return std::make_unique<MixedClips>(make_synthetic(arguments.pictures, config), std::move(sequences),
                                      config.sequence_share, static_cast<uint64_t>(config.seed));
}

class TrainedTracker : public SequenceTracker {
 public:
  TrainedTracker(const Config& config, const std::string& device) : hqtrack_(config, device) {}

  void start(Frame frame, const at::Tensor& label_mask) override {
    hqtrack_.initialize(std::move(frame), mask_prompts(label_mask));
  }
  at::Tensor track(Frame frame) override { return hqtrack_.track(std::move(frame)).label_mask; }

 private:
  HqTrack hqtrack_;
};

/// J&F of exported weights on the validation sequences; empty when none are given.
std::function<ValidationScores(const fs::path&)> make_validation(const TrainArguments& arguments,
                                                                 const Config& config) {
  if (arguments.validation_root.empty()) return {};
  auto sequences = read_davis_dataset(arguments.validation_root, arguments.validation_list);
  return [sequences = std::move(sequences), config, device = arguments.device](const fs::path& weights) {
    Config with_weights = config;
    with_weights.tracker.weights = fs::absolute(weights);
    TrainedTracker tracker(with_weights, device);
    const DavisMeans means = evaluate_tracker(sequences, tracker).means();
    return ValidationScores{means.j, means.f, means.j_and_f()};
  };
}

/// Scores go to stdout, one line each; the state of the run to the terminal, over and over on one line.
void report(const TrainingRecord& record, double progress) {
  if (record.validation) {
    std::printf("step %jd, %.1f min, %jd clips: J %.4f  F %.4f  J&F %.4f\n",
                static_cast<intmax_t>(record.step), record.minutes, static_cast<intmax_t>(record.clips),
                record.validation->j_mean, record.validation->f_mean, record.validation->j_and_f);
    std::fflush(stdout);
  } else if (is_stderr_terminal()) {
    const double minutes_left = progress > 0 ? record.minutes / progress - record.minutes : 0;
    std::fprintf(stderr, "\r%3.0f %%  step %jd  loss %.4f  IoU %.3f  %.1f clips/s  %s left \033[K",
                 100 * progress, static_cast<intmax_t>(record.step), record.loss, record.iou,
                 static_cast<double>(record.clips) / (60 * record.minutes),
                 format_duration(60 * minutes_left).c_str());
    std::fflush(stderr);
  }
}

}  // namespace

int run_train(std::span<const std::string> args) {
  const auto arguments = parse_train_arguments(args);
  if (!arguments) return static_cast<int>(ExitCode::kSuccess);
  const fs::path config_file =
      arguments->config_file.empty() ? default_config_path() : arguments->config_file;
  const Config config = load_config(config_file, arguments->overrides);
  if (arguments->num_threads) at::set_num_threads(static_cast<int>(*arguments->num_threads));

  TrainingRun run{.folder = arguments->out,
                  .initial_weights = arguments->initial_weights,
                  .resume = arguments->resume,
                  .device = resolve_device(arguments->device),
                  .num_loader_threads = config.train.loader_threads,
                  .validate = make_validation(*arguments, config),
                  .report = report};
  const auto clips = make_clips(*arguments, config.train);
  if (!arguments->preview.empty()) {
    write_image(arguments->preview, preview_sheet(*clips, kPreviewRows));
    return static_cast<int>(ExitCode::kSuccess);
  }
  const Interruption interruption;
  const bool is_complete = train_vmos(config, *clips, run, interruption.token());
  if (is_stderr_terminal()) std::fputc('\n', stderr);
  std::printf("%s: %s\n", is_complete ? "trained" : "interrupted, --resume goes on",
              (run.folder / "weights.safetensors").c_str());
  return static_cast<int>(is_complete ? ExitCode::kSuccess : ExitCode::kInterrupted);
}

}  // namespace hqtrack
