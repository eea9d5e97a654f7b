// The command line's options, shared by its two halves: cli.cpp has the commands that run or ask a
// server, cli_offline.cpp those that work on this node's files and stores by themselves.
#pragma once

#include <functional>
#include <string>

#include <CLI/CLI.hpp>

#include "api/cli_fsck.hpp"
#include "api/cli_hold.hpp"
#include "api/cli_metadata.hpp"
#include "api/cli_pollers.hpp"
#include "api/cli_post.hpp"
#include "api/cli_records.hpp"
#include "api/cli_salvage.hpp"
#include "api/cli_size.hpp"
#include "api/cli_subscribers.hpp"
#include "api/config_loader.hpp"
#include "api/sim.hpp"

namespace daybook::api {

// Everything the options write into; it lives as long as the parser that points into it.
struct Choices {
  std::function<int()> command;  // set by the subcommand that was chosen
  std::string url, timeout_text;
  bool json = false;

  ConfigSources sources;
  std::string config_file, listen, log_level, role = "all";
  bool config_defaults = false, config_check = false;

  PostOptions post;
  GetOptions get;
  ListOptions list;
  ParkedOptions parked;
  HoldOptions hold;
  PollersOptions pollers;
  SalvageOptions salvage;
  FsckOptions fsck;
  MetadataOptions metadata;
  SizeOptions size;
  SubscribersOptions subscribers;
  SimTexts sim;
};

// --config and --set.
void add_config_options(CLI::App& command, Choices& choices);
[[nodiscard]] ConfigSources sources_of(const Choices& choices);
// --url, --timeout and --json of commands that ask a server.
void add_server_options(CLI::App& command, Choices& choices, const char* timeout);
[[nodiscard]] ServerAddress server_of(const Choices& choices, const char* timeout);
// CLI11 asks the environment for the options of every subcommand, chosen or not, and would let it
// overwrite a flag of the chosen one. So flags and environment are put in order here.
[[nodiscard]] std::string flag_or_environment(const std::string& flag, const char* name);

void add_doctor(CLI::App& app, Choices& choices);
void add_fsck(CLI::App& app, Choices& choices);
void add_rebuild_index(CLI::App& app, Choices& choices);
void add_metadata(CLI::App& app, Choices& choices);
void add_config(CLI::App& app, Choices& choices);
void add_size(CLI::App& app, Choices& choices);
void add_subscribers(CLI::App& app, Choices& choices);
void add_sim(CLI::App& app, Choices& choices);

}  // namespace daybook::api
