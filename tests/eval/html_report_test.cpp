#include "eval/html_report.h"

#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/error.h"
#include "tests/control/browser.h"
#include "tests/support/golden.h"

namespace hqtrack {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Json = nlohmann::json;
using testing::TemporaryFolder;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

/// The JSON that the page holds.
Json data_of(const std::string& page) {
  const std::string begin = "<script type=\"application/json\" id=\"report\">";
  const size_t from = page.find(begin) + begin.size();
  return Json::parse(page.substr(from, page.find("</script>", from) - from));
}

size_t count(const std::string& text, const std::string& part) {
  size_t number = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++number;
  return number;
}

TEST(HtmlReport, TextCannotLeaveItsPlace) {
  const std::string name = "</script><script>alert('1')</script> \"quoted\" <!-- \\ & \n REPORT_DATA";
  HtmlReport report{.title = name, .facts = {{name, name}}, .sequences = {{.name = name}}};
  report.plots = {{.title = name, .x_name = name, .y_name = name, .curves = {{name, {{0.5, 0.5}}}}}};
  const std::string page = html_report(report);
  EXPECT_EQ(count(page, "</script"), count(html_report({}), "</script"));
  EXPECT_EQ(count(page, "<!--"), 0U);
  const Json data = data_of(page);
  EXPECT_EQ(data["title"], name);
  EXPECT_EQ(data["facts"][0], Json::array({name, name}));
  EXPECT_EQ(data["sequences"][0]["name"], name);
  EXPECT_EQ(data["plots"][0]["curves"][0]["name"], name);
}

TEST(HtmlReport, TakesNamesThatAreNotUtf8) {
  EXPECT_EQ(data_of(html_report({.title = "caf\xe9"}))["title"], "caf\xef\xbf\xbd");
}

TEST(HtmlReport, UndefinedIsNull) {
  const std::vector<ReportMeasure> measures{{"a", std::nullopt}, {"b", kNan}, {"c", 0.5, 0.25}};
  const ReportObject object{.id = "1", .curve = {0.123456, std::nullopt, kNan}};
  const Json data = data_of(
      html_report({.title = "", .measures = measures, .sequences = {{.name = "s", .objects = {object}}}}));
  EXPECT_EQ(data["measures"], Json::parse(R"([{"name": "a", "value": null}, {"name": "b", "value": null},
                                              {"name": "c", "value": 0.5, "other": 0.25}])"));
  EXPECT_EQ(data["sequences"][0]["frames_per_second"], nullptr);
  EXPECT_EQ(data["sequences"][0]["objects"][0]["curve"], Json::parse("[0.1235, null, null]"));
}

TEST(HtmlReport, PicturesAreBase64) {
  const std::vector<std::pair<std::vector<uint8_t>, std::string>> cases{
      {{}, ""},
      {{0xff}, "/w=="},
      {{'M', 'a'}, "TWE="},
      {{'M', 'a', 'n'}, "TWFu"},
      {{0xfb, 0xff, 0xbf, 0x00}, "+/+/AA=="}};
  for (const auto& [bytes, text] : cases) {
    ReportSequence sequence{.name = "s", .worst = {{.object = "1", .truth_jpeg = bytes}}};
    const Json data = data_of(html_report({.title = "", .sequences = {sequence}}));
    EXPECT_EQ(data["sequences"][0]["worst"][0]["truth"], text);
    EXPECT_EQ(data["sequences"][0]["worst"][0]["result"], "");
  }
}

TEST(HtmlReport, LoadsNothing) {
  const std::string page = html_report({});
  for (const char* address :
       {"http://", "https://", "\"//", "'//", "url(", "@import", "src=\"", "<link rel=\"style"}) {
    EXPECT_EQ(count(page, address), 0U) << address;
  }
  EXPECT_EQ(count(page, "default-src 'none'; img-src data:;"), 1U);
}

TEST(HtmlReport, FileIsWrittenWhole) {
  const TemporaryFolder folder;
  const fs::path file = folder.path() / "reports" / "davis.html";
  write_html_report(file, {.title = "old"});
  const HtmlReport report{.title = "new"};
  write_html_report(file, report);
  std::ifstream stream(file, std::ios::binary);
  EXPECT_EQ(std::string(std::istreambuf_iterator<char>(stream), {}), html_report(report));
  EXPECT_EQ(std::distance(fs::directory_iterator(file.parent_path()), fs::directory_iterator()), 1);
  try {
    write_html_report(file / "below.html", report);
    FAIL() << "a file below a file was written";
  } catch (const OutputError& error) {
    EXPECT_NE(std::string(error.what()).find("below.html"), std::string::npos) << error.what();
  }
}

/// A grey JPEG of one block, 3 x 1 pixels.
std::vector<uint8_t> grey_jpeg() {
  std::vector<uint8_t> file{0xff, 0xd8, 0xff, 0xdb, 0, 67, 0};
  file.insert(file.end(), 64, 1);  // quantisation
  file.insert(file.end(), {0xff, 0xc0, 0, 11, 8, 0, 1, 0, 3, 1, 1, 0x11, 0});
  for (const uint8_t table : {0x00, 0x10}) {  // one code, of one bit: no difference, no more coefficients
    file.insert(file.end(), {0xff, 0xc4, 0, 20, table, 1});
    file.insert(file.end(), 16, 0);
  }
  file.insert(file.end(), {0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0, 0x3f, 0xff, 0xd9});
  return file;
}

/// Three sequences, one of them with two objects and a gap, one without scores, compared with another run.
HtmlReport small_report() {
  HtmlReport report{.title = "DAVIS <b>2017</b>",
                    .facts = {{"device", "CPU"}},
                    .measures = {{"J&F", 0.75, 0.7}, {"J decay", -0.01, 0.01}, {"frames/s", 48.3, 48.31}},
                    .curve_name = "J&F",
                    .other_name = "nano"};
  ReportObject walker{.id = "1", .measures = {{"J&F", 0.9}}, .curve = {{}, 0.9, 0.8, {}, {}, 0.7, 0.6, 0.5}};
  ReportObject dog{.id = "2", .measures = {{"J&F", 0.5}}, .curve = {{}, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5}};
  const ReportFrame worst{
      .frame = 7, .object = "1", .value = 0.5, .truth_jpeg = grey_jpeg(), .result_jpeg = grey_jpeg()};
  report.sequences = {{.name = "walk-10",
                       .num_frames = 8,
                       .frames_per_second = 30.0,
                       .measures = {{"J&F", 0.7, 0.75}},
                       .objects = {walker, dog},
                       .worst = {worst}},
                      {.name = "lost", .num_frames = 5, .measures = {{"J&F", std::nullopt}}},
                      {.name = "walk-9",
                       .num_frames = 2,
                       .frames_per_second = 40.0,
                       .measures = {{"J&F", 0.8, 0.70001}},
                       .objects = {{.id = "1", .measures = {}, .curve = {0.8, 0.8}}}}};
  report.plots = {{.title = "Plot",
                   .x_name = "Robustness",
                   .y_name = "Accuracy",
                   .curves = {{"point", {{0.8, 0.7}}}, {"line", {{0.0, 1.0}, {0.5, 0.5}, {1.0, 0.0}}}}}};
  return report;
}

/// A report in a real browser, from a file.
class HtmlReportPage : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!testing::has_browser()) GTEST_SKIP() << "skipped: no Chromium (chromedriver)";
    std::string page = html_report(small_report());
    page.insert(page.find("<style>"),
                "<script>window.faults = []; addEventListener('error', e => faults.push(e.message), true);"
                "addEventListener('securitypolicyviolation', e => faults.push(e.blockedURI));</script>");
    std::ofstream(folder.path() / "report.html") << page;
    browser = std::make_unique<testing::Browser>();
    browser->open("file://" + (folder.path() / "report.html").string());
    wait_for("return document.querySelectorAll('#curves .chart > svg > .curve').length", 2);
  }

  void TearDown() override {
    if (!browser) return;
    EXPECT_EQ(browser->run("return faults"), Json::array());
    EXPECT_EQ(browser->run("return performance.getEntriesByType('resource').map(each => each.name)"
                           ".filter(name => !name.startsWith('data:'))"),
              Json::array());
  }

  void wait_for(const std::string& script, const Json& expected) const {
    Json found;
    for (int i = 0; i < 200; ++i) {
      found = browser->run(script);
      if (found == expected) return;
      std::this_thread::sleep_for(50ms);
    }
    FAIL() << script << ": expected " << expected << ", found " << found;
  }

  /// What the elements say.
  Json texts(const std::string& selector) const {
    return browser->run("return [...document.querySelectorAll(`" + selector + "`)].map(e => e.textContent)");
  }
  /// A click that goes the way of the mouse.
  void click(const std::string& selector, int index = 0) const {
    const Json at =
        browser->run("const e = document.querySelectorAll(`" + selector + "`)[" + std::to_string(index) +
                     "]; e.scrollIntoView({block: 'center'}); const a = e.getBoundingClientRect();"
                     "return [a.x + a.width / 2, a.y + a.height / 2]");
    browser->drag(at[0], at[1], at[0], at[1]);
  }

  const TemporaryFolder folder;
  std::unique_ptr<testing::Browser> browser;
};

