#include "eval/trax_connection.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <thread>

#include "core/error.h"

namespace hqtrack {
namespace {

/// A number that an environment variable holds; empty without the variable.
std::optional<int> number_in_environment(const char* name) {
  const char* const text = std::getenv(name);
  if (text == nullptr) return std::nullopt;
  int value = -1;
  const auto [end, error] = std::from_chars(text, text + std::strlen(text), value);
  if (error != std::errc() || *end != '\0' || value < 0) {
    throw MediaError(std::string(name) + ": expected a number, found '" + text + "'");
  }
  return value;
}

int copy_of(int descriptor, const char* what) {
  const int copy = ::fcntl(descriptor, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  if (copy < 0) throw MediaError(std::string(what) + ": expected an open descriptor, found none");
  return copy;
}

void redirect(const std::string& log_file) {
  const char* const target = log_file.empty() ? "/dev/null" : log_file.c_str();
  const int log = ::open(target, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (log < 0) throw OutputError(log_file + ": cannot be opened: " + std::strerror(errno));
  const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ::dup2(nothing, STDIN_FILENO);
  ::dup2(log, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  ::close(nothing);
  ::close(log);
}

/// The other end may begin to listen later than this program starts.
int connected_socket(int port) {
  constexpr int kAttempts = 60;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::connect(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
      const int on = 1;
      ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      return socket;
    }
    ::close(socket);
    std::this_thread::sleep_for(std::chrono::seconds(1));
  }
  throw MediaError("TRAX_SOCKET: expected a client that listens on port " + std::to_string(port) +
                   ", found none");
}

}  // namespace

TraxConnection::~TraxConnection() {
  ::close(input_);
  if (output_ != input_) ::close(output_);
}

TraxConnection TraxConnection::from_environment(const std::string& log_file) {
  if (const auto port = number_in_environment("TRAX_SOCKET")) {
    if (*port > 65535)
      throw MediaError("TRAX_SOCKET: expected a port up to 65535, found " + std::to_string(*port));
    const int socket = connected_socket(*port);
    redirect(log_file);
    return {socket, socket};
  }
  const int input = number_in_environment("TRAX_IN").value_or(STDIN_FILENO);
  const int output = number_in_environment("TRAX_OUT").value_or(STDOUT_FILENO);
  const int own_input = copy_of(input, "TRAX_IN"), own_output = copy_of(output, "TRAX_OUT");
  redirect(log_file);
  return {own_input, own_output};
}

std::optional<TraxMessage> TraxConnection::read() {
  size_t searched = 0;
  while (true) {
    for (size_t end; (end = received_.find('\n', searched)) != std::string::npos; searched = 0) {
      const auto message = parse_trax_message(std::string_view(received_).substr(0, end));
      received_.erase(0, end + 1);
      if (message) return message;
    }
    searched = received_.size();
    std::array<char, 1 << 16> buffer;
    const ssize_t count = ::read(input_, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return std::nullopt;
    received_.append(buffer.data(), static_cast<size_t>(count));
  }
}

bool TraxConnection::write(const TraxMessage& message) {
  const std::string line = to_line(message);
  for (size_t done = 0; done < line.size();) {
    const ssize_t count = ::write(output_, line.data() + done, line.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return false;
    done += static_cast<size_t>(count);
  }
  return true;
}

}  // namespace hqtrack
