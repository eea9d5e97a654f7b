// S3Store: the object store port over an S3 service (AWS, Ceph radosgw, MinIO, …), signed with
// Signature V4, path or virtual-host style, http or https. I/O thread only; hashing goes to the
// workers.
//
// - Before the first put the store is asked what it honours (s3_probe.cpp). What it does not honour
// is
//   done in another way or, where the settings promise it, not done at all.
// - put: one PUT, or a multipart upload from Settings::multipart_threshold on. The signed
//   x-amz-content-sha256 and Content-MD5, and x-amz-checksum-sha256 where it is honoured, make the
//   store check the bytes. It succeeds only when the store's answer names the bytes too: an ETag
//   that is their MD5, or their x-amz-checksum-sha256. Without that proof the object is read back
//   and compared.
// - A key is written once: If-None-Match: * where it is honoured; else a HEAD first where a second
//   PUT would add a version. The same bytes under it are success, others an error that keeps them.
// - get: what the store says about the bytes (length, range, checksums) must hold. Whether they are
//   the record's bytes is for the caller to check, who has the digest.
// - Every failure passes through classify_s3 (s3_errors.hpp). Nothing is repeated here except the
//   replacement of a stale connection, and once what the signer could mend (expired keys, a clock
//   that is wrong); retries belong to the pipeline.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>

#include "core/ports/object_store.hpp"
#include "core/ports/workers.hpp"
#include "core/sigv4/sigv4.hpp"
#include "io/http_client.hpp"
#include "io/runtime.hpp"
#include "storage/aws_signer.hpp"
#include "storage/s3_findings.hpp"
#include "storage/s3_options.hpp"

namespace daybook::storage {

class S3Store final : public core::ObjectStore {
 public:
  struct Settings {
    std::string endpoint;  // http(s)://host[:port][/path]
    std::string region = "us-east-1";
    std::string bucket;
    bool virtual_host = false;  // bucket.host instead of host/bucket
    // What requests are signed with. Without it: the two keys, which never change.
    std::shared_ptr<AwsSigner> signer{};
    std::string access_key;
    std::string secret_key;
    std::string ca_file;  // empty = the system's certificates
    std::size_t connections = 16;
    std::string prefix;  // of the archive's keys; the probe's own keys stand below it
    S3Options options;   // of every object
    std::uint64_t multipart_threshold = 64 * core::MiB;
    std::uint64_t part_bytes = 16 * core::MiB;  // S3 wants 5 MiB at least
    // False: nothing is asked of the store before the first put, and nothing known of it.
    bool learns = true;
    // While the store cannot keep what the settings promise, it is asked again so often.
    core::Duration ask_again_after = std::chrono::seconds(30);
    // Where to connect, if not where the endpoint's name leads.
    std::optional<io::Endpoint> connect_to;
  };

  // Checks the settings without touching the network. runtime and workers must outlive the store.
  [[nodiscard]] static core::Result<std::unique_ptr<S3Store>> open(Settings settings,
                                                                   io::IoRuntime& runtime,
                                                                   core::Workers& workers);

  core::Task<core::Result<core::ObjectVersion>> put(core::PutObject object,
                                                    core::Deadline deadline) override;
  core::Task<core::Result<core::ObjectInfo>> head(std::string key,
                                                  core::Deadline deadline) override;
  core::Task<core::Result<core::ByteVector>> get(std::string key,
                                                 std::optional<core::ByteRange> range,
                                                 core::Deadline deadline) override;
  // ListObjectsV2, as many requests as max needs. A store that lists out of order is refused.
  core::Task<core::Result<std::vector<core::ListedObject>>> list(std::string prefix,
                                                                 std::string after, std::size_t max,
                                                                 core::Deadline deadline) override;
  // The first one learns what the store honours, and writes the probe's objects for it. Later ones
  // are a HEAD of the bucket: they find an unreachable service, wrong credentials or clock, a
  // missing bucket. While the store cannot keep what the settings promise, it is asked anew.
  core::Task<core::Result<void>> probe(core::Deadline deadline) override;
  core::Task<core::Result<core::ObjectLock>> lock_of(std::string key, std::string version,
                                                     core::Deadline deadline) override;
  // Refused where the bucket has no Object Lock: a store that does not know ?legal-hold would take
  // the request for a PUT of the object, and lose its bytes.
  core::Task<core::Result<void>> hold(std::string key, std::string version, bool on,
                                      core::Deadline deadline) override;
  // A presigned GET, for seven days at most, as S3 wants it. A range is a signed header.
  core::Task<core::Result<core::ObjectLink>> link(std::string key, std::string version,
                                                  std::optional<core::ByteRange> range,
                                                  core::Duration valid,
                                                  core::Deadline deadline) override;
  // Aborts multipart uploads below the prefix that were begun more than a day ago.
  core::Task<core::Result<std::uint64_t>> clean_up(core::Deadline deadline) override;
  [[nodiscard]] std::vector<core::StoreFact> facts() const override;
  [[nodiscard]] std::string describe() const override;

