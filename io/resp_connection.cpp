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
// The settings behind a handshake that failed.
std::string_view settings_of_handshake(std::string_view detail) {
  if (detail.find("authority") != detail.npos) return " (buffer.tls_ca_file)";
  if (detail.find("not for the name") != detail.npos) return " (buffer.tls_server_name)";
  return " (buffer.tls_ca_file, buffer.tls_cert_file, buffer.tls_key_file)";
}

std::string name_of(const RespSettings& settings) {
  return (settings.is_sentinel ? "Sentinel at " : "Redis at ") + settings.endpoint.str();
}

// An error answer to our greeting.
core::Error refusal(const RespSettings& settings, const std::string& text) {
  const auto says = [&](std::string_view word) { return text.starts_with(word); };
  const std::string setting = settings.is_sentinel ? "buffer.sentinel_" : "buffer.";
  const auto error = [&](Code code, const std::string& mend) {
    return core::Error{code, Origin::buffer, Retry::safe,
                       name_of(settings) + " says: " + text + mend};
  };
  if (says("NOAUTH") || says("WRONGPASS") || says("ERR AUTH") || says("ERR invalid password")) {
    return error(Code::denied,
                 ". Check " + setting + "username and " + setting + "password (or its file)");
  }
  if (says("NOPERM")) {
    return error(Code::denied, ". Allow the user to connect: ACL SETUSER NAME +@connection");
  }
  if (says("ERR DB index") || says("ERR SELECT") || says("ERR invalid DB")) {
    return error(Code::misconfigured, ". Correct the database number in buffer.url");
  }
  return error(Code::unavailable, "");
}

// No answer to our greeting: often the one side speaks TLS and the other does not, or a TLS server
// refuses our certificate, which TLS 1.3 tells only now.
core::Error greeting_trouble(const RespSettings& settings, core::Error error) {
  error.detail = name_of(settings) + ": " + error.detail;
  if (settings.tls && error.detail.find(" alert ") != std::string::npos) {
    error.code = Code::misconfigured;
    error.detail +=
        settings.tls->cert_file.empty()
            ? ". It wants a client certificate: set buffer.tls_cert_file and buffer.tls_key_file"
            : ". It refuses our certificate, buffer.tls_cert_file: use one of an authority that "
              "its tls-ca-cert-file holds";
  } else if (error.code == Code::closed) {
    error.code = Code::unavailable;
    error.retry = Retry::safe;  // nothing was asked for
    if (!settings.tls) {
      error.detail += ". If it speaks TLS, begin buffer.url with rediss";
    } else if (settings.tls->cert_file.empty()) {
      error.detail +=
          ". If it wants a client certificate, set buffer.tls_cert_file and buffer.tls_key_file";
    }
  }
  return error;
}

}  // namespace

Task<Result<std::unique_ptr<RespConnection>>> RespConnection::open(IoRuntime& runtime,
                                                                   RespSettings settings,
                                                                   core::Deadline deadline) {
  auto stream =
      co_await connect(runtime, settings.endpoint, settings.tls, Origin::buffer, deadline);
  if (!stream) {
    if (stream.error().code == Code::misconfigured) {
      stream.error().detail += settings_of_handshake(stream.error().detail);
    }
    co_return pass(std::move(stream));
  }
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
  if (!replies) co_return core::Failure(greeting_trouble(settings, std::move(replies.error())));
  for (const Reply& reply : *replies) {
    if (reply.is_error()) co_return core::Failure(refusal(settings, reply.text));
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
    const core::SteadyTime now = runtime_.steady_now();
    const core::Deadline patience =
        deadline - now > settings_.connect_timeout ? now + settings_.connect_timeout : deadline;
    auto opened = co_await RespConnection::open(runtime_, settings_, patience);
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
