// S3Store against answers a real store rarely gives: every one of them must end as the right Error,
// and no put may succeed whose bytes the store has not confirmed. The published cases are in
// DAYBOOK_SHARED/suites/s3-client-faults; the real server is in tests/contract.
#include "storage/s3_store.hpp"

#include <atomic>

#include <gtest/gtest.h>

#include "core/text.hpp"
#include "io/worker_pool.hpp"
#include "storage/s3_checksums.hpp"
#include "storage/s3_errors.hpp"
#include "tests/contract/payloads.hpp"
#include "tests/unit/io/run_on_io.hpp"
#include "tests/unit/io/scripted_server.hpp"
#include "tests/unit/storage/s3_published_cases.hpp"

namespace daybook::storage {
namespace {

using core::Code;
using core::Retry;
using tests::Peer;
using namespace std::chrono_literals;

constexpr std::string_view kBody = "The bytes of the object.";

std::string md5_of_body() {
  return core::to_hex(core::md5({core::as_bytes(kBody)}));
}
std::string sha256_of_body() {
  return core::to_base64(core::sha256(core::as_bytes(kBody)).bytes);
}

std::string answer(int status, const std::string& fields = "", const std::string& body = "") {
  return "HTTP/1.1 " + std::to_string(status) + " Some Words\r\n" + fields +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}
std::string error_body(const std::string& code) {
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>" + code +
         "</Code><Message>Some words.</Message></Error>";
}

// What the test server answers to a request; "" closes the connection.
using Answering = std::function<std::string(const std::string& head, const std::string& body)>;

// A store on a server of the test.
class Bench {
 public:
  explicit Bench(Answering answering, S3Store::Settings settings = {})
      : server_([answering = std::move(answering)](Peer& peer) {
          for (;;) {
            const auto [head, body] = peer.read_request();
            if (head.empty()) return;
            const std::string text = answering(head, body);
            if (text.empty()) return;
            peer.send(text);
          }
        }) {
    settings.endpoint = "http://127.0.0.1:" + std::to_string(server_.port());
    settings.bucket = "bucket";
    settings.learns = false;
    settings.access_key = "key";
    settings.secret_key = "secret";
    store_ = S3Store::open(std::move(settings), runtime_, workers_).value();
  }

  core::Result<core::ObjectVersion> put(std::chrono::milliseconds time = 10s,
                                        std::string_view body = kBody) {
    core::PutObject object{.key = "a/b c",
                           .body = {core::as_bytes(body)},
                           .sha256 = core::sha256(core::as_bytes(body)),
                           .content_type = "application/json",
                           .metadata = {{"daybook-id", "x  y"}}};
    return tests::run_on_io(runtime_, store_->put(std::move(object), tests::within(time)));
  }
  core::Result<core::ByteVector> get(std::optional<core::ByteRange> range = std::nullopt,
                                     std::chrono::milliseconds time = 10s) {
    return tests::run_on_io(runtime_, store_->get("a/b c", range, tests::within(time)));
  }
  core::Result<core::ObjectInfo> head() {
    return tests::run_on_io(runtime_, store_->head("a/b c", tests::within(10s)));
  }
  core::Result<void> probe() {
    return tests::run_on_io(runtime_, store_->probe(tests::within(10s)));
  }

