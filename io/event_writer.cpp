#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "core/error.h"
#include "io/output_file.h"
#include "io/outputs.h"

namespace hqtrack {
namespace {

using Json = nlohmann::ordered_json;

double rounded(double value, double steps_per_unit) {
  return std::isfinite(value) ? std::round(value * steps_per_unit) / steps_per_unit : 0.0;
}

Json to_json(const TrackedObject& object) {
  Json json = {{"id", object.id}, {"name", object.name}};
  const Box& box = object.box;
  const bool is_seen = object.state != ObjectState::kLost && !box.is_empty();
  json["box"] = is_seen ? Json{box.x0, box.y0, box.x1, box.y1} : Json(nullptr);
  json["area"] = object.area_px;
  json["score"] = rounded(object.score, 1e4);
  json["state"] = to_string(object.state);
  if (object.choice) json["verdict"] = to_string(*object.choice);
  return json;
}

std::string to_line(const TrackedFrame& tracked) {
  Json json = {{"index", tracked.frame.index},
               {"pts", rounded(static_cast<double>(tracked.frame.pts_us) / 1e6, 1e6)}};
  json["objects"] = Json::array();
  for (const TrackedObject& object : tracked.objects) json["objects"].push_back(to_json(object));
  // A name may hold anything: bytes that are not UTF-8 become the replacement character.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string to_line(const StreamEvent& event) {
  Json json = {{"event", to_string(event.kind)},
               {"pts", rounded(static_cast<double>(event.pts_us) / 1e6, 1e6)}};
  if (!event.reason.empty()) json["reason"] = event.reason;
  if (event.kind == StreamEvent::Kind::kResumed) {
    json["seconds"] = rounded(event.seconds, 1e3);
    json["attempts"] = event.attempts;
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

int close_unless_stdout(std::FILE* stream) { return stream == stdout ? 0 : std::fclose(stream); }

class EventWriter : public FrameSink {
 public:
  explicit EventWriter(const std::string& file)
      : name_(file == "-" ? "standard output" : file), stream_(nullptr, close_unless_stdout) {
    if (file != "-" && !is_special_file(file)) output_.emplace(file, OutputFile::WhenDropped::kKeep);
    const std::string path = output_ ? output_->temporary_path().string() : file;
    stream_.reset(file == "-" ? stdout : std::fopen(path.c_str(), "wb"));
    if (!stream_) throw OutputError(name_ + ": cannot be created: " + std::strerror(errno));
  }

  void write(const TrackedFrame& frame) override { write_line(to_line(frame)); }

  void write_event(const StreamEvent& event) override { write_line(to_line(event)); }

  void finish() override {
    if (close_unless_stdout(stream_.release()) != 0) fail();
    if (output_) output_->commit();
  }

 private:
  void write_line(const std::string& line) {
    const bool is_written = std::fwrite(line.data(), 1, line.size(), stream_.get()) == line.size();
    if (!is_written || std::fflush(stream_.get()) != 0) fail();
  }

  [[noreturn]] void fail() const {
    throw OutputError(name_ + ": cannot be written: " + std::strerror(errno));
  }

  std::string name_;
  std::optional<OutputFile> output_;
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> stream_;
};

}  // namespace

std::unique_ptr<FrameSink> open_event_sink(const std::string& file_or_dash) {
  return std::make_unique<EventWriter>(file_or_dash);
}

}  // namespace hqtrack
