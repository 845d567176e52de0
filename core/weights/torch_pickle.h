#pragma once

#include <string_view>

#include "core/weights/file_reader.h"
#include "core/weights/tensor_file.h"

namespace hqtrack {

/// Whether a file that begins with these bytes (16 are enough) is one of torch.save.
bool is_torch_pickle(std::string_view start);

/// Reads a file of torch.save without Python and without executing anything in it: a zip archive with a
/// pickle and raw storages, or, before PyTorch 1.6, pickles with the storages behind them. The tensors are
/// those of the dict under `state_dict`, else under `model`, else of the top level; everything else in a
/// checkpoint (optimizer, counters) is looked over but not loaded. Tensors keep the strides and the sharing
/// of storages they were saved with. Throws WeightsError for a damaged file, a TorchScript archive, a global
/// that tensors do not need (named), and when the dict holds anything but tensors.
TensorFile read_torch_pickle(const FileReader& file);

}  // namespace hqtrack
