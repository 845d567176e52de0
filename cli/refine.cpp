#include "cli/refine.h"

#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <utility>

#include "cli/detection_prompts.h"
#include "cli/interruption.h"
#include "cli/progress.h"
#include "cli/prompts.h"
#include "cli/refine_arguments.h"
#include "cli/refine_outputs.h"
#include "core/device.h"
#include "core/error.h"
#include "core/log.h"
#include "core/threads.h"
#include "io/list_images.h"
#include "io/mask_reader.h"
#include "refiner/hq_sam_weights.h"
#include "refiner/object_prompts.h"
#include "refiner/refiner.h"

namespace hqtrack {
namespace fs = std::filesystem;
namespace {

/// A picture, and with --detections the objects in it.
struct Task {
  fs::path file;
  std::string name;               // in the COCO file
  int64_t id = 0;                 // there
  int64_t height = 0, width = 0;  // that it should have; 0: any
  std::vector<Detection> detections;
};

/// What is to be found in a picture, side by side.
struct Objects {
  std::vector<ObjectPrompt> prompts;
  std::vector<RefinedObject> owners;
};

/// All there is to do.
struct Plan {
  std::vector<Task> tasks;
  std::vector<fs::path> inputs;  // everything that is read
  int64_t last_annotation_id = 0;

  std::vector<fs::path> pictures() const {
    std::vector<fs::path> files;
    for (const Task& task : tasks) files.push_back(task.file);
    return files;
  }
};

Plan plan_images(const RefineArguments& arguments) {
  Plan plan;
  for (const std::string& image : arguments.images) {
    const bool is_several = fs::is_directory(image) || is_image_pattern(image);
    for (const fs::path& file : is_several ? list_images(image) : std::vector<fs::path>{image}) {
      Task& task = plan.tasks.emplace_back();
      task.file = file;
      task.name = file.filename().string();
      task.id = static_cast<int64_t>(plan.tasks.size());
    }
  }
  plan.inputs = plan.pictures();
  for (const PromptEntry& entry : arguments.prompts.entries) {
    if (entry.mask.empty()) continue;
    read_label_mask(entry.mask);  // a bad one is no fault of the pictures
    plan.inputs.push_back(entry.mask);
  }
  return plan;
}

Plan plan_data_set(const RefineArguments& arguments) {
  const DetectionFile file = read_detections(arguments.detections->file);
  const std::string name = file.file.string();
  if (file.pictures.empty()) {
    throw MediaError(name + ": expected a COCO data set, whose images have names, found " +
                     "COCO results or MOT text");
  }
  Plan plan;
  std::vector<Task> tasks(file.pictures.size());
  for (const Detection& detection : file.detections) {
    plan.last_annotation_id = std::max(plan.last_annotation_id, detection.annotation_id.value_or(0));
    if (detection.score < arguments.detections->min_score) continue;
    tasks[static_cast<size_t>(detection.frame_index)].detections.push_back(detection);
  }
  for (size_t i = 0; i < tasks.size(); ++i) {
    if (tasks[i].detections.empty()) continue;
    const DetectedPicture& picture = file.pictures[i];
    Task& task = plan.tasks.emplace_back(std::move(tasks[i]));
    task.file = arguments.image_folder / picture.file_name;
    task.name = picture.file_name;
    task.id = picture.id;
    task.height = picture.height;
    task.width = picture.width;
    std::ranges::stable_sort(task.detections, std::greater(), &Detection::score);
  }
  if (plan.tasks.empty()) throw MediaError(name + ": expected boxes with such a score, found none");
  if (plan.tasks.size() < file.pictures.size()) {
    log_info(name + ": " + std::to_string(file.pictures.size() - plan.tasks.size()) + " of " +
             std::to_string(file.pictures.size()) + " pictures have no boxes and are left out");
  }
  plan.inputs = plan.pictures();
  plan.inputs.push_back(file.file);
  return plan;
}

Objects detected_objects(const Task& task, const std::string& file, const at::Tensor& image) {
  const int64_t height = image.size(0), width = image.size(1);
  if ((task.height > 0 && task.height != height) || (task.width > 0 && task.width != width)) {
    throw MediaError(task.file.string() + ": expected " + std::to_string(task.width) + "x" +
                     std::to_string(task.height) + " as " + file + " says, found " + std::to_string(width) +
                     "x" + std::to_string(height));
  }
  constexpr int64_t kMost = 255;
  Objects objects;
  for (const Detection& detection :
       fit_to_picture(task.detections, file + ": " + task.name, height, width, kMost)) {
    ObjectPrompt& prompt = objects.prompts.emplace_back();
    prompt.id = static_cast<int64_t>(objects.prompts.size());
    prompt.box = detection.box;
    objects.owners.push_back({detection.name, detection.category_id, detection.annotation_id});
  }
  return objects;
}

Objects described_objects(const PromptArguments& prompts, const at::Tensor& image) {
  VideoInfo still;
  still.height = image.size(0);
  still.width = image.size(1);
  Objects objects;
  for (TimedPrompt& timed : resolve_prompts(prompts.entries, prompts.names, still)) {
    ObjectPrompt& prompt = objects.prompts.emplace_back(std::move(timed.edit.prompt));
    // A mask alone is to be sharpened here: it is where the object is, too.
    if (!prompt.needs_refiner()) prompt.box = outer_box(prompt);
    objects.owners.push_back({prompt.name, std::nullopt, std::nullopt});
  }
  return objects;
}

Refiner load_refiner(const NetworkArguments& arguments) {
  Config config = load_config(arguments);
  if (!arguments.weights_file.empty()) {
    config.refiner.weights = fs::absolute(arguments.weights_file).string();
  }
  if (config.refiner.weights.empty()) {
    throw ConfigError(config.file.string() + ": refiner.weights: expected a weights file, found nothing");
  }
  const at::Device device = resolve_device(arguments.device);
  HqSam network(config.refiner);
  load_hq_sam_weights(network, config.refiner.weights);
  network->to(device);
  return {network, config.refiner};
}

class RefineRun {
 public:
  RefineRun(const RefineArguments& arguments, Plan plan, Refiner refiner)
      : arguments_(arguments),
        plan_(std::move(plan)),
        refiner_(std::move(refiner)),
        outputs_(arguments.output, arguments.formats, plan_.last_annotation_id),
        progress_(static_cast<int64_t>(plan_.tasks.size()),
                  !arguments.is_quiet && plan_.tasks.size() > 1 && is_stderr_terminal(), "pictures") {}

