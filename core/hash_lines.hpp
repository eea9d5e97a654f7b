// HashLines: the blocks of every upload that wait to be hashed. The blocks of one upload are hashed
// in order; blocks of two uploads are hashed as a pair (Sha256Hasher::update_pair), which is why
// the lines know of each other. Any thread.
#pragma once

#include <condition_variable>
#include <deque>
#include <list>
#include <memory>
#include <mutex>

#include "core/digest.hpp"

namespace daybook::core {

class HashLines {
 public:
  class Line;

  [[nodiscard]] std::shared_ptr<Line> open();

  // Queues a block, which must stay as it is until finish() for its ticket returned.
  std::uint64_t push(const std::shared_ptr<Line>& line, Bytes block);
  // Hashes the line up to that block, unless another thread is at it.
  void advance(const std::shared_ptr<Line>& line, std::uint64_t ticket);
  // Hashes the line up to that block, or waits for the thread that is at it.
  void finish(const std::shared_ptr<Line>& line, std::uint64_t ticket);

 private:
  void hash(std::unique_lock<std::mutex>& lock, const std::shared_ptr<Line>& line);

  std::mutex mutex_;
  std::condition_variable hashed_;
  std::list<std::shared_ptr<Line>> ready_;  // with blocks in line and nobody at it
};

class HashLines::Line {
 public:
  // Once, when finish() returned for the last ticket.
  [[nodiscard]] Sha256 digest() { return hasher_.finish(); }
  [[nodiscard]] Duration took() const { return took_; }  // processor time of the digest

 private:
  friend class HashLines;
  std::deque<Bytes> waiting_;
  std::uint64_t pushed_ = 0;
  std::uint64_t done_ = 0;
  bool busy_ = false;
  Duration took_{};
  Sha256Hasher hasher_;
};

}  // namespace daybook::core
