#include "api/cli_size.hpp"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>

#include "api/cli_output.hpp"
#include "api/config_loader.hpp"
#include "api/config_settings.hpp"
#include "core/frame.hpp"
#include "core/limits.hpp"
#include "core/text.hpp"

namespace daybook::api {
namespace {

using core::Result;

core::Failure wrong(const std::string& flag, const std::string& sentence) {
  return core::fail(core::Code::invalid_argument, core::Origin::client, core::Retry::never,
                    "--" + flag + ": " + sentence);
}

// Flags one after another; the first that is wrong is kept, and what was not given is `fallback`.
class Reader {
 public:
  [[nodiscard]] const std::optional<core::Error>& error() const { return error_; }

  // A plain decimal number.
  double number(const std::string& flag, const std::string& text, double fallback, double min,
                double max, const std::string& wants) {
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    const bool plain = text.find_first_not_of("0123456789.") == std::string::npos && *end == '\0';
    return take(flag, text, fallback, plain && value >= min && value <= max ? value : kNone, wants);
  }

  std::uint32_t count(const std::string& flag, const std::string& text, std::uint32_t fallback,
                      std::uint32_t min, std::uint32_t max) {
    const std::string wants =
        "a whole number from " + std::to_string(min) + " to " + std::to_string(max);
    const bool whole = text.find('.') == std::string::npos;
    const double value = whole ? number(flag, text, fallback, min, max, wants)
                               : take(flag, text, fallback, kNone, wants);
    return value == kNone ? min : static_cast<std::uint32_t>(value);
  }

  // Seconds, of a duration as the settings have it, or of years of 365 days.
  double duration(const std::string& flag, const std::string& text, double fallback,
                  std::chrono::seconds max) {
    const bool years = text.ends_with('y');
    const auto parsed = core::parse_duration(years ? text.substr(0, text.size() - 1) + "d" : text);
    double seconds = kNone;
    if (parsed) seconds = static_cast<double>(parsed->count()) / 1000 * (years ? 365 : 1);
    if (seconds > static_cast<double>(max.count())) seconds = kNone;
    return take(flag, text, fallback, seconds,
                "a duration such as 500ms, 30m, 2h or 7d, at most " +
                    core::format_duration(std::chrono::milliseconds(max)));
  }

  double bits(const std::string& flag, const std::string& text, double fallback) {
    double value = kNone;
    if (text.ends_with("Gbit") || text.ends_with("Mbit")) {
      const double factor = text.ends_with("Gbit") ? 1e9 : 1e6;
      Reader inner;
      value = inner.number("", text.substr(0, text.size() - 4), kNone, 0.001, 1e6, "") * factor;
    }
    return take(flag, text, fallback, value, "a speed such as 10Gbit or 100Mbit");
  }

  // kNone as fallback: the flag must be given.
  static constexpr double kNone = -1;

 private:
  double take(const std::string& flag, const std::string& text, double fallback, double value,
              const std::string& wants) {
    if (error_) return fallback;
    if (text.empty() && fallback == kNone) {
      error_ = wrong(flag, "it is missing; give " + wants + ".").error();
    } else if (!text.empty() && value < 0) {
      error_ = wrong(flag, toml_quote(printable(text)) + " is not " + wants + ".").error();
    }
    return text.empty() ? fallback : value;
  }

