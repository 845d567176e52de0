#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/prompt.h"

namespace hqtrack {

/// What a detector, or a person who marks pictures, says of one object in one picture.
struct Detection {
  int64_t frame_index = 0;               // which picture, counted from 0
  std::optional<int64_t> object_id;      // MOT: who it is in all frames
  std::optional<int64_t> annotation_id;  // COCO data set: its number in the file
  int64_t category_id = 0;
  std::string name;    // of its category; may be empty
  PromptBox box;       // may lie beside the picture or be without area
  double score = 1;    // as the detector counts; 1 where the file has none
  std::string source;  // where it stands, for messages: "FILE:LINE" or "FILE: annotations[3]"
};

/// A picture of a COCO data set.
struct DetectedPicture {
  int64_t id = 0;
  std::string file_name;
  int64_t height = 0, width = 0;  // 0: not said
};

struct DetectionFile {
  std::filesystem::path file;
  std::vector<Detection> detections;          // in the order of the file
  std::vector<DetectedPicture> pictures;      // COCO data set: by frame_index, ascending ids; else empty
  std::map<int64_t, std::string> categories;  // COCO data set: names by id
  bool is_of_one_picture = false;             // COCO only: which frame it is, the file does not know

  /// Frames with detections, ascending.
  std::vector<int64_t> frames() const;
};

/// Reads one of these, told apart by their contents:
/// - COCO results: a list of {image_id, category_id, bbox: [x, y, width, height], score}; the image_id is the
///   frame, counted from 0; where it is the same in all of the file, it is taken for 0.
/// - COCO data set: an object with images, annotations and categories. The images in order of their ids are
///   the frames. Annotations marked iscrowd are left out, and so are segmentations.
/// - MOT text (det.txt, gt.txt): lines of frame,id,x,y,width,height[,conf...]; frames and pixels are counted
///   from 1 there. Ids below 1 are none.
/// Throws MediaError naming the file and the line or the entry, expected and found.
DetectionFile read_detections(const std::filesystem::path& file);

}  // namespace hqtrack
