// The `daybook` program.
#include <csignal>

#include "api/cli.hpp"

int main(int argument_count, char** arguments) {
  // A peer that hangs up is an error of one write, not the end of the process.
  std::signal(SIGPIPE, SIG_IGN);
  return daybook::api::run_command_line(argument_count, arguments);
}
