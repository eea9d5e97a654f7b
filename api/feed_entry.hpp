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
// I/O thread only; bytes are worked on by the workers.
#pragma once

#include <string>

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

  // What the entry will take as text, about; never less where its payload is inline.
  [[nodiscard]] static std::uint64_t size_of(const TailEntry& entry, PayloadWish wish);

  // A payload that is lost is omitted, with the reason. An Error: it cannot be read now.
  core::Task<core::Result<std::string>> entry(std::shared_ptr<const TailEntry> entry,
                                              PayloadWish wish);
  // The original's shape: {"messageID":…,"messageType":…,…}.
  core::Task<core::Result<std::string>> message(std::shared_ptr<const TailEntry> entry,
                                                PayloadWish wish);

 private:
  core::Task<core::Result<std::string>> payload_json(std::shared_ptr<const TailEntry> entry,
                                                     PayloadWish wish);
  core::Task<core::Result<std::string>> link_json(std::shared_ptr<const TailEntry> entry);
  core::Task<core::Result<std::string>> inlined(std::shared_ptr<const TailEntry> entry);

  core::Runtime& runtime_;
  core::Workers& workers_;
  core::ObjectStore& objects_;
  const core::Duration link_valid_;
};

// A JSON text of these bytes where they are UTF-8 and it is no longer than base64 would be; with
// their name: "text":"…" or "base64":"…". Pure.
[[nodiscard]] std::string payload_member(core::Bytes payload);

}  // namespace daybook::api
