#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace hqtrack {

/// One picture of a sequence and, where there is one, its true masks.
struct AnnotatedFrame {
  std::filesystem::path image;
  std::filesystem::path annotation;  // empty where the frame has none
};

/// The rules of a data set. DAVIS: the objects of the first frame, scored in all annotated frames but the
/// first and the last. YouTube-VOS: objects enter with the first annotation that shows them, and are scored
/// in all annotated frames after it.
enum class VosRules { kDavis, kYoutubeVos };

struct DavisSequence {
  std::string name;
  std::vector<AnnotatedFrame> frames;  // by file name, from the first annotated one on
  VosRules rules = VosRules::kDavis;

  /// Positions in `frames` of the annotated ones that are scored.
  std::vector<size_t> scored_frames() const;
};

/// Lists the sequences of a data set in the layout of DAVIS,
///   ROOT/JPEGImages/480p/SEQUENCE/00000.jpg   ROOT/Annotations/480p/SEQUENCE/00000.png
/// (also with 1080p or Full-Resolution for 480p) or of YouTube-VOS, which has no folder of the resolution and
/// may annotate only some of the frames. Pictures may be .jpg, .jpeg or .png.
///
/// list_file: one sequence a line; also the lists of DAVIS 2016, which name every picture and its annotation.
/// Empty lines and those after # are passed over. A file that is not there is looked for below ROOT. An empty
/// path means every sequence that has annotations, by name.
///
/// Throws MediaError naming the file or folder: list or layout not found, an unknown sequence, an annotation
/// without its picture, for DAVIS fewer than three annotated frames.
std::vector<DavisSequence> read_davis_dataset(const std::filesystem::path& root,
                                              const std::filesystem::path& list_file = {},
                                              VosRules rules = VosRules::kDavis);

/// What is hard about a sequence, by its name: "FM" fast motion, "OCC" occlusion ... (Perazzi et al. 2016,
/// table 1).
using DavisAttributes = std::map<std::string, std::vector<std::string>>;

/// Reads the list that comes with DAVIS (db_info.yaml or db_info.yml): `sequences`, each with `name` and
/// `attributes`; sequences without attributes are passed over. Throws MediaError naming file and line for
/// another file, and when no sequence has any.
DavisAttributes read_davis_attributes(const std::filesystem::path& file);

/// The true masks of a frame: uint8 [H, W], values = object ids; void (255 of a label map) becomes
/// background. Throws MediaError naming the file.
at::Tensor read_annotation(const std::filesystem::path& file);

}  // namespace hqtrack
