#pragma once

#include <optional>
#include <string>

#include "eval/trax_message.h"

namespace hqtrack {

/// The two directions of a TraX dialogue, by descriptors of their own.
class TraxConnection {
 public:
  /// Takes over both descriptors, which may be the same.
  TraxConnection(int input, int output) : input_(input), output_(output) {}
  ~TraxConnection();
  TraxConnection(const TraxConnection&) = delete;
  TraxConnection& operator=(const TraxConnection&) = delete;

  /// Standard input and output, or what TRAX_IN and TRAX_OUT (descriptors) or TRAX_SOCKET (a port of this
  /// machine) name. Whatever the program or a library prints later goes to the log file, or nowhere where it
  /// is empty, and cannot disturb the dialogue. Throws OutputError for the log file, MediaError for the rest.
  static TraxConnection from_environment(const std::string& log_file);

  /// The next message; lines in between are passed over. Empty at the end of the input.
  std::optional<TraxMessage> read();
  /// False when the other end is gone.
  bool write(const TraxMessage& message);

 private:
  int input_, output_;
  std::string received_;  // not yet read
};

}  // namespace hqtrack
