// Any request head that parses, as the head of POST /v1/records: refused in words that can stand in
// a JSON answer, or an envelope that is stored and read again as it was.
#include "api/ingest_head.hpp"

#include "core/check.hpp"
#include "core/config.hpp"
#include "core/http/head_parser.hpp"
#include "core/limits.hpp"
#include "core/text.hpp"

using namespace daybook;  // NOLINT: one function

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const core::Config config = [] {
    core::Config made{};
    made.ingest_tenant = "default";
    made.ingest_body_bytes_max = 8 * core::MiB;
    return made;
  }();
  const auto outcome = core::http::parse_request_head(std::as_bytes(std::span(data, size)));
  const auto* parsed = std::get_if<core::http::Parsed<core::http::RequestHead>>(&outcome);
  if (parsed == nullptr) return 0;
  const auto head = api::read_ingest_head(parsed->head, config);
  if (!head) {
    CHECK(head.error().origin == core::Origin::client);
    CHECK(!head.error().detail.empty() && core::is_utf8(head.error().detail));
    return 0;
  }
  CHECK(head->key.has_value() != head->envelope.idempotency_key.empty());
  core::Envelope envelope = head->envelope;
  envelope.id = *core::RecordId::parse("01a1fc8c-ce79-7000-803a-d6276c781060");
  envelope.durability = "fsync";
  const std::string json = core::to_json(envelope);
  CHECK(json.size() <= core::limits::kEnvelopeBytesMax && core::is_utf8(json));
  const auto again = core::envelope_from_json(json);
  CHECK(again.has_value() && *again == envelope);
  return 0;
}
