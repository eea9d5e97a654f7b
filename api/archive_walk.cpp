#include "api/archive_walk.hpp"

#include <memory>
#include <utility>
#include <vector>

namespace daybook::api {
namespace {

using core::ListedObject;
using core::Result;
using core::Task;

constexpr auto kListTimeout = std::chrono::seconds(60);

struct Page {
  std::vector<ListedObject> objects;
  std::size_t next = 0;
  std::size_t running = 0;
  Result<void> outcome;
  std::unique_ptr<core::Signal> changed;
};

// Takes objects of the page until there are no more.
Task<> visit_some(std::shared_ptr<Page> page, const VisitObject& visit) {
  while (page->outcome && page->next < page->objects.size()) {
    ListedObject object = std::move(page->objects[page->next++]);
    auto visited = co_await visit(std::move(object));
    if (!visited && page->outcome) page->outcome = std::move(visited);
  }
  --page->running;
  page->changed->notify_all();
}

}  // namespace

std::string archive_key_prefix(const core::Config& config) {
  std::string prefix = config.archive_prefix;
  if (!prefix.empty() && !prefix.ends_with('/')) prefix.push_back('/');
  return prefix;
}

Task<Result<void>> walk_archive(core::Runtime& runtime, core::ObjectStore& objects,
                                std::string prefix, std::size_t together, VisitObject visit) {
  std::string after;
  for (;;) {
    auto listed = co_await objects.list(prefix, after, core::kListedObjectsMax,
                                        runtime.steady_now() + kListTimeout);
    if (!listed) co_return pass(std::move(listed));
    const std::size_t count = listed->size();
    if (count == 0) co_return Result<void>{};
    after = listed->back().key;
    const auto page = std::make_shared<Page>();
    page->objects = std::move(*listed);
    page->changed = runtime.make_signal();
    page->running = together;
    for (std::size_t i = 0; i < together; ++i) runtime.spawn(visit_some(page, visit));
    while (page->running != 0) co_await page->changed->wait(core::SteadyTime::max());
    if (!page->outcome || count < core::kListedObjectsMax) co_return page->outcome;
  }
}

Task<Result<ArchiveTotals>> count_archive(core::Runtime& runtime, core::ObjectStore& objects,
                                          std::string prefix) {
  ArchiveTotals totals;
  std::string after;
  for (;;) {
    const auto listed = co_await objects.list(prefix, after, core::kListedObjectsMax,
                                              runtime.steady_now() + kListTimeout);
    if (!listed) co_return pass(listed);
    for (const ListedObject& object : *listed) totals.bytes += object.size;
    totals.objects += listed->size();
    if (listed->size() < core::kListedObjectsMax) co_return totals;
    after = listed->back().key;
  }
}

}  // namespace daybook::api
