#include "core/hash_lines.hpp"

#include "core/check.hpp"

namespace daybook::core {

std::shared_ptr<HashLines::Line> HashLines::open() {
  return std::make_shared<Line>();
}

std::uint64_t HashLines::push(const std::shared_ptr<Line>& line, Bytes block) {
  const std::lock_guard lock(mutex_);
  line->waiting_.push_back(block);
  if (line->waiting_.size() == 1 && !line->busy_) ready_.push_back(line);
  return ++line->pushed_;
}

void HashLines::advance(const std::shared_ptr<Line>& line, std::uint64_t ticket) {
  std::unique_lock lock(mutex_);
  while (line->done_ < ticket && !line->busy_) hash(lock, line);
}

void HashLines::finish(const std::shared_ptr<Line>& line, std::uint64_t ticket) {
  std::unique_lock lock(mutex_);
  while (line->done_ < ticket) {
    if (line->busy_) {
      hashed_.wait(lock);
    } else {
      hash(lock, line);
    }
  }
}

// Hashes the first block of the line, beside the first of another line if there is one.
void HashLines::hash(std::unique_lock<std::mutex>& lock, const std::shared_ptr<Line>& line) {
  CHECK(!line->busy_ && !line->waiting_.empty());
  ready_.remove(line);
  std::shared_ptr<Line> other;
  if (!ready_.empty()) {
    other = std::move(ready_.front());
    ready_.pop_front();
  }
  const auto take = [](Line& from) {
    from.busy_ = true;
    const Bytes block = from.waiting_.front();
    from.waiting_.pop_front();
    return block;
  };
  const Bytes block = take(*line);
  const Bytes beside = other ? take(*other) : Bytes{};
  lock.unlock();
  const auto began = std::chrono::steady_clock::now();
  if (other) {
    Sha256Hasher::update_pair(line->hasher_, block, other->hasher_, beside);
  } else {
    line->hasher_.update(block);
  }
  const Duration took = std::chrono::steady_clock::now() - began;
  lock.lock();
  const auto give_back = [&](const std::shared_ptr<Line>& to) {
    to->busy_ = false;
    ++to->done_;
    to->took_ += other ? took / 2 : took;
    if (!to->waiting_.empty()) ready_.push_back(to);
  };
  give_back(line);
  if (other) give_back(other);
  hashed_.notify_all();
}

}  // namespace daybook::core
