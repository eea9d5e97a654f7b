// LookupFile: a lookup's file in memory, read again when it has changed. A new one that cannot be
// used leaves the old one in its place, and the log says so. I/O thread only; files are read on a
// worker.
//
//   .csv   RFC 4180 with a line of names; the first column is the key
//   .json  {"KEY": {"attribute": "text", …}, …}; numbers, true and false count as text
//   .toml  the same as tables: [KEY]
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "core/ports/runtime.hpp"
#include "core/ports/workers.hpp"
#include "core/transform/transform.hpp"

namespace daybook::api {

enum class LookupFormat { csv, json, toml };
// By the file's ending; nullopt where it is none of them.
[[nodiscard]] std::optional<LookupFormat> lookup_format(std::string_view path);

// The error names the line, or the key, that cannot be used.
[[nodiscard]] core::Result<core::transform::Rows> parse_lookup(LookupFormat format,
                                                               std::string_view text);

class LookupFile final : public core::transform::LookupTable {
 public:
  // Blocking. The error begins with the path.
  static core::Result<std::shared_ptr<LookupFile>> open(core::Runtime& runtime, core::Workers& disk,
                                                        std::string path);

  // Looks whether the file has changed, at most once a second.
  core::Task<core::Result<std::shared_ptr<const core::transform::Rows>>> rows() override;

 private:
  using RowsPtr = std::shared_ptr<const core::transform::Rows>;
  LookupFile(core::Runtime& runtime, core::Workers& disk, std::string path)
      : runtime_(runtime), disk_(disk), path_(std::move(path)) {}
  // What tells one state of the file from another; empty where it cannot be looked at.
  [[nodiscard]] std::string state() const;
  [[nodiscard]] core::Result<RowsPtr> read() const;

  core::Runtime& runtime_;
  core::Workers& disk_;
  const std::string path_;
  RowsPtr rows_;
  std::string read_state_;
  core::SteadyTime look_again_{};
  bool looking_ = false;
};

}  // namespace daybook::api
