// The `daybook` command: its subcommands, options and help. Only this pair of files sees CLI11;
// each command gets a plain struct of options. Exit codes: 0 ok, 1 failed, 2 wrong usage.
#pragma once

namespace daybook::api {

[[nodiscard]] int run_command_line(int argument_count, const char* const* arguments);

}  // namespace daybook::api
