#include "storage/s3_store.hpp"

#include <algorithm>
#include <utility>

#include "core/limits.hpp"
#include "core/text.hpp"
#include "storage/blocking_call.hpp"
#include "storage/s3_call.hpp"
#include "storage/s3_checksums.hpp"
#include "storage/s3_errors.hpp"
#include "storage/s3_fields.hpp"
#include "storage/s3_list.hpp"

namespace daybook::storage {
namespace {

using core::Code;
using core::Origin;
using core::Result;
using core::Retry;

// The largest payload, incompressible, with its envelope, frame heads and seek table.
constexpr std::uint64_t kObjectBytesMax = core::limits::kBodyBytesCeiling + 4 * core::MiB;

// A list of 1000 keys of 1 KiB, each with its entry's other words.
constexpr std::uint64_t kListBytesMax = 8 * core::MiB;

// What S3 allows (API reference, "Authenticating Requests: Using Query Parameters").
constexpr std::chrono::seconds kLinkLongest = std::chrono::days(7);

// Bodies from here on are sent only when the store asks for them: a refusal then costs one round
// trip instead of the body. Smaller ones are on their way before an answer could come.
constexpr std::uint64_t kExpectContinueBytes = 1 * core::MiB;

core::Failure fail(Code code, Retry retry, std::string detail) {
  return core::fail(code, Origin::object_store, retry, std::move(detail));
}

core::Failure range_past_end(const std::string& doing) {
  return fail(Code::invalid_argument, Retry::never, doing + ": the object ends before this range.");
}

Result<void> check_settings(const S3Store::Settings& settings, const io::Url& url) {
  const auto bad = [](std::string what) {
    return fail(Code::misconfigured, Retry::never, std::move(what));
  };
  const auto is_bucket_character = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' ||
           c == '-' || c == '_';
  };
  if (settings.bucket.empty()) return bad("archive.s3_bucket is empty: name the bucket.");
  if (!std::ranges::all_of(settings.bucket, is_bucket_character) || settings.bucket == "." ||
      settings.bucket == "..") {
    return bad("archive.s3_bucket '" + settings.bucket + "' is no bucket name.");
  }
  if (settings.region.empty()) return bad("archive.s3_region is empty: name the region.");
  if (!settings.signer && (settings.access_key.empty() || settings.secret_key.empty())) {
    return bad("archive.s3_access_key and archive.s3_secret_key must both be set.");
  }
  const bool address = url.host.find_first_not_of("0123456789.") == std::string::npos ||
                       url.host.find(':') != std::string::npos;
  if (settings.virtual_host && address) {
    return bad("archive.s3_virtual_host needs a host name in archive.s3_endpoint, not " + url.host +
               ".");
  }
  return {};
}

std::string host_of(const S3Store::Settings& settings, const io::Url& url) {
  return settings.virtual_host ? settings.bucket + "." + url.authority() : url.authority();
}

}  // namespace

core::Failure s3_failure(Code code, Retry retry, std::string detail) {
  return fail(code, retry, std::move(detail));
}

core::Error s3_error_of(const io::HttpResponse& response, std::string_view doing) {
  S3ErrorDocument document = parse_s3_error(response.body).value_or(S3ErrorDocument{});
  const auto region = response.head.fields.find("x-amz-bucket-region");
  if (document.region.empty() && region && is_printable(*region)) document.region = *region;
  return classify_s3(response.head.status, document, doing);
}

bool is_s3_success(const io::HttpResponse& response) {
  return response.head.status == 200 && !parse_s3_error(response.body);
}

void S3Store::Call::set_document(std::string_view text) {
  body = {core::as_bytes(text)};
  sha256 = core::sha256(body);
  fields.emplace_back("Content-MD5", core::to_base64(core::md5(body)));
}

