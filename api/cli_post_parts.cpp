// The pure parts of `daybook post`: which files, which header fields, and whether a receipt is
// right.
#include <algorithm>
#include <array>
#include <filesystem>

#include "api/cli_output.hpp"
#include "api/cli_post.hpp"
#include "api/cli_post_message.hpp"
#include "core/http/fields.hpp"
#include "core/limits.hpp"
#include "core/text.hpp"

namespace daybook::api {
namespace {

namespace fs = std::filesystem;

struct MediaType {
  std::string_view extension;
  std::string_view name;
};
constexpr std::array kMediaTypes = {
    MediaType{".json", "application/json"},
    MediaType{".ndjson", "application/x-ndjson"},
    MediaType{".jsonl", "application/x-ndjson"},
    MediaType{".log", "text/plain; charset=utf-8"},
    MediaType{".txt", "text/plain; charset=utf-8"},
    MediaType{".md", "text/markdown; charset=utf-8"},
    MediaType{".csv", "text/csv"},
    MediaType{".tsv", "text/tab-separated-values"},
    MediaType{".xml", "application/xml"},
    MediaType{".yaml", "application/yaml"},
    MediaType{".yml", "application/yaml"},
    MediaType{".html", "text/html"},
    MediaType{".htm", "text/html"},
    MediaType{".eml", "message/rfc822"},
    MediaType{".pdf", "application/pdf"},
    MediaType{".png", "image/png"},
    MediaType{".jpg", "image/jpeg"},
    MediaType{".jpeg", "image/jpeg"},
    MediaType{".gif", "image/gif"},
    MediaType{".webp", "image/webp"},
    MediaType{".svg", "image/svg+xml"},
    MediaType{".tif", "image/tiff"},
    MediaType{".tiff", "image/tiff"},
    MediaType{".zip", "application/zip"},
    MediaType{".gz", "application/gzip"},
    MediaType{".tgz", "application/gzip"},
    MediaType{".zst", "application/zstd"},
    MediaType{".tar", "application/x-tar"},
    MediaType{".parquet", "application/vnd.apache.parquet"},
    MediaType{".wasm", "application/wasm"},
};

bool is_printable_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= 0x20 && c < 0x7F; });
}

// CloudEvents 1.0 section 3.1: lower-case letters and digits.
bool is_attribute_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  });
}

constexpr std::array<std::string_view, 8> kReservedAttributes = {
    "id", "source", "type", "subject", "time", "specversion", "datacontenttype", "data"};

void list_folder(const std::string& folder, std::vector<PostItem>& items,
                 std::vector<std::string>& problems) {
  std::vector<PostItem> found;
  std::error_code error;
  fs::recursive_directory_iterator entry(folder, error);
  for (const fs::recursive_directory_iterator end; !error && entry != end; entry.increment(error)) {
    std::error_code ignored;
    if (!fs::is_regular_file(entry->symlink_status(ignored))) continue;
    const std::uintmax_t size = entry->file_size(ignored);
    found.push_back({entry->path().string(), ignored ? 0 : size});
  }
  if (error) problems.push_back(folder + " cannot be listed: " + error.message() + ".");
  if (!error && found.empty()) problems.push_back(folder + " holds no regular file.");
  std::ranges::sort(found, {}, &PostItem::path);
  items.insert(items.end(), found.begin(), found.end());
}

}  // namespace

std::vector<PostItem> list_items(const std::vector<std::string>& paths,
                                 std::vector<std::string>& problems) {
  std::vector<PostItem> items;
  for (const std::string& path : paths) {
    std::error_code error;
    if (path == "-") {
      items.push_back({path, 0});
    } else if (const fs::file_status status = fs::status(path, error); !fs::exists(status)) {
      const std::string why = error ? error.message() : "No such file or directory";
      problems.push_back(path);
      problems.back().append(": ").append(why).append(".");
    } else if (fs::is_directory(status)) {
      list_folder(path, items, problems);
    } else {
      const std::uintmax_t size = fs::is_regular_file(status) ? fs::file_size(path, error) : 0;
      items.push_back({path, error ? 0 : size});
    }
  }
  return items;
}

std::string content_type_of(const std::string& path) {
  const std::string extension = core::to_lower(fs::path(path).extension().string());
  const auto known = std::ranges::find(kMediaTypes, extension, &MediaType::extension);
  return std::string(known == kMediaTypes.end() ? "application/octet-stream" : known->name);
}

