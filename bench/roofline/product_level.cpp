#include <charconv>
#include <string_view>

#include "bench/roofline/servers.hpp"
#include "core/check.hpp"

namespace daybook::bench::roofline {

int product_level() {
  struct Default {
    std::string_view section, name, text;
  };
  static constexpr Default kDefaults[] = {
#define CONFIG(section, name, kind, fallback, min, max, help) {#section, #name, fallback},
#include "core/config.def"
#undef CONFIG
  };
  static const int level = [] {
    for (const Default& setting : kDefaults) {
      if (setting.section != "ingest" || setting.name != "compression_level") continue;
      int value = 0;
      std::from_chars(setting.text.data(), setting.text.data() + setting.text.size(), value);
      return value;
    }
    return 0;
  }();
  CHECK(level != 0);
  return level;
}

}  // namespace daybook::bench::roofline
