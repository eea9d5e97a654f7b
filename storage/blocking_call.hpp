// Runs an adapter's blocking job (files, SQLite) on a worker and brings its Result back to the I/O
// thread. An exception of the job ends here as an Error: none crosses into the worker or the
// caller. The job owns what it uses: it may run on after its caller was destroyed at shutdown.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "core/ports/workers.hpp"
#include "core/result.hpp"
#include "core/task.hpp"

namespace daybook::storage {

template <class T>
core::Task<core::Result<T>> call_on(core::Workers& workers, core::Origin origin,
                                    std::function<core::Result<T>()> job) {
  auto outcome = std::make_shared<core::Result<T>>(
      core::fail(core::Code::internal, origin, core::Retry::unknown_outcome, "The job never ran."));
  co_await workers.run([outcome, origin, job = std::move(job)] {
    try {
      *outcome = job();
    } catch (const std::bad_alloc&) {
      *outcome = core::fail(core::Code::overloaded, origin, core::Retry::unknown_outcome,
                            "Memory ran out; lower ingest.memory_max or give Daybook more.");
    } catch (const std::exception& error) {
      *outcome = core::fail(core::Code::internal, origin, core::Retry::unknown_outcome,
                            std::string("An unexpected exception: ") + error.what());
    }
  });
  co_return std::move(*outcome);
}

}  // namespace daybook::storage
