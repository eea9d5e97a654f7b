#include "bench/payload_options.hpp"

#include <cstdlib>

#include <CLI/CLI.hpp>

#include "core/text.hpp"

namespace daybook::bench {
namespace {

// "4M" -> 4 MiB; the letter alone means a power of 1024 here, as it does for dd and
// redis-benchmark's -d.
std::optional<std::uint64_t> parse_bytes(std::string text) {
  if (!text.empty() && (text.back() == 'k' || text.back() == 'K')) {
    text.back() = 'K';
    text += "iB";
  } else if (!text.empty() && text.back() == 'M') {
    text += "iB";
  }
  const auto bytes = core::parse_size(text);
  return bytes && *bytes > 0 ? bytes : std::nullopt;
}

// Real audit logs, where this machine has them; empty where it has none.
std::filesystem::path default_corpus() {
  const char* shared = std::getenv("DAYBOOK_SHARED");
  const std::filesystem::path folder =
      std::filesystem::path(shared != nullptr ? shared : DAYBOOK_SOURCE_DIR "/../shared") /
      "corpus";
  std::error_code error;
  const std::filesystem::path real = std::filesystem::canonical(folder, error);
  return error || !std::filesystem::is_directory(real, error) ? std::filesystem::path() : real;
}

}  // namespace

void declare_payload_options(CLI::App& app, PayloadChoice& choice) {
  app.add_option("--size", choice.size, "Payload size or range: 4M, 1M..6M, 300k (powers of 1024)");
  auto* corpus = app.add_option("--corpus", choice.options.corpus,
                                "Folder of audit logs (.json, .jsonl, .ndjson, also .zst; "
                                "payloads.tsv is used where no --size is given). Default: "
                                "$DAYBOOK_SHARED/corpus or ../shared/corpus beside the source, "
                                "where there is one, else --generated.");
  corpus->check(CLI::ExistingDirectory);
  app.add_flag("--generated", choice.generated, "Audit JSON of our own making (9 to 10 to 1)")
      ->excludes(corpus);
  app.add_option("--incompressible", choice.options.incompressible,
                 "Share of records that are random bytes, 0 to 1")
      ->check(CLI::Range(0.0, 1.0));
  app.add_option("--seed", choice.options.seed, "The same seed sends the same bytes")
      ->capture_default_str();
}

std::optional<std::string> interpret_payload_options(PayloadChoice& choice) {
  if (!choice.size.empty()) {
    const std::size_t dots = choice.size.find("..");
    const auto low = parse_bytes(choice.size.substr(0, dots));
    const auto high = dots == std::string::npos ? low : parse_bytes(choice.size.substr(dots + 2));
    if (!low || !high || *low > *high) {
      return "--size " + choice.size + " is no size. Write for example 4M or 1M..6M.";
    }
    choice.options.size_min = *low;
    choice.options.size_max = *high;
  }
  if (choice.options.corpus.empty() && !choice.generated) choice.options.corpus = default_corpus();
  return std::nullopt;
}

}  // namespace daybook::bench