std::string encode_attribute(std::string_view value) {
  std::string encoded;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const char c = value[i];
    // A space is kept where a header value may have one: inside.
    const bool edge_space = c == ' ' && (i == 0 || i + 1 == value.size());
    if (c >= 0x20 && c < 0x7F && c != '%' && c != '"' && !edge_space) {
      encoded += c;
    } else {
      // percent_encode keeps what is unreserved; none of these are.
      encoded += core::percent_encode(std::string_view(&c, 1));
    }
  }
  return encoded;
}

std::string check_post_options(const PostOptions& options) {
  if (options.paths.empty()) return "Name at least one file or folder, or - for standard input.";
  if (std::ranges::count(options.paths, "-") > 1) return "Standard input can be read only once.";
  if (options.concurrency < 1 || options.concurrency > 256) {
    return "--concurrency is between 1 and 256.";
  }
  if (!options.time.empty() && options.time != "mtime" && !core::parse_time(options.time)) {
    return "--time is RFC 3339, such as 2026-11-21T04:05:06Z, or mtime for each file's own time.";
  }
  if (!is_printable_ascii(options.content_type)) return "--content-type must be printable ASCII.";
  if (!is_printable_ascii(options.idempotency_key) ||
      options.idempotency_key.size() > core::limits::kIdempotencyKeyBytesMax) {
    return "--idempotency-key is at most 512 characters of printable ASCII.";
  }
  for (const std::string* text : {&options.type, &options.source, &options.subject, &options.id}) {
    if (!core::is_utf8(*text)) return "--type, --source, --subject and --id must be UTF-8.";
  }
  if (!options.message && !options.id.empty()) {
    return "--id is of messages (--format message); a record's key is --idempotency-key.";
  }
  if (options.message) {
    if (const std::string wrong = check_message_options(options); !wrong.empty()) return wrong;
  }
  for (const std::string& attribute : options.attributes) {
    const std::size_t equals = attribute.find('=');
    const std::string name = attribute.substr(0, equals);
    if (equals == std::string::npos || !is_attribute_name(name) || !core::is_utf8(attribute)) {
      return "--attribute " + printable(attribute) +
             " is not NAME=VALUE with a NAME of lower-case letters and digits.";
    }
    if (std::ranges::find(kReservedAttributes, name) != kReservedAttributes.end()) {
      return "--attribute " + name + ": this attribute has an option of its own or is fixed.";
    }
  }
  return {};
}

core::http::Fields record_fields(const PostOptions& options, const std::string& path,
                                 core::WallTime modified_at, const core::Sha256& sha256,
                                 const std::string& idempotency_key) {
  core::http::Fields fields;
  fields.add("Accept", "application/json, application/problem+json");
  fields.add("Content-Type",
             options.content_type.empty() ? content_type_of(path) : options.content_type);
  fields.add("Content-Digest", core::http::format_content_digest(sha256));
  fields.add("Idempotency-Key", idempotency_key);
  const auto attribute = [&](const std::string& name, const std::string& value) {
    if (!value.empty()) fields.add("ce-" + name, encode_attribute(value));
  };
  attribute("type", options.type);
  attribute("source", options.source);
  attribute("subject", options.subject);
  if (options.time != "mtime") {
    attribute("time", options.time);
  } else if (modified_at != core::WallTime{}) {
    attribute("time", core::format_time(modified_at));
  }
  for (const std::string& pair : options.attributes) {
    const std::size_t equals = pair.find('=');
    attribute(pair.substr(0, equals), pair.substr(equals + 1));
  }
  return fields;
}

std::string distrust(const boost::json::value& receipt, const core::Sha256& sha256,
                     std::uint64_t size) {
  if (text_of(receipt, "id").empty()) return "The answer is no receipt: it has no id.";
  if (text_of(receipt, "sha256") != sha256.hex()) {
    return "The receipt names SHA-256 " + printable(text_of(receipt, "sha256")) +
           ", but the bytes sent have " + sha256.hex() + ". Do not trust this record.";
  }
  if (count_of(receipt, "size") != size) {
    return "The receipt names " + std::to_string(count_of(receipt, "size")) + " bytes, but " +
           std::to_string(size) + " were sent. Do not trust this record.";
  }
  return {};
}

}  // namespace daybook::api
