// GroupCommit: many submitters, one commit at a time. While a commit runs, whoever comes joins the
// next batch, so batches grow by themselves exactly when commits are slow. I/O thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "core/ports/runtime.hpp"
#include "core/result.hpp"

namespace daybook::core {

template <class Item>
class GroupCommit {
 public:
  using Commit = std::function<Task<Result<void>>(std::vector<Item>)>;
  // Whether the first of a batch starts it at once, or after all who submit at the same moment.
  enum class Start : std::uint8_t { at_once, together };

  GroupCommit(Runtime& runtime, std::size_t batch_max, Commit commit, Start start = Start::at_once)
      : runtime_(runtime),
        batch_max_(batch_max),
        commit_(std::move(commit)),
        start_(start),
        changed_(runtime.make_signal()) {}

  // Returns what the commit of the batch with this item returned.
  Task<Result<void>> submit(Item item) {
    if (queue_.empty() || queue_.back()->items.size() >= batch_max_) {
      queue_.push_back(std::make_shared<Batch>());
    }
    const std::shared_ptr<Batch> batch = queue_.back();
    batch->items.push_back(std::move(item));
    while (!batch->done) {
      if (committing_ || queue_.front() != batch) {
        co_await changed_->wait(runtime_.steady_now() + std::chrono::seconds(60));
        continue;
      }
      committing_ = true;
      if (start_ == Start::together) co_await runtime_.sleep(Duration(0));
      queue_.pop_front();
      batch->result = co_await commit_(std::move(batch->items));
      batch->done = true;
      committing_ = false;
      changed_->notify_all();
    }
    co_return batch->result;
  }

 private:
  struct Batch {
    std::vector<Item> items;
    Result<void> result;
    bool done = false;
  };

  Runtime& runtime_;
  std::size_t batch_max_;
  Commit commit_;
  Start start_;
  std::unique_ptr<Signal> changed_;
  std::deque<std::shared_ptr<Batch>> queue_;
  bool committing_ = false;
};

}  // namespace daybook::core
