// What a run of roofline was asked for, and the sections that there are.
#pragma once

#include <filesystem>
#include <vector>

#include "bench/payload_source.hpp"
#include "bench/roofline/report.hpp"
#include "core/result.hpp"

namespace daybook::bench::roofline {

struct Settings {
  std::vector<std::size_t> connections = {1, 4, 8, 32, 64, 256};
  double seconds = 1;  // of each measure
  std::size_t cores = 1;
  std::filesystem::path dir;  // for files that are written; made and removed by who needs it
};

// Each adds its rows. An error means that the measure itself failed; what this machine lacks is a
// skip in the report.
using Section = core::Result<void> (*)(const Settings&, const PayloadSource&, Report&);

core::Result<void> measure_memory(const Settings&, const PayloadSource&, Report&);
core::Result<void> measure_sha256(const Settings&, const PayloadSource&, Report&);
core::Result<void> measure_zstd(const Settings&, const PayloadSource&, Report&);
core::Result<void> measure_seal(const Settings&, const PayloadSource&, Report&);
core::Result<void> measure_receive(const Settings&, const PayloadSource&, Report&);
core::Result<void> measure_ceiling(const Settings&, const PayloadSource&, Report&);
core::Result<void> measure_disk(const Settings&, const PayloadSource&, Report&);
core::Result<void> measure_redis(const Settings&, const PayloadSource&, Report&);

}  // namespace daybook::bench::roofline
