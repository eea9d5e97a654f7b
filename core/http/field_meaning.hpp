// What the fields of a head say about its body and its connection, judged line by line, in the
// order received. Part of the head parser; the refusals that keep framing unambiguous are here.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace daybook::core::http {

struct FieldRefusal {
  int status = 0;
  std::string_view detail;  // a literal
};

class FieldMeaning {
 public:
  explicit FieldMeaning(bool is_request) : is_request_(is_request) {}

  // One field line, its value trimmed; name and value outlive this object. A refusal is final.
  [[nodiscard]] std::optional<FieldRefusal> add(std::string_view name, std::string_view value,
                                                int minor_version);

  [[nodiscard]] const std::optional<std::uint64_t>& length() const { return length_; }
  [[nodiscard]] bool chunked() const { return chunked_; }
  [[nodiscard]] bool has_host() const { return has_host_; }
  [[nodiscard]] std::string_view host() const { return host_; }
  [[nodiscard]] bool expects_continue() const { return expects_continue_; }
  [[nodiscard]] bool says_upgrade() const { return said_upgrade_; }
  [[nodiscard]] bool keeps_alive(int minor_version) const {
    return !said_close_ && (minor_version == 1 || said_keep_alive_);
  }

 private:
  std::optional<FieldRefusal> on_host(std::string_view value);
  std::optional<FieldRefusal> on_expect(std::string_view value, int minor_version);
  std::optional<FieldRefusal> on_length(std::string_view value);
  std::optional<FieldRefusal> on_coding(std::string_view value, int minor_version);
  std::optional<FieldRefusal> on_connection(std::string_view value);

  bool is_request_;
  bool chunked_ = false;
  bool has_host_ = false;
  bool expects_continue_ = false;
  bool said_close_ = false;
  bool said_keep_alive_ = false;
  bool said_upgrade_ = false;
  std::string_view host_;
  std::optional<std::uint64_t> length_;
};

}  // namespace daybook::core::http
