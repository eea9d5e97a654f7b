// FakeBucket: a bucket in memory behind real sockets, which honours, ignores or refuses each thing
// that S3 services differ in. It checks nothing else: what real services do is in tests/contract.
#pragma once

#include <algorithm>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "core/digest.hpp"
#include "core/text.hpp"
#include "tests/unit/io/scripted_server.hpp"

namespace daybook::tests {

enum class Manner { honours, ignores, refuses };

class FakeBucket {
 public:
  struct Traits {
    Manner conditional_put = Manner::honours;
    Manner checksums = Manner::ignores;
    bool versioned = false;
    bool locks = false;                  // ?object-lock says Enabled
    bool knows_subresources = true;      // false: answers ?object-lock and the like with a list
    std::vector<std::string> forgets{};  // beginnings of field names that it takes and drops
    std::vector<std::string> refuses{};  // beginnings of field names that it answers with 501
    std::vector<std::string> forgets_parts{};  // as forgets, for multipart uploads
  };
  struct Version {
    std::string id;
    std::string body;
    std::map<std::string, std::string> fields;  // lower-case names
    std::string etag;
  };

  explicit FakeBucket(Traits traits)
      : traits_(std::move(traits)), server_([this](Peer& peer) {
          for (;;) {
            const auto [head, body] = peer.read_request();
            if (head.empty()) return;
            const std::string text = answer(head, body);
            if (text.empty()) return;
            peer.send(text);
          }
        }) {}

  [[nodiscard]] std::string endpoint() const {
    return "http://127.0.0.1:" + std::to_string(server_.port());
  }
  // "PUT /bucket/key?x= " and so on: how many requests began like this.
  [[nodiscard]] std::size_t requests(const std::string& beginning) {
    const std::lock_guard lock(mutex_);
    return static_cast<std::size_t>(std::ranges::count_if(
        log_, [&](const std::string& line) { return line.starts_with(beginning); }));
  }
  [[nodiscard]] std::size_t requests() { return requests(""); }
  [[nodiscard]] std::vector<Version> versions(const std::string& key) {
    const std::lock_guard lock(mutex_);
    return objects_[key];
  }
  [[nodiscard]] std::size_t uploads() {
    const std::lock_guard lock(mutex_);
    return uploads_.size();
  }
  void set(const std::string& key, const std::string& body) {
    const std::lock_guard lock(mutex_);
    store(key, body, {});
  }
  void set_traits(Traits traits) {
    const std::lock_guard lock(mutex_);
    traits_ = std::move(traits);
  }
  // The next answers to requests that begin like this; "" leaves without one.
  void plan(const std::string& beginning, std::vector<std::string> answers) {
    const std::lock_guard lock(mutex_);
    planned_[beginning] = std::move(answers);
  }
  // As plan, but the request is carried out before.
  void plan_after(const std::string& beginning, std::vector<std::string> answers) {
    plan(beginning, std::move(answers));
    const std::lock_guard lock(mutex_);
    carried_out_.push_back(beginning);
  }
  void add_upload(const std::string& key, const std::string& initiated) {
    const std::lock_guard lock(mutex_);
    uploads_["old-" + std::to_string(uploads_.size())] = {key, initiated, {}, {}};
  }

