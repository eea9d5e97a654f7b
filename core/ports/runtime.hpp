// Port: time, tasks and waiting, so that core needs no clock and no thread. The I/O runtime
// implements it over Asio, the simulator over a virtual clock. Everything here is for the I/O
// thread only.
#pragma once

#include <memory>

#include "core/task.hpp"
#include "core/units.hpp"

namespace daybook::core {

// What waiters wait for. It carries no state: a notify without a waiter is lost, so wait in a loop
// over the condition.
class Signal {
 public:
  virtual ~Signal() = default;
  virtual Task<bool> wait(Deadline deadline) = 0;  // false: the deadline passed
  virtual void notify_all() = 0;
};

class Runtime {
 public:
  virtual ~Runtime() = default;
  [[nodiscard]] virtual WallTime now() = 0;
  [[nodiscard]] virtual SteadyTime steady_now() = 0;
  virtual Task<> sleep_until(SteadyTime when) = 0;
  // Starts a task of its own; the owner of the runtime drains all of them before it goes.
  virtual void spawn(Task<> task) = 0;
  [[nodiscard]] virtual std::unique_ptr<Signal> make_signal() = 0;

  Task<> sleep(Duration duration) { return sleep_until(steady_now() + duration); }
};

}  // namespace daybook::core
