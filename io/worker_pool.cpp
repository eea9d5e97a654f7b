#include "io/worker_pool.hpp"

#include <utility>

#include <pthread.h>

#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace daybook::io {

namespace asio = boost::asio;

WorkerPool::WorkerPool(IoRuntime& runtime, std::size_t threads, const std::string& name)
    : runtime_(runtime) {
  for (std::size_t i = 0; i < threads; ++i) {
    threads_.emplace_back([this] { work(); });
    pthread_setname_np(threads_.back().native_handle(), name.substr(0, 15).c_str());
  }
}

WorkerPool::~WorkerPool() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

core::Task<> WorkerPool::run(std::function<void()> job) {
  co_await asio::async_initiate<const asio::use_awaitable_t<>&, void()>(
      [this, &job](auto handler) {
        // The work guard keeps the I/O thread's loop alive while the job is away.
        auto resume = std::make_shared<decltype(handler)>(std::move(handler));
        auto guard = asio::make_work_guard(runtime_.context());
        const std::lock_guard lock(mutex_);
        jobs_.emplace_back(
            [this, job = std::move(job), resume, guard = std::move(guard)]() mutable {
              job();
              asio::post(runtime_.context(), [resume] { std::move (*resume)(); });
            });
        wake_.notify_one();
      },
      asio::use_awaitable);
}

void WorkerPool::work() {
  for (;;) {
    std::unique_lock lock(mutex_);
    wake_.wait(lock, [this] { return closing_ || !jobs_.empty(); });
    if (jobs_.empty()) return;
    std::function<void()> job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job();
  }
}

}  // namespace daybook::io
