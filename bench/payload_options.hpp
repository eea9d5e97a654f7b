// The options that say which bodies a benchmark sends, the same words in each program, and what
// they mean.
#pragma once

#include <optional>
#include <string>

#include "bench/payload_source.hpp"

namespace CLI {
class App;
}

namespace daybook::bench {

struct PayloadChoice {
  std::string size;  // "4M", "1M..6M"; empty: as they come
  bool generated = false;
  PayloadOptions options;
};

// --size --corpus --generated --incompressible --seed. `choice` must live until the parse.
void declare_payload_options(CLI::App& app, PayloadChoice& choice);

// Fills choice.options from what was written; the sentence says what is wrong.
[[nodiscard]] std::optional<std::string> interpret_payload_options(PayloadChoice& choice);

}  // namespace daybook::bench
