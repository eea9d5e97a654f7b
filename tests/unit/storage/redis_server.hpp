// A real Redis for a test: started on a free loopback port with its data in a temporary folder,
// stopped by its process id. cli() looks at it as a stranger would, with redis-cli.
#pragma once

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/contract/temporary_folder.hpp"

extern char** environ;

namespace daybook::tests {

class RedisServer {
 public:
  static bool installed() {
    return std::system(
               "redis-server --version >/dev/null 2>&1 && "
               "redis-cli --version >/dev/null 2>&1") == 0;
  }

  RedisServer() { start(); }
  ~RedisServer() { stop(SIGKILL); }
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  // A Unix socket in a folder of its own: a TCP port is anybody's while the server is down.
  [[nodiscard]] std::string socket() const { return (folder_.path() / "redis.sock").string(); }
  [[nodiscard]] pid_t pid() const { return pid_; }

  // On the data that are there. Returns when it answers.
  void start() {
    const std::string path = socket();
    const std::string folder = folder_.path().string();
    const std::string log = (folder_.path() / "redis.log").string();
    std::vector<std::string> words = {"redis-server",
                                      "--port",
                                      "0",
                                      "--unixsocket",
                                      path,
                                      "--dir",
                                      folder,
                                      "--appendonly",
                                      "yes",
                                      "--appendfsync",
                                      "always",
                                      "--save",
                                      "",
                                      "--logfile",
                                      log,
                                      "--daemonize",
                                      "no",
                                      "--maxmemory-policy",
                                      "noeviction"};
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    if (::posix_spawnp(&pid_, "redis-server", nullptr, nullptr, arguments.data(), environ) != 0) {
      throw std::runtime_error("redis-server did not start");
    }
    for (int i = 0; i < 200; ++i) {
      if (cli("PING") == "PONG") return;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    throw std::runtime_error("redis-server does not answer");
  }

  void stop(int signal) {
    if (pid_ <= 0) return;
    ::kill(pid_, signal);
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }

  // The answer of redis-cli, lines joined by '\n', without the last line's end.
  [[nodiscard]] std::string cli(const std::string& command) const {
    const std::string line = "redis-cli -s " + socket() + " " + command + " 2>/dev/null";
    std::FILE* pipe = ::popen(line.c_str(), "r");
    if (pipe == nullptr) return {};
    std::string output;
    std::array<char, 4096> part{};
    for (std::size_t bytes = 0; (bytes = std::fread(part.data(), 1, part.size(), pipe)) > 0;) {
      output.append(part.data(), bytes);
    }
    ::pclose(pipe);
    while (output.ends_with('\n')) output.pop_back();
    return output;
  }

 private:
  TemporaryFolder folder_;
  pid_t pid_ = -1;
};

}  // namespace daybook::tests
