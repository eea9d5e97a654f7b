// Any text as a TOML file, its lines as --set overrides and as the environment: settings that,
// printed, load again to the same values, or sentences that say what is wrong. The same text as the
// AWS tools' files and as the answers of the services that hand out credentials.
#include <ranges>
#include <string>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#include "api/config_loader.hpp"
#include "api/config_settings.hpp"
#include "api/lookup_file.hpp"
#include "core/check.hpp"
#include "core/text.hpp"
#include "core/transform/attributes.hpp"
#include "storage/aws_network_credentials.hpp"
#include "storage/aws_profile_files.hpp"

using namespace daybook;  // NOLINT: one program

namespace {

// A file in memory, by a name that every open() takes.
class TextFile {
 public:
  TextFile() : descriptor_(::memfd_create("configuration", 0)) { CHECK(descriptor_ >= 0); }
  void write(std::string_view text) const {
    CHECK(::ftruncate(descriptor_, 0) == 0);
    CHECK(::pwrite(descriptor_, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
  }
  [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

const TextFile& text_file() {
  static const TextFile file;
  return file;
}

core::Result<api::LoadedConfig> load_file(std::string_view text,
                                          std::vector<std::string> environment = {}) {
  text_file().write(text);
  return api::load_config(
      {.file = text_file().path(), .environment = std::move(environment), .overrides = {}});
}

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  for (const auto line : std::views::split(text, '\n')) {
    if (!line.empty()) lines.emplace_back(std::string_view(line));
  }
  return lines;
}

void check(const core::Result<api::LoadedConfig>& loaded) {
  if (!loaded) {
    CHECK(!loaded.error().detail.empty());
    return;
  }
  CHECK(core::is_utf8(api::effective_config_json(*loaded)));
  std::vector<std::string> secrets;  // never printed, so they are handed over
  for (const api::Setting& setting : api::settings()) {
    if (setting.kind != api::SettingKind::kSecret) continue;
    const auto value = std::get<std::string>(setting.get(loaded->config));
    if (!value.empty()) secrets.push_back(setting.environment_name() + "=" + value);
  }
  const auto again = load_file(api::effective_config_toml(*loaded), secrets);
  CHECK(again.has_value());
  for (const api::Setting& setting : api::settings()) {
    CHECK(setting.get(again->config) == setting.get(loaded->config));
  }
}

}  // namespace

void check_aws(std::string_view text) {
  for (const auto kind : {storage::AwsFileKind::config, storage::AwsFileKind::credentials}) {
    const auto profiles = storage::parse_aws_profiles(text, kind);
    if (!profiles) {
      CHECK(profiles.error().detail.starts_with("line "));
      continue;
    }
    for (const auto& [name, profile] : *profiles) {
      for (const auto& [key, value] : profile) {
        CHECK(!key.empty() && key == core::to_lower(key));
        CHECK(value == core::trim(value) && value.find('\n') == std::string::npos);
      }
    }
  }
  for (const auto parse : {storage::parse_sts_answer, storage::parse_credentials_json}) {
    const auto keys = parse(200, text);
    if (!keys) continue;
    const core::sigv4::Credentials& found = keys->keys;
    CHECK(!found.access_key.empty() && !found.secret_key.empty());
    for (const std::string& part : {found.access_key, found.secret_key, found.session_token}) {
      CHECK(part.find_first_of("\r\n \t") == std::string::npos);
    }
  }
}

// The same text as a lookup file: rows that a record can be given, or what is wrong.
void check_lookup(std::string_view text) {
  using api::LookupFormat;
  for (const auto format : {LookupFormat::csv, LookupFormat::json, LookupFormat::toml}) {
    const auto rows = api::parse_lookup(format, text);
    if (!rows) {
      CHECK(!rows.error().detail.empty());
      continue;
    }
    for (const auto& [key, row] : *rows) {
      CHECK(!key.empty() && core::is_utf8(key));
      for (const auto& [name, value] : row) CHECK(core::transform::is_settable(name));
    }
  }
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text(core::as_text(std::as_bytes(std::span(data, size))));
  check(load_file(text));
  check_aws(text);
  check_lookup(text);
  const std::vector<std::string> lines = lines_of(text);
  check(api::load_config({.file = {}, .environment = {}, .overrides = lines}));
  check(api::load_config({.file = {}, .environment = lines, .overrides = {}}));
  return 0;
}
