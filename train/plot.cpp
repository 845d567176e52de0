#include "train/plot.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>

#include "core/error.h"

namespace hqtrack {
namespace {
namespace fs = std::filesystem;

constexpr double kWidth = 800, kPanelHeight = 220, kLeft = 60, kRight = 20, kTop = 34, kGap = 56;

struct Point {
  double x, y;
};
struct Series {
  std::string name, colour;
  std::vector<Point> points;
  bool has_dots = false;
};

std::string text_of(double value, const char* format = "%.4g") {
  char text[32];
  std::snprintf(text, sizeof(text), format, value);
  return text;
}

/// A step of 1, 2 or 5 times a power of ten that gives about five marks.
double mark_step(double range) {
  const double raw = range / 5, power = std::pow(10, std::floor(std::log10(raw)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= raw) return factor * power;
  }
  return 10 * power;
}

/// One diagram: its axes, a line for each series, their names above.
class Panel {
 public:
  Panel(double top, double last_x, double low_y, double high_y)
      : top_(top), last_x_(std::max(last_x, 1e-3)), low_(low_y), high_(std::max(high_y, low_y + 1e-3)) {}

  std::string draw(const std::vector<Series>& all) const {
    std::string svg = axes();
    double name_x = kLeft;
    for (const Series& series : all) {
      svg += line(series);
      svg += label(name_x, top_ - 10, series.name, "start", series.colour);
      name_x += 9.0 * static_cast<double>(series.name.size()) + 20;
    }
    return svg;
  }

 private:
  double x_of(double x) const { return kLeft + x / last_x_ * (kWidth - kLeft - kRight); }
  double y_of(double y) const {
    return top_ + (1 - (std::clamp(y, low_, high_) - low_) / (high_ - low_)) * kPanelHeight;
  }

  static std::string label(double x, double y, const std::string& text, const char* anchor,
                           const std::string& colour = "#555") {
    return "<text x=\"" + text_of(x) + "\" y=\"" + text_of(y) + "\" text-anchor=\"" + anchor + "\" fill=\"" +
           colour + "\">" + text + "</text>\n";
  }

  std::string axes() const {
    std::string svg;
    const double step_y = mark_step(high_ - low_), step_x = mark_step(last_x_);
    for (double y = std::ceil(low_ / step_y - 1e-9) * step_y; y <= high_ + 1e-9; y += step_y) {
      svg += "<path d=\"M" + text_of(kLeft) + " " + text_of(y_of(y)) + "H" + text_of(kWidth - kRight) +
             "\" stroke=\"#ddd\"/>\n" + label(kLeft - 6, y_of(y) + 4, text_of(y), "end");
    }
    for (double x = 0; x <= last_x_ + 1e-9; x += step_x) {
      svg += label(x_of(x), top_ + kPanelHeight + 16, text_of(x), "middle");
    }
    return svg;
  }

  std::string line(const Series& series) const {
    std::string svg =
        "<polyline fill=\"none\" stroke-width=\"1.5\" stroke=\"" + series.colour + "\" points=\"";
    for (const Point& p : series.points)
      svg += text_of(x_of(p.x), "%.1f") + "," + text_of(y_of(p.y), "%.1f") + " ";
    svg += "\"/>\n";
    if (!series.has_dots) return svg;
    for (const Point& p : series.points) {
      svg += "<circle r=\"3\" cx=\"" + text_of(x_of(p.x), "%.1f") + "\" cy=\"" + text_of(y_of(p.y), "%.1f") +
             "\" fill=\"" + series.colour + "\"/>\n";
    }
    return svg;
  }

  double top_, last_x_, low_, high_;
};

/// Mean of the newest lines, so that the trend shows through the noise.
std::vector<Point> smooth(const std::vector<Point>& points) {
  constexpr size_t kWindow = 9;
  std::vector<Point> out;
  for (size_t i = 0; i < points.size(); ++i) {
    const size_t first = i + 1 > kWindow ? i + 1 - kWindow : 0;
    double sum = 0;
    for (size_t j = first; j <= i; ++j) sum += points[j].y;
    out.push_back({points[i].x, sum / static_cast<double>(i + 1 - first)});
  }
  return out;
}

}  // namespace

std::string training_plot_svg(const std::vector<std::string>& score_names,
                              const std::vector<TrainingRecord>& records) {
  static const std::vector<std::string> kColours = {"#1e8449", "#b9770e", "#7d3c98",
                                                    "#117a65", "#a04000", "#5d6d7e"};
  Series loss{"loss", "#c0392b", {}}, iou{"IoU in training", "#2471a3", {}};
  std::vector<Series> scores;
  for (const std::string& name : score_names) {
    scores.push_back({name, kColours[scores.size() % kColours.size()], {}, true});
  }
  double last = 0, highest_loss = 0;
  for (const TrainingRecord& record : records) {
    last = std::max(last, record.minutes);
    for (size_t i = 0; i < record.scores.size(); ++i) {
      scores[i].points.push_back({record.minutes, record.scores[i]});
    }
    if (record.scores.empty()) {
      loss.points.push_back({record.minutes, record.loss});
      if (record.iou >= 0) iou.points.push_back({record.minutes, record.iou});
      highest_loss = std::max(highest_loss, record.loss);
    }
  }
  loss.points = smooth(loss.points);
  iou.points = smooth(iou.points);
  const double second = kTop + kPanelHeight + kGap, height = second + kPanelHeight + 40;
  std::string svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 " + text_of(kWidth) + " " +
                    text_of(height) + "\" font-family=\"sans-serif\" font-size=\"12\">\n" +
                    "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
  svg += Panel(kTop, last, 0, highest_loss).draw({loss});
  scores.insert(scores.begin(), iou);
  svg += Panel(second, last, 0, 1).draw(scores);
  svg += "<text x=\"" + text_of(kWidth / 2) + "\" y=\"" + text_of(height - 6) +
         "\" text-anchor=\"middle\" fill=\"#555\">minutes of training</text>\n</svg>\n";
  return svg;
}

void write_training_plot(const fs::path& file, const std::vector<std::string>& score_names,
                         const std::vector<TrainingRecord>& records) {
  fs::path part = file;
  part += ".part";
  std::ofstream out(part);
  out << training_plot_svg(score_names, records);
  out.close();
  std::error_code error;
  if (out) fs::rename(part, file, error);
  if (!out || error) throw OutputError(file.string() + ": cannot write the plot");
}

}  // namespace hqtrack
