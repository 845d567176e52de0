#include "core/config.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <functional>
#include <numeric>
#include <optional>
#include <set>
#include <sstream>
#include <string_view>

#include "core/error.h"

namespace hqtrack {
namespace {
namespace fs = std::filesystem;

constexpr int64_t kNoLimit = int64_t{1} << 40;
constexpr const char* kVariantKey = "refiner.variant";

struct IntegerRange {
  int64_t at_least = 0;
  int64_t at_most = kNoLimit;
  int64_t step = 1;  // values are step * k + remainder
  int64_t remainder = 0;
};

struct RealRange {
  double at_least = 0.0;
  double at_most = 1.0;
};

std::string number(double value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

std::string describe(const IntegerRange& range) {
  std::string text = range.at_most == kNoLimit
                         ? ", at least " + std::to_string(range.at_least)
                         : " from " + std::to_string(range.at_least) + " to " + std::to_string(range.at_most);
  if (range.step > 1) {
    text += ", of the form " + std::to_string(range.step) + " k";
    if (range.remainder != 0) text += " + " + std::to_string(range.remainder);
  }
  return text;
}

std::string describe(const RealRange& range) {
  return " from " + number(range.at_least) + " to " + number(range.at_most);
}

/// A number written plainly: no quotes, nothing before or behind it.
template <class Number>
std::optional<Number> parse(const YAML::Node& node) {
  if (!node.IsScalar() || node.Tag() == "!") return std::nullopt;
  const std::string& text = node.Scalar();
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<int64_t> parse_in(const YAML::Node& node, const IntegerRange& range) {
  const auto value = parse<int64_t>(node);
  const bool fits = value && *value >= range.at_least && *value <= range.at_most &&
                    (*value - range.remainder) % range.step == 0;
  return fits ? value : std::nullopt;
}

std::optional<double> parse_in(const YAML::Node& node, const RealRange& range) {
  const auto value = parse<double>(node);
  const bool fits = value && *value >= range.at_least && *value <= range.at_most;  // false for NaN
  return fits ? value : std::nullopt;
}

/// One key of the file: what it accepts, in words, and how its value reaches the struct.
struct Field {
  std::string key;
  std::string expected;
  std::function<bool(const YAML::Node&)> assign;  // false, and nothing is changed: not what was expected
};

/// Takes the value of `refine`.
bool assign_schedule(const YAML::Node& node, RefinerConfig& refiner) {
  if (!node.IsScalar()) return false;
  const std::string& text = node.Scalar();
  const std::string prefix = "every:";
  int64_t every = text == "off" ? 0 : 1;
  if (text.starts_with(prefix)) {
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data() + prefix.size(), end, every);
    if (error != std::errc() || rest != end || every < 1) return false;
  } else if (text != "off" && text != "always" && text != "adaptive") {
    return false;
  }
  refiner.every_frames = every;
  refiner.is_adaptive = text == "adaptive";
  return true;
}

/// All keys of a configuration, bound to the fields of one Config.
class Fields {
 public:
  explicit Fields(Config& config) {
    bind_tracker(config.tracker);
    bind_refiner(config.refiner);
    bind_selector(config.selector);
    bind_overlay(config.overlay);
    bind_encode(config.encode);
    bind_train(config.train);
  }

  const Field* find(const std::string& key) const {
    const auto found =
        std::find_if(fields_.begin(), fields_.end(), [&](const Field& f) { return f.key == key; });
    return found == fields_.end() ? nullptr : &*found;
  }

  bool is_section(const std::string& key) const {
    return key.empty() || std::any_of(fields_.begin(), fields_.end(),
                                      [&](const Field& f) { return f.key.starts_with(key + "."); });
  }

  const std::vector<Field>& all() const { return fields_; }

 private:
  template <class Range, class Number>
  void add_number(const std::string& key, Number& target, const Range& range, const std::string& kind) {
    fields_.push_back({key, kind + describe(range), [&target, range](const YAML::Node& node) {
                         const auto value = parse_in(node, range);
                         if (value) target = *value;
                         return value.has_value();
                       }});
  }

  /// `count` values, or any number of them.
  template <class Range, class List>
  void add_list(const std::string& key, List& target, const Range& range, const std::string& kind,
                std::optional<size_t> count) {
    const std::string number = count ? std::to_string(*count) + " " : "";
    const std::string expected = "a list of " + number + kind + describe(range);
    fields_.push_back({key, expected, [&target, range, count](const YAML::Node& node) {
                         if (!node.IsSequence() || node.size() != count.value_or(node.size())) return false;
                         List values = target;
                         if constexpr (requires { values.resize(0); }) values.resize(node.size());
                         for (size_t i = 0; i < node.size(); ++i) {
                           const auto value = parse_in(node[i], range);
                           if (!value) return false;
                           values[i] = *value;
                         }
                         target = values;
                         return true;
                       }});
  }

  void integer(const std::string& key, int64_t& target, IntegerRange range) {
    add_number(key, target, range, "a whole number");
  }
  void real(const std::string& key, double& target, RealRange range = {}) {
    add_number(key, target, range, "a number");
  }
  void integers(const std::string& key, std::vector<int64_t>& target, IntegerRange range) {
    add_list(key, target, range, "whole numbers", target.size());
  }
  void integers_of_any_count(const std::string& key, std::vector<int64_t>& target, IntegerRange range) {
    add_list(key, target, range, "whole numbers", std::nullopt);
  }
  void reals(const std::string& key, std::array<double, 3>& target, RealRange range) {
    add_list(key, target, range, "numbers", target.size());
  }

  void flag(const std::string& key, bool& target) {
    fields_.push_back({key, "true or false", [&target](const YAML::Node& node) {
                         if (!node.IsScalar() || node.Tag() == "!") return false;
                         if (node.Scalar() != "true" && node.Scalar() != "false") return false;
                         target = node.Scalar() == "true";
                         return true;
                       }});
  }

  void text(const std::string& key, std::string& target) {
    fields_.push_back({key, "a text", [&target](const YAML::Node& node) {
                         if (!node.IsScalar()) return false;
                         target = node.Scalar();
                         return true;
                       }});
  }

  void choice(const std::string& key, std::string& target, const std::vector<std::string>& options) {
    std::string expected = options.front();
    for (size_t i = 1; i < options.size(); ++i)
      expected += (i + 1 < options.size() ? ", " : " or ") + options[i];
    fields_.push_back({key, expected, [&target, options](const YAML::Node& node) {
                         if (!node.IsScalar()) return false;
                         if (std::find(options.begin(), options.end(), node.Scalar()) == options.end())
                           return false;
                         target = node.Scalar();
                         return true;
                       }});
  }

  void bind_propagation(const std::string& key, PropagationConfig& propagation, int64_t at_most_blocks) {
    integer(key + ".num_blocks", propagation.num_blocks, {1, at_most_blocks});
    integer(key + ".width", propagation.width, {8, 4096, 8});
    integer(key + ".key_width", propagation.key_width, {1, 4096});
    integer(key + ".self_pool", propagation.self_pool, {1, 8});
    real(key + ".exact_frames", propagation.exact_frames, {0.0, 1024.0});
  }

  void bind_tracker(TrackerConfig& tracker) {
    text("tracker.weights", tracker.weights);
    choice("tracker.encoder.type", tracker.encoder.type, {"internimage", "efficientnet_lite0"});
    integer("tracker.encoder.channels", tracker.encoder.channels, {2, 1024, 2});
    integers("tracker.encoder.depths", tracker.encoder.depths, {1, 256});
    integers("tracker.encoder.groups", tracker.encoder.groups, {1, 1024});
    bind_propagation("tracker.propagation_16x", tracker.propagation_16x, 16);
    bind_propagation("tracker.propagation_8x", tracker.propagation_8x, 1);
    integer("tracker.width_4x", tracker.width_4x, {8, 4096, 8});
    integer("tracker.local_radius", tracker.local_radius, {1, 31});
    integer("tracker.objects_per_engine", tracker.objects_per_engine, {1, 255});
    integer("tracker.preprocess.short_edge", tracker.preprocess.short_edge, {17, 8192});
    choice("tracker.preprocess.short_edge_rule", tracker.preprocess.short_edge_rule, {"at_least", "exactly"});
    integer("tracker.preprocess.max_long_edge", tracker.preprocess.max_long_edge, {17, 16384});
    reals("tracker.preprocess.mean", tracker.preprocess.mean, {0.0, 1.0});
    reals("tracker.preprocess.std", tracker.preprocess.std, {0.001, 10.0});
    choice("tracker.search_region.mode", tracker.search_region.mode, {"frame", "objects"});
    real("tracker.search_region.margin", tracker.search_region.margin, {0.0, 10.0});
    real("tracker.search_region.frame_margin", tracker.search_region.frame_margin, {0.0, 1.0});
    real("tracker.search_region.smallest", tracker.search_region.smallest, {0.01, 1.0});
    integer("tracker.memory.interval_frames", tracker.memory.interval_frames, {1});
    integer("tracker.memory.long_term_frames", tracker.memory.long_term_frames, {1, 1024});
    integer("tracker.memory.long_term_frames_8x", tracker.memory.long_term_frames_8x, {1, 1024});
    integer("tracker.memory.short_term_delay_frames", tracker.memory.short_term_delay_frames, {1, 256});
    real("tracker.states.score_scale", tracker.states.score.scale, {0.01, 100});
    real("tracker.states.score_offset", tracker.states.score.offset, {-100, 100});
    real("tracker.states.uncertain_below", tracker.states.uncertain_below);
    real("tracker.states.lost_below", tracker.states.lost_below);
    real("tracker.stray_margin", tracker.stray_margin, {0.0, 100.0});
    choice("tracker.precision", tracker.precision, {"fp32", "bf16", "int8", "fp16"});
    choice("tracker.compatibility", tracker.compatibility, {"right", "reference"});
  }

  void bind_refiner(RefinerConfig& refiner) {
    fields_.push_back({"refine", "off, always, adaptive or every:N with N above 0",
                       [&refiner](const YAML::Node& node) { return assign_schedule(node, refiner); }});
    real("refiner.pays_below_iou", refiner.pays_below_iou, {0.0, 1.0});
    integer("refiner.longest_wait_frames", refiner.longest_wait_frames, {1});
    text("refiner.weights", refiner.weights);
    std::string names;
    for (const auto& [name, sizes] : refiner_variants()) names += (names.empty() ? "" : ", ") + name;
    fields_.push_back({kVariantKey, "one of " + names, [&refiner](const YAML::Node& node) {
                         for (const auto& [name, sizes] : refiner_variants()) {
                           if (!node.IsScalar() || node.Scalar() != name) continue;
                           refiner.encoder = sizes;
                           return true;
                         }
                         return false;
                       }});
    RefinerEncoderConfig& encoder = refiner.encoder;
    choice("refiner.encoder.type", encoder.type, {"vit", "tiny_vit", "efficientnet_lite0"});
    integers_of_any_count("refiner.encoder.widths", encoder.widths, {8, 8192, 8});
    integers_of_any_count("refiner.encoder.depths", encoder.depths, {1, 256});
    integers_of_any_count("refiner.encoder.heads", encoder.heads, {1, 256});
    integers_of_any_count("refiner.encoder.windows", encoder.windows, {1, 256});
    integers_of_any_count("refiner.encoder.global_blocks", encoder.global_blocks, {0, 255});
    integer("refiner.decoder.width", refiner.decoder.width, {32, 4096, 32});
    integer("refiner.decoder.heads", refiner.decoder.heads, {1, 256});
    integer("refiner.decoder.mlp_width", refiner.decoder.mlp_width, {1, 65536});
    flag("refiner.decoder.hq_branch", refiner.decoder.hq_branch);
    integer("refiner.image_size", refiner.image_size, {32, 8192, 16});
    flag("refiner.multimask", refiner.multimask);
    flag("refiner.hq_token_only", refiner.hq_token_only);
    real("refiner.box_margin", refiner.box_margin, {0.0, 10.0});
    integer("refiner.min_area_px", refiner.min_area_px, {1});
    choice("refiner.mode", refiner.mode, {"frame", "crop"});
    real("refiner.crop_margin", refiner.crop_margin, {0.0, 10.0});
    integer("refiner.crop_margin_px", refiner.crop_margin_px, {0, 4096});
    real("refiner.prompt_residual", refiner.prompt_residual, {0.0, 1.0});
    flag("refiner.look_again", refiner.look_again);
    choice("refiner.precision", refiner.precision, {"fp32", "bf16", "int8", "fp16"});
  }

  void bind_selector(SelectorConfig& selector) {
    real("selector.iou_threshold", selector.iou_threshold);
    choice("selector.compatibility", selector.compatibility, {"right", "reference"});
  }

  void bind_overlay(OverlayConfig& overlay) {
    real("overlay.mask_opacity", overlay.mask_opacity);
    flag("overlay.draw_labels", overlay.draw_labels);
  }

  void bind_encode(EncodeConfig& encode) {
    text("encode.codec", encode.codec);
    integer("encode.quality", encode.quality, {0, 63});
    text("encode.preset", encode.preset);
  }

  void bind_train(TrainConfig& train) {
    integer("train.seed", train.seed, {0});
    integer("train.crop_height_px", train.crop_height_px, {33, 2049, 16, 1});
    integer("train.crop_width_px", train.crop_width_px, {33, 2049, 16, 1});
    integer("train.clip_frames", train.clip_frames, {2, 256});
    integer("train.batch_size", train.batch_size, {1, 4096});
    integer("train.num_steps", train.num_steps, {1});
    real("train.max_minutes", train.max_minutes, {0.0, 1e6});
    real("train.learning_rate", train.learning_rate, {0.0, 10.0});
    real("train.final_learning_rate_ratio", train.final_learning_rate_ratio);
    real("train.encoder_learning_rate_ratio", train.encoder_learning_rate_ratio);
    integer("train.warmup_steps", train.warmup_steps, {0});
    real("train.weight_decay", train.weight_decay);
    real("train.gradient_clip_norm", train.gradient_clip_norm, {1e-6, 1e6});
    real("train.ema_decay", train.ema_decay);
    real("train.auxiliary_weight", train.auxiliary_weight, {0.0, 100.0});
    real("train.hard_pixel_ratio", train.hard_pixel_ratio, {0.001, 1.0});
    integer("train.hard_pixel_steps", train.hard_pixel_steps, {0});
    real("train.teacher_forcing", train.teacher_forcing);
    real("train.memory_damage", train.memory_damage);
    integer("train.max_objects", train.max_objects, {1, 255});
    integer("train.max_distractors", train.max_distractors, {0, 255});
    integer("train.max_gap_frames", train.max_gap_frames, {0, 1000});
    real("train.motion_strength", train.motion_strength, {0.0, 10.0});
    real("train.hard_share", train.hard_share, {0.0, 1.0});
    real("train.sequence_share", train.sequence_share);
    integer("train.sequence_gap_frames", train.sequence_gap_frames, {1, 1000});
    integer("train.loader_threads", train.loader_threads, {1, 256});
    real("train.checkpoint_minutes", train.checkpoint_minutes, {0.0, 1e6});
    RefinerTrainConfig& refiner = train.refiner;
    choice("train.refiner.trained", refiner.trained, {"hq_head", "all"});
    integer("train.refiner.prompts_per_picture", refiner.prompts_per_picture, {1, 256});
    real("train.refiner.box_share", refiner.box_share);
    real("train.refiner.point_share", refiner.point_share);
    real("train.refiner.box_and_point_share", refiner.box_and_point_share);
    real("train.refiner.mask_share", refiner.mask_share);
    real("train.refiner.box_jitter", refiner.box_jitter);
    real("train.refiner.zoom_share", refiner.zoom_share);
    real("train.refiner.tracked_share", refiner.tracked_share);
    real("train.refiner.pairs_share", refiner.pairs_share);
    integer("train.refiner.max_objects", refiner.max_objects, {1, 10});
    integer("train.refiner.validation_pictures", refiner.validation_pictures, {0, 100000});
  }

  std::vector<Field> fields_;
};

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t replaced = diagonal + (a[i] != b[j] ? 1 : 0);
      diagonal = row[j + 1];
      row[j + 1] = std::min({row[j] + 1, row[j + 1] + 1, replaced});
    }
  }
  return row.back();
}

