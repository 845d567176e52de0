#include "eval/evaluation_report.h"

#include <ATen/TensorOperators.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/label_mask.h"
#include "io/mask_reader.h"
#include "io/overlay.h"

namespace hqtrack {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::json;

constexpr const char* kQualityPlot = "Quality plot";
constexpr int64_t kLongestEdge_px = 640;  // of pictures in a report

/// Heads of columns and the keys of the JSON documents.
constexpr std::array<std::pair<const char*, const char*>, 10> kKeys = {{{"J&F", "j_and_f"},
                                                                        {"J", "j_mean"},
                                                                        {"F", "f_mean"},
                                                                        {"boundary IoU", "boundary_iou_mean"},
                                                                        {"Quality", "quality"},
                                                                        {"Accuracy", "accuracy"},
                                                                        {"Robustness", "robustness"},
                                                                        {"NRE", "nre"},
                                                                        {"DRE", "dre"},
                                                                        {"ADQ", "adq"}}};

std::vector<ReportMeasure> measures_of(const DavisMeans& means, const std::optional<double>& boundary_iou) {
  const auto scored = [](double value) { return std::isnan(value) ? std::nullopt : std::optional(value); };
  return {{"J&F", scored(means.j_and_f())},
          {"J", scored(means.j)},
          {"F", scored(means.f)},
          {"boundary IoU", boundary_iou}};
}

std::vector<ReportMeasure> measures_of(const VotsMeasures& measures) {
  return {{"Quality", measures.quality}, {"Accuracy", measures.accuracy}, {"Robustness", measures.robustness},
          {"NRE", measures.nre},         {"DRE", measures.dre},           {"ADQ", measures.adq}};
}

/// A picture with the masks drawn over it, as JPEG; nothing where their sizes differ.
std::vector<uint8_t> overlay_jpeg(const at::Tensor& image, const at::Tensor& label_mask) {
  if (image.size(0) != label_mask.size(0) || image.size(1) != label_mask.size(1)) return {};
  TrackedFrame tracked;
  tracked.frame.image = image;
  tracked.label_mask = label_mask.contiguous();
  const auto regions = label_regions(tracked.label_mask);
  for (const int64_t id : label_ids(tracked.label_mask)) {
    const Region& region = regions[static_cast<size_t>(id)];
    tracked.objects.push_back({.id = id,
                               .name = {},
                               .box = region.box,
                               .area_px = region.area_px,
                               .score = 1.0,
                               .state = ObjectState::kTracked,
                               .choice = {}});
  }
  OverlayConfig config;
  config.draw_labels = false;
  return encode_jpeg(Overlay(config).draw(tracked), kLongestEdge_px);
}

ReportSequence davis_sequence(const SequenceScores& scores, const DavisSequence& sequence) {
  ReportSequence report{.name = scores.name,
                        .num_frames = scores.num_frames,
                        .frames_per_second = scores.frames_per_second,
                        .measures = measures_of(scores.means(), scores.boundary_iou())};
  for (const ObjectScores& object : scores.objects) {
    ReportObject& row = report.objects.emplace_back();
    row.id = std::to_string(object.id);
    row.curve.resize(sequence.frames.size());
    for (size_t i = 0; i < object.frames.size(); ++i) row.curve[object.frames[i]] = object.j[i];
    if (const auto means = object.means()) row.measures = measures_of(*means, object.mean_boundary_iou());
  }
  for (const WorstFrame& worst : scores.worst) {
    const at::Tensor image = read_image(sequence.frames[worst.position].image);
    report.worst.push_back({.frame = static_cast<int64_t>(worst.position),
                            .object = std::to_string(worst.id),
                            .value = worst.j,
                            .truth_jpeg = overlay_jpeg(image, worst.truth),
                            .result_jpeg = overlay_jpeg(image, worst.result)});
  }
  return report;
}

/// The frames of all objects with the least overlap, apart from each other. Frame 0 holds no result.
std::vector<ReportFrame> worst_of(const VotsSequenceScores& scores) {
  constexpr size_t kMost = 4;
  constexpr int64_t kApart = 8;
  std::vector<ReportFrame> all, worst;
  for (const VotsObjectScores& object : scores.objects) {
    for (size_t frame = 1; frame < object.overlaps.size(); ++frame) {
      if (!object.overlaps[frame]) continue;
      all.push_back(
          {.frame = static_cast<int64_t>(frame), .object = object.id, .value = *object.overlaps[frame]});
    }
  }
  std::ranges::stable_sort(all, {}, &ReportFrame::value);
  for (const ReportFrame& frame : all) {
    const bool is_near = std::ranges::any_of(worst, [&](const ReportFrame& other) {
      return other.object == frame.object && std::abs(other.frame - frame.frame) < kApart;
    });
    if (!is_near) worst.push_back(frame);
    if (worst.size() == kMost) break;
  }
  return worst;
}

at::Tensor vots_labels(const VotsSequence& sequence, const std::vector<VotTrajectory>& trajectories,
                       size_t frame) {
  at::Tensor labels = to_mask(VotSpecial{}, sequence.height, sequence.width).to(at::kByte);
  for (size_t i = 0; i < trajectories.size(); ++i) {
    if (frame >= trajectories[i].size()) continue;  // its results are missing
    const at::Tensor mask = to_mask(trajectories[i][frame], sequence.height, sequence.width);
    labels.masked_fill_(mask, static_cast<int64_t>(i % 255 + 1));
  }
  return labels;
}

void draw_worst(ReportSequence& report, const VotsSequence& sequence, const fs::path& results) {
  std::vector<VotTrajectory> truth, found;
  for (const VotsObject& object : sequence.objects) {
    truth.push_back(object.truth);
    const fs::path stem = vots_results_folder(results, sequence) / sequence.result_stem(object);
    try {
      found.push_back(read_vot_trajectory(stem));
    } catch (const MediaError&) {
      found.emplace_back();  // said when it was scored
    }
  }
  for (ReportFrame& worst : report.worst) {
    const fs::path picture = sequence.picture(worst.frame);
    if (!fs::exists(picture)) continue;  // results can be scored without pictures
    const at::Tensor image = read_image(picture);
    const auto frame = static_cast<size_t>(worst.frame);
    worst.truth_jpeg = overlay_jpeg(image, vots_labels(sequence, truth, frame));
    worst.result_jpeg = overlay_jpeg(image, vots_labels(sequence, found, frame));
  }
}

ReportPlot success_plot(const VotsScores& scores) {
  ReportPlot plot{.title = kQualityPlot, .x_name = "overlap threshold", .y_name = "share of frames"};
  const auto add = [&](const std::string& name, const VotsMeasures& measures) {
    if (!measures.success) return;
    ReportCurve& curve = plot.curves.emplace_back();
    curve.name = name;
    for (size_t k = 0; k < measures.success->size(); ++k) {
      curve.points.emplace_back(static_cast<double>(k) / 99, (*measures.success)[k]);
    }
  };
  add("all", scores.measures);
  return plot;
}

ReportPlot ar_plot(const VotsScores& scores) {
  ReportPlot plot{.title = "Accuracy and robustness", .x_name = "robustness", .y_name = "accuracy"};
  const auto add = [&](const std::string& name, const VotsMeasures& measures) {
    if (measures.robustness) plot.curves.push_back({name, {{*measures.robustness, measures.accuracy}}});
  };
  constexpr size_t kMostNames = 12;  // more cover each other
  if (scores.sequences.size() <= kMostNames) {
    for (const VotsSequenceScores& sequence : scores.sequences) add(sequence.name, sequence.measures);
  }
  add("all", scores.measures);
  return plot;
}

const char* key_of(const std::string& name) {
  const auto found = std::ranges::find_if(kKeys, [&](const auto& pair) { return name == pair.first; });
  return found == kKeys.end() ? "" : found->second;
}

/// Takes over the numbers of one place of the other document.
void fill(std::vector<ReportMeasure>& measures, const Json& other) {
  for (ReportMeasure& measure : measures) {
    const auto value = other.find(key_of(measure.name));
    if (value != other.end() && value->is_number()) measure.other = value->get<double>();
  }
}

/// The quality plot and the place in the accuracy-robustness plot of the other run.
void add_curves(HtmlReport& report, const Json& other) {
  for (ReportPlot& plot : report.plots) {
    ReportCurve curve{.name = report.other_name, .points = {}};
    if (plot.title == kQualityPlot && other.value("success", Json()).is_array()) {
      const Json& values = other["success"];
      const bool is_curve =
          values.size() > 1 && std::ranges::all_of(values, [](const Json& v) { return v.is_number(); });
      const auto success = is_curve ? values.get<std::vector<double>>() : std::vector<double>();
      for (size_t k = 0; k < success.size(); ++k) {
        curve.points.emplace_back(static_cast<double>(k) / static_cast<double>(success.size() - 1),
                                  success[k]);
      }
    } else if (other.value("robustness", Json()).is_number() && other.value("accuracy", Json()).is_number()) {
      curve.points.emplace_back(other["robustness"].get<double>(), other["accuracy"].get<double>());
    }
    if (!curve.points.empty()) plot.curves.push_back(curve);
  }
}

/// The element of a list whose `key` is this text or number; null without one.
const Json* find_by(const Json& list, const char* key, const std::string& text) {
  for (const Json& element : list) {
    const auto value = element.find(key);
    if (value != element.end() && (value->is_string() ? value->get<std::string>() : value->dump()) == text) {
      return &element;
    }
  }
  return nullptr;
}

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char letter : text) quoted += letter == '"' ? "\"\"" : std::string(1, letter);
  return quoted + '"';
}

