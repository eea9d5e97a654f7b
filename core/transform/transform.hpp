// Transforms: ordered steps that change the attributes of some records before they are archived.
// Payload bytes, tenant, size and digests are never touched.
//
// - Which transforms a record gets is decided by how it came in, before the first of them: so one
//   cannot call up another, and every chain ends.
// - A chain is applied to a copy, whole or not at all.
// - Errors with Retry::never are the record's: invalid attributes, or something missing that must
//   not be. Others are a transformer's that did not answer.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/envelope.hpp"
#include "core/json_pointer.hpp"
#include "core/result.hpp"
#include "core/task.hpp"

namespace daybook::core::transform {

// What a lookup file says: key -> attributes.
using Rows = std::map<std::string, std::map<std::string, std::string>, std::less<>>;

// A lookup file, read again when it has changed. I/O thread only.
class LookupTable {
 public:
  virtual ~LookupTable() = default;
  virtual Task<Result<std::shared_ptr<const Rows>>> rows() = 0;
};

// An HTTP transformer: attributes in, attributes out. I/O thread only.
class Transformer {
 public:
  virtual ~Transformer() = default;
  // Both are JSON objects of texts; nullopt: nothing changes. A refusal of this record is
  // Retry::never.
  virtual Task<Result<std::optional<std::string>>> call(std::string attributes, RecordId id,
                                                        std::string tenant) = 0;
};

enum class Missing { skip, park };

struct Add {
  std::string to, value;
};
struct Rename {
  std::string from, to;
};
struct Drop {
  std::string pattern;
};
struct Hash {
  std::string from, to;
  std::string salt;
};
struct Copy {
  JsonPointer pointer;
  std::string to;
};
struct Lookup {
  std::shared_ptr<LookupTable> table;
  std::string key;
  std::vector<std::string> take;  // empty: all
};
struct Http {
  std::shared_ptr<Transformer> transformer;
};

struct Step {
  std::variant<Add, Rename, Drop, Hash, Copy, Lookup, Http> what;
  bool replace = true;
  Missing missing = Missing::skip;
};

struct Transform {
  std::string name;
  std::map<std::string, std::string> when;  // door, poller, tenant, source, type -> pattern
  std::vector<Step> steps;
};

// The values at those pointers of the record's payload, in their order (JsonCapture::values()). The
// error: the payload could not be read.
using PayloadValues = std::vector<Result<std::optional<std::string>>>;
using ReadPayload = std::function<Task<Result<PayloadValues>>(std::vector<JsonPointer>)>;

class Transforms {
 public:
  Transforms() = default;
  explicit Transforms(std::vector<Transform> transforms) : transforms_(std::move(transforms)) {}

  [[nodiscard]] bool empty() const { return transforms_.empty(); }
  [[nodiscard]] bool concerns(const Envelope& envelope) const;
  // The envelope with every matching chain applied, in order; context["transform"] names them.
  Task<Result<Envelope>> apply(Envelope envelope, ReadPayload read_payload) const;

 private:
  [[nodiscard]] std::vector<const Transform*> matching(const Envelope& envelope) const;

  std::vector<Transform> transforms_;
};

}  // namespace daybook::core::transform
