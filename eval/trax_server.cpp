#include "eval/trax_server.h"

#include <algorithm>
#include <cstdio>
#include <exception>
#include <utility>

#include "core/error.h"

namespace hqtrack {
namespace {

constexpr std::string_view kFile = "file://";

TraxMessage hello(VotsTracker::Kind kind) {
  const char* region = kind == VotsTracker::Kind::kMask ? "mask;" : "rectangle;";
  return {.type = "hello",
          .properties = {{"trax.version", "4"},
                         {"trax.region", region},
                         {"trax.image", "path;"},
                         {"trax.channels", "color;"},
                         {"trax.name", "hqtrack"},
                         {"trax.description", "HQTrack: VMOS and HQ-SAM"},
                         {"trax.family", "hqtrack"},
                         {"trax.multiobject", "1"}}};
}

TraxMessage quit(std::string reason) {
  std::ranges::replace(reason, '\n', ' ');
  return {.type = "quit", .properties = {{"trax.reason", reason}}};
}

TraxMessage state(const VotsAnswer& answer) {
  char confidence[32];
  std::snprintf(confidence, sizeof confidence, "%.6f", answer.confidence);
  return {.type = "state",
          .arguments = {to_trax_text(answer.region)},
          .properties = {{"confidence", confidence}}};
}

std::filesystem::path picture_of(const TraxMessage& message) {
  const auto is_file = [](const std::string& argument) { return argument.starts_with(kFile); };
  const auto file = std::ranges::find_if(message.arguments, is_file);
  if (file == message.arguments.end()) {
    throw MediaError("frame: expected a picture file://..., found " +
                     (message.arguments.empty() ? "none" : "'" + message.arguments.front() + "'"));
  }
  return file->substr(kFile.size());
}

void answer_until_quit(TraxConnection& connection, VotsTracker& tracker) {
  std::vector<VotRegion> entering;
  while (const auto message = connection.read()) {
    if (message->type == "quit") return;
    if (message->type == "initialize" && message->arguments.empty()) {
      entering.clear();
      tracker.reset();
    } else if (message->type == "initialize") {
      entering.push_back(parse_trax_region(message->arguments.front()));
    } else if (message->type == "frame") {
      const auto answers = tracker.track(picture_of(*message), std::exchange(entering, {}));
      for (const VotsAnswer& answer : answers) {
        if (!connection.write(state(answer))) return;
      }
    } else {
      throw MediaError("expected initialize, frame or quit, found " + message->type);
    }
  }
}

}  // namespace

void serve_trax(TraxConnection& connection, VotsTracker& tracker, VotsTracker::Kind kind) {
  if (!connection.write(hello(kind))) return;
  try {
    answer_until_quit(connection, tracker);
  } catch (const std::exception& error) {
    connection.write(quit(error.what()));
    throw;
  }
}

void refuse_trax(TraxConnection& connection, VotsTracker::Kind kind, const std::string& reason) {
  if (connection.write(hello(kind))) connection.write(quit(reason));
}

}  // namespace hqtrack
