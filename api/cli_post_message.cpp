#include "api/cli_post_message.hpp"

#include <unistd.h>

#include "api/cli_output.hpp"
#include "api/local_file.hpp"
#include "core/http/fields.hpp"
#include "core/limits.hpp"
#include "core/text.hpp"

namespace daybook::api {
namespace {

namespace json = boost::json;

bool is_json(core::Bytes bytes) {
  json::parse_options options;
  options.max_depth = core::limits::kJsonDepthMax;
  boost::system::error_code error;
  const std::string_view text = core::as_text(bytes);
  static_cast<void>(json::parse({text.data(), text.size()}, error, {}, options));
  return !error;
}

std::string content_type(const PostOptions& options, const std::string& path) {
  return options.content_type.empty() ? content_type_of(path) : options.content_type;
}

// As it came, so that it can be compared with what the documentation of the format says.
void print_answer(const io::HttpResponse& response) {
  const core::http::ResponseHead& head = response.head;
  std::string text = "HTTP/1." + std::to_string(head.minor_version) + " " +
                     std::to_string(head.status) + " " + printable(head.reason) + "\n";
  for (const auto& [name, value] : head.fields.lines()) {
    text += printable(name) + ": " + printable(value) + "\n";
  }
  std::string body(core::as_text(response.body));
  if (body.ends_with('\n')) body.pop_back();
  print(text + "\n" + printable(body) + "\n");
}

// Empty = the server has it.
std::string post_one(const PostOptions& options, const PostItem& item) {
  core::Result<LocalFile> file;
  if (item.path == "-") {
    auto bytes = read_descriptor(STDIN_FILENO, "Standard input", core::limits::kBodyBytesCeiling);
    if (!bytes) return bytes.error().detail;
    file = LocalFile{.bytes = *std::move(bytes)};
  } else {
    file = read_local_file(item.path, core::limits::kBodyBytesCeiling);
    if (!file) return file.error().detail;
  }
  const core::WallTime now =
      std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now());
  const bool own_time = options.time == "mtime" && file->modified_at != core::WallTime{};
  const std::string time = own_time ? core::format_time(file->modified_at)
                           : options.time.empty() || options.time == "mtime"
                               ? core::format_time(now)
                               : options.time;
  const std::string document = message_document(
      options, item.path, file->bytes, options.id.empty() ? random_key() : options.id, time);
  io::HttpRequest request;
  request.method = "POST";
  request.target = "/ingestMessage";
  request.fields.add("Accept", "application/json, application/problem+json");
  request.fields.add("Content-Type", "application/json");
  request.fields.add("User-Agent", "daybook/" DAYBOOK_VERSION);
  request.body.push_back(core::as_bytes(document));
  const auto response = send_request(options.server, std::move(request));
  if (!response) return response.error().detail;
  print_answer(*response);
  return response->head.status / 100 == 2 ? "" : describe_refusal(*response);
}

}  // namespace

std::string check_message_options(const PostOptions& options) {
  if (options.type.empty() || options.source.empty()) {
    return "A message names its type and its source system: --type and --source.";
  }
  if (!options.subject.empty()) return "A message has no --subject.";
  if (!options.idempotency_key.empty()) {
    return "A message's key is its --source with its --id; --idempotency-key is for records.";
  }
  return {};
}

std::string message_document(const PostOptions& options, const std::string& path,
                             core::Bytes payload, const std::string& transaction,
                             const std::string& time) {
  json::object metadata = {{"messageType", options.type},
                           {"sourceSystemID", options.source},
                           {"sourceTransactionID", transaction},
                           {"dateTime", time}};
  for (const std::string& pair : options.attributes) {
    const std::size_t equals = pair.find('=');
    metadata[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  const std::string type = content_type(options, path);
  const std::string media_type = core::http::media_type(type);
  const bool as_json =
      (media_type == "application/json" || media_type.ends_with("+json") || path == "-") &&
      is_json(payload);
  if (!as_json) {
    metadata["payloadEncoding"] = "base64";
    metadata["contentType"] = type;
  }
  std::string document =
      "{\"messageMetaData\":" + json::serialize(metadata) + ",\"messagePayload\":";
  document += as_json ? std::string(core::as_text(payload)) : '"' + core::to_base64(payload) + '"';
  return document + "}";
}

int post_messages(const PostOptions& options) {
  std::vector<std::string> problems;
  const std::vector<PostItem> items = list_items(options.paths, problems);
  if (!options.id.empty() && items.size() > 1) {
    print_error("daybook post: --id names one message, but there are " +
                std::to_string(items.size()) + " files.\n");
    return kExitUsage;
  }
  for (const PostItem& item : items) {
    if (const std::string why = post_one(options, item); !why.empty()) {
      problems.push_back(item.path + ": " + why);
    }
  }
  for (const std::string& problem : problems) print_error("failed  " + printable(problem) + "\n");
  return problems.empty() ? kExitOk : kExitFailed;
}

}  // namespace daybook::api
