#pragma once

#include "eval/trax_connection.h"
#include "eval/vots_tracker.h"

namespace hqtrack {

/// The tracker's side of TraX with several objects: says hello, then answers each frame with one state an
/// object until the other end quits or is gone. Throws MediaError for a message that makes no sense or a
/// picture that cannot be read, after the other end was told.
void serve_trax(TraxConnection& connection, VotsTracker& tracker, VotsTracker::Kind kind);

/// Says hello and at once why there will be no answers.
void refuse_trax(TraxConnection& connection, VotsTracker::Kind kind, const std::string& reason);

}  // namespace hqtrack
