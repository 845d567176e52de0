#include "io/event_socket.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "core/error.h"
#include "io/event_line.h"

namespace hqtrack {
namespace {

constexpr std::string_view kTcp = "tcp://", kUnix = "unix:";
constexpr int kTimeout_ms = 5000;

struct Address {
  int family = 0;
  std::vector<char> bytes;
};

/// Waits until the socket can be written to. False after the timeout.
bool wait_for_room(int socket) {
  pollfd ready{.fd = socket, .events = POLLOUT, .revents = 0};
  int result = 0;
  do {
    result = ::poll(&ready, 1, kTimeout_ms);
  } while (result < 0 && errno == EINTR);
  return result > 0;
}

/// Connected, or -1 with errno.
int connected_socket(const Address& address) {
  const int socket = ::socket(address.family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket < 0) return -1;
  int error = 0;
  if (::connect(socket, reinterpret_cast<const sockaddr*>(address.bytes.data()),
                static_cast<socklen_t>(address.bytes.size())) != 0) {
    error = errno;
    if (error == EINPROGRESS) {
      socklen_t size = sizeof error;
      if (!wait_for_room(socket)) {
        error = ETIMEDOUT;
      } else if (::getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
        error = errno;
      }
    }
  }
  if (error == 0) return socket;
  ::close(socket);
  errno = error;
  return -1;
}

}  // namespace

bool is_event_socket(const std::string& target) {
  return target.starts_with(kTcp) || target.starts_with(kUnix);
}

EventSocket::EventSocket(const std::string& target, std::shared_ptr<StreamEvents> events)
    : target_(target), retry_(target, std::move(events)) {
  connect();
}

EventSocket::~EventSocket() { close(); }

void EventSocket::connect() {
  std::vector<Address> addresses;
  if (target_.starts_with(kUnix)) {
    const std::string path = target_.substr(kUnix.size());
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof address.sun_path) {
      fail("expected unix:PATH with a path of 1 to " + std::to_string(sizeof address.sun_path - 1) +
           " characters");
    }
    std::memcpy(address.sun_path, path.data(), path.size());
    const char* const bytes = reinterpret_cast<const char*>(&address);
    addresses.push_back({AF_UNIX, {bytes, bytes + sizeof address}});
  } else {
    const std::string place = target_.substr(kTcp.size());
    const size_t colon = place.rfind(':');
    if (colon == std::string::npos || colon == 0 || colon + 1 == place.size())
      fail("expected tcp://HOST:PORT");
    std::string host = place.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    addrinfo hints{}, *found = nullptr;
    hints.ai_socktype = SOCK_STREAM;
    if (const int code = ::getaddrinfo(host.c_str(), place.c_str() + colon + 1, &hints, &found); code != 0) {
      fail(std::string("cannot be found: ") + ::gai_strerror(code));
    }
    for (const addrinfo* each = found; each; each = each->ai_next) {
      const char* const bytes = reinterpret_cast<const char*>(each->ai_addr);
      addresses.push_back({each->ai_family, {bytes, bytes + each->ai_addrlen}});
    }
    ::freeaddrinfo(found);
  }
  for (const Address& address : addresses) {
    socket_ = connected_socket(address);
    if (socket_ >= 0) return;
  }
  fail(std::string("cannot be connected to: ") + std::strerror(errno));
}

void EventSocket::write(const TrackedFrame& frame) { send_line(event_line(frame), frame.frame.pts_us); }

void EventSocket::write_event(const StreamEvent& event) { send_line(event_line(event), event.pts_us); }

void EventSocket::send_line(const std::string& line, int64_t pts_us) {
  const auto work = [&] {
    if (socket_ < 0) connect();
    send_all(line);
    return true;
  };
  retry_.attempt(pts_us, work, [&] { close(); });
}

void EventSocket::send_all(const std::string& line) {
  for (size_t sent = 0; sent < line.size();) {
    const ssize_t count = ::send(socket_, line.data() + sent, line.size() - sent, MSG_NOSIGNAL);
    if (count >= 0) {
      sent += static_cast<size_t>(count);
    } else if (errno == EAGAIN) {
      if (!wait_for_room(socket_)) fail("nobody takes the events");
    } else if (errno != EINTR) {
      fail(std::string("cannot be written: ") + std::strerror(errno));
    }
  }
}

void EventSocket::finish() { close(); }

void EventSocket::close() {
  if (socket_ >= 0) ::close(std::exchange(socket_, -1));
}

void EventSocket::fail(const std::string& reason) const { throw OutputError(target_ + ": " + reason); }

}  // namespace hqtrack
