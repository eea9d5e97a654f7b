#include "core/sealer.hpp"

#include "core/check.hpp"
#include "core/frame.hpp"
#include "core/limits.hpp"

namespace daybook::core {

struct PayloadSealer::State {
  State(Runtime& runtime, Workers& pool, HashLines& hash_lines, int zstd_level)
      : workers(pool),
        lines(hash_lines),
        level(zstd_level),
        line(lines.open()),
        changed(runtime.make_signal()) {}
  Workers& workers;
  HashLines& lines;
  const int level;
  const std::shared_ptr<HashLines::Line> line;
  // From here on: I/O thread only.
  std::vector<ByteVector> frames;
  std::size_t running = 0;
  Duration compressing{};
  std::unique_ptr<Signal> changed;
};

PayloadSealer::PayloadSealer(Runtime& runtime, Workers& workers, BlockPool& blocks,
                             HashLines& lines, int level)
    : runtime_(runtime),
      blocks_(blocks),
      state_(std::make_shared<State>(runtime, workers, lines, level)),
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
  const std::uint64_t ticket = state_->lines.push(state_->line, {block_.get(), in_block_});
  runtime_.spawn(process(state_, std::move(block_), in_block_, index, ticket));
  block_ = nullptr;
  in_block_ = 0;
}

Task<> PayloadSealer::process(std::shared_ptr<State> state, std::shared_ptr<std::byte> block,
                              std::size_t bytes, std::size_t index, std::uint64_t ticket) {
  ByteVector frame;
  Duration compressing{};
  co_await state->workers.run([&] {
    // Hashing first leaves the block in this core's cache for the compressor.
    state->lines.advance(state->line, ticket);
    if (state->level != 0) {
      const auto begin = std::chrono::steady_clock::now();
      frame = compress_frame({block.get(), bytes}, state->level);
      compressing = std::chrono::steady_clock::now() - begin;
    }
    state->lines.finish(state->line, ticket);
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
  sealed.sha256 = state_->line->digest();
  sealed.size = size_;
  sealed.frames = std::move(state_->frames);
  sealed.hashing = state_->line->took();
  sealed.compressing = state_->compressing;
  co_return sealed;
}

}  // namespace daybook::core
