#include "cli/prompts.h"

#include <ATen/ops/ne.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "core/error.h"
#include "core/label_mask.h"
#include "core/log.h"
#include "io/mask_reader.h"

namespace hqtrack {
namespace {

constexpr size_t kMostLikelyObjects = 40;  // more look like shades of one

std::string size_text(int64_t width, int64_t height) {
  return std::to_string(width) + "x" + std::to_string(height);
}

void warn_of_vanished(const std::string& file, const std::vector<int64_t>& before,
                      const std::vector<int64_t>& after) {
  for (const int64_t id : before) {
    if (std::ranges::find(after, id) != after.end()) continue;
    log_warning(file + ": object " + std::to_string(id) +
                " is too small to be seen at the size of the picture");
  }
}

/// On the command line it is how the program was called, in a file it is bad input.
[[noreturn]] void fail(const PromptEntry& entry, const std::string& message) {
  const std::string text = entry.source + ": " + message;
  if (entry.source.starts_with("--")) throw UsageError(text);
  throw MediaError(text);
}

at::Tensor read_mask(const PromptEntry& entry, const VideoInfo& video) {
  const std::string file = entry.mask.string();
  at::Tensor labels;
  try {
    labels = read_label_mask(entry.mask);
  } catch (const MediaError& error) {
    if (entry.source.starts_with("--")) throw;
    throw MediaError(entry.source + ".mask: " + error.what());
  }
  const std::vector<int64_t> ids = label_ids(labels);
  if (!entry.id && ids.size() > kMostLikelyObjects) {
    log_warning(file + ": found " + std::to_string(ids.size()) +
                " different values, each an object; is the mask blurred or antialiased?");
  }
  if (ids.empty()) throw MediaError(file + ": expected at least one object, found only background");
  if (labels.size(0) == video.height && labels.size(1) == video.width) return labels;
  log_warning(file + ": resized from " + size_text(labels.size(1), labels.size(0)) + " to " +
              size_text(video.width, video.height) + ", the size of the picture");
  labels = resize_labels(labels, video.height, video.width);
  const std::vector<int64_t> kept = label_ids(labels);
  if (kept.empty()) {
    throw MediaError(file + ": expected objects of at least a pixel of the picture, found smaller ones");
  }
  if (!entry.id) warn_of_vanished(file, ids, kept);
  return labels;
}

/// Seconds from the start of the video; of frames by the average rate, and without one they count as seconds.
double approximate_s(const Moment& at, const VideoInfo& video) {
  if (at.time_us) return static_cast<double>(*at.time_us) * 1e-6;
  const double rate =
      video.rate_num > 0 ? static_cast<double>(video.rate_num) / static_cast<double>(video.rate_den) : 1;
  return static_cast<double>(video.start_us) * 1e-6 + static_cast<double>(at.frame_index) / rate;
}

void check_moment(const PromptEntry& entry, const VideoInfo& video) {
  // Durations of containers are rounded.
  const int64_t tolerance_us = video.has_exact_count ? 0 : 1'000'000;
  const auto refuse = [&](const std::string& expected) {
    fail(entry, "expected " + expected + ", found " + to_text(entry.at));
  };
  if (entry.at.time_us) {
    if (*entry.at.time_us < video.start_us) {
      refuse("a time from " + to_text({.time_us = video.start_us}) + " on, where the tracked part begins");
    }
    if (video.duration_us && *entry.at.time_us >= video.start_us + *video.duration_us + tolerance_us) {
      refuse("a time before " + to_text({.time_us = video.start_us + *video.duration_us}) +
             ", where the video ends");
    }
  } else if (video.num_frames) {
    const int64_t tolerance = video.has_exact_count ? 0 : 2 + *video.num_frames / 50;
    if (entry.at.frame_index >= *video.num_frames + tolerance) {
      refuse("a frame below " + std::to_string(*video.num_frames) + ", where the video ends");
    }
  }
}

/// Follows who is known at which moment.
class Timeline {
 public:
  explicit Timeline(const VideoInfo& video) : video_(video) {}

  /// An id that is never given to an object without one.
  void reserve(int64_t id) { reserved_.insert(id); }

  PromptEdit resolve(const PromptEntry& entry, ObjectPrompt prompt) {
    using Action = PromptEdit::Action;
    if (prompt.id == 0) prompt.id = next_free(entry);
    const bool is_known = known_.contains(prompt.id);
    const Action action = entry.action.value_or(is_known ? Action::kCorrect : Action::kAdd);
    const std::string id = std::to_string(prompt.id);
    if (!entry.action && !entry.id && is_known && entry.source.starts_with("--mask")) {
      log_info(entry.source + ": corrects object " + id + ", the value in the mask; --id adds a new object");
    }
    if (action == Action::kAdd && is_known) {
      fail(entry,
           "expected a new id, found " + id + ", which is tracked by then (the action correct changes it)");
    }
    if (action != Action::kAdd && !is_known) {
      fail(entry, "expected an object to " + std::string(to_string(action)) + ", found no object " + id +
                      " by then");
    }
    if (action == Action::kRemove) {
      known_.erase(prompt.id);
    } else {
      const std::string fault = fault_of(prompt, video_.height, video_.width, action == Action::kCorrect);
      if (!fault.empty()) fail(entry, fault);
      known_.insert(prompt.id);
    }
    return {action, std::move(prompt)};
  }