std::string last_part(const std::string& key) { return key.substr(key.rfind('.') + 1); }

/// The known key that was probably meant: the same name in another section, or the same with few letters
/// changed. Empty when nothing is near.
std::string nearest_key(const Fields& fields, const std::string& key) {
  std::set<std::string> known;
  for (const Field& field : fields.all()) {
    for (size_t dot = field.key.find('.'); dot != std::string::npos; dot = field.key.find('.', dot + 1)) {
      known.insert(field.key.substr(0, dot));
    }
    known.insert(field.key);
  }
  std::string nearest;
  size_t least = std::max<size_t>(2, last_part(key).size() / 3) + 1;
  for (const std::string& candidate : known) {
    const bool is_same_name = last_part(candidate) == last_part(key);
    const size_t distance = is_same_name ? 1 : edit_distance(candidate, key);
    if (distance < least) {
      least = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

std::string found(const YAML::Node& node) {
  constexpr size_t kLongest = 60;
  if (node.IsNull()) return "nothing";
  YAML::Emitter emitter;
  emitter.SetMapFormat(YAML::Flow);
  emitter.SetSeqFormat(YAML::Flow);
  emitter << node;
  std::string text = node.IsScalar() ? node.Scalar() : emitter.c_str();
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < ' ' || c == 127; }, ' ');
  if (text.size() > kLongest) text = text.substr(0, kLongest) + "...";
  return "'" + text + "'";
}

[[noreturn]] void throw_unknown(const Fields& fields, const std::string& place, const std::string& key) {
  const std::string nearest = nearest_key(fields, key);
  throw ConfigError(place + ": " + key + ": unknown key" +
                    (nearest.empty() ? "" : ", did you mean " + nearest + "?"));
}

void assign(const Field& field, const YAML::Node& node, const std::string& place) {
  if (!field.assign(node)) {
    throw ConfigError(place + ": " + field.key + ": expected " + field.expected + ", found " + found(node));
  }
}

std::string place_of(const fs::path& file, const YAML::Mark& mark) {
  return mark.is_null() ? file.string() : file.string() + ":" + std::to_string(mark.line + 1);
}

void apply_section(const Fields& fields, const YAML::Node& node, const std::string& section,
                   const fs::path& file) {
  if (node.IsNull()) return;
  if (!node.IsMap()) {
    throw ConfigError(place_of(file, node.Mark()) + ": " + (section.empty() ? "" : section + ": ") +
                      "expected keys with values, found " + found(node));
  }
  std::set<std::string> seen;
  // A variant sets what single keys then change, wherever it stands.
  for (const bool is_variant : {true, false}) {
    for (const auto& entry : node) {
      const std::string place = place_of(file, entry.first.Mark());
      if (!entry.first.IsScalar()) throw ConfigError(place + ": expected a key, found " + found(entry.first));
      const std::string key = section.empty() ? entry.first.Scalar() : section + "." + entry.first.Scalar();
      if ((key == kVariantKey) != is_variant) continue;
      if (!seen.insert(key).second)
        throw ConfigError(place + ": " + key + ": expected once, found a second time");
      if (const Field* field = fields.find(key)) {
        assign(*field, entry.second, place);
      } else if (fields.is_section(key)) {
        apply_section(fields, entry.second, key, file);
      } else {
        throw_unknown(fields, place, key);
      }
    }
  }
}

void apply_file(const Fields& fields, const fs::path& file) {
  std::error_code ignored;
  std::ifstream stream(file);
  if (!stream || fs::is_directory(file, ignored)) {
    throw ConfigError(file.string() + ": expected a readable YAML file, found none");
  }
  try {
    const std::vector<YAML::Node> documents = YAML::LoadAll(stream);
    if (documents.size() > 1)
      throw ConfigError(file.string() + ": expected one YAML document, found several");
    if (!documents.empty()) apply_section(fields, documents.front(), "", file);
  } catch (const YAML::Exception& e) {
    throw ConfigError(place_of(file, e.mark) + ": expected YAML, found an error: " + e.msg);
  }
}

void apply_override(const Fields& fields, const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw ConfigError("--set: expected key.sub=value, found '" + text + "'");
  }
  const std::string key = text.substr(0, equals);
  const Field* field = fields.find(key);
  if (!field && fields.is_section(key)) {
    throw ConfigError("--set: " + key + ": expected a key with a value, found a section");
  }
  if (!field) throw_unknown(fields, "--set", key);
  try {
    assign(*field, YAML::Load(text.substr(equals + 1)), "--set");
  } catch (const YAML::Exception& e) {
    throw ConfigError("--set: " + key + ": expected " + field->expected + ", found an error: " + e.msg);
  }
}

