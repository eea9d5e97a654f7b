// One connection of HttpServer: the loop over its requests, and the exchange of the one being
// served. A part of http_server.
//
// Memory: kInputBytes until a head is longer than that; what it takes beyond, and every parsed
// head, is charged to the server, which has a bound for all of them. I/O thread only.
#pragma once

#include <list>
#include <memory>
#include <optional>
#include <string>

#include "core/http/chunked.hpp"
#include "io/http_server.hpp"
#include "io/waiting_line.hpp"

namespace daybook::io {

class HttpServer::Session final : public HttpExchange {
 public:
  Session(HttpServer& server, std::unique_ptr<Stream> stream);
  ~Session() override;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  core::Task<> run();
  // Answers, without a word being read, that there is no room for this client.
  core::Task<> turn_away();

  // Ends a connection that waits for its client; says 408 where a request had begun.
  void end_waiting();
  // Between requests nothing is lost by leaving, and who does not take a stream's bytes gets no
  // more of them.
  void close_if_idle();
  // More than a small head takes: what ending this connection would give back.
  [[nodiscard]] bool holds_long_head() const { return input_.capacity() > kInputBytes; }

  [[nodiscard]] const core::http::RequestHead& head() const override { return head_; }
  [[nodiscard]] const std::string& peer() const override { return address_->first; }
  core::Task<core::Result<void>> body_arrives(std::size_t bytes) override;
  core::Task<core::Result<std::size_t>> read_body(core::MutableBytes into) override;
  core::Task<core::Result<void>> respond(HttpAnswer answer) override;
  core::Task<core::Result<void>> begin(HttpAnswer answer, std::uint64_t body_bytes) override;
  core::Task<core::Result<void>> write(core::Slices slices) override;
  core::Task<core::Result<void>> begin_stream(HttpAnswer answer) override;
  core::Task<core::Result<void>> end() override;

 private:
  // Most heads are shorter.
  static constexpr std::size_t kInputBytes = 2 * core::KiB;

  core::Task<bool> read_head(bool first);
  core::Task<core::Result<void>> fill_input(std::size_t room, core::Deadline deadline);
  bool reserve_input(std::size_t bytes);
  void reset_request();
  bool begin_request(core::http::RequestHead head, std::size_t head_bytes);
  core::Task<> refuse(int status, std::string detail);
  core::Task<core::Result<void>> counted_arrives(std::size_t bytes);
  core::Task<core::Result<void>> chunks_arrive(std::size_t bytes);
  static std::size_t roomier(std::size_t had);
  core::Task<core::Result<std::size_t>> read_counted(core::MutableBytes into);
  core::Task<core::Result<std::size_t>> read_chunked(core::MutableBytes into);
  std::size_t take_input(core::MutableBytes into);
  [[nodiscard]] core::Deadline body_deadline() const;
  [[nodiscard]] core::Deadline write_deadline() const;
  std::string answer_head(const HttpAnswer& answer, std::optional<std::uint64_t> body_bytes);
  core::Task<core::Result<void>> send(core::Slices slices);
  core::Task<> linger();
  void wait_as(WaitingLine<Session>::Kind kind);
  void wait_no_more();

  HttpServer& server_;
  std::unique_ptr<Stream> stream_;
  std::map<std::string, Address>::iterator address_;
  std::list<Session*>::iterator place_;
  WaitingLine<Session>::Member in_server_{*this};
  WaitingLine<Session>::Member in_address_{*this};
  std::vector<std::byte> input_;  // received, not yet consumed; at most one head and a little
  std::size_t charged_ = 0;       // to the server's memory for heads
  core::http::RequestHead head_;
  core::http::ChunkedDecoder decoder_;
  std::uint64_t body_left_ = 0;
  core::Deadline body_end_{};
  std::optional<core::SteadyTime> body_began_;
  std::uint64_t body_received_ = 0;  // as sent, chunk sizes included
  std::uint64_t answer_left_ = 0;
  bool streaming_ = false;  // begun without a length, and not ended
  bool sending_ = false;
  core::Duration linger_time_;
  bool body_done_ = true;
  bool continue_sent_ = false;
  bool answered_ = false;
  bool must_close_ = false;
  bool idle_ = false;      // nothing of a request has come
  bool owes_408_ = false;  // something has, and it is not answered
  bool leaving_ = false;   // ended while it waited
};

}  // namespace daybook::io
