#include "tests/control/browser.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <stdexcept>
#include <thread>

#include "tests/live/live_server.h"

namespace hqtrack::testing {
namespace {
constexpr const char* kDriver = "/usr/bin/chromedriver";
using Json = nlohmann::json;
}  // namespace

bool has_browser() { return ::access(kDriver, X_OK) == 0; }

Browser::Browser() {
  const int port = free_port();
  const std::string option = "--port=" + std::to_string(port);
  pid_ = ::fork();
  if (pid_ == 0) {
    ::setpgid(0, 0);  // its Chromium goes with it
    const int nowhere = ::open("/dev/null", O_RDWR);
    ::dup2(nowhere, STDOUT_FILENO);
    ::dup2(nowhere, STDERR_FILENO);
    ::execl(kDriver, kDriver, option.c_str(), nullptr);
    ::_exit(127);
  }
  driver_ = std::make_unique<httplib::Client>("127.0.0.1", port);
  driver_->set_read_timeout(std::chrono::seconds(60));
  for (int i = 0; i < 200 && !driver_->Get("/status"); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  const Json arguments = {"--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu",
                          "--window-size=1200,800"};
  const Json wanted = {{"capabilities", {{"alwaysMatch", {{"goog:chromeOptions", {{"args", arguments}}}}}}}};
  const Json session = command("", wanted);
  session_ = session.at("sessionId");
}

Browser::~Browser() {
  if (!session_.empty()) driver_->Delete("/session/" + session_);
  ::kill(-pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

Json Browser::command(const std::string& path, const Json& body) {
  const std::string address = "/session" + (session_.empty() ? "" : "/" + session_) + path;
  const auto result =
      body.is_null() ? driver_->Get(address) : driver_->Post(address, body.dump(), "application/json");
  if (!result) throw std::runtime_error("chromedriver: no answer");
  Json value = Json::parse(result->body).at("value");
  if (result->status != 200) throw std::runtime_error("chromedriver: " + value.value("message", "failed"));
  return value;
}

void Browser::drag(double x0, double y0, double x1, double y1) {
  const auto move = [](double x, double y) {
    return Json{{"type", "pointerMove"}, {"duration", 50}, {"x", std::lround(x)}, {"y", std::lround(y)}};
  };
  const Json steps = {move(x0, y0),
                      {{"type", "pointerDown"}, {"button", 0}},
                      move(x1, y1),
                      {{"type", "pointerUp"}, {"button", 0}}};
  command("/actions", {{"actions", {{{"type", "pointer"}, {"id", "mouse"}, {"actions", steps}}}}});
}

std::string Browser::screenshot() { return command("/screenshot", nullptr).get<std::string>(); }

}  // namespace hqtrack::testing
