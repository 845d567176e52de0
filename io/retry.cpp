#include "io/retry.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <random>

#include "core/error.h"
#include "core/log.h"

namespace hqtrack {

using std::chrono::milliseconds;

milliseconds retry_pause(int64_t attempt) {
  constexpr milliseconds kFirst{500}, kLongest{15000};
  thread_local std::minstd_rand random{std::random_device{}()};
  const milliseconds doubled = kFirst * (int64_t{1} << std::clamp<int64_t>(attempt, 0, 10));
  const double share = std::uniform_real_distribution<double>(0.75, 1.25)(random);
  return milliseconds(static_cast<int64_t>(static_cast<double>(std::min(doubled, kLongest).count()) * share));
}

bool wait_unless_stopped(milliseconds time, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  std::unique_lock lock(mutex);
  never.wait_for(lock, stop, time, [] { return false; });
  return !stop.stop_requested();
}

std::string reason_of(const std::exception& error, const std::string& name) {
  const std::string text = error.what(), head = name + ": ";
  return text.starts_with(head) ? text.substr(head.size()) : text;
}

namespace {
constexpr std::chrono::seconds kLong{30};  // an output that is lost sooner was hardly back
}  // namespace

void Retry::attempt(int64_t pts_us, const std::function<bool()>& work, const std::function<void()>& drop) {
  if (is_lost_ && Clock::now() < next_) {
    ++missed_;
    return;
  }
  try {
    if (work()) note_success(pts_us);
  } catch (const OutputError& error) {
    drop();
    note_failure(reason_of(error, name_), pts_us);
    ++missed_;
  }
}

void attempt(std::optional<Retry>& retry, int64_t pts_us, const std::function<bool()>& work,
             const std::function<void()>& drop) {
  retry ? retry->attempt(pts_us, work, drop) : static_cast<void>(work());
}

void Retry::note_failure(const std::string& reason, int64_t pts_us) {
  if (is_lost_) {
    ++attempts_;
  } else {
    is_lost_ = true;
    since_ = Clock::now();
    attempts_ = missed_ = 0;
    if (since_ > back_ + kLong) num_pauses_ = 0;
    log_warning(name_ + ": " + reason + "; it is tried again");
    if (events_) {
      events_->publish(
          {.kind = StreamEvent::Kind::kOutputLost, .pts_us = pts_us, .reason = reason, .output = name_});
    }
  }
  next_ = Clock::now() + retry_pause(num_pauses_++);
}

void Retry::note_success(int64_t pts_us) {
  if (!is_lost_) return;
  is_lost_ = false;
  back_ = Clock::now();
  const double seconds = std::chrono::duration<double>(back_ - since_).count();
  log_info(name_ + ": back after " + std::to_string(static_cast<int64_t>(seconds + 0.5)) + " s, " +
           std::to_string(missed_) + " frames left out");
  if (events_) {
    events_->publish({.kind = StreamEvent::Kind::kOutputResumed,
                      .pts_us = pts_us,
                      .reason = {},
                      .output = name_,
                      .seconds = seconds,
                      .attempts = attempts_ + 1});
  }
}

}  // namespace hqtrack
