#include "core/weights/tensor_file.h"

#include <ATen/ops/empty.h>
#include <c10/util/Exception.h>

#include "core/weights/file_reader.h"

namespace hqtrack {

at::Tensor allocate_tensor(const FileReader& file, const std::string& name, at::IntArrayRef sizes,
                           at::ScalarType type) {
  try {
    return at::empty(sizes, type);
  } catch (const c10::Error&) {
    file.fail(in_quotes(name) + ": not enough memory for its values");
  }
}

}  // namespace hqtrack
