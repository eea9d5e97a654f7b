#include "storage/s3_xml.hpp"

#include "core/text.hpp"
#include "storage/xml_text.hpp"

namespace daybook::storage {
namespace {

constexpr std::string_view kNamespace = " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";

core::Failure damaged(std::string_view why) {
  return core::fail(
      core::Code::damaged, core::Origin::object_store, core::Retry::safe,
      "The store's list of multipart uploads cannot be read: " + std::string(why) + ".");
}

// The element's text without its entities; "" where there is none or more than one.
std::string text_of(std::string_view xml, std::string_view name) {
  const auto inside = only_xml_element(xml, name);
  return inside ? xml_unescaped(*inside).value_or("") : "";
}

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else {
      out += c;
    }
  }
  return out;
}

std::string element(std::string_view name, std::string_view inside) {
  return "<" + std::string(name) + ">" + std::string(inside) + "</" + std::string(name) + ">";
}

std::string root(std::string_view name, std::string_view inside) {
  return "<" + std::string(name) + std::string(kNamespace) + ">" + std::string(inside) + "</" +
         std::string(name) + ">";
}

}  // namespace

bool is_document(std::string_view xml, std::string_view name) {
  std::size_t at = xml.find('<');
  while (at != std::string_view::npos && xml.substr(at).starts_with("<?")) {
    at = xml.find('<', xml.find("?>", at));
  }
  if (at == std::string_view::npos) return false;
  const std::string_view first = xml.substr(at + 1);
  if (!first.starts_with(name)) return false;
  const std::string_view after = first.substr(name.size());
  return after.starts_with('>') || after.starts_with(' ') || after.starts_with("/>");
}

bool says_versioned(std::string_view versioning_configuration) {
  return is_document(versioning_configuration, "VersioningConfiguration") &&
         text_of(versioning_configuration, "Status") == "Enabled";
}

S3BucketLock parse_bucket_lock(std::string_view object_lock_configuration) {
  S3BucketLock lock;
  lock.enabled = is_document(object_lock_configuration, "ObjectLockConfiguration") &&
                 text_of(object_lock_configuration, "ObjectLockEnabled") == "Enabled";
  const std::string mode = text_of(object_lock_configuration, "Mode");
  if (!lock.enabled || mode.empty()) return lock;
  const std::string days = text_of(object_lock_configuration, "Days");
  const std::string years = text_of(object_lock_configuration, "Years");
  // Ceph writes the one that is not set as 0.
  const bool by_days = !days.empty() && days != "0";
  lock.default_rule = mode + " for " + (by_days ? days + " days" : years + " years");
  return lock;
}

std::string retention_document(const S3Retention& retention) {
  return root("Retention", element("Mode", retention.mode) +
                               element("RetainUntilDate", s3_time(retention.until)));
}

std::string legal_hold_document(bool on) {
  return root("LegalHold", element("Status", on ? "ON" : "OFF"));
}

std::string tagging_document(const core::sigv4::NamedValues& tags) {
  std::string set;
  for (const auto& [name, value] : tags) {
    set += element("Tag", element("Key", escaped(name)) + element("Value", escaped(value)));
  }
  return root("Tagging", element("TagSet", set));
}

std::string complete_document(const std::vector<S3Part>& parts) {
  std::string inside;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    std::string part =
        element("PartNumber", std::to_string(i + 1)) + element("ETag", escaped(parts[i].etag));
    if (!parts[i].sha256.empty()) part += element("ChecksumSHA256", parts[i].sha256);
    inside += element("Part", part);
  }
  return root("CompleteMultipartUpload", inside);
}

std::string parse_upload_id(std::string_view initiate_result) {
  return is_document(initiate_result, "InitiateMultipartUploadResult")
             ? text_of(initiate_result, "UploadId")
             : "";
}

core::Result<S3UploadPage> parse_uploads(std::string_view document) {
  constexpr std::string_view kUpload = "<Upload>";
  constexpr std::string_view kUploadEnd = "</Upload>";
  if (!is_document(document, "ListMultipartUploadsResult")) {
    return damaged("it is no ListMultipartUploadsResult");
  }
  S3UploadPage page;
  std::string outside;  // everything but the uploads
  for (;;) {
    const std::size_t start = document.find(kUpload);
    outside += document.substr(0, start);
    if (start == std::string_view::npos) break;
    document.remove_prefix(start + kUpload.size());
    const std::size_t end = document.find(kUploadEnd);
    if (end == std::string_view::npos) return damaged("an upload does not end");
    const std::string_view entry = document.substr(0, end);
    const auto initiated = core::parse_time(text_of(entry, "Initiated"));
    S3Upload upload{text_of(entry, "Key"), text_of(entry, "UploadId"), {}};
    if (upload.key.empty() || upload.upload_id.empty() || !initiated) {
      return damaged("an upload has not one Key, UploadId and Initiated");
    }
    upload.initiated = *initiated;
    page.uploads.push_back(std::move(upload));
    document.remove_prefix(end + kUploadEnd.size());
  }
  if (text_of(outside, "IsTruncated") != "true") return page;
  page.next_key = text_of(outside, "NextKeyMarker");
  page.next_upload_id = text_of(outside, "NextUploadIdMarker");
  if (page.next_key.empty()) return damaged("it goes on, but does not say where");
  return page;
}

}  // namespace daybook::storage
