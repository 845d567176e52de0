#include "tests/parity/hq_sam_parity.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include <cmath>
#include <map>
#include <regex>
#include <set>
#include <stdexcept>

#include "core/label_mask.h"
#include "core/weights/rule_weights.h"
#include "refiner/box_prompts.h"
#include "refiner/hq_sam_weights.h"
#include "refiner/preprocess.h"
#include "refiner/refiner.h"
#include "selector/select_masks.h"
#include "tests/parity/hq_sam_folder.h"
#include "tests/parity/hq_sam_plain_cases.h"
#include "tests/parity/hq_sam_state_dict.h"

namespace hqtrack::parity {
namespace {

using nlohmann::json;
using Manifest = HqSamFolder::Manifest;

GridSize size_from(const json& pair) { return {pair.at(0), pair.at(1)}; }

std::string setting(bool multimask, bool hq_token_only) {
  return std::string("_mm") + (multimask ? "1" : "0") + "_hq" + (hq_token_only ? "1" : "0");
}

// [[x0, y0, x1, y1], ...] -> double [B, 4]
at::Tensor boxes_from(const json& rows) {
  std::vector<double> corners;
  for (const json& row : rows) corners.insert(corners.end(), row.begin(), row.end());
  return at::tensor(corners, at::kDouble).view({-1, 4});
}

// --- pictures, from end to end

void check_pictures(HqSamFolder& golden, const Manifest& manifest, Refiner& refiner, Report& report) {
  for (const auto& [name, entry] : manifest.json.at("images").items()) {
    const at::Tensor picture = golden.load(entry.at("file"));
    ImageEmbedding embedding;
    {
      ProbeScope probe([&, name = name](const std::string& probed, const at::Tensor& value) {
        if (probed.starts_with("enc.")) {
          golden.compare(report, manifest.folder + "enc_" + name + "_" + probed.substr(4) + ".npy", value);
        }
      });
      embedding = refiner.encode(picture);
    }
    report.check(embedding.image_size == size_from(entry.at("original_size_hw")) &&
                     embedding.resized_size == size_from(entry.at("resized_hw")),
                 manifest.folder + name + " sizes", "differ");
    for (const json& config : entry.at("configs")) {
      const PredictOptions options{config.at("multimask_output"), config.at("hq_token_only")};
      const Prediction prediction =
          refiner.predict(embedding, {.boxes = boxes_from(entry.at("boxes_xyxy"))}, options);
      const at::Tensor masks = (prediction.logits > 0).to(at::kByte);
      const auto compare = [&](const std::string& what, const at::Tensor& value) {
        golden.compare(report,
                       manifest.folder + "e2e_" + what + "_" + name +
                           setting(options.multimask, options.hq_token_only) + ".npy",
                       value);
      };
      compare("masks", masks);
      compare("scores", prediction.scores);
      compare("logits", prediction.logits);
      compare("lowres", prediction.low_res);
      const at::Tensor shares = masks.to(at::kDouble).mean({1, 2});
      for (int64_t i = 0; i < shares.size(0); ++i) {
        const double expected = config.at("foreground_fraction")[i];  // of four digits
        report.check(std::abs(shares[i].item<double>() - expected) < 6e-4,
                     manifest.folder + name + " foreground of box " + std::to_string(i),
                     std::to_string(shares[i].item<double>()));
      }
    }
  }
}

// Tensors that the manifests give in words: `FACTOR*u, stream of name "NAME", shape [A,B,...]`.
class Streams {
 public:
  explicit Streams(std::string prefix) : prefix_(std::move(prefix)) {}

