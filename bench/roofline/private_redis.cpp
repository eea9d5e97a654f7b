#include "bench/roofline/private_redis.hpp"

#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <string_view>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include "bench/roofline/sockets.hpp"
#include "core/result.hpp"

namespace daybook::bench::roofline {
namespace {

constexpr std::size_t kSocketPathMax = 100;  // the kernel's is 107
constexpr auto kReadyMax = std::chrono::seconds(20);
constexpr auto kStopMax = std::chrono::seconds(20);
constexpr auto kPause = std::chrono::milliseconds(10);

core::Failure failed(std::string detail) {
  return core::fail(core::Code::unavailable, core::Origin::buffer, core::Retry::never,
                    std::move(detail));
}

std::optional<double> info_value(std::string_view info, std::string_view name) {
  const std::size_t at = info.find(name);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view rest = info.substr(at + name.size());
  double value = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
  return error == std::errc() ? std::optional(value) : std::nullopt;
}

}  // namespace

std::optional<std::filesystem::path> find_redis_server() {
  const char* path = std::getenv("PATH");
  std::string_view rest = path != nullptr ? path : "/usr/bin:/bin";
  while (!rest.empty()) {
    const std::size_t colon = std::min(rest.find(':'), rest.size());
    std::filesystem::path program = std::filesystem::path(rest.substr(0, colon)) / "redis-server";
    if (::access(program.c_str(), X_OK) == 0) return program;
    rest.remove_prefix(std::min(colon + 1, rest.size()));
  }
  return std::nullopt;
}

PrivateRedis::PrivateRedis(const std::filesystem::path& parent) : folder_(parent) {
  socket_path_ = (folder_.path() / "redis.sock").string();
  if (socket_path_.size() <= kSocketPathMax) return;
  socket_elsewhere_ = true;
  socket_path_ = fmt::format("{}/daybook-{}.sock", std::filesystem::temp_directory_path().string(),
                             folder_.path().filename().string());
}

core::Result<std::unique_ptr<PrivateRedis>> PrivateRedis::start(
    const std::filesystem::path& program, const std::filesystem::path& parent,
    Persistence persistence) {
  std::unique_ptr<PrivateRedis> server(new PrivateRedis(parent));
  if (server->folder_.error()) {
    return failed("the folder of --dir cannot be written: " + server->folder_.error().message());
  }
  server->port_ = port_of(listen_on_loopback());  // free again as soon as it is known
  if (!server->spawn(program, persistence)) return failed("redis-server cannot be started");
  if (!server->wait_until_ready()) return failed("redis-server does not answer");
  return server;
}

bool PrivateRedis::spawn(const std::filesystem::path& program, Persistence persistence) {
  std::vector<std::string> words{program.string(),
                                 "--bind",
                                 "127.0.0.1",
                                 "--port",
                                 std::to_string(port_),
                                 "--unixsocket",
                                 socket_path_,
                                 "--unixsocketperm",
                                 "700",
                                 "--dir",
                                 folder_.path().string(),
                                 "--save",
                                 "",
                                 "--appendonly",
                                 persistence == Persistence::aof_always ? "yes" : "no",
                                 "--appendfsync",
                                 "always",
                                 "--auto-aof-rewrite-percentage",
                                 "0",
                                 "--maxmemory",
                                 "4gb",
                                 "--maxmemory-policy",
                                 "noeviction",
                                 "--logfile",
                                 "redis.log"};
  std::vector<char*> arguments;
  arguments.reserve(words.size() + 1);
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_ = ::fork();
  if (pid_ == 0) {
    become_child();
    const int null = ::open("/dev/null", O_RDWR);
    for (const int number : {0, 1, 2}) {
      if (null >= 0) ::dup2(null, number);
    }
    ::execv(arguments[0], arguments.data());
    std::_Exit(127);
  }
  return pid_ > 0;
}

bool PrivateRedis::wait_until_ready() {
  const auto until = std::chrono::steady_clock::now() + kReadyMax;
  while (std::chrono::steady_clock::now() < until) {
    if (const RedisConnection connection = connect(Transport::unix_socket)) {
      const RedisReply reply(static_cast<redisReply*>(redisCommand(connection.get(), "PING")));
      if (reply && reply->type == REDIS_REPLY_STATUS) return true;
    }
    if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
      pid_ = 0;
      return false;
    }
    std::this_thread::sleep_for(kPause);
  }
  return false;
}

PrivateRedis::~PrivateRedis() {
  if (pid_ > 0) {
    // Nothing of it is kept, so its shutdown need not save; the signal only asks.
    ::kill(pid_, SIGTERM);
    const auto until = std::chrono::steady_clock::now() + kStopMax;
    while (::waitpid(pid_, nullptr, WNOHANG) == 0) {
      if (std::chrono::steady_clock::now() >= until) ::kill(pid_, SIGKILL);
      std::this_thread::sleep_for(kPause);
    }
  }
  if (socket_elsewhere_) ::unlink(socket_path_.c_str());
}

RedisConnection PrivateRedis::connect(Transport transport) const {
  RedisConnection connection(transport == Transport::tcp ? redisConnect("127.0.0.1", port_)
                                                         : redisConnectUnix(socket_path_.c_str()));
  if (connection && connection->err != 0) connection.reset();
  return connection;
}

core::Result<double> PrivateRedis::cpu_seconds() const {
  const RedisConnection connection = connect(Transport::unix_socket);
  if (!connection) return failed("redis-server does not answer");
  const RedisReply reply(static_cast<redisReply*>(redisCommand(connection.get(), "INFO cpu")));
  if (!reply || reply->str == nullptr) return failed("redis-server does not tell its CPU time");
  const std::string_view info(reply->str, reply->len);
  const auto system = info_value(info, "used_cpu_sys:");
  const auto user = info_value(info, "used_cpu_user:");
  if (!system || !user) return failed("redis-server does not tell its CPU time");
  return *system + *user;
}

}  // namespace daybook::bench::roofline