  static std::string reply(int status, const std::string& fields = "",
                           const std::string& body = "") {
    return "HTTP/1.1 " + std::to_string(status) + " X\r\n" + fields +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  static std::string error(int status, const std::string& code) {
    return reply(status, "", "<Error><Code>" + code + "</Code></Error>");
  }

 private:
  struct Upload {
    std::string key;
    std::string initiated;
    std::map<std::string, std::string> fields;
    std::map<int, std::string> parts;
  };
  using Fields = std::map<std::string, std::string>;

  std::string answer(const std::string& head, const std::string& body) {
    const std::lock_guard lock(mutex_);
    const std::string line = head.substr(0, head.find('\r'));
    log_.push_back(line);
    for (auto& [beginning, answers] : planned_) {
      if (!line.starts_with(beginning) || answers.empty()) continue;
      if (std::ranges::find(carried_out_, beginning) != carried_out_.end()) act(line, head, body);
      std::string text = answers.front();
      answers.erase(answers.begin());
      return text;
    }
    return act(line, head, body);
  }

  std::string act(const std::string& line, const std::string& head, const std::string& body) {
    const std::size_t space = line.find(' ');
    const std::string method = line.substr(0, space);
    std::string target = line.substr(space + 1, line.rfind(' ') - space - 1);
    std::string query;
    if (const std::size_t mark = target.find('?'); mark != std::string::npos) {
      query = target.substr(mark + 1);
      target.resize(mark);
    }
    const std::string rest = target.substr(std::string("/bucket").size());
    const std::string key = rest.empty() ? "" : core::percent_decode(rest.substr(1)).value();
    return key.empty() ? of_bucket(query) : of_object(method, key, query, fields_of(head), body);
  }

  std::string of_bucket(const std::string& query) {
    const std::string list =
        "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
    if (query.starts_with("uploads=") || query.find("&uploads=") != std::string::npos) {
      std::string all;
      for (const auto& [id, upload] : uploads_) {
        all += "<Upload><Key>" + upload.key + "</Key><UploadId>" + id + "</UploadId><Initiated>" +
               upload.initiated + "</Initiated></Upload>";
      }
      return reply(200, "",
                   "<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>" + all +
                       "</ListMultipartUploadsResult>");
    }
    if (!traits_.knows_subresources) return reply(200, "", list);
    if (query == "versioning=") {
      return reply(200, "",
                   std::string("<VersioningConfiguration>") +
                       (traits_.versioned ? "<Status>Enabled</Status>" : "") +
                       "</VersioningConfiguration>");
    }
    if (query == "object-lock=") {
      if (!traits_.locks) return error(404, "ObjectLockConfigurationNotFoundError");
      return reply(200, "",
                   "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>"
                   "</ObjectLockConfiguration>");
    }
    return reply(200, "", list);
  }

  std::string of_object(const std::string& method, const std::string& key, const std::string& query,
                        Fields fields, const std::string& body) {
    if (method == "POST" && query == "uploads=") return begin_upload(key, std::move(fields));
    if (method == "POST") return complete_upload(key, value_of(query, "uploadId"));
    if (method == "DELETE") return remove(key, query);
    if (method == "PUT" && query.find("partNumber=") != std::string::npos) {
      auto upload = uploads_.find(value_of(query, "uploadId"));
      if (upload == uploads_.end()) return error(404, "NoSuchUpload");
      upload->second.parts[std::stoi(value_of(query, "partNumber"))] = body;
      return reply(200, "ETag: \"" + md5(body) + "\"\r\n");
    }
    if (method == "PUT" && !query.empty() && traits_.knows_subresources) {
      return change(key, query, body);
    }
    if (method == "PUT") return put(key, std::move(fields), body);
    const auto found = objects_.find(key);
    if (found == objects_.end() || found->second.empty()) return error(404, "NoSuchKey");
    const Version& version = found->second.back();
    std::string lines = "ETag: \"" + version.etag + "\"\r\n";
    for (const auto& [name, value] : version.fields) lines += name + ": " + value + "\r\n";
    if (traits_.versioned) lines += "x-amz-version-id: " + version.id + "\r\n";
    const std::string text = reply(200, lines, version.body);
    return method == "HEAD" ? text.substr(0, text.size() - version.body.size()) : text;
  }

  std::string put(const std::string& key, Fields fields, const std::string& body) {
    for (const auto& [name, value] : fields) {
      for (const std::string& one : traits_.refuses) {
        if (name.starts_with(one)) return error(501, "NotImplemented");
      }
    }
    if (fields.contains("if-none-match")) {
      if (traits_.conditional_put == Manner::refuses) return error(501, "NotImplemented");
      if (traits_.conditional_put == Manner::honours && !objects_[key].empty()) {
        return error(412, "PreconditionFailed");
      }
    }
    if (const auto sum = fields.find("x-amz-checksum-sha256"); sum != fields.end()) {
      if (traits_.checksums == Manner::refuses) return error(400, "InvalidRequest");
      if (traits_.checksums == Manner::honours &&
          sum->second != core::to_base64(core::sha256(core::as_bytes(body)).bytes)) {
        return error(400, "BadDigest");
      }
    }
    const Version& version = store(key, body, kept(std::move(fields), traits_.forgets));
    return reply(200, "ETag: \"" + version.etag + "\"\r\n" +
                          (traits_.versioned ? "x-amz-version-id: " + version.id + "\r\n" : ""));
  }

  // ?retention, ?legal-hold, ?tagging
  std::string change(const std::string& key, const std::string& query, const std::string& body) {
    if (objects_[key].empty()) return error(404, "NoSuchKey");
    Fields& fields = objects_[key].back().fields;
    if (query.starts_with("retention=")) {
      fields["x-amz-object-lock-mode"] = element(body, "Mode");
      fields["x-amz-object-lock-retain-until-date"] = element(body, "RetainUntilDate");
    } else if (query.starts_with("legal-hold=")) {
      fields["x-amz-object-lock-legal-hold"] = element(body, "Status");
    } else if (query.starts_with("tagging=")) {
      std::size_t tags = 0;
      for (std::size_t at = 0; (at = body.find("<Tag>", at)) != std::string::npos; ++at) ++tags;
      fields["x-amz-tagging-count"] = std::to_string(tags);
    }
    return reply(200);
  }

  std::string begin_upload(const std::string& key, Fields fields) {
    const std::string id = "upload-" + std::to_string(++made_);
    Fields stays = kept(std::move(fields), traits_.forgets_parts);
    const auto encrypted = stays.find("x-amz-server-side-encryption");
    const std::string line =
        encrypted == stays.end() ? "" : encrypted->first + ": " + encrypted->second + "\r\n";
    uploads_[id] = {key, "2026-11-21T04:05:06.000Z", std::move(stays), {}};
    return reply(200, line,
                 "<?xml version=\"1.0\"?><InitiateMultipartUploadResult><UploadId>" + id +
                     "</UploadId></InitiateMultipartUploadResult>");
  }

  std::string complete_upload(const std::string& key, const std::string& id) {
    const auto found = uploads_.find(id);
    if (found == uploads_.end()) return error(404, "NoSuchUpload");
    std::string body;
    core::ByteVector md5s;
    for (const auto& [number, part] : found->second.parts) {
      body += part;
      const auto sum = core::md5({core::as_bytes(part)});
      md5s.insert(md5s.end(), sum.begin(), sum.end());
    }
    Version& version = store(key, body, found->second.fields);
    version.etag = core::to_hex(core::md5({core::Bytes(md5s)})) + "-" +
                   std::to_string(found->second.parts.size());
    uploads_.erase(found);
    return reply(200, "", "<CompleteMultipartUploadResult></CompleteMultipartUploadResult>");
  }

  std::string remove(const std::string& key, const std::string& query) {
    if (query.starts_with("uploadId=")) {
      return uploads_.erase(value_of(query, "uploadId")) == 1 ? reply(204)
                                                              : error(404, "NoSuchUpload");
    }
    std::erase_if(objects_[key], [&](const Version& version) {
      return version.id == value_of(query, "versionId");
    });
    return reply(204);
  }

  Version& store(const std::string& key, const std::string& body, Fields fields) {
    std::vector<Version>& all = objects_[key];
    if (!traits_.versioned) all.clear();
    all.push_back({"v" + std::to_string(++made_), body, std::move(fields), md5(body)});
    return all.back();
  }

  static Fields kept(Fields fields, const std::vector<std::string>& forgotten) {
    if (const auto tags = fields.find("x-amz-tagging"); tags != fields.end()) {
      fields["x-amz-tagging-count"] = std::to_string(std::ranges::count(tags->second, '&') + 1);
    }
    std::erase_if(fields, [&](const auto& field) {
      return !field.first.starts_with("x-amz-") || field.first == "x-amz-date" ||
             field.first == "x-amz-tagging" || field.first == "x-amz-content-sha256" ||
             std::ranges::any_of(
                 forgotten, [&](const std::string& one) { return field.first.starts_with(one); });
    });
    return fields;
  }
  static Fields fields_of(const std::string& head) {
    Fields fields;
    for (std::size_t at = head.find("\r\n") + 2; at < head.size();) {
      const std::size_t end = head.find("\r\n", at);
      const std::string line = head.substr(at, end - at);
      if (const std::size_t colon = line.find(": "); colon != std::string::npos) {
        fields[core::to_lower(line.substr(0, colon))] = line.substr(colon + 2);
      }
      at = end + 2;
    }
    return fields;
  }
  static std::string value_of(const std::string& query, const std::string& name) {
    std::size_t at = query.starts_with(name + "=") ? 0 : query.find("&" + name + "=") + 1;
    at += name.size() + 1;
    return core::percent_decode(query.substr(at, query.find('&', at) - at)).value();
  }
  static std::string element(const std::string& xml, const std::string& name) {
    const std::size_t at = xml.find("<" + name + ">") + name.size() + 2;
    return xml.substr(at, xml.find('<', at) - at);
  }
  static std::string md5(const std::string& body) {
    return core::to_hex(core::md5({core::as_bytes(body)}));
  }

  std::mutex mutex_;
  Traits traits_;
  std::vector<std::string> log_;
  std::map<std::string, std::vector<Version>> objects_;
  std::map<std::string, Upload> uploads_;
  std::map<std::string, std::vector<std::string>> planned_;
  std::vector<std::string> carried_out_;
  int made_ = 0;
  ScriptedServer server_;  // goes first: it uses all of the above
};

}  // namespace daybook::tests
