#include "cli/convert.h"

#include <ATen/ops/isfinite.h>

#include <boost/program_options/value_semantic.hpp>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "cli/arguments.h"
#include "core/efficientnet_lite0_weights.h"
#include "core/error.h"
#include "core/log.h"
#include "core/weights/safetensors.h"
#include "core/weights/weights.h"
#include "refiner/hq_sam_weights.h"

namespace hqtrack {
namespace fs = std::filesystem;
namespace po = boost::program_options;
namespace {

constexpr const char* kConvertHelp = R"(Usage: hqtrack convert IN OUT.safetensors [options]
Writes weights as .safetensors. IN: a .pth file of torch.save or a
.safetensors file; its contents decide which. Nothing in it is executed. Of a
checkpoint the tensors under `state_dict` or `model` are taken; of a published
EfficientNet-Lite0 what the encoder of a tracker has (train --init). Example:
  hqtrack convert checkpoint.pth models/hqtrack.safetensors --dtype float16

  --dtype NAME  type of floating point values: keep (default), float32,
                float16, bfloat16
  --trunk FILE  of a refiner: leave out its encoder, which is that of the
                tracker FILE; OUT must lie beside that
  --overwrite   replace OUT if it exists
)";

std::optional<at::ScalarType> parse_dtype(const std::string& name) {
  if (name == "keep") return std::nullopt;
  if (name == "float32") return at::kFloat;
  if (name == "float16") return at::kHalf;
  if (name == "bfloat16") return at::kBFloat16;
  throw UsageError("--dtype: expected keep, float32, float16 or bfloat16, found '" + name + "'");
}

void check_output(const fs::path& input, const fs::path& output, bool overwrites) {
  if (output.extension() != ".safetensors") {
    throw UsageError("OUT: expected a name that ends in .safetensors, found '" + output.string() + "'");
  }
  std::error_code ignored;
  if (fs::equivalent(input, output, ignored)) {
    throw UsageError("OUT: expected another file than IN, found the same: '" + output.string() + "'");
  }
  if (fs::is_directory(output, ignored))
    throw OutputError(output.string() + ": cannot be written: is a folder");
  if (!overwrites && fs::exists(output, ignored)) {
    throw OutputError(output.string() + ": exists already; --overwrite replaces it");
  }
}

void convert_values(TensorFile& contents, at::ScalarType dtype, const std::string& source) {
  for (NamedTensor& entry : contents.tensors) {
    if (!entry.tensor.is_floating_point() || entry.tensor.scalar_type() == dtype) continue;
    const at::Tensor converted = entry.tensor.to(dtype);
    if (!at::isfinite(converted).equal(at::isfinite(entry.tensor))) {
      throw WeightsError(source + ": '" + entry.name + "': expected values within " + c10::toString(dtype) +
                         ", found larger ones");
    }
    entry.tensor = converted;
  }
}

}  // namespace

int run_convert(std::span<const std::string> args) {
  po::options_description options;
  options.add_options()("dtype", po::value<std::string>())("trunk", po::value<std::string>())(
      "overwrite", po::bool_switch());
  const auto line = parse_command_line(args, kConvertHelp, options, {"IN", "OUT"}, 2);
  if (!line) return EXIT_SUCCESS;
  const fs::path input = line->positional[0], output = line->positional[1];
  const auto dtype = parse_dtype(line->text("dtype", "keep"));
  check_output(input, output, line->options["overwrite"].as<bool>());

  TensorFile contents = read_hq_sam_weights(input);
  if (is_published_efficientnet_lite0(contents)) contents = fold_efficientnet_lite0(contents, input.string());
  if (dtype) convert_values(contents, *dtype, input.string());
  if (const auto tracker = line->given("trunk")) {
    std::error_code ignored;
    if (!fs::equivalent(fs::absolute(*tracker).parent_path(), fs::absolute(output).parent_path(), ignored)) {
      throw UsageError("--trunk: expected a file beside OUT, found '" + *tracker + "'");
    }
    share_trunk(contents, *tracker, input.string());
  }
  contents.metadata.try_emplace("format", "pt");  // readers of the Python world ask for it
  write_safetensors(output, contents);
  log_info(output.string() + ": " + std::to_string(contents.tensors.size()) + " tensors, " +
           std::to_string(fs::file_size(output)) + " bytes");
  return EXIT_SUCCESS;
}

}  // namespace hqtrack
