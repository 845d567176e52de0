#include "cli/train_arguments.h"

#include <boost/program_options/value_semantic.hpp>

#include "cli/arguments.h"
#include "core/error.h"

namespace hqtrack {
namespace po = boost::program_options;
namespace {

constexpr const char* kHelp = R"(Usage: hqtrack train vmos|refiner --pictures DIR --out DIR [options]
vmos: the tracker, on short clips drawn from still pictures, and on sequences
with masks where some are given. refiner: HQ-SAM, on composed stills, and on
pictures with masks. Ctrl-C stops it; --resume goes on. For example:
  scripts/fetch_training_pictures.sh pictures
  hqtrack train refiner --pictures pictures --out out/refiner \
    --init models/nano_refiner.safetensors --set train.max_minutes=60
  --pictures DIR        photographs and cut-outs, in any folders below
  --out DIR             gets checkpoint, weights.safetensors, log.csv, log.svg
  --init WEIGHTS        start from these (default: random)
  --resume              go on from the checkpoint in --out
  --config FILE         settings, section `train` (configs/nano.yaml)
  --set KEY=VALUE       one setting of the configuration; repeatable
  --preview PNG         only write a sheet of training pictures (--overwrite)
  --device NAMES        auto (default), cpu, cuda:N; several that train
                        together: cuda:0,cuda:1
  --threads N           CPU threads of the network (default: one a core)
  --sequences DIR       vmos: sequences in the layout of DAVIS or YouTube-VOS
  --validate-root DIR   vmos: measure J&F on a DAVIS set at every checkpoint
  --validate-list FILE  vmos: its sequences, one a line (default: all)
  --pairs DIR           refiner: pictures and masks in layouts of HQSeg-44K
  --validate-pairs DIR  refiner: measure IoU on such at every checkpoint
)";

const std::vector<std::string> kVmosOnly = {"sequences", "validate-root", "validate-list"};
const std::vector<std::string> kRefinerOnly = {"pairs", "validate-pairs"};

po::options_description train_options() {
  const auto text = [] { return po::value<std::string>(); };
  po::options_description options;
  add_network_options(options);
  options.add_options()("pictures", text())("sequences", text())("pairs", text())("out", text())(
      "init", text())("resume", po::bool_switch())("validate-root", text())("validate-list", text())(
      "validate-pairs", text())("preview", text())("overwrite", po::bool_switch());
  return options;
}

TrainedNetwork network_of(const std::string& name) {
  if (name == "vmos") return TrainedNetwork::kVmos;
  if (name == "refiner") return TrainedNetwork::kRefiner;
  throw UsageError("'" + name + "': expected what to train, vmos or refiner");
}

void check(const TrainArguments& arguments, const CommandLine& line) {
  const bool is_vmos = arguments.network == TrainedNetwork::kVmos;
  for (const std::string& option : is_vmos ? kRefinerOnly : kVmosOnly) {
    if (line.has(option)) {
      throw UsageError("--" + option + ": has no meaning for train " + line.positional[0]);
    }
  }
  const auto& others = is_vmos ? arguments.sequences : arguments.pairs;
  if (arguments.pictures.empty() && others.empty()) {
    throw UsageError(std::string("expected --pictures or ") + (is_vmos ? "--sequences" : "--pairs") +
                     ", found neither");
  }
  if (!arguments.preview.empty() && arguments.preview.extension() != ".png") {
    throw UsageError("--preview: expected a .png file, found " + arguments.preview.string());
  }
  if (arguments.out.empty() && arguments.preview.empty()) {
    throw UsageError("--out: expected a folder for the results, found none");
  }
  if (!arguments.validation_list.empty() && arguments.validation_root.empty()) {
    throw UsageError("--validate-list: has no meaning without --validate-root");
  }
}

}  // namespace

std::optional<TrainArguments> parse_train_arguments(std::span<const std::string> args) {
  const auto line = parse_command_line(args, kHelp, train_options(), {"vmos or refiner"}, 1);
  if (!line) return std::nullopt;
  TrainArguments arguments{.network = network_of(line->positional[0]),
                           .pictures = line->text("pictures"),
                           .out = line->text("out"),
                           .initial_weights = line->text("init"),
                           .preview = line->text("preview"),
                           .sequences = line->text("sequences"),
                           .validation_root = line->text("validate-root"),
                           .validation_list = line->text("validate-list"),
                           .pairs = line->text("pairs"),
                           .validation_pairs = line->text("validate-pairs"),
                           .network_arguments = parse_network(*line, /*takes_several_devices=*/true),
                           .resume = line->options["resume"].as<bool>(),
                           .overwrites = line->options["overwrite"].as<bool>()};
  check(arguments, *line);
  return arguments;
}

}  // namespace hqtrack
