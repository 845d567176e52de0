#pragma once

#include <filesystem>

#include "core/weights/file_reader.h"
#include "core/weights/tensor_file.h"

namespace hqtrack {

/// The .safetensors format: 8 bytes length of the header (little endian), a JSON header
/// {"name": {"dtype", "shape", "data_offsets"}, "__metadata__": {text: text}}, then the values without gaps.
/// Known dtypes: F64 F32 F16 BF16 I64 I32 I16 I8 U8 BOOL.

/// Throws WeightsError when the header is longer than 100 MB or no valid JSON, a name appears twice, a dtype
/// is unknown, sizes do not agree, or the values overlap, leave gaps or do not fill the file exactly.
TensorFile read_safetensors(const FileReader& file);
TensorFile read_safetensors(const std::filesystem::path& path);

/// Writes a temporary file beside `path` and renames it: `path` is the old file or the complete new one.
/// Equal contents give equal bytes. Throws WeightsError for a name that is empty, taken twice or no UTF-8 and
/// for an unknown dtype, OutputError when the file cannot be written.
void write_safetensors(const std::filesystem::path& path, const TensorFile& contents);

}  // namespace hqtrack