// x265 has the same.
constexpr const char* kX264Presets[] = {"ultrafast", "superfast", "veryfast", "faster",   "fast",
                                        "medium",    "slow",      "slower",   "veryslow", "placebo"};

/// What no single field can tell.
void check_consistency(const Config& config, bool has_overrides) {
  const auto fail = [&](const std::string& message) {
    throw ConfigError(config.file.string() + (has_overrides ? " with --set: " : ": ") + message);
  };
  const StateConfig& states = config.tracker.states;
  if (states.lost_below > states.uncertain_below) {
    fail("tracker.states.lost_below: expected at most uncertain_below (" + number(states.uncertain_below) +
         "), found " + number(states.lost_below));
  }
  const PreprocessConfig& preprocess = config.tracker.preprocess;
  if (preprocess.max_long_edge < preprocess.short_edge) {
    fail("tracker.preprocess.max_long_edge: expected at least short_edge (" +
         std::to_string(preprocess.short_edge) + "), found " + std::to_string(preprocess.max_long_edge));
  }
  if (config.refiner.hq_token_only && !config.refiner.decoder.hq_branch) {
    fail("refiner.hq_token_only: expected false without refiner.decoder.hq_branch, found true");
  }
  const RefinerTrainConfig& train = config.train.refiner;
  if (train.box_share + train.point_share + train.box_and_point_share + train.mask_share <= 0) {
    fail("train.refiner: expected a share above 0 of one kind of prompt, found none");
  }
  const EncodeConfig& encode = config.encode;
  const bool has_x264_names = encode.codec == "auto" || encode.codec.starts_with("libx26");
  if (has_x264_names && std::ranges::find(kX264Presets, encode.preset) == std::end(kX264Presets)) {
    std::string names;
    for (const char* name : kX264Presets) names += (names.empty() ? "" : ", ") + std::string(name);
    fail("encode.preset: expected one of " + names + ", found '" + encode.preset + "'");
  }
  const EncoderConfig& encoder = config.tracker.encoder;
  if (encoder.type != "internimage") return;
  for (size_t level = 0; level < encoder.groups.size(); ++level) {
    const int64_t channels = encoder.channels << std::min<size_t>(level, 2);
    if (channels % encoder.groups[level] != 0) {
      fail("tracker.encoder.groups: expected a divisor of the " + std::to_string(channels) +
           " channels of level " + std::to_string(level) + ", found " +
           std::to_string(encoder.groups[level]));
    }
  }
}

}  // namespace

