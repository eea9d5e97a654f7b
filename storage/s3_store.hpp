// S3Store: the object store port over an S3 service (AWS, Ceph radosgw, MinIO, …), signed with
// Signature V4, path or virtual-host style, http or https. I/O thread only; hashing goes to the
// workers.
//
// - put: one PUT. The signed x-amz-content-sha256 and Content-MD5 make the store check the bytes.
// It
//   succeeds only when the store's answer names the bytes too: an ETag that is their MD5, or their
//   x-amz-checksum-sha256. Without that proof the object is read back and compared.
// - get: what the store says about the bytes (length, range, checksums) must hold. Whether they are
//   the record's bytes is for the caller to check, who has the digest.
// - Every failure passes through classify_s3 (s3_errors.hpp). Nothing is repeated here except the
//   replacement of a stale connection, and once what the signer could mend (expired keys, a clock
//   that is wrong); retries belong to the pipeline.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "core/ports/object_store.hpp"
#include "core/ports/workers.hpp"
#include "core/sigv4/sigv4.hpp"
#include "io/http_client.hpp"
#include "io/runtime.hpp"
#include "storage/aws_signer.hpp"

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
  // HEAD of the bucket: finds an unreachable service, wrong credentials or clock, a missing bucket.
  // It writes nothing, so a key that may read but not write is found by the first put.
  core::Task<core::Result<void>> probe(core::Deadline deadline) override;
  [[nodiscard]] std::string describe() const override;

  // Closes kept connections that nobody uses, so that the runtime's loop can end.
  void close_idle() { client_->close_idle(); }

 private:
  struct Call;
  S3Store(Settings settings, io::Url url, io::IoRuntime& runtime, core::Workers& workers);

  core::Task<core::Result<io::HttpResponse>> send(Call call, core::Deadline deadline);
  core::Task<core::Result<io::HttpResponse>> send_signed(Call call, AwsSigner::Ready with,
                                                         core::Deadline deadline);
  core::Task<core::Result<void>> read_back(std::string key, std::string version,
                                           core::Sha256 sha256, core::Deadline deadline);
  core::Task<core::Result<core::ByteVector>> get_version(std::string key, std::string version,
                                                         core::Deadline deadline);
  core::Task<core::Result<core::ByteVector>> get_range(std::string key, core::ByteRange range,
                                                       core::Deadline deadline);

  const Settings settings_;
  const io::Url url_;
  const std::string host_;
  [[maybe_unused]] io::IoRuntime& runtime_;
  core::Workers& workers_;
  std::unique_ptr<io::HttpClient> client_;
};

// "a/b/c" without a leading '/', "." or ".." parts or control characters, at most 1024 bytes.
[[nodiscard]] core::Result<void> check_s3_key(std::string_view key);

}  // namespace daybook::storage