 private:
  tests::ScriptedServer server_;  // goes last: the store's connections are closed then
  io::IoRuntime runtime_;
  io::WorkerPool workers_{runtime_, 1, "test"};
  std::unique_ptr<S3Store> store_;
};

Answering always(std::string text) {
  return [text = std::move(text)](const std::string&, const std::string&) { return text; };
}
// One answer to PUT, another one to everything else.
Answering put_then(std::string to_put, std::string to_get) {
  return [=](const std::string& head, const std::string&) {
    return head.starts_with("PUT ") ? to_put : to_get;
  };
}

template <class T>
void expect_error(const core::Result<T>& result, Code code, Retry retry) {
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(core::to_string(result.error().code), core::to_string(code)) << result.error().detail;
  EXPECT_EQ(static_cast<int>(result.error().retry), static_cast<int>(retry))
      << result.error().detail;
  EXPECT_EQ(result.error().origin, core::Origin::object_store);
}

// ---- put ----

TEST(S3StorePut, sends_what_the_store_needs_to_check_the_bytes) {
  std::string head;
  std::string body;
  Bench bench([&](const std::string& got_head, const std::string& got_body) {
    head = got_head;
    body = got_body;
    return answer(200, "ETag: \"" + md5_of_body() + "\"\r\nx-amz-version-id: v1\r\n");
  });
  const auto stored = bench.put();
  ASSERT_TRUE(stored) << stored.error().detail;
  EXPECT_EQ(stored->location, "s3://bucket/a/b c");
  EXPECT_EQ(stored->version, "v1");
  EXPECT_EQ(body, kBody);
  EXPECT_TRUE(head.starts_with("PUT /bucket/a/b%20c HTTP/1.1\r\nHost: 127.0.0.1:")) << head;
  for (const std::string& line :
       {std::string("Content-Type: application/json"), std::string("x-amz-meta-daybook-id: x y"),
        "Content-MD5: " + core::to_base64(core::md5({core::as_bytes(kBody)})),
        "x-amz-content-sha256: " + core::sha256(core::as_bytes(kBody)).hex(),
        std::string("SignedHeaders=content-md5;content-type;host;x-amz-content-sha256;x-amz-date;"
                    "x-amz-meta-daybook-id, ")}) {
    EXPECT_NE(head.find(line), std::string::npos) << line << "\nin\n" << head;
  }
}

TEST(S3StorePut, believes_an_etag_that_is_the_md5_in_any_dress) {
  std::string upper = md5_of_body();
  for (char& c : upper) c = static_cast<char>(std::toupper(c));
  for (const std::string& etag :
       {"\"" + md5_of_body() + "\"", md5_of_body(), "\"" + upper + "\""}) {
    Bench bench(put_then(answer(200, "ETag: " + etag + "\r\n"), answer(500)));
    EXPECT_TRUE(bench.put()) << etag;
  }
}

TEST(S3StorePut, believes_a_sha256_checksum) {
  Bench bench(put_then(
      answer(200, "ETag: \"opaque\"\r\nx-amz-checksum-sha256: " + sha256_of_body() + "\r\n"),
      answer(500)));
  EXPECT_TRUE(bench.put());
}

TEST(S3StorePut, reads_back_what_the_store_does_not_confirm) {
  const std::string wrong_sum(44, 'A');
  for (const std::string& fields :
       {std::string(), std::string("ETag: \"0123456789abcdef0123456789abcdef\"\r\n"),
        std::string("ETag: \"d41d8cd98f00b204e9800998ecf8427e-2\"\r\n"),
        std::string("ETag: \"\"\r\n"),
        "ETag: \"" + md5_of_body() + "\"\r\nx-amz-checksum-sha256: " + wrong_sum + "\r\n"}) {
    SCOPED_TRACE(fields);
    Bench same(put_then(answer(200, fields), answer(200, "", std::string(kBody))));
    const auto stored = same.put();
    EXPECT_TRUE(stored) << stored.error().detail;
    Bench other(put_then(answer(200, fields), answer(200, "", "other bytes")));
    expect_error(other.put(), Code::damaged, Retry::safe);
    Bench gone(put_then(answer(200, fields), answer(404, "", error_body("NoSuchKey"))));
    expect_error(gone.put(), Code::damaged, Retry::safe);
    Bench down(put_then(answer(200, fields), answer(503, "", error_body("SlowDown"))));
    expect_error(down.put(), Code::unavailable, Retry::unknown_outcome);
  }
}

TEST(S3StorePut, reads_back_the_version_it_has_written) {
  std::string head;
  Bench bench([&](const std::string& got_head, const std::string&) {
    if (got_head.starts_with("PUT ")) return answer(200, "x-amz-version-id: v/1\r\n");
    head = got_head;
    return answer(200, "", std::string(kBody));
  });
  EXPECT_TRUE(bench.put());
  EXPECT_TRUE(head.starts_with("GET /bucket/a/b%20c?versionId=v%2F1 ")) << head;
}

TEST(S3StorePut, does_not_believe_another_success_than_200) {
  for (const int status : {201, 202, 204, 206}) {
    Bench bench(always("HTTP/1.1 " + std::to_string(status) + " Yes\r\nETag: \"" + md5_of_body() +
                       "\"\r\n" + (status == 204 ? "\r\n" : "Content-Length: 0\r\n\r\n")));
    expect_error(bench.put(), Code::unavailable, Retry::unknown_outcome);
  }
}

TEST(S3StorePut, does_not_believe_a_200_with_an_error_in_it) {
  const std::string etag = "ETag: \"" + md5_of_body() + "\"\r\n";
  Bench internal(always(answer(200, etag, error_body("InternalError"))));
  expect_error(internal.put(), Code::unavailable, Retry::unknown_outcome);
  Bench denied(always(answer(200, etag, error_body("AccessDenied"))));
  expect_error(denied.put(), Code::denied, Retry::never);
  Bench bare(always(answer(200, etag, "\n <!-- x --> <Error></Error>")));
  expect_error(bare.put(), Code::unavailable, Retry::unknown_outcome);
}

TEST(S3StorePut, refuses_keys_and_metadata_that_s3_could_read_differently) {
  Bench bench(always(answer(200)));
  for (const char* key : {"", "/a", "a/../b", ".", "a/.", "a\nb"}) EXPECT_FALSE(check_s3_key(key));
  EXPECT_FALSE(check_s3_key(std::string(1025, 'k')));
  EXPECT_TRUE(check_s3_key("a/..b/c..zst"));
}

// ---- get, head, probe ----

TEST(S3StoreGet, checks_the_checksums_that_the_store_states) {
  const std::string body(kBody);
  Bench good(always(answer(200, "x-amz-checksum-sha256: " + sha256_of_body() + "\r\n", body)));
  EXPECT_TRUE(good.get());
  Bench parts(always(answer(200, "x-amz-checksum-crc32: AAAAAA==-3\r\n", body)));
  EXPECT_TRUE(parts.get());
  Bench bad(always(answer(200, "x-amz-checksum-sha256: AAAA\r\n", body)));
  expect_error(bad.get(), Code::damaged, Retry::safe);
  Bench bad_crc(always(answer(200, "x-amz-checksum-crc32: AAAAAA==\r\n", body)));
  expect_error(bad_crc.get(), Code::damaged, Retry::safe);
}

TEST(S3StoreGet, knows_the_crc32_of_the_standard_check_string) {
  EXPECT_EQ(crc32(core::as_bytes("123456789")), 0xCBF43926u);
}

TEST(S3StoreGet, does_not_take_a_part_for_the_whole) {
  Bench bench(always(answer(206, "Content-Range: bytes 0-3/10\r\n", "part")));
  expect_error(bench.get(), Code::damaged, Retry::safe);
}

TEST(S3StoreGet, takes_exactly_the_range_it_asked_for) {
  const auto ranged = [](const std::string& content_range, const std::string& body) {
    Bench bench([&](const std::string& head, const std::string&) {
      EXPECT_NE(head.find("\r\nRange: bytes=2-5\r\n"), std::string::npos);
      return answer(206, content_range, body);
    });
    return bench.get(core::ByteRange{2, 4});
  };
  EXPECT_TRUE(ranged("Content-Range: bytes 2-5/10\r\n", "cdef"));
  EXPECT_TRUE(ranged("Content-Range: bytes 2-5/*\r\n", "cdef"));
  expect_error(ranged("Content-Range: bytes 2-4/5\r\n", "cde"), Code::invalid_argument,
               Retry::never);
  for (const std::string& wrong :
       {std::string(), std::string("Content-Range: bytes 0-3/10\r\n"),
        std::string("Content-Range: bytes 2-6/10\r\n"), std::string("Content-Range: 2-5/10\r\n"),
        std::string("Content-Range: bytes 2-5\r\n"), std::string("Content-Range: bytes x-5/10\r\n"),
        std::string("Content-Range: bytes 5-2/10\r\n")}) {
    SCOPED_TRACE(wrong);
    expect_error(ranged(wrong, "cdef"), Code::damaged, Retry::safe);
  }
  expect_error(ranged("Content-Range: bytes 2-5/10\r\n", "cde"), Code::damaged, Retry::safe);
}

TEST(S3StoreGet, cuts_the_range_out_of_a_whole_object) {
  Bench bench(always(answer(200, "", "abcdefgh")));
  const auto part = bench.get(core::ByteRange{2, 4});
  ASSERT_TRUE(part) << part.error().detail;
  EXPECT_EQ(core::as_text(*part), "cdef");
  expect_error(bench.get(core::ByteRange{5, 4}), Code::invalid_argument, Retry::never);
}

TEST(S3StoreHead, needs_a_size) {
  Bench bench(always("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n"));
  const auto info = bench.head();
  ASSERT_TRUE(info) << info.error().detail;
  EXPECT_EQ(info->size, 1234u);
  Bench silent(always("HTTP/1.1 200 OK\r\n\r\n"));
  expect_error(silent.head(), Code::unavailable, Retry::safe);
  Bench absent(always("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"));
  expect_error(absent.head(), Code::not_found, Retry::never);
}

TEST(S3StoreProbe, tells_why_a_bucket_cannot_be_used) {
  const auto probing = [](int status, const std::string& code) {
    Bench bench([=](const std::string& head, const std::string&) {
      const std::string fields = "x-amz-bucket-region: eu-west-1\r\n";
      return head.starts_with("HEAD ") ? answer(status, fields)
                                       : answer(status, fields, error_body(code));
    });
    return bench.probe();
  };
  const auto denied = probing(403, "SignatureDoesNotMatch");
  expect_error(denied, Code::denied, Retry::never);
  EXPECT_NE(denied.error().detail.find("archive.s3_secret_key"), std::string::npos);
  EXPECT_NE(denied.error().detail.find("clock"), std::string::npos);
  expect_error(probing(404, "NoSuchBucket"), Code::misconfigured, Retry::never);
  expect_error(probing(404, ""), Code::misconfigured, Retry::never);
  const auto elsewhere = probing(301, "PermanentRedirect");
  expect_error(elsewhere, Code::misconfigured, Retry::never);
  EXPECT_NE(elsewhere.error().detail.find("eu-west-1"), std::string::npos);
}

// ---- what answers mean ----

TEST(S3Errors, every_answer_has_its_meaning) {
  struct Case {
    int status;
    const char* code;
    Code meaning;
    Retry retry;
  };
  const Case cases[] = {
      {403, "AccessDenied", Code::denied, Retry::never},
      {403, "SignatureDoesNotMatch", Code::denied, Retry::never},
      {403, "RequestTimeTooSkewed", Code::unavailable, Retry::safe},
      {403, "ExpiredToken", Code::denied, Retry::never},
      {400, "ExpiredToken", Code::denied, Retry::never},
      {400, "InvalidToken", Code::denied, Retry::never},
      {400, "TokenRefreshRequired", Code::denied, Retry::never},
      {403, "AllAccessDisabled", Code::denied, Retry::never},
      {503, "Busy", Code::unavailable, Retry::safe},
      {503, "RequestThrottled", Code::unavailable, Retry::safe},
      {400, "ThrottlingException", Code::unavailable, Retry::safe},
      {500, "InternalFailure", Code::unavailable, Retry::unknown_outcome},
      {400, "KMS.DisabledException", Code::misconfigured, Retry::never},
      {403, "InvalidAccessKeyId", Code::denied, Retry::never},
      {403, "", Code::denied, Retry::never},
      {403, "NoSuchKey", Code::denied, Retry::never},
      {403, "NoSuchBucket", Code::denied, Retry::never},
      {401, "", Code::denied, Retry::never},
      {404, "NoSuchBucket", Code::misconfigured, Retry::never},
      {404, "NoSuchKey", Code::not_found, Retry::never},
      {404, "", Code::not_found, Retry::never},
      {400, "XAmzContentSHA256Mismatch", Code::damaged, Retry::safe},
      {400, "BadDigest", Code::damaged, Retry::safe},
      {400, "RequestTimeout", Code::unavailable, Retry::safe},
      {400, "IncompleteBody", Code::unavailable, Retry::safe},
      {400, "AuthorizationHeaderMalformed", Code::misconfigured, Retry::never},
      {400, "InvalidRequest", Code::invalid_argument, Retry::never},
      {400, "EntityTooLarge", Code::too_large, Retry::never},
      {413, "", Code::too_large, Retry::never},
      {429, "", Code::unavailable, Retry::safe},
      {503, "SlowDown", Code::unavailable, Retry::safe},
      {503, "", Code::unavailable, Retry::safe},
      {500, "InternalError", Code::unavailable, Retry::unknown_outcome},
      {500, "", Code::unavailable, Retry::unknown_outcome},
      {502, "", Code::unavailable, Retry::unknown_outcome},
      {504, "", Code::unavailable, Retry::unknown_outcome},
      {200, "InternalError", Code::unavailable, Retry::unknown_outcome},
      {200, "SlowDown", Code::unavailable, Retry::safe},
      {200, "AccessDenied", Code::denied, Retry::never},
      {200, "", Code::unavailable, Retry::unknown_outcome},
      {409, "OperationAborted", Code::conflict, Retry::safe},
      {409, "", Code::conflict, Retry::safe},
      {412, "PreconditionFailed", Code::conflict, Retry::never},
      {416, "InvalidRange", Code::invalid_argument, Retry::never},
      {403, "QuotaExceeded", Code::out_of_space, Retry::safe},
      {507, "", Code::out_of_space, Retry::safe},
      {301, "PermanentRedirect", Code::misconfigured, Retry::never},
      {307, "TemporaryRedirect", Code::misconfigured, Retry::never},
      {307, "", Code::misconfigured, Retry::never},
      {501, "NotImplemented", Code::misconfigured, Retry::never},
      {304, "", Code::unavailable, Retry::unknown_outcome},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(std::to_string(one.status) + " " + one.code);
    const core::Error error = classify_s3(one.status, {one.code, "words", "", ""}, "PUT b/k");
    EXPECT_EQ(core::to_string(error.code), core::to_string(one.meaning));
    EXPECT_EQ(static_cast<int>(error.retry), static_cast<int>(one.retry));
    EXPECT_EQ(error.origin, core::Origin::object_store);
    EXPECT_TRUE(error.detail.starts_with("PUT b/k: the store answered "));
  }
}

TEST(S3Errors, reads_the_words_of_an_error_document_and_trusts_none) {
  const auto parse = [](const std::string& text) { return parse_s3_error(core::as_bytes(text)); };
  const auto plain = parse(error_body("SlowDown"));
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->code, "SlowDown");
  EXPECT_EQ(plain->message, "Some words.");
  EXPECT_EQ(parse("<Error xmlns=\"x\"><Code>A</Code></Error>")->code, "A");
  EXPECT_EQ(parse("<Error><Code>A\r\nX: y</Code></Error>")->code, "");
  EXPECT_EQ(parse("<Error><Code>" + std::string(100'000, 'a') + "</Code></Error>")->code, "");
  EXPECT_EQ(parse("<Error><Code>A")->code, "");
  EXPECT_EQ(parse("<Error><Message>a\x1b[31m\xff</Message></Error>")->message, "a [31m ");
  EXPECT_LE(
      parse("<Error><Message>" + std::string(5'000, 'a') + "</Message></Error>")->message.size(),
      310u);
  for (const char* text : {"", "  ", "<?xml", "<!--", "<html><Error></Error></html>", "<Errors>",
                           "Error", "<ListPartsResult>"}) {
    EXPECT_FALSE(parse(text)) << text;
  }
}

// ---- settings ----

std::string date_of(std::chrono::seconds offset) {
  const std::time_t second = std::time(nullptr) + offset.count();
  std::tm parts{};
  gmtime_r(&second, &parts);
  char text[40];
  std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return text;
}

TEST(S3StoreSigning, is_done_once_more_with_the_stores_time_and_the_whole_body) {
  std::vector<std::string> bodies;
  std::vector<std::string> times;
  Bench bench([&](const std::string& head, const std::string& body) {
    bodies.push_back(body);
    const std::size_t at = head.find("x-amz-date: ");
    times.push_back(head.substr(at + 12, 13));  // to the hour and minute
    if (times.size() == 1) {
      return answer(403, "Date: " + date_of(std::chrono::hours(5)) + "\r\n",
                    error_body("RequestTimeTooSkewed"));
    }
    return answer(200, "ETag: \"" + md5_of_body() + "\"\r\n");
  });
  const auto stored = bench.put();
  ASSERT_TRUE(stored) << stored.error().detail;
  EXPECT_EQ(bodies, (std::vector<std::string>(2, std::string(kBody))));
  ASSERT_TRUE(bench.put());
  ASSERT_EQ(times.size(), 3u) << "the second put is right at once";
  EXPECT_NE(times[0], times[1]);
  EXPECT_EQ(times[1].substr(0, 11), times[2].substr(0, 11));
}

TEST(S3StoreSigning, a_clock_that_cannot_be_mended_is_an_outage_after_two_requests) {
  int requests = 0;
  Bench bench([&](const std::string&, const std::string&) {
    ++requests;  // a store that always finds the time an hour behind its own
    return answer(403, "Date: " + date_of(std::chrono::hours(requests)) + "\r\n",
                  error_body("RequestTimeTooSkewed"));
  });
  expect_error(bench.put(), Code::unavailable, Retry::safe);
  EXPECT_EQ(requests, 2);
}

// Hands out key1, key2, …
class ChangingKeys final : public AwsCredentialSource {
 public:
  [[nodiscard]] std::string name() const override { return "test"; }
  core::Task<core::Result<AwsKeys>> fetch(core::Deadline /*deadline*/) override {
    co_return AwsKeys{{"key" + std::to_string(++number_), "secret", "token"}, {}, {}, "test"};
  }

 private:
  int number_ = 0;
};

TEST(S3StoreSigning, uses_renewed_keys_once_when_the_old_ones_are_refused) {
  for (const bool accepts : {true, false}) {
    std::vector<std::string> heads;
    io::IoRuntime runtime;
    io::WorkerPool workers(runtime, 1, "test");
    tests::ScriptedServer server([&](Peer& peer) {
      for (;;) {
        const auto [head, body] = peer.read_request();
        if (head.empty()) return;
        heads.push_back(head);
        const bool old = head.find("Credential=key1/") != std::string::npos;
        peer.send(old || !accepts ? answer(400, "", error_body("ExpiredToken"))
                                  : answer(200, "ETag: \"" + md5_of_body() + "\"\r\n"));
      }
    });
    S3Store::Settings settings;
    settings.endpoint = "http://127.0.0.1:" + std::to_string(server.port());
    settings.bucket = "bucket";
    settings.learns = false;
    settings.signer = std::make_shared<AwsSigner>(
        runtime, AwsCredentials::make(runtime, std::make_unique<ChangingKeys>()));
    // The keys were fetched a while ago: a try of this second would not be repeated.
    static_cast<void>(tests::run_on_io(runtime, settings.signer->ready(tests::within(5s))));
    tests::run_on_io(runtime, runtime.sleep(1100ms));
    auto store = S3Store::open(std::move(settings), runtime, workers).value();
    core::PutObject object{.key = "k",
                           .body = {core::as_bytes(kBody)},
                           .sha256 = core::sha256(core::as_bytes(kBody)),
                           .content_type = "text/plain",
                           .metadata = {}};
    const auto stored =
        tests::run_on_io(runtime, store->put(std::move(object), tests::within(10s)));
    EXPECT_EQ(stored.has_value(), accepts);
    ASSERT_EQ(heads.size(), 2u);
    EXPECT_NE(heads[1].find("Credential=key2/"), std::string::npos) << heads[1];
    EXPECT_NE(heads[1].find("x-amz-security-token: token"), std::string::npos) << heads[1];
    store.reset();
  }
}

TEST(S3StoreSettings, say_what_is_missing) {
  io::IoRuntime runtime;
  io::WorkerPool workers(runtime, 1, "test");
  S3Store::Settings good;
  good.endpoint = "http://s3.example.com";
  good.bucket = "bucket";
  good.access_key = "key";
  good.secret_key = "secret";
  const auto refused = [&](auto change) {
    S3Store::Settings settings = good;
    change(settings);
    const auto store = S3Store::open(std::move(settings), runtime, workers);
    if (store) return std::string("taken");
    EXPECT_EQ(store.error().code, Code::misconfigured);
    return store.error().detail;
  };
  EXPECT_EQ(refused([](auto&) {}), "taken");
  EXPECT_NE(refused([](auto& s) { s.endpoint = ""; }).find("archive.s3_endpoint"),
            std::string::npos);
  EXPECT_NE(refused([](auto& s) { s.bucket = ""; }).find("archive.s3_bucket"), std::string::npos);
  EXPECT_NE(refused([](auto& s) { s.bucket = "a/b"; }).find("archive.s3_bucket"),
            std::string::npos);
  EXPECT_NE(refused([](auto& s) { s.secret_key = ""; }).find("secret_key"), std::string::npos);
  EXPECT_NE(refused([](auto& s) { s.region = ""; }).find("archive.s3_region"), std::string::npos);
  EXPECT_NE(refused([](auto& s) {
              s.virtual_host = true;
              s.endpoint = "http://127.0.0.1:9000";
            }).find("archive.s3_virtual_host"),
            std::string::npos);
}

// ---- the published cases ----

using tests::PublishedCase;

std::vector<PublishedCase> published_cases() {
  return tests::published_cases(std::string(kBody), "bytes 0-23");
}

Answering answering(const PublishedCase& one) {
  return [&one](const std::string&, const std::string&) {
    if (one.silent) std::this_thread::sleep_for(300ms);
    return one.silent ? "" : answer(one.status, one.fields, one.status == 204 ? "" : one.body);
  };
}

struct Expected {
  Code code;
  Retry retry;
};

// What a PUT answered this way must end as when the object cannot be read back either.
Expected expected_of_put(const PublishedCase& one) {
  const auto has = [&one](std::string_view word) {
    return one.body.find(word) != std::string::npos;
  };
  if (one.silent) return {Code::timeout, Retry::unknown_outcome};
  if (has("<Code>RequestTimeTooSkewed<")) return {Code::unavailable, Retry::safe};
  if (has("<Code>AccessDenied<") || one.status == 403) return {Code::denied, Retry::never};
  if (has("<Code>InternalError<")) return {Code::unavailable, Retry::unknown_outcome};
  if (has("<Code>RequestTimeout<") || one.status == 503) return {Code::unavailable, Retry::safe};
  if (one.status == 404) return {Code::misconfigured, Retry::never};
  if (one.status == 400) return {Code::invalid_argument, Retry::never};
  if (one.status == 412) return {Code::conflict, Retry::never};
  if (one.status == 200) return {Code::damaged, Retry::safe};
  return {Code::unavailable, Retry::unknown_outcome};  // 204, 206
}

TEST(S3PublishedFaults, no_put_succeeds_on_any_of_them) {
  const std::vector<PublishedCase> cases = published_cases();
  if (cases.empty()) GTEST_SKIP() << "no suites/s3-client-faults; set DAYBOOK_SHARED";
  EXPECT_EQ(cases.size(), 38u);
  for (const PublishedCase& one : cases) {
    SCOPED_TRACE(one.name);
    const Expected expected = expected_of_put(one);
    const std::string other = answer(200, "", "not the bytes that were put");
    Bench bench([&, canned = answering(one)](const std::string& head, const std::string& body) {
      return head.starts_with("PUT ") ? canned(head, body) : other;
    });
    expect_error(bench.put(one.silent ? 100ms : 10s), expected.code, expected.retry);
  }
}

TEST(S3PublishedFaults, a_200_becomes_a_success_only_by_reading_the_bytes_back) {
  const std::vector<PublishedCase> cases = published_cases();
  if (cases.empty()) GTEST_SKIP() << "no suites/s3-client-faults; set DAYBOOK_SHARED";
  int successes = 0;
  for (const PublishedCase& one : cases) {
    SCOPED_TRACE(one.name);
    std::atomic<int> reads = 0;
    Bench bench([&, canned = answering(one)](const std::string& head, const std::string& body) {
      if (head.starts_with("PUT ")) return canned(head, body);
      ++reads;
      return answer(200, "", std::string(kBody));
    });
    const bool stored = bench.put(one.silent ? 100ms : 10s).has_value();
    EXPECT_EQ(stored, expected_of_put(one).code == Code::damaged);
    EXPECT_EQ(reads, stored ? 1 : 0);
    successes += stored ? 1 : 0;
  }
  EXPECT_GT(successes, 5);
}

TEST(S3PublishedFaults, no_damaged_or_cut_object_is_got) {
  int seen = 0;
  const std::vector<PublishedCase> cases = published_cases();
  if (cases.empty()) GTEST_SKIP() << "no suites/s3-client-faults; set DAYBOOK_SHARED";
  for (const PublishedCase& one : cases) {
    if (!one.name.starts_with("GetObject")) continue;
    SCOPED_TRACE(one.name);
    ++seen;
    Bench whole(answering(one));
    const auto time = one.silent ? 100ms : std::chrono::milliseconds(10s);
    const auto got = whole.get(std::nullopt, time);
    const bool checksum = one.fields.find("x-amz-checksum") != std::string::npos;
    EXPECT_FALSE(got.has_value()) << "status " << one.status << " checksum " << checksum;

    Bench part(answering(one));
    const auto range = part.get(core::ByteRange{0, kBody.size()}, time);
    const bool sound = one.fields.find("Content-Range: bytes 0-23/") != std::string::npos;
    EXPECT_EQ(range.has_value(), !one.silent && (sound || (one.status == 200 && !one.body.empty())))
        << one.fields;
  }
  EXPECT_EQ(seen, 19);
}

}  // namespace
}  // namespace daybook::storage