std::string csv_row(const std::string& place, const HtmlReport& report,
                    const std::vector<ReportMeasure>& measures) {
  std::string row = place;
  for (const ReportMeasure& column : report.measures) {
    const auto found = std::ranges::find(measures, column.name, &ReportMeasure::name);
    char number[32] = "";
    if (found != measures.end() && found->value) std::snprintf(number, sizeof number, "%.9g", *found->value);
    row += "," + std::string(number);
  }
  return row + "\r\n";
}

std::string difference_row(const std::string& name, const std::vector<ReportMeasure>& measures) {
  std::string row = name;
  row.resize(std::max<size_t>(row.size(), 24), ' ');
  for (const ReportMeasure& measure : measures) {
    char text[64] = "                       -";
    if (measure.value && measure.other) {
      std::snprintf(text, sizeof text, "  %6.4f %6.4f %+7.4f", *measure.other, *measure.value,
                    *measure.value - *measure.other);
    }
    row += text;
  }
  return row + "\n";
}

}  // namespace

HtmlReport davis_report(const DavisScores& scores, const std::vector<DavisSequence>& sequences,
                        const ReportFacts& facts) {
  HtmlReport report{.title = "Evaluation of masks", .facts = facts, .curve_name = "J"};
  report.measures = measures_of(scores.means(), scores.boundary_iou());
  for (const SequenceScores& of : scores.sequences) {
    const auto sequence = std::ranges::find(sequences, of.name, &DavisSequence::name);
    if (sequence != sequences.end()) report.sequences.push_back(davis_sequence(of, *sequence));
  }
  return report;
}

