// Any lines as --set overrides and environment, any text as a TOML file: settings, or sentences
// that say what is wrong.
#include <cstdlib>
#include <string>

#include <unistd.h>

#include "api/config_loader.hpp"
#include "api/local_file.hpp"
#include "core/check.hpp"

using namespace daybook;  // NOLINT: one function

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const core::Bytes bytes = std::as_bytes(std::span(data, size));
  static const std::string file = "/tmp/daybook-fuzz-" + std::to_string(::getpid()) + ".toml";
  CHECK(api::write_local_file(file, bytes).has_value());
  api::ConfigSources sources;
  sources.file = file;
  const auto from_file = api::load_config(sources);
  CHECK(from_file.has_value() || !from_file.error().detail.empty());

  const std::string text(core::as_text(bytes));
  sources.file.reset();
  sources.overrides = {text};
  sources.environment = {"DAYBOOK_" + text.substr(0, text.find('\0'))};
  const auto from_words = api::load_config(sources);
  CHECK(from_words.has_value() || !from_words.error().detail.empty());
  if (from_words) CHECK(!api::effective_config_json(*from_words).empty());
  return 0;
}
