#include "core/sealer.hpp"

#include <deque>
#include <mutex>

#include "core/check.hpp"
#include "core/frame.hpp"
#include "core/limits.hpp"

namespace daybook::core {
namespace {

using Block = std::shared_ptr<std::byte>;

// Hashes blocks in the order they were pushed, on whichever worker comes by. Every block is pushed
// before its job is posted, so when all jobs have ended all blocks are hashed.
class OrderedHasher {
 public:
  void push(Block block, std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    waiting_.push_back({std::move(block), bytes});
  }

  // Takes over the line if nobody else is at it.
  void advance() {
    std::unique_lock lock(mutex_);
    if (busy_) return;
    busy_ = true;
    while (!waiting_.empty()) {
      const Piece piece = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      const auto begin = std::chrono::steady_clock::now();
      hasher_.update({piece.block.get(), piece.bytes});
      const auto took = std::chrono::steady_clock::now() - begin;
      lock.lock();
      took_ += took;
    }
    busy_ = false;
  }

  Sha256 finish() { return hasher_.finish(); }
  [[nodiscard]] Duration took() const { return took_; }

 private:
  struct Piece {
    Block block;
    std::size_t bytes;
  };
  std::mutex mutex_;
  std::deque<Piece> waiting_;
  bool busy_ = false;
  Duration took_{};
  Sha256Hasher hasher_;
};

}  // namespace

struct PayloadSealer::State {
  State(Runtime& runtime, Workers& pool, int zstd_level)
      : workers(pool), level(zstd_level), changed(runtime.make_signal()) {}
  Workers& workers;
  const int level;
  OrderedHasher hasher;
  // From here on: I/O thread only.
  std::vector<ByteVector> frames;
  std::size_t running = 0;
  Duration compressing{};
  std::unique_ptr<Signal> changed;
};

PayloadSealer::PayloadSealer(Runtime& runtime, Workers& workers, BlockPool& blocks, int level)
    : runtime_(runtime),
      blocks_(blocks),
      state_(std::make_shared<State>(runtime, workers, level)),
      block_(blocks.take()) {}

PayloadSealer::~PayloadSealer() = default;

MutableBytes PayloadSealer::room() const {
  return {block_.get() + in_block_, limits::kBlockBytes - in_block_};
}

void PayloadSealer::filled(std::size_t bytes) {
  CHECK(bytes <= limits::kBlockBytes - in_block_);
  in_block_ += bytes;
  size_ += bytes;
}

Task<> PayloadSealer::make_room() {
  if (in_block_ < limits::kBlockBytes) co_return;
  while (state_->running >= limits::kBlocksInFlight) {
    co_await state_->changed->wait(SteadyTime::max());
  }
  seal_block();
  block_ = blocks_.take();
}

void PayloadSealer::seal_block() {
  const std::size_t index = state_->frames.size();
  state_->frames.emplace_back();
  ++state_->running;
  state_->hasher.push(block_, in_block_);
  runtime_.spawn(process(state_, std::move(block_), in_block_, index));
  block_ = nullptr;
  in_block_ = 0;
}

Task<> PayloadSealer::process(std::shared_ptr<State> state, std::shared_ptr<std::byte> block,
                              std::size_t bytes, std::size_t index) {
  ByteVector frame;
  Duration compressing{};
  co_await state->workers.run([&] {
    state->hasher.advance();
    if (state->level == 0) return;
    const auto begin = std::chrono::steady_clock::now();
    frame = compress_frame({block.get(), bytes}, state->level);
    compressing = std::chrono::steady_clock::now() - begin;
  });
  state->frames[index] = std::move(frame);
  state->compressing += compressing;
  --state->running;
  state->changed->notify_all();
}

Task<PayloadSealer::Sealed> PayloadSealer::finish() {
  if (in_block_ > 0) seal_block();
  while (state_->running > 0) co_await state_->changed->wait(SteadyTime::max());
  Sealed sealed;
  sealed.sha256 = state_->hasher.finish();
  sealed.size = size_;
  sealed.frames = std::move(state_->frames);
  sealed.hashing = state_->hasher.took();
  sealed.compressing = state_->compressing;
  co_return sealed;
}

}  // namespace daybook::core
