#pragma once

#include <stdexcept>
#include <string>

namespace hqtrack {

/// Exit codes of the program, one per kind of failure. Documented in the README; never renumbered.
enum class ExitCode : int {
  kSuccess = 0,
  kInternal = 1,      // anything not listed: a defect, or a library that failed
  kUsage = 2,         // the command line makes no sense
  kConfig = 3,        // a configuration file or a --set value
  kWeights = 4,       // a weights file is missing, damaged, or of another network
  kInput = 5,         // a video, picture or mask that cannot be read or is damaged
  kOutput = 6,        // an output that cannot be written
  kDevice = 7,        // a device that is not there or has no memory left
  kInterrupted = 130  // stopped by Ctrl-C or SIGTERM; what was written is complete up to there
};

/// Base of all errors a user can cause. The message is one line that names the file, key or stream and says
/// what was expected and what was found.
class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode code() const { return code_; }

 private:
  ExitCode code_;
};

struct UsageError : Error {
  explicit UsageError(const std::string& message) : Error(ExitCode::kUsage, message) {}
};
struct ConfigError : Error {
  explicit ConfigError(const std::string& message) : Error(ExitCode::kConfig, message) {}
};
struct WeightsError : Error {
  explicit WeightsError(const std::string& message) : Error(ExitCode::kWeights, message) {}
};
/// Input media: videos, pictures, masks.
struct MediaError : Error {
  explicit MediaError(const std::string& message) : Error(ExitCode::kInput, message) {}
};
struct OutputError : Error {
  explicit OutputError(const std::string& message) : Error(ExitCode::kOutput, message) {}
};
struct DeviceError : Error {
  explicit DeviceError(const std::string& message) : Error(ExitCode::kDevice, message) {}
};
/// Somebody asked for a stop.
struct Interrupted : Error {
  Interrupted() : Error(ExitCode::kInterrupted, "interrupted; files that are written are complete") {}
};

}  // namespace hqtrack
