#include "core/one_line.h"

#include <c10/util/Exception.h>

#include <new>

namespace hqtrack {

std::string one_line(const std::exception& error) {
  if (dynamic_cast<const std::bad_alloc*>(&error)) return "out of memory";
  const auto* const of_libtorch = dynamic_cast<const c10::Error*>(&error);
  const std::string text = of_libtorch ? of_libtorch->what_without_backtrace() : error.what();
  return text.substr(0, text.find('\n'));
}

}  // namespace hqtrack
