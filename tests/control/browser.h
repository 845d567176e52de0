#pragma once

#include <httplib.h>
#include <sys/types.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

namespace hqtrack::testing {

/// Whether there is a Chromium that tests can drive.
bool has_browser();

/// A headless Chromium, driven over the WebDriver protocol (W3C) of chromedriver, a child process. Throws
/// std::runtime_error for what the browser refuses.
class Browser {
 public:
  Browser();
  ~Browser();
  Browser(const Browser&) = delete;
  Browser& operator=(const Browser&) = delete;

  void open(const std::string& url) { command("/url", {{"url", url}}); }
  /// The value of a JavaScript function's body.
  nlohmann::json run(const std::string& body) {
    return command("/execute/sync", {{"script", body}, {"args", nlohmann::json::array()}});
  }
  /// Presses the mouse at one place of the window, moves it and lets it go at another one.
  void drag(double x0, double y0, double x1, double y1);
  /// A PNG of the window.
  std::string screenshot();

 private:
  nlohmann::json command(const std::string& path, const nlohmann::json& body);

  pid_t pid_ = -1;
  std::unique_ptr<httplib::Client> driver_;
  std::string session_;
};

}  // namespace hqtrack::testing
