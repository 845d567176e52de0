#include "eval/vots_folder_protocol.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "core/error.h"
#include "io/output_file.h"

namespace hqtrack {
namespace fs = std::filesystem;
namespace {

struct Query {
  std::string id;
  size_t first_frame = 0;
  VotRegion region;
  std::string regions = {}, confidences = {};  // the lines of the answer so far
};

std::vector<std::string> read_lines(const fs::path& file) {
  std::ifstream stream(file);
  if (!stream) throw MediaError(file.string() + ": expected a file of the folder protocol, found none");
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (!line.empty()) lines.push_back(line);
  }
  return lines;
}

Query read_query(const fs::path& file, const std::string& id, size_t num_frames) {
  const std::vector<std::string> lines = read_lines(file);
  if (lines.size() < 2) {
    throw MediaError(file.string() +
                     ": expected a line with the first frame and one with the region, found " +
                     std::to_string(lines.size()));
  }
  Query query{.id = id, .region = VotSpecial{}};
  const std::string& first = lines[0];
  const auto [end, error] = std::from_chars(first.data(), first.data() + first.size(), query.first_frame);
  if (error != std::errc() || end != first.data() + first.size() || query.first_frame >= num_frames) {
    throw MediaError(file.string() + ":1: expected a frame from 0 to " + std::to_string(num_frames - 1) +
                     ", found '" + first + "'");
  }
  try {
    query.region = parse_vot_region(lines[1]);
  } catch (const Error& fault) {
    throw MediaError(file.string() + ":2: " + fault.what());
  }
  return query;
}

/// In the order in which their objects enter.
std::vector<Query> read_queries(const fs::path& folder, size_t num_frames) {
  constexpr std::string_view kPrefix = "query_";
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const fs::path& file = entry.path();
    if (file.filename().string().starts_with(kPrefix) && file.extension() == ".txt") files.push_back(file);
  }
  std::ranges::sort(files);
  if (files.empty()) throw MediaError((folder / "query_ID.txt").string() + ": expected objects, found none");
  std::vector<Query> queries;
  for (const fs::path& file : files) {
    queries.push_back(read_query(file, file.stem().string().substr(kPrefix.size()), num_frames));
  }
  std::ranges::stable_sort(queries, {}, &Query::first_frame);
  return queries;
}

}  // namespace

void run_vots_folder(const fs::path& folder, VotsTracker& tracker) {
  const fs::path list = folder / "frames_color.txt";
  const std::vector<std::string> pictures = read_lines(list);
  if (pictures.empty()) throw MediaError(list.string() + ": expected pictures, found none");
  std::vector<Query> queries = read_queries(folder, pictures.size());
  tracker.reset();
  for (size_t frame = 0; frame < pictures.size(); ++frame) {
    std::vector<VotRegion> entering;
    for (const Query& query : queries) {
      if (query.first_frame == frame) entering.push_back(query.region);
    }
    const auto answers = tracker.track(folder / pictures[frame], entering);
    for (size_t i = 0; i < queries.size(); ++i) {
      const bool is_known = i < answers.size();
      char confidence[32] = "";
      if (is_known) std::snprintf(confidence, sizeof confidence, "%.6f", answers[i].confidence);
      queries[i].regions += (is_known ? to_text(answers[i].region) : "0") + "\n";
      queries[i].confidences += std::string(confidence) + "\n";
    }
  }
  for (const Query& query : queries) {
    write_file(folder / ("output_" + query.id + ".txt"), query.regions);
    write_file(folder / ("output_" + query.id + "_confidence.txt"), query.confidences);
  }
}

}  // namespace hqtrack
