#include "control/http_server.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <list>
#include <mutex>
#include <thread>
#include <utility>

#include "core/error.h"
#include "core/log.h"
#include "core/threads.h"

namespace hqtrack {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;

constexpr size_t kMostRequests = 32, kMostConnections = 128;
constexpr std::chrono::seconds kPatience{5};
constexpr size_t kLargestHead = 16 << 10, kLargestBody = 4 << 20;  // bytes

/// "%20" and "+" as they are meant.
std::string unescaped(std::string_view text, bool plus_is_blank) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    const bool is_escape = text[i] == '%' && i + 2 < text.size() &&
                           std::from_chars(&text[i + 1], &text[i + 1] + 2, value, 16).ptr == &text[i + 1] + 2;
    if (is_escape) i += 2;
    plain += is_escape ? static_cast<char>(value) : text[i] == '+' && plus_is_blank ? ' ' : text[i];
  }
  return plain;
}

HttpRequest to_request(const http::request<http::string_body>& from) {
  const auto header = [&](http::field name) { return std::string(from[name]); };
  HttpRequest request{.method = std::string(from.method_string()),
                      .path = {},
                      .query = {},
                      .host = header(http::field::host),
                      .origin = header(http::field::origin),
                      .fetch_site = std::string(from["Sec-Fetch-Site"]),
                      .authorization = header(http::field::authorization),
                      .content_type = header(http::field::content_type),
                      .content_encoding = header(http::field::content_encoding),
                      .body = from.body()};
  std::string_view target(from.target().data(), from.target().size());
  const size_t mark = target.find('?');
  request.path = unescaped(target.substr(0, mark), false);
  for (target = mark == std::string_view::npos ? "" : target.substr(mark + 1); !target.empty();) {
    const std::string_view pair = target.substr(0, target.find('&'));
    const size_t equals = pair.find('=');
    request.query[unescaped(pair.substr(0, equals), true)] =
        equals == std::string_view::npos ? std::string() : unescaped(pair.substr(equals + 1), true);
    target.remove_prefix(std::min(target.size(), pair.size() + 1));
  }
  return request;
}

HttpResponse refusal(int status, const std::string& reason) {
  return {.status = status, .body = R"({"error":")" + reason + "\"}\n"};
}

HttpResponse too_many() {
  HttpResponse response = refusal(503, "too many ask at a time: try again");
  response.headers["Retry-After"] = "1";
  return response;
}

/// What is said to a request that cannot be read; nothing to one that is late or gone.
std::optional<HttpResponse> refusal_of(const beast::error_code& error) {
  if (error == http::error::header_limit || error == http::error::buffer_overflow)
    return refusal(431, "head: expected at most 16 KiB, found more");
  if (error == http::error::body_limit) return refusal(413, "body: expected at most 4 MiB, found more");
  if (error == http::error::end_of_stream || error == http::error::partial_message) return std::nullopt;
  if (error.category() == make_error_code(http::error::bad_method).category())
    return refusal(400, "expected an HTTP request, found: " + error.message());
  return std::nullopt;
}

/// One request and its answer. All that is read and written has a deadline.
class Connection {
 public:
  explicit Connection(asio::ip::tcp::socket socket) : stream_(std::move(socket)) {
    parser_.header_limit(kLargestHead);
    parser_.body_limit(kLargestBody);
  }

  HttpRequest read_head() {
    stream_.expires_after(kPatience);
    run([&](auto done) { http::async_read_header(stream_, buffer_, parser_, std::move(done)); });
    return to_request(parser_.get());
  }
  /// Within the deadline of the head.
  HttpRequest read_body() {
    run([&](auto done) { http::async_read(stream_, buffer_, parser_, std::move(done)); });
    return to_request(parser_.get());
  }

  void write(const HttpResponse& from) {
    http::response<http::string_body> response(http::int_to_status(static_cast<unsigned>(from.status)), 11);
    response.set(http::field::server, "hqtrack");
    response.set(http::field::content_type, from.type);
    response.set(http::field::cache_control, "no-store");
    response.set("Cross-Origin-Resource-Policy", "same-origin");
    response.set("X-Content-Type-Options", "nosniff");
    for (const auto& [name, value] : from.headers) response.set(name, value);
    response.keep_alive(false);
    response.body() = from.body;
    if (!from.next_part) response.prepare_payload();
    stream_.expires_after(kPatience);
    run([&](auto done) { http::async_write(stream_, response, std::move(done)); },
        http::error::end_of_stream);
    while (from.next_part) {
      const std::optional<std::string> part = from.next_part();
      if (!part || !is_alive()) break;
      if (!part->empty()) write(*part);
    }
  }

  /// What still comes is read away for a second: a connection that is closed with something unread takes the
  /// answer with it.
  void linger() {
    ::shutdown(stream_.socket().native_handle(), SHUT_WR);
    stream_.expires_after(std::chrono::seconds(1));
    std::array<char, 65536> rest{};
    try {
      while (true) run([&](auto done) { stream_.async_read_some(asio::buffer(rest), std::move(done)); });
    } catch (const std::exception&) {
      // The end.
    }
  }

  /// Ends whatever is waited for. Any thread.
  void abort() { ::shutdown(stream_.socket().native_handle(), SHUT_RDWR); }

 private:
  void write(const std::string& bytes) {
    stream_.expires_after(kPatience);
    run([&](auto done) { asio::async_write(stream_, asio::buffer(bytes), std::move(done)); });
  }

