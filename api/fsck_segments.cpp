// The records of a segment, one by one; what fsck says of an object it says here of a slice.
#include "api/fsck.hpp"

namespace daybook::api {
namespace {

using core::Code;
using core::ListedObject;
using core::Result;
using core::Task;

constexpr auto kSegmentTimeout = std::chrono::seconds(300);

}  // namespace

Task<Fsck::Outcome> Fsck::see_segment(ListedObject object) {
  ++segments_;
  ++report_.objects;
  report_.bytes += object.size;
  bar_.draw({report_.objects, totals_.objects, report_.bytes, totals_.bytes, 0});
  const auto bytes = co_await stores_.objects().get(object.key, std::nullopt,
                                                    runtime_.steady_now() + kSegmentTimeout);
  if (!bytes && bytes.error().code == Code::not_found) co_return Outcome{};  // since it was listed
  if (!bytes && bytes.error().code != Code::damaged) co_return pass(bytes);
  Result<core::OpenedSegment> opened;
  if (bytes) {
    co_await stores_.workers().run([&] { opened = core::open_segment(*bytes); });
  } else {
    opened = pass(bytes);
  }
  const std::string& wrong = opened ? opened->damage : opened.error().detail;
  if (!wrong.empty()) found("damaged", object.key, wrong);
  if (!opened) co_return Outcome{};
  for (const core::SegmentEntry& entry : opened->entries) {
    if (auto seen = co_await see_slice(object, *bytes, entry); !seen) co_return seen;
  }
  co_return Outcome{};
}

Task<Fsck::Outcome> Fsck::see_slice(ListedObject object, core::Bytes segment,
                                    core::SegmentEntry entry) {
  ++segment_records_;
  const auto row = co_await stores_.metadata().find(entry.id, soon());
  if (!row) co_return pass(row);
  const core::ByteRange slice{entry.offset, entry.length};
  const bool indexed = row->has_value();
  const bool named = indexed && (*row)->object_key == object.key;
  std::string wrong;
  if (const auto place = named ? core::slice_of(**row) : slice; !place) {
    wrong = place.error().detail;
  } else if (place->offset != slice.offset || place->length != slice.length) {
    wrong = "its row says that it is at byte " + std::to_string(place->offset);
  } else {
    Result<core::CheckedObject> checked;
    co_await stores_.workers().run(
        [&] { checked = core::check_slice(segment, entry, depth(indexed)); });
    wrong = named || !indexed ? compare(checked, entry.id, *row)
                              : compare_copy(checked, entry.id, **row);
  }
  const std::string where = object.key + ", at byte " + std::to_string(slice.offset) + ": ";
  if (indexed && !named) {
    if (wrong.empty()) {
      ++superseded_;
    } else {
      found("damaged", entry.id.str(), where + wrong + " (a copy; its row names another object)");
    }
    co_return Outcome{};
  }
  Facts& facts = facts_[entry.id];
  if (!wrong.empty()) {
    found("damaged", entry.id.str(), where + wrong);
    // A sound copy may be elsewhere; its row is inserted then.
    if (!facts.object) facts.damaged = facts.object = true;
    co_return Outcome{};
  }
  if (!indexed) {
    if (facts.object && !facts.damaged) ++superseded_;
    Place& place = unindexed_[entry.id];
    if (place.object.key.empty() || object.key < place.object.key) place = {object, slice};
    facts.damaged = false;
  }
  facts.object = true;
  co_return Outcome{};
}

}  // namespace daybook::api