Result<std::unique_ptr<S3Store>> S3Store::open(Settings settings, io::IoRuntime& runtime,
                                               core::Workers& workers) {
  auto url = io::parse_url(settings.endpoint);
  if (!url) {
    return fail(Code::misconfigured, Retry::never, "archive.s3_endpoint: " + url.error().detail);
  }
  auto sound = check_settings(settings, *url);
  if (!sound) return pass(sound);
  if (!settings.signer) {
    settings.signer = std::make_shared<AwsSigner>(
        runtime, AwsCredentials::fixed(runtime, {settings.access_key, settings.secret_key, ""}));
  }
  return std::unique_ptr<S3Store>(
      new S3Store(std::move(settings), std::move(*url), runtime, workers));
}

S3Store::S3Store(Settings settings, io::Url url, io::IoRuntime& runtime, core::Workers& workers)
    : settings_(std::move(settings)),
      url_(std::move(url)),
      host_(host_of(settings_, url_)),
      runtime_(runtime),
      workers_(workers),
      options_(settings_.options),
      learned_(runtime.make_signal()) {
  const std::string server =
      settings_.virtual_host ? settings_.bucket + "." + url_.host : url_.host;
  io::HttpClient::Settings client;
  client.endpoint = settings_.connect_to.value_or(io::Endpoint{server, url_.port, {}});
  client.host_header = host_;
  if (url_.https) client.tls = io::TlsSettings{server, settings_.ca_file, true};
  client.origin = Origin::object_store;
  client.connections_max = std::max<std::size_t>(settings_.connections, 1);
  client_ = std::make_unique<io::HttpClient>(runtime, std::move(client));
}

std::string S3Store::describe() const {
  return "s3://" + settings_.bucket + " at " + (url_.https ? "https://" : "http://") +
         url_.authority() + url_.path;
}

std::string S3Store::path_of(const std::string& key) const {
  std::string path = url_.path;
  if (!settings_.virtual_host) path += "/" + settings_.bucket;
  if (!key.empty() || path.empty()) path += "/" + key;
  return path;
}

core::Task<Result<core::ObjectLink>> S3Store::link(std::string key, std::string version,
                                                   std::optional<core::ByteRange> range,
                                                   core::Duration valid, core::Deadline deadline) {
  namespace sigv4 = core::sigv4;
  auto sound = check_s3_key(key);
  if (!sound) co_return pass(sound);
  const auto with = co_await settings_.signer->ready(deadline);
  if (!with) {
    core::Error error = with.error();
    error.origin = Origin::object_store;
    co_return core::Failure(std::move(error));
  }
  const auto seconds =
      std::min(std::chrono::duration_cast<std::chrono::seconds>(valid), kLinkLongest);
  sigv4::Request request{"GET", path_of(key), {}, {{"Host", host_}}};
  if (!version.empty()) request.query.emplace_back("versionId", version);
  core::ObjectLink link;
  if (range) {
    link.range = "bytes=" + std::to_string(range->offset) + "-" +
                 std::to_string(range->offset + range->length - 1);
    request.headers.emplace_back("Range", link.range);
  }
  auto query = request.query;
  const sigv4::Scope scope{settings_.region, "s3", with->time};
  for (auto& added : sigv4::presign(request, with->keys, scope, seconds)) {
    query.push_back(std::move(added));
  }
  link.url = (url_.https ? "https://" : "http://") + host_ + sigv4::canonical_uri(request.path) +
             "?" + sigv4::canonical_query(query);
  link.expires_at = with->time + seconds;
  co_return link;
}

core::Task<Result<io::HttpResponse>> S3Store::send(Call call, core::Deadline deadline) {
  for (bool mended = false;; mended = true) {
    auto with = co_await settings_.signer->ready(deadline);
    if (!with) {
      core::Error error = std::move(with).error();
      error.origin = Origin::object_store;
      co_return core::Failure(std::move(error));
    }
    auto response = co_await send_signed(call, *with, deadline);
    if (!response || mended) co_return std::move(response);
    if (response->head.status < 400 && call.method == "GET") co_return std::move(response);
    const auto document = parse_s3_error(response->body);
    const std::string date(response->head.fields.find("date").value_or(""));
    const bool again = co_await settings_.signer->mend(
        std::move(*with), response->head.status, document ? document->code : "", date, deadline);
    if (!again) co_return std::move(response);
  }
}

