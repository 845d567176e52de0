#pragma once

#include <filesystem>
#include <string>

#include "core/weights/tensor_file.h"
#include "refiner/hq_sam.h"

namespace hqtrack {

/// Reads a refiner's weights. A file with the entry `trunk` in its metadata leaves out the trunk of the image
/// encoder: it is the encoder of the tracker in the file of that name, in the same folder. Throws
/// WeightsError.
TensorFile read_hq_sam_weights(const std::filesystem::path& file);

/// Leaves the trunk out of a refiner's weights, which will lie beside the file `tracker`. Throws WeightsError
/// unless the encoder there has the same values.
void share_trunk(TensorFile& contents, const std::filesystem::path& tracker, const std::string& source);

/// The encoder of a tracker by the names of a refiner's trunk; empty where there is none.
TensorFile trunk_of_tracker(const TensorFile& tracker);

/// Loads a published checkpoint, or weights saved by this program: HQ-SAM, SAM, MobileSAM or Light HQ-SAM, of
/// the sizes the network was built with. Batch norm is folded into the convolutions before it. A network
/// without HQ branch also takes a checkpoint that has one. Throws WeightsError, before anything is changed:
/// one line that names the checkpoint's variant when it is another, else every name that does not fit.
void load_hq_sam_weights(HqSam& network, const std::filesystem::path& file);
/// `source` stands in front of a message.
void load_hq_sam_weights(HqSam& network, const TensorFile& contents, const std::string& source);

/// "HQ-SAM vit_b" and the like; empty when it is no SAM.
std::string hq_sam_kind(const TensorFile& contents);

/// Of a parameter's name: is it of the HQ branch; of the image encoder without its neck.
bool is_hq_weight(const std::string& name);
bool is_trunk_weight(const std::string& name);

/// Takes each batch norm `NAME.bn` (eps 1e-5, running statistics) into the convolution `NAME.c` before it,
/// which becomes `NAME.weight` and `NAME.bias`. Other tensors stay as they are.
TensorFile fold_batch_norms(const TensorFile& contents);

}  // namespace hqtrack
