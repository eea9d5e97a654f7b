// ThreadWorkers: real threads behind the Workers port; the caller resumes on the loop it came from.
#pragma once

#include <memory>
#include <utility>

#include <boost/asio/async_result.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "core/ports/workers.hpp"

namespace daybook::tests {

class ThreadWorkers final : public core::Workers {
 public:
  explicit ThreadWorkers(std::size_t threads) : pool_(threads) {}
  ~ThreadWorkers() override { pool_.join(); }

  core::Task<> run(std::function<void()> job) override {
    const auto executor = co_await boost::asio::this_coro::executor;
    co_await boost::asio::async_initiate<const boost::asio::use_awaitable_t<>&, void()>(
        [this, &job, &executor](auto handler) {
          auto resume = std::make_shared<decltype(handler)>(std::move(handler));
          auto loop =
              boost::asio::prefer(executor, boost::asio::execution::outstanding_work.tracked);
          boost::asio::post(pool_, [job = std::move(job), resume = std::move(resume),
                                    loop = std::move(loop)]() mutable {
            job();
            boost::asio::post(loop, [resume = std::move(resume)] { std::move (*resume)(); });
          });
        },
        boost::asio::use_awaitable);
  }

 private:
  boost::asio::thread_pool pool_;
};

}  // namespace daybook::tests