TEST_F(HtmlReportPage, SaysWhatWasMeasured) {
  EXPECT_EQ(browser->run("return document.title"), "DAVIS <b>2017</b>");
  EXPECT_EQ(texts("h1"), Json({"DAVIS <b>2017</b>"}));
  EXPECT_EQ(texts("#compared"), Json({"compared with nano"}));
  EXPECT_EQ(texts("#facts dt, #facts dd"), Json({"device", "CPU"}));
  EXPECT_EQ(texts("#measures .value"), Json({"0.750", "−0.010", "48.3"}));
  EXPECT_EQ(texts("#measures .change"), Json({"+0.050 from 0.700", "−0.020 from 0.010", "0.0 from 48.3"}));
  EXPECT_EQ(browser->run("return [...document.querySelectorAll('#measures .change span:first-child')]"
                         ".map(e => e.className)"),
            Json({"more", "less", "same"}));
}

TEST_F(HtmlReportPage, TableSortsByTheColumnClicked) {
  const std::string names = "tbody .head .name", scores = ".sequence td:nth-child(2)",
                    changes = ".sequence td:nth-child(3)";
  EXPECT_EQ(texts("thead button"), Json({"Sequence", "J&F", "Δ", "Frames/s", "Frames"}));
  EXPECT_EQ(texts(names), Json({"walk-10", "lost", "walk-9"}));
  click("thead button", 0);
  EXPECT_EQ(texts(names), Json({"lost", "walk-9", "walk-10"}));
  click("thead button", 1);
  EXPECT_EQ(texts(scores), Json({"0.700", "0.800", "–"}));
  EXPECT_EQ(texts("[aria-sort=ascending]"), Json({"J&F"}));
  click("thead button", 1);
  EXPECT_EQ(texts(scores), Json({"0.800", "0.700", "–"}));
  EXPECT_EQ(texts("[aria-sort]"), Json({"J&F"}));
  EXPECT_EQ(texts("[aria-sort=descending]"), Json({"J&F"}));
  click("thead button", 2);
  EXPECT_EQ(texts(changes), Json({"−0.050", "+0.100", "–"}));
  EXPECT_EQ(texts("tfoot th, tfoot td:nth-child(2), tfoot td:nth-child(3)"),
            Json({"all", "0.750", "+0.050"}));
}

