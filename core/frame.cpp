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

const char* to_string(Choice choice) {
  switch (choice) {
    case Choice::kRefined:
      return "refined";
    case Choice::kKept:
      return "kept";
    case Choice::kSkipped:
      break;
  }
  return "skipped";
}

}  // namespace hqtrack
