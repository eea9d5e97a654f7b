// PayloadSealer: body bytes in, digest and zstd frames out, while the body still arrives.
//
//   room() -> socket read -> filled(n) -> make_room() ... -> finish()
//
// - A full block goes to the workers: hashed in order (hash_lines.hpp) and compressed beside its
//   neighbours, so that two cores work on one body.
// - Memory: the block being filled, at most kBlocksInFlight sealed ones, and the frames.
// I/O thread only; the jobs share a state that outlives an abandoned upload.
#pragma once

#include <memory>
#include <vector>

#include "core/block.hpp"
#include "core/digest.hpp"
#include "core/hash_lines.hpp"
#include "core/ports/runtime.hpp"
#include "core/ports/workers.hpp"

namespace daybook::core {

class PayloadSealer {
 public:
  // level: of zstd; 0 = the digest only, no frames.
  PayloadSealer(Runtime& runtime, Workers& workers, BlockPool& blocks, HashLines& lines, int level);
  ~PayloadSealer();
  PayloadSealer(const PayloadSealer&) = delete;
  PayloadSealer& operator=(const PayloadSealer&) = delete;

  // Where the next body bytes go; never empty after make_room().
  [[nodiscard]] MutableBytes room() const;
  void filled(std::size_t bytes);
  // Seals the block if it is full; waits while too many sealed blocks wait for workers.
  Task<> make_room();

  struct Sealed {
    Sha256 sha256;
    std::uint64_t size = 0;
    std::vector<ByteVector> frames;
    Duration hashing{};  // worker time, summed over the blocks
    Duration compressing{};
  };
  Task<Sealed> finish();  // once, after the last filled()

 private:
  struct State;
  static Task<> process(std::shared_ptr<State> state, std::shared_ptr<std::byte> block,
                        std::size_t bytes, std::size_t index, std::uint64_t ticket);
  void seal_block();

  Runtime& runtime_;
  BlockPool& blocks_;
  std::shared_ptr<State> state_;
  std::shared_ptr<std::byte> block_;
  std::size_t in_block_ = 0;
  std::uint64_t size_ = 0;
};

}  // namespace daybook::core
