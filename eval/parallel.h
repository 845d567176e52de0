#pragma once

#include <cstddef>
#include <functional>

namespace hqtrack {

/// Calls work(item, worker) for each item from 0 to num_items - 1, in num_workers threads that take the next
/// one as they become free, and finish(item) for each that is done, in their order, one at a time. The first
/// exception ends all and is thrown, after finish() of what is done behind the item that failed.
void for_each_item(size_t num_items, size_t num_workers, const std::function<void(size_t, size_t)>& work,
                   const std::function<void(size_t)>& finish = {});

}  // namespace hqtrack
