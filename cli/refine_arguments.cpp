#include "cli/refine_arguments.h"

#include <boost/program_options/value_semantic.hpp>
#include <sstream>

#include "cli/arguments.h"
#include "core/error.h"

namespace hqtrack {
namespace fs = std::filesystem;
namespace po = boost::program_options;
namespace {

constexpr const char* kHelp = R"(Usage: hqtrack refine IMAGE... --box X0,Y0,X1,Y1 -o DIR [options]
       hqtrack refine --detections FILE --images DIR -o DIR [options]
Makes masks of objects in pictures, or sharpens given ones. For example:
  hqtrack refine cup.jpg --box 30,40,200,180 --format masks,cutouts -o out

  -o, --output DIR     NAME.png of NAME.jpg: a palette PNG, index = object id
  --format LIST        of masks (default), cutouts: NAME_ID.png, the object on a
                       transparent ground; coco: coco.json with all masks
  --box X0,Y0,X1,Y1    an object by its outer box
  --point X,Y[,0]      a point on it; with ,0 one beside it
  --mask FILE          rough picture of one object or, without --id, of several
  --name NAME, --id N  its name and id; --name ID=NAME for any id
  --detections FILE    COCO JSON: its images, each with its own boxes
  --images DIR         where those lie (the folder of FILE)
  --min-score S        only boxes with a score from S on
  --config, --weights, --set, --device, --threads, --overwrite, --quiet
                       as track has them; the weights are those of the refiner
IMAGE may be a folder or a pattern. A picture that fails is left out and said.
)";

po::options_description refine_options() {
  const auto text = [] { return po::value<std::string>(); };
  const auto texts = [] { return po::value<std::vector<std::string>>()->composing(); };
  po::options_description options;
  add_prompt_options(options);
  add_network_options(options);
  options.add_options()("output,o", text())("format", texts())("images", text())("weights", text())(
      "overwrite", po::bool_switch())("quiet", po::bool_switch());
  return options;
}

std::set<RefineFormat> parse_formats(const std::vector<std::string>& lists) {
  std::set<RefineFormat> formats;
  for (const std::string& list : lists) {
    std::istringstream names(list + ",");
    for (std::string name; std::getline(names, name, ',');) {
      if (name == "masks") {
        formats.insert(RefineFormat::kMasks);
      } else if (name == "cutouts") {
        formats.insert(RefineFormat::kCutouts);
      } else if (name == "coco") {
        formats.insert(RefineFormat::kCoco);
      } else {
        throw UsageError("--format: expected masks, cutouts or coco, found '" + name + "'");
      }
    }
  }
  if (formats.empty()) formats.insert(RefineFormat::kMasks);
  return formats;
}

void take_prompts(const CommandLine& line, RefineArguments& arguments) {
  arguments.prompts = parse_prompts(line);
  std::set<int64_t> ids;
  for (PromptEntry& entry : arguments.prompts.entries) {
    entry.action = PromptEdit::Action::kAdd;
    if (entry.id && !ids.insert(*entry.id).second) {
      throw UsageError("--id: expected each id once, found " + std::to_string(*entry.id) + " twice");
    }
  }
  auto& files = arguments.prompts.detections;
  if (files.size() > 1) throw UsageError("--detections: expected one file, found several");
  if (!files.empty()) arguments.detections = std::move(files.front());
  files.clear();
}

void check_sources(const RefineArguments& arguments, const CommandLine& line) {
  const PromptArguments& prompts = arguments.prompts;
  if (arguments.detections) {
    if (!prompts.entries.empty() || !prompts.names.empty()) {
      throw UsageError("--detections: expected no objects beside those of the file, found " +
                       (prompts.entries.empty() ? "--name" : prompts.entries.front().source));
    }
    if (!arguments.images.empty()) {
      throw UsageError("'" + arguments.images.front() +
                       "': expected no image, as --detections names them (--images says where they lie)");
    }
    return;
  }
  if (line.has("images")) throw UsageError("--images: expected --detections with it, found none");
  if (arguments.images.empty()) throw UsageError("expected IMAGE, found none; see --help");
  if (prompts.entries.empty()) {
    throw UsageError("expected an object (--box, --point, --mask or --detections), found none");
  }
}

}  // namespace

std::optional<RefineArguments> parse_refine_arguments(std::span<const std::string> args) {
  const auto line = parse_command_line(args, kHelp, refine_options(), {"IMAGE..."}, 0);
  if (!line) return std::nullopt;
  RefineArguments arguments;
  arguments.images = line->positional;
  if (line->has("at")) throw UsageError("--at: has no meaning for pictures");
  take_prompts(*line, arguments);
  check_sources(arguments, *line);
  if (arguments.detections) {
    const auto folder = line->given("images");
    arguments.image_folder = folder ? fs::path(*folder) : arguments.detections->file.parent_path();
  }
  if (!line->has("output")) throw UsageError("--output: expected a folder, found none");
  arguments.output = *line->given("output");
  arguments.formats = parse_formats(line->texts("format"));
  arguments.overwrites = line->options["overwrite"].as<bool>();
  arguments.network = parse_network(*line);
  arguments.is_quiet = line->options["quiet"].as<bool>();
  return arguments;
}

}  // namespace hqtrack
