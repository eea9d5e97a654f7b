// Port: object storage, where payloads are archived. Adapters: storage/file_store,
// storage/s3_store. Contract (tests/contract/object_store_contract.hpp runs it on every adapter and
// on the fake):
// - put is atomic and idempotent: an object is seen whole or not at all, and the same bytes
//   under the same key may be put again. When put succeeds the store has confirmed the bytes.
// - Other bytes under a key that exists: Code::conflict and the object stays, where the store can
//   tell; elsewhere they replace it. Keys are made of record ids, so only a fault gets there.
// - list sees every object whose put had ended when list began, and no part of one that runs.
// - Errors have origin object_store. A deadline that passes is Code::timeout, retry
// unknown_outcome.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/digest.hpp"
#include "core/result.hpp"
#include "core/task.hpp"
#include "core/units.hpp"

namespace daybook::core {

struct PutObject {
  std::string key;  // '/'-separated, no leading slash, no "." or ".." parts
  Slices body;      // the caller keeps the bytes alive until put returns
  Sha256 sha256;    // of body
  std::string content_type;
  std::map<std::string, std::string> metadata;  // lower-case names, printable ASCII values
  std::string tenant{};                         // whose it is; retention may differ by tenant
  std::optional<WallTime> received_at{};        // retention counts from here; nullopt = it has none
};

struct ObjectVersion {
  std::string location;  // "file:/var/lib/daybook/archive/…" or "s3://bucket/…"
  std::string version;   // the store's version id; empty where it has none
};

struct ObjectInfo {
  std::uint64_t size = 0;
};

// One line of a list.
struct ListedObject {
  std::string key;
  std::uint64_t size = 0;
  std::string location;  // as put answered it

  friend bool operator==(const ListedObject&, const ListedObject&) = default;
};

// Write-once protection of one object.
struct ObjectLock {
  std::string mode;  // "governance" | "compliance"; empty = no retention
  std::optional<WallTime> retain_until;
  bool held = false;  // a legal hold is on it, with or without retention
};

// Where anybody may GET one object, or a part of it, for a while, without keys.
struct ObjectLink {
  std::string url;
  std::string range;  // "bytes=17-4711": the Range header to send along; empty: none
  WallTime expires_at{};
};

// One thing that was found out about a store, for people and scripts.
struct StoreFact {
  std::string name;     // "conditional_put"
  std::string finding;  // one or two words: "yes", "no", "unknown", "compliance"
  std::string detail;   // a sentence; may be empty
  bool good = true;     // false: not what the settings ask for
};

struct ByteRange {
  std::uint64_t offset = 0;
  std::uint64_t length = 0;  // > 0
};

inline constexpr std::size_t kListedObjectsMax = 1000;

class ObjectStore {
 public:
  virtual ~ObjectStore() = default;
  virtual Task<Result<ObjectVersion>> put(PutObject object, Deadline deadline) = 0;
  // No such key: Code::not_found.
  virtual Task<Result<ObjectInfo>> head(std::string key, Deadline deadline) = 0;
  // The whole object, or exactly the range asked for; a range past the end is
  // Code::invalid_argument.
  virtual Task<Result<ByteVector>> get(std::string key, std::optional<ByteRange> range,
                                       Deadline deadline) = 0;
  // Objects whose key begins with prefix and comes after `after`, in the byte order of their keys,
  // at most max (1 .. kListedObjectsMax). Fewer than max: there are no more.
  virtual Task<Result<std::vector<ListedObject>>> list(std::string prefix, std::string after,
                                                       std::size_t max, Deadline deadline) = 0;
  // Cheap proof that the store can be reached and written to with these settings.
  virtual Task<Result<void>> probe(Deadline deadline) = 0;
  // The locks of one object; an empty version is the newest. A store without: Code::unsupported.
  virtual Task<Result<ObjectLock>> lock_of(std::string key, std::string version, Deadline deadline);
  // Sets or releases a legal hold; doing it twice is doing it once.
  virtual Task<Result<void>> hold(std::string key, std::string version, bool on, Deadline deadline);
  // An empty version is the newest; with a range, the link opens nothing else. A store that is not
  // reached by URL: Code::unsupported. Whether there is such an object is not looked at.
  virtual Task<Result<ObjectLink>> link(std::string key, std::string version,
                                        std::optional<ByteRange> range, Duration valid,
                                        Deadline deadline);
  // Removes what writers that died long ago left behind; returns how many things.
  virtual Task<Result<std::uint64_t>> clean_up(Deadline deadline);
  // What has been found out about the store so far.
  [[nodiscard]] virtual std::vector<StoreFact> facts() const { return {}; }
  // For people: "file:/…" or "s3://bucket at http://…".
  [[nodiscard]] virtual std::string describe() const = 0;
};

}  // namespace daybook::core
