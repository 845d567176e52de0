#pragma once

#include "core/weights/file_reader.h"
#include "core/weights/tensor_file.h"

namespace hqtrack {

/// Reads a file of torch.save (PyTorch 1.6 or later: a zip archive with a pickle and raw storages) without
/// Python and without executing anything in it. The tensors are those of the dict under `state_dict`, else
/// under `model`, else of the top level; everything else in a checkpoint (optimizer, counters) is looked over
/// but not loaded. Tensors keep the strides and the sharing of storages they were saved with. Throws
/// WeightsError for a damaged file, a TorchScript archive, a global that tensors do not need (named), and
/// when the dict holds anything but tensors.
TensorFile read_torch_pickle(const FileReader& file);

}  // namespace hqtrack
