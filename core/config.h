#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "core/score_map.h"

namespace hqtrack {

/// Image encoder of VMOS. Every encoder gives features at stride 4, 8 and 16.
struct EncoderConfig {
  std::string type = "internimage";              // internimage | efficientnet_lite0
  int64_t channels = 64;                         // internimage: channels of the first level; doubled twice
  std::vector<int64_t> depths = {4, 4, 18, 4};   // internimage: blocks per level
  std::vector<int64_t> groups = {4, 8, 16, 32};  // internimage: DCNv3 groups per level
};

/// Gated propagation at one scale.
struct PropagationConfig {
  int64_t num_blocks = 3;
  int64_t width = 256;      // channels of the visual and of the identity branch
  int64_t key_width = 128;  // channels of queries and keys
  int64_t self_pool = 1;  // cells an edge whose means self-attention looks at; 1: at each cell, as published
  /// Of long-term memory, on a CPU: as many of its cells as these frames have are looked at one by one, those
  /// that hold most of the attention, all others in groups (core/grouped_attention.h). 0: all one by one.
  double exact_frames = 0.0;
};

/// How a frame becomes the network's input (docs/vmos.md, section 1).
struct PreprocessConfig {
  int64_t short_edge = 480;
  std::string short_edge_rule =
      "at_least";  // at_least: only smaller frames are enlarged | exactly: always resized
  int64_t max_long_edge = 1040;
  std::array<double, 3> mean = {0.485, 0.456, 0.406};  // RGB, of values 0..1
  std::array<double, 3> std = {0.229, 0.224, 0.225};
};

/// What is remembered, and for how long (docs/vmos.md, section 7).
struct MemoryConfig {
  int64_t interval_frames = 50;         // between writes to long-term memory
  int64_t long_term_frames = 6;         // kept at 16x, the first reference included
  int64_t long_term_frames_8x = 6;      // kept at 8x
  int64_t short_term_delay_frames = 4;  // short-term memory is the frame this many frames ago
};

/// The part of a frame that the network looks at (docs/vmos.md, section 10).
struct SearchRegionConfig {
  /// "frame": all of it, as published. "objects": the surroundings of the objects, enlarged to the size that
  /// the whole frame would have.
  std::string mode = "frame";
  double margin = 0.15;        // around the objects, times the square root of their outer box's area; and
  double frame_margin = 0.08;  // besides, times the frame's short edge
  double smallest = 0.4;       // of the frame's edges
};

/// What a mask's score is, and below which an object is called uncertain or lost.
struct StateConfig {
  ScoreMap score;  // of the mean probability over the mask
  double uncertain_below = 0.75;
  double lost_below = 0.55;  // such a mask is not given out: the object is said to be lost
};

/// The VMOS network and the rules around it.
struct TrackerConfig {
  std::string weights;  // file; relative to the configuration file, with --set to the working directory
  EncoderConfig encoder;
  PropagationConfig propagation_16x = {3, 256, 128};
  PropagationConfig propagation_8x = {1, 128, 64};
  int64_t width_4x = 64;            // channels of the fused map at stride 4; the head has twice as many
  int64_t local_radius = 7;         // short-term attention sees (2 r + 1)^2 cells
  int64_t objects_per_engine = 10;  // identity slots beside background
  PreprocessConfig preprocess;
  SearchRegionConfig search_region;
  MemoryConfig memory;
  StateConfig states;
  /// Parts of a mask farther from where the object was than this, times the square root of its area, are
  /// dropped (docs/vmos.md, section 12); 0: none, as published.
  double stray_margin = 0.0;
  std::string precision = "fp32";  // fp32 | bf16 | int8 | fp16: of dot products (core/precision.h)
  /// "right": ids with gaps get dense slots, lost objects leave the mask. "reference": ids are slots, every
  /// pixel stays (docs/vmos.md, section 8).
  std::string compatibility = "right";
};

/// Image encoder of the refiner: the ViT of SAM, the TinyViT of MobileSAM (docs/hqsam.md, sections 3 and 4),
/// or the EfficientNet-Lite0 of the embedded model, whose sizes are fixed. One number a stage: a ViT is one
/// stage; the first of TinyViT's four is convolutional and has no heads and windows.
struct RefinerEncoderConfig {
  std::string type = "vit";  // vit | tiny_vit | efficientnet_lite0
  std::vector<int64_t> widths = {1280};
  std::vector<int64_t> depths = {32};  // blocks
  std::vector<int64_t> heads = {16};
  std::vector<int64_t> windows = {14};                   // cells an edge
  std::vector<int64_t> global_blocks = {7, 15, 23, 31};  // vit: blocks that see the whole grid
};

/// Prompt encoder and mask decoder of the refiner (docs/hqsam.md, sections 5 and 6).
struct RefinerDecoderConfig {
  int64_t width = 256;  // channels of tokens and of the image embedding
  int64_t heads = 8;
  int64_t mlp_width = 2048;
  bool hq_branch = true;  // false: plain SAM, without the HQ token
};

/// HQ-SAM and how it is asked (docs/hqsam.md).
struct RefinerConfig {
  /// Every which frame is refined: 0 none, 1 each, N those with indices 0, N, 2 N ... In the file the key
  /// `refine`: off, always, every:N, or adaptive.
  int64_t every_frames = 0;
  /// Of those frames, only the objects for which it pays (pipeline/refine_schedule.h).
  bool is_adaptive = false;
  double pays_below_iou = 0.95;      // refining an object paid where it left less agreement than this
  int64_t longest_wait_frames = 16;  // no object is left alone for longer
  std::string weights;  // file; relative to the configuration file, with --set to the working directory
  /// `refiner.variant` (vit_b, vit_l, vit_h or vit_tiny) sets all of it at once, before single keys do.
  RefinerEncoderConfig encoder;
  RefinerDecoderConfig decoder;
  int64_t image_size = 1024;  // pixels of the long edge, and of the padded square
  /// true: the best of three SAM masks by the network's own estimate; false: the first one, always.
  bool multimask = true;
  bool hq_token_only = false;  // true: the HQ mask alone instead of its sum with the SAM mask
  double box_margin = 0.0;     // added to each side of a box, times its longer edge
  int64_t min_area_px = 1;     // smaller objects are not refined
  /// "frame": each frame is encoded once, the prompt of an object is its box. "crop": the surroundings of
  /// each object are encoded, the prompt is its box and its mask.
  std::string mode = "frame";
  double crop_margin = 0.2;        // around an object's box, times its longer edge; and besides:
  int64_t crop_margin_px = 8;      // pixels
  double prompt_residual = 0.0;    // share of a mask prompt's logits that is added to the refined mask
  std::string precision = "fp32";  // fp32 | bf16 | int8 | fp16: of dot products (core/precision.h)
  bool look_again = false;         // the tracker looks again at masks made of boxes and points
};

/// Choice between tracked and refined masks (docs/hqsam.md, section 8).
struct SelectorConfig {
  double iou_threshold = 0.1;  // a refined mask that agrees less with the tracked one is not taken
  /// "right": where masks overlap, the higher logit wins. "reference": as published, wrong ids included.
  std::string compatibility = "right";
};

/// Overlay video.
struct OverlayConfig {
  double mask_opacity = 0.45;
  bool draw_labels = true;
};

/// Encoding of the overlay video.
struct EncodeConfig {
  std::string codec = "auto";  // auto: libx264 (libvpx-vp9 in .webm), or an FFmpeg encoder's name
  int64_t quality = 20;        // constant rate factor: lower is better and larger
  std::string preset = "veryfast";
};

/// What only `hqtrack train refiner` asks (docs/training.md).
struct RefinerTrainConfig {
  /// "hq_head": the HQ token with its layers, all of SAM stays as it is (docs/hqsam.md, section 6). "all":
  /// everything; the encoder's trunk by `train.encoder_learning_rate_ratio`.
  std::string trained = "all";
  int64_t prompts_per_picture = 4;
  /// How often each kind of prompt is drawn, in relation to the others.
  double box_share = 0.40;            // a box alone
  double point_share = 0.22;          // points alone
  double box_and_point_share = 0.06;  // both
  double mask_share = 0.32;           // a wrong mask and a box
  double box_jitter = 0.05;           // sigma of a box's edges, as a share of its size
  double zoom_share = 0.55;           // share of synthetic stills that are cut out around one object
  double tracked_share = 0.0;         // share of synthetic stills with the masks of the real tracker
  double pairs_share = 0.5;           // share of real pictures with masks, where some are given
  int64_t max_objects = 5;            // in a synthetic still
  int64_t validation_pictures = 48;   // of each kind, asked about at every checkpoint; 0: none
};

/// `hqtrack train` (docs/training.md).
struct TrainConfig {
  int64_t seed = 1;
  int64_t crop_height_px = 161;  // of the clips, 16 k + 1
  int64_t crop_width_px = 161;
  int64_t clip_frames = 4;
  int64_t batch_size = 4;
  int64_t num_steps = 20000;  // length of the schedule
  double max_minutes = 0;     // 0: no limit; else the schedule runs against the clock
  double learning_rate = 1e-3;
  double final_learning_rate_ratio = 0.03;
  double encoder_learning_rate_ratio = 0.0;  // 0 freezes the encoder
  int64_t warmup_steps = 60;
  double weight_decay = 0.03;
  double gradient_clip_norm = 1.0;
  double ema_decay = 0.997;
  double auxiliary_weight = 0.3;  // attention maps carry labels; falls during training
  double hard_pixel_ratio = 0.2;  // share of pixels in the cross entropy once `hard_pixel_steps` are over
  int64_t hard_pixel_steps = 1500;
  double teacher_forcing = 0.5;  // probability that a true map enters memory; falls during training
  double memory_damage = 0.6;    // probability that the map entering memory is damaged
  int64_t max_objects = 6;
  int64_t max_distractors = 2;
  int64_t max_gap_frames = 3;       // frames skipped between the reference and the next one
  double motion_strength = 1.0;     // factor on all motion of synthetic clips
  double hard_share = 0.0;          // share of synthetic clips with each of the hard things
  double sequence_share = 0.5;      // share of clips from real sequences, where some are given
  int64_t sequence_gap_frames = 3;  // frames from one to the next in those, at most
  int64_t loader_threads = 1;       // threads that make clips
  double checkpoint_minutes = 5;
  RefinerTrainConfig refiner;
};

struct Config {
  std::filesystem::path file;  // where it was read; empty for built-in defaults
  TrackerConfig tracker;
  RefinerConfig refiner;
  SelectorConfig selector;
  OverlayConfig overlay;
  EncodeConfig encode;
  TrainConfig train;
};

/// Names and sizes of the published encoders of the refiner.
const std::vector<std::pair<std::string, RefinerEncoderConfig>>& refiner_variants();

/// Reads a YAML file and applies `key.sub=value` overrides. Keys that are left out keep their defaults.
/// Throws ConfigError naming file, line and key for an unreadable file, an unknown key, a value of the wrong
/// type or out of range.
Config load_config(const std::filesystem::path& file, const std::vector<std::string>& overrides = {});

}  // namespace hqtrack
