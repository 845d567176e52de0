#include "eval/html_report.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <span>
#include <string_view>

#include "eval/report_page.h"
#include "io/output_file.h"

namespace hqtrack {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kDataPlace = "REPORT_DATA";  // in report.html

Json number_or_null(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

/// Curves are most of the report: 4 decimals say all that a plot can show.
double rounded(double value) { return std::round(value * 1e4) / 1e4; }

std::string base64(std::span<const uint8_t> bytes) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t count = std::min<size_t>(3, bytes.size() - i);
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k) group = group << 8 | (k < count ? bytes[i + k] : 0U);
    for (size_t k = 0; k < 4; ++k) text += k <= count ? kDigits[group >> (18 - 6 * k) & 63U] : '=';
  }
  return text;
}

template <class Part>
Json list_of(const std::vector<Part>& parts);

Json to_json(const ReportMeasure& measure) {
  Json json{{"name", measure.name}, {"value", number_or_null(measure.value)}};
  if (measure.other) json["other"] = *measure.other;
  return json;
}

Json to_json(const std::optional<double>& value) { return value ? Json(rounded(*value)) : Json(nullptr); }

Json to_json(const std::pair<double, double>& point) {
  return Json::array({rounded(point.first), rounded(point.second)});
}

Json to_json(const std::pair<std::string, std::string>& fact) {
  return Json::array({fact.first, fact.second});
}

Json to_json(const ReportObject& object) {
  return {{"id", object.id}, {"measures", list_of(object.measures)}, {"curve", list_of(object.curve)}};
}

Json to_json(const ReportFrame& frame) {
  return {{"frame", frame.frame},
          {"object", frame.object},
          {"value", frame.value},
          {"truth", base64(frame.truth_jpeg)},
          {"result", base64(frame.result_jpeg)}};
}

Json to_json(const ReportSequence& sequence) {
  return {{"name", sequence.name},
          {"num_frames", sequence.num_frames},
          {"frames_per_second", number_or_null(sequence.frames_per_second)},
          {"measures", list_of(sequence.measures)},
          {"objects", list_of(sequence.objects)},
          {"worst", list_of(sequence.worst)}};
}

Json to_json(const ReportCurve& curve) { return {{"name", curve.name}, {"points", list_of(curve.points)}}; }

Json to_json(const ReportPlot& plot) {
  return {{"title", plot.title},
          {"x_name", plot.x_name},
          {"y_name", plot.y_name},
          {"curves", list_of(plot.curves)}};
}

Json to_json(const HtmlReport& report) {
  return {{"title", report.title},
          {"facts", list_of(report.facts)},
          {"measures", list_of(report.measures)},
          {"curve_name", report.curve_name},
          {"other_name", report.other_name},
          {"sequences", list_of(report.sequences)},
          {"plots", list_of(report.plots)}};
}

template <class Part>
Json list_of(const std::vector<Part>& parts) {
  Json list = Json::array();
  for (const Part& part : parts) list.push_back(to_json(part));
  return list;
}

/// JSON that cannot end the <script> element around it, nor begin a comment in it.
std::string script_text(const Json& json) {
  const std::string text = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::string safe;
  safe.reserve(text.size());
  for (const char c : text) {
    if (c == '<') {
      safe += "\\u003c";
    } else {
      safe += c;
    }
  }
  return safe;
}

}  // namespace

std::string html_report(const HtmlReport& report) {
  std::string page = kReportPage;
  page.replace(page.find(kDataPlace), kDataPlace.size(), script_text(to_json(report)));
  return page;
}

void write_html_report(const fs::path& file, const HtmlReport& report) {
  const std::string text = html_report(report);
  write_file(file, text);
}

}  // namespace hqtrack
