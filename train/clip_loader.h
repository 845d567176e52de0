#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "train/clip.h"

namespace hqtrack {

/// Makes batches of clips ahead of their use, in threads of its own. Batch n holds clips n * batch_size and
/// on, whatever the number of threads.
class ClipLoader {
 public:
  /// Keeps a reference to `source`. Batches are handed out from number `first_batch` on.
  ClipLoader(const ClipSource& source, int64_t batch_size, int64_t first_batch, int64_t num_threads);
  ~ClipLoader();
  ClipLoader(const ClipLoader&) = delete;
  ClipLoader& operator=(const ClipLoader&) = delete;

  /// The next batch; waits for it. Throws what the source threw.
  std::vector<Clip> next();

 private:
  void produce(std::stop_token stop);

  const ClipSource& source_;
  const int64_t batch_size_, most_ahead_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  int64_t next_to_make_, next_to_hand_out_;
  std::map<int64_t, std::vector<Clip>> ready_;
  std::exception_ptr failure_;
  std::vector<std::jthread> threads_;  // last: they stop before the rest goes
};

}  // namespace hqtrack
