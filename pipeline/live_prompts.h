#pragma once

#include <chrono>
#include <future>
#include <list>
#include <memory>
#include <mutex>

#include "core/frame.h"
#include "core/prompt.h"

namespace hqtrack {

/// Prompts that come while a video runs: any thread says them, the tracker follows them in the next frame.
class LivePrompts {
 public:
  /// What became of one.
  struct Followed {
    int64_t id = 0;      // of the object
    TrackedFrame frame;  // in which it was followed, as it looked then
  };

  /// Waits until it is followed; a run that ends while another one will begin is waited for as well. An
  /// addition of id 0 gets an id that is free. Throws PromptError when it cannot be followed, Unanswered when
  /// no frame came in time or the run failed, Ended after close(); it is forgotten then.
  Followed follow(PromptEdit edit, std::chrono::milliseconds timeout);
  class Unanswered : public MediaError {
    using MediaError::MediaError;
  };
  class Ended : public MediaError {
    using MediaError::MediaError;
  };

  // For the tracker.
  struct Request {
    PromptEdit edit;
    std::promise<Followed> answer;
  };
  std::list<std::unique_ptr<Request>> take();
  /// No frame will come any more.
  void close();

 private:
  mutable std::mutex mutex_;
  std::list<std::unique_ptr<Request>> waiting_;
  bool is_closed_ = false;
};

}  // namespace hqtrack
