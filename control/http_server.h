#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

namespace hqtrack {

struct HttpRequest {
  std::string method, path;                  // "GET", "/streams"; percent escapes are resolved
  std::map<std::string, std::string> query;  // likewise
  std::string host, origin, fetch_site, authorization, content_type, content_encoding;  // its headers
  std::string body;

  std::string parameter(const std::string& name) const {
    const auto found = query.find(name);
    return found == query.end() ? std::string() : found->second;
  }
};

struct HttpResponse {
  int status = 200;
  std::string type = "application/json", body = {};
  std::map<std::string, std::string> headers = {};
  /// Where it is set, called again and again for more of the body: empty text for nothing yet (it should wait
  /// a moment then), no text for the end.
  std::function<std::optional<std::string>()> next_part = {};
};

/// Answers HTTP requests with Boost.Beast, one a connection. Whoever is slow or silent is cut off: a request
/// has five seconds, and each piece of an answer too. More than 16 KiB of head are answered with 431, more
/// than 4 MiB of body with 413, what is no HTTP with 400. While 32 requests are worked on, others are
/// answered with 503 and Retry-After; with 128 connections, lingering ones among them, the next wait to be
/// accepted.
class HttpServer {
 public:
  /// Both are called by threads of the connections.
  struct Handler {
    /// Sees the head before the body is read; what it returns is sent, and the connection closed.
    std::function<std::optional<HttpResponse>(const HttpRequest&)> refuse;
    std::function<HttpResponse(const HttpRequest&)> answer;  // throws nothing
  };

  /// Listens. port 0: one that is free. Throws OutputError naming address and port.
  HttpServer(const std::string& host, int port, Handler handler);
  /// Ends all connections; waits for handlers.
  ~HttpServer();

  /// "http://127.0.0.1:8080".
  const std::string& url() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hqtrack
