// MemoryObjectStore: the object store port on a map. Keeps what the contract says and nothing more.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "core/ports/object_store.hpp"

namespace daybook::tests {

class MemoryObjectStore final : public core::ObjectStore {
 public:
  bool refuses_other_bytes = false;  // under a key that exists; else they replace it

  core::Task<core::Result<core::ObjectVersion>> put(core::PutObject object,
                                                    core::Deadline deadline) override {
    if (auto good = check(object.key, deadline); !good) co_return pass(good);
    if (core::sha256(object.body) != object.sha256) {
      co_return failed(core::Code::damaged, core::Retry::never, "the digest does not fit");
    }
    core::ByteVector bytes;
    for (core::Bytes slice : object.body) bytes.insert(bytes.end(), slice.begin(), slice.end());
    const std::lock_guard lock(mutex_);
    if (const auto known = objects_.find(object.key);
        refuses_other_bytes && known != objects_.end() && known->second != bytes) {
      co_return failed(core::Code::conflict, core::Retry::never, "it has other bytes");
    }
    objects_[object.key] = std::move(bytes);
    co_return core::ObjectVersion{.location = "memory:" + object.key, .version = {}};
  }

  core::Task<core::Result<core::ObjectInfo>> head(std::string key,
                                                  core::Deadline deadline) override {
    if (auto good = check(key, deadline); !good) co_return pass(good);
    const std::lock_guard lock(mutex_);
    const auto object = objects_.find(key);
    if (object == objects_.end()) co_return missing(key);
    co_return core::ObjectInfo{.size = object->second.size()};
  }

  core::Task<core::Result<core::ByteVector>> get(std::string key,
                                                 std::optional<core::ByteRange> range,
                                                 core::Deadline deadline) override {
    if (auto good = check(key, deadline); !good) co_return pass(good);
    const std::lock_guard lock(mutex_);
    const auto object = objects_.find(key);
    if (object == objects_.end()) co_return missing(key);
    const core::ByteVector& bytes = object->second;
    if (!range) co_return bytes;
    if (range->length == 0 || range->offset > bytes.size() ||
        range->length > bytes.size() - range->offset) {
      co_return failed(core::Code::invalid_argument, core::Retry::never, "no such range");
    }
    const auto first = bytes.begin() + static_cast<std::ptrdiff_t>(range->offset);
    co_return core::ByteVector(first, first + static_cast<std::ptrdiff_t>(range->length));
  }

  core::Task<core::Result<std::vector<core::ListedObject>>> list(std::string prefix,
                                                                 std::string after, std::size_t max,
                                                                 core::Deadline deadline) override {
    if (auto good = check("list", deadline); !good) co_return pass(good);
    if (max == 0 || max > core::kListedObjectsMax) {
      co_return failed(core::Code::invalid_argument, core::Retry::never, "max");
    }
    const std::lock_guard lock(mutex_);
    std::vector<core::ListedObject> found;
    for (const auto& [key, bytes] : objects_) {
      if (found.size() == max) break;
      if (key > after && key.starts_with(prefix)) {
        found.push_back({key, bytes.size(), "memory:" + key});
      }
    }
    co_return found;
  }

  core::Task<core::Result<void>> probe(core::Deadline deadline) override {
    co_return check("probe", deadline);
  }

  [[nodiscard]] std::string describe() const override { return "memory:"; }

 private:
  static core::Failure failed(core::Code code, core::Retry retry, std::string detail) {
    return core::fail(code, core::Origin::object_store, retry, std::move(detail));
  }
  static core::Failure missing(const std::string& key) {
    return failed(core::Code::not_found, core::Retry::never, "no object " + key);
  }
  static core::Result<void> check(const std::string& key, core::Deadline deadline) {
    const std::string framed = "/" + key + "/";
    if (framed.find("//") != std::string::npos || framed.find("/./") != std::string::npos ||
        framed.find("/../") != std::string::npos) {
      return failed(core::Code::invalid_argument, core::Retry::never, "no key: " + key);
    }
    if (std::chrono::steady_clock::now() >= deadline) {
      return failed(core::Code::timeout, core::Retry::unknown_outcome, "too late");
    }
    return {};
  }

  std::mutex mutex_;
  std::map<std::string, core::ByteVector> objects_;
};

}  // namespace daybook::tests
