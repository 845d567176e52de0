#include "cli/vots_workspace.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "cli/arguments.h"
#include "cli/paths.h"
#include "core/error.h"
#include "io/output_file.h"

namespace hqtrack {
namespace fs = std::filesystem;
namespace {

constexpr const char* kLocal = "local";
constexpr const char* kLocalStack = R"(title: VOTS2023 with its measures
experiments:
  baseline:
    type: unsupervised
    repetitions: 1
    multiobject: True
    analyses:
      - {type: average_accuracy, name: Quality, burnin: 0, ignore_unknown: False}
      - {type: average_success_plot, name: Quality plot, burnin: 0, ignore_unknown: False}
      - {type: longterm_ar, name: AR}
      - {type: average_quality_auxiliary, name: Auxiliary}
)";

/// What vot-toolkit 0.9.0 has for trackers that see colour.
const std::vector<std::string> kStacks = {"davis2017val",
                                          "otb50",
                                          "otb100",
                                          "vot2013",
                                          "vot2014",
                                          "vot2015/rgb",
                                          "vot2016/rgb",
                                          "vot2017",
                                          "vot2018/longterm",
                                          "vot2018/shortterm",
                                          "vot2019/longterm",
                                          "vot2019/shortterm",
                                          "vot2020/longterm",
                                          "vot2020/shortterm",
                                          "vot2021/longterm",
                                          "vot2021/shortterm",
                                          "vot2022/longterm",
                                          "vot2022/shortterm",
                                          "vot2022/shorttermbox",
                                          "vots2023",
                                          "vots2024/main",
                                          "vots2024/votst",
                                          "vots2024/votstval",
                                          "vots2025/main",
                                          "vots2025/realtime",
                                          "vots2025/votst",
                                          "vots2025/votstval",
                                          "vots2026/main",
                                          "tests/basic",
                                          "tests/multiobject",
                                          "tests/segmentation"};

void check_stack(const std::string& name) {
  std::vector<std::string> known = kStacks;
  known.emplace_back(kLocal);
  if (std::ranges::find(known, name) != known.end()) return;
  const std::string near = nearest(name, known);
  throw UsageError("--stack: expected local or a stack of vot-toolkit 0.9.0, found '" + name + "'" +
                   (near.empty() ? "" : "; did you mean " + near + "?"));
}

/// As the toolkit splits it: like a shell, and with every % doubled.
std::string quoted(const std::string& argument) {
  const bool is_plain =
      argument.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-=:,") ==
      std::string::npos;
  std::string text;
  for (const char letter : argument) {
    if (letter == '"' || letter == '\\') text += '\\';
    text += letter == '%' ? "%%" : std::string(1, letter);
  }
  return is_plain ? text : '"' + text + '"';
}

std::string trackers_ini(const VotsWorkspace& workspace) {
  std::string command = quoted((program_folder() / "hqtrack").string()) + " vots";
  for (const std::string& option : workspace.options) command += " " + quoted(option);
  if (workspace.uses_folder_protocol) {
    command += " --folder .";
  } else {
    command += " --log " + quoted(fs::absolute(workspace.folder / (workspace.name + ".log")).string());
  }
  std::string text = "[" + workspace.name + "]\nlabel = " + workspace.name +
                     "\nprotocol = " + (workspace.uses_folder_protocol ? "folder" : "trax") +
                     "\ncommand = " + command + "\n";
  // Seconds for one answer. In the folder protocol the toolkit fails over a timeout of its own file.
  if (!workspace.uses_folder_protocol) text += "timeout = 600\n";
  // The toolkit empties it for trackers.
  const char* const libraries = std::getenv("LD_LIBRARY_PATH");
  if (libraries != nullptr && *libraries != '\0') {
    text += "env_LD_LIBRARY_PATH = ";
    for (const char letter : std::string_view(libraries))
      text += letter == '%' ? "%%" : std::string(1, letter);
    text += "\n";
  }
  return text;
}

/// For a shell.
std::string shell_quoted(const std::string& argument) {
  std::string text = "'";
  for (const char letter : argument) text += letter == '\'' ? "'\\''" : std::string(1, letter);
  return text + "'";
}

}  // namespace

void write_vots_workspace(const VotsWorkspace& workspace) {
  for (const unsigned char letter : workspace.name) {
    if (std::isalnum(letter) || letter == '-' || letter == '_') continue;
    throw UsageError("--name: expected letters, digits, - and _, found '" + workspace.name + "'");
  }
  check_stack(workspace.stack);
  const bool is_local = workspace.stack == kLocal;
  for (const char* name : {"trackers.ini", "config.yaml", "stack.yaml"}) {
    const fs::path file = workspace.folder / name;
    if (fs::exists(file)) throw OutputError(file.string() + ": exists already; expected a new workspace");
  }
  write_file(workspace.folder / "trackers.ini", trackers_ini(workspace));
  write_file(workspace.folder / "config.yaml",
             "registry: [./trackers.ini]\nstack: " + (is_local ? "./stack.yaml" : workspace.stack) +
                 "\nsequences: sequences\n");
  if (is_local) write_file(workspace.folder / "stack.yaml", std::string_view(kLocalStack));

  const std::string folder = shell_quoted(workspace.folder.string());
  std::printf("%s is a workspace of the VOT toolkit (what `vot initialize` would make). Next:\n",
              workspace.folder.c_str());
  if (is_local) {
    std::printf("  put the sequences and list.txt into %s\n", (workspace.folder / "sequences").c_str());
  }
  std::printf(
      "  python3 -m venv votenv && votenv/bin/pip install vot-toolkit==0.9.0 vot-trax==4.0.2 "
      "attributee==0.1.9\n");
  std::printf("  votenv/bin/vot evaluate --workspace %s %s%s\n", folder.c_str(), workspace.name.c_str(),
              is_local ? "" : "   # fetches the data first");
  std::printf("  votenv/bin/vot analysis --workspace %s %s%s\n", folder.c_str(), workspace.name.c_str(),
              is_local ? "" : "   # without the hidden annotations there is nothing to measure");
  std::printf("  votenv/bin/vot pack --workspace %s %s%s\n", folder.c_str(), workspace.name.c_str(),
              is_local ? "" : "       # what the evaluation server takes");
}

}  // namespace hqtrack
