// SegmentWriter: gathers small records into segments (core/segment.hpp) and puts each with one
// request.
//
// - An open segment is cut when it is full (bytes, records), when its first record has waited for
//   the age, when memory is wanted, or when the pipeline stops.
// - Its records wait together and learn the same outcome. After a failure the group stays: whoever
//   of them tries again first puts the same bytes under the same key once more, at most once per
//   growing pause, and the others join him or find it done. So a put whose answer was lost makes no
//   second object, and a store that is away sees a try per segment, not per record.
// - A record whose bytes are not what was acknowledged when the segment is built is left out; it is
//   read again.
// - A refusal that is final dissolves the group: each record then goes as an object of its own, so
//   that one that cannot be stored does not park the others.
// - Bytes of open, waiting and running segments stay within memory_max; building takes bytes_max
//   more, one at a time. Records wait for room, and after the timeout go as objects of their own.
// I/O thread only; hashing and copying are the workers'.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/budget.hpp"
#include "core/pipeline/stage.hpp"
#include "core/ports/runtime.hpp"
#include "core/ports/workers.hpp"
#include "core/retry.hpp"
#include "core/sealed_object.hpp"
#include "core/segment.hpp"

namespace daybook::core::pipeline {

// The stored form of one record, wherever it came from.
struct StoredRecord {
  std::shared_ptr<const SealedObject> fresh;
  std::string loaded;
  OpenedHead head;
  std::shared_ptr<const ReheadedObject> reheaded;  // of a transformed record; its frames are above
  [[nodiscard]] Slices slices() const {
    if (reheaded) return reheaded->slices();
    return fresh ? fresh->slices() : Slices{as_bytes(loaded)};
  }
};

struct SegmentSettings {
  std::uint64_t bytes_max = 0;  // of a segment; 0: no segments, every record is an object
  std::size_t records_max = 4096;
  Duration age = std::chrono::seconds(5);
  std::uint64_t memory_max = 0;  // at least bytes_max
  RetryPolicy retry;             // pauses between the puts of one segment
  // What was put: why it was cut (size, records, age, memory, stop), how many records and bytes.
  std::function<void(std::string_view reason, std::size_t records, std::uint64_t bytes)> on_put;
};

class SegmentWriter {
 public:
  SegmentWriter(Runtime& runtime, Workers& workers, ObjectStore& store, std::string prefix,
                std::size_t puts_max, Duration timeout, SegmentSettings settings);

  // Whether a record of this stored size is small enough for a segment of bytes_max. A larger one
  // saves no request worth a wait.
  [[nodiscard]] static constexpr bool shares(auto stored_size, auto bytes_max) {
    return stored_size <= bytes_max / 16;
  }
  // The same with its settings; false for all once the pipeline stops.
  [[nodiscard]] bool takes(std::uint64_t stored_size) const {
    return !stopping_ && shares(stored_size, settings_.bytes_max);
  }
  // Memory for a record that is about to be loaded; nullopt: none within the timeout, or the
  // pipeline stops.
  Task<std::optional<Budget::Share>> room(std::uint64_t stored_size);
  // Waits until the record's segment is put, or was tried once; sets what the passage is to learn
  // of it. line_open: leaves_line_open of the record.
  Task<Result<void>> add(Passage& passage, StoredRecord record, bool line_open,
                         Budget::Share memory);
  // Another attempt of a record whose segment failed: passage.in_common is set.
  Task<Result<void>> again(Passage& passage);
  // Cuts what is open; what comes later finds takes() false.
  void stop();

 private:
  struct Member {
    StoredRecord record;
    Sha256 stored_sha256;
    bool line_open = false;
    Budget::Share memory;
  };
  struct Group {
    std::string name;                   // segment_group; empty once it is cut
    std::vector<Member> members;        // until the segment is built
    std::vector<Budget::Share> memory;  // of the members, from then on
    std::uint64_t bytes = 0;
    std::string_view reason;  // why it was cut; empty: it is open
    Segment segment;
    PutObject request;  // without the body
    std::unique_ptr<Signal> changed;
    bool running = false;        // a put is under way or pauses before it
    std::uint32_t attempts = 0;  // puts that have ended
    SteadyTime not_before{};
    Result<ObjectVersion> outcome;
    bool dissolved = false;
    std::optional<WallTime> archived_at;
  };
  using GroupPtr = std::shared_ptr<Group>;

  GroupPtr open_group(const std::string& name, std::uint64_t bytes);
  void cut(Group& group, std::string_view reason);
  void cut_largest();
  Task<> mind(GroupPtr group);     // from open to the end of the first put
  Task<> attempt(GroupPtr group);  // one put
  Task<> build(GroupPtr group);
  Task<Result<void>> outcome_of(GroupPtr group, Passage& passage, std::uint32_t seen);

  Runtime& runtime_;
  Workers& workers_;
  ObjectStore& store_;
  const std::string prefix_;
  const Duration timeout_;
  const SegmentSettings settings_;
  Budget memory_;
  Budget puts_;
  Budget builds_;
  std::map<std::string, GroupPtr> open_;  // by name
  std::unique_ptr<Signal> stopped_;
  bool stopping_ = false;
};

}  // namespace daybook::core::pipeline
