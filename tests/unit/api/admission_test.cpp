// What uploads are charged.
#include "api/admission.hpp"

#include <gtest/gtest.h>

#include "core/limits.hpp"

namespace daybook::api {
namespace {

TEST(AdmissionMemory, covers_both_forms_of_a_payload_that_came_as_base64_before_its_metadata) {
  core::Config config;
  config.ingest_body_bytes_max = 8 * core::MiB;
  config.ingest_memory_max = 512 * core::MiB;
  struct Case {
    double text, frames;  // in payloads, of 8 MiB of random bytes; zstd -1
  };
  for (const auto& [text, frames] :
       {Case{1.3334, 1.0003}, {1.4583, 1.0439}, {1.6669, 1.1932}, {2.0, 1.3069}}) {
    const double payload = 8.0 * core::MiB;
    const auto bytes = static_cast<std::uint64_t>(text * payload);
    EXPECT_GE(static_cast<double>(bytes + second_form_memory(bytes, config)),
              (frames + 1) * payload)
        << text;
    EXPECT_LE(
        upload_memory(bytes) + second_form_memory(bytes, config) + core::limits::kCodingWindowMax,
        client_memory_max(config));
  }
  EXPECT_EQ(second_form_memory(0, config), 0U);
  EXPECT_EQ(second_form_memory(100 * core::MiB, config), 0U) << "it is refused";
  EXPECT_GE(second_form_memory(1600, config), 800U);
}

}  // namespace
}  // namespace daybook::api
