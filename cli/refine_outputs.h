#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "cli/refine_arguments.h"
#include "core/frame.h"
#include "io/coco_writer.h"

namespace hqtrack {

/// Looks at the outputs before any work is done. Throws UsageError where two pictures would be written under
/// one name, or an output is an input; OutputError where one is there already and may not be replaced, or the
/// folder cannot be written to. inputs: what is read, the pictures among them.
void check_refine_outputs(const RefineArguments& arguments,
                          const std::vector<std::filesystem::path>& pictures,
                          const std::vector<std::filesystem::path>& inputs);

/// Who a mask belongs to.
struct RefinedObject {
  std::string name;                                   // of its category; may be empty
  std::optional<int64_t> category_id, annotation_id;  // as the input has them
};

/// Writes what was found, picture by picture. Files are complete as soon as they have their names.
class RefineOutputs {
 public:
  /// last_annotation_id: the highest one that is given by the input.
  RefineOutputs(std::filesystem::path folder, std::set<RefineFormat> formats, int64_t last_annotation_id);

  /// image: uint8 RGB [H, W, 3]. name: of its file; id: as COCO counts.
  void begin_picture(const std::string& name, int64_t id, const at::Tensor& image);
  /// Writes the cut-out. The mask has to have a pixel.
  void add(const RefinedObject& object, const MaskProposal& mask);
  /// Writes the label mask: where masks overlap, the surer one has the pixel.
  void end_picture();
  /// Writes the COCO file of all pictures that were ended. Where these are not all there are to be, a file
  /// that is there already is left, which is said.
  void finish(bool is_complete);

  int64_t num_objects() const { return num_objects_; }

 private:
  int64_t category_of(const RefinedObject& object);

  std::filesystem::path folder_;
  std::set<RefineFormat> formats_;
  int64_t last_annotation_id_;
  int64_t num_objects_ = 0;
  CocoFile coco_;

  // The picture at hand.
  std::string stem_;
  CocoImage described_;
  at::Tensor image_, labels_, surest_;
};

}  // namespace hqtrack
