#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace hqtrack {

/// One number of a report. Undefined, or not a finite number: shown as a dash. Numbers of one name share
/// their number of decimals: three where all lie in -1..1, else one.
struct ReportMeasure {
  std::string name;  // head of a column
  std::optional<double> value;
  std::optional<double> other = {};  // of the run it is compared with
};

struct ReportObject {
  std::string id;
  std::vector<ReportMeasure> measures = {};
  std::vector<std::optional<double>> curve = {};  // one value a frame of the sequence; empty: not scored
};

/// A frame worth looking at: truth and result drawn over its picture, JPEG files as they are.
struct ReportFrame {
  int64_t frame = 0;   // index into the curve
  std::string object;  // its id
  double value = 0.0;  // that of the curve
  std::vector<uint8_t> truth_jpeg = {}, result_jpeg = {};
};

struct ReportSequence {
  std::string name;
  int64_t num_frames = 0;
  std::optional<double> frames_per_second = {};
  std::vector<ReportMeasure> measures = {};
  std::vector<ReportObject> objects = {};
  std::vector<ReportFrame> worst = {};  // shown in this order
};

/// A single point is drawn as a marker with its name, more as a line.
struct ReportCurve {
  std::string name;
  std::vector<std::pair<double, double>> points;  // x, y; ascending x
};

/// Both axes go from 0 to 1.
struct ReportPlot {
  std::string title, x_name, y_name;
  std::vector<ReportCurve> curves = {};
};

struct HtmlReport {
  std::string title;
  std::vector<std::pair<std::string, std::string>> facts = {};  // name, value: what was evaluated, on what
  std::vector<ReportMeasure> measures = {};                     // of all sequences together
  std::string curve_name = {};                                  // of the value of a frame, as in "J&F"
  std::string other_name = {};                                  // the run it is compared with; empty: none
  std::vector<ReportSequence> sequences = {};
  std::vector<ReportPlot> plots = {};
};

/// The report as one page that needs no network and no other file: numbers, plots, a table of the sequences
/// that sorts, and for each sequence its objects' values over the frames and its worst frames. Strings are
/// text, never markup. Values of frames and points are rounded to 4 decimals.
std::string html_report(const HtmlReport& report);

/// Writes html_report; the file appears under its name only when complete. Throws OutputError naming the
/// file.
void write_html_report(const std::filesystem::path& file, const HtmlReport& report);

}  // namespace hqtrack