 private:
  int64_t next_free(const PromptEntry& entry) {
    for (int64_t id = 1; id <= 255; ++id) {
      if (reserved_.insert(id).second) return id;
    }
    fail(entry, "expected at most 255 objects, found more");
  }

  const VideoInfo& video_;
  std::set<int64_t> reserved_;
  std::set<int64_t> known_;
};

}  // namespace

std::vector<ObjectPrompt> object_prompts(const PromptEntry& entry, const VideoInfo& video) {
  at::Tensor labels;
  if (!entry.mask.empty()) labels = read_mask(entry, video);
  const bool has_one = entry.id || entry.box || !entry.points.empty() || entry.mask.empty();
  if (!has_one) {
    std::vector<ObjectPrompt> prompts = mask_prompts(labels);
    if (!entry.name.empty() && prompts.size() > 1) {
      fail(entry, "expected one object for the name '" + entry.name + "', found " +
                      std::to_string(prompts.size()) + " in the mask; use --name ID=NAME");
    }
    for (ObjectPrompt& prompt : prompts) prompt.name = entry.name;
    return prompts;
  }
  ObjectPrompt prompt{
      .id = entry.id.value_or(0), .name = entry.name, .box = entry.box, .points = entry.points, .mask = {}};
  if (labels.defined()) prompt.mask = labels.ne(0);
  return {prompt};
}

std::string to_text(const Moment& at) {
  if (!at.time_us) return "frame " + std::to_string(at.frame_index);
  char text[32];
  std::snprintf(text, sizeof text, "%.6g s", static_cast<double>(*at.time_us) * 1e-6);
  return text;
}

std::vector<TimedPrompt> resolve_prompts(const std::vector<PromptEntry>& entries,
                                         const std::map<int64_t, std::string>& names,
                                         const VideoInfo& video) {
  std::vector<const PromptEntry*> in_time;
  for (const PromptEntry& entry : entries) {
    check_moment(entry, video);
    in_time.push_back(&entry);
  }
  std::ranges::stable_sort(in_time, {},
                           [&](const PromptEntry* entry) { return approximate_s(entry->at, video); });
  Timeline timeline(video);
  std::vector<std::pair<const PromptEntry*, ObjectPrompt>> prompts;
  for (const PromptEntry* entry : in_time) {
    for (ObjectPrompt& prompt : object_prompts(*entry, video)) {
      // An --id may also mean, later, an object that got it by itself; other ids are new ones.
      if (prompt.id != 0 && (!entry->id || entry->action == PromptEdit::Action::kAdd))
        timeline.reserve(prompt.id);
      prompts.emplace_back(entry, std::move(prompt));
    }
  }
  std::set<int64_t> ids;
  std::vector<TimedPrompt> timed;
  std::optional<double> moment_s;
  std::map<int64_t, double> said;  // by id: when last
  for (auto& [entry, prompt] : prompts) {
    if (const double now_s = approximate_s(entry->at, video); moment_s != now_s) {
      moment_s = now_s;
      for (const auto& [other, others_prompt] : prompts) {
        if (others_prompt.id != 0 && approximate_s(other->at, video) == now_s)
          timeline.reserve(others_prompt.id);
      }
    }
    const auto [last, is_first] = said.emplace(prompt.id, *moment_s);
    if (prompt.id != 0 && !is_first && std::exchange(last->second, *moment_s) == *moment_s) {
      fail(*entry,
           "expected one prompt of an object in a frame, found a second one of object " +
               std::to_string(prompt.id) +
               (entry->source.starts_with("--mask") && !entry->id ? "; --id gives it another number" : ""));
    }
    TimedPrompt& next = timed.emplace_back(entry->at, timeline.resolve(*entry, std::move(prompt)));
    ObjectPrompt& placed = next.edit.prompt;
    ids.insert(placed.id);
    if (const auto name = names.find(placed.id); name != names.end() && placed.name.empty()) {
      placed.name = name->second;
    }
  }
  for (const auto& [id, name] : names) {
    if (ids.contains(id)) continue;
    log_warning("--name: expected an id of the objects, found " + std::to_string(id) + " for '" + name + "'");
  }
  return timed;
}

}  // namespace hqtrack
