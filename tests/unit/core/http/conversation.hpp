// One side of a connection, as a server or client runs it: heads through the head parser, bodies by
// their framing, messages one behind the other. Fed in pieces of any size; what came out is
// compared.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/http/chunked.hpp"
#include "core/http/head_parser.hpp"

namespace daybook::core::http::testing {

template <class Head>
class Conversation {
 public:
  struct Message {
    Head head;
    std::string body;
    bool complete = false;
    // Bytes of a body that ends in a refusal may have been delivered or not.
    bool operator==(const Message& other) const {
      return complete == other.complete && (!complete || body == other.body) &&
             head.fields.lines() == other.head.fields.lines() &&
             head.framing == other.head.framing && head.keep_alive == other.head.keep_alive;
    }
  };

  void feed(std::string_view piece) {
    waiting_ += piece;
    while (!refused() && step()) {
    }
  }

  [[nodiscard]] bool refused() const { return status_ != 0; }
  [[nodiscard]] int status() const { return status_; }
  [[nodiscard]] const std::string& detail() const { return detail_; }
  [[nodiscard]] bool data_after_close() const { return closed() && !waiting_.empty(); }
  [[nodiscard]] const std::vector<Message>& messages() const { return messages_; }
  [[nodiscard]] std::size_t complete() const {
    std::size_t count = 0;
    for (const Message& message : messages_) count += message.complete ? 1 : 0;
    return count;
  }
  [[nodiscard]] std::string bodies() const {
    std::string all;
    for (const Message& message : messages_) all += message.body;
    return all;
  }
  // Everything but the details' wording, which a cut may not change either.
  bool operator==(const Conversation& other) const {
    return status_ == other.status_ && detail_ == other.detail_ && messages_ == other.messages_ &&
           data_after_close() == other.data_after_close();
  }

 private:
  [[nodiscard]] bool closed() const {
    return !in_body_ && !messages_.empty() && !messages_.back().head.keep_alive;
  }

  static auto parse(std::string_view text) {
    if constexpr (std::is_same_v<Head, RequestHead>) {
      return parse_request_head(as_bytes(text));
    } else {
      return parse_response_head(as_bytes(text), "GET");
    }
  }

  // Whether something happened, so that more may.
  bool step() {
    if (in_body_) return step_body();
    if (waiting_.empty() || closed()) return false;
    auto outcome = parse(waiting_);
    if (const auto* refusal = std::get_if<Refused>(&outcome)) {
      refuse(refusal->status, refusal->detail);
      return false;
    }
    auto* parsed = std::get_if<Parsed<Head>>(&outcome);
    if (parsed == nullptr) return false;
    waiting_.erase(0, parsed->consumed);
    left_ = parsed->head.content_length;
    chunks_ = ChunkedDecoder();
    in_body_ = parsed->head.framing != Framing::none;
    messages_.push_back({std::move(parsed->head), "", !in_body_});
    return true;
  }

  bool step_body() {
    Message& message = messages_.back();
    if (message.head.framing == Framing::chunked) return step_chunks(message);
    if (message.head.framing == Framing::until_close) left_ = UINT64_MAX;
    const std::size_t count = std::min<std::uint64_t>(left_, waiting_.size());
    message.body += waiting_.substr(0, count);
    waiting_.erase(0, count);
    left_ -= count;
    if (left_ == 0) finish(message);
    return left_ == 0;
  }

  bool step_chunks(Message& message) {
    std::array<std::byte, 7> room;  // small, so that output bounds are met, too
    const auto step = chunks_.decode(as_bytes(waiting_), room);
    if (!step) {
      refuse(400, step.error().detail);
      return false;
    }
    message.body += as_text(Bytes(room).first(step->produced));
    waiting_.erase(0, step->consumed);
    if (step->done) finish(message);
    return step->done || (step->consumed > 0 && !waiting_.empty());
  }

  void finish(Message& message) {
    message.complete = true;
    in_body_ = false;
  }
  void refuse(int status, std::string detail) {
    status_ = status;
    detail_ = std::move(detail);
  }

  std::string waiting_;
  bool in_body_ = false;
  std::uint64_t left_ = 0;
  ChunkedDecoder chunks_;
  std::vector<Message> messages_;
  int status_ = 0;
  std::string detail_;
};

template <class Head>
Conversation<Head> talk(std::string_view input, std::size_t piece) {
  Conversation<Head> conversation;
  for (; !input.empty(); input.remove_prefix(std::min(piece, input.size()))) {
    conversation.feed(input.substr(0, piece));
  }
  return conversation;
}

template <class Head>
Conversation<Head> talk_in_random_pieces(std::string_view input, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_int_distribution<std::size_t> size(1, 24);
  Conversation<Head> conversation;
  while (!input.empty()) {
    const std::size_t piece = std::min(size(random), input.size());
    conversation.feed(input.substr(0, piece));
    input.remove_prefix(piece);
  }
  return conversation;
}

}  // namespace daybook::core::http::testing