  bool is_alive() {
    char byte = 0;
    return ::recv(stream_.socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 0;
  }

  template <class Start>
  void run(Start start, beast::error_code allowed = {}) {
    beast::error_code result;
    start([&result](beast::error_code error, size_t) { result = error; });
    auto& context = static_cast<asio::io_context&>(stream_.get_executor().context());
    context.restart();
    context.run();
    if (result && result != allowed) throw beast::system_error(result);
  }

  beast::tcp_stream stream_;
  beast::flat_buffer buffer_{kLargestHead + kLargestBody};
  http::request_parser<http::string_body> parser_;
};

}  // namespace

class HttpServer::Impl {
 public:
  Impl(const std::string& host, int port, Handler handler) : handler_(std::move(handler)) {
    listen(host, port);
    listener_ = std::jthread([this] { accept_all(); });
  }

  ~Impl() {
    {
      const std::lock_guard lock(mutex_);
      is_ending_ = true;
    }
    is_over_.notify_one();
    ::shutdown(acceptor_.native_handle(), SHUT_RDWR);  // its thread waits there
    listener_.join();
    const std::lock_guard lock(mutex_);
    for (const Client& client : clients_) {
      if (client.connection) client.connection->abort();
    }
  }  // then the threads of the clients are waited for

  const std::string& url() const { return url_; }

 private:
  struct Client {
    explicit Client(std::unique_ptr<asio::io_context> its_context, asio::ip::tcp::socket socket)
        : context(std::move(its_context)), connection(std::make_unique<Connection>(std::move(socket))) {}
    std::unique_ptr<asio::io_context> context;  // run by its thread
    std::unique_ptr<Connection> connection;     // null when it is over
    std::jthread thread;
  };

  void listen(const std::string& host, int port) {
    const bool is_v6 = host.find(':') != std::string::npos;
    const std::string where = is_v6 ? "[" + host + "]" : host;
    try {
      asio::ip::tcp::resolver resolver(context_);
      const asio::ip::tcp::endpoint endpoint =
          *resolver.resolve(host, std::to_string(port), asio::ip::tcp::resolver::passive).begin();
      acceptor_.open(endpoint.protocol());
      acceptor_.set_option(asio::socket_base::reuse_address(true));
      acceptor_.bind(endpoint);
      acceptor_.listen();
    } catch (const boost::system::system_error& error) {
      throw OutputError("--control: " + where + ":" + std::to_string(port) +
                        ": cannot listen there: " + error.code().message());
    }
    url_ = "http://" + where + ":" + std::to_string(acceptor_.local_endpoint().port());
  }

  void accept_all() {
    while (!is_ending_) {
      try {
        wait_for_room();
        auto context = std::make_unique<asio::io_context>(1);
        asio::ip::tcp::socket socket(*context);
        acceptor_.accept(socket);
        const std::lock_guard lock(mutex_);
        if (is_ending_) return;
        socket.set_option(asio::ip::tcp::no_delay(true));
        Client& client = clients_.emplace_back(std::move(context), std::move(socket));
        try {
          client.thread = std::jthread([this, &client] { serve(client); });
        } catch (...) {
          clients_.pop_back();
          throw;
        }
      } catch (const std::exception& error) {  // no descriptor or no thread is free
        if (is_ending_) return;
        log_warning(std::string("control interface: a connection was not taken: ") + error.what());
        std::this_thread::sleep_for(std::chrono::milliseconds(200));
      }
    }
  }

  void wait_for_room() {
    std::unique_lock lock(mutex_);
    is_over_.wait(lock, [this] {
      std::erase_if(clients_, [](const Client& client) { return !client.connection; });
      return is_ending_ || clients_.size() < kMostConnections;
    });
  }

  void serve(Client& client) {
    give_way();
    Connection& connection = *client.connection;
    const bool is_too_many = num_requests_++ >= kMostRequests;
    bool is_answered = false;
    try {
      connection.write(is_too_many ? too_many() : respond(connection));
      is_answered = true;
    } catch (const std::exception&) {
      // It went away or was too slow.
    }
    --num_requests_;
    if (is_answered) connection.linger();
    const std::lock_guard lock(mutex_);
    client.connection.reset();
    is_over_.notify_one();
  }

  HttpResponse respond(Connection& connection) const {
    try {
      const std::optional<HttpResponse> refused = handler_.refuse(connection.read_head());
      return refused ? *refused : handler_.answer(connection.read_body());
    } catch (const beast::system_error& error) {
      const std::optional<HttpResponse> refused = refusal_of(error.code());
      if (!refused) throw;
      return *refused;
    }
  }

  Handler handler_;
  std::string url_;
  asio::io_context context_;
  asio::ip::tcp::acceptor acceptor_{context_};
  std::atomic<bool> is_ending_ = false;
  std::atomic<size_t> num_requests_ = 0;  // those that are not answered yet
  std::mutex mutex_;
  std::condition_variable is_over_;  // a connection, or all of it
  std::list<Client> clients_;
  std::jthread listener_;
};

HttpServer::HttpServer(const std::string& host, int port, Handler handler)
    : impl_(std::make_unique<Impl>(host, port, std::move(handler))) {}
HttpServer::~HttpServer() = default;
const std::string& HttpServer::url() const { return impl_->url(); }

}  // namespace hqtrack