core::Task<Result<io::HttpResponse>> S3Store::send_signed(Call call, AwsSigner::Ready with,
                                                          core::Deadline deadline) {
  namespace sigv4 = core::sigv4;
  const std::string path = path_of(call.key);
  sigv4::Request signed_parts{call.method, path, call.query, call.fields};
  signed_parts.headers.emplace_back("Host", host_);
  const auto added = sigv4::sign(std::move(signed_parts), with.keys,
                                 {settings_.region, "s3", with.time}, call.sha256.hex());

  io::HttpRequest request;
  request.method = call.method;
  request.target = sigv4::canonical_uri(path);
  if (!call.query.empty()) request.target += "?" + sigv4::canonical_query(call.query);
  for (const auto& [name, value] : call.fields) request.fields.add(name, value);
  for (const auto& [name, value] : added) request.fields.add(name, value);
  request.body = call.body;
  request.expect_continue = core::total_bytes(call.body) >= kExpectContinueBytes;
  request.response_bytes_max = call.response_bytes_max;

  auto response = co_await client_->send(std::move(request), deadline);
  if (response) co_return std::move(response);
  core::Error error = std::move(response).error();
  error.detail = call.method + " " + settings_.bucket + "/" + call.key + ": " + error.detail;
  if (error.code == Code::timeout) error.retry = Retry::unknown_outcome;  // the port's promise
  co_return core::Failure(std::move(error));
}

core::Task<Result<core::ObjectInfo>> S3Store::head(std::string key, core::Deadline deadline) {
  auto sound = check_s3_key(key);
  if (!sound) co_return pass(sound);
  const auto response = co_await send({.method = "HEAD", .key = key}, deadline);
  if (!response) co_return pass(response);
  const std::string doing = "HEAD " + settings_.bucket + "/" + key;
  if (response->head.status != 200) co_return core::Failure(s3_error_of(*response, doing));
  if (response->head.fields.count("content-length") == 0) {
    co_return fail(Code::unavailable, Retry::safe, doing + ": the store did not name the size.");
  }
  co_return core::ObjectInfo{response->head.content_length};
}

core::Task<Result<core::ByteVector>> S3Store::get(std::string key,
                                                  std::optional<core::ByteRange> range,
                                                  core::Deadline deadline) {
  auto sound = check_s3_key(key);
  if (!sound) co_return pass(sound);
  if (range) co_return co_await get_range(key, *range, deadline);
  co_return co_await get_version(key, "", deadline);
}

core::Task<Result<core::ByteVector>> S3Store::get_version(std::string key, std::string version,
                                                          core::Deadline deadline) {
  Call call{.method = "GET", .key = key};
  if (!version.empty()) call.query.emplace_back("versionId", version);
  call.response_bytes_max = kObjectBytesMax;
  auto response = co_await send(std::move(call), deadline);
  if (!response) co_return pass(std::move(response));
  const std::string doing = "GET " + settings_.bucket + "/" + key;
  if (response->head.status == 206) {
    co_return fail(Code::damaged, Retry::safe, doing + ": the store sent a part of the object.");
  }
  if (response->head.status != 200) co_return core::Failure(s3_error_of(*response, doing));
  if (states_checksum(response->head.fields)) {
    const auto wrong = co_await call_on<std::string>(
        workers_, Origin::object_store, [answer = &*response]() -> Result<std::string> {
          return contradiction(answer->head.fields, answer->body);
        });
    if (!wrong) co_return pass(wrong);
    if (!wrong->empty()) {
      co_return fail(Code::damaged, Retry::safe, doing + ": the bytes contradict " + *wrong + ".");
    }
  }
  co_return std::move(response->body);
}

