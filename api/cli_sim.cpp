// `daybook sim`: its options, from flags or from the environment.
#include <algorithm>
#include <array>
#include <charconv>

#include "api/cli_choices.hpp"
#include "api/cli_output.hpp"
#include "api/sim.hpp"

namespace daybook::api {
namespace {

struct Partner {
  SimKind kind;
  const char* name;
  const char* help;
};
constexpr std::array kPartners = {
    Partner{SimKind::source_endpoint, "source-endpoint", "Offers messages to a poller"},
    Partner{SimKind::source_process, "source-process", "Pushes messages to POST /messages"},
    Partner{SimKind::target_endpoint, "target-endpoint", "Takes the deliveries of a subscriber"},
    Partner{SimKind::target_process, "target-process", "Pulls from GET /messages?timestamp="},
};

// Flag, else environment, else what stands there already.
std::string chosen(const std::string& flag, const char* name, std::string fallback) {
  std::string text = flag_or_environment(flag, name);
  return text.empty() ? std::move(fallback) : text;
}

std::optional<std::uint64_t> number(const std::string& text, std::uint64_t most) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || value > most) return std::nullopt;
  return value;
}

int wrong(const std::string& what) {
  print_error("daybook sim: " + what + "\n");
  return kExitUsage;
}

bool is_process(SimKind kind) {
  return kind == SimKind::source_process || kind == SimKind::target_process;
}

bool is_source(SimKind kind) {
  return kind == SimKind::source_process || kind == SimKind::source_endpoint;
}

// What the partner's requests may be: a source's have a body.
std::optional<std::string> method_of(const SimTexts& texts) {
  const bool source = texts.kind == SimKind::source_process;
  std::string method = chosen(texts.method, "METHOD", source ? "POST" : "GET");
  std::ranges::transform(method, method.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  const bool known =
      method == "POST" || method == "PUT" || (!source && (method == "GET" || method == "DELETE"));
  return known ? std::optional(method) : std::nullopt;
}

// Of the environment only what the partner uses: the rest may be another program's.
int run(const SimTexts& texts) {
  SimOptions options;
  options.kind = texts.kind;
  if (is_process(texts.kind)) {
    options.endpoint = chosen(texts.endpoint, "ENDPOINT", "http://127.0.0.1:7080/messages");
    const auto method = method_of(texts);
    if (!method) {
      return wrong(texts.kind == SimKind::source_process
                       ? "METHOD must be POST or PUT."
                       : "METHOD must be GET, POST, PUT or DELETE.");
    }
    options.method = *method;
  }
  const auto level = parse_log_level(chosen(texts.log_level, "LOG_LEVEL", "info"));
  if (!level) {
    return wrong(
        "LOG_LEVEL must be one of error, warn, info, http, verbose, debug, silly; or of critical, "
        "trace, off.");
  }
  options.log_level = *level;
  if (texts.kind != SimKind::target_endpoint) {
    const auto frequency = parse_frequency(chosen(texts.frequency, "FREQUENCY", "1s"));
    if (!frequency) {
      return wrong(
          "FREQUENCY must be a number of milliseconds, or a duration such as 250ms or 1s.");
    }
    options.frequency = *frequency;
  }
  if (is_source(texts.kind)) {
    const auto batch = number(chosen(texts.batch_size, "BATCH_SIZE", "10"), 10'000);
    if (!batch || *batch == 0) return wrong("BATCH_SIZE must be a number from 1 to 10000.");
    options.batch_size = *batch;
  }
  const auto port = number(chosen(texts.port, "PORT", "0"), 65535);
  if (!port) return wrong("PORT must be a number up to 65535.");
  options.port = static_cast<std::uint16_t>(*port);
  options.count = texts.count;
  options.source = texts.source;
  return run_sim(options);
}

}  // namespace

void add_sim(CLI::App& app, Choices& choices) {
  CLI::App* command =
      app.add_subcommand("sim", "The partners at the ends of the four routes, to try them out");
  SimTexts& sim = choices.sim;
  for (const Partner& partner : kPartners) {
    CLI::App* sub = command->add_subcommand(partner.name, partner.help);
    const bool process = is_process(partner.kind);
    if (process) {
      sub->add_option("--endpoint", sim.endpoint,
                      "[$ENDPOINT, default: http://127.0.0.1:7080/messages]")
          ->type_name("URL");
      sub->add_option("--source", sim.source, "Source of what is pushed; only that is pulled");
    }
    sub->add_option("--port", sim.port,
                    process ? "Also answer GET / and GET /report there [$PORT]"
                            : "Port on 127.0.0.1 [$PORT, default: any free one]")
        ->type_name("PORT");
    if (partner.kind != SimKind::target_endpoint) {
      sub->add_option("--frequency", sim.frequency,
                      "Time between batches or questions, in ms where no unit is said "
                      "[$FREQUENCY, default: 1s]")
          ->type_name("TIME");
    }
    if (is_source(partner.kind)) {
      sub->add_option("--batch-size", sim.batch_size,
                      "Messages at a time [$BATCH_SIZE, default: 10]");
      sub->add_option("--count", sim.count, "No more messages than that [default: no end]");
    }
    if (process) {
      sub->add_option("--method", sim.method,
                      partner.kind == SimKind::source_process
                          ? "POST or PUT [$METHOD, default: POST]"
                          : "GET, POST, PUT or DELETE [$METHOD, default: GET]");
    }
    sub->add_option("--log-level", sim.log_level,
                    "error, warn, info, http, verbose, debug or silly [$LOG_LEVEL, default: info]")
        ->type_name("LEVEL");
    sub->callback([&choices, kind = partner.kind] {
      choices.sim.kind = kind;
      choices.command = [&choices] { return run(choices.sim); };
    });
  }
  command->require_subcommand(1);
  command->footer(
      "Messages are {\"id\", \"timestamp\", \"message\"} with ids 1, 2, 3, …, so that a loss "
      "shows.\n"
      "Either side may start first. GET / answers OK, GET /report the figures, which are also\n"
      "printed at the end. ops/demo-routes runs all four routes.\n"
      "\n"
      "Example:\n"
      "  daybook sim source-process --batch-size 100 --frequency 250ms --count 1000");
}

}  // namespace daybook::api
