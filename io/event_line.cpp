#include "io/event_line.h"

#include <cmath>
#include <nlohmann/json.hpp>

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

}  // namespace

std::string event_line(const TrackedFrame& tracked) {
  Json json = {{"index", tracked.frame.index},
               {"pts", rounded(static_cast<double>(tracked.frame.pts_us) / 1e6, 1e6)}};
  json["objects"] = Json::array();
  for (const TrackedObject& object : tracked.objects) json["objects"].push_back(to_json(object));
  // A name may hold anything: bytes that are not UTF-8 become the replacement character.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string event_line(const StreamEvent& event) {
  Json json = {{"event", to_string(event.kind)},
               {"pts", rounded(static_cast<double>(event.pts_us) / 1e6, 1e6)}};
  if (!event.output.empty()) json["output"] = event.output;
  if (!event.reason.empty()) json["reason"] = event.reason;
  if (event.seconds > 0) json["seconds"] = rounded(event.seconds, 1e3);
  if (event.attempts > 0) json["attempts"] = event.attempts;
  if (event.kind == StreamEvent::Kind::kFigures) {
    const RunFigures& figures = event.figures;
    json["received"] = figures.received;
    json["tracked"] = figures.tracked;
    json["dropped"] = figures.dropped;
    json["unrefined"] = figures.unrefined;
    json["unwritten"] = figures.unwritten;
    json["outages"] = figures.outages;
    json["latency_ms"] = {{"p50", std::round(figures.p50_ms)},
                          {"p95", std::round(figures.p95_ms)},
                          {"p99", std::round(figures.p99_ms)}};
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace hqtrack
