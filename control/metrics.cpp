#include "control/metrics.h"

#include <unistd.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>

namespace hqtrack {
namespace {

using Stream = ControlledStream;

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.10g", value);
  return text;
}

std::string head(const std::string& name, const char* type, const char* help) {
  return "# HELP " + name + " " + help + "\n# TYPE " + name + " " + type + "\n";
}

std::string latency_text(std::span<const std::shared_ptr<Stream>> streams) {
  constexpr size_t kFirst = 48, kLast = 168, kStep = 6;  // 16 ms to 16 s, two an octave
  const std::string name = "hqtrack_latency_seconds";
  std::string text =
      head(name, "histogram", "From the reception of a frame until an output has it, once for each output.");
  for (const auto& stream : streams) {
    const LatencyHistogram::Counts counts = stream->monitor->latency.counts();
    const std::string label = "{stream=\"" + stream->name() + "\"";
    int64_t sum = 0;
    for (size_t bucket = 0; bucket < counts.size(); ++bucket) {
      sum += counts[bucket];
      if (bucket < kFirst || bucket > kLast || (bucket - kFirst) % kStep != 0) continue;
      text += name + "_bucket" + label + ",le=\"" + number(LatencyHistogram::upper_ms(bucket) * 1e-3) +
              "\"} " + std::to_string(sum) + "\n";
    }
    text += name + "_bucket" + label + ",le=\"+Inf\"} " + std::to_string(sum) + "\n";
    text += name + "_sum" + label + "} " + number(stream->monitor->latency.sum_s()) + "\n";
    text += name + "_count" + label + "} " + std::to_string(sum) + "\n";
  }
  return text;
}

std::string objects_text(std::span<const std::shared_ptr<Stream>> streams) {
  std::string text = head("hqtrack_objects", "gauge", "Objects in the newest frame.");
  for (const auto& stream : streams) {
    std::array<int, 3> counts{};
    if (const auto frame = stream->latest()) {
      for (const TrackedObject& object : frame->objects) ++counts[static_cast<size_t>(object.state)];
    }
    for (const auto state : {ObjectState::kTracked, ObjectState::kUncertain, ObjectState::kLost}) {
      text += "hqtrack_objects{stream=\"" + stream->name() + "\",state=\"" + to_string(state) + "\"} " +
              std::to_string(counts[static_cast<size_t>(state)]) + "\n";
    }
  }
  return text;
}

std::string process_text() {
  int64_t total = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  std::error_code ignored;
  int64_t num_files = 0;
  for (auto it = std::filesystem::directory_iterator("/proc/self/fd", ignored);
       it != std::filesystem::directory_iterator(); it.increment(ignored)) {
    ++num_files;
  }
  return head("process_resident_memory_bytes", "gauge", "Resident memory size in bytes.") +
         "process_resident_memory_bytes " + std::to_string(resident * ::sysconf(_SC_PAGESIZE)) + "\n" +
         head("process_open_fds", "gauge", "Number of open file descriptors.") + "process_open_fds " +
         std::to_string(num_files) + "\n";
}

}  // namespace

std::string metrics_text(std::span<const std::shared_ptr<Stream>> streams) {
  struct Count {
    const char* name;
    const char* type;
    const char* help;
    std::function<int64_t(const Stream&)> value;
  };
  const std::array counts = {
      Count{"hqtrack_frames_received_total", "counter", "Frames received.",
            [](const Stream& stream) { return stream.monitor->received.load(); }},
      Count{"hqtrack_frames_tracked_total", "counter", "Frames tracked.",
            [](const Stream& stream) { return stream.monitor->tracked.load(); }},
      Count{"hqtrack_frames_dropped_total", "counter", "Frames not tracked, as they would have been late.",
            [](const Stream& stream) { return stream.monitor->dropped.load(); }},
      Count{"hqtrack_frames_unrefined_total", "counter",
            "Frames tracked, but not refined, as they would have been late.",
            [](const Stream& stream) { return stream.monitor->unrefined.load(); }},
      Count{"hqtrack_frames_unwritten_total", "counter", "Frames that an output was too slow for.",
            [](const Stream& stream) { return stream.monitor->unwritten.load(); }},
      Count{"hqtrack_outages_total", "counter", "Times that the source was lost.",
            [](const Stream& stream) { return stream.monitor->outages.load(); }},
      Count{"hqtrack_receiving", "gauge", "1 while frames come, 0 during an outage.",
            [](const Stream& stream) -> int64_t { return stream.monitor->is_receiving ? 1 : 0; }},
  };
  std::string text;
  for (const Count& count : counts) {
    text += head(count.name, count.type, count.help);
    for (const auto& stream : streams) {
      text += std::string(count.name) + "{stream=\"" + stream->name() + "\"} " +
              std::to_string(count.value(*stream)) + "\n";
    }
  }
  return text + latency_text(streams) + objects_text(streams) + process_text();
}

}  // namespace hqtrack
