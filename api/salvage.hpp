// SalvageFolder: payloads whose requests failed after their body had arrived (ladder.hpp), as files
// node.data_dir/salvage/<id>.zst in the stored form. Only a command takes one out, and
// salvage/log.jsonl says when, why and by whom, before the file goes. Below it, refused/<id>.zst
// are documents that were refused for what is in them (refused_documents.hpp); they also go when
// they become too many. Blocking; for commands.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/envelope.hpp"
#include "core/http/message.hpp"
#include "core/result.hpp"
#include "core/sealed_object.hpp"

namespace daybook::api {

class SalvageFolder {
 public:
  explicit SalvageFolder(const std::string& data_dir) : path_(data_dir + "/salvage") {}

  struct Payload {
    core::Envelope envelope;
    core::ByteVector stored;
  };
  // Oldest first; none where there is no folder.
  [[nodiscard]] core::Result<std::vector<core::RecordId>> list() const;
  [[nodiscard]] core::Result<std::vector<core::RecordId>> list_refused() const;
  // Code::not_found, or damaged where the bytes are not what their envelope says.
  [[nodiscard]] core::Result<Payload> open(const core::RecordId& id) const;
  [[nodiscard]] std::uint64_t stored_size(const core::RecordId& id) const;  // 0 = it is gone

  // Writes the line {"action", "id", "at", "who", facts…} durably, then removes the file.
  [[nodiscard]] core::Result<void> take_out(
      const core::RecordId& id, std::string_view action,
      const std::vector<std::pair<std::string, std::string>>& facts) const;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string refused_path() const { return path_ + "/refused"; }
  // Where it is, of either kind.
  [[nodiscard]] std::string file_of(const core::RecordId& id) const;

 private:
  std::string path_;
};

// Puts one in, durably; returns its name below node.data_dir.
[[nodiscard]] core::Result<std::string> write_salvage(const std::string& data_dir,
                                                      const core::SealedObject& object);

// The payload's own bytes, checked against the envelope's SHA-256.
[[nodiscard]] core::Result<core::ByteVector> payload_of(const SalvageFolder::Payload& payload);

// The header fields that post it as it came: type, attributes, key. A payload that came without a
// key gets one of its own, so that posting it twice stores it once.
[[nodiscard]] core::http::Fields salvage_fields(const core::Envelope& envelope);

}  // namespace daybook::api