  // Closes kept connections that nobody uses, so that the runtime's loop can end.
  void close_idle() { client_->close_idle(); }

 private:
  struct Call;
  S3Store(Settings settings, io::Url url, io::IoRuntime& runtime, core::Workers& workers);

  [[nodiscard]] std::string path_of(const std::string& key) const;
  core::Task<core::Result<io::HttpResponse>> send(Call call, core::Deadline deadline);
  core::Task<core::Result<io::HttpResponse>> send_signed(Call call, AwsSigner::Ready with,
                                                         core::Deadline deadline);
  core::Task<core::Result<void>> probe_bucket(core::Deadline deadline);
  core::Task<core::Result<core::ByteVector>> get_version(std::string key, std::string version,
                                                         core::Deadline deadline);
  core::Task<core::Result<core::ByteVector>> get_range(std::string key, core::ByteRange range,
                                                       core::Deadline deadline);

  // s3_upload.cpp
  using Md5 = std::array<std::byte, 16>;
  core::Task<core::Result<Md5>> md5_of(core::Slices body);
  [[nodiscard]] core::sigv4::NamedValues fields_of(const core::PutObject& object) const;
  [[nodiscard]] core::ObjectVersion stored_as(const std::string& key,
                                              const core::http::Fields& answer) const;
  core::Task<core::Result<core::ObjectVersion>> put_whole(core::PutObject object, Md5 md5,
                                                          core::Deadline deadline);
  // The object that is there already, if its bytes are these; not_found where there is none.
  core::Task<core::Result<core::ObjectVersion>> find_same(core::PutObject object, std::string etag,
                                                          core::Deadline deadline);
  core::Task<core::Result<void>> read_back(std::string key, std::string version,
                                           core::Sha256 sha256, core::Deadline deadline);
  // s3_multipart.cpp
  core::Task<core::Result<core::ObjectVersion>> put_in_parts(core::PutObject object,
                                                             core::Deadline deadline);
  struct Upload;
  core::Task<core::Result<core::ObjectVersion>> fill(std::shared_ptr<Upload> upload,
                                                     core::Deadline deadline);
  core::Task<core::Result<void>> put_part(std::shared_ptr<Upload> upload, core::Slices part,
                                          core::Deadline deadline);
  core::Task<core::Result<core::ObjectVersion>> complete(std::shared_ptr<Upload> upload,
                                                         core::Deadline deadline);
  core::Task<core::Result<void>> abort_upload(std::string key, std::string upload_id,
                                              core::Deadline deadline);
  // s3_lock.cpp
  core::Task<core::Result<void>> ensure_options(core::PutObject object, std::string version,
                                                core::http::Fields head, core::Deadline deadline);
  core::Task<core::Result<void>> put_document(std::string key, std::string version,
                                              std::string what, std::string document,
                                              core::Deadline deadline);
  // s3_probe.cpp
  [[nodiscard]] std::string probe_key(std::string_view suffix) const;
  [[nodiscard]] bool is_probe_key(std::string_view key) const;
  core::Task<core::Result<void>> ensure_learned(core::Deadline deadline);
  core::Task<core::Result<void>> learn_once(core::Deadline deadline);
  core::Task<core::Result<S3Findings>> learn(core::Deadline deadline);
  core::Task<core::Result<S3Findings>> learn_bucket(core::Deadline deadline);
  core::Task<core::Result<S3Findings>> learn_options(S3Findings found, core::Deadline deadline);
  core::Task<core::Result<S3Findings>> learn_writes(S3Findings found, core::Deadline deadline);
  core::Task<core::Result<io::HttpResponse>> ask(Call call, core::Deadline deadline);
  core::Task<core::Result<io::HttpResponse>> put_probe(core::PutObject probe, S3Options options,
                                                       std::optional<S3Retention> retention,
                                                       core::sigv4::NamedValues fields,
                                                       core::Deadline deadline);
  core::Task<> drop_version(std::string key, std::string version, core::Deadline deadline);
  [[nodiscard]] bool honours(S3Answer S3Findings::* what) const {
    return findings_ && (*findings_).*what == S3Answer::yes;
  }

  const Settings settings_;
  const io::Url url_;
  const std::string host_;
  io::IoRuntime& runtime_;
  core::Workers& workers_;
  std::unique_ptr<io::HttpClient> client_;
  S3Options options_;                   // in force: what the store can do of what is set
  std::optional<S3Findings> findings_;  // nullopt until the store has been asked
  core::Result<void> promises_;         // whether it can keep what the settings promise
  core::SteadyTime learned_at_{};
  bool learning_ = false;
  std::unique_ptr<core::Signal> learned_;
};

// "a/b/c" without a leading '/', "." or ".." parts or control characters, at most 1024 bytes.
[[nodiscard]] core::Result<void> check_s3_key(std::string_view key);

}  // namespace daybook::storage