  std::optional<core::Error> error_;
};

struct Sampled {
  double bytes = 0, compressed = 0;
  std::size_t files = 0;
};

// The same frames that the server makes of a body.
Result<Sampled> sample(const std::vector<std::string>& paths, int level) {
  Sampled sum;
  std::vector<char> block(core::limits::kBlockBytes);
  for (const std::string& path : paths) {
    std::ifstream file(path, std::ios::binary);
    if (!std::filesystem::is_regular_file(path) || !file) {
      return wrong("sample", printable(path) + " is not a file that can be read.");
    }
    double bytes = 0;
    while (file.read(block.data(), static_cast<std::streamsize>(block.size())), file.gcount() > 0) {
      const auto read = static_cast<std::size_t>(file.gcount());
      const auto frame =
          core::compress_frame(core::as_bytes(std::string_view(block.data(), read)), level);
      bytes += static_cast<double>(read);
      sum.compressed += static_cast<double>(frame.size());
    }
    if (file.bad()) return wrong("sample", printable(path) + " cannot be read to its end.");
    if (bytes == 0) {
      return wrong("sample", printable(path) + " is empty; give records as clients send them.");
    }
    sum.bytes += bytes;
    ++sum.files;
  }
  return sum;
}

Result<void> take_payload(const SizeOptions& options, Reader& reader, SizeLoad& load) {
  if (options.samples.empty()) {
    load.compression = reader.number(
        "compression", options.compression, Reader::kNone, 0.5, 1000,
        "a ratio from 0.5 to 1000 such as 9.4 (payload over compressed payload), or files of yours "
        "as --sample FILE");
  } else if (!options.compression.empty()) {
    return wrong("compression", "leave it out beside --sample, which measures it.");
  } else {
    const auto defaults = load_config({});
    const auto found =
        sample(options.samples, static_cast<int>(defaults->config.ingest_compression_level));
    if (!found) return pass(found);
    load.compression = found->bytes / found->compressed;
    load.payload_bytes = found->bytes / static_cast<double>(found->files);
    if (options.size.empty()) return {};
  }
  const auto size = core::parse_size(options.size);
  if (!size || *size == 0 || *size > core::limits::kBodyBytesCeiling) {
    return wrong("size", (options.size.empty() ? "it is missing; give "
                                               : toml_quote(printable(options.size)) + " is not ") +
                             "a size from 1B to 64MiB such as 4MiB or 20kB.");
  }
  load.payload_bytes = static_cast<double>(*size);
  return {};
}

}  // namespace

Result<SizeLoad> load_of(const SizeOptions& options) {
  using std::chrono::days;
  SizeLoad load;
  Reader reader;
  load.records_per_second =
      reader.number("records-per-second", options.records_per_second, Reader::kNone, 0.001, 1e6,
                    "a number from 0.001 to 1000000, the records of the busiest second");
  if (!reader.error()) {
    if (auto payload = take_payload(options, reader, load); !payload) return pass(payload);
  }
  load.average_per_second = reader.number("average", options.average_per_second,
                                          load.records_per_second, 0.001, load.records_per_second,
                                          "a number from 0.001 to the one of --records-per-second");
  load.outage_seconds = reader.duration("outage", options.outage, load.outage_seconds, days(30));
  load.redis_outage_seconds =
      reader.duration("redis-outage", options.redis_outage, load.outage_seconds, days(30));
  load.retention_days =
      reader.duration("retention", options.retention, load.retention_days * 86400, days(36500)) /
      86400;
  load.key_seconds =
      reader.duration("idempotency-window", options.idempotency_window, load.key_seconds, days(90));
  load.store_put_seconds =
      reader.duration("store-put", options.store_put, load.store_put_seconds, days(1));
  load.replicas = reader.count("replicas", options.replicas, load.replicas, 0, 9);
  load.nodes = reader.count("nodes", options.nodes, load.nodes, 1, 1000);
  load.cores = reader.count("cores", options.cores, load.cores, 1, 256);
  load.network_bits = reader.bits("network", options.network, load.network_bits);
  if (reader.error()) return core::Failure(*reader.error());
  if (!options.redis_memory.empty()) {
    const auto memory = core::parse_size(options.redis_memory);
    if (!memory || *memory == 0) {
      return wrong("redis-memory",
                   toml_quote(printable(options.redis_memory)) + " is not a size such as 64GiB.");
    }
    load.redis_host_bytes = static_cast<double>(*memory);
  }
  if (!options.archive.empty() && options.archive != "s3" && options.archive != "file") {
    return wrong("archive", toml_quote(printable(options.archive)) + " is neither s3 nor file.");
  }
  load.s3 = options.archive != "file";
  if (!options.layout.empty() && options.layout != "object" && options.layout != "segment") {
    return wrong("layout",
                 toml_quote(printable(options.layout)) + " is neither object nor segment.");
  }
  load.segments = options.layout == "segment";
  load.keyed = !options.without_keys;
  return load;
}

int run_size(const SizeOptions& options) {
  const auto load = load_of(options);
  if (!load) {
    print_error("daybook size: " + load.error().detail + "\n");
    return kExitUsage;
  }
  const auto defaults = load_config({});
  const SizePlan plan = plan_size(*load, defaults->config);
  print(options.json ? size_json(plan) + "\n" : render_size(plan));
  return kExitOk;
}

}  // namespace daybook::api
