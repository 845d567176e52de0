#include "tests/live/live_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <stdexcept>
#include <vector>

namespace hqtrack::testing {

int free_port() {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (socket < 0 || ::bind(socket, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("no free port");
  }
  ::close(socket);
  return ntohs(address.sin_port);
}

bool has_rtsp_server() {
#ifdef HQTRACK_RTSP_SERVER
  return true;
#else
  return false;
#endif
}

RtspServer::RtspServer(int port, const std::filesystem::path& clip, const RtspLogin& login) {
#ifdef HQTRACK_RTSP_SERVER
  std::vector<std::string> args = {HQTRACK_RTSP_SERVER, std::to_string(port), clip.string()};
  if (!login.user.empty()) args.insert(args.end(), {login.user, login.password});
  if (!login.certificate.empty()) args.push_back(login.certificate);
  std::vector<char*> argv;
  for (std::string& arg : args) argv.push_back(arg.data());
  argv.push_back(nullptr);
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  pid_ = ::fork();
  if (pid_ == 0) {
    ::dup2(pipe[1], STDOUT_FILENO);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  ::close(pipe[1]);
  std::array<char, 16> answer{};
  const ssize_t count = ::read(pipe[0], answer.data(), answer.size());
  ::close(pipe[0]);
  if (count > 0 && std::string(answer.data(), 5) == "ready") return;
  ADD_FAILURE() << "the RTSP server did not come up";
#endif
  static_cast<void>(port);
  static_cast<void>(clip);
  static_cast<void>(login);
  throw std::runtime_error("no RTSP server");
}

RtspServer::~RtspServer() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void RtspServer::send(int signal) const { ::kill(pid_, signal); }

std::string rtsp_url(int port, const std::string& login) {
  return "rtsp://" + (login.empty() ? "" : login + "@") + "127.0.0.1:" + std::to_string(port) + "/clip";
}

}  // namespace hqtrack::testing
