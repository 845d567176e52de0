#include "core/frame.h"

namespace hqtrack {

const char* to_string(ObjectState state) {
  switch (state) {
    case ObjectState::kTracked:
      return "tracked";
    case ObjectState::kUncertain:
      return "uncertain";
    case ObjectState::kLost:
      return "lost";
  }
  return "lost";
}

}  // namespace hqtrack