const std::vector<std::pair<std::string, RefinerEncoderConfig>>& refiner_variants() {
  static const std::vector<std::pair<std::string, RefinerEncoderConfig>> kVariants = {
      {"vit_b", {"vit", {768}, {12}, {12}, {14}, {2, 5, 8, 11}}},
      {"vit_l", {"vit", {1024}, {24}, {16}, {14}, {5, 11, 17, 23}}},
      {"vit_h", {"vit", {1280}, {32}, {16}, {14}, {7, 15, 23, 31}}},
      {"vit_tiny", {"tiny_vit", {64, 128, 160, 320}, {2, 2, 6, 2}, {2, 4, 5, 10}, {7, 7, 14, 7}, {}}},
  };
  return kVariants;
}

Config load_config(const fs::path& file, const std::vector<std::string>& overrides) {
  Config config;
  config.file = file;
  const Fields fields(config);
  // Names in the file are relative to it, those of the command line to the working directory.
  const auto resolve = [&](const fs::path& folder) {
    for (std::string* weights : {&config.tracker.weights, &config.refiner.weights}) {
      if (!weights->empty()) *weights = (folder / *weights).lexically_normal().string();
    }
  };
  apply_file(fields, file);
  resolve(fs::absolute(file).parent_path());
  for (const std::string& text : overrides) apply_override(fields, text);
  resolve(fs::current_path());
  check_consistency(config, !overrides.empty());
  return config;
}

}  // namespace hqtrack
