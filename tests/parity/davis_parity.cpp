#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>

#include "eval/davis_metrics.h"
#include "eval/vot_region.h"
#include "tests/parity/eval_parity.h"

namespace hqtrack::parity {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

void check_value(Report& report, const std::string& name, const std::optional<double>& found,
                 const json& expected) {
  const bool is_same = expected.is_null() ? !found.has_value()
                                          : found && std::abs(*found - expected.get<double>()) <= kTolerance;
  report.check(is_same, name,
               "expected " + expected.dump() + ", found " + (found ? std::to_string(*found) : "nothing"));
}

/// "mX,Y,W,H,run,...", not cut to its pixels: that would lose masks of one column.
at::Tensor mask_of(const std::string& text, int64_t height, int64_t width) {
  std::istringstream stream(text.substr(1));
  std::vector<int64_t> numbers;
  for (std::string number; std::getline(stream, number, ',');) numbers.push_back(std::stoll(number));
  const VotMask mask = mask_from_runs({numbers.at(0), numbers.at(1), numbers.at(2), numbers.at(3)},
                                      {numbers.begin() + 4, numbers.end()});
  return to_mask(mask, height, width);
}

std::vector<at::Tensor> read_masks(const fs::path& file, int64_t height, int64_t width) {
  std::ifstream stream(file);
  if (!stream) throw std::runtime_error(file.string() + ": cannot be read");
  std::vector<at::Tensor> masks;
  for (std::string line; std::getline(stream, line);) masks.push_back(mask_of(line, height, width));
  return masks;
}

void check_cases(const json& document, Report& report) {
  for (const json& example : document.at("cases")) {
    const std::string name = example.at("note");
    const int64_t height = example.at("height"), width = example.at("width");
    const at::Tensor truth = mask_of(example.at("gt"), height, width);
    const at::Tensor result = mask_of(example.at("pred"), height, width);
    const bool has_void = !example.at("void").is_null();
    const at::Tensor void_mask = has_void ? mask_of(example.at("void"), height, width) : at::Tensor();
    check_value(report, name + " J", region_similarity_j(truth, result, void_mask), example.at("J"));
    check_value(report, name + " F", contour_accuracy_f(truth, result, void_mask), example.at("F"));
    check_value(report, name + " boundary IoU", boundary_iou(truth, result), example.at("boundary_iou"));
    check_value(report, name + " boundary IoU, 3 %", boundary_iou(truth, result, 0.03),
                example.at("boundary_iou_003"));
  }
  for (const json& example : document.at("statistics")) {
    const auto values = example.at("values").get<std::vector<double>>();
    const ScoreStatistics statistics = score_statistics(values);
    const std::string name = "statistics of " + std::to_string(values.size());
    check_value(report, name + " mean", statistics.mean, example.at("mean"));
    check_value(report, name + " recall", statistics.recall, example.at("recall"));
    // From 256 frames on the official program overflows.
    if (!example.at("decay").is_null())
      check_value(report, name + " decay", statistics.decay, example.at("decay"));
  }
}

/// Sums over all objects of all sequences.
struct Totals {
  double j = 0, f = 0, count = 0;
};

void check_object(const json& object, const std::vector<at::Tensor>& truth,
                  const std::vector<at::Tensor>& result, const std::string& name, Totals& totals,
                  Report& report) {
  std::vector<double> j, f;
  for (size_t frame = 0; frame < truth.size(); ++frame) {
    const at::Tensor &a = truth[frame], &b = result.at(frame);
    const std::string place = name + " frame " + std::to_string(frame);
    j.push_back(region_similarity_j(a, b));
    f.push_back(contour_accuracy_f(a, b));
    check_value(report, place + " J", j.back(), object.at("J")[frame]);
    check_value(report, place + " F", f.back(), object.at("F")[frame]);
    check_value(report, place + " boundary IoU", boundary_iou(a, b), object.at("boundary_iou")[frame]);
  }
  const auto scored = [](const std::vector<double>& all) {
    return std::span(all).subspan(1, all.size() - 2);
  };
  for (const auto& [letter, values] : {std::pair("J", &j), std::pair("F", &f)}) {
    const ScoreStatistics statistics = score_statistics(scored(*values));
    const std::string key = letter;
    check_value(report, name + " mean " + key, statistics.mean, object.at(key + "_mean"));
    check_value(report, name + " recall " + key, statistics.recall, object.at(key + "_recall"));
    check_value(report, name + " decay " + key, statistics.decay, object.at(key + "_decay"));
    (key == "J" ? totals.j : totals.f) += statistics.mean;
  }
  ++totals.count;
}

}  // namespace

json read_json(const fs::path& file) {
  std::ifstream stream(file);
  if (!stream) throw std::runtime_error(file.string() + ": cannot be read");
  return json::parse(stream);
}

void check_davis(const fs::path& folder, Report& report) {
  report.guard("cases", [&] { check_cases(read_json(folder / "cases.json"), report); });
  const json expected = read_json(folder / "expected.json");
  Totals totals;
  for (const auto& [name, sequence] : expected.at("sequences").items()) {
    for (const auto& [id, object] : sequence.at("objects").items()) {
      const fs::path masks = folder / "masks" / name;
      const int64_t height = sequence.at("height"), width = sequence.at("width");
      const auto truth = read_masks(masks / ("gt_" + id + ".txt"), height, width);
      const auto result = read_masks(masks / ("pred_" + id + ".txt"), height, width);
      check_object(object, truth, result, name + " object " + id, totals, report);
    }
  }
  check_value(report, "mean J of all", totals.j / totals.count, expected.at("global").at("J-Mean"));
  check_value(report, "mean F of all", totals.f / totals.count, expected.at("global").at("F-Mean"));
}

}  // namespace hqtrack::parity
