// SyncHook: sees every fsync and fdatasync of this process, SQLite's too, and may make them fail.
// The test binary defines both functions (sync_faults.cpp) and goes on to the kernel without a
// hook.
#pragma once

#include <functional>
#include <string>

namespace daybook::tests {

// One at a time. The hook gets the file's path and returns 0 to let the call through, or an errno.
class SyncHook {
 public:
  explicit SyncHook(std::function<int(const std::string& path)> hook);
  ~SyncHook();
  SyncHook(const SyncHook&) = delete;
  SyncHook& operator=(const SyncHook&) = delete;
};

}  // namespace daybook::tests