  at::Tensor tensor(const std::string& words) const {
    static const std::regex kWords(R"re(([0-9.]+)\*u, stream of name "([^"]+)", shape \[([0-9,]+)\].*)re");
    std::smatch match;
    if (!std::regex_match(words, match, kWords)) throw std::runtime_error("not understood: " + words);
    const auto shape = json::parse("[" + match[3].str() + "]").get<std::vector<int64_t>>();
    return rule_uniform(prefix_ + match[2].str(), shape) * std::stof(match[1]);
  }

  // Noise, smoothed.
  at::Tensor mask_input(int64_t edge) const {
    const at::Tensor noise = rule_uniform(prefix_ + "fixture.mask_input", {1, 1, edge, edge}) * 10;
    return at::avg_pool2d(noise, 9, 1, 4) * 6;
  }

 private:
  std::string prefix_;
};

// The manifests do not say whether the prefix of the weights is in front of the streams too: the stored mask
// does.
Streams find_streams(const HqSamFolder& golden, const std::string& mask_file, const std::string& prefix,
                     int64_t edge) {
  const Streams bare(""), prefixed(prefix);
  if (prefix.empty() || !golden.has(mask_file)) return bare;
  return golden.fits(mask_file, bare.mask_input(edge)) ? bare : prefixed;
}

Prompts prompts_from(const json& boxes, const json& points, const json& labels) {
  Prompts prompts;
  if (!boxes.is_null()) prompts.boxes = boxes_from(boxes);
  if (points.is_null()) return prompts;
  std::vector<double> coordinates;
  for (const json& point : points) coordinates.insert(coordinates.end(), point.begin(), point.end());
  prompts.points = at::tensor(coordinates, at::kDouble).view({1, -1, 2});
  prompts.labels = at::tensor(labels.get<std::vector<int64_t>>(), at::kLong).view({1, -1});
  return prompts;
}

// Prompts in pixels of the network's input, and that they follow from those in pixels of the picture.
Prompts check_prompts(const std::string& name, const json& prompt, GridSize picture, GridSize resized,
                      Report& report) {
  const json &frame = prompt.at("model_frame"), none;
  Prompts expected = frame.at("points").is_null()
                         ? prompts_from(frame.at("boxes"), none, none)
                         : prompts_from(frame.at("boxes"), frame["points"][0], frame.at("labels")[0]);
  for (at::Tensor* coordinates : {&expected.boxes, &expected.points}) {
    if (coordinates->defined()) *coordinates = coordinates->to(at::kFloat);
  }
  const json boxes = prompt.contains("box") ? json::array({prompt["box"]}) : prompt.value("boxes", none);
  const json points = prompt.value("points", json::object());
  const Prompts given = prompts_from(boxes, points.value("coords", none), points.value("labels", none));
  const Prompts scaled = to_resized(given, picture, resized);
  const auto same = [](const at::Tensor& a, const at::Tensor& b) {
    return a.defined() == b.defined() && (!a.defined() || at::equal(a, b));
  };
  report.check(same(scaled.boxes, expected.boxes) && same(scaled.points, expected.points), name,
               "coordinates differ");
  return expected;
}

void check_decoder(HqSamFolder& golden, const Manifest& manifest, HqSam& network, int64_t image_size,
                   const std::string& prefix, Report& report) {
  const json& words = manifest.json;
  const int64_t edge = 4 * Streams("").tensor(words.at("image_embeddings")).size(2);
  const std::string mask_file = manifest.folder + "prompt_mask_input.npy";
  const Streams streams = find_streams(golden, mask_file, prefix, edge);
  const at::Tensor mask = streams.mask_input(edge);
  golden.compare(report, mask_file, mask);
  // Compares what the decoder shows while the scope lives with the files of that name and ending.
  const auto watch = [&](const std::string& ending) {
    return ProbeScope::Observer(
        [&golden, &manifest, &report, ending](const std::string& probed, const at::Tensor& value) {
          if (!probed.starts_with("dec.")) return;
          golden.compare(report, manifest.folder + probed.substr(4) + ending + ".npy", value);
        });
  };
  ImageEmbedding image;
  {
    ProbeScope probe(watch(""));
    image = network->embed_features({streams.tensor(words.at("image_embeddings")),
                                     streams.tensor(words.at("interm_embeddings")).permute({0, 3, 1, 2})});
  }
  golden.compare(report, manifest.folder + "dense_pe.npy", image.dense_code);
  const GridSize picture = size_from(words.at("original_size_hw"));
  for (const auto& [name, prompt] : words.at("prompts").items()) {
    Prompts prompts =
        check_prompts(manifest.folder + name, prompt, picture, resized_size(picture, image_size), report);
    if (prompt.value("mask", false)) prompts.masks = mask;
    RawMasks raw;
    {
      ProbeScope probe(watch("_" + name));
      raw = network->decode(image, prompts);
    }
    const std::vector<at::Tensor> masks = {raw.sam, raw.hq.defined() ? raw.hq : raw.sam.narrow(1, 0, 0)};
    golden.compare(report, manifest.folder + "raw_masks5_" + name + ".npy", at::cat(masks, 1));
    golden.compare(report, manifest.folder + "raw_iou4_" + name + ".npy", raw.predicted_ious);
    for (const bool multimask : {false, true}) {
      for (const bool hq_token_only : {false, true}) {
        if (hq_token_only && !raw.hq.defined()) continue;
        const ChosenMasks chosen = choose_masks(raw, multimask, hq_token_only);
        const std::string ending = name + setting(multimask, hq_token_only) + ".npy";
        golden.compare(report, manifest.folder + "lowres_" + ending, chosen.logits);
        golden.compare(report, manifest.folder + "iou_" + ending, chosen.scores);
      }
    }
  }
}

// --- the published loop over objects

void check_refine(HqSamFolder& golden, const Manifest& manifest, Refiner& refiner,
                  const RefinerConfig& config, Report& report) {
  static const std::regex kLabels(R"(labels_([^/]*)\.npy$)");
  for (const json& entry : manifest.json.at("cases")) {
    const std::string labels_file = entry.at("labels");
    const double threshold = entry.at("iou_threshold");
    const std::string file = std::regex_replace(
        labels_file, kLabels, "refined_$1_t" + std::to_string(std::lround(100 * threshold)) + ".npy");
    const at::Tensor labels = golden.load(labels_file), picture = golden.load(entry.at("image"));
    const double allowed =
        golden.item(file).at("max_mismatch_fraction").get<double>() * static_cast<double>(labels.numel());
    const auto check_count = [&](const std::string& what, int64_t found, int64_t expected) {
      report.check(std::abs(static_cast<double>(found - expected)) <= allowed, file + " " + what,
                   "expected " + std::to_string(expected) + ", found " + std::to_string(found));
    };

    const std::vector<MaskProposal> proposals = refiner.refine(picture, labels);
    const Selection selection = select_masks(labels, proposals, {threshold, "reference"});
    golden.compare(report, file, selection.label_mask);

    const json& objects = entry.at("objects");
    const at::Tensor boxes = box_prompts(labels, config).prompts.boxes;
    at::Tensor num_claims = at::zeros(labels.sizes(), at::kLong);
    report.check(proposals.size() == objects.size() && selection.verdicts.size() == objects.size(),
                 file + " objects", std::to_string(proposals.size()));
    for (size_t i = 0; i < std::min(objects.size(), proposals.size()); ++i) {
      const json& object = objects[i];
      const int64_t id = object.at("id");
      const std::string name = file + " object " + std::to_string(id);
      const Verdict& verdict = selection.verdicts[i];
      const at::Tensor tracked = labels == id, refined = proposals[i].logits > 0;
      report.check(proposals[i].id == id && verdict.id == id, name, "another id");
      report.check(
          at::equal(boxes[static_cast<int64_t>(i)], boxes_from(json::array({object.at("box_xyxy")}))[0]),
          name + " box", "differs");
      report.check(std::abs(proposals[i].score - object.at("score").get<double>()) <=
                       manifest.json.at("score_atol").get<double>(),
                   name + " score", std::to_string(proposals[i].score));
      report.check(std::abs(verdict.iou - object.at("iou").get<double>()) <=
                       manifest.json.at("iou_atol").get<double>(),
                   name + " IoU", std::to_string(verdict.iou));
      report.check((verdict.choice == Choice::kRefined) == object.at("used_sam").get<bool>(),
                   name + " choice", to_string(verdict.choice));
      check_count("pixels refined", refined.sum().item<int64_t>(), object.at("sam_pixels"));
      report.check(tracked.sum().item<int64_t>() == object.at("vmos_pixels"), name + " pixels tracked",
                   "differ");
      num_claims += verdict.choice == Choice::kRefined ? refined : tracked;
    }
    check_count("pixels claimed more than once", (num_claims > 1).sum().item<int64_t>(),
                entry.at("pixels_claimed_more_than_once"));
    const auto regions = label_regions(selection.label_mask);
    for (const auto& [id, pixels] : entry.at("result_histogram").items()) {
      check_count("pixels of " + id, regions[std::stoul(id)].area_px, pixels);
    }
  }
}

// --- one variant after the other

void check_variant(HqSamFolder& golden, const StateDict& checkpoint, Report& report) {
  checkpoint.check(report);
  std::vector<Manifest> of_variant;
  std::string prefix;
  std::optional<int64_t> image_size;
  for (const Manifest& manifest : golden.manifests_with("variant")) {
    if (manifest.json["variant"] != checkpoint.variant()) continue;
    of_variant.push_back(manifest);
    prefix = manifest.json.value("name_prefix", prefix);
    if (manifest.json.contains("input_size")) image_size = manifest.json["input_size"].get<int64_t>();
  }
  const RefinerConfig config = checkpoint.config(image_size);
  HqSam network(config);
  load_hq_sam_weights(network, checkpoint.weights(prefix), checkpoint.variant());
  Refiner refiner(network, config);
  for (const Manifest& manifest : of_variant) {
    report.guard(manifest.folder, [&] {
      if (manifest.json.contains("images")) check_pictures(golden, manifest, refiner, report);
      if (manifest.json.contains("prompts")) {
        check_decoder(golden, manifest, network, config.image_size, prefix, report);
      }
      if (manifest.json.contains("cases")) check_refine(golden, manifest, refiner, config, report);
    });
  }
}

}  // namespace

void check_hq_sam(const std::filesystem::path& folder, Report& report) {
  namespace fs = std::filesystem;
  c10::InferenceMode guard;
  HqSamFolder golden(folder);
  report.guard("weight rule", [&] { check_weight_rule(golden, report); });
  for (const Manifest& manifest : golden.manifests_with("dilation_pixels")) {
    report.guard(manifest.folder, [&] { check_boundary(golden, manifest, report); });
  }
  for (const Manifest& manifest : golden.manifests_with("target")) {
    report.guard(manifest.folder, [&] { check_preprocess(golden, manifest, report); });
  }
  std::map<uintmax_t, fs::path> checkpoints;  // small ones first
  for (const auto& entry : fs::directory_iterator(folder / "state_dict")) {
    checkpoints[entry.file_size()] = entry.path();
  }
  for (const auto& [size, path] : checkpoints) {
    report.guard(path.filename().string(), [&] { check_variant(golden, StateDict(path), report); });
  }
  golden.check_all_used(report);
}

}  // namespace hqtrack::parity
