#include "tests/parity/hq_sam_plain_cases.h"

#include <ATen/ATen.h>

#include <cmath>
#include <cstdio>
#include <fstream>
#include <stdexcept>

#include "core/weights/rule_weights.h"
#include "refiner/preprocess.h"
#include "selector/mask_iou.h"
#include "tests/support/sha256.h"

namespace hqtrack::parity {
namespace {

using nlohmann::json;

GridSize size_from(const json& pair) { return {pair.at(0), pair.at(1)}; }

std::string hash_of(const at::Tensor& picture) {
  return testing::sha256(picture.const_data_ptr(), picture.nbytes());
}

// The picture that the manifest gives by a formula.
at::Tensor formula_picture(GridSize size) {
  at::Tensor picture = at::empty({size.height, size.width, 3}, at::kByte);
  uint8_t* out = picture.mutable_data_ptr<uint8_t>();
  for (int64_t y = 0; y < size.height; ++y) {
    for (int64_t x = 0; x < size.width; ++x) {
      for (int64_t c = 0; c < 3; ++c) {
        *out++ = static_cast<uint8_t>((7 * x + 13 * y + 29 * c) ^ ((x * y) >> 5));
      }
    }
  }
  return picture;
}

// Inputs are known by their hash.
at::Tensor find_picture(HqSamFolder& golden, GridSize size, const std::string& hash) {
  for (const std::string& file : golden.pictures(size.height, size.width)) {
    if (hash_of(golden.peek(file)) == hash) return golden.load(file);
  }
  const at::Tensor picture = formula_picture(size);
  if (hash_of(picture) != hash) throw std::runtime_error("no picture has the hash " + hash);
  return picture;
}

}  // namespace

void check_weight_rule(const HqSamFolder& golden, Report& report) {
  std::ifstream file(golden.root() / "weight_rule_check.json");
  if (!file) return;
  for (const json& entry : json::parse(file).at("checks")) {
    const std::string full_name = entry.at("name"), name = full_name.substr(full_name.rfind('/') + 1);
    const std::string prefix = full_name.substr(0, full_name.size() - name.size());
    const auto shape = entry.at("shape").get<std::vector<int64_t>>();
    char hash[17];
    std::snprintf(hash, sizeof hash, "%016lx", fnv1a64(full_name.data(), full_name.size()));
    report.check(entry.at("fnv1a64") == hash, "weight rule hash " + full_name, hash);
    const at::Tensor drawn = rule_uniform(full_name, shape).flatten();
    const at::Tensor value = hq_sam_rule_weight(prefix, name, shape).flatten();
    bool is_equal = value[-1].item<double>() == entry.at("last").get<double>();
    for (size_t i = 0; i < entry.at("first").size(); ++i) {
      const auto at = static_cast<int64_t>(i);
      is_equal &= drawn[at].item<double>() == entry.at("first_u")[i].get<double>() &&
                  value[at].item<double>() == entry["first"][i].get<double>();
    }
    report.check(is_equal, "weight rule values " + full_name, "differ");
    const double sum = value.to(at::kDouble).sum().item<double>(),
                 abs_sum = value.to(at::kDouble).abs().sum().item<double>();
    report.check(std::abs(sum - entry.at("sum").get<double>()) < 1e-6 &&
                     std::abs(abs_sum - entry.at("abs_sum").get<double>()) < 1e-6,
                 "weight rule sums " + full_name, std::to_string(sum));
  }
}

void check_boundary(HqSamFolder& golden, const HqSamFolder::Manifest& manifest, Report& report) {
  for (const json& entry : manifest.json.at("cases")) {
    const std::string name = entry.at("name");
    const at::Tensor truth = golden.load(manifest.folder + "gt_" + name + ".npy"),
                     predicted = golden.load(manifest.folder + "pred_" + name + ".npy");
    const int64_t width_px = boundary_width_px(truth.size(0), truth.size(1));
    const at::Tensor a = mask_boundary(truth, width_px), b = mask_boundary(predicted, width_px);
    const auto pixels = [](const at::Tensor& mask) { return mask.sum().item<int64_t>(); };
    const auto check = [&](const std::string& key, auto found) {
      report.check(std::abs(static_cast<double>(found) - entry.at(key).get<double>()) < 1e-9,
                   "boundary " + name + " " + key,
                   "expected " + entry.at(key).dump() + ", found " + std::to_string(found));
    };
    check("dilation_pixels", width_px);
    check("boundary_gt", pixels(a));
    check("boundary_pred", pixels(b));
    check("intersection", pixels(a.bitwise_and(b)));
    check("union", pixels(a.bitwise_or(b)));
    check("boundary_iou", boundary_iou(truth, predicted));
    check("mask_iou", mask_iou(truth, predicted));
  }
}

void check_preprocess(HqSamFolder& golden, const HqSamFolder::Manifest& manifest, Report& report) {
  for (const json& entry : manifest.json.at("cases")) {
    const std::string name = entry.at("name");
    const int64_t target = entry.at("target");
    report.guard("preprocess " + name, [&] {
      const GridSize source = size_from(entry.at("input_hw"));
      const at::Tensor picture = find_picture(golden, source, entry.at("input_sha256"));
      const GridSize size = resized_size(source, target);
      report.check(size == size_from(entry.at("resized_hw")), "preprocess " + name + " size", "differs");
      const at::Tensor resized = resize_antialiased(picture, size);
      report.check(hash_of(resized) == entry.at("sha256_resized_bytes"), "preprocess " + name + " hash",
                   "differs");
      for (int64_t c = 0; c < 3; ++c) {
        report.check(resized.select(2, c).sum().item<int64_t>() == entry.at("sum_per_channel")[c],
                     "preprocess " + name + " sum of channel " + std::to_string(c), "differs");
      }
      const std::string file = manifest.folder + "resized_" + name;
      golden.compare_exactly(report, file + ".npy", resized);
      for (const bool is_end : {false, true}) {
        const std::string corner = file + (is_end ? "_br.npy" : "_tl.npy");
        if (!golden.has(corner)) continue;
        const auto shape = golden.item(corner).at("shape").get<std::vector<int64_t>>();
        const int64_t y = is_end ? size.height - shape[0] : 0, x = is_end ? size.width - shape[1] : 0;
        golden.compare_exactly(report, corner, resized.narrow(0, y, shape[0]).narrow(1, x, shape[1]));
      }
      golden.compare(report, manifest.folder + "normalised_" + name + ".npy",
                     normalize_and_pad(resized, InputForm{}, target));
    });
  }
}

}  // namespace hqtrack::parity