  /// Returns whether it came to the end.
  bool run(const std::stop_token& interrupted) {
    for (const Task& task : plan_.tasks) {
      if (interrupted.stop_requested()) break;
      refine_or_report(task);
      progress_.advance();
    }
    progress_.wipe();
    const bool is_complete = progress_.done() == num_tasks();
    outputs_.finish(is_complete);
    return is_complete;
  }

  /// "11 of 12 pictures in 8.1 s, 30 objects, in out".
  std::string summary() const {
    char seconds[32];
    std::snprintf(seconds, sizeof seconds, "%.1f s",
                  std::chrono::duration<double>(Clock::now() - start_).count());
    const int64_t num_good = progress_.done() - num_failed_, num_objects = outputs_.num_objects();
    return (num_good == num_tasks() ? "" : std::to_string(num_good) + " of ") + std::to_string(num_tasks()) +
           (num_tasks() == 1 ? " picture in " : " pictures in ") + seconds + ", " +
           std::to_string(num_objects) + (num_objects == 1 ? " object, in " : " objects, in ") +
           arguments_.output.string();
  }

  int64_t num_tasks() const { return static_cast<int64_t>(plan_.tasks.size()); }
  int64_t num_failed() const { return num_failed_; }

 private:
  using Clock = std::chrono::steady_clock;

  /// A picture that fails is no reason to leave the others; alone, it is the whole failure.
  void refine_or_report(const Task& task) {
    try {
      refine(task);
    } catch (const Error& e) {
      const bool is_of_input = e.code() == ExitCode::kInput || e.code() == ExitCode::kUsage;
      if (!is_of_input || num_tasks() == 1) throw;
      progress_.wipe();
      const std::string text = e.what(), file = task.file.string();
      log_error(text.find(file) == std::string::npos ? file + ": " + text : text);
      ++num_failed_;
    }
  }

  void refine(const Task& task) {
    const at::Tensor image = read_image(task.file);
    const Objects objects = arguments_.detections
                                ? detected_objects(task, arguments_.detections->file.string(), image)
                                : described_objects(arguments_.prompts, image);
    // A mask of logits is as large as the picture: only so many are held at a time.
    constexpr int64_t kMostLogits = int64_t{1} << 27;
    const auto at_once =
        static_cast<size_t>(std::max<int64_t>(1, kMostLogits / (image.size(0) * image.size(1))));
    outputs_.begin_picture(task.name, task.id, image);
    std::vector<int64_t> missing;
    for (size_t begin = 0; begin < objects.prompts.size(); begin += at_once) {
      const size_t count = std::min(at_once, objects.prompts.size() - begin);
      const std::vector<MaskProposal> found =
          refiner_.segment(image, {objects.prompts.data() + begin, count});
      for (size_t i = 0; i < count; ++i) {
        if (found[i].logits.gt(0).any().item<bool>()) {
          outputs_.add(objects.owners[begin + i], found[i]);
        } else {
          missing.push_back(found[i].id);
        }
      }
    }
    report_missing(task, missing, objects.prompts.size());
    outputs_.end_picture();
  }

  void report_missing(const Task& task, const std::vector<int64_t>& ids, size_t num_objects) {
    const std::string start = task.file.string() + ": expected an object where ";
    if (ids.size() == num_objects) throw MediaError(start + "the prompt points, found none");
    for (const int64_t id : ids) {
      log_warning(start + "the prompt of object " + std::to_string(id) +
                  " points, found none; it is left out");
    }
  }

  const RefineArguments& arguments_;
  Plan plan_;
  Refiner refiner_;
  RefineOutputs outputs_;
  Progress progress_;
  int64_t num_failed_ = 0;
  Clock::time_point start_ = Clock::now();
};

}  // namespace

int run_refine(std::span<const std::string> args) {
  const auto arguments = parse_refine_arguments(args);
  if (!arguments) return static_cast<int>(ExitCode::kSuccess);
  if (arguments->is_quiet) set_log_level(LogLevel::kError);
  use_threads(arguments->network);
  Plan plan = arguments->detections ? plan_data_set(*arguments) : plan_images(*arguments);
  check_refine_outputs(*arguments, plan.pictures(), plan.inputs);

  const c10::InferenceMode guard;
  const SerialOperators operators;
  const Interruption interruption;
  RefineRun run(*arguments, std::move(plan), load_refiner(arguments->network));
  const bool is_complete = run.run(interruption.token());
  log_info((is_complete ? "" : "interrupted after ") + run.summary());
  if (!is_complete) return static_cast<int>(ExitCode::kInterrupted);
  if (run.num_failed() > 0) {
    throw MediaError(std::to_string(run.num_failed()) + " of " + std::to_string(run.num_tasks()) +
                     " pictures failed, as said above");
  }
  return static_cast<int>(ExitCode::kSuccess);
}

}  // namespace hqtrack
