// An entry of the feed as JSON: beside the record how to get its payload, or the payload itself.
//
//   {"sequence":17,"published_at":"…","record":{…},"payload":{"href":"/v1/records/ID/payload",
//     "text":"…"                             with payload=inline, where the payload is UTF-8
//     "base64":"…"                           and where it is not
//     "omitted":"…"                          why it is not inline although that was asked for
//     "link":{"url":"…","expires_at":"…","content_encoding":"zstd","size":…,    with payload=link
//             "headers":{"Range":"bytes=…"}}}}   to send along, where an object holds several
//             records
//
// A message, in the original's shape, is the JSON that was posted; and where that cannot be given,
// because it is no JSON, too large, lost or not wished:
//
//   {"id":"…","timestamp":"…","contentType":"…","size":…,"href":"/v1/records/ID/payload",
//    "omitted":"…","link":{…}}
//
// I/O thread only; bytes are worked on by the workers.
#pragma once

#include <string>
#include <string_view>

#include "api/feed_request.hpp"
#include "api/feed_tail.hpp"
#include "core/ports/object_store.hpp"
#include "core/ports/workers.hpp"

namespace daybook::api {

class FeedEntries {
 public:
  FeedEntries(core::Runtime& runtime, core::Workers& workers, core::ObjectStore& objects,
              core::Duration link_valid)
      : runtime_(runtime), workers_(workers), objects_(objects), link_valid_(link_valid) {}

  // What it will take as text, about; never less where its payload is inline.
  [[nodiscard]] static std::uint64_t size_of_entry(const TailEntry& entry, PayloadWish wish);
  [[nodiscard]] static std::uint64_t size_of_message(const TailEntry& entry, PayloadWish wish);

  // A payload that is lost is omitted, with the reason. An Error: it cannot be read now.
  core::Task<core::Result<std::string>> entry(std::shared_ptr<const TailEntry> entry,
                                              PayloadWish wish);
  // The message as it was posted, where it is JSON and inline; else what tells of it, see above.
  core::Task<core::Result<std::string>> message(std::shared_ptr<const TailEntry> entry,
                                                PayloadWish wish);

 private:
  core::Task<core::Result<std::string>> payload_json(std::shared_ptr<const TailEntry> entry,
                                                     PayloadWish wish);
  core::Task<core::Result<std::string>> link_json(std::shared_ptr<const TailEntry> entry);
  // The payload, in a form.
  core::Task<core::Result<std::string>> payload_as(std::shared_ptr<const TailEntry> entry,
                                                   std::string (*form)(core::Bytes));

  core::Runtime& runtime_;
  core::Workers& workers_;
  core::ObjectStore& objects_;
  const core::Duration link_valid_;
};

// A JSON text of these bytes where they are UTF-8 and it is no longer than base64 would be; with
// their name: "text":"…" or "base64":"…". Pure.
[[nodiscard]] std::string payload_member(core::Bytes payload);

// The same bytes where they are one JSON text, else none. Pure.
[[nodiscard]] std::string payload_json_text(core::Bytes payload);

// Whether a content type says that it is JSON, of any kind: application/json, text/json, …+json.
[[nodiscard]] bool says_json(std::string_view content_type);

}  // namespace daybook::api