HtmlReport vots_report(const VotsScores& scores, const std::vector<VotsSequence>& sequences,
                       const fs::path& results, const ReportFacts& facts) {
  HtmlReport report{.title = "VOTS evaluation", .facts = facts, .curve_name = "overlap"};
  report.measures = measures_of(scores.measures);
  for (size_t i = 0; i < sequences.size(); ++i) {
    const VotsSequenceScores& sequence = scores.sequences[i];
    ReportSequence& row = report.sequences.emplace_back();
    row = {.name = sequence.name,
           .num_frames = sequence.length,
           .frames_per_second = sequence.frames_per_second,
           .measures = measures_of(sequence.measures),
           .worst = worst_of(sequence)};
    for (const VotsObjectScores& object : sequence.objects) {
      row.objects.push_back({object.id, measures_of(object.measures), object.overlaps});
    }
    draw_worst(row, sequences[i], results);
  }
  report.plots = {success_plot(scores), ar_plot(scores)};
  return report;
}

Json read_evaluation(const fs::path& file, const std::string& kind) {
  std::ifstream stream(file);
  if (!stream) {
    throw MediaError(file.string() + ": expected the JSON of `hqtrack eval " + kind +
                     "`, found no such file");
  }
  Json other = Json::parse(stream, nullptr, false);
  const bool is_ours = other.is_object() && other.value("program", Json()) == "hqtrack" &&
                       other.value("kind", Json()) == kind && other.contains("sequences");
  if (!is_ours) {
    throw MediaError(file.string() + ": expected the JSON of `hqtrack eval " + kind +
                     "`, found another file");
  }
  return other;
}

void compare_with(HtmlReport& report, const Json& other, const std::string& name) {
  report.other_name = name;
  const bool has_all = std::ranges::all_of(report.sequences, [&](const ReportSequence& sequence) {
    return find_by(other["sequences"], "name", sequence.name) != nullptr;
  });
  if (has_all && other["sequences"].size() == report.sequences.size()) {
    fill(report.measures, other);
    add_curves(report, other);
  }
  for (ReportSequence& sequence : report.sequences) {
    const Json* const same = find_by(other["sequences"], "name", sequence.name);
    if (same == nullptr) continue;
    fill(sequence.measures, *same);
    const auto objects = same->find("objects");
    if (objects == same->end()) continue;
    for (ReportObject& object : sequence.objects) {
      const Json* const same_object = find_by(*objects, "id", object.id);
      if (same_object != nullptr) fill(object.measures, *same_object);
    }
  }
}

std::string difference_table(const HtmlReport& report) {
  std::string table = "against " + report.other_name;
  table.resize(std::max<size_t>(table.size(), 24), ' ');
  for (const ReportMeasure& measure : report.measures) {
    std::string head = measure.name + " (then, now)";
    head.insert(0, 24 - std::min<size_t>(head.size(), 23), ' ');
    table += head;
  }
  table += "\n";
  for (const ReportSequence& sequence : report.sequences) {
    const bool has_other =
        std::ranges::any_of(sequence.measures, [](const ReportMeasure& m) { return m.other.has_value(); });
    if (has_other) table += difference_row(sequence.name, sequence.measures);
  }
  return table + difference_row("all", report.measures);
}

std::string to_csv(const HtmlReport& report) {
  std::string csv = "scope,sequence,object,frames";
  for (const ReportMeasure& measure : report.measures) csv += "," + quoted(measure.name);
  csv += "\r\n" + csv_row("all,,,", report, report.measures);
  for (const ReportSequence& sequence : report.sequences) {
    const std::string name = quoted(sequence.name), frames = std::to_string(sequence.num_frames);
    csv += csv_row("sequence," + name + ",," + frames, report, sequence.measures);
    for (const ReportObject& object : sequence.objects) {
      csv += csv_row("object," + name + "," + quoted(object.id) + "," + frames, report, object.measures);
    }
  }
  return csv;
}

}  // namespace hqtrack
