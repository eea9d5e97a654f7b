// MessagePayload: from the payload of a message as it stands there (message_reader.hpp) to the
// bytes that are archived. The rule, which loses nothing:
//
//   a string declared base64     the bytes it stands for; also without a declaration, where that
//                                was agreed for the type of message
//   "data:TYPE;base64,…"         the same, with that content type, unless it is declared json
//   any other value              its JSON text, byte for byte; a string that is not declared is
//                                never taken for base64, whatever it looks like
//
// Strict base64 has one text for given bytes, so the string can be made again from what is
// archived. One thread at a time.
#pragma once

#include <optional>
#include <string>

#include "core/json_base64.hpp"
#include "core/message_reader.hpp"

namespace daybook::core {

class MessagePayload {
 public:
  enum class Form : std::uint8_t { undecided, json, base64, data_url };

  // type and offset: of the value, as the reader says.
  MessagePayload(PayloadEncoding encoding, char type, std::uint64_t offset);

  // The next bytes of the value; they stay alive until take() has given 0. last: the value ends
  // with them. Errors are the client's and name the byte.
  Result<void> feed(Bytes text, bool last);
  // The next bytes to archive; 0 = feed more, or, after the last, that was all.
  Result<std::size_t> take(MutableBytes room);

  [[nodiscard]] Form form() const { return form_; }
  [[nodiscard]] const std::string& content_type() const { return content_type_; }  // of a data_url

  // Between two pieces: the text of the value so far is text_begin(), the text in this form for
  // what take() gave and unfinished().bytes, and unfinished().text.
  [[nodiscard]] std::string text_begin() const;
  [[nodiscard]] JsonBase64::Unfinished unfinished() const;

 private:
  Result<void> decide();
  Result<std::size_t> decode(MutableBytes room);
  void begin_base64(Form form, std::uint64_t offset);
  // The head of a data URL, quote and comma included, that has come so far; false: it is none.
  bool read_head();
  void end_at_quote();

  PayloadEncoding encoding_;
  char type_;
  std::uint64_t offset_;
  Form form_ = Form::undecided;
  std::string head_;  // of a string that may be a data URL
  std::string held_;  // of it, to be read before rest_
  std::string content_type_;
  std::optional<JsonBase64> decoder_;
  Bytes rest_;
  bool last_ = false;
};

}  // namespace daybook::core
