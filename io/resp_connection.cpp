#include "io/resp_connection.hpp"

#include "core/limits.hpp"

namespace daybook::io {
namespace {

using core::Code;
using core::Origin;
using core::Result;
using core::Retry;
using core::Task;
using core::resp::CommandBatch;
using core::resp::Reply;

constexpr std::size_t kReplyReadBytes = 64 * core::KiB;

}  // namespace

Task<Result<std::unique_ptr<RespConnection>>> RespConnection::open(IoRuntime& runtime,
                                                                   RespSettings settings,
                                                                   core::Deadline deadline) {
  auto stream =
      co_await connect(runtime, settings.endpoint, std::nullopt, Origin::buffer, deadline);
  if (!stream) co_return pass(std::move(stream));
  auto connection = std::make_unique<RespConnection>(std::move(*stream));
  CommandBatch hello;
  if (!settings.password.empty()) {
    if (settings.username.empty()) {
      hello.add({"AUTH", settings.password});
    } else {
      hello.add({"AUTH", settings.username, settings.password});
    }
  }
  if (settings.database != 0) hello.add({"SELECT", std::to_string(settings.database)});
  hello.add({"PING"});
  auto replies = co_await connection->call(hello, deadline);
  if (!replies) co_return pass(std::move(replies));
  for (const Reply& reply : *replies) {
    if (!reply.is_error()) continue;
    const bool denied = reply.text.starts_with("NOAUTH") || reply.text.starts_with("WRONGPASS") ||
                        reply.text.starts_with("NOPERM");
    co_return core::fail(denied ? Code::denied : Code::unavailable, Origin::buffer, Retry::safe,
                         "Redis at " + settings.endpoint.str() + " says: " + reply.text +
                             (denied ? ". Check buffer.username and buffer.password" : ""));
  }
  co_return std::move(connection);
}

Task<Result<std::vector<Reply>>> RespConnection::call(const CommandBatch& batch,
                                                      core::Deadline deadline) {
  broken_ = true;  // until every reply is there
  auto sent = co_await stream_->write_all(batch.slices(), deadline);
  if (!sent) {
    sent.error().retry = Retry::unknown_outcome;
    co_return pass(std::move(sent));
  }
  std::vector<Reply> replies;
  replies.reserve(batch.commands());
  received_.resize(kReplyReadBytes);
  while (replies.size() < batch.commands()) {
    auto reply = reader_.next();
    if (!reply) co_return pass(std::move(reply));
    if (*reply) {
      replies.push_back(std::move(**reply));
      continue;
    }
    auto bytes = co_await stream_->read_some(received_, deadline);
    if (!bytes) {
      bytes.error().retry = Retry::unknown_outcome;
      co_return pass(std::move(bytes));
    }
    if (auto fed = reader_.feed(core::Bytes(received_).first(*bytes)); !fed) {
      co_return pass(std::move(fed));
    }
  }
  broken_ = false;
  co_return replies;
}

// A connection taken out of the pool; its place is given back whatever happens to the caller.
class RespPool::Lease {
 public:
  explicit Lease(RespPool& pool) : pool_(pool), generation_(pool.generation_) { ++pool_.in_use_; }
  ~Lease() {
    --pool_.in_use_;
    if (connection && !connection->broken() && generation_ == pool_.generation_) {
      pool_.idle_.push_back(std::move(connection));
    }
    pool_.returned_->notify_all();
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  std::unique_ptr<RespConnection> connection;

 private:
  RespPool& pool_;
  std::uint64_t generation_;
};

RespPool::RespPool(IoRuntime& runtime, RespSettings settings, std::size_t connections_max)
    : runtime_(runtime),
      settings_(std::move(settings)),
      connections_max_(connections_max),
      returned_(runtime.make_signal()) {}

void RespPool::drop_idle() {
  ++generation_;
  idle_.clear();
}

Task<Result<std::vector<Reply>>> RespPool::call(const CommandBatch& batch,
                                                core::Deadline deadline) {
  while (in_use_ >= connections_max_) {
    co_await returned_->wait(deadline);
    if (in_use_ >= connections_max_ && runtime_.steady_now() >= deadline) {
      co_return core::fail(Code::timeout, Origin::buffer, Retry::safe,
                           "every connection to Redis stayed busy until the deadline");
    }
  }
  Lease lease(*this);
  if (!idle_.empty()) {
    lease.connection = std::move(idle_.back());
    idle_.pop_back();
  } else {
    auto opened = co_await RespConnection::open(runtime_, settings_, deadline);
    if (!opened) co_return pass(std::move(opened));
    lease.connection = std::move(*opened);
  }
  auto replies = co_await lease.connection->call(batch, deadline);
  if (!replies) {
    drop_idle();
    replies.error().detail = "Redis at " + settings_.endpoint.str() + ": " + replies.error().detail;
  }
  co_return replies;
}

}  // namespace daybook::io