TEST_F(HtmlReportPage, ObjectsUnfold) {
  EXPECT_EQ(texts("button.unfold"), Json({""}));
  EXPECT_EQ(texts(".object:not([hidden]) .name"), Json::array());
  click("button.unfold");
  EXPECT_EQ(texts(".object:not([hidden]) .name"), Json({"object 1", "object 2"}));
  EXPECT_EQ(texts(".object:not([hidden]) td:nth-child(2)"), Json({"0.900", "0.500"}));
  click("button.unfold");
  EXPECT_EQ(texts(".object:not([hidden]) .name"), Json::array());
}

TEST_F(HtmlReportPage, CurvesHaveGapsAndSayTheirValues) {
  const std::string pieces =
      "return [...document.querySelectorAll('#curves .chart > svg > .curve')]"
      ".map(e => e.getAttribute('d').split('M').length - 1)";
  EXPECT_EQ(browser->run(pieces), Json({2, 1}));
  const Json area = browser->run(
      "const e = document.querySelector('#curves .chart > svg'); e.scrollIntoView({block: 'center'});"
      "const lines = [...e.querySelectorAll('.grid')].map(each => each.getBoundingClientRect());"
      "return [lines[0].left, lines[0].width, lines[0].top]");
  const auto hover = [&](double frame) {
    const double x = area[0].get<double>() + area[1].get<double>() * frame / 7;
    browser->drag(x, area[2].get<double>() - 30, x, area[2].get<double>() - 30);
  };
  hover(6);
  EXPECT_EQ(texts("#curves .legend .at, #curves .legend b"), Json({"0.600", "0.500", "frame 6"}));
  hover(3.2);
  EXPECT_EQ(texts("#curves .legend .at, #curves .legend b"), Json({"–", "0.500", "frame 3"}));
}

TEST_F(HtmlReportPage, ShowsTheSequenceThatIsChosen) {
  EXPECT_EQ(texts("#name"), Json({"walk-10"}));
  EXPECT_EQ(texts("#about"), Json({"8 frames · 2 objects · 30.0 frames/s"}));
  EXPECT_EQ(texts("figcaption"), Json({"frame 7 · object 1 · J&F 0.500"}));
  wait_for("return [...document.querySelectorAll('#worst img')].map(e => e.naturalWidth)", {3, 3});
  click("tbody .head .name", 1);
  EXPECT_EQ(texts("#name"), Json({"lost"}));
  EXPECT_EQ(texts("#curves svg, figure"), Json::array());
  click("#next");
  EXPECT_EQ(texts("#name, .chosen .head .name"), Json({"walk-9", "walk-9"}));
  EXPECT_EQ(browser->run("return [location.hash, document.getElementById('next').disabled]"),
            Json({"#sequence=walk-9", true}));
  wait_for("return document.querySelectorAll('#curves .chart > svg > .curve').length", 1);
}

TEST_F(HtmlReportPage, PlotsHaveLinesAndNamedMarkers) {
  wait_for("return document.querySelectorAll('#plots .chart > svg > .curve').length", 1);
  EXPECT_EQ(texts("#plots .key"), Json({"line"}));
  EXPECT_EQ(texts("#plots .marker title, #plots .marker text"),
            Json({"point: Robustness 0.800, Accuracy 0.700", "point"}));
}

}  // namespace
}  // namespace hqtrack
