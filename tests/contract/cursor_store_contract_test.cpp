// The cursor store's contract on the fake and on a real Redis.
#include "tests/contract/cursor_store_contract.hpp"

#include "storage/redis_cursors.hpp"
#include "tests/contract/fakes/memory_cursor_store.hpp"
#include "tests/unit/io/run_on_io.hpp"
#include "tests/unit/storage/redis_server.hpp"
#include "tests/unit/virtual_runtime.hpp"

namespace daybook::tests {
namespace {

struct MemoryCursorFixture {
  static std::string skip_reason() { return ""; }
  core::CursorStore& store() { return store_; }
  core::Runtime& runtime() { return runtime_; }
  void run(core::Task<> task) { runtime_.run(std::move(task)); }

  VirtualRuntime runtime_;
  MemoryCursorStore store_{runtime_};
};

struct RedisCursorFixture {
  RedisCursorFixture() {
    if (!RedisServer::installed()) return;
    redis_ = std::make_unique<RedisServer>();
    storage::RedisTarget target;
    target.addresses = {{"", 0, redis_->socket()}};
    store_ = std::make_unique<storage::RedisCursors>(runtime_, std::move(target), "daybook");
  }
  [[nodiscard]] std::string skip_reason() const {
    return redis_ ? "" : "redis-server and redis-cli are not installed";
  }
  core::CursorStore& store() { return *store_; }
  core::Runtime& runtime() { return runtime_; }
  void run(core::Task<> task) { run_on_io(runtime_, std::move(task)); }

  io::IoRuntime runtime_;
  std::unique_ptr<RedisServer> redis_;
  std::unique_ptr<storage::RedisCursors> store_;
};

}  // namespace

INSTANTIATE_TYPED_TEST_SUITE_P(Memory, CursorStoreContract, MemoryCursorFixture);
INSTANTIATE_TYPED_TEST_SUITE_P(Redis, CursorStoreContract, RedisCursorFixture);

}  // namespace daybook::tests
