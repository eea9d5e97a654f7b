// Any bytes as a message, the first of them choosing the pieces: at once or in pieces it is judged
// the same, nothing of what it took is lost, boost::json agrees that it is JSON, and a string of
// base64 decodes to what the plain codec makes of it.
#include <boost/json.hpp>

#include "core/check.hpp"
#include "core/json_base64.hpp"
#include "core/message_reader.hpp"
#include "core/text.hpp"

using namespace daybook::core;  // NOLINT: three functions

namespace {

struct Outcome {
  bool taken = false;
  std::string error;
  std::string payload;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome read(std::string_view text, std::size_t piece) {
  MessageReader reader;
  Outcome outcome;
  for (std::size_t at = 0; at < text.size(); at += piece) {
    const std::string copy(text.substr(at, piece));
    if (auto fed = reader.feed(as_bytes(copy)); !fed) {
      outcome.error = fed.error().detail;
      CHECK(fed.error().origin == Origin::client);
      // What was kept is everything before this piece.
      CHECK(reader.before() + outcome.payload + reader.behind() == text.substr(0, at) ||
            fed.error().code == Code::too_large);
      return outcome;
    }
    outcome.payload += as_text(reader.payload());
  }
  const auto done = reader.finish();
  outcome.taken = done.has_value();
  if (!done) outcome.error = done.error().detail;
  CHECK(reader.before() + outcome.payload + reader.behind() == text);
  return outcome;
}

void check_base64(std::string_view string, std::size_t piece) {
  std::string_view rest = string.substr(1, string.size() - 2);
  const auto plain = json_unescape(rest);
  JsonBase64 decoder(0);
  std::string decoded;
  ByteVector room(piece);
  bool good = true;
  bool full = false;
  while (good && (full || !rest.empty())) {
    const auto step = decoder.decode(rest.substr(0, piece), room);
    good = step.has_value();
    if (!good) break;
    CHECK(step->consumed <= rest.size() && step->produced <= room.size());
    decoded += as_text(Bytes(room).first(step->produced));
    rest.remove_prefix(step->consumed);
    full = step->produced == room.size();
  }
  good = good && decoder.finish();
  const auto expected = plain ? from_base64(*plain) : std::nullopt;
  CHECK(good == expected.has_value());
  if (good) CHECK(decoded == as_text(*expected));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t piece = data[0] % 64 + 1;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Outcome whole = read(text, text.size() + 1);
  Outcome pieces = read(text, piece);
  if (!whole.taken) pieces.payload = whole.payload;  // how far it got differs
  CHECK(whole == pieces);
  if (!whole.taken) return 0;
  boost::json::parse_options options;
  options.max_depth = limits::kJsonDepthMax;
  boost::system::error_code error;
  const auto value = boost::json::parse({text.data(), text.size()}, error, {}, options);
  CHECK(!error && value.is_object() && value.get_object().contains("messagePayload"));
  if (whole.payload.front() == '"') check_base64(whole.payload, piece);
  return 0;
}
