// ArchiveKeeper: removes, at start and once a day, what writers that died left in the object store
// (multipart uploads that were never completed: they cost money and no list of objects shows them).
// I/O thread only.
#pragma once

#include <memory>

#include "core/ports/object_store.hpp"
#include "core/ports/runtime.hpp"

namespace daybook::api {

class ArchiveKeeper {
 public:
  ArchiveKeeper(core::Runtime& runtime, core::ObjectStore& objects);

  core::Task<> run();  // until close()
  void close();

 private:
  core::Runtime& runtime_;
  core::ObjectStore& objects_;
  std::unique_ptr<core::Signal> stop_;
  bool closing_ = false;
};

}  // namespace daybook::api