core::Task<Result<core::ByteVector>> S3Store::get_range(std::string key, core::ByteRange range,
                                                        core::Deadline deadline) {
  const std::string doing = "GET " + settings_.bucket + "/" + key + " " +
                            std::to_string(range.offset) + "+" + std::to_string(range.length);
  if (range.length == 0) {
    co_return fail(Code::invalid_argument, Retry::never, doing + ": the range is empty.");
  }
  if (range.offset > kObjectBytesMax || range.length > kObjectBytesMax) {
    co_return range_past_end(doing);
  }
  const std::uint64_t last = range.offset + range.length - 1;
  Call call{.method = "GET", .key = key};
  call.fields.emplace_back("Range",
                           "bytes=" + std::to_string(range.offset) + "-" + std::to_string(last));
  call.response_bytes_max = kObjectBytesMax;
  auto response = co_await send(std::move(call), deadline);
  if (!response) co_return pass(std::move(response));
  core::ByteVector& body = response->body;

  // A store may ignore Range and send everything (RFC 9110 section 14.2).
  if (response->head.status == 200) {
    if (body.size() <= last) co_return range_past_end(doing);
    const auto start = body.begin() + static_cast<std::ptrdiff_t>(range.offset);
    co_return core::ByteVector(start, start + static_cast<std::ptrdiff_t>(range.length));
  }
  if (response->head.status != 206) co_return core::Failure(s3_error_of(*response, doing));
  const auto sent = parse_content_range(response->head.fields.find("content-range").value_or(""));
  if (sent && sent->total && *sent->total <= last) co_return range_past_end(doing);
  if (!sent || sent->first != range.offset || sent->last != last || body.size() != range.length) {
    co_return fail(Code::damaged, Retry::safe, doing + ": the store sent another range.");
  }
  co_return std::move(body);
}

core::Task<Result<std::vector<core::ListedObject>>> S3Store::list(std::string prefix,
                                                                  std::string after,
                                                                  std::size_t max,
                                                                  core::Deadline deadline) {
  if (max == 0 || max > core::kListedObjectsMax) {
    co_return fail(Code::invalid_argument, Retry::never, "A list has 1 to 1000 objects.");
  }
  const std::string doing = "listing " + settings_.bucket + "/" + prefix;
  const std::string place = "s3://" + settings_.bucket + "/";
  std::vector<core::ListedObject> found;
  std::string token;
  for (;;) {
    Call call{.method = "GET",
              .query = {{"list-type", "2"}, {"max-keys", std::to_string(max - found.size())}}};
    call.response_bytes_max = kListBytesMax;
    if (!prefix.empty()) call.query.emplace_back("prefix", prefix);
    if (!after.empty()) call.query.emplace_back("start-after", after);
    if (!token.empty()) call.query.emplace_back("continuation-token", token);
    const auto response = co_await send(std::move(call), deadline);
    if (!response) co_return pass(response);
    if (response->head.status != 200 || parse_s3_error(response->body)) {
      core::Error error = s3_error_of(*response, doing);
      if (error.code == Code::not_found) error.code = Code::misconfigured;
      co_return core::Failure(std::move(error));
    }
    auto page = parse_s3_list(response->body);
    if (!page) co_return pass(std::move(page));
    for (S3ListPage::Object& object : page->objects) {
      const std::string& last = found.empty() ? after : found.back().key;
      if (is_probe_key(object.key)) continue;
      if (object.key <= last || !object.key.starts_with(prefix) || found.size() == max) {
        co_return fail(Code::damaged, Retry::never,
                       doing + ": the store names " + object.key + " where it does not belong.");
      }
      found.push_back({object.key, object.size, place + object.key});
    }
    token = std::move(page->continuation_token);
    if (token.empty() || found.size() == max) co_return found;
  }
}

core::Task<Result<void>> S3Store::probe_bucket(core::Deadline deadline) {
  auto response = co_await send({.method = "HEAD"}, deadline);
  if (!response) co_return pass(response);
  if (response->head.status == 200) co_return Result<void>{};
  // An answer to HEAD has no words; an answer to GET says what is wrong.
  response =
      co_await send({.method = "GET", .query = {{"list-type", "2"}, {"max-keys", "1"}}}, deadline);
  if (!response) co_return pass(response);
  if (response->head.status == 200) co_return Result<void>{};
  co_return core::Failure(s3_put_error_of(*response, "probing the bucket " + settings_.bucket));
}

}  // namespace daybook::storage
